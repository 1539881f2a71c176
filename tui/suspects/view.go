package suspects

import (
	"fmt"
	"math"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// head is the finding in words, as long as it is where there is room, and which requests were compared.
func (p *Pane) head(c pane.Context) []string {
	if p.x == nil {
		return nil
	}
	t := c.Theme
	glyph, style := t.Verdict(p.x.Verdict)
	lead := style.Render(glyph)
	var out []string
	for _, l := range kit.Lines(p.x.Why, max(10, c.Width-4), max(1, c.Height/6), t.Glyphs.Ellipsis) {
		out = append(out, " "+lead+" "+t.Bright.Render(l))
		lead = " "
	}
	return append(out, " "+kit.Pieces(t, c.Width-1, p.compared(c)...))
}

// headLines are the lines above the rows, the titles of the columns among them; below the rows the
// selected suspect is said in full.
func (p *Pane) headLines(c pane.Context) int { return len(p.head(c)) + 1 }

func footLines(c pane.Context) int {
	switch {
	case c.Height >= 24:
		return 6
	case c.Height >= 14:
		return 5
	}
	return 1
}

func (p *Pane) tableHeight(c pane.Context) int {
	return max(1, c.Height-p.headLines(c)-footLines(c))
}

// View draws the finding, the suspects, and the facts about them; or the distributions.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	var lines []string
	switch {
	case p.shape && p.x != nil && len(p.x.Shapes) > 0:
		lines = p.shapeLines(c)
	case p.x == nil:
		lines = append([]string{""}, p.words(c)...)
	default:
		lines = p.listLines(c)
	}
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
}

// words stand where there is no answer.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	switch {
	case p.err != nil:
		return wrapped(c, t.Watch, t.Glyphs.Unreachable+" The requests could not be compared: "+p.err.Error())
	case p.loading:
		return wrapped(c, t.Dim, "Comparing requests"+t.Glyphs.Ellipsis)
	}
	out := wrapped(c, t.Plain, "Nothing is worse than usual, so there is nothing to explain.")
	return append(out, wrapped(c, t.Dim, "Open a signal and press w, or use :suspects SIGNAL.")...)
}

func wrapped(c pane.Context, st lipgloss.Style, text string) []string {
	var out []string
	for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
		out = append(out, "   "+st.Render(l))
	}
	return out
}

func (p *Pane) listLines(c pane.Context) []string {
	t, x := c.Theme, p.x
	lines := p.head(c)
	rows := p.rows()
	h := p.tableHeight(c)
	p.list.Clamp(len(rows), h)
	if len(rows) > 0 {
		cols, cells := p.columns(c, rows)
		placed := kit.Place(cols, c.Width)
		lines = append(lines, kit.Header(t, cols, placed, c.Width))
		for i, s := range kit.Window(rows, p.list.Top, h) {
			n := p.list.Top + i
			lines = append(lines, kit.Row(t, cols, placed, c.Width, n == p.list.Cursor, func(col int) kit.Cell { return cells[col](s) }))
		}
	} else {
		lines = append(lines, "")
		switch {
		case !x.Wrong() && !p.anyway:
			lines = append(lines, wrapped(c, t.Dim, "Press a to look anyway.")...)
		case x.Enough():
			lines = append(lines, wrapped(c, t.Dim, "Whatever it is, it hits all alike, or is not among what requests record. Changes and logs may know more.")...)
		}
	}
	foot := footLines(c)
	for len(lines) < c.Height-foot {
		lines = append(lines, "")
	}
	lines = lines[:max(0, c.Height-foot)]
	if foot > 1 {
		lines = append(lines, p.detail(c)...)
	}
	return append(lines, p.bottom(c))
}

// compared says which requests were held against which.
func (p *Pane) compared(c pane.Context) []kit.Piece {
	t, x := c.Theme, p.x
	if x.Bad+x.Good == 0 {
		return []kit.Piece{{Text: kit.Minute(c, x.From) + " to " + kit.Minute(c, x.To), Style: t.Dim}}
	}
	out := []kit.Piece{
		{Text: fmt.Sprintf("%s %s, %s %s", sources.Thousands(x.Bad), x.Words[0], sources.Thousands(x.Good), x.Words[1]), Style: t.Plain},
		{Text: kit.Minute(c, x.From) + " to " + kit.Minute(c, x.To), Style: t.Dim},
	}
	if cut := x.Cut(); cut != "" {
		out = append(out, kit.Piece{Text: cut, Style: t.Dim})
	}
	return append(out, kit.Piece{Text: sources.Counted(x.Tested, "comparison"), Style: t.Dim})
}

