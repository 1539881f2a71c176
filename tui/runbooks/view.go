package runbooks

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// footHeight is how many lines below the list say the selected item in full.
func footHeight(c pane.Context) int {
	switch {
	case c.Height >= 40:
		return 14
	case c.Height >= 28:
		return 10
	case c.Height >= 15:
		return 6
	}
	return 0
}

func listHeight(c pane.Context) int { return max(1, c.Height-footHeight(c)) }

// row is one line of the list; key is empty for headings and reasons.
type row struct {
	key  string
	text string
}

// View draws the list and the selected item in full.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	h := listHeight(c)
	rows := p.rows(c)
	p.top = p.window(rows, h)
	lines := make([]string, 0, c.Height)
	for _, r := range kit.Window(rows, p.top, h) {
		lines = append(lines, r.text)
	}
	for len(lines) < h {
		lines = append(lines, "")
	}
	lines = append(lines, p.detail(c, footHeight(c))...)
	return kit.Screen(c, lines)
}

// window is the first row that is drawn: the selected row, its heading and its reason are on the screen.
func (p *Pane) window(rows []row, h int) int {
	at := 0
	for i := range rows {
		if rows[i].key == p.cursor && rows[i].key != "" {
			at = i
		}
	}
	top := min(p.top, max(0, at-1))
	if at+1 >= top+h {
		top = at - h + 2
	}
	return max(0, min(top, len(rows)-h))
}

func (p *Pane) rows(c pane.Context) []row {
	t := c.Theme
	var out []row
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, row{text: "   " + st.Render(l)})
		}
	}
	if p.err != nil {
		say(t.Watch, t.Glyphs.Unreachable+" The runbooks could not be read: "+p.err.Error())
		say(t.Dim, "Asked again with the next refresh.")
	}
	switch {
	case !p.answered && p.err == nil:
		out = append(out, row{})
		say(t.Dim, "Reading runbooks"+t.Glyphs.Ellipsis)
	case p.answered && len(p.books) == 0:
		out = append(out, row{})
		say(t.Plain, "There are no runbooks.")
		say(t.Dim, "Put Markdown files into the folder that the configuration names under runbooks; rollcall runbook lint checks them.")
	}
	section := ""
	for i := range p.items {
		it := &p.items[i]
		if it.section != section {
			if section != "" {
				out = append(out, row{})
			}
			section = it.section
			out = append(out, row{text: " " + t.Title.Render(section)})
		}
		out = append(out, row{key: it.key, text: p.line(c, it)})
		if it.section == secSuggested {
			out = append(out, row{text: "     " + t.Bad.Render(t.Glyphs.Bad) + " " + t.Plain.Render(ansi.Truncate(kit.Line(it.book.Suggested, c.Width), max(1, c.Width-8), t.Glyphs.Ellipsis))})
		}
	}
	return out
}

