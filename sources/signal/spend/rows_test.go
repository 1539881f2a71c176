package spend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// req is a request of a test; numbers that are left out are not known.
type req struct {
	id, tenant, user, route, model, cache string
	cost, in, out, cached, spans          float64
	tools                                 []string
	noCost                                bool
}

func table(rows []req) *sources.RequestTable {
	t := &sources.RequestTable{N: len(rows), Start: noon.Add(-Part), Every: 1}
	text := map[string]func(*req) string{
		"request_id": func(r *req) string { return r.id }, "tenant": func(r *req) string { return r.tenant }, "user": func(r *req) string { return r.user },
		"route": func(r *req) string { return r.route }, "model_served": func(r *req) string { return r.model }, "cache": func(r *req) string { return r.cache },
	}
	q := Query("s", t.Start, noon, 0)
	for _, name := range q.Text {
		c := sources.TextColumn{Name: name, Values: []string{""}}
		codes := map[string]uint32{"": 0}
		for i := range rows {
			v := ""
			if f := text[name]; f != nil {
				v = f(&rows[i])
			}
			code, ok := codes[v]
			if !ok {
				code = uint32(len(c.Values))
				codes[v] = code
				c.Values = append(c.Values, v)
			}
			c.Codes = append(c.Codes, code)
		}
		t.Text = append(t.Text, c)
	}
	numbers := map[string]func(*req) float64{
		"cost": func(r *req) float64 {
			if r.noCost {
				return math.NaN()
			}
			return r.cost
		},
		"tokens_in": func(r *req) float64 { return r.in }, "tokens_out": func(r *req) float64 { return r.out },
		"tokens_cached": func(r *req) float64 { return r.cached }, "spans": func(r *req) float64 { return r.spans }, "llm_calls": func(*req) float64 { return 1 },
	}
	for _, name := range q.Numbers {
		c := sources.NumberColumn{Name: name}
		for i := range rows {
			c.V = append(c.V, numbers[name](&rows[i]))
		}
		t.Numbers = append(t.Numbers, c)
	}
	l := sources.ListColumn{Name: "tool", Values: []string{""}}
	for i := range rows {
		t.Time = append(t.Time, time.Duration(i)*time.Millisecond)
		for _, tool := range rows[i].tools {
			l.Rows, l.Codes, l.Values = append(l.Rows, uint32(i)), append(l.Codes, uint32(len(l.Values))), append(l.Values, tool)
		}
	}
	t.Lists = []sources.ListColumn{l}
	return t
}

func fold(rows []req) *Rows { return Fold(table(rows), noon.Add(-Part), noon) }

func prices(model string) (input, cached float64, ok bool) {
	return 2e-6, 5e-7, strings.HasPrefix(model, "gpt")
}

func reportOf(parts ...*Rows) *Report {
	return Of(&Look{From: noon.Add(-Part), To: noon, Parts: parts, Reference: parts, Price: prices, Most: 10})
}

// agents are requests of an agent's route as they come: a few calls, now and then more.
func agents(r *rand.Rand, n int, tenant string, times float64) []req {
	out := make([]req, n)
	for i := range out {
		calls := 1.0
		for p := r.Float64(); p > math.Exp(-1.9*times-0.9*(times-1)); p *= r.Float64() {
			calls++
		}
		x := req{id: fmt.Sprintf("%s-%d", tenant, i), tenant: tenant, route: "agent", model: "gpt", cache: "none", spans: 7 + 2*calls}
		x.in = calls*2100*math.Exp(0.3*r.NormFloat64()) + 190*calls*(calls-1)
		x.out = 46*calls + 150
		x.cost = x.in * 2e-6
		for range int(calls) - 1 {
			x.tools = append(x.tools, "look_up")
		}
		out[i] = x
	}
	return out
}

func TestNothingLoopsWhenAllIsUsual(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		var parts []*Rows
		for range 12 {
			var rows []req
			for i, tenant := range []string{"acme", "globex", "initech", "hooli", "umbrella"} {
				rows = append(rows, agents(r, 20+20*i, tenant, 1)...)
			}
			parts = append(parts, fold(rows))
		}
		if l := reportOf(parts...).Loops; l.N != 0 {
			t.Errorf("seed %d: %d loops, the first %+v", seed, l.N, l.Named[0])
		}
	}
}

