// Package spending is the pane that says where money goes: budgets and when they
// run out, requests that loop, who spends most, and what caches save.
package spending

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// Pane shows the report of the last refresh.
type Pane struct {
	state
}

// state is what makes the screen what it is.
type state struct {
	selected string // key of an item
	by       string // attribute that spenders are shown by
	top      int    // first line that is drawn
}

// New returns the pane.
func New() pane.Pane { return &Pane{} }

// ID returns pane.Spending.
func (p *Pane) ID() pane.ID { return pane.Spending }

// Title says of what time it is.
func (p *Pane) Title(c pane.Context) string {
	s := "Cost " + c.Theme.Glyphs.Cursor + " where money goes"
	if r := report(c); r != nil && r.Requests > 0 {
		s += " " + c.Theme.Glyphs.Dot + " " + kit.Minute(c, r.From) + " to " + kit.Minute(c, r.To)
	}
	return s
}

func report(c pane.Context) *spend.Report {
	if c.Snapshot == nil {
		return nil
	}
	return c.Snapshot.Spend
}

// Open shows the report; the name of an attribute as argument shows who spends by it.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	if by, ok := arg.(string); ok && by != "" {
		p.by = by
	}
	return nil
}

// Refresh does nothing: the report comes with every refresh of the shell.
func (p *Pane) Refresh(pane.Context) tea.Cmd { return nil }

// Capturing is always false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Back leaves the way back to the shell.
func (p *Pane) Back(pane.Context) bool { return false }

// Left does nothing.
func (p *Pane) Left() {}

// Keep returns what is selected.
func (p *Pane) Keep() any { return p.state }

// Restore brings it back.
func (p *Pane) Restore(_ pane.Context, kept any) tea.Cmd {
	if s, ok := kept.(state); ok {
		p.state = s
	}
	return nil
}

var keys = struct{ open, by, move key.Binding }{
	open: key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "the request, or its requests")),
	by:   key.NewBinding(key.WithKeys("left", "right"), key.WithHelp("left/right", "who spends, by tenant, user, route, model, version")),
	move: key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
}

// Keys lists the keys.
func (p *Pane) Keys() []key.Binding { return []key.Binding{keys.open, keys.by, keys.move} }

// CopyText is what the selected item is known by.
func (p *Pane) CopyText(c pane.Context) (text, what string) {
	items := p.items(c)
	if i := p.at(items); i >= 0 {
		return items[i].copied, items[i].what
	}
	return "", ""
}

// Update moves the cursor, changes the attribute, opens.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	items := p.items(c)
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "right", "l", "tab":
			p.turn(c, 1)
		case "left", "h", "shift+tab":
			p.turn(c, -1)
		case "enter":
			return open(items, p.at(items))
		default:
			if by, ok := kit.Step(msg, len(items), max(2, c.Height-6)); ok {
				p.move(items, by)
			}
		}
	case tea.MouseWheelMsg:
		p.move(items, kit.Wheel(msg))
	case tea.MouseClickMsg:
		if msg.Button != tea.MouseLeft {
			return nil
		}
		lines := p.lines(c, items)
		over := len(p.head(c))
		n := p.top + msg.Y - over
		if msg.Y < over || msg.Y >= c.Height-footLines(c) || n >= len(lines) || lines[n].item < 0 {
			return nil
		}
		if i := lines[n].item; i == p.at(items) {
			return open(items, i)
		}
		p.selected = items[lines[n].item].key
	}
	return nil
}

func open(items []item, i int) tea.Cmd {
	if i < 0 || items[i].open == nil {
		return nil
	}
	msg := *items[i].open
	return func() tea.Msg { return msg }
}

// at is the index of the selected item; the first when that is gone, -1 when there is none.
func (p *Pane) at(items []item) int {
	for i := range items {
		if items[i].key == p.selected {
			return i
		}
	}
	return min(0, len(items)-1)
}

func (p *Pane) move(items []item, by int) {
	if len(items) > 0 {
		p.selected = items[max(0, min(len(items)-1, p.at(items)+by))].key
	}
}

// turn shows the spenders by the next attribute, and puts the cursor there.
func (p *Pane) turn(c pane.Context, by int) {
	r := report(c)
	if r == nil || len(r.Top) == 0 {
		return
	}
	i := (p.topIndex(r) + by + len(r.Top)) % len(r.Top)
	p.by = r.Top[i].Attribute
	if s := r.Top[i].Spenders; len(s) > 0 {
		p.selected = spenderKey(&s[0])
	}
}

func (p *Pane) topIndex(r *spend.Report) int {
	for i := range r.Top {
		if r.Top[i].Attribute == p.by {
			return i
		}
	}
	return 0
}

func spenderKey(s *spend.Spender) string { return "spender " + s.Attribute + "=" + s.Value }

// requestsWith opens the requests of the report's time that have an attribute.
func requestsWith(c pane.Context, r *spend.Report, name, value string) *pane.OpenMsg {
	f := sources.RequestFilter{Service: c.Service, Since: r.From, Until: r.To}
	f, ok := f.With(sources.Attribute{Name: name, Value: value})
	if !ok || value == "" {
		return nil
	}
	return &pane.OpenMsg{ID: pane.Requests, Arg: f}
}
