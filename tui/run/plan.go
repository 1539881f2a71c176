package run

import (
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// stalePlan is the age, in wall time, from which a plan is not started as it is:
// what it found out may not hold any more.
const stalePlan = 5 * time.Minute

func (p *Pane) planKey(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	if p.plan == nil {
		if key.Matches(k, keys.enter) && p.err != nil && !p.loading {
			return p.resolve(c)
		}
		return nil
	}
	switch {
	case key.Matches(k, keys.enter):
		if missing := p.plan.Missing(); len(missing) > 0 {
			p.edit(missing[0].Name)
			return nil
		}
		if p.sending || p.loading {
			return nil
		}
		if age := c.Wall.Sub(p.made); age > stalePlan {
			return tea.Batch(p.resolve(c), kit.Notice("The plan was "+widget.Age(age)+" old: its variables are resolved again. Look at them, then press enter.", true))
		}
		return p.start(c)
	case key.Matches(k, keys.edit):
		if p.pickVar < len(p.plan.Vars) {
			p.edit(p.plan.Vars[p.pickVar].Name)
		}
	case p.practice && key.Matches(k, keys.reset):
		if p.sending || p.loading {
			return nil
		}
		return p.askReset(c)
	case k.String() == "pgdown", k.String() == "pgup":
		p.planTop.Key(k, len(p.planBody(c)), p.planHeight(c))
	default:
		if by, ok := kit.Step(k, len(p.plan.Vars), len(p.plan.Vars)); ok {
			p.pickVar = max(0, min(len(p.plan.Vars)-1, p.pickVar+by))
		}
	}
	return nil
}

func (p *Pane) edit(name string) {
	for i := range p.plan.Vars {
		if v := &p.plan.Vars[i]; v.Name == name {
			p.pickVar = i
			prompt := v.Ask
			if prompt == "" {
				prompt = name + " instead of what was found"
			}
			p.typing = typing{variable: name, prompt: prompt, needs: true, offers: v.Offers, picked: -1}
			p.input.Open(v.Value)
		}
	}
}

// why is the reason for the plan: the desk's, or what the verdict line says when it suggests this runbook.
func (p *Pane) why(c pane.Context) string {
	if p.plan.Why != "" {
		return p.plan.Why
	}
	if s := c.Snapshot; s != nil && s.Line.Runbook == p.plan.Runbook.ID {
		return s.Line.Whole()
	}
	return ""
}

// planFoot says what enter will do.
func (p *Pane) planFoot(c pane.Context) []string {
	t := c.Theme
	out := []string{t.Dim.Render(strings.Repeat(t.Glyphs.Border.Top, c.Width))}
	keyLine := func(k, words string, st lipgloss.Style) {
		for i, l := range kit.Wrap(words, max(10, c.Width-9)) {
			name := "       "
			if i == 0 {
				name = t.Key.Render(widget.Fit(k, 7, ""))
			}
			out = append(out, " "+name+st.Render(l))
		}
	}
	switch {
	case p.sure.Active():
		out = append(out, p.sure.Lines(c, c.Width)...)
	case p.input.Active():
		out = append(out, p.inputLines(c)...)
	case p.plan == nil && p.err != nil:
		keyLine("enter", "try again", t.Plain)
	case p.plan == nil:
	case p.sending:
		out = append(out, " "+t.Dim.Render("Starting"+t.Glyphs.Ellipsis))
	case p.loading:
		out = append(out, " "+t.Dim.Render("Resolving the variables again"+t.Glyphs.Ellipsis))
	default:
		if p.err != nil {
			for _, l := range kit.Wrap(p.err.Error(), max(10, c.Width-2)) {
				out = append(out, " "+t.Watch.Render(l))
			}
		}
		if missing := p.plan.Missing(); len(missing) > 0 {
			word := "type "
			if len(missing[0].Offers) > 0 {
				word = "choose "
			}
			keyLine("enter", word+missing[0].Name+": "+missing[0].Ask, t.Bright)
		} else {
			keyLine("enter", startWords(p.plan), t.Bright)
		}
		keyLine("e", "change the chosen variable", t.Dim)
		if p.practice {
			keyLine("z", "put the rehearsal target back to where rehearsals begin; asks first", t.Dim)
		}
	}
	return out
}

// startWords says what happens between starting and the first question.
func startWords(pl *run.Plan) string {
	var first []string
	for i := range pl.Runbook.Steps {
		st := &pl.Runbook.Steps[i]
		if st.Phase == runbooks.Abort {
			break
		}
		asks := st.Kind == runbooks.Confirm || st.Kind == runbooks.Note || st.Kind == runbooks.Approve
		if !asks && st.Effect != runbooks.Write {
			first = append(first, st.Name)
			continue
		}
		s := "start it: "
		if pl.Target.Rehearsal {
			s = "start the rehearsal: "
		}
		switch len(first) {
		case 0:
		case 1:
			s += first[0] + " runs first and changes nothing; "
		default:
			s += strings.Join(first[:len(first)-1], ", ") + " and " + first[len(first)-1] + " run first and change nothing; "
		}
		if asks {
			return s + "then it asks you at " + st.Name + "."
		}
		return s + "then it asks before " + st.Name + ", the first that changes something."
	}
	return "start it: nothing in it changes anything."
}

func (p *Pane) planHeight(c pane.Context) int { return max(1, c.Height-len(p.planFoot(c))) }

// planView draws the plan.
func (p *Pane) planView(c pane.Context) string {
	foot := p.planFoot(c)
	h := max(1, c.Height-len(foot))
	body := p.planBody(c)
	p.planTop.Clamp(len(body), h)
	lines := append([]string(nil), kit.Window(body, p.planTop.Top, h)...)
	for len(lines) < h {
		lines = append(lines, "")
	}
	if left := len(body) - p.planTop.Top - h; left > 0 {
		lines[h-1] = " " + c.Theme.Dim.Render(fmt.Sprintf("%s %d more lines, pgdn scrolls", c.Theme.Glyphs.Ellipsis, left+1))
	}
	return kit.Screen(c, append(lines, foot...))
}

func (p *Pane) planBody(c pane.Context) []string {
	t := c.Theme
	var out []string
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-4)) {
			out = append(out, "  "+st.Render(l))
		}
	}
	if p.plan == nil {
		out = append(out, "")
		if p.err != nil {
			say(t.Watch, t.Glyphs.Unreachable+" There is no plan: "+p.err.Error())
		} else {
			say(t.Dim, "Resolving the variables of "+p.runbook+t.Glyphs.Ellipsis)
		}
		return out
	}
	pl := p.plan
	if pl.Target.Rehearsal {
		say(t.Accent.Bold(true), rehearsalWords)
	}
	if w := p.why(c); w != "" && !pl.Target.Rehearsal {
		say(t.Bad, t.Glyphs.Bad+" "+w)
	}
	target := "Acts on " + pl.Target.Service
	if pl.Target.Environment != "" {
		target += " in " + pl.Target.Environment
	}
	if moves := pl.Runbook.Moves(); len(moves) > 0 {
		target += "; may move " + strings.Join(moves, ", ") + " and nothing else"
	}
	inc := pl.Target.Incident
	if inc == "" && !pl.Target.Rehearsal {
		inc = c.IncidentID()
	}
	if inc != "" {
		target += "; belongs to " + inc
	}
	switch {
	case pl.Target.ReadOnly:
		say(t.Watch, target+". Read-only: what changes something is refused.")
	case pl.Target.Rehearsal:
		say(t.Plain, target+".")
	default:
		say(t.Plain, target+".")
	}
	for _, d := range pl.Doubts {
		say(t.Watch, t.Glyphs.Watch+" "+d)
	}
	if len(pl.Vars) > 0 {
		out = append(out, "", " "+t.Title.Render("Variables, resolved once and then frozen"))
		out = append(out, p.varLines(c)...)
	}
	return append(out, p.stepLines(c)...)
}

