package app

import (
	"context"
	"sync"
	"time"

	"rollcall/store/fatigue"
	"rollcall/store/journal"
)

// fatigueMost is how many entries the figures are made of; of more, the newest.
const fatigueMost = 100_000

// toll keeps the entries that the figures are made of, so that only new ones are read.
type toll struct {
	mu    sync.Mutex
	of    map[string]*tallied // by service
	began time.Time           // when the journal begins
}

type tallied struct {
	seq     int64
	entries []journal.Entry
}

// Fatigue says what alerts asked of people in the four weeks before a time; zero is now.
func (a *App) Fatigue(ctx context.Context, service string, at time.Time) (*fatigue.Report, error) {
	if _, err := a.service(service); err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = a.clock.Now()
	}
	a.toll.mu.Lock()
	defer a.toll.mu.Unlock()
	if a.toll.began.IsZero() {
		first, err := a.Entries(ctx, journal.Filter{Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(first) > 0 {
			a.toll.began = first[0].At
		}
	}
	t := a.toll.of[service]
	if t == nil {
		t = &tallied{}
	}
	const page = 2000
	for {
		more, err := a.Entries(ctx, journal.Filter{Service: service, Kinds: fatigue.Kinds(), After: t.seq, Limit: page})
		if err != nil {
			return nil, err
		}
		for i := range more {
			t.seq = more[i].Seq
			t.entries = append(t.entries, fatigue.Slim(&more[i]))
		}
		if n := len(t.entries) - fatigueMost; n > 0 {
			t.entries = append([]journal.Entry(nil), t.entries[n:]...)
		}
		if len(more) < page {
			break
		}
	}
	if a.toll.of == nil {
		a.toll.of = map[string]*tallied{}
	}
	a.toll.of[service] = t
	return fatigue.Fold(service, t.entries, a.toll.began, at), nil
}
