package emit

import (
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// Sink joins traces and logs into the simulation's sink. Either may be nil.
type Sink struct {
	Traces *Traces
	Logs   *Logs
	// Mute, when set, keeps traces and lines of requests back while it is true:
	// a drill that slept catches up on its metrics but does not flood anybody.
	Mute bool
}

var _ sim.Sink = (*Sink)(nil)

// Started passes a request on to the logs.
func (s *Sink) Started(q *sim.Request) {
	if s.Logs != nil && !s.Mute {
		s.Logs.Started(q)
	}
}

// Finished passes a request on to the traces.
func (s *Sink) Finished(q *sim.Request) {
	if s.Traces != nil && !s.Mute {
		s.Traces.Finished(q)
	}
}

// Evaluated passes an evaluation on to the traces.
func (s *Sink) Evaluated(q *sim.Request, e sim.Evaluation) {
	if s.Traces != nil && !s.Mute {
		s.Traces.Evaluated(q, e)
	}
}

// Rated passes late feedback on to the traces.
func (s *Sink) Rated(q *sim.Request, at time.Time) {
	if s.Traces != nil && !s.Mute {
		s.Traces.Rated(q, at)
	}
}

// Complained passes a complaint on to the logs.
func (s *Sink) Complained(q *sim.Request, at time.Time) {
	if s.Logs != nil && !s.Mute {
		s.Logs.Complained(q, at)
	}
}

// Changed passes a change on to the logs.
func (s *Sink) Changed(c sim.Change) {
	if s.Logs != nil {
		s.Logs.Changed(c)
	}
}

// Second passes the time on to the logs.
func (s *Sink) Second(t time.Time) {
	if s.Logs != nil {
		s.Logs.Second(t)
	}
}
