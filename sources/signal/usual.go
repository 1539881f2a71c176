package signal

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	usualDays    = 14 // days behind "usual"
	enoughDays   = 7  // fewer is "learning"
	usualLoaders = 2  // baselines loaded at once, so that a refresh is never in their way
	usualRetry   = time.Minute
	usualKept    = 2 * time.Hour // how long the hour before stands in for one not loaded yet
)

// basis is what earlier days of a value are asked with.
type basis struct {
	expr string
	src  *Source
}

// usuals holds what values were at the same time of the days before. They load
// in the background, one short query each; a refresh never waits for one.
type usuals struct {
	ctx  context.Context
	wg   *sync.WaitGroup
	prom Prom
	wall func() time.Time
	log  *slog.Logger

	mu      sync.Mutex
	known   map[usualKey]usualSlot
	wanted  map[string][]usualWish // by service
	loading map[string]chan struct{}
}

type usualKey struct{ service, expr string }

type usualSlot struct {
	at     time.Time
	values map[string]sources.Usual // by part; wholeKey for the sum of all
	failed time.Time                // wall
}

type usualWish struct {
	key  usualKey
	at   time.Time
	fold func([]sources.Series) []part
}

// wholeKey cannot be a label value after sanitising.
const wholeKey = "\x00whole"

func newUsuals(ctx context.Context, wg *sync.WaitGroup, prom Prom, wall func() time.Time, log *slog.Logger) *usuals {
	return &usuals{
		ctx: ctx, wg: wg, prom: prom, wall: wall, log: log,
		known: map[usualKey]usualSlot{}, wanted: map[string][]usualWish{}, loading: map[string]chan struct{}{},
	}
}

// get returns what is usual at a time, as far as it is loaded, and notes what is missing.
func (u *usuals) get(service, expr string, at time.Time, fold func([]sources.Series) []part) (map[string]sources.Usual, bool) {
	slot := at.Add(30 * time.Minute).Truncate(time.Hour)
	k := usualKey{service, expr}
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.known[k]
	if ok && s.at.Equal(slot) && s.values != nil {
		return s.values, true
	}
	if s.failed.IsZero() || u.wall().Sub(s.failed) >= usualRetry {
		if !slices.ContainsFunc(u.wanted[service], func(w usualWish) bool { return w.key == k && w.at.Equal(slot) }) {
			u.wanted[service] = append(u.wanted[service], usualWish{k, slot, fold})
		}
	}
	if ok && s.values != nil && slot.Sub(s.at).Abs() <= usualKept {
		return s.values, true
	}
	return nil, false
}

// load starts loading what was noted, unless that is going on already.
func (u *usuals) load(service string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.wanted[service]) == 0 || u.loading[service] != nil || u.ctx.Err() != nil {
		return
	}
	done := make(chan struct{})
	u.loading[service] = done
	u.wg.Go(func() {
		defer close(done)
		var wg sync.WaitGroup
		for range usualLoaders {
			wg.Go(func() {
				for u.next(service) {
				}
			})
		}
		wg.Wait()
		u.mu.Lock()
		delete(u.loading, service)
		u.mu.Unlock()
	})
}

// missing tells whether baselines were noted that are not there yet.
func (u *usuals) missing(service string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.wanted[service]) > 0 || u.loading[service] != nil
}

// wait loads what was noted and returns when it is there.
func (u *usuals) wait(ctx context.Context, service string) error {
	for {
		u.load(service)
		u.mu.Lock()
		done := u.loading[service]
		u.mu.Unlock()
		if done == nil {
			return nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next loads one baseline; false when none is left to load.
func (u *usuals) next(service string) bool {
	u.mu.Lock()
	list := u.wanted[service]
	if len(list) == 0 || u.ctx.Err() != nil {
		u.mu.Unlock()
		return false
	}
	w := list[0]
	u.wanted[service] = list[1:]
	u.mu.Unlock()

	series, _, err := u.prom.Range(u.ctx, w.key.expr, w.at.Add(-usualDays*24*time.Hour), w.at.Add(-24*time.Hour), 24*time.Hour)
	u.mu.Lock()
	defer u.mu.Unlock()
	slot := u.known[w.key]
	if err != nil {
		slot.failed = u.wall()
		u.known[w.key] = slot
		if u.ctx.Err() == nil {
			u.log.Debug("baseline could not be loaded", "query", w.key.expr, "error", err)
		}
		return true
	}
	parts := w.fold(series)
	values := map[string]sources.Usual{}
	for _, p := range parts {
		values[p.name] = summary(p.history)
	}
	values[wholeKey] = summary(total(parts).history)
	u.known[w.key] = usualSlot{at: w.at, values: values}
	return true
}

// summary is the median of the days, and their range; with ten days and more one
// odd day on either side does not count.
func summary(days []sources.Point) sources.Usual {
	v := make([]float64, 0, len(days))
	for _, p := range days {
		if !math.IsNaN(p.V) && !math.IsInf(p.V, 0) {
			v = append(v, p.V)
		}
	}
	if len(v) == 0 {
		return sources.Usual{}
	}
	slices.Sort(v)
	n := len(v)
	out := sources.Usual{Value: v[n/2], Low: v[0], High: v[n-1], Days: n}
	if n%2 == 0 {
		out.Value = (v[n/2-1] + v[n/2]) / 2
	}
	if n >= 10 {
		out.Low, out.High = v[1], v[n-2]
	}
	return out
}
