package widget

import (
	"math"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/theme"
)

// ReadingChart is the chart of a reading: its course, thresholds, usual band
// and the changes, over the time that its snapshot shows.
func ReadingChart(t *theme.Theme, s *signal.Snapshot, r *sources.Reading, local bool) Chart {
	_, verdict := t.Verdict(r.Verdict)
	line := t.Bright
	if r.Verdict == sources.Bad || r.Verdict == sources.Watch {
		line = verdict
	}
	ch := Chart{
		Unit: r.Unit, Scale: ScaleOf(r), Start: s.At.Add(-s.View.Range), End: s.At,
		Lines: []Line{{Name: r.Label, Points: r.History, Style: line}}, Changes: s.Changes, Local: local,
	}
	if r.Threshold != nil {
		for _, l := range []Level{{"watch", r.Threshold.Watch, t.Watch}, {"bad", r.Threshold.Bad, t.Bad}} {
			if !math.IsNaN(l.Value) {
				l.Name += " " + Short(l.Value, r.Unit, t.Options.ASCII)
				ch.Levels = append(ch.Levels, l)
			}
		}
	}
	if r.Usual != nil && r.Usual.Days > 0 && r.Usual.High > r.Usual.Low {
		ch.Band = &Scale{r.Usual.Low, r.Usual.High}
	}
	return ch
}
