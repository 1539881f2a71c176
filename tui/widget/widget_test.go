package widget

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/theme"
)

func TestValuesHaveFixedDecimalsInTheirUnit(t *testing.T) {
	for _, c := range []struct {
		v    float64
		u    sources.Unit
		want string
	}{
		{.091, sources.Ratio, "9.1%"},
		{1, sources.Ratio, "100.0%"},
		{.0002, sources.Ratio, "<0.1%"},
		{0, sources.Ratio, "0.0%"},
		{41.2, sources.PerSecond, "41.2/s"},
		{.134, sources.PerSecond, "0.13/s"},
		{12345, sources.PerSecond, "12.3k/s"},
		{4.12, sources.Seconds, "4.12 s"},
		{.0384, sources.Seconds, "38 ms"},
		{.00042, sources.Seconds, "420 µs"},
		{0, sources.Seconds, "0.00 s"},
		{81.92, sources.Seconds, "81.9 s"},
		{7200, sources.Seconds, "2.0 h"},
		{.0121, sources.USD, "$0.0121"},
		{88.4, sources.USD, "$88.40"},
		{4812, sources.USD, "$4.81k"},
		{.499, sources.USDPerSec, "$1.80k/h"},
		{1875, sources.Tokens, "1875 tok"},
		{18750, sources.Tokens, "18.8k tok"},
		{3, sources.Count, "3"},
		{1284000, sources.Count, "1.28M"},
		{2.06, sources.PerMille, "2.06‰"},
		{.81, sources.Score, "0.81"},
		{math.NaN(), sources.Ratio, "NaN"},
		{-.00001, sources.Score, "0.00"},
	} {
		if got := Amount(c.v, c.u, false); got != c.want {
			t.Errorf("%v in %s is written %q, want %q", c.v, c.u, got, c.want)
		}
	}
	if got := Short(.02, sources.Ratio, false); got != "2%" {
		t.Errorf("a limit of 2%% is written %q", got)
	}
	if got := Short(4000, sources.USD, false); got != "$4k" {
		t.Errorf("a limit of $4000 is written %q", got)
	}
}

func TestALowerBoundSaysSoUnlessItIsTooSmallToTell(t *testing.T) {
	for _, c := range []struct {
		v           float64
		want, ascii string
	}{{.091, "≥9.1%", ">=9.1%"}, {.0002, "<0.1%", "<0.1%"}} {
		r := &sources.Reading{Known: true, AtLeast: true, Unit: sources.Ratio, Value: c.v}
		if got, plain := Text(r, false), Text(r, true); got != c.want || plain != c.ascii {
			t.Errorf("at least %v is written %q and %q, want %q and %q", c.v, got, plain, c.want, c.ascii)
		}
	}
}