func (p *Pane) varLines(c pane.Context) []string {
	t := c.Theme
	nameW, valueW := 4, 6
	for i := range p.plan.Vars {
		nameW = max(nameW, ansi.StringWidth(kit.Line(p.plan.Vars[i].Name, 24)))
		valueW = max(valueW, ansi.StringWidth(kit.Line(p.plan.Vars[i].Value, 40)))
	}
	nameW, valueW = min(nameW, 24), min(valueW, max(12, c.Width/3))
	var out []string
	for i := range p.plan.Vars {
		v := &p.plan.Vars[i]
		value, st, from := v.Value, t.Bright, "from "+v.From
		if v.Value == "" && v.Ask != "" {
			value, st, from = "?", t.Watch, v.Ask
		} else if v.From == "you" {
			from = "typed by you"
		}
		mark := "   "
		if i == p.pickVar {
			mark = " " + t.Glyphs.Cursor + " "
		}
		line := mark + t.Dim.Render(widget.Fit(kit.Line(v.Name, nameW), nameW, t.Glyphs.Ellipsis)) + "  " +
			st.Render(widget.Fit(kit.Line(value, valueW), valueW, t.Glyphs.Ellipsis)) + "  " + t.Dim.Render(kit.Line(from, c.Width))
		line = widget.Fit(line, c.Width, t.Glyphs.Ellipsis)
		if i == p.pickVar {
			line = t.Selected.Render(ansi.Strip(line))
		}
		out = append(out, line)
	}
	return out
}

