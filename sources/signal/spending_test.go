package signal

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

// spendTables has one request of each of three tenants a second; from a time on the
// agent of initech loops.
type spendTables struct {
	mu    sync.Mutex
	asked []sources.TableQuery
	since time.Time // before it there are no rows
	until time.Time // nor after it, when it is set
	loops time.Time
	fail  error
}

func (f *spendTables) Table(_ context.Context, q sources.TableQuery) (*sources.RequestTable, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	if f.fail != nil {
		return nil, f.fail
	}
	t := &sources.RequestTable{Start: q.Since, Every: 1, Facts: sources.Facts{Source: "requests"}}
	values := map[string][]string{
		"tenant": {"", "acme", "globex", "initech"}, "user": {"", "user:a", "user:b", "user:c"}, "route": {"", "agent"}, "request_id": {"", "req-usual", "req-loop"}, "cache": {"", "none"},
		"model_served": {"", "gpt"},
	}
	code := map[string]func(tenant uint32, loop bool) uint32{
		"tenant": func(t uint32, _ bool) uint32 { return t }, "user": func(t uint32, _ bool) uint32 { return t },
		"request_id": func(_ uint32, loop bool) uint32 { return map[bool]uint32{false: 1, true: 2}[loop] },
	}
	for _, name := range q.Text {
		v := values[name]
		if v == nil {
			v = []string{""}
		}
		t.Text = append(t.Text, sources.TextColumn{Name: name, Values: v})
	}
	for _, name := range q.Numbers {
		t.Numbers = append(t.Numbers, sources.NumberColumn{Name: name})
	}
	tools := sources.ListColumn{Name: "tool", Values: []string{"look_up"}}
	for at := q.Since; at.Before(q.Until); at = at.Add(time.Second) {
		if at.Before(f.since) || !f.until.IsZero() && at.After(f.until) {
			continue
		}
		for tenant := uint32(1); tenant <= 3; tenant++ {
			loop := tenant == 3 && !f.loops.IsZero() && !at.Before(f.loops) && at.Second() == 0
			for k := range t.Text {
				c := uint32(0)
				if of := code[t.Text[k].Name]; of != nil {
					c = of(tenant, loop)
				} else if len(t.Text[k].Values) > 1 {
					c = 1
				}
				t.Text[k].Codes = append(t.Text[k].Codes, c)
			}
			times := 1.0
			if loop {
				times = 60
				for range 60 {
					tools.Rows, tools.Codes = append(tools.Rows, uint32(t.N)), append(tools.Codes, 0)
				}
			}
			for k := range t.Numbers {
				v := map[string]float64{"cost": 0.001, "tokens_in": 1000, "tokens_out": 100, "tokens_cached": 500, "spans": 12, "llm_calls": 1}[t.Numbers[k].Name]
				t.Numbers[k].V = append(t.Numbers[k].V, v*times)
			}
			t.Time = append(t.Time, at.Sub(q.Since))
			t.N++
		}
	}
	t.Lists = []sources.ListColumn{tools}
	return t, nil
}

func (f *spendTables) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// settledSpend returns a snapshot for which everything was read.
func settledSpend(t *testing.T, e *Evaluator) *Snapshot {
	t.Helper()
	since, until := spendSpan(view, view.End(e.deps.Clock.Now()))
	if err := e.spending.wait(t.Context(), "s", since, until); err != nil {
		t.Fatal(err)
	}
	return snapshot(t, e)
}

func budgetOf(t *testing.T, s *Snapshot, scope string) spend.Budget {
	t.Helper()
	for _, b := range s.Spend.Budgets {
		if b.Scope == scope {
			return b
		}
	}
	t.Fatalf("no budget of %s in %+v", scope, s.Spend.Budgets)
	return spend.Budget{}
}

func TestALoopIsNamedWithWhatItCost(t *testing.T) {
	tables := &spendTables{loops: minutes(-10)}
	s := settledSpend(t, evaluator(t, Deps{Prom: spending(flat(0.9)), Tables: tables, Prices: map[string]Price{"gpt": {Input: 2e-6, Cached: 5e-7}}}, Service{Budget: Budget{Day: 400, UserHour: 3, Request: 0.05}}))
	l := s.Spend.Loops
	if l.N != 10 || l.Named[0].RequestID != "req-loop" || l.Named[0].Tool != "look_up" || l.Named[0].Times != 60 || math.Abs(l.CostUSD.V-0.6) > 1e-6 {
		t.Fatalf("%+v", l)
	}
	if !strings.Contains(s.Spend.Line, "Request req-loop of initech loops") {
		t.Errorf("the line is %q", s.Spend.Line)
	}
	if x := s.Spend.Biggest("tenant"); x.Value != "initech" {
		t.Errorf("%+v", x)
	}
	if b := budgetOf(t, s, "request"); b.Who != "req-loop" || b.Over != 10 {
		t.Errorf("%+v", b)
	}
	if c := s.Spend.Caches[2]; !c.PerHour.OK || c.PerHour.V <= 0 {
		t.Errorf("%+v", c)
	}
	r := reading(t, s, "budget_user_hour")
	if r.Provenance.Provider != "requests" || r.Detail != "user:c" || r.Verdict != sources.Watch || budgetOf(t, s, "user_hour").Who != "user:c" {
		t.Errorf("%+v", r)
	}
}

