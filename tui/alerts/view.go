package alerts

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/store/alerts"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// The lines above the rows; below them the selected one is said in full.
const headLines = 2

// footLines are the detail of the selected row and the facts.
func footLines(c pane.Context) int {
	switch {
	case c.Height >= 40:
		return 9
	case c.Height >= 24:
		return 7
	case c.Height >= 12:
		return 5
	}
	return 1
}

func tableHeight(c pane.Context) int { return max(1, c.Height-headLines-footLines(c)) }

// underRows is how many lines the foot may take where the rows leave room: what is said there in
// full is worth more than empty lines.
func underRows(c pane.Context, used, wanted int) int {
	foot := footLines(c)
	if foot == 1 {
		return foot
	}
	return max(foot, min(wanted+2, c.Height-used-1))
}

// View draws what fires, one alert in full, or what alerts ask of people.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	var lines []string
	switch {
	case p.detail != nil:
		lines = p.detailView(c)
	case p.tired:
		lines = p.tiredView(c)
	default:
		lines = p.listView(c)
	}
	return kit.Screen(c, lines)
}

func (p *Pane) listView(c pane.Context) []string {
	h := tableHeight(c)
	p.at.Clamp(len(p.rows), h)
	lines := append(make([]string, 0, c.Height), p.summary(c))
	if len(p.rows) > 0 {
		cols, cells := columns(p.rows, p.at.Top, h, c)
		placed := kit.Place(cols, c.Width)
		lines = append(lines, kit.Header(c.Theme, cols, placed, c.Width))
		for i, a := range kit.Window(p.rows, p.at.Top, h) {
			lines = append(lines, kit.Row(c.Theme, cols, placed, c.Width, p.at.Top+i == p.at.Cursor, func(col int) kit.Cell { return cells[col](a) }))
		}
	} else {
		lines = append(append(lines, ""), p.words(c)...)
	}
	return p.withFoot(c, lines, p.selected)
}

// withFoot puts the detail of the selection, or what is typed or asked, under the rows.
func (p *Pane) withFoot(c pane.Context, lines []string, detail func(c pane.Context) []string) []string {
	d := detail(c)
	foot := underRows(c, len(lines), len(d))
	if asking := p.asking(c); asking != nil {
		foot = min(max(footLines(c), len(asking)+1), max(1, c.Height-2))
		d = asking
	}
	for len(lines) < c.Height-foot {
		lines = append(lines, "")
	}
	lines = lines[:max(0, c.Height-foot)]
	if foot > 1 {
		lines = append(lines, c.Theme.Dim.Render(strings.Repeat(c.Theme.Glyphs.Border.Top, c.Width)))
		for i := range foot - 2 {
			l := ""
			if i < len(d) {
				l = d[i]
			}
			lines = append(lines, l)
		}
		if p.Capturing() && foot-2 < len(d) {
			return append(lines, d[foot-2])
		}
	}
	return append(lines, p.bottom(c))
}

// asking is what is typed, or the question; nil when neither is.
func (p *Pane) asking(c pane.Context) []string {
	t := c.Theme
	switch {
	case p.sure.Active():
		return fitted(c, p.sure.Lines(c, c.Width))
	case !p.input.Active():
		return nil
	}
	prompt := ""
	keys := t.Key.Render("enter") + t.Dim.Render(" send it   ") + t.Key.Render("esc") + t.Dim.Render(" leave it")
	switch p.doing {
	case acking:
		prompt = "What do you do about " + p.on + "?"
		done := "no"
		if p.acted {
			done = "yes"
		}
		keys += t.Dim.Render("   ") + t.Key.Render("tab") + t.Dim.Render(" something was done elsewhere: ") + t.Bright.Render(done)
	case silencing:
		prompt = "Silence " + p.on + " for how long, and why? Such as: 2h provider works on it"
	case filtering:
		prompt = "Words that the alert must have: name, state, source, label=value"
		keys = t.Key.Render("enter") + t.Dim.Render(" filter   ") + t.Key.Render("esc") + t.Dim.Render(" leave it")
	case nothing:
	}
	out := []string{}
	for _, l := range kit.Wrap(prompt, max(10, c.Width-2)) {
		out = append(out, " "+t.Watch.Render(l))
	}
	return append(out, " "+p.input.View(c, ">", c.Width-2), " "+keys)
}

// fitted leaves out lines before the last one, which says what the keys do, and says so.
func fitted(c pane.Context, lines []string) []string {
	most := max(2, c.Height-3)
	if len(lines) <= most {
		return lines
	}
	out := append([]string(nil), lines[:most-2]...)
	return append(out, " "+c.Theme.Watch.Render(c.Theme.Glyphs.Ellipsis+" and more than this screen has room for; rollcall alerts silence prints it all"), lines[len(lines)-1])
}

