package signal

import (
	"cmp"
	"context"
	"math"
	"regexp"
	"strconv"
	"time"
)

var quantileOf = regexp.MustCompile(`histogram_quantile\(([0-9.]+),`)

// beyond tells whether a quantile lies above every bound of its histogram: its value is
// then the top bound, and the truth is at least that.
func (r *run) beyond(ctx context.Context, src *Source, v float64, at time.Time, window time.Duration) bool {
	v *= cmp.Or(src.Per, 1)
	names := metrics(src.Bucket)
	if len(names) == 1 {
		if f, ok := r.seen.of(src.Profile).read(names[0]); ok && f.native {
			return r.above(ctx, src, v, at, window)
		}
	}
	return v >= r.topBucket(ctx, src)
}

// above asks a native histogram whether more lies above a value than its quantile leaves
// there. Only one with bounds of its own making can say so: its last bucket has no end.
func (r *run) above(ctx context.Context, src *Source, v float64, at time.Time, window time.Duration) bool {
	m := quantileOf.FindStringSubmatch(src.Query)
	if m == nil {
		return false
	}
	q, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return false
	}
	expr, missing := r.seen.of(src.Profile).resolve(shareAbove(strconv.FormatFloat(v, 'g', -1, 64), src.Bucket))
	if missing != "" {
		return false
	}
	series, _, err := r.e.deps.Prom.Query(ctx, expand(expr, r.svc.scope(src.Profile), window, ""), at)
	if err != nil || len(series) == 0 || len(series[0].Points) == 0 {
		return false
	}
	const slack = 1e-6 // of what is interpolated
	return series[0].Points[0].V > 1-q+slack
}

// shareAbove is the share of a native histogram's events that lies above a value.
func shareAbove(v, bucket string) string {
	return `histogram_fraction(` + v + `, +Inf, sum(rate(` + bucket + `[$window])))`
}

// topBucket returns the largest finite bound of a source's classic histogram, or NaN.
func (r *run) topBucket(ctx context.Context, src *Source) float64 {
	bucket := src.Bucket
	wall := r.e.deps.Clock.Wall()
	r.e.mu.Lock()
	b, ok := r.seen.top[bucket]
	r.e.mu.Unlock()
	if ok && wall.Sub(b.looked) < boundsEvery {
		return b.le
	}
	expr, missing := r.seen.of(src.Profile).resolve(bounds(bucket))
	if missing != "" {
		return math.NaN()
	}
	series, _, err := r.e.deps.Prom.Query(ctx, expand(expr, r.svc.scope(src.Profile), r.window, ""), r.now)
	if err != nil {
		return math.NaN()
	}
	top := math.NaN()
	for _, s := range series {
		if le, err := strconv.ParseFloat(s.Labels["le"], 64); err == nil && !math.IsInf(le, 0) && (math.IsNaN(top) || le > top) {
			top = le
		}
	}
	r.e.mu.Lock()
	r.seen.top[bucket] = topBound{top, wall}
	r.e.mu.Unlock()
	return top
}
