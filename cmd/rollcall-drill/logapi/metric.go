package logapi

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// row is one series of a metric expression: points where it has a value.
type row struct {
	labels labelSet
	points []point
}

// point is a value at a time of the grid.
type point struct {
	i int
	v float64
}

// value is what a metric expression comes to: a number, or rows.
type value struct {
	isNumber bool
	num      float64
	rows     []row
}

// evaluator computes a metric query on a grid.
type evaluator struct {
	ctx   context.Context
	store *store
	grid  grid
	work  *work
}

func (ev *evaluator) eval(e expr) (value, error) {
	switch e := e.(type) {
	case number:
		return value{isNumber: true, num: float64(e)}, nil
	case vector:
		r := row{points: make([]point, ev.grid.n)}
		for i := range r.points {
			r.points[i] = point{i, float64(e)}
		}
		return value{rows: []row{r}}, nil
	case *rangeAgg:
		return ev.rangeAgg(e, e.group)
	case *vectorAgg:
		return ev.vectorAgg(e)
	case *binary:
		return ev.binary(e)
	default:
		return value{}, fmt.Errorf("a query of type %T cannot be evaluated", e)
	}
}

func (ev *evaluator) rangeAgg(a *rangeAgg, by *grouping) (value, error) {
	first := ev.grid.at(0) - a.offset.Nanoseconds() - a.window.Nanoseconds()
	last := ev.grid.at(ev.grid.n-1) - a.offset.Nanoseconds()
	// The window is open at its start and closed at its end.
	views := ev.store.view(a.q.sel, first+1, last+1)
	series, err := collect(ev.ctx, a, views, by, ev.work)
	if err != nil {
		return value{}, err
	}
	out := make([]row, 0, len(series))
	for i, s := range series {
		if i%checkEvery == 0 && ev.ctx.Err() != nil {
			return value{}, ev.ctx.Err()
		}
		if r := a.over(s, ev.grid); len(r.points) > 0 {
			out = append(out, r)
		}
	}
	return value{rows: out}, nil
}

// additive are the functions whose sum over series is that of all lines together.
var additive = map[string]bool{
	"rate": true, "count_over_time": true, "bytes_rate": true, "bytes_over_time": true, "sum_over_time": true,
}

func (ev *evaluator) vectorAgg(a *vectorAgg) (value, error) {
	group := a.group
	if group == nil {
		group = &grouping{}
	}
	if inner, ok := a.of.(*rangeAgg); ok && a.op == "sum" && additive[inner.op] {
		return ev.rangeAgg(inner, group)
	}
	of, err := ev.eval(a.of)
	if err != nil {
		return value{}, err
	}
	if of.isNumber {
		return value{}, badRequest("%s needs a metric expression, not a number", a.op)
	}
	members := map[string][]row{}
	var keys []string
	for _, r := range of.rows {
		labels := group.apply(r.labels)
		key := string(appendKey(nil, labels))
		if members[key] == nil {
			keys = append(keys, key)
		}
		members[key] = append(members[key], row{labels, r.points})
	}
	out := make([]row, 0, len(keys))
	acc := make([]float64, ev.grid.n)
	count := make([]int, ev.grid.n)
	for _, key := range keys {
		if err := ev.ctx.Err(); err != nil {
			return value{}, err
		}
		out = append(out, combine(a.op, members[key], acc, count))
	}
	return value{rows: out}, nil
}

// combine aggregates rows at each time. acc and count are room to work in.
func combine(op string, rows []row, acc []float64, count []int) row {
	clear(acc)
	clear(count)
	for _, r := range rows {
		for _, p := range r.points {
			switch {
			case count[p.i] == 0:
				acc[p.i] = p.v
			case op == "min":
				acc[p.i] = math.Min(acc[p.i], p.v)
			case op == "max":
				acc[p.i] = math.Max(acc[p.i], p.v)
			default:
				acc[p.i] += p.v
			}
			count[p.i]++
		}
	}
	out := row{labels: rows[0].labels}
	for i, n := range count {
		switch {
		case n == 0:
			continue
		case op == "count":
			acc[i] = float64(n)
		case op == "avg":
			acc[i] /= float64(n)
		}
		out.points = append(out.points, point{i, acc[i]})
	}
	return out
}

func (ev *evaluator) binary(b *binary) (value, error) {
	left, err := ev.eval(b.left)
	if err != nil {
		return value{}, err
	}
	right, err := ev.eval(b.right)
	if err != nil {
		return value{}, err
	}
	switch {
	case b.op == "or" && (left.isNumber || right.isNumber):
		return value{}, badRequest("unexpected literal for a leg of logical/set binary operation (or)")
	case b.op == "or":
		return value{rows: either(left.rows, right.rows)}, nil
	case left.isNumber && right.isNumber:
		return value{isNumber: true, num: arithmetic(b.op, left.num, right.num)}, nil
	case left.isNumber:
		return value{rows: each(right.rows, func(v float64) float64 { return arithmetic(b.op, left.num, v) })}, nil
	case right.isNumber:
		return value{rows: each(left.rows, func(v float64) float64 { return arithmetic(b.op, v, right.num) })}, nil
	default:
		return value{rows: both(b.op, left.rows, right.rows)}, nil
	}
}

// arithmetic is the one of Loki, where nothing can be divided by zero.
func arithmetic(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	default:
		if b == 0 {
			return math.NaN()
		}
		return a / b
	}
}

func each(rows []row, f func(float64) float64) []row {
	for _, r := range rows {
		for i := range r.points {
			r.points[i].v = f(r.points[i].v)
		}
	}
	return rows
}

// both joins rows of equal labels where both have a value.
func both(op string, left, right []row) []row {
	byKey := indexRows(right)
	var out []row
	for _, l := range left {
		j, ok := byKey[string(appendKey(nil, l.labels))]
		if !ok {
			continue
		}
		r := row{labels: l.labels}
		rest := right[j].points
		for _, p := range l.points {
			for len(rest) > 0 && rest[0].i < p.i {
				rest = rest[1:]
			}
			if len(rest) > 0 && rest[0].i == p.i {
				r.points = append(r.points, point{p.i, arithmetic(op, p.v, rest[0].v)})
			}
		}
		if len(r.points) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// either fills the gaps of the left rows from right rows of equal labels.
func either(left, right []row) []row {
	byKey := indexRows(left)
	out := slices.Clone(left)
	for _, r := range right {
		j, ok := byKey[string(appendKey(nil, r.labels))]
		if !ok {
			out = append(out, r)
			continue
		}
		merged := slices.Concat(out[j].points, r.points)
		slices.SortStableFunc(merged, func(a, b point) int { return a.i - b.i })
		out[j].points = slices.CompactFunc(merged, func(a, b point) bool { return a.i == b.i })
	}
	return out
}

func indexRows(rows []row) map[string]int {
	out := make(map[string]int, len(rows))
	for i, r := range rows {
		out[string(appendKey(nil, r.labels))] = i
	}
	return out
}

// sortRows puts rows in the order of their labels.
func sortRows(rows []row) {
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.labels.String(), b.labels.String()) })
}
