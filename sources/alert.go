package sources

import "time"

// Alert is one alert as its source tells it.
type Alert struct {
	ID          string            `json:"id,omitempty"` // Alertmanager's fingerprint
	Name        string            `json:"name"`
	State       AlertState        `json:"state"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Since       time.Time         `json:"since"`                  // the source's own time
	Ends        time.Time         `json:"ends,omitzero"`          // when it resolves unless it is told again; Alertmanager only
	Value       string            `json:"value,omitempty"`        // of the rule's expression, as the source writes it
	Receivers   []string          `json:"receivers,omitempty"`    // who is told; Alertmanager only
	SilencedBy  []string          `json:"silenced_by,omitempty"`  // IDs of silences
	InhibitedBy []string          `json:"inhibited_by,omitempty"` // IDs of alerts
	Source      string            `json:"source"`                 // "prometheus" or "alertmanager"
}

// AlertState says how far an alert is.
type AlertState string

// The states of an alert.
const (
	AlertPending    AlertState = "pending" // its condition holds, not yet for long enough
	AlertFiring     AlertState = "firing"
	AlertSuppressed AlertState = "suppressed" // firing, and nobody is told: silenced or inhibited
	AlertInactive   AlertState = "inactive"   // of a rule none of whose alerts is active
)

// Rule is one rule that a Prometheus evaluates.
type Rule struct {
	Group       string            `json:"group"`
	Name        string            `json:"name"`
	Alerting    bool              `json:"alerting"` // else it records a series
	Query       string            `json:"query"`
	For         time.Duration     `json:"for_ns,omitempty"`
	State       AlertState        `json:"state,omitempty"` // the worst of its alerts
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Healthy     bool              `json:"healthy"`
	LastError   string            `json:"last_error,omitempty"` // why it is not healthy, sanitised
	Evaluated   time.Time         `json:"evaluated,omitzero"`   // the source's own time; zero before the first
	Took        time.Duration     `json:"took_ns,omitempty"`
	Alerts      []Alert           `json:"alerts,omitempty"`
}

// Silence keeps an Alertmanager from telling anybody of the alerts that it matches.
type Silence struct {
	ID      string       `json:"id,omitempty"` // given by the Alertmanager
	State   SilenceState `json:"state,omitempty"`
	Match   []Matcher    `json:"match"`
	Starts  time.Time    `json:"starts"`
	Ends    time.Time    `json:"ends"`
	By      string       `json:"by"`
	Comment string       `json:"comment"`
	Updated time.Time    `json:"updated,omitzero"`
}

// SilenceState says whether a silence holds.
type SilenceState string

// The states of a silence.
const (
	SilencePending SilenceState = "pending"
	SilenceActive  SilenceState = "active"
	SilenceExpired SilenceState = "expired"
)

// Matcher compares one label with a value.
type Matcher struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Regex bool   `json:"regex,omitempty"` // the value is a regular expression for the whole label
	Not   bool   `json:"not,omitempty"`
}
