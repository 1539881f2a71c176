package run

import (
	"context"

	"rollcall/store/journal"
)

// Success is how a run of a runbook that succeeded is remembered.
type Success = Rehearsal

// Successes are the last runs of a runbook that succeeded; the zero Success never did.
type Successes struct{ Rehearsal, Live Success }

// LastSuccesses returns those of each runbook, by ID, that acted on a service.
func LastSuccesses(ctx context.Context, j interface {
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
}, service string,
) (map[string]Successes, error) {
	out := map[string]Successes{}
	open := map[string]Started{}
	kinds := []journal.Kind{journal.RunStarted, journal.RunEnded}
	err := each(ctx, j, journal.Filter{Kinds: kinds, Service: service}, func(en *journal.Entry) {
		if en.Kind == journal.RunStarted {
			s := decode[Started](en)
			s.Steps = nil
			open[en.Run] = s
			return
		}
		s, known := open[en.Run]
		delete(open, en.Run)
		if !known || decode[Ended](en).Outcome != Succeeded || s.Target.ReadOnly {
			return
		}
		last := out[s.Runbook]
		done := Success{Run: en.Run, Hash: s.Hash, At: en.At}
		if s.Target.Rehearsal {
			last.Rehearsal = done
		} else {
			last.Live = done
		}
		out[s.Runbook] = last
	})
	return out, err
}
