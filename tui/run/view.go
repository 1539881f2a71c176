package run

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// sideBySide is the width from which the checklist stands beside the detail.
const sideBySide = 100

// View draws the plan or the run.
func (p *Pane) View(c pane.Context) string {
	switch {
	case c.Width <= 0 || c.Height <= 0:
		return ""
	case p.state != nil:
		return p.runView(c)
	case p.id != "":
		t := c.Theme
		words := []string{"", "   " + t.Dim.Render("Reading "+p.id+t.Glyphs.Ellipsis)}
		if p.err != nil {
			words = words[:1]
			for _, l := range kit.Wrap(t.Glyphs.Unreachable+" "+p.err.Error(), max(10, c.Width-6)) {
				words = append(words, "   "+t.Watch.Render(l))
			}
		}
		return kit.Screen(c, words)
	}
	return p.planView(c)
}

func (p *Pane) runView(c pane.Context) string {
	head, foot := p.head(c), p.foot(c)
	h := max(1, c.Height-len(head)-len(foot))
	lines := append([]string(nil), head...)
	if c.Width >= sideBySide {
		left := max(40, min(64, c.Width*2/5))
		list, detail := p.checklist(c, left, h, true), p.detail(c, c.Width-left-3, h)
		bar := c.Theme.Dim.Render(c.Theme.Glyphs.Border.Left)
		for i := range h {
			lines = append(lines, widget.Fit(list[i].text, left, c.Theme.Glyphs.Ellipsis)+" "+bar+" "+detail[i])
		}
	} else {
		n := p.listRows(h)
		for _, l := range p.checklist(c, c.Width, n, false) {
			lines = append(lines, l.text)
		}
		lines = append(lines, widget.Rule(c.Theme, "", "", c.Width, c.Theme.Dim))
		for _, l := range p.detail(c, c.Width-1, max(0, h-n-1)) {
			lines = append(lines, " "+l)
		}
	}
	lines = append(lines[:min(len(lines), c.Height-len(foot))], foot...)
	return kit.Screen(c, lines)
}

// listRows is how many rows the compact checklist takes of h.
func (p *Pane) listRows(h int) int {
	n := 0
	for i := range p.state.Steps {
		if p.listed(&p.state.Steps[i]) {
			n++
		}
	}
	return max(1, min(n, max(3, h*2/5)))
}

// listed leaves the Abort section out until it matters.
func (p *Pane) listed(s *run.Step) bool {
	return s.Phase != runbooks.Abort || p.state.Aborting || s.Status != run.Pending
}

// head says what the run does now, on what, and with which values.
func (p *Pane) head(c pane.Context) []string {
	t, s := c.Theme, p.state
	glyph, word, style := kit.RunWord(t, s)
	first := []kit.Piece{{Text: glyph + " " + word, Style: style}}
	if place := p.place(); place != "" {
		first = append(first, kit.Piece{Text: place, Style: t.Bright})
	}
	on := s.Target.Service
	if s.Target.Environment != "" {
		on += " " + s.Target.Environment
	}
	when := "since " + kit.Minute(c, s.Began)
	if !s.Ended.IsZero() {
		when = kit.Minute(c, s.Began) + " to " + kit.Minute(c, s.Ended)
	}
	first = append(first, kit.Piece{Text: on, Style: t.Dim})
	if s.Target.Incident != "" {
		first = append(first, kit.Piece{Text: s.Target.Incident, Style: t.Dim})
	}
	first = append(first, kit.Piece{Text: s.Actor + " " + when, Style: t.Dim})
	switch s.Driver {
	case "", "you":
	default:
		first = append(first, kit.Piece{Text: "driven by " + s.Driver, Style: t.Watch})
	}
	if p.err != nil {
		first = append(first[:1:1], kit.Piece{Text: "not heard of since: " + p.err.Error(), Style: t.Watch})
	}
	var vars []kit.Piece
	for i := range s.Vars {
		vars = append(vars, kit.Piece{Text: s.Vars[i].Name + " " + s.Vars[i].Value, Style: t.Dim})
	}
	if s.Target.Rehearsal {
		first = append([]kit.Piece{{Text: "REHEARSAL, nothing live is touched", Style: t.Accent.Bold(true)}}, first...)
	}
	out := []string{" " + kit.Pieces(t, c.Width-1, first...)}
	if len(vars) > 0 && c.Height >= 16 {
		out = append(out, " "+kit.Pieces(t, c.Width-1, vars...))
	}
	return append(out, t.Dim.Render(strings.Repeat(t.Glyphs.Border.Top, c.Width)))
}

// listLine is a line of the checklist and the step that it shows; -1 for none.
type listLine struct {
	text string
	step int
}

