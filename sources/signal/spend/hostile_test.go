package spend

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A course that is broken in some way gives no forecast, or one as wide as it is unsure;
// it never says that a budget is spent when it is not.
func TestBrokenCoursesForecastNothingWithConfidence(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	steps := func(from time.Time, n int, usd func(i int) float64) []Step {
		var out []Step
		for i := range n {
			at := from.Add(time.Duration(i) * fine)
			out = append(out, Step{at, at.Add(fine), usd(i)})
		}
		return out
	}
	lately := noon.Add(-2 * time.Hour)
	same := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	for _, tc := range []struct {
		name         string
		coarse, fine []Step
		known        bool // a forecast may be made
	}{
		{"nothing", nil, nil, false},
		{"one sample", nil, steps(noon.Add(-fine), 1, same(1)), false},
		{"no numbers", nil, steps(lately, 24, same(nan)), false},
		{"negative", nil, steps(lately, 24, same(-1)), false},
		{"infinite", nil, steps(lately, 24, same(inf)), false},
		{"constant zero", nil, steps(lately, 24, same(0)), true},
		{"gaps", nil, steps(lately, 24, func(i int) float64 {
			if i%4 != 0 {
				return nan
			}
			return 1
		}), false},
		{"all of it after now: the clock went back", nil, steps(noon.Add(time.Hour), 24, same(1)), false},
		{"all of it long ago: the clock went ahead", nil, steps(noon.Add(-300*time.Hour), 24, same(1)), false},
		{"steps that end before they start", nil, []Step{{noon, lately, 5}}, false},
		{"the same time twice", steps(lately, 24, same(1)), steps(lately, 24, same(1)), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := NewCourse(tc.coarse, tc.fine).Outlook(Ask{
				Now: noon, Until: noon.Add(12 * time.Hour), Spent: 10, Budget: 1000, Paces: []time.Duration{time.Hour, 15 * time.Minute, fine}, Grid: fine,
			})
			if !o.Out.IsZero() || !o.Early.IsZero() || !o.Late.IsZero() {
				t.Errorf("runs out: %s", o.Words(noon, "midnight", func(t time.Time) string { return t.Format("15:04") }))
			}
			if o.Total.OK && !tc.known {
				t.Errorf("%+v", o)
			}
			if o.Total.OK && (o.Low.V > o.Total.V || o.High.V < o.Total.V || o.Total.V < 10) {
				t.Errorf("a range that does not hold what is likely: %+v", o)
			}
		})
	}
	for _, a := range []Ask{{Budget: nan, Spent: nan}, {Budget: nan, Spent: 1}, {Budget: 10, Spent: nan}, {Budget: inf, Spent: 1}, {Budget: 10, Spent: -3}} {
		a.Now, a.Until, a.Paces, a.Grid = noon, noon.Add(time.Hour), []time.Duration{time.Hour, fine}, fine
		if o := NewCourse(nil, steps(lately, 24, same(0.1))).Outlook(a); !o.Out.IsZero() {
			t.Errorf("%g of %g runs out: %+v", a.Spent, a.Budget, o)
		}
	}
}

// Numbers that cannot be make nobody a spender, no request a loop, and no cache a saving.
func TestHostileRowsAreNotBelieved(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	rows := agents(rng, 800, "acme", 1)
	for i, v := range []float64{math.Inf(1), math.Inf(-1), -1e9, math.NaN(), 1e308, 1e39} {
		for k := range 3 {
			r := rows[0]
			r.id, r.tenant = fmt.Sprintf("odd-%d-%d", i, k), "mallory"
			r.spans, r.in, r.cost = rows[0].spans, rows[0].in, rows[0].cost
			switch k {
			case 0:
				r.spans = v
			case 1:
				r.in = v
			case 2:
				r.cost = v
			}
			rows = append(rows, r)
		}
	}
	rep := reportOf(fold(rows))
	if _, err := json.Marshal(rep); err != nil {
		t.Errorf("the report cannot be written: %v", err)
	}
	for _, l := range rep.Loops.Named {
		if strings.HasPrefix(l.RequestID, "odd-") && (math.IsInf(l.Value, 0) || math.IsNaN(l.Value) || l.Value < 0) {
			t.Errorf("a loop of %g %s", l.Value, l.Count)
		}
	}
	if strings.Contains(rep.Sentence(), "Inf") || strings.Contains(rep.Sentence(), "NaN") || strings.Contains(rep.Sentence(), "e+") {
		t.Errorf("%s", rep.Sentence())
	}
}
