package signals

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// View draws the grid.
func (g *Group) View(c pane.Context) string {
	if c.Snapshot == nil {
		return widget.Message(
			c.Width, c.Height, c.Theme.Glyphs.Ellipsis,
			c.Theme.Dim.Render("Nothing has been read yet; this fills as soon as a source answers."),
			c.Theme.Dim.Render("rollcall doctor checks the sources one by one."),
		)
	}
	shown, missing := g.list(c)
	gr := shape(c.Width, g.chartRows(c), len(shown))
	row := index(shown, g.selected) / max(1, gr.cols)
	g.top = max(min(g.top, row), row-gr.seen+1)
	g.top = max(0, min(g.top, gr.rows-gr.seen))
	now := drawnFor{c.Snapshot, c.Theme, gr.w, gr.h, c.LocalTime}
	if now != g.drawn {
		g.drawn = now
		clear(g.charts)
		g.gutter = g.widestLabel(c, gr.h)
	}
	k := viewKey{now, c.Width, c.Height, g.selected, g.filter.Value(), g.top}
	if g.typing || k != g.cached || g.cache == "" {
		g.cache, g.cached = g.draw(c, gr, shown, missing), k
		if g.typing {
			g.cached = viewKey{}
		}
	}
	return g.cache
}

func (g *Group) draw(c pane.Context, gr grid, shown, missing []*sources.Reading) string {
	t := c.Theme
	var lines []string
	for r := g.top; r < min(gr.rows, g.top+gr.seen); r++ {
		block := make([]string, gr.h)
		for col := range gr.cols {
			k := r*gr.cols + col
			w := gr.w
			if col == gr.cols-1 {
				w = c.Width - gr.w*(gr.cols-1)
			}
			var cell []string
			if k < len(shown) {
				cell = g.cell(c, shown[k], gr.w, gr.h)
			}
			for i := range block {
				line := ""
				if i < len(cell) {
					line = cell[i]
				}
				block[i] += widget.Fit(line, w, t.Glyphs.Ellipsis)
			}
		}
		lines = append(lines, block...)
	}
	if len(shown) == 0 {
		lines = append(lines, "", "  "+t.Dim.Render("No signal here matches; esc clears the filter."))
	}
	body := widget.Block(strings.Join(lines, "\n"), c.Width, max(0, c.Height-1), t.Glyphs.Ellipsis)
	return body + "\n" + g.lastRow(c, gr, shown, missing)
}

// chartHeight is what a cell's heading leaves to its chart, and a blank row between two where there is room.
func chartHeight(h int) int {
	if h >= 10 {
		return h - 2
	}
	return h - 1
}

// widestLabel is the width that all charts give their labels: one moment then
// stands at one column in every chart.
func (g *Group) widestLabel(c pane.Context, h int) int {
	w := 0
	for i := range c.Snapshot.Readings {
		if r := &c.Snapshot.Readings[i]; r.Pane == g.group && r.Verdict != sources.NotExposed {
			ch := widget.ReadingChart(c.Theme, c.Snapshot, r, c.LocalTime)
			w = max(w, ch.LabelWidth(chartHeight(h), c.Theme.Options.ASCII))
		}
	}
	return w
}

// lastRow is the filter while it is typed; else what there is more.
func (g *Group) lastRow(c pane.Context, gr grid, shown, missing []*sources.Reading) string {
	t := c.Theme
	if g.typing || g.filter.Value() != "" {
		return widget.Fit(" "+g.filter.View(), c.Width, "")
	}
	var parts []string
	if below := len(shown) - min(len(shown), (g.top+gr.seen)*gr.cols); below > 0 {
		parts = append(parts, strconv.Itoa(below)+" more below")
	}
	if len(missing) > 0 {
		names := make([]string, len(missing))
		for i, r := range missing {
			names[i] = widget.Plain(r.Label)
		}
		parts = append(parts, t.Glyphs.NotExposed+" not exposed: "+strings.Join(names, ", "))
	}
	return widget.Fit(" "+t.Dim.Render(ansi.Truncate(strings.Join(parts, "   "), c.Width-2, t.Glyphs.Ellipsis)), c.Width, "")
}

// cell is one signal: a heading and its chart.
func (g *Group) cell(c pane.Context, r *sources.Reading, w, h int) []string {
	t := c.Theme
	e, ok := g.charts[r.Signal]
	if !ok {
		ch := widget.ReadingChart(t, c.Snapshot, r, c.LocalTime)
		ch.Gutter = g.gutter
		e = ch.Draw(t, w-2, chartHeight(h))
		for i := range e {
			e[i] = " " + e[i]
		}
		g.charts[r.Signal] = e
	}
	glyph, verdict := t.Verdict(r.Verdict)
	name, cursor, why := t.Title, " ", t.Dim
	if r.Verdict == sources.Bad || r.Verdict == sources.Watch {
		why = verdict
	}
	if r.Signal == g.selected {
		name, cursor = t.On(t.Title), t.Accent.Render(t.Glyphs.Cursor)
	}
	head := cursor + name.Render(" "+widget.Plain(r.Label)+" ") + "  " + t.Bright.Render(widget.Text(r, t.Options.ASCII)) + "  " + verdict.Render(glyph) + " " + why.Render(reason(r, t))
	return append([]string{head}, e...)
}

// reason is why a reading has its verdict, with the element it is of.
func reason(r *sources.Reading, t *theme.Theme) string {
	if r.Detail != "" {
		return widget.Words(r.Why+" "+t.Glyphs.Dot+" "+r.Detail, t.Options.ASCII)
	}
	return widget.Words(r.Why, t.Options.ASCII)
}
