package changes

import (
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// headLines are above the rows: what is live, notices, the header. Below them the selected change is said in full.
func headLines(c pane.Context) int { return 2 + len(noticeLines(c)) }

// footLines are the detail of the selected change and the facts; a low screen has the facts only.
func footLines(c pane.Context) int {
	if c.Height >= 12 {
		return 4
	}
	return 1
}

func tableHeight(c pane.Context) int { return max(1, c.Height-headLines(c)-footLines(c)) }

// View draws what is live, the changes, and the facts about them.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	if p.comparing {
		return widget.Block(p.compared(c), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
	}
	h := tableHeight(c)
	p.list.Clamp(len(p.rows), h)
	lines := append(make([]string, 0, c.Height), p.live(c))
	lines = append(lines, noticeLines(c)...)
	if len(p.rows) > 0 {
		cols, cells := columns(p.rows, c)
		placed := kit.Place(cols, c.Width)
		lines = append(lines, kit.Header(c.Theme, cols, placed, c.Width))
		for i, r := range kit.Window(p.rows, p.list.Top, h) {
			r := &r
			lines = append(lines, kit.Row(c.Theme, cols, placed, c.Width, p.list.Top+i == p.list.Cursor, func(col int) kit.Cell {
				return cells[col](r)
			}))
		}
	} else {
		lines = append(lines, "")
		lines = append(lines, p.words(c)...)
	}
	foot := footLines(c)
	for len(lines) < c.Height-foot {
		lines = append(lines, "")
	}
	lines = lines[:max(0, c.Height-foot)]
	if foot > 1 {
		lines = append(lines, p.detail(c, foot-1)...)
	}
	lines = append(lines, p.bottom(c))
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
}

// live says what runs now.
func (p *Pane) live(c pane.Context) string {
	t := c.Theme
	if c.Snapshot == nil || len(c.Snapshot.Live.Versions) == 0 {
		return " " + t.Dim.Render("live versions not known")
	}
	m := &c.Snapshot.Live
	var out []kit.Piece
	for _, k := range sources.Components {
		if v := m.Versions[k]; v != "" {
			out = append(out, kit.Piece{Text: string(k) + " " + v, Style: t.Plain})
		}
	}
	if m.ID != "" {
		out = append(out, kit.Piece{Text: "manifest " + m.ID, Style: t.Dim})
	}
	if m.Stage != "" {
		out = append(out, kit.Piece{Text: m.Stage, Style: t.Dim})
	}
	return " " + t.Dim.Render("live ") + kit.Pieces(t, c.Width-6, out...)
}

