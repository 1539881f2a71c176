package run

import (
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
	"rollcall/sources"
	"rollcall/store/journal"
)

// Kinds of entries that only runs have, besides those of package journal.
const (
	RunAsked    journal.Kind = "run.asked"    // a person is asked
	RunResumed  journal.Kind = "run.resumed"  // another process drives it from here on
	RunDetached journal.Kind = "run.detached" // nobody drives it; it can be resumed
	RunHeld     journal.Kind = "run.held"     // how the watch over a finished run ended
)

// Started is the data of run.started. Its text holds what the variables were
// resolved from; its artifact is the runbook.
type Started struct {
	Runbook   string            `json:"runbook"`
	Title     string            `json:"title"`
	Hash      string            `json:"hash"` // of the runbook's bytes, SHA-256 in hex
	File      string            `json:"file,omitempty"`
	Component sources.Component `json:"component,omitempty"`
	Settings  []string          `json:"settings,omitempty"`
	Target    Target            `json:"target"`
	Steps     []runbooks.Step   `json:"steps"`
	Vars      []Value           `json:"vars"`
	// Pinned is the SHA-256 of the exact steps and variables: those above went through redaction.
	Pinned      string        `json:"pinned"`
	MaxDuration time.Duration `json:"max_duration_ns,omitempty"` // service time
	Unattended  bool          `json:"unattended,omitempty"`      // --yes: writes need no word
	PID         int           `json:"pid"`
	Host        string        `json:"host,omitempty"`
	Doubts      []string      `json:"doubts,omitempty"`
}

// Intent is the data of run.intent: on disk before a step acts.
type Intent struct {
	Step    string          `json:"step"`
	Attempt int             `json:"attempt"` // from 1
	Kind    runbooks.Kind   `json:"kind"`
	Effect  runbooks.Effect `json:"effect,omitempty"`
	Command string          `json:"command,omitempty"` // with the values of its variables, to be read
}

// Process is the data of run.process.
type Process struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
	recorder.Identity
}

// Sampled is the data of run.sample.
type Sampled struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt,omitempty"`
	Held    bool   `json:"held,omitempty"` // of the watch over a finished run
	Sample  Sample `json:"sample"`
}

// Asked is the data of run.asked.
type Asked struct {
	Step     string `json:"step"`
	Ask      Ask    `json:"ask"`
	Question string `json:"question"`
	Overdue  bool   `json:"overdue,omitempty"` // asked because the run takes longer than it may
}

// Answered is the data of run.answer; its text is the note or the reason.
type Answered struct {
	Step string `json:"step"`
	Ask  Ask    `json:"ask,omitempty"` // empty: the answer breaks in on a running step
	Verb Verb   `json:"verb"`
}

// Then is what follows from the end of an attempt.
type Then string

// What can follow.
const (
	ThenNext  Then = "next"
	ThenAgain Then = "again" // the attempt does not count; the step comes again
	ThenAsk   Then = "ask"   // a person decides; run.asked says what
	ThenAbort Then = "abort"
	ThenStop  Then = "stop"
)

// StepEnded is the data of run.outcome: how one attempt of a step ended. Its
// text holds the newest lines of a command's output, its artifact all that were kept.
type StepEnded struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt,omitempty"`
	Status  Status `json:"status"`
	Then    Then   `json:"then"`
	Why     string `json:"why,omitempty"`

	Exit      *int              `json:"exit,omitempty"`
	Signal    string            `json:"signal,omitempty"`
	TimedOut  bool              `json:"timed_out,omitempty"`
	Cancelled bool              `json:"cancelled,omitempty"`
	Took      float64           `json:"took_s,omitempty"` // wall
	Lines     int64             `json:"lines,omitempty"`
	Omitted   int64             `json:"omitted,omitempty"`
	Left      int               `json:"left,omitempty"`   // processes ended that the command left behind
	Shown     []Shown           `json:"shown,omitempty"`  // what the lines of the text are
	SHA256    string            `json:"sha256,omitempty"` // of the output as kept
	Reconcile *Reconciled       `json:"reconcile,omitempty"`
	Snapped   []sources.Reading `json:"snapped,omitempty"`
	Mark      string            `json:"mark,omitempty"`
	Hold      *Held             `json:"hold,omitempty"`
}

// Shown says which line of output a line of the text is.
type Shown struct {
	N    int64     `json:"n"`
	Wall time.Time `json:"wall"`
	Err  bool      `json:"err,omitempty"`
}

// Reconciled is what was found out about a write of which it was not known whether it happened.
type Reconciled struct {
	Command string `json:"command"`
	Value   string `json:"value"`   // first line of its output
	Verdict string `json:"verdict"` // "done", "not done" or "neither"
	Error   string `json:"error,omitempty"`
}

// Held is a check that is watched after its run has ended.
type Held struct {
	Run     string          `json:"run,omitempty"` // filled in by Holds
	Runbook string          `json:"runbook,omitempty"`
	Target  Target          `json:"target,omitzero"`
	Step    string          `json:"step"`
	Check   *runbooks.Check `json:"check"`
	Until   time.Time       `json:"until"` // service time
	OnFail  runbooks.Action `json:"on_fail"`
}

// HoldEnded is the data of run.held.
type HoldEnded struct {
	Step   string `json:"step"`
	Status Status `json:"status"`
	Why    string `json:"why"`
	Reopen bool   `json:"reopened,omitempty"` // the incident is not mitigated after all
}

// Ended is the data of run.ended.
type Ended struct {
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`
}

// Resumed is the data of run.resumed.
type Resumed struct {
	PID        int    `json:"pid"`
	Host       string `json:"host,omitempty"`
	Unattended bool   `json:"unattended,omitempty"`
}

// Detached is the data of run.detached.
type Detached struct {
	Step string `json:"step,omitempty"` // what was going on; a command goes on under its recorder
}

// snapshots are the numbers that snapshot steps recorded, by step and signal.
type snapshots map[string]map[string]sources.Num

// RunbookOf returns the ID of the runbook that a run.started entry is of.
func RunbookOf(e *journal.Entry) string { return decode[Started](e).Runbook }
