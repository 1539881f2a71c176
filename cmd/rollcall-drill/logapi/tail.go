package logapi

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	maxTailDelay = 5 // seconds
	pingEvery    = 10 * time.Second
	writeTimeout = 10 * time.Second
	closeTimeout = 500 * time.Millisecond

	// Bounds of one message of a tail.
	messageLines   = 1000
	messageBytes   = 1 << 20
	messageDropped = 1000

	// rememberedDrops bounds the dropped lines that a tail can still report.
	rememberedDrops = 100_000
)

// tailBuffer holds what arrived for a tail and was not sent yet. It is filled
// by pushes and must never hold them up.
type tailBuffer struct {
	sel  selector
	size int

	mu      sync.Mutex
	lines   []tailLine
	dropped []tailLine
	matches map[*stream]bool

	wake chan struct{} // holds one token while something waits
}

type tailLine struct {
	stream *stream
	entry  entry
}

func newTailBuffer(sel selector, size int) *tailBuffer {
	return &tailBuffer{sel: sel, size: size, matches: map[*stream]bool{}, wake: make(chan struct{}, 1)}
}

// offer hands over a line that was just stored.
func (t *tailBuffer) offer(s *stream, e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	match, known := t.matches[s]
	if !known {
		match = t.sel.matches(s.labels)
		t.matches[s] = match
	}
	if !match {
		return
	}
	switch {
	case len(t.lines) < t.size:
		t.lines = append(t.lines, tailLine{s, e})
	case len(t.dropped) < rememberedDrops:
		t.dropped = append(t.dropped, tailLine{s, entry{ts: e.ts}})
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take empties the buffer.
func (t *tailBuffer) take() (lines, dropped []tailLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines, dropped = t.lines, t.dropped
	t.lines, t.dropped = nil, nil
	return lines, dropped
}

// tailRequest is what a client wants to follow.
type tailRequest struct {
	q     *logQuery
	limit int
	start time.Time
	delay time.Duration
	apart bool
}

func (s *Server) tailRequest(r *http.Request) (t tailRequest, err error) {
	if err := r.ParseForm(); err != nil {
		return t, badRequest("%v", err)
	}
	if t.q, err = parseLogQuery(r.Form.Get("query")); err != nil {
		return t, err
	}
	// What is too much for an answer is not for a tail, which sends it in parts.
	if t.limit, err = limit(r, math.MaxInt); err != nil {
		return t, err
	}
	t.limit = min(t.limit, s.opts.MaxEntries)
	if t.start, err = parseTime(r.Form.Get("start"), s.now().Add(-time.Hour)); err != nil {
		return t, badRequest("could not parse 'start' parameter: %v", err)
	}
	if text := r.Form.Get("delay_for"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return t, badRequest("could not parse 'delay_for' parameter: %q is not a number of seconds", shorten(text))
		}
		if n > maxTailDelay {
			return t, badRequest("delay_for can't be greater than %d", maxTailDelay)
		}
		t.delay = time.Duration(n) * time.Second
	}
	t.apart = categorized(r)
	return t, nil
}

// tail sends the newest lines since start, then every line that arrives.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	req, err := s.tailRequest(r)
	if err != nil {
		status, msg := statusOf(err)
		http.Error(w, msg, status)
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, "the server is closing", http.StatusServiceUnavailable)
		return
	}
	s.tails.Add(1)
	s.mu.Unlock()
	defer s.tails.Done()

	buf := newTailBuffer(req.q.sel, s.opts.TailBuffer)
	history, err := s.store.follow(buf, req.start.UnixNano())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer s.store.unfollow(buf)

	conn, err := websocket.Accept(w, r, nil)
	if err != nil { // the client was told why
		s.log.Debug("log server: tail not opened", "err", err)
		return
	}
	// Reading notices that the client left, and answers its pings. The request's
	// own context means nothing once the connection is a websocket.
	ctx, cancel := context.WithCancel(conn.CloseRead(context.WithoutCancel(r.Context())))
	defer cancel()
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()

	t := &tail{server: s, conn: conn, req: req, buf: buf}
	err = t.run(ctx, history)
	code, reason := websocket.StatusNormalClosure, ""
	if errors.Is(err, errTailTooLong) {
		code, reason = websocket.StatusInternalError, err.Error()
	} else if s.closing() {
		code, reason = websocket.StatusGoingAway, "the server is closing"
	}
	// The library waits five seconds for the client to answer; one that does not
	// must not hold up the end of the server that long.
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := conn.Close(code, reason); err != nil {
			s.log.Debug("log server: tail closed", "err", err)
		}
	}()
	force := time.NewTimer(closeTimeout)
	defer force.Stop()
	select {
	case <-closed:
	case <-force.C:
	}
}

