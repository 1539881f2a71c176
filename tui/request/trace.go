package request

import (
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// maxSpans is how many spans of one request are drawn. Of more, those with errors
// and the longest are kept, each with the spans above it.
const maxSpans = 10000

// node is one drawn span, in the order of the drawing.
type node struct {
	span  *sources.Span
	depth int
	size  int // nodes of the subtree, itself included: the next sibling is size further
	stage sources.Stage
}

// trace is the spans of a request as a tree, flattened from the top.
type trace struct {
	nodes      []node
	total      int   // spans received, duplicates not counted
	start, end int64 // of the time axis, Unix nanoseconds; end > start
	outside    int   // spans that begin or end off the axis
	orphans    int   // spans whose parent has not arrived
}

// grow builds the tree. It takes spans as they come: out of order, twice, without
// a root, with parents that are missing or that form a circle.
func grow(spans []sources.Span, r *sources.Request) *trace {
	t := &trace{}
	byID := make(map[sources.SpanID]int, len(spans))
	all := make([]*sources.Span, 0, len(spans))
	for i := range spans {
		s := &spans[i]
		if s.SpanID != (sources.SpanID{}) {
			if _, twice := byID[s.SpanID]; twice {
				continue
			}
			byID[s.SpanID] = len(all)
		}
		all = append(all, s)
	}
	t.total = len(all)
	parent := make([]int, len(all))
	for i, s := range all {
		parent[i] = -1
		if s.Parent.IsZero() {
			continue
		}
		p, ok := byID[s.Parent]
		if !ok || p == i {
			t.orphans++
			continue
		}
		parent[i] = p
	}
	cutCircles(parent)
	kept := choose(all, parent)
	t.flatten(all, parent, kept)
	t.axis(r)
	return t
}

// cutCircles makes a root of one span of every circle, so that each has a way up.
func cutCircles(parent []int) {
	const (
		unknown = iota
		walking
		rooted
	)
	state := make([]uint8, len(parent))
	var path []int
	for i := range parent {
		path = path[:0]
		at := i
		for at >= 0 && state[at] == unknown {
			state[at] = walking
			path = append(path, at)
			at = parent[at]
		}
		if at >= 0 && state[at] == walking {
			parent[at] = -1
		}
		for _, k := range path {
			state[k] = rooted
		}
	}
}

// choose returns which spans are drawn; nil means all of them.
func choose(all []*sources.Span, parent []int) []bool {
	if len(all) <= maxSpans {
		return nil
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := all[a], all[b]
		if x.Error != y.Error {
			if x.Error {
				return -1
			}
			return 1
		}
		return int(max(-1, min(1, y.Duration()-x.Duration())))
	})
	kept := make([]bool, len(all))
	n := 0
	var way []int
	for _, i := range order {
		way = way[:0]
		for at := i; at >= 0 && !kept[at]; at = parent[at] {
			way = append(way, at)
		}
		if n+len(way) > maxSpans {
			continue
		}
		for _, k := range way {
			kept[k] = true
		}
		if n += len(way); n == maxSpans {
			break
		}
	}
	return kept
}

// flatten orders the kept spans: parents before children, siblings by their start.
func (t *trace) flatten(all []*sources.Span, parent []int, kept []bool) {
	order := make([]int, 0, len(all))
	for i := range all {
		if kept == nil || kept[i] {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := all[a].Start, all[b].Start; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	kids := make([][]int, len(all))
	var roots []int
	for _, i := range order {
		if p := parent[i]; p >= 0 {
			kids[p] = append(kids[p], i)
		} else {
			roots = append(roots, i)
		}
	}
	t.nodes = make([]node, 0, len(order))
	type frame struct {
		left []int
		at   int // node whose children these are; -1 for the roots
	}
	stack := []frame{{left: roots, at: -1}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		if len(f.left) == 0 {
			if f.at >= 0 {
				t.nodes[f.at].size = len(t.nodes) - f.at
			}
			stack = stack[:len(stack)-1]
			continue
		}
		i := f.left[0]
		f.left = f.left[1:]
		t.nodes = append(t.nodes, node{span: all[i], depth: len(stack) - 1, stage: stageOf(all[i])})
		stack = append(stack, frame{left: kids[i], at: len(t.nodes) - 1})
	}
}

func stageOf(s *sources.Span) sources.Stage {
	if v, ok := s.Attrs.Get("llmops.stage"); ok {
		return sources.StageOf(v)
	}
	return sources.NoStage
}

// axis finds the times between which everything is drawn.
func (t *trace) axis(r *sources.Request) {
	if len(t.nodes) == 0 {
		t.start = r.Time.UnixNano()
		t.end = t.start + max(int64(time.Millisecond), int64(r.Latency.V*1e9))
		return
	}
	all := make([]*sources.Span, len(t.nodes))
	var roots []*sources.Span
	for i := range t.nodes {
		all[i] = t.nodes[i].span
	}
	for i := 0; i < len(t.nodes); i += max(1, t.nodes[i].size) {
		roots = append(roots, t.nodes[i].span)
	}
	t.start, t.end, t.outside = sources.SpanAxis(roots, all)
}

// offset is a time relative to the start of the axis.
func (t *trace) offset(at time.Time) time.Duration { return time.Duration(at.UnixNano() - t.start) }

// visible lists the nodes that are not below a closed one.
func (t *trace) visible(closed map[sources.SpanID]bool) []int {
	out := make([]int, 0, len(t.nodes))
	for i := 0; i < len(t.nodes); {
		out = append(out, i)
		if closed[t.nodes[i].span.SpanID] {
			i += max(1, t.nodes[i].size)
			continue
		}
		i++
	}
	return out
}

// label names a span, its stage first when the name does not say it.
func (n *node) label() string {
	stage := n.stage.String()
	if stage == "" {
		return n.span.Name
	}
	words := strings.ReplaceAll(stage, "_", " ")
	if n.span.Name == stage || n.span.Name == words {
		return words
	}
	return words + ": " + n.span.Name
}
