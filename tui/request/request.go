// Package request is the pane that shows everything known about one request on
// one screen: its trace, its log lines on the same time axis, its versions and
// what differs from the last good ones, its verdicts, its content, and requests
// that failed the same way.
package request

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

// section is one part of the screen.
type section int

// The sections in the order of tab.
const (
	secTrace section = iota
	secLogs
	secVerdicts
	secVersions
	secContent
	secAlike
	secSources
	secCount
)

var sectionNames = [secCount]string{"Trace", "Logs", "Verdicts", "Versions", "Content", "Alike", "Sources"}

// settles is how long after a request late spans and evaluations are still looked for.
const settles = 10 * time.Minute

// Pane shows one request.
type Pane struct {
	id      string // as asked for
	service string
	view    *sources.RequestView // nil until an answer, or when nothing was found
	trace   *trace
	err     error
	gen     int
	loading bool
	cancel  context.CancelFunc

	acts      bool // the console can act: requests can be captured
	capturing bool

	focus  section
	zoom   bool
	lists  [secCount]kit.List   // trace, logs, alike
	scroll [secCount]kit.Scroll // the others
	closed map[sources.SpanID]bool
	shown  []int // visible nodes of the trace
	piece  int   // of the content

	detail *detail
	texts  map[textKey][]string // wrapped text of sections
}

// detail is a span or a log line in full.
type detail struct {
	title  string // word for what is copied
	name   string
	lines  func(c pane.Context, w int) []string
	scroll kit.Scroll
	made   []string
	on     textKey // what made was made for
	copied string
}

// textKey is what the wrapped text of a section depends on.
type textKey struct {
	sec   section
	width int
	piece int
	local bool
	theme *theme.Theme
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{} }

// ID returns pane.Request.
func (p *Pane) ID() pane.ID { return pane.Request }

// Title names the pane; which request it is stands in the head.
func (p *Pane) Title(pane.Context) string { return "Request" }

// Capturing is always false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

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

// maxKept is how many spans a request may have to be kept on the way back; a larger one is read again.
const maxKept = 2000

// Keep returns the request and what was looked at in it.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading = nil, false
	kept.closed, kept.texts = maps.Clone(p.closed), nil
	if kept.view != nil && len(kept.view.Spans) > maxKept {
		kept.view, kept.trace, kept.shown, kept.detail = nil, nil, nil, nil
	}
	return kept
}

// Restore brings it back and looks for what has arrived since.
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

// Open shows the request with the given request, trace or response ID.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	p.acts = c.Desk != nil
	id, _ := arg.(string)
	if id == "" {
		if p.id == "" {
			return nil
		}
		return p.Refresh(c)
	}
	if id != p.id || p.service != c.Service {
		*p = Pane{id: id, service: c.Service, acts: p.acts, gen: p.gen, cancel: p.cancel}
	}
	return p.read(c)
}

// Refresh looks for what arrives late: spans, evaluations, log lines. A settled request is left alone.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if p.service != c.Service && p.id != "" {
		// Another service may know the same ID; the old answer is not its.
		*p = Pane{id: p.id, service: c.Service, acts: p.acts, gen: p.gen, cancel: p.cancel}
		return p.read(c)
	}
	if p.id == "" || p.loading || c.Frozen && p.view != nil {
		return nil
	}
	if p.view != nil && p.err == nil && p.found() && c.Now.Sub(p.view.Request.Time) > settles {
		return nil
	}
	return p.read(c)
}

// answer is what the backend knows about a request, its trace already grown.
type answer struct {
	gen   int
	view  *sources.RequestView
	trace *trace
	err   error
}

func (p *Pane) read(c pane.Context) tea.Cmd {
	p.stop()
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading = cancel, true
	gen, backend, service, id := p.gen, c.Backend, p.service, p.id
	return func() tea.Msg {
		v, err := backend.Request(ctx, service, id)
		a := answer{gen: gen, view: v, err: err}
		if v != nil {
			// Growing a tree of a hundred thousand spans takes its time: here, where no key waits for it.
			a.trace = grow(v.Spans, &v.Request)
		}
		return a
	}
}

func (p *Pane) take(c pane.Context, a answer) {
	if a.gen != p.gen {
		return
	}
	p.loading = false
	p.cancel()
	p.cancel = nil
	if a.err != nil && errors.Is(a.err, context.Canceled) {
		return
	}
	p.err = a.err
	if a.view == nil {
		if p.view == nil && p.err == nil {
			p.err = errors.New("no source knows this ID")
		}
		return
	}
	first := p.view == nil
	old := p.selectedSpan()
	p.view, p.trace, p.texts = a.view, a.trace, nil
	if p.closed == nil {
		p.closed = map[sources.SpanID]bool{}
	}
	p.shown = p.trace.visible(p.closed)
	if first {
		p.piece = answerPiece(p.view.Content)
		if p.found() {
			r := &p.view.Request
			c.Record(journal.RequestViewed, map[string]string{"request_id": cmp.Or(bestID(r), p.id), "trace_id": r.TraceID}, "")
		}
		return
	}
	if old != nil {
		for row, i := range p.shown {
			if p.trace.nodes[i].span.SpanID == old.SpanID {
				l := &p.lists[secTrace]
				l.Top += row - l.Cursor
				l.Cursor = row
				break
			}
		}
	}
}

