package tui

import (
	"fmt"
	"reflect"
	"runtime/debug"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

// paneMsg brings the result of a pane's command back to that pane.
type paneMsg struct {
	id  pane.ID
	msg tea.Msg
}

// Update handles one message. A mistake of the console itself ends it in order:
// terminal restored, one line said, the rest in the log.
func (m *Model) Update(msg tea.Msg) (model tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			m.failed(r)
			model, cmd = m, tea.Quit
		}
	}()
	m.lastMsg = m.wall()
	cmd = m.handle(msg)
	m.layout()
	return m, cmd
}

func (m *Model) failed(r any) {
	m.fatal = fmt.Errorf("the console failed (%v) and left; nothing stored is lost, start it again", r)
	m.log.Error("console failed", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
}

func (m *Model) handle(msg tea.Msg) tea.Cmd {
	if size, ok := msg.(tea.WindowSizeMsg); ok {
		return m.resize(size)
	}
	if bg, ok := msg.(tea.BackgroundColorMsg); ok {
		return m.background(bg)
	}
	if len(m.stack) == 0 { // nothing is built before the first size
		if k, ok := msg.(tea.KeyPressMsg); ok && key.Matches(k, m.keys.Kill, m.keys.Quit) {
			return tea.Quit
		}
		return nil
	}
	switch msg := msg.(type) {
	case tickMsg:
		return m.onTick()
	case snapshotMsg:
		return m.onSnapshot(msg)
	case dutyMsg:
		return m.onDuty(msg)
	case doneMsg:
		return m.onDone(msg)
	case pane.ActedMsg:
		return m.readDuty()
	case leaveMsg:
		return tea.Quit
	case paneMsg:
		return m.toPane(msg.id, msg.msg)
	case pane.OpenMsg:
		return m.open(msg.ID, msg.Arg)
	case pane.NoticeMsg:
		m.notice = msg
	case pane.TimeMsg:
		return m.setTime(msg)
	case tea.KeyPressMsg:
		if m.guard.swallow(msg, m.lastMsg) {
			return nil
		}
		return m.key(msg)
	case tea.PasteMsg:
		return m.paste(msg)
	case tea.MouseClickMsg:
		return m.click(msg)
	case tea.MouseWheelMsg:
		return m.wheel(msg)
	case tea.MouseMotionMsg, tea.MouseReleaseMsg, tea.KeyReleaseMsg:
	default:
		if m.guard.unknown(msg, m.lastMsg) {
			return nil
		}
		return m.toPane(m.top().id, msg)
	}
	return nil
}

func (m *Model) resize(size tea.WindowSizeMsg) tea.Cmd {
	m.width, m.height = size.Width, size.Height
	m.view.Columns = columns(size.Width)
	if len(m.stack) > 0 {
		m.layout()
		return nil
	}
	cmd := m.startRead()
	return tea.Batch(cmd, m.readDuty(), m.open(m.opts.InitialView, m.opts.Argument))
}

// columns says how many points a chart is read with: few enough steps that a
// resize seldom asks the sources for another resolution.
func columns(width int) int {
	switch {
	case width < 100:
		return 60
	case width < 160:
		return 90
	}
	return 120
}

func (m *Model) background(msg tea.BackgroundColorMsg) tea.Cmd {
	m.guard.awaiting = false
	if dark := msg.IsDark(); dark != m.theme.Options.Dark {
		o := m.theme.Options
		o.Dark = dark
		m.theme = theme.New(o)
	}
	if m.leaving {
		return tea.Quit
	}
	return nil
}

// key handles one key: overlays first, then an input of the pane, then the shell, then the pane.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	m.notice, m.hint = pane.NoticeMsg{}, false
	if !key.Matches(k, m.keys.Kill, m.keys.Quit) {
		m.leaveAsked = false
	}
	switch {
	case key.Matches(k, m.keys.Kill):
		return m.leave()
	case m.palette != nil:
		return m.paletteKey(k)
	case m.help != nil:
		m.helpKey(k)
		return nil
	case m.tooSmall():
		if key.Matches(k, m.keys.Quit) {
			return m.leave()
		}
		return nil
	case key.Matches(k, m.keys.Back):
		return m.back()
	case m.pane().Capturing():
		return m.toPane(m.top().id, k)
	}
	keys := &m.keys
	switch {
	case key.Matches(k, keys.Quit):
		return m.leave()
	case key.Matches(k, keys.Help):
		m.help = &help{}
	case key.Matches(k, keys.Palette):
		return m.openPalette("")
	case key.Matches(k, keys.Open):
		return m.openPalette("request ")
	case key.Matches(k, keys.Range):
		return m.openPalette("range ")
	case key.Matches(k, keys.Changes):
		return m.open(pane.Changes, nil)
	case key.Matches(k, keys.Alerts):
		return m.open(pane.Alerts, nil)
	case key.Matches(k, keys.Runbook):
		return m.openRunbook()
	case key.Matches(k, keys.Incident):
		return m.openIncident()
	case key.Matches(k, keys.Longer):
		return m.zoom(1)
	case key.Matches(k, keys.Shorter):
		return m.zoom(-1)
	case key.Matches(k, keys.Earlier):
		return m.pan(-1)
	case key.Matches(k, keys.Later):
		return m.pan(1)
	case key.Matches(k, keys.Live):
		return m.goLive()
	case key.Matches(k, keys.Freeze):
		return m.freeze()
	case key.Matches(k, keys.LocalTime):
		m.local = !m.local
	case key.Matches(k, keys.Mouse):
		m.mouse = !m.mouse
		m.notice = pane.NoticeMsg{Text: "Mouse on: click and scroll. m turns it off to select text."}
		if !m.mouse {
			m.notice.Text = "Mouse off: select text with it. m turns it on again."
		}
	case key.Matches(k, keys.Copy):
		return m.copy()
	case key.Matches(k, keys.Refresh):
		m.read.retry = true
		return tea.Batch(m.startRead(), m.readDuty(), m.refreshPane())
	case key.Matches(k, keys.Suspend):
		return tea.Suspend
	case key.Matches(k, keys.Tabs):
		for _, t := range m.tabs {
			if t.key == k.String() {
				return m.open(t.id, nil)
			}
		}
	default:
		return m.toPane(m.top().id, k)
	}
	return nil
}

