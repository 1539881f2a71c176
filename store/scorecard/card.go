package scorecard

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// watcher is the actor of what nobody did.
const watcher = "rollcall"

// Card is how it went. Durations are seconds of service time, null where it did not happen.
type Card struct {
	Scenario string    `json:"scenario"`
	Seed     uint64    `json:"seed"`
	Until    time.Time `json:"until"`
	Cause    string    `json:"cause"` // empty: nothing was wrong
	Cure     string    `json:"cure,omitempty"`
	Began    time.Time `json:"began,omitzero"`

	Shown     Moment `json:"shown"`     // the console called a signal bad
	Noticed   Moment `json:"noticed"`   // a person took it up
	Declared  Moment `json:"declared"`  // an incident was opened
	Mitigated Moment `json:"mitigated"` // what is set is right
	Verified  Moment `json:"verified"`  // recovery was verified after that

	Category Judged   `json:"category"` // of the incident
	Wrong    []Action `json:"wrong_actions"`
	Actions  []Action `json:"actions"`

	Requests    int         `json:"requests"` // from when it began until it was mitigated or over
	Bad         int         `json:"bad_requests"`
	UsualBad    int         `json:"usual_bad_requests"` // of as many before it began
	Users       int         `json:"users_affected"`
	CostUSD     float64     `json:"cost_usd"`
	UsualUSD    sources.Num `json:"usual_usd"` // of the same length before it began
	EndedItself bool        `json:"ended_by_itself,omitempty"`
}

// Moment is when something first happened after the trouble began, and how that is known.
type Moment struct {
	At      time.Time   `json:"at,omitzero"`
	Seconds sources.Num `json:"seconds"` // from when it began
	How     string      `json:"how"`     // or why it is not known
	Seq     int64       `json:"seq,omitempty"`
}

// Happened tells whether it did.
func (m *Moment) Happened() bool { return !m.At.IsZero() }

// Judged is a choice and whether it was right.
type Judged struct {
	Chose string `json:"chose,omitempty"`
	Right bool   `json:"right"`
	Want  string `json:"want,omitempty"`
}

// maker holds what the parts of a card are made from.
type maker struct {
	o       Outcome
	entries []journal.Entry
	card    Card
}

// Make computes the card from the drill's account and the entries of its journal, oldest first.
func Make(o Outcome, entries []journal.Entry, incidents []journal.Incident) Card {
	m := maker{o: o, entries: entries, card: Card{
		Scenario: o.Scenario, Seed: o.Seed, Until: o.Until, Cause: o.Cause, Cure: o.Cure, Began: o.Began,
		Actions: append([]Action{}, o.Actions...), Wrong: []Action{},
		Requests: o.During.Requests, Bad: o.During.Bad, Users: o.During.Users, CostUSD: o.During.USD,
		EndedItself: o.Mitigated.IsZero() && !o.Ended.IsZero(),
	}}
	for _, a := range o.Actions {
		if a.Judgement == "wrong" || a.Judgement == "early" {
			m.card.Wrong = append(m.card.Wrong, a)
		}
	}
	if o.Before.Requests > 0 {
		m.card.UsualBad = int(float64(o.Before.Bad) / float64(o.Before.Requests) * float64(o.During.Requests))
	}
	if o.Before.Seconds > 0 {
		m.card.UsualUSD = sources.N(o.Before.USD / o.Before.Seconds * o.During.Seconds)
	}
	slices.SortStableFunc(incidents, func(a, b journal.Incident) int { return a.Opened.Compare(b.Opened) })
	m.declared(incidents)
	if o.Began.IsZero() {
		for _, x := range []*Moment{&m.card.Shown, &m.card.Noticed, &m.card.Mitigated, &m.card.Verified} {
			x.How = "nothing was wrong"
		}
		return m.card
	}
	m.shown()
	m.noticed()
	m.mitigated()
	m.verified(incidents)
	return m.card
}

