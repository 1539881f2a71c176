package traces

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/sources"
)

// call is one export call on its way into the store.
type call struct {
	groups []group
	spans  int
	done   chan error
}

// group is what a call brought of one trace, or an event that names only its response.
type group struct {
	id     sources.TraceID
	spans  []sources.Span
	events []sources.TraceEvent
	chunk  []byte
}

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// group sorts a batch by trace and encodes each part. It runs in the caller's
// goroutine, so that the writer only has to store.
func (s *Store) group(b *sources.TraceBatch) []group {
	at := make(map[sources.TraceID]int, len(b.Spans)/8+1)
	counts := make([]int, 0, len(b.Spans)/8+1)
	of := make([]int32, len(b.Spans))
	for i := range b.Spans {
		id := b.Spans[i].TraceID
		n, ok := at[id]
		if !ok {
			n = len(counts)
			at[id] = n
			counts = append(counts, 0)
		}
		counts[n]++
		of[i] = int32(n)
	}
	groups := make([]group, len(counts), len(counts)+len(b.Events))
	for i, n := range counts {
		groups[i].spans = make([]sources.Span, 0, n)
	}
	for i := range b.Spans {
		g := &groups[of[i]]
		g.id = b.Spans[i].TraceID
		g.spans = append(g.spans, b.Spans[i])
	}
	for i := range b.Events {
		e := b.Events[i]
		if e.TraceID.IsZero() {
			groups = append(groups, group{events: []sources.TraceEvent{e}})
			continue
		}
		n, ok := at[e.TraceID]
		if !ok {
			n = len(groups)
			at[e.TraceID] = n
			groups = append(groups, group{id: e.TraceID})
		}
		groups[n].events = append(groups[n].events, e)
	}
	buf := scratch.Get().(*[]byte)
	for i := range groups {
		g := &groups[i]
		g.chunk, *buf = s.codec.encode(*buf, g.id, g.spans, g.events)
	}
	scratch.Put(buf)
	return groups
}

// writer is the one goroutine that writes.
type writer struct {
	s       *Store
	hot     *conn
	conns   map[*partition]*conn // the hot one and those that late spans needed
	cache   *cache
	touched []*trace
	turn    uint64 // number of the transaction
	stale   map[sources.TraceID]*trace
	pending pending
	// responses of this transaction's traces; look-ups see them only after it
	responses map[int64]*trace
	sealing   sync.WaitGroup
	sealBusy  atomic.Bool
	building  atomic.Bool // a block is being built
	answering atomic.Bool // what others asked to be erased is being erased
	checked   time.Time   // wall time of the last look at sizes
}

const (
	maxConns     = 4
	maxResponses = 256 // response IDs of one trace that can be looked up
)

func newWriter(s *Store) *writer {
	return &writer{
		s: s, conns: map[*partition]*conn{}, cache: newCache(s.limits.cacheSpans),
		stale: map[sources.TraceID]*trace{}, pending: newPending(), responses: map[int64]*trace{},
	}
}

// loop stores calls until the store closes. Calls that wait while one
// transaction is written share the next.
func (w *writer) loop() {
	defer w.end()
	w.start()
	tick := time.NewTicker(w.s.limits.rest)
	defer tick.Stop()
	for {
		select {
		case c := <-w.s.calls:
			w.batch(c)
		case task := <-w.s.tasks:
			task(w)
		case <-tick.C:
			w.idle()
			w.buildBlock()
			w.answerPurges()
		case <-w.s.stop:
			for { // calls that were accepted are finished
				select {
				case c := <-w.s.calls:
					w.batch(c)
				default:
					return
				}
			}
		}
	}
}

func (w *writer) batch(first *call) {
	calls, spans := []*call{first}, first.spans
gather:
	for spans < w.s.limits.groupSpans {
		select {
		case c := <-w.s.calls:
			calls = append(calls, c)
			spans += c.spans
		default:
			break gather
		}
	}
	if w.hot != nil && w.aged(w.hot.p) {
		w.retire()
	}
	err := w.attempt(func() error { return w.store(calls) })
	if err == nil {
		w.s.good(spans)
	} else {
		w.s.bad(err)
	}
	for _, c := range calls {
		c.done <- err
	}
	w.cache.trim()
	if err == nil {
		w.rotate()
	}
}

// attempt runs one transaction. When it fails for want of space, or because a
// file is damaged, it makes room and tries once more.
func (w *writer) attempt(fn func() error) error {
	err := w.transact(fn)
	for tries := 0; err != nil && tries < 2 && w.recover(err); tries++ {
		err = w.transact(fn)
	}
	return err
}

func (w *writer) transact(fn func() error) error {
	err := fn()
	if err == nil {
		for _, c := range w.conns {
			if err = c.commit(); err != nil {
				err = &partError{c.p, err}
				break
			}
		}
	}
	if err != nil {
		w.forget()
	}
	return err
}

