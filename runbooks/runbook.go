// Package runbooks reads runbooks: Markdown checklists that a person can follow
// by hand and that the engine executes. It parses and lints; package run acts.
package runbooks

import (
	"fmt"
	"slices"
	"time"

	"rollcall/sources"
)

// Schema is the value of `schema:` in the front matter.
const Schema = "rollcall/v1"

// Phase is the section of a runbook that a step stands in.
type Phase string

// The phases, by their headings. Abort runs only when a step says so.
const (
	Preconditions Phase = "Preconditions"
	Steps         Phase = "Steps"
	Verify        Phase = "Verify"
	Abort         Phase = "Abort"
)

// Kind says what a step does, by what its item holds.
type Kind string

// The kinds of steps.
const (
	Confirm  Kind = "confirm"  // nothing: a person says it is so
	Command  Kind = "command"  // an sh fence
	CheckOf  Kind = "check"    // a live measurement
	Snapshot Kind = "snapshot" // records signals for later comparison
	Wait     Kind = "wait"
	Approve  Kind = "approve" // a second person
	Note     Kind = "note"    // asks for text
	Capture  Kind = "capture" // artifacts of matching requests
	Evals    Kind = "evals"
	Criteria Kind = "criteria" // what must hold for success
)

// Effect says whether a command changes something.
type Effect string

// The effects. A command without one is linted as an error.
const (
	Read  Effect = "read"
	Write Effect = "write"
)

// Action is what follows from an outcome that is not a pass.
type Action string

// The actions.
const (
	AbortRun  Action = "abort"    // go to the Abort section
	Escalate  Action = "escalate" // stop and ask a person
	Continue  Action = "continue"
	ReopenInc Action = "reopen" // only of a hold: the incident is not mitigated after all
)

// Runbook is one parsed file.
type Runbook struct {
	ID            string            `json:"id"`
	Title         string            `json:"title"`
	Component     sources.Component `json:"component,omitempty"` // the only component that a run may move
	Settings      []string          `json:"settings,omitempty"`  // the only settings that it may set
	Suggest       []string          `json:"suggest,omitempty"`   // signals whose badness offers it
	MaxDuration   time.Duration     `json:"max_duration_ns,omitempty"`
	RehearseEvery time.Duration     `json:"rehearse_every_ns,omitempty"`
	Vars          []Var             `json:"vars,omitempty"` // in the order of the file
	Intro         string            `json:"intro,omitempty"`
	Steps         []Step            `json:"steps"`
	File          string            `json:"file"` // path, or "library/NAME.md"
	Source        []byte            `json:"-"`
	Hash          string            `json:"hash"` // SHA-256 of the file's bytes, hex

	places map[string]place // where values stand: "front.id", "3.check"; for Lint
}

// Moves lists what a run may move: a component, settings.
func (r *Runbook) Moves() []string {
	out := slices.Clone(r.Settings)
	if r.Component != "" {
		out = slices.Insert(out, 0, string(r.Component))
	}
	return out
}

// RollsBack is the component that every run of it moves, and nothing else; empty where it
// moves settings or features as well, or the component only in some cases.
func (r *Runbook) RollsBack() sources.Component {
	moved := sources.Component("")
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Phase != Steps || s.Effect != Write {
			continue
		}
		for _, c := range changes(s.Script) {
			if !c.moves || sources.Component(c.component) != r.Component || s.When != "" {
				return ""
			}
			moved = r.Component
		}
	}
	return moved
}

// Step returns a step by its name, nil when there is none.
func (r *Runbook) Step(name string) *Step {
	for i := range r.Steps {
		if r.Steps[i].Name == name {
			return &r.Steps[i]
		}
	}
	return nil
}

// Var is resolved once before the run, shown, and frozen; commands get it as environment.
type Var struct {
	Name string `json:"name"`
	Line int    `json:"line"`
	// The first that gives a value wins; when none does, a person is asked.
	Sources []VarSource `json:"sources"`
}

// VarSource is one way to a value; exactly one of Suspect, Run, Value and Ask is set.
type VarSource struct {
	Suspect string   `json:"suspect,omitempty"` // a component or another of Suspected: what the verdict line suspects of it
	Run     []string `json:"run,omitempty"`     // a read-only command; its first line. Other variables as $NAME words.
	Value   string   `json:"value,omitempty"`
	Ask     string   `json:"ask,omitempty"`    // the question
	Choose  []string `json:"choose,omitempty"` // of Ask: a read-only command; a line is a value and what it is
}

// Suspected are the attributes of requests, besides the components, of which a runbook
// can ask which value is suspected.
var Suspected = []string{"tenant", "user", "route", "region", "document", "tool", "error_type", "provider", "model_served"}

