package suspect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// world draws request rows of a service that has its habits: agents fail more
// often, one tenant is large, users differ, documents are read unevenly.
type world struct {
	rng  *rand.Rand
	n    int
	rows []map[string]string
	docs [][]string
	tool [][]string
	nums map[string][]float64
}

const begins = 0.4 // of the range, when things go wrong

var words = []string{
	"prompt", "model", "tools", "index", "policy", "manifest", "stage", "model_served", "model_fingerprint", "provider",
	"region", "route", "tenant", "user", "cache", "finish_reason", "schema", "outcome",
}

func draw(seed uint64, n int, change func(w *world, row map[string]string, after bool)) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), n: n, nums: map[string][]float64{}}
	pick := func(list ...string) string { return list[w.rng.IntN(len(list))] }
	for i := range n {
		after := float64(i) >= begins*float64(n)
		row := map[string]string{
			"prompt": "v13", "model": "gpt-4.1-2025-04-14", "tools": "t5", "index": "kb-42", "policy": "p8", "manifest": "m-142", "stage": "live",
			"model_served": "gpt-4.1-2025-04-14", "model_fingerprint": "fp_1", "provider": "openai", "cache": pick("none", "none", "none", "exact", "semantic"),
			"region": pick("eu-west-1", "us-east-1", "ap-south-1"), "route": pick("chat", "chat", "chat", "agent", "search"),
			"tenant": pick("acme", "acme", "acme", "initech", "hooli", "umbrella", "globex"), "user": fmt.Sprintf("u%d", int(math.Pow(w.rng.Float64(), 3)*3000)),
			"finish_reason": "stop", "outcome": "ok",
		}
		change(w, row, after)
		docs := []string{}
		for range 3 {
			docs = append(docs, fmt.Sprintf("%s/doc-%d", row["index"], int(math.Pow(w.rng.Float64(), 2)*400)))
		}
		tools := []string{}
		if row["route"] == "agent" {
			tools = append(tools, "order_lookup", pick("refund", "shipping"))
		}
		w.rows, w.docs, w.tool = append(w.rows, row), append(w.docs, docs), append(w.tool, tools)
		w.nums["latency"] = append(w.nums["latency"], math.Exp(w.rng.NormFloat64()*0.4))
		w.nums["tokens_in"] = append(w.nums["tokens_in"], 500+w.rng.Float64()*3000)
	}
	return w
}

// table encodes the rows; schema=fail with the given chance.
func (w *world) table(chance func(row map[string]string, i int, docs []string) float64) (*sources.RequestTable, []State) {
	t := &sources.RequestTable{N: w.n, Start: time.Unix(0, 0)}
	for i := range w.n {
		t.Time = append(t.Time, time.Duration(i)*time.Second)
		w.rows[i]["schema"] = "pass"
		if w.rng.Float64() < chance(w.rows[i], i, w.docs[i]) {
			w.rows[i]["schema"] = "fail"
			w.rows[i]["outcome"] = "error" // what comes of it
		}
	}
	for _, name := range words {
		c := sources.TextColumn{Name: name, Values: []string{""}}
		codes := map[string]uint32{"": 0}
		for _, r := range w.rows {
			v := r[name]
			if _, ok := codes[v]; !ok {
				codes[v] = uint32(len(c.Values))
				c.Values = append(c.Values, v)
			}
			c.Codes = append(c.Codes, codes[v])
		}
		t.Text = append(t.Text, c)
	}
	for name, lists := range map[string][][]string{"document": w.docs, "tool": w.tool} {
		c := sources.ListColumn{Name: name, Values: []string{""}}
		codes := map[string]uint32{}
		for i, list := range lists {
			for _, v := range list {
				if _, ok := codes[v]; !ok {
					codes[v] = uint32(len(c.Values))
					c.Values = append(c.Values, v)
				}
				c.Rows, c.Codes = append(c.Rows, uint32(i)), append(c.Codes, codes[v])
			}
		}
		t.Lists = append(t.Lists, c)
	}
	for name, v := range w.nums {
		t.Numbers = append(t.Numbers, sources.NumberColumn{Name: name, V: v})
	}
	failing := Outcome{Column: "schema", Bad: []string{"fail"}, Level: Checked}
	state, _ := failing.States(t, time.Unix(int64(begins*float64(w.n)), 0))
	return t, state
}

// habit is how often requests fail on any day.
func habit(row map[string]string) float64 {
	if row["route"] == "agent" {
		return 0.03
	}
	return 0.01
}

