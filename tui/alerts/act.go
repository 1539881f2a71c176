package alerts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// settle is how long a question stands on the screen before a key answers it: one
// that was pressed for what stood there before must not silence anything.
const settle = 300 * time.Millisecond

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(c, msg)
	case planned:
		return p.takePlan(c, msg)
	case acted:
		return p.takeActed(c, msg)
	case tea.PasteMsg:
		p.input.Update(msg)
	case tea.KeyPressMsg:
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		p.move(c, kit.Wheel(msg))
	case tea.MouseClickMsg:
		return p.click(c, msg)
	}
	return nil
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case p.sure.Active():
		if k.String() == "y" && c.Wall.Sub(p.asked) < settle {
			p.asked = c.Wall
			return kit.Notice("The question had only just appeared: nothing was done. Read it, then press again.", true)
		}
		return p.sure.Key(k)
	case p.input.Active():
		return p.typed(c, k)
	case key.Matches(k, keys.fatigue):
		p.tired, p.detail = !p.tired, nil
		return p.read(c)
	case p.tired:
		if key.Matches(k, keys.open) {
			return p.openRule(c)
		}
		if p.report != nil {
			p.ruleAt.Key(k, len(p.report.Rules), tableHeight(c))
		}
		return nil
	case key.Matches(k, keys.open):
		return p.open(c)
	case key.Matches(k, keys.ack):
		return p.begin(c, acking)
	case key.Matches(k, keys.silence):
		return p.begin(c, silencing)
	case key.Matches(k, keys.runbook):
		return p.runbook(c)
	case key.Matches(k, keys.filter):
		p.detail, p.doing = nil, filtering
		p.input.Open(p.filter)
		return nil
	case key.Matches(k, keys.clear):
		p.setFilter(c, "")
		return nil
	}
	if by, ok := kit.Step(k, p.length(c), tableHeight(c)); ok {
		p.move(c, by)
	}
	return nil
}

func (p *Pane) length(c pane.Context) int {
	if p.detail != nil {
		return len(p.full(c))
	}
	return len(p.rows)
}

func (p *Pane) move(c pane.Context, by int) {
	switch {
	case p.detail != nil:
		p.scroll.Top += by
		p.scroll.Clamp(len(p.full(c)), c.Height-1)
	case p.tired && p.report != nil:
		p.ruleAt.Move(by, len(p.report.Rules), tableHeight(c))
	case !p.tired:
		p.at.Move(by, len(p.rows), tableHeight(c))
	}
}

func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) tea.Cmd {
	row := m.Y - headLines
	if m.Button != tea.MouseLeft || p.Capturing() || p.detail != nil || row < 0 || row >= tableHeight(c) {
		return nil
	}
	list, n, open := &p.at, len(p.rows), func() tea.Cmd { return p.open(c) }
	if p.tired {
		if p.report == nil {
			return nil
		}
		list, n, open = &p.ruleAt, len(p.report.Rules), func() tea.Cmd { return p.openRule(c) }
	}
	i := list.Top + row
	switch {
	case i >= n:
		return nil
	case i == list.Cursor:
		return open()
	}
	list.Cursor = i
	return nil
}

// open shows the signal of a verdict, or all that is known of another alert.
func (p *Pane) open(pane.Context) tea.Cmd {
	a := p.current()
	switch {
	case a == nil:
		return nil
	case a.Signal == signal.Rollout:
		return func() tea.Msg { return pane.OpenMsg{ID: pane.Changes} }
	case a.Signal != "":
		id := a.Signal
		return func() tea.Msg { return pane.OpenMsg{ID: pane.Signal, Arg: id} }
	}
	p.detail, p.scroll = a, kit.Scroll{}
	return nil
}

func (p *Pane) openRule(c pane.Context) tea.Cmd {
	r := p.rule()
	if r == nil {
		return nil
	}
	id := r.Signal
	if id == "" { // a rule of others: its alerts
		p.tired = false
		p.setFilter(c, r.Alert)
		return nil
	}
	if id == signal.Rollout {
		return func() tea.Msg { return pane.OpenMsg{ID: pane.Changes} }
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Signal, Arg: id} }
}

// runbook opens the plan of what is suggested; nothing is run yet.
func (p *Pane) runbook(c pane.Context) tea.Cmd {
	a := p.current()
	switch {
	case a == nil:
		return nil
	case a.Runbook == "" && a.RunbookURL != "":
		return kit.Notice("Its runbook is none of rollcall's: "+a.RunbookURL, false)
	case a.Runbook == "":
		return kit.Notice("No runbook offers itself for "+a.ID+"; 8 lists all there are.", false)
	case c.Desk == nil:
		return kit.Notice("This console only reads: it has no journal to act with.", true)
	}
	book := pane.PlanOf(a.Runbook)
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Run, Arg: book} }
}

