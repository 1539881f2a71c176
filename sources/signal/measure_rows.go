package signal

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"rollcall/sources"
)

// rowCache keeps the sums of request rows: finished windows are asked for once
// (and the newest two again, for spans and evaluations that arrive late).
type rowCache struct {
	src RowSource

	mu sync.Mutex
	m  map[rowKey]*rowEntry
}

type rowKey struct {
	service string
	by      sources.Component
	step    time.Duration
}

type rowEntry struct {
	busy     chan struct{}
	from, to time.Time
	buckets  []sources.RequestBucket
	facts    sources.Facts
}

func newRowCache(src RowSource) *rowCache { return &rowCache{src: src, m: map[rowKey]*rowEntry{}} }

// buckets returns the finished buckets from since (rounded down to the step) to until.
func (c *rowCache) buckets(ctx context.Context, service string, by sources.Component, since, until time.Time, step time.Duration) ([]sources.RequestBucket, sources.Facts, error) {
	since, until = since.Truncate(step), until.Truncate(step)
	k := rowKey{service, by, step}
	c.mu.Lock()
	e := c.m[k]
	if e == nil {
		e = &rowEntry{busy: make(chan struct{}, 1)}
		c.m[k] = e
	}
	c.mu.Unlock()
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return nil, sources.Facts{}, ctx.Err()
	}
	ask := since
	if !e.to.IsZero() && !since.Before(e.from) && !since.After(e.to) {
		if !until.After(e.to) {
			return span(e.buckets, since, until), e.facts, nil
		}
		if again := e.to.Add(-2 * step); again.After(since) {
			ask = again
		}
	}
	fresh, facts, err := c.src.Buckets(ctx, service, ask, until, step, by)
	if err != nil {
		return nil, facts, err
	}
	e.buckets = append(slices.Clone(span(e.buckets, since, ask)), fresh...)
	e.from, e.to, e.facts = since, until, facts
	return span(e.buckets, since, until), facts, nil
}

func span(buckets []sources.RequestBucket, since, until time.Time) []sources.RequestBucket {
	var out []sources.RequestBucket
	for _, b := range buckets {
		if !b.Start.Before(since) && b.Start.Before(until) {
			out = append(out, b)
		}
	}
	return out
}

// rowAnswer is the window that ends now.
type rowAnswer struct {
	now   []sources.RequestBucket
	facts sources.Facts
}

// row computes a signal from the request rows. The history has one point per window.
func (r *run) row(ctx context.Context, sig *Signal, by sources.Component) (measured, error) {
	window := max(r.window, sig.Window)
	step := window * ((r.step + window - 1) / window)
	history, _, err := r.e.rows.buckets(ctx, r.svc.name, by, r.start, r.now, step)
	if err != nil {
		return measured{}, err
	}
	a, err := r.e.rowsNow(ctx, r, window, by)
	if err != nil {
		return measured{}, err
	}
	m := measured{prov: sources.Provenance{Provider: "requests"}, facts: a.facts}
	m.facts.Source = "requests"
	byName := map[string]*part{}
	var order []string
	rows := 0
	put := func(b *sources.RequestBucket, end time.Time, secs float64, newest bool) {
		rows += b.N
		values := sig.Rows(b, secs)
		if by != "" {
			values = oneGroup(values, b.Group, sig.Combine)
		}
		for _, x := range values {
			if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
				continue
			}
			p := byName[x.Name]
			if p == nil {
				p = &part{name: x.Name, n: math.NaN()}
				byName[x.Name] = p
				order = append(order, x.Name)
			}
			p.history = append(p.history, sources.Point{T: end, V: x.Value})
			if newest {
				p.value, p.known, p.n = x.Value, true, x.N
			}
		}
	}
	for i := range history {
		if end := history[i].Start.Add(step); end.Before(r.now) {
			put(&history[i], end, step.Seconds(), false)
		}
	}
	for i := range a.now {
		put(&a.now[i], r.now, window.Seconds(), true)
	}
	if rows == 0 || len(order) == 0 {
		return measured{}, errNotExposed{missing: "request row that tells"}
	}
	slices.Sort(order)
	for _, name := range order {
		if name == "" && len(order) > 1 && by == "" {
			continue
		}
		m.parts = append(m.parts, *byName[name])
	}
	if sig.RowsLack != nil && m.facts.Partial == "" {
		m.facts.Partial = sig.RowsLack(a.now)
	}
	// A share or a quantile of a sample is that of all; an amount per time is not.
	m.atLeast = a.facts.Sampled && (sig.Unit == sources.PerSecond || sig.Unit == sources.USDPerSec)
	m.facts.At = newestOf(m.parts)
	if !slices.ContainsFunc(m.parts, func(p part) bool { return p.known }) {
		m.silent = "no such request in " + short(window)
	}
	return m, nil
}

// oneGroup makes one part of the elements of a version: their sum, or where the
// worst counts, their mean.
func oneGroup(values []sources.Part, group string, how Combine) []sources.Part {
	if len(values) == 0 {
		return nil
	}
	out := sources.Part{Name: group}
	for _, v := range values {
		out.N += v.N
		if how == Worst {
			out.Value += v.Value * v.N
		} else {
			out.Value += v.Value
		}
	}
	if how == Worst {
		out.Value /= out.N
	}
	return []sources.Part{out}
}

// rowsNow sums the window that ends now, once per refresh.
func (e *Evaluator) rowsNow(ctx context.Context, r *run, window time.Duration, by sources.Component) (rowAnswer, error) {
	return r.rowsNow.get(window.String()+string(by), func() (rowAnswer, error) {
		now, facts, err := e.deps.Rows.Buckets(ctx, r.svc.name, r.now.Add(-window), r.now, window, by)
		return rowAnswer{now: now, facts: facts}, err
	})
}
