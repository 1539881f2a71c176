package traces

import (
	"container/list"

	"rollcall/sources"
)

// trace is one trace in the writer's hands: what has been stored of it so far.
type trace struct {
	id   sources.TraceID
	part *partition
	key  int64
	seq  int64 // next chunk

	spans  []sources.Span
	events []sources.TraceEvent
	seen   map[sources.SpanID]struct{} // once there are many
	total  int                         // spans stored, those beyond the fold's bound included
	beyond []sources.Span              // those that came beyond it and are not counted in over yet
	over   over                        // what those beyond add up to
	folded int                         // spans of the last fold
	root   bool                        // a span without a parent has come
	row    bool                        // a row exists
	stale  bool                        // the row is older than the spans
	ids    []int64                     // hashes already written
	turn   uint64                      // transaction in which it was touched, 0 when settled
	due    bool                        // fold at the end of that transaction
	place  *list.Element
}

// Bounds of the work on one trace.
const (
	// maxFold is how many spans of one trace are folded together. A trace that
	// grows beyond it keeps all its spans; those that may decide the row (without a
	// parent, or failed) still join it, and the others add their tokens, cost and
	// calls to its sums as they come.
	maxFold = 20_000
	// lazyFold is from how many spans on a row is not folded anew for every
	// export call but only when the trace has grown by a quarter, or is let rest.
	lazyFold = 256
	manySeen = 32
)

// has tells whether a span has been stored before.
func (t *trace) has(id sources.SpanID) bool {
	if id.IsZero() {
		return false
	}
	if t.seen != nil {
		_, ok := t.seen[id]
		return ok
	}
	for i := range t.spans {
		if t.spans[i].SpanID == id {
			return true
		}
	}
	return false
}

// add takes spans in that have been stored, and returns how many were new. The
// trace may keep the slice.
func (t *trace) add(spans []sources.Span) (fresh int) {
	if len(t.spans) == 0 && len(spans) <= manySeen && distinct(spans) {
		t.spans, t.total = spans[:len(spans):len(spans)], len(spans)
		for i := range spans {
			t.root = t.root || spans[i].Parent.IsZero()
		}
		return len(spans)
	}
	for i := range spans {
		s := &spans[i]
		if t.has(s.SpanID) {
			continue
		}
		fresh++
		t.total++
		t.root = t.root || s.Parent.IsZero()
		if t.seen == nil && len(t.spans) >= manySeen {
			t.seen = make(map[sources.SpanID]struct{}, 4*manySeen)
			for j := range t.spans {
				t.seen[t.spans[j].SpanID] = struct{}{}
			}
		}
		if t.seen != nil {
			t.seen[s.SpanID] = struct{}{}
		}
		if len(t.spans) < maxFold || s.Parent.IsZero() || s.Error && len(t.spans) < 2*maxFold {
			t.spans = append(t.spans, *s)
		} else {
			t.beyond = append(t.beyond, *s)
		}
	}
	return fresh
}

// over is what the spans beyond the fold's bound add to the sums of the row.
type over struct {
	calls                   int
	in, out, cached, dollar sources.Num
}

// count takes in a fold of spans beyond the bound.
func (o *over) count(r *sources.Request) {
	o.calls += r.LLMCalls
	o.in, o.out, o.cached, o.dollar = plus(o.in, r.TokensIn), plus(o.out, r.TokensOut), plus(o.cached, r.TokensCached), plus(o.dollar, r.CostUSD)
}

// add puts the sums into a row. billed says that the row's cost is the whole
// bill, as the root tells it.
func (o *over) add(r *sources.Request, billed bool) {
	r.LLMCalls += o.calls
	r.TokensIn, r.TokensOut, r.TokensCached = plus(r.TokensIn, o.in), plus(r.TokensOut, o.out), plus(r.TokensCached, o.cached)
	if !billed {
		r.CostUSD = plus(r.CostUSD, o.dollar)
	}
}

func plus(a, b sources.Num) sources.Num { return sources.Num{V: a.V + b.V, OK: a.OK || b.OK} }

func distinct(spans []sources.Span) bool {
	for i := range spans {
		for j := range i {
			if spans[i].SpanID == spans[j].SpanID && !spans[i].SpanID.IsZero() {
				return false
			}
		}
	}
	return true
}

// ripe tells whether the row should be folded now, or may wait until the trace rests.
func (t *trace) ripe(rootCame bool) bool {
	n := len(t.spans)
	return n <= lazyFold || rootCame || n >= t.folded+t.folded/4
}

func (t *trace) knows(hash int64) bool {
	for _, h := range t.ids {
		if h == hash {
			return true
		}
	}
	return false
}

// cache keeps the most recently touched traces, bounded by the spans that they hold.
type cache struct {
	limit, held int
	byID        map[sources.TraceID]*trace
	order       *list.List // front: newest
}

func newCache(limit int) *cache {
	return &cache{limit: limit, byID: map[sources.TraceID]*trace{}, order: list.New()}
}

func (c *cache) get(id sources.TraceID) *trace {
	t := c.byID[id]
	if t != nil {
		c.order.MoveToFront(t.place)
	}
	return t
}

func (c *cache) put(t *trace) {
	t.place = c.order.PushFront(t)
	c.byID[t.id] = t
	c.held += weight(t)
}

// grew is told that a trace holds more than before.
func (c *cache) grew(n int) { c.held += n }

// trim lets the oldest go. It must not run while a batch still works on traces.
func (c *cache) trim() {
	for tries := c.order.Len(); c.held > c.limit && tries > 0; tries-- {
		t := c.order.Back().Value.(*trace)
		if t.stale { // its row is about to be written
			c.order.MoveToFront(t.place)
			continue
		}
		c.drop(t)
	}
}

func (c *cache) drop(t *trace) {
	c.order.Remove(t.place)
	delete(c.byID, t.id)
	c.held -= weight(t)
}

// clear forgets everything: after a transaction that failed, what is in memory
// may say more than what is stored.
func (c *cache) clear() {
	c.byID, c.held = map[sources.TraceID]*trace{}, 0
	c.order.Init()
}

func weight(t *trace) int { return 1 + len(t.spans) + len(t.events) }
