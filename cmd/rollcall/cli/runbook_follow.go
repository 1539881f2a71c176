package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rollcall/runbooks/run"
)

// runDesk is a session for one command about runs.
type runDesk struct {
	p       *Program
	runner  Runner
	engine  *run.Engine
	service string
	json    bool
	out     *printer
	now     time.Time
	typed   chan string
	told    printed
}

// printed remembers what was printed, so that only what is new is.
type printed struct {
	status  map[string]run.Status
	samples map[string]int
	line    map[string]int64
	asked   string
}

// runEvent is one line of `runbook run -o json`.
type runEvent struct {
	Run      string       `json:"run"`
	Step     string       `json:"step,omitempty"`
	Status   run.Status   `json:"status,omitempty"`
	Why      string       `json:"why,omitempty"`
	Line     *run.Line    `json:"line,omitempty"`
	Sample   *run.Sample  `json:"sample,omitempty"`
	Ask      run.Ask      `json:"ask,omitempty"`
	Question string       `json:"question,omitempty"`
	Choices  []run.Choice `json:"choices,omitempty"`
	Outcome  run.Outcome  `json:"outcome,omitempty"`
	Resume   string       `json:"resume,omitempty"` // the command that goes on with it
}

// talks tells whether somebody can be asked.
func (r *runDesk) talks() bool { return r.p.InTTY && r.p.OutTTY && !r.json }

func (r *runDesk) say(format string, args ...any) {
	r.out.line("%s", r.out.words(clean(fmt.Sprintf(format, args...))))
}

func (r *runDesk) event(e runEvent) {
	if r.out.err == nil {
		r.out.err = writeLine(r.p.Out, e)
	}
}

// follow prints what happens in a run that this process drives, and asks.
func (r *runDesk) follow(ctx context.Context, id string, yes bool) error {
	r.told = printed{status: map[string]run.Status{}, samples: map[string]int{}, line: map[string]int64{}}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	states, err := r.engine.Watch(watching, id)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			r.engine.Detach(id)
			return r.left(id, "interrupted")
		case st, open := <-states:
			if !open {
				return r.left(id, "interrupted")
			}
			r.tell(&st)
			switch {
			case st.Outcome != "":
				return r.ended(&st)
			case st.Driver == "" && st.Why != "":
				return fmt.Errorf("%s", st.Why)
			case st.Ask == run.AskNothing || st.Ask == run.AskGo && yes:
				continue
			}
			if question := st.Question + st.Steps[st.Current].Name; question != r.told.asked {
				r.told.asked = question
				r.question(&st)
				if !r.talks() {
					r.engine.Detach(id)
					return r.left(id, "a person must decide")
				}
				if err := r.answer(ctx, &st); err != nil {
					return err
				}
			}
		}
	}
}

// left says how to go on with a run that this process lets go.
func (r *runDesk) left(id, why string) error {
	resume := "rollcall runbook resume " + id
	if r.json {
		r.event(runEvent{Run: id, Why: why, Resume: resume})
	} else {
		r.say("%s: %s. Nothing is lost; go on with %s", id, why, resume)
	}
	return &exit{code: ExitBad}
}

func (r *runDesk) ended(st *run.State) error {
	if r.json {
		r.event(runEvent{Run: st.ID, Outcome: st.Outcome, Why: st.Why})
	} else {
		words := fmt.Sprintf("%s %s", st.ID, st.Outcome)
		if st.Why != "" {
			words += ": " + st.Why
		}
		r.say("%s", words)
	}
	if st.Outcome != run.Succeeded {
		return &exit{code: ExitBad}
	}
	return r.out.err
}

// tell prints what is new in a state.
func (r *runDesk) tell(st *run.State) {
	for i := range st.Steps {
		s := &st.Steps[i]
		if s.Status == run.Pending && s.Attempt == 0 {
			continue
		}
		key := fmt.Sprintf("%s.%d", s.Name, s.Attempt)
		if r.told.status[key] == "" && s.Status != run.Running && s.Status != run.Waiting && s.Status != run.Skipped && s.Attempt > 0 && !r.json {
			r.say("%-9s %s  %s", run.Running, s.Name, s.Sentence)
			r.told.status[key] = run.Running
		}
		for _, l := range s.Output {
			if l.N > r.told.line[key] {
				r.told.line[key] = l.N
				if r.json {
					r.event(runEvent{Run: st.ID, Step: s.Name, Line: &l})
				} else {
					r.out.line("          %s", r.out.style(r.out.theme.Dim, "| "+r.out.words(clean(l.Text))))
				}
			}
		}
		for n := r.told.samples[key]; n < len(s.Samples); n++ {
			x := &s.Samples[n]
			if r.json {
				r.event(runEvent{Run: st.ID, Step: s.Name, Sample: x})
			} else {
				r.say("          %s %-12s %s", x.At.UTC().Format("15:04:05Z"), x.Verdict, firstOf(x.Error, x.Why))
			}
		}
		r.told.samples[key] = max(r.told.samples[key], len(s.Samples))
		if s.Status == r.told.status[key] || s.Status == run.Waiting || s.Status == run.Pending {
			continue
		}
		r.told.status[key] = s.Status
		if r.json {
			r.event(runEvent{Run: st.ID, Step: s.Name, Status: s.Status, Why: s.Why})
			continue
		}
		words := s.Sentence
		if s.Status != run.Running {
			words = s.Why
		}
		r.say("%-9s %s  %s", s.Status, s.Name, words)
	}
}

