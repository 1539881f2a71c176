package rollout

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

var t0 = time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)

// steady is the same count in every minute.
func steady(minutes int, k, n float64) []stat.Count {
	out := make([]stat.Count, minutes)
	for i := range out {
		out[i] = stat.Count{K: k, N: n}
	}
	return out
}

func input(counted ...Counted) *Input {
	return &Input{
		Kind: Canary, Newer: true, Provider: "requests", From: t0, To: t0.Add(time.Hour), Counted: counted,
		Candidate: Side{Name: "canary", Versions: map[sources.Component]string{sources.Prompt: "v14", sources.Model: "m1"}},
		Control:   Side{Name: "live", Versions: map[sources.Component]string{sources.Prompt: "v13", sources.Model: "m1"}},
	}
}

func errorsOf(tried, beside []stat.Count) Counted {
	return Counted{ID: "errors", Name: "errors", Core: true, Tried: tried, Beside: beside}
}

func schemaOf(tried, beside []stat.Count) Counted {
	return Counted{ID: "schema_failures", Name: "schema failures", Core: true, Tried: tried, Beside: beside}
}

func TestWhatARolloutIsToldToDo(t *testing.T) {
	fine := errorsOf(steady(60, 1, 100), steady(60, 9, 900))
	none := steady(0, 0, 0)
	for _, tc := range []struct {
		name string
		in   *Input
		want Verdict
		says []string
	}{
		{"much worse", input(fine, schemaOf(steady(60, 9, 100), steady(60, 11, 900))), RollBack, []string{"schema failures 9.0% (540/6,000) vs 1.2% (660/54,000), 7.4×, p="}},
		{"as good", input(fine, schemaOf(steady(60, 1, 100), steady(60, 11, 900))), Promote, []string{"errors and schema failures no worse than live in 60 minutes and 6,000 requests"}},
		{"as good, but only for ten minutes", input(errorsOf(steady(10, 10, 1000), steady(10, 90, 9000))), Hold, []string{"nothing is worse so far; 10 minutes watched of the 15 minutes"}},
		{"too few requests", input(errorsOf(steady(20, 0, 2), steady(20, 0.2, 20))), Hold, []string{"too little to tell about errors", "more requests"}},
		{"three minutes of disaster are enough", input(errorsOf(steady(3, 40, 100), steady(3, 9, 900))), RollBack, []string{"40%"}},
		{"one sample", input(errorsOf(steady(1, 1, 1), steady(1, 0, 20))), Hold, []string{"too little to tell about errors"}},
		{"one minute, and all of it bad", input(errorsOf(steady(1, 80, 80), steady(1, 0, 900))), Hold, nil},
		{"no candidate traffic", input(errorsOf(steady(60, 0, 0), steady(60, 9, 900))), Hold, []string{"canary has had no requests"}},
		{"no control", input(errorsOf(steady(60, 30, 100), steady(60, 0, 0))), Hold, []string{"live had no requests at the same time"}},
		{"control at another time only", input(errorsOf(append(steady(30, 0, 0), steady(30, 9, 90)...), append(steady(30, 1, 90), steady(30, 0, 0)...))), Hold, []string{"nothing to compare with"}},
		{"a control of a handful", input(errorsOf(steady(60, 2, 100), steady(60, 0, 0.5))), Hold, nil},
		{"nothing is counted", input(), Hold, []string{"no requests"}},
		{"no windows at all", input(errorsOf(none, none)), Hold, nil},
		{"numbers that cannot be", input(errorsOf(steady(60, math.NaN(), 100), steady(60, -1, math.Inf(1)))), Hold, nil},
		{"more bad ones than events", input(errorsOf(steady(60, 200, 100), steady(60, 9, 900))), Hold, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Decide(tc.in)
			if got.Verdict != tc.want {
				t.Errorf("%s: %s, want %s", got.Verdict, got.Why, tc.want)
			}
			for _, s := range tc.says {
				if !strings.Contains(got.Why, s) {
					t.Errorf("%q does not say %q", got.Why, s)
				}
			}
		})
	}
}

