// Package requests is the pane that lists request rows, newest first, and
// filters them. What is selected stays under the cursor whatever arrives.
package requests

import (
	"context"
	"errors"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// How many rows are read at first, how many more each time the end is reached, and at most.
const (
	pageRows = 200
	maxRows  = 5000
)

// Pane lists request rows.
type Pane struct {
	text  string // the filter as typed; times in it are read anew for each query
	input kit.Input
	wrong error // what is wrong with the typed filter

	rows     []sources.Request
	facts    sources.Facts
	err      error // of the newest answer; rows are older when it is set
	answered bool  // rows are an answer, even if an empty one
	limit    int

	// anchor is the time of the newest row in hand: refreshes read up to it, so
	// that rows do not move, and count what is newer.
	anchor time.Time
	newer  int
	more   bool // newer is only a lower bound

	list     kit.List
	selected string // key of the row under the cursor
	cols     table

	service string
	view    sources.View
	gen     int // of the query in flight; answers of older ones are dropped
	loading bool
	cancel  context.CancelFunc
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{limit: pageRows} }

// ID returns pane.Requests.
func (p *Pane) ID() pane.ID { return pane.Requests }

// Title names the pane.
func (p *Pane) Title(pane.Context) string { return "Requests" }

// Capturing is true while the filter is typed.
func (p *Pane) Capturing() bool { return p.input.Active() }

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

// Keep returns the rows, the filter and the selection.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading = nil, false
	return kept
}

// Restore brings them back and reads the same rows again.
func (p *Pane) Restore(c pane.Context, kept any) tea.Cmd {
	was, ok := kept.(Pane)
	if !ok {
		return p.Open(c, nil)
	}
	p.stop()
	was.gen = p.gen
	*p = was
	return p.Refresh(c)
}

// Open shows the newest rows. The argument, a filter or the words of one, replaces the filter.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	p.input.Close()
	if arg == nil {
		// A row that was selected minutes ago would hold the list far below the newest; esc leads back to it.
		p.list, p.selected = kit.List{}, ""
	}
	switch arg := arg.(type) {
	case sources.RequestFilter:
		p.text = text(arg, when(c))
		p.list, p.selected = kit.List{}, ""
	case string:
		if _, err := parse(arg, when(c)); err != nil {
			p.input.Open(arg)
			p.wrong = err
			if p.answered {
				return nil
			}
		} else {
			p.text = arg
			p.list, p.selected = kit.List{}, ""
		}
	}
	return p.newest(c)
}

// Refresh reads the rows in hand again and counts newer ones; a new view starts over.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if p.service != c.Service {
		p.rows, p.answered, p.selected = nil, false, ""
		p.list = kit.List{}
		return p.newest(c)
	}
	if c.Frozen && p.answered && p.view.Range == c.View.Range && (p.view.Live() || p.view.At.Equal(c.View.At)) {
		p.stop() // what is on the screen stays on it
		p.view = c.View
		return nil
	}
	if !p.view.At.Equal(c.View.At) || p.view.Range != c.View.Range {
		return p.newest(c)
	}
	if p.loading {
		return nil
	}
	return p.read(c, p.anchor)
}

// newest starts over at the newest rows.
func (p *Pane) newest(c pane.Context) tea.Cmd {
	p.limit = pageRows
	return p.read(c, time.Time{})
}

// answer is what one read brought.
type answer struct {
	gen    int
	list   sources.RequestList
	err    error
	anchor time.Time // the read was anchored there
	newer  int
	more   bool
	facts  bool // newer was counted
}

