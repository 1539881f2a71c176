package review

import (
	"encoding/json"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Snap is the data of a signals.snapped entry: readings at one time, from which
// the review draws its charts and compares before with after.
type Snap struct {
	When    string       `json:"when"`
	At      time.Time    `json:"at"` // service time that the readings show, which may lie before the entry
	Signals []SnapSignal `json:"signals"`
}

// Why a snapshot was taken.
const (
	SnapBefore    = "before" // of a time before the trouble began
	SnapOpened    = "opened"
	SnapDuring    = "during"
	SnapMitigated = "mitigated"
	SnapResolved  = "resolved"
)

// SnapSignal is one reading in short.
type SnapSignal struct {
	Signal    string            `json:"signal"`
	Label     string            `json:"label"`
	Unit      sources.Unit      `json:"unit"`
	Direction sources.Direction `json:"direction,omitempty"`
	Value     sources.Num       `json:"value"`
	Usual     sources.Num       `json:"usual"`
	N         sources.Num       `json:"n"`
	Verdict   sources.Verdict   `json:"verdict"`
}

// SnapOf shortens readings. What the system does not expose is left out: it
// would say nothing in any review.
func SnapOf(when string, at time.Time, readings []sources.Reading) Snap {
	s := Snap{When: when, At: at.UTC(), Signals: make([]SnapSignal, 0, len(readings))}
	for i := range readings {
		if readings[i].Verdict != sources.NotExposed {
			s.Signals = append(s.Signals, snapSignal(&readings[i]))
		}
	}
	return s
}

func snapSignal(r *sources.Reading) SnapSignal {
	out := SnapSignal{Signal: r.Signal, Label: r.Label, Unit: r.Unit, Direction: r.Direction, Verdict: r.Verdict}
	if r.Known {
		out.Value = sources.N(r.Value)
	}
	if r.Usual != nil {
		out.Usual = sources.N(r.Usual.Value)
	}
	if r.N > 0 {
		out.N = sources.N(r.N)
	}
	return out
}

// Draft returns the entry that records the snapshot for an incident.
func (s Snap) Draft(service, environment, incident string) journal.Draft {
	return journal.Draft{
		Kind: journal.SignalsSnapped, At: s.At, Service: service, Environment: environment, Incident: incident, Data: s,
	}
}

// SnapIn reads the snapshot of a signals.snapped entry; false when it holds none.
func SnapIn(e *journal.Entry) (Snap, bool) {
	var s Snap
	if e.Kind != journal.SignalsSnapped || json.Unmarshal(e.Data, &s) != nil || len(s.Signals) == 0 {
		return Snap{}, false
	}
	if s.At.IsZero() {
		s.At = e.At
	}
	return s, true
}
