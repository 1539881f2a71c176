package spending

import (
	"fmt"
	"math"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// head is what stands above what scrolls: the sentence, as long as it is where there is room.
func (p *Pane) head(c pane.Context) []string {
	t := c.Theme
	style, text := t.Dim, "Nothing here needs attention."
	if r := report(c); r != nil && r.Line != "" {
		style, text = t.Bright, p.text(c, r.Line)
	}
	var out []string
	for _, l := range kit.Lines(text, max(10, c.Width-2), max(1, c.Height/4), t.Glyphs.Ellipsis) {
		out = append(out, " "+style.Render(l))
	}
	return append(out, "")
}

// footLines are the lines below, where the selected item is said in full.
func footLines(c pane.Context) int {
	if c.Height >= 14 {
		return 3
	}
	return 1
}

// item is a row that can be selected.
type item struct {
	key          string
	section      string
	cells        []kit.Cell
	detail       string
	copied, what string
	open         *pane.OpenMsg
}

// section is a table of items.
type section struct {
	title string
	cols  []kit.Column
	empty string // what is said instead of rows
}

// line is one line of what scrolls: the row of an item, or words.
type line struct {
	item int // -1: none
	text string
}

// View draws the sentence, the tables, and the selected item in full.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	t := c.Theme
	r := report(c)
	if r == nil {
		return widget.Message(c.Width, c.Height, t.Glyphs.Ellipsis, t.Dim.Render("Nothing has been read yet; this fills as soon as a source answers."))
	}
	items := p.items(c)
	at := p.at(items)
	lines := p.lines(c, items)
	out := p.head(c)
	over := len(out)
	h := max(1, c.Height-over-footLines(c))
	p.scroll(lines, at, h)
	for i := p.top; i < min(len(lines), p.top+h); i++ {
		out = append(out, lines[i].text)
	}
	for len(out) < over+h {
		out = append(out, "")
	}
	foot := ""
	if at >= 0 {
		foot = items[at].detail
	}
	wrapped := kit.Wrap(p.text(c, foot), max(10, c.Width-2))
	n := footLines(c)
	for i := range n {
		s := ""
		if i > 0 || n == 1 {
			if k := i - min(1, n-1); k < len(wrapped) {
				s = " " + t.Plain.Render(wrapped[k])
			}
		}
		out = append(out, s)
	}
	return widget.Block(strings.Join(out, "\n"), c.Width, c.Height, t.Glyphs.Ellipsis)
}

// text makes words from outside safe, and fit for the terminal.
func (p *Pane) text(c pane.Context, s string) string {
	return widget.Words(widget.Plain(s), c.Theme.Options.ASCII)
}

// scroll keeps the selected row, and the title above the first, on the screen.
func (p *Pane) scroll(lines []line, at, h int) {
	for i, l := range lines {
		if l.item != at || at < 0 {
			continue
		}
		first := i
		if at == 0 {
			first = 0
		}
		if first < p.top {
			p.top = first
		}
		if i >= p.top+h {
			p.top = i - h + 1
		}
	}
	p.top = max(0, min(p.top, len(lines)-h))
}

