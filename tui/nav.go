package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/tui/pane"
)

// maxWay bounds the way back.
const maxWay = 64

// ended is a context for panes that nobody looks at.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// open shows a pane on top of the current one.
func (m *Model) open(id pane.ID, arg any) tea.Cmd {
	p := m.panes[id]
	if p == nil {
		m.notice = pane.NoticeMsg{Text: "There is no pane " + string(id) + " in this console.", Bad: true}
		return nil
	}
	if len(m.stack) > 0 {
		if m.top().id == id && arg == nil {
			return nil
		}
		m.depart()
	}
	m.serial++
	m.stack = append(m.stack, place{id: id, arg: arg, serial: m.serial})
	if len(m.stack) > maxWay {
		m.stack = append(m.stack[:1], m.stack[2:]...)
	}
	m.owner[id] = m.serial
	m.renewPaneCtx()
	m.layout()
	c := m.context()
	return m.guarded(id, func() tea.Cmd { return p.Open(c, arg) })
}

// depart leaves the visible pane, keeping what is needed to come back.
func (m *Model) depart() {
	at, p := m.top(), m.pane()
	if k, ok := p.(pane.Keeper); ok {
		at.kept = k.Keep()
	}
	p.Left()
}

// back is esc: a pane closes what it has open, else the way leads to exactly where one was.
func (m *Model) back() tea.Cmd {
	if c := m.context(); m.pane().Back(c) {
		return nil
	}
	if len(m.stack) == 1 {
		m.notice = pane.NoticeMsg{Text: "This is where you began. q leaves."}
		return nil
	}
	m.pane().Left()
	m.stack = m.stack[:len(m.stack)-1]
	at, p := m.top(), m.pane()
	m.renewPaneCtx()
	m.layout()
	c := m.context()
	if m.owner[at.id] == at.serial {
		return m.refreshPane()
	}
	m.owner[at.id] = at.serial
	return m.guarded(at.id, func() tea.Cmd {
		if k, ok := p.(pane.Keeper); ok && at.kept != nil {
			return k.Restore(c, at.kept)
		}
		return p.Open(c, at.arg)
	})
}

// renewPaneCtx ends the reads of the pane that was on the screen or of the view that it showed.
func (m *Model) renewPaneCtx() {
	if m.paneCancel != nil {
		m.paneCancel()
	}
	m.paneCtx, m.paneCancel = context.WithCancel(m.ctx)
}

// currentTab is the tab that the visible pane belongs to: its own, or that of the pane it came from.
func (m *Model) currentTab() pane.ID {
	for i := len(m.stack) - 1; i >= 0; i-- {
		id := m.stack[i].id
		switch id {
		case pane.Run:
			id = pane.Runbooks
		case pane.Incident:
			id = pane.Journal
		}
		for _, t := range m.tabs {
			if t.id == id {
				return t.id
			}
		}
	}
	return ""
}

// firstPane says which signals are on the screen, to be read first.
func (m *Model) firstPane() sources.Pane {
	if id := m.currentTab(); id != "" {
		for _, t := range m.tabs {
			if t.id == id {
				return t.group
			}
		}
	}
	return ""
}