// found tells whether anything at all is known about the request.
func (p *Pane) found() bool {
	v := p.view
	return v != nil && (v.Request.ID != "" || v.Request.TraceID != "" || len(v.Spans) > 0 || len(v.Logs.Lines) > 0)
}

func (p *Pane) selectedSpan() *sources.Span {
	if i := p.lists[secTrace].Cursor; p.trace != nil && i < len(p.shown) {
		return p.trace.nodes[p.shown[i]].span
	}
	return nil
}

func (p *Pane) selectedLine() *sources.LogLine {
	if i := p.lists[secLogs].Cursor; p.view != nil && i < len(p.view.Logs.Lines) {
		return &p.view.Logs.Lines[i]
	}
	return nil
}

func (p *Pane) selectedAlike() *sources.Request {
	if i := p.lists[secAlike].Cursor; p.view != nil && i < len(p.view.Alike) {
		return &p.view.Alike[i]
	}
	return nil
}

// bestID is the ID under which the request is known best.
func bestID(r *sources.Request) string {
	switch {
	case r.ID != "":
		return r.ID
	case r.TraceID != "":
		return r.TraceID
	}
	return r.ResponseID
}

// CopyText returns what is looked at: the detail, a piece of content, a log line, or the request's ID.
func (p *Pane) CopyText(pane.Context) (string, string) {
	if p.detail != nil {
		return p.detail.copied, p.detail.title
	}
	if p.view == nil {
		return p.id, "request ID"
	}
	switch p.focus {
	case secContent:
		if p.piece < len(p.view.Content) {
			k := &p.view.Content[p.piece]
			return k.Text, k.Kind
		}
	case secLogs:
		if l := p.selectedLine(); l != nil {
			return l.Line, "log line"
		}
	case secAlike:
		if r := p.selectedAlike(); r != nil {
			return bestID(r), "request ID"
		}
	}
	if id := bestID(&p.view.Request); id != "" {
		return id, "request ID"
	}
	return p.id, "request ID"
}

var keys = struct {
	next, prev, enter, zoom, logs, capture, left, right, move, scroll key.Binding
}{
	next:    key.NewBinding(key.WithKeys("tab"), key.WithHelp("tab", "next section")),
	prev:    key.NewBinding(key.WithKeys("shift+tab"), key.WithHelp("shift+tab", "section before")),
	zoom:    key.NewBinding(key.WithKeys("z"), key.WithHelp("z", "section alone")),
	logs:    key.NewBinding(key.WithKeys("l"), key.WithHelp("l", "its lines in Logs")),
	capture: key.NewBinding(key.WithKeys("c"), key.WithHelp("c", "capture into the incident")),
	left:    key.NewBinding(key.WithKeys("left")),
	right:   key.NewBinding(key.WithKeys("right")),
	enter:   key.NewBinding(key.WithKeys("enter")),
	move:    key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
	scroll:  key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "scroll")),
}

func help(b key.Binding, k, words string) key.Binding {
	b.SetHelp(k, words)
	return b
}

// Keys lists what the pane's keys do in the section that has them.
func (p *Pane) Keys() []key.Binding {
	if p.view == nil {
		return nil
	}
	if p.detail != nil {
		return []key.Binding{keys.scroll}
	}
	out := []key.Binding{keys.next}
	switch p.focus {
	case secTrace:
		out = append(out, help(keys.enter, "enter", "span"), help(keys.left, "left/right", "close, open"))
	case secLogs:
		out = append(out, help(keys.enter, "enter", "whole line"))
	case secAlike:
		out = append(out, help(keys.enter, "enter", "open request"))
	case secContent:
		out = append(out, help(keys.left, "left/right", "other piece"), help(keys.enter, "enter", "alone"))
	default:
		out = append(out, help(keys.enter, "enter", "alone"))
	}
	if p.acts {
		out = append(out, keys.capture)
	}
	return append(out, keys.logs, keys.zoom, keys.move, keys.prev)
}

