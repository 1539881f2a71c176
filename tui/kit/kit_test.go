package kit

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/theme"
)

func TestWrapKeepsToTheWidthAndSaysWhatItLeavesOut(t *testing.T) {
	for _, s := range []string{
		"", "short", strings.Repeat("word ", 500), strings.Repeat("宽", 300), strings.Repeat("x", 5000), "a\tb\n\nc", "\x1b[31mred\x1b[m", "e" + strings.Repeat("\u0301", 500),
	} {
		for _, w := range []int{1, 2, 7, 40, 200} {
			for _, l := range Wrap(s, w) {
				if n := ansi.StringWidth(l); n > max(2, w) || strings.ContainsAny(l, "\x1b\t\n") {
					t.Fatalf("%d columns of %q: %q is %d wide", w, s[:min(len(s), 12)], l, n)
				}
			}
		}
	}
	lines := Wrap(strings.Repeat("y", MaxWrap+100<<10), 100)
	if last := lines[len(lines)-1]; !strings.Contains(last, "100 KiB more") {
		t.Errorf("a huge text ends in %q", last)
	}
}

func TestMiddleKeepsBothEnds(t *testing.T) {
	for _, tc := range []struct {
		in   string
		w    int
		want string
	}{
		{"req-1", 10, "req-1"},
		{"0123456789abcdef", 9, "0123…cdef"},
		{"0123456789", 2, "01"},
		{"宽宽宽宽宽宽", 7, "宽…宽"},
	} {
		got := Middle(tc.in, tc.w, "…")
		if ansi.StringWidth(got) > tc.w || (tc.want != got && tc.in[0] < 0x80) {
			t.Errorf("%q in %d columns is %q", tc.in, tc.w, got)
		}
	}
}

func TestPlaceDropsTheLeastImportantColumnsFirst(t *testing.T) {
	cols := []Column{
		{Title: "a", Min: 5, Want: 8},
		{Title: "b", Rank: 7, Min: 5, Want: 10},
		{Title: "c", Rank: 1, Min: 5, Want: 20},
		{Title: "d", Rank: 6, Min: 5, Want: 5},
	}
	for _, tc := range []struct {
		w    int
		want []Placed
	}{
		{3, []Placed{{0, 1}}},
		{14, []Placed{{0, 5}, {2, 5}}},
		{16, []Placed{{0, 6}, {2, 6}}},
		{38, []Placed{{0, 8}, {2, 20}}},
		{39, []Placed{{0, 8}, {2, 20}, {3, 5}}},
		{60, []Placed{{0, 8}, {1, 10}, {2, 20}, {3, 5}}},
	} {
		got := Place(cols, tc.w)
		if len(got) != len(tc.want) {
			t.Errorf("%d columns: %v, want %v", tc.w, got, tc.want)
			continue
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%d columns: %v, want %v", tc.w, got, tc.want)
				break
			}
		}
	}
}

func TestSummarizePutsTheMessageFirst(t *testing.T) {
	for _, tc := range []struct{ line, message, fields string }{
		{"plain text", "plain text", ""},
		{`{"level":"info","msg":"served","route":"/chat","n":3,"deep":{"a": [1, 2]}}`, "served", "level=info route=/chat n=3 deep={\"a\":[1,2]}"},
		{`{"event":"started"}`, "started", ""},
		{`{"msg":"cut off`, `{"msg":"cut off`, ""},
		{`{"msg":"a"} trailing }`, `{"msg":"a"} trailing }`, ""},
		{`{"msg":"` + strings.Repeat("x", maxSummary) + `"}`, `{"msg":"` + strings.Repeat("x", maxSummary) + `"}`, ""},
	} {
		s := Summarize(&sources.LogLine{Line: tc.line})
		var fields []string
		for _, f := range s.Fields {
			fields = append(fields, f.Key+"="+f.Value)
		}
		if s.Message != tc.message || strings.Join(fields, " ") != tc.fields {
			t.Errorf("%.60s: message %.60q, fields %q", tc.line, s.Message, fields)
		}
	}
}

func TestPiecesLeaveOutWhatDoesNotFit(t *testing.T) {
	th := theme.New(theme.Options{NoColor: true})
	p := func(s string) Piece { return Piece{Text: s, Style: th.Plain} }
	for _, tc := range []struct {
		w    int
		want string
	}{
		{30, "first · second, a bit longer  "},
		{22, "first                 "},
		{26, "first · second, a bit lon…"},
		{3, "fi…"},
	} {
		if got := ansi.Strip(Pieces(th, tc.w, p("first"), p(""), p("second, a bit longer"))); got != tc.want {
			t.Errorf("%d columns: %q, want %q", tc.w, got, tc.want)
		}
	}
}

func BenchmarkWrapTheLargestText(b *testing.B) {
	s := strings.Repeat("some words of an answer ", MaxWrap/24)
	for b.Loop() {
		Wrap(s, 100)
	}
}

func BenchmarkSummarize(b *testing.B) {
	l := &sources.LogLine{Line: `{"ts":"2026-03-10T02:46:16Z","level":"error","msg":"inference failed","request_id":"req-af6d30d42b55","route":"/chat","duration_ms":12}`}
	for b.Loop() {
		Summarize(l)
	}
}
