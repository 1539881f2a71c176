package tuitest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
)

// Runbooks returns Books; without trouble nothing is suggested.
func (d *Desk) Runbooks(ctx context.Context, service string, snap *signal.Snapshot) ([]runbooks.Listing, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	out := slices.Clone(d.Books)
	if snap == nil || service != Failing || len(snap.Line.Signals) == 0 {
		for i := range out {
			out[i].Suggested = ""
		}
	}
	return out, nil
}

// Plan resolves the variables of one of Books; TICKET must be given.
func (d *Desk) Plan(ctx context.Context, service, runbook string, vars map[string]string) (*run.Plan, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	for _, l := range d.Books {
		if l.Runbook == nil || l.Runbook.ID != runbook {
			continue
		}
		p := &run.Plan{
			Runbook: l.Runbook, Target: run.Target{Service: service, Environment: "prod"}, Why: l.Suggested,
			Vars: []run.Value{
				{Name: "BAD", Value: "v14", From: "suspect prompt"},
				{Name: "GOOD", Value: "v13", From: "rollcall pin last-good prompt --not v14"},
				{Name: "TICKET", Ask: "Which ticket is this for? (none is an answer)"},
			},
			Now: []run.PlannedCheck{{Step: "quality", Sample: run.Sample{
				At: d.clock.Now(), Value: sources.N(.0915), Usual: sources.N(.012), N: sources.N(4944), Verdict: run.Failed, Why: "9.1% is over usual × 2 = 2.4%",
			}}},
		}
		if l.Rehearsed.IsZero() {
			p.Doubts = append(p.Doubts, "never rehearsed: nobody knows yet whether it works")
		}
		for i := range p.Vars {
			if v, ok := vars[p.Vars[i].Name]; ok {
				p.Vars[i].Value, p.Vars[i].From = v, "you"
			}
		}
		if d.Planned != nil {
			d.Planned(p)
		}
		return p, nil
	}
	return nil, fmt.Errorf("no runbook is called %s; rollcall runbook list names them", runbook)
}