// partError says in which partition something failed.
type partError struct {
	p   *partition
	err error
}

func (e *partError) Error() string { return "partition " + e.p.name + ": " + e.err.Error() }
func (e *partError) Unwrap() error { return e.err }

func inPart(p *partition, err error) error {
	if err == nil {
		return nil
	}
	return &partError{p, err}
}

// forget drops everything in memory that a failed transaction may have touched.
func (w *writer) forget() {
	for p, c := range w.conns {
		c.close()
		delete(w.conns, p)
	}
	w.hot = nil
	w.cache.clear()
	w.touched = w.touched[:0]
	w.stale = map[sources.TraceID]*trace{}
	w.start()
}

// recover makes what can be made of a failure and tells whether to try again.
func (w *writer) recover(err error) bool {
	var pe *partError
	switch {
	case isFull(err):
		return w.shedOldest("the disk is full")
	case isDamage(err) && errors.As(err, &pe):
		w.s.unreadable(pe.p, "damaged ("+short(pe.err)+"); set aside as "+pe.p.name+".damaged")
		if e := pe.p.setAside(); e != nil {
			w.s.opts.Log.Warn("damaged partition not set aside", "partition", pe.p.name, "error", e)
			return false
		}
		w.s.dropPart(pe.p)
		return true
	}
	return false
}

// connect returns the writing connection of a partition.
func (w *writer) connect(p *partition) (*conn, error) {
	if c := w.conns[p]; c != nil {
		return c, nil
	}
	for old, c := range w.conns { // late spans come for few partitions; any idle one may go
		if len(w.conns) < maxConns {
			break
		}
		if c != w.hot && !c.inTx {
			c.close()
			delete(w.conns, old)
		}
	}
	if p.unusable() {
		return nil, fmt.Errorf("partition %s is gone", p.name)
	}
	c, err := openConn(p, w.s.opts.Clock, w.s.limits.maxPages)
	if err != nil {
		return nil, &partError{p, err}
	}
	w.conns[p] = c
	return c, nil
}

// hotConn returns the connection to the partition that receives, beginning one if there is none.
func (w *writer) hotConn() (*conn, error) {
	if w.hot != nil {
		return w.hot, nil
	}
	var p *partition
	if parts := w.s.newestFirst(); len(parts) > 0 && !parts[0].sealed.Load() && !parts[0].retired && !w.over(parts[0], 0) {
		p = parts[0]
	}
	if p == nil {
		name, err := nextName(w.s.dir, w.s.opts.Clock.Wall())
		if err != nil {
			return nil, err
		}
		if p, err = newPartition(w.s.dir, name); err != nil {
			return nil, err
		}
	}
	c, err := w.connect(p)
	if err != nil {
		return nil, err
	}
	w.s.addPart(p) // now that its file exists
	db, err := p.read(context.Background())
	if err != nil {
		return nil, &partError{p, err}
	}
	if p.isSealed(context.Background(), db) || c.next > w.s.limits.partTraces { // under a receiver before this one
		p.retired = true
		return w.hotConn()
	}
	if err := p.index.sync(context.Background(), db); err != nil {
		return nil, &partError{p, err}
	}
	w.hot = c
	return c, nil
}

// store writes the calls inside one transaction per partition.
func (w *writer) store(calls []*call) error {
	w.turn++
	w.touched = w.touched[:0]
	clear(w.responses)
	var loose []*group
	for _, c := range calls {
		for i := range c.groups {
			g := &c.groups[i]
			if g.id.IsZero() {
				loose = append(loose, g)
				continue
			}
			if err := w.group(g); err != nil {
				return err
			}
		}
	}
	if err := w.settleAll(); err != nil {
		return err
	}
	// Only now are the responses of this transaction known.
	for _, g := range loose {
		if err := w.eventByResponse(g); err != nil {
			return err
		}
	}
	return w.settleAll()
}

func (w *writer) settleAll() error {
	for _, t := range w.touched {
		if err := w.settle(t); err != nil {
			return err
		}
	}
	w.touched = w.touched[:0]
	return nil
}

// group stores one group's chunk and takes its spans into the trace.
func (w *writer) group(g *group) error {
	t, err := w.find(g)
	if err != nil {
		return err
	}
	before, rooted := weight(t), t.root
	if t.add(g.spans) == 0 && len(g.events) == 0 {
		return nil // sent again; every span is stored
	}
	w.overflow(t)
	t.events = append(t.events, g.events...)
	w.cache.grew(weight(t) - before)
	if err := w.keep(t, g.chunk); err != nil {
		return err
	}
	w.touch(t, t.ripe(t.root && !rooted) || len(g.spans) == 0)
	return nil
}