func columns(rows []sources.Change, c pane.Context) ([]kit.Column, []func(*sources.Change) kit.Cell) {
	t := c.Theme
	layout := "15:04:05"
	for i := range rows {
		if c.Now.Sub(rows[i].At) > 20*time.Hour {
			layout = "01-02 15:04:05"
			break
		}
	}
	var cols []kit.Column
	var cells []func(*sources.Change) kit.Cell
	add := func(col kit.Column, most int, cell func(*sources.Change) kit.Cell) {
		for i := range rows {
			col.Want = max(col.Want, min(most, ansi.StringWidth(kit.Line(cell(&rows[i]).Text, most))))
		}
		if col.Want == 0 {
			return
		}
		cols, cells = append(cols, col), append(cells, cell)
	}
	add(kit.Column{Title: "time " + kit.Zone(c), Min: len(layout)}, len(layout), func(r *sources.Change) kit.Cell {
		return kit.Cell{Text: kit.Local(c, r.At).Format(layout), Style: t.Dim}
	})
	add(kit.Column{Title: "ago", Right: true, Min: 6, Rank: 3}, 12, func(r *sources.Change) kit.Cell {
		return kit.Cell{Text: widget.Span(c.View.End(c.Now).Sub(r.At)), Style: t.Dim}
	})
	add(kit.Column{Title: "component", Min: 9}, 10, func(r *sources.Change) kit.Cell { return kit.Cell{Text: string(r.Component)} })
	add(kit.Column{Title: "change", Min: 24}, 64, func(r *sources.Change) kit.Cell { return kit.Cell{Text: fromTo(r, c), Style: t.Bright} })
	add(kit.Column{Title: "stage", Min: 8}, 18, func(r *sources.Change) kit.Cell {
		if r.Silent {
			return kit.Cell{Text: t.Glyphs.Watch + " silent", Style: t.Watch}
		}
		return kit.Cell{Text: r.Stage, Style: t.Dim}
	})
	add(kit.Column{Title: "manifest", Min: 8, Rank: 2}, 16, func(r *sources.Change) kit.Cell { return kit.Cell{Text: r.Manifest} })
	add(kit.Column{Title: "source", Min: 8, Rank: 1}, 12, func(r *sources.Change) kit.Cell { return kit.Cell{Text: r.Source, Style: t.Dim} })
	add(kit.Column{Title: "doubt", Min: 8, Rank: kit.Needed + 2}, 48, func(r *sources.Change) kit.Cell { return kit.Cell{Text: r.Doubt, Style: t.Watch} })
	add(kit.Column{Title: "evidence", Min: 16, Rank: kit.Needed + 1}, 80, func(r *sources.Change) kit.Cell { return kit.Cell{Text: r.Evidence, Style: t.Dim} })
	return cols, cells
}

func fromTo(r *sources.Change, c pane.Context) string {
	from := r.From
	if from == "" {
		from = "(none)"
	}
	to := r.To
	if to == "" {
		to = "(none)"
	}
	return from + " " + c.Theme.Glyphs.Arrow + " " + to
}

// detail says the selected change in full.
func (p *Pane) detail(c pane.Context, h int) []string {
	t := c.Theme
	out := make([]string, h)
	ch := p.current()
	if ch == nil {
		return out
	}
	words := string(ch.Component) + " " + fromTo(ch, c) + " at " + kit.Moment(c, ch.At)
	if ch.Silent {
		words = "Silent, the manifest did not move: " + words
	}
	if ch.Evidence != "" {
		words += ": " + ch.Evidence
	}
	if ch.Doubt != "" {
		words += ". Doubt: " + ch.Doubt
	}
	out[0] = t.Dim.Render(strings.Repeat(c.Theme.Glyphs.Border.Top, c.Width))
	for i, l := range kit.Wrap(words, max(10, c.Width-2)) {
		if i+1 >= h {
			break
		}
		out[i+1] = " " + t.Plain.Render(l)
	}
	return out
}

func (p *Pane) bottom(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	if p.err != nil && len(p.rows) > 0 {
		out = append(out, kit.Piece{Text: "older answer: " + p.err.Error(), Style: t.Watch})
	}
	switch {
	case p.answered:
		out = append(out, kit.FactPieces(c, p.facts, "change")...)
	case p.loading:
		out = append(out, kit.Piece{Text: "reading", Style: t.Dim})
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// words stand where there are no changes.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	var out []string
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	switch {
	case p.err != nil:
		say(t.Watch, t.Glyphs.Unreachable+" The changes could not be read: "+p.err.Error())
		say(t.Dim, "Asked again with the next refresh.")
	case !p.answered:
		say(t.Dim, "Reading changes"+t.Glyphs.Ellipsis)
	default:
		where := "in the last " + kit.Range(p.view.Range)
		if !p.view.Live() {
			where = "between " + kit.Minute(c, p.view.At.Add(-p.view.Range)) + " and " + kit.Minute(c, p.view.At)
		}
		say(t.Plain, "Nothing changed "+where+".")
		say(t.Dim, "Press - for a longer range. Changes come from llmops_deployment_info, from the versions that requests carry, and from the manifests folder where one is configured.")
	}
	return out
}
