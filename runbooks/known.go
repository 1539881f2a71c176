package runbooks

import (
	"fmt"
	"time"

	"rollcall/sources/signal"
)

// KnownSignals is what Lint must know about the signals of a service, taken from
// the catalogue and the service's own queries. The caller adds what it knows of rehearsals.
func KnownSignals(cfg signal.Service) (Known, error) {
	queries, err := signal.Queries(cfg)
	if err != nil {
		return Known{}, fmt.Errorf("signals: %w", err)
	}
	facts := map[string]SignalFacts{}
	k := Known{Window: time.Duration(cfg.Window)}
	for _, s := range signal.Catalogue() {
		f := SignalFacts{Range: s.Window}
		for _, src := range s.From {
			f.Counted = f.Counted || src.N != ""
		}
		if q, ok := cfg.Queries[s.ID]; ok {
			f.Counted = f.Counted || q.N != ""
			f.Range = max(f.Range, widest(q.LogQL, k.Window))
		}
		facts[s.ID] = f
		k.Signals = append(k.Signals, s.ID)
	}
	for _, q := range queries {
		if q.Counts {
			continue
		}
		f := facts[q.Signal]
		f.Range = max(f.Range, widest(q.Query, k.Window))
		facts[q.Signal] = f
	}
	// A signal that is measured over the service's window says what that is.
	if k.Window == 0 {
		k.Window = facts["req_rate"].Range
	}
	k.Signal = func(id string) (SignalFacts, bool) { f, ok := facts[id]; return f, ok }
	return k, nil
}
