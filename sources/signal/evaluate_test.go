package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
)

func TestTheFourWaysOfNotHavingAValue(t *testing.T) {
	for _, tc := range []struct {
		name string
		prom *metricsFake
		want sources.Verdict
		why  string
	}{
		{"no such metric", exposing("llmops_other"), sources.NotExposed, "no llmops_validation_total"},
		{"nothing happened: zero by zero", validation(flat(math.NaN())), sources.NoTraffic, "nothing happened in 5m"},
		{"the series ended", validation(step(minutes(-20), 0.01, absent)), sources.NoTraffic, "no samples since 14:0"},
		{"the source is down", func() *metricsFake { p := validation(flat(0.01)); p.fail = errDown; return p }(), sources.Unreachable, "no answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := reading(t, snapshot(t, evaluator(t, Deps{Prom: tc.prom}, Service{})), "schema_fail")
			if r.Known || r.Verdict != tc.want || !strings.Contains(r.Why, tc.why) {
				t.Errorf("known %v, %s: %q; want %s: %q", r.Known, r.Verdict, r.Why, tc.want, tc.why)
			}
		})
	}
}

func TestAReadingCarriesItsFacts(t *testing.T) {
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: validation(flat(0.091))}, Service{})), "schema_fail")
	if !r.Known || r.Value != 0.091 || r.Verdict != sources.Bad || r.Why != "9.1% over 5%" || math.Abs(r.N-1000) > 1e-6 {
		t.Errorf("reading %+v", r)
	}
	if r.Provenance.Provider != "prometheus" || r.Provenance.Profile != LLMOps || !strings.Contains(r.Provenance.Query, `job="a"`) {
		t.Errorf("provenance %+v", r.Provenance)
	}
	if r.Facts.Source != "prometheus" || !r.Facts.At.Equal(t0) {
		t.Errorf("facts %+v", r.Facts)
	}
	if n := len(r.History); n == 0 || n > 2*view.Columns {
		t.Errorf("%d points for %d columns", n, view.Columns)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestGapsStayGaps(t *testing.T) {
	holes := func(at time.Time) float64 {
		switch m := at.Sub(t0).Minutes(); {
		case m > -30 && m < -25:
			return absent
		case m > -20 && m < -15:
			return math.NaN()
		case m > -10 && m < -5:
			return math.Inf(1)
		}
		return 0.01
	}
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: validation(holes)}, Service{})), "schema_fail")
	for _, p := range r.History {
		if p.V != 0.01 {
			t.Fatalf("point %v at %s", p.V, p.T)
		}
	}
	if n := len(r.History); n != 240-3*19 {
		t.Errorf("%d points", n)
	}
}

func TestOneSampleIsAValueWithoutAHistory(t *testing.T) {
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: validation(step(t0, absent, 0.02))}, Service{})), "schema_fail")
	if !r.Known || r.Value != 0.02 || len(r.History) != 1 {
		t.Errorf("reading %+v", r)
	}
}

func TestAConstantZeroIsUsual(t *testing.T) {
	r := reading(t, warm(t, evaluator(t, Deps{Prom: validation(flat(0))}, Service{})), "schema_fail")
	if !r.Known || r.Value != 0 || r.Verdict != sources.OK || r.Usual == nil || r.Usual.Days != 10 || r.Usual.Value != 0 {
		t.Errorf("%s: %s, usual %+v", r.Verdict, r.Why, r.Usual)
	}
}

func TestFewEventsAreNotJudged(t *testing.T) {
	p := exposing("llmops_validation_total").
		value(`or 0 \*`, flat(0.5)).value(`llmops_validation_total`, flat(12.0/300))
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "schema_fail")
	if r.Verdict != sources.Learning || r.Why != "12 of 50 events needed" || !r.Known {
		t.Errorf("%s: %s", r.Verdict, r.Why)
	}
}