// Each plants one cause, as the drill's scenarios do, and names what must come first.
var plants = []struct {
	name   string
	change func(w *world, row map[string]string, after bool)
	chance func(row map[string]string, i int, docs []string) float64
	want   []string // any of these is right
}{
	{
		"a prompt for all traffic",
		func(_ *world, r map[string]string, after bool) {
			if after {
				r["prompt"], r["manifest"] = "v14", "m-143"
			}
		},
		func(r map[string]string, _ int, _ []string) float64 { return habit(r) + 0.08*is(r["prompt"] == "v14") },
		[]string{"prompt=v14"},
	},
	{
		"a canary of ten percent",
		func(w *world, r map[string]string, after bool) {
			if after && w.rng.Float64() < 0.1 {
				r["prompt"], r["manifest"], r["stage"] = "v14", "m-143", "canary"
			}
		},
		func(r map[string]string, _ int, _ []string) float64 { return habit(r) + 0.09*is(r["prompt"] == "v14") },
		[]string{"prompt=v14"},
	},
	{
		"a model that moved silently",
		func(_ *world, r map[string]string, after bool) {
			if after {
				r["model_served"], r["model_fingerprint"] = "gpt-4.1-2025-08-07", "fp_2"
			}
		},
		func(r map[string]string, _ int, _ []string) float64 {
			return habit(r) + 0.06*is(r["model_fingerprint"] == "fp_2")
		},
		[]string{"model_served=gpt-4.1-2025-08-07"},
	},
	{
		"an index, with new documents",
		func(_ *world, r map[string]string, after bool) {
			if after {
				r["index"], r["manifest"] = "kb-43", "m-143"
			}
		},
		func(r map[string]string, _ int, _ []string) float64 { return habit(r) + 0.1*is(r["index"] == "kb-43") },
		[]string{"index=kb-43"},
	},
	{
		"one document that poisons answers",
		func(*world, map[string]string, bool) {},
		func(r map[string]string, i int, docs []string) float64 {
			hit := false
			for _, d := range docs {
				hit = hit || d == "kb-42/doc-0"
			}
			return habit(r) + 0.5*is(hit && i > 2000)
		},
		[]string{"document=kb-42/doc-0"},
	},
	{
		"a wave out of one tenant",
		func(w *world, r map[string]string, after bool) {
			if after && w.rng.Float64() < 0.2 {
				r["tenant"] = "hooli"
			}
		},
		func(r map[string]string, i int, _ []string) float64 {
			return habit(r) + 0.4*is(r["tenant"] == "hooli" && i > 2000)
		},
		[]string{"tenant=hooli"},
	},
	{
		"new tools, which only one tenant's agent gets wrong",
		func(_ *world, r map[string]string, after bool) {
			if after {
				r["tools"], r["manifest"] = "t6", "m-143"
			}
		},
		func(r map[string]string, _ int, _ []string) float64 {
			return habit(r) + 0.8*is(r["tools"] == "t6" && r["tenant"] == "initech" && r["route"] == "agent")
		},
		[]string{"tools=t6 with tenant=initech and route=agent"},
	},
	{
		"a wave out of one tenant, some time after a release that has nothing to do with it",
		func(w *world, r map[string]string, after bool) {
			if len(w.rows) >= 1700 {
				r["prompt"], r["manifest"] = "v14", "m-143"
			}
			if after && w.rng.Float64() < 0.2 {
				r["tenant"] = "hooli"
			}
		},
		func(r map[string]string, i int, _ []string) float64 {
			return habit(r) + 0.4*is(r["tenant"] == "hooli" && i > 2000)
		},
		[]string{"tenant=hooli"},
	},
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestThePlantedCauseComesFirstWhateverTheSeed(t *testing.T) {
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(8) {
				w := draw(seed, 5000, p.change)
				table, state := w.table(p.chance)
				found := Find(table, state, Checked)
				if len(found.Suspects) == 0 {
					t.Fatalf("seed %d: nothing found of %d bad, %d good", seed, found.Bad, found.Good)
				}
				top := found.Suspects[0].Name()
				ok := false
				for _, want := range p.want {
					ok = ok || top == want
				}
				if !ok {
					t.Errorf("seed %d: %s comes first: %+v", seed, top, found.Suspects[:min(3, len(found.Suspects))])
				}
				for _, s := range found.Suspects {
					if strings.Contains(s.Name(), "outcome=") || strings.Contains(s.Name(), "schema=") {
						t.Errorf("seed %d: a consequence is offered as a cause: %s", seed, s.Name())
					}
				}
			}
		})
	}
}

