package requests

import (
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// The lines above and below the rows.
const (
	headLines = 2
	footLines = 1
)

func tableHeight(c pane.Context) int { return max(1, c.Height-headLines-footLines) }

func join(words []string) string { return strings.Join(words, " ") }

// View draws the filter, the rows, and the facts about them.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	lines := make([]string, 0, c.Height)
	lines = append(lines, p.top(c))
	h := tableHeight(c)
	p.list.Clamp(len(p.rows), h)
	if p.cols.made != setOf(c) {
		p.cols = measure(p.rows, c)
	}
	placed := kit.Place(p.cols.columns, c.Width)
	switch {
	case p.input.Active():
		lines = append(lines, p.hint(c))
	case len(p.rows) > 0:
		lines = append(lines, kit.Header(c.Theme, p.cols.columns, placed, c.Width))
	default:
		lines = append(lines, "")
	}
	if len(p.rows) == 0 {
		lines = append(lines, p.words(c)...)
	}
	for i, r := range kit.Window(p.rows, p.list.Top, h) {
		r := &r
		selected := p.list.Top+i == p.list.Cursor
		lines = append(lines, kit.Row(c.Theme, p.cols.columns, placed, c.Width, selected, func(col int) kit.Cell {
			return p.cols.cells[col](r, c)
		}))
	}
	for len(lines) < c.Height-footLines {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, c.Height-footLines)], p.bottom(c))
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
}

// top is the filter line: what is shown, and that there is more.
func (p *Pane) top(c pane.Context) string {
	t := c.Theme
	if p.input.Active() {
		return p.input.View(c, " /", c.Width)
	}
	right := ""
	if newer := p.newer + p.list.Top; newer > 0 && p.view.Live() { // those above the screen are newer too
		n := sources.Thousands(newer)
		if p.more {
			n = "more than " + n
		}
		right = n + " newer, press home "
	}
	room := c.Width - ansi.StringWidth(right)
	left := " "
	tokens, _ := split(p.text)
	if len(tokens) == 0 {
		left += t.Dim.Render("all requests")
	}
	for i, tok := range tokens {
		if i > 0 {
			left += "  "
		}
		left += t.Accent.Render(kit.Line(tok, c.Width))
	}
	if len(tokens) > 0 {
		left += t.Dim.Render("   x clears")
	}
	if p.wrong != nil {
		left = " " + t.Watch.Render(kit.Line(p.wrong.Error(), c.Width))
	}
	return widget.Fit(left, room, t.Glyphs.Ellipsis) + t.Accent.Render(right)
}

// hint says what could be typed next, or what is wrong.
func (p *Pane) hint(c pane.Context) string {
	t := c.Theme
	if p.wrong != nil {
		return "   " + t.Watch.Render(kit.Line(p.wrong.Error(), c.Width))
	}
	_, offers := complete(p.input.Value(), p.rows)
	var b strings.Builder
	for _, o := range offers {
		if b.Len() > 0 {
			b.WriteString("  ")
		}
		b.WriteString(kit.Line(o, c.Width))
	}
	return "   " + t.Dim.Render(b.String())
}

// bottom is the facts line.
func (p *Pane) bottom(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	if p.err != nil && len(p.rows) > 0 {
		out = append(out, kit.Piece{Text: "older answer: " + p.err.Error(), Style: t.Watch})
	}
	switch {
	case p.answered:
		out = append(out, kit.FactPieces(c, p.facts, "row")...)
	case p.loading:
		out = append(out, kit.Piece{Text: "reading", Style: t.Dim})
	}
	if len(p.rows) >= maxRows && p.facts.Truncated() {
		out = append(out, kit.Piece{Text: "narrow the filter to reach older ones", Style: t.Dim})
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// words stand where there are no rows.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	say := func(st lipgloss.Style, text string, more ...string) []string {
		var out []string
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
		for _, m := range more {
			for _, l := range kit.Wrap(m, max(10, c.Width-6)) {
				out = append(out, "   "+t.Dim.Render(l))
			}
		}
		return out
	}
	switch {
	case p.err != nil:
		return say(t.Watch, t.Glyphs.Unreachable+" The requests could not be read: "+p.err.Error(), "Asked again with the next refresh.")
	case !p.answered:
		return say(t.Dim, "Reading requests"+t.Glyphs.Ellipsis)
	}
	where := "in the last " + kit.Range(p.view.Range)
	if !p.view.Live() {
		where = "between " + kit.Minute(c, p.view.At.Add(-p.view.Range)) + " and " + kit.Minute(c, p.view.At)
	}
	tokens, _ := split(p.text)
	switch {
	case len(tokens) == 1 && tokens[0] == badWord:
		return say(t.Plain, "No bad requests "+where+".", "Press b to see all, - for a longer range.")
	case len(tokens) > 0:
		return say(t.Plain, "No request "+where+" matches "+p.text+".", "Press x to clear the filter, / to change it, - for a longer range.")
	}
	return say(t.Plain, "No requests "+where+".",
		"Requests come from traces sent to rollcall's OTLP endpoint. Press - for a longer range; if it stays empty, rollcall doctor says what arrives.")
}

// table is the columns with what their cells say.
type table struct {
	made    setting
	columns []kit.Column
	cells   []func(r *sources.Request, c pane.Context) kit.Cell
}

// setting is what the columns depend on besides the rows.
type setting struct {
	local, ascii, days bool
}

