package run

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/runbooks/run"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// settle is how long a question stands on the screen, without a key that would
// answer it, before such a key is taken for an answer: a key pressed for what
// stood there before, or one held down, must not move anything.
const settle = 300 * time.Millisecond

// question is what the run asks now.
type question struct {
	of    string    // step, kind and attempt; empty when nothing is asked
	since time.Time // wall time since when it stands there undisturbed
}

func questionOf(s *run.State) string {
	if s.Interrupted() {
		return "interrupted"
	}
	if s.Ask == run.AskNothing || s.Current < 0 || s.Current >= len(s.Steps) {
		return ""
	}
	st := &s.Steps[s.Current]
	return fmt.Sprintf("%s %s %d", s.Ask, st.Name, st.Attempt)
}

// typing is what is being typed: a variable of the plan, or the words of an answer.
type typing struct {
	variable string
	verb     run.Verb
	step     string
	prompt   string
	needs    bool        // empty words are no answer
	offers   []run.Offer // what there is to choose from; anything else can be typed
	picked   int         // of the offers; -1: none
}

// offersShown is how many offers stand above the line at once.
const offersShown = 8

// pick puts another offer into the line.
func (t *typing) pick(by int) (value string, ok bool) {
	if len(t.offers) == 0 {
		return "", false
	}
	t.picked = max(0, min(len(t.offers)-1, t.picked+by))
	return t.offers[t.picked].Value, true
}

// choice is the answer with this verb, if it is possible now.
func (p *Pane) choice(v run.Verb) *run.Choice {
	if p.state == nil || p.state.Outcome != "" {
		return nil
	}
	for i := range p.state.Choices {
		if p.state.Choices[i].Answer.Verb == v {
			return &p.state.Choices[i]
		}
	}
	return nil
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case p.sure.Active():
		return p.sure.Key(k)
	case p.input.Active():
		switch k.String() {
		case "enter":
			return p.submit(c)
		case "up", "down":
			by := 1
			if k.String() == "up" {
				by = -1
			}
			if v, ok := p.typing.pick(by); ok {
				p.input.SetValue(v)
				return nil
			}
		}
		p.input.Update(k)
		return nil
	case p.state == nil && p.id == "":
		return p.planKey(c, k)
	case p.state == nil:
		return nil
	}
	switch {
	case key.Matches(k, keys.follow):
		p.picked, p.scroll = "", 0
		return nil
	case k.String() == "pgup":
		p.scroll += max(1, c.Height/3)
		return nil
	case k.String() == "pgdown":
		p.scroll = max(0, p.scroll-max(1, c.Height/3))
		return nil
	}
	if by, ok := kit.Step(k, len(p.state.Steps), len(p.state.Steps)); ok {
		p.pick(by)
		return nil
	}
	return p.answerKey(c, k)
}

// pick looks at another step.
func (p *Pane) pick(by int) {
	at := p.state.Current
	st := p.shown()
	for i := range p.state.Steps {
		if st != nil && p.state.Steps[i].Name == st.Name {
			at = i
		}
	}
	at = max(0, min(len(p.state.Steps)-1, at+by))
	p.picked, p.scroll = p.state.Steps[at].Name, 0
	if at == p.state.Current {
		p.picked = ""
	}
}

func (p *Pane) answerKey(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	if p.state.Interrupted() {
		if key.Matches(k, keys.resume) {
			if p.early(c) {
				return tooEarly()
			}
			return p.resume(c)
		}
		return nil
	}
	for _, v := range verbKeys {
		if !key.Matches(k, *v.key) {
			continue
		}
		ch := p.choice(v.verb)
		switch {
		case ch == nil && v.verb == run.Go && p.state.Outcome == "":
			return kit.Notice("Nothing is asked now; the run goes on by itself.", false)
		case ch == nil:
			return nil
		case p.sending:
			return kit.Notice("The run has not taken the last answer yet.", false)
		case p.early(c):
			return tooEarly()
		}
		return p.decide(c, *ch)
	}
	return nil
}

// early tells a key that came before the question could be read. It disturbs the
// question, which then has to stand for a while again.
func (p *Pane) early(c pane.Context) bool {
	if p.question.of == "" {
		return false
	}
	soon := c.Wall.Sub(p.question.since) < settle
	if soon {
		p.question.since = c.Wall
	}
	return soon
}