func TestTheConfigurationSetsLevels(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	e := evaluator(t, Deps{Prom: validation(flat(0.2))}, Service{Thresholds: map[string]Limits{
		"schema_fail": {Watch: f(0.1), Bad: f(math.NaN())},
	}})
	r := reading(t, snapshot(t, e), "schema_fail")
	if r.Verdict != sources.Watch || r.Why != "20% over 10%" {
		t.Errorf("%s: %s", r.Verdict, r.Why)
	}
	if b, err := json.Marshal(r.Threshold); err != nil || string(b) != `{"watch":0.1,"bad":null}` {
		t.Errorf("threshold %s, %v", b, err)
	}
}

func TestAQueryOfTheConfigurationComesFirst(t *testing.T) {
	p := validation(flat(0.01)).value(`my_failures`, flat(0.4))
	p.rules = append(p.rules[2:], p.rules[:2]...)
	e := evaluator(t, Deps{Prom: p}, Service{Queries: map[string]Overrule{"schema_fail": {PromQL: `avg(my_failures{$scope})`}}})
	r := reading(t, snapshot(t, e), "schema_fail")
	if r.Value != 0.4 || r.Provenance.Profile != Override || r.Provenance.Query != `avg(my_failures{job="a"})` {
		t.Errorf("value %g from %+v", r.Value, r.Provenance)
	}
}

func TestARejectedQueryFallsBackAndSaysSo(t *testing.T) {
	p := validation(flat(0.01))
	p.rules = append([]rule{{match: p.rules[0].match, fail: refused{}}}, p.rules[1:]...)
	p.rules[0].match = mustMatch(`broken`)
	e := evaluator(t, Deps{Prom: p}, Service{Queries: map[string]Overrule{"refusal": {PromQL: `broken(`}}})
	s := snapshot(t, e)
	if r := reading(t, s, "refusal"); r.Verdict != sources.Unreachable || r.Why != "query rejected" || !strings.Contains(r.Facts.Partial, "parse error") {
		t.Errorf("%s: %s (%s)", r.Verdict, r.Why, r.Facts.Partial)
	}
	if r := reading(t, s, "schema_fail"); r.Verdict == sources.Unreachable {
		t.Error("one bad query took another signal with it")
	}
}

func TestRowsAnswerWhereNoMetricDoes(t *testing.T) {
	rows := everyBucket(sources.RequestBucket{N: 1000, Schema: [2]int{900, 100}, Latency: [3]sources.Num{sources.N(1), sources.N(2), sources.N(30)}})
	s := snapshot(t, evaluator(t, Deps{Prom: exposing(), Rows: rows}, Service{}))
	r := reading(t, s, "schema_fail")
	if r.Value != 0.1 || r.N != 1000 || r.Provenance.Provider != "requests" || r.Verdict != sources.Bad {
		t.Errorf("reading %+v", r)
	}
	if r := reading(t, s, "latency_p99"); r.Value != 30 || r.Verdict != sources.Watch {
		t.Errorf("p99 %g %s", r.Value, r.Verdict)
	}
	if r := reading(t, s, "feedback"); r.Verdict != sources.NotExposed {
		t.Errorf("rows without feedback say %s about it", r.Verdict)
	}
	if r := reading(t, s, "req_rate"); math.Abs(r.Value-1000.0/300) > 1e-9 {
		t.Errorf("request rate %g", r.Value)
	}
}

// Of ten thousand requests a sampler may have kept a thousand: the share that failed is
// the same, how many there were is not.
func TestAmountsOfSampledRowsAreLowerBounds(t *testing.T) {
	rows := everyBucket(sources.RequestBucket{N: 1000, Sampled: 1000, Schema: [2]int{990, 10}, CostUSD: 5, WithCost: 1000, TokensIn: 1000, WithTokens: 1000})
	rows.sampled = true
	s := snapshot(t, evaluator(t, Deps{Prom: exposing(), Rows: rows}, Service{Budget: Budget{Day: 100000}}))
	for id, want := range map[string]bool{
		"req_rate": true, "spend_rate": true, "spend_today": true, "budget_used": true,
		"schema_fail": false, "cost_per_req": false,
	} {
		if r := reading(t, s, id); !r.Known || r.AtLeast != want || !r.Facts.Sampled {
			t.Errorf("%s: known %v, at least %v, sampled %v; want at least %v", id, r.Known, r.AtLeast, r.Facts.Sampled, want)
		}
	}
}

