package readiness

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks/readiness"
	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// headLines stand above the questions and do not scroll.
const headLines = 1

// roomy is the height from which what to do next stands under every question.
const roomy = 29

// row is one line, and the question that it belongs to.
type row struct {
	of   int
	head bool
	text string
}

// View draws how many of each answer there are, and the questions.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	lines := append(make([]string, 0, c.Height), p.head(c))
	h := max(1, c.Height-headLines)
	if p.report == nil {
		return kit.Screen(c, append(lines, p.words(c)...))
	}
	rows := p.rows(c)
	p.top = p.window(rows, h)
	for _, r := range kit.Window(rows, p.top, h) {
		lines = append(lines, r.text)
	}
	if left := len(rows) - p.top - h; left > 0 && h > 2 {
		lines[len(lines)-1] = "   " + c.Theme.Dim.Render(fmt.Sprintf("%s %d more lines below", c.Theme.Glyphs.Ellipsis, left+1))
	}
	return kit.Screen(c, lines)
}

// window is the first line that is drawn: the selected question is on the screen, as much of it as fits.
func (p *Pane) window(rows []row, h int) int {
	first, last := 0, 0
	for i := range rows {
		if rows[i].of == p.cursor {
			if rows[i].head {
				first = i
			}
			last = i
		}
	}
	top := p.top
	if last >= top+h-1 {
		top = last - h + 2
	}
	top = min(top, first)
	return max(0, min(top, len(rows)-h))
}

func (p *Pane) head(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	if p.report != nil {
		for _, w := range []readiness.Word{readiness.Yes, readiness.Partly, readiness.No, readiness.CannotTell} {
			glyph, style := look(t, w)
			n := p.report.Count(w)
			if n == 0 {
				style = t.Dim
			}
			out = append(out, kit.Piece{Text: fmt.Sprintf("%s %d %s", glyph, n, w), Style: style})
		}
	}
	switch {
	case p.err != nil && p.report != nil:
		out = append(out, kit.Piece{Text: "older answers: " + p.err.Error(), Style: t.Watch})
	case p.loading:
		out = append(out, kit.Piece{Text: "asking", Style: t.Dim})
	case p.report != nil && !c.View.Live():
		out = append(out, kit.Piece{Text: "as of now, not of the time that is shown", Style: t.Watch})
	case p.report != nil:
		out = append(out, kit.Piece{Text: "asked at " + kit.Minute(c, p.report.At), Style: t.Dim})
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// look is the shape and colour of an answer.
func look(t *theme.Theme, w readiness.Word) (string, lipgloss.Style) {
	switch w {
	case readiness.Yes:
		return t.Verdict(sources.OK)
	case readiness.Partly:
		return t.Verdict(sources.Watch)
	case readiness.No:
		return t.Verdict(sources.Bad)
	case readiness.CannotTell:
		return t.Verdict(sources.Unreachable)
	}
	return " ", t.Dim
}

// wordWidth is that of the longest answer.
const wordWidth = len(readiness.CannotTell)

func (p *Pane) rows(c pane.Context) []row {
	if p.report == nil {
		return nil
	}
	t := c.Theme
	var out []row
	for i := range p.report.Answers {
		a := &p.report.Answers[i]
		glyph, style := look(t, a.Answer)
		mark := "   "
		if i == p.cursor {
			mark = " " + t.Glyphs.Cursor + " "
		}
		word := glyph + " " + widget.Fit(string(a.Answer), wordWidth, "")
		text := widget.Fit(mark+fmt.Sprintf("%d ", i+1)+style.Render(word)+"  "+t.Bright.Render(kit.Line(a.Question, c.Width)), c.Width, t.Glyphs.Ellipsis)
		if i == p.cursor {
			text = t.Selected.Render(ansi.Strip(text))
		}
		out = append(out, row{of: i, head: true, text: text})
		indent := strings.Repeat(" ", 9+wordWidth)
		say := func(style lipgloss.Style, glyph, text string) {
			lead := indent
			if glyph != "" {
				lead = indent[:len(indent)-2] + glyph + " "
			}
			for _, l := range kit.Wrap(text, max(20, c.Width-len(indent)-1)) {
				out = append(out, row{of: i, text: lead + style.Render(l)})
				lead = indent
			}
		}
		if !p.open[a.ID] {
			say(t.Dim, "", a.Why)
			if c.Height >= roomy && a.Next != "" {
				say(t.Plain, t.Dim.Render(t.Glyphs.Arrow), a.Next)
			}
			continue
		}
		for k := range a.Evidence {
			f := &a.Evidence[k]
			g, s := look(t, f.Says)
			if f.Says == "" {
				say(t.Dim, s.Render(g), f.What+": "+f.Detail)
			} else {
				say(t.Plain, s.Render(g), f.What+": "+f.Detail)
			}
		}
		if a.Next != "" {
			say(t.Bright, t.Accent.Render(t.Glyphs.Arrow), "next: "+a.Next)
		}
	}
	return out
}

// words stand where there are no answers yet.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	var out []string
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	out = append(out, "")
	if p.err != nil {
		say(t.Watch, t.Glyphs.Unreachable+" The checklist could not be answered: "+p.err.Error())
		say(t.Dim, "r asks again.")
		return out
	}
	say(t.Dim, "Looking at requests, pins, runbooks, signals, alerts, logs and the journal"+t.Glyphs.Ellipsis)
	return out
}
