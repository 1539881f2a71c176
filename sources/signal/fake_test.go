package signal

import (
	"context"
	"errors"
	"math"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
)

var t0 = time.Date(2026, 3, 4, 14, 30, 0, 0, time.UTC)

func minutes(m float64) time.Time { return t0.Add(time.Duration(m * float64(time.Minute))) }

// clock stands still unless a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}
func (c *clock) Wall() time.Time                      { return c.Now() }
func (c *clock) ToWall(d time.Duration) time.Duration { return d }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// curve is a value over time; NaN is a gap.
type curve func(time.Time) float64

func flat(v float64) curve { return func(time.Time) float64 { return v } }

// step is one value before a time and another from then on.
func step(at time.Time, before, after float64) curve {
	return func(t time.Time) float64 {
		if t.Before(at) {
			return before
		}
		return after
	}
}

type fakeSeries struct {
	labels map[string]string
	value  curve
}

// metricsFake answers expressions by a piece of their text; the first rule that
// fits wins. It is no PromQL engine: it lets a test say what each query finds.
type metricsFake struct {
	mu     sync.Mutex
	names  []string
	rules  []rule
	fail   error
	asked  []string
	ranges int
	hang   chan struct{} // when set, range queries of baselines wait here
}

type rule struct {
	match  *regexp.Regexp
	series []fakeSeries
	fail   error
}

func (f *metricsFake) on(pattern string, series ...fakeSeries) *metricsFake {
	f.rules = append(f.rules, rule{match: regexp.MustCompile(pattern), series: series})
	return f
}

func (f *metricsFake) value(pattern string, c curve) *metricsFake {
	return f.on(pattern, fakeSeries{value: c})
}

func (f *metricsFake) setFail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *metricsFake) find(expr string) ([]fakeSeries, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, expr)
	if f.fail != nil {
		return nil, f.fail
	}
	for _, r := range f.rules {
		if r.match.MatchString(expr) {
			return r.series, r.fail
		}
	}
	return nil, nil
}

func (f *metricsFake) Query(_ context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error) {
	found, err := f.find(expr)
	if err != nil {
		return nil, sources.Facts{}, err
	}
	var out []sources.Series
	for _, s := range found {
		if v := s.value(at); !math.IsInf(v, -1) {
			out = append(out, sources.Series{Labels: s.labels, Points: []sources.Point{{T: at, V: v}}})
		}
	}
	return out, sources.Facts{Source: "prometheus", At: at}, nil
}

// Range leaves out what a curve calls minus infinity (absent), and keeps NaN.
func (f *metricsFake) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	f.mu.Lock()
	f.ranges++
	hang := f.hang
	f.mu.Unlock()
	if step >= 24*time.Hour && hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, sources.Facts{}, ctx.Err()
		}
	}
	found, err := f.find(expr)
	if err != nil {
		return nil, sources.Facts{}, err
	}
	var out []sources.Series
	for _, s := range found {
		x := sources.Series{Labels: s.labels}
		for t := start; !t.After(end); t = t.Add(step) {
			if v := s.value(t); !math.IsInf(v, -1) {
				x.Points = append(x.Points, sources.Point{T: t, V: v})
			}
		}
		if len(x.Points) > 0 {
			out = append(out, x)
		}
	}
	return out, sources.Facts{Source: "prometheus", At: end}, nil
}

func (f *metricsFake) MetricNames(context.Context, string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names, f.fail
}

var absent = math.Inf(-1)

// exposing lets the metrics exist.
func exposing(names ...string) *metricsFake { return &metricsFake{names: names} }

// validation exposes schema failures as a ratio, with a thousand validations behind it.
func validation(ratio curve) *metricsFake {
	return exposing("llmops_validation_total").
		value(`or 0 \* .*llmops_validation_total`, ratio).
		value(`^sum .*result="fail"`, func(t time.Time) float64 { return ratio(t) * 1000 / 300 }).
		value(`llmops_validation_total`, flat(1000.0/300))
}

func evaluator(t testing.TB, deps Deps, cfg Service) *Evaluator {
	t.Helper()
	if deps.Clock == nil {
		deps.Clock = &clock{now: t0}
	}
	if cfg.Scope == "" {
		cfg.Scope = `job="a"`
	}
	e, err := NewEvaluator(deps, map[string]Service{"s": cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

var view = sources.View{Range: time.Hour, Columns: 120}

func snapshot(t testing.TB, e *Evaluator) *Snapshot {
	t.Helper()
	s, err := e.Snapshot(t.Context(), "s", view, sources.QualityPane)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// warm returns a snapshot that knows what is usual.
func warm(t testing.TB, e *Evaluator) *Snapshot {
	t.Helper()
	if err := e.Warm(t.Context(), "s", view); err != nil {
		t.Fatal(err)
	}
	return snapshot(t, e)
}

func reading(t testing.TB, s *Snapshot, id string) sources.Reading {
	t.Helper()
	r, ok := s.Reading(id)
	if !ok {
		t.Fatalf("no reading of %s", id)
	}
	return r
}

// refused is an error about the question, not the source.
type refused struct{}

func (refused) Error() string     { return "query rejected: parse error; check the query" }
func (refused) Unreachable() bool { return false }

var errDown = errors.New("prometheus http://127.0.0.1:9090: connection refused; is it running?")

type rowsFake struct {
	buckets func(since, until time.Time, step time.Duration, by sources.Component) []sources.RequestBucket
	fail    error
	sampled bool
	asked   atomic.Int32
}

func (f *rowsFake) Buckets(_ context.Context, _ string, since, until time.Time, step time.Duration, by sources.Component) ([]sources.RequestBucket, sources.Facts, error) {
	f.asked.Add(1)
	if f.fail != nil {
		return nil, sources.Facts{}, f.fail
	}
	return f.buckets(since, until, step, by), sources.Facts{Source: "traces", Sampled: f.sampled}, nil
}

// everyBucket fills the same bucket into every span of time.
func everyBucket(b sources.RequestBucket) *rowsFake {
	return &rowsFake{buckets: func(since, until time.Time, step time.Duration, by sources.Component) []sources.RequestBucket {
		var out []sources.RequestBucket
		for t := since; t.Before(until); t = t.Add(step) {
			x := b
			x.Start = t
			if by == "" {
				out = append(out, x)
				continue
			}
			for _, g := range []string{"v13", "v14"} {
				x.Group = g
				out = append(out, x)
			}
		}
		return out
	}}
}

type changesFake struct {
	timeline manifest.Timeline
	fail     error
}

func (c changesFake) Read(context.Context, string, time.Time, time.Time, time.Duration) (manifest.Timeline, error) {
	return c.timeline, c.fail
}

func promptChange(at time.Time) sources.Change {
	return sources.Change{At: at, Component: sources.Prompt, From: "v13", To: "v14", Source: "prometheus"}
}

func contains(list []string, part string) bool {
	for _, s := range list {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

func mustMatch(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }
