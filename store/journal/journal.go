// Package journal keeps what happened: an append-only, hash-chained record in
// SQLite of everything that people and the program did and saw change.
//
// An entry never changes. Its exact bytes are part of the chain; free text and
// captured artifacts are redacted and stored beside the chain, which holds only
// their salted hashes, so that erasing them keeps the chain valid.
package journal

import (
	"encoding/json"
	"time"

	"rollcall/sources"
)

// Kind says what an entry records.
type Kind string

// The kinds. Data of the run.* kinds belongs to the runbook engine.
const (
	IncidentOpened    Kind = "incident.opened"
	IncidentUpdated   Kind = "incident.updated"
	IncidentClosed    Kind = "incident.closed"
	Noted             Kind = "note"
	RunStarted        Kind = "run.started"
	RunIntent         Kind = "run.intent"  // written and synced before a step acts
	RunProcess        Kind = "run.process" // the process that runs a command
	RunSample         Kind = "run.sample"  // one measurement of a check
	RunAnswer         Kind = "run.answer"  // what a person decided
	RunOutcome        Kind = "run.outcome" // how a step ended
	RunEnded          Kind = "run.ended"
	AlertFiring       Kind = "alert.firing"
	AlertResolved     Kind = "alert.resolved"
	AlertAcknowledged Kind = "alert.acknowledged"
	AlertSilenced     Kind = "alert.silenced" // asked of an Alertmanager: before it, and how it ended
	ChangeSeen        Kind = "change.seen"
	RequestViewed     Kind = "request.viewed"
	QueryTyped        Kind = "query.typed"
	Captured          Kind = "artifact.captured"
	PinSet            Kind = "pin.set"
	GoodMarked        Kind = "good.marked"
	FeatureSet        Kind = "feature.set"
	SettingSet        Kind = "setting.set"
	EvalsRun          Kind = "evals.run"
	SignalsSnapped    Kind = "signals.snapped" // readings at one time, for the review's charts
	Exported          Kind = "exported"
	DrillEnded        Kind = "drill.ended"     // in the journal of those who practised; the drill has one of its own
	RehearsalReset    Kind = "rehearsal.reset" // the rehearsal target was put back to where rehearsals begin
	Erased            Kind = "erased"
	Purged            Kind = "purged" // a request, a user or a tenant was erased everywhere
	Lost              Kind = "lost"   // entries that could not be written for too long
)

// Draft is what a caller wants recorded. The journal adds sequence number, wall
// time, actor, origin and hash.
type Draft struct {
	Kind        Kind
	At          time.Time // service time; the clock's now when zero
	Service     string
	Environment string
	Incident    string // "INC-7"
	Run         string // "RUN-3"
	// Data is encoded as JSON into the entry's bytes: facts, numbers, identifiers, versions. No free text.
	Data any
	// Text is free text: a note, a query as typed, a title, output of a command. It is
	// redacted and sanitised here, and stored beside the chain.
	Text string
	// Artifacts are captured evidence, redacted and stored beside the chain.
	Artifacts []Artifact
}

// Artifact is one piece of captured evidence.
type Artifact struct {
	Name string // "request.json", "output.txt"
	Type string // media type
	Body []byte
}

// ArtifactRef names a stored artifact.
type ArtifactRef struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Bytes  int    `json:"bytes"`
	Erased bool   `json:"erased,omitempty"`
}

// Entry is one immutable line of the journal.
type Entry struct {
	Seq         int64           `json:"seq"`
	Kind        Kind            `json:"kind"`
	Wall        time.Time       `json:"wall"`
	At          time.Time       `json:"at"`     // service time
	Actor       string          `json:"actor"`  // login name, or the user of an SSH key
	Origin      string          `json:"origin"` // "console", "cli", "collect", "run"
	Service     string          `json:"service,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Incident    string          `json:"incident,omitempty"`
	Run         string          `json:"run,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Text        string          `json:"text,omitempty"`
	TextErased  bool            `json:"text_erased,omitempty"`
	Artifacts   []ArtifactRef   `json:"artifacts,omitempty"`
	Hash        string          `json:"hash"` // hex
}

