package logs

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/tui/pane"
)

// How much is asked for at once.
const (
	firstRead = 1000
	olderRead = 1000
	// maxBatch bounds what one message brings; more than that could not be shown anyway.
	maxBatch = maxLines
	// coalesce is how long lines are gathered into one message: the screen is
	// drawn ten times a second, however many lines a second arrive.
	coalesce = 100 * time.Millisecond
)

// listed is the answer to a range query.
type listed struct {
	gen   int
	list  sources.LogList
	err   error
	older bool
}

// tailed is the beginning of a tail.
type tailed struct {
	gen int
	ch  <-chan sources.LogBatch
	err error
}

// arrived is what a tail brought since the last message.
type arrived struct {
	gen     int
	ch      <-chan sources.LogBatch
	lines   []sources.LogLine
	skipped int // lines older than the newest maxBatch of this message
	dropped int // lines that the source or the connection lost
	state   string
	closed  bool
}

// query is what the filter asks for, without times.
func (p *Pane) query() sources.LogQuery {
	q := sources.LogQuery{Contains: p.text, Errors: p.narrow}
	if strings.HasPrefix(p.text, "{") {
		q.Query, q.Contains = p.text, ""
	}
	return q
}

// following tells whether the view is one that a tail can feed.
func (p *Pane) following(c pane.Context) bool { return c.View.Live() && !p.window() }

// window tells whether the pane was opened on times of its own.
func (p *Pane) window() bool { return !p.since.IsZero() || !p.until.IsZero() }

func (p *Pane) context(c pane.Context) context.Context {
	if p.cancel == nil {
		parent := c.Ctx
		if parent == nil {
			parent = context.Background()
		}
		p.ctx, p.cancel = context.WithCancel(parent)
	}
	return p.ctx
}

// stop ends every read; the lines in hand stay.
func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading, p.tailing, p.asking = false, false, false
	p.gen++
}

// start reads the newest lines of the view; a live one is then followed.
func (p *Pane) start(c pane.Context) tea.Cmd {
	p.stop()
	p.service, p.view = c.Service, c.View
	p.missed = 0
	q := p.query()
	end := c.View.End(c.Now)
	q.Since, q.Limit = end.Add(-c.View.Range), firstRead
	if !c.View.Live() {
		q.Until = end
	}
	if p.window() {
		q.Since, q.Until = p.since, p.until
	}
	p.loading = true
	gen, ctx, backend, service := p.gen, p.context(c), c.Backend, c.Service
	return func() tea.Msg {
		l, err := backend.Logs(ctx, service, q)
		return listed{gen: gen, list: l, err: err}
	}
}

// follow begins a tail behind the last line in hand.
func (p *Pane) tail(c pane.Context) tea.Cmd {
	q := p.query()
	q.Limit, q.Errors = firstRead, false
	p.seam = c.Now
	q.Since = c.Now
	if n := len(p.buf.lines); n > 0 {
		p.seam = p.buf.lines[n-1].line.Time
		q.Since = p.seam
	}
	p.tailing = true
	gen, ctx, backend, service := p.gen, p.context(c), c.Backend, c.Service
	return func() tea.Msg {
		ch, err := backend.Tail(ctx, service, q)
		return tailed{gen: gen, ch: ch, err: err}
	}
}

// older asks for what came before the first line in hand.
func (p *Pane) readOlder(c pane.Context) tea.Cmd {
	if p.asking || p.loading || !p.facts.Truncated() || len(p.buf.lines) == 0 || p.buf.full(0) {
		return nil
	}
	q := p.query()
	// The line in hand is asked for again: others may carry the same time.
	q.Until = p.buf.lines[0].line.Time.Add(1)
	q.Since, q.Limit = p.view.End(c.Now).Add(-p.view.Range), olderRead
	if p.window() {
		q.Since = p.since
	}
	p.asking = true
	gen, ctx, backend, service := p.gen, p.context(c), c.Backend, c.Service
	return func() tea.Msg {
		l, err := backend.Logs(ctx, service, q)
		return listed{gen: gen, list: l, err: err, older: true}
	}
}