// summary counts the alerts by their state.
func (p *Pane) summary(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	if p.list != nil {
		for _, s := range []alerts.State{alerts.Firing, alerts.Acknowledged, alerts.Pending, alerts.Silenced, alerts.Resolved} {
			if n := p.list.Count(s); n > 0 {
				_, style := look(t, s)
				out = append(out, kit.Piece{Text: sources.Thousands(n) + " " + string(s), Style: style})
			}
		}
		if p.list.Total > len(p.list.Alerts) {
			out = append(out, kit.Piece{Text: fmt.Sprintf("%s of %s are listed", sources.Thousands(len(p.list.Alerts)), sources.Thousands(p.list.Total)), Style: t.Watch})
		}
		if n := p.list.Others; n > 0 {
			out = append(out, kit.Piece{Text: sources.Thousands(n) + " name another service", Style: t.Dim})
		}
	}
	if p.filter != "" {
		out = append(out, kit.Piece{Text: "filter: " + p.filter + " (" + sources.Thousands(len(p.rows)) + ")", Style: t.Watch})
	}
	if len(out) == 0 {
		return ""
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// look is the shape and the style of a state.
func look(t *theme.Theme, s alerts.State) (string, lipgloss.Style) {
	switch s {
	case alerts.Firing:
		return t.Verdict(sources.Bad)
	case alerts.Pending:
		return t.Verdict(sources.Watch)
	case alerts.Acknowledged:
		return t.Glyphs.Passed, t.Watch
	case alerts.Silenced:
		return t.Verdict(sources.NotExposed)
	case alerts.Resolved:
		return t.Verdict(sources.OK)
	}
	return t.Verdict(sources.Learning)
}

// columns are as wide as what can be seen needs: of thousands of rows only those are measured.
func columns(rows []*alerts.Alert, top, h int, c pane.Context) ([]kit.Column, []func(*alerts.Alert) kit.Cell) {
	t := c.Theme
	seen := kit.Window(rows, top, h)
	var cols []kit.Column
	var cells []func(*alerts.Alert) kit.Cell
	add := func(col kit.Column, most int, cell func(*alerts.Alert) kit.Cell) {
		for _, a := range seen {
			col.Want = max(col.Want, min(most, ansi.StringWidth(kit.Line(cell(a).Text, most))))
		}
		if col.Want == 0 {
			return
		}
		cols, cells = append(cols, col), append(cells, cell)
	}
	add(kit.Column{Title: "state", Min: 14}, 14, func(a *alerts.Alert) kit.Cell {
		glyph, style := look(t, a.State)
		return kit.Cell{Text: glyph + " " + string(a.State), Style: style}
	})
	least := 8
	for _, a := range seen {
		least = max(least, len(moment(c, a.Since)))
	}
	add(kit.Column{Title: "since " + kit.Zone(c), Min: least}, 12, func(a *alerts.Alert) kit.Cell {
		return kit.Cell{Text: moment(c, a.Since), Style: t.Dim}
	})
	add(kit.Column{Title: "alert", Min: 16}, 34, func(a *alerts.Alert) kit.Cell { return kit.Cell{Text: a.Name, Style: t.Bright} })
	add(kit.Column{Title: "age", Right: true, Min: 6, Rank: 4}, 8, func(a *alerts.Alert) kit.Cell {
		end := c.View.End(c.Now)
		if !a.Until.IsZero() {
			end = a.Until
		}
		if a.Since.IsZero() {
			return kit.Cell{}
		}
		return kit.Cell{Text: widget.Span(max(0, end.Sub(a.Since)).Truncate(time.Second)), Style: t.Dim}
	})
	add(kit.Column{Title: "evidence", Min: 20, Rank: 1}, 90, func(a *alerts.Alert) kit.Cell {
		if a.Old != "" {
			return kit.Cell{Text: old(a) + ": " + a.Evidence, Style: t.Watch}
		}
		return kit.Cell{Text: a.Evidence, Style: t.Plain}
	})
	add(kit.Column{Title: "source", Min: 8, Rank: 2}, 23, func(a *alerts.Alert) kit.Cell {
		return kit.Cell{Text: sourceWord(a), Style: t.Dim}
	})
	add(kit.Column{Title: "runbook", Min: 10, Rank: 3}, 24, func(a *alerts.Alert) kit.Cell { return kit.Cell{Text: a.Runbook, Style: t.Accent} })
	add(kit.Column{Title: "severity", Min: 8, Rank: 5}, 10, func(a *alerts.Alert) kit.Cell { return kit.Cell{Text: a.Severity, Style: t.Dim} })
	return cols, cells
}

func sourceWord(a *alerts.Alert) string {
	if len(a.Sources) == 2 && a.Sources[0] == alerts.Prometheus {
		return "prom+alertmanager"
	}
	return strings.Join(a.Sources, "+")
}

// old says how old an answer is.
func old(a *alerts.Alert) string {
	if !a.AgeS.OK {
		return "old"
	}
	return widget.Span(time.Duration(a.AgeS.V)*time.Second) + " old"
}

// moment writes a time of day, with the day where it is not that of now.
func moment(c pane.Context, at time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case c.Now.Sub(at) > 20*time.Hour:
		return kit.Local(c, at).Format("Jan _2 15:04")
	}
	return kit.Local(c, at).Format("15:04:05")
}

// selected says the selected alert in full.
func (p *Pane) selected(c pane.Context) []string {
	a := p.current()
	if a == nil {
		return nil
	}
	t := c.Theme
	var out []string
	say := func(style lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-2)) {
			out = append(out, " "+style.Render(l))
		}
	}
	glyph, style := look(t, a.State)
	name := a.Name
	if a.Label != "" {
		name = a.Label + " (" + a.Name + ")"
	}
	say(style, glyph+" "+name+" "+phrase(c, a)+": "+a.Evidence)
	if a.Old != "" {
		say(t.Watch, t.Glyphs.Unreachable+" "+old(a)+": "+a.Old)
	}
	if k := a.Ack; k != nil {
		did := ""
		if k.Acted {
			did = ", something was done elsewhere"
		}
		say(t.Plain, "Taken up by "+k.By+" at "+kit.Clock(c, k.At)+did+": "+k.Note)
	}
	for _, s := range a.Silences {
		say(t.Plain, "Silenced by "+or(s.By, "?")+" until "+s.Ends.UTC().Format("Jan _2 15:04Z")+": "+s.Comment)
	}
	if a.Inhibited {
		say(t.Plain, "Nobody is told: another alert inhibits it.")
	}
	if a.Runbook != "" {
		say(t.Accent, "r opens the runbook "+a.Runbook+"; nothing is run yet.")
	} else if a.RunbookURL != "" {
		say(t.Dim, "Its runbook: "+a.RunbookURL)
	}
	if a.Query != "" {
		say(t.Dim, "Rule: "+a.Query)
	}
	return out
}

