package signal

import (
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/spend"
	"rollcall/sources/signal/suspect"
)

// Snapshot is everything that one refresh learned about one service.
type Snapshot struct {
	Service  string            `json:"service"`
	At       time.Time         `json:"at"` // service time that the snapshot shows
	View     sources.View      `json:"-"`
	Window   time.Duration     `json:"window_ns"` // what one reading looks back over
	Profiles []string          `json:"profiles"`  // recognised from the metrics that exist, the one that is read first before the others
	Readings []sources.Reading `json:"signals"`   // in catalogue order, every signal, always
	Changes  []sources.Change  `json:"changes"`   // oldest first, within the view's range and the hour before
	Live     sources.Manifest  `json:"manifest"`  // live at At, as far as known
	Rollout  *rollout.Report   `json:"-"`         // versions that run at the same time; nil when only one does
	Doubts   []string          `json:"-"`         // where what is live is contradicted, a sentence each
	Aliases  []manifest.Alias  `json:"-"`         // live models under names that say no snapshot
	Suspects *Explanation      `json:"-"`         // of what the line names first, or second where nothing explains the first; nil when nothing is bad or it is not known
	Spend    *spend.Report     `json:"-"`         // where money goes, as far as it was read; its Line is for whoever puts it into a sentence
	Line     Line              `json:"-"`
	Health   []sources.Health  `json:"sources"`
}

// Reading returns the reading of a signal, or that of Verdicts about a rollout.
func (s *Snapshot) Reading(id string) (sources.Reading, bool) {
	if id == Rollout {
		return s.rolloutReading(), true
	}
	for i := range s.Readings {
		if s.Readings[i].Signal == id {
			return s.Readings[i], true
		}
	}
	return sources.Reading{}, false
}

// Worst returns the worst verdict of a pane, or of all panes when pane is empty.
func (s *Snapshot) Worst(pane sources.Pane) sources.Verdict {
	worst := sources.NotExposed
	for i := range s.Readings {
		r := &s.Readings[i]
		if (pane == "" || r.Pane == pane) && r.Verdict.Worse(worst) {
			worst = r.Verdict
		}
	}
	return worst
}

// Line is the verdict line: what is bad since when, the likeliest change, what to press.
type Line struct {
	Verdict sources.Verdict `json:"verdict"`
	Signals []string        `json:"signals"` // the worst, at most two
	Since   time.Time       `json:"since,omitzero"`
	Change  *sources.Change `json:"change,omitempty"`
	// Suspect is what the bad requests of the worst signal have in common; nil when that was not found.
	Suspect *suspect.Suspect `json:"suspect,omitempty"`
	Runbook string           `json:"runbook,omitempty"`
	// Parts are the sentence in pieces, most important first; Text joins what fits.
	Parts []string `json:"-"`
	// Asides are what the first part can do without where room is short, in the order they go:
	// ", p=4e-12", " (usual 1.2%)".
	Asides []string `json:"-"`
	// Blind names what could not be seen: "loki unreachable".
	Blind []string `json:"blind,omitempty"`
}
