// Package runbooks is the pane that lists the runbooks: runs that go on first,
// then those that fit what is bad now with the reason, then all others.
package runbooks

import (
	"context"
	"errors"
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// maxEnded is how many runs that have ended are listed.
const maxEnded = 8

// Pane lists runs and runbooks.
type Pane struct {
	books    []runbooks.Listing
	runs     []run.State // newest first
	err      error
	answered bool
	items    []item
	cursor   string // key of the selected item
	top      int

	service string
	gen     int
	loading bool
	cancel  context.CancelFunc
}

// item is one thing that can be selected: a run or a runbook.
type item struct {
	section string
	key     string
	run     *run.State
	book    *runbooks.Listing
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{} }

// ID returns pane.Runbooks.
func (p *Pane) ID() pane.ID { return pane.Runbooks }

// Title names the pane.
func (p *Pane) Title(pane.Context) string { return "Runbooks" }

// Capturing is always false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Back has nothing to close.
func (p *Pane) Back(pane.Context) bool { return false }

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

// Open reads the list.
func (p *Pane) Open(c pane.Context, _ any) tea.Cmd {
	if p.service != c.Service {
		p.forget()
	}
	return p.read(c)
}

func (p *Pane) forget() {
	p.books, p.runs, p.items, p.answered, p.err, p.cursor, p.top = nil, nil, nil, false, nil, "", 0
}

// Refresh reads it again: runs go on, and what is suggested follows what is bad.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if p.service != c.Service {
		p.forget()
	} else if p.loading {
		return nil
	}
	return p.read(c)
}

type answer struct {
	gen   int
	books []runbooks.Listing
	runs  []run.State
	err   error
}

func (p *Pane) read(c pane.Context) tea.Cmd {
	p.stop()
	if c.Desk == nil {
		return nil
	}
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading, p.service = cancel, true, c.Service
	gen, desk, service, snap := p.gen, c.Desk, c.Service, c.Snapshot
	return func() tea.Msg {
		a := answer{gen: gen}
		var runsErr error
		a.books, a.err = desk.Runbooks(ctx, service, snap)
		a.runs, runsErr = desk.Runs(ctx, service)
		if a.err == nil {
			a.err = runsErr
		}
		return a
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
	p.books, p.runs, p.err, p.answered = a.books, a.runs, nil, true
	p.arrange()
}

// The sections, in their order.
const (
	secNow       = "Going on"
	secSuggested = "Suggested for what is bad now"
	secOthers    = "Runbooks"
	secEnded     = "Ended runs"
)

// arrange puts runs and runbooks into their sections; what was selected stays selected.
func (p *Pane) arrange() {
	p.items = nil
	for i := range p.runs {
		if r := &p.runs[i]; r.Outcome == "" {
			p.items = append(p.items, item{section: secNow, key: r.ID, run: r})
		}
	}
	// Of the runs that go on, those that need somebody come first.
	slices.SortStableFunc(p.items, func(a, b item) int { return needs(b.run) - needs(a.run) })
	for _, suggested := range []bool{true, false} {
		for i := range p.books {
			b := &p.books[i]
			if (b.Suggested != "") != suggested {
				continue
			}
			it := item{section: secOthers, key: b.File, book: b}
			if suggested {
				it.section = secSuggested
			}
			p.items = append(p.items, it)
		}
	}
	n := 0
	for i := range p.runs {
		if r := &p.runs[i]; r.Outcome != "" && n < maxEnded {
			p.items = append(p.items, item{section: secEnded, key: r.ID, run: r})
			n++
		}
	}
	if p.index() < 0 && len(p.items) > 0 {
		p.cursor = p.items[0].key
	}
}

func needs(r *run.State) int {
	switch {
	case r.Interrupted():
		return 2
	case r.Ask != run.AskNothing:
		return 1
	}
	return 0
}

// index is the selected item; -1 when it is gone.
func (p *Pane) index() int {
	return slices.IndexFunc(p.items, func(it item) bool { return it.key == p.cursor })
}

func (p *Pane) current() *item {
	if i := p.index(); i >= 0 {
		return &p.items[i]
	}
	return nil
}

// CopyText returns the ID of what is selected.
func (p *Pane) CopyText(pane.Context) (string, string) {
	switch it := p.current(); {
	case it == nil:
		return "", ""
	case it.run != nil:
		return it.run.ID, "run ID"
	case it.book.Runbook != nil:
		return it.book.Runbook.ID, "runbook ID"
	default:
		return it.book.File, "file name"
	}
}

var keys = struct{ open, rehearse, move key.Binding }{
	rehearse: key.NewBinding(key.WithKeys("p"), key.WithHelp("p", "rehearse it")),
	open:     key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "open; nothing runs yet")),
	move:     key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
}

// Keys lists the keys.
func (p *Pane) Keys() []key.Binding { return []key.Binding{keys.open, keys.rehearse, keys.move} }

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(msg)
	case tea.KeyPressMsg:
		if key.Matches(msg, keys.open) {
			return p.open()
		}
		if key.Matches(msg, keys.rehearse) {
			return p.rehearse()
		}
		if by, ok := kit.Step(msg, len(p.items), listHeight(c)); ok {
			p.move(by)
		}
	case tea.MouseWheelMsg:
		p.move(kit.Wheel(msg))
	case tea.MouseClickMsg:
		return p.click(c, msg)
	}
	return nil
}

func (p *Pane) move(by int) {
	if len(p.items) > 0 {
		p.cursor = p.items[max(0, min(len(p.items)-1, max(0, p.index())+by))].key
	}
}

func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) tea.Cmd {
	rows := p.rows(c)
	i := p.window(rows, listHeight(c)) + m.Y
	if m.Button != tea.MouseLeft || m.Y >= listHeight(c) || i >= len(rows) || rows[i].key == "" {
		return nil
	}
	if rows[i].key == p.cursor {
		return p.open()
	}
	p.cursor = rows[i].key
	return nil
}

// rehearse opens the plan of a rehearsal of the selected runbook, or of the one that a selected run was of.
func (p *Pane) rehearse() tea.Cmd {
	it := p.current()
	var id string
	switch {
	case it == nil:
		return nil
	case it.run != nil:
		id = it.run.Runbook
	case it.book.Runbook == nil:
		return kit.Notice(it.book.File+" cannot be rehearsed before it is corrected; its problems are listed below.", true)
	default:
		id = it.book.Runbook.ID
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Run, Arg: pane.RehearsalOf(id)} }
}

func (p *Pane) open() tea.Cmd {
	it := p.current()
	switch {
	case it == nil:
		return nil
	case it.run != nil:
		id := it.run.ID
		return func() tea.Msg { return pane.OpenMsg{ID: pane.Run, Arg: id} }
	case it.book.Runbook == nil:
		return kit.Notice(it.book.File+" cannot be run before it is corrected; its problems are listed below.", true)
	}
	id := it.book.Runbook.ID
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Run, Arg: pane.PlanOf(id)} }
}
