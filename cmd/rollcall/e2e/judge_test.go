package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/prom"
	"rollcall/sources/signal"
)

// evaluator judges the drill's service as the console does, from its metrics.
func (d *drill) evaluator(t testing.TB, clock sources.Clock, c signal.Prom) (e *signal.Evaluator, service string) {
	t.Helper()
	cfg, err := config.Load(d.Config, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	service = cfg.Names()[0]
	own := cfg.Services[service].Service
	deps := signal.Deps{Prom: c, Clock: clock, Prices: cfg.Prices, Changes: manifest.New(c, nil, map[string]string{service: own.Scope})}
	e, err = signal.NewEvaluator(deps, map[string]signal.Service{service: own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e, service
}

// walk judges the service at each moment of a stretch of time before now, with
// everything that was known then, and counts what was not well by signal.
func walk(t testing.TB, e *signal.Evaluator, service string, since, until time.Time, step time.Duration) (found map[sources.Verdict]map[string][]string, learned int) {
	t.Helper()
	found = map[sources.Verdict]map[string][]string{sources.Bad: {}, sources.Watch: {}}
	for at := since; !at.After(until); at = at.Add(step) {
		view := sources.View{At: at, Range: 30 * time.Minute, Columns: 30}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := e.Warm(ctx, service, view); err != nil {
			t.Fatal(err)
		}
		s, err := e.Snapshot(ctx, service, view, "")
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Readings {
			if r.Verdict == sources.Bad || r.Verdict == sources.Watch {
				found[r.Verdict][r.Signal] = append(found[r.Verdict][r.Signal], at.Format("15:04 ")+r.Why)
			}
			if r.Judgement != nil && r.Judgement.Usual != nil {
				learned++
			}
		}
	}
	return found, learned
}

func told(m map[string][]string) string {
	var b strings.Builder
	for id, list := range m {
		fmt.Fprintf(&b, "\n  %s: %s", id, strings.Join(slices.Compact(list), "; "))
	}
	return b.String()
}

// Twelve hours of a service with which nothing is wrong, looked at three times an hour:
// more than a thousand verdicts against its history, and none of them bad.
func TestNothingIsBadWhileNothingIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a drill")
	}
	d := startHeadless(t, binaries(t), "quiet")
	c, now := promClient(t, d)
	e, service := d.evaluator(t, d.clock(t), c)
	found, learned := walk(t, e, service, now.Add(-12*time.Hour), now, 20*time.Minute)
	t.Logf("%d verdicts against history; to watch:%s", learned, told(found[sources.Watch]))
	if learned < 1000 {
		t.Errorf("only %d verdicts rest on history", learned)
	}
	if len(found[sources.Bad]) > 0 {
		t.Errorf("bad while nothing is wrong:%s", told(found[sources.Bad]))
	}
	watched := 0
	for _, list := range found[sources.Watch] {
		watched += len(list)
	}
	if watched > learned/200 {
		t.Errorf("%d of %d verdicts are to watch:%s", watched, learned, told(found[sources.Watch]))
	}
}

// counting asks as the client does, and counts the samples that the engine touches
// for what a view of an hour never asks: weeks of history, in the background.
type counting struct {
	*prom.Client
	url string

	mu   sync.Mutex
	read map[string]*background
}

type background struct{ samples, queries int }

// behind names what a step of so long is asked for.
func behind(step time.Duration) string {
	switch {
	case step >= 24*time.Hour:
		return "what is usual"
	case step >= time.Hour:
		return "spend by the hour"
	case step >= 30*time.Minute:
		return "deploys"
	}
	return ""
}

func (c *counting) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	if what := behind(step); what != "" {
		n, err := touched(ctx, c.url, expr, start, end, step)
		if err != nil {
			return nil, sources.Facts{}, err
		}
		c.mu.Lock()
		if c.read[what] == nil {
			c.read[what] = &background{}
		}
		c.read[what].samples += n
		c.read[what].queries++
		c.mu.Unlock()
	}
	return c.Client.Range(ctx, expr, start, end, step)
}

// touched is how many samples a range query reads, by the engine's own count.
func touched(ctx context.Context, base, expr string, start, end time.Time, step time.Duration) (int, error) {
	q := url.Values{
		"query": {expr}, "start": {start.UTC().Format(time.RFC3339)}, "end": {end.UTC().Format(time.RFC3339)},
		"step": {fmt.Sprintf("%.0f", step.Seconds())}, "stats": {"all"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/query_range?"+q.Encode(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var body struct {
		Error string
		Data  struct {
			Stats struct {
				Samples struct{ TotalQueryableSamples int }
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return 0, err
	}
	if body.Error != "" {
		return 0, fmt.Errorf("%s: %s", expr, body.Error)
	}
	return body.Data.Stats.Samples.TotalQueryableSamples, nil
}

// All the history that a cold console reads in the background costs a Prometheus less than
// a dashboard of the same panels over one day, at a point every ten minutes.
func TestABaselineOfAllSignalsCostsLessThanADashboard(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a drill")
	}
	baselineCost(t, startHeadless(t, binaries(t), "quiet"))
}

func baselineCost(t testing.TB, d *drill) {
	t.Helper()
	c, now := promClient(t, d)
	counted := &counting{Client: c, url: d.Prometheus, read: map[string]*background{}}
	e, service := d.evaluator(t, d.clock(t), counted)
	view := sources.View{At: now, Range: time.Hour, Columns: 60}
	if err := e.Warm(t.Context(), service, view); err != nil {
		t.Fatal(err)
	}
	s, err := e.Snapshot(t.Context(), service, view, "")
	if err != nil {
		t.Fatal(err)
	}
	dashboard, panels := 0, 0
	const day = 24 * time.Hour
	step := signal.Step(sources.View{Range: day, Columns: 120})
	for _, r := range s.Readings {
		if r.Provenance.Provider != "prometheus" || r.Provenance.Query == "" {
			continue
		}
		n, err := touched(t.Context(), d.Prometheus, r.Provenance.Query, now.Add(-day), now, step)
		if err != nil {
			continue // computed from two answers: no one query
		}
		dashboard, panels = dashboard+n, panels+1
	}
	var all background
	for what, b := range counted.read {
		t.Logf("%s: %d samples in %d queries", what, b.samples, b.queries)
		all.samples, all.queries = all.samples+b.samples, all.queries+b.queries
	}
	t.Logf("in the background: %d samples in %d queries; a dashboard of %d panels over 24 h at %s: %d samples", all.samples, all.queries, panels, step, dashboard)
	if len(counted.read) != 3 || all.samples >= dashboard {
		t.Errorf("the background touches %d samples for %d things, a dashboard %d", all.samples, len(counted.read), dashboard)
	}
}
