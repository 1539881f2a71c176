package overview

import (
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

const (
	labelW = 17
	numW   = 7
	unitW  = 4
)

func valueText(r *sources.Reading, t *theme.Theme) string { return widget.Text(r, t.Options.ASCII) }

func (p *Pane) draw(c pane.Context) string {
	t := c.Theme
	if c.Snapshot == nil {
		return widget.Message(
			c.Width, c.Height, c.Theme.Glyphs.Ellipsis,
			c.Theme.Dim.Render("Nothing has been read yet; this fills as soon as a source answers."),
			c.Theme.Dim.Render("rollcall doctor checks the sources one by one."),
		)
	}
	lines := make([]string, 0, c.Height)
	if p.plan.framed {
		for i := 0; i+1 < len(p.plan.boxes); i += 2 {
			left, right := p.box(c, &p.plan.boxes[i]), p.box(c, &p.plan.boxes[i+1])
			for k := range left {
				lines = append(lines, left[k]+right[k])
			}
		}
		if p.plan.chartH > 0 {
			lines = append(lines, p.chart(c)...)
		}
	} else {
		for i := range p.plan.boxes {
			lines = append(lines, p.section(c, &p.plan.boxes[i])...)
		}
		sw := p.sparkW(c.Width - 2)
		start, end := span(c, sw)
		x := 1 + labelW + numW + unitW + 1
		lines = append(lines, widget.Marks(t, marks(c, start, end, x, sw), c.Width, t.Glyphs.Border.Bottom, t.Dim))
	}
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, t.Glyphs.Ellipsis)
}

// span is the time that sparklines of w columns share.
func span(c pane.Context, w int) (start, end time.Time) {
	return widget.Align(c.Snapshot.At.Add(-c.Snapshot.View.Range), c.Snapshot.At, w)
}

// sparkW is the width of the sparkline in a row of w columns: a little more than what the words
// get, where these have room for "12.3% over 4.2%" at least.
func (p *Pane) sparkW(w int) int {
	free := w - labelW - numW - unitW - 7
	return max(4, min(96, max(free*11/20, free-36), free-12))
}

// marks are the changes on the shared time axis whose column 0 is at x.
func marks(c pane.Context, start, end time.Time, x, w int) []widget.Mark {
	var out []widget.Mark
	for i := range c.Snapshot.Changes {
		ch := &c.Snapshot.Changes[i]
		if col, ok := widget.Column(ch.At, start, end, w); ok {
			out = append(out, widget.Mark{Col: x + col, Glyph: c.Theme.Glyphs.Mark, Label: widget.ChangeWord(ch), Style: c.Theme.Accent})
		}
	}
	return out
}

// heading is the title of a pane: its name, and how much of it is not shown.
func (p *Pane) heading(t *theme.Theme, b *box) string {
	style := t.Title
	if p.group == b.group && p.signal == "" {
		style = t.Selected
	}
	s := style.Render(b.name)
	if b.hidden > 0 {
		s += t.Dim.Render(" +" + strconv.Itoa(b.hidden))
	}
	return s
}

func (p *Pane) box(c pane.Context, b *box) []string {
	t := c.Theme
	inner := b.w - 2
	var lines []string
	for _, r := range b.rows {
		lines = append(lines, " "+p.row(c, r, inner-2)+" ")
	}
	start, end := span(c, p.sparkW(inner-2))
	x := 1 + labelW + numW + unitW + 1
	border := t.Dim
	if p.group == b.group {
		border = t.Accent.Bold(false)
		if t.Options.NoColor {
			border = t.Plain
		}
	}
	return widget.Box(t, p.heading(t, b), lines, b.w, b.h, border, marks(c, start, end, x, p.sparkW(inner-2)))
}

func (p *Pane) section(c pane.Context, b *box) []string {
	lines := []string{widget.Rule(c.Theme, p.heading(c.Theme, b), "", b.w, c.Theme.Dim)}
	for _, r := range b.rows {
		lines = append(lines, " "+p.row(c, r, b.w-2)+" ")
	}
	return lines
}

// row is one signal in w columns, drawn anew only when the cursor is on it.
func (p *Pane) row(c pane.Context, r *sources.Reading, w int) string {
	if r.Signal == p.signal {
		return p.drawRow(c, r, w)
	}
	s, ok := p.rows[r.Signal]
	if !ok {
		s = p.drawRow(c, r, w)
		p.rows[r.Signal] = s
	}
	return s
}

// drawRow draws one signal in w columns: cursor, label, value, course, verdict.
func (p *Pane) drawRow(c pane.Context, r *sources.Reading, w int) string {
	t := c.Theme
	g := &t.Glyphs
	selected := r.Signal == p.signal
	on := func(s lipgloss.Style) lipgloss.Style {
		if selected {
			return t.On(s)
		}
		return s
	}
	glyph, verdict := t.Verdict(r.Verdict)
	loud := r.Verdict == sources.Bad || r.Verdict == sources.Watch
	cursor := " "
	if selected {
		cursor = g.Cursor
	}
	num, unit := g.NotExposed, ""
	if r.Known {
		num, unit = widget.Figure(r, t.Options.ASCII)
	}
	label, value := t.Plain, t.Bright
	if !r.Known {
		label, value = t.Dim, t.Dim
	}
	sw := p.sparkW(w)
	start, end := span(c, sw)
	curve := widget.Spark(r.History, start, end, sw, widget.ScaleOf(r), g.Spark)
	course := t.Faint
	if loud {
		course, value = verdict, verdict
	}
	why := r.Why
	if r.Detail != "" {
		why += " " + g.Dot + " " + r.Detail
	}
	rest := w - 1 - (labelW - 1) - numW - unitW - 1 - sw - 1 - 2
	whyStyle := t.Dim
	if loud {
		whyStyle = verdict
	}
	return on(t.Accent).Render(cursor) +
		on(label).Render(widget.Fit(widget.Plain(r.Label), labelW-1, g.Ellipsis)) +
		on(value).Render(widget.FitLeft(num, numW, g.Ellipsis)) +
		on(t.Dim).Render(widget.Fit(unit, unitW, "")+" ") +
		on(course).Render(widget.Fit(curve, sw, "")) +
		on(t.Plain).Render(" ") +
		on(verdict).Render(glyph) +
		on(whyStyle).Render(" "+widget.Fit(widget.Words(why, t.Options.ASCII), max(0, rest), g.Ellipsis))
}

// chart is the selected signal's chart under the panes, where there is room.
func (p *Pane) chart(c pane.Context) []string {
	t := c.Theme
	r, ok := c.Snapshot.Reading(p.signal)
	if !ok {
		return nil
	}
	if lines, ok := p.charts[p.signal]; ok {
		return lines
	}
	ch := widget.ReadingChart(t, c.Snapshot, &r, c.LocalTime)
	lines := ch.Draw(t, c.Width-4, p.plan.chartH-2)
	for i := range lines {
		lines[i] = " " + lines[i] + " "
	}
	glyph, style := t.Verdict(r.Verdict)
	title := t.Title.Render(widget.Plain(r.Label)) + "  " + style.Render(valueText(&r, t)+"  "+glyph+" "+widget.Words(r.Why, t.Options.ASCII))
	p.charts[p.signal] = widget.Box(t, title, lines, c.Width, p.plan.chartH, t.Dim, nil)
	return p.charts[p.signal]
}
