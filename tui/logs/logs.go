// Package logs is the pane of log lines: the newest of the view, followed while
// it is live, held still as soon as somebody reads.
package logs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// Pane shows log lines.
type Pane struct {
	text  string // the filter: literal text, or LogQL when it begins with {
	input kit.Input
	marks struct { // what text looks for, to be marked in the lines
		of    string
		texts []string
	}
	wrong error
	// since and until are set when the pane was opened on times of its own.
	since, until time.Time

	buf    buffer
	list   kit.List
	follow bool // the screen sticks to the newest line
	unseen int  // lines added while the screen was held
	missed int  // lines that were not kept while it was held

	detail  *sources.LogLine // shown in full
	lines   []string         // detail, wrapped
	wrapped wrapping         // what lines were wrapped for
	scroll  kit.Scroll

	// narrow: only errors were asked for, because more lines match than are in hand.
	narrow bool
	keep   *kept // the row to find again in the next answer

	facts    sources.Facts
	sent     string // the query as the source got it
	more     int    // lines before the first in hand that matched, as far as counted
	dropped  int
	state    string
	err      error
	answered bool

	service string
	view    sources.View
	gen     int
	loading bool // a range query is under way
	asking  bool // older lines are under way
	tailing bool
	seam    time.Time // lines up to here may be in hand already
	ctx     context.Context
	cancel  context.CancelFunc
	moment  time.Duration
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{follow: true, moment: coalesce} }

// ID returns pane.Logs.
func (p *Pane) ID() pane.ID { return pane.Logs }

// Title names the pane.
func (p *Pane) Title(pane.Context) string { return "Logs" }

// Capturing is true while the filter is typed.
func (p *Pane) Capturing() bool { return p.input.Active() }

// Left ends the tail and every read.
func (p *Pane) Left() { p.stop() }

// maxKept is how many lines around the cursor are kept on the way back.
const maxKept = 1000

// Keep returns the lines around the cursor, the filter, and whether they were followed.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.ctx = nil, nil
	kept.loading, kept.tailing, kept.asking = false, false, false
	kept.buf, kept.list = p.buf.around(p.list, maxKept)
	return kept
}

// Restore brings them back and goes on following where that was done.
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

// Open shows the newest lines. The argument, a query or the words of a filter, replaces the filter.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	p.input.Close()
	p.detail = nil
	switch arg := arg.(type) {
	case sources.LogQuery:
		p.text = arg.Contains
		if arg.Query != "" {
			p.text = arg.Query
		}
		p.since, p.until = arg.Since, arg.Until
		p.buf.only, p.narrow = false, false
		p.follow = p.following(c)
	case string:
		p.since, p.until = time.Time{}, time.Time{}
		if err := check(arg); err != nil {
			p.input.Open(arg)
			p.wrong = err
		} else {
			p.text = strings.TrimSpace(arg)
		}
		p.follow = p.following(c)
	}
	return p.start(c)
}

// Refresh starts over for a new view and takes up a tail that ended.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	moved := !p.view.At.Equal(c.View.At) || p.view.Range != c.View.Range
	if c.Frozen && p.answered && p.service == c.Service && p.view.Range == c.View.Range {
		p.stop() // what is on the screen stays on it
		p.view = c.View
		return nil
	}
	switch {
	case p.service != c.Service:
		p.buf.reset()
		p.answered, p.detail, p.follow = false, nil, true
		return p.start(c)
	case moved && !p.window():
		p.follow = p.following(c)
		return p.start(c)
	case p.loading || p.tailing:
		return nil
	case !p.answered || p.err != nil:
		return p.start(c)
	case p.following(c) && p.follow:
		return p.start(c)
	}
	// A tail that ended while the screen is held is not taken up: what passed in
	// between would be a gap. f reads anew.
	return nil
}

// held tells whether the screen stands still while lines arrive.
func (p *Pane) held(c pane.Context) bool { return !p.follow || c.Frozen }

// place puts the cursor where it belongs: on the line that was read, or at the end.
func (p *Pane) place(c pane.Context) {
	if p.keep == nil {
		p.toEnd(c)
		return
	}
	p.list.Cursor = p.buf.rowAt(p.keep.line.Time, p.keep.line.Line)
	p.list.Top = p.list.Cursor - p.keep.offset
	p.list.Clamp(p.buf.rows(), p.listHeight(c))
}

func (p *Pane) toEnd(c pane.Context) {
	p.unseen = 0
	p.list.Cursor = p.buf.rows() - 1
	p.list.Clamp(p.buf.rows(), p.listHeight(c))
}

