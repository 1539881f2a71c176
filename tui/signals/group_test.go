package signals

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
)

func TestChartsShareTheScreen(t *testing.T) {
	for _, c := range []struct {
		why           string
		w, h, n       int
		cols, rows, x int // x: height of a chart
	}{
		{"five on a large screen fill it in two columns", 200, 53, 5, 2, 3, 17},
		{"many keep three columns", 200, 53, 12, 3, 4, 13},
		{"few grow up to a limit", 200, 53, 2, 2, 1, 20},
		{"three stand side by side where they cannot fill two rows", 200, 24, 3, 3, 1, 20},
		{"a middling screen", 120, 29, 5, 2, 3, 9},
		{"a small screen scrolls", 80, 17, 9, 1, 9, 8},
		{"none", 80, 17, 0, 1, 0, 17},
		{"a tiny screen", 20, 1, 3, 1, 3, 5},
	} {
		g := shape(c.w, c.h, c.n)
		if g.cols != c.cols || g.rows != c.rows || g.h != c.x {
			t.Errorf("%s: %d by %d charts of %d rows, want %d by %d of %d", c.why, g.cols, g.rows, g.h, c.cols, c.rows, c.x)
		}
		if g.seen < 1 || g.seen > 1 && g.seen*g.h > c.h {
			t.Errorf("%s: %d rows of %d do not fit %d", c.why, g.seen, g.h, c.h)
		}
	}
}

func TestTheCostPaneLeadsToWhereMoneyGoes(t *testing.T) {
	for group, want := range map[sources.Pane]bool{sources.CostPane: true, sources.HealthPane: false} {
		g := NewGroup(pane.ID(group), group)
		c := pane.Context{Width: 100, Height: 30, Snapshot: &signal.Snapshot{Readings: []sources.Reading{{Signal: "a", Pane: group, Verdict: sources.OK}}}}
		cmd := g.Update(c, tea.KeyPressMsg{Code: 'b', Text: "b"})
		if cmd == nil == want {
			t.Errorf("%s: b leads on: %v", group, cmd != nil)
			continue
		}
		if want && cmd() != (pane.OpenMsg{ID: pane.Spending}) {
			t.Errorf("b opens %+v", cmd())
		}
		shown := false
		for _, k := range g.Keys() {
			shown = shown || k.Help().Key == "b"
		}
		if shown != want {
			t.Errorf("%s: b is shown among the keys: %v", group, shown)
		}
	}
}
