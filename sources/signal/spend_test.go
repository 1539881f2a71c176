package signal

import (
	"math"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// spending exposes USD per five minutes, and budgets in the configuration.
func spending(perStep curve) *metricsFake {
	return exposing("llmops_cost_usd_total").
		value(`increase\(llmops_cost_usd_total.*\[1h:5m\]`, func(t time.Time) float64 { return 12 * perStep(t) }).
		value(`increase\(llmops_cost_usd_total`, perStep)
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

func TestSpendIsCountedFromMidnight(t *testing.T) {
	s := snapshot(t, evaluator(t, Deps{Prom: spending(flat(1))}, Service{Budget: Budget{Day: 400, Hour: 10, Period: 10000}}))
	near(t, "spend today", reading(t, s, "spend_today").Value, 14.5*12)
	near(t, "spend in 24 hours", reading(t, s, "budget_daily").Value, 288)
	near(t, "hour budget", reading(t, s, "budget_hour").Value, 1.2)
	used := reading(t, s, "budget_used")
	if len(used.Parts) != 2 || used.Detail != "day" || used.Verdict != sources.OK || !strings.Contains(used.Why, "lasts until midnight") {
		t.Errorf("budget used %+v", used)
	}
	near(t, "day budget used", used.Value, 174.0/400)
	near(t, "forecast", reading(t, s, "budget_forecast").Value, 288.0/400)
	period := 0.0
	for _, p := range used.Parts {
		if p.Name == "period" {
			period = p.Value
		}
	}
	near(t, "period budget used", period, (3*24+14.5)*12/10000)
	if r := reading(t, s, "budget_hour"); r.Verdict != sources.Bad {
		t.Errorf("120%% of the hour's budget is %s", r.Verdict)
	}
}

func TestTheSpendOfTodayStartsAgainAtMidnight(t *testing.T) {
	c := &clock{now: t0.Truncate(24 * time.Hour).Add(20 * time.Minute)}
	e := evaluator(t, Deps{Prom: spending(flat(1)), Clock: c}, Service{})
	h := reading(t, snapshot(t, e), "spend_today").History
	top, last := 0.0, h[len(h)-1].V
	for _, p := range h {
		top = math.Max(top, p.V)
	}
	near(t, "spend at midnight", top, 288)
	near(t, "spend now", last, 4)
}

func TestABudgetIsJudgedByWhetherItLasts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		budget float64
		pace   curve
		want   sources.Verdict
		why    string
	}{
		{"nearly spent, but it lasts", 290, flat(1), sources.OK, "lasts until midnight"},
		{"well under way to spend it, hours from now", 240, flat(1), sources.OK, "runs out at 20:00"},
		{"four fifths spent and it will not last", 200, flat(1), sources.Bad, "runs out in 2h10m, at 16:40"},
		{"spent", 100, flat(1), sources.Bad, "174% of the budget spent"},
		{"a runaway that has just begun", 400, step(minutes(-60), 1, 10), sources.Bad, "runs out in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := reading(t, snapshot(t, evaluator(t, Deps{Prom: spending(tc.pace)}, Service{Budget: Budget{Day: tc.budget}})), "budget_used")
			if r.Verdict != tc.want || !strings.Contains(r.Why, tc.why) {
				t.Errorf("%s: %s; want %s: %s", r.Verdict, r.Why, tc.want, tc.why)
			}
		})
	}
}

func TestTheForecastFollowsTheCourseOfTheDay(t *testing.T) {
	// All of the spending is before noon: at 14:30 nothing more is to come.
	morning := func(t time.Time) float64 {
		if h := t.Add(-time.Second).UTC().Hour(); h < 12 {
			return 2
		}
		return 0.0001
	}
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: spending(morning)}, Service{Budget: Budget{Day: 300}})), "budget_forecast")
	if math.Abs(r.Value-0.96) > 0.01 || r.Verdict != sources.OK {
		t.Errorf("forecast %g: %s", r.Value, r.Verdict)
	}
}

func TestBudgetsComeFromTheServiceWhenTheConfigurationHasNone(t *testing.T) {
	p := spending(flat(1))
	p.names = append(p.names, "llmops_budget_usd")
	p.on(`llmops_budget_usd`, fakeSeries{map[string]string{"scope": "day"}, flat(348)})
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{}))
	near(t, "budget used", reading(t, s, "budget_used").Value, 0.5)
	if r := reading(t, s, "budget_hour"); r.Verdict != sources.NotExposed || !strings.Contains(r.Why, "hour budget") {
		t.Errorf("%s: %s", r.Verdict, r.Why)
	}
}

func TestSpendComesFromRowsWhenNoMetricHasIt(t *testing.T) {
	rows := everyBucket(sources.RequestBucket{N: 10, CostUSD: 2, WithCost: 10})
	s := snapshot(t, evaluator(t, Deps{Prom: exposing(), Rows: rows}, Service{}))
	r := reading(t, s, "spend_today")
	near(t, "spend today", r.Value, 2*14.5*12)
	if r.Provenance.Provider != "requests" {
		t.Errorf("provenance %+v", r.Provenance)
	}
}

func TestSpendOfRowsSaysWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		paid    int
		verdict sources.Verdict
		partial string
	}{
		{10, "", ""},
		{4, "", "6 of 10 requests with tokens tell no cost; add their models under prices"},
		{0, sources.NotExposed, ""},
	} {
		rows := everyBucket(sources.RequestBucket{N: 12, WithTokens: 10, TokensIn: 1000, CostUSD: float64(c.paid), WithCost: c.paid})
		s := snapshot(t, evaluator(t, Deps{Prom: exposing(), Rows: rows}, Service{}))
		for _, id := range []string{"spend_rate", "spend_today", "cost_per_req"} {
			r := reading(t, s, id)
			if c.verdict == sources.NotExposed {
				if r.Verdict != sources.NotExposed || r.Known {
					t.Errorf("%s with no known cost is %s %v: %s", id, r.Verdict, r.Value, r.Why)
				}
				continue
			}
			got := strings.Contains(r.Facts.Partial, "of 10 requests") || strings.Contains(r.Facts.Partial, "requests with tokens tell no cost")
			if !r.Known || got != (c.partial != "") || id == "spend_rate" && r.Facts.Partial != c.partial {
				t.Errorf("%s with %d known costs: value %v, partial %q; want %q", id, c.paid, r.Value, r.Facts.Partial, c.partial)
			}
		}
	}
}

func TestTheTopUserIsAnEstimateAndSaysSo(t *testing.T) {
	p := spending(flat(10))
	p.names = append(p.names, "llmops_top_caller_ratio")
	p.value(`llmops_top_caller_ratio`, flat(0.25))
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{Budget: Budget{UserHour: 10}})), "budget_user_hour")
	near(t, "user budget", r.Value, 3)
	if !strings.Contains(r.Detail, "estimate") || r.Verdict != sources.Watch {
		t.Errorf("%s %q", r.Verdict, r.Detail)
	}
}

func TestNoCostAnywhereIsNotExposed(t *testing.T) {
	s := snapshot(t, evaluator(t, Deps{Prom: exposing()}, Service{Budget: Budget{Day: 100}}))
	for _, id := range []string{"spend_today", "budget_daily", "budget_used", "budget_forecast", "budget_hour", "budget_user_hour", "budget_request"} {
		if r := reading(t, s, id); r.Verdict != sources.NotExposed {
			t.Errorf("%s: %s %s", id, r.Verdict, r.Why)
		}
	}
}
