// Package debug is the pane that shows what the console and its sources are doing.
package debug

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// Pane shows counters: the console's own, then the backend's.
type Pane struct {
	own     func() [][2]string
	entries [][2]string
	top     int
}

// New returns the pane; own gives the console's counters.
func New(own func() [][2]string) *Pane { return &Pane{own: own} }

// ID is debug.
func (p *Pane) ID() pane.ID { return pane.Debug }

// Title is the words of the frame.
func (p *Pane) Title(pane.Context) string { return "Debug" }

// Open reads the counters.
func (p *Pane) Open(c pane.Context, _ any) tea.Cmd { return p.Refresh(c) }

// Refresh reads the counters again. They stand still between two refreshes, so
// that looking at them costs the line nothing.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	p.entries = append(p.own(), [2]string{})
	p.entries = append(p.entries, c.Backend.Debug()...)
	return nil
}

// Update scrolls.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "down", "j":
			p.top++
		case "up", "k":
			p.top--
		case "pgdown":
			p.top += c.Height
		case "pgup":
			p.top -= c.Height
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelDown:
			p.top += 3
		case tea.MouseWheelUp:
			p.top -= 3
		}
	}
	p.top = max(0, min(p.top, len(p.entries)-c.Height))
	return nil
}

// View draws the counters.
func (p *Pane) View(c pane.Context) string {
	var lines []string
	for _, e := range p.entries[min(p.top, len(p.entries)):] {
		lines = append(lines, " "+c.Theme.Dim.Render(widget.Fit(e[0], 28, c.Theme.Glyphs.Ellipsis))+"  "+e[1])
	}
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
}

// Keys are shown by the help.
func (p *Pane) Keys() []key.Binding {
	return []key.Binding{key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "scroll"))}
}

// Back leaves the way back to the shell.
func (p *Pane) Back(pane.Context) bool { return false }

// Capturing is false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Left does nothing.
func (p *Pane) Left() {}