// Back leaves the detail, then the section that is shown alone.
func (p *Pane) Back(pane.Context) bool {
	switch {
	case p.detail != nil:
		p.detail = nil
	case p.zoom:
		p.zoom = false
	default:
		return false
	}
	return true
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(c, msg)
	case capturedMsg:
		return p.captured(msg)
	case tea.KeyPressMsg:
		if p.view == nil {
			return nil
		}
		if p.detail != nil {
			p.detail.scroll.Key(msg, len(p.detail.made), p.detailHeight(c))
			return nil
		}
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		p.wheel(c, msg)
	case tea.MouseClickMsg:
		return p.click(c, msg)
	}
	return nil
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, keys.next):
		p.focus = (p.focus + 1) % secCount
	case key.Matches(k, keys.prev):
		p.focus = (p.focus + secCount - 1) % secCount
	case key.Matches(k, keys.zoom):
		p.zoom = !p.zoom
	case key.Matches(k, keys.logs):
		return p.openLogs()
	case key.Matches(k, keys.capture):
		return p.capture(c)
	case key.Matches(k, keys.enter):
		return p.enter(c)
	case key.Matches(k, keys.left), key.Matches(k, keys.right):
		p.sideways(key.Matches(k, keys.right))
	default:
		n, h := p.extent(c, p.focus)
		if isList(p.focus) {
			p.lists[p.focus].Key(k, n, h)
		} else {
			p.scroll[p.focus].Key(k, n, h)
		}
	}
	return nil
}

func isList(s section) bool { return s == secTrace || s == secLogs || s == secAlike }

// enter goes deeper into what is selected.
func (p *Pane) enter(c pane.Context) tea.Cmd {
	switch p.focus {
	case secTrace:
		if s := p.selectedSpan(); s != nil {
			p.detail = spanDetail(s, p.trace)
		}
	case secLogs:
		if l := p.selectedLine(); l != nil {
			p.detail = lineDetail(l)
		}
	case secAlike:
		if r := p.selectedAlike(); r != nil {
			id := bestID(r)
			return func() tea.Msg { return pane.OpenMsg{ID: pane.Request, Arg: id} }
		}
	default:
		p.zoom = !p.zoom
	}
	return nil
}

// sideways closes and opens a span, or turns to the next piece of content.
func (p *Pane) sideways(right bool) {
	switch p.focus {
	case secContent:
		if n := len(p.view.Content); n > 0 {
			by := n - 1
			if right {
				by = 1
			}
			p.piece = (p.piece + by) % n
			p.scroll[secContent] = kit.Scroll{}
		}
	case secTrace:
		l := &p.lists[secTrace]
		if l.Cursor >= len(p.shown) {
			return
		}
		n := &p.trace.nodes[p.shown[l.Cursor]]
		switch id := n.span.SpanID; {
		case right:
			delete(p.closed, id)
		case n.size > 1 && !p.closed[id]:
			p.closed[id] = true
		default: // nothing left to close here: go up to the parent
			for row := l.Cursor - 1; row >= 0; row-- {
				if p.trace.nodes[p.shown[row]].depth < n.depth {
					l.Cursor = row
					break
				}
			}
		}
		p.shown = p.trace.visible(p.closed)
	}
}

// openLogs shows the lines of the request in the pane of log lines, with a little room around.
func (p *Pane) openLogs() tea.Cmd {
	id := p.view.Request.ID
	if id == "" {
		id = p.view.Request.TraceID
	}
	if id == "" {
		id = p.id
	}
	q := sources.LogQuery{Contains: id}
	if at := p.view.Request.Time; !at.IsZero() {
		const room = time.Minute
		q.Since = at.Add(-room)
		q.Until = at.Add(time.Duration(p.view.Request.Latency.V*float64(time.Second)) + room)
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Logs, Arg: q} }
}

func (p *Pane) wheel(c pane.Context, m tea.MouseWheelMsg) {
	if p.view == nil {
		return
	}
	if p.detail != nil {
		p.detail.scroll.Top += kit.Wheel(m)
		return
	}
	for _, b := range p.layout(c) {
		if m.X >= b.x && m.X < b.x+b.w && m.Y >= b.y && m.Y < b.y+b.h {
			n, h := p.extent(c, b.sec)
			if isList(b.sec) {
				p.lists[b.sec].Move(kit.Wheel(m), n, h)
			} else {
				p.scroll[b.sec].Top += kit.Wheel(m)
				p.scroll[b.sec].Clamp(n, h)
			}
		}
	}
}

// click gives a section the keys and selects the row; a click on the selected row goes deeper.
func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) tea.Cmd {
	if p.view == nil || p.detail != nil || m.Button != tea.MouseLeft {
		return nil
	}
	if s, ok := p.tabAt(c, m.X, m.Y); ok {
		p.focus = s
		return nil
	}
	for _, b := range p.layout(c) {
		if m.X < b.x || m.X >= b.x+b.w || m.Y < b.y || m.Y >= b.y+b.h {
			continue
		}
		had := p.focus == b.sec
		p.focus = b.sec
		if !isList(b.sec) {
			return nil
		}
		n, _ := p.extent(c, b.sec)
		l := &p.lists[b.sec]
		row := l.Top + m.Y - b.y - b.above(b.sec)
		if m.Y-b.y < b.above(b.sec) || row >= n {
			return nil
		}
		if had && row == l.Cursor {
			return p.enter(c)
		}
		l.Cursor = row
	}
	return nil
}
