package request

import (
	"cmp"
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

type capturedMsg struct {
	incident string
	seq      int64
	err      error
}

// capture stores the request, redacted, as evidence of the open incident.
func (p *Pane) capture(c pane.Context) tea.Cmd {
	switch {
	case c.Desk == nil:
		return kit.Notice("This console only reads: it has no journal to capture into.", false)
	case c.Incident == nil:
		return kit.Notice("No incident is open to capture it into; I opens one.", true)
	case p.capturing:
		return kit.Notice("It is being captured already.", false)
	}
	p.capturing = true
	desk, service, incident, id := c.Desk, p.service, c.Incident.ID, cmp.Or(bestID(&p.view.Request), p.id)
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		e, err := desk.CaptureRequest(ctx, service, incident, id)
		return capturedMsg{incident, e.Seq, err}
	})
}

func (p *Pane) captured(m capturedMsg) tea.Cmd {
	p.capturing = false
	if m.err != nil {
		return kit.Notice("It was not captured: "+m.err.Error(), true)
	}
	return tea.Batch(kit.Notice(fmt.Sprintf("Captured into %s as entry %d, redacted.", m.incident, m.seq), false), kit.Acted)
}
