package request

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/requests"
	"rollcall/tui/widget"
)

// width of a string in columns.
func width(s string) int { return ansi.StringWidth(s) }

// twoColumns is the width from which sections stand side by side.
const twoColumns = 110

// allStacked is the height from which a narrow screen shows all sections below each other.
const allStacked = 44

// block is a section with its place on the screen.
type block struct {
	sec        section
	x, y, w, h int
}

// above is how many lines of a block come before its rows.
func (b block) above(s section) int {
	if s == secTrace {
		return 2 // title and time axis
	}
	return 1
}

// rows is how many rows of its list or text a block shows.
func (p *Pane) rows(b block) int {
	h := b.h - b.above(b.sec)
	if b.sec == secTrace && len(p.view.Logs.Lines) > 0 {
		h-- // log marks below the bars
	}
	return max(1, h)
}

// single tells whether only one section is on the screen, named by tabs.
func (p *Pane) single(c pane.Context) bool {
	return !p.zoom && c.Width < twoColumns && c.Height < allStacked
}

// layout shares out the screen below the head and above the last line.
func (p *Pane) layout(c pane.Context) []block {
	top := len(p.head(c))
	h := c.Height - top - 1
	if p.single(c) {
		top++ // tabs
		h--
	}
	if h < 2 {
		return nil
	}
	switch {
	case p.zoom || p.single(c):
		return []block{{p.focus, 0, top, c.Width, h}}
	case c.Width < twoColumns:
		return p.stack(c, []section{secTrace, secLogs, secVerdicts, secVersions, secContent, secAlike}, 0, top, c.Width, h)
	}
	left := max(70, c.Width*56/100)
	a, b := []section{secTrace, secLogs, secAlike}, []section{secVerdicts, secVersions, secContent}
	free := h - 7 // titles, time axis, log marks, empty lines
	for _, s := range a {
		free -= p.length(c, s, left)
	}
	if free > min(12, p.length(c, secContent, left)) { // a tall screen: text reads better in the wider column
		a, b = []section{secTrace, secLogs, secContent, secAlike}, b[:2]
	}
	out := p.stack(c, a, 0, top, left, h)
	return append(out, p.stack(c, b, left+2, top, c.Width-left-2, h)...)
}

// coreLines is how many lines of the versions stand before the list of every column.
func coreLines(lines []string) int {
	if i := slices.Index(lines, ""); i >= 0 {
		return i
	}
	return len(lines)
}

// stack places sections below each other: each gets what it needs to be of use,
// then what it wants, in order; one takes what is left.
func (p *Pane) stack(c pane.Context, secs []section, x, y, w, h int) []block {
	want := make([]int, len(secs))
	give := make([]int, len(secs))
	spare := h
	least := [secCount]int{secTrace: 14, secLogs: 6, secVerdicts: 9, secVersions: 10, secContent: 7, secAlike: 4}
	for i, s := range secs {
		b := block{sec: s, w: w}
		n := p.length(c, s, w)
		want[i] = max(2, n+b.above(s)+1) // and an empty line below
		if s == secTrace && len(p.view.Logs.Lines) > 0 {
			want[i]++
		}
		least := least[s]
		if s == secVersions {
			least = 1 + coreLines(p.text(c, s, w))
		}
		give[i] = min(want[i], least)
		spare -= give[i]
	}
	for ; spare < 0; spare++ { // not even that: the largest gives first
		most := 0
		for i := range give {
			if give[i] > give[most] {
				most = i
			}
		}
		give[most]--
	}
	last := len(secs) - 1
	for _, whole := range []bool{false, true} {
		for i, s := range secs {
			if s == secVersions && !whole {
				last = i // the list of every column is for the one who scrolls: it gets what nobody else wants
				continue
			}
			more := max(0, min(spare, want[i]-give[i]))
			give[i] += more
			spare -= more
		}
	}
	give[last] += spare
	out := make([]block, 0, len(secs))
	for i, s := range secs {
		hh := min(give[i], h)
		if hh < 2 {
			continue
		}
		out = append(out, block{s, x, y, w, hh})
		y += hh
		h -= hh
	}
	return out
}