func (p *Pane) lines(c pane.Context, items []item) []line {
	t := c.Theme
	at := p.at(items)
	var out []line
	say := func(s string) { out = append(out, line{-1, s}) }
	for n, s := range p.sections(c) {
		if n > 0 {
			say("")
		}
		say(" " + t.Title.Render(kit.Line(s.title, max(1, c.Width-2))))
		var rows []int
		for i := range items {
			if strings.HasPrefix(s.title, items[i].section) {
				rows = append(rows, i)
			}
		}
		if len(rows) == 0 {
			for _, l := range kit.Wrap(p.text(c, s.empty), max(10, c.Width-4)) {
				say("   " + t.Dim.Render(l))
			}
			continue
		}
		cols := s.cols
		for k := range cols {
			cols[k].Want = ansi.StringWidth(cols[k].Title)
			for _, i := range rows {
				cols[k].Want = max(cols[k].Want, min(120, ansi.StringWidth(kit.Line(items[i].cells[k].Text, 120))))
			}
			cols[k].Min = min(cols[k].Want, max(5, cols[k].Min))
		}
		placed := kit.Place(cols, c.Width)
		if cols[len(cols)-1].Title != "" || cols[0].Title != "" {
			say(kit.Header(t, cols, placed, c.Width))
		}
		for _, i := range rows {
			out = append(out, line{i, kit.Row(t, cols, placed, c.Width, i == at, func(k int) kit.Cell { return items[i].cells[k] })})
		}
	}
	if r := report(c); r != nil && len(r.Notes) > 0 {
		say("")
		for _, n := range r.Notes {
			for _, l := range kit.Wrap(p.text(c, n), max(10, c.Width-4)) {
				say("   " + t.Dim.Render(l))
			}
		}
	}
	return out
}

// The titles of the sections begin with these.
const (
	budgetsTitle  = "Budgets"
	loopsTitle    = "Loops"
	spendersTitle = "Who spends"
	cachesTitle   = "What caches save"
	unpricedTitle = "Not in these sums"
)

func (p *Pane) sections(c pane.Context) []section {
	r := report(c)
	number := func(title string, rank int) kit.Column {
		return kit.Column{Title: title, Right: true, Rank: rank, Min: 7}
	}
	word := func(title string, rank, least int) kit.Column {
		return kit.Column{Title: title, Rank: rank, Min: least}
	}
	loops := loopsTitle
	if l := &r.Loops; l.N > 0 {
		loops = fmt.Sprintf("%s: %d requests, %s", loopsTitle, l.N, p.usd(c, l.CostUSD, ""))
	}
	empty := "none: no request is far outside what is usual on its route"
	switch {
	case r.Requests == 0:
		empty = "cannot tell without request rows"
	case len(r.Loops.Unknown) > 0:
		empty += "; too few requests to know what is usual on " + strings.Join(r.Loops.Unknown, ", ")
	}
	who := spendersTitle
	if len(r.Top) > 0 {
		x := &r.Top[p.topIndex(r)]
		who += ", by " + strings.ReplaceAll(x.Attribute, "_", " ") + fmt.Sprintf(": %d of %d", len(x.Spenders), x.Values)
		who += " " + c.Theme.Glyphs.Dot + " left/right: other"
	}
	out := []section{
		{title: budgetsTitle, empty: "none; set them under budget of the service", cols: []kit.Column{
			word("", 0, 1), word("", 0, 6), number("", 1), number("", 0), number("", 0), word("", 2, 12),
		}},
		{title: loops, empty: empty, cols: []kit.Column{
			word("request", 0, 10), word("at", 5, 8), word("tenant", 1, 6), word("route", 4, 5), word("far outside", 2, 12), number("usual", 3), number("cost", 0), word("most called", 3, 10),
		}},
		{title: who, empty: "requests do not tell", cols: []kit.Column{
			word("", 0, 10), number("spent", 0), number("share", 0), number("requests", 2), number("usual", 3), number("", 3),
		}},
		{title: cachesTitle, empty: "cannot tell", cols: []kit.Column{
			word("", 0, 8), number("", 0), number("", 1), word("", 2, 12),
		}},
	}
	if len(r.Unpriced) > 0 {
		out = append(out, section{title: unpricedTitle + ": requests that tell no cost; add their models under prices", cols: []kit.Column{word("", 0, 10), number("", 0), number("", 1)}})
	}
	return out
}

func (p *Pane) usd(c pane.Context, n sources.Num, before string) string {
	if !n.OK {
		return kit.Unknown(c.Theme.Options.ASCII)
	}
	return p.text(c, before+sources.USD.Format(n.V))
}