func (p *Pane) columns(c pane.Context, rows []*suspect.Suspect) ([]kit.Column, []func(*suspect.Suspect) kit.Cell) {
	t := c.Theme
	usual := func(s *suspect.Suspect) bool {
		for i := range p.x.Usual {
			if s == &p.x.Usual[i] {
				return true
			}
		}
		return false
	}
	var cols []kit.Column
	var cells []func(*suspect.Suspect) kit.Cell
	add := func(col kit.Column, most int, cell func(*suspect.Suspect) kit.Cell) {
		col.Want = ansi.StringWidth(col.Title)
		for _, s := range rows {
			col.Want = max(col.Want, min(most, ansi.StringWidth(kit.Line(cell(s).Text, most))))
		}
		col.Min = min(col.Want, 6)
		cols, cells = append(cols, col), append(cells, cell)
	}
	add(kit.Column{Title: "suspect"}, 60, func(s *suspect.Suspect) kit.Cell {
		if usual(s) {
			return kit.Cell{Text: s.Name(), Style: t.Dim}
		}
		return kit.Cell{Text: s.Name(), Style: t.Bright}
	})
	number := func(title string, rank int, text func(*suspect.Suspect) string) {
		add(kit.Column{Title: title, Right: true, Rank: rank}, 14, func(s *suspect.Suspect) kit.Cell { return kit.Cell{Text: text(s), Style: t.Plain} })
	}
	number("of "+p.x.Words[0], 0, func(s *suspect.Suspect) string { return share(s.Coverage) })
	number("of "+p.x.Words[1], 0, func(s *suspect.Suspect) string { return share(s.Share) })
	number("explains", 2, func(s *suspect.Suspect) string { return share(s.Explained) })
	number("odds", 3, func(s *suspect.Suspect) string { return odds(s.Odds) + t.Glyphs.Times })
	number("p", 4, func(s *suspect.Suspect) string { return fmt.Sprintf("%.0e", s.P) })
	add(kit.Column{Title: "", Rank: 1}, 20, func(s *suspect.Suspect) kit.Cell {
		if usual(s) {
			return kit.Cell{Text: "as before, no news", Style: t.Dim}
		}
		return kit.Cell{}
	})
	return cols, cells
}

func share(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }

// detail says the selected suspect in full.
func (p *Pane) detail(c pane.Context) []string {
	t := c.Theme
	out := make([]string, 1, footLines(c))
	room := footLines(c) - 2
	if s := p.current(); s != nil {
		text := p.x.Phrase(s) + fmt.Sprintf(" (%d and %d requests)", s.Bad, s.Good)
		most := room
		if len(s.Same) > 0 {
			most--
		}
		for _, l := range kit.Lines(text, max(10, c.Width-2), most, t.Glyphs.Ellipsis) {
			out = append(out, " "+t.Plain.Render(l))
		}
		if len(s.Same) > 0 {
			names := make([]string, len(s.Same))
			for i, a := range s.Same {
				names[i] = a.String()
			}
			for _, l := range kit.Lines("the very same requests carry "+strings.Join(names, ", "), max(10, c.Width-2), 1+room-len(out), t.Glyphs.Ellipsis) {
				out = append(out, " "+t.Dim.Render(l))
			}
		}
	}
	for len(out) < 1+room {
		out = append(out, "")
	}
	return out
}

func (p *Pane) bottom(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	if p.err != nil {
		out = append(out, kit.Piece{Text: "older answer: " + p.err.Error(), Style: t.Watch})
	}
	for i := range p.x.Shapes {
		if p.x.Shapes[i].Two() {
			out = append(out, kit.Piece{Text: p.x.Shapes[i].Stage + " has two humps: press h", Style: t.Watch})
			break
		}
	}
	out = append(out, kit.FactPieces(c, p.x.Facts, "request")...)
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// odds writes a ratio so that a column of them lines up: "7.6", "59", "2,170".
func odds(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	case v > 99_999:
		return ">99,999"
	}
	return sources.Thousands(int(math.Round(v)))
}