// length is how many rows a section has in all.
func (p *Pane) length(c pane.Context, s section, w int) int {
	switch s {
	case secTrace:
		return max(1, len(p.shown))
	case secLogs:
		return max(1, len(p.view.Logs.Lines))
	case secAlike:
		return max(1, len(p.view.Alike))
	}
	return len(p.text(c, s, w))
}

// extent is how many rows a section has and how many of them can be seen.
func (p *Pane) extent(c pane.Context, s section) (n, h int) {
	w := c.Width
	h = 1
	for _, b := range p.layout(c) {
		if b.sec == s {
			w, h = b.w, p.rows(b)
		}
	}
	switch s {
	case secTrace:
		n = len(p.shown)
	case secLogs:
		n = len(p.view.Logs.Lines)
	case secAlike:
		n = len(p.view.Alike)
	default:
		n = len(p.text(c, s, w))
	}
	return n, h
}

// View draws the request, or in words why there is none.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	e := c.Theme.Glyphs.Ellipsis
	if p.view == nil || !p.found() {
		return widget.Block(strings.Join(p.nothing(c), "\n"), c.Width, c.Height, e)
	}
	if p.detail != nil {
		return widget.Block(strings.Join(p.viewDetail(c), "\n"), c.Width, c.Height, e)
	}
	lines := p.head(c)
	if p.single(c) {
		lines = append(lines, p.tabs(c))
	}
	body := p.body(c, p.layout(c), c.Height-len(lines)-1)
	lines = append(lines, body...)
	lines = append(lines[:min(len(lines), c.Height-1)], p.bottom(c))
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, e)
}

// body draws the blocks into h lines, those that stand beside each other joined.
func (p *Pane) body(c pane.Context, blocks []block, h int) []string {
	if h <= 0 {
		return nil
	}
	var left, right []string
	lw := c.Width
	for _, b := range blocks {
		drawn := p.block(c, b)
		if b.x == 0 {
			left = append(left, drawn...)
			lw = b.w
		} else {
			right = append(right, drawn...)
		}
	}
	if len(right) == 0 {
		for len(left) < h {
			left = append(left, "")
		}
		return left[:h]
	}
	out := make([]string, h)
	for i := range out {
		var l, r string
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		out[i] = widget.Fit(l, lw, "") + "  " + r
	}
	return out
}

// block draws one section into exactly b.h lines.
func (p *Pane) block(c pane.Context, b block) []string {
	t := c.Theme
	focused := p.focus == b.sec
	out := append(make([]string, 0, b.h), p.title(c, b, focused))
	h := p.rows(b)
	switch b.sec {
	case secTrace:
		g := gridOf(b.w)
		out = append(out, p.trace.scale(c, g, b.w))
		l := &p.lists[secTrace]
		l.Clamp(len(p.shown), h)
		if len(p.shown) == 0 {
			out = append(out, "   "+t.Dim.Render("No spans of this request have arrived."))
		}
		for i := l.Top; i < min(len(p.shown), l.Top+h); i++ {
			n := p.shown[i]
			out = append(out, p.trace.row(c, n, g, p.closed[p.trace.nodes[n].span.SpanID], focused && i == l.Cursor, b.w))
		}
		if len(p.view.Logs.Lines) > 0 {
			sel := -1
			if p.focus == secLogs {
				sel = p.lists[secLogs].Cursor
			}
			out = append(out, p.trace.marks(c, p.view.Logs.Lines, sel, g, b.w))
		}
	case secLogs:
		l := &p.lists[secLogs]
		l.Clamp(len(p.view.Logs.Lines), h)
		if len(p.view.Logs.Lines) == 0 {
			out = append(out, "   "+t.Dim.Render(p.noLogs()))
		}
		for i := l.Top; i < min(len(p.view.Logs.Lines), l.Top+h); i++ {
			out = append(out, p.logLine(c, &p.view.Logs.Lines[i], focused && i == l.Cursor, b.w))
		}
	case secAlike:
		l := &p.lists[secAlike]
		l.Clamp(len(p.view.Alike), h)
		if len(p.view.Alike) == 0 {
			words := "No other request failed the same way."
			if len(p.view.Request.Bad()) == 0 {
				words = "This request did not fail."
			}
			out = append(out, "   "+t.Dim.Render(words))
		}
		for i := l.Top; i < min(len(p.view.Alike), l.Top+h); i++ {
			out = append(out, alikeLine(c, &p.view.Alike[i], focused && i == l.Cursor, b.w))
		}
	default:
		lines := p.text(c, b.sec, b.w)
		s := &p.scroll[b.sec]
		s.Clamp(len(lines), h)
		for _, l := range kit.Window(lines, s.Top, h) {
			out = append(out, widget.Fit(l, b.w, t.Glyphs.Ellipsis))
		}
	}
	for len(out) < b.h {
		out = append(out, "")
	}
	return out[:b.h]
}