func (p *Pane) items(c pane.Context) []item {
	r := report(c)
	if r == nil {
		return nil
	}
	var out []item
	for i := range r.Budgets {
		out = append(out, p.budget(c, r, &r.Budgets[i]))
	}
	for i := range r.Loops.Named {
		out = append(out, p.loop(c, &r.Loops.Named[i]))
	}
	if len(r.Top) > 0 {
		x := &r.Top[p.topIndex(r)]
		for i := range x.Spenders {
			out = append(out, p.spender(c, r, &x.Spenders[i]))
		}
	}
	t := c.Theme
	for i := range r.Caches {
		s := &r.Caches[i]
		hits := ""
		if s.HitRatio.OK {
			hits = sources.Ratio.Format(s.HitRatio.V) + " hits"
		}
		saved := p.usd(c, s.PerHour, "")
		if s.PerHour.OK {
			saved += "/h"
		}
		out = append(out, item{
			key: "cache " + s.Kind, section: cachesTitle, detail: s.Kind + " cache: " + s.Why, copied: s.Why, what: "what it says",
			open:  requestsWith(c, r, "cache", s.Kind),
			cells: []kit.Cell{{Text: s.Kind, Style: t.Plain}, {Text: saved, Style: t.Bright}, {Text: hits, Style: t.Plain}, {Text: p.text(c, s.Why), Style: t.Dim}},
		})
	}
	for i := range r.Unpriced {
		u := &r.Unpriced[i]
		name := u.Model
		if name == "" {
			name = "no model told"
		}
		out = append(out, item{
			key: "unpriced " + u.Model, section: unpricedTitle, copied: u.Model, what: "the model", open: requestsWith(c, r, "model_served", u.Model),
			detail: fmt.Sprintf("%s: %d requests used %s and tell no cost; no sum counts them as free", name, u.Requests, sources.Tokens.Format(u.Tokens)),
			cells:  []kit.Cell{{Text: name, Style: t.Watch}, {Text: sources.Counted(u.Requests, "request"), Style: t.Plain}, {Text: sources.Tokens.Format(u.Tokens), Style: t.Plain}},
		})
	}
	return out
}

func (p *Pane) budget(c pane.Context, r *spend.Report, b *spend.Budget) item {
	t := c.Theme
	glyph, style := t.Verdict(b.Verdict)
	used := ""
	if b.Used.OK {
		used = sources.Ratio.Format(b.Used.V)
	}
	x := item{key: "budget " + b.Scope, section: budgetsTitle, copied: b.Why, what: "what it says"}
	x.detail = fmt.Sprintf("%s, %s of %s: %s", spend.ScopeWords(b.Scope), p.usd(c, b.Spent, ""), sources.USD.Format(b.USD), b.Why)
	if o := b.Outlook; o != nil && o.Low.OK {
		x.detail += fmt.Sprintf(". %s to %s by the end, by the %s", sources.USD.Format(o.Low.V), sources.USD.Format(o.High.V), o.Method)
		if o.Days > 0 {
			x.detail += fmt.Sprintf(" (%d)", o.Days)
		}
	}
	x.open = &pane.OpenMsg{ID: pane.Signal, Arg: map[string]string{"hour": "budget_hour", "user_hour": "budget_user_hour", "request": "budget_request"}[b.Scope]}
	switch {
	case b.Scope == "day" || b.Scope == "period":
		x.open.Arg = "budget_used"
	case b.Who != "" && b.Scope == "request":
		x.detail += "; the dearest is " + b.Who
		x.open, x.copied, x.what = &pane.OpenMsg{ID: pane.Request, Arg: b.Who}, b.Who, "request ID"
	case b.Who != "" && b.Scope == "user_hour":
		x.detail += ", by " + b.Who
		x.open, x.copied, x.what = requestsWith(c, r, "user", b.Who), b.Who, "user"
	}
	why := t.Plain
	if b.Verdict == sources.Bad || b.Verdict == sources.Watch {
		why = style
	}
	x.cells = []kit.Cell{
		{Text: glyph, Style: style},
		{Text: spend.ScopeWords(b.Scope), Style: t.Plain},
		{Text: p.usd(c, b.Spent, ""), Style: t.Plain},
		{Text: "of " + sources.USD.Format(b.USD), Style: t.Dim},
		{Text: used, Style: t.Bright},
		{Text: p.text(c, b.Why), Style: why},
	}
	return x
}

