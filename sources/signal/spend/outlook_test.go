package spend

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const fine = 5 * time.Minute

// service is a simulated spender: a daily and weekly course, days that are livelier
// than others, moods that last for hours, and requests that come one by one.
type service struct {
	perHour float64   // USD on average
	each    float64   // USD of a request
	days    []float64 // how lively each day is, by its number back from today
	moods   []float64 // by the hour, from the first on
	fault   time.Time // from when on it costs times as much
	times   float64
}

func newService(r *rand.Rand, perHour, each, daySD, moodSD float64) *service {
	s := &service{perHour: perHour, each: each, times: 1}
	for range 40 {
		s.days = append(s.days, math.Exp(daySD*r.NormFloat64()))
	}
	mood := 0.0
	for range 40 * 24 {
		mood = 0.8*mood + 0.6*moodSD*r.NormFloat64()
		s.moods = append(s.moods, math.Exp(mood))
	}
	return s
}

func (s *service) rate(t time.Time) float64 {
	h := float64(t.Hour()) + float64(t.Minute())/60
	v := s.perHour * (1 + 0.6*math.Sin((h-9)/24*2*math.Pi))
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		v *= 0.6
	}
	back := int(noon.Truncate(oneDay).Sub(t.Truncate(oneDay)) / oneDay)
	v *= s.days[(back+len(s.days))%len(s.days)]
	v *= s.moods[(int(t.Unix()/3600)%len(s.moods)+len(s.moods))%len(s.moods)]
	if !s.fault.IsZero() && !t.Before(s.fault) {
		v *= s.times
	}
	return v
}

func (s *service) spent(r *rand.Rand, from time.Time, step time.Duration) float64 {
	mean := s.rate(from.Add(step/2)) * step.Hours() / s.each
	if mean > 50 {
		return max(0, mean+math.Sqrt(mean)*r.NormFloat64()) * s.each
	}
	n, limit, p := -1.0, math.Exp(-mean), 1.0
	for p > limit {
		p *= r.Float64()
		n++
	}
	return n * s.each
}

// TestTheRangeHoldsWhenABudgetRunsOut looks at budgets at random times of the day and
// lets the simulated day go on.
func TestTheRangeHoldsWhenABudgetRunsOut(t *testing.T) {
	for _, tc := range []struct {
		name          string
		days          int
		each          float64
		daySD, moodSD float64
		fault         float64
		least         float64 // share of cases in which the range must hold what came
	}{
		{"four weeks, busy", 28, 0.01, 0.1, 0.1, 0, 0.93},
		{"two weeks, busy", 14, 0.01, 0.1, 0.1, 0, 0.93},
		{"two weeks, moody", 14, 0.01, 0.25, 0.25, 0, 0.9},
		{"two weeks, few dear requests", 14, 2, 0.1, 0.1, 0, 0.9},
		{"three days", 3, 0.01, 0.1, 0.1, 0, 0.9},
		{"no history", 0, 0.01, 0.1, 0.1, 0, 0.9},
		{"two weeks, twice as dear for a quarter of an hour", 14, 0.01, 0.1, 0.1, 2, 0.93},
		{"two weeks, a runaway for a quarter of an hour", 14, 0.01, 0.1, 0.1, 8, 0.93},
	} {
		t.Run(tc.name, func(t *testing.T) {
			held, ran, lasted, factor := 0, 0, 0, 0.0
			const cases = 120
			for seed := range uint64(cases) {
				r := rand.New(rand.NewPCG(seed, 7))
				s := newService(r, 20, tc.each, tc.daySD, tc.moodSD)
				now := noon.Truncate(oneDay).Add(time.Duration(2+r.IntN(18)) * time.Hour).Add(time.Duration(r.IntN(12)) * fine)
				if tc.fault > 0 {
					s.fault, s.times = now.Add(-15*time.Minute), tc.fault
				}
				var coarse, last []Step
				if tc.days > 0 {
					for at := now.Truncate(time.Hour).Add(-time.Duration(tc.days)*oneDay - time.Hour); at.Before(now.Truncate(time.Hour)); at = at.Add(time.Hour) {
						sum := 0.0
						for m := time.Duration(0); m < time.Hour; m += fine {
							sum += s.spent(r, at.Add(m), fine)
						}
						coarse = append(coarse, Step{at, at.Add(time.Hour), sum})
					}
				}
				for at := now.Add(-2 * time.Hour); at.Before(now); at = at.Add(fine) {
					last = append(last, Step{at, at.Add(fine), s.spent(r, at, fine)})
				}
				until := now.Truncate(oneDay).Add(oneDay)
				left := 20 * (0.2 + 6*r.Float64()) * max(1, tc.fault/2)
				o := NewCourse(coarse, last).Outlook(Ask{
					Now: now, Until: until, Spent: 100, Budget: 100 + left,
					Paces: []time.Duration{time.Hour, 15 * time.Minute, fine}, Grid: max(fine, until.Sub(now)/96),
				})
				sum, out := 0.0, time.Time{}
				for at := now; at.Before(until) && out.IsZero(); at = at.Add(fine) {
					v := s.spent(r, at, fine)
					if sum+v >= left {
						out = at.Add(time.Duration(float64(fine) * (left - sum) / v))
					}
					sum += v
				}
				early := !o.Early.IsZero() && !out.Before(o.Early.Add(-time.Minute))
				late := o.Late.IsZero() || !out.After(o.Late.Add(time.Minute))
				switch {
				case out.IsZero():
					lasted++
					if o.Late.IsZero() {
						held++
					}
				case early && late:
					held++
				}
				if !out.IsZero() {
					ran++
					if !o.Early.IsZero() {
						factor += out.Sub(now).Hours() / max(0.02, o.Early.Sub(now).Hours())
					}
				}
			}
			share := float64(held) / cases
			t.Logf("held in %.1f%% of %d: %d ran out, %d lasted; on average %.2f times as late as the earliest", 100*share, cases, ran, lasted, factor/float64(max(1, ran)))
			if share < tc.least {
				t.Errorf("the range holds in %.1f%%, want %.0f%%", 100*share, 100*tc.least)
			}
		})
	}
}