// noLogs says why there are no lines, in the words of the source when it said something.
func (p *Pane) noLogs() string {
	for i := range p.view.Answers {
		if a := &p.view.Answers[i]; a.Source == "loki" && a.Note != "" {
			return "No log lines: " + a.Note
		}
	}
	return "No log line carries this ID."
}

// logLine draws a line with its offset from the start of the trace.
func (p *Pane) logLine(c pane.Context, l *sources.LogLine, selected bool, w int) string {
	t := c.Theme
	s := kit.Summarize(l)
	shape, word, st := kit.Level(t, l.Level)
	cursor := "  "
	if selected {
		cursor = widget.Fit(t.Glyphs.Cursor, 2, "")
	}
	off := widget.FitLeft(kit.Offset(p.trace.offset(l.Time)), 9, "")
	msg := kit.Line(s.Message, w)
	var rest strings.Builder
	for _, f := range s.Fields {
		if kit.Repeated(f.Key) || f.Key == "request_id" || rest.Len() > w*4 {
			continue
		}
		rest.WriteString("  " + kit.Line(f.Key+"="+f.Value, w))
	}
	if selected {
		return t.Selected.Render(widget.Fit(cursor+off+"  "+shape+" "+word+"  "+msg+rest.String(), w, t.Glyphs.Ellipsis))
	}
	return widget.Fit(cursor+t.Dim.Render(off)+"  "+st.Render(shape+" "+word)+"  "+msg+t.Dim.Render(rest.String()), w, t.Glyphs.Ellipsis)
}

// title draws the name of a section with what is to know about it, and a rule to the edge.
func (p *Pane) title(c pane.Context, b block, focused bool) string {
	t := c.Theme
	name := t.Title.Render(sectionNames[b.sec])
	mark := " "
	if focused {
		mark = t.Accent.Render(t.Glyphs.Cursor)
		name = t.Accent.Render(sectionNames[b.sec])
	}
	words := ""
	switch b.sec {
	case secTrace:
		words = t.Dim.Render(p.trace.words(t.Options.ASCII))
	case secLogs:
		words = t.Dim.Render(logWords(p.view.Logs.Facts, len(p.view.Logs.Lines)))
	case secContent:
		words = p.pieceTabs(t)
	case secAlike:
		if n := len(p.view.Alike); n > 0 {
			words = t.Dim.Render(sources.Counted(n, "request") + " that failed the same way")
		}
	}
	if below := p.length(c, b.sec, b.w) - p.lists[b.sec].Top - p.scroll[b.sec].Top - p.rows(b); below > 0 {
		if words != "" {
			words += t.Dim.Render(", ")
		}
		words += t.Dim.Render(sources.Thousands(below) + " more below")
	}
	s := mark + name + " "
	if words != "" {
		s += " " + words + " "
	}
	n := width(s)
	if n > b.w {
		return widget.Fit(s, b.w, t.Glyphs.Ellipsis)
	}
	return s + t.Dim.Render(strings.Repeat(rule(c), b.w-n))
}

func rule(c pane.Context) string { return c.Theme.Glyphs.Border.Top }

func logWords(f sources.Facts, n int) string {
	s := sources.Counted(n, "line")
	if f.Truncated() && n > 0 {
		s = sources.Thousands(n) + " of more"
		if f.Total > 0 {
			s = sources.Thousands(n) + " of " + sources.Counted(f.Total, "line")
		}
	}
	if f.Partial != "" {
		s += ", partial: " + f.Partial
	}
	if f.Stale != "" {
		s += ", stale: " + f.Stale
	}
	return s
}

// fact is a label with its value in the head.
type fact struct {
	label, value string
	style        lipgloss.Style
}

