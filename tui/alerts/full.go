package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"rollcall/sources"
	"rollcall/store/fatigue"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// detailView is one alert in full, scrolled.
func (p *Pane) detailView(c pane.Context) []string {
	full := p.full(c)
	h := c.Height - 1
	asking := p.asking(c)
	h = max(1, h-len(asking))
	p.scroll.Clamp(len(full), h)
	lines := append([]string(nil), kit.Window(full, p.scroll.Top, h)...)
	for len(lines) < h {
		lines = append(lines, "")
	}
	return append(append(lines, asking...), p.bottom(c))
}

// full is everything that is known of the alert.
func (p *Pane) full(c pane.Context) []string {
	t, a := c.Theme, p.detail
	out := p.selected(c)
	section := func(title string, fields []kit.Field) {
		if len(fields) == 0 {
			return
		}
		out = append(out, "", " "+t.Title.Render(title))
		out = append(out, kit.Fields(c, fields, c.Width)...)
	}
	facts := []kit.Field{{Key: "ID", Value: a.ID}, {Key: "told by", Value: strings.Join(a.Sources, ", ")}}
	add := func(k, v string) {
		if v != "" {
			facts = append(facts, kit.Field{Key: k, Value: v})
		}
	}
	add("since", kit.Moment(c, a.Since))
	add("value", a.Value)
	add("rule", a.Query)
	if a.ForS > 0 {
		add("must hold for", widget.Span(time.Duration(a.ForS*float64(time.Second))))
	}
	section("Facts", facts)
	section("Labels", fieldsOf(a.Labels))
	section("Annotations", fieldsOf(a.Annotations))
	return out
}