// StartRun starts a run that has passed its preconditions and asks before its first write.
func (d *Desk) StartRun(ctx context.Context, p *run.Plan) (run.State, error) {
	if err := d.check(ctx); err != nil {
		return run.State{}, err
	}
	if why := d.JournalTrouble(); why != "" {
		return run.State{}, fmt.Errorf("nothing acts while nothing can be written down: %s", why)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	s := run.State{
		ID: fmt.Sprintf("RUN-%d", len(d.runs)+3), Runbook: p.Runbook.ID, Title: p.Runbook.Title, Hash: p.Runbook.Hash, Component: p.Runbook.Component,
		Target: p.Target, Vars: p.Vars, Actor: "ana", Began: now, Driver: "you",
	}
	for _, st := range p.Runbook.Steps {
		s.Steps = append(s.Steps, run.Step{Step: st, Status: run.Pending})
	}
	zero := 0
	s.Steps[0].Status, s.Steps[0].Began, s.Steps[0].Ended, s.Steps[0].Took, s.Steps[0].Exit = run.Passed, now, now, .2, &zero
	s.Steps[1].Status, s.Steps[1].Began, s.Steps[1].Ended = run.Passed, now, now
	s.Steps[1].Snapped = []sources.Reading{
		{Signal: "schema_fail", Label: "schema fail", Unit: sources.Ratio, Value: .0915, Known: true, Verdict: sources.Bad},
		{Signal: "eval_score", Label: "eval score", Unit: sources.Score, Value: .81, Known: true, Verdict: sources.Watch},
	}
	askGo(&s, 2)
	d.runs = append(d.runs, s)
	d.add(journal.Entry{Kind: journal.RunStarted, Actor: "ana", Origin: "run", Service: p.Target.Service, Run: s.ID}, map[string]any{"runbook": s.Runbook})
	return s, nil
}

// askGo makes a run wait before the write at index i.
func askGo(s *run.State, i int) {
	st := &s.Steps[i]
	st.Status, st.Why = run.Waiting, "it changes something: a person says go"
	s.Current, s.Phase, s.Ask = i, st.Phase, run.AskGo
	s.Question = "apply moves prompt from v14 to v13. It is asked after a crash whether that happened, and never repeated blindly."
	s.Choices = []run.Choice{
		{Answer: run.Answer{Step: st.Name, Verb: run.Go}, Does: "move prompt from v14 to v13: rollcall pin set prompt v13 --if-current v14"},
		{Answer: run.Answer{Step: st.Name, Verb: run.Skip}, Does: "leave it out, with a reason"},
		{Answer: run.Answer{Step: st.Name, Verb: run.Undo}, Does: "abort: nothing has been changed yet, so nothing is undone"},
	}
}

// ResumeRun drives a run again.
func (d *Desk) ResumeRun(ctx context.Context, id string) (run.State, error) {
	if err := d.check(ctx); err != nil {
		return run.State{}, err
	}
	return d.Set(id, func(s *run.State) { s.Driver = "you" }), nil
}

// Runs returns those of a service, newest first.
func (d *Desk) Runs(ctx context.Context, service string) ([]run.State, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []run.State
	for i := len(d.runs) - 1; i >= 0; i-- {
		if d.runs[i].Target.Service == service {
			out = append(out, d.runs[i])
		}
	}
	return out, nil
}

// WatchRun sends the state now and after every change.
func (d *Desk) WatchRun(ctx context.Context, id string) (<-chan run.State, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.find(id)
	if s == nil {
		return nil, fmt.Errorf("no run is called %s; rollcall runbook runs names them", id)
	}
	ch := make(chan run.State, 1)
	ch <- *s
	if s.Outcome != "" {
		close(ch)
		return ch, nil
	}
	d.watchers[id] = append(d.watchers[id], ch)
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if i := slices.Index(d.watchers[id], ch); i >= 0 {
			d.watchers[id] = slices.Delete(d.watchers[id], i, i+1)
			close(ch)
		}
	})
	return ch, nil
}

func (d *Desk) find(id string) *run.State {
	for i := range d.runs {
		if d.runs[i].ID == id {
			return &d.runs[i]
		}
	}
	return nil
}

// Set changes a run and tells everybody who watches it.
func (d *Desk) Set(id string, change func(*run.State)) run.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.find(id)
	next := *s
	next.Steps, next.Choices = slices.Clone(s.Steps), slices.Clone(s.Choices)
	change(&next)
	*s = next
	for _, ch := range d.watchers[id] {
		select {
		case <-ch: // a state that nobody has taken yet is outdated
		default:
		}
		ch <- next
		if next.Outcome != "" {
			close(ch)
		}
	}
	if next.Outcome != "" {
		d.watchers[id] = nil
	}
	return next
}