func setOf(c pane.Context) setting {
	return setting{local: c.LocalTime, ascii: c.Theme.Options.ASCII, days: c.View.Range > 20*time.Hour}
}

// maxMeasured is how many rows decide the widths; in a longer list a rare long value is cut.
const maxMeasured = 1000

// measure builds the columns for rows. Columns that no row fills are left out;
// widths are those of all rows in hand, so that scrolling moves nothing sideways.
func measure(rows []sources.Request, c pane.Context) table {
	ascii := c.Theme.Options.ASCII
	plain := func(get func(*sources.Request) string) func(*sources.Request, pane.Context) kit.Cell {
		return func(r *sources.Request, _ pane.Context) kit.Cell { return kit.Cell{Text: get(r)} }
	}
	number := func(get func(*sources.Request) sources.Num, write func(sources.Num, bool) string) func(*sources.Request, pane.Context) kit.Cell {
		return func(r *sources.Request, _ pane.Context) kit.Cell {
			n := get(r)
			if !n.OK {
				return kit.Cell{}
			}
			return kit.Cell{Text: write(n, ascii)}
		}
	}
	layout, wide := "15:04:05", 8
	if setOf(c).days {
		layout, wide = "01-02 15:04:05", 14
	}
	rows = rows[:min(len(rows), maxMeasured)]
	t := table{made: setOf(c)}
	add := func(col kit.Column, most int, cell func(*sources.Request, pane.Context) kit.Cell) {
		for i := range rows {
			text := kit.Line(cell(&rows[i], c).Text, most)
			col.Want = max(col.Want, min(most, ansi.StringWidth(text)))
		}
		if col.Want == 0 {
			return
		}
		t.columns = append(t.columns, col)
		t.cells = append(t.cells, cell)
	}
	add(kit.Column{Title: "time " + kit.Zone(c), Min: wide}, wide, func(r *sources.Request, c pane.Context) kit.Cell {
		return kit.Cell{Text: kit.Local(c, r.Time).Format(layout), Style: c.Theme.Dim}
	})
	add(kit.Column{Title: "request", Min: 12, Cut: kit.Middle}, 22, plain(keyOf))
	add(kit.Column{Title: "outcome", Min: 15}, 36, outcome)
	add(kit.Column{Title: "route", Rank: 2, Min: 8}, 28, plain(func(r *sources.Request) string { return r.Route }))
	add(kit.Column{Title: "tenant", Rank: 4, Min: 8}, 20, plain(func(r *sources.Request) string { return r.Tenant }))
	add(kit.Column{Title: "prompt", Rank: 3, Min: 6}, 18, plain(func(r *sources.Request) string { return r.Prompt }))
	add(kit.Column{Title: "model", Rank: 6, Min: 10}, 28, plain(func(r *sources.Request) string { return r.Model }))
	add(kit.Column{Title: "served", Rank: 12, Min: 10}, 28, plain(func(r *sources.Request) string { return r.ModelServed }))
	add(kit.Column{Title: "index", Rank: 7, Min: 8}, 20, plain(func(r *sources.Request) string { return r.Index }))
	add(kit.Column{Title: "latency", Rank: 1, Right: true, Min: 8}, 8,
		number(func(r *sources.Request) sources.Num { return r.Latency }, kit.Seconds))
	add(kit.Column{Title: "ttft", Rank: 10, Right: true, Min: 7}, 8,
		number(func(r *sources.Request) sources.Num { return r.TTFT }, kit.Seconds))
	add(kit.Column{Title: "tok in", Rank: 8, Right: true, Min: 6}, 9,
		number(func(r *sources.Request) sources.Num { return r.TokensIn }, kit.Whole))
	add(kit.Column{Title: "tok out", Rank: 8, Right: true, Min: 6}, 9,
		number(func(r *sources.Request) sources.Num { return r.TokensOut }, kit.Whole))
	add(kit.Column{Title: "cost", Rank: 5, Right: true, Min: 7}, 9,
		number(func(r *sources.Request) sources.Num { return r.CostUSD }, kit.USD))
	add(kit.Column{Title: "region", Rank: 9, Min: 6}, 16, plain(func(r *sources.Request) string { return r.Region }))
	add(kit.Column{Title: "cache", Rank: 11, Min: 6}, 10, plain(func(r *sources.Request) string { return r.Cache }))
	add(kit.Column{Title: "user", Rank: 13, Min: 12}, 22, plain(func(r *sources.Request) string { return r.User }))
	add(kit.Column{Title: "stage", Rank: 14, Min: 6}, 12, plain(func(r *sources.Request) string { return r.Stage }))
	return t
}

// outcome says with a shape and words how a request ended.
func outcome(r *sources.Request, c pane.Context) kit.Cell {
	shape, st, words := Outcome(c.Theme, r)
	return kit.Cell{Text: shape + " " + words, Style: st}
}

// Outcome is the shape, the style and the words of how a request ended: why it is
// bad, worst first, or that it is not.
func Outcome(t *theme.Theme, r *sources.Request) (shape string, st lipgloss.Style, words string) {
	why := r.Why()
	if len(why) == 0 {
		if r.Outcome == "" {
			shape, st = t.Verdict(sources.NotExposed)
			return shape, st, "no outcome"
		}
		shape, st = t.Verdict(sources.OK)
		return shape, st, r.Outcome
	}
	shape, st = t.Verdict(sources.Bad)
	return shape, st, strings.Join(why, ", ")
}