// at is a moment that happened.
func (m *maker) at(t time.Time, seq int64, how string) Moment {
	return Moment{At: t.UTC(), Seconds: sources.N(t.Sub(m.o.Began).Seconds()), How: how, Seq: seq}
}

func (m *maker) declared(incidents []journal.Incident) {
	c := &m.card
	c.Category.Want = strings.Join(m.o.Categories, " or ")
	c.Declared.How = "no incident was opened"
	for i := range incidents {
		inc := &incidents[i]
		if m.o.Began.IsZero() {
			c.Declared = Moment{At: inc.Opened.UTC(), How: inc.ID + " was opened, and nothing was wrong", Seq: inc.FirstSeq}
			c.Category.Chose = string(inc.Category)
			return
		}
		if inc.Opened.Before(m.o.Began) {
			c.Declared.How = inc.ID + " was opened before it began"
			continue
		}
		c.Declared = m.at(inc.Opened, inc.FirstSeq, fmt.Sprintf("%s, %s, %s", inc.ID, inc.Severity, inc.Category))
		c.Category.Chose = string(inc.Category)
		c.Category.Right = slices.Contains(m.o.Categories, string(inc.Category))
		return
	}
}

// shown is the first alert of the trouble.
func (m *maker) shown() {
	m.card.Shown.How = "no console and no rollcall collect was watching"
	for i := range m.entries {
		e := &m.entries[i]
		if e.Actor == watcher {
			m.card.Shown.How = "nothing was called bad while it lasted"
		}
		if !m.o.Mitigated.IsZero() && e.At.After(m.o.Mitigated) {
			return
		}
		if e.Kind == journal.AlertFiring && !e.At.Before(m.o.Began) {
			m.card.Shown = m.at(e.At, e.Seq, clean(dataOf(e).str("label"))+" turned bad")
			return
		}
	}
}

// noticed is the first thing that a person did about it. To look at a request
// counts once something was shown to be bad: people look around.
func (m *maker) noticed() {
	c := &m.card
	c.Noticed.How = "nobody did anything about it"
	shown := c.Shown.Happened()
	for i := range m.entries {
		e := &m.entries[i]
		if e.At.Before(m.o.Began) || e.Actor == watcher {
			continue
		}
		what := ""
		d := dataOf(e)
		switch e.Kind {
		case journal.IncidentOpened:
			what = "opened " + e.Incident
		case journal.AlertAcknowledged:
			what = "acknowledged an alert"
		case journal.RunStarted:
			if !d.in("target").yes("rehearsal") {
				what = "started " + e.Run
			}
		case journal.Noted:
			what = "wrote a note"
		case journal.PinSet, journal.FeatureSet, journal.SettingSet:
			if !d.yes("rehearsal") {
				what = "changed the service"
			}
		case journal.RequestViewed:
			if shown && !e.At.Before(c.Shown.At) {
				what = "looked at a request"
			}
		case journal.QueryTyped:
			if shown && !e.At.Before(c.Shown.At) {
				what = "searched"
			}
		}
		if what != "" {
			c.Noticed = m.at(e.At, e.Seq, clean(e.Actor)+" "+what)
			break
		}
	}
	for _, a := range m.o.Actions { // also by hand, past the console
		if !a.At.Before(m.o.Began) && (!c.Noticed.Happened() || a.At.Before(c.Noticed.At)) {
			c.Noticed = m.at(a.At, 0, words(a))
			return
		}
	}
}

func (m *maker) mitigated() {
	c := &m.card
	switch {
	case !m.o.Mitigated.IsZero():
		how := "what is set is right"
		for _, a := range m.o.Actions {
			if a.At.Equal(m.o.Mitigated) {
				how = words(a)
			}
		}
		c.Mitigated = m.at(m.o.Mitigated, 0, how)
	case !m.o.Ended.IsZero():
		c.Mitigated.How = "not by anybody; it ended by itself"
	default:
		c.Mitigated.How = "it still goes on"
	}
}

