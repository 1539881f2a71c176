package signal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/rollout"
)

// sides exposes requests and validations of two prompts by what is said of each.
func sides(n13, n14, k13, k14 curve, more ...rule) *metricsFake {
	by := func(v13, v14 curve) []fakeSeries {
		return []fakeSeries{{map[string]string{"prompt": "v13"}, v13}, {map[string]string{"prompt": "v14"}, v14}}
	}
	p := exposing("llmops_requests_total", "llmops_validation_total")
	p.rules = append(p.rules, more...)
	return p.
		on(`^sum by \(prompt\).*llmops_requests_total\{outcome="error"`, by(flat(0.04), flat(0.004))...).
		on(`^sum by \(prompt\).*llmops_requests_total`, by(n13, n14)...).
		on(`^sum by \(prompt\).*result="fail"`, by(k13, k14)...).
		on(`^sum by \(prompt\).*llmops_validation_total`, by(n13, n14)...).
		value(`llmops_requests_total`, flat(11)).
		value(`llmops_validation_total`, flat(11))
}

// What is broken about the numbers of a rollout neither promotes a candidate nor
// calls it guilty.
func TestBrokenNumbersDecideNoRollout(t *testing.T) {
	nan := flat(math.NaN())
	ten, one, few, fewer := flat(10), flat(1), flat(0.12), flat(0.012)
	since := minutes(-40)
	for _, tc := range []struct {
		name string
		prom *metricsFake
		// unseen: the failures of validation must not be called no worse.
		unseen bool
	}{
		{"failures that are no number", sides(ten, one, few, nan), true},
		{"failures of the control that are no number", sides(ten, one, nan, flat(0.09)), true},
		{"failures that are negative", sides(ten, one, few, flat(-0.5)), true},
		{"failures that are infinite", sides(ten, one, few, flat(math.Inf(1))), true},
		{"the query of the failures fails", sides(ten, one, few, fewer, rule{match: mustMatch(`^sum by \(prompt\).*result="fail"`), fail: errors.New("timeout")}), true},
		{"requests that are no number", sides(ten, nan, few, fewer), true},
		{"negative requests", sides(ten, flat(-1), few, flat(0.9)), true},
		{"one sample", sides(ten, step(t0, absent, 1), few, step(t0, absent, 0.9)), true},
		{"gaps of the candidate where the control has none", sides(ten, func(at time.Time) float64 {
			if at.Minute()%20 != 0 {
				return absent
			}
			return 1
		}, few, flat(0.5)), true},
		{"no traffic at all", sides(flat(0), flat(0), flat(0), flat(0)), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := evaluator(t, Deps{Prom: tc.prom, Changes: rolling(stage("live", "v13", time.Time{}), stage("canary", "v14", since))}, Service{})
			snap := snapshot(t, e)
			if snap.Rollout == nil || len(snap.Rollout.Comparisons) == 0 {
				t.Fatal("that two versions run is not said")
			}
			c := &snap.Rollout.Comparisons[0]
			if c.Verdict == rollout.RollBack {
				t.Errorf("called guilty: %s", c.Why)
			}
			for _, o := range c.Outcomes {
				if tc.unseen && o.ID == "schema_failures" && (o.State == rollout.NoWorse || o.State == rollout.Worse) {
					t.Errorf("schema failures are %s: %+v", o.State, o)
				}
			}
			if c.Verdict == rollout.Promote && !slices.Contains(c.NotSeen, "schema failures") {
				t.Errorf("promoted: %s; not seen %q", c.Why, c.NotSeen)
			}
		})
	}
}

// A version label that holds something else, such as an ID, has 50,000 values.
func TestAVersionLabelOfManyValuesDecidesNoRollout(t *testing.T) {
	var n, k []fakeSeries
	for i := range 50_000 {
		l := map[string]string{"prompt": fmt.Sprintf("p-%05d", i)}
		n, k = append(n, fakeSeries{l, step(t0.Add(-time.Minute), absent, 0.01)}), append(k, fakeSeries{l, step(t0.Add(-time.Minute), absent, 0.01)})
	}
	p := exposing("llmops_requests_total", "llmops_validation_total").
		on(`^sum by \(prompt\).*outcome="error"`, k...).on(`^sum by \(prompt\).*llmops_requests_total`, n...).
		on(`^sum by \(prompt\).*result="fail"`, k...).on(`^sum by \(prompt\).*llmops_validation_total`, n...).
		value(`llmops_requests_total`, flat(11)).value(`llmops_validation_total`, flat(11))
	twice := stage("canary", "p-00002", minutes(-40))
	twice.Claims = 49_999
	e := evaluator(t, Deps{Prom: p, Changes: rolling(stage("live", "p-00001", time.Time{}), twice)}, Service{})
	r, err := e.Rollout(t.Context(), "s", view)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Comparisons[0]; c.Verdict != rollout.Hold {
		t.Errorf("%s: %s", c.Verdict, c.Why)
	}
}

// The clock jumps while a canary runs: what is known of no time decides nothing.
func TestAClockThatJumpedDecidesNoRollout(t *testing.T) {
	until := t0.Add(time.Minute)
	end := func(v float64) curve { return step(until, v, absent) }
	p := sides(end(10), end(1), end(0.12), end(0.012))
	c := &clock{now: t0}
	e := evaluator(t, Deps{Prom: p, Clock: c, Changes: rolling(stage("live", "v13", time.Time{}), stage("canary", "v14", minutes(-40)))}, Service{})
	if r := snapshot(t, e).Rollout; r == nil || r.Comparisons[0].Verdict != rollout.Promote {
		t.Fatalf("before the jump: %+v", r)
	}
	for _, d := range []time.Duration{7 * time.Hour, 9 * oneDay, -16 * oneDay} {
		c.add(d)
		r, err := e.Rollout(t.Context(), "s", sources.View{Range: time.Hour, Columns: 60})
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			continue
		}
		if got := r.Comparisons[0]; got.Verdict != rollout.Hold {
			t.Errorf("%s later %s: %s", d, got.Verdict, got.Why)
		}
	}
}
