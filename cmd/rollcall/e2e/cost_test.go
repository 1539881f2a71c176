package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

// cost asks for the report as a script would.
func (d *drill) cost(t *testing.T) *spend.Report {
	t.Helper()
	out, _ := d.run(t, "cost", "-o", "json")
	var r spend.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return &spend.Report{}
	}
	return &r
}

func TestTheRunawaysLoopsAreNamedAndItsTenantSpendsMost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "cost-runaway")
	var r *spend.Report
	poll(t, 150*time.Second, "loops of initech, which spends most", func() bool {
		r = d.cost(t)
		x := r.Biggest("tenant")
		return r.Loops.N > 3 && x != nil && x.Value == "initech"
	})
	for _, l := range r.Loops.Named {
		if l.Tenant != "initech" || l.Route != "agent" || l.Tool == "" || !l.CostUSD.OK {
			t.Errorf("named as a loop: %+v", l)
		}
	}
	if out, code := d.run(t, "request", r.Loops.Named[0].RequestID, "-o", "json"); code != 0 {
		t.Errorf("the loop that is named does not open: %s", out)
	}
	if r.Line == "" || !(r.Coverage.V > 0) {
		t.Errorf("line %q, coverage %v", r.Line, r.Coverage)
	}
}

// Nobody foresees the prompt that goes live ninety seconds in; once a whole ledger
// step has seen it, what is said minutes ahead holds.
func TestTheForecastHoldsWhenTheBudgetIsGone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "budget-exhaustion")
	var said []spend.Budget
	var at []time.Time
	var last, gone time.Time
	poll(t, 200*time.Second, "the day's budget to be gone", func() bool {
		out, _ := d.run(t, "cost", "-o", "json")
		var r struct {
			At time.Time `json:"at"`
			spend.Report
		}
		if json.Unmarshal([]byte(out), &r) != nil {
			return false
		}
		for _, b := range r.Budgets {
			if b.Scope != "day" || b.Outlook == nil || !b.Used.OK {
				continue
			}
			if b.Used.V >= 1 {
				gone = r.At
				return true
			}
			said, at, last = append(said, b), append(at, r.At), r.At
		}
		return false
	})
	if len(said) < 2 {
		t.Fatalf("only %d forecasts before it was gone", len(said))
	}
	for i, b := range said {
		o := b.Outlook
		if last.Sub(at[i]) > 4*time.Minute {
			continue
		}
		if b.From != "service" || b.Verdict != sources.Bad || o.Method != spend.ByCourse {
			t.Errorf("at %s: %+v", at[i], b)
		}
		t.Logf("at %s: %s to %s", at[i].Format("15:04:05"), o.Early.Format("15:04:05"), o.Late.Format("15:04:05"))
		// It went between the last look that found it and the first that did not.
		if o.Early.After(gone) || !o.Late.IsZero() && o.Late.Before(last) {
			t.Errorf("at %s the range was %s to %s; it was gone between %s and %s", at[i], o.Early, o.Late, last, gone)
		}
	}
}

func TestACacheThatCollapsesSavesLess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "cache-collapse")
	first := map[string]float64{}
	poll(t, 60*time.Second, "what caches save", func() bool {
		for _, c := range d.cost(t).Caches {
			if c.HitRatio.OK {
				first[c.Kind] = c.HitRatio.V
			}
		}
		return len(first) == 3
	})
	poll(t, 150*time.Second, "the exact cache to hit half as often", func() bool {
		for _, c := range d.cost(t).Caches {
			if c.Kind == "exact" {
				return c.PerHour.OK && c.PerHour.V > 0 && c.HitRatio.V < first["exact"]*0.6
			}
		}
		return false
	})
}

func TestQuietHasNothingToSayAboutMoney(t *testing.T) {
	t.Parallel()
	d := startHeadless(t, binaries(t), "quiet")
	poll(t, 60*time.Second, "enough rows to tell loops", func() bool { return d.cost(t).Requests > 500 })
	r := d.cost(t)
	if r.Line != "" || r.Loops.N != 0 || len(r.Budgets) != 5 || len(r.Unpriced) > 1 {
		t.Errorf("line %q, %d loops, %d budgets, %+v without a price", r.Line, r.Loops.N, len(r.Budgets), r.Unpriced)
	}
	for _, b := range r.Budgets {
		if b.Verdict != sources.OK || !b.Spent.OK {
			t.Errorf("%+v", b)
		}
	}
}