func TestRowsAreReadBesideTheRefreshAndPartByPart(t *testing.T) {
	tables := &spendTables{}
	c := &clock{now: t0}
	e := evaluator(t, Deps{Prom: spending(flat(0.9)), Tables: tables, Clock: c}, Service{})
	settledSpend(t, e)
	first := tables.count() // 12 parts, and 7 earlier days
	if first != 19 {
		t.Errorf("%d reads", first)
	}
	for range 4 {
		c.add(15 * time.Second)
		settledSpend(t, e)
	}
	if n := tables.count() - first; n > 3 {
		t.Errorf("a minute later %d more parts were read", n)
	}
	c.add(-30 * time.Minute) // the clock jumped
	s := settledSpend(t, e)
	if s.Spend.To.After(c.Now().Add(spend.Part)) || s.Spend.Requests == 0 {
		t.Errorf("%s to %s, %d requests", s.Spend.From, s.Spend.To, s.Spend.Requests)
	}
	tables.mu.Lock()
	defer tables.mu.Unlock()
	for _, q := range tables.asked {
		if q.Limit <= 0 || q.Limit > 20_000 || q.Until.Sub(q.Since) > time.Hour {
			t.Errorf("asked for %+v", q)
		}
	}
}

func TestWhatIsUsualOfASpenderComesFromEarlierDays(t *testing.T) {
	s := settledSpend(t, evaluator(t, Deps{Prom: spending(flat(0.9)), Tables: &spendTables{}}, Service{}))
	if x := s.Spend.Biggest("tenant"); x.Days != 7 || math.Abs(x.Ratio.V-1) > 0.01 {
		t.Errorf("%+v", x)
	}
	s = settledSpend(t, evaluator(t, Deps{Prom: spending(flat(0.9)), Tables: &spendTables{since: minutes(-120)}}, Service{}))
	if x := s.Spend.Biggest("tenant"); x.Usual.OK || x.Ratio.OK {
		t.Errorf("without earlier rows: %+v", x)
	}
	if s.Spend.Line != "" || s.Spend.Loops.N != 0 {
		t.Errorf("nothing is wrong: %q", s.Spend.Line)
	}
}

func TestTroubleWithRowsIsSaidAndBudgetsStand(t *testing.T) {
	for name, deps := range map[string]Deps{
		"disk gone":                {Prom: spending(flat(1)), Tables: &spendTables{fail: errors.New("disk gone; mount it")}},
		"no request rows are kept": {Prom: spending(flat(1))},
	} {
		s := settledSpend(t, evaluator(t, deps, Service{Budget: Budget{Day: 400}}))
		if !contains(s.Spend.Notes, name) {
			t.Errorf("notes %q", s.Spend.Notes)
		}
		b := budgetOf(t, s, "day")
		near(t, "spent", b.Spent.V, 174)
		if b.Outlook == nil || b.Outlook.Method != spend.ByCourse || b.Outlook.Days < 20 || !b.Outlook.Low.OK {
			t.Errorf("%+v", b.Outlook)
		}
		for _, c := range s.Spend.Caches {
			if c.PerHour.OK || !strings.HasPrefix(c.Why, "cannot tell") {
				t.Errorf("%+v", c)
			}
		}
	}
}

func TestWithoutRowsTheServicesOwnFigureOfSavingsIsTaken(t *testing.T) {
	p := spending(flat(1))
	p.names = append(p.names, "llmops_cache_saved_usd_total")
	p.on(`llmops_cache_saved_usd_total`, fakeSeries{map[string]string{"kind": "exact"}, flat(0.001)}, fakeSeries{map[string]string{"kind": "provider"}, flat(0.002)})
	s := settledSpend(t, evaluator(t, Deps{Prom: p}, Service{}))
	if c := s.Spend.Caches[0]; math.Abs(c.PerHour.V-3.6) > 1e-9 || c.Provider != "prometheus" {
		t.Errorf("%+v", c)
	}
	if c := s.Spend.Caches[1]; c.PerHour.OK {
		t.Errorf("%+v", c)
	}
}