// Step is one task item.
type Step struct {
	Name     string        `json:"name"` // unique in the runbook: its bold word
	Sentence string        `json:"sentence"`
	Phase    Phase         `json:"phase"`
	Kind     Kind          `json:"kind"`
	Line     int           `json:"line"`
	Script   string        `json:"script,omitempty"` // run with sh -eu
	Effect   Effect        `json:"effect,omitempty"`
	Timeout  time.Duration `json:"timeout_ns,omitempty"` // wall time
	When     string        `json:"when,omitempty"`       // expr; false skips the step
	OnFail   Action        `json:"on_fail,omitempty"`

	Reconcile *Reconcile    `json:"reconcile,omitempty"`
	Check     *Check        `json:"check,omitempty"`
	Signals   []string      `json:"signals,omitempty"` // of a snapshot
	Wait      time.Duration `json:"wait_ns,omitempty"` // service time
	Ask       string        `json:"ask,omitempty"`     // of a note
	Capture   *CaptureOf    `json:"capture,omitempty"`
	Criteria  []string      `json:"criteria,omitempty"` // names of steps
	Mark      string        `json:"mark,omitempty"`     // "mitigated" or "resolved", when the criteria hold
	Hold      *Hold         `json:"hold,omitempty"`
}

// Reconcile decides after a crash whether a write happened.
type Reconcile struct {
	Run     []string `json:"run"`
	Done    string   `json:"done"`     // expr over value
	NotDone string   `json:"not_done"` // expr over value: safe to repeat; neither: escalate
}

// Check measures a signal, or a query, against conditions over value and usual.
type Check struct {
	Signal string `json:"signal,omitempty"`
	PromQL string `json:"promql,omitempty"`
	LogQL  string `json:"logql,omitempty"`
	Pass   string `json:"pass"`
	Fail   string `json:"fail,omitempty"` // between the two: inconclusive
	// InitialDelay counts from the last write of the run, or what a person did by hand, before which values still
	// hold the old state, or from the step's beginning when nothing was written. A
	// second check after the same write does not wait again.
	InitialDelay    time.Duration `json:"initial_delay_ns"`
	Interval        time.Duration `json:"interval_ns"`
	Count           int           `json:"count"` // samples at most
	ConsecutivePass int           `json:"consecutive_pass"`
	FailureLimit    int           `json:"failure_limit"`
	MinSamples      float64       `json:"min_samples,omitempty"` // requests behind a value; fewer is inconclusive
	OnFail          Action        `json:"outcome_fail"`
	OnInconclusive  Action        `json:"outcome_inconclusive"`
}

// CaptureOf says which requests become artifacts.
type CaptureOf struct {
	Bad     bool                         `json:"bad,omitempty"`
	Version map[sources.Component]string `json:"version,omitempty"` // values may be $NAME
	Where   map[string]string            `json:"where,omitempty"`   // by attribute of the request; values may be $NAME
	Limit   int                          `json:"limit"`
}

// Hold watches a check after the run has ended.
type Hold struct {
	Step   string        `json:"step"`
	For    time.Duration `json:"for_ns"`
	OnFail Action        `json:"on_fail"`
}

// The environment of commands. A command gets these, the variables, and an allow-list besides.
const (
	EnvService     = "ROLLCALL_SERVICE"
	EnvEnvironment = "ROLLCALL_ENVIRONMENT"
	EnvConfig      = "ROLLCALL_CONFIG"
	EnvRun         = "ROLLCALL_RUN"
	EnvStep        = "ROLLCALL_STEP"
	EnvEffect      = "ROLLCALL_EFFECT"    // read or write
	EnvComponent   = "ROLLCALL_COMPONENT" // the only component that may be moved
	EnvSettings    = "ROLLCALL_SETTINGS"  // the only settings that may be set, parted by spaces
	EnvRehearsal   = "ROLLCALL_REHEARSAL" // "1": act on the rehearsal target
	EnvReadOnly    = "ROLLCALL_READ_ONLY" // "1": nothing may be changed
	EnvIncident    = "ROLLCALL_INCIDENT"
)

// Problem is one finding of the linter.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`          // with the remedy
	Notice  bool   `json:"notice,omitempty"` // about state, never an error: never rehearsed, changed since
}

// String writes the problem as compilers do: "file:line:column: message".
func (p Problem) String() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	if p.Notice {
		return at + ": notice: " + p.Message
	}
	return at + ": " + p.Message
}

// Listing is a runbook as a list shows it.
type Listing struct {
	Runbook   *Runbook  `json:"runbook,omitempty"` // nil when it cannot be parsed
	File      string    `json:"file"`
	Problems  []Problem `json:"problems,omitempty"`
	Rehearsed time.Time `json:"rehearsed,omitzero"` // end of the last rehearsal that succeeded, service time
	LastRun   time.Time `json:"last_run,omitzero"`
	// Suggested says why it fits what is bad now; empty when it does not.
	Suggested string `json:"suggested,omitempty"`
}
