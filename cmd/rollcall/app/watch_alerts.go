package app

import (
	"math"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
)

// An alert fires once a signal has been bad for a while, and is resolved once it
// has been well for a longer while, so that one that wavers does not fill the
// journal and wake people each time. All are service time.
const (
	holdBad  = time.Minute
	holdWell = 5 * time.Minute
	// holdGap is how far apart two looks may be to tell of one stretch of time; a
	// fast drill takes longer steps.
	holdGap   = 30 * time.Minute
	holdSteps = 4
)

// held is how one signal has been over the last looks.
type held struct {
	at    time.Time   // the last look at which it could be judged
	bad   time.Time   // since when it has been bad, zero while it is well
	well  time.Time   // since when it has been well, zero while it is bad
	looks int         // in a row at which it was bad
	flaps int         // how often it turned bad again while its alert fired
	worst sources.Num // the value that was farthest off while its alert fired
}

// look takes one reading in; firing tells whether the journal has its alert.
// One that cannot be judged changes nothing: it goes on as it was last known.
func (h *held) look(r *sources.Reading, at time.Time, firing bool, most time.Duration) {
	if r.Verdict != sources.Bad && r.Verdict != sources.OK && r.Verdict != sources.Watch {
		return
	}
	if gap := at.Sub(h.at); gap > most || gap < 0 {
		// Too long ago, or the clock went back.
		*h = held{flaps: h.flaps, worst: h.worst}
	}
	h.at = at
	if !firing {
		h.flaps, h.worst = 0, sources.Num{}
	}
	if r.Verdict != sources.Bad {
		if h.well.IsZero() {
			h.well = at
		}
		h.bad, h.looks = time.Time{}, 0
		return
	}
	if firing && !h.well.IsZero() {
		h.flaps++
	}
	if h.bad.IsZero() {
		h.bad = at
		// What its own history shows has held already, whoever looked.
		if s := r.Since; !s.IsZero() && s.Before(at) {
			h.bad = s
		}
	}
	h.well = time.Time{}
	h.looks++
	if r.Known && farther(r, h.worst) {
		h.worst = sources.N(r.Value)
	}
}

// farther tells whether a reading is farther off than a value seen before.
func farther(r *sources.Reading, than sources.Num) bool {
	switch {
	case !than.OK:
		return true
	case r.Direction == sources.LowerWorse:
		return r.Value < than.V
	case r.Direction == sources.BothWorse && r.Usual != nil:
		return math.Abs(r.Value-r.Usual.Value) > math.Abs(than.V-r.Usual.Value)
	}
	return r.Value > than.V
}

// fires tells whether it has been bad for long enough.
func (h *held) fires(at time.Time) bool { return h.looks > 0 && at.Sub(h.bad) >= holdBad }

// resolved tells since when it has been well, when that is long enough.
func (h *held) resolved(at time.Time) (since time.Time, ok bool) {
	return h.well, !h.well.IsZero() && h.at.Equal(at) && at.Sub(h.well) >= holdWell
}

// look takes a snapshot in, once.
func (w *watcher) look(snap *signal.Snapshot) {
	if w.held == nil {
		w.held = map[string]*held{}
	}
	if snap.At.Equal(w.looked) {
		return
	}
	w.looked = snap.At
	all := snap.Verdicts()
	for i := range all {
		r := &all[i]
		h := w.held[r.Signal]
		if h == nil {
			h = &held{at: snap.At}
			w.held[r.Signal] = h
		}
		_, firing := w.seen.firing[r.Signal]
		h.look(r, snap.At, firing, max(holdGap, holdSteps*w.step))
	}
}

// alerts are the signals that have turned bad, and those that are known to be
// bad no longer. One that cannot be seen goes on firing.
func (w *watcher) alerts(snap *signal.Snapshot) []journal.Draft {
	var out []journal.Draft
	all := snap.Verdicts()
	for i := range all {
		r := &all[i]
		h := w.held[r.Signal]
		since, firing := w.seen.firing[r.Signal]
		d := alertOf(r)
		kind := journal.AlertFiring
		if firing {
			until, ok := h.resolved(snap.At)
			if !ok {
				continue
			}
			kind = journal.AlertResolved
			d.Until, d.FiredS = until.UTC(), sources.N(max(0, until.Sub(since).Seconds()))
			d.Flaps, d.Worst = h.flaps, h.worst
		} else if r.Verdict != sources.Bad || !h.fires(snap.At) {
			continue
		}
		out = append(out, journal.Draft{Kind: kind, At: snap.At, Service: w.service, Environment: w.environment, Data: d})
	}
	return out
}

// alertOf are the numbers of a verdict for the journal.
func alertOf(r *sources.Reading) journal.AlertData {
	d := journal.AlertData{
		Signal: r.Signal, Label: r.Label, Pane: r.Pane, Unit: r.Unit, Direction: r.Direction, Verdict: r.Verdict,
	}
	if !r.Since.IsZero() {
		d.Since = r.Since.UTC()
	}
	if r.Known {
		d.Value = sources.N(r.Value)
	}
	if r.Usual != nil {
		d.Usual = sources.N(r.Usual.Value)
	}
	if r.N > 0 {
		d.N = sources.N(r.N)
	}
	if t := r.Threshold; t != nil {
		d.Level = sources.N(t.Bad)
	}
	if j := r.Judgement; j != nil {
		d.Rule, d.Ratio, d.P, d.Z = j.Rule, numOf(j.Ratio), numOf(j.P), numOf(j.Z)
	}
	return d
}

func numOf(v *float64) sources.Num {
	if v == nil {
		return sources.Num{}
	}
	return sources.N(*v)
}
