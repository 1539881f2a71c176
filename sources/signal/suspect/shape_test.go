package suspect

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"rollcall/sources"
)

// durations draws n from one or two log-normal humps, the slow ones without a cache.
func durations(seed uint64, n int, slowShare, slowMedian, sd float64) *sources.RequestTable {
	rng := rand.New(rand.NewPCG(seed, 11))
	t := &sources.RequestTable{N: n, Start: time.Unix(0, 0), Numbers: []sources.NumberColumn{{Name: "latency"}}}
	c := sources.TextColumn{Name: "cache", Values: []string{"", "exact", "none"}}
	for i := range n {
		v, code := 0.2*math.Exp(rng.NormFloat64()*sd), uint32(1)
		if rng.Float64() < slowShare {
			v, code = slowMedian*math.Exp(rng.NormFloat64()*sd), 2
		}
		t.Numbers[0].V = append(t.Numbers[0].V, v)
		t.Time = append(t.Time, time.Duration(i)*time.Second)
		c.Codes = append(c.Codes, code)
	}
	t.Text = []sources.TextColumn{c}
	return t
}

func TestTwoHumpsAreFoundWithTheirSharesAndWhatTellsThemApart(t *testing.T) {
	for seed := range uint64(20) {
		table := durations(seed, 3000, 0.33, 4, 0.35)
		s := ShapeOf(table, "latency", 3000*time.Second, 10)
		if !s.Two() {
			t.Fatalf("seed %d: %+v", seed, s.Humps)
		}
		if math.Abs(s.Humps[1].Share-0.33) > 0.04 || math.Abs(math.Log(s.Humps[0].Median/0.2)) > 0.1 || math.Abs(math.Log(s.Humps[1].Median/4)) > 0.1 {
			t.Errorf("seed %d: humps %+v", seed, s.Humps)
		}
		s.Explain(table)
		if len(s.Slow.Suspects) == 0 || s.Slow.Suspects[0].Name() != "cache=none" {
			t.Errorf("seed %d: the slow hump is explained by %+v", seed, s.Slow.Suspects)
		}
		sum := 0
		for _, col := range s.Heat {
			for _, n := range col {
				sum += n
			}
		}
		if sum != 3000 || len(s.Heat) != 10 || len(s.Edges) != len(s.Counts)+1 {
			t.Errorf("seed %d: the heat map holds %d in %d columns", seed, sum, len(s.Heat))
		}
	}
}

func TestOneHumpAndItsTailStayOne(t *testing.T) {
	for seed := range uint64(50) {
		if s := ShapeOf(durations(seed, 3000, 0, 1, 0.5), "latency", time.Hour, 1); s.Two() {
			t.Errorf("seed %d: one hump became %+v", seed, s.Humps)
		}
		// A gamma distribution is skewed even on a log scale.
		rng := rand.New(rand.NewPCG(seed, 3))
		table := durations(seed, 3000, 0, 1, 0.5)
		for i := range table.Numbers[0].V {
			table.Numbers[0].V[i] = rng.ExpFloat64() + rng.ExpFloat64()
		}
		if s := ShapeOf(table, "latency", time.Hour, 1); s.Two() {
			t.Errorf("seed %d: a tail became a hump: %+v", seed, s.Humps)
		}
	}
}

func TestAShapeOfNothingOrOfOddNumbersClaimsNothing(t *testing.T) {
	table := durations(1, 50, 0.5, 9, 0.1)
	if s := ShapeOf(table, "latency", time.Hour, 5); s.N != 50 || len(s.Humps) != 0 {
		t.Errorf("50 requests have humps %+v", s.Humps)
	}
	for i := range table.Numbers[0].V {
		table.Numbers[0].V[i] = []float64{0, -1, math.NaN()}[i%3]
	}
	if s := ShapeOf(table, "latency", time.Hour, 5); s.N != 0 || s.Two() {
		t.Errorf("%+v", s)
	}
	if ShapeOf(table, "embed", time.Hour, 5) != nil {
		t.Error("a stage that was not asked for has a shape")
	}
	same := durations(1, 500, 0, 9, 0)
	if s := ShapeOf(same, "latency", 0, 0); s.Two() || s.N != 500 {
		t.Errorf("500 equal numbers: %+v", s.Humps)
	}
}