func or(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

// phrase says how it stands, and since when.
func phrase(c pane.Context, a *alerts.Alert) string {
	since := ""
	if !a.Since.IsZero() {
		since = " since " + moment(c, a.Since)
	}
	switch a.State {
	case alerts.Resolved:
		s := "fired " + moment(c, a.Since) + " to " + moment(c, a.Until)
		if a.Flaps > 0 {
			s += fmt.Sprintf(", well %d times in between", a.Flaps)
		}
		return s
	case alerts.Pending:
		return "is bad" + since + ", not yet for long enough"
	case alerts.Silenced:
		return "fires" + since + ", and nobody is told"
	case alerts.Acknowledged, alerts.Firing:
	}
	return "fires" + since
}

// bottom says what each source answered.
func (p *Pane) bottom(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	switch {
	case p.busy:
		out = append(out, kit.Piece{Text: "under way", Style: t.Watch})
	case p.err != nil && p.list != nil:
		out = append(out, kit.Piece{Text: "older answer: " + p.err.Error(), Style: t.Watch})
	}
	if p.tired {
		if p.report != nil {
			out = append(out, kit.Piece{Text: "from the journal", Style: t.Dim}, kit.Piece{Text: "four weeks to " + kit.Minute(c, p.report.Until), Style: t.Dim})
		}
		return " " + kit.Pieces(t, c.Width-1, out...)
	}
	if p.list != nil {
		var good []string
		for i := range p.list.Sources {
			s := &p.list.Sources[i]
			switch {
			case s.Failed && s.AgeS.OK:
				out = append(out, kit.Piece{Text: s.Source + " does not answer, its alerts are " + widget.Span(time.Duration(s.AgeS.V)*time.Second) + " old: " + s.Note, Style: t.Watch})
			case s.Failed:
				out = append(out, kit.Piece{Text: s.Source + " does not answer: " + s.Note, Style: t.Watch})
			case s.Note != "":
				out = append(out, kit.Piece{Text: s.Source + ": " + s.Note, Style: t.Watch})
			default:
				good = append(good, fmt.Sprintf("%s %s", s.Source, sources.Thousands(s.Alerts)))
			}
		}
		out = append(out, kit.Piece{Text: strings.Join(good, ", "), Style: t.Dim}, kit.Piece{Text: kit.Minute(c, p.list.At), Style: t.Dim})
	} else if p.loading {
		out = append(out, kit.Piece{Text: "reading", Style: t.Dim})
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// words stand where there are no alerts.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	var out []string
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	switch {
	case p.err != nil && p.list == nil:
		say(t.Watch, t.Glyphs.Unreachable+" The alerts could not be read: "+p.err.Error())
		say(t.Dim, "Asked again with the next refresh.")
	case p.list == nil:
		say(t.Dim, "Reading alerts"+t.Glyphs.Ellipsis)
	case p.filter != "" && len(p.list.Alerts) > 0:
		say(t.Plain, "No alert has these words: "+p.filter)
		say(t.Dim, "x clears the filter.")
	default:
		unknown := false
		for i := range p.list.Sources {
			unknown = unknown || p.list.Sources[i].Failed
		}
		if unknown {
			say(t.Watch, t.Glyphs.Unreachable+" Nothing is known to fire, but not every source answers.")
		} else {
			say(t.OK, t.Glyphs.OK+" Nothing fires, and nothing was resolved in the last "+kit.Range(max(p.view.Range, time.Hour))+".")
		}
		if len(p.list.Sources) == 1 {
			say(t.Dim, "Only rollcall's own verdicts are known here: neither prometheus nor alertmanager is configured.")
		}
		say(t.Dim, "f shows what alerts have asked of people in four weeks.")
	}
	return out
}
