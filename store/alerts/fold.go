package alerts

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Kinds are the kinds of entries that a list is made of.
func Kinds() []journal.Kind {
	return []journal.Kind{journal.AlertFiring, journal.AlertResolved, journal.AlertAcknowledged}
}

// folded is what the journal says of alerts.
type folded struct {
	own  map[string]*verdict // by signal: the last that fired
	acks map[string][]Ack    // by the alert's ID
}

type verdict struct {
	data     journal.AlertData
	since    time.Time
	seq      int64
	resolved *journal.AlertData
	until    time.Time
}

func foldEntries(entries []journal.Entry) *folded {
	f := &folded{own: map[string]*verdict{}, acks: map[string][]Ack{}}
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case journal.AlertFiring:
			var d journal.AlertData
			if json.Unmarshal(e.Data, &d) == nil && d.Signal != "" {
				f.own[d.Signal] = &verdict{data: d, since: e.At, seq: e.Seq}
			}
		case journal.AlertResolved:
			var d journal.AlertData
			if json.Unmarshal(e.Data, &d) != nil {
				continue
			}
			if v := f.own[d.Signal]; v != nil {
				v.resolved, v.until = &d, e.At
				if !d.Until.IsZero() {
					v.until = d.Until
				}
			}
		case journal.AlertAcknowledged:
			var d journal.AcknowledgedData
			if json.Unmarshal(e.Data, &d) != nil || d.Alert == "" {
				continue
			}
			ack := Ack{At: e.At, By: e.Actor, Note: e.Text, Acted: d.Acted, Seq: e.Seq}
			if e.TextErased {
				ack.Note = "(erased)"
			}
			f.acks[d.Alert] = append(f.acks[d.Alert], ack)
			if d.Also != "" {
				f.acks[d.Also] = append(f.acks[d.Also], ack)
			}
		}
	}
	return f
}

// acknowledge marks what a person has taken up since it began.
func (f *folded) acknowledge(a *Alert) {
	for _, id := range []string{a.ID, a.also} {
		list := f.acks[id]
		for i := len(list) - 1; i >= 0; i-- {
			ack := list[i]
			if id == "" || ack.At.Before(a.Since) || !a.Until.IsZero() && ack.At.After(a.Until) {
				continue
			}
			a.Ack = &ack
			if a.State == Firing {
				a.State = Acknowledged
			}
			return
		}
	}
}

// verdicts are rollcall's own alerts: what the journal says fires, what is bad
// and not yet in the journal, and what was resolved lately.
func (in *Input) verdicts(f *folded) (out []Alert, bySignal map[string]int) {
	bySignal = map[string]int{}
	readings := map[string]*sources.Reading{}
	add := func(a Alert) {
		bySignal[a.Signal] = len(out)
		out = append(out, a)
	}
	for i := range in.Readings {
		r := &in.Readings[i]
		readings[r.Signal] = r
		if v := f.own[r.Signal]; r.Verdict == sources.Bad && (v == nil || v.resolved != nil) {
			a := Alert{ID: r.Signal, Name: r.Signal, Signal: r.Signal, Label: r.Label, State: Pending, Since: r.Since, Sources: []string{Rollcall}, Evidence: r.Why}
			if a.Since.IsZero() {
				a.Since = in.Now
			}
			add(a)
		}
	}
	signals := make([]string, 0, len(f.own))
	for s := range f.own {
		signals = append(signals, s)
	}
	slices.Sort(signals)
	for _, s := range signals {
		v := f.own[s]
		if _, ok := bySignal[s]; ok {
			continue
		}
		a := Alert{ID: s, Name: s, Signal: s, Label: v.data.Label, State: Firing, Since: v.since, Seq: v.seq, Sources: []string{Rollcall}, Evidence: numbers(&v.data)}
		switch r := readings[s]; {
		case v.resolved != nil:
			if in.Now.Sub(v.until) > in.Keep {
				continue
			}
			a.State, a.Until, a.Flaps = Resolved, v.until, v.resolved.Flaps
		case r == nil && in.Readings != nil:
			a.Old = "the signal is not read any more"
		case r == nil:
		case r.Verdict == sources.Bad:
			a.Evidence = r.Why
		case r.Verdict == sources.OK || r.Verdict == sources.Watch:
			a.Evidence = "well at this moment (" + r.Why + "); it fired at " + numbers(&v.data)
		default:
			a.Old = string(r.Verdict) + ": it goes on as it was last known"
		}
		add(a)
	}
	return out, bySignal
}

// numbers says what a verdict rested on.
func numbers(d *journal.AlertData) string {
	if !d.Value.OK {
		return "its value was not known"
	}
	s := d.Unit.Format(d.Value.V)
	if d.Usual.OK {
		s += " vs " + d.Unit.Format(d.Usual.V) + " usual"
	} else if d.Level.OK {
		s += ", bad from " + d.Unit.Format(d.Level.V)
	}
	if d.P.OK {
		s += fmt.Sprintf(", p=%.0e", d.P.V)
	}
	return s
}