// read asks for the rows up to anchor, or for the newest when it is zero.
func (p *Pane) read(c pane.Context, anchor time.Time) tea.Cmd {
	p.stop()
	p.service, p.view = c.Service, c.View
	f, err := parse(p.text, when(c))
	if err != nil {
		p.wrong = err
		return nil
	}
	f.Service, f.Limit = c.Service, p.limit
	if f.Since.IsZero() && f.ID == "" {
		f.Since = c.View.End(c.Now).Add(-c.View.Range)
	}
	ends := !f.Until.IsZero() // the person said where
	if !ends && !c.View.Live() {
		f.Until = c.View.At
	}
	fresh := f // what came after the anchor
	anchored := !anchor.IsZero() && c.View.Live() && !ends
	if anchored {
		// Half open, and a millisecond wide because a store may keep no more than that.
		after := anchor.Truncate(time.Millisecond).Add(time.Millisecond)
		f.Until, fresh.Since = after, after
	}
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading = cancel, true
	gen, backend := p.gen, c.Backend
	return func() tea.Msg {
		a := answer{gen: gen}
		a.list, a.err = backend.Requests(ctx, f)
		if a.err != nil || !anchored {
			return a
		}
		a.anchor = anchor
		if l, err := backend.Requests(ctx, fresh); err == nil {
			a.facts = true
			a.newer = max(len(l.Rows), l.Facts.Total)
			a.more = l.Facts.Total < 0
		}
		return a
	}
}

// take puts an answer on the screen without moving the row under the cursor.
func (p *Pane) take(c pane.Context, a answer) {
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
	var last time.Time
	if i := p.list.Cursor; i < len(p.rows) {
		last = p.rows[i].Time
	}
	p.err, p.answered = nil, true
	p.rows, p.facts = a.list.Rows, a.list.Facts
	p.cols = measure(p.rows, c)
	if a.anchor.IsZero() {
		p.newer, p.more = 0, false
		p.anchor = time.Time{}
		if len(p.rows) > 0 {
			p.anchor = p.rows[0].Time
		}
	} else if a.facts {
		p.newer, p.more = a.newer, a.more
	}
	p.place(c, last, a.anchor.IsZero())
}

// place finds the selected row again; when it is gone, the next older one.
func (p *Pane) place(c pane.Context, last time.Time, newest bool) {
	offset := p.list.Cursor - p.list.Top
	at := -1
	for i := range p.rows {
		if keyOf(&p.rows[i]) == p.selected {
			at = i
			break
		}
	}
	if at < 0 && p.selected != "" && !last.IsZero() {
		for i := range p.rows {
			if !p.rows[i].Time.After(last) {
				at = i
				break
			}
		}
		if at < 0 {
			at = len(p.rows) - 1
		}
	}
	p.list.Cursor = max(0, at)
	p.list.Top = p.list.Cursor - offset
	if newest {
		p.list.Top = 0 // as much of the newest as can be seen together with the selected row
	}
	p.clamp(c)
}

func (p *Pane) clamp(c pane.Context) {
	p.list.Clamp(len(p.rows), tableHeight(c))
	p.selected = ""
	if r := p.current(); r != nil {
		p.selected = keyOf(r)
	}
}

func (p *Pane) current() *sources.Request {
	if p.list.Cursor < len(p.rows) {
		return &p.rows[p.list.Cursor]
	}
	return nil
}

// keyOf is the ID that opens a row.
func keyOf(r *sources.Request) string {
	switch {
	case r.ID != "":
		return r.ID
	case r.TraceID != "":
		return r.TraceID
	}
	return r.ResponseID
}

func when(c pane.Context) at {
	zone := time.UTC
	if c.LocalTime {
		zone = time.Local
	}
	return at{end: c.View.End(c.Now), zone: zone}
}

// CopyText returns the ID of the selected row.
func (p *Pane) CopyText(pane.Context) (string, string) {
	if r := p.current(); r != nil {
		return keyOf(r), "request ID"
	}
	return "", ""
}

var keys = struct {
	open, bad, filter, clear, home, move key.Binding
	apply, complete, discard             key.Binding
}{
	open:     key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "open request")),
	bad:      key.NewBinding(key.WithKeys("b"), key.WithHelp("b", "bad only")),
	filter:   key.NewBinding(key.WithKeys("/"), key.WithHelp("/", "filter")),
	clear:    key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "clear filter")),
	home:     key.NewBinding(key.WithKeys("home"), key.WithHelp("home", "newest")),
	move:     key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
	apply:    key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "apply")),
	complete: key.NewBinding(key.WithKeys("tab"), key.WithHelp("tab", "complete")),
	discard:  key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "keep the old filter")),
}

