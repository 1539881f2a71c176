package changes

import (
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"rollcall/sources/signal/rollout"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

// mostNotices keeps room for the list on a screen of 24 lines.
const mostNotices = 3

// comparisons are the versions that run at the same time, as of the snapshot.
func comparisons(c pane.Context) []rollout.Comparison {
	if c.Snapshot == nil || c.Snapshot.Rollout == nil {
		return nil
	}
	return c.Snapshot.Rollout.Comparisons
}

type notice struct {
	text  string
	style lipgloss.Style
	glyph string
}

// notices are what stands above the list: rollouts, contradictions, aliases.
func notices(c pane.Context) []notice {
	if c.Snapshot == nil {
		return nil
	}
	t := c.Theme
	var out []notice
	list := comparisons(c)
	for i := range list {
		st, glyph := looks(t, list[i].Verdict)
		out = append(out, notice{list[i].Title() + ": " + string(list[i].Verdict) + ", " + list[i].Why + ".", st, glyph})
	}
	doubts := c.Snapshot.Doubts
	if c.Snapshot.Rollout != nil {
		doubts = append(doubts[:len(doubts):len(doubts)], c.Snapshot.Rollout.Doubts...)
	}
	for _, d := range doubts {
		out = append(out, notice{"Doubt: " + d + ".", t.Watch, t.Glyphs.Watch})
	}
	for i := range c.Snapshot.Aliases {
		out = append(out, notice{"Unpinned: " + c.Snapshot.Aliases[i].Words() + ".", t.Watch, t.Glyphs.Watch})
	}
	return out
}

func looks(t *theme.Theme, v rollout.Verdict) (lipgloss.Style, string) {
	switch v {
	case rollout.RollBack:
		return t.Bad, t.Glyphs.Bad
	case rollout.Promote:
		return t.OK, t.Glyphs.OK
	case rollout.Hold:
	}
	return t.Watch, t.Glyphs.Watch
}

// noticeLines are the notices that there is room for, as long as they are unless the list would be
// left without; what is cut opens with v.
func noticeLines(c pane.Context) []string {
	if c.Height < 10 {
		return nil
	}
	list := notices(c)
	most := max(1, (c.Height-10)/max(1, min(len(list), mostNotices)))
	var out []string
	for i, n := range list {
		if i == mostNotices-1 && len(list) > mostNotices {
			out = append(out, " "+c.Theme.Dim.Render(kit.Line("and "+strconv.Itoa(len(list)-i)+" more; v shows all", c.Width-2)))
			break
		}
		glyph := n.style.Render(n.glyph)
		for _, l := range kit.Lines(n.text, max(10, c.Width-4), most, c.Theme.Glyphs.Ellipsis) {
			out = append(out, " "+glyph+" "+n.style.Render(l))
			glyph = " "
		}
	}
	return out
}

// compared draws everything that runs at the same time, in full.
func (p *Pane) compared(c pane.Context) string {
	t := c.Theme
	w := max(10, c.Width-4)
	var lines []string
	say := func(st lipgloss.Style, indent, text string) {
		for _, l := range kit.Wrap(text, w-len(indent)) {
			lines = append(lines, indent+st.Render(l))
		}
	}
	list := comparisons(c)
	for i := range list {
		x := &list[i]
		st, glyph := looks(t, x.Verdict)
		say(st, " ", glyph+" "+x.Title()+": "+string(x.Verdict)+", "+x.Why+".")
		for _, f := range x.Facts() {
			say(t.Dim, "   ", f)
		}
		lines = append(lines, p.outcomes(c, x)...)
		lines = append(lines, "")
	}
	if len(list) == 0 {
		say(t.Plain, " ", "One version runs: there is nothing to compare.")
		say(t.Dim, " ", "A canary, a shadow, blue and green or a stage of a rollout is seen by the stage of llmops_deployment_info or of request rows, or by two versions in the same minutes.")
		lines = append(lines, "")
	}
	for _, n := range notices(c)[len(list):] {
		say(n.style, " ", n.glyph+" "+n.text)
	}
	p.top = max(0, min(p.top, len(lines)-c.Height))
	return strings.Join(lines[p.top:], "\n")
}

// outcomes is the table of one comparison.
func (p *Pane) outcomes(c pane.Context, x *rollout.Comparison) []string {
	t := c.Theme
	if len(x.Outcomes) == 0 {
		return nil
	}
	heads := []string{"outcome", x.Candidate.Name, x.Control.Name, "ratio", "p", "", "needs"}
	ranks := []int{0, 0, 0, 2, 3, 0, 4}
	cols := make([]kit.Column, len(heads))
	rows := make([][]string, len(x.Outcomes))
	for i := range cols {
		cols[i] = kit.Column{Title: kit.Line(heads[i], 24), Min: 6, Rank: ranks[i], Right: i >= 1 && i <= 4 || i == 6}
		cols[i].Want = max(cols[i].Want, len([]rune(cols[i].Title)))
	}
	for k := range x.Outcomes {
		rows[k] = x.Outcomes[k].Cells()
		for i, s := range rows[k] {
			cols[i].Want = max(cols[i].Want, min(44, len([]rune(s))))
		}
	}
	// Whole numbers or none: what there is no room for is left out, and stands in the sentence above.
	for i := range cols {
		cols[i].Min = cols[i].Want
	}
	cols[0].Min = min(cols[0].Want, 22)
	placed := kit.Place(cols, c.Width)
	out := []string{kit.Header(t, cols, placed, c.Width)}
	for k := range rows {
		st := t.Dim
		switch x.Outcomes[k].State {
		case rollout.Worse:
			st = t.Bad
		case rollout.Suspected:
			st = t.Watch
		case rollout.NoWorse, rollout.TooLittle:
		}
		out = append(out, kit.Row(t, cols, placed, c.Width, false, func(col int) kit.Cell {
			cell := kit.Cell{Text: rows[k][col]}
			if col == 5 {
				cell.Style = st
			}
			return cell
		}))
	}
	return out
}
