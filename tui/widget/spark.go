package widget

import (
	"math"
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
	return bridge(out, points, span, n)
}

// bridge fills the columns between two points of the source's own step, which
// are no gaps when the step is wider than a column.
func bridge(v []float64, points []sources.Point, span time.Duration, n int) []float64 {
	if len(points) < 2 {
		return v
	}
	step := points[1].T.Sub(points[0].T)
	for i := 2; i < len(points); i++ {
		step = min(step, points[i].T.Sub(points[i-1].T))
	}
	reach := int(math.Ceil(float64(step) / float64(span) * float64(n)))
	last := -1
	for i := range v {
		if math.IsNaN(v[i]) {
			continue
		}
		if last >= 0 && i-last > 1 && i-last <= reach+1 {
			for k := last + 1; k < i; k++ {
				v[k] = v[last] + (v[i]-v[last])*float64(k-last)/float64(i-last)
			}
		}
		last = i
	}
	return v
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
