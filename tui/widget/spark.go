package widget

import (
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// Scale is the range of values that a sparkline or a chart spans.
type Scale struct{ Lo, Hi float64 }

// ScaleOf chooses a scale on which a quiet signal looks quiet: counted from
// zero up to at least the first threshold when higher is worse; from the bad
// threshold up when lower is worse. Noise is never blown up to fill the height.
func ScaleOf(r *sources.Reading) Scale {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, p := range r.History {
		if !math.IsNaN(p.V) && !math.IsInf(p.V, 0) {
			lo, hi = min(lo, p.V), max(hi, p.V)
		}
	}
	if lo > hi {
		return Scale{0, 1}
	}
	top := hi
	if r.Direction == sources.LowerWorse {
		floor := 0.0
		if r.Threshold != nil {
			for _, t := range []float64{r.Threshold.Watch, r.Threshold.Bad} {
				if !math.IsNaN(t) {
					floor = t
				}
			}
		}
		base := min(lo, floor)
		if base < floor {
			base -= (top - base) * .1
		}
		if r.Unit == sources.Ratio || r.Unit == sources.Score || lo >= 0 {
			base = max(0, base)
		}
		if r.Threshold == nil {
			top *= 1.25
		}
		return Scale{base, max(top, base+1e-9)}
	}
	watch := math.NaN()
	if r.Threshold != nil {
		watch = r.Threshold.Watch
	}
	switch {
	case watch > 0 && (watch < 5*top || top <= 0):
		top = max(top, watch)
	case top <= 0:
		top = 1
		if r.Unit == sources.Ratio {
			top = .01
		}
	default:
		top *= 1.25
	}
	return Scale{min(0, lo), max(top, min(0, lo)+1e-9)}
}

// pages is how often a picture moves on while its span passes once: on a slow
// link every move sends the whole picture again, and standing still leaves at
// most this part of it blank at the right.
const pages = 16

// Align moves a span of time forward to whole columns of w, a page of them at
// once, so that what was drawn in a column stays in it and only the newest
// columns change until the picture moves on.
func Align(start, end time.Time, w int) (time.Time, time.Time) {
	span := end.Sub(start)
	if w <= 0 || span < time.Duration(w) {
		return start, end
	}
	page := span / time.Duration(w) * time.Duration(max(1, w/pages))
	if over := time.Duration(end.UnixNano() % int64(page)); over > 0 {
		end = end.Add(page - over)
	}
	return end.Add(-span), end
}

// Bucket resamples points to n values, each the mean of its span of time
// between start and end; NaN where there is none.
func Bucket(points []sources.Point, start, end time.Time, n int) []float64 {
	out := make([]float64, n)
	count := make([]int, n)
	span := end.Sub(start)
	if n == 0 || span <= 0 {
		return out
	}
	for _, p := range points {
		if p.T.Before(start) || p.T.After(end) || math.IsNaN(p.V) || math.IsInf(p.V, 0) {
			continue
		}
		i := min(n-1, int(float64(p.T.Sub(start))/float64(span)*float64(n)))
		out[i] += p.V
		count[i]++
	}
	for i := range out {
		if count[i] == 0 {
			out[i] = math.NaN()
		} else {
			out[i] /= float64(count[i])
		}
	}
	bridge(out, points, start, end)
	return out
}

// bridge fills the columns between two points that are neighbours at the pace at
// which the points around them come, so that a step wider than a column is no
// gap. The pace may change within one series: a coarse past with a fine end.
func bridge(v []float64, points []sources.Point, start, end time.Time) {
	for i := 1; i < len(points); i++ {
		from, ok1 := Column(points[i-1].T, start, end, len(v))
		to, ok2 := Column(points[i].T, start, end, len(v))
		if !ok1 || !ok2 || to-from < 2 || math.IsNaN(v[from]) || math.IsNaN(v[to]) {
			continue
		}
		if 2*points[i].T.Sub(points[i-1].T) > 3*pace(points, i) {
			continue
		}
		for k := from + 1; k < to; k++ {
			v[k] = v[from] + (v[to]-v[from])*float64(k-from)/float64(to-from)
		}
	}
}

// pace is the usual distance of the points around the interval that ends at i:
// the upper median of the two intervals before it and the two after it.
func pace(points []sources.Point, i int) time.Duration {
	var around []time.Duration
	for _, k := range []int{i - 2, i - 1, i + 1, i + 2} {
		if k >= 1 && k < len(points) {
			around = append(around, points[k].T.Sub(points[k-1].T))
		}
	}
	if len(around) == 0 {
		return points[i].T.Sub(points[i-1].T)
	}
	slices.Sort(around)
	return around[len(around)/2]
}

// Spark draws points as one line of w columns; gaps are blank. The highest level
// stays below the line above, so that the rows of a list do not grow together.
func Spark(points []sources.Point, start, end time.Time, w int, s Scale, levels []rune) string {
	if len(levels) == 8 {
		levels = levels[:7]
	}
	var b strings.Builder
	for _, v := range Bucket(points, start, end, max(0, w)) {
		if math.IsNaN(v) {
			b.WriteByte(' ')
			continue
		}
		f := (v - s.Lo) / (s.Hi - s.Lo)
		i := int(math.Round(f * float64(len(levels)-1)))
		b.WriteRune(levels[max(0, min(len(levels)-1, i))])
	}
	return b.String()
}

// Column tells in which of w columns a time falls, and whether it falls in any.
func Column(t, start, end time.Time, w int) (int, bool) {
	if t.Before(start) || t.After(end) || !end.After(start) || w <= 0 {
		return 0, false
	}
	return min(w-1, int(float64(t.Sub(start))/float64(end.Sub(start))*float64(w))), true
}
