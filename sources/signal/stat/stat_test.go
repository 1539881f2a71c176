package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTheTailIsTheSumOfTheDistribution(t *testing.T) {
	for _, tc := range []struct{ n, a, b float64 }{{20, 1, 9}, {50, 0.4, 12}, {200, 3, 300}, {7, 2, 2}} {
		sum := make([]float64, int(tc.n)+2)
		for k := tc.n; k >= 0; k-- {
			sum[int(k)] = sum[int(k)+1] + math.Exp(lchoose(tc.n, k)+lbeta(k+tc.a, tc.n-k+tc.b)-lbeta(tc.a, tc.b))
		}
		if math.Abs(sum[0]-1) > 1e-9 {
			t.Fatalf("the distribution sums to %g", sum[0])
		}
		for k := 0.0; k <= tc.n; k++ {
			if got := Tail(k, tc.n, tc.a, tc.b); math.Abs(got-sum[int(k)]) > 1e-5*sum[int(k)]+1e-12 {
				t.Errorf("P(X>=%g) of %+v is %g, want %g", k, tc, got, sum[int(k)])
			}
		}
	}
}

func TestTheTailOfAClosedForm(t *testing.T) {
	// With a = b = 1 every count from 0 to n is equally likely.
	for k := 0.0; k <= 10; k++ {
		if got := Tail(k, 10, 1, 1); math.Abs(got-(11-k)/11) > 1e-9 {
			t.Errorf("P(X>=%g) is %g", k, got)
		}
	}
}

func TestOverdispersionIsThatOfTheSeries(t *testing.T) {
	g := newGen(1)
	for _, rho := range []float64{0.002, 0.01, 0.05} {
		var w []Count
		for range 4000 {
			p := g.beta(0.05*(1/rho-1), 0.95*(1/rho-1))
			w = append(w, Count{float64(g.binomial(2000, p)), 2000})
		}
		f := FitCounts(w, nil)
		if math.Abs(f.Rho/rho-1) > 0.15 || math.Abs(f.Mu/0.05-1) > 0.05 {
			t.Errorf("rho %g is estimated as %g, share as %g", rho, f.Rho, f.Mu)
		}
	}
	if f := FitCounts([]Count{{10, 1000}, {10, 1000}, {10, 1000}}, nil); f.Rho != minRho {
		t.Errorf("a series that never wavers has rho %g", f.Rho)
	}
	if f := FitCounts([]Count{{0, 1000}, {1000, 1000}}, nil); f.Rho != maxRho {
		t.Errorf("a series that is all or nothing has rho %g", f.Rho)
	}
	steady := []Count{{10, 1000}, {10, 1000}}
	if f := FitCounts(steady, []Count{{0, 1000}, {50, 1000}, {5, 1000}}); f.Rho < 0.005 {
		t.Errorf("days that waver are not heard: rho %g", f.Rho)
	}
}

func TestNonsenseIsNeverSurprising(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := FitCounts([]Count{{10, 1000}, {12, 1000}, {9, 1000}}, nil)
	for _, c := range []Count{{nan, 100}, {5, nan}, {inf, inf}, {-5, 100}, {200, 100}, {0, 0}, {5, -100}, {5, inf}} {
		if f := Worse(Lately{c, c, c}, good, AlphaSeries); f.Rule != "" || f.P != 1 {
			t.Errorf("%+v is found %+v", c, f)
		}
	}
	bad := Count{500, 1000}
	for _, base := range [][]Count{nil, {{nan, 100}}, {{-1, 100}, {1, nan}}, {{0, 0}}} {
		if f := Worse(Lately{bad, bad, bad}, FitCounts(base, nil), AlphaSeries); f.Rule != "" {
			t.Errorf("a base of %+v finds %+v", base, f)
		}
	}
	mixed := FitCounts([]Count{{10, 1000}, {nan, 5}, {12, 1000}, {-4, 10}, {9, 1000}}, nil)
	if mixed != good {
		t.Errorf("counts that cannot be change the fit: %+v", mixed)
	}
	for _, v := range [][]float64{nil, {nan, nan}, {inf}} {
		if z := RobustOf(v).Z(5, 0.05, 0); z != 0 {
			t.Errorf("z against %v is %g", v, z)
		}
	}
}

func TestAHandfulOfEventsIsNoFinding(t *testing.T) {
	base := FitCounts([]Count{{0, 500}, {0, 500}, {1, 500}, {0, 500}, {0, 500}, {0, 500}}, nil)
	four := Count{4, 60}
	if f := Worse(Lately{four, four, four}, base, 1e-2); f.Rule != "" {
		t.Errorf("four events are found %+v", f)
	}
	once := Count{40, 500}
	if f := Worse(Lately{Now: once, Before: Count{0, 500}, Hour: Count{4, 2000}}, base, AlphaSeries); f.Rule != "" {
		t.Errorf("one window out of line is found %+v", f)
	}
	if f := Worse(Lately{Now: once, Before: once, Hour: Count{4, 2000}}, base, AlphaSeries); f.Rule != Quarter || f.Count != once {
		t.Errorf("two windows in a row are found %+v", f)
	}
}