// The habits are real differences, and still no news: agents always failed more often.
func TestNothingIsSuspectedWhenNothingChanged(t *testing.T) {
	for _, all := range []struct {
		name  string
		after float64 // what is added for everybody once it begins
	}{{"nothing happens", 0}, {"all fail more often, whoever they are", 0.08}} {
		t.Run(all.name, func(t *testing.T) {
			wrong := 0
			for seed := range uint64(30) {
				w := draw(seed, 5000, func(*world, map[string]string, bool) {})
				table, state := w.table(func(r map[string]string, i int, _ []string) float64 {
					return habit(r) + all.after*is(float64(i) >= begins*5000)
				})
				if found := Find(table, state, Checked); len(found.Suspects) > 0 {
					wrong++
					t.Logf("seed %d: %s, effect %.2f, p %.2g; usual %d", seed, found.Suspects[0].Name(), found.Suspects[0].Effect, found.Suspects[0].P, len(found.Usual))
				}
			}
			// A habit that chance hid before and shows now is told from news only so well.
			if wrong > 1 {
				t.Errorf("in %d of 30 worlds something is suspected that is not to blame", wrong)
			}
		})
	}
}

func TestAttributesOfTheSameRequestsAreOneSuspect(t *testing.T) {
	w := draw(3, 5000, plants[1].change)
	table, state := w.table(plants[1].chance)
	s := Find(table, state, Checked).Suspects[0]
	if s.Name() != "prompt=v14" || len(s.Same) != 2 || !s.Has(sources.Attribute{Name: "manifest", Value: "m-143"}) {
		t.Errorf("%s, the same as %v", s.Name(), s.Same)
	}
	if v, ok := s.Version(sources.Prompt); !ok || v != "v14" {
		t.Errorf("version %q", v)
	}
	if _, ok := s.Version(sources.Index); ok {
		t.Error("it names a version of the index")
	}
}

// 50,000 values of one label, none of them to blame, cost little and say nothing.
func TestALabelThatGrowsWithoutEndExplainsNothing(t *testing.T) {
	w := draw(5, 60_000, func(w *world, r map[string]string, _ bool) {
		r["tenant"] = fmt.Sprintf("tenant-%d", w.rng.IntN(50_000))
	})
	table, state := w.table(func(r map[string]string, _ int, _ []string) float64 { return habit(r) })
	found := Find(table, state, Checked)
	if len(found.Suspects) > 0 || found.Tested > 5000 {
		t.Errorf("%d tested, suspects %+v", found.Tested, found.Suspects)
	}
}

func TestTooLittleIsNoEvidence(t *testing.T) {
	w := draw(1, 60, plants[0].change)
	table, state := w.table(func(r map[string]string, i int, _ []string) float64 { return is(i >= 55) })
	if found := Find(table, state, Checked); found.Enough() || len(found.Suspects) > 0 {
		t.Errorf("%d bad are enough for %+v", found.Bad, found.Suspects)
	}
	empty := &sources.RequestTable{}
	if found := Find(empty, nil, Checked); found.Enough() || len(found.Suspects) > 0 {
		t.Errorf("nothing at all explains %+v", found)
	}
}

// Figures of a 2×2 table by hand and by R: fisher.test(matrix(c(8,2,1,5),2))$p.value is 0.03497 two-sided.
func TestTheTestsGiveTheBookedFigures(t *testing.T) {
	if p := fisher(8, 1, 10, 6); math.Abs(p-2*0.0244755) > 1e-4 {
		t.Errorf("Fisher's exact test gives %v", p)
	}
	// G of (97,3 | 310,690): computed from the definition.
	r := rows{bad: 100, good: 1000}
	g := 2 * (97*math.Log(97.0*1100/(407*100)) + 3*math.Log(3.0*1100/(693*100)) + 310*math.Log(310.0*1100/(407*1000)) + 690*math.Log(690.0*1100/(693*1000)))
	if want, p := math.Erfc(math.Sqrt(g/2)), r.test(97, 310); math.Abs(math.Log(p)-math.Log(want)) > 1e-9 {
		t.Errorf("the G-test gives %v, want %v", p, want)
	}
	if p := r.test(10, 100); p < 0.9 {
		t.Errorf("the same share on both sides has p %v", p)
	}
	p := []float64{0.01, 0.0001, 0.04}
	stepDown([]*float64{&p[0], &p[1], &p[2]}, 0.05)
	if math.Abs(p[0]-0.02) > 1e-12 || math.Abs(p[1]-0.0003) > 1e-12 || math.Abs(p[2]-0.04) > 1e-12 {
		t.Errorf("Holm's adjusted figures are %v", p)
	}
}