func TestAnAgentThatLoopsIsNamedEvenWhenItIsMostOfTheTraffic(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		var parts []*Rows
		for part := range 6 {
			var rows []req
			for _, tenant := range []string{"acme", "globex", "hooli", "umbrella", "stark"} {
				rows = append(rows, agents(r, 20, tenant, 1)...)
			}
			if part < 2 {
				rows = append(rows, agents(r, 20, "initech", 1)...)
			} else {
				rows = append(rows, agents(r, 150, "initech", 3.6)...)
			}
			parts = append(parts, fold(rows))
		}
		l := reportOf(parts...).Loops
		if l.N < 100 || len(l.Named) != 10 || !l.CostUSD.OK {
			t.Fatalf("seed %d: %d loops, %d named", seed, l.N, len(l.Named))
		}
		for _, x := range l.Named {
			if x.Tenant != "initech" || x.Tool != "look_up" || x.Times < 5 || x.RequestID == "" || x.CostUSD.V <= 0 {
				t.Errorf("seed %d names %+v", seed, x)
			}
		}
	}
}

func TestASingleRunawayIsNamed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	rows := agents(r, 300, "acme", 1)
	wild := req{id: "wild", tenant: "hooli", route: "agent", spans: 400, in: 900_000, out: 4000, noCost: true}
	for i := range 180 {
		wild.tools = append(wild.tools, []string{"look_up", "look_up", "other"}[i%3])
	}
	rep := reportOf(fold(append(rows, wild)))
	if rep.Loops.N != 1 || len(rep.Loops.Named) != 1 {
		t.Fatalf("%+v", rep.Loops)
	}
	x := rep.Loops.Named[0]
	if x.RequestID != "wild" || x.Tool != "look_up" || x.Times != 120 || x.ToolCalls != 180 || x.CostUSD.OK || x.Z < farZ {
		t.Errorf("%+v", x)
	}
	if rep.Loops.CostUSD.OK || rep.Loops.Unpaid != 1 {
		t.Errorf("its cost is not known: %+v", rep.Loops)
	}
	if want := "Request wild of hooli loops: "; !strings.HasPrefix(rep.Sentence(), want) {
		t.Errorf("the sentence is %q", rep.Sentence())
	}
}

func TestALongRequestIsNotSaidToLoop(t *testing.T) {
	rows := agents(rand.New(rand.NewPCG(3, 3)), 300, "acme", 1)
	rep := reportOf(fold(append(rows, req{id: "long", tenant: "hooli", route: "agent", spans: 12, in: 20_000_000, out: 100})))
	if want := "Request long of hooli takes 20M tokens, usually "; !strings.HasPrefix(rep.Sentence(), want) {
		t.Errorf("the sentence is %q", rep.Sentence())
	}
}

func TestARouteWithFewRequestsIsSaidToBeUnknown(t *testing.T) {
	rep := reportOf(fold(append(agents(rand.New(rand.NewPCG(1, 1)), 10, "acme", 1), req{id: "x", route: "agent", spans: 4000})))
	if rep.Loops.N != 0 || len(rep.Loops.Unknown) != 1 || rep.Loops.Unknown[0] != "agent" {
		t.Errorf("%+v", rep.Loops)
	}
}

func TestWhoSpendsMostComesFirstWithItsShareAndWhatIsUsual(t *testing.T) {
	day := func(acme float64) Usual {
		u, ok := UsualOf(table([]req{{tenant: "acme", cost: acme}, {tenant: "globex", cost: 4}}))
		if !ok {
			t.Fatal("no rows")
		}
		return u
	}
	part := fold([]req{{tenant: "acme", cost: 6}, {tenant: "globex", cost: 3}, {tenant: "new", cost: 1}, {tenant: "free"}, {tenant: "unpriced", in: 100, noCost: true}})
	l := &Look{Parts: []*Rows{part}, Reference: []*Rows{part}, Usual: []Usual{day(1), day(2), day(9)}, Price: prices, Most: 10}
	top := Of(l).Top[0]
	if top.Attribute != "tenant" || top.Values != 5 || len(top.Spenders) != 3 {
		t.Fatalf("%+v", top)
	}
	a, n := top.Spenders[0], top.Spenders[2]
	if a.Value != "acme" || a.Share.V != 0.6 || a.Usual.V != 2 || a.Ratio.V != 3 || a.Days != 3 || a.AtLeast {
		t.Errorf("%+v", a)
	}
	if n.Value != "new" || n.Usual.V != 0 || n.Ratio.OK {
		t.Errorf("%+v", n)
	}
	l.Usual = l.Usual[:2]
	if a = Of(l).Top[0].Spenders[0]; a.Usual.OK {
		t.Errorf("two days are called usual: %+v", a)
	}
}

