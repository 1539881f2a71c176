package signal

import (
	"math"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// failing exposes an error ratio by the window that it is asked over.
func failing(by map[string]float64) *metricsFake {
	f := exposing("llmops_requests_total")
	for window, v := range by {
		f.value(`or 0 \* .*requests_total.*\[`+window+`\]`, flat(v))
	}
	return f.value(`llmops_requests_total`, flat(10))
}

func TestAnObjectiveIsJudgedByHowFastItsBudgetBurns(t *testing.T) {
	calm := map[string]float64{"5m": 0.001, "30m": 0.001, "1h": 0.001, "2h": 0.001, "6h": 0.001, "24h": 0.001, "72h": 0.001}
	with := func(changed map[string]float64) map[string]float64 {
		out := map[string]float64{}
		for k, v := range calm {
			out[k] = v
		}
		for k, v := range changed {
			out[k] = v
		}
		return out
	}
	for _, tc := range []struct {
		name string
		by   map[string]float64
		want sources.Verdict
		why  string
	}{
		{"within the budget", calm, sources.OK, "0.20× the budget of 99.5% over 1h"},
		{"fast, and still", with(map[string]float64{"1h": 0.1, "5m": 0.1}), sources.Bad, "20× the budget of 99.5% over 60m and 20× over 5m; page 1h"},
		{"fast, but over", with(map[string]float64{"1h": 0.1}), sources.OK, "20× the budget of 99.5% over 1h"},
		{"for six hours", with(map[string]float64{"6h": 0.04, "30m": 0.04}), sources.Bad, "8.0× the budget of 99.5% over 6h00m and 8.0× over 30m; page 6h"},
		{"slow, for days", with(map[string]float64{"72h": 0.007, "6h": 0.007}), sources.Watch, "1.4× the budget of 99.5% over 3d and 1.4× over 6h00m; ticket 3d"},
		{"nothing happened", map[string]float64{"1h": math.NaN()}, sources.NoTraffic, "nothing happened in 1h"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := evaluator(t, Deps{Prom: failing(tc.by)}, Service{SLO: &SLO{Objective: 99.5}})
			r := reading(t, snapshot(t, e), sloID)
			if r.Verdict != tc.want || r.Why != tc.why {
				t.Errorf("%s: %s; want %s: %s", r.Verdict, r.Why, tc.want, tc.why)
			}
			if worse(r.Verdict, sources.OK) && (r.Judgement == nil || r.Judgement.Rule != ruleBurn) {
				t.Errorf("judgement %+v", r.Judgement)
			}
		})
	}
}

func TestAnObjectiveNeedsNoHistory(t *testing.T) {
	p := failing(map[string]float64{"1h": 0.2, "5m": 0.2, "6h": 0.1, "30m": 0.2})
	young := func(at time.Time) float64 {
		if t0.Sub(at) > oneDay {
			return absent
		}
		return 10
	}
	p.rules[len(p.rules)-1].series[0].value = young
	e := evaluator(t, Deps{Prom: p}, Service{SLO: &SLO{Objective: 0.99, Signal: "error_ratio"}})
	if r := reading(t, warm(t, e), sloID); r.Verdict != sources.Bad {
		t.Errorf("%s: %s", r.Verdict, r.Why)
	}
}

func TestWithoutAnObjectiveThereIsNoSignalForIt(t *testing.T) {
	s := snapshot(t, evaluator(t, Deps{Prom: exposing()}, Service{}))
	if _, ok := s.Reading(sloID); ok || len(s.Readings) != len(Catalogue()) {
		t.Errorf("%d readings", len(s.Readings))
	}
}

func TestAnObjectiveThatCannotBeIsRefused(t *testing.T) {
	for _, tc := range []struct {
		slo  SLO
		want string
	}{
		{SLO{Objective: 100}, "services.s.slo.objective: the share of good events"},
		{SLO{}, "no budget to burn"},
		{SLO{Objective: -1}, "slo.objective"},
		{SLO{Objective: math.NaN()}, "slo.objective"},
		{SLO{Objective: 99, Signal: "nonsense"}, `services.s.slo.signal: no such signal as "nonsense"`},
		{SLO{Objective: 99, Signal: "latency_p99"}, "latency_p99 is no proportion"},
	} {
		_, err := NewEvaluator(Deps{Clock: &clock{now: t0}}, map[string]Service{"s": {SLO: &tc.slo}})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc.slo, err)
		}
	}
}