// begin opens the line in which a note, or the length of a silence and why, is typed.
func (p *Pane) begin(c pane.Context, what doing) tea.Cmd {
	a := p.current()
	switch {
	case a == nil:
		return nil
	case c.Desk == nil:
		return kit.Notice("This console only reads: it has no journal to act with.", true)
	case !c.View.Live():
		return kit.Notice("What is on the screen is past; 0 goes back to now.", true)
	case p.busy:
		return kit.Notice("The last action is still under way.", false)
	case a.State == alerts.Resolved:
		return kit.Notice(a.ID+" is over.", false)
	}
	if t := c.Desk.JournalTrouble(); t != "" {
		return kit.Notice(t, true)
	}
	p.doing, p.on, p.acted = what, a.ID, false
	p.input.Open("")
	return nil
}

func (p *Pane) typed(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case k.String() == "enter":
		return p.submit(c)
	case p.doing == acking && key.Matches(k, keys.acted):
		p.acted = !p.acted
		return nil
	}
	p.input.Update(k)
	return nil
}

func (p *Pane) submit(c pane.Context) tea.Cmd {
	words := strings.TrimSpace(p.input.Value())
	switch p.doing {
	case filtering:
		p.input.Close()
		p.setFilter(c, words)
		if words != "" {
			c.Record(journal.QueryTyped, map[string]string{"where": "alerts"}, words)
		}
		p.doing = nothing
		return nil
	case acking:
		if words == "" {
			return kit.Notice("A few words are needed: what do you do about it? esc leaves it.", false)
		}
		return p.ack(c, words)
	case silencing:
		length, why, _ := strings.Cut(words, " ")
		var d sources.Duration
		if err := d.UnmarshalText([]byte(length)); err != nil || d == 0 || strings.TrimSpace(why) == "" {
			return kit.Notice("Write how long and why, such as: 2h provider works on it. esc leaves it.", false)
		}
		return p.plan(c, time.Duration(d), strings.TrimSpace(why))
	case nothing:
	}
	return nil
}

type acted struct {
	text string
	err  error
}

func (p *Pane) ack(c pane.Context, note string) tea.Cmd {
	p.input.Close()
	p.doing, p.busy = nothing, true
	source, service, id, done := p.source, c.Service, p.on, p.acted
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		list, err := source.AckAlert(ctx, service, id, note, done)
		if err != nil {
			return acted{err: err}
		}
		text := id + " is acknowledged."
		if len(list) == 1 {
			text = fmt.Sprintf("%s is acknowledged, as entry %d.", id, list[0].Seq)
		}
		return acted{text: text}
	})
}

type planned struct {
	of   string
	plan alerts.Plan
	err  error
}

func (p *Pane) plan(c pane.Context, length time.Duration, why string) tea.Cmd {
	p.input.Close()
	p.doing, p.busy = nothing, true
	source, service, id := p.source, c.Service, p.on
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		plan, err := source.PlanSilence(ctx, service, id, length, why)
		return planned{id, plan, err}
	})
}

// takePlan asks before anything is written, with all that would be.
func (p *Pane) takePlan(c pane.Context, m planned) tea.Cmd {
	p.busy = false
	switch {
	case m.err != nil:
		return kit.Notice(m.err.Error(), true)
	case m.plan.Service != c.Service || c.Ctx != nil && c.Ctx.Err() != nil:
		return kit.Notice("Nothing was silenced: the console has gone on.", false)
	}
	p.asked = c.Wall
	source, plan := p.source, m.plan
	p.sure.Ask(plan.Text(), func() tea.Cmd {
		p.busy = true
		return kit.Act(c, func(ctx context.Context) tea.Msg {
			id, err := source.Silence(ctx, plan)
			return acted{text: fmt.Sprintf("%s is silenced until %s (silence %s).", plan.Alert.ID, plan.Ends.Format("2006-01-02 15:04Z"), id), err: err}
		})
	})
	return nil
}

func (p *Pane) takeActed(c pane.Context, m acted) tea.Cmd {
	p.busy = false
	if m.err != nil {
		return tea.Batch(kit.Notice(m.err.Error(), true), kit.Acted)
	}
	if c.Ctx != nil && c.Ctx.Err() != nil {
		return tea.Batch(kit.Notice(m.text, false), kit.Acted)
	}
	return tea.Batch(kit.Notice(m.text, false), kit.Acted, p.read(c))
}