// LostData is the data of lost.
type LostData struct {
	Entries int `json:"entries"`
}

// Filter selects entries; empty fields do not filter. They come oldest first.
type Filter struct {
	After    int64 // sequence numbers above this one
	Before   int64 // below this one; 0 is no bound
	Kinds    []Kind
	Service  string
	Incident string
	Run      string
	Since    time.Time // service time
	Until    time.Time
	Limit    int  // 1000 when zero
	Newest   bool // of more than Limit entries, the newest instead of the oldest
}

// Head is the end of the chain: what an export prints and verify compares with.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Category is what kind of bad output an incident is about.
type Category string

// The categories.
const (
	Safety       Category = "safety"
	Correctness  Category = "correctness"
	Privacy      Category = "privacy"
	Quality      Category = "quality"
	Availability Category = "availability"
	Cost         Category = "cost"
)

// Severity is SEV1 (worst) to SEV4.
type Severity string

// The severities.
const (
	SEV1 Severity = "SEV1"
	SEV2 Severity = "SEV2"
	SEV3 Severity = "SEV3"
	SEV4 Severity = "SEV4"
)

// Incident is the state that its entries add up to. Times are service time; zero has not happened.
type Incident struct {
	ID           string    `json:"id"` // "INC-7"
	Service      string    `json:"service"`
	Environment  string    `json:"environment,omitempty"`
	Title        string    `json:"title"`
	Category     Category  `json:"category"`
	Tags         []string  `json:"tags,omitempty"`
	Severity     Severity  `json:"severity"`
	Lead         string    `json:"lead,omitempty"`
	Signals      []string  `json:"signals,omitempty"` // whose badness opened it
	Began        time.Time `json:"began,omitzero"`    // when the trouble began, as far as known
	Detected     time.Time `json:"detected,omitzero"` // when a verdict first said so, as far as known
	Opened       time.Time `json:"opened"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	Mitigated    time.Time `json:"mitigated,omitzero"`
	Resolved     time.Time `json:"resolved,omitzero"`
	Closed       time.Time `json:"closed,omitzero"`
	CloseReason  string    `json:"close_reason,omitempty"` // why there is no regression case
	Cases        int       `json:"cases"`                  // regression cases exported
	Requests     []string  `json:"requests,omitempty"`     // linked request IDs
	Runs         []string  `json:"runs,omitempty"`
	OpenedBy     string    `json:"opened_by"`
	FirstSeq     int64     `json:"first_seq"`
	LastSeq      int64     `json:"last_seq"`

	cased []string // requests of which a case was exported
}

// Open tells whether it is still going on.
func (i *Incident) Open() bool { return i.Closed.IsZero() }

// State is the word for where it stands: "open", "mitigated", "resolved" or "closed".
func (i *Incident) State() string {
	switch {
	case !i.Closed.IsZero():
		return "closed"
	case !i.Resolved.IsZero():
		return "resolved"
	case !i.Mitigated.IsZero():
		return "mitigated"
	}
	return "open"
}

// IncidentDraft opens an incident.
type IncidentDraft struct {
	Service     string
	Environment string
	Title       string
	Category    Category
	Tags        []string
	Severity    Severity
	Lead        string
	Signals     []string
	Began       time.Time
	Detected    time.Time
	Change      *sources.Change // the likeliest cause, as evidence
	Evidence    string          // the verdict line as it stood, free text
}

// IncidentPatch changes an incident; nil fields stay.
type IncidentPatch struct {
	Title        *string
	Category     *Category
	Tags         *[]string
	Severity     *Severity
	Lead         *string
	Began        *time.Time
	Acknowledged *time.Time
	Mitigated    *time.Time // the zero time reopens: it was not mitigated after all
	Resolved     *time.Time
	AddRequests  []string
	AddRuns      []string
	AddCases     int
	Why          string // free text
}