// Keys lists what the pane's keys do now.
func (p *Pane) Keys() []key.Binding {
	if p.input.Active() {
		return []key.Binding{keys.apply, keys.complete, keys.discard}
	}
	out := []key.Binding{keys.open, keys.filter, keys.bad}
	if p.text != "" {
		out = append(out, keys.clear)
	}
	return append(out, keys.home, keys.move)
}

// Back closes the filter line.
func (p *Pane) Back(pane.Context) bool {
	if !p.input.Active() {
		return false
	}
	p.input.Close()
	p.wrong = nil
	return true
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(c, msg)
	case tea.PasteMsg:
		if p.input.Active() {
			p.typed(c, msg)
		}
	case tea.KeyPressMsg:
		if p.input.Active() {
			return p.typed(c, msg)
		}
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		return p.move(c, kit.Wheel(msg))
	case tea.MouseClickMsg:
		return p.click(c, msg)
	}
	return nil
}

func (p *Pane) typed(c pane.Context, msg tea.Msg) tea.Cmd {
	k, _ := msg.(tea.KeyPressMsg)
	switch {
	case key.Matches(k, keys.apply):
		words := p.input.Value()
		if _, err := parse(words, when(c)); err != nil {
			p.wrong = err
			return nil
		}
		p.input.Close()
		p.wrong = nil
		if words = strings.TrimSpace(words); words != "" {
			c.Record(journal.QueryTyped, map[string]string{"where": "requests"}, words)
		}
		return p.filter(c, words)
	case key.Matches(k, keys.complete):
		taken, _ := complete(p.input.Value(), p.rows)
		p.input.SetValue(taken)
	default:
		p.input.Update(msg)
	}
	p.wrong = nil
	return nil
}

// filter shows the newest rows of another filter; the selected row stays selected when it is among them.
func (p *Pane) filter(c pane.Context, words string) tea.Cmd {
	p.text = words
	return p.newest(c)
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, keys.filter):
		v := p.text
		if v != "" {
			v += " "
		}
		p.input.Open(v)
	case key.Matches(k, keys.bad):
		return p.filter(c, toggleBad(p.text))
	case key.Matches(k, keys.clear):
		if p.text != "" {
			return p.filter(c, "")
		}
	case key.Matches(k, keys.home):
		p.list = kit.List{}
		p.selected = ""
		return p.newest(c)
	case key.Matches(k, keys.open):
		return p.openSelected()
	default:
		if by, ok := kit.Step(k, len(p.rows), tableHeight(c)); ok {
			return p.move(c, by)
		}
	}
	return nil
}

func (p *Pane) openSelected() tea.Cmd {
	r := p.current()
	if r == nil {
		return nil
	}
	id := keyOf(r)
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Request, Arg: id} }
}

// move moves the cursor; at the end of the rows in hand it asks for older ones.
func (p *Pane) move(c pane.Context, by int) tea.Cmd {
	p.list.Move(by, len(p.rows), tableHeight(c))
	p.clamp(c)
	atEnd := by > 0 && p.list.Cursor == len(p.rows)-1
	if atEnd && !p.loading && p.facts.Truncated() && len(p.rows) >= p.limit && p.limit < maxRows {
		p.limit = min(maxRows, p.limit+pageRows)
		return p.read(c, p.anchor)
	}
	return nil
}

// click selects a row; a click on the selected row opens it.
func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) tea.Cmd {
	i := p.list.Top + m.Y - headLines
	if m.Button != tea.MouseLeft || m.Y < headLines || m.Y >= headLines+tableHeight(c) || i >= len(p.rows) {
		return nil
	}
	if i == p.list.Cursor {
		return p.openSelected()
	}
	p.list.Cursor = i
	p.clamp(c)
	return nil
}

// toggleBad adds the word bad to a filter or takes it out.
func toggleBad(words string) string {
	f := []string{}
	tokens, err := split(words)
	if err != nil {
		return words
	}
	had := false
	for _, t := range tokens {
		if t == badWord {
			had = true
			continue
		}
		f = append(f, quote(t))
	}
	if !had {
		f = append([]string{badWord}, f...)
	}
	return join(f)
}
