package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// outcomeFile is in the drill's folder and outlives it: how the drill went as the
// service knows it, with what was planted. The scorecard is made from it.
const outcomeFile = "outcome.json"

// outcomeEvery is wall time: what a killed drill may lose of its outcome.
const outcomeEvery = 2 * time.Second

// writeOutcome writes the file whole or not at all.
func (d *drill) writeOutcome() error {
	raw, err := json.MarshalIndent(d.engine.Outcome(), "", "  ")
	if err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	path := filepath.Join(d.opts.state, outcomeFile)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	return nil
}

// noteOutcome tells the log when the outcome cannot be written, and goes on.
func (d *drill) noteOutcome() {
	if err := d.writeOutcome(); err != nil {
		d.log.Warn("the scorecard will know less", "error", err)
	}
}