func (p *Pane) loop(c pane.Context, l *spend.Loop) item {
	t := c.Theme
	tool, said := "", ""
	if l.Tool != "" {
		tool = fmt.Sprintf("%s %d%s", l.Tool, l.Times, t.Glyphs.Times)
		said = fmt.Sprintf(", %s called %d times", l.Tool, l.Times)
	}
	usual := sources.Short(math.Round(l.Usual))
	return item{
		key: "loop " + l.RequestID, section: loopsTitle, copied: l.RequestID, what: "request ID", open: &pane.OpenMsg{ID: pane.Request, Arg: l.RequestID},
		detail: fmt.Sprintf("%s of %s on %s: %s %s, usually %s (z %.1f)%s, %s", l.RequestID, word(l.Tenant), word(l.Route),
			sources.Short(l.Value), l.Count, usual, l.Z, said, p.usd(c, l.CostUSD, "")),
		cells: []kit.Cell{
			{Text: l.RequestID, Style: t.Bright},
			{Text: kit.Clock(c, l.Time), Style: t.Dim},
			{Text: word(l.Tenant), Style: t.Plain},
			{Text: word(l.Route), Style: t.Plain},
			{Text: sources.Short(l.Value) + " " + l.Count, Style: t.Watch},
			{Text: usual, Style: t.Dim},
			{Text: p.usd(c, l.CostUSD, ""), Style: t.Plain},
			{Text: tool, Style: t.Plain},
		},
	}
}

func word(s string) string {
	if s == "" {
		return "(not told)"
	}
	return s
}

func (p *Pane) spender(c pane.Context, r *spend.Report, s *spend.Spender) item {
	t := c.Theme
	usd := p.usd(c, sources.N(s.USD), map[bool]string{true: "≥ "}[s.AtLeast])
	if s.Estimate.OK {
		usd = p.usd(c, s.Estimate, "≈ ")
	}
	share := kit.Unknown(t.Options.ASCII)
	if s.Share.OK {
		share = sources.Ratio.Format(s.Share.V)
	}
	ratio, usual := "", "what is usual of it is not known yet"
	style := t.Dim
	if s.Ratio.OK {
		ratio = fmt.Sprintf("%.1f%s", s.Ratio.V, t.Glyphs.Times)
		if s.Ratio.V >= 3 {
			style = t.Watch
		}
	}
	before := s.Usual
	if s.Estimate.OK && s.USD > 0 { // compared like with like
		before.V *= s.Estimate.V / s.USD
	}
	if s.Usual.OK {
		usual = fmt.Sprintf("usually %s at this hour (%d days)", sources.USD.Format(before.V), s.Days)
	}
	return item{
		key: spenderKey(s), section: spendersTitle, copied: s.Value, what: s.Attribute, open: requestsWith(c, r, s.Attribute, s.Value),
		detail: fmt.Sprintf("%s %s: %s by %s, %s of what was spent; %s", strings.ReplaceAll(s.Attribute, "_", " "), word(s.Value), usd,
			sources.Counted(s.Requests, "request"), share, usual),
		cells: []kit.Cell{
			{Text: word(s.Value), Style: t.Plain},
			{Text: usd, Style: t.Bright},
			{Text: share, Style: t.Plain},
			{Text: sources.Thousands(s.Requests), Style: t.Plain},
			{Text: p.usd(c, before, ""), Style: t.Dim},
			{Text: ratio, Style: style},
		},
	}
}