// Who fails asks again: those who fail most ask most, and that is no reason for it.
func TestAskingAgainIsNoSuspectOfFailing(t *testing.T) {
	table := &sources.RequestTable{N: 0, Start: time.Unix(0, 0).UTC(), Every: 1}
	user := sources.TextColumn{Name: "user", Values: []string{""}}
	var state []State
	add := func(code uint32, s State) {
		table.N++
		table.Time = append(table.Time, time.Duration(table.N)*time.Second)
		user.Codes, state = append(user.Codes, code), append(state, s)
	}
	for u := range uint32(40) {
		user.Values = append(user.Values, fmt.Sprintf("user-%d", u))
		for range 20 {
			add(u+1, Good|Before)
		}
	}
	for u := range uint32(40) {
		for range 5 {
			add(u+1, Good)
		}
		if u < 4 { // the unlucky ones ask again and again
			for range 60 {
				add(u+1, Bad)
			}
		}
	}
	table.Text = []sources.TextColumn{user}
	for _, s := range Find(table, state, Checked).Suspects {
		for _, a := range s.Attributes {
			if a.Name == "user_group" {
				t.Errorf("suspected: %s", s.Name())
			}
		}
	}
}

func TestLabelsOfAMetricTellTheSameCoarser(t *testing.T) {
	found := FromCounts("prompt", map[string][2]float64{"v13": {12, 988}, "v14": {91, 909}})
	if len(found.Suspects) != 1 || found.Suspects[0].Name() != "prompt=v14" || math.Abs(found.Suspects[0].Coverage-91.0/103) > 1e-9 {
		t.Errorf("%+v", found)
	}
	if found := FromCounts("prompt", map[string][2]float64{"v13": {50, 950}, "v14": {55, 945}}); len(found.Suspects) != 0 {
		t.Errorf("chance is suspected: %+v", found.Suspects)
	}
}

func TestOutcomeByNumberIsHeldAgainstWhatItWasBefore(t *testing.T) {
	table := &sources.RequestTable{N: 400, Start: time.Unix(0, 0), Numbers: []sources.NumberColumn{{Name: "latency"}}}
	for i := range 400 {
		v := 1 + float64(i%100)/100
		if i >= 200 && i%2 == 0 {
			v = 9
		}
		if i == 399 {
			v = math.NaN()
		}
		table.Time = append(table.Time, time.Duration(i)*time.Second)
		table.Numbers[0].V = append(table.Numbers[0].V, v)
	}
	o := Outcome{Number: "latency", Level: Ended}
	state, cut := o.States(table, time.Unix(200, 0))
	if cut < 1.9 || cut > 1.97 || !state[200].is(Bad) || !state[0].is(Good) || state[0]&Before == 0 || state[399] != Out {
		t.Errorf("cut %v, states %v %v %v", cut, state[0], state[200], state[399])
	}
	more := Outcome{More: true}
	if state, _ := more.States(table, time.Unix(200, 0)); state[0] != Good || state[300] != Bad {
		t.Errorf("states %v %v", state[0], state[300])
	}
}

// A request that is dropped calls no model and writes nothing: neither is why it was dropped.
func TestDoingLittleIsNoSuspectOfFailing(t *testing.T) {
	w := draw(4, 4000, func(*world, map[string]string, bool) {})
	table, state := w.table(func(_ map[string]string, i int, _ []string) float64 { return 0.3 * is(i >= 1600) })
	calls, out := sources.NumberColumn{Name: "llm_calls"}, sources.NumberColumn{Name: "tokens_out"}
	for i := range w.n {
		n := float64(1 + w.rng.IntN(3))
		if state[i].is(Bad) {
			n = 0
		}
		calls.V, out.V = append(calls.V, n), append(out.V, 200*n)
	}
	table.Numbers = append(table.Numbers, calls, out)
	if found := Find(table, state, Checked); len(found.Suspects) > 0 {
		t.Errorf("%+v", found.Suspects)
	}
}

// A call that failed could not say that the provider's cache was used: that is no cause.
func TestWhatOnlySuccessfulCallsRecordIsNoSuspectOfFailures(t *testing.T) {
	w := draw(2, 4000, func(*world, map[string]string, bool) {})
	for i := range w.rows {
		w.rows[i]["cache"] = "provider"
		if i%10 == 0 {
			w.rows[i]["cache"] = "none"
		}
	}
	table, state := w.table(func(r map[string]string, i int, _ []string) float64 {
		return 0.9 * is(r["cache"] == "none" && i >= 1600)
	})
	if found := Find(table, state, Answered); len(found.Suspects) > 0 {
		t.Errorf("%+v", found.Suspects)
	}
	if found := Find(table, state, Checked); len(found.Suspects) == 0 || found.Suspects[0].Name() != "cache=none" {
		t.Errorf("of what comes later it may be: %+v", found.Suspects)
	}
}