func fieldsOf(set map[string]string) []kit.Field {
	var out []kit.Field
	for k, v := range set {
		out = append(out, kit.Field{Key: k, Value: v})
	}
	slices.SortFunc(out, func(a, b kit.Field) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// tiredView lists the rules by what they ask of people.
func (p *Pane) tiredView(c pane.Context) []string {
	t := c.Theme
	h := tableHeight(c)
	lines := append(make([]string, 0, c.Height), p.load(c))
	if p.report == nil || len(p.report.Rules) == 0 {
		lines = append(append(lines, ""), p.tiredWords(c)...)
		return p.withFoot(c, lines, func(pane.Context) []string { return nil })
	}
	rules := p.report.Rules
	p.ruleAt.Clamp(len(rules), h)
	cols, cells := ruleColumns(rules, c)
	placed := kit.Place(cols, c.Width)
	lines = append(lines, kit.Header(t, cols, placed, c.Width))
	for i := range kit.Window(rules, p.ruleAt.Top, h) {
		r := &rules[p.ruleAt.Top+i]
		lines = append(lines, kit.Row(t, cols, placed, c.Width, p.ruleAt.Top+i == p.ruleAt.Cursor, func(col int) kit.Cell { return cells[col](r) }))
	}
	return p.withFoot(c, lines, p.ruleWords)
}

// load says how much all alerts together ask.
func (p *Pane) load(c pane.Context) string {
	t, r := c.Theme, p.report
	if r == nil {
		return ""
	}
	var out []kit.Piece
	if r.Days < 28 {
		out = append(out, kit.Piece{Text: fmt.Sprintf("the journal has %.1f of 28 days", r.Days), Style: t.Watch})
	}
	out = append(out, kit.Piece{Text: fmt.Sprintf("%s, %d led to an action", sources.Counted(r.Firings, "firing"), r.Actioned), Style: t.Plain})
	if r.PerShift.OK {
		style := t.Plain
		if r.Over > 0 {
			style = t.Watch
		}
		out = append(out, kit.Piece{Text: fmt.Sprintf("%.2f pages a shift, worst %d, %d over %d", r.PerShift.V, r.Worst, r.Over, fatigue.ShiftLimit), Style: style})
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

func ruleColumns(rules []fatigue.Rule, c pane.Context) ([]kit.Column, []func(*fatigue.Rule) kit.Cell) {
	t := c.Theme
	var cols []kit.Column
	var cells []func(*fatigue.Rule) kit.Cell
	add := func(col kit.Column, cell func(*fatigue.Rule) kit.Cell) {
		for i := range rules {
			col.Want = max(col.Want, len(kit.Line(cell(&rules[i]).Text, 40)))
		}
		col.Min = max(col.Min, len(col.Title))
		cols, cells = append(cols, col), append(cells, cell)
	}
	number := func(title string, rank int, text func(*fatigue.Rule) string) {
		add(kit.Column{Title: title, Right: true, Rank: rank}, func(r *fatigue.Rule) kit.Cell { return kit.Cell{Text: text(r), Style: t.Plain} })
	}
	add(kit.Column{Title: "rule", Min: 14}, func(r *fatigue.Rule) kit.Cell { return kit.Cell{Text: kit.Line(r.Name(), 40), Style: t.Bright} })
	add(kit.Column{Title: "advice", Min: 9}, func(r *fatigue.Rule) kit.Cell {
		if r.Advice == fatigue.Keep {
			return kit.Cell{Text: "-", Style: t.Dim}
		}
		return kit.Cell{Text: t.Glyphs.Watch + " " + string(r.Advice), Style: t.Watch}
	})
	number("firings", 0, func(r *fatigue.Rule) string { return fmt.Sprint(r.Firings) })
	number("acted on", 0, func(r *fatigue.Rule) string {
		if !r.Share.OK {
			return "-"
		}
		return fmt.Sprintf("%.0f%%", r.Share.V*100)
	})
	number("flaps", 1, func(r *fatigue.Rule) string { return fmt.Sprint(r.Flaps) })
	number("taken up", 2, func(r *fatigue.Rule) string {
		if !r.AckS.OK {
			return "-"
		}
		return widget.Span(time.Duration(r.AckS.V * float64(time.Second)))
	})
	number("fired for", 3, func(r *fatigue.Rule) string { return widget.Span(time.Duration(r.FiringS) * time.Second) })
	number("a week", 4, func(r *fatigue.Rule) string {
		if !r.PerWeek.OK {
			return "-"
		}
		return fmt.Sprintf("%.1f", r.PerWeek.V)
	})
	number("wavers", 5, func(r *fatigue.Rule) string { return fmt.Sprint(r.Wavers) })
	return cols, cells
}

// ruleWords says what is to be done about the selected rule, and how the figures are made.
func (p *Pane) ruleWords(c pane.Context) []string {
	t := c.Theme
	r := p.rule()
	if r == nil {
		return nil
	}
	var out []string
	say := func(style lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-2)) {
			out = append(out, " "+style.Render(l))
		}
	}
	switch {
	case r.Advice != fatigue.Keep:
		say(t.Watch, string(r.Advice)+" "+kit.Line(r.Name(), 80)+": "+r.Why+".")
	case r.Why != "":
		say(t.Dim, kit.Line(r.Name(), 80)+": "+r.Why+".")
	default:
		say(t.Plain, fmt.Sprintf("%s: %d of %s led to an action.", kit.Line(r.Name(), 80), r.Actioned, sources.Counted(r.Firings, "firing")))
	}
	if th := r.Threshold; th != nil && th.Drops > 0 && r.Advice != fatigue.Retune {
		say(t.Dim, fmt.Sprintf("%s would have kept the %d that ever led to an action, and spared %d of %d.", th.Text(r.Unit), th.Keeps, th.Drops, th.Of))
	}
	for _, s := range p.report.How {
		say(t.Dim, s)
	}
	return out
}

func (p *Pane) tiredWords(c pane.Context) []string {
	t := c.Theme
	var out []string
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	switch {
	case p.tiredBy != nil:
		say(t.Watch, t.Glyphs.Unreachable+" The journal could not be read: "+p.tiredBy.Error())
	case p.report == nil:
		say(t.Dim, "Reading the journal"+t.Glyphs.Ellipsis)
	default:
		say(t.Plain, "No alert fired in the four weeks that the journal has.")
		say(t.Dim, "Alerts are recorded while a console or rollcall collect runs.")
	}
	return out
}
