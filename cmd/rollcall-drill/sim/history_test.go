package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

func TestHistoryHasFewSeriesAndOnlyGrows(t *testing.T) {
	w := newWorld(t, "prompt-regression", 1, 0)
	h := sim.NewHistory(w.Engine, time.Hour)
	last, seen := map[*sim.Metric]float64{}, map[string]bool{}
	for at := start.AddDate(0, 0, -16); at.Before(start); at = at.Add(time.Hour) {
		h.Fill(at, func(m *sim.Metric, v float64) {
			if !m.Gauge && v < last[m] {
				t.Fatalf("%s fell from %g to %g at %s", key(m), last[m], v, at)
			}
			last[m] = v
			seen[key(m)] = true
		})
	}
	if len(seen) > 500 || len(last) != len(seen) {
		t.Errorf("history has %d series, %d handles; want at most 500 and one handle each", len(seen), len(last))
	}
	for _, want := range []string{"prompt=v13", "tools=t4", "policy=p7"} {
		found := false
		for k := range seen {
			found = found || strings.HasPrefix(k, "llmops_deployment_info") && strings.Contains(k, want)
		}
		if !found {
			t.Errorf("no deployment info of the past names %s", want)
		}
	}
}

// History and live part come from one model; a console that learns what is usual
// from the one must find the other usual.
func TestHistoryAndLivePartAgree(t *testing.T) {
	w := newWorld(t, "quiet", 9, 0)
	h := sim.NewHistory(w.Engine, time.Minute)
	read := func(fill func(see func(*sim.Metric, float64))) map[string]float64 {
		out := map[string]float64{}
		fill(func(m *sim.Metric, v float64) { out[key(m)] = v })
		return out
	}
	var before, after map[string]float64
	for at := start.Add(-6 * time.Hour); at.Before(start.Add(-time.Minute)); at = at.Add(time.Minute) {
		after = read(func(see func(*sim.Metric, float64)) { h.Fill(at, see) })
		if before == nil {
			before = after
		}
	}
	lived := w.counters()
	w.live(30 * time.Minute)
	now := w.counters()
	for _, c := range []struct {
		what        string
		part, whole []string
		tolerance   float64
	}{
		{"errors", []string{"llmops_requests_total{", "outcome=error"}, requests, 0.5},
		{"schema failures", fails, validations, 0.3},
		{"thumbs up", []string{"llmops_feedback_total{", "verdict=up"}, []string{"llmops_feedback_total{"}, 0.06},
		{"cost per request", []string{"llmops_cost_usd_total{"}, requests, 0.08},
		{"mean latency", []string{"llmops_request_seconds_sum"}, []string{"llmops_request_seconds_count"}, 0.12},
		{"slow requests", []string{"llmops_request_seconds_bucket", "le=4,"}, []string{"llmops_request_seconds_count"}, 0.06},
		{"mean score", []string{"llmops_eval_score_sum"}, []string{"llmops_eval_score_count"}, 0.02},
		{"retrieval misses", []string{"llmops_retrieval_total{", "hit=false"}, []string{"llmops_retrieval_total{"}, 0.2},
		{"exact cache hits", []string{"llmops_cache_total{", "kind=exact", "result=hit"}, []string{"llmops_cache_total{", "kind=exact"}, 0.15},
		{"client calls", []string{"gen_ai_client_operation_duration_seconds_count", "name=chat"}, requests, 0.08},
		{"tokens by the client", []string{"gen_ai_client_token_usage_sum"}, requests, 0.08},
	} {
		past := grown(before, after, c.part...) / grown(before, after, c.whole...)
		live := grown(lived, now, c.part...) / grown(lived, now, c.whole...)
		between(t, c.what+", live compared with history", live/past, 1-c.tolerance, 1+c.tolerance)
	}
}

func TestWhatIsLeftOfABudgetIsMeasuredFromWhatWasSpentBeforeTheStart(t *testing.T) {
	w := newWorld(t, "budget-exhaustion", 1, 0)
	h := sim.NewHistory(w.Engine, time.Minute)
	for at := start.Add(-3 * time.Hour); at.Before(start.Add(-time.Minute)); at = at.Add(time.Minute) {
		h.Fill(at, func(*sim.Metric, float64) {})
	}
	refused := []string{"llmops_requests_total{", "error_type=budget_exceeded"}
	w.live(5 * time.Minute)
	if n := grown(nil, w.counters(), refused...); n != 0 {
		t.Errorf("%g requests were refused within four minutes of the start", n)
	}
	w.live(20 * time.Minute)
	if n := grown(nil, w.counters(), refused...); n == 0 {
		t.Error("the budget never ran out")
	}
}

func TestHistogramsAreCumulative(t *testing.T) {
	w := newWorld(t, "quiet", 1, 0)
	w.live(2 * time.Minute)
	var name string
	var last float64
	var names []string
	w.Gather(func(m *sim.Metric, v float64) {
		base, isBucket := strings.CutSuffix(m.Name, "_bucket")
		switch {
		case !isBucket:
			if strings.HasSuffix(m.Name, "_count") && strings.TrimSuffix(m.Name, "_count") == name && v != last {
				t.Errorf("%s counts %g but its last bucket %g", key(m), v, last)
			}
			if !strings.HasSuffix(m.Name, "_sum") {
				name, last = "", 0
			}
		case base == name && v < last:
			t.Errorf("%s is %g, less than the bucket before (%g)", key(m), v, last)
			fallthrough
		default:
			name, last = base, v
			names = append(names, base)
		}
	})
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 9 {
		t.Errorf("%d histograms are exposed, want 9", n)
	}
}
