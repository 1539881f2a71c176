package loki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"rollcall/sources"
	"rollcall/sources/redact"
)

const (
	// overlap is how far before the newest line a tail resumes: lines of other
	// streams may have come later with earlier times.
	overlap = 10 * time.Second
	// maxGap is how many lines are fetched for the time in which no tail was open.
	maxGap     = 20_000
	tailLines  = 100 // lines of the past that a tail begins with
	pingEvery  = 15 * time.Second
	pongWithin = 10 * time.Second
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
	steady     = 10 * time.Second // a tail that lived so long was fine; the next one starts at once
)

// Tail follows the lines of a query until ctx ends, which closes the channel.
// It begins with the newest q.Limit lines (100) since q.Since (now) and goes on
// with every line that arrives. When Loki ends the tail or cannot be reached it
// reconnects, reads what was missed, and repeats nothing. A slow consumer loses
// the oldest waiting lines, which are counted in Dropped.
//
// A query that Loki rejects is an error; a Loki that is down is not.
func (c *Client) Tail(ctx context.Context, q sources.LogQuery) (<-chan sources.LogBatch, error) {
	query, err := filtered(q)
	if err != nil {
		return nil, err
	}
	if q.Since.IsZero() {
		q.Since = c.clock.Now()
	}
	limit := q.Limit
	if limit <= 0 {
		limit = tailLines
	}
	t := &tail{
		c: c, query: query, out: newOutbox(), seen: newMemory(overlap),
		resume: q.Since.UnixNano(), first: min(limit, maxGap),
	}
	conn, err := t.dial(ctx)
	var f *failure
	if errors.As(err, &f) && f.asked {
		return nil, err
	}
	ch := make(chan sources.LogBatch)
	go t.run(ctx, conn, err)
	go func() {
		defer close(ch)
		t.out.deliver(ctx, ch)
	}()
	return ch, nil
}

type tail struct {
	c      *Client
	query  string
	out    *outbox
	seen   *memory
	resume int64 // Unix nanoseconds; nothing older is wanted
	first  int   // lines to begin with; 0 once that is done
}

// run keeps a tail open. conn is the first one, or nil and why there is none.
func (t *tail) run(ctx context.Context, conn *websocket.Conn, err error) {
	pause := time.Duration(0)
	for {
		if err == nil {
			began := t.c.clock.Wall()
			err = t.follow(ctx, conn)
			_ = conn.CloseNow()
			if t.c.clock.Wall().Sub(began) >= steady {
				pause = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		reason := redact.SanitizeLine(strings.TrimPrefix(err.Error(), "loki "+t.c.where+": "), maxErrorText)
		t.c.log.Debug("loki: the tail ended", "err", reason, "pause", pause)
		t.out.state("reconnecting: " + reason)
		if pause > 0 && t.c.wait(ctx, time.Duration(float64(pause)*(0.5+t.c.jitter()/2))) != nil {
			return
		}
		pause = min(max(2*pause, firstRetry), lastRetry)
		conn, err = t.dial(ctx)
	}
}

// from is where a new tail begins.
func (t *tail) from() int64 {
	if t.seen.newest == 0 {
		return t.resume
	}
	return max(t.resume, t.seen.newest-int64(overlap), t.seen.floor)
}

// horizon is the latest time that a line is believed to have: one from the far
// future must not make everything else look old.
func (t *tail) horizon() int64 { return t.c.clock.Now().Add(time.Minute).UnixNano() }

func (t *tail) dial(ctx context.Context) (*websocket.Conn, error) {
	c := t.c
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := c.endpoint("tail", url.Values{
		"query": {t.query},
		"limit": {strconv.Itoa(pageLines)},
		// The past is read by a query, which can say when something is missing.
		"start":     {strconv.FormatInt(max(t.from(), c.clock.Now().Add(-overlap).UnixNano()), 10)},
		"delay_for": {"0"},
	})
	header := make(http.Header)
	c.dress(header)
	if c.user != nil {
		password, _ := c.user.Password()
		r := http.Request{Header: header}
		r.SetBasicAuth(c.user.Username(), password)
	}
	if err := c.leftAlone(ctx); err != nil {
		return nil, err
	}
	sent := c.clock.Wall()
	//nolint:bodyclose // after a successful Dial the body is the connection's; otherwise the library has closed it
	conn, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: c.ws, HTTPHeader: header})
	a := answer{fetched: c.clock.Wall()}
	a.took = a.fetched.Sub(sent)
	switch {
	case err == nil:
		a.skew = skew(resp.Header, sent, a.fetched)
		conn.SetReadLimit(c.maxBody * wireFactor)
	case resp == nil:
		err = c.unreached(ctx, err)
	case resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode == http.StatusOK:
		err = &failure{where: c.where, what: fmt.Sprintf("no websocket behind the tail (status %d)", resp.StatusCode), remedy: "a proxy that cannot pass websockets on may be in between"}
	default:
		c.asked(resp)
		err = c.refused(resp)
	}
	c.saw(a, err)
	return conn, err
}

// follow reads what was missed and then every message, until the connection ends.
func (t *tail) follow(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := t.catchUp(ctx); err != nil {
		return err
	}
	lost := make(chan error, 1)
	go func() { lost <- t.keepAlive(ctx, conn) }()
	for {
		_, message, err := conn.Reader(ctx)
		if err == nil {
			err = t.message(message)
		}
		if err == nil {
			continue
		}
		select {
		case e := <-lost:
			if e != nil {
				return e
			}
		default:
		}
		return t.ended(ctx, err)
	}
}

