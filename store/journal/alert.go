package journal

import (
	"time"

	"rollcall/sources"
)

// AlertData is the data of alert.firing and alert.resolved: a signal's verdict,
// with the numbers that it rests on at that time; or a rule of a Prometheus or an
// Alertmanager, which has no signal. The entry's text is then the labels of its
// first alert.
type AlertData struct {
	Signal    string            `json:"signal"`
	Label     string            `json:"label"`
	Pane      sources.Pane      `json:"pane"`
	Unit      sources.Unit      `json:"unit"`
	Direction sources.Direction `json:"direction,omitempty"`
	Value     sources.Num       `json:"value"`
	Usual     sources.Num       `json:"usual"`
	N         sources.Num       `json:"n"`
	Verdict   sources.Verdict   `json:"verdict"`
	Since     time.Time         `json:"since,omitzero"` // when it began to be bad, as far as the history shows

	// Of a rule of others only.
	Alert    string `json:"alert,omitempty"`    // its name
	Source   string `json:"source,omitempty"`   // "prometheus" or "alertmanager"
	Severity string `json:"severity,omitempty"` // its label
	Alerts   int    `json:"alerts,omitempty"`   // how many of its alerts fired

	Rule  string      `json:"rule,omitempty"` // which rule said so, as in a judgement
	Level sources.Num `json:"level,omitzero"` // the fixed level that is bad, where there is one
	Ratio sources.Num `json:"ratio,omitzero"` // to the usual value
	P     sources.Num `json:"p,omitzero"`     // probability when all is as usual
	Z     sources.Num `json:"z,omitzero"`     // robust standard deviations from usual

	// Of alert.resolved only.
	FiredS sources.Num `json:"fired_s"`         // how long it was bad, from the entry that says it fires until Until
	Until  time.Time   `json:"until,omitzero"`  // since when it is known to be bad no longer
	Flaps  int         `json:"flaps,omitempty"` // how often it was well in between, for less than it takes to resolve
	Worst  sources.Num `json:"worst,omitzero"`  // the value that was farthest off while it fired
}

// Key tells what fires: the same signal, or the same rule of others.
func (d *AlertData) Key() string { return alertKey(d.Signal, d.Alert) }

func alertKey(signal, alert string) string {
	if signal != "" || alert == "" {
		return signal
	}
	return "alert " + alert // no signal has a space in it
}

// AcknowledgedData is the data of alert.acknowledged. The entry's text is the note.
type AcknowledgedData struct {
	Alert  string    `json:"alert"`          // the alert's ID: "schema_fail", or name and hash of the labels
	Also   string    `json:"also,omitempty"` // its ID by the labels that another source gives it
	Name   string    `json:"name"`
	Signal string    `json:"signal,omitempty"` // of a verdict of rollcall itself
	Source string    `json:"source"`           // "rollcall", "prometheus" or "alertmanager"
	Since  time.Time `json:"since,omitzero"`   // since when it fired
	Acted  bool      `json:"acted,omitempty"`  // it led to something that was done elsewhere
}

// Key is that of the AlertData that it acknowledges.
func (d *AcknowledgedData) Key() string { return alertKey(d.Signal, d.Name) }

// SilencedData is the data of alert.silenced. The entry's text is the comment
// and the matchers: labels come from outside, and text can be erased.
type SilencedData struct {
	Alert   string    `json:"alert"`
	Name    string    `json:"name"`
	Signal  string    `json:"signal,omitempty"`
	State   string    `json:"state"`             // begun, done, refused or uncertain
	Silence string    `json:"silence,omitempty"` // the Alertmanager's ID of it
	Ends    time.Time `json:"ends"`              // wall time
}
