package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"rollcall/runbooks"
	"rollcall/store/journal"
)

const (
	glance     = 500 * time.Millisecond // between two looks for answers given elsewhere, wall
	appendTime = 30 * time.Second       // for writing an entry, wall
	liveLines  = 500                    // of a running command that a state carries
)

var (
	errCut     = errors.New("a person broke in")
	errOverdue = errors.New("the run takes longer than it may")
)

// driver takes one run from step to step. Whatever it knows is in the journal:
// it can be gone at any instant, and another goes on from there.
type driver struct {
	e     *Engine
	id    string
	exact *pinned
	yes   bool
	locks []*lock

	ctx  context.Context
	stop context.CancelCauseFunc
	done chan struct{}
	poke chan struct{}

	syncing sync.Mutex // held while entries are read

	mu      sync.Mutex
	f       *fold
	out     []Line // newest lines of the command that runs
	gone    bool
	trouble string
	changed chan struct{} // closed when something changes, and replaced
}

func (e *Engine) drive(id string, f *fold, exact *pinned, yes bool, locks []*lock) State {
	d := &driver{
		e: e, id: id, exact: exact, yes: yes, locks: locks, f: f,
		done: make(chan struct{}), poke: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	d.ctx, d.stop = context.WithCancelCause(e.ctx)
	e.mu.Lock()
	e.drivers[id] = d
	e.mu.Unlock()
	first := d.snapshot()
	e.wg.Go(d.run)
	return first
}

func (d *driver) run() {
	err := d.turns()
	if err != nil && d.ctx.Err() == nil {
		d.e.Log.Error("a run stopped", "run", d.id, "err", err)
	}
	for _, l := range d.locks {
		l.release()
	}
	d.e.mu.Lock()
	delete(d.e.drivers, d.id)
	d.e.mu.Unlock()
	d.mu.Lock()
	d.gone = true
	if err != nil && d.ctx.Err() == nil {
		d.trouble = fmt.Sprintf("%s; then resume it with rollcall runbook resume %s", err, d.id)
	}
	over := d.f.st.Outcome != ""
	d.publish()
	d.mu.Unlock()
	if over {
		_ = os.RemoveAll(d.e.folder(d.id)) // the journal has all of it
	}
	d.stop(nil)
	close(d.done)
}

// turns is the whole life of a driver.
func (d *driver) turns() error {
	for {
		if d.ctx.Err() == nil {
			if over, err := d.turn(); over {
				return nil
			} else if err != nil && d.ctx.Err() == nil {
				return err
			}
		}
		if d.ctx.Err() != nil {
			var at string
			over := false
			d.look(func(f *fold) {
				over = f.st.Outcome != ""
				if i := f.next(); i >= 0 {
					at = f.st.Steps[i].Name
				}
			})
			if over {
				return nil
			}
			return d.append(d.draft(RunDetached, Detached{Step: at}))
		}
	}
}

// turn does the next thing; over says that there is none.
func (d *driver) turn() (over bool, err error) {
	if err := d.sync(d.ctx); err != nil {
		return false, err
	}
	var st State
	var ending *Ended
	var late bool
	next := -1
	d.look(func(f *fold) {
		st = State{Outcome: f.st.Outcome, Ask: f.st.Ask, Aborting: f.st.Aborting}
		ending, next = f.ending, f.next()
		late = f.late(d.e.Clock.Now()) && !f.open
	})
	switch {
	case st.Outcome != "":
		return true, nil
	case ending != nil:
		return false, d.end(*ending)
	case st.Ask == AskGo && d.yes:
		draft := d.draft(journal.RunAnswer, Answered{Step: d.exact.Steps[next].Name, Ask: AskGo, Verb: Go})
		draft.Text = "unattended"
		return false, d.append(draft)
	case st.Ask != AskNothing:
		d.await()
		return false, nil
	case next < 0:
		var last Ended
		d.look(func(f *fold) { last = f.finish() })
		return false, d.end(last)
	case late:
		return false, d.overdue(next)
	}
	return false, d.step(next)
}

// late tells whether the run takes longer than it may. What is being undone is let finish.
func (f *fold) late(now time.Time) bool {
	return !f.deadline.IsZero() && now.After(f.deadline) && !f.st.Aborting
}

func (d *driver) overdue(i int) error {
	var most time.Duration
	d.look(func(f *fold) { most = f.maxDuration })
	return d.append(d.draft(RunAsked, Asked{
		Step: d.exact.Steps[i].Name, Ask: AskDecide, Overdue: true,
		Question: fmt.Sprintf("%s takes longer than the %s it may. It stands at %s.", d.id, most, d.exact.Steps[i].Name),
	}))
}

func (d *driver) end(last Ended) error {
	err := d.append(d.draft(journal.RunEnded, last))
	d.e.Boundary("ended")
	return err
}

// await waits for an answer.
func (d *driver) await() {
	t := time.NewTimer(glance)
	defer t.Stop()
	select {
	case <-d.poke:
	case <-t.C:
	case <-d.ctx.Done():
	}
}

func (d *driver) nudge() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

func (d *driver) look(at func(*fold)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at(d.f)
}

func (d *driver) draft(kind journal.Kind, data any) journal.Draft {
	return d.e.draft(d.id, d.f.st.Target, kind, data) // the target never changes
}

// append writes entries. What was begun is finished whether or not anybody waits.
func (d *driver) append(drafts ...journal.Draft) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), appendTime)
	defer cancel()
	if _, err := d.e.Journal.Append(ctx, drafts...); err != nil {
		return fmt.Errorf("%s stands still, since it cannot be recorded: %w", d.id, err)
	}
	return d.sync(ctx)
}

