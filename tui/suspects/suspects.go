// Package suspects is the pane that says what the bad requests of a signal have
// in common, and for signals about time how each stage is distributed.
package suspects

import (
	"context"
	"errors"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources/signal"
	"rollcall/sources/signal/suspect"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// Pane shows the explanation of one signal.
type Pane struct {
	state
	gen     int
	loading bool
	cancel  context.CancelFunc
}

// state is what makes the screen what it is.
type state struct {
	id      string // of the signal; empty for the worst
	service string
	anyway  bool
	shape   bool // the distributions instead of the list
	stage   int
	x       *signal.Explanation
	err     error
	list    kit.List
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{} }

// ID returns pane.Suspects.
func (p *Pane) ID() pane.ID { return pane.Suspects }

// Title names the signal.
func (p *Pane) Title(c pane.Context) string {
	what := "Suspects"
	if p.shape {
		what = "Latency"
	}
	if id := p.signal(c); id != "" {
		what += " " + c.Theme.Glyphs.Cursor + " " + p.label(c, id)
	}
	return what
}

func (p *Pane) label(c pane.Context, id string) string {
	if c.Snapshot != nil {
		if r, ok := c.Snapshot.Reading(id); ok {
			return r.Label
		}
	}
	return kit.Line(id, 40)
}

// signal is the one that is explained: the one asked for, or the one the verdict line names first.
func (p *Pane) signal(c pane.Context) string {
	if p.id == "" && c.Snapshot != nil && len(c.Snapshot.Line.Signals) > 0 {
		return c.Snapshot.Line.Signals[0]
	}
	return p.id
}

// Capturing is always false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Back leaves the distributions for the list.
func (p *Pane) Back(pane.Context) bool {
	if p.shape {
		p.shape = false
		return true
	}
	return false
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

// Keep returns the explanation and what is selected.
func (p *Pane) Keep() any { return p.state }

// Restore brings them back; they are read again with the next refresh.
func (p *Pane) Restore(c pane.Context, kept any) tea.Cmd {
	was, ok := kept.(state)
	if !ok {
		return p.Open(c, nil)
	}
	p.stop()
	p.state = was
	return nil
}

// Open explains the signal that the argument names, or the worst.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	id, _ := arg.(string)
	if id != p.id || p.service != c.Service {
		p.state = state{id: id}
	}
	return p.read(c)
}

// Refresh reads again, unless an answer is still on its way.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if c.Frozen && p.x != nil && p.service == c.Service {
		return nil
	}
	if p.service != c.Service {
		p.state = state{id: p.id}
	}
	if p.loading {
		return nil
	}
	return p.read(c)
}

type answer struct {
	gen int
	x   *signal.Explanation
	err error
}

func (p *Pane) read(c pane.Context) tea.Cmd {
	p.stop()
	p.service = c.Service
	id := p.signal(c)
	if id == "" {
		return nil
	}
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading = cancel, true
	gen, backend, service, view, anyway := p.gen, c.Backend, c.Service, c.View, p.anyway
	return func() tea.Msg {
		x, err := backend.Suspects(ctx, service, id, view, anyway)
		return answer{gen, x, err}
	}
}

func (p *Pane) take(a answer) {
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
	// The cursor stays on its suspect.
	name := ""
	if s := p.current(); s != nil {
		name = s.Name()
	}
	p.x, p.err = a.x, nil
	for i, s := range p.rows() {
		if s.Name() == name {
			p.list.Cursor = i
		}
	}
	p.stage = max(0, min(p.stage, len(p.x.Shapes)-1))
	if len(p.x.Shapes) == 0 {
		p.shape = false
	}
}

// rows are the suspects, and after them what was always so.
func (p *Pane) rows() []*suspect.Suspect {
	if p.x == nil {
		return nil
	}
	var out []*suspect.Suspect
	for i := range p.x.Suspects {
		out = append(out, &p.x.Suspects[i])
	}
	for i := range p.x.Usual {
		out = append(out, &p.x.Usual[i])
	}
	return out
}

func (p *Pane) current() *suspect.Suspect {
	if rows := p.rows(); p.list.Cursor < len(rows) {
		return rows[p.list.Cursor]
	}
	return nil
}

// CopyText returns the selected suspect in words.
func (p *Pane) CopyText(pane.Context) (string, string) {
	s := p.current()
	if s == nil || p.shape {
		return "", ""
	}
	return p.x.Phrase(s), "suspect"
}

var keys = struct{ open, shape, anyway, stage, move key.Binding }{
	open:   key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "its requests")),
	shape:  key.NewBinding(key.WithKeys("h"), key.WithHelp("h", "how long each stage takes, or the list")),
	anyway: key.NewBinding(key.WithKeys("a"), key.WithHelp("a", "look even when nothing is wrong")),
	stage:  key.NewBinding(key.WithKeys("left", "right"), key.WithHelp("left/right", "other stage")),
	move:   key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
}

// Keys lists the keys.
func (p *Pane) Keys() []key.Binding {
	if p.shape {
		return []key.Binding{keys.stage, keys.shape}
	}
	return []key.Binding{keys.open, keys.shape, keys.anyway, keys.move}
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(msg)
	case tea.KeyPressMsg:
		switch {
		case key.Matches(msg, keys.shape):
			p.shape = !p.shape && p.x != nil && len(p.x.Shapes) > 0
		case p.shape:
			switch msg.String() {
			case "right", "l", "n", "down", "j":
				p.stage = (p.stage + 1) % len(p.x.Shapes)
			case "left", "p", "up", "k":
				p.stage = (p.stage + len(p.x.Shapes) - 1) % len(p.x.Shapes)
			case "enter":
				return p.slow(c)
			}
		case key.Matches(msg, keys.open):
			return p.requests(c)
		case key.Matches(msg, keys.anyway):
			p.anyway = !p.anyway
			return p.read(c)
		default:
			p.list.Key(msg, len(p.rows()), p.tableHeight(c))
		}
	case tea.MouseWheelMsg:
		p.list.Move(kit.Wheel(msg), len(p.rows()), p.tableHeight(c))
	case tea.MouseClickMsg:
		i := p.list.Top + msg.Y - p.headLines(c)
		if p.shape || msg.Button != tea.MouseLeft || msg.Y < p.headLines(c) || msg.Y >= p.headLines(c)+p.tableHeight(c) || i >= len(p.rows()) {
			return nil
		}
		if i == p.list.Cursor {
			return p.requests(c)
		}
		p.list.Cursor = i
	}
	return nil
}

// requests opens the bad requests that carry the selected suspect.
func (p *Pane) requests(c pane.Context) tea.Cmd {
	s := p.current()
	if s == nil {
		return nil
	}
	f := p.x.Requests(c.Service, s)
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Requests, Arg: f} }
}

// slow opens the requests that have what tells the slow hump of the stage apart.
func (p *Pane) slow(c pane.Context) tea.Cmd {
	s := &p.x.Shapes[p.stage]
	if s.Slow == nil || len(s.Slow.Suspects) == 0 {
		return nil
	}
	f := p.x.Requests(c.Service, &s.Slow.Suspects[0])
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Requests, Arg: f} }
}