// keep stores a chunk of a trace.
func (w *writer) keep(t *trace, chunk []byte) error {
	if t.seq >= 1<<seqBits {
		return nil // a million exports of one trace: the row keeps counting, the spans are not kept
	}
	c, err := w.begin(t.part)
	if err != nil {
		return err
	}
	if err := c.addChunk(t.key, t.seq, chunk); err != nil {
		return &partError{t.part, err}
	}
	t.seq++
	return nil
}

func (w *writer) begin(p *partition) (*conn, error) {
	c, err := w.connect(p)
	if err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, &partError{p, err}
	}
	return c, nil
}

// touch marks a trace for this transaction: to be folded, or only to be noted as stale.
func (w *writer) touch(t *trace, due bool) {
	if t.turn != w.turn {
		t.turn, t.due = w.turn, false
		w.touched = append(w.touched, t)
	}
	t.due = t.due || due
}

// settle folds a trace and writes its row, or notes that the row is stale.
func (w *writer) settle(t *trace) error {
	t.turn = 0
	if len(t.spans) == 0 {
		return nil // events alone are kept for the spans to come
	}
	c, err := w.begin(t.part)
	if err != nil {
		return err
	}
	if !t.due {
		if t.stale {
			return nil
		}
		t.stale = true
		w.stale[t.id] = t
		return inPart(t.part, c.run("INSERT OR REPLACE INTO stale(key) VALUES(?)", t.key))
	}
	r := w.fold(t)
	joined, err := w.note(c, t, &r)
	if err != nil {
		return inPart(t.part, err)
	}
	if joined {
		r = w.fold(t)
	}
	if t.stale {
		t.stale = false
		delete(w.stale, t.id)
		if err := c.run("DELETE FROM stale WHERE key=?", t.key); err != nil {
			return inPart(t.part, err)
		}
	}
	if err := c.putRow(t.key, t.id, &r, t.row); err != nil {
		return inPart(t.part, err)
	}
	t.row = true
	return nil
}

// overflow counts the spans that came beyond the fold's bound, so that they need not be held.
func (w *writer) overflow(t *trace) {
	if len(t.beyond) == 0 {
		return
	}
	r := w.s.opts.Folder.Fold(t.beyond, nil)
	t.over.count(&r)
	t.beyond = nil
}

// billed tells whether the root alone knows the cost of the whole request.
func (w *writer) billed(t *trace) bool {
	for i := range t.spans {
		if t.spans[i].Parent.IsZero() {
			r := w.s.opts.Folder.Fold(t.spans[i:i+1], nil)
			return r.CostUSD.OK && r.LLMCalls == 0
		}
	}
	return false
}

func (w *writer) fold(t *trace) sources.Request {
	r := w.s.opts.Folder.Fold(t.spans, t.events)
	if r.SpanCount = t.total; t.total > len(t.spans) {
		t.over.add(&r, w.billed(t))
		r.Flags = append(r.Flags, sources.FlagLarge)
	}
	t.folded = len(t.spans)
	return r
}

// note writes the identifiers of a row that are new, and takes in the events
// that were waiting for one of its responses.
func (w *writer) note(c *conn, t *trace, r *sources.Request) (joined bool, err error) {
	responses := []string{r.ResponseID}
	if r.LLMCalls > 1 {
		responses = append(responses, w.s.opts.Folder.ResponseIDs(t.spans)...)
		responses = responses[:min(len(responses), maxResponses)]
	}
	for _, id := range responses {
		if id == "" {
			continue
		}
		h := hashID(kindResponse, id)
		w.responses[h] = t
		if t.knows(h) {
			continue
		}
		t.ids = append(t.ids, h)
		if err := c.addID(h, t.key); err != nil {
			return false, err
		}
		did, err := w.join(t, h)
		if err != nil {
			return false, err
		}
		joined = joined || did
	}
	if r.ID != "" && r.ID != r.TraceID {
		if h := hashID(kindRequest, r.ID); !t.knows(h) {
			t.ids = append(t.ids, h)
			if err := c.addID(h, t.key); err != nil {
				return false, err
			}
		}
	}
	return joined, nil
}

// idle runs when nothing arrives: rows of large traces are brought up to date
// and the bounds of the folder are kept.
func (w *writer) idle() {
	if len(w.stale) > 0 {
		err := w.attempt(func() error {
			w.touched = w.touched[:0]
			for _, t := range w.stale {
				t.due = true
				if err := w.settle(t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.s.bad(fmt.Errorf("bring rows up to date: %w", err))
		}
	}
	w.rotate()
}

func (w *writer) end() {
	w.sealing.Wait()
	for p, c := range w.conns {
		if err := c.commit(); err != nil {
			w.s.opts.Log.Warn("last commit", "partition", p.name, "error", err)
		}
		_ = c.exec("PRAGMA wal_checkpoint(TRUNCATE)") // leaves one file behind; without it nothing is lost
		c.close()
	}
}