func TestAnythingDoubtfulIsNotPromotedAndGuiltyOnlyInEveryReading(t *testing.T) {
	like := func(share float64) []Counted {
		return []Counted{errorsOf(steady(60, 30, 100), steady(60, 900*share, 900))}
	}
	for _, tc := range []struct {
		name   string
		change func(*Input)
		want   Verdict // of a candidate that does worse than its control
	}{
		{"two manifests in the canary", func(in *Input) { in.Doubts = []string{"two manifests claim stage canary"} }, RollBack},
		{"worse than either of two live ones", func(in *Input) {
			in.Doubts, in.Rivals = []string{"two manifests claim stage live"}, [][]Counted{like(0.02)}
		}, RollBack},
		{"as bad as one of two live ones", func(in *Input) {
			in.Doubts, in.Rivals = []string{"two manifests claim stage live"}, [][]Counted{like(0.02), like(0.3)}
		}, Hold},
		{"one of two live ones counted nothing", func(in *Input) { in.Doubts, in.Rivals = []string{"two manifests claim stage live"}, [][]Counted{nil} }, Hold},
		{"a live one that nobody could count", func(in *Input) { in.Doubts, in.Open = []string{"two manifests claim stage live"}, true }, Hold},
		{"nobody knows which is new", func(in *Input) { in.Newer = false }, Hold},
	} {
		for bad, want := range map[float64]Verdict{1: Hold, 30: tc.want} {
			in := input(errorsOf(steady(60, bad, 100), steady(60, 9, 900)))
			tc.change(in)
			got := Decide(in)
			if got.Verdict != want || len(got.Doubts) == 0 || !strings.Contains(got.Why, got.Doubts[0]) {
				t.Errorf("%s, %g in a hundred: %s, %s", tc.name, bad, got.Verdict, got.Why)
			}
		}
	}
}

func TestACandidateThatTurnsBadLateIsSeen(t *testing.T) {
	tried := append(steady(300, 1, 100), steady(15, 9, 100)...)
	got := Decide(input(errorsOf(tried, steady(315, 9, 900))))
	if got.Verdict != RollBack || !strings.Contains(got.Why, "last 15 min") {
		t.Errorf("%s: %s", got.Verdict, got.Why)
	}
}

func TestWhatDoesNotDecideIsNamedAndHoldsNothingUp(t *testing.T) {
	votes := Counted{ID: "feedback", Name: "thumbs down", Tried: steady(60, 0, 0.5), Beside: steady(60, 0.5, 5)}
	got := Decide(input(errorsOf(steady(60, 1, 100), steady(60, 9, 900)), votes))
	if got.Verdict != Promote || !strings.Contains(got.Why, "too little to tell about thumbs down") || got.Needs != 0 {
		t.Fatalf("%s: %s, needs %d", got.Verdict, got.Why, got.Needs)
	}
	o := got.Outcomes[1]
	if o.State != TooLittle || o.Needs < 1000 {
		t.Errorf("feedback is %s and needs %d", o.State, o.Needs)
	}
	bad := votes
	bad.Tried, bad.Beside = steady(60, 3, 5), steady(60, 10, 50)
	if got := Decide(input(errorsOf(steady(60, 1, 100), steady(60, 9, 900)), bad)); got.Verdict != RollBack {
		t.Errorf("votes that are surely worse: %s, %s", got.Verdict, got.Why)
	}
}

func TestWhatIsSaidToBeNeededIsEnough(t *testing.T) {
	got := Decide(input(errorsOf(steady(20, 0, 5), steady(20, 0.5, 45))))
	if got.Verdict != Hold || got.Needs <= 0 {
		t.Fatalf("%s: %s, needs %d", got.Verdict, got.Why, got.Needs)
	}
	minutes := 20 + got.Needs/5 + 1
	share := 10.0 / 900
	later := Decide(input(errorsOf(steady(minutes, 5*share, 5), steady(minutes, 45*share, 45))))
	if later.Verdict != Promote {
		t.Errorf("after %d more requests: %s, %s", got.Needs, later.Verdict, later.Why)
	}
}