func steps(from time.Time, step time.Duration, usd ...float64) []Step {
	var out []Step
	for i, v := range usd {
		out = append(out, Step{from.Add(time.Duration(i) * step), from.Add(time.Duration(i+1) * step), v})
	}
	return out
}

func flat(n int, usd float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = usd
	}
	return out
}

func ask(spent, budget float64) Ask {
	return Ask{Now: noon, Until: noon.Add(12 * time.Hour), Spent: spent, Budget: budget, Paces: []time.Duration{time.Hour, 15 * time.Minute, fine}, Grid: fine}
}

func TestWithoutHistoryTheForecastIsAStraightLineThatSaysSo(t *testing.T) {
	c := NewCourse(nil, steps(noon.Add(-2*time.Hour), fine, flat(24, 1)...))
	a := ask(100, 136)
	o := c.Outlook(a)
	if o.Method != ByLine || o.Days != 0 || !o.Out.Equal(noon.Add(3*time.Hour)) {
		t.Errorf("%+v", o)
	}
	if early := o.Early.Sub(noon); early > 80*time.Minute || o.Late.Sub(noon) < 7*time.Hour {
		t.Errorf("the range %s to %s is too sure of itself", o.Early, o.Late)
	}
	words := o.Words(noon, "midnight", func(t time.Time) string { return t.Format("15:04") })
	if words != "runs out at 15:00 (13:11 to 19:30), by a straight line" {
		t.Error(words)
	}
}

func TestTheCourseOfEarlierDaysIsFollowed(t *testing.T) {
	// Nothing is spent in the afternoon of any day.
	var coarse []Step
	for d := 15; d >= 1; d-- {
		for h := range 24 {
			at := noon.Add(-12 * time.Hour).Add(-time.Duration(d)*oneDay + time.Duration(h)*time.Hour)
			v := 12.0
			if h >= 13 {
				v = 0.001
			}
			coarse = append(coarse, Step{at, at.Add(time.Hour), v})
		}
	}
	c := NewCourse(coarse, steps(noon.Add(-12*time.Hour), fine, flat(144, 1)...))
	o := c.Outlook(ask(144, 200))
	if !o.Out.IsZero() || o.Method != ByCourse || o.Days < 14 || math.Abs(o.Total.V-156) > 1 {
		t.Errorf("%+v", o)
	}
}

