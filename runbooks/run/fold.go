package run

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
	"rollcall/sources"
	"rollcall/store/journal"
)

// Fold adds the entries of one run up, oldest first. It is pure: whoever reads
// the journal sees the same run. Entries of other kinds do not count.
func Fold(entries []journal.Entry) State {
	f := &fold{}
	for i := range entries {
		f.apply(&entries[i])
	}
	return f.state()
}

// fold is a run as its entries so far tell it.
type fold struct {
	st   State
	last int64 // sequence number of the newest entry

	maxDuration time.Duration
	deadline    time.Time // service time; zero is none
	pinned      string
	unattended  bool

	open    bool   // the current step has an attempt without an end
	cleared string // the write that a person said go to
	overdue bool   // the question is about the time that the run takes
	process *recorder.Identity
	cut     *cut   // a person broke in on the running step
	ending  *Ended // the run is over but for writing it down
	wrote   bool   // something was changed, or may have been
}

type cut struct {
	verb Verb
	by   string
	why  string
}

// decode reads an entry's data. What a newer or damaged entry does not give is left out.
func decode[T any](e *journal.Entry) T {
	var v T
	_ = json.Unmarshal(e.Data, &v)
	return v
}

func (f *fold) step(name string) *Step {
	for i := range f.st.Steps {
		if f.st.Steps[i].Name == name {
			return &f.st.Steps[i]
		}
	}
	return nil
}

// apply adds one entry; false says that it changed nothing, such as an answer that came too late.
func (f *fold) apply(e *journal.Entry) bool {
	if e.Seq <= f.last && e.Seq != 0 {
		return false
	}
	f.last = e.Seq
	if e.Kind == journal.RunStarted {
		f.started(e)
		return true
	}
	if f.st.ID == "" || f.st.Outcome != "" && e.Kind != RunHeld {
		return false
	}
	switch e.Kind {
	case journal.RunIntent:
		f.intent(e)
	case journal.RunProcess:
		id := decode[Process](e).Identity
		f.process = &id
	case journal.RunSample:
		d := decode[Sampled](e)
		if s := f.step(d.Step); s != nil && !d.Held {
			s.Samples = append(s.Samples, d.Sample)
			if s.Check != nil {
				s.NextAt = d.Sample.At.Add(s.Check.Interval)
			}
		}
	case RunAsked:
		f.asked(decode[Asked](e))
	case journal.RunAnswer:
		return f.answer(e)
	case journal.RunOutcome:
		f.outcome(e)
	case RunResumed:
		f.unattended = decode[Resumed](e).Unattended
	case journal.RunEnded:
		d := decode[Ended](e)
		f.st.Outcome, f.st.Why, f.st.Ended = d.Outcome, d.Why, e.At
		f.st.Ask, f.st.Question, f.open, f.ending = AskNothing, "", false, nil
	default:
		return false
	}
	return true
}

func (f *fold) started(e *journal.Entry) {
	d := decode[Started](e)
	*f = fold{last: e.Seq, maxDuration: d.MaxDuration, pinned: d.Pinned, unattended: d.Unattended}
	if d.MaxDuration > 0 {
		f.deadline = e.At.Add(d.MaxDuration)
	}
	f.st = State{
		ID: e.Run, Runbook: d.Runbook, Title: d.Title, Hash: d.Hash, Component: d.Component, Settings: d.Settings, Target: d.Target, Vars: d.Vars,
		Actor: e.Actor, Began: e.At, Steps: make([]Step, len(d.Steps)),
	}
	for i := range d.Steps {
		f.st.Steps[i] = Step{Step: d.Steps[i], Status: Pending}
	}
}

