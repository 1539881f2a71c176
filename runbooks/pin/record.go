package pin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Recorder writes the journal.
type Recorder interface {
	Append(ctx context.Context, drafts ...journal.Draft) ([]journal.Entry, error)
}

// Reader reads the journal.
type Reader interface {
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
}

// Result says how an attempt to change something ended.
type Result string

// The results.
const (
	Done      Result = "done"
	Moved     Result = "moved"     // somebody else moved it; nothing was changed
	Refused   Result = "refused"   // no such version, or what holds it said no
	Failed    Result = "failed"    // nothing was changed
	Uncertain Result = "uncertain" // it may or may not have happened
)

func resultOf(err error) Result {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrUncertain):
		return Uncertain
	case errors.Is(err, ErrMoved):
		return Moved
	case errors.Is(err, ErrUnknown):
		return Refused
	}
	return Failed
}

// PinSet is the data of pin.set entries.
type PinSet struct {
	Component sources.Component `json:"component"`
	From      string            `json:"from"` // the version that had to be live
	To        string            `json:"to"`
	Result    Result            `json:"result"`
	Now       string            `json:"now,omitempty"` // what was live instead, when somebody else moved it
	Rehearsal bool              `json:"rehearsal,omitempty"`
	Step      string            `json:"step,omitempty"`
}

// SettingSet is the data of setting.set entries.
type SettingSet struct {
	Setting   string `json:"setting"`
	From      string `json:"from"` // the value that it had to have
	To        string `json:"to"`
	Result    Result `json:"result"`
	Now       string `json:"now,omitempty"` // what it was instead, when somebody else moved it
	Rehearsal bool   `json:"rehearsal,omitempty"`
	Step      string `json:"step,omitempty"`
}

// GoodMarked is the data of good.marked entries.
type GoodMarked struct {
	Component sources.Component `json:"component"`
	Version   string            `json:"version"`
	Rehearsal bool              `json:"rehearsal,omitempty"`
}

// FeatureSet is the data of feature.set entries.
type FeatureSet struct {
	Feature   string `json:"feature"`
	Enabled   bool   `json:"enabled"`
	Result    Result `json:"result"`
	Rehearsal bool   `json:"rehearsal,omitempty"`
	Step      string `json:"step,omitempty"`
}

// recordTime is wall time: a change that was made is recorded even when its command is being stopped.
const recordTime = 5 * time.Second

// record writes an entry about something that already happened, so it tells and never fails.
func (s *Set) record(ctx context.Context, d journal.Draft) {
	if err := s.mustRecord(ctx, d); err != nil {
		s.tell("not in the journal: %v; note it there yourself once it works again", err)
	}
}

func (s *Set) mustRecord(ctx context.Context, d journal.Draft) error {
	if s.recorder == nil {
		return errors.New("there is no journal")
	}
	d.Service, d.Environment, d.Run, d.Incident = s.Service, s.Environment, s.guard.Run, s.guard.Incident
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	_, err := s.recorder.Append(ctx, d)
	return err
}

func (s *Set) tell(format string, args ...any) {
	if s.note != nil {
		s.note(text(fmt.Sprintf(format, args...)))
	}
}
