// Package readiness is the pane that answers the checklist: nine questions, each
// with its answer, the evidence behind it, and what to do next.
package readiness

import (
	"context"
	"errors"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/runbooks/readiness"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// keep is how long answers stand before they are asked for again by themselves,
// in wall time: they move in days, and to ask looks at every source.
const keep = 5 * time.Minute

// Pane shows the answers.
type Pane struct {
	report *readiness.Report
	err    error
	read   time.Time // wall time of the answers
	cursor int
	open   map[string]bool // questions whose evidence is open, by ID
	top    int

	service string
	gen     int
	loading bool
	cancel  context.CancelFunc
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{open: map[string]bool{}} }

// ID returns pane.Readiness.
func (p *Pane) ID() pane.ID { return pane.Readiness }

// Title names the pane.
func (p *Pane) Title(pane.Context) string { return "Readiness" }

// Capturing is always false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Back closes the evidence that is open.
func (p *Pane) Back(pane.Context) bool {
	if len(p.open) == 0 {
		return false
	}
	clear(p.open)
	return true
}

// Left stops what is being read.
func (p *Pane) Left() { p.stop() }

func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading = false
	p.gen++
}

// Open asks anew unless the answers are young. A question's ID opens its evidence.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	if id, ok := arg.(string); ok && id != "" {
		p.open[id] = true
	}
	return p.Refresh(c)
}

// Refresh asks again when the answers are old or another service is shown.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if p.service != c.Service {
		p.stop()
		p.report, p.err, p.cursor, p.top = nil, nil, 0, 0
		p.service = c.Service
		clear(p.open)
	}
	if p.loading || p.report != nil && c.Wall.Sub(p.read) < keep {
		return nil
	}
	return p.ask(c)
}

type answer struct {
	gen    int
	report readiness.Report
	err    error
}

func (p *Pane) ask(c pane.Context) tea.Cmd {
	if c.Desk == nil {
		return nil
	}
	p.stop()
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading = cancel, true
	gen, desk, service := p.gen, c.Desk, c.Service
	return func() tea.Msg {
		r, err := desk.Readiness(ctx, service)
		return answer{gen, r, err}
	}
}

func (p *Pane) take(c pane.Context, a answer) {
	if a.gen != p.gen {
		return
	}
	p.loading = false
	p.cancel()
	p.cancel = nil
	if a.err != nil {
		if !errors.Is(a.err, context.Canceled) {
			p.err = a.err
		}
		return
	}
	p.report, p.err, p.read = &a.report, nil, c.Wall
	p.cursor = max(0, min(p.cursor, len(a.report.Answers)-1))
}

func (p *Pane) current() *readiness.Answer {
	if p.report == nil || p.cursor >= len(p.report.Answers) {
		return nil
	}
	return &p.report.Answers[p.cursor]
}

// CopyText returns what to do next about the selected question.
func (p *Pane) CopyText(pane.Context) (string, string) {
	a := p.current()
	switch {
	case a == nil:
		return "", ""
	case a.Next != "":
		return a.Next, "what to do next"
	}
	return a.Question + " " + string(a.Answer), "answer"
}

var keys = struct{ open, source, again, move key.Binding }{
	open:   key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "the evidence")),
	source: key.NewBinding(key.WithKeys("o"), key.WithHelp("o", "go where it comes from")),
	again:  key.NewBinding(key.WithKeys("r"), key.WithHelp("r", "ask again")),
	move:   key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
}

// Keys lists the keys.
func (p *Pane) Keys() []key.Binding {
	return []key.Binding{keys.open, keys.source, keys.again, keys.move}
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(c, msg)
	case tea.KeyPressMsg:
		switch {
		case key.Matches(msg, keys.open):
			p.toggle()
		case key.Matches(msg, keys.source):
			return p.goThere()
		case key.Matches(msg, keys.again):
			if !p.loading {
				return p.ask(c)
			}
		default:
			if by, ok := kit.Step(msg, p.count(), 4); ok {
				p.move(by)
			}
		}
	case tea.MouseWheelMsg:
		p.move(max(-1, min(1, kit.Wheel(msg))))
	case tea.MouseClickMsg:
		p.click(c, msg)
	}
	return nil
}

func (p *Pane) count() int {
	if p.report == nil {
		return 0
	}
	return len(p.report.Answers)
}

func (p *Pane) move(by int) { p.cursor = max(0, min(p.count()-1, p.cursor+by)) }

func (p *Pane) toggle() {
	if a := p.current(); a != nil {
		if p.open[a.ID] {
			delete(p.open, a.ID)
		} else {
			p.open[a.ID] = true
		}
	}
}

func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) {
	rows := p.rows(c)
	i := p.window(rows, c.Height-headLines) + m.Y - headLines
	if m.Button != tea.MouseLeft || m.Y < headLines || i < 0 || i >= len(rows) {
		return
	}
	if rows[i].of == p.cursor {
		p.toggle()
	}
	p.cursor = rows[i].of
}

// places are where the evidence of a question comes from.
var places = map[string]pane.OpenMsg{
	readiness.Reproduce:  {ID: pane.Requests},
	readiness.RollBack:   {ID: pane.Runbooks},
	readiness.Dashboards: {ID: pane.Overview},
	readiness.Alerts:     {ID: pane.Journal, Arg: "alert"},
	readiness.Response:   {ID: pane.Journal, Arg: "incident"},
	readiness.Cost:       {ID: pane.Cost},
	readiness.Logs:       {ID: pane.Logs},
	readiness.Cases:      {ID: pane.Journal, Arg: "incident"},
	readiness.Rehearsed:  {ID: pane.Runbooks},
}

func (p *Pane) goThere() tea.Cmd {
	a := p.current()
	if a == nil {
		return nil
	}
	msg, ok := places[a.ID]
	if !ok {
		return nil
	}
	return func() tea.Msg { return msg }
}
