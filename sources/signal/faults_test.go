package signal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/faultproxy"
	"rollcall/sources/prom"
)

// onePercent is a Prometheus in which schema failures, and nothing else, are known: one in a hundred.
func onePercent(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(data any) { _ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data}) }
	num := func(name string) float64 { v, _ := strconv.ParseFloat(r.FormValue(name), 64); return v }
	value := "0.01"
	if !strings.Contains(r.FormValue("query"), "or 0 *") {
		value = fmt.Sprint(1000.0 / 300)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/values"):
		answer([]string{"llmops_validation_total"})
	case strings.HasSuffix(r.URL.Path, "/query"):
		answer(map[string]any{"resultType": "vector", "result": []any{map[string]any{"metric": map[string]string{}, "value": []any{num("time"), value}}}})
	default:
		var points [][]any
		for at := num("start"); at <= num("end"); at += num("step") {
			points = append(points, []any{at, value})
		}
		answer(map[string]any{"resultType": "matrix", "result": []any{map[string]any{"metric": map[string]string{}, "values": points}}})
	}
}

func TestNoOldNumberLooksFreshWhateverIsWrongWithTheMetrics(t *testing.T) {
	for _, tc := range []struct {
		fault faultproxy.Fault
		says  string
		tls   bool
	}{
		{faultproxy.Refused(), "connection refused", false},
		{faultproxy.Down(), "connection ended", false},
		{faultproxy.Hanging(), "no answer within", false},
		{faultproxy.Slow(), "no answer within", false},
		{faultproxy.CutShort(), "middle of the answer", false},
		{faultproxy.Plain(), "not JSON", false},
		{faultproxy.Page(), "web page", false},
		{faultproxy.Status(500, "out of memory"), "server error: 500", false},
		{faultproxy.Status(403, "wrong tenant"), "X-Scope-OrgID", false},
		{faultproxy.Status(429, "slow down", "Retry-After", "120"), "429 Too Many Requests, it is asked again at", false},
		{faultproxy.Gigabyte(`{"status":"success","data":{"resultType":"vector","result":[`), "larger than max_body", false},
		{faultproxy.Expired(), "certificate not valid", true},
	} {
		t.Run(tc.fault.Name, func(t *testing.T) {
			t.Parallel()
			start := faultproxy.New
			if tc.tls {
				start = faultproxy.NewTLS
			}
			p := start(t, http.HandlerFunc(onePercent))
			clock := &faultproxy.Clock{}
			cfg := prom.Config{URL: p.URL, Timeout: sources.Duration(time.Minute), MaxBody: 1 << 20}
			if tc.fault.Silent() {
				cfg.Timeout = sources.Duration(time.Second)
			}
			cfg.HTTP.TLSConfig.CAFile = p.CA
			c, err := prom.New(cfg, prom.Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			rows := everyBucket(sources.RequestBucket{N: 1000, Schema: [2]int{980, 20}})
			alone := evaluator(t, Deps{Prom: c, Clock: clock}, Service{})
			beside := evaluator(t, Deps{Prom: c, Clock: clock, Rows: rows}, Service{})
			fresh := func() {
				t.Helper()
				for deadline := time.Now().Add(60 * time.Second); ; clock.Pass(15 * time.Second) {
					r := reading(t, snapshot(t, alone), "schema_fail")
					if r.Known && r.Value == 0.01 && r.Facts.Stale == "" && r.Verdict != sources.Unreachable && clock.Now().Sub(r.Facts.At) < time.Minute {
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("the metrics are well and the reading is %+v", r)
					}
				}
			}
			fresh()

			p.Set(tc.fault)
			clock.Pass(3 * time.Minute)
			r := reading(t, snapshot(t, alone), "schema_fail")
			if !r.Known || r.Value != 0.01 || r.Verdict != sources.Unreachable || !strings.HasPrefix(r.Facts.Stale, "3m old: ") || !strings.Contains(r.Facts.Stale, tc.says) {
				t.Errorf("with the fault: %v %v %s, stale %q", r.Known, r.Value, r.Verdict, r.Facts.Stale)
			}
			r = reading(t, snapshot(t, beside), "schema_fail")
			if r.Value != 0.02 || r.Provenance.Provider != "requests" || !contains(r.Facts.Warnings, tc.says) {
				t.Errorf("the rows answer %v from %+v, warnings %q", r.Value, r.Provenance, r.Facts.Warnings)
			}

			p.Heal()
			clock.Pass(3 * time.Minute)
			fresh()
		})
	}
}

func TestTheReadingSaysThatTheClockOfTheMetricsIsOff(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(onePercent))
	p.Set(faultproxy.ClockOff(-10 * time.Minute))
	clock := &faultproxy.Clock{}
	c, err := prom.New(prom.Config{URL: p.URL}, prom.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: c, Clock: clock}, Service{})), "schema_fail")
	if (r.Facts.Skew + 10*time.Minute).Abs() > time.Minute {
		t.Errorf("skew %s", r.Facts.Skew)
	}
}

// gate holds the first queries of a refresh until every worker has sent one.
type gate struct {
	*metricsFake
	mu    sync.Mutex
	first []string
	open  chan struct{}
}

func (g *gate) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	g.mu.Lock()
	if len(g.first) < workers {
		if g.first = append(g.first, expr); len(g.first) == workers {
			close(g.open)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, sources.Facts{}, ctx.Err()
	}
	return g.metricsFake.Range(ctx, expr, start, end, step)
}

func TestTheQueriesOfTheVisiblePaneAreSentFirst(t *testing.T) {
	for pane, metric := range map[sources.Pane]string{sources.SafetyPane: "llmops_filter_total", sources.QualityPane: "llmops_validation_total"} {
		p := exposing("llmops_validation_total", "llmops_requests_total", "llmops_filter_total", "llmops_cost_usd_total").value(`.`, flat(0.01))
		g := &gate{metricsFake: p, open: make(chan struct{})}
		if _, err := evaluator(t, Deps{Prom: g}, Service{}).Snapshot(t.Context(), "s", view, pane); err != nil {
			t.Fatal(err)
		}
		if !contains(g.first, metric) {
			t.Errorf("with %s in sight the first queries are %q", pane, g.first)
		}
	}
}
