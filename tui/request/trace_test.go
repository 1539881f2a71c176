package request

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

const second = int64(time.Second)

// base is a start that a clock can have.
var base = time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC).UnixNano()

func sid(n int) (id sources.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// span is a span from and to seconds after base; parent 0 is none.
func span(id, parent int, from, to float64) sources.Span {
	return sources.Span{
		SpanID: sid(id), Parent: sid(parent), Name: fmt.Sprint("s", id),
		Start: base + int64(from*float64(second)), End: base + int64(to*float64(second)),
	}
}

func outline(t *trace) string {
	var out []string
	for _, n := range t.nodes {
		out = append(out, strings.Repeat(" ", n.depth)+n.span.Name)
	}
	return strings.Join(out, "|")
}

func TestTheTreeGrowsFromWhateverArrives(t *testing.T) {
	for _, tc := range []struct {
		name            string
		spans           []sources.Span
		outline         string
		total, orphaned int
	}{
		{"nothing", nil, "", 0, 0},
		{"out of order", []sources.Span{span(3, 1, 2, 3), span(2, 1, 1, 2), span(1, 0, 0, 3)}, "s1| s2| s3", 3, 0},
		{"twice", []sources.Span{span(1, 0, 0, 3), span(2, 1, 1, 2), span(2, 1, 1, 2), span(1, 0, 0, 3)}, "s1| s2", 2, 0},
		{"without a root", []sources.Span{span(2, 1, 1, 2), span(3, 2, 1, 2)}, "s2| s3", 2, 1},
		{"two roots", []sources.Span{span(1, 0, 1, 2), span(2, 0, 0, 1)}, "s2|s1", 2, 0},
		{"its own parent", []sources.Span{span(1, 1, 0, 1)}, "s1", 1, 1},
		{"a circle", []sources.Span{span(1, 3, 0, 1), span(2, 1, 0, 1), span(3, 2, 0, 1), span(4, 3, 0, 1)}, "s1| s2|  s3|   s4", 4, 0},
		{"without IDs", []sources.Span{{Name: "a", Start: base}, {Name: "b", Start: base + 1}}, "a|b", 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := grow(tc.spans, &sources.Request{Time: time.Unix(0, base)})
			if outline(tr) != tc.outline || tr.total != tc.total || tr.orphans != tc.orphaned {
				t.Errorf("%q of %d spans, %d orphans", outline(tr), tr.total, tr.orphans)
			}
			if tr.end <= tr.start {
				t.Error("the axis has no length")
			}
			if n := len(tr.nodes); n > 0 && tr.nodes[0].size < 1 {
				t.Error("sizes are not set")
			}
		})
	}
}

func TestAWrongClockDoesNotSqueezeTheAxis(t *testing.T) {
	for _, wrong := range []sources.Span{
		span(9, 1, 5000, 5001), span(9, 1, -5000, -4999),
		{SpanID: sid(9), Parent: sid(1), Start: 0, End: 1},
		{SpanID: sid(9), Start: 0, End: math.MaxInt64},
		{SpanID: sid(9), Parent: sid(1), Start: math.MinInt64, End: math.MaxInt64},
	} {
		tr := grow([]sources.Span{wrong, span(1, 0, 0, 3), span(2, 1, 1, 2.5), span(3, 1, 2.9, 3.2)}, &sources.Request{})
		if got := time.Duration(tr.end - tr.start); got != 3200*time.Millisecond || tr.outside != 1 {
			t.Errorf("the axis is %s long with %d spans off it", got, tr.outside)
		}
		if !strings.Contains(tr.words(false), "1 off this axis (a clock is wrong)") {
			t.Errorf("it is not said: %s", tr.words(false))
		}
	}
}

func TestAHundredThousandSpansKeepErrorsAndTheLongest(t *testing.T) {
	spans := many(100000)
	spans[77777].Error = true
	tr := grow(spans, &sources.Request{})
	if len(tr.nodes) > maxSpans || len(tr.nodes) < maxSpans-2 || tr.total != 100000 {
		t.Fatalf("%d of %d spans are drawn", len(tr.nodes), tr.total)
	}
	var failed, longest bool
	at := map[sources.SpanID]bool{}
	for i := range tr.nodes {
		s := tr.nodes[i].span
		failed = failed || s.SpanID == spans[77777].SpanID
		longest = longest || s.SpanID == spans[0].SpanID
		if !s.Parent.IsZero() && !at[s.Parent] {
			t.Fatalf("span %s is drawn without the span above it", s.Name)
		}
		at[s.SpanID] = true
	}
	if !failed || !longest {
		t.Errorf("the failed one is drawn: %v, the longest: %v", failed, longest)
	}
	if w := tr.words(false); !strings.Contains(w, "of 100,000 spans, errors and the longest") {
		t.Errorf("it is not said: %s", w)
	}
}

