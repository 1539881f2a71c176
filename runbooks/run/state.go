// Package run executes runbooks. The engine has no screen: the console and the
// command line both drive it. Its state lives in the journal, so that any
// process can show a run and, when the one that drove it is gone, resume it.
package run

import (
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
)

// Status says where a step stands.
type Status string

// The states of a step.
const (
	Pending      Status = "pending"
	Running      Status = "running"
	Waiting      Status = "waiting" // for a person
	Passed       Status = "passed"
	Failed       Status = "failed"
	Inconclusive Status = "inconclusive"
	Skipped      Status = "skipped"
)

// Outcome is how a run ended; empty while it goes on.
type Outcome string

// The outcomes.
const (
	Succeeded Outcome = "succeeded"
	Aborted   Outcome = "aborted"   // the Abort section ran to its end
	Escalated Outcome = "escalated" // a person must take over
	Stopped   Outcome = "stopped"   // a person stopped it; nothing was undone
)

// Value is a variable with where its value came from.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"` // "suspect prompt", "rollcall pin last-good prompt --not v14", "you"
	// Ask is the question when a person must give it.
	Ask string `json:"ask,omitempty"`
	// Offers are what there is to choose from; another value may be given all the same.
	Offers []Offer `json:"offers,omitempty"`
}

// Offer is one value that a person may choose.
type Offer struct {
	Value string `json:"value"`
	Note  string `json:"note,omitempty"` // what it is
}

// Target says what a run acts on.
type Target struct {
	Service     string `json:"service"`
	Environment string `json:"environment,omitempty"`
	Incident    string `json:"incident,omitempty"`
	Rehearsal   bool   `json:"rehearsal,omitempty"`
	ReadOnly    bool   `json:"read_only,omitempty"`
}

// Plan is a runbook resolved and not yet started: what a dry run prints.
type Plan struct {
	Runbook *runbooks.Runbook `json:"runbook"`
	Target  Target            `json:"target"`
	Vars    []Value           `json:"vars"`
	// Why says why it was suggested: "Schema failures 9.1%; prompt v13→v14 at 02:31".
	Why string `json:"why,omitempty"`
	// Now holds the current value of each check, by step.
	Now []PlannedCheck `json:"now,omitempty"`
	// Doubts are what a person should know before starting: never rehearsed, changed since, lint notices.
	Doubts []string `json:"doubts,omitempty"`
}

// PlannedCheck is what a check would say now.
type PlannedCheck struct {
	Step   string `json:"step"`
	Sample Sample `json:"sample"`
}

// Missing lists the variables that a person must give before the run can start.
func (p *Plan) Missing() []Value {
	var out []Value
	for _, v := range p.Vars {
		if v.Value == "" && v.Ask != "" {
			out = append(out, v)
		}
	}
	return out
}

// Sample is one measurement of a check.
type Sample struct {
	At      time.Time   `json:"at"`              // service time
	Query   string      `json:"query"`           // as sent
	From    string      `json:"from,omitempty"`  // provider that answered
	Value   sources.Num `json:"value"`           // unknown when nothing answered
	Usual   sources.Num `json:"usual"`           //
	N       sources.Num `json:"n"`               // requests behind it
	Verdict Status      `json:"verdict"`         // passed, failed or inconclusive
	Why     string      `json:"why"`             // "4.1% is over usual × 1.3 = 1.6%", "3 of 200 requests"
	Error   string      `json:"error,omitempty"` // of the source, one line
}

// Line is one line of a command's output, redacted and sanitised.
type Line struct {
	N      int64     `json:"n"` // counts from 1 within the attempt
	Wall   time.Time `json:"wall"`
	Stream string    `json:"stream"` // "out" or "err"
	Text   string    `json:"text"`
}

// Step is the state of one step of a run.
type Step struct {
	runbooks.Step
	Status  Status            `json:"status"`
	Attempt int               `json:"attempt,omitempty"`
	Began   time.Time         `json:"began,omitzero"` // service time
	Ended   time.Time         `json:"ended,omitzero"`
	Took    float64           `json:"took_s,omitempty"` // wall seconds
	Exit    *int              `json:"exit,omitempty"`
	Output  []Line            `json:"output,omitempty"`  // the newest lines
	Omitted int64             `json:"omitted,omitempty"` // lines left out by the bound
	Samples []Sample          `json:"samples,omitempty"`
	Snapped []sources.Reading `json:"snapped,omitempty"`
	Why     string            `json:"why,omitempty"`    // why it ended as it did, or what it waits for
	NextAt  time.Time         `json:"next_at,omitzero"` // service time of the next sample, or the end of a wait
	By      string            `json:"by,omitempty"`     // who confirmed
	Note    string            `json:"note,omitempty"`
}

// Ask is what a run waits for.
type Ask string

// What can be asked.
const (
	AskNothing Ask = ""
	AskGo      Ask = "go"      // a write is next: go, skip (where the step allows it) or abort
	AskConfirm Ask = "confirm" // a person says it is so
	AskNote    Ask = "note"    // text
	AskApprove Ask = "approve" // a second person
	AskDecide  Ask = "decide"  // escalated: repeat, accept as done, abort (undo) or stop
)

// Choice is one answer that is possible now, with what it will do in full.
type Choice struct {
	Answer Answer `json:"answer"`
	Does   string `json:"does"` // "run: rollcall pin set prompt v13 --if-current v14"
}

// Verb is what a person answers.
type Verb string

// The verbs.
const (
	Go     Verb = "go"     // run the step, or confirm it
	Skip   Verb = "skip"   // leave the step out, with a reason
	Again  Verb = "again"  // repeat the step
	Accept Verb = "accept" // take it as done, with a reason
	Undo   Verb = "abort"  // go to the Abort section
	Stop   Verb = "stop"   // end the run here; nothing is undone
)

// Answer is a person's decision.
type Answer struct {
	Step string `json:"step"` // the step it is about; an answer to another step is refused
	Verb Verb   `json:"verb"`
	Text string `json:"text,omitempty"` // of a note, or the reason
}

// State is a run as it stands. It is a value: nobody changes it after it was handed out.
type State struct {
	ID        string            `json:"id"` // "RUN-3"
	Runbook   string            `json:"runbook"`
	Title     string            `json:"title"`
	Hash      string            `json:"hash"`
	Component sources.Component `json:"component,omitempty"`
	Settings  []string          `json:"settings,omitempty"`
	Target    Target            `json:"target"`
	Vars      []Value           `json:"vars"`
	Actor     string            `json:"actor"`
	Began     time.Time         `json:"began"` // service time
	Ended     time.Time         `json:"ended,omitzero"`
	Outcome   Outcome           `json:"outcome,omitempty"`
	Why       string            `json:"why,omitempty"`
	Phase     runbooks.Phase    `json:"phase"`
	Steps     []Step            `json:"steps"`
	Current   int               `json:"current"` // index into Steps; -1 when none
	Ask       Ask               `json:"ask,omitempty"`
	Question  string            `json:"question,omitempty"`
	Choices   []Choice          `json:"choices,omitempty"`
	Aborting  bool              `json:"aborting,omitempty"`
	// Driver is who drives it now: "you", "pid 4312", or empty when nobody does and it can be resumed.
	Driver string `json:"driver,omitempty"`
}

// Interrupted tells whether the run goes on but nobody drives it.
func (s *State) Interrupted() bool { return s.Outcome == "" && s.Driver == "" }
