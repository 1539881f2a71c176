package kit

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// Column is one column of a table.
type Column struct {
	Title string
	Right bool // numbers
	// Rank says who goes first when there is no room: 0 stays, the highest goes first.
	Rank int
	// Min is the width below which the column is not worth showing; Want is what
	// its widest cell needs. Both count terminal columns.
	Min, Want int
	// Cut shortens a cell that is too wide; nil cuts its end.
	Cut func(s string, w int, ellipsis string) string
}

// Cell is the text of one column of one row. In a selected row its style gives
// way to that of the selection.
type Cell struct {
	Text  string
	Style lipgloss.Style
}

// Needed is the highest rank of a column for which others are cut. Columns of
// higher ranks come only when everything before them can be read in full.
const Needed = 4

// Placed is a column that has been given its width.
type Placed struct {
	Index, Width int
}

const gap = 2

// Place chooses the columns that fit into w and their widths. Every table
// begins with two columns for the cursor, which are not counted in w by callers.
func Place(cols []Column, w int) []Placed {
	w -= 2
	order := make([]int, len(cols))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cols[a].Rank - cols[b].Rank })
	used, full := 0, 0 // with the least width of each column, and with the wanted one
	width := make([]int, len(cols))
	var in []int
	for _, i := range order {
		c := cols[i]
		title := ansi.StringWidth(c.Title)
		least := min(max(c.Min, title), max(c.Want, title))
		before := used
		if c.Rank > Needed {
			before = full
		}
		if before+least > w && len(in) > 0 {
			// Lower ranks matter less than this one: they do not get the room it could not use.
			break
		}
		width[i] = least
		used += least + gap
		full += max(least, c.Want) + gap
		in = append(in, i)
	}
	// What is left goes round among the needed ones, a column of the screen at a
	// time, so that none of them is served last; then to the others in their order.
	spare := w + gap - used
	for given := true; spare > 0 && given; {
		given = false
		for _, i := range in {
			if spare > 0 && cols[i].Rank <= Needed && width[i] < cols[i].Want {
				width[i]++
				spare--
				given = true
			}
		}
	}
	for _, i := range in {
		more := max(0, min(spare, cols[i].Want-width[i]))
		width[i] += more
		spare -= more
	}
	slices.Sort(in)
	out := make([]Placed, len(in))
	for k, i := range in {
		out[k] = Placed{Index: i, Width: min(width[i], max(1, w))}
	}
	return out
}

// Header draws the titles of the placed columns.
func Header(t *theme.Theme, cols []Column, placed []Placed, w int) string {
	var b strings.Builder
	b.WriteString("  ")
	for k, p := range placed {
		if k > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		b.WriteString(fit(cols[p.Index], cols[p.Index].Title, p.Width, t))
	}
	return t.Dim.Render(widget.Fit(b.String(), w, ""))
}

// Row draws one row; cell is asked for the placed columns only.
func Row(t *theme.Theme, cols []Column, placed []Placed, w int, selected bool, cell func(col int) Cell) string {
	var b strings.Builder
	mark := "  "
	if selected {
		mark = widget.Fit(t.Glyphs.Cursor, 2, "")
	}
	b.WriteString(mark)
	for k, p := range placed {
		if k > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		c := cell(p.Index)
		text := fit(cols[p.Index], Line(c.Text, p.Width), p.Width, t)
		if !selected {
			text = c.Style.Render(text)
		}
		b.WriteString(text)
	}
	s := widget.Fit(b.String(), w, "")
	if selected {
		return t.Selected.Render(s)
	}
	return s
}

func fit(c Column, s string, w int, t *theme.Theme) string {
	if c.Cut != nil && ansi.StringWidth(s) > w {
		s = c.Cut(s, w, t.Glyphs.Ellipsis)
	}
	if c.Right {
		return widget.FitLeft(s, w, t.Glyphs.Ellipsis)
	}
	return widget.Fit(s, w, t.Glyphs.Ellipsis)
}