// settling is when what is measured began to settle: with the last write, before which
// values still hold the old state, or with the check itself when nothing was written. What
// a person confirms among the steps was done by hand, and counts as a write.
func (f *fold) settling(began time.Time) time.Time {
	var last time.Time
	for i := range f.st.Steps {
		s := &f.st.Steps[i]
		written := s.Kind == runbooks.Command && s.Effect == runbooks.Write && s.Attempt > 0
		byHand := s.Kind == runbooks.Confirm && s.Phase == runbooks.Steps && s.Status == Passed
		if (written || byHand) && s.Ended.After(last) {
			last = s.Ended
		}
	}
	if last.IsZero() {
		return began
	}
	return last
}

func (f *fold) intent(e *journal.Entry) {
	d := decode[Intent](e)
	s := f.step(d.Step)
	if s == nil {
		return
	}
	*s = Step{Step: s.Step, Status: Running, Attempt: d.Attempt, Began: e.At, By: s.By}
	switch {
	case s.Check != nil:
		if s.NextAt = f.settling(e.At).Add(s.Check.InitialDelay); s.NextAt.Before(e.At) {
			s.NextAt = e.At
		}
	case s.Kind == runbooks.Wait:
		s.NextAt = e.At.Add(s.Wait)
	}
	f.open, f.process, f.cleared = true, nil, ""
	f.wrote = f.wrote || d.Effect == runbooks.Write
}

func (f *fold) asked(d Asked) {
	s := f.step(d.Step)
	if s == nil {
		return
	}
	f.st.Ask, f.st.Question, f.overdue = d.Ask, d.Question, d.Overdue
	s.Status = Waiting
	if d.Ask != AskDecide || d.Overdue {
		s.Why = d.Question
	}
}

// answer takes what a person decided, if it is about what is asked now.
func (f *fold) answer(e *journal.Entry) bool {
	d := decode[Answered](e)
	s := f.step(d.Step)
	if s == nil || f.ending != nil {
		return false
	}
	a := Answer{Step: d.Step, Verb: d.Verb, Text: e.Text}
	if e.TextErased {
		a.Text = "(erased)"
	}
	if f.refuse(e.Actor, a) != nil {
		return false
	}
	if f.st.Ask == AskNothing {
		f.cut = &cut{d.Verb, e.Actor, a.Text}
		return true
	}
	ask, overdue := f.st.Ask, f.overdue
	f.st.Ask, f.st.Question, f.overdue = AskNothing, "", false
	s.By, s.Why = e.Actor, ""
	switch d.Verb {
	case Go:
		switch {
		case overdue:
			f.deadline = e.At.Add(f.maxDuration)
			s.Status = Pending
			if f.open {
				s.Status = Running
			}
		case ask == AskGo || ask == AskDecide:
			s.Status, f.cleared = Pending, s.Name
		default:
			s.Status, s.Note, s.Ended = Passed, a.Text, e.At
		}
	case Again:
		s.Status, f.open = Pending, false
		if s.Attempt > 0 { // before the first, it is its condition that is looked at again
			f.cleared = s.Name
		}
	case Accept:
		s.Status, s.Note, s.Ended = Passed, a.Text, e.At
		s.Why = "taken as done by " + e.Actor + because(a.Text)
	case Skip:
		s.Status, s.Note, s.Ended = Skipped, a.Text, e.At
		s.Why = "left out by " + e.Actor + because(a.Text)
	case Undo:
		f.left(s, ask, e)
		f.st.Aborting, f.st.Why, f.cleared = true, "aborted by "+e.Actor+because(a.Text), ""
	case Stop:
		f.left(s, ask, e)
		f.ending = &Ended{Stopped, "stopped by " + e.Actor + because(a.Text)}
		if ask == AskDecide && !overdue {
			f.ending = &Ended{Escalated, s.Name + " needs a person" + because(s.Why)}
		}
	}
	return true
}

