package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// The smallest terminal on which the console makes sense.
const (
	minWidth  = 60
	minHeight = 15
)

// frame is what stands around the pane, as it is drawn now, and where.
type frame struct {
	top          []string // header, verdict, trouble, banner, tabs, title
	footer       string
	bodyY        int
	bodyW, bodyH int
	hits         []hit
}

// hit is a piece of the frame that the mouse can press.
type hit struct {
	x, y, w int
	do      func() tea.Cmd
}

func (m *Model) tooSmall() bool { return m.width < minWidth || m.height < minHeight }

// layout draws the frame and measures what is left for the pane.
func (m *Model) layout() {
	if m.width <= 0 || len(m.stack) == 0 || m.tooSmall() {
		return
	}
	f := frame{bodyW: m.width}
	f.top = append(f.top, m.header())
	f.top = append(f.top, m.verdictLines()...)
	verdict := len(f.top) - 1
	f.top = append(f.top, m.troubleLines()...)
	if line := m.banner(); line != "" {
		f.top = append(f.top, line)
	}
	tabs, hits := m.tabLine(len(f.top))
	hits = append(hits, m.deskHits(verdict, len(f.top)+len(tabs)-1)...)
	f.top, f.hits = append(f.top, tabs...), hits
	m.frame = f
	m.frame.bodyH = max(1, m.height-len(f.top)-1)
	if title := m.title(); title != "" {
		m.frame.top = append(m.frame.top, m.titleRule(title))
		m.frame.bodyH = max(1, m.frame.bodyH-1)
	}
	m.frame.bodyY = len(m.frame.top)
	m.frame.footer = m.footer()
}

func (m *Model) title() (title string) {
	defer func() {
		if recover() != nil { // View reports the same trouble where it is seen
			title = string(m.top().id)
		}
	}()
	return m.pane().Title(m.context())
}

// View draws the screen.
func (m *Model) View() (v tea.View) {
	defer func() {
		if r := recover(); r != nil {
			m.failed(r)
			v = tea.NewView("The console cannot draw this. q leaves; the log has the details.")
			v.AltScreen = true
		}
	}()
	v = tea.NewView(m.screen())
	v.AltScreen = true
	v.WindowTitle = clean("rollcall " + m.service)
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

// screen is the text of View: every line, no control bytes but those of colour.
func (m *Model) screen() string {
	switch {
	case m.width <= 0:
		return ""
	case m.tooSmall():
		return m.smallScreen()
	case len(m.stack) == 0:
		return ""
	}
	began := m.wall()
	tail := m.theme.Glyphs.Ellipsis
	lines := make([]string, 0, m.height)
	lines = append(lines, m.frame.top...)
	body := strings.Split(m.body(), "\n")
	for i := range m.frame.bodyH {
		line := ""
		if i < len(body) {
			line = body[i]
		}
		lines = append(lines, line)
	}
	lines = append(lines, m.frame.footer)
	switch {
	case m.palette != nil:
		box := m.paletteBox()
		lines = widget.Overlay(lines, box, 0, len(lines)-1-len(box))
		lines[len(lines)-1] = m.palette.line(m)
	case m.help != nil:
		lines = append(lines[:m.frame.tabsY()+1:m.frame.tabsY()+1], m.helpLines(m.height-m.frame.tabsY()-2)...)
		lines = append(lines, m.helpFooter())
	}
	for i := range lines {
		lines[i] = cut(strings.ReplaceAll(lines[i], "\n", " "), m.width, tail)
	}
	m.link.drew(m.wall().Sub(began))
	s := clean(strings.Join(lines[:min(len(lines), m.height)], "\n"))
	if m.theme.Options.ASCII {
		s = widget.ASCII(s)
	}
	return s
}

// tabsY is the row of the tabs.
func (f *frame) tabsY() int {
	if len(f.hits) > 0 {
		return f.hits[0].y
	}
	return max(0, len(f.top)-1)
}

func (m *Model) body() (s string) {
	defer func() {
		if r := recover(); r != nil {
			m.log.Error("pane failed to draw", "pane", string(m.top().id), "panic", r)
			s = "\n  The " + string(m.top().id) + " pane cannot draw what it has. esc goes back; the log has the details."
		}
	}()
	return m.pane().View(m.context())
}

// smallScreen says one calm line.
func (m *Model) smallScreen() string {
	for _, s := range []string{
		"rollcall needs 60 columns and 15 rows; make the window larger.",
		"rollcall needs 60×15: enlarge the window",
		"needs 60×15 or more",
		"60×15",
	} {
		if m.theme.Options.ASCII {
			s = strings.ReplaceAll(s, "×", "x")
		}
		if len([]rune(s)) <= m.width {
			return s
		}
	}
	return ""
}

func (m *Model) click(msg tea.MouseClickMsg) tea.Cmd {
	m.notice, m.hint = pane.NoticeMsg{}, false
	if m.tooSmall() || m.palette != nil {
		return nil
	}
	if m.help != nil {
		m.help = nil
		return nil
	}
	for _, h := range m.frame.hits {
		if msg.Button == tea.MouseLeft && msg.Y == h.y && msg.X >= h.x && msg.X < h.x+h.w {
			return h.do()
		}
	}
	if y := msg.Y - m.frame.bodyY; y >= 0 && y < m.frame.bodyH {
		msg.Y = y
		return m.toPane(m.top().id, msg)
	}
	return nil
}

func (m *Model) wheel(msg tea.MouseWheelMsg) tea.Cmd {
	switch {
	case m.tooSmall() || m.palette != nil:
		return nil
	case m.help != nil:
		m.help.scroll(msg.Button)
		return nil
	}
	if y := msg.Y - m.frame.bodyY; y >= 0 && y < m.frame.bodyH {
		msg.Y = y
		return m.toPane(m.top().id, msg)
	}
	return nil
}