func TestWhatHasNoPriceIsNamedAndNeverFree(t *testing.T) {
	rep := reportOf(fold([]req{
		{tenant: "a", model: "gpt-1", cost: 1, in: 10}, {tenant: "a", model: "mystery", in: 500, out: 50, noCost: true}, {tenant: "a", model: "gpt-1"},
	}))
	if len(rep.Unpriced) != 1 || rep.Unpriced[0] != (Unpriced{"mystery", 1, 550}) {
		t.Errorf("%+v", rep.Unpriced)
	}
	if a := rep.Top[0].Spenders[0]; !a.AtLeast || a.USD != 1 {
		t.Errorf("%+v", a)
	}
	if rep = reportOf(fold([]req{{model: "mystery", in: 5, noCost: true}})); rep.SpentUSD.OK {
		t.Errorf("no known cost is %v", rep.SpentUSD)
	}
}

func TestSavingsAreHitsTimesAMissOfTheSameRoute(t *testing.T) {
	rows := []req{
		{route: "answer", cache: "none", cost: 0.4, model: "gpt"},
		{route: "answer", cache: "provider", cost: 0.2, model: "gpt", cached: 1e6},
		{route: "answer", cache: "exact", noCost: true},
		{route: "answer", cache: "exact", cost: 0.1},
		{route: "faq", cache: "semantic", noCost: true},
		{route: "", cache: "", noCost: true},
	}
	rep := reportOf(fold(rows))
	exact, semantic, provider := rep.Caches[0], rep.Caches[1], rep.Caches[2]
	// Misses cost 0.30 on average; half of the hits tell a cost of their own, which counts for both.
	if want := 2 * (0.3 - 0.1) * 12; math.Abs(exact.PerHour.V-want) > 1e-9 || exact.Hits != 2 || math.Abs(exact.HitRatio.V-0.4) > 1e-9 {
		t.Errorf("exact %+v, want %g an hour", exact, want)
	}
	if semantic.PerHour.OK || semantic.Untold != 1 || !strings.HasPrefix(semantic.Why, "cannot tell: no request without a cache tells its cost on faq") {
		t.Errorf("semantic %+v", semantic)
	}
	if want := 1e6 * 1.5e-6 * 12; math.Abs(provider.PerHour.V-want) > 1e-9 {
		t.Errorf("provider %+v, want %g", provider, want)
	}
	rows[1].model = "mystery"
	if p := reportOf(fold(rows)).Caches[2]; p.PerHour.OK || !strings.Contains(p.Why, "no price of cached tokens for mystery") {
		t.Errorf("without a price: %+v", p)
	}
	for i := range rows {
		rows[i].cache, rows[i].cached = "", math.NaN()
	}
	for _, s := range reportOf(fold(rows)).Caches {
		if s.PerHour.OK || !strings.HasPrefix(s.Why, "cannot tell") {
			t.Errorf("nothing is recorded: %+v", s)
		}
	}
}

func TestRowsOfSomeRequestsAreScaledAndSaySo(t *testing.T) {
	part := fold([]req{{tenant: "a", route: "r", cache: "none", cost: 1}, {tenant: "b", route: "r", cache: "exact"}})
	open := Fold(table(nil), noon, noon.Add(time.Minute))
	l := &Look{Parts: []*Rows{part, open}, Price: prices, Most: 5, Spent: func(time.Time, time.Time) (float64, bool) { return 10, true }}
	rep := Of(l)
	if rep.Coverage.V != 0.1 || math.Abs(rep.Top[0].Spenders[0].Estimate.V-10) > 1e-9 || rep.Top[0].Spenders[0].USD != 1 || len(rep.Notes) != 1 {
		t.Errorf("%+v %v", rep.Top[0], rep.Notes)
	}
	if c := rep.Caches[0]; math.Abs(c.PerHour.V-10/(6.0/60)) > 1e-6 || !strings.Contains(c.Why, "≈") {
		t.Errorf("%+v", c)
	}
	l.Spent = func(time.Time, time.Time) (float64, bool) { return 0, false }
	if rep = Of(l); rep.Coverage.OK || rep.Top[0].Spenders[0].Estimate.OK {
		t.Errorf("what metrics count is not known: %+v", rep.Coverage)
	}
}

