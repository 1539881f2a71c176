package run

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// rehearsalWords mark what is practice wherever it could be taken for the real thing.
const rehearsalWords = "REHEARSAL: acts on the rehearsal target; nothing that is live is touched."

type resetMsg struct {
	runbook string
	err     error
}

// askReset asks before the rehearsal target is put back: it changes something, if nothing that is live.
func (p *Pane) askReset(c pane.Context) tea.Cmd {
	desk, service, runbook := c.Desk, c.Service, p.runbook
	command := desk.ResetCommand(service)
	if command == "" {
		return kit.Notice("The configuration says no way to put the rehearsal target back; services."+service+".rehearsal.reset is for a command that does.", true)
	}
	p.sure.Ask("Put the rehearsal target of "+service+" back to where rehearsals begin? This runs: "+command+". Nothing that is live is touched.", func() tea.Cmd {
		p.sending = true
		return kit.Act(c, func(ctx context.Context) tea.Msg {
			return resetMsg{runbook, desk.ResetRehearsals(ctx, service)}
		})
	})
	return nil
}

// takeReset resolves the plan anew: what it found before is not there any more.
func (p *Pane) takeReset(c pane.Context, m resetMsg) tea.Cmd {
	if m.runbook != p.runbook || p.id != "" {
		return kit.Acted // another plan is on the screen meanwhile
	}
	p.sending = false
	if m.err != nil {
		return tea.Batch(kit.Notice(m.err.Error(), true), kit.Acted)
	}
	return tea.Batch(p.resolve(c), kit.Notice("The rehearsal target is back to where rehearsals begin; the variables are resolved again.", false), kit.Acted)
}