func tooEarly() tea.Cmd {
	return kit.Notice("The question had only just appeared: nothing was answered. Read it, then press again.", true)
}

// decide takes an answer; what cannot be taken back asks once more, what needs words asks for them.
func (p *Pane) decide(c pane.Context, ch run.Choice) tea.Cmd {
	a := ch.Answer
	st := p.current()
	if a.Step == "" && st != nil {
		a.Step = st.Name
	}
	switch {
	case a.Verb == run.Undo || a.Verb == run.Stop:
		question := "Stop " + p.state.ID + "? " + ch.Does
		if a.Verb == run.Undo {
			question = "Abort " + p.state.ID + "? " + ch.Does
		}
		p.sure.Ask(question, func() tea.Cmd { return p.send(c, a) })
	case a.Verb == run.Skip || a.Verb == run.Accept:
		prompt := "Why is " + a.Step + " left out?"
		if a.Verb == run.Accept {
			prompt = "How do you know that " + a.Step + " is done?"
		}
		p.typing = typing{verb: a.Verb, step: a.Step, prompt: prompt, needs: true}
		p.input.Open("")
	case p.state.Ask == run.AskNote:
		prompt := p.state.Question
		if prompt == "" && st != nil {
			prompt = st.Ask
		}
		p.typing = typing{verb: a.Verb, step: a.Step, prompt: prompt, needs: true}
		p.input.Open("")
	default:
		return p.send(c, a)
	}
	return nil
}

// submit takes what was typed.
func (p *Pane) submit(c pane.Context) tea.Cmd {
	words := strings.TrimSpace(p.input.Value())
	ty := p.typing
	if ty.needs && words == "" {
		return kit.Notice("A few words are needed; esc leaves it.", false)
	}
	p.input.Close()
	if ty.variable != "" {
		p.given[ty.variable] = words
		return p.resolve(c)
	}
	return p.send(c, run.Answer{Step: ty.step, Verb: ty.verb, Text: words})
}

type answeredMsg struct {
	id  string
	err error
}

// send hands the answer to the run, unless the run has moved on to another step meanwhile.
func (p *Pane) send(c pane.Context, a run.Answer) tea.Cmd {
	if st := p.current(); st == nil || st.Name != a.Step {
		return kit.Notice("The run has left "+a.Step+" meanwhile; nothing was answered.", true)
	}
	p.sending = true
	desk, id := c.Desk, p.id
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		return answeredMsg{id, desk.AnswerRun(ctx, id, a)}
	})
}

func (p *Pane) takeAnswered(m answeredMsg) tea.Cmd {
	if m.id != p.id {
		return nil
	}
	p.sending = false
	if m.err != nil {
		return kit.Notice(m.err.Error(), true)
	}
	return kit.Acted
}

type startedMsg struct {
	of    string // runbook or run
	state run.State
	err   error
}

func (p *Pane) start(c pane.Context) tea.Cmd {
	p.sending, p.err = true, nil
	desk, plan := c.Desk, p.plan
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		s, err := desk.StartRun(ctx, plan)
		return startedMsg{plan.Runbook.ID, s, err}
	})
}

func (p *Pane) resume(c pane.Context) tea.Cmd {
	p.sending = true
	desk, id := c.Desk, p.id
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		s, err := desk.ResumeRun(ctx, id)
		return startedMsg{id, s, err}
	})
}

func (p *Pane) takeStarted(c pane.Context, m startedMsg) tea.Cmd {
	if m.of != p.runbook && m.of != p.id {
		return kit.Acted // another plan is on the screen meanwhile; the run stands in the header
	}
	p.sending = false
	if m.err != nil {
		p.err = m.err
		return tea.Batch(kit.Notice(m.err.Error(), true), kit.Acted)
	}
	p.id, p.err = m.state.ID, nil
	cmd := p.show(c, &m.state)
	if c.Ctx != nil && c.Ctx.Err() != nil {
		return cmd // nobody looks; it is watched again when somebody does
	}
	return tea.Batch(cmd, p.watch(c))
}