func TestBadInputIsCountedAsUnknown(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	rows := agents(rand.New(rand.NewPCG(1, 1)), 100, "acme", 1)
	rows = append(rows, req{id: "a", tenant: "evil", cost: -5, in: -3, spans: inf}, req{id: "b", tenant: "evil", cost: nan, in: inf, out: nan, spans: nan, cached: -1}, req{id: "c", tenant: "evil", cost: inf})
	tab := table(rows)
	tab.Lists[0].Rows, tab.Lists[0].Codes = append(tab.Lists[0].Rows, 9999), append(tab.Lists[0].Codes, 0)
	rep := reportOf(Fold(tab, noon.Add(-Part), noon))
	for _, s := range rep.Top[0].Spenders {
		if s.Value == "evil" || !(s.USD >= 0) || math.IsInf(s.USD, 0) {
			t.Errorf("%+v", s)
		}
	}
	if rep.Loops.N != 0 {
		t.Errorf("%+v", rep.Loops)
	}
	if empty := reportOf(Fold(&sources.RequestTable{}, noon, noon)); empty.Requests != 0 || empty.SpentUSD.OK || len(empty.Notes) == 0 {
		t.Errorf("%+v", empty)
	}
	if none := Of(&Look{}); none.Sentence() != "" || none.Top == nil || none.Caches == nil {
		t.Errorf("%+v", none)
	}
}

func TestFiftyThousandUsersAreBounded(t *testing.T) {
	var rows []req
	for i := range 50_000 {
		rows = append(rows, req{id: "r", user: fmt.Sprintf("user-%d", i), tenant: fmt.Sprintf("t-%d", i), route: fmt.Sprintf("/item/%d", i), model: fmt.Sprintf("m-%d", i), cost: 0.001, spans: 9})
	}
	rows = append(rows, req{user: "big", tenant: "big", cost: 3, spans: 9})
	part := fold(rows)
	for a := range part.by {
		if len(part.by[a]) > mostValues {
			t.Errorf("%s keeps %d values", Attributes[a], len(part.by[a]))
		}
	}
	if len(part.models) > mostValues+1 || len(part.cache) > mostRoutes+2 || len(part.odd) > (mostRoutes+2)*3*oddKept {
		t.Errorf("%d models, %d routes, %d odd", len(part.models), len(part.cache), len(part.odd))
	}
	user, usd, over, known := Users([]*Rows{part}, 1)
	if user != "big" || usd != 3 || over != 1 || !known {
		t.Errorf("%s %g %d", user, usd, over)
	}
	rep := reportOf(part)
	if s := rep.Top[1].Spenders; s[0].Value != "big" || !(s[0].Share.V > 0.05) {
		t.Errorf("%+v", s[0])
	}
}

func TestTheDearestRequestIsNamed(t *testing.T) {
	part := fold([]req{{id: "cheap", cost: 0.1}, {id: "dear", cost: 2}, {id: "unknown", noCost: true}})
	if id, usd, over, known := Dearest([]*Rows{part}, 1); id != "dear" || usd != 2 || over != 1 || !known {
		t.Errorf("%s %g %d %v", id, usd, over, known)
	}
	if _, _, _, known := Dearest([]*Rows{fold([]req{{noCost: true}})}, 1); known {
		t.Error("no cost is known")
	}
}

func TestTheSentenceNamesABudgetThatRunsOut(t *testing.T) {
	r := &Report{Budgets: []Budget{{Scope: "hour", Verdict: sources.OK}, {Scope: "period", Verdict: sources.Bad, Why: "runs out at 16:00"}}}
	if got := r.Sentence(); got != "Budget of the month: runs out at 16:00." {
		t.Error(got)
	}
}

func BenchmarkReport(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var parts []*Rows
	for range 12 { // an hour at 50 requests a second
		var rows []req
		for i := range 100 {
			rows = append(rows, agents(r, 150, fmt.Sprintf("tenant-%d", i), 1)...)
		}
		for i := range rows {
			rows[i].user = fmt.Sprintf("user-%d", r.IntN(50_000))
		}
		parts = append(parts, fold(rows))
	}
	tab := table(agents(r, 15_000, "acme", 1))
	b.Run("fold a part", func(b *testing.B) {
		for b.Loop() {
			Fold(tab, noon.Add(-Part), noon)
		}
	})
	b.Run("report", func(b *testing.B) {
		for b.Loop() {
			reportOf(parts...)
		}
	})
}
