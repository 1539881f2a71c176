package traces

import (
	"context"
	"database/sql/driver"

	"rollcall/sources"
)

// How far back a trace is looked for that is not in the hot partition.
const (
	spansLookBack  = 3  // partitions, for spans that began before the hot one did
	eventsLookBack = 48 // partitions, for events: an evaluation may come a day late
)

// find returns the trace that a group belongs to, beginning it if it is new.
func (w *writer) find(g *group) (*trace, error) {
	if t := w.cache.get(g.id); t != nil {
		return t, nil
	}
	hot, err := w.hotConn()
	if err != nil {
		return nil, err
	}
	h := hashTrace(g.id)
	match := func(t *trace) bool { return t.id == g.id }
	if t, err := w.among(hot, hot.p.index.keys(h), match); t != nil || err != nil {
		return t, err
	}
	if n := lookBack(g, hot.opened); n > 0 {
		if t, err := w.older(h, n, match); t != nil || err != nil {
			return t, err
		}
	}
	if err := hot.begin(); err != nil {
		return nil, inPart(hot.p, err)
	}
	t := &trace{id: g.id, part: hot.p, key: hot.newKey(), ids: []int64{h}}
	if err := hot.addID(h, t.key); err != nil {
		return nil, inPart(hot.p, err)
	}
	w.cache.put(t)
	return t, nil
}

// lookBack tells in how many older partitions a group's trace may be. A trace
// that began after the hot partition did cannot be in any other.
func lookBack(g *group, opened int64) int {
	if len(g.spans) == 0 {
		return eventsLookBack
	}
	const slack = int64(60e9) // senders' clocks
	for i := range g.spans {
		if g.spans[i].Start-slack < opened {
			return spansLookBack
		}
	}
	return 0
}

// older looks for a trace in the partitions before the hot one.
func (w *writer) older(hash int64, n int, match func(*trace) bool) (*trace, error) {
	ctx := context.Background()
	w.s.mu.RLock()
	parts := append([]*partition(nil), w.s.parts...)
	w.s.mu.RUnlock()
	for i := len(parts) - 1; i >= 0 && n > 0; i-- {
		p := parts[i]
		if w.hot != nil && p == w.hot.p {
			continue
		}
		n--
		db, err := p.read(ctx)
		if err != nil {
			continue // reading says which partitions are left out
		}
		keys, err := p.keys(ctx, db, hash)
		if err != nil || len(keys) == 0 {
			continue
		}
		c, err := w.connect(p)
		if err != nil {
			continue
		}
		if t, err := w.among(c, keys, match); t != nil || err != nil {
			return t, err
		}
	}
	return nil, nil
}

// among loads the candidates until one matches.
func (w *writer) among(c *conn, keys []int64, match func(*trace) bool) (*trace, error) {
	for _, key := range keys {
		t, err := w.load(c, key)
		if err != nil {
			return nil, inPart(c.p, err)
		}
		if t == nil || !match(t) {
			continue
		}
		if cached := w.cache.get(t.id); cached != nil {
			return cached, nil
		}
		w.cache.put(t)
		return t, nil
	}
	return nil, nil
}

// load reads a trace back from its chunks; nil when there are none.
func (w *writer) load(c *conn, key int64) (*trace, error) {
	t := &trace{part: c.p, key: key}
	err := c.chunks(key, func(seq int64, chunk []byte) error {
		id, spans, events, err := w.s.codec.decode(chunk)
		if err != nil {
			return err
		}
		if t.id.IsZero() {
			t.id = id
		}
		t.add(spans)
		w.overflow(t)
		t.events = append(t.events, events...)
		t.seq = seq + 1
		return nil
	})
	if err != nil || t.id.IsZero() {
		return nil, err
	}
	t.folded = len(t.spans)
	t.ids = []int64{hashTrace(t.id)}
	err = c.query("SELECT request_id,response_id FROM requests WHERE key=?", []driver.Value{key}, func(v []driver.Value) error {
		t.row = true
		t.ids = append(t.ids, hashID(kindRequest, text(v[0])), hashID(kindResponse, text(v[1])))
		return nil
	})
	if err == nil && t.row {
		for _, id := range w.s.opts.Folder.ResponseIDs(t.spans) {
			t.ids = append(t.ids, hashID(kindResponse, id))
		}
	}
	return t, err
}