func TestAxesHaveRoundNumbersThatAscend(t *testing.T) {
	for _, c := range []struct {
		s    Scale
		u    sources.Unit
		want string
	}{
		{Scale{0, .093}, sources.Ratio, "0% 2% 4% 6% 8% 10%"},
		{Scale{.7, .88}, sources.Score, "0.70 0.75 0.80 0.85 0.90"},
		{Scale{0, .04}, sources.Seconds, "0 ms 10 ms 20 ms 30 ms 40 ms"},
		{Scale{0, 10}, sources.Seconds, "0 s 2 s 4 s 6 s 8 s 10 s"},
		{Scale{0, 1}, sources.Count, "0 1"},
		{Scale{0, 1284000}, sources.Count, "0.0M 0.5M 1.0M 1.5M"},
		{Scale{0, .5}, sources.USDPerSec, "$0/h $500/h $1000/h $1500/h $2000/h"},
		{Scale{0, .05}, sources.USD, "$0.00 $0.01 $0.02 $0.03 $0.04 $0.05"},
	} {
		_, ticks := yTicks(c.s, c.u, 5, false)
		var got []string
		for i, k := range ticks {
			got = append(got, k.label)
			if i > 0 && k.v <= ticks[i-1].v {
				t.Errorf("%v: the ticks do not ascend", c.s)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v %s: ticks %q, want %q", c.s, c.u, s, c.want)
		}
	}
}

func TestTheTimeAxisHasRoundTimes(t *testing.T) {
	end := time.Date(2026, 3, 10, 2, 47, 13, 0, time.UTC)
	for _, c := range []struct {
		rng  time.Duration
		want string
	}{
		{5 * time.Minute, "02:43 02:44 02:45 02:46 02:47"},
		{time.Hour, "01:50 02:00 02:10 02:20 02:30 02:40"},
		{6 * time.Hour, "21:00 22:00 23:00 00:00 01:00 02:00"},
		{24 * time.Hour, "06:00 12:00 18:00 Mar 10"},
		{7 * 24 * time.Hour, "Mar 4 Mar 6 Mar 8 Mar 10"},
	} {
		var got []string
		for _, k := range xTicks(end.Add(-c.rng), end, 6, false) {
			got = append(got, k.label)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("last %s: %q, want %q", c.rng, s, c.want)
		}
	}
}

func points(end time.Time, step time.Duration, v ...float64) []sources.Point {
	out := make([]sources.Point, len(v))
	for i := range v {
		out[i] = sources.Point{T: end.Add(-time.Duration(len(v)-1-i) * step), V: v[i]}
	}
	return out
}

func TestAGapIsBlankAndNeverAZero(t *testing.T) {
	end := time.Unix(6000, 0)
	p := points(end, time.Minute, 1, 1, 1, 1, math.NaN(), math.NaN(), math.NaN(), 1, 1, 1)
	got := Spark(p, end.Add(-10*time.Minute), end, 10, Scale{0, 2}, []rune("01234567"))
	if !strings.Contains(got, "3  ") || strings.Contains(got, "0") {
		t.Fatalf("drew %q", got)
	}
}

func TestASourcesOwnStepIsNoGap(t *testing.T) {
	end := time.Unix(6000, 0)
	p := points(end, 2*time.Minute, 1, 1, 1, 1, 1, 1)
	got := Spark(p, end.Add(-10*time.Minute), end, 40, Scale{0, 2}, []rune("01234567"))
	if strings.Contains(strings.TrimSpace(got), " ") {
		t.Fatalf("drew %q", got)
	}
}

func TestACoarsePastWithAFineEndIsOneLineAndAHoleStaysAHole(t *testing.T) {
	start := time.Date(2026, 3, 10, 2, 0, 0, 0, time.UTC)
	var coarse, holed []sources.Point
	for m := 0; m <= 50; m += 10 {
		coarse = append(coarse, sources.Point{T: start.Add(time.Duration(m) * time.Minute), V: 1})
	}
	for s := 0; s <= 600; s += 15 {
		p := sources.Point{T: start.Add(50*time.Minute + time.Duration(s)*time.Second), V: 1}
		coarse = append(coarse, p)
	}
	for s := 0; s < 3600; s += 15 {
		if s < 1200 || s == 1500 || s >= 1800 { // ten minutes away but for one point in the middle
			holed = append(holed, sources.Point{T: start.Add(time.Duration(s) * time.Second), V: 1})
		}
	}
	end := start.Add(time.Hour)
	for i, v := range Bucket(coarse, start, end, 60) {
		if math.IsNaN(v) {
			t.Errorf("column %d of the coarse past is blank", i)
		}
	}
	blank := 0
	for _, v := range Bucket(holed, start, end, 60) {
		if math.IsNaN(v) {
			blank++
		}
	}
	if blank != 9 {
		t.Errorf("%d blank columns in a hole of ten minutes around one point, want 9", blank)
	}
}

func TestASparklineStandsStillUntilAColumnIsFull(t *testing.T) {
	end := time.Unix(60000, 0)
	var p []sources.Point
	for i := range 240 {
		at := end.Add(-time.Duration(i) * 15 * time.Second)
		p = append([]sources.Point{{T: at, V: float64(at.Unix() / 15 % 7)}}, p...)
	}
	draw := func(now time.Time) string {
		s, e := Align(now.Add(-time.Hour), now, 20)
		return Spark(p, s, e, 20, Scale{0, 7}, []rune("01234567"))
	}
	first := draw(end.Add(-170 * time.Second))
	moves := 0
	for d := 165; d >= 0; d -= 15 {
		if next := draw(end.Add(-time.Duration(d) * time.Second)); next[:19] != first[:19] {
			moves++
			first = next
		}
	}
	if moves > 1 {
		t.Fatalf("the picture moved %d times within one column's time", moves)
	}
}

func TestAQuietSignalLooksQuiet(t *testing.T) {
	end := time.Unix(6000, 0)
	r := sources.Reading{
		Unit: sources.Ratio, Direction: sources.HigherWorse, Threshold: &sources.Threshold{Watch: .02, Bad: .05},
		History: points(end, time.Minute, .004, .0045, .0038, .0042, .005),
	}
	got := Spark(r.History, end.Add(-5*time.Minute), end, 5, ScaleOf(&r), []rune("01234567"))
	if strings.ContainsAny(got, "34567") {
		t.Fatalf("noise far under the threshold is drawn %q", got)
	}
}

func TestChartsKeepTheirSizeWhateverTheyAreGiven(t *testing.T) {
	end := time.Unix(60000, 0)
	th := theme.New(theme.Options{Dark: true})
	inf := math.Inf(1)
	for name, p := range map[string][]sources.Point{
		"nothing": nil, "one": points(end, time.Minute, 3), "not a number": points(end, time.Minute, math.NaN(), math.NaN()),
		"infinite": points(end, time.Minute, 1, inf, -inf, 2), "huge": points(end, time.Minute, 1e300, -1e300), "far away": points(end, time.Minute, 1e17, 1e17+16),
		"flat zero": points(end, time.Minute, 0, 0, 0), "the future": points(end.Add(time.Hour), time.Minute, 1, 2),
		"out of order": {{T: end, V: 1}, {T: end.Add(-time.Hour), V: 2}, {T: end, V: 3}},
	} {
		for _, size := range [][2]int{{80, 12}, {20, 5}, {5, 3}, {0, 0}, {200, 40}, {21, 4}} {
			r := sources.Reading{Unit: sources.Seconds, Direction: sources.HigherWorse, History: p}
			ch := Chart{
				Unit: r.Unit, Scale: ScaleOf(&r), Start: end.Add(-time.Hour), End: end, Lines: []Line{{Points: p}},
				Levels: []Level{{Name: "watch", Value: 2}, {Name: "off", Value: math.NaN()}}, Band: &Scale{1, 2},
				Changes: []sources.Change{{At: end.Add(-time.Minute), To: strings.Repeat("v", 300)}, {At: end.Add(time.Hour)}},
			}
			lines := ch.Draw(th, size[0], size[1])
			if len(lines) != size[1] && size[1] > 0 {
				t.Errorf("%s at %v: %d rows", name, size, len(lines))
			}
			for _, l := range lines {
				if w := ansi.StringWidth(l); w > size[0] {
					t.Errorf("%s at %v: a row of %d columns", name, size, w)
				}
			}
		}
	}
}

func TestMarksNeverWriteOverEachOther(t *testing.T) {
	th := theme.New(theme.Options{NoColor: true})
	marks := []Mark{{Col: 3, Glyph: "◆", Label: "prompt v14"}, {Col: 5, Glyph: "◆", Label: "model 界"}, {Col: 38, Glyph: "◆", Label: "index i9"}}
	got := Marks(th, marks, 40, "-", th.Plain)
	if ansi.StringWidth(got) != 40 || strings.Count(got, "◆") != 3 || !strings.Contains(got, "model ?") || !strings.Contains(got, "index i9◆") {
		t.Fatalf("drew %q", got)
	}
}

func TestTextFromOutsideIsOnePlainLine(t *testing.T) {
	if got := Plain("a\x1b[31mb\x1b]0;t\x07c\nd\te\u202ef\x00g\x7f"); got != "abc d efg" {
		t.Fatalf("got %q", got)
	}
}

func TestPerThousandIsNeverPercent(t *testing.T) {
	for in, want := range map[string]string{"4.1‰ over 4‰": "4.1/1k over 4/1k", "9% over 5%": "9% over 5%", "a\x1b[31mb": "ab"} {
		if got := Words(in, true); got != want {
			t.Errorf("%q without Unicode is %q, want %q", in, got, want)
		}
	}
	if got := Words("4.1‰ over 4‰", false); got != "4.1‰ over 4‰" {
		t.Errorf("%q", got)
	}
}