func TestRowsStandInForMetricsThatAreDown(t *testing.T) {
	p := validation(flat(0.01))
	p.fail = errDown
	rows := everyBucket(sources.RequestBucket{N: 100, Schema: [2]int{98, 2}})
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p, Rows: rows}, Service{})), "schema_fail")
	if r.Value != 0.02 || r.Provenance.Provider != "requests" || !contains(r.Facts.Warnings, "connection refused") {
		t.Errorf("reading %+v", r)
	}
}

func TestFinishedRowsAreSummedOnce(t *testing.T) {
	rows := everyBucket(sources.RequestBucket{N: 100, Schema: [2]int{98, 2}})
	c := &clock{now: t0}
	e := evaluator(t, Deps{Rows: rows, Clock: c}, Service{})
	snapshot(t, e)
	first := rows.asked.Load()
	c.add(10 * time.Second)
	snapshot(t, e)
	// Only the window that ends now, once per window length.
	if again := rows.asked.Load() - first; again > 2 {
		t.Errorf("%d reads of the rows for one refresh, %d for the first", again, first)
	}
}

type logsFake struct {
	value float64
	empty bool
	asked int
}

func (l *logsFake) Metric(_ context.Context, _ string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	var s sources.Series
	for t := start; !t.After(end); t = t.Add(step) {
		s.Points = append(s.Points, sources.Point{T: t, V: l.value})
	}
	return []sources.Series{s}, sources.Facts{}, nil
}

func (l *logsFake) Instant(_ context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error) {
	l.asked++
	if l.empty || strings.Contains(expr, "$") {
		return nil, sources.Facts{}, nil
	}
	return []sources.Series{{Points: []sources.Point{{T: at, V: l.value}}}}, sources.Facts{}, nil
}

func TestLogsAnswerBeforeRows(t *testing.T) {
	logs := &logsFake{value: 0.07}
	rows := everyBucket(sources.RequestBucket{N: 100, Schema: [2]int{98, 2}})
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: exposing(), Logs: logs, Rows: rows}, Service{Logs: `{job="a"}`})), "schema_fail")
	if r.Value != 0.07 || r.Provenance.Provider != "loki" || !strings.Contains(r.Provenance.Query, `{job="a"} | json`) {
		t.Errorf("reading %+v", r)
	}
}

func TestLogsThatSayNothingAreLeftAloneForAWhile(t *testing.T) {
	logs := &logsFake{empty: true}
	e := evaluator(t, Deps{Prom: exposing(), Logs: logs}, Service{Logs: `{job="a"}`})
	for range 3 {
		if r := reading(t, snapshot(t, e), "schema_fail"); r.Verdict != sources.NotExposed {
			t.Errorf("%s: %s", r.Verdict, r.Why)
		}
	}
	if logs.asked != 1 {
		t.Errorf("asked %d times", logs.asked)
	}
}

func TestAnOldValueStaysInSightMarkedAsOld(t *testing.T) {
	p := validation(flat(0.01))
	c := &clock{now: t0}
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	snapshot(t, e)
	p.setFail(errDown)
	c.add(3 * time.Minute)
	r := reading(t, snapshot(t, e), "schema_fail")
	if !r.Known || r.Value != 0.01 || r.Verdict != sources.Unreachable || !strings.Contains(r.Facts.Stale, "3m old") || !strings.Contains(r.Facts.Stale, "connection refused") {
		t.Errorf("reading %+v", r)
	}
	frozen, err := e.Snapshot(t.Context(), "s", sources.View{At: minutes(-500), Range: time.Hour, Columns: 60}, "")
	if err != nil {
		t.Fatal(err)
	}
	if r := reading(t, frozen, "schema_fail"); r.Known {
		t.Error("a past moment shows the value of now")
	}
	p.setFail(nil)
	c.add(2 * time.Minute)
	if r := reading(t, snapshot(t, e), "schema_fail"); r.Facts.Stale != "" || r.Verdict == sources.Unreachable {
		t.Errorf("after recovery %+v", r)
	}
}

