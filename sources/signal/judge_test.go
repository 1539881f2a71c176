package signal

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// points makes a history that ends at t0, one value every 15 s.
func points(values ...float64) []sources.Point {
	out := make([]sources.Point, len(values))
	for i, v := range values {
		out[i] = sources.Point{T: t0.Add(time.Duration(i-len(values)+1) * 15 * time.Second), V: v}
	}
	return out
}

func of(n float64, values ...float64) part {
	return part{value: values[len(values)-1], known: true, n: n, history: points(values...)}
}

func signalOf(t testing.TB, id string) *Signal {
	t.Helper()
	s, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	return s.signal(id)
}

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// quarters are so many bad ones of a thousand in each quarter of an hour of two weeks.
func quarters(k ...float64) stat.Fit {
	var w []stat.Count
	for _, x := range k {
		w = append(w, stat.Count{K: x, N: 1000})
	}
	return stat.FitCounts(w, nil)
}

// shared is a past of a proportion of which so many of a thousand were counted.
func shared(k ...float64) *past {
	f := quarters(k...)
	return &past{Usual: sources.Usual{Value: f.Mu, Days: 9}, learned: true, shares: f}
}

// valued is a past of these values.
func valued(v ...float64) *past {
	r := stat.RobustOf(v)
	return &past{Usual: sources.Usual{Value: r.Median, Low: r.Low, High: r.High, Days: 9}, learned: true, values: r}
}

// counted is a part whose last quarters counted so many of so many.
func counted(k, n float64) part {
	c := stat.Count{K: k, N: n}
	p := of(n/3, repeat(k/n, 8)...)
	p.counts = &stat.Lately{Now: c, Before: c, Hour: stat.Count{K: 4 * k, N: 4 * n}}
	return p
}

// everyMinute is a part with a value each minute, the newest last.
func everyMinute(n float64, values ...float64) part {
	p := part{value: values[len(values)-1], known: true, n: n}
	for i, v := range values {
		p.history = append(p.history, sources.Point{T: t0.Add(time.Duration(i-len(values)+1) * time.Minute), V: v})
	}
	p.lately = p.history
	return p
}

func unlearned(p *past) *past {
	p.learned = false
	return p
}

