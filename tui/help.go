package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/tui/keymap"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// help is the overlay of all keys that mean something here.
type help struct {
	top int
	max int // last top that shows something new
}

func (h *help) scroll(b tea.MouseButton) {
	switch b {
	case tea.MouseWheelUp:
		h.top = max(0, h.top-3)
	case tea.MouseWheelDown:
		h.top = min(h.max, h.top+3)
	}
}

// helpKey scrolls the help; whatever else is pressed closes it.
func (m *Model) helpKey(k tea.KeyPressMsg) {
	h := m.help
	page := max(1, m.height-6)
	switch k.String() {
	case "down", "j":
		h.top = min(h.max, h.top+1)
	case "up", "k":
		h.top = max(0, h.top-1)
	case "pgdown", "space":
		h.top = min(h.max, h.top+page)
	case "pgup":
		h.top = max(0, h.top-page)
	default:
		m.help = nil
	}
}

func (m *Model) paneKeys() (keys []key.Binding) {
	defer func() {
		if recover() != nil {
			keys = nil
		}
	}()
	return m.pane().Keys()
}

// helpGroups are the pane's keys and the shell's, generated from the bindings themselves.
func (m *Model) helpGroups() []keymap.Group {
	var groups []keymap.Group
	if keys := m.paneKeys(); len(keys) > 0 {
		groups = append(groups, keymap.Group{Name: "In " + m.hereWord(), Keys: keys})
	}
	for _, g := range m.keys.Groups() {
		if g.Name == "Act" && m.opts.Desk == nil {
			continue
		}
		for i, k := range g.Keys {
			if k.Help().Key == m.keys.Tabs.Help().Key {
				g.Keys[i].SetHelp(m.tabKeys(), k.Help().Desc)
			}
		}
		for id, k := range map[pane.ID]key.Binding{pane.Changes: m.keys.Changes, pane.Alerts: m.keys.Alerts} {
			if m.panes[id] == nil {
				g.Keys = dropKey(g.Keys, k.Help().Key)
			}
		}
		groups = append(groups, g)
	}
	return groups
}

func dropKey(keys []key.Binding, name string) []key.Binding {
	out := make([]key.Binding, 0, len(keys))
	for _, k := range keys {
		if k.Help().Key != name {
			out = append(out, k)
		}
	}
	return out
}

// hereWord names the pane that one is in.
func (m *Model) hereWord() string {
	for _, t := range m.tabs {
		if t.id == m.top().id {
			return t.name
		}
	}
	return string(m.top().id)
}

// helpLines draws the help over everything below the tabs, h rows.
func (m *Model) helpLines(h int) []string {
	t := m.theme
	cols := 1
	if m.width >= 110 {
		cols = 2
	}
	colW := (m.width - 4) / cols
	blocks := [][]string{}
	for _, g := range m.helpGroups() {
		lines := []string{t.Title.Render(g.Name)}
		for _, k := range g.Keys {
			if k.Help().Key == "" || !k.Enabled() {
				continue
			}
			name := k.Help().Key
			if t.Options.ASCII {
				name = strings.ReplaceAll(name, "–", "-")
			}
			lines = append(lines, "  "+t.Key.Render(widget.Fit(oneLine(name), 14, "…"))+t.Plain.Render(oneLine(k.Help().Desc)))
		}
		blocks = append(blocks, append(lines, ""))
	}
	blocks = append(blocks, m.legend())
	columns := make([][]string, cols)
	for _, b := range blocks {
		least := 0
		for i := range columns {
			if len(columns[i]) < len(columns[least]) {
				least = i
			}
		}
		columns[least] = append(columns[least], b...)
	}
	rows := 0
	for i := range columns {
		rows = max(rows, len(columns[i]))
	}
	all := make([]string, rows)
	for i := range all {
		for _, c := range columns {
			cell := ""
			if i < len(c) {
				cell = c[i]
			}
			all[i] += widget.Fit(cell, colW, t.Glyphs.Ellipsis)
		}
		all[i] = " " + all[i]
	}
	inner := max(1, h-2)
	m.help.max = max(0, len(all)-inner)
	m.help.top = min(m.help.top, m.help.max)
	view := all[m.help.top:min(len(all), m.help.top+inner)]
	return widget.Box(t, t.Title.Render("Keys"), view, m.width, h, t.Dim, nil)
}

// legend explains the shapes of the verdicts.
func (m *Model) legend() []string {
	t := m.theme
	g := &t.Glyphs
	lines := []string{t.Title.Render("Shapes")}
	for _, v := range []struct{ glyph, word string }{
		{t.OK.Render(g.OK), "usual"},
		{t.Watch.Render(g.Watch), "watch"},
		{t.Bad.Render(g.Bad), "bad"},
		{t.Dim.Render(g.NoTraffic), "no traffic: nothing to measure"},
		{t.Dim.Render(g.NotExposed), "not exposed: this system has no such metric"},
		{t.Watch.Render(g.Unreachable), "unreachable: the source does not answer"},
		{t.Dim.Render(g.Learning), "learning: too little history to judge"},
		{t.Accent.Render(g.Mark), "a component changed"},
	} {
		lines = append(lines, "  "+widget.Fit(v.glyph, 14, "")+v.word)
	}
	return lines
}

func (m *Model) helpFooter() string {
	t := m.theme
	s := " " + t.Key.Render("esc") + t.Dim.Render(" close")
	if m.help.max > 0 {
		s += "  " + t.Key.Render("up/down") + t.Dim.Render(" scroll")
	}
	return ansi.Truncate(s, m.width, "")
}