// left closes a step that the run turns away from.
func (f *fold) left(s *Step, ask Ask, e *journal.Entry) {
	s.Ended = e.At
	switch {
	case f.open:
		f.open, s.Status = false, Inconclusive
		s.Why = "broken off by " + e.Actor
	case ask == AskDecide && (s.Attempt > 0 || s.Kind == runbooks.Criteria):
		s.Status = Failed
	default:
		s.Status = Skipped
		s.Why = "not reached: " + e.Actor + " ended the run here"
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func (f *fold) outcome(e *journal.Entry) {
	d := decode[StepEnded](e)
	s := f.step(d.Step)
	if s == nil {
		return
	}
	s.Status, s.Why, s.Exit, s.Took, s.Omitted = d.Status, d.Why, d.Exit, d.Took, d.Omitted
	s.Attempt = max(s.Attempt, d.Attempt)
	s.Ended, s.NextAt = e.At, time.Time{}
	s.Output = lines(&d, e.Text)
	if d.Snapped != nil {
		s.Snapped = d.Snapped
	}
	f.open, f.process, f.cut = false, nil, nil
	switch d.Then {
	case ThenAgain:
		s.Status, s.Ended = Pending, time.Time{}
	case ThenAbort:
		f.st.Aborting, f.st.Why = true, s.Name+because(d.Why)
	case ThenStop:
		f.ending = &Ended{Stopped, d.Why}
	}
}

// lines gives the lines of an outcome's text their numbers back.
func lines(d *StepEnded, text string) []Line {
	if text == "" {
		return nil
	}
	texts := strings.Split(text, "\n")
	out := make([]Line, len(texts))
	for i, t := range texts {
		out[i] = Line{N: int64(i + 1), Stream: "out", Text: t}
		if len(d.Shown) == len(texts) {
			out[i].N, out[i].Wall = d.Shown[i].N, d.Shown[i].Wall
			if d.Shown[i].Err {
				out[i].Stream = "err"
			}
		}
	}
	return out
}

// next returns the step that the run stands at; -1 when none is left.
func (f *fold) next() int {
	for i := range f.st.Steps {
		s := &f.st.Steps[i]
		if (s.Phase == runbooks.Abort) == f.st.Aborting && (s.Status == Pending || s.Status == Running || s.Status == Waiting) {
			return i
		}
	}
	return -1
}

// state returns the run as it stands, with nothing shared.
func (f *fold) state() State {
	st := f.st
	st.Vars = slices.Clone(st.Vars)
	st.Steps = slices.Clone(st.Steps)
	for i := range st.Steps {
		s := &st.Steps[i]
		s.Samples, s.Output, s.Snapped = slices.Clone(s.Samples), slices.Clone(s.Output), slices.Clone(s.Snapped)
	}
	st.Current = -1
	if st.ID != "" && st.Outcome == "" {
		st.Current = f.next()
	}
	switch {
	case st.Current >= 0:
		st.Phase = st.Steps[st.Current].Phase
	case len(st.Steps) > 0 && st.Aborting:
		st.Phase = runbooks.Abort
	}
	st.Choices = f.choices()
	return st
}

// taken returns what snapshot steps recorded.
func (f *fold) taken() snapshots {
	out := snapshots{}
	for i := range f.st.Steps {
		s := &f.st.Steps[i]
		if s.Kind != runbooks.Snapshot || s.Snapped == nil {
			continue
		}
		m := map[string]sources.Num{}
		for _, r := range s.Snapped {
			if r.Known {
				m[r.Signal] = sources.N(r.Value)
			}
		}
		out[s.Name] = m
	}
	return out
}

// finish says how a run ends that has no step left.
func (f *fold) finish() Ended {
	if f.st.Aborting {
		return Ended{Aborted, f.st.Why}
	}
	var failed []string
	for i := range f.st.Steps {
		if s := &f.st.Steps[i]; s.Phase != runbooks.Abort && (s.Status == Failed || s.Status == Inconclusive) {
			failed = append(failed, s.Name)
		}
	}
	if len(failed) > 0 {
		return Ended{Succeeded, fmt.Sprintf("to the end, though not every step passed: %s", strings.Join(failed, ", "))}
	}
	return Ended{Outcome: Succeeded}
}