// line draws an item: its name at the left, what is known about it in columns.
func (p *Pane) line(c pane.Context, it *item) string {
	t := c.Theme
	nameW := min(40, max(29, c.Width/3))
	idW := 0
	if c.Width >= 100 {
		idW = 24
	}
	var name, id, word, more string
	var wordStyle, moreStyle lipgloss.Style
	if it.run != nil {
		r := it.run
		glyph, w, st := kit.RunWord(t, r)
		name, id = r.ID+"  "+r.Title, r.Runbook
		word, wordStyle = glyph+" "+w, st
		moreStyle = t.Dim
		switch {
		case r.Interrupted():
			more, moreStyle = kit.RunPlace(r)+"; enter opens it, r resumes it", t.Watch
		case r.Outcome == "":
			more = kit.RunPlace(r) + " since " + kit.Minute(c, r.Began)
			if r.Driver != "" && r.Driver != "you" {
				more += ", driven by " + r.Driver
			}
		default:
			more = "ended " + widget.Day(r.Ended, c.Now, c.LocalTime)
			if r.Target.Rehearsal {
				more += ", a rehearsal"
			}
		}
	} else {
		b := it.book
		name, id = b.File, ""
		if b.Runbook != nil {
			name, id = b.Runbook.Title, b.Runbook.ID
		}
		moreStyle = t.Dim
		errs, notices := count(b.Problems)
		switch {
		case b.Runbook == nil:
			word, wordStyle = t.Glyphs.Failed+" cannot be read", t.Bad
		case b.Rehearsed.IsZero():
			word, wordStyle = t.Glyphs.Unsure+" never rehearsed", t.Watch
		case b.Runbook.RehearseEvery > 0 && c.Now.Sub(b.Rehearsed) > b.Runbook.RehearseEvery:
			word, wordStyle = t.Glyphs.Unsure+" rehearsed "+widget.Age(c.Now.Sub(b.Rehearsed))+" ago", t.Watch
		default:
			word, wordStyle = t.Glyphs.Passed+" rehearsed "+widget.Age(c.Now.Sub(b.Rehearsed))+" ago", t.Dim
		}
		switch {
		case errs > 0:
			more, moreStyle = sources.Counted(errs, "problem"), t.Bad
		case !b.LastRun.IsZero():
			more = "last run " + widget.Age(c.Now.Sub(b.LastRun)) + " ago"
		case b.Runbook != nil:
			more = "never run"
		}
		if notices > 0 && errs == 0 && (b.Runbook == nil || !b.Rehearsed.IsZero() || notices != 1) {
			more, moreStyle = more+", "+sources.Counted(notices, "notice"), t.Watch
		}
	}
	const wordW = 20
	mark := "   "
	selected := it.key == p.cursor
	if selected {
		mark = " " + t.Glyphs.Cursor + " "
	}
	plain := mark + widget.Fit(kit.Line(name, nameW), nameW, t.Glyphs.Ellipsis) + "  "
	if idW > 0 {
		plain += t.Dim.Render(widget.Fit(kit.Line(id, idW), idW, t.Glyphs.Ellipsis)) + "  "
	}
	plain += wordStyle.Render(widget.Fit(kit.Line(word, wordW), wordW, t.Glyphs.Ellipsis)) + "  " + moreStyle.Render(kit.Line(more, c.Width))
	plain = widget.Fit(plain, c.Width, t.Glyphs.Ellipsis)
	if selected {
		return t.Selected.Render(ansi.Strip(plain))
	}
	return plain
}

func count(ps []runbooks.Problem) (errs, notices int) {
	for i := range ps {
		if ps[i].Notice {
			notices++
		} else {
			errs++
		}
	}
	return errs, notices
}

// detail says the selected item in full, in h lines.
func (p *Pane) detail(c pane.Context, h int) []string {
	if h <= 0 {
		return nil
	}
	t := c.Theme
	out := []string{t.Dim.Render(strings.Repeat(t.Glyphs.Border.Top, c.Width))}
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-2)) {
			out = append(out, " "+st.Render(l))
		}
	}
	it := p.current()
	switch {
	case it == nil:
	case it.run != nil:
		r := it.run
		say(t.Bright, fmt.Sprintf("%s  %s, begun by %s at %s", r.ID, r.Title, r.Actor, widget.Day(r.Began, c.Now, c.LocalTime)))
		switch {
		case r.Interrupted():
			say(t.Watch, "Nobody drives it any more. Nothing runs until somebody resumes it; what had begun is looked at first and never repeated blindly.")
		case r.Question != "":
			say(t.Watch, r.Question)
		}
		if r.Why != "" {
			say(t.Plain, r.Why)
		}
	default:
		b := it.book
		// What is wrong with it comes before what it is for.
		for i := range b.Problems {
			pr := &b.Problems[i]
			st := t.Bad
			if pr.Notice {
				st = t.Watch
			}
			where := fmt.Sprintf("%s:%d", pr.File, pr.Line)
			if pr.Column > 0 {
				where += fmt.Sprintf(":%d", pr.Column)
			}
			say(st, where+"  "+pr.Message)
		}
		if b.Runbook != nil {
			if b.Runbook.Intro != "" {
				say(t.Plain, b.Runbook.Intro)
			}
			var names []string
			for i := range b.Runbook.Steps {
				if b.Runbook.Steps[i].Phase != runbooks.Abort {
					names = append(names, b.Runbook.Steps[i].Name)
				}
			}
			say(t.Dim, "Steps: "+strings.Join(names, " "+t.Glyphs.Arrow+" "))
			may := "It moves nothing."
			if moves := b.Runbook.Moves(); len(moves) > 0 {
				may = "It may move " + strings.Join(moves, ", ") + " and nothing else."
			}
			if b.Runbook.MaxDuration > 0 {
				may += " At most " + widget.Span(b.Runbook.MaxDuration) + "."
			}
			say(t.Dim, may+"  "+b.File)
		}
	}
	for len(out) < h {
		out = append(out, "")
	}
	return out[:h]
}
