package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/sources/redact"
	"rollcall/store/journal"
)

// step does the step that the run stands at, from its beginning or from where
// whoever drove the run before has left it.
func (d *driver) step(i int) error {
	s := &d.exact.Steps[i]
	var open, cleared bool
	var attempts int
	d.look(func(f *fold) {
		open, cleared, attempts = f.open, f.cleared == s.Name, f.st.Steps[i].Attempt
	})
	if s.When != "" && !open && !cleared && attempts == 0 {
		if do, err := d.when(i, s); !do || err != nil {
			return err
		}
	}
	sentence := trimStop(Resolve(s.Sentence, d.exact.Vars))
	switch s.Kind {
	case runbooks.Confirm:
		return d.ask(i, AskConfirm, sentence+"?")
	case runbooks.Approve:
		return d.ask(i, AskApprove, "A second person must approve: "+sentence+".")
	case runbooks.Note:
		q := s.Ask
		if q == "" {
			q = sentence
		}
		return d.ask(i, AskNote, q)
	case runbooks.Command, runbooks.Evals:
		return d.command(i, s, cleared)
	case runbooks.CheckOf:
		return d.check(i, s)
	case runbooks.Snapshot:
		return d.snap(i, s)
	case runbooks.Wait:
		return d.wait(i, s)
	case runbooks.Capture:
		return d.capture(i, s)
	case runbooks.Criteria:
		return d.criteria(i, s)
	}
	return d.finish(StepEnded{Step: s.Name, Status: Failed, Then: ThenAsk, Why: fmt.Sprintf("this rollcall does not know steps of kind %q", s.Kind)})
}

// when decides whether a conditional step is for now.
func (d *driver) when(i int, s *runbooks.Step) (bool, error) {
	var taken snapshots
	d.look(func(f *fold) { taken = f.taken() })
	ctx, cancel := context.WithTimeout(d.ctx, measureTimeout)
	defer cancel()
	env := d.e.env(ctx, d.f.st.Target, d.exact.Vars, taken)
	var seen []string
	now := env.Now
	env.Now = func(signal string) sources.Num {
		n := now(signal)
		seen = append(seen, fmt.Sprintf("now.%s is %s", signal, write(n, "")))
		return n
	}
	yes, err := runbooks.Eval(s.When, env)
	if d.ctx.Err() != nil {
		return false, d.ctx.Err()
	}
	if err != nil {
		return false, d.ask(i, AskDecide, fmt.Sprintf("Whether %s is due cannot be told: %s.", s.Name, redact.SanitizeLine(err.Error(), 300)))
	}
	if !yes {
		why := "not due, since this does not hold: " + s.When
		if len(seen) > 0 {
			why += " (" + strings.Join(seen, ", ") + ")"
		}
		return false, d.finish(StepEnded{Step: s.Name, Status: Skipped, Then: ThenNext, Why: why})
	}
	return true, nil
}

func (d *driver) wait(i int, s *runbooks.Step) error {
	attempt, _, err := d.begin(i, "")
	if err != nil {
		return err
	}
	var began time.Time
	d.look(func(f *fold) { began = f.st.Steps[i].Began })
	err = d.attend(true, func(ctx context.Context) error { return d.pause(ctx, began.Add(s.Wait), s.Wait) })
	switch {
	case errors.Is(err, errCut):
		return d.broken(StepEnded{Step: s.Name, Attempt: attempt, Status: Inconclusive})
	case errors.Is(err, errOverdue):
		return d.overdue(i)
	case err != nil:
		return err
	}
	return d.finish(StepEnded{Step: s.Name, Attempt: attempt, Status: Passed, Then: ThenNext, Why: "waited " + s.Wait.String()})
}

// snap records signals as they are now.
func (d *driver) snap(i int, s *runbooks.Step) error {
	attempt, _, err := d.begin(i, "")
	if err != nil {
		return err
	}
	readings := make([]sources.Reading, len(s.Signals))
	failures := make([]error, len(s.Signals))
	err = d.attend(true, func(ctx context.Context) error {
		bounded, cancel := context.WithTimeout(ctx, measureTimeout)
		defer cancel()
		var wg sync.WaitGroup
		for n, id := range s.Signals {
			wg.Go(func() { readings[n], failures[n] = d.e.Signals.Measure(bounded, d.f.st.Target.Service, id) })
		}
		wg.Wait()
		return ctx.Err()
	})
	switch {
	case errors.Is(err, errCut):
		return d.broken(StepEnded{Step: s.Name, Attempt: attempt, Status: Inconclusive})
	case errors.Is(err, errOverdue):
		return d.overdue(i)
	case err != nil:
		return err
	}
	var said, blind []string
	for n := range readings {
		r := &readings[n]
		r.Signal, r.History, r.Parts = s.Signals[n], nil, nil
		switch {
		case failures[n] != nil:
			r.Known, r.Verdict = false, sources.Unreachable
			blind = append(blind, r.Signal+": "+redact.SanitizeLine(failures[n].Error(), 200))
		case r.Verdict == sources.Unreachable || r.Facts.Stale != "":
			r.Known = false
			blind = append(blind, r.Signal+": "+redact.SanitizeLine(r.Why, 200))
		case !r.Known:
			said = append(said, fmt.Sprintf("%s %s", r.Signal, r.Verdict))
		default:
			said = append(said, fmt.Sprintf("%s %s", r.Signal, write(sources.N(r.Value), r.Unit)))
		}
	}
	o := StepEnded{Step: s.Name, Attempt: attempt, Status: Passed, Then: ThenNext, Why: strings.Join(said, ", "), Snapped: readings}
	if len(blind) > 0 {
		o.Status, o.Then, o.Why = Inconclusive, d.after(s.OnFail), "not everything could be measured: "+strings.Join(blind, "; ")
	}
	return d.finish(o)
}

