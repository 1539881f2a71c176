package sources

import (
	"encoding/json"
	"time"
)

// Pane is one of the four groups of signals.
type Pane string

// The panes that group signals.
const (
	HealthPane  Pane = "health"
	QualityPane Pane = "quality"
	CostPane    Pane = "cost"
	SafetyPane  Pane = "safety"
)

// Unit says how a value is written.
type Unit string

// The units of signals.
const (
	Ratio     Unit = "ratio" // 0..1, shown as a percentage
	PerSecond Unit = "1/s"
	Seconds   Unit = "s"
	USD       Unit = "USD"
	USDPerSec Unit = "USD/s" // shown per hour
	Tokens    Unit = "tokens"
	Count     Unit = "count"
	PerMille  Unit = "1/1000" // complaints per 1000 requests
	Score     Unit = "score"  // 0..1, shown with two decimals
)

// Direction says which way is worse.
type Direction string

// The directions.
const (
	HigherWorse Direction = "higher"
	LowerWorse  Direction = "lower"
	BothWorse   Direction = "both"
	Neutral     Direction = "neutral"
)

// Reading is a signal's value at one time, with where it came from and what it means.
type Reading struct {
	Signal    string    `json:"signal"`
	Label     string    `json:"label"` // at most 16 columns: "schema fail"
	Pane      Pane      `json:"pane"`
	Unit      Unit      `json:"unit"`
	Direction Direction `json:"direction"`

	Value   float64 `json:"value"` // meaningless unless Known
	Known   bool    `json:"known"`
	AtLeast bool    `json:"at_least,omitempty"` // a quantile in the top bucket: show as ≥
	Detail  string  `json:"detail,omitempty"`   // which element the value is of: "timeout", "tenant acme"

	Verdict   Verdict    `json:"verdict"`
	Why       string     `json:"why"` // one short phrase with numbers: "9.1% over 5%"
	Threshold *Threshold `json:"threshold,omitempty"`
	Usual     *Usual     `json:"usual,omitempty"`
	Judgement *Judgement `json:"judgement,omitempty"`
	N         float64    `json:"n,omitempty"`    // events behind the value in the window, when known
	Since     time.Time  `json:"since,omitzero"` // when it began to be watch or bad

	Provenance Provenance `json:"provenance"`
	History    []Point    `json:"history,omitempty"` // over the view's range
	Parts      []Part     `json:"parts,omitempty"`   // elements of a vector: one per error type, scope, kind
	Facts      Facts      `json:"facts"`
}

// Threshold is what a value is compared with, in the signal's unit. NaN switches a level off.
type Threshold struct {
	Watch float64 `json:"watch"`
	Bad   float64 `json:"bad"`
}

// MarshalJSON writes a level that is switched off as null.
func (t Threshold) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Watch Num `json:"watch"`
		Bad   Num `json:"bad"`
	}{N(t.Watch), N(t.Bad)})
}

// Judgement is what a verdict rests on. What a rule does not use is absent.
type Judgement struct {
	Rule      string    `json:"rule"`               // which rule decided: "beta-binomial 15m", "seasonal z", "fixed", ...
	K         *float64  `json:"k,omitempty"`        // counted events in the window, of N
	N         *float64  `json:"n,omitempty"`        // events in the window
	Usual     *float64  `json:"usual,omitempty"`    // in the signal's unit
	Ratio     *float64  `json:"ratio,omitempty"`    // of the value to the usual one
	P         *float64  `json:"p,omitempty"`        // probability of a value so far off or farther when all is as usual
	Z         *float64  `json:"z,omitempty"`        // robust standard deviations from usual
	Rho       *float64  `json:"rho,omitempty"`      // how much the series wavers by itself: 0 not at all, 1 all or nothing
	WindowS   float64   `json:"window_s,omitempty"` // what the judged value looks back over, seconds
	Since     time.Time `json:"since,omitzero"`     // when it began to be so, by its change-point
	SinceLow  time.Time `json:"since_low,omitzero"` // the bounds of Since
	SinceHigh time.Time `json:"since_high,omitzero"`
}

// Stretch is a stretch of time.
type Stretch struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // zero while it goes on
}

// Overlaps tells whether the stretch shares any time with the one from since to until.
func (s Stretch) Overlaps(since, until time.Time) bool {
	return s.Since.Before(until) && (s.Until.IsZero() || s.Until.After(since))
}

// Usual is what the value was at the same time of earlier days.
type Usual struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Days  int     `json:"days"` // how many days stand behind it
}

// Provenance says which provider answered and what it was asked.
type Provenance struct {
	Provider string `json:"provider"`          // "prometheus", "loki", "requests" or "config"
	Profile  string `json:"profile,omitempty"` // "llmops", "otel-genai", ... or "override"
	Query    string `json:"query,omitempty"`   // as sent
}

// Part is one element of a reading that has several, or one side of a split.
type Part struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Verdict Verdict `json:"verdict,omitempty"`
	N       float64 `json:"n,omitempty"`
	History []Point `json:"history,omitempty"`
}
