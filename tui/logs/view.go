package logs

import (
	"regexp"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// The lines above and below the log lines.
const (
	headLines = 1
	footLines = 1
)

func (p *Pane) listHeight(c pane.Context) int { return max(1, c.Height-headLines-footLines) }

// View draws the filter, the lines, and the facts about them; or one line in full.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	if p.detail != nil {
		return p.viewDetail(c)
	}
	h := p.listHeight(c)
	n := p.buf.rows()
	p.list.Clamp(n, h)
	lines := append(make([]string, 0, c.Height), p.top(c))
	if n == 0 {
		lines = append(lines, p.words(c)...)
	}
	for i := p.list.Top; i < min(n, p.list.Top+h); i++ {
		lines = append(lines, p.row(c, p.buf.row(i), i == p.list.Cursor))
	}
	for len(lines) < c.Height-footLines {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, c.Height-footLines)], p.bottom(c))
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
}

// row draws one line: when, how bad, what, and what else it says.
func (p *Pane) row(c pane.Context, e *entry, selected bool) string {
	t := c.Theme
	if e.summary == nil {
		s := kit.Summarize(&e.line)
		e.summary = &s
	}
	shape, word, st := kit.Level(t, e.line.Level)
	when := kit.ClockMillis(c, e.line.Time)
	head := 2 + ansi.StringWidth(when) + 2 + 7 + 2
	room := max(0, c.Width-head)
	msg := kit.Line(e.summary.Message, room)
	rest := fields(e, room-ansi.StringWidth(msg))
	if selected {
		s := widget.Fit(t.Glyphs.Cursor, 2, "") + when + "  " + shape + " " + word + "  " + msg + rest
		return marked(t.Selected, widget.Fit(s, c.Width, t.Glyphs.Ellipsis), p.sought())
	}
	s := "  " + t.Dim.Render(when) + "  " + st.Render(shape+" "+word) + "  " + marked(t.Plain, msg, p.sought()) + marked(t.Dim, rest, p.sought())
	return widget.Fit(s, c.Width, t.Glyphs.Ellipsis)
}

// literal is a line filter of LogQL that looks for a text.
var literal = regexp.MustCompile("\\|=\\s*(\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`)")

// sought are the texts that every line on the screen has in it, by the filter.
func (p *Pane) sought() []string {
	if p.text == p.marks.of {
		return p.marks.texts
	}
	p.marks.of, p.marks.texts = p.text, nil
	switch {
	case p.text == "":
		return nil
	case !strings.HasPrefix(p.text, "{"):
		p.marks.texts = []string{p.text}
		return p.marks.texts
	}
	for _, m := range literal.FindAllStringSubmatch(p.text, -1) {
		if text, err := strconv.Unquote(m[1]); err == nil && text != "" {
			p.marks.texts = append(p.marks.texts, text)
		}
	}
	return p.marks.texts
}

// marked renders text with what was sought underlined and bold, so that it is
// seen without colours too.
func marked(st lipgloss.Style, text string, sought []string) string {
	var b strings.Builder
	for {
		at, n := -1, 0
		for _, w := range sought {
			if i := strings.Index(text, w); i >= 0 && (at < 0 || i < at) {
				at, n = i, len(w)
			}
		}
		if at < 0 {
			break
		}
		if at > 0 {
			b.WriteString(st.Render(text[:at]))
		}
		b.WriteString(st.Bold(true).Underline(true).Render(text[at : at+n]))
		text = text[at+n:]
	}
	if text == "" {
		return b.String()
	}
	return b.String() + st.Render(text)
}

// fields writes what else a line says, as far as it can be seen in w columns.
func fields(e *entry, w int) string {
	if w <= 3 {
		return ""
	}
	var b strings.Builder
	used, id := 0, ""
	for _, f := range e.summary.Fields {
		if kit.Repeated(f.Key) {
			continue
		}
		if f.Key == "request_id" { // long, and enter or o follow it: last
			id = f.Value
			continue
		}
		s := kit.Line("  "+f.Key+"="+f.Value, w)
		b.WriteString(s)
		if used += ansi.StringWidth(s); used > w {
			return b.String()
		}
	}
	if id != "" {
		b.WriteString(kit.Line("  request_id="+id, w))
	}
	return b.String()
}

// top is the filter line and the state of following.
func (p *Pane) top(c pane.Context) string {
	t := c.Theme
	if p.input.Active() {
		right := ""
		if p.wrong != nil {
			right = " " + kit.Line(p.wrong.Error(), c.Width) + " "
			right = ansi.Truncate(right, max(0, c.Width*2/3), t.Glyphs.Ellipsis)
		} else if c.Width >= 100 {
			right = " text, or LogQL beginning with { "
		}
		st := t.Dim
		if p.wrong != nil {
			st = t.Watch
		}
		return p.input.View(c, " /", c.Width-ansi.StringWidth(right)) + st.Render(right)
	}
	text, st := p.status(c)
	right := st.Render(text) + " "
	room := c.Width - ansi.StringWidth(text) - 1
	var left []string
	if p.buf.only {
		left = append(left, t.Accent.Render("errors only"))
	}
	if p.text != "" {
		left = append(left, t.Accent.Render(kit.Line(p.text, c.Width)))
	}
	if p.window() {
		left = append(left, t.Accent.Render(kit.Clock(c, p.since)+" to "+kit.Clock(c, p.until)))
	}
	if len(left) == 0 {
		left = append(left, t.Dim.Render("all lines"))
	}
	return widget.Fit(" "+strings.Join(left, "  "), max(0, room), t.Glyphs.Ellipsis) + right
}