func TestAMedianIsNotMovedByOneOddDay(t *testing.T) {
	r := RobustOf([]float64{10, 11, 9, 10, 10.5, 9.5, 1000})
	if r.Median != 10 || r.MAD != 0.5 || r.N != 7 {
		t.Errorf("%+v", r)
	}
	if z := r.Z(20, 0.05, 0); math.Abs(z-10/(1.4826*0.5)) > 1e-9 {
		t.Errorf("z %g", z)
	}
	flat := RobustOf([]float64{100, 100, 100})
	if z := flat.Z(110, 0.05, 0); math.Abs(z-10/(1.4826*5)) > 1e-9 {
		t.Errorf("a series that never moved has z %g", z)
	}
}

func TestTheBeginningIsWithinItsOwnBounds(t *testing.T) {
	g := newGen(3)
	hit, width := 0, 0
	const runs = 400
	for range runs {
		begin := 30 + g.IntN(60)
		w := make([]Count, 120)
		for i := range w {
			p := 0.01
			if i >= begin {
				p = 0.06
			}
			w[i] = Count{float64(g.binomial(60, p)), 60}
		}
		s := Since(w, 0)
		if s.Found && s.Low <= begin && begin <= s.High {
			hit++
			width += s.High - s.Low
		}
	}
	t.Logf("in %.1f%% of %d runs the beginning lies within the bounds, which are %.1f minutes apart on average", 100*float64(hit)/runs, runs, float64(width)/float64(hit))
	if hit < runs*88/100 {
		t.Errorf("the beginning lies within the bounds in %d of %d runs", hit, runs)
	}
}

func TestNoBeginningWhereNothingChanged(t *testing.T) {
	g := newGen(4)
	found := 0
	for range 300 {
		w := make([]Count, 120)
		for i := range w {
			w[i] = Count{float64(g.binomial(60, 0.02)), 60}
		}
		if Since(w, 0).Found {
			found++
		}
	}
	if found > 60 {
		t.Errorf("a beginning is found in %d of 300 series without one", found)
	}
	if s := Since(nil, 0); s.Found {
		t.Errorf("of nothing: %+v", s)
	}
	if s := Since([]Count{{math.NaN(), 1}, {5, 5}}, 0.01); s.Found {
		t.Errorf("of one count: %+v", s)
	}
}

func TestFewerOfWhatIsGoodIsFoundByItsComplement(t *testing.T) {
	half := FitCounts([]Count{{100, 1000}, {110, 1000}, {95, 1000}, {104, 1000}}, nil) // hits of a cache, one in ten
	for _, tc := range []struct {
		hits float64
		want bool
	}{{100, false}, {80, false}, {20, true}, {0, true}, {200, false}} {
		c := Count{tc.hits, 1000}
		if f := Fewer(Lately{c, c, Count{4 * tc.hits, 4000}}, half, AlphaSeries); (f.Rule != "") != tc.want {
			t.Errorf("%g hits of usually 100: %+v", tc.hits, f)
		}
	}
	most := FitCounts([]Count{{860, 1000}, {870, 1000}, {850, 1000}, {861, 1000}}, nil)
	c := Count{700, 1000}
	if f := Fewer(Lately{c, c, Count{2800, 4000}}, most, AlphaSeries); f.Rule != Quarter || f.Count != c || f.Ratio > 1 {
		t.Errorf("twice as many thumbs down: %+v", f)
	}
}

func BenchmarkTail(b *testing.B) {
	f := FitCounts([]Count{{180, 18000}, {150, 18000}, {210, 18000}}, nil)
	for b.Loop() {
		f.Tail(Count{600, 18000})
	}
}

type gen struct{ *rand.Rand }

func newGen(seed uint64) gen { return gen{rand.New(rand.NewPCG(seed, 0x726f6c6c))} }

// binomial counts by the gaps between successes.
func (g gen) binomial(n int, p float64) int {
	if p <= 0 || n <= 0 {
		return 0
	}
	if p >= 1 {
		return n
	}
	if p > 0.5 {
		return n - g.binomial(n, 1-p)
	}
	q := math.Log1p(-p)
	k, at := 0, 0.0
	for {
		at += math.Floor(math.Log(1-g.Float64())/q) + 1
		if at > float64(n) {
			return k
		}
		k++
	}
}

func (g gen) poisson(mean float64) int {
	if mean > 60 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*g.NormFloat64())))
	}
	limit, p, k := math.Exp(-mean), 1.0, -1
	for p > limit {
		p *= g.Float64()
		k++
	}
	return k
}

func (g gen) beta(a, b float64) float64 {
	x := g.gamma(a)
	return x / (x + g.gamma(b))
}

func (g gen) gamma(a float64) float64 {
	if a < 1 {
		return g.gamma(a+1) * math.Pow(g.Float64(), 1/a)
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := g.NormFloat64()
		v := 1 + c*x
		v *= v * v
		if v > 0 && math.Log(1-g.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
