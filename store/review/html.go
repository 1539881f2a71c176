package review

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/sources"
)

//go:embed review.html
var page string

// HTML writes the review as one file that needs nothing else: charts are drawn
// inside it, and it prints.
func (r *Review) HTML(w io.Writer) error {
	t, err := template.New("review").Funcs(template.FuncMap{
		"flat": flat, "stamp": stamp, "length": seconds, "cite": cite, "points": citePoints, "whole": whole,
		"number": func(n sources.Num, u sources.Unit) string {
			if !n.OK {
				return "–"
			}
			return u.Format(n.V)
		},
		"money": func(n sources.Num) string {
			if !n.OK {
				return "not known"
			}
			return sources.USD.Format(n.V)
		},
		"change":   func(c Change) string { return changeWords(c.Change) },
		"relative": relative,
		"took":     tookWords,
		"words":    func(s Step) string { return s.stepWords() },
		"lines": func(list []string) string {
			out := make([]string, len(list))
			for i, l := range list {
				out[i] = harmless(l)
			}
			return strings.Join(out, "\n")
		},
		"names": artifactNames,
		"chart": func(s Signal) *chart { return r.chart(&s) },
		"or":    or,
		"notable": func() []Signal {
			shown, _ := r.Notable()
			return shown
		},
		"others": func() string {
			_, others := r.Notable()
			return strings.Join(others, ", ")
		},
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

func tookWords(d Duration) string {
	if !d.Seconds.OK {
		return "–"
	}
	return seconds(d.Seconds.V)
}

func artifactNames(row Row) string {
	var names []string
	for _, a := range row.Artifacts {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// The plot of a chart, in the units of its SVG.
const (
	chartWidth, chartHeight           = 640, 120
	plotLeft, plotRight               = 60, 630
	plotTop, plotBottom               = 12, 96
	minPoints                         = 2
	markBegan, markMitigated, markEnd = "began", "mitigated", "resolved"
)

// chart is a signal over the time of the incident, ready to be drawn.
type chart struct {
	Lines    []string // points of a polyline each
	Gaps     []string // where nothing was recorded for long: from the last point to the next
	Dots     []dot
	UsualY   string // empty when it is not known
	Legend   string
	Marks    []mark
	High     string
	Low      string
	From, To string
}

type dot struct{ X, Y, Label string }

// mark is a time of the incident. Y is where its name stands: one below another that is near.
type mark struct{ X, Y, Anchor, Name string }

const (
	markTop, markBelow = 10, 22
	markWidth          = 62 // of the longest name
	gapTimes           = 3  // as long between two points as usual is a gap
)

// chart draws the signal's points; nil when there are too few of them.
func (r *Review) chart(s *Signal) *chart {
	var pts []SignalPoint
	for _, p := range s.Points {
		if p.Value.OK {
			pts = append(pts, p)
		}
	}
	if len(pts) < minPoints {
		return nil
	}
	lo, hi := pts[0].Value.V, pts[0].Value.V
	for _, p := range pts {
		lo, hi = min(lo, p.Value.V), max(hi, p.Value.V)
	}
	if s.Usual.OK {
		lo, hi = min(lo, s.Usual.V), max(hi, s.Usual.V)
	}
	if lo > 0 && lo < hi/2 {
		lo = 0
	}
	if hi == lo {
		hi = lo + max(abs(lo), 1)
	}
	first, last := pts[0].At, pts[len(pts)-1].At
	width := max(last.Sub(first).Seconds(), 1)
	x := func(t time.Time) float64 {
		return plotLeft + (plotRight-plotLeft)*min(1, max(0, t.Sub(first).Seconds()/width))
	}
	y := func(v float64) string { return coordinate(plotBottom - (plotBottom-plotTop)*(v-lo)/(hi-lo)) }
	c := &chart{High: s.Unit.Format(hi), Low: s.Unit.Format(lo), From: stamp(first), To: stamp(last)}
	var line []string
	gap := gapAfter(pts)
	for i, p := range pts {
		px, py := coordinate(x(p.At)), y(p.Value.V)
		if i > 0 && p.At.Sub(pts[i-1].At) > gap {
			c.Gaps = append(c.Gaps, line[len(line)-1]+" "+px+","+py)
			c.Lines, line = append(c.Lines, strings.Join(line, " ")), nil
		}
		line = append(line, px+","+py)
		c.Dots = append(c.Dots, dot{px, py, join(stamp(p.At), s.Unit.Format(p.Value.V), string(p.Verdict), cite(p.Seq, 0))})
	}
	c.Lines = append(c.Lines, strings.Join(line, " "))
	if s.Usual.OK {
		c.UsualY, c.Legend = y(s.Usual.V), "Dashed: usual, "+s.Unit.Format(s.Usual.V)+". "
	}
	if len(c.Gaps) > 0 {
		c.Legend += "Dotted: nothing was recorded."
	}
	for _, m := range r.Times {
		if (m.Name == markBegan || m.Name == markMitigated || m.Name == markEnd) && !m.At.Before(first) && !m.At.After(last) {
			c.Marks = append(c.Marks, markAt(x(m.At), m.Name, c.Marks))
		}
	}
	return c
}

// gapAfter is the time between two points from which on it is a gap.
func gapAfter(pts []SignalPoint) time.Duration {
	steps := make([]time.Duration, 0, len(pts))
	for i := 1; i < len(pts); i++ {
		steps = append(steps, pts[i].At.Sub(pts[i-1].At))
	}
	slices.Sort(steps)
	return gapTimes * steps[len(steps)/2]
}

// markAt places a mark beside those there are, its name within the chart.
func markAt(x float64, name string, before []mark) mark {
	m := mark{X: coordinate(x), Y: strconv.Itoa(markTop), Anchor: "start", Name: name}
	if x > chartWidth-markWidth {
		m.Anchor = "end"
	}
	if n := len(before); n > 0 && before[n-1].Y == m.Y {
		if was, err := strconv.ParseFloat(before[n-1].X, 64); err == nil && x-was < 2*markWidth {
			m.Y = strconv.Itoa(markBelow)
		}
	}
	return m
}

func coordinate(v float64) string { return fmt.Sprintf("%.1f", v) }