// stepLines are the checklist of the plan: what runs, and what the checks would say now.
func (p *Pane) stepLines(c pane.Context) []string {
	t := c.Theme
	pl := p.plan
	nameW := 0
	for i := range pl.Runbook.Steps {
		nameW = max(nameW, ansi.StringWidth(kit.Line(pl.Runbook.Steps[i].Name, 20)))
	}
	nameW = min(nameW, 20)
	var out []string
	var phase runbooks.Phase
	for i := range pl.Runbook.Steps {
		st := &pl.Runbook.Steps[i]
		if st.Phase != phase {
			phase = st.Phase
			word := string(phase)
			if phase == runbooks.Abort {
				word += t.Dim.Render(", only when it must be undone")
			}
			out = append(out, "", " "+t.Title.Render(word))
		}
		glyph, gst := t.Glyphs.Todo, t.Dim
		if st.Effect == runbooks.Write {
			glyph, gst = t.Glyphs.Mark, t.Accent
		}
		text := st.Sentence
		if st.Effect == runbooks.Write {
			text += " (changes something: asks first)"
		}
		out = append(out, widget.Fit("   "+gst.Render(glyph)+" "+t.Bright.Render(widget.Fit(kit.Line(st.Name, nameW), nameW, t.Glyphs.Ellipsis))+"  "+kit.Line(text, c.Width), c.Width, t.Glyphs.Ellipsis))
		indent := strings.Repeat(" ", nameW+7)
		for _, l := range scriptLines(st.Script, 4) {
			out = append(out, indent+t.Dim.Render(kit.Line("$ "+l, c.Width)))
		}
		if st.Check != nil {
			out = append(out, indent+t.Dim.Render(kit.Line(sentenceOf(st.Check), c.Width)))
		}
		for k := range pl.Now {
			if pl.Now[k].Step == st.Name {
				out = append(out, indent+p.nowLine(c, st, &pl.Now[k].Sample))
			}
		}
	}
	return out
}

func (p *Pane) nowLine(c pane.Context, st *runbooks.Step, s *run.Sample) string {
	t := c.Theme
	if s.Error != "" {
		return t.Watch.Render(kit.Line("now: not known, "+s.Error, c.Width))
	}
	_, word, style := kit.StepLook(t, s.Verdict)
	return t.Dim.Render("now: ") + style.Render(amount(s.Value, unitOf(c, st.Check), t.Options.ASCII)) + t.Dim.Render(kit.Line(", "+word+": "+widget.Words(s.Why, t.Options.ASCII), c.Width))
}

// scriptLines are the lines of a script that say something, at most n.
func scriptLines(s string, n int) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
		if strings.TrimSpace(l) == "" {
			continue
		}
		if len(out) == n {
			return append(out[:n-1], l+" ...")
		}
		out = append(out, l)
	}
	return out
}

// unitOf is the unit of what a check measures.
func unitOf(c pane.Context, ch *runbooks.Check) sources.Unit {
	if ch != nil && c.Snapshot != nil {
		if r, ok := c.Snapshot.Reading(ch.Signal); ok {
			return r.Unit
		}
	}
	return sources.Count
}

func amount(n sources.Num, u sources.Unit, ascii bool) string {
	if !n.OK {
		return kit.Unknown(ascii)
	}
	return widget.Amount(n.V, u, ascii)
}
