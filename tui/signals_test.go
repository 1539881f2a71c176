package tui

import (
	"context"
	"strings"
	"testing"

	"rollcall/sources"
)

// A reader compares charts that stand below one another by eye: a moment has one column.
func TestChartsBelowOneAnotherShareTheirTimeAxis(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
		for _, key := range []string{"2", "3", "4", "5"} {
			b := newBench(t, size[0], size[1])
			b.press(key)
			corners := map[int]int{}
			most := 0
			for _, line := range strings.Split(plainText(b.screen()), "\n") {
				inLine := 0
				for i, r := range []rune(line) {
					if r == '└' {
						corners[i]++
						inLine++
					}
				}
				most = max(most, inLine)
			}
			if most == 0 || len(corners) != most {
				t.Errorf("pane %s at %v: %d charts side by side have their axes at columns %v\n%s", key, size, most, corners, plainText(b.screen()))
			}
		}
	}
}

func TestAVersionWithoutTrafficHasNoNumberInASplit(t *testing.T) {
	b := newBench(t, 120, 36)
	b.backend.OnSplit = func(context.Context, string, string, string, sources.View) ([]sources.Part, sources.Facts, error) {
		return []sources.Part{{Name: "v77", Verdict: sources.NoTraffic}, {Name: "v78", Value: .25, N: 40, Verdict: sources.Bad}}, sources.Facts{}, nil
	}
	b.press("3", "enter", "s")
	b.shows("v77", "v78", "25.0%")
	for _, line := range strings.Split(plainText(b.screen()), "\n") {
		if strings.Contains(line, "v77 ") && strings.Contains(line, "0.0") {
			t.Errorf("what had no traffic reads as a zero: %q", line)
		}
	}
}
