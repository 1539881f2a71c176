// Package tui is the console: a Bubble Tea program that owns the frame (header,
// verdict line, tabs, footer), the one time of everything, the palette, the
// help, and the way back; what is inside the frame is a pane of its own.
package tui

import (
	"context"
	"log/slog"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/debug"
	"rollcall/tui/keymap"
	"rollcall/tui/overview"
	"rollcall/tui/pane"
	"rollcall/tui/signals"
	"rollcall/tui/theme"
)

// Options make a console.
type Options struct {
	Backend pane.Backend
	// Desk is where the console acts and writes things down; nil for a console that only reads.
	Desk pane.Desk
	// Panes are the panes besides the shell's own (overview, health, quality, cost, safety, signal, debug).
	Panes   []pane.Pane
	Service string // the first of the backend's services when empty

	NoColor bool
	ASCII   bool
	// Background is "dark", "light", or anything else to ask the terminal.
	Background string
	// SlowLink limits frames and refreshes for a thin line.
	SlowLink bool
	// Refresh is the wall time between two refreshes; 15 s when zero.
	Refresh time.Duration
	// Range is how much time the screen shows at first; one hour when zero.
	Range time.Duration
	// At is the past moment that the screen shows at first; zero is now.
	At time.Time
	// InitialView is the pane to begin with, and Argument what it opens (a request's ID).
	InitialView pane.ID
	Argument    any
	// Hint is the line that tells a newcomer what to press; empty means the usual one.
	Hint string
	Log  *slog.Logger
	Wall func() time.Time // time.Now when nil
	// Environ is the environment of the terminal ("K=V"), to know tmux and screen; nil means none.
	Environ []string
}

// Model is the state of the console. It is used from one goroutine.
type Model struct {
	opts  Options
	log   *slog.Logger
	wall  func() time.Time
	keys  keymap.Map
	theme *theme.Theme
	link  *link // bytes written and frames drawn
	// after reports a message once d of wall time has passed.
	after func(d time.Duration, msg tea.Msg) tea.Cmd

	ctx    context.Context
	width  int
	height int

	service string
	view    sources.View
	frozen  bool
	local   bool
	mouse   bool
	lastMsg time.Time // wall time of the last message

	panes map[pane.ID]pane.Pane
	tabs  []tab
	stack []place
	// owner says which place on the stack a pane's present state belongs to.
	owner  map[pane.ID]int
	serial int
	// paneCtx ends when the visible pane is left or the view changes.
	paneCtx    context.Context
	paneCancel context.CancelFunc

	read    reading
	duty    duty
	palette *palette
	help    *help
	guard   replyGuard
	notice  pane.NoticeMsg
	hint    bool // the newcomer's line still stands
	started time.Time
	leaving bool
	// leaveAsked: the person has been told what leaving does to the run that this console drives.
	leaveAsked bool
	fatal      error

	frame frame // geometry of what is on the screen now
}

// reading is the state of the refresh loop.
type reading struct {
	snap     *signal.Snapshot
	err      error
	now      time.Time // service time when the snapshot was asked for
	lastGood time.Time // wall time
	checked  time.Time // wall time when ages were last looked at
	flying   bool
	since    time.Time // when the flying read began
	gen      int       // of the view; a result of an older one is dropped
	again    bool      // the view changed while a read was flying
	retry    bool      // the last read was not whole: try again even if the view is not live
	cancel   context.CancelFunc
	took     time.Duration
}

// tab is one entry of the tabs row.
type tab struct {
	key   string
	id    pane.ID
	name  string
	short string
	group sources.Pane
}

// place is one step of the way back.
type place struct {
	id     pane.ID
	arg    any
	serial int
	kept   any
}

// New builds the console; nothing is drawn or read before the terminal has told its size.
func New(ctx context.Context, o Options) *Model {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Refresh <= 0 {
		o.Refresh = 15 * time.Second
	}
	if o.SlowLink {
		o.Refresh = max(o.Refresh, 15*time.Second)
	}
	if o.Range <= 0 {
		o.Range = time.Hour
	}
	if services := o.Backend.Services(); o.Service == "" && len(services) > 0 {
		o.Service = services[0]
	}
	if o.InitialView == "" {
		o.InitialView = pane.Overview
	}
	m := &Model{
		opts: o, log: o.Log, wall: o.Wall, keys: keymap.New(), link: &link{}, ctx: ctx,
		theme:   theme.New(theme.Options{Dark: o.Background != "light", NoColor: o.NoColor, ASCII: o.ASCII}),
		service: o.Service, view: sources.View{At: o.At, Range: o.Range}, mouse: true, hint: true,
		panes: map[pane.ID]pane.Pane{}, owner: map[pane.ID]int{},
	}
	m.after = func(d time.Duration, msg tea.Msg) tea.Cmd {
		return tea.Tick(d, func(time.Time) tea.Msg { return msg })
	}
	own := []pane.Pane{
		overview.New(),
		signals.NewGroup(pane.Health, sources.HealthPane), signals.NewGroup(pane.Quality, sources.QualityPane),
		signals.NewGroup(pane.Cost, sources.CostPane), signals.NewGroup(pane.Safety, sources.SafetyPane),
		signals.NewOne(), debug.New(m.counters),
	}
	for _, p := range append(own, o.Panes...) {
		if o.Desk != nil || !acting(p.ID()) {
			m.panes[p.ID()] = p
		}
	}
	for _, t := range []tab{
		{"1", pane.Overview, "Overview", "All", ""},
		{"2", pane.Health, "Health", "Hlth", sources.HealthPane},
		{"3", pane.Quality, "Quality", "Qual", sources.QualityPane},
		{"4", pane.Cost, "Cost", "Cost", sources.CostPane},
		{"5", pane.Safety, "Safety", "Safe", sources.SafetyPane},
		{"6", pane.Requests, "Requests", "Reqs", ""},
		{"7", pane.Logs, "Logs", "Logs", ""},
		{"8", pane.Runbooks, "Runbooks", "Run", ""},
		{"9", pane.Journal, "Journal", "Jrnl", ""},
		{"C", pane.Changes, "Changes", "Chg", ""},
		{"A", pane.Alerts, "Alerts", "Alr", ""},
	} {
		if m.panes[t.id] != nil {
			m.tabs = append(m.tabs, t)
		}
	}
	if m.panes[o.InitialView] == nil {
		m.opts.InitialView = pane.Overview
	}
	return m
}

// Init asks the terminal for its background and starts the clock of the refreshes.
func (m *Model) Init() tea.Cmd {
	m.started = m.wall()
	cmds := []tea.Cmd{m.tick()}
	if m.opts.Background != "dark" && m.opts.Background != "light" && !m.opts.NoColor {
		m.guard.awaiting = true
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// context is what the pane on the screen may know.
func (m *Model) context() pane.Context {
	now := m.opts.Backend.Clock().Now()
	if !m.read.now.IsZero() {
		now = m.read.now
	}
	return pane.Context{
		Width: m.frame.bodyW, Height: m.frame.bodyH, Theme: m.theme, Service: m.service,
		View: m.view, Now: now, Wall: m.lastMsg, LocalTime: m.local, Frozen: m.frozen,
		Snapshot: m.read.snap, Backend: m.opts.Backend, Desk: m.opts.Desk, Incident: m.duty.open, Ctx: m.paneCtx,
	}
}

func (m *Model) top() *place { return &m.stack[len(m.stack)-1] }

func (m *Model) pane() pane.Pane { return m.panes[m.top().id] }
