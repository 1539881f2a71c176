package incident

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// View draws the form, or the incident.
func (p *Pane) View(c pane.Context) string {
	switch {
	case c.Width <= 0 || c.Height <= 0:
		return ""
	case p.form != nil:
		return kit.Screen(c, p.form.view(c, p.acting))
	case p.inc == nil:
		return kit.Screen(c, p.words(c))
	}
	head, foot := p.head(c), p.foot(c)
	h := p.listHeight(c)
	p.list.Clamp(len(p.entries), h)
	lines := append([]string(nil), head...)
	for i, e := range kit.Window(p.entries, p.list.Top, h) {
		lines = append(lines, kit.EntryLine(c, p.says, &e, c.Width, p.list.Top+i == p.list.Cursor))
	}
	for len(lines) < c.Height-len(foot) {
		lines = append(lines, "")
	}
	return kit.Screen(c, append(lines[:max(0, c.Height-len(foot))], foot...))
}

func (p *Pane) listHeight(c pane.Context) int {
	if p.inc == nil || p.form != nil {
		return max(1, c.Height)
	}
	return max(1, c.Height-len(p.head(c))-len(p.foot(c)))
}

func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	if p.err != nil {
		out := []string{""}
		for _, l := range kit.Wrap(t.Glyphs.Unreachable+" The incident could not be read: "+p.err.Error(), max(10, c.Width-6)) {
			out = append(out, "   "+t.Watch.Render(l))
		}
		return append(out, "   "+t.Dim.Render("Asked again with the next refresh."))
	}
	if p.answered {
		return []string{"", "   " + t.Plain.Render("No incident is open for "+kit.Line(p.service, 60)+"."), "   " + t.Dim.Render("I opens one, with what the verdict line says filled in.")}
	}
	return []string{"", "   " + t.Dim.Render("Reading "+p.id+t.Glyphs.Ellipsis)}
}

// means is the definition of the severity.
func (p *Pane) means(c pane.Context) string {
	if c.Desk != nil {
		for _, d := range c.Desk.Severities() {
			if d.Word == string(p.inc.Severity) {
				return d.Means
			}
		}
	}
	return ""
}

func (p *Pane) head(c pane.Context) []string {
	t, inc := c.Theme, p.inc
	style := t.Bad
	switch inc.State() {
	case "mitigated":
		style = t.Watch
	case "resolved", "closed":
		style = t.OK
	}
	first := []kit.Piece{
		{Text: string(inc.Severity), Style: style},
		{Text: inc.State(), Style: style},
		{Text: kit.Elapsed(p.age(c)), Style: t.Bright},
		{Text: string(inc.Category), Style: t.Plain},
	}
	lead := "lead " + inc.Lead
	if inc.Lead == "" {
		lead = "nobody leads; l names somebody"
	}
	first = append(first, kit.Piece{Text: lead, Style: t.Plain})
	if len(inc.Tags) > 0 {
		first = append(first, kit.Piece{Text: strings.Join(inc.Tags, ", "), Style: t.Dim})
	}
	if p.err != nil {
		first = append(first[:2:2], kit.Piece{Text: "older answer: " + p.err.Error(), Style: t.Watch})
	}
	out := []string{" " + kit.Pieces(t, c.Width-1, first...)}
	if m := p.means(c); m != "" {
		out = append(out, " "+t.Dim.Render(ansi.Truncate(kit.Line(string(inc.Severity)+": "+m, c.Width), c.Width-2, t.Glyphs.Ellipsis)))
	}
	out = append(out, p.times(c)...)
	link := func(word string, ids []string) {
		if len(ids) > 0 {
			out = append(out, " "+t.Dim.Render(widget.Fit(word, 10, ""))+t.Plain.Render(ansi.Truncate(kit.Line(strings.Join(ids, "  "), c.Width), max(1, c.Width-12), t.Glyphs.Ellipsis)))
		}
	}
	link("requests", inc.Requests)
	link("runs", inc.Runs)
	cases := p.cases
	if n := inc.Cases; n > 0 {
		cases = strings.TrimSuffix(fmt.Sprintf("%d  %s", n, cases), "  ")
	}
	if cases != "" {
		out = append(out, " "+t.Dim.Render(widget.Fit("cases", 10, ""))+t.Plain.Render(ansi.Truncate(kit.Line(cases, c.Width), max(1, c.Width-12), t.Glyphs.Ellipsis)))
	}
	if inc.CloseReason != "" {
		out = append(out, " "+t.Dim.Render("closed: "+ansi.Truncate(kit.Line(inc.CloseReason, c.Width), max(1, c.Width-10), t.Glyphs.Ellipsis)))
	}
	if p.review != "" {
		out = append(out, " "+t.Dim.Render(widget.Fit("review", 10, ""))+t.Accent.Render(kit.Line(p.review, c.Width)))
	}
	return append(out, widget.Rule(t, t.Title.Render("Timeline"), t.Dim.Render(entries(len(p.entries))), c.Width, t.Dim), kit.EntryHead(c, c.Width))
}

