package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/widget"
)

// header is the first row: name, service, the time that is shown, the sources.
func (m *Model) header() string {
	t := m.theme
	name := " " + t.Accent.Render("rollcall") + "  " + t.Bright.Render(ansi.Truncate(oneLine(m.service), 32, t.Glyphs.Ellipsis))
	when := m.when()
	wide, narrow := m.health(true), m.health(false)
	for _, right := range []string{wide, narrow, ""} {
		free := m.width - ansi.StringWidth(name) - ansi.StringWidth(when) - ansi.StringWidth(right) - 1
		if free >= 4 {
			// The time stands in the middle of what is free, a little to the left.
			gap := max(2, min(8, free/3))
			return name + strings.Repeat(" ", gap) + when + strings.Repeat(" ", free-gap) + right + " "
		}
	}
	return name + "  " + when
}

// when says which time the screen shows, and how that comes about.
func (m *Model) when() string {
	t := m.theme
	dot := " " + t.Glyphs.Dot + " "
	at := m.shownEnd()
	var word string
	switch {
	case m.frozen:
		word = t.Watch.Render("FROZEN " + widget.Clock(at, m.local))
	case !m.view.Live():
		word = t.Watch.Render("PAST " + widget.Day(at, m.read.now, m.local))
	case m.read.snap == nil && m.read.err != nil:
		word = t.Watch.Render("NO DATA")
	case m.read.snap == nil:
		word = t.Dim.Render("READING")
	case m.late() > 0:
		word = t.Watch.Render("STALE " + widget.Clock(at, m.local))
	default:
		word = t.OK.Render("LIVE") + " " + t.Bright.Render(widget.Clock(at, m.local))
	}
	rest := dot + "last " + widget.Span(m.view.Range)
	if m.view.Live() && m.width >= 100 {
		rest += dot + widget.Span(m.opts.Refresh)
	}
	return word + t.Dim.Render(rest)
}

// late is how old the figures are in wall time when the refreshes fail or hang; zero when all is well.
func (m *Model) late() time.Duration {
	r := &m.read
	if r.snap == nil || !m.view.Live() {
		return 0
	}
	age := r.checked.Sub(r.lastGood)
	if r.err != nil || age > 2*m.opts.Refresh+5*time.Second {
		return max(age, time.Second)
	}
	return 0
}

func (m *Model) health(wide bool) string {
	if m.read.snap == nil {
		return ""
	}
	t := m.theme
	var parts []string
	for i := range m.read.snap.Health {
		h := &m.read.snap.Health[i]
		glyph, style, word := t.Glyphs.OK, t.OK, ""
		switch h.State {
		case sources.SourceUp:
			if wide && h.Rate > 0 {
				num, unit := widget.Value(h.Rate, sources.Count, t.Options.ASCII)
				word = num + unit + "/s"
			} else if wide && h.Latency > 0 {
				word = widget.Latency(h.Latency)
			}
		case sources.SourceDown:
			glyph, style, word = t.Glyphs.Unreachable, t.Watch, "down"
			if !h.LastGood.IsZero() {
				word = "down " + widget.Age(m.read.checked.Sub(h.LastGood))
			}
		case sources.SourceOff:
			glyph, style, word = t.Glyphs.NotExposed, t.Dim, ""
		default:
			glyph, style = t.Glyphs.Learning, t.Dim
		}
		s := t.Dim.Render(oneLine(h.Source)) + " " + style.Render(glyph)
		if word != "" {
			if h.State == sources.SourceUp {
				s += " " + t.Dim.Render(word)
			} else {
				s += " " + style.Render(word)
			}
		}
		parts = append(parts, s)
	}
	if m.opts.Desk != nil && m.duty.trouble != "" {
		parts = append(parts, t.Dim.Render("journal")+" "+t.Watch.Render(t.Glyphs.Unreachable))
	}
	return strings.Join(parts, "  ")
}

// verdictLines is the sentence of the console: one row, two where it is narrow.
func (m *Model) verdictLines() []string {
	t := m.theme
	snap := m.read.snap
	if snap == nil {
		if m.read.err != nil {
			return []string{" " + t.Watch.Render(t.Glyphs.Unreachable+" No figures yet: "+oneLine(m.read.err.Error()))}
		}
		return []string{" " + t.Dim.Render("Reading "+oneLine(m.service)+t.Glyphs.Ellipsis)}
	}
	glyph, style := t.Verdict(snap.Line.Verdict)
	offer, reserve := m.offerWords(), 0
	if offer != "" {
		offer = t.Key.Render("R") + " " + t.Bright.Render(offer)
		reserve = min(m.width/2, ansi.StringWidth(offer)+2)
	}
	rows := sentence(&snap.Line, m.width-4, 1+m.narrow(), reserve, t.Options.ASCII)
	out := make([]string, len(rows))
	for i, row := range rows {
		if i == 0 {
			out[i] = " " + style.Render(glyph+" "+row)
		} else {
			out[i] = "   " + style.Render(row)
		}
		if i == len(rows)-1 && offer != "" {
			// At the end, where the eye arrives after the sentence.
			gap := max(2, m.width-1-ansi.StringWidth(out[i])-ansi.StringWidth(offer))
			out[i] += strings.Repeat(" ", gap) + offer
		}
	}
	return out
}

