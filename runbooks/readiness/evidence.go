package readiness

import (
	"time"

	"rollcall/sources"
)

// Evidence is what was found. In each part Unknown says in one line why it could
// not be looked at, with what to do about it; then nothing else of that part counts.
type Evidence struct {
	Service   string
	Now       time.Time // service time
	Requests  RequestsSeen
	Pins      Pins
	Runbooks  Runbooks
	Signals   Signals
	Fatigue   Fatigue
	Meanings  Meanings
	Budgets   Budgets
	Evals     bool // an eval suite is configured
	Logs      LogsSeen
	Incidents Incidents
	Practice  Practice
}

// RequestsSeen is what a bounded sample of the newest request rows carries.
type RequestsSeen struct {
	Unknown string
	Over    time.Duration // how far back they were looked for
	N       int           // rows in the sample
	Traffic bool          // a metric says that requests are served, whether or not rows say so
	Parts   []Share       // in the order shown
	Opened  int           // requests of which the whole record was opened
	Texts   int           // of which it holds both what was asked and what was answered
}

// Share says how many of those that should have something do.
type Share struct {
	What string // "request ID"
	N    int
	Of   int
	Next string // how to get it into the others
}

// Pins says where versions are set.
type Pins struct {
	Unknown string
	Pins    []Pin
}

// Pin is one component's place for its live version.
type Pin struct {
	Component sources.Component
	Version   string
	Problem   string // why it could not be read
	Away      bool   // because it could not be reached
}

// Runbooks are those that lint clean, and those that do not.
type Runbooks struct {
	Unknown string
	History string // why it is not known what was done with them
	Books   []Book
	Target  bool // a rehearsal target is configured
}

// Book is one runbook with what was done with it.
type Book struct {
	ID        string
	Title     string
	Component sources.Component // that every run of it moves, and nothing else
	Hash      string            // of the file as it is now
	Problem   string            // why it cannot be run
	Every     time.Duration     // how old a rehearsal may be; 0: any age
	Rehearsed Done              // last rehearsal that succeeded
	Run       Done              // last run on the live target that succeeded
	Practised Done              // last time it succeeded in a drill
}

// Done is when a runbook last succeeded; the zero Done never.
type Done struct {
	At   time.Time
	What string // "RUN-3"
	Same bool   // the runbook has not changed since
}

// Signals are all of the catalogue.
type Signals struct {
	Unknown string
	Signals []Signal
}

// Signal is one signal and how its source answers.
type Signal struct {
	ID      string
	Pane    sources.Pane
	Verdict sources.Verdict
}

// Fatigue is what became of the alerts of the last weeks.
type Fatigue struct {
	Unknown  string
	Over     time.Duration // how much time the figures cover
	Firings  int
	Rules    int         // that fired
	Useless  []string    // fire weekly, and nobody ever did anything about it
	Acted    sources.Num // share of the firings that led to an action
	PerShift sources.Num // pages in a shift of twelve hours, on average
}

// Meanings say which severities the team has put into its own words.
type Meanings struct {
	Severities []Meaning
}

// Meaning is a word, what it means, and whether the team said so.
type Meaning struct {
	Word  string
	Means string
	Own   bool
}

// Budgets is what holds cost.
type Budgets struct {
	Unknown  string   // why the metrics could not be looked at
	Scopes   []string // configured: "day", "request", ...
	Metric   bool     // the service tells budgets itself
	Caches   []Signal
	Fallback []Signal
	Features bool // expensive features can be switched off from here
}

// LogsSeen is what a bounded sample of recent lines looks like.
type LogsSeen struct {
	Unknown    string
	Over       time.Duration // how far back the sample reaches
	N          int
	Structured int            // JSON or logfmt
	Identified int            // carry a request or trace ID in a field
	Field      string         // most often in this one
	Hits       map[string]int // secrets and people that were found and hidden, by kind
}

// Incidents are all of the service that the journal has.
type Incidents struct {
	Unknown string
	Closed  []Closed
	Open    []Open
}

// Closed is a closed incident.
type Closed struct {
	ID     string
	At     time.Time
	Cases  int
	Reason string // why there is no case
}

// Open is an incident that goes on.
type Open struct {
	ID    string
	State string
	Since time.Time
}

// Practice is when people last practised.
type Practice struct {
	Unknown string
	Drill   Drill // the last that ended; zero: none
	Runs    []DrillRun
}

// DrillRun is a run of a runbook that succeeded within a drill.
type DrillRun struct {
	Runbook string
	Hash    string
	Done    Done
}

// Drill is one practised incident.
type Drill struct {
	At       time.Time // wall time of its end
	Scenario string
	Verified bool // recovery was verified in it, or nothing was wrong
}