// head says who asked what, how it went and what it took; it has two to five lines.
func (p *Pane) head(c pane.Context) []string {
	t := c.Theme
	r := &p.view.Request
	ascii := t.Options.ASCII
	shape, st, words := requests.Outcome(t, r)
	id := bestID(r)
	if id == "" {
		id = p.id
	}
	first := []kit.Piece{
		{Text: id, Style: t.Bright},
		{Text: shape + " " + words, Style: st},
	}
	if !r.Time.IsZero() {
		first = append(first, kit.Piece{Text: kit.Moment(c, r.Time), Style: t.Plain},
			kit.Piece{Text: kit.Ago(c.Now.Sub(r.Time)), Style: t.Dim})
	}
	if r.Environment != "" {
		first = append(first, kit.Piece{Text: r.Environment, Style: t.Dim})
	}
	out := []string{" " + kit.Pieces(t, c.Width-1, first...)}

	var facts []fact
	add := func(label, value string, bad bool) {
		if value == "" {
			return
		}
		s := t.Plain
		if bad {
			s = t.Bad
			value = t.Glyphs.Bad + " " + value
		}
		facts = append(facts, fact{label, value, s})
	}
	add("route", r.Route, false)
	add("tenant", r.Tenant, false)
	add("region", r.Region, false)
	add("user", strings.TrimPrefix(r.User, "user:"), false)
	num := func(label string, n sources.Num, write func(sources.Num, bool) string) {
		if n.OK {
			add(label, write(n, ascii), false)
		}
	}
	num("latency", r.Latency, kit.Seconds)
	num("ttft", r.TTFT, kit.Seconds)
	add("tokens", tokens(r, ascii), false)
	num("cost", r.CostUSD, kit.USD)
	add("finish", r.FinishReason, r.FinishReason == "length")
	add("schema", r.Schema, r.Schema == "fail")
	add("filter", r.Filter, r.Filter != "none")
	add("feedback", r.Feedback, r.Feedback == "down")
	add("cache", r.Cache, false)
	for i := range r.Scores {
		if s := &r.Scores[i]; s.Value.OK {
			add(s.Evaluator, kit.Score(s.Value.V), scoreVerdict(s.Label) == sources.Bad)
		}
	}
	most := 2
	if c.Width < twoColumns {
		most = 3
	}
	if c.Height < 12 {
		most = 1
	}
	return append(out, flow(c, facts, c.Width-1, most)...)
}

// flow fills lines of w columns with facts; what does not fit is in the sections.
func flow(c pane.Context, facts []fact, w, most int) []string {
	t := c.Theme
	var out []string
	var b strings.Builder
	used := 0
	for _, f := range facts {
		label, value := kit.Line(f.label, 20), kit.Line(f.value, 40)
		value = ansi.Truncate(value, 40, t.Glyphs.Ellipsis)
		n := width(label) + 1 + width(value)
		if used > 0 && used+3+n > w {
			out = append(out, b.String())
			if len(out) == most {
				return out
			}
			b.Reset()
			used = 0
		}
		if used > 0 {
			b.WriteString("   ")
			used += 3
		} else {
			b.WriteString(" ")
		}
		b.WriteString(t.Dim.Render(label) + " " + f.style.Render(value))
		used += n
	}
	if used > 0 {
		out = append(out, b.String())
	}
	return out
}

// tabs names the sections where only one fits.
func (p *Pane) tabs(c pane.Context) string {
	t := c.Theme
	var b strings.Builder
	for _, tab := range p.tabList() {
		if tab.sec == p.focus {
			b.WriteString(t.Selected.Render("[" + tab.words + "]"))
		} else {
			b.WriteString(t.Dim.Render(" " + tab.words + " "))
		}
	}
	return widget.Fit(b.String(), c.Width, t.Glyphs.Ellipsis)
}

type tab struct {
	sec   section
	words string
}

func (p *Pane) tabList() []tab {
	out := make([]tab, 0, secCount)
	for s := range secCount {
		words := sectionNames[s]
		n := 0
		switch s {
		case secLogs:
			n = len(p.view.Logs.Lines)
		case secVersions:
			n = len(p.view.Diff)
		case secAlike:
			n = len(p.view.Alike)
		}
		if n > 0 {
			words += " " + sources.Thousands(n)
		}
		out = append(out, tab{s, words})
	}
	return out
}