// AnswerRun keeps the answer; going at a write starts its command.
func (d *Desk) AnswerRun(ctx context.Context, id string, a run.Answer) error {
	if err := d.check(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	s := d.find(id)
	if s == nil {
		d.mu.Unlock()
		return fmt.Errorf("no run is called %s", id)
	}
	if s.Current < 0 || s.Steps[s.Current].Name != a.Step {
		d.mu.Unlock()
		return fmt.Errorf("%s is not at %s any more; look again", id, a.Step)
	}
	asked := s.Ask
	d.answers = append(d.answers, a)
	d.mu.Unlock()
	d.Set(id, func(s *run.State) {
		st := &s.Steps[s.Current]
		s.Ask, s.Question, s.Choices = run.AskNothing, "", []run.Choice{{Answer: run.Answer{Step: st.Name, Verb: run.Undo}, Does: "abort: put the old version back"}}
		switch {
		case a.Verb == run.Go && asked == run.AskGo:
			st.Status, st.Attempt, st.Began = run.Running, 1, d.clock.Now()
			st.Output = Output(d.clock.Now(), 4)
		case a.Verb == run.Go || a.Verb == run.Accept:
			st.Status, st.By = run.Passed, "ana"
			st.Note = a.Text
		case a.Verb == run.Skip:
			st.Status, st.Why = run.Skipped, a.Text
		case a.Verb == run.Undo:
			s.Aborting, s.Phase = true, runbooks.Abort
		case a.Verb == run.Stop:
			s.Outcome, s.Ended, s.Why, s.Current = run.Stopped, d.clock.Now(), a.Text, -1
		}
	})
	return nil
}

// Output is n lines of a command.
func Output(at time.Time, n int) []run.Line {
	words := []string{"prompt is v14, as expected", "PUT http://127.0.0.1:7000/v1/pins/prompt If-Match: v14", "200 OK", "prompt is v13 now"}
	out := make([]run.Line, n)
	for i := range out {
		out[i] = run.Line{N: int64(i + 1), Wall: at, Stream: "out", Text: words[i%len(words)]}
	}
	return out
}

// Measure puts a run into its check with n samples that fall from bad to usual.
func (d *Desk) Measure(id string, n int) run.State {
	return d.Set(id, func(s *run.State) {
		zero := 0
		for i := range s.Steps {
			if s.Steps[i].Kind == runbooks.Command && s.Steps[i].Phase != runbooks.Abort {
				s.Steps[i].Status, s.Steps[i].Exit, s.Steps[i].Took = run.Passed, &zero, .4
			}
		}
		s.Steps[2].Output = Output(d.clock.Now(), 4)
		s.Current, s.Phase, s.Ask, s.Question = 4, runbooks.Verify, run.AskNothing, ""
		s.Choices = []run.Choice{{Answer: run.Answer{Step: "quality", Verb: run.Undo}, Does: "abort: put the old version back, if the new one measured worse"}}
		st := &s.Steps[4]
		st.Status, st.Attempt, st.Began, st.Why = run.Running, 1, s.Began.Add(time.Minute), ""
		st.Samples = nil
		values := []float64{.061, .034, .019, .0141, .0122, .0119}
		for i := range n {
			v := values[min(i, len(values)-1)]
			smp := run.Sample{
				At: st.Began.Add(5*time.Minute + time.Duration(i)*time.Minute), Query: "sum(rate(llmops_validation_total{result=\"fail\"}[2m]))", From: "prometheus",
				Value: sources.N(v), Usual: sources.N(.012), N: sources.N(4900 + float64(i)*7),
			}
			switch {
			case v > .024:
				smp.Verdict, smp.Why = run.Failed, fmt.Sprintf("%.1f%% is over usual × 2 = 2.4%%", v*100)
			case v > .0156:
				smp.Verdict, smp.Why = run.Inconclusive, fmt.Sprintf("%.1f%% is between usual × 1.3 = 1.6%% and usual × 2 = 2.4%%", v*100)
			default:
				smp.Verdict, smp.Why = run.Passed, fmt.Sprintf("%.1f%% is within usual × 1.3 = 1.6%%", v*100)
			}
			st.Samples = append(st.Samples, smp)
		}
		st.NextAt = st.Began.Add(5*time.Minute + time.Duration(n)*time.Minute)
	})
}

// End ends a run.
func (d *Desk) End(id string, o run.Outcome, why string) run.State {
	return d.Set(id, func(s *run.State) {
		for i := range s.Steps {
			if o == run.Succeeded && s.Steps[i].Phase != runbooks.Abort {
				s.Steps[i].Status, s.Steps[i].Why = run.Passed, ""
			}
		}
		s.Outcome, s.Why, s.Ended, s.Current, s.Driver = o, why, d.clock.Now(), -1, ""
		s.Ask, s.Question, s.Choices = run.AskNothing, "", nil
	})
}