func TestADeadSourceIsNotAskedOncePerSignal(t *testing.T) {
	p := validation(flat(0.01))
	p.names = append(p.names, "llmops_requests_total", "llmops_cost_usd_total", "llmops_filter_total", "llmops_retrieval_total")
	c := &clock{now: t0}
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	warm(t, e)
	p.setFail(errDown)
	p.asked = nil
	c.add(20 * time.Second) // what exists is still known
	snapshot(t, e)
	if n := len(p.asked); n > breakAfter+workers+1 {
		t.Errorf("%d queries to a dead source", n)
	}
}

func TestARefreshFetchesOnlyNewPoints(t *testing.T) {
	p := validation(flat(0.01))
	c := &clock{now: t0}
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	warm(t, e)
	p.ranges, p.asked = 0, nil
	c.add(time.Second) // no new point on the grid
	snapshot(t, e)
	if p.ranges != 0 {
		t.Errorf("%d range queries without a new point: %v", p.ranges, p.asked)
	}
	c.add(15 * time.Second)
	snapshot(t, e)
	if p.ranges != 1 {
		t.Errorf("%d range queries for one signal", p.ranges)
	}
}

func TestALongRangeStillShowsThisMoment(t *testing.T) {
	c := &clock{now: t0.Add(7 * time.Minute)}
	p := validation(step(t0.Add(5*time.Minute), 0.01, 0.2))
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	s, err := e.Snapshot(t.Context(), "s", sources.View{Range: 7 * 24 * time.Hour, Columns: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	r := reading(t, s, "schema_fail")
	if r.Value != 0.2 || c.now.Sub(r.Facts.At) > fineStep || len(r.History) > 201 {
		t.Errorf("value %g at %s, %d points", r.Value, r.Facts.At, len(r.History))
	}
}

func TestBaselinesNeverHoldARefreshUp(t *testing.T) {
	p := validation(flat(0.04))
	p.hang = make(chan struct{})
	e := evaluator(t, Deps{Prom: p}, Service{})
	r := reading(t, snapshot(t, e), "schema_fail") // returns although every baseline hangs
	if r.Usual != nil || r.Verdict != sources.Watch {
		t.Errorf("reading %+v", r)
	}
	close(p.hang)
	if r := reading(t, warm(t, e), "schema_fail"); r.Usual == nil || r.Usual.Days != 10 {
		t.Errorf("usual %+v", r.Usual)
	}
}

func TestClosingEndsTheLoadingOfBaselines(t *testing.T) {
	p := validation(flat(0.04))
	p.hang = make(chan struct{})
	e := evaluator(t, Deps{Prom: p}, Service{})
	snapshot(t, e)
	e.Close() // would wait for ever if it did not cancel
}

func TestTwoDialectsAreNeverAdded(t *testing.T) {
	old, recent := "gen_ai_client_operation_duration_seconds_count", "gen_ai_client_inference_duration_seconds_count"
	for _, tc := range []struct {
		name  string
		a, b  float64
		want  string
		value float64
	}{
		{"the one that carries more", 40, 3, OTelGenAI, 40},
		{"the newer one when both carry the same", 40, 40, OTelGenAI0, 40},
		{"the newer one when the old one went silent", absent, 12, OTelGenAI0, 12},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := exposing(old, recent).value(old, flat(tc.a)).value(recent, flat(tc.b))
			r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "req_rate")
			if r.Value != tc.value || r.Provenance.Profile != tc.want {
				t.Errorf("%g from %s", r.Value, r.Provenance.Profile)
			}
			if !contains(r.Facts.Warnings, "two dialects") || strings.Contains(r.Provenance.Query, old) && strings.Contains(r.Provenance.Query, recent) {
				t.Errorf("warnings %q, query %s", r.Facts.Warnings, r.Provenance.Query)
			}
		})
	}
}