// paste puts pasted text where text is being typed; anywhere else it is taken for an ID to open.
func (m *Model) paste(p tea.PasteMsg) tea.Cmd {
	m.notice, m.hint = pane.NoticeMsg{}, false
	switch {
	case m.palette != nil:
		return m.palette.edit(tea.PasteMsg{Content: oneLine(p.Content)})
	case m.help != nil || m.tooSmall():
		return nil
	case m.pane().Capturing():
		return m.toPane(m.top().id, tea.PasteMsg{Content: oneLine(p.Content)})
	}
	return m.openPalette("request " + oneLine(p.Content))
}

// toPane hands a message to a pane. A pane that is not on the screen gets a
// context that has ended, so that it starts nothing new.
func (m *Model) toPane(id pane.ID, msg tea.Msg) tea.Cmd {
	p := m.panes[id]
	if p == nil {
		return nil
	}
	c := m.context()
	if id != m.top().id {
		c.Ctx = ended
	}
	return m.guarded(id, func() tea.Cmd { return p.Update(c, msg) })
}

func (m *Model) refreshPane() tea.Cmd {
	p, id := m.pane(), m.top().id
	c := m.context()
	return m.guarded(id, func() tea.Cmd { return p.Refresh(c) })
}

// guarded runs a piece of a pane: its commands report back to it, and a mistake
// in it costs one notice, not the console.
func (m *Model) guarded(id pane.ID, f func() tea.Cmd) (cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			m.log.Error("pane failed", "pane", string(id), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			m.notice = pane.NoticeMsg{Text: fmt.Sprintf("The %s pane stumbled over its data; the log has the details.", id), Bad: true}
			cmd = nil
		}
	}()
	return m.bind(id, f())
}

// bind makes the messages of a pane's command come back to that pane, except
// those that are for the shell or for the terminal.
func (m *Model) bind(id pane.ID, cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				m.log.Error("command of a pane failed", "pane", string(id), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				msg = pane.NoticeMsg{Text: fmt.Sprintf("The %s pane failed to read; the log has the details.", id), Bad: true}
			}
		}()
		switch got := cmd().(type) {
		case nil:
			return nil
		case pane.OpenMsg, pane.NoticeMsg, pane.TimeMsg, pane.ActedMsg:
			return got
		default:
			v := reflect.ValueOf(got)
			if v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]() {
				// A batch or a sequence: every part of it is the pane's.
				for i := range v.Len() {
					if part, ok := v.Index(i).Interface().(tea.Cmd); ok {
						v.Index(i).Set(reflect.ValueOf(m.bind(id, part)))
					}
				}
				return got
			}
			if reflect.TypeOf(got).PkgPath() == teaPath {
				return got
			}
			return paneMsg{id, got}
		}
	}
}

var teaPath = reflect.TypeFor[tea.WindowSizeMsg]().PkgPath()