// eventByResponse stores an event that names only the response: with its trace
// when that is known, else waiting for it.
func (w *writer) eventByResponse(g *group) error {
	if len(g.events) == 0 {
		return nil
	}
	e := g.events[0]
	if e.ResponseID == "" {
		w.s.lose(1)
		return nil
	}
	h := hashID(kindResponse, e.ResponseID)
	t, err := w.byResponse(h)
	if err != nil {
		return err
	}
	if t != nil {
		t.events = append(t.events, e)
		w.cache.grew(1)
		if err := w.keep(t, g.chunk); err != nil {
			return err
		}
		w.touch(t, true)
		return nil
	}
	hot, err := w.hotConn()
	if err != nil {
		return err
	}
	if err := hot.begin(); err != nil {
		return inPart(hot.p, err)
	}
	hot.lastPending++
	if err := hot.run("INSERT INTO pending(id,hash,data) VALUES(?,?,?)", hot.lastPending, h, g.chunk); err != nil {
		return inPart(hot.p, err)
	}
	return w.wait(h, waiting{part: hot.p, id: hot.lastPending, event: e, chunk: g.chunk})
}

func (w *writer) byResponse(h int64) (*trace, error) {
	if t := w.responses[h]; t != nil {
		return t, nil
	}
	hot, err := w.hotConn()
	if err != nil {
		return nil, err
	}
	match := func(t *trace) bool { return t.knows(h) }
	if t, err := w.among(hot, hot.p.index.keys(h), match); t != nil || err != nil {
		return t, err
	}
	return w.older(h, eventsLookBack, match)
}

// waiting is an event whose response has not been seen yet.
type waiting struct {
	part  *partition
	id    int64 // in the partition's table
	event sources.TraceEvent
	chunk []byte
}

// pending holds the waiting events by the hash of their response, oldest first.
type pending struct {
	byResponse map[int64][]waiting
	order      []int64
}

func newPending() pending { return pending{byResponse: map[int64][]waiting{}} }

// wait keeps an event; when too many wait, the oldest is given up.
func (w *writer) wait(h int64, e waiting) error {
	p := &w.pending
	p.byResponse[h] = append(p.byResponse[h], e)
	p.order = append(p.order, h)
	for len(p.order) > w.s.limits.pendingMax {
		old := p.order[0]
		p.order = p.order[1:]
		list := p.byResponse[old]
		if len(list) == 0 {
			continue // joined meanwhile
		}
		if err := w.forgetWaiting(list[0]); err != nil {
			return err
		}
		w.s.lose(1)
		if list = list[1:]; len(list) == 0 {
			delete(p.byResponse, old)
		} else {
			p.byResponse[old] = list
		}
	}
	w.s.pending.Store(int64(len(p.order)))
	return nil
}

func (w *writer) forgetWaiting(e waiting) error {
	if e.part.unusable() {
		return nil // the partition is gone, and the event with it
	}
	c, err := w.begin(e.part)
	if err != nil {
		return err
	}
	return inPart(e.part, c.run("DELETE FROM pending WHERE id=?", e.id))
}

// join gives a trace the events that waited for its response.
func (w *writer) join(t *trace, h int64) (bool, error) {
	list := w.pending.byResponse[h]
	if len(list) == 0 {
		return false, nil
	}
	delete(w.pending.byResponse, h)
	for _, e := range list {
		t.events = append(t.events, e.event)
		w.cache.grew(1)
		if err := w.keep(t, e.chunk); err != nil {
			return false, err
		}
		if err := w.forgetWaiting(e); err != nil {
			return false, err
		}
	}
	return true, nil
}

// start takes up what an earlier receiver, or a failed transaction, left: events
// that wait and rows that are stale, in the two newest partitions.
func (w *writer) start() {
	w.pending = newPending()
	w.s.mu.RLock()
	parts := append([]*partition(nil), w.s.parts...)
	w.s.mu.RUnlock()
	parts = parts[max(0, len(parts)-2):]
	for _, p := range parts {
		if err := w.resume(p); err != nil {
			w.s.opts.Log.Warn("resume partition", "partition", p.name, "error", err)
		}
	}
}

func (w *writer) resume(p *partition) error {
	c, err := w.connect(p)
	if err != nil {
		return err
	}
	err = c.query("SELECT id,hash,data FROM pending ORDER BY id DESC LIMIT ?", []driver.Value{int64(w.s.limits.pendingMax)},
		func(v []driver.Value) error {
			chunk, _ := v[2].([]byte)
			_, _, events, err := w.s.codec.decode(chunk)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				return nil
			}
			h := integer(v[1])
			w.pending.byResponse[h] = append(w.pending.byResponse[h], waiting{part: p, id: integer(v[0]), event: events[0], chunk: chunk})
			w.pending.order = append(w.pending.order, h)
			return nil
		})
	if err != nil {
		return err
	}
	w.s.pending.Store(int64(len(w.pending.order)))
	var keys []int64
	if err := c.query("SELECT key FROM stale LIMIT 1000", nil, func(v []driver.Value) error {
		keys = append(keys, integer(v[0]))
		return nil
	}); err != nil {
		return err
	}
	for _, key := range keys {
		t, err := w.load(c, key)
		if err != nil {
			return err
		}
		if t == nil || w.cache.get(t.id) != nil {
			continue
		}
		t.stale = true
		w.cache.put(t)
		w.stale[t.id] = t
	}
	return nil
}