// ended explains why a tail ended.
func (t *tail) ended(ctx context.Context, err error) error {
	where := t.c.where
	var closed websocket.CloseError
	switch {
	case errors.Is(err, errNotJSON):
		return &failure{where: where, what: "the tail sent something that is not JSON", remedy: "check that loki.url is Loki's own address"}
	case errors.As(err, &closed):
		what := "Loki ended the tail"
		if reason := redact.SanitizeLine(t.c.redact.Text(closed.Reason), 120); reason != "" {
			what += ": " + reason
		}
		return &failure{where: where, what: what}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{where: where, what: "the tail broke off"}
	}
	return t.c.unreached(ctx, err)
}

// keepAlive notices a connection that died without saying so, and ends it.
func (t *tail) keepAlive(ctx context.Context, conn *websocket.Conn) error {
	for wait(ctx, pingEvery) == nil {
		within, cancel := context.WithTimeout(ctx, pongWithin)
		err := conn.Ping(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			_ = conn.CloseNow()
			return &failure{where: t.c.where, what: fmt.Sprintf("the tail did not answer for %s", pongWithin)}
		}
	}
	return nil
}

// catchUp reads the lines between the last one and now. The tail is open
// already, so that whatever arrives from now on comes by itself.
func (t *tail) catchUp(ctx context.Context) error {
	p := &pages{c: t.c, query: t.query, from: t.from(), to: t.horizon()}
	limit, begin := maxGap, t.first > 0
	if begin {
		limit = t.first
	}
	err := p.read(ctx, limit)
	var f *failure
	if errors.As(err, &f) && (f.asked || len(p.entries) == 0) {
		return err
	}
	t.first = 0
	t.out.state("live")
	if !begin && len(p.entries) > 0 && (len(p.entries) >= limit || p.partial != "" || err != nil) {
		t.out.drop(t.missed(ctx, p.from, p.entries[0].ns))
	}
	t.accept(p.entries)
	return nil
}

// missed counts the lines of a gap that was too long to be read whole.
func (t *tail) missed(ctx context.Context, from, to int64) int {
	seconds := max(1, (to-from)/int64(time.Second))
	series, _, err := t.c.Instant(ctx, fmt.Sprintf("sum(count_over_time(%s[%ds]))", t.query, seconds), time.Unix(0, to))
	if err != nil || len(series) == 0 || len(series[0].Points) == 0 || !(series[0].Points[0].V >= 1) {
		return 1 // at least
	}
	return int(min(series[0].Points[0].V, 1e9))
}

// message reads {"streams": […], "dropped_entries": […]}.
func (t *tail) message(body io.Reader) error {
	r := newReader(body, 64<<10)
	var entries []*entry
	var size int64
	dropped := 0
	err := r.object(func(key string) error {
		switch key {
		case "streams":
			return r.array(func() error {
				return r.entries(t.c.maxLine, func(e *entry) error {
					if size += e.size(); size > t.c.maxBody {
						dropped++
						return nil
					}
					entries = append(entries, e)
					return nil
				})
			})
		case "dropped_entries":
			return r.array(func() error {
				dropped++
				return r.skip()
			})
		}
		return r.skip()
	})
	// What was read before an error is as good as the rest; the next tail brings what is missing.
	t.accept(entries)
	t.out.drop(dropped)
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	return err
}

// accept hands on the entries that are new.
func (t *tail) accept(entries []*entry) {
	fresh, horizon := entries[:0], t.horizon()
	slices.SortStableFunc(entries, func(a, b *entry) int { return cmp.Compare(a.ns, b.ns) })
	for _, e := range entries {
		if t.seen.add(min(e.ns, horizon), e.key()) {
			fresh = append(fresh, e)
		}
	}
	if len(fresh) > 0 {
		t.out.lines(t.c.finish(fresh))
	}
}

// memory knows the entries of the last stretch of time before the newest one.
type memory struct {
	span   int64
	newest int64
	floor  int64            // what is older was forgotten for want of room
	known  map[uint64]int64 // key → time
	sweep  int              // size at which what is too old is forgotten
}

const (
	minSweep = 4096
	maxKnown = 200_000 // entries remembered, at about 40 bytes each
)

func newMemory(span time.Duration) *memory {
	// Twice the span: a tail resumes at the edge of it, where nothing may be forgotten yet.
	return &memory{span: 2 * int64(span), known: make(map[uint64]int64), sweep: minSweep}
}

// add remembers an entry and tells whether it is new.
func (m *memory) add(ns int64, key uint64) bool {
	if _, ok := m.known[key]; ok {
		return false
	}
	m.known[key] = ns
	m.newest = max(m.newest, ns)
	if len(m.known) < m.sweep {
		return true
	}
	for span := m.span; ; span /= 2 {
		for k, t := range m.known {
			if t < m.newest-span {
				delete(m.known, k)
			}
		}
		if span < m.span {
			m.floor = max(m.floor, m.newest-span)
		}
		if len(m.known) < maxKnown || span == 0 {
			break
		}
	}
	m.sweep = min(max(minSweep, 2*len(m.known)), max(maxKnown, len(m.known)+minSweep))
	return true
}