// resume follows the newest lines again; when lines passed uncounted in between, it reads anew rather than show a gap.
func (p *Pane) resume(c pane.Context) tea.Cmd {
	p.follow = true
	if p.missed > 0 || !p.tailing && !p.loading {
		return p.start(c)
	}
	p.toEnd(c)
	return nil
}

func (p *Pane) current() *entry {
	if i := p.list.Cursor; i >= 0 && i < p.buf.rows() {
		return p.buf.row(i)
	}
	return nil
}

// CopyText returns the selected line as it was received.
func (p *Pane) CopyText(pane.Context) (string, string) {
	if p.detail != nil {
		return p.detail.Line, "log line"
	}
	if e := p.current(); e != nil {
		return e.line.Line, "log line"
	}
	return "", ""
}

var keys = struct {
	full, request, filter, errors, follow, clear, apply, discard, scroll, move key.Binding
}{
	full:    key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "whole line")),
	request: key.NewBinding(key.WithKeys("o"), key.WithHelp("o", "open its request")),
	filter:  key.NewBinding(key.WithKeys("/"), key.WithHelp("/", "filter: text, or LogQL from {")),
	errors:  key.NewBinding(key.WithKeys("e"), key.WithHelp("e", "errors only")),
	follow:  key.NewBinding(key.WithKeys("f", "end"), key.WithHelp("f", "follow the newest")),
	clear:   key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "clear filter")),
	apply:   key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "apply")),
	discard: key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "keep the old filter")),
	scroll:  key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "scroll")),
	move:    key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move, holds the screen")),
}

var detailOpen = key.NewBinding(key.WithKeys("enter", "o"), key.WithHelp("enter", "open its request"))

// Keys lists what the pane's keys do now.
func (p *Pane) Keys() []key.Binding {
	switch {
	case p.input.Active():
		return []key.Binding{keys.apply, keys.discard}
	case p.detail != nil && requestOf(p.detail) != "":
		return []key.Binding{detailOpen, keys.scroll}
	case p.detail != nil:
		return []key.Binding{keys.scroll}
	}
	out := []key.Binding{keys.full, keys.request, keys.filter, keys.errors, keys.follow}
	if p.text != "" || p.window() {
		out = append(out, keys.clear)
	}
	return append(out, keys.move)
}

// Back closes the filter line, then the detail.
func (p *Pane) Back(pane.Context) bool {
	switch {
	case p.input.Active():
		p.input.Close()
		p.wrong = nil
	case p.detail != nil:
		p.detail = nil
	default:
		return false
	}
	return true
}

// Update takes keys, the mouse, answers and arriving lines.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case listed:
		return p.take(c, msg)
	case tailed:
		return p.begun(msg)
	case arrived:
		return p.add(c, msg)
	case tea.PasteMsg:
		if p.input.Active() {
			p.input.Update(msg)
			p.wrong = nil
		}
	case tea.KeyPressMsg:
		switch {
		case p.input.Active():
			return p.typed(c, msg)
		case p.detail != nil:
			return p.detailKey(c, msg)
		}
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		if p.detail != nil {
			p.scroll.Top += kit.Wheel(msg)
			return nil
		}
		return p.move(c, kit.Wheel(msg))
	case tea.MouseClickMsg:
		return p.click(c, msg)
	}
	return nil
}

func (p *Pane) typed(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	if !key.Matches(k, keys.apply) {
		p.input.Update(k)
		p.wrong = nil
		return nil
	}
	text := strings.TrimSpace(p.input.Value())
	if err := check(text); err != nil {
		p.wrong = err
		return nil
	}
	p.input.Close()
	p.wrong = nil
	if text != "" {
		c.Record(journal.QueryTyped, map[string]string{"where": "logs"}, text)
	}
	return p.filter(c, text)
}

func (p *Pane) filter(c pane.Context, text string) tea.Cmd {
	p.text = text
	p.follow = p.following(c)
	return p.start(c)
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, keys.filter):
		p.input.Open(p.text)
	case key.Matches(k, keys.clear):
		if p.text != "" || p.window() {
			p.since, p.until = time.Time{}, time.Time{}
			return p.filter(c, "")
		}
	case key.Matches(k, keys.errors):
		return p.toggleErrors(c)
	case key.Matches(k, keys.follow):
		switch {
		case p.following(c):
			return p.resume(c)
		case k.String() == "end":
			p.toEnd(c)
		default:
			// Following means now: the whole console goes live.
			p.since, p.until = time.Time{}, time.Time{}
			p.follow = true
			back := pane.TimeMsg{Range: c.View.Range}
			return tea.Batch(func() tea.Msg { return back }, p.startIf(c))
		}
	case key.Matches(k, keys.full):
		if e := p.current(); e != nil {
			l := e.line
			p.detail, p.wrapped, p.scroll = &l, wrapping{}, kit.Scroll{}
			p.hold(c)
		}
	case key.Matches(k, keys.request):
		if e := p.current(); e != nil {
			return openRequest(&e.line)
		}
	default:
		if by, ok := kit.Step(k, p.buf.rows(), p.listHeight(c)); ok {
			return p.move(c, by)
		}
	}
	return nil
}

