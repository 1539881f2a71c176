package run

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// before is how much of the signal's own course is drawn before a check begins.
const before = 10 * time.Minute

// checkBody is the chart of a check with its samples below.
func (p *Pane) checkBody(c pane.Context, st *run.Step, w, h int) []string {
	t := c.Theme
	if st.Check == nil || h <= 0 {
		return nil
	}
	if len(st.Samples) == 0 && st.Status == run.Pending {
		return []string{t.Dim.Render("Nothing has been measured yet.")}
	}
	table := min(len(st.Samples), max(1, h/3))
	if h < 11 {
		table = min(len(st.Samples), h) // a chart needs room to say anything
	}
	var out []string
	if chart := h - table - 1; chart >= 6 {
		ch := chartOf(c, st)
		out = append(out, ch.Draw(t, w, chart)...)
	}
	rows := sampleRows(c, st, w)
	if len(rows) == 0 {
		text := "No sample yet"
		if !st.NextAt.IsZero() {
			text += "; the first is taken at " + kit.Clock(c, st.NextAt)
		}
		return append(out, t.Dim.Render(text+"."))
	}
	if len(out) > 0 {
		out = append(out, sampleHead(c, w))
	}
	return append(out, rows[max(0, len(rows)-max(1, h-len(out))):]...)
}

// columns of the samples: time, value, usual, requests, verdict and why.
const (
	colTime, colValue, colUsual, colN, colVerdict = 8, 9, 9, 8, 14
)

func sampleHead(c pane.Context, w int) string {
	return c.Theme.Dim.Render(widget.Fit(sampleLine("time "+kit.Zone(c), "value", "usual", "requests", "verdict", "why", lipgloss.NewStyle(), lipgloss.NewStyle(), w), w, ""))
}

func sampleLine(at, value, usual, n, verdict, why string, vs, ws lipgloss.Style, w int) string {
	s := widget.Fit(at, colTime, "") + "  " + vs.Render(widget.FitLeft(value, colValue, "")) + "  "
	if w >= 60 {
		s += widget.FitLeft(usual, colUsual, "") + "  "
	}
	if w >= 72 {
		s += widget.FitLeft(n, colN, "") + "  "
	}
	return s + vs.Render(widget.Fit(verdict, colVerdict, "")) + "  " + ws.Render(kit.Line(why, w))
}

func sampleRows(c pane.Context, st *run.Step, w int) []string {
	t := c.Theme
	unit := unitOf(c, st.Check)
	out := make([]string, 0, len(st.Samples))
	for i := range st.Samples {
		s := &st.Samples[i]
		glyph, word, style := kit.StepLook(t, s.Verdict)
		why := widget.Words(s.Why, t.Options.ASCII)
		if s.Error != "" {
			why = s.Error
		}
		out = append(out, sampleLine(
			kit.Clock(c, s.At), amount(s.Value, unit, t.Options.ASCII), amount(s.Usual, unit, t.Options.ASCII), kit.Whole(s.N, t.Options.ASCII),
			glyph+" "+word, why, style, t.Dim, w,
		))
	}
	return out
}

// chartOf draws the signal's own course, the samples on it, the lines that decide, and what is usual.
func chartOf(c pane.Context, st *run.Step) widget.Chart {
	t := c.Theme
	ch := st.Check
	var points []sources.Point
	usual := sources.Num{}
	for i := range st.Samples {
		s := &st.Samples[i]
		if s.Value.OK {
			points = append(points, sources.Point{T: s.At, V: s.Value.V})
		}
		if s.Usual.OK {
			usual = s.Usual
		}
	}
	began := st.Began
	if began.IsZero() {
		began = c.Now
	}
	end := began.Add(ch.InitialDelay + time.Duration(max(1, ch.Count))*ch.Interval)
	if !st.Ended.IsZero() && st.Ended.Before(end) {
		end = st.Ended
	}
	if n := len(points); n > 0 && points[n-1].T.After(end) {
		end = points[n-1].T
	}
	out := widget.Chart{Unit: unitOf(c, ch), Start: began.Add(-before), End: end, Local: c.LocalTime}
	if c.Snapshot != nil {
		out.Changes = c.Snapshot.Changes
		if r, ok := c.Snapshot.Reading(ch.Signal); ok {
			out.Lines = append(out.Lines, widget.Line{Name: "signal", Points: r.History, Style: t.Dim})
			if r.Usual != nil && r.Usual.Days > 0 {
				if !usual.OK {
					usual = sources.N(r.Usual.Value)
				}
				if r.Usual.High > r.Usual.Low {
					out.Band = &widget.Scale{Lo: r.Usual.Low, Hi: r.Usual.High}
				}
			}
		}
	}
	out.Lines = append(out.Lines, widget.Line{Name: "samples", Points: points, Style: t.Bright})
	for _, l := range []struct {
		name, cond string
		style      lipgloss.Style
	}{{"pass", ch.Pass, t.OK}, {"fail", ch.Fail, t.Bad}} {
		if v, ok := levelOf(l.cond, usual); ok {
			out.Levels = append(out.Levels, widget.Level{Name: l.name + " " + widget.Short(v, out.Unit, t.Options.ASCII), Value: v, Style: l.style})
		}
	}
	top := 0.0
	for _, l := range out.Levels {
		top = max(top, l.Value*1.15)
	}
	for _, l := range out.Lines {
		for _, pt := range l.Points {
			if !pt.T.Before(out.Start) && !pt.T.After(out.End) {
				top = max(top, pt.V*1.05)
			}
		}
	}
	if top <= 0 {
		top = 1
	}
	out.Scale = widget.Scale{Lo: 0, Hi: top}
	return out
}

var simple = regexp.MustCompile(`^\s*value\s*(?:<=|>=|<|>)\s*(usual)?\s*(\*|\+)?\s*([0-9.]+)?\s*$`)

// levelOf is the value at which a condition turns, where it is as simple as
// most are: value compared with a number, or with usual times or plus one.
func levelOf(cond string, usual sources.Num) (float64, bool) {
	m := simple.FindStringSubmatch(strings.TrimSpace(cond))
	if m == nil || m[1] == "" && (m[2] != "" || m[3] == "") || m[1] != "" && (m[2] == "") != (m[3] == "") {
		return 0, false
	}
	n, err := strconv.ParseFloat(m[3], 64)
	switch {
	case m[1] == "":
		return n, err == nil
	case !usual.OK:
		return 0, false
	case m[2] == "":
		return usual.V, true
	case err != nil:
		return 0, false
	case m[2] == "*":
		return usual.V * n, true
	}
	return usual.V + n, true
}
