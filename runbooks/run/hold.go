package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/runbooks"
	"rollcall/store/journal"
)

// longestHold is how far back a hold may have begun: runbooks allow a week.
const longestHold = 8 * 24 * time.Hour

// Rehearsal is the last practice of a runbook that succeeded.
type Rehearsal struct {
	Run  string    `json:"run"`
	Hash string    `json:"hash"` // of the runbook as it was rehearsed
	At   time.Time `json:"at"`   // service time of its end
}

// Rehearsals returns the last rehearsal of each runbook that succeeded.
func (e *Engine) Rehearsals(ctx context.Context) (map[string]Rehearsal, error) {
	return Rehearsals(ctx, e.Journal)
}

// Rehearsals reads them from a journal.
func Rehearsals(ctx context.Context, j interface {
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
},
) (map[string]Rehearsal, error) {
	out := map[string]Rehearsal{}
	practice := map[string]Started{}
	err := each(ctx, j, journal.Filter{Kinds: []journal.Kind{journal.RunStarted, journal.RunEnded}}, func(en *journal.Entry) {
		if en.Kind == journal.RunStarted {
			if s := decode[Started](en); s.Target.Rehearsal {
				s.Steps = nil
				practice[en.Run] = s
			}
			return
		}
		if s, ok := practice[en.Run]; ok && decode[Ended](en).Outcome == Succeeded {
			out[s.Runbook] = Rehearsal{Run: en.Run, Hash: s.Hash, At: en.At}
		}
	})
	return out, err
}

// each reads all entries that a filter selects, page by page.
func each(ctx context.Context, j interface {
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
}, f journal.Filter, do func(*journal.Entry),
) error {
	f.Limit = 1000
	for {
		entries, err := j.Entries(ctx, f)
		if err != nil {
			return err
		}
		for i := range entries {
			do(&entries[i])
		}
		if len(entries) < f.Limit {
			return nil
		}
		f.After = entries[len(entries)-1].Seq
	}
}

// Holds returns the checks of finished runs that are still to be watched.
func (e *Engine) Holds(ctx context.Context) ([]Held, error) {
	started := map[string]Started{}
	held := map[string]Held{}
	var order []string
	kinds := []journal.Kind{journal.RunStarted, journal.RunOutcome, RunHeld}
	err := each(ctx, e.Journal, journal.Filter{Kinds: kinds, Since: e.Clock.Now().Add(-longestHold)}, func(en *journal.Entry) {
		switch en.Kind {
		case journal.RunStarted:
			s := decode[Started](en)
			s.Steps = nil
			started[en.Run] = s
		case RunHeld:
			delete(held, en.Run)
		case journal.RunOutcome:
			if o := decode[StepEnded](en); o.Hold != nil && o.Hold.Check != nil {
				h := *o.Hold
				h.Run, h.Runbook, h.Target = en.Run, started[en.Run].Runbook, started[en.Run].Target
				held[en.Run] = h
				order = append(order, en.Run)
			}
		}
	})
	var out []Held
	for _, id := range order {
		if h, ok := held[id]; ok {
			out = append(out, h)
			delete(held, id)
		}
	}
	return out, err
}

// ErrWatched: another process watches over this run.
var ErrWatched = errors.New("another process watches over it")

// WatchHold measures what a finished run left to be watched until its time is
// over, and returns how that ended. When it fails, the incident is reopened
// and the journal says so. The end of ctx leaves it to be watched by another.
func (e *Engine) WatchHold(ctx context.Context, h Held) (HoldEnded, error) {
	own, _, err := lockFile(e.lockPath("hold", h.Run))
	if errors.Is(err, errHeld) {
		return HoldEnded{}, ErrWatched
	}
	if err != nil {
		return HoldEnded{}, err
	}
	defer own.release()
	f, err := e.load(ctx, h.Run)
	if err != nil {
		return HoldEnded{}, err
	}
	// What came before the watch began anew counts: it is in the journal.
	var samples []Sample
	over := false
	err = each(ctx, e.Journal, journal.Filter{Run: h.Run, Kinds: []journal.Kind{journal.RunSample, RunHeld}}, func(en *journal.Entry) {
		if en.Kind == RunHeld {
			over = true
		} else if d := decode[Sampled](en); d.Held {
			samples = append(samples, d.Sample)
		}
	})
	if err != nil || over {
		return HoldEnded{}, errors.Join(err, ErrWatched)
	}
	vars, taken := f.st.Vars, f.taken()
	if exact, lost := e.unpin(h.Run, f); lost == nil {
		vars = exact.Vars
	}
	c := h.Check
	every := max(c.Interval, time.Second)
	for {
		end := heldSoFar(c, samples)
		if end == nil && !e.Clock.Now().Before(h.Until) {
			end = &HoldEnded{Status: Passed, Why: fmt.Sprintf("held until %s, %d samples", h.Until.UTC().Format("15:04:05Z"), len(samples))}
			if !passedOnce(samples) {
				end.Status, end.Why = Inconclusive, "until its end nothing could be measured"
			}
		}
		if end != nil {
			end.Step = h.Step
			return e.endHold(ctx, h, *end)
		}
		wait := every
		if len(samples) == 0 {
			wait = 0
		}
		wait = min(wait, max(0, h.Until.Sub(e.Clock.Now())))
		t := time.NewTimer(e.Clock.ToWall(wait))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return HoldEnded{}, ctx.Err()
		}
		s := e.measure(ctx, h.Target, c, vars, taken)
		if ctx.Err() != nil {
			return HoldEnded{}, ctx.Err()
		}
		if _, err := e.Journal.Append(ctx, e.draft(h.Run, h.Target, journal.RunSample, Sampled{Step: h.Step, Held: true, Sample: s})); err != nil {
			return HoldEnded{}, err
		}
		samples = append(samples, s)
	}
}

// heldSoFar says when enough samples in a row failed: one bad minute of half an hour is none.
func heldSoFar(c *runbooks.Check, samples []Sample) *HoldEnded {
	limit := max(1, c.FailureLimit)
	row := 0
	for i := len(samples) - 1; i >= 0 && samples[i].Verdict == Failed; i-- {
		row++
	}
	if row < limit {
		return nil
	}
	return &HoldEnded{Status: Failed, Why: fmt.Sprintf("%d samples in a row failed: %s", row, samples[len(samples)-1].Why)}
}

func passedOnce(samples []Sample) bool {
	for i := range samples {
		if samples[i].Verdict == Passed {
			return true
		}
	}
	return false
}

func (e *Engine) endHold(ctx context.Context, h Held, end HoldEnded) (HoldEnded, error) {
	if end.Status == Failed && h.OnFail == runbooks.ReopenInc && h.Target.Incident != "" && e.Marker != nil {
		if err := e.Marker.Reopen(ctx, h.Target.Incident, fmt.Sprintf("%s did not hold after %s: %s", h.Step, h.Run, end.Why)); err != nil {
			return end, err
		}
		end.Reopen = true
	}
	_, err := e.Journal.Append(ctx, e.draft(h.Run, h.Target, RunHeld, end))
	return end, err
}