// capture keeps matching requests as artifacts.
func (d *driver) capture(i int, s *runbooks.Step) error {
	attempt, _, err := d.begin(i, "")
	if err != nil {
		return err
	}
	o := StepEnded{Step: s.Name, Attempt: attempt, Status: Failed, Then: d.after(s.OnFail)}
	if d.e.Capturer == nil || s.Capture == nil {
		o.Why = "requests cannot be captured here"
		return d.finish(o)
	}
	c := Capturing{Run: d.id, Bad: s.Capture.Bad, Limit: s.Capture.Limit, Version: map[sources.Component]string{}}
	d.look(func(f *fold) { c.Target, c.Since = f.st.Target, f.st.Began.Add(-time.Hour) })
	for part, v := range s.Capture.Version {
		c.Version[part] = Resolve(v, d.exact.Vars)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Capture.Where)) {
		c.Where = append(c.Where, sources.Attribute{Name: name, Value: Resolve(s.Capture.Where[name], d.exact.Vars)})
	}
	var found []journal.Draft
	var facts sources.Facts
	err = d.attend(true, func(ctx context.Context) (err error) {
		bounded, cancel := context.WithTimeout(ctx, measureTimeout)
		defer cancel()
		found, facts, err = d.e.Capturer.Capture(bounded, c)
		return err
	})
	switch {
	case errors.Is(err, errCut):
		return d.broken(StepEnded{Step: s.Name, Attempt: attempt, Status: Inconclusive})
	case errors.Is(err, errOverdue):
		return d.overdue(i)
	case d.ctx.Err() != nil:
		return d.ctx.Err()
	case err != nil:
		o.Why = redact.SanitizeLine(err.Error(), 300)
		return d.finish(o)
	case len(found) == 0:
		o.Why = "no request matches"
		return d.finish(o)
	}
	for n := range found {
		f := &found[n]
		f.Service, f.Environment, f.Incident, f.Run = c.Target.Service, c.Target.Environment, c.Target.Incident, d.id
	}
	o.Status, o.Then, o.Why = Passed, ThenNext, capturedWords(len(found), facts)
	return d.finish(o, found...)
}

// capturedWords says what was kept of how much.
func capturedWords(n int, f sources.Facts) string {
	out := fmt.Sprintf("%d captured", n)
	switch {
	case f.Total < 0:
		out += ", the newest of more than were counted"
	case f.Total > n:
		out += fmt.Sprintf(", the newest of %d", f.Total)
	}
	if f.Partial != "" {
		out += "; not all were looked at: " + redact.SanitizeLine(f.Partial, 200)
	}
	return out
}

// criteria decides whether the run did what it is for.
func (d *driver) criteria(i int, s *runbooks.Step) error {
	attempt, _, err := d.begin(i, "")
	if err != nil {
		return err
	}
	var not []string
	var t Target
	d.look(func(f *fold) {
		t = f.st.Target
		for _, name := range s.Criteria {
			if c := f.step(name); c == nil || c.Status != Passed {
				word := "is missing"
				if c != nil {
					word = string(c.Status)
				}
				not = append(not, name+" "+word)
			}
		}
	})
	o := StepEnded{Step: s.Name, Attempt: attempt}
	if len(not) > 0 || len(s.Criteria) == 0 {
		o.Status, o.Then, o.Why = Failed, d.after(s.OnFail), "not all of it holds: "+strings.Join(not, ", ")
		return d.finish(o)
	}
	o.Status, o.Then, o.Why = Passed, ThenNext, strings.Join(s.Criteria, ", ")+" passed"
	switch {
	case s.Mark == "":
	case t.Rehearsal:
		o.Why += "; a rehearsal marks no incident"
	case t.Incident == "" || d.e.Marker == nil:
		o.Why += "; no incident to mark " + s.Mark
	default:
		ctx, cancel := context.WithTimeout(d.ctx, appendTime)
		defer cancel()
		if err := d.e.Marker.Mark(ctx, t.Incident, s.Mark, d.e.Clock.Now(), d.id+": "+o.Why); err != nil {
			if d.ctx.Err() != nil {
				return d.ctx.Err()
			}
			o.Status, o.Then, o.Why = Failed, ThenAsk, redact.SanitizeLine(fmt.Sprintf("all of it holds, but %s cannot be marked %s: %s", t.Incident, s.Mark, err), 300)
			return d.finish(o)
		}
		d.e.Boundary("marked:" + s.Name)
		o.Mark = s.Mark
		o.Why += "; " + t.Incident + " is " + s.Mark
	}
	if s.Hold != nil && !t.Rehearsal {
		for n := range d.exact.Steps {
			if h := &d.exact.Steps[n]; h.Name == s.Hold.Step && h.Check != nil {
				o.Hold = &Held{Step: h.Name, Check: h.Check, Until: d.e.Clock.Now().Add(s.Hold.For), OnFail: s.Hold.OnFail}
				o.Why += fmt.Sprintf("; %s is watched for another %s", h.Name, s.Hold.For)
			}
		}
	}
	return d.finish(o)
}