// verified is when it was first made sure, after the mitigation, that the
// service had recovered: a check of a run passed, the eval suite passed, or the
// incident was marked when nothing was bad any more.
func (m *maker) verified(incidents []journal.Incident) {
	c := &m.card
	if !c.Mitigated.Happened() {
		c.Verified.How = "nothing was mitigated"
		return
	}
	c.Verified.How = "nobody made sure: let a runbook's checks pass, run the evals, or mark the incident when nothing is bad any more"
	well := m.well()
	firing, passed := map[string]time.Time{}, map[string]bool{} // by what fires: when it was well again
	bad := func(at time.Time) bool {
		for _, until := range firing {
			if until.IsZero() || until.After(at) {
				return true
			}
		}
		return false
	}
	for i := range m.entries {
		e := &m.entries[i]
		d := dataOf(e)
		switch e.Kind {
		case journal.AlertFiring:
			firing[d.key()] = well[e.Seq]
		case journal.AlertResolved:
			delete(firing, d.key())
		}
		if e.At.Before(c.Mitigated.At) {
			continue
		}
		how := ""
		switch e.Kind {
		case journal.RunSample:
			if d.in("sample").str("verdict") == "passed" {
				passed[e.Run] = true
			}
		case journal.RunEnded:
			if d.str("outcome") == "succeeded" && passed[e.Run] {
				how = e.Run + " ended well, and its checks passed"
			}
		case journal.EvalsRun:
			if d.yes("pass") && !d.yes("rehearsal") {
				how = "the eval suite passed"
			}
		case journal.IncidentUpdated:
			if !bad(e.At) && (d.str("mitigated") != "" && !strings.HasPrefix(d.str("mitigated"), "0001") || d.str("resolved") != "") {
				how = e.Incident + " was marked when nothing was bad any more"
			}
		}
		if how != "" {
			c.Verified = m.at(e.At, e.Seq, how)
			return
		}
	}
	for i := range incidents {
		if !incidents[i].Mitigated.IsZero() && len(firing) > 0 {
			c.Verified.How = incidents[i].ID + " was marked mitigated while something was still bad"
		}
	}
}

// well is when what each firing alert is of was well again, by the entry's number.
// That it stayed so for a while, which resolves the alert, is known only later.
func (m *maker) well() map[int64]time.Time {
	out, open := map[int64]time.Time{}, map[string]int64{}
	for i := range m.entries {
		e := &m.entries[i]
		var d journal.AlertData
		switch e.Kind {
		case journal.AlertFiring:
			if json.Unmarshal(e.Data, &d) == nil {
				open[d.Key()] = e.Seq
			}
		case journal.AlertResolved:
			if json.Unmarshal(e.Data, &d) == nil {
				until := e.At
				if !d.Until.IsZero() {
					until = d.Until
				}
				out[open[d.Key()]] = until
			}
		}
	}
	return out
}

func words(a Action) string {
	if a.From == "" {
		return clean(fmt.Sprintf("%s set to %s", a.What, a.To))
	}
	return clean(fmt.Sprintf("%s %s → %s", a.What, a.From, a.To))
}

// data is the decoded data of an entry, read by documented names.
type data map[string]any

func dataOf(e *journal.Entry) data {
	var d data
	if json.Unmarshal(e.Data, &d) != nil {
		return nil
	}
	return d
}

func (d data) str(name string) string {
	s, _ := d[name].(string)
	return s
}

// key tells what fires, as journal.AlertData does.
func (d data) key() string {
	a := journal.AlertData{Signal: d.str("signal"), Alert: d.str("alert")}
	return a.Key()
}

func (d data) yes(name string) bool {
	b, _ := d[name].(bool)
	return b
}

func (d data) in(name string) data {
	v, _ := d[name].(map[string]any)
	return v
}

// clean keeps what is printed to one line of printable text.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