// checklist draws the steps in w×h; headings of the sections only where there is room for them.
func (p *Pane) checklist(c pane.Context, w, h int, headings bool) []listLine {
	t, s := c.Theme, p.state
	nameW := 0
	for i := range s.Steps {
		nameW = max(nameW, ansi.StringWidth(kit.Line(s.Steps[i].Name, 18)))
	}
	nameW = min(nameW, 18)
	shown := p.shown()
	var lines []listLine
	var phase runbooks.Phase
	at := 0
	for i := range s.Steps {
		st := &s.Steps[i]
		if !p.listed(st) {
			continue
		}
		if headings && st.Phase != phase {
			if phase != "" {
				lines = append(lines, listLine{"", -1})
			}
			lines = append(lines, listLine{" " + t.Title.Render(string(st.Phase)), -1})
		}
		phase = st.Phase
		if shown != nil && st.Name == shown.Name {
			at = len(lines)
		}
		lines = append(lines, listLine{p.stepLine(c, i, w, nameW), i})
	}
	top := max(0, min(at-h/2, len(lines)-h))
	out := append([]listLine(nil), kit.Window(lines, top, h)...)
	for len(out) < h {
		out = append(out, listLine{"", -1})
	}
	return out
}

// stepLine is one step: where the run is, how it stands, what it is about, and a word where one is needed.
func (p *Pane) stepLine(c pane.Context, i, w, nameW int) string {
	t, s := c.Theme, p.state
	st := &s.Steps[i]
	glyph, word, style := kit.StepLook(t, st.Status)
	current := i == s.Current
	mark, name, text := "   ", t.Plain, t.Dim
	if current {
		mark, name, text = " "+t.Accent.Render(t.Glyphs.Here)+" ", t.Bright.Bold(true), t.Plain
	}
	if st.Status == run.Pending {
		name = t.Dim
	}
	end := ""
	switch {
	case current && s.Interrupted():
		end = t.Watch.Render("interrupted")
	case current && s.Ask != run.AskNothing:
		end = t.Watch.Render("waits for you")
	case st.Status == run.Running && st.Check != nil && st.Check.ConsecutivePass > 0:
		end = style.Render(fmt.Sprintf("%d/%d in a row", min(kit.InARow(st), st.Check.ConsecutivePass), st.Check.ConsecutivePass))
	case st.Status != run.Pending && st.Status != run.Passed:
		end = style.Render(word)
	}
	if st.Attempt > 1 {
		end = t.Dim.Render(fmt.Sprintf("try %d ", st.Attempt)) + end
	}
	room := max(0, w-3-2-nameW-2-ansi.StringWidth(end)-2)
	line := mark + style.Render(glyph) + " " + name.Render(widget.Fit(kit.Line(st.Name, nameW), nameW, t.Glyphs.Ellipsis)) + "  " +
		text.Render(widget.Fit(kit.Line(st.Sentence, room), room, t.Glyphs.Ellipsis)) + " " + end
	line = widget.Fit(line, w, t.Glyphs.Ellipsis)
	if p.picked == st.Name {
		return t.Selected.Render(ansi.Strip(line))
	}
	return line
}

// foot says in full words what the next key will do.
func (p *Pane) foot(c pane.Context) []string {
	t, s := c.Theme, p.state
	out := []string{t.Dim.Render(strings.Repeat(t.Glyphs.Border.Top, c.Width))}
	say := func(text string, most int, render func(...string) string) {
		for _, l := range atMost(kit.Wrap(text, max(10, c.Width-2)), most, t.Glyphs.Ellipsis) {
			out = append(out, " "+render(l))
		}
	}
	var choices []choiceLines
	choice := func(k, does string, strong bool) {
		st := t.Plain
		if strong {
			st = t.Bright
		}
		choices = append(choices, choiceLines{t.Key.Render(widget.Fit(k, 7, "")), kit.Wrap(does, max(10, c.Width-9)), st})
	}
	most := 2
	if c.Height >= 28 {
		most = 4
	}
	switch {
	case p.sure.Active():
		return append(out, p.sure.Lines(c, c.Width)...)
	case p.input.Active():
		return append(out, p.inputLines(c)...)
	case s.Outcome != "":
		_, word, style := kit.RunWord(t, s)
		text := s.ID + " " + word + " at " + kit.Minute(c, s.Ended) + "."
		if s.Why != "" {
			text += " " + s.Why
		}
		say(text, most, style.Render)
		say("esc goes back; everything is in the journal (9).", 1, t.Dim.Render)
	case s.Interrupted():
		say("Nobody drives this run any more: nothing goes on until somebody resumes it.", most, t.Watch.Render)
		choice("r", "resume: first look whether what had begun was done, never repeat a write blindly, then go on", true)
	case p.sending:
		say("Telling the run"+t.Glyphs.Ellipsis, 1, t.Dim.Render)
	default:
		switch st := p.current(); {
		case s.Question != "":
			say(s.Question, most, t.Watch.Render)
		case st == nil:
			say("It goes on by itself.", 1, t.Dim.Render)
		default:
			text := st.Name + " goes on by itself; nothing is asked now."
			if !st.NextAt.IsZero() {
				what := "Next sample at "
				if st.Check == nil {
					what = "It waits until "
				}
				text += " " + what + kit.Clock(c, st.NextAt) + "."
			}
			say(text, most, t.Dim.Render)
		}
		for _, v := range verbKeys {
			if ch := p.choice(v.verb); ch != nil {
				choice(v.key.Help().Key, kit.Line(ch.Does, 4*c.Width), v.verb == run.Go)
			}
		}
	}
	room := max(2, p.footRows(c)) - len(out)
	for n := range choices {
		ch := &choices[n]
		rest := len(choices) - n - 1 // every answer after this one has a line at least
		lines := atMost(ch.lines, max(1, room-rest), t.Glyphs.Ellipsis)
		room -= len(lines)
		for i, l := range lines {
			name := "       "
			if i == 0 {
				name = ch.key
			}
			out = append(out, " "+name+ch.style.Render(l))
		}
	}
	return out[:min(len(out), max(2, p.footRows(c)))]
}