// status says whether the newest lines are being followed.
func (p *Pane) status(c pane.Context) (string, lipgloss.Style) {
	t := c.Theme
	switch {
	case c.Frozen:
		return "frozen, space goes on", t.Accent
	case !p.following(c):
		return "not live, f follows now", t.Dim
	}
	if p.held(c) {
		switch {
		case p.missed > 0 && p.unseen == 0:
			return "held: " + sources.Thousands(p.missed) + " passed, press f", t.Accent
		case p.missed > 0:
			return "held: " + sources.Thousands(p.unseen) + " newer, " + sources.Thousands(p.missed) + " more passed, press f", t.Accent
		case !p.tailing && !p.loading:
			return "held, f reads what came since", t.Accent
		case p.unseen > 0:
			return "held: " + sources.Thousands(p.unseen) + " newer, press f", t.Accent
		}
		return "held, f follows", t.Accent
	}
	switch {
	case p.state == stateLive:
		return t.Glyphs.OK + " live", t.OK
	case p.state != "":
		return t.Glyphs.Watch + " " + kit.Line(p.state, c.Width/2), t.Watch
	case p.tailing || p.loading:
		return t.Glyphs.Learning + " connecting", t.Dim
	}
	return "", t.Dim
}

// bottom is the facts line.
func (p *Pane) bottom(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	add := func(st lipgloss.Style, s string) { out = append(out, kit.Piece{Text: s, Style: st}) }
	if p.err != nil && len(p.buf.lines) > 0 {
		add(t.Watch, "older answer: "+p.err.Error())
	}
	if p.answered {
		f := p.facts
		f.Shown = len(p.buf.lines)
		if p.facts.Truncated() {
			f.Total = -1
			if p.facts.Total > 0 {
				f.Total = f.Shown + p.more
			}
		} else {
			f.Total = f.Shown
		}
		if n := len(p.buf.lines); n > 0 && p.buf.lines[n-1].line.Time.After(f.At) {
			f.At = p.buf.lines[n-1].line.Time
		}
		noun := "line"
		if p.narrow {
			noun = "error"
			more := f.Truncated()
			if f.Shown = p.buf.rows(); more {
				f.Total = -1
			} else {
				f.Total = f.Shown
			}
		} else if p.buf.only {
			add(t.Accent, sources.Counted(p.buf.rows(), "error")+" in")
		}
		facts := kit.FactPieces(c, f, noun)
		if p.buf.only && !p.narrow {
			out[len(out)-1].Text += " " + facts[0].Text
			facts = facts[1:]
		}
		out = append(out, facts...)
		if p.dropped > 0 {
			add(t.Watch, sources.Counted(p.dropped, "line")+" lost on the way here")
		}
		if p.buf.full(0) {
			add(t.Dim, "this screen keeps the newest "+sources.Thousands(maxLines))
		}
	} else if p.loading {
		add(t.Dim, "reading")
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// words stand where there are no lines.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	var out []string
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	where := "in the last " + kit.Range(p.view.Range)
	switch {
	case p.window():
		where = "between " + kit.Clock(c, p.since) + " and " + kit.Clock(c, p.until)
	case !p.view.Live():
		where = "between " + kit.Minute(c, p.view.At.Add(-p.view.Range)) + " and " + kit.Minute(c, p.view.At)
	}
	matching := ""
	if p.text != "" {
		matching = " that matches " + p.text
	}
	out = append(out, "")
	switch {
	case p.err != nil:
		say(t.Watch, t.Glyphs.Unreachable+" The log lines could not be read: "+p.err.Error())
		say(t.Dim, "Asked again with the next refresh.")
	case !p.answered:
		say(t.Dim, "Reading log lines"+t.Glyphs.Ellipsis)
	case p.narrow:
		say(t.Plain, "No line "+where+matching+" says that it is an error.")
		say(t.Dim, "Press e to see all lines.")
	case p.buf.only && len(p.buf.lines) > 0:
		say(t.Plain, "No errors among the "+sources.Counted(len(p.buf.lines), "line")+" in hand.")
		say(t.Dim, "Press e to see all lines.")
	case p.text != "":
		say(t.Plain, "No line "+where+" matches "+p.text)
		say(t.Dim, "Press x to clear the filter, / to change it, - for a longer range.")
	default:
		say(t.Plain, "No log lines "+where+".")
		say(t.Dim, "Asked with "+p.sent+" If that is not the service's own, set logs: in the configuration.")
	}
	return out
}

// wrapping is what the wrapped lines of the detail depend on.
type wrapping struct {
	width int
	local bool
	theme *theme.Theme
}

// viewDetail draws one line in full.
func (p *Pane) viewDetail(c pane.Context) string {
	if on := (wrapping{c.Width, c.LocalTime, c.Theme}); p.wrapped != on {
		p.lines, p.wrapped = kit.LogDetail(c, p.detail, c.Width), on
	}
	h := c.Height
	p.scroll.Clamp(len(p.lines), h)
	out := kit.Window(p.lines, p.scroll.Top, h)
	return widget.Block(strings.Join(out, "\n"), c.Width, h, c.Theme.Glyphs.Ellipsis)
}