// tabAt is the section whose tab stands at a place of the screen.
func (p *Pane) tabAt(c pane.Context, x, y int) (section, bool) {
	if !p.single(c) || y != len(p.head(c)) {
		return 0, false
	}
	at := 0
	for _, tab := range p.tabList() {
		n := width(tab.words) + 2
		if x >= at && x < at+n {
			return tab.sec, true
		}
		at += n
	}
	return 0, false
}

// bottom says which source answered and which has nothing.
func (p *Pane) bottom(c pane.Context) string {
	t := c.Theme
	var out []kit.Piece
	if p.err != nil {
		out = append(out, kit.Piece{Text: "older answer: " + p.err.Error(), Style: t.Watch})
	}
	for i := range p.view.Answers {
		a := &p.view.Answers[i]
		v, st := sources.NoTraffic, t.Dim
		if a.Found {
			v = sources.OK
		}
		shape, _ := t.Verdict(v)
		out = append(out, kit.Piece{Text: strings.TrimSpace(shape + " " + a.Source + " " + a.Note), Style: st})
	}
	if p.loading && len(out) == 0 {
		out = append(out, kit.Piece{Text: "reading", Style: t.Dim})
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

func (p *Pane) detailHeight(c pane.Context) int { return max(1, c.Height-3) }

// viewDetail draws a span or a line in full, under the line that says of which request.
func (p *Pane) viewDetail(c pane.Context) []string {
	t := c.Theme
	d := p.detail
	if on := (textKey{width: c.Width, local: c.LocalTime, theme: c.Theme}); d.on != on {
		d.made, d.on = d.lines(c, c.Width), on
	}
	h := p.detailHeight(c)
	d.scroll.Clamp(len(d.made), h)
	name := kit.Line(d.name, c.Width)
	pad := max(0, c.Width-width(name)-3)
	out := []string{p.head(c)[0], " " + t.Accent.Render(ansi.Truncate(name, max(1, c.Width-2), t.Glyphs.Ellipsis)) + " " + t.Dim.Render(strings.Repeat(rule(c), pad))}
	out = append(out, kit.Window(d.made, d.scroll.Top, h)...)
	for len(out) < c.Height-1 {
		out = append(out, "")
	}
	last := ""
	if rest := len(d.made) - d.scroll.Top - h; rest > 0 {
		last = " " + t.Dim.Render(sources.Counted(rest, "line")+" more below")
	}
	return append(out, last)
}

// nothing says in words that the request is being read, is not known, or could not be read.
func (p *Pane) nothing(c pane.Context) []string {
	t := c.Theme
	out := []string{""}
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	switch {
	case p.id == "":
		say(t.Plain, "No request is open.")
		say(t.Dim, "Press enter on a row of Requests, or type :request and an ID: the request's, the trace's or the provider's response ID.")
		return out
	case p.loading && p.err == nil && p.view == nil:
		say(t.Dim, "Reading request "+p.id+t.Glyphs.Ellipsis)
		return out
	}
	shape, st := t.Verdict(sources.NoTraffic)
	if p.err != nil {
		shape, st = t.Verdict(sources.Unreachable)
	}
	say(st, shape+" Request "+p.id+" was not found.")
	if p.err != nil {
		say(t.Plain, p.err.Error())
	}
	if p.view != nil && len(p.view.Answers) > 0 {
		out = append(out, "")
		out = append(out, sourceLines(c, p.view, c.Width-2)...)
	}
	out = append(out, "")
	say(t.Dim, "What to try:")
	for _, s := range []string{
		"another of its IDs: request, trace or response ID",
		"Requests (6) with a longer range, filtered with / by tenant, route or time",
		"Logs (7) with / and the ID: the lines name its trace",
		"rollcall doctor, which says whether traces arrive at all",
	} {
		say(t.Dim, t.Glyphs.Dot+" "+s)
	}
	if c.Now.IsZero() || !c.View.Live() {
		return out
	}
	say(t.Dim, "It is looked for again with every refresh: spans of a running request arrive when it ends.")
	return out
}