// sync takes in what the journal has, answers given elsewhere included. It reads
// what this driver wrote as well, so that everything counts in one order.
func (d *driver) sync(ctx context.Context) error {
	d.syncing.Lock()
	defer d.syncing.Unlock()
	const page = 500
	for {
		var last int64
		d.look(func(f *fold) { last = f.last })
		entries, err := d.e.Journal.Entries(ctx, journal.Filter{Run: d.id, After: last, Limit: page})
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			d.mu.Lock()
			for i := range entries {
				d.f.apply(&entries[i])
				d.f.last = max(d.f.last, entries[i].Seq)
			}
			d.publish()
			d.mu.Unlock()
		}
		if len(entries) < page {
			return nil
		}
	}
}

// publish wakes those who watch. The caller holds mu.
func (d *driver) publish() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// show puts lines of the running command before those who watch.
func (d *driver) show(lines []Line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = append(d.out, lines...)
	if over := len(d.out) - liveLines; over > 0 {
		d.out = append([]Line(nil), d.out[over:]...)
	}
	d.publish()
}

// snapshot returns the run as this driver has it.
func (d *driver) snapshot() State {
	st, _ := d.watch()
	return st
}

func (d *driver) watch() (State, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := d.f.state()
	if !d.gone && st.Outcome == "" {
		st.Driver = "you"
	}
	if st.Current >= 0 && st.Steps[st.Current].Status == Running && len(d.out) > 0 {
		st.Steps[st.Current].Output = append([]Line(nil), d.out...)
	}
	if d.trouble != "" && st.Outcome == "" {
		st.Why = d.trouble
	}
	return st, d.changed
}

// attend does something that takes time, and breaks it off when a person breaks
// in, when the run is over time, or when this driver is to let go. The error
// is then errCut, errOverdue or the driver's.
func (d *driver) attend(mayBeLate bool, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(d.ctx)
	defer cancel(nil)
	check := func() {
		d.look(func(f *fold) {
			switch {
			case f.cut != nil:
				cancel(errCut)
			case mayBeLate && f.late(d.e.Clock.Now()):
				cancel(errOverdue)
			}
		})
	}
	check()
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(glance)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-ctx.Done():
				return
			case <-d.poke:
			case <-tick.C:
			}
			if d.sync(ctx) == nil {
				check()
			}
		}
	})
	err := do(ctx)
	close(over)
	wg.Wait()
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return err
}

// pause waits for a service time, but no longer than it takes from now on: a
// clock that jumps back holds nothing up.
func (d *driver) pause(ctx context.Context, until time.Time, most time.Duration) error {
	left := min(until.Sub(d.e.Clock.Now()), most)
	if left <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d.e.Clock.ToWall(left))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin records the intent of a step before anything acts; a step that was begun
// before by somebody else goes on as that attempt.
func (d *driver) begin(i int, command string) (attempt int, anew bool, err error) {
	s := &d.exact.Steps[i]
	var open bool
	d.look(func(f *fold) { attempt, open = f.st.Steps[i].Attempt, f.open })
	if open {
		return attempt, false, nil
	}
	attempt++
	err = d.append(d.draft(journal.RunIntent, Intent{Step: s.Name, Attempt: attempt, Kind: s.Kind, Effect: s.Effect, Command: command}))
	if err == nil {
		d.e.Boundary("intent:" + s.Name)
	}
	return attempt, true, err
}

// finish records how an attempt ended, together with the question that follows from it.
func (d *driver) finish(o StepEnded, before ...journal.Draft) error {
	return d.finishWith(d.draft(journal.RunOutcome, o), o, before...)
}

func (d *driver) finishWith(outcome journal.Draft, o StepEnded, before ...journal.Draft) error {
	drafts := append(before, outcome) //nolint:gocritic // the caller gives it up
	if o.Then == ThenAsk {
		q := fmt.Sprintf("%s %s", o.Step, o.Status)
		if o.Why != "" {
			q += ": " + o.Why
		}
		drafts = append(drafts, d.draft(RunAsked, Asked{Step: o.Step, Ask: AskDecide, Question: q + "."}))
	}
	err := d.append(drafts...)
	d.mu.Lock()
	d.out = nil
	d.mu.Unlock()
	if err == nil {
		d.e.Boundary("outcome:" + o.Step)
	}
	return err
}

// broken ends a step that a person broke in on.
func (d *driver) broken(o StepEnded) error {
	c := d.cutBy()
	o.Why = "broken off by " + c.by + because(c.why)
	o.Then = c.then()
	return d.finish(o)
}

func (d *driver) cutBy() (c cut) {
	d.look(func(f *fold) {
		if f.cut != nil {
			c = *f.cut
		}
	})
	return c
}

func (c cut) then() Then {
	if c.verb == Stop {
		return ThenStop
	}
	return ThenAbort
}

// after says what follows from a step that did not pass.
func (d *driver) after(a runbooks.Action) Then {
	aborting := false
	d.look(func(f *fold) { aborting = f.st.Aborting })
	switch {
	case a == runbooks.Continue:
		return ThenNext
	case a == runbooks.AbortRun && !aborting:
		return ThenAbort
	}
	return ThenAsk
}

func (d *driver) ask(i int, ask Ask, question string) error {
	s := &d.exact.Steps[i]
	err := d.append(d.draft(RunAsked, Asked{Step: s.Name, Ask: ask, Question: question}))
	if err == nil {
		d.e.Boundary("asked:" + s.Name)
	}
	return err
}