// gamma draws from a gamma distribution (Marsaglia and Tsang).
func gamma(r *rand.Rand, a float64) float64 {
	if a < 1 {
		return gamma(r, a+1) * math.Pow(r.Float64(), 1/a)
	}
	d := a - 1.0/3
	for {
		x := r.NormFloat64()
		v := math.Pow(1+x/math.Sqrt(9*d), 3)
		if v > 0 && math.Log(r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// draws are minutes of n requests each with share p, which wavers by rho from minute to minute.
func draws(r *rand.Rand, minutes, n int, p, rho float64) []stat.Count {
	out := make([]stat.Count, minutes)
	for i := range out {
		share := p
		if rho > 0 {
			s := 1/rho - 1
			a, b := gamma(r, p*s), gamma(r, (1-p)*s)
			share = a / (a + b)
		}
		k := 0
		for range n {
			if r.Float64() < share {
				k++
			}
		}
		out[i] = stat.Count{K: float64(k), N: float64(n)}
	}
	return out
}

// TestACandidateThatIsTheSameIsNotRolledBack evaluates as the console does: again and
// again while the requests come in.
func TestACandidateThatIsTheSameIsNotRolledBack(t *testing.T) {
	runs, minutes := 60, 180
	if testing.Short() {
		runs = 15
	}
	for _, regime := range []struct {
		name string
		n    int
		rho  float64
		p    float64
	}{
		{"1 request/s", 6, 0, 0.012}, {"10 requests/s", 60, 0, 0.012}, {"10 requests/s, wavering", 60, 0.01, 0.012}, {"rare", 60, 0, 0.001}, {"1 request/s, wavering", 6, 0.01, 0.05},
	} {
		r := rand.New(rand.NewPCG(7, uint64(regime.n)))
		back, up, bad, late := 0, 0, 0, 0
		for range runs {
			tried, beside := draws(r, minutes, regime.n, regime.p, regime.rho), draws(r, minutes, 9*regime.n, regime.p, regime.rho)
			worse := draws(r, minutes, regime.n, 7.5*regime.p, regime.rho)
			promotedBad := draws(r, minutes, regime.n, math.Max(2*regime.p, regime.p+0.01), regime.rho)
			rolled, promoted, caught, wrong := false, false, false, false
			for m := 5; m <= minutes; m += 5 {
				switch Decide(input(errorsOf(tried[:m], beside[:m]))).Verdict {
				case RollBack:
					rolled = true
				case Promote:
					promoted = true
				case Hold:
				}
				caught = caught || Decide(input(errorsOf(worse[:m], beside[:m]))).Verdict == RollBack
				wrong = wrong || Decide(input(errorsOf(promotedBad[:m], beside[:m]))).Verdict == Promote
			}
			count := func(b bool, n *int) {
				if b {
					*n++
				}
			}
			count(rolled, &back)
			count(promoted, &up)
			count(caught, &bad)
			count(wrong, &late)
		}
		t.Logf("%-26s of %d: rolled back though the same %d, promoted %d; 7.5 times worse and caught %d; twice as bad and promoted at any time %d", regime.name, runs, back, up, bad, late)
		if back > runs/50 {
			t.Errorf("%s: %d of %d rolled back though nothing was wrong", regime.name, back, runs)
		}
		if float64(bad) < 0.9*float64(runs) && regime.p > 0.005 {
			t.Errorf("%s: only %d of %d caught", regime.name, bad, runs)
		}
		if late > runs/5 {
			t.Errorf("%s: %d of %d promoted though twice as bad", regime.name, late, runs)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []Counted
	for range 9 { // the outcomes of six hours, none of which is easily settled
		c := errorsOf(draws(r, 360, 60, 0.017, 0.01), draws(r, 360, 540, 0.012, 0.01))
		all = append(all, c)
	}
	for b.Loop() {
		Decide(input(all...))
	}
}
