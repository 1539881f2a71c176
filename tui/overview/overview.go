// Package overview is the first pane: health, quality, cost and safety side by
// side, each signal one row with its value, its course and its verdict.
package overview

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

// Pane is the overview. What is selected is remembered by name, so that it
// stays selected while figures come and go.
type Pane struct {
	group  sources.Pane // pane that the cursor is in
	signal string       // selected signal; empty: the title of the group
	moved  bool         // the person has moved the cursor: it no longer follows the worst signal

	cache  string
	cached cacheKey
	// Rows and charts outlive a move of the cursor.
	kept   keptFor
	rows   map[string]string
	charts map[string][]string
	plan   plan
}

type cacheKey struct {
	snap   *signal.Snapshot
	theme  *theme.Theme
	w, h   int
	group  sources.Pane
	signal string
	local  bool
}

// keptFor is what drawn rows and charts depend on.
type keptFor struct {
	snap  *signal.Snapshot
	theme *theme.Theme
	w, h  int
	local bool
}

// New returns the overview.
func New() *Pane {
	return &Pane{group: sources.HealthPane, rows: map[string]string{}, charts: map[string][]string{}}
}

// groups in their fixed order, with their words and full panes.
var groups = [...]struct {
	group sources.Pane
	name  string
	id    pane.ID
}{
	{sources.HealthPane, "Health", pane.Health},
	{sources.QualityPane, "Quality", pane.Quality},
	{sources.CostPane, "Cost", pane.Cost},
	{sources.SafetyPane, "Safety", pane.Safety},
}

func groupIndex(g sources.Pane) int {
	for i := range groups {
		if groups[i].group == g {
			return i
		}
	}
	return 0
}

// ID is overview.
func (p *Pane) ID() pane.ID { return pane.Overview }

// Title is empty: the four panes have frames of their own.
func (p *Pane) Title(pane.Context) string { return "" }

// Open puts the cursor on the worst signal unless the person had moved it.
func (p *Pane) Open(c pane.Context, _ any) tea.Cmd { return p.Refresh(c) }

// Refresh follows the worst signal until the person moves the cursor.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if c.Snapshot == nil {
		return nil
	}
	if _, ok := c.Snapshot.Reading(p.signal); p.moved && (ok || p.signal == "") {
		return nil
	}
	worst := sources.NotExposed
	p.signal = ""
	for i := range c.Snapshot.Readings {
		if r := &c.Snapshot.Readings[i]; r.Verdict.Worse(worst) {
			worst, p.group, p.signal = r.Verdict, r.Pane, r.Signal
		}
	}
	return nil
}

// Update moves the cursor and opens what it is on.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	if c.Snapshot == nil {
		return nil
	}
	p.lay(c)
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "down", "j":
			p.move(1)
		case "up", "k":
			p.move(-1)
		case "right", "l", "tab":
			p.jump(1)
		case "left", "h", "shift+tab":
			p.jump(-1)
		case "enter":
			return p.enter()
		case "w":
			id := p.signal
			return func() tea.Msg { return pane.OpenMsg{ID: pane.Suspects, Arg: id} }
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelDown:
			p.move(1)
		case tea.MouseWheelUp:
			p.move(-1)
		}
	case tea.MouseClickMsg:
		if msg.Button == tea.MouseLeft {
			return p.press(msg.X, msg.Y)
		}
	}
	return nil
}

func (p *Pane) enter() tea.Cmd {
	open := pane.OpenMsg{ID: pane.Signal, Arg: p.signal}
	if p.signal == "" {
		open = pane.OpenMsg{ID: groups[groupIndex(p.group)].id}
	}
	return func() tea.Msg { return open }
}

// move goes one row down or up inside a pane, and on into the one below or above.
func (p *Pane) move(by int) {
	spots := p.plan.spots()
	for i, s := range spots {
		if s.group == p.group && s.signal == p.signal {
			if k := i + by; k >= 0 && k < len(spots) {
				p.group, p.signal, p.moved = spots[k].group, spots[k].signal, true
			}
			return
		}
	}
	if len(spots) > 0 {
		p.group, p.signal = spots[0].group, spots[0].signal
	}
}

// jump goes to the next pane, to its first row.
func (p *Pane) jump(by int) {
	n := len(p.plan.boxes)
	for i := range p.plan.boxes {
		if p.plan.boxes[i].group == p.group {
			b := &p.plan.boxes[(i+by+n)%n]
			p.group, p.signal, p.moved = b.group, "", true
			if len(b.rows) > 0 {
				p.signal = b.rows[0].Signal
			}
			return
		}
	}
}

// press selects what was clicked; a second press on it opens it.
func (p *Pane) press(x, y int) tea.Cmd {
	for i := range p.plan.boxes {
		b := &p.plan.boxes[i]
		if x < b.x || x >= b.x+b.w || y < b.y || y >= b.y+b.h {
			continue
		}
		id := ""
		if k := y - b.y - 1; k >= 0 && k < len(b.rows) {
			id = b.rows[k].Signal
		} else if k >= 0 {
			return nil
		}
		if p.group == b.group && p.signal == id {
			return p.enter()
		}
		p.group, p.signal, p.moved = b.group, id, true
	}
	return nil
}

// View draws the four panes; it is drawn anew only when something on it changed.
func (p *Pane) View(c pane.Context) string {
	k := cacheKey{c.Snapshot, c.Theme, c.Width, c.Height, p.group, p.signal, c.LocalTime}
	if k != p.cached || p.cache == "" {
		p.lay(c)
		if now := (keptFor{c.Snapshot, c.Theme, c.Width, c.Height, c.LocalTime}); now != p.kept {
			p.kept = now
			clear(p.rows)
			clear(p.charts)
		}
		p.cache, p.cached = p.draw(c), k
	}
	return p.cache
}

// Keys are shown by ? and in the footer.
func (p *Pane) Keys() []key.Binding {
	b := func(help, word string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, word))
	}
	return []key.Binding{
		b("enter", "open the signal", "enter"),
		b("arrows", "select", "up", "down", "left", "right", "j", "k", "h", "l"),
		b("tab", "next pane", "tab", "shift+tab"),
		b("w", "why: suspects of the selected signal", "w"),
	}
}

// CopyText is the selected reading in words.
func (p *Pane) CopyText(c pane.Context) (text, what string) {
	if c.Snapshot == nil {
		return "", ""
	}
	r, ok := c.Snapshot.Reading(p.signal)
	if !ok {
		return c.Snapshot.Line.Whole(), "the verdict line"
	}
	return r.Label + " " + valueText(&r, c.Theme) + " " + string(r.Verdict) + ": " + r.Why, "the reading"
}

// Back leaves the way back to the shell.
func (p *Pane) Back(pane.Context) bool { return false }

// Capturing is false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Left does nothing; the cursor stays where it is.
func (p *Pane) Left() {}
