package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/runbooks"
	"rollcall/store/journal"
)

// check measures until the verdict is clear. Its samples are in the journal:
// whoever comes after goes on counting from them.
func (d *driver) check(i int, s *runbooks.Step) error {
	attempt, _, err := d.begin(i, "")
	if err != nil {
		return err
	}
	c := s.Check
	var ended *StepEnded
	err = d.attend(true, func(ctx context.Context) error {
		for {
			var samples []Sample
			var from time.Time
			var taken snapshots
			d.look(func(f *fold) {
				samples, from, taken = f.st.Steps[i].Samples, f.settling(f.st.Steps[i].Began), f.taken()
			})
			if status, why := decide(c, samples); status != "" {
				ended = &StepEnded{Step: s.Name, Attempt: attempt, Status: status, Why: why, Then: ThenNext}
				return nil
			}
			next, most := from.Add(c.InitialDelay), c.InitialDelay
			if n := len(samples); n > 0 {
				next, most = samples[n-1].At.Add(c.Interval), c.Interval
			}
			if err := d.pause(ctx, next, most); err != nil {
				return err
			}
			sample := d.e.measure(ctx, d.f.st.Target, c, d.exact.Vars, taken)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := d.append(d.draft(journal.RunSample, Sampled{Step: s.Name, Attempt: attempt, Sample: sample})); err != nil {
				return err
			}
			d.e.Boundary("sample:" + s.Name)
		}
	})
	switch {
	case errors.Is(err, errCut):
		return d.broken(StepEnded{Step: s.Name, Attempt: attempt, Status: Inconclusive})
	case errors.Is(err, errOverdue):
		return d.overdue(i)
	case err != nil:
		return err
	}
	switch ended.Status {
	case Failed:
		ended.Then = d.after(c.OnFail)
	case Inconclusive:
		ended.Then = d.after(c.OnInconclusive)
	}
	return d.finish(*ended)
}

// decide says what the samples so far amount to; empty while more are needed.
func decide(c *runbooks.Check, samples []Sample) (Status, string) {
	passes, fails, errs, row := 0, 0, 0, 0
	last := ""
	for i := range samples {
		s := &samples[i]
		last = s.Why
		switch s.Verdict {
		case Passed:
			passes++
			row++
		case Failed:
			fails++
			row = 0
		default:
			row = 0
			if s.Error != "" {
				errs++
				last = s.Error
			}
		}
	}
	need, limit, most := max(1, c.ConsecutivePass), max(1, c.FailureLimit), max(1, c.Count)
	switch {
	case row >= need:
		return Passed, fmt.Sprintf("%d in a row passed: %s", row, last)
	case fails >= limit:
		return Failed, fmt.Sprintf("%d of %d samples failed: %s", fails, len(samples), last)
	case len(samples) < most:
		return "", ""
	case errs == len(samples):
		return Inconclusive, "nothing could be measured: " + last
	}
	return Inconclusive, fmt.Sprintf("no clear answer from %d samples: %d passed, %d failed, %d told nothing; last: %s",
		len(samples), passes, fails, len(samples)-passes-fails, last)
}
