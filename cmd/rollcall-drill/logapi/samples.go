package logapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// sampleSeries is the samples that lines with the same labels gave, in time order.
type sampleSeries struct {
	labels labelSet
	ts     []int64
	v      []float64
}

func (s *sampleSeries) Len() int           { return len(s.ts) }
func (s *sampleSeries) Less(i, j int) bool { return s.ts[i] < s.ts[j] }
func (s *sampleSeries) Swap(i, j int) {
	s.ts[i], s.ts[j] = s.ts[j], s.ts[i]
	s.v[i], s.v[j] = s.v[j], s.v[i]
}

// pipelineError is a line that a metric query cannot count because a stage
// failed on it.
type pipelineError struct {
	kind, details string
	labels        labelSet
}

func (e *pipelineError) Error() string {
	return fmt.Sprintf("pipeline error: '%s' for series: '%s': %s.\n"+
		"Use a label filter to skip this error on purpose (e.g. | %s!=%q), or all errors (e.g. | %s=\"\"); after unwrap too.",
		e.kind, e.labels, e.details, errorLabel, e.kind, errorLabel)
}

// maxInner bounds the series inside a metric query.
const maxInner = 100_000

var errSeries = errors.New("maximum of series reached for a single query")

// collect turns the lines of a range function into samples. by groups them at
// once where that gives the same result, which keeps series few when every line
// carries an ID of its own.
func collect(ctx context.Context, a *rangeAgg, views []streamView, by *grouping, w *work) ([]*sampleSeries, error) {
	var (
		state lineState
		buf   []byte
		byKey = map[string]*sampleSeries{}
		out   []*sampleSeries
	)
	for _, view := range views {
		for _, part := range view.entries {
			for _, e := range part {
				if err := w.count(ctx, e); err != nil {
					return nil, err
				}
				state.reset(view.labels, view.key, e)
				v, ok := a.sample(&state)
				if !ok {
					continue
				}
				if state.err != "" {
					return nil, &pipelineError{state.err, state.details, state.labels()}
				}
				var labels labelSet // built when needed
				if by != nil && !by.without {
					buf = buf[:0]
					for _, name := range by.names {
						text, _ := state.get(name)
						buf = append(append(buf, text...), 0xff)
					}
				} else {
					labels = a.seriesLabels(&state, by)
					buf = appendKey(buf[:0], labels)
				}
				s := byKey[string(buf)]
				if s == nil {
					if len(out) == maxInner {
						return nil, fmt.Errorf("%w: the query makes more than %d series of its lines", errSeries, maxInner)
					}
					if labels == nil {
						labels = a.seriesLabels(&state, by)
					}
					s = &sampleSeries{labels: labels}
					byKey[string(buf)] = s
					out = append(out, s)
				}
				s.ts = append(s.ts, e.ts)
				s.v = append(s.v, v)
			}
		}
	}
	for _, s := range out {
		if !slices.IsSorted(s.ts) {
			sort.Stable(s)
		}
	}
	return out, nil
}

// sample gives what a line counts for.
func (a *rangeAgg) sample(l *lineState) (v float64, ok bool) {
	if !l.run(a.q.stages) {
		return 0, false
	}
	switch {
	case a.unwrap != nil:
		if v, ok = a.unwrap.value(l); !ok || !l.run(a.unwrap.after) {
			return 0, false
		}
		return v, true
	case a.op == "bytes_rate" || a.op == "bytes_over_time":
		return float64(len(l.entry.line)), true
	default:
		return 1, true
	}
}

// seriesLabels are the labels of the series that a line belongs to.
func (a *rangeAgg) seriesLabels(l *lineState, by *grouping) labelSet {
	labels := l.labels()
	if by != nil {
		return by.apply(labels)
	}
	if a.unwrap != nil {
		labels = labels.drop([]string{a.unwrap.label})
	}
	return labels
}

func appendKey(buf []byte, ls labelSet) []byte {
	for _, l := range ls {
		buf = append(append(buf, l.name...), 0xff)
		buf = append(append(buf, l.value...), 0xff)
	}
	return buf
}

// window applies the function to the samples of a window, of which there is at
// least one. ts are their times.
func (a *rangeAgg) apply(v []float64) float64 {
	switch a.op {
	case "rate", "bytes_rate":
		return total(v) / a.window.Seconds()
	case "count_over_time", "bytes_over_time", "sum_over_time":
		return total(v)
	case "avg_over_time":
		return total(v) / float64(len(v))
	case "min_over_time":
		return slices.Min(v)
	case "max_over_time":
		return slices.Max(v)
	case "first_over_time":
		return v[0]
	case "last_over_time":
		return v[len(v)-1]
	case "stdvar_over_time":
		return variance(v)
	case "stddev_over_time":
		return math.Sqrt(variance(v))
	default:
		return quantile(a.q01, v)
	}
}

func total(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

func variance(v []float64) (sum float64) {
	mean := total(v) / float64(len(v))
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	return sum / float64(len(v))
}

// quantile interpolates between the two nearest values.
func quantile(q float64, v []float64) float64 {
	switch {
	case math.IsNaN(q):
		return q
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	v = slices.Clone(v)
	slices.Sort(v)
	rank := q * float64(len(v)-1)
	low := int(rank)
	high := min(low+1, len(v)-1)
	return v[low] + (rank-float64(low))*(v[high]-v[low])
}

// grid is the times at which a metric query is evaluated, in nanoseconds.
type grid struct {
	start int64
	step  int64
	n     int
}

func newGrid(start, end time.Time, step time.Duration) grid {
	return grid{start.UnixNano(), step.Nanoseconds(), int(end.Sub(start)/step) + 1}
}

func (g grid) at(i int) int64 { return g.start + int64(i)*g.step }

// over slides the window of a over a series.
func (a *rangeAgg) over(s *sampleSeries, g grid) row {
	// A sum of ones or of lengths is exact as a difference of running totals.
	counting := a.unwrap == nil
	var totals []float64
	if counting {
		totals = make([]float64, len(s.v)+1)
		for i, v := range s.v {
			totals[i+1] = totals[i] + v
		}
	}
	r := row{labels: s.labels}
	lo, hi := 0, 0
	for i := range g.n {
		t := g.at(i) - a.offset.Nanoseconds()
		for hi < len(s.ts) && s.ts[hi] <= t {
			hi++
		}
		for lo < hi && s.ts[lo] <= t-a.window.Nanoseconds() {
			lo++
		}
		switch {
		case lo == hi:
		case counting:
			r.points = append(r.points, point{i, a.apply([]float64{totals[hi] - totals[lo]})})
		default:
			r.points = append(r.points, point{i, a.apply(s.v[lo:hi])})
		}
	}
	return r
}