// narrow is 1 where the verdict may take a second row: the screen is narrow and not too low.
func (m *Model) narrow() int {
	if m.width < 110 && m.height >= 20 {
		return 1
	}
	return 0
}

// sentence joins the parts of the verdict line that fit into at most n rows,
// most important first; at the end of the last one it leaves reserve columns free.
func sentence(l *signal.Line, width, n, reserve int, ascii bool) []string {
	rows := []string{""}
	parts := l.Parts
	switch {
	case n == 1:
		parts = l.PartsIn(width - reserve)
	case len(parts) > 0: // what follows has a row of its own
		parts = append((&signal.Line{Parts: parts[:1], Asides: l.Asides}).PartsIn(width), parts[1:]...)
	}
	for _, p := range parts {
		p = widget.Words(p, ascii)
		row := &rows[len(rows)-1]
		room := width
		if len(rows) == n {
			room -= reserve
		}
		glue := ". "
		if *row == "" {
			glue = ""
		} else if strings.HasPrefix(p, "(") || strings.HasSuffix(*row, ".") {
			glue = " "
		}
		switch {
		case ansi.StringWidth(*row)+len(glue)+ansi.StringWidth(p) <= room:
			*row += glue + p
		case *row == "":
			*row = ansi.Truncate(p, room, "…")
		case len(rows) < n:
			if len(rows)+1 == n {
				room = width - reserve
			}
			rows = append(rows, ansi.Truncate(p, room, "…"))
		}
	}
	if rows[0] == "" {
		rows[0] = "Nothing to say: " + string(l.Verdict)
	}
	if last := rows[len(rows)-1]; reserve > 0 && len(rows) < n && ansi.StringWidth(last) > width-reserve {
		rows = append(rows, "")
	}
	return rows
}

// troubleLines names what cannot be seen now, why, and how old the figures are.
func (m *Model) troubleLines() []string {
	t, r := m.theme, &m.read
	if r.snap == nil {
		return nil
	}
	var out []string
	if late := m.late(); late > 0 {
		s := "Figures are " + widget.Age(late) + " old"
		switch {
		case r.err != nil:
			s += ": " + oneLine(r.err.Error())
		case r.flying:
			s += ": the sources have not answered for " + widget.Age(r.checked.Sub(r.since))
		}
		out = append(out, s)
	}
	for i := range r.snap.Health {
		h := &r.snap.Health[i]
		switch {
		case h.State == sources.SourceDown:
			s := oneLine(h.Source) + " is unreachable"
			if h.Reason != "" {
				s += ": " + oneLine(h.Reason)
			}
			if h.LastGood.IsZero() {
				s += "; it never answered"
			} else {
				s += "; last good " + widget.Age(r.checked.Sub(h.LastGood)) + " ago"
			}
			out = append(out, s)
		case h.Skew > sources.MaxSkew || h.Skew < -sources.MaxSkew:
			out = append(out, "the clock of "+oneLine(h.Source)+" differs from ours by "+widget.Span(h.Skew))
		}
	}
	out = out[:min(len(out), 1+m.height/20)]
	for i, s := range out {
		out[i] = " " + t.Watch.Render(ansi.Truncate(t.Glyphs.Unreachable+" "+s, m.width-2, t.Glyphs.Ellipsis))
	}
	return out
}

// banner is the row that says that this is not now.
func (m *Model) banner() string {
	if m.view.Live() {
		return ""
	}
	dash := " — "
	if m.theme.Options.ASCII {
		dash = " - "
	}
	s := " NOT LIVE" + dash + "showing " + widget.Day(m.view.At, m.opts.Backend.Clock().Now(), m.local)
	if m.frozen {
		s = " NOT LIVE" + dash + "frozen at " + widget.Day(m.view.At, m.opts.Backend.Clock().Now(), m.local)
	}
	return m.theme.Banner.Render(widget.Fit(s+", press 0 for now", m.width, m.theme.Glyphs.Ellipsis))
}