func (r *runDesk) question(st *run.State) {
	if r.json {
		r.event(runEvent{Run: st.ID, Step: st.Steps[st.Current].Name, Ask: st.Ask, Question: st.Question, Choices: st.Choices})
		return
	}
	r.say("")
	r.say("%s", st.Question)
	for _, c := range st.Choices {
		r.say("  %-7s %s", c.Answer.Verb, c.Does)
	}
}

// answer asks until an answer is taken; it returns without one when the run moved on.
func (r *runDesk) answer(ctx context.Context, st *run.State) error {
	at := st.Steps[st.Current].Name
	var verbs []string
	for _, c := range st.Choices {
		verbs = append(verbs, string(c.Answer.Verb))
	}
	for {
		typed, ok := r.ask(ctx, strings.Join(verbs, "/")+" >")
		if !ok {
			r.engine.Detach(st.ID)
			return r.left(st.ID, "interrupted")
		}
		a := run.Answer{Step: at, Verb: run.Verb(typed)}
		switch typed {
		case "y", "yes":
			a.Verb = run.Go
		case "":
			continue
		}
		switch {
		case a.Verb == run.Go && st.Ask == run.AskNote:
			if a.Text, ok = r.ask(ctx, "Text:"); !ok {
				continue
			}
		case a.Verb == run.Skip || a.Verb == run.Accept:
			if a.Text, ok = r.ask(ctx, "Why:"); !ok {
				continue
			}
		}
		err := r.engine.Answer(ctx, st.ID, a)
		if err == nil {
			r.told.asked = ""
			return nil
		}
		r.say("%s", err)
		now, err := r.engine.State(ctx, st.ID)
		if err != nil || now.Current < 0 || now.Steps[now.Current].Name != at || now.Ask != st.Ask {
			r.told.asked = ""
			return nil //nolint:nilerr // the next state says what became of it
		}
	}
}

func (r *runDesk) began(plan *run.Plan, st *run.State) {
	if r.json {
		r.event(runEvent{Run: st.ID, Status: run.Running, Why: plan.Why})
		return
	}
	r.say("%s %s", st.ID, st.Title)
	r.variables(plan)
}

func (r *runDesk) variables(plan *run.Plan) {
	if plan.Why != "" {
		r.say("%s", plan.Why)
	}
	for _, v := range plan.Vars {
		if v.Value == "" && v.Ask != "" {
			r.say("  %s is not known: %s", v.Name, v.Ask)
			r.offered(v.Offers)
			continue
		}
		r.say("  %s = %s  (%s)", v.Name, v.Value, v.From)
	}
	for _, d := range plan.Doubts {
		r.say("  doubt: %s", d)
	}
	r.say("")
}

// planned prints what a run would do.
func (r *runDesk) planned(plan *run.Plan) {
	r.say("%s: %s", plan.Runbook.ID, plan.Runbook.Title)
	r.variables(plan)
	phase := ""
	for i := range plan.Runbook.Steps {
		s := &plan.Runbook.Steps[i]
		if string(s.Phase) != phase {
			phase = string(s.Phase)
			r.out.line("%s", r.out.style(r.out.theme.Title, phase))
		}
		r.say("  %-12s %s", s.Name, s.Sentence)
		for line := range strings.Lines(run.Resolve(s.Script, plan.Vars)) {
			r.say("    $ %s", strings.TrimRight(line, "\n"))
		}
		if s.When != "" {
			r.say("    only when %s", s.When)
		}
		for _, n := range plan.Now {
			if n.Step == s.Name {
				r.say("    now: %s, %s", n.Sample.Verdict, firstOf(n.Sample.Error, n.Sample.Why))
			}
		}
	}
}

// whole prints a run in full.
func (r *runDesk) whole(st *run.State) {
	r.say("%s %s: %s", st.ID, st.Title, stateWords(st))
	if why := firstOf(st.Why, st.Question); why != "" {
		r.say("  %s", why)
	}
	for _, v := range st.Vars {
		r.say("  %s = %s  (%s)", v.Name, v.Value, v.From)
	}
	for i := range st.Steps {
		s := &st.Steps[i]
		r.say("%-12s %-12s %s", s.Status, s.Name, firstOf(s.Why, s.Sentence))
		for n := range s.Samples {
			r.say("             %s %-12s %s", s.Samples[n].At.UTC().Format("15:04:05Z"), s.Samples[n].Verdict, firstOf(s.Samples[n].Error, s.Samples[n].Why))
		}
		for _, l := range s.Output {
			r.out.line("             %s", r.out.style(r.out.theme.Dim, "| "+r.out.words(clean(l.Text))))
		}
	}
	if st.Interrupted() {
		r.say("Nobody drives it; go on with rollcall runbook resume %s", st.ID)
	}
}
