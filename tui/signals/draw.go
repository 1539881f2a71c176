package signals

import (
	"fmt"
	"math"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// View draws the signal: a headline, the chart, the details.
func (o *One) View(c pane.Context) string {
	r, ok := o.get(c)
	if !ok {
		word := "No signal is called " + o.id + ". esc goes back."
		if c.Snapshot == nil {
			word = ""
		}
		return widget.Block("\n  "+word, c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
	}
	k := oneKey{c.Snapshot, c.Theme, c.Width, c.Height, o.id, o.by, o.asked, o.reading, o.top, c.LocalTime, len(o.parts)}
	if k != o.cached || o.cache == "" {
		o.cache, o.cached = o.draw(c, &r), k
	}
	return o.cache
}

func (o *One) draw(c pane.Context, r *sources.Reading) string {
	t := c.Theme
	head := o.headline(c, r)
	var left, right []string
	leftW := c.Width/2 - 2
	wide := c.Width >= 110
	if wide {
		right = o.partLines(c, r, c.Width-leftW-3)
		if right == nil {
			leftW = c.Width - 3
		}
		left = o.factLines(c, r, leftW-1)
	} else {
		left = append(o.partLines(c, r, c.Width-2), o.factLines(c, r, c.Width-2)...)
	}
	details := max(len(left), len(right))
	room := c.Height - len(head) - 1
	show := min(details, max(5, room*2/5))
	if room-show > 26 { // a chart need not be higher than that while lines wait
		show = min(details, room-26)
	}
	chartH := room - show
	lines := append([]string(nil), head...)
	if r.Known || len(r.History) > 0 {
		ch := widget.ReadingChart(t, c.Snapshot, r, c.LocalTime)
		o.splitChart(c, &ch)
		for _, l := range ch.Draw(t, c.Width-3, chartH) {
			lines = append(lines, " "+l)
		}
	} else {
		for i := range chartH {
			line := ""
			if i == chartH/2 {
				line = "   " + t.Dim.Render("Nothing to draw: "+string(r.Verdict)+".")
			}
			lines = append(lines, line)
		}
	}
	o.max = max(0, details-show)
	o.top = max(0, min(o.top, o.max))
	more := ""
	if o.max > o.top {
		more = t.Dim.Render(fmt.Sprintf("%d more lines below", o.max-o.top))
	}
	lines = append(lines, widget.Rule(t, "", more, c.Width, t.Dim))
	at := func(s []string, i int) string {
		if i < len(s) {
			return s[i]
		}
		return ""
	}
	for i := o.top; i < o.top+show; i++ {
		if wide {
			lines = append(lines, " "+widget.Fit(at(left, i), leftW, t.Glyphs.Ellipsis)+" "+at(right, i))
		} else {
			lines = append(lines, " "+at(left, i))
		}
	}
	return widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, t.Glyphs.Ellipsis)
}

// headline is the value, its verdict, and what stands behind it.
func (o *One) headline(c pane.Context, r *sources.Reading) []string {
	t := c.Theme
	ascii := t.Options.ASCII
	glyph, verdict := t.Verdict(r.Verdict)
	s := " " + verdict.Render(glyph) + " " + t.Bright.Bold(true).Render(widget.Text(r, ascii)) + "  " + verdict.Render(string(r.Verdict)) + t.Dim.Render("  "+reason(r, t))
	dot := " " + t.Glyphs.Dot + " "
	var more []string
	if !r.Since.IsZero() {
		more = append(more, "since "+widget.Day(r.Since, c.Now, c.LocalTime)+" ("+widget.Span(c.Snapshot.At.Sub(r.Since).Truncate(1e9))+")")
	}
	if u := r.Usual; u != nil && u.Days > 0 {
		dash := "–"
		if ascii {
			dash = "-"
		}
		more = append(more, fmt.Sprintf("usual %s (%s%s%s, %d days)", widget.Amount(u.Value, r.Unit, ascii),
			widget.Amount(u.Low, r.Unit, ascii), dash, widget.Amount(u.High, r.Unit, ascii), u.Days))
	}
	if r.N > 0 {
		more = append(more, fmt.Sprintf("%s events in %s", widget.Amount(r.N, sources.Count, ascii), widget.Span(c.Snapshot.Window)))
	}
	return []string{s, "   " + t.Dim.Render(strings.Join(more, dot))}
}

// splitChart replaces the one line by one for each part of the split.
func (o *One) splitChart(c pane.Context, ch *widget.Chart) {
	if o.by == "" || len(o.parts) == 0 {
		return
	}
	styles := c.Theme.Series
	ch.Lines, ch.Band = nil, nil
	for i := range o.parts[:min(len(o.parts), len(styles))] {
		p := &o.parts[i]
		ch.Lines = append(ch.Lines, widget.Line{Name: widget.Plain(p.Name), Points: p.History, Style: styles[i]})
		for _, x := range p.History {
			if !math.IsNaN(x.V) && !math.IsInf(x.V, 0) {
				ch.Scale.Hi, ch.Scale.Lo = max(ch.Scale.Hi, x.V), min(ch.Scale.Lo, x.V)
			}
		}
	}
	if len(ch.Lines) == 1 { // a name even for one
		ch.Lines = append(ch.Lines, widget.Line{Style: c.Theme.Dim})
	}
}

// partLines is the table of the split, or of the elements of the reading.
func (o *One) partLines(c pane.Context, r *sources.Reading, w int) []string {
	t := c.Theme
	parts, title := r.Parts, "Parts"
	if o.by != "" {
		parts, title = o.parts, "By "+o.by
	}
	out := []string{}
	switch {
	case o.by != "" && o.err != "":
		return append(out, t.Title.Render(title), t.Watch.Render(t.Glyphs.Unreachable+" "+ansi.Truncate(widget.Plain(o.err), w-4, t.Glyphs.Ellipsis)), "")
	case o.by != "" && o.reading && len(parts) == 0:
		return append(out, t.Title.Render(title), t.Dim.Render("reading"+t.Glyphs.Ellipsis), "")
	case o.by != "" && len(parts) == 0:
		return append(out, t.Title.Render(title), t.Dim.Render("this signal does not carry the "+o.by+" version"), "")
	case len(parts) == 0:
		return nil
	}
	out = append(out, t.Title.Render(title))
	nameW := 8
	for i := range parts {
		nameW = max(nameW, ansi.StringWidth(widget.Plain(parts[i].Name)))
	}
	nameW = min(nameW, max(10, w/3))
	sparkW := max(0, min(30, w-nameW-26))
	styles := c.Theme.Series
	start, end := widget.Align(c.Snapshot.At.Add(-c.Snapshot.View.Range), c.Snapshot.At, sparkW)
	scale := widget.ScaleOf(r)
	for i := range parts {
		p := &parts[i]
		glyph, vs := " ", t.Plain
		if p.Verdict != "" {
			glyph, vs = t.Verdict(p.Verdict)
		}
		name := t.Plain
		if o.by != "" && i < len(styles) {
			name = styles[i]
		}
		var num, unit string
		if p.Verdict != sources.NoTraffic { // it has no value now, and nothing is not zero
			num, unit = widget.Value(p.Value, r.Unit, t.Options.ASCII)
		}
		n := ""
		if p.N > 0 {
			n = "n " + widget.Amount(p.N, sources.Count, t.Options.ASCII)
		}
		line := name.Render(widget.Fit(widget.Plain(p.Name), nameW, t.Glyphs.Ellipsis)) + " " + vs.Render(glyph) + " " +
			t.Bright.Render(widget.FitLeft(num, 7, t.Glyphs.Ellipsis)) + t.Dim.Render(widget.Fit(unit, 4, "")) + " " +
			t.Dim.Render(widget.Fit(n, 8, t.Glyphs.Ellipsis))
		if len(p.History) > 0 && sparkW >= 4 {
			line += " " + t.Faint.Render(widget.Spark(p.History, start, end, sparkW, scale, t.Glyphs.Spark))
		}
		out = append(out, line)
	}
	if o.by != "" {
		out = append(out, o.factWords(c, &o.facts)...)
	}
	return append(out, "")
}

// factLines say where the reading comes from and how far it can be trusted.
func (o *One) factLines(c pane.Context, r *sources.Reading, w int) []string {
	t := c.Theme
	ascii := t.Options.ASCII
	row := func(k, v string) string { return t.Dim.Render(widget.Fit(k, 11, "")) + v }
	var out []string
	out = append(out, t.Title.Render("Facts"))
	if r.Threshold != nil {
		word := "over"
		if r.Direction == sources.LowerWorse {
			word = "under"
		}
		var s []string
		if !math.IsNaN(r.Threshold.Watch) {
			s = append(s, "watch "+word+" "+widget.Short(r.Threshold.Watch, r.Unit, ascii))
		}
		if !math.IsNaN(r.Threshold.Bad) {
			s = append(s, "bad "+word+" "+widget.Short(r.Threshold.Bad, r.Unit, ascii))
		}
		out = append(out, row("threshold", strings.Join(s, ", ")))
	} else {
		out = append(out, row("threshold", t.Dim.Render("none set; thresholds."+r.Signal+" in the config sets one")))
	}
	if r.Provenance.Provider != "" {
		s := r.Provenance.Provider
		if r.Provenance.Profile != "" {
			s += ", profile " + r.Provenance.Profile
		}
		if r.Facts.Took > 0 {
			s += ", " + widget.Latency(r.Facts.Took)
		}
		out = append(out, row("from", widget.Plain(s)))
		if !r.Facts.At.IsZero() {
			out = append(out, row("newest", widget.Day(r.Facts.At, c.Now, c.LocalTime)))
		}
	} else {
		out = append(out, row("from", t.Dim.Render("no source has it")))
	}
	out = append(out, o.factWords(c, &r.Facts)...)
	if q := widget.Plain(r.Provenance.Query); q != "" {
		for i, l := range strings.Split(ansi.Hardwrap(q, max(20, w-12), true), "\n") {
			k := ""
			if i == 0 {
				k = "query"
			}
			out = append(out, row(k, l))
		}
	}
	return out
}

// factWords are the facts that a person must know before trusting a figure; none when all is well.
func (o *One) factWords(c pane.Context, f *sources.Facts) []string {
	t := c.Theme
	var out []string
	add := func(s string) { out = append(out, t.Watch.Render(t.Glyphs.Unreachable+" "+widget.Plain(s))) }
	if f.Stale != "" {
		add("old answer: " + f.Stale)
	}
	if f.Partial != "" {
		add("not the whole answer: " + f.Partial)
	}
	if f.Total != 0 && f.Truncated() {
		if f.Total < 0 {
			add(fmt.Sprintf("%d shown, there are more", f.Shown))
		} else {
			add(fmt.Sprintf("%d of %d shown", f.Shown, f.Total))
		}
	}
	if f.Sampled {
		add("the source keeps only a sample")
	}
	if f.Skew > sources.MaxSkew || f.Skew < -sources.MaxSkew {
		add("the source's clock differs from ours by " + widget.Span(f.Skew))
	}
	for i, w := range f.Warnings {
		if i < 3 {
			add(f.Source + " says: " + w)
		}
	}
	return out
}
