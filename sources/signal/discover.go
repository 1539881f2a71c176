package signal

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"rollcall/sources"
)

// exposure is what a service exposes: which metrics exist, which dialect is
// spoken, how often it is scraped. It is looked at about once a minute.
type exposure struct {
	spoken  map[string]*vocabulary // by profile, of those that were recognised
	absent  *vocabulary            // of all others
	looked  time.Time              // wall
	seen    time.Time              // the service's time then
	dialect string                 // which otel-genai to read when both exist; empty when at most one does
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

// of is the vocabulary of a profile; nothing exists in it when it was not recognised.
func (x *exposure) of(profile string) *vocabulary {
	switch {
	case x == nil:
		return newVocabulary(nil)
	case x.spoken[profile] == nil:
		return x.absent
	}
	return x.spoken[profile]
}

// profiles are those that were recognised, in the order of Profiles.
func (x *exposure) profiles() []string {
	out := []string{}
	if x == nil {
		return out
	}
	for _, p := range Profiles() {
		if x.spoken[p.Name] != nil {
			out = append(out, p.Name)
		}
	}
	return out
}

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
	fresh := &exposure{spoken: map[string]*vocabulary{}, absent: newVocabulary(nil), looked: wall, seen: e.deps.Clock.Now(), top: map[string]topBound{}}
	under := map[string][]string{}
	for _, p := range Profiles() {
		under[r.svc.scope(p.Name)] = append(under[r.svc.scope(p.Name)], p.Name)
	}
	for _, scope := range slices.Sorted(maps.Keys(under)) {
		names, err := e.deps.Prom.MetricNames(ctx, NamesMatch(scope))
		if err != nil {
			return x, err
		}
		for _, name := range Recognise(names) {
			if p, ok := profileNamed(name); ok && slices.Contains(under[scope], name) {
				fresh.spoken[name] = speaks(names, p)
			}
		}
	}
	if x != nil {
		e.mu.Lock()
		for k, v := range x.top {
			fresh.top[k] = v
		}
		e.mu.Unlock()
	}
	e.pickForms(ctx, r, fresh, x)
	if x != nil {
		for name, v := range fresh.spoken {
			if old := x.spoken[name]; old.same(v) {
				fresh.spoken[name] = old // with what it has resolved
			}
		}
		fresh.absent = x.absent
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
	old, _ := x.of(OTelGenAI).resolve(rate(otelCount, inference))
	recent, _ := x.of(OTelGenAI0).resolve(rate(otel0Count, ""))
	if old == "" || recent == "" {
		return
	}
	per := func(profile, expr string) float64 {
		s, _, err := e.deps.Prom.Query(ctx, expand(expr, r.svc.scope(profile), 3*defaultWindow, ""), r.now)
		if err != nil || len(s) == 0 || len(s[0].Points) == 0 || math.IsNaN(s[0].Points[0].V) {
			return 0
		}
		return s[0].Points[0].V
	}
	a, b := per(OTelGenAI, old), per(OTelGenAI0, recent)
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
	for _, p := range Profiles() {
		if p.Pulse == "" {
			continue
		}
		expr, missing := x.of(p.Name).resolve(`max(count_over_time(` + p.Pulse + `{$scope}[` + promDuration(scrapeProbe) + `]))`)
		if missing != "" {
			continue
		}
		s, _, err := e.deps.Prom.Query(ctx, expand(expr, r.svc.scope(p.Name), 0, ""), r.now)
		if err == nil && len(s) > 0 && len(s[0].Points) > 0 {
			if n := s[0].Points[0].V; n >= 2 {
				// What is scraped most rarely decides: one window serves all of a service.
				x.scrape = max(x.scrape, (scrapeProbe / time.Duration(n)).Round(time.Second))
			}
		}
	}
}

// holds tells whether a profile was recognised and may be read.
func (x *exposure) holds(profile string) bool {
	if x == nil || x.spoken[profile] == nil {
		return false
	}
	return x.dialect == "" || profile != OTelGenAI && profile != OTelGenAI0 || profile == x.dialect
}
