package app

import (
	"cmp"
	"context"
	"time"

	"rollcall/sources"
)

// known tells the evaluator which times are no example of how a service behaves.
type known struct{ a *App }

// forgotten is how long an incident that nobody closed counts as one: longer would leave
// nothing to compare with.
const forgotten = 3 * 24 * time.Hour

// Stretches are the incidents of a service that were not over at a time, each from
// when it began to when the signals were well again.
func (k known) Stretches(ctx context.Context, service string, since time.Time) ([]sources.Stretch, error) {
	list, err := k.a.Incidents(ctx, service)
	if err != nil {
		return nil, err
	}
	var out []sources.Stretch
	for _, i := range list {
		s := sources.Stretch{Since: first(i.Began, i.Detected, i.Opened), Until: first(i.Resolved, i.Mitigated, i.Closed)}
		if s.Until.IsZero() {
			s.Until = s.Since.Add(forgotten)
		}
		if s.Until.After(since) {
			out = append(out, s)
		}
	}
	return out, nil
}

// first is the first of the times that is known.
func first(times ...time.Time) time.Time { return cmp.Or(times...) }
