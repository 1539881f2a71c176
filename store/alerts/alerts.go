// Package alerts makes one list of what fires: rollcall's own verdicts as the
// journal has them, the alerts of a Prometheus and those of an Alertmanager,
// each with its state, since when, its evidence, and what to do about it.
// It asks nobody: everything that it needs is handed to it.
package alerts

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// State says how an alert stands.
type State string

// The states, in the order of the list.
const (
	Firing       State = "firing"
	Acknowledged State = "acknowledged" // it fires, and a person has taken it up
	Pending      State = "pending"      // its condition holds, not yet for long enough
	Silenced     State = "silenced"     // it fires, and nobody is told: silenced or inhibited
	Resolved     State = "resolved"     // it fired lately
)

// The sources of alerts.
const (
	Rollcall     = "rollcall"
	Prometheus   = "prometheus"
	Alertmanager = "alertmanager"
)

// The labels by which rollcall knows a verdict that it posted to an Alertmanager.
const (
	LabelService = "rollcall_service"
	LabelSignal  = "rollcall_signal"
)

// Max is how many alerts a list has at most; of more it says how many there are.
const Max = 5_000

// Alert is one alert, whoever told of it.
type Alert struct {
	ID       string    `json:"id"`   // what acknowledge and silence take
	Name     string    `json:"name"` // the signal, or alertname
	State    State     `json:"state"`
	Severity string    `json:"severity,omitempty"` // its label
	Since    time.Time `json:"since,omitzero"`
	Fired    time.Time `json:"fired,omitzero"` // when a verdict had held for long enough, by the journal
	Until    time.Time `json:"until,omitzero"` // of a resolved one
	Sources  []string  `json:"sources"`        // who tells of it

	Evidence    string            `json:"evidence"`         // one phrase with numbers
	Signal      string            `json:"signal,omitempty"` // of a verdict of rollcall itself
	Label       string            `json:"label,omitempty"`  // the signal's words
	Flaps       int               `json:"flaps,omitempty"`  // how often it was well in between
	Value       string            `json:"value,omitempty"`  // of the rule's expression, as Prometheus writes it
	Query       string            `json:"query,omitempty"`  // the rule's expression
	ForS        float64           `json:"for_s,omitempty"`  // how long its condition must hold, seconds
	Seq         int64             `json:"seq,omitempty"`    // the journal's entry that says it fires
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`

	Runbook    string `json:"runbook,omitempty"`     // the ID of the runbook that is suggested
	RunbookURL string `json:"runbook_url,omitempty"` // what its annotation names, where it is none of ours

	Ack       *Ack      `json:"acknowledged,omitempty"`
	Silences  []Silence `json:"silences,omitempty"`
	Inhibited bool      `json:"inhibited,omitempty"` // another alert keeps it from being told

	Old  string      `json:"old,omitempty"`  // why this is an older answer
	AgeS sources.Num `json:"age_s,omitzero"` // how old it is, seconds of wall time

	also string // the ID by the other source's labels
}

// Ack is who took an alert up.
type Ack struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Note  string    `json:"note,omitempty"`
	Acted bool      `json:"acted,omitempty"` // something was done about it elsewhere
	Seq   int64     `json:"seq"`
}

// Silence is what keeps an alert from being told.
type Silence struct {
	ID      string    `json:"id"`
	By      string    `json:"by,omitempty"`
	Comment string    `json:"comment,omitempty"`
	Ends    time.Time `json:"ends,omitzero"` // the Alertmanager's own time
}

// Answer says how one source answered.
type Answer struct {
	Source string      `json:"source"`
	Alerts int         `json:"alerts"`           // in the list
	Total  int         `json:"total"`            // that it told of
	Note   string      `json:"note,omitempty"`   // what keeps this from being the whole truth
	Failed bool        `json:"failed,omitempty"` // it did not answer now
	AgeS   sources.Num `json:"age_s,omitzero"`   // of an older answer that is shown instead, seconds of wall time
}

// List is what fires for one service.
type List struct {
	Service string    `json:"service"`
	At      time.Time `json:"at"`
	Alerts  []Alert   `json:"alerts"`
	Total   int       `json:"total"`            // more than Alerts has when it was cut
	Others  int       `json:"others,omitempty"` // alerts left out because their labels name another service
	Sources []Answer  `json:"sources"`
}

// Count is how many alerts have a state.
func (l *List) Count(s State) int {
	n := 0
	for i := range l.Alerts {
		if l.Alerts[i].State == s {
			n++
		}
	}
	return n
}

// Find returns the alerts that a person means: the one of that ID, or else all
// of that name that are not over.
func (l *List) Find(name string) []Alert {
	var out []Alert
	for _, a := range l.Alerts {
		if a.ID == name || a.also == name {
			return []Alert{a}
		}
		if a.Name == name && a.State != Resolved {
			out = append(out, a)
		}
	}
	return out
}

// Also is the ID that the alert has by another source's labels; empty when there is none.
func (a *Alert) Also() string { return a.also }

// Of tells whether a source tells of the alert.
func (a *Alert) Of(source string) bool { return slices.Contains(a.Sources, source) }

var order = []State{Firing, Acknowledged, Pending, Silenced, Resolved}

func compare(a, b *Alert) int {
	return cmp.Or(
		slices.Index(order, a.State)-slices.Index(order, b.State),
		a.rank()-b.rank(),
		b.Since.Compare(a.Since),
		strings.Compare(a.ID, b.ID),
	)
}

func (a *Alert) rank() int {
	if r := rank(a.Severity); r != unranked || a.Signal == "" {
		return r
	}
	return 0 // rollcall calls bad only what wants a person
}

const unranked = 2

// rank says how much a severity wants a person.
func rank(severity string) int {
	switch strings.ToLower(severity) {
	case "page", "critical", "emergency", "fatal", "error", "sev1", "sev2", "p1", "p2":
		return 0
	case "warning", "warn", "ticket", "sev3", "p3":
		return 1
	case "info", "none", "notice", "sev4", "p4":
		return 3
	}
	return unranked
}
