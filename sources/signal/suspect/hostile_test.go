package suspect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"rollcall/sources"
)

// noise is requests of which one in ten fails whatever they are.
func noise(n int) (*sources.RequestTable, []State) {
	w := draw(11, n, func(*world, map[string]string, bool) {})
	return w.table(func(map[string]string, int, []string) float64 { return 0.1 })
}

func TestAColumnOf50000ValuesHasNoSuspectByChance(t *testing.T) {
	tab, state := noise(60_000)
	c := sources.TextColumn{Name: "tenant", Values: []string{""}, Codes: make([]uint32, tab.N)}
	for i := range 50_000 {
		c.Values = append(c.Values, fmt.Sprintf("t%05d", i))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range c.Codes {
		c.Codes[i] = 1 + rng.Uint32N(50_000)
	}
	*tab.Column("tenant") = c
	if f := Find(tab, state, Checked); len(f.Suspects) != 0 {
		t.Errorf("%+v", f.Suspects)
	}
}

// A number that cannot be is not known: it makes no request bad, and explains none.
func TestNumbersThatCannotBeExplainNothing(t *testing.T) {
	tab, state := noise(4000)
	for k := range tab.Numbers {
		for i := range tab.Numbers[k].V {
			if state[i].is(Bad) {
				tab.Numbers[k].V[i] = []float64{math.Inf(1), -5, math.NaN()}[i%3]
			}
		}
	}
	for _, s := range Find(tab, state, Always).Suspects {
		if n := s.Attributes[0].Name; n == "tokens_in" || n == "latency" {
			t.Errorf("%+v", s)
		}
	}
	slow := Outcome{Number: "latency", Level: Ended}
	got, cut := slow.States(tab, time.Unix(1600, 0))
	for i, v := range tab.Number("latency") {
		if (math.IsInf(v, 0) || v < 0) && got[i]&^Before != Out {
			t.Fatalf("a latency of %g is %d, beyond %g", v, got[i], cut)
		}
	}
}

func TestAClockThatJumpedMakesNoSuspects(t *testing.T) {
	tab, _ := noise(4000)
	failing := Outcome{Column: "schema", Bad: []string{"fail"}, Level: Checked}
	more := Outcome{More: true, Level: Called}
	for name, since := range map[string]time.Time{"after all of them": time.Unix(1e6, 0), "before all of them": time.Unix(-1e6, 0), "not known": {}} {
		for _, o := range []*Outcome{&failing, &more} {
			state, _ := o.States(tab, since)
			if f := Find(tab, state, o.Level); len(f.Suspects) != 0 {
				t.Errorf("trouble that began %s: %+v", name, f.Suspects)
			}
		}
	}
	for i := range tab.Time { // half of the hosts are a day ahead
		if i%2 == 0 {
			tab.Time[i] += 24 * time.Hour
		}
	}
	state, _ := failing.States(tab, time.Unix(1600, 0))
	if f := Find(tab, state, Checked); len(f.Suspects) != 0 {
		t.Errorf("clocks that differ: %+v", f.Suspects)
	}
}

func TestCountsThatCannotBeMakeNoSuspects(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, bad := range map[string][2]float64{
		"no number": {nan, nan}, "bad ones no number": {nan, 1000}, "infinite": {inf, 1000}, "infinite good ones": {500, inf}, "negative": {-500, 1000},
		"negative good ones": {500, -100}, "more than can be counted": {1e300, 10},
	} {
		f := FromCounts("prompt", map[string][2]float64{"v13": {100, 9000}, "v12": {90, 9100}, "v14": bad})
		for _, s := range f.Suspects {
			t.Errorf("%s: %+v", name, s)
		}
	}
	many := map[string][2]float64{}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 50_000 {
		many[fmt.Sprint(i)] = [2]float64{float64(rng.IntN(3)), float64(5 + rng.IntN(20))}
	}
	if f := FromCounts("prompt", many); len(f.Suspects) != 0 {
		t.Errorf("%+v", f.Suspects)
	}
}

func TestTablesWithoutWhatIsAskedForSayNothing(t *testing.T) {
	failing := Outcome{Column: "schema", Bad: []string{"fail"}}
	for _, tab := range []*sources.RequestTable{
		{}, {N: 1, Time: []time.Duration{0}, Text: []sources.TextColumn{{Name: "schema", Values: []string{"", "fail"}, Codes: []uint32{1}}}},
		{N: 3, Time: make([]time.Duration, 3), Text: []sources.TextColumn{{Name: "schema", Values: []string{"", "pass"}, Codes: []uint32{1, 1, 1}}}},
	} {
		state, _ := failing.States(tab, time.Unix(0, 0))
		if f := Find(tab, state, Always); len(f.Suspects) != 0 || f.Enough() {
			t.Errorf("%+v", f)
		}
	}
}