func TestJudgement(t *testing.T) {
	nan := math.NaN()
	percent := shared(12, 11, 13, 12, 12, 11, 13, 12)
	up := func(from, to float64, n int) []float64 { return append(repeat(from, 21-n), repeat(to, n)...) }
	spend := valued(0.0042, 0.0040, 0.0043, 0.0042, 0.0041, 0.0042, 0.0044, 0.0042)
	busy := valued(30, 29, 31, 30, 32, 28, 30, 30)
	for _, tc := range []struct {
		name   string
		signal string
		part   part
		was    *past
		want   sources.Verdict
		why    string
	}{
		{"over a fixed level, at once", "schema_fail", of(2000, 0.01, 0.091), nil, sources.Bad, "9.1% over 5%"},
		{"under the levels, no history", "schema_fail", of(2000, 0.01), nil, sources.OK, "under 3%"},
		{"over a level with a handful of events", "schema_fail", of(60, repeat(0.06, 8)...), nil, sources.OK, "under 3%"},
		{"over a level with almost no events", "schema_fail", of(10, repeat(0.6, 8)...), nil, sources.Learning, "10 of 50 events needed"},
		{"over a level, count not known", "schema_fail", of(nan, 0.06), nil, sources.Bad, "6% over 5%"},

		{"a share as usual", "schema_fail", counted(13, 1000), percent, sources.OK, "usual 1.2%"},
		{"a share more than twice usual", "schema_fail", counted(165, 5000), percent, sources.Watch, "3.3% (165/5000) vs 1.2% usual, p=6e-8"},
		{"a share many times usual", "schema_fail", counted(182, 2000), percent, sources.Bad, "9.1% (182/2000) vs 1.2% usual, p=2e-33"},
		{"the same in less than two weeks of history", "schema_fail", counted(40, 2000), unlearned(shared(12, 12, 12, 12)), sources.OK, "under 3%"},
		{"a share that wavers by itself", "schema_fail", counted(26, 1000), shared(2, 30, 4, 26, 1, 12, 14, 7), sources.OK, "usual 1.2%"},
		{"too little more to matter", "error_ratio", counted(200, 50000), shared(2, 2, 2, 2, 2, 2), sources.OK, "usual 0.2%"},
		{"few in this window, enough in a quarter of an hour", "schema_fail", counted(2, 100), percent, sources.OK, "usual 1.2%"},
		{"few in this window, very bad in a quarter of an hour", "schema_fail", counted(40, 100), percent, sources.Bad, "40% (40/100) vs 1.2% usual, p=1e-40"},
		{"lower is worse: a drop", "feedback", counted(700, 1000), shared(860, 870, 850, 861), sources.Watch, "70% (700/1000) vs 86.0% usual, p=8e-25"},
		{"lower is worse: a deep drop", "feedback", counted(400, 1000), shared(860, 870, 850, 861), sources.Bad, "40% (400/1000) vs 86.0% usual, p=8e-147"},
		{"lower is worse: a rise is fine", "feedback", counted(990, 1000), shared(860, 870, 850, 861), sources.OK, "usual 86.0%"},
		{"a cache that hits no more", "cache_exact", counted(10, 1000), shared(120, 125, 118, 121), sources.Bad, "1% (10/1000) vs 12.1% usual, p=1e-32"},
		{"counts that cannot be", "schema_fail", counted(nan, 1000), percent, sources.OK, "usual 1.2%"},

		{"cost far over usual, twice in a row", "cost_per_req", everyMinute(500, up(0.0042, 0.02, 20)...), spend, sources.Bad, "$0.02, 4.8× usual $0.0042, z=51"},
		{"cost twice usual, twice in a row", "cost_per_req", everyMinute(500, up(0.0042, 0.0084, 20)...), spend, sources.Watch, "$0.0084, 2.0× usual $0.0042, z=13"},
		{"cost twice usual, only just", "cost_per_req", everyMinute(500, up(0.0042, 0.0084, 5)...), spend, sources.OK, "usual $0.0042"},
		{"cost ten times usual, only just", "cost_per_req", everyMinute(500, up(0.0042, 0.042, 4)...), spend, sources.Bad, "$0.042, 10× usual $0.0042, z=121"},
		{"cost ten times usual, one minute", "cost_per_req", everyMinute(500, up(0.0042, 0.042, 1)...), spend, sources.OK, "usual $0.0042"},
		{"cost over usual, history with one sample", "cost_per_req", everyMinute(500, 0.042), spend, sources.OK, "usual $0.0042"},
		{"cost of too few requests", "cost_per_req", everyMinute(20, repeat(0.02, 21)...), unlearned(valued(1, 2)), sources.Learning, "20 of 50 events needed"},
		{"a value that always wavered", "cost_per_req", everyMinute(500, repeat(0.0084, 21)...), valued(0.001, 0.009, 0.004, 0.012, 0.002, 0.007, 0.001, 0.01), sources.OK, "usual $0.0055"},
		{"a score that falls", "eval_score", everyMinute(500, repeat(0.72, 21)...), valued(0.9, 0.905, 0.9, 0.895, 0.9, 0.9, 0.91, 0.89), sources.Watch, "0.72, 0.80× usual 0.90, z=13"},
		{"traffic gone", "req_rate", everyMinute(nan, repeat(1, 21)...), busy, sources.Bad, "1/s, 0.03× usual 30/s, z=13"},
		{"traffic tripled", "req_rate", everyMinute(nan, repeat(100, 21)...), busy, sources.Watch, "100/s, 3.3× usual 30/s, z=31"},
		{"usually none at all", "redactions", everyMinute(nan, repeat(2, 21)...), valued(repeat(0, 8)...), sources.Bad, "2/s, usually none"},
		{"one where there are usually none", "redactions", everyMinute(nan, repeat(0.004, 21)...), valued(repeat(0, 8)...), sources.OK, "usual 0/s"},
		{"no level and no history", "feedback", of(500, 0.2), nil, sources.Learning, "no history yet"},
		{"no level and little history", "feedback", of(500, 0.2), unlearned(&past{Usual: sources.Usual{Value: 0.8, Days: 3}}), sources.Learning, "usual 80% so far; less than two weeks of history"},

		{"slow for ten minutes", "latency_p99", everyMinute(500, repeat(70, 21)...), nil, sources.Bad, "70 s over 60 s"},
		{"slow for five minutes", "latency_p99", everyMinute(500, up(5, 70, 6)...), nil, sources.Watch, "70 s over 60 s for 5m of 10m"},
		{"a little slow for five minutes", "latency_p99", everyMinute(500, up(5, 30, 6)...), nil, sources.OK, "30 s over 20 s for 5m of 10m"},
		{"slow for a few requests", "latency_p99", everyMinute(80, repeat(70, 21)...), nil, sources.Learning, "80 of 100 events needed"},
		{"far from usual and under the user's level is a hint", "latency_p99", everyMinute(500, repeat(15, 21)...), valued(2, 2.1, 2, 1.9, 2, 2, 2.2, 2), sources.Watch, "15 s, 7.5× usual 2 s, z=88"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := signalOf(t, tc.signal).judge(tc.part, tc.was, defaultWindow)
			if j.verdict != tc.want || j.why != tc.why {
				t.Errorf("%s: %q; want %s: %q", j.verdict, j.why, tc.want, tc.why)
			}
		})
	}
}