func TestHostileLabelValuesAreOnlyNames(t *testing.T) {
	// The metrics client has sanitised them; here they must only not break anything.
	nasty := "a\"}) or vector(1) #$by{"
	p := exposing("llmops_requests_total").on(`sum by \(error_type\)`, fakeSeries{map[string]string{"error_type": nasty}, flat(2)}, fakeSeries{nil, flat(0)})
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "error_by_type")
	if len(r.Parts) != 1 || r.Parts[0].Name != nasty || r.Value != 2 || r.Detail != nasty {
		t.Errorf("reading %+v", r)
	}
}

func TestAVectorIsSummedOrItsWorstPartIsShown(t *testing.T) {
	p := exposing("llmops_requests_total", "llmops_eval_score_sum", "llmops_eval_score_count").
		on(`sum by \(error_type\)`,
			fakeSeries{map[string]string{"error_type": "timeout"}, flat(0.3)},
			fakeSeries{map[string]string{"error_type": "tool"}, flat(0.2)},
			fakeSeries{nil, flat(0)}).
		on(`eval_score_sum`,
			fakeSeries{map[string]string{"evaluator": "tone"}, flat(0.7)},
			fakeSeries{map[string]string{"evaluator": "grounded"}, step(minutes(-25), 0.9, 0.72)})
	s := warm(t, evaluator(t, Deps{Prom: p}, Service{}))
	if r := reading(t, s, "error_by_type"); r.Value != 0.5 || r.Detail != "timeout" || len(r.Parts) != 2 {
		t.Errorf("sum: %+v", r)
	}
	r := reading(t, s, "eval_score")
	if r.Value != 0.72 || r.Detail != "grounded" || r.Verdict != sources.Watch || r.Why != "0.72, 0.80× usual 0.90, z=13" {
		t.Errorf("worst: %g %s %s %s", r.Value, r.Detail, r.Verdict, r.Why)
	}
	if at := r.Since.Sub(t0).Minutes(); at != -25 {
		t.Errorf("since %g minutes", at)
	}
}

func TestALabelWithoutEndDoesNotDrownTheScreen(t *testing.T) {
	var types []fakeSeries
	for i := range 500 {
		types = append(types, fakeSeries{map[string]string{"error_type": fmt.Sprintf("e%03d", i)}, flat(0.01 * float64(1+i%7))})
	}
	p := exposing("llmops_requests_total").on(`sum by \(error_type\)`, types...)
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "error_by_type")
	sum := 0.0
	for _, part := range r.Parts {
		sum += part.Value
	}
	if len(r.Parts) != maxParts+1 || math.Abs(sum-r.Value) > 1e-9 || r.Parts[maxParts].Name != "(450 more)" {
		t.Errorf("%d parts adding to %g of %g", len(r.Parts), sum, r.Value)
	}
}

func TestAQuantileInTheTopBucketIsAtLeast(t *testing.T) {
	p := exposing("llmops_request_seconds_bucket", "llmops_request_seconds_count").
		on(`count by \(le\)`, fakeSeries{map[string]string{"le": "32"}, flat(1)}, fakeSeries{map[string]string{"le": "+Inf"}, flat(1)}, fakeSeries{map[string]string{"le": "8"}, flat(1)}).
		value(`histogram_quantile\(0.99`, flat(32)).value(`histogram_quantile`, flat(3)).value(`_count`, flat(10))
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{}))
	if r := reading(t, s, "latency_p99"); !r.AtLeast {
		t.Errorf("p99 %+v", r)
	}
	if r := reading(t, s, "latency_p50"); r.AtLeast {
		t.Errorf("p50 %+v", r)
	}
}

func TestPricesMakeCostOfTokens(t *testing.T) {
	tokens := func(model, kind string, v float64) fakeSeries {
		return fakeSeries{map[string]string{"gen_ai_response_model": model, "gen_ai_token_type": kind}, flat(v)}
	}
	p := exposing("gen_ai_client_token_usage_sum", otelCount).on(`token_usage_sum`,
		tokens("gpt-4.1-2026-04-14", "input", 1000), tokens("gpt-4.1-2026-04-14", "output", 100), tokens("mystery", "input", 5))
	e := evaluator(t, Deps{Prom: p, Prices: map[string]Price{"gpt-4.1": {Input: 2e-6, Output: 8e-6}, "gpt-4": {Input: 1}}}, Service{})
	r := reading(t, snapshot(t, e), "spend_rate")
	if math.Abs(r.Value-0.0028) > 1e-12 || !strings.Contains(r.Facts.Partial, "no price for mystery") {
		t.Errorf("%g, %q", r.Value, r.Facts.Partial)
	}
	none := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "spend_rate")
	if none.Verdict != sources.NotExposed {
		t.Errorf("without prices: %s %s", none.Verdict, none.Why)
	}
}