func (s *Server) closing() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

var errTailTooLong = errors.New("reached tail max duration limit")

// tail is one running tail.
type tail struct {
	server *Server
	conn   *websocket.Conn
	req    tailRequest
	buf    *tailBuffer
	state  lineState
}

func (t *tail) run(ctx context.Context, history []streamView) error {
	if err := t.sendHistory(ctx, history); err != nil {
		return err
	}
	limit := time.NewTimer(t.server.opts.TailMaxDuration)
	defer limit.Stop()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return errTailTooLong
		case <-ping.C:
			if err := t.ping(ctx); err != nil {
				return err
			}
		case <-t.buf.wake:
			if err := t.settle(ctx, limit.C); err != nil {
				return err
			}
			lines, dropped := t.buf.take()
			if err := t.sendLive(ctx, lines, dropped); err != nil {
				return err
			}
		}
	}
}

// settle waits as long as the client asked for, so that lines of slower sources
// can take their place in the order of time.
func (t *tail) settle(ctx context.Context, limit <-chan time.Time) error {
	if t.req.delay == 0 {
		return nil
	}
	delay := time.NewTimer(t.req.delay)
	defer delay.Stop()
	select {
	case <-delay.C:
		return nil
	case <-limit:
		return errTailTooLong
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tail) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return t.conn.Ping(ctx)
}

// sendHistory sends the newest lines since the start, oldest first.
func (t *tail) sendHistory(ctx context.Context, views []streamView) error {
	var w work
	streams, err := runLogs(ctx, t.req.q, views, logParams{limit: t.req.limit, apart: t.req.apart}, &w)
	if err != nil {
		return err
	}
	for _, s := range streams {
		slices.Reverse(s.entries)
		for len(s.entries) > 0 {
			n, size := 0, 0
			for n < len(s.entries) && n < messageLines && size < messageBytes {
				size += len(s.entries[n].line)
				n++
			}
			if err := t.send(ctx, []*logStream{{s.labels, s.entries[:n]}}, nil); err != nil {
				return err
			}
			s.entries = s.entries[n:]
		}
	}
	return nil
}

// sendLive sends lines that arrived, in messages of bounded size.
func (t *tail) sendLive(ctx context.Context, lines, dropped []tailLine) error {
	slices.SortStableFunc(lines, func(a, b tailLine) int { return cmp.Compare(a.entry.ts, b.entry.ts) })
	groups := streamGroups{apart: t.req.apart}
	n, size := 0, 0
	for _, l := range lines {
		t.state.reset(l.stream.labels, l.stream.key, l.entry)
		if !t.state.run(t.req.q.stages) {
			continue
		}
		groups.add(&t.state)
		n++
		if size += l.entry.size(); n < messageLines && size < messageBytes {
			continue
		}
		if err := t.send(ctx, groups.sorted(), nil); err != nil {
			return err
		}
		groups, n, size = streamGroups{apart: t.req.apart}, 0, 0
	}
	for len(dropped) > messageDropped {
		if err := t.send(ctx, nil, dropped[:messageDropped]); err != nil {
			return err
		}
		dropped = dropped[messageDropped:]
	}
	if n == 0 && len(dropped) == 0 {
		return nil
	}
	return t.send(ctx, groups.sorted(), dropped)
}

func (t *tail) send(ctx context.Context, streams []*logStream, dropped []tailLine) error {
	msg := append([]byte(nil), `{"streams":`...)
	msg = appendStreams(msg, streams, t.req.apart)
	for i, d := range dropped {
		if i == 0 {
			msg = append(msg, `,"dropped_entries":[`...)
		} else {
			msg = append(msg, ',')
		}
		msg = append(msg, `{"timestamp":"`...)
		msg = strconv.AppendInt(msg, d.entry.ts, 10)
		msg = append(msg, `","labels":`...)
		msg = append(appendLabels(msg, d.stream.labels), '}')
	}
	if len(dropped) > 0 {
		msg = append(msg, ']')
	}
	if t.req.apart {
		msg = append(msg, `,"encodingFlags":["`+categorizeLabels+`"]`...)
	}
	msg = append(msg, '}')
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return t.conn.Write(ctx, websocket.MessageText, msg)
}