func TestAForecastFromBadInputClaimsNothing(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]*Course{
		"nothing":             NewCourse(nil, nil),
		"one sample long ago": NewCourse(nil, steps(noon.Add(-20*time.Hour), fine, 5)),
		"one sample just now": NewCourse(nil, steps(noon.Add(-fine), fine, 5)),
		"no numbers":          NewCourse(steps(noon.Add(-48*time.Hour), time.Hour, flat(48, nan)...), steps(noon.Add(-2*time.Hour), fine, flat(24, inf)...)),
		"negative":            NewCourse(nil, steps(noon.Add(-2*time.Hour), fine, flat(24, -3)...)),
		"steps without time":  NewCourse(nil, []Step{{noon, noon, 4}, {noon, noon.Add(-time.Hour), 4}}),
		"only in the future":  NewCourse(nil, steps(noon.Add(time.Hour), fine, flat(24, 3)...)),
	} {
		o := c.Outlook(ask(10, 20))
		if o.Total.OK || !o.Out.IsZero() || o.Method != NoOutlook {
			t.Errorf("%s: %+v", name, o)
		}
	}
	// A step twice, as after a jump of the clock, counts once.
	twice := append(steps(noon.Add(-2*time.Hour), fine, flat(24, 1)...), steps(noon.Add(-2*time.Hour), fine, flat(24, 1)...)...)
	if usd, known := NewCourse(nil, twice).Between(noon.Add(-time.Hour), noon); usd != 12 || known != 1 {
		t.Errorf("%g spent, %g known", usd, known)
	}
	// Spent already, and no time left.
	o := NewCourse(nil, nil).Outlook(Ask{Now: noon, Until: noon, Spent: 5, Budget: 5})
	if !o.Out.Equal(noon) {
		t.Errorf("%+v", o)
	}
	if o := NewCourse(nil, steps(noon.Add(-2*time.Hour), fine, flat(24, 0)...)).Outlook(ask(1, 5)); !o.Out.IsZero() || !o.Early.IsZero() || o.Method != NothingNow {
		t.Errorf("nothing is spent: %+v", o)
	}
}

func TestAGapIsNotFree(t *testing.T) {
	with := steps(noon.Add(-4*time.Hour), fine, flat(48, 1)...)
	c := NewCourse(nil, append(append([]Step{}, with[:20]...), with[30:]...))
	if usd, known := c.Between(noon.Add(-4*time.Hour), noon); usd != 38 || math.Abs(known-38.0/48) > 1e-9 {
		t.Errorf("%g spent, %g known", usd, known)
	}
}

func TestStudentIsWithinTwoPercent(t *testing.T) {
	for n, want := range map[int]float64{3: 3.182, 4: 2.776, 7: 2.365, 14: 2.145, 28: 2.048} {
		if got := student(n); math.Abs(got/want-1) > 0.04 {
			t.Errorf("t of %d is %.3f, want %.3f", n, got, want)
		}
	}
}

func TestTheWordsOfAnOutlook(t *testing.T) {
	clock := func(t time.Time) string { return t.Format("15:04") }
	for want, o := range map[string]Outlook{
		"lasts until midnight":                                        {Method: ByCourse},
		"likely lasts until midnight; 14:00 at the earliest":          {Method: ByCourse, Early: noon.Add(2 * time.Hour)},
		"runs out at 13:00":                                           {Method: ByCourse, Out: noon.Add(time.Hour), Early: noon.Add(time.Hour), Late: noon.Add(time.Hour)},
		"runs out at 13:00 (12:30 or later)":                          {Method: ByCourse, Out: noon.Add(time.Hour), Early: noon.Add(30 * time.Minute)},
		"too little is known of what was spent lately for a forecast": {Method: NoOutlook},
	} {
		if got := o.Words(noon, "midnight", clock); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func BenchmarkOutlook(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 7))
	s := newService(r, 20, 0.01, 0.1, 0.1)
	var coarse, last []Step
	for at := noon.Add(-28 * oneDay); at.Before(noon); at = at.Add(time.Hour) {
		coarse = append(coarse, Step{at, at.Add(time.Hour), 12 * s.spent(r, at, fine)})
	}
	for at := noon.Add(-oneDay); at.Before(noon); at = at.Add(fine) {
		last = append(last, Step{at, at.Add(fine), s.spent(r, at, fine)})
	}
	for name, until := range map[string]time.Time{"day": noon.Add(12 * time.Hour), "month": noon.Add(27 * oneDay)} {
		a := Ask{Now: noon, Until: until, Spent: 100, Budget: 2000, Paces: []time.Duration{time.Hour, 15 * time.Minute, fine}, Grid: until.Sub(noon) / 96}
		if name == "month" {
			a.Paces = []time.Duration{oneDay, oneDay / 4}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				NewCourse(coarse, last).Outlook(a)
			}
		})
	}
}
