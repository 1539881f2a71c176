package suspects

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// shapeLines draws one stage: its heat map over time, and beside it the histogram
// on the same axis of durations. The list of stages says which have two humps.
func (p *Pane) shapeLines(c pane.Context) []string {
	t := c.Theme
	s := &p.x.Shapes[p.stage]
	var names []string
	for i := range p.x.Shapes {
		name := p.x.Shapes[i].Stage
		if p.x.Shapes[i].Two() {
			name += t.Glyphs.Watch
		}
		if i == p.stage {
			names = append(names, t.Selected.Render(" "+name+" "))
		} else {
			names = append(names, t.Dim.Render(" "+name+" "))
		}
	}
	lines := []string{ansi.Truncate(" "+strings.Join(names, ""), c.Width, t.Glyphs.Ellipsis)}
	lines = append(lines, p.humps(c, s)...)
	if s.N == 0 || len(s.Counts) == 0 {
		return lines
	}
	head := len(lines)
	label := 9
	bar := max(8, min(40, (c.Width-label-3)/3))
	heat := max(0, min(len(s.Heat), c.Width-label-bar-4))
	marked := p.changeMarks(c, label+1, heat)
	rows := min(len(s.Counts), max(1, c.Height-head-2-len(marked)))
	// The slowest on top, as in a chart; several bins share a row where there is no room.
	per := (len(s.Counts) + rows - 1) / rows
	rows = (len(s.Counts) + per - 1) / per
	sums, cells := make([]int, rows), make([][]float64, rows)
	most, hottest := 1, 0.0
	for r := range rows {
		cells[r] = make([]float64, heat)
		for b := r * per; b < min(len(s.Counts), (r+1)*per); b++ {
			sums[r] += s.Counts[b]
			for k := range cells[r] {
				// A column of the screen may stand for several of the map: their mean, so that it does not stripe.
				from, to := k*len(s.Heat)/heat, (k+1)*len(s.Heat)/heat
				n := 0
				for _, col := range s.Heat[from:to] {
					n += col[b]
				}
				cells[r][k] += float64(n) / float64(to-from)
			}
		}
		most = max(most, sums[r])
		for _, n := range cells[r] {
			hottest = max(hottest, n)
		}
	}
	ramp := []rune(" ░▒▓█")
	block := "█"
	if t.Options.ASCII {
		ramp, block = []rune(" .:*#"), "#"
	}
	for r := rows - 1; r >= 0; r-- {
		var b strings.Builder
		from := s.Edges[r*per]
		b.WriteString(" " + t.Dim.Render(fmt.Sprintf("%*s ", label-1, kit.Seconds(sources.N(from), t.Options.ASCII))))
		style := t.Series[0]
		if s.Two() && from >= s.Cut.V {
			style = t.Watch
		}
		var hot strings.Builder
		for _, n := range cells[r] {
			level := 0
			if n > 0 {
				level = min(len(ramp)-1, 1+int(n/hottest*float64(len(ramp)-1)))
			}
			hot.WriteRune(ramp[level])
		}
		b.WriteString(style.Render(hot.String()))
		full := sums[r] * bar / most
		if full == 0 && sums[r] > 0 {
			full = 1
		}
		b.WriteString("  " + style.Render(strings.Repeat(block, full)))
		lines = append(lines, b.String())
	}
	lines = append(lines, marked...)
	axis := " " + strings.Repeat(" ", label) + kit.Minute(c, p.x.From)
	if end := kit.Minute(c, p.x.To); heat > len(end)+8 {
		axis += strings.Repeat(" ", max(1, label+1+heat-ansi.StringWidth(axis)-ansi.StringWidth(end))) + end
	}
	lines = append(lines, t.Dim.Render(axis+"  share of "+sources.Counted(s.N, "request")))
	return lines
}

// changeMarks is the line of marks below the map, where something changed: the newest is named.
func (p *Pane) changeMarks(c pane.Context, x, w int) []string {
	if c.Snapshot == nil || w == 0 || c.Height < 12 {
		return nil
	}
	at := make([]bool, w)
	last, word := -1, ""
	for i := range c.Snapshot.Changes {
		ch := &c.Snapshot.Changes[i]
		if col, ok := widget.Column(ch.At, p.x.From, p.x.To, w); ok {
			at[col], last, word = true, col, widget.ChangeWord(ch)
		}
	}
	if last < 0 {
		return nil
	}
	line := strings.Repeat(" ", x)
	for i := range last + 1 {
		if at[i] {
			line += c.Theme.Glyphs.Mark
		} else {
			line += " "
		}
	}
	return []string{c.Theme.Accent.Render(line) + " " + c.Theme.Dim.Render(kit.Line(word, max(1, c.Width-x-last-3)))}
}

// humps says in words what the shape is.
func (p *Pane) humps(c pane.Context, s *suspect.Shape) []string {
	t := c.Theme
	sec := func(v float64) string { return kit.Seconds(sources.N(v), t.Options.ASCII) }
	switch {
	case len(s.Humps) == 0:
		return []string{" " + t.Dim.Render(fmt.Sprintf("%s known: too few to tell a shape.", sources.Counted(s.N, "request"))), ""}
	case !s.Two():
		return []string{" " + t.Plain.Render("One hump around "+sec(s.Humps[0].Median)+"."), ""}
	}
	first := fmt.Sprintf("Two humps: %s around %s, %s around %s; an average hides both.", share(s.Humps[0].Share), sec(s.Humps[0].Median),
		share(s.Humps[1].Share), sec(s.Humps[1].Median))
	why := "What tells them apart is not recorded."
	if s.Slow != nil && len(s.Slow.Suspects) > 0 {
		top := &s.Slow.Suspects[0]
		why = fmt.Sprintf("%s in %s of the slow, %s of the fast. enter opens them.", top.Name(), share(top.Coverage), share(top.Share))
	}
	return []string{
		" " + t.Watch.Render(t.Glyphs.Watch) + " " + t.Bright.Render(kit.Line(first, max(1, c.Width-4))),
		"   " + t.Plain.Render(kit.Line(why, max(1, c.Width-4))),
	}
}
