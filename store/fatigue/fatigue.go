// Package fatigue adds up, from the journal alone, how much each alert rule asks
// of people and how often it was worth it. An alert that fires weekly without
// leading to action is worse than none: it trains people to ignore alerts.
//
// All times are service time: in a drill that of the drill.
package fatigue

import (
	"time"

	"rollcall/sources"
)

const (
	// Span is how far back the figures look.
	Span = 28 * 24 * time.Hour
	// FlapUnder is how long an alert lasts at most to be a flap.
	FlapUnder = 5 * time.Minute
	// Shift is the length of a shift; shifts begin at 00:00 and 12:00 UTC.
	Shift = 12 * time.Hour
	// ShiftLimit is how many pages a shift can bear: as many incidents as a person can
	// take up, and write down, within it.
	ShiftLimit = 2
	// ActWithin is how long after it fired something done counts as done because of
	// it, where it was over sooner.
	ActWithin = 30 * time.Minute

	week = 7 * 24 * time.Hour
)

// Advice is what is to be done about a rule.
type Advice string

// The advice. Of a rule that is kept there is none.
const (
	Keep    Advice = ""
	Retune  Advice = "retune"  // a threshold would have kept every firing that led to an action, and spared others
	Retire  Advice = "retire"  // nothing ever came of it
	Rethink Advice = "rethink" // what led to an action does not differ from the rest in any number of the rule
)

// Report is what alerts asked of people over four weeks.
type Report struct {
	Service string    `json:"service"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	// Days is how many of them the journal covers; advice needs all.
	Days     float64     `json:"days"`
	Rules    []Rule      `json:"rules"` // those that want something done first, then by firings
	Firings  int         `json:"firings"`
	Actioned int         `json:"actioned"`
	Shifts   []ShiftLoad `json:"shifts"` // those with pages, oldest first
	// PerShift is the mean over all shifts of the time that the journal covers; Worst that of the worst shift.
	PerShift sources.Num `json:"pages_per_shift"`
	Worst    int         `json:"worst_shift"`
	Over     int         `json:"shifts_over_limit"`
	// How says how the figures are made, a line each.
	How []string `json:"how"`
}

// ShiftLoad is what one shift had.
type ShiftLoad struct {
	Begins time.Time `json:"begins"`
	Pages  int       `json:"pages"`
}

// Rule is one signal's verdict as a rule that fires, or a rule of a Prometheus or an Alertmanager.
type Rule struct {
	Signal    string       `json:"signal"`           // empty of a rule of others
	Alert     string       `json:"alert,omitempty"`  // which that is
	Source    string       `json:"source,omitempty"` // who tells of it
	Label     string       `json:"label"`
	Unit      sources.Unit `json:"unit"`
	Firings   int          `json:"firings"`
	PerWeek   sources.Num  `json:"per_week"`
	FiringS   float64      `json:"firing_s"` // within the four weeks
	Fires     bool         `json:"fires"`    // now
	Actioned  int          `json:"actioned"` // firings that led to an action
	Share     sources.Num  `json:"actioned_share"`
	Flaps     int          `json:"flaps"`  // firings that were over within five minutes
	Wavers    int          `json:"wavers"` // how often it was well in between, while it fired
	Acked     int          `json:"acknowledged"`
	AckS      sources.Num  `json:"median_ack_s"` // median time until somebody took it up; null when nobody did
	Advice    Advice       `json:"advice,omitempty"`
	Why       string       `json:"why,omitempty"`
	Threshold *Threshold   `json:"threshold,omitempty"`
}

// Name is what the rule is called: the signal, or the name of a rule of others.
func (r *Rule) Name() string {
	if r.Signal != "" {
		return r.Signal
	}
	return r.Alert
}

// Threshold would have kept every firing that led to an action.
type Threshold struct {
	// On is which number: "value" in the rule's unit, "ratio" to the usual value, "p"
	// (the probability when all is as usual), or "z".
	On    string  `json:"on"`
	Below bool    `json:"below,omitempty"` // it fires at and below At; else at and above
	At    float64 `json:"at"`
	Keeps int     `json:"keeps"` // firings that led to an action: all that there were
	Drops int     `json:"drops"` // of those that did not
	Of    int     `json:"of"`    // how many did not
}