func TestASplitNeedsMoreEvidence(t *testing.T) {
	sig := signalOf(t, "schema_fail")
	p := counted(148, 5000)
	was := shared(12, 11, 13, 12, 12, 11, 13, 12)
	p.counts.Hour = stat.Count{}
	p.value = 0.02 // under the fixed levels
	whole := sig.judge(p, was, defaultWindow)
	p.split = true
	if side := sig.judge(p, was, defaultWindow); whole.verdict != sources.Watch || side.verdict != sources.OK {
		t.Errorf("p=%g is %s for the service and %s for one side of a split", *whole.basis.P, whole.verdict, side.verdict)
	}
}

func TestAVerdictCarriesItsNumbers(t *testing.T) {
	j := signalOf(t, "schema_fail").judge(counted(182, 2000), shared(12, 11, 13, 12, 12, 11, 13, 12), defaultWindow)
	b := j.basis
	if b.Rule != "beta-binomial 15m twice" || *b.K != 182 || *b.N != 2000 || math.Abs(*b.Usual-0.012) > 2e-4 || math.Abs(*b.Ratio-7.5) > 0.1 ||
		*b.P > 1e-30 || *b.Rho != 0.0005 || b.WindowS != 900 {
		t.Errorf("%+v", b)
	}
	if raw, err := json.Marshal(b); err != nil || !strings.Contains(string(raw), `"window_s":900`) || strings.Contains(string(raw), "since") {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestHeadroomThatRunsOutIsSeenComing(t *testing.T) {
	sig := signalOf(t, "ratelimit_headroom")
	falls := func(from, to float64) part {
		var v []float64
		for i := range 46 {
			v = append(v, from+(to-from)*float64(i)/45+0.005*math.Sin(float64(i)*7))
		}
		return everyMinute(math.NaN(), v...)
	}
	if j := sig.judge(falls(0.9, 0.4), nil, defaultWindow); j.verdict != sources.Watch || !strings.Contains(j.why, "used up in 3") || j.basis.Rule != ruleForecast {
		t.Errorf("%s: %s", j.verdict, j.why)
	}
	fell := append(repeat(0.9, 15), repeat(0.3, 31)...)
	for name, p := range map[string]part{
		"fell once and stays there": everyMinute(math.NaN(), fell...),
		"steady":                    falls(0.4, 0.4), "rising": falls(0.3, 0.8), "falling slowly from far up": falls(0.9, 0.8), "one sample": everyMinute(math.NaN(), 0.5),
	} {
		if j := sig.judge(p, nil, defaultWindow); j.verdict != sources.OK {
			t.Errorf("%s is %s: %s", name, j.verdict, j.why)
		}
	}
}

func TestTwoWeeksAreNeededToLearn(t *testing.T) {
	slot := t0.Truncate(time.Hour)
	none := func(time.Time) bool { return false }
	days := func(list ...int) (k, n map[time.Time]float64, values []sources.Point) {
		k, n = map[time.Time]float64{}, map[time.Time]float64{}
		for _, d := range list {
			for q := -quarter; q <= 2*quarter; q += quarter {
				at := slot.Add(q - time.Duration(d)*oneDay)
				k[at], n[at] = 0.02, 2
				values = append(values, sources.Point{T: at, V: 5})
			}
		}
		return k, n, values
	}
	for _, tc := range []struct {
		name string
		days []int
		want bool
	}{
		{"nothing", nil, false},
		{"a week", []int{1, 2, 3, 4, 5, 6, 7}, false},
		{"two weeks", []int{1, 2, 3, 4, 5, 6, 7, 14}, true},
		{"four weeks with gaps", []int{3, 5, 7, 28}, true},
	} {
		k, n, values := days(tc.days...)
		if p := shareOf(k, n, slot, 1, none); p.learned != tc.want || len(tc.days) > 0 && math.Abs(p.Value-0.01) > 1e-3 {
			t.Errorf("%s of counts: %+v", tc.name, p)
		}
		if p := summary(values, slot, none); p.learned != tc.want {
			t.Errorf("%s of values: %+v", tc.name, p)
		}
	}
}

func TestKnownIncidentsAndDeploysAreNoExample(t *testing.T) {
	at := func(day int) time.Time { return t0.Add(-time.Duration(day) * oneDay) }
	span := func(day int) sources.Stretch {
		return sources.Stretch{Since: at(day).Add(-time.Hour), Until: at(day).Add(time.Hour)}
	}
	var when []time.Time
	for d := 1; d <= 10; d++ {
		when = append(when, at(d))
	}
	x := exclusion{known: []sources.Stretch{span(2)}, deploys: []sources.Stretch{span(3)}}
	skip := x.enough(when)
	for d := 1; d <= 10; d++ {
		if skip(at(d)) != (d == 2 || d == 3) {
			t.Errorf("day %d: left out %v", d, skip(at(d)))
		}
	}
	for d := 4; d <= 9; d++ {
		x.deploys = append(x.deploys, span(d))
	}
	if skip = x.enough(when); skip(at(5)) || !skip(at(2)) {
		t.Error("where deploys are everywhere they are how it behaves; an incident never is")
	}
	open := exclusion{known: []sources.Stretch{{Since: at(3)}}}.enough(when)
	if !open(at(1)) || open(at(4)) {
		t.Error("an incident that goes on has no end")
	}
}

func TestSinceIsWhereItBegan(t *testing.T) {
	over := func(v float64) bool { return v >= 5 }
	for _, tc := range []struct {
		name   string
		values []float64
		want   int // points before the end
	}{
		{"a step", []float64{1, 1, 9, 9, 9}, 2},
		{"one point dips", []float64{1, 9, 9, 1, 9, 9}, 4},
		{"two points dip", []float64{9, 9, 1, 1, 9, 9}, 1},
		{"only just", []float64{1, 1, 9}, 0},
		{"all of it", []float64{9, 9, 9}, 2},
		{"a dip at the very start", []float64{1, 9, 9}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := began(points(tc.values...), over); !got.Equal(t0.Add(-time.Duration(tc.want) * 15 * time.Second)) {
				t.Errorf("since %s before the end", t0.Sub(got))
			}
		})
	}
	if !began(nil, over).IsZero() {
		t.Error("no history has a beginning")
	}
}

func TestValuesReadLikeSpeech(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		unit sources.Unit
		want string
	}{
		{0.091, sources.Ratio, "9.1%"},
		{0.0004, sources.Ratio, "0.04%"},
		{1, sources.Ratio, "100%"},
		{0, sources.Ratio, "0%"},
		{41.23, sources.PerSecond, "41.2/s"},
		{0.85, sources.Seconds, "850 ms"},
		{4.12, sources.Seconds, "4.1 s"},
		{600, sources.Seconds, "10m"},
		{0.0042, sources.USD, "$0.0042"},
		{9800, sources.USD, "$9800"},
		{0.01, sources.USDPerSec, "$36.00/h"},
		{2250, sources.Tokens, "2250 tok"},
		{6.98e6, sources.Tokens, "6.98M tok"},
		{1.9, sources.PerMille, "1.9‰"},
		{0.8, sources.Score, "0.80"},
		{3, sources.Count, "3"},
		{math.NaN(), sources.Count, "unknown"},
	} {
		if got := format(tc.v, tc.unit); got != tc.want {
			t.Errorf("%g %s: %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
}

// A quiet hour of a small service: that it began is sure, when is not.
func TestTheLineSaysHowSureTheBeginningIs(t *testing.T) {
	j := &sources.Judgement{Rule: "beta-binomial 1h", Since: minutes(-20), SinceLow: minutes(-24), SinceHigh: minutes(-17)}
	if got := doubt(j); got != " ±4m" {
		t.Errorf("%q", got)
	}
	j.SinceLow, j.SinceHigh = minutes(-21), minutes(-20)
	if got := doubt(j); got != "" || doubt(nil) != "" {
		t.Errorf("%q", got)
	}
}

// BenchmarkVerdicts is the CPU of judging every signal once, each of a busy service
// in which everything is three times usual.
func BenchmarkVerdicts(b *testing.B) {
	s, err := newService("s", Service{})
	if err != nil {
		b.Fatal(err)
	}
	share := shared(120, 110, 130, 125, 118, 122, 121, 119)
	share.values = stat.RobustOf([]float64{1, 1.1, 0.9, 1, 1, 1.05, 0.95, 1})
	p := everyMinute(18000, repeat(3, 21)...)
	c := stat.Count{K: 6500, N: 18000}
	p.counts = &stat.Lately{Now: c, Before: c, Hour: stat.Count{K: 4 * c.K, N: 4 * c.N}}
	bad := 0
	for b.Loop() {
		for i := range s.signals {
			sig := &s.signals[i]
			x := p
			if sig.Unit != sources.Ratio && sig.Unit != sources.PerMille {
				x.counts = nil
			}
			if worse(sig.judge(x, share, defaultWindow).verdict, sources.OK) {
				bad++
			}
		}
	}
	if bad == 0 {
		b.Error("nothing was judged bad")
	}
	b.ReportMetric(float64(len(s.signals)), "signals")
}
