// Package scorecard says how a responder did in a drill: the simulated
// service's own account of what was planted, what people changed and what it
// cost, beside what the drill's journal says was seen, declared and verified.
package scorecard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// OutcomeFile is where a drill keeps its own account, in its folder.
const OutcomeFile = "outcome.json"

// maxOutcome is far more than a drill writes.
const maxOutcome = 4 << 20

// Outcome is the drill's own account. Times are service time; zero has not happened.
type Outcome struct {
	Scenario   string    `json:"scenario"`
	Seed       uint64    `json:"seed"`
	Start      time.Time `json:"start"`
	Until      time.Time `json:"until"` // how far service time came
	Cause      string    `json:"cause"`
	Cure       string    `json:"cure"`
	Categories []string  `json:"categories"` // that it is right to declare
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended"`     // by itself
	Mitigated  time.Time `json:"mitigated"` // since when what is set is right
	Actions    []Action  `json:"actions"`
	Before     Toll      `json:"before"`
	During     Toll      `json:"during"`
}

// Action is something that a person changed on the simulated service.
type Action struct {
	At        time.Time `json:"at"`
	What      string    `json:"what"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Judgement string    `json:"judgement"` // right, undone, wrong, early
}

// Toll is what a stretch of time brought.
type Toll struct {
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Bad      int     `json:"bad"`
	Users    int     `json:"users"` // who met a bad one
	USD      float64 `json:"usd"`
}

// ReadOutcome reads the account of the drill in a folder.
func ReadOutcome(dir string) (Outcome, error) {
	var o Outcome
	path := filepath.Join(dir, OutcomeFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return o, fmt.Errorf("%s has no %s, so it is no folder of a drill; give one below drills/ of the state folder", dir, OutcomeFile)
	}
	if err != nil {
		return o, fmt.Errorf("the account of the drill cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	raw, err := io.ReadAll(io.LimitReader(f, maxOutcome+1))
	if err == nil && len(raw) > maxOutcome {
		err = fmt.Errorf("it is over %d MiB", maxOutcome>>20)
	}
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil {
		return o, fmt.Errorf("%s cannot be read: %w; run the drill again", path, err)
	}
	return o, nil
}
