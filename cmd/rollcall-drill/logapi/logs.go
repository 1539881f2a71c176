package logapi

import (
	"container/heap"
	"context"
	"slices"
	"time"
)

// work counts what a query had to read.
type work struct {
	lines, bytes int64
}

// checkEvery is after how many lines a query looks whether it is still wanted.
const checkEvery = 1024

func (w *work) count(ctx context.Context, e entry) error {
	w.bytes += int64(len(e.line))
	if w.lines++; w.lines%checkEvery == 0 {
		return ctx.Err()
	}
	return nil
}

// logStream is the lines of a log query that have the same labels.
type logStream struct {
	labels  labelSet
	entries []logEntry
}

// logEntry is one line of an answer. The labels of its own stand in meta and
// parsed when they are kept apart from those of the stream.
type logEntry struct {
	ts           int64
	line         string
	meta, parsed labelSet
}

// logParams is which lines of a log query are wanted.
type logParams struct {
	limit    int
	forward  bool          // oldest first
	interval time.Duration // least time between two lines
	apart    bool          // keep labels of lines apart from labels of streams
}

// runLogs sends lines through the pipeline in the order of time until limit of
// them came out of it.
func runLogs(ctx context.Context, q *logQuery, views []streamView, p logParams, w *work) ([]*logStream, error) {
	var cursors cursorHeap
	cursors.forward = p.forward
	for _, v := range views {
		if c := newCursor(v, p.forward); c != nil {
			cursors.list = append(cursors.list, c)
		}
	}
	heap.Init(&cursors)

	out := streamGroups{apart: p.apart}
	var (
		state lineState
		last  int64
		n     int
	)
	for n < p.limit && cursors.Len() > 0 {
		c := cursors.list[0]
		e := c.entry()
		if c.step() {
			heap.Fix(&cursors, 0)
		} else {
			heap.Pop(&cursors)
		}
		if err := w.count(ctx, e); err != nil {
			return nil, err
		}
		state.reset(c.labels, c.key, e)
		if !state.run(q.stages) {
			continue
		}
		if n > 0 && p.interval > 0 && max(e.ts-last, last-e.ts) < p.interval.Nanoseconds() {
			continue
		}
		last = e.ts
		out.add(&state)
		n++
	}
	return out.sorted(), nil
}

// streamGroups gathers lines by their labels.
type streamGroups struct {
	apart bool
	byKey map[string]*logStream
	keys  []string
}

func (g *streamGroups) add(l *lineState) {
	e := logEntry{ts: l.entry.ts, line: l.entry.line}
	labels, key := l.stream, l.key
	if g.apart {
		e.meta, e.parsed = l.entry.meta, l.extracted()
	} else {
		labels = l.labels()
		key = labels.String()
	}
	s := g.byKey[key]
	if s == nil {
		if g.byKey == nil {
			g.byKey = map[string]*logStream{}
		}
		s = &logStream{labels: labels}
		g.byKey[key] = s
		g.keys = append(g.keys, key)
	}
	s.entries = append(s.entries, e)
}

func (g *streamGroups) sorted() []*logStream {
	slices.Sort(g.keys)
	out := make([]*logStream, 0, len(g.keys))
	for _, k := range g.keys {
		out = append(out, g.byKey[k])
	}
	return out
}

// cursor walks over the lines of a stream in one direction.
type cursor struct {
	labels labelSet
	key    string
	parts  [][]entry
	part   int
	i      int
	delta  int
}

func newCursor(v streamView, forward bool) *cursor {
	if len(v.entries) == 0 {
		return nil
	}
	c := &cursor{labels: v.labels, key: v.key, parts: v.entries, delta: 1}
	if !forward {
		c.delta = -1
		c.part = len(c.parts) - 1
		c.i = len(c.parts[c.part]) - 1
	}
	return c
}

func (c *cursor) entry() entry { return c.parts[c.part][c.i] }

// step moves on and reports whether there is a line.
func (c *cursor) step() bool {
	c.i += c.delta
	if c.i >= 0 && c.i < len(c.parts[c.part]) {
		return true
	}
	c.part += c.delta
	if c.part < 0 || c.part >= len(c.parts) {
		return false
	}
	if c.i = 0; c.delta < 0 {
		c.i = len(c.parts[c.part]) - 1
	}
	return true
}

// cursorHeap has the cursor whose line comes next at the top; lines of the same
// time come in the order of their streams' labels.
type cursorHeap struct {
	list    []*cursor
	forward bool
}

func (h *cursorHeap) Len() int { return len(h.list) }

func (h *cursorHeap) Less(i, j int) bool {
	a, b := h.list[i], h.list[j]
	ta, tb := a.entry().ts, b.entry().ts
	if ta == tb {
		return a.key < b.key == h.forward
	}
	return ta < tb == h.forward
}

func (h *cursorHeap) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }

func (h *cursorHeap) Push(x any) {
	if c, ok := x.(*cursor); ok {
		h.list = append(h.list, c)
	}
}

func (h *cursorHeap) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}
