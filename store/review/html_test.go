package review

import (
	"testing"
	"time"

	"rollcall/sources"
)

func TestAChartShowsWhereNothingWasRecorded(t *testing.T) {
	t0 := time.Date(2026, 3, 10, 2, 0, 0, 0, time.UTC)
	at := func(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }
	s := &Signal{Unit: sources.Ratio, Usual: sources.N(.01)}
	for _, m := range []int{0, 120, 125, 130, 135} {
		s.Points = append(s.Points, SignalPoint{At: at(m), Value: sources.N(.09)})
	}
	r := &Review{Times: []Moment{{Name: "began", At: at(5)}, {Name: "mitigated", At: at(130)}, {Name: "resolved", At: at(135)}}}
	c := r.chart(s)
	if len(c.Gaps) != 1 || len(c.Lines) != 2 || len(c.Dots) != 5 || c.Legend != "Dashed: usual, 1%. Dotted: nothing was recorded." {
		t.Errorf("%+v", c)
	}
	if m := c.Marks; len(m) != 3 || m[0].Anchor != "start" || m[2].Anchor != "end" || m[1].Y == m[2].Y {
		t.Errorf("marks that lie on each other, or beyond the edge: %+v", m)
	}
	s.Points = s.Points[1:]
	if c := r.chart(s); len(c.Gaps) != 0 || len(c.Lines) != 1 {
		t.Errorf("%+v", c)
	}
}
