package widget

import (
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/theme"
)

// Mark is something written on the bottom of a frame at a column of its inside.
type Mark struct {
	Col   int
	Glyph string
	Label string
	Style lipgloss.Style
}

// ChangeWord is the short name of a change: "prompt v14", "model served gpt-4.1-b".
func ChangeWord(c *sources.Change) string {
	if c.Silent {
		return Plain(string(c.Component) + " served " + c.To)
	}
	if c.To == "" {
		return Plain(string(c.Component) + " gone")
	}
	return Plain(string(c.Component) + " " + c.To)
}

// Box draws lines in a frame of w×h columns and rows; the inside is w-2 wide.
// Lines must be that wide already or are fitted.
func Box(t *theme.Theme, title string, lines []string, w, h int, border lipgloss.Style, marks []Mark) []string {
	if w < 4 || h < 2 {
		return strings.Split(Block("", w, h, ""), "\n")
	}
	b := t.Glyphs.Border
	out := make([]string, 0, h)
	head := ""
	if title != "" {
		head = " " + ansi.Truncate(title, max(0, w-6), t.Glyphs.Ellipsis) + " "
	}
	fill := max(0, w-2-ansi.StringWidth(head))
	out = append(out, border.Render(b.TopLeft)+head+border.Render(strings.Repeat(b.Top, fill)+b.TopRight))
	left, right := border.Render(b.Left), border.Render(b.Right)
	for i := range h - 2 {
		line := ""
		if i < len(lines) {
			line = lines[i]
		}
		out = append(out, left+Fit(line, w-2, t.Glyphs.Ellipsis)+right)
	}
	return append(out, border.Render(b.BottomLeft)+markLine(marks, w-2, b.Bottom, border)+border.Render(b.BottomRight))
}

// Rule is one line across, with a title at the left, a word at the right and marks between.
func Rule(t *theme.Theme, title, right string, w int, style lipgloss.Style) string {
	line := t.Glyphs.Border.Top
	head := ""
	if title != "" {
		head = " " + ansi.Truncate(title, max(0, w-4), t.Glyphs.Ellipsis) + " "
	}
	used := 1 + ansi.StringWidth(head)
	if right != "" && used+ansi.StringWidth(right)+4 <= w {
		tail := " " + right + " "
		used += ansi.StringWidth(tail) + 1
		return style.Render(line) + head + style.Render(strings.Repeat(line, max(0, w-used))) + tail + style.Render(line)
	}
	return style.Render(line) + head + style.Render(strings.Repeat(line, max(0, w-used)))
}

// Marks is a line of w columns of fill with marks on it.
func Marks(t *theme.Theme, marks []Mark, w int, fill string, style lipgloss.Style) string {
	return markLine(marks, w, fill, style)
}

// markLine puts each mark's glyph at its column and its label beside it where
// there is room; where two marks meet the later one keeps its place.
func markLine(marks []Mark, w int, fill string, style lipgloss.Style) string {
	type cell struct {
		text string
		mark int
	}
	cells := make([]cell, max(0, w))
	for i := range cells {
		cells[i] = cell{fill, -1}
	}
	free := func(from, to int) bool {
		if from < 0 || to > w {
			return false
		}
		for i := from; i < to; i++ {
			if cells[i].mark >= 0 {
				return false
			}
		}
		return true
	}
	for k := range marks {
		if c := marks[k].Col; c >= 0 && c < w {
			cells[c] = cell{marks[k].Glyph, k}
		}
	}
	for k := len(marks) - 1; k >= 0; k-- {
		m := &marks[k]
		n := utf8.RuneCountInString(m.Label)
		if m.Label == "" || m.Col < 0 || m.Col >= w || cells[m.Col].mark != k {
			continue
		}
		at := m.Col + 1
		if !free(at, at+n+1) {
			if at = m.Col - n; !free(at-1, m.Col) {
				continue
			}
		}
		i := at
		for _, r := range m.Label {
			if ansi.StringWidth(string(r)) != 1 {
				r = '?' // a cell holds one column
			}
			cells[i] = cell{string(r), k}
			i++
		}
	}
	var b strings.Builder
	for i := 0; i < len(cells); {
		j, text := i, ""
		for j < len(cells) && cells[j].mark == cells[i].mark {
			text += cells[j].text
			j++
		}
		if k := cells[i].mark; k >= 0 {
			b.WriteString(marks[k].Style.Render(text))
		} else {
			b.WriteString(style.Render(text))
		}
		i = j
	}
	return b.String()
}

// Overlay puts box over a screen with its top left corner at x, y.
func Overlay(screen, box []string, x, y int) []string {
	out := append([]string(nil), screen...)
	for i, line := range box {
		row := y + i
		if row < 0 || row >= len(out) {
			continue
		}
		w := ansi.StringWidth(line)
		left := Fit(ansi.Truncate(out[row], x, ""), x, "")
		right := ""
		if ansi.StringWidth(out[row]) > x+w {
			right = ansi.TruncateLeft(out[row], x+w, "")
		}
		out[row] = left + "\x1b[m" + line + "\x1b[m" + right
	}
	return out
}
