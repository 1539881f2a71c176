package signal

import (
	"math"
	"testing"
	"time"

	"rollcall/sources"
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

func TestJudgement(t *testing.T) {
	nan := math.NaN()
	usual := func(value, low, high float64, days int) *sources.Usual {
		return &sources.Usual{Value: value, Low: low, High: high, Days: days}
	}
	for _, tc := range []struct {
		name   string
		signal string
		part   part
		usual  *sources.Usual
		want   sources.Verdict
		why    string
	}{
		{"over a fixed level, at once", "schema_fail", of(2000, 0.01, 0.091), nil, sources.Bad, "9.1% over 5%"},
		{"under the levels, no history", "schema_fail", of(2000, 0.01), nil, sources.OK, "under 3%"},
		{"under the levels, as usual", "schema_fail", of(2000, 0.01), usual(0.012, 0.01, 0.014, 14), sources.OK, "usual 1.2%"},
		{"twice usual for a minute", "schema_fail", of(2000, repeat(0.025, 8)...), usual(0.012, 0.01, 0.014, 14), sources.Watch, "2.1× usual 1.2%"},
		{"twice usual, once", "schema_fail", of(2000, 0.012, 0.012, 0.012, 0.012, 0.025), usual(0.012, 0.01, 0.014, 14), sources.OK, "usual 1.2%"},
		{"twice usual, but only just measured", "schema_fail", of(2000, 0.025), usual(0.012, 0.01, 0.014, 14), sources.OK, "usual 1.2%"},
		{"twice usual, but by too little to matter", "error_ratio", of(9000, repeat(0.004, 8)...), usual(0.002, 0.001, 0.003, 14), sources.OK, "usual 0.2%"},
		{"twice usual, but these days had seen it", "schema_fail", of(2000, repeat(0.025, 8)...), usual(0.012, 0.01, 0.026, 14), sources.OK, "usual 1.2%"},
		{"twice usual, of too few days", "schema_fail", of(2000, repeat(0.025, 8)...), usual(0.012, 0.01, 0.014, 6), sources.OK, "under 3%"},
		{"over a level with a handful of events", "schema_fail", of(60, repeat(0.06, 8)...), nil, sources.OK, "under 3%"},
		{"over a level with almost no events", "schema_fail", of(10, repeat(0.6, 8)...), nil, sources.Learning, "10 of 50 events needed"},
		{"over a level, count not known", "schema_fail", of(nan, 0.06), nil, sources.Bad, "6% over 5%"},
		{"lower is worse: a drop", "feedback", of(500, repeat(0.6, 8)...), usual(0.86, 0.84, 0.87, 14), sources.Watch, "0.70× usual 86%"},
		{"lower is worse: a deep drop", "feedback", of(500, repeat(0.4, 8)...), usual(0.86, 0.84, 0.87, 14), sources.Bad, "0.47× usual 86%"},
		{"lower is worse: a rise is fine", "feedback", of(500, repeat(0.99, 8)...), usual(0.86, 0.84, 0.87, 14), sources.OK, "usual 86%"},
		{"traffic gone", "req_rate", of(nan, repeat(1, 8)...), usual(30, 20, 35, 14), sources.Bad, "0.03× usual 30/s"},
		{"traffic tripled", "req_rate", of(nan, repeat(100, 8)...), usual(30, 20, 35, 14), sources.Watch, "3.3× usual 30/s"},
		{"usually none at all", "redactions", of(nan, repeat(2, 8)...), usual(0, 0, 0, 14), sources.Bad, "2/s, usually none"},
		{"no level and no history", "feedback", of(500, 0.2), nil, sources.Learning, "no history yet"},
		{"no level and little history", "feedback", of(500, 0.2), usual(0.8, 0.7, 0.9, 3), sources.Learning, "3 of 7 days of history"},
		{"the worse of two rules wins", "schema_fail", of(2000, repeat(0.04, 8)...), usual(0.012, 0.01, 0.014, 14), sources.Bad, "3.3× usual 1.2%"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := signalOf(t, tc.signal).judge(tc.part, tc.usual, defaultWindow)
			if j.verdict != tc.want || j.why != tc.why {
				t.Errorf("%s: %q; want %s: %q", j.verdict, j.why, tc.want, tc.why)
			}
		})
	}
}

func TestNormalNoiseOfABusyServiceStaysQuiet(t *testing.T) {
	// 30 requests a second, 1% failing, five-minute windows: a walk through the
	// values that a fair binomial gives, far out to four and a half standard deviations.
	sig := signalOf(t, "schema_fail")
	u := &sources.Usual{Value: 0.01, Low: 0.0085, High: 0.0115, Days: 14}
	n, p := 9000.0, 0.01
	sd := math.Sqrt(p * (1 - p) / n)
	for k := -4.5; k <= 4.5; k += 0.5 {
		v := p + k*sd
		if j := sig.judge(of(n, repeat(v, 8)...), u, defaultWindow); j.verdict != sources.OK {
			t.Errorf("%+.1f standard deviations are %s: %s", k, j.verdict, j.why)
		}
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

func TestUsualIsTheMedianAndIgnoresOneOddDay(t *testing.T) {
	u := summary(points(1, 2, 3, 4, 5, 6, 7, 8, 9, 100, math.NaN()))
	if u.Value != 5.5 || u.Low != 2 || u.High != 9 || u.Days != 10 {
		t.Errorf("%+v", u)
	}
	if u := summary(points(3, 1, 2)); u.Value != 2 || u.Low != 1 || u.High != 3 {
		t.Errorf("%+v", u)
	}
	if u := summary(nil); u.Days != 0 {
		t.Errorf("%+v", u)
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