// times are the moments of the incident in columns, each with how long after the beginning it was.
func (p *Pane) times(c pane.Context) []string {
	t, inc := c.Theme, p.inc
	from := inc.Began
	if from.IsZero() {
		from = inc.Opened
	}
	const nameW, cellW = 13, 28
	var cells []string
	for _, m := range []struct {
		name string
		at   time.Time
	}{
		{"began", inc.Began},
		{"detected", inc.Detected},
		{"opened", inc.Opened},
		{"acknowledged", inc.Acknowledged},
		{"mitigated", inc.Mitigated},
		{"resolved", inc.Resolved},
	} {
		at, style, after := "not yet", t.Dim, ""
		switch {
		case !m.at.IsZero():
			at, style = widget.Day(m.at, c.Now, c.LocalTime), t.Bright
			if d := m.at.Sub(from); d > 0 {
				after = " +" + widget.Span(d)
			}
		case m.name == "began" || m.name == "detected":
			at = "not known"
		}
		cells = append(cells, widget.Fit(t.Dim.Render(widget.Fit(m.name, nameW, ""))+style.Render(at)+t.Dim.Render(after), cellW, ""))
	}
	per := max(1, min(len(cells), (c.Width-2)/cellW))
	if per < len(cells) && per > 3 {
		per = 3
	}
	var out []string
	for len(cells) > 0 {
		n := min(per, len(cells))
		out = append(out, " "+strings.Join(cells[:n], ""))
		cells = cells[n:]
	}
	return out
}

// foot is the question, the choice or the line that is typed; nothing otherwise.
func (p *Pane) foot(c pane.Context) []string {
	t := c.Theme
	rule := t.Dim.Render(strings.Repeat(t.Glyphs.Border.Top, c.Width))
	switch {
	case p.sure.Active():
		return append([]string{rule}, p.sure.Lines(c, c.Width)...)
	case p.input.Active():
		out := []string{rule}
		for _, l := range kit.Wrap(p.typing.prompt, max(10, c.Width-2)) {
			out = append(out, " "+t.Watch.Render(l))
		}
		return append(out, " "+p.input.View(c, ">", c.Width-2))
	case p.choosing:
		out := []string{rule, " " + t.Watch.Render("How bad is it? Press its digit; any other key leaves it.")}
		for i, d := range c.Desk.Severities() {
			st, now := t.Plain, ""
			if d.Word == string(p.inc.Severity) {
				st, now = t.Bright, " (now)"
			}
			out = append(out, fmt.Sprintf(" %s  %s", t.Key.Render(fmt.Sprint(i+1)), clip(st, d.Word+now+"  "+d.Means, c.Width-5, t.Glyphs.Ellipsis)))
		}
		return out
	}
	return nil
}

func clip(st lipgloss.Style, s string, w int, tail string) string {
	return st.Render(ansi.Truncate(kit.Line(s, w), max(1, w), tail))
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return sources.Thousands(n) + " entries"
}