// tabLine is the row of the panes, each with the glyph of its worst verdict when
// that is worth a look, and at its right what goes on at the desk, which gets a
// row of its own where there is no room.
func (m *Model) tabLine(y int) ([]string, []hit) {
	t := m.theme
	current := m.currentTab()
	type cell struct {
		text  string
		style lipgloss.Style
		mark  string
		mst   lipgloss.Style
	}
	build := func(short, letters bool, gap, pad int) (string, []hit, int) {
		var b strings.Builder
		var hits []hit
		x := 1
		b.WriteString(" ")
		for i, tb := range m.tabs {
			c := cell{text: tb.key + " " + tb.name, style: t.Plain}
			if short {
				c.text = tb.key + " " + tb.short
			}
			if letters && tb.id != current && tb.key[0] > '9' {
				c.text = tb.key // these are known by their letter
			}
			if tb.group != "" && m.read.snap != nil {
				if v := m.read.snap.Worst(tb.group); v == sources.Bad || v == sources.Watch || v == sources.Unreachable {
					c.mark, c.mst = t.Verdict(v)
				}
			}
			if i > 0 {
				b.WriteString(strings.Repeat(" ", gap))
				x += gap
			}
			w := ansi.StringWidth(c.text) + ansi.StringWidth(c.mark) + 2*pad
			side := strings.Repeat(" ", pad)
			if tb.id == current {
				b.WriteString(t.Selected.Render(side+c.text) + t.On(c.mst).Render(c.mark) + t.Selected.Render(side))
			} else {
				b.WriteString(side + t.Dim.Render(tb.key) + c.style.Render(c.text[len(tb.key):]) + c.mst.Render(c.mark) + side)
			}
			id := tb.id
			hits = append(hits, hit{x, y, w, func() tea.Cmd { return m.open(id, nil) }})
			x += w
		}
		return b.String(), hits, x
	}
	tries := []struct {
		short, letters bool
		gap, pad       int
	}{{false, false, 1, 1}, {false, false, 0, 1}, {false, false, 1, 0}, {true, false, 0, 1}, {true, false, 1, 0}, {true, true, 1, 0}}
	duty := m.dutyText()
	if need := ansi.StringWidth(duty) + 3; duty != "" {
		for _, try := range tries {
			if s, hits, w := build(try.short, try.letters, try.gap, try.pad); w+need <= m.width {
				return []string{s + strings.Repeat(" ", m.width-w-need+2) + duty + " "}, hits
			}
		}
	}
	for _, try := range tries {
		if s, hits, w := build(try.short, try.letters, try.gap, try.pad); w <= m.width || try.letters {
			if duty == "" {
				return []string{s}, hits
			}
			return []string{s, m.dutyRow(duty)}, hits
		}
	}
	return nil, nil
}

// titleRule is the line over a pane that has a title.
func (m *Model) titleRule(title string) string {
	way := ""
	if len(m.stack) > 1 {
		way = m.theme.Dim.Render("esc back")
	}
	return widget.Rule(m.theme, m.theme.Title.Render(oneLine(title)), way, m.width, m.theme.Dim)
}

// tabKeys are the digits that go somewhere: "1–7".
func (m *Model) tabKeys() string {
	last := "1"
	for _, t := range m.tabs {
		if t.key >= "1" && t.key <= "9" {
			last = t.key
		}
	}
	return "1–" + last
}

// footer is the last row: a notice, the newcomer's line, or the keys of the pane.
func (m *Model) footer() string {
	t := m.theme
	if m.notice.Text != "" {
		style := t.Bright
		if m.notice.Bad {
			style = t.Watch
		}
		return " " + style.Render(ansi.Truncate(oneLine(m.notice.Text), m.width-2, t.Glyphs.Ellipsis))
	}
	right := t.Key.Render("?") + t.Dim.Render(" keys  ") + t.Key.Render(":") + t.Dim.Render(" commands  ") + t.Key.Render("q") + t.Dim.Render(" leave ")
	if m.hint {
		s := m.opts.Hint
		if s == "" {
			s = "arrows and enter look closer · 1–7 go to a pane · g opens a request by its ID · t changes the time"
			switch {
			case m.width >= 150:
			case m.width >= 116:
				s = "enter looks closer · 1–7 go to a pane · g opens a request by ID · t sets the time"
			default:
				s = "enter looks closer · 1–7 panes · g request by ID · : commands · ? keys"
			}
			if words := m.offerWords(); words != "" {
				s = "R opens the runbook (" + words + ") · I opens an incident · " + s
				if m.width < 116 {
					s = "R opens the runbook · I an incident · enter looks closer · 1–7 panes · ? keys"
				}
			}
			s = strings.Replace(s, "1–7", m.tabKeys(), 1)
		}
		if t.Options.ASCII {
			s = strings.NewReplacer("–", "-", "·", "|").Replace(s)
		}
		if ansi.StringWidth(s)+ansi.StringWidth(right)+3 > m.width {
			s = ansi.Truncate(s, max(0, m.width-2), t.Glyphs.Ellipsis)
			right = ""
		}
		left := " " + t.Dim.Render(oneLine(s))
		return left + strings.Repeat(" ", max(0, m.width-ansi.StringWidth(left)-ansi.StringWidth(right))) + right
	}
	left := " "
	room := m.width - ansi.StringWidth(right) - 2
	for _, k := range m.paneKeys() {
		if !k.Enabled() || k.Help().Key == "" {
			continue
		}
		item := t.Key.Render(oneLine(k.Help().Key)) + " " + t.Dim.Render(oneLine(k.Help().Desc)) + "  "
		if ansi.StringWidth(left)+ansi.StringWidth(item) > room {
			break
		}
		left += item
	}
	return left + strings.Repeat(" ", max(0, m.width-ansi.StringWidth(left)-ansi.StringWidth(right))) + right
}