// footRows is how many rows the question and its answers may take: what is left when the
// head, the steps around the current one and the beginning of its detail stand.
func (p *Pane) footRows(c pane.Context) int {
	const detail = 3 // with its rule
	return max(c.Height*2/5, c.Height-len(p.head(c))-p.listRows(c.Height*3/5)-detail)
}

// choiceLines is an answer: its key, and what it will do.
type choiceLines struct {
	key   string
	lines []string
	style lipgloss.Style
}

// atMost cuts lines off and says so.
func atMost(lines []string, most int, ellipsis string) []string {
	if most <= 0 || len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most-1]), lines[most-1]+ellipsis)
}

// inputLines are the question and the line in which its answer is typed.
func (p *Pane) inputLines(c pane.Context) []string {
	t := c.Theme
	var out []string
	for _, l := range kit.Wrap(p.typing.prompt, max(10, c.Width-2)) {
		out = append(out, " "+t.Watch.Render(l))
	}
	out = append(out, p.offerLines(c)...)
	foot := t.Key.Render("enter") + t.Dim.Render(" send it   ") + t.Key.Render("esc") + t.Dim.Render(" leave it")
	if len(p.typing.offers) > 0 {
		foot = t.Key.Render("up down") + t.Dim.Render(" choose   ") + foot
	}
	return append(out, " "+p.input.View(c, ">", c.Width-2), " "+foot)
}

// offerLines are those of the offers that there is room for, around the chosen one.
func (p *Pane) offerLines(c pane.Context) []string {
	t, offers := c.Theme, p.typing.offers
	most := min(len(offers), offersShown, max(3, c.Height/3))
	top := max(0, min(p.typing.picked-most/2, len(offers)-most))
	nameW := 0
	for i := range offers {
		nameW = max(nameW, ansi.StringWidth(kit.Line(offers[i].Value, 40)))
	}
	var out []string
	for i := top; i < min(top+most, len(offers)); i++ {
		mark, st := "   ", t.Plain
		if i == p.typing.picked {
			mark, st = " "+t.Glyphs.Cursor+" ", t.Bright
		}
		line := mark + st.Render(widget.Fit(kit.Line(offers[i].Value, nameW), nameW, t.Glyphs.Ellipsis)) + "  " + t.Dim.Render(kit.Line(widget.Words(offers[i].Note, t.Options.ASCII), c.Width))
		out = append(out, widget.Fit(line, c.Width, t.Glyphs.Ellipsis))
	}
	if left := len(offers) - most; left > 0 {
		out = append(out, "   "+t.Dim.Render(fmt.Sprintf("%s %d more", t.Glyphs.Ellipsis, left)))
	}
	return out
}

// click looks at the step that was clicked.
func (p *Pane) click(c pane.Context, m tea.MouseClickMsg) {
	if p.state == nil || m.Button != tea.MouseLeft {
		return
	}
	head, foot := len(p.head(c)), len(p.foot(c))
	h := max(1, c.Height-head-foot)
	w, wide := c.Width, c.Width >= sideBySide
	if wide {
		w = max(40, min(64, c.Width*2/5))
	} else {
		h = p.listRows(h)
	}
	if m.X >= w || m.Y < head || m.Y >= head+h {
		return
	}
	if i := p.checklist(c, w, h, wide)[m.Y-head].step; i >= 0 {
		p.picked, p.scroll = p.state.Steps[i].Name, 0
	}
}
