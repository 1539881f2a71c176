package request

import (
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// strokes draw a bar in half columns.
type strokes struct {
	full, left, right  string // both halves, the left half, the right half
	before, after      string // the span lies off the axis on that side
	open, closed, leaf string
}

func strokesOf(t *theme.Theme) strokes {
	if t.Options.ASCII {
		return strokes{full: "=", left: "=", right: "=", before: "<", after: ">", open: "- ", closed: "+ ", leaf: "  "}
	}
	return strokes{full: "▄", left: "▖", right: "▗", before: "◂", after: "▸", open: "▾ ", closed: "▸ ", leaf: "  "}
}

// grid is how the columns of the waterfall are shared out; log marks use the same.
type grid struct {
	name, dur, bar int
}

// layout of the row: cursor 2, mark 2, name, gap 1, duration, gap 2, bar, gap 1.
func gridOf(w int) grid {
	g := grid{dur: 8}
	g.name = max(12, min(44, w*34/100))
	g.bar = w - 2 - 2 - g.name - 1 - g.dur - 2 - 1
	if g.bar < 8 {
		g.name = max(4, g.name-(8-g.bar))
		g.bar = max(1, w-2-2-g.name-1-g.dur-2-1)
	}
	return g
}

func (g grid) left() int { return 2 + 2 + g.name + 1 + g.dur + 2 }

// half is where a time falls on the bar, in half columns, unclamped.
func (t *trace) half(at int64, g grid) int {
	span := float64(t.end - t.start)
	return int(float64(sources.SaneTime(at)-t.start) / span * float64(2*g.bar))
}

// column is where a point in time falls on the bar; off the axis it is at the edge.
func (t *trace) column(at int64, g grid) int {
	return max(0, min(g.bar-1, t.half(at, g)/2))
}

// bar draws one span.
func (t *trace) bar(s *sources.Span, g grid, st strokes) string {
	end := max(s.End, s.Start)
	switch {
	case end < t.start:
		return widget.Fit(st.before, g.bar, "")
	case s.Start > t.end:
		return widget.FitLeft(st.after, g.bar, "")
	}
	a := max(0, min(2*g.bar-1, t.half(s.Start, g)))
	b := max(a+1, min(2*g.bar, t.half(end, g)))
	var out strings.Builder
	out.WriteString(strings.Repeat(" ", a/2))
	for col := a / 2; col < (b+1)/2; col++ {
		switch l, r := 2*col >= a, 2*col+1 < b; {
		case col == 0 && s.Start < t.start:
			out.WriteString(st.before)
		case l && r:
			out.WriteString(st.full)
		case l:
			out.WriteString(st.left)
		default:
			out.WriteString(st.right)
		}
	}
	out.WriteString(strings.Repeat(" ", max(0, g.bar-(b+1)/2)))
	return out.String()
}

// row draws one node of the waterfall in w columns.
func (t *trace) row(c pane.Context, i int, g grid, closed, selected bool, w int) string {
	th := c.Theme
	n := &t.nodes[i]
	st := strokesOf(th)
	fold := st.leaf
	if n.size > 1 {
		fold = st.open
		if closed {
			fold = st.closed
		}
	}
	cursor := "  "
	if selected {
		cursor = widget.Fit(th.Glyphs.Cursor, 2, "")
	}
	mark, style := "  ", th.Plain
	if n.span.Error {
		mark, style = widget.Fit(th.Glyphs.Bad, 2, ""), th.Bad
	}
	indent := strings.Repeat(" ", min(n.depth, g.name/3))
	name := widget.Fit(indent+fold+kit.Line(n.label(), g.name), g.name, th.Glyphs.Ellipsis)
	dur := widget.FitLeft(kit.Duration(n.span.Duration(), th.Options.ASCII), g.dur, "")
	bar := t.bar(n.span, g, st)
	if selected {
		return th.Selected.Render(widget.Fit(cursor+mark+name+" "+dur+"  "+bar, w, ""))
	}
	barStyle := th.Title
	if n.span.Error {
		barStyle = th.Bad
	}
	return widget.Fit(cursor+style.Render(mark+name)+" "+th.Dim.Render(dur)+"  "+barStyle.Render(bar), w, "")
}

// scale draws the time axis above the bars: a label at every round step.
func (t *trace) scale(c pane.Context, g grid, w int) string {
	cells := []rune(strings.Repeat(" ", g.bar))
	put := func(at int, s string) bool {
		r := []rune(s)
		if at < 0 || at+len(r) > len(cells) {
			return false
		}
		for i := max(0, at-1); i < min(len(cells), at+len(r)+1); i++ {
			if cells[i] != ' ' {
				return false
			}
		}
		copy(cells[at:], r)
		return true
	}
	ascii := c.Theme.Options.ASCII
	total := time.Duration(t.end - t.start)
	last := kit.Duration(total, ascii)
	put(0, "0")
	put(g.bar-len([]rune(last)), last)
	step := roundStep(total, max(1, g.bar/14))
	for at := step; at < total; at += step {
		put(t.column(t.start+int64(at), g), tick(at, ascii))
	}
	return widget.Fit(strings.Repeat(" ", g.left())+c.Theme.Dim.Render(string(cells)), w, "")
}

// tick writes a round time as short as it goes: "500 ms", "2 s".
func tick(d time.Duration, ascii bool) string {
	s := kit.Duration(d, ascii)
	if n, unit, ok := strings.Cut(s, " "); ok && strings.Contains(n, ".") {
		return strings.TrimRight(strings.TrimRight(n, "0"), ".") + " " + unit
	}
	return s
}

// roundStep is 1, 2 or 5 of a power of ten, so that at most n steps fit into d.
func roundStep(d time.Duration, n int) time.Duration {
	step := time.Duration(1)
	for {
		for _, f := range []time.Duration{1, 2, 5} {
			if d/(step*f) <= time.Duration(n) {
				return step * f
			}
		}
		if step > 1<<58 {
			return d
		}
		step *= 10
	}
}

// marks draws the log lines on the same columns as the bars; the worst of those
// that share a column is shown, and the selected one stands out.
func (t *trace) marks(c pane.Context, lines []sources.LogLine, selected int, g grid, w int) string {
	th := c.Theme
	cells := make([]sources.Verdict, g.bar)
	for i := range lines {
		v := kit.LevelVerdict(lines[i].Level)
		col := t.column(lines[i].Time.UnixNano(), g)
		if cells[col] == "" || v.Worse(cells[col]) {
			cells[col] = v
		}
	}
	at := -1
	if selected >= 0 && selected < len(lines) {
		at = t.column(lines[selected].Time.UnixNano(), g)
	}
	var b strings.Builder
	for col, v := range cells {
		shape, style := " ", th.Dim
		switch v {
		case sources.Bad:
			shape, style = th.Glyphs.Bad, th.Bad
		case sources.Watch:
			shape, style = th.Glyphs.Watch, th.Watch
		case sources.OK:
			shape = th.Glyphs.Dot
		}
		if col == at {
			if shape == th.Glyphs.Dot {
				shape = th.Glyphs.Mark
			}
			style = th.Accent
		}
		b.WriteString(style.Render(shape))
	}
	label := sources.Counted(len(lines), "log line")
	room := g.left() - 2
	return widget.Fit("  "+th.Dim.Render(widget.FitLeft(label, max(0, room-2), ""))+"  "+b.String(), w, "")
}

// words says how much of the trace is drawn.
func (t *trace) words(ascii bool) string {
	if t.total == 0 {
		return "no spans"
	}
	out := sources.Counted(t.total, "span")
	if len(t.nodes) < t.total {
		out = sources.Thousands(len(t.nodes)) + " of " + out + ", errors and the longest"
	}
	out += ", " + kit.Duration(time.Duration(t.end-t.start), ascii)
	if t.orphans > 0 {
		out += ", " + sources.Thousands(t.orphans) + " without their parent"
	}
	if t.outside > 0 {
		out += ", " + sources.Thousands(t.outside) + " off this axis (a clock is wrong)"
	}
	return out
}
