package sources

import "time"

// Facts are the honesty facts that every result carries to the screen.
type Facts struct {
	Source   string        `json:"source"`             // "prometheus", "loki", "traces", "requests"
	At       time.Time     `json:"at"`                 // the source's own time of the newest datum
	Fetched  time.Time     `json:"fetched"`            // wall time of the answer
	Took     time.Duration `json:"took_ns,omitempty"`  // how long the source needed
	Partial  string        `json:"partial,omitempty"`  // why it is not the whole answer
	Shown    int           `json:"shown,omitempty"`    // rows in hand
	Total    int           `json:"total,omitempty"`    // rows that matched; -1 when more matched than were counted
	Stale    string        `json:"stale,omitempty"`    // why this is an older answer than asked for
	Sampled  bool          `json:"sampled,omitempty"`  // the source keeps only some of the data
	Skew     time.Duration `json:"skew_ns,omitempty"`  // source clock minus ours
	Warnings []string      `json:"warnings,omitempty"` // said by the source, sanitised
}

// Truncated tells whether rows are missing because of a limit.
func (f Facts) Truncated() bool { return f.Total < 0 || f.Total > f.Shown }

// MaxSkew is the clock difference above which a screen says so.
const MaxSkew = 2 * time.Second

// Health is the state of one source as the header and `doctor` show it.
type Health struct {
	Source   string        `json:"source"` // "prom", "loki", "otlp", "traces"
	State    HealthState   `json:"state"`
	Reason   string        `json:"reason,omitempty"`   // one line, sanitised, with what to do
	LastGood time.Time     `json:"last_good,omitzero"` // wall time of the last good answer
	Latency  time.Duration `json:"latency_ns,omitempty"`
	Rate     float64       `json:"rate,omitempty"` // otlp: spans per second of wall time
	Skew     time.Duration `json:"skew_ns,omitempty"`
	Note     string        `json:"note,omitempty"` // "received by pid 4312", "shed 120 traces"
}

// HealthState says what is known about a source.
type HealthState string

// The states of a source.
const (
	SourceUp      HealthState = "up"
	SourceDown    HealthState = "down"
	SourceUnknown HealthState = "unknown" // not asked yet
	SourceOff     HealthState = "off"     // not configured
)