func TestSplitByVersion(t *testing.T) {
	// A side with too few events behind it has a gap: the query itself says so.
	p := exposing("llmops_validation_total").
		on(`or 0 \* sum by \(prompt\).* and \(sum by \(prompt\) .* \* 300 >= 50$`, fakeSeries{map[string]string{"prompt": "v13"}, flat(0.01)}, fakeSeries{map[string]string{"prompt": "v14"}, flat(0.2)}).
		on(`by \(prompt\)`, fakeSeries{map[string]string{"prompt": "v13"}, flat(2)}, fakeSeries{map[string]string{"prompt": "v14"}, flat(1)})
	e := evaluator(t, Deps{Prom: p}, Service{})
	parts, facts, err := e.Split(t.Context(), "s", "schema_fail", "prompt", view)
	if err != nil || len(parts) != 2 || facts.Source != "prometheus" {
		t.Fatalf("parts %+v, facts %+v, err %v", parts, facts, err)
	}
	if b := parts[1]; b.Name != "v14" || b.Value != 0.2 || b.Verdict != sources.Bad || b.N != 300 || len(b.History) == 0 {
		t.Errorf("part %+v", b)
	}
}

func TestSplitFallsBackToRows(t *testing.T) {
	rows := everyBucket(sources.RequestBucket{N: 100, Schema: [2]int{98, 2}, Scores: map[string]sources.MeanN{"a": {Mean: 0.5, N: 10}, "b": {Mean: 1, N: 30}}})
	e := evaluator(t, Deps{Prom: exposing(), Rows: rows}, Service{})
	parts, _, err := e.Split(t.Context(), "s", "schema_fail", "index", view)
	if err != nil || len(parts) != 2 || parts[0].Value != 0.02 {
		t.Fatalf("parts %+v, err %v", parts, err)
	}
	parts, _, err = e.Split(t.Context(), "s", "eval_score", "prompt", view)
	if err != nil || parts[0].Value != 0.875 {
		t.Errorf("a mean over evaluators, not a sum: %+v, err %v", parts, err)
	}
}

func TestSplitSaysWhyNot(t *testing.T) {
	e := evaluator(t, Deps{Prom: exposing()}, Service{})
	for _, tc := range []struct{ id, by, want string }{
		{"schema_fail", "tenant", "split by prompt, model, index"},
		{"nonsense", "prompt", "no signal"},
		{"budget_used", "prompt", "service as a whole"},
		{"schema_fail", "prompt", "no llmops_validation_total"},
	} {
		if _, _, err := e.Split(t.Context(), "s", tc.id, tc.by, view); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s by %s: %v", tc.id, tc.by, err)
		}
	}
}

func TestASnapshotEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := evaluator(t, Deps{Prom: validation(flat(0.1))}, Service{}).Snapshot(ctx, "s", view, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestAnUnknownServiceIsNamed(t *testing.T) {
	_, err := evaluator(t, Deps{}, Service{}).Snapshot(t.Context(), "nope", view, "")
	if err == nil || !strings.Contains(err.Error(), `no service "nope"`) {
		t.Errorf("error %v", err)
	}
}

func TestNothingConfiguredIsNotExposedAndNoCrash(t *testing.T) {
	s := snapshot(t, evaluator(t, Deps{}, Service{}))
	for _, r := range s.Readings {
		if r.Verdict != sources.NotExposed {
			t.Errorf("%s: %s", r.Signal, r.Verdict)
		}
	}
}

func TestThePaneInSightIsReadFirst(t *testing.T) {
	signals := Catalogue()
	order := readOrder(signals, sources.QualityPane)
	if len(order) != len(signals) {
		t.Fatalf("%d of %d signals are read", len(order), len(signals))
	}
	left := false
	for _, i := range order {
		visible := signals[i].Pane == sources.QualityPane
		if visible && left {
			t.Errorf("%s comes after another pane", signals[i].ID)
		}
		left = left || !visible
	}
}

func TestZoomingOutChangesNoVerdict(t *testing.T) {
	// Three times usual for twenty minutes: on a chart of a week that is not even a point.
	p := validation(step(minutes(-20), 0.008, 0.025))
	changes := changesFake{timeline: manifest.Timeline{Changes: []sources.Change{promptChange(minutes(-21))}}}
	e := evaluator(t, Deps{Prom: p, Changes: changes}, Service{})
	warm(t, e)
	for _, rng := range []time.Duration{time.Hour, 6 * time.Hour, 7 * 24 * time.Hour} {
		s, err := e.Snapshot(t.Context(), "s", sources.View{Range: rng, Columns: 100}, "")
		if err != nil {
			t.Fatal(err)
		}
		r := reading(t, s, "schema_fail")
		if r.Verdict != sources.Bad || r.Judgement == nil || r.Judgement.SinceHigh.Before(minutes(-20)) || r.Since.Sub(minutes(-20)).Abs() > latelyStep || s.Line.Change == nil || len(r.History) > 201 {
			t.Errorf("over %s: %s since %s, %d points, line %q", rng, r.Verdict, r.Since, len(r.History), s.Line.Text(200))
		}
	}
}

func TestAPastMomentHasItsBaselinesAtOnce(t *testing.T) {
	p := validation(step(minutes(-600), 0.008, 0.025))
	e := evaluator(t, Deps{Prom: p}, Service{})
	s, err := e.Snapshot(t.Context(), "s", sources.View{At: minutes(-500), Range: time.Hour, Columns: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	if r := reading(t, s, "schema_fail"); r.Usual == nil || r.Verdict != sources.Bad || !s.At.Equal(minutes(-500)) {
		t.Errorf("%s: %s, usual %+v", r.Verdict, r.Why, r.Usual)
	}
}

func TestStepGivesAtMostTwoPointsPerColumn(t *testing.T) {
	for _, rng := range []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 14 * 24 * time.Hour, 400 * 24 * time.Hour} {
		for _, cols := range []int{1, 20, 60, 120, 180} {
			s := Step(sources.View{Range: rng, Columns: cols})
			if n := int(rng / s); n > 2*cols {
				t.Errorf("%s in %d columns: step %s gives %d points", rng, cols, s, n)
			}
		}
	}
}

func TestASlowScrapeWidensTheWindow(t *testing.T) {
	p := exposing("llmops_requests_total").value(`count_over_time`, flat(5))
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{}))
	if s.Window != 8*time.Minute {
		t.Errorf("window %s for a scrape every 2 minutes", s.Window)
	}
}

// BenchmarkRefresh is the CPU of one live refresh on canned answers: 43 signals,
// one new point each.
func BenchmarkRefresh(b *testing.B) {
	var names []string
	p := &metricsFake{}
	for _, s := range Catalogue() {
		for _, src := range s.From {
			if src.Profile == LLMOps {
				names = append(names, metrics(src.Query+" "+src.N)...)
			}
		}
	}
	p.names = names
	p.on(`.`, fakeSeries{map[string]string{"evaluator": "a", "error_type": "x", "kind": "k", "provider": "p", "le": "1"}, func(t time.Time) float64 {
		return 0.01 + 0.001*math.Sin(float64(t.Unix())/600)
	}})
	c := &clock{now: t0}
	e := evaluator(b, Deps{Prom: p, Clock: c}, Service{})
	if err := e.Warm(b.Context(), "s", view); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.mu.Lock()
		p.asked = p.asked[:0]
		p.mu.Unlock()
		c.add(15 * time.Second)
		if _, err := e.Snapshot(b.Context(), "s", view, sources.HealthPane); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(p.asked)), "queries/refresh")
}
