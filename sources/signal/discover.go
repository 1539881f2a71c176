package signal

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"rollcall/sources"
)

// exposure is what a service exposes: which metrics exist, which dialect is
// spoken, how often it is scraped. It is looked at about once a minute.
type exposure struct {
	names   map[string]bool
	looked  time.Time // wall
	seen    time.Time // the service's time then
	dialect string    // which otel-genai to read when both exist; empty when at most one does
	warning string
	scrape  time.Duration
	top     map[string]topBound
}

type topBound struct {
	le     float64
	looked time.Time
}

const (
	lookEvery    = time.Minute
	lookAtMost   = 10 * time.Second // of wall time, however fast the service's time runs
	boundsEvery  = 10 * time.Minute
	scrapeProbe  = 10 * time.Minute
	scrapesInOne = 4
)

// recent tells whether another look can wait.
func (x *exposure) recent(wall, now time.Time) bool {
	passed := wall.Sub(x.looked)
	if passed < 0 || passed >= lookEvery {
		return false
	}
	return passed < lookAtMost || now.Sub(x.seen) < lookEvery
}

// has tells whether a metric exists.
func (x *exposure) has(name string) bool { return x != nil && x.names[name] }

// window is the shortest that holds enough scrapes for a rate.
func (x *exposure) window() time.Duration {
	if x == nil || x.scrape <= 0 {
		return 0
	}
	w := scrapesInOne * x.scrape
	if rest := w % time.Minute; rest > 0 {
		w += time.Minute - rest
	}
	return min(w, maxWindow)
}

// discover looks at what the service exposes. When the source does not answer,
// what was seen before is returned beside the error.
func (e *Evaluator) discover(ctx context.Context, r *run) (*exposure, error) {
	wall := e.deps.Clock.Wall()
	e.mu.Lock()
	x := e.exposed[r.svc.name]
	e.mu.Unlock()
	if x != nil && x.recent(wall, r.e.deps.Clock.Now()) {
		return x, nil
	}
	match := `{__name__=~"llmops_.+|gen_ai_.+"`
	if r.svc.Scope != "" {
		match += "," + r.svc.Scope
	}
	names, err := e.deps.Prom.MetricNames(ctx, match+"}")
	if err != nil {
		return x, err
	}
	fresh := &exposure{names: make(map[string]bool, len(names)), looked: wall, seen: e.deps.Clock.Now(), top: map[string]topBound{}}
	for _, n := range names {
		fresh.names[n] = true
	}
	if x != nil {
		e.mu.Lock()
		for k, v := range x.top {
			fresh.top[k] = v
		}
		e.mu.Unlock()
	}
	e.pickDialect(ctx, r, fresh)
	e.measureScrape(ctx, r, fresh)
	if err := ctx.Err(); err != nil {
		return x, err
	}
	e.mu.Lock()
	e.exposed[r.svc.name] = fresh
	e.mu.Unlock()
	return fresh, nil
}

// pickDialect chooses one of two dialects when a service speaks both: the one
// that carries more, the newer one when they carry the same. Adding them would
// count a call that is instrumented twice two times.
func (e *Evaluator) pickDialect(ctx context.Context, r *run, x *exposure) {
	old, _ := resolve(rate(otelCount, inference), x.has)
	recent, _ := resolve(rate(otel0Count, ""), x.has)
	if old == "" || recent == "" {
		return
	}
	per := func(expr string) float64 {
		s, _, err := e.deps.Prom.Query(ctx, expand(expr, r.svc.Scope, 3*defaultWindow, ""), r.now)
		if err != nil || len(s) == 0 || len(s[0].Points) == 0 || math.IsNaN(s[0].Points[0].V) {
			return 0
		}
		return s[0].Points[0].V
	}
	a, b := per(old), per(recent)
	x.dialect = OTelGenAI0
	left, kept, other := a, b, OTelGenAI
	if a > 1.01*b {
		x.dialect, left, kept, other = OTelGenAI, b, a, OTelGenAI0
	}
	x.warning = fmt.Sprintf("two dialects of otel-genai: read %s (%s), left out %s (%s); they are never added",
		x.dialect, format(kept, sources.PerSecond), other, format(left, sources.PerSecond))
}

// measureScrape counts the samples of a metric that always moves.
func (e *Evaluator) measureScrape(ctx context.Context, r *run, x *exposure) {
	for _, name := range []string{"llmops_requests_total", otelCount, otel0Count} {
		if !x.has(name) {
			continue
		}
		s, _, err := e.deps.Prom.Query(ctx, expand(`max(count_over_time(`+name+`{$scope}[`+promDuration(scrapeProbe)+`]))`, r.svc.Scope, 0, ""), r.now)
		if err == nil && len(s) > 0 && len(s[0].Points) > 0 {
			if n := s[0].Points[0].V; n >= 2 {
				x.scrape = (scrapeProbe / time.Duration(n)).Round(time.Second)
			}
		}
		return
	}
}

// holds tells whether a profile may be read.
func (x *exposure) holds(profile string) bool {
	if x.dialect == "" || profile != OTelGenAI && profile != OTelGenAI0 {
		return true
	}
	return profile == x.dialect
}

// topBucket returns the largest finite bound of a histogram, or NaN.
func (r *run) topBucket(ctx context.Context, bucket string) float64 {
	wall := r.e.deps.Clock.Wall()
	r.e.mu.Lock()
	b, ok := r.seen.top[bucket]
	r.e.mu.Unlock()
	if ok && wall.Sub(b.looked) < boundsEvery {
		return b.le
	}
	expr, missing := resolve(bounds(bucket), r.seen.has)
	if missing != "" {
		return math.NaN()
	}
	series, _, err := r.e.deps.Prom.Query(ctx, expand(expr, r.svc.Scope, r.window, ""), r.now)
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