// next waits for lines and gathers what comes within a moment.
func (p *Pane) next(ch <-chan sources.LogBatch) tea.Cmd {
	gen, ctx, moment := p.gen, p.ctx, p.moment
	return func() tea.Msg {
		a := arrived{gen: gen, ch: ch}
		add := func(b sources.LogBatch, ok bool) bool {
			if !ok {
				a.closed = true
				return false
			}
			a.lines = append(a.lines, b.Lines...)
			a.dropped += b.Dropped
			if b.State != "" {
				a.state = b.State
			}
			if over := len(a.lines) - maxBatch; over > 0 {
				a.skipped += over
				a.lines = append(a.lines[:0], a.lines[over:]...)
			}
			return true
		}
		select {
		case <-ctx.Done():
			a.closed = true
			return a
		case b, ok := <-ch:
			if !add(b, ok) {
				return a
			}
		}
		if moment == 0 {
			for {
				select {
				case b, ok := <-ch:
					if !add(b, ok) {
						return a
					}
				default:
					return a
				}
			}
		}
		timer := time.NewTimer(moment)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return a
			case <-timer.C:
				return a
			case b, ok := <-ch:
				if !add(b, ok) {
					return a
				}
			}
		}
	}
}

// take handles the answer to a range query.
func (p *Pane) take(c pane.Context, a listed) tea.Cmd {
	if a.gen != p.gen {
		return nil
	}
	if a.older {
		p.asking = false
		if a.err != nil {
			return notice(a.err)
		}
		p.takeOlder(c, a.list)
		return nil
	}
	p.loading = false
	if a.err != nil {
		if !errors.Is(a.err, context.Canceled) {
			p.err = a.err
		}
		return nil
	}
	p.err, p.answered = nil, true
	p.facts, p.sent = a.list.Facts, a.list.Query
	if p.buf.only && !p.narrow && p.facts.Truncated() {
		p.narrow = true
		return p.start(c)
	}
	p.more = max(0, a.list.Facts.Total-len(a.list.Lines))
	p.buf.reset()
	for _, l := range a.list.Lines {
		p.buf.push(newEntry(l))
	}
	p.unseen = 0
	p.place(c)
	p.keep = nil
	if !p.following(c) {
		return nil
	}
	return p.tail(c)
}

func (p *Pane) takeOlder(c pane.Context, l sources.LogList) {
	var es []entry
	for i := range l.Lines {
		if !p.buf.begins(&l.Lines[i]) {
			es = append(es, newEntry(l.Lines[i]))
		}
	}
	moved := p.buf.prepend(es)
	p.list.Cursor += moved
	p.list.Top += moved
	p.facts.Total, p.more = l.Facts.Total, max(0, l.Facts.Total-len(l.Lines))
	p.facts.Shown = len(l.Lines)
	p.list.Clamp(p.buf.rows(), p.listHeight(c))
}

// begun handles the beginning of a tail.
func (p *Pane) begun(t tailed) tea.Cmd {
	if t.gen != p.gen {
		return nil
	}
	if t.err != nil {
		p.tailing = false
		p.state = "not following: " + t.err.Error()
		return nil
	}
	p.state = ""
	return p.next(t.ch)
}

// add puts arrived lines behind those in hand. While the screen is held, lines
// are kept as long as there is room and counted when there is none: what is being
// read is never pushed out from under the eye.
func (p *Pane) add(c pane.Context, a arrived) tea.Cmd {
	if a.gen != p.gen {
		return nil
	}
	if a.state != "" {
		p.state = a.state
	}
	p.dropped += a.dropped
	held := p.held(c)
	if held {
		p.missed += a.skipped
	}
	for i := range a.lines {
		l := &a.lines[i]
		if p.narrow && !isError(l) || !l.Time.After(p.seam) && p.buf.has(l) {
			continue
		}
		e := newEntry(*l)
		if held && (p.missed > 0 || p.buf.full(e.size)) {
			p.missed++
			continue
		}
		p.buf.push(e)
		if held {
			p.unseen++
		}
	}
	if !held {
		p.toEnd(c)
	}
	if a.closed {
		p.tailing = false
		if p.state == "" || p.state == stateLive {
			p.state = "the tail ended; asked again with the next refresh"
		}
		return nil
	}
	return p.next(a.ch)
}

const stateLive = "live"

func notice(err error) tea.Cmd {
	return func() tea.Msg { return pane.NoticeMsg{Text: err.Error(), Bad: true} }
}
