// Package stitch keeps the answers of range queries and asks only for the points
// that are new, so that a console that refreshes for hours costs its Prometheus
// a few points per query instead of whole ranges.
package stitch

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

// Ranger evaluates range queries.
type Ranger interface {
	Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error)
}

// again is how many of the newest points are asked for once more: samples that
// arrived late change them.
const again = 2

// Cache stitches ranges together per query and step. It is safe for concurrent use.
type Cache struct {
	src Ranger
	max int
	now func() time.Time

	mu      sync.Mutex
	entries map[key]*entry
	clock   uint64 // counts uses, for eviction
}

type key struct {
	expr string
	step time.Duration
}

type entry struct {
	busy chan struct{} // held while one caller fetches; a channel so that waiting ends with the context
	used uint64

	from, to time.Time // covered, both included; zero when nothing is
	series   []sources.Series
	facts    sources.Facts
}

// New returns a cache of at most max queries over src. What was answered of times after now is
// asked for again once they have come; nil takes it as final.
func New(src Ranger, max int, now func() time.Time) *Cache {
	return &Cache{src: src, max: max, now: now, entries: map[key]*entry{}}
}

// Range answers like its source, with start and end moved down to multiples of
// the step so that successive ranges share their points. The series are the
// caller's to keep, not to change.
func (c *Cache) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	start, end = start.Truncate(step), end.Truncate(step)
	e := c.entry(key{expr, step})
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return nil, sources.Facts{}, ctx.Err()
	}
	if err := c.fill(ctx, e, expr, start, end, step); err != nil {
		return nil, e.facts, err
	}
	return within(e.series, start, end), e.facts, nil
}

// fill makes the entry cover [start, end].
func (c *Cache) fill(ctx context.Context, e *entry, expr string, start, end time.Time, step time.Duration) error {
	if c.now != nil {
		e.forget(c.now().Truncate(step), step)
	}
	apart := e.to.IsZero() || start.After(e.to.Add(step)) || end.Before(e.from.Add(-step))
	if apart {
		series, facts, err := c.src.Range(ctx, expr, start, end, step)
		if err != nil {
			return err
		}
		e.from, e.to, e.series, e.facts = start, end, series, facts
		return nil
	}
	if start.Before(e.from) {
		series, facts, err := c.src.Range(ctx, expr, start, e.from.Add(-step), step)
		if err != nil {
			return err
		}
		e.series = join(series, e.series, e.from)
		newest := e.facts.At
		e.from, e.facts = start, facts
		e.facts.At = newest
	}
	if end.After(e.to) {
		first := e.to.Add(-(again - 1) * step)
		if first.Before(e.from) {
			first = e.from
		}
		series, facts, err := c.src.Range(ctx, expr, first, end, step)
		if err != nil {
			return err
		}
		if facts.At.IsZero() {
			facts.At = e.facts.At
		}
		e.series, e.to, e.facts = join(e.series, series, first), end, facts
	}
	// What was panned away from is let go once it outweighs what is shown.
	if shown := end.Sub(start) + step; e.to.Sub(e.from) > 3*shown {
		e.from, e.to = start, end
		e.series = within(e.series, start, end)
	}
	return nil
}

// forget lets go of an answer that reaches beyond now: a clock that went ahead and back
// found times empty, and nobody knows from which on.
func (e *entry) forget(now time.Time, step time.Duration) {
	if e.to.After(now.Add(step)) {
		e.from, e.to, e.series = time.Time{}, time.Time{}, nil
	}
}

func (c *Cache) entry(k key) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	e := c.entries[k]
	if e == nil {
		if len(c.entries) >= c.max {
			c.evict()
		}
		e = &entry{busy: make(chan struct{}, 1)}
		c.entries[k] = e
	}
	e.used = c.clock
	return e
}

func (c *Cache) evict() {
	var oldest key
	use := ^uint64(0)
	for k, e := range c.entries {
		if e.used < use {
			oldest, use = k, e.used
		}
	}
	delete(c.entries, oldest)
}

// join returns old up to the seam and new from it on. Callers may still hold the old
// slices: what they see is never written to, only what lies behind it.
func join(old, recent []sources.Series, seam time.Time) []sources.Series {
	at := make(map[string]int, len(old))
	out := make([]sources.Series, 0, len(old))
	joined := make([]bool, len(old))
	for _, s := range old {
		n, _ := slices.BinarySearchFunc(s.Points, seam, compare)
		at[identity(s.Labels)] = len(out)
		out = append(out, sources.Series{Labels: s.Labels, Points: s.Points[:n:n]})
	}
	for _, s := range recent {
		n, _ := slices.BinarySearchFunc(s.Points, seam, compare)
		fresh := s.Points[n:]
		i, ok := at[identity(s.Labels)]
		if !ok {
			out = append(out, sources.Series{Labels: s.Labels, Points: fresh})
			continue
		}
		points := out[i].Points
		if i < len(old) && !joined[i] {
			// As a rule the points that were asked for again are what they were.
			if known := old[i].Points; begins(fresh, known[len(points):]) {
				fresh, points = fresh[len(known)-len(points):], known
			}
			joined[i] = true // a server may give the same labels twice
		}
		points = append(points, fresh...)
		out[i].Points = points
	}
	return slices.DeleteFunc(out, func(s sources.Series) bool { return len(s.Points) == 0 })
}

// begins tells whether a list of points begins with another.
func begins(points, with []sources.Point) bool {
	return len(points) >= len(with) && slices.EqualFunc(points[:len(with)], with, func(a, b sources.Point) bool {
		return a.T.Equal(b.T) && math.Float64bits(a.V) == math.Float64bits(b.V)
	})
}

func within(series []sources.Series, start, end time.Time) []sources.Series {
	out := make([]sources.Series, 0, len(series))
	for _, s := range series {
		from, _ := slices.BinarySearchFunc(s.Points, start, compare)
		to, found := slices.BinarySearchFunc(s.Points, end, compare)
		if found {
			to++
		}
		if from < to {
			out = append(out, sources.Series{Labels: s.Labels, Points: s.Points[from:to:to]})
		}
	}
	return out
}

func compare(p sources.Point, t time.Time) int { return p.T.Compare(t) }

func identity(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(strconv.Quote(k))
		b.WriteString(strconv.Quote(labels[k]))
	}
	return b.String()
}