func TestTheLowerOfTwoBudgetsCountsAndOneOfZeroIsNone(t *testing.T) {
	p := spending(flat(1))
	p.names = append(p.names, "llmops_budget_usd")
	p.on(`llmops_budget_usd`, fakeSeries{map[string]string{"scope": "day"}, flat(180)}, fakeSeries{map[string]string{"scope": "hour"}, flat(0)},
		fakeSeries{map[string]string{"scope": "period"}, flat(-4)}, fakeSeries{map[string]string{"scope": "request"}, flat(math.NaN())}, fakeSeries{map[string]string{"scope": "$\x1b[2J"}, flat(5)})
	s := settledSpend(t, evaluator(t, Deps{Prom: p}, Service{Budget: Budget{Day: 400}}))
	if len(s.Spend.Budgets) != 1 {
		t.Errorf("%+v", s.Spend.Budgets)
	}
	if b := budgetOf(t, s, "day"); b.USD != 180 || b.From != "service" || b.Verdict != sources.Bad || !contains(s.Spend.Notes, "is lower than that of the configuration") {
		t.Errorf("%+v %q", b, s.Spend.Notes)
	}
	s = settledSpend(t, evaluator(t, Deps{Prom: p}, Service{Budget: Budget{Day: 150}}))
	if b := budgetOf(t, s, "day"); b.USD != 150 || b.From != "config" {
		t.Errorf("%+v", b)
	}
}

// The screen of spending has one line where the signals have two: it must not look
// well while an alert of the forecast fires.
func TestADayThatWillBeOverspentIsNotWell(t *testing.T) {
	onlyAhead := 0
	// A pace that picked up an hour ago: little is spent, and much will be.
	p := func() *metricsFake {
		return spending(func(at time.Time) float64 {
			if at.After(minutes(-70)) {
				return 40
			}
			return 1
		})
	}
	for _, usd := range []float64{800, 1500, 2000, 2500, 3000, 3400, 4000, 8000} {
		s := settledSpend(t, evaluator(t, Deps{Prom: p()}, Service{Budget: Budget{Day: usd}}))
		b := budgetOf(t, s, "day")
		ahead, _ := s.Reading("budget_forecast")
		if ahead.Verdict == sources.Bad && b.Used.V < 0.5 {
			onlyAhead++
		}
		if worse(ahead.Verdict, sources.OK) && ahead.Verdict.Worse(b.Verdict) {
			t.Errorf("of $%.0f: the forecast is %s (%s), the line %s (%s)", usd, ahead.Verdict, ahead.Why, b.Verdict, b.Why)
		}
	}
	if onlyAhead == 0 {
		t.Error("in no case is it only the forecast that is bad: the test proves nothing")
	}
}

func TestAResetCounterAndGapsClaimNoSpend(t *testing.T) {
	bad := 0
	s := settledSpend(t, evaluator(t, Deps{Prom: spending(func(at time.Time) float64 {
		bad++
		return []float64{math.NaN(), -7, math.Inf(1), absent}[bad%4]
	})}, Service{Budget: Budget{Day: 100, Hour: 10, Period: 1000, Request: 1}}))
	for _, b := range s.Spend.Budgets {
		if b.Verdict == sources.Bad || b.Spent.V > 0 {
			t.Errorf("%+v", b)
		}
	}
	s = settledSpend(t, evaluator(t, Deps{Prom: spending(func(at time.Time) float64 {
		if at.Equal(t0.Truncate(ledgerStep)) {
			return 3
		}
		return absent
	})}, Service{Budget: Budget{Day: 100}}))
	if b := budgetOf(t, s, "day"); b.Outlook.Method == spend.ByCourse || b.Verdict == sources.Bad {
		t.Errorf("one sample: %+v %+v", b, b.Outlook)
	}
}

func TestAPastMomentIsReportedOfItsOwnTime(t *testing.T) {
	tables := &spendTables{loops: minutes(-10)}
	e := evaluator(t, Deps{Prom: spending(flat(0.9)), Tables: tables}, Service{})
	past := view
	past.At = minutes(-60)
	s, err := e.Snapshot(t.Context(), "s", past, sources.CostPane)
	if err != nil {
		t.Fatal(err)
	}
	if s.Spend.Loops.N != 0 || s.Spend.To.After(past.At) || s.Spend.Requests != 3*3600+0 {
		t.Errorf("%s to %s, %d requests, %d loops", s.Spend.From, s.Spend.To, s.Spend.Requests, s.Spend.Loops.N)
	}
	if s = settledSpend(t, e); s.Spend.Loops.N != 10 {
		t.Errorf("now there are %d loops", s.Spend.Loops.N)
	}
}

// A clock that went ahead found the hours to come empty, and then they came.
func TestSpendIsReadAgainAfterAClockWentAheadAndBack(t *testing.T) {
	c := &clock{now: t0}
	tables := &spendTables{until: t0}
	e := evaluator(t, Deps{Prom: spending(flat(0.9)), Tables: tables, Clock: c}, Service{})
	settledSpend(t, e)
	c.add(3 * time.Hour)
	settledSpend(t, e)
	c.add(-2 * time.Hour) // an hour after t0
	tables.mu.Lock()
	tables.until = c.Now()
	tables.mu.Unlock()
	s := settledSpend(t, e)
	if n := s.Spend.Requests; n < 3*3500 {
		t.Errorf("%d requests of the last hour are known", n)
	}
}