// startIf reads anew when only the pane's own times kept it from following.
func (p *Pane) startIf(c pane.Context) tea.Cmd {
	if c.View.Live() {
		return p.start(c)
	}
	return nil
}

// hold stops following: somebody reads.
func (p *Pane) hold(c pane.Context) {
	if p.follow && p.following(c) {
		p.follow = false
		p.unseen = 0
	}
}

func (p *Pane) move(c pane.Context, by int) tea.Cmd {
	if by < 0 {
		p.hold(c)
	}
	n := p.buf.rows()
	atTop := by < 0 && p.list.Cursor+by < 0
	p.list.Move(by, n, p.listHeight(c))
	if by > 0 && p.list.Cursor == n-1 && !p.follow && p.following(c) {
		return p.resume(c)
	}
	if atTop {
		return p.readOlder(c)
	}
	return nil
}

// kept is a line, and how far below the first row of the screen it stands.
type kept struct {
	line   sources.LogLine
	offset int
}

// toggleErrors shows the errors among the lines in hand at once. When there are
// more lines than those, the source is asked for their errors.
func (p *Pane) toggleErrors(c pane.Context) tea.Cmd {
	var at *sources.LogLine
	if e := p.current(); e != nil {
		at = &e.line
	}
	offset := p.list.Cursor - p.list.Top
	p.buf.only = !p.buf.only
	again := p.narrow || p.buf.only && p.answered && p.facts.Truncated()
	p.narrow = again && p.buf.only
	p.keep = nil
	if p.held(c) && at != nil {
		p.keep = &kept{*at, offset}
	}
	p.place(c)
	if again {
		return p.start(c)
	}
	p.keep = nil
	return nil
}

func (p *Pane) detailKey(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	if key.Matches(k, detailOpen) {
		return openRequest(p.detail)
	}
	p.scroll.Key(k, len(p.lines), c.Height)
	return nil
}

func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) tea.Cmd {
	i := p.list.Top + m.Y - headLines
	if p.detail != nil || m.Button != tea.MouseLeft || m.Y < headLines || m.Y >= headLines+p.listHeight(c) || i >= p.buf.rows() {
		return nil
	}
	if i == p.list.Cursor {
		return p.key(c, tea.KeyPressMsg{Code: tea.KeyEnter})
	}
	p.hold(c)
	p.list.Cursor = i
	return nil
}

// requestOf is the ID that opens the request of a line.
func requestOf(l *sources.LogLine) string {
	if l.RequestID != "" {
		return l.RequestID
	}
	return l.TraceID
}

func openRequest(l *sources.LogLine) tea.Cmd {
	id := requestOf(l)
	if id == "" {
		return func() tea.Msg { return pane.NoticeMsg{Text: "This line carries no request ID and no trace ID."} }
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Request, Arg: id} }
}

// check finds what can be wrong with LogQL without asking: quotes and brackets that are not closed.
func check(text string) error {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") {
		return nil
	}
	var open []rune
	var quote rune
	escaped := false
	closes := map[rune]rune{')': '(', '}': '{', ']': '['}
	for _, r := range text {
		switch {
		case quote != 0:
			switch {
			case escaped:
				escaped = false
			case r == '\\' && quote == '"':
				escaped = true
			case r == quote:
				quote = 0
			}
		case r == '"' || r == '`':
			quote = r
		case r == '(' || r == '{' || r == '[':
			open = append(open, r)
		case closes[r] != 0:
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				return fmt.Errorf("this LogQL has a %q that nothing opened", r)
			}
			open = open[:len(open)-1]
		}
	}
	switch {
	case quote != 0:
		return fmt.Errorf("this LogQL has a quotation mark that is not closed; end it with %c", quote)
	case len(open) > 0:
		return fmt.Errorf("this LogQL has a %q that is not closed", open[len(open)-1])
	}
	return nil
}