// many is a trace of n spans, ten children to each, under a root of 100 s.
func many(n int) []sources.Span {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]sources.Span, n)
	out[0] = span(1, 0, 0, 100)
	for i := 1; i < n; i++ {
		from := r.Float64() * 90
		out[i] = span(i+1, (i-1)/10+1, from, from+r.Float64()*5)
	}
	return out
}

func TestBarsStayInTheirColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, o := range []theme.Options{{}, {ASCII: true}} {
		st := strokesOf(theme.New(o))
		for range 5000 {
			g := grid{bar: 1 + r.IntN(150)}
			tr := &trace{start: base, end: base + 1 + r.Int64N(100*second)}
			s := sources.Span{Start: base - 5*second + r.Int64N(120*second)}
			s.End = s.Start - second + r.Int64N(50*second)
			if n := ansi.StringWidth(tr.bar(&s, g, st)); n != g.bar {
				t.Fatalf("a bar of %d columns is %d wide", g.bar, n)
			}
		}
	}
}

func TestBarsShowWhereAndHowLong(t *testing.T) {
	tr := &trace{start: base, end: base + 10*second}
	g := grid{bar: 10}
	for _, tc := range []struct {
		from, to float64
		want     string
	}{
		{0, 10, "▄▄▄▄▄▄▄▄▄▄"},
		{0, 5, "▄▄▄▄▄     "},
		{2.5, 4.5, "  ▗▄▖     "},
		{5, 5, "     ▖    "},
		{9.99, 10, "         ▗"},
		{-3, 2, "◂▄        "},
		{-3, -1, "◂         "},
		{11, 12, "         ▸"},
	} {
		s := span(1, 0, tc.from, tc.to)
		if got := tr.bar(&s, g, strokesOf(theme.New(theme.Options{}))); got != tc.want {
			t.Errorf("%v to %v s is drawn as %q, want %q", tc.from, tc.to, got, tc.want)
		}
	}
}

func TestLogMarksStandUnderTheBars(t *testing.T) {
	tr := grow([]sources.Span{span(1, 0, 0, 10), span(2, 1, 4, 6)}, &sources.Request{})
	g := gridOf(80)
	c := pane.Context{Theme: theme.New(theme.Options{NoColor: true})}
	at := func(s float64) time.Time { return time.Unix(0, base+int64(s*float64(second))) }
	lines := []sources.LogLine{{Time: at(4), Level: "error"}, {Time: at(4.01), Level: "info"}, {Time: at(9.9), Level: "warn"}, {Time: at(99)}, {Time: at(-5)}}
	marks := []rune(ansi.Strip(tr.marks(c, lines, -1, g, 80)))
	row := []rune(ansi.Strip(tr.row(c, 1, g, false, false, 80)))
	first := strings.IndexAny(string(row), "▄▗")
	first = len([]rune(string(row)[:first]))
	if marks[first] != '▲' {
		t.Errorf("the error at the start of the bar is not under it:\n%s\n%s", string(row), string(marks))
	}
	if marks[g.left()] != '·' || marks[g.left()+g.bar-1] == ' ' {
		t.Errorf("lines off the axis are not at its edges:\n%s", string(marks))
	}
}

func TestTheScaleHasRoundSteps(t *testing.T) {
	c := pane.Context{Theme: theme.New(theme.Options{})}
	for _, tc := range []struct {
		length time.Duration
		want   []string
	}{
		{3200 * time.Millisecond, []string{"0 ", "1 s", "2 s", "3.20 s"}},
		{47 * time.Microsecond, []string{"0 ", "20 µs", "47 µs"}},
		{90 * time.Second, []string{"0 ", "20 s", "40 s", "90"}},
	} {
		tr := &trace{start: base, end: base + int64(tc.length)}
		s := ansi.Strip(tr.scale(c, gridOf(120), 120))
		at := -1
		for _, w := range tc.want {
			i := strings.Index(s, w)
			if i <= at {
				t.Errorf("the scale of %s lacks %q in its place: %q", tc.length, w, s)
			}
			at = i
		}
	}
}

func BenchmarkWaterfallOf10kSpans(b *testing.B) {
	tr := grow(many(10000), &sources.Request{})
	c := pane.Context{Theme: theme.New(theme.Options{Dark: true})}
	shown := tr.visible(nil)
	g := gridOf(200)
	for b.Loop() {
		tr.scale(c, g, 200)
		for _, i := range shown[5000:5050] {
			tr.row(c, i, g, false, i == 20, 200)
		}
	}
}

func BenchmarkGrow100kSpans(b *testing.B) {
	spans := many(100000)
	for b.Loop() {
		grow(spans, &sources.Request{})
	}
}
