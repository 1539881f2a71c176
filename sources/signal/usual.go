package signal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	usualLoaders = 2 // baselines loaded at once, so that a refresh is never in their way
	usualRetry   = time.Minute
	usualKept    = 2 * time.Hour // how long the hour before stands in for one not loaded yet
)

// Baselines keep what is usual between runs. Both methods are best effort: what
// is not there is asked for again.
type Baselines interface {
	Load(service string) []sources.Baseline
	Save(service string, list []sources.Baseline)
}

// usuals holds what values were. They load in the background, a few short queries
// each; a refresh never waits for one.
type usuals struct {
	ctx  context.Context
	wg   *sync.WaitGroup
	wall func() time.Time
	log  *slog.Logger
	kept Baselines // nil keeps nothing

	mu      sync.Mutex
	known   map[usualKey]usualSlot
	wanted  map[string][]usualWish // by service
	loading map[string]chan struct{}
	asked   map[usualKey]time.Time                 // of which hour, while the question is under way
	stored  map[string]map[string]sources.Baseline // by service and key: of runs before
	fresh   map[string][]sources.Baseline          // by service: loaded and not yet kept
}

type usualKey struct{ service, signal, expr string }

type usualSlot struct {
	at     time.Time
	values map[string]past // by part; wholeKey for the sum of all
	failed time.Time       // wall: not asked again for a while
	fails  int             // in a row
}

type usualWish struct {
	key usualKey
	at  time.Time
	way usualWay
}

// usualWay is how what is usual comes about.
type usualWay struct {
	load func(ctx context.Context, at time.Time) (loaded, error)
	// depends names what the values depend on besides the key, such as prices.
	depends func() string
	// private: the parts are named by a label of the user's own choice, which may
	// be a person. They are kept in memory only.
	private bool
}

// loaded is what was usual, by part. Where something may be missing from it, it is
// used for want of a better one, and not kept.
type loaded struct {
	values map[string]past
	whole  bool
}

// digest is the key under which a baseline is kept: another query, or the same
// one counted in another way, never finds it.
func (k usualKey) digest(way usualWay) string {
	sum := sha256.Sum256([]byte(k.signal + "\x00" + k.expr + "\x00" + way.depends()))
	return hex.EncodeToString(sum[:])
}

// wholeKey cannot be a label value after sanitising.
const wholeKey = "\x00whole"

func newUsuals(ctx context.Context, wg *sync.WaitGroup, deps Deps) *usuals {
	return &usuals{
		ctx: ctx, wg: wg, wall: deps.Clock.Wall, log: deps.Log, kept: deps.Usual,
		known: map[usualKey]usualSlot{}, wanted: map[string][]usualWish{}, loading: map[string]chan struct{}{}, asked: map[usualKey]time.Time{},
		stored: map[string]map[string]sources.Baseline{}, fresh: map[string][]sources.Baseline{},
	}
}

// get returns what is usual at a time, as far as it is loaded, and notes what is missing.
func (u *usuals) get(k usualKey, at time.Time, way usualWay) map[string]past {
	slot := at.Add(30 * time.Minute).Truncate(time.Hour)
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.known[k]
	if !ok {
		s, ok = u.restore(k, way)
	}
	if ok && s.at.Equal(slot) && s.values != nil {
		return s.values
	}
	if s.failed.IsZero() || u.wall().Sub(s.failed) >= usualRetry {
		if !u.asked[k].Equal(slot) && !slices.ContainsFunc(u.wanted[k.service], func(w usualWish) bool { return w.key == k && w.at.Equal(slot) }) {
			u.wanted[k.service] = append(u.wanted[k.service], usualWish{k, slot, way})
		}
	}
	if ok && s.values != nil && slot.Sub(s.at).Abs() <= usualKept {
		return s.values
	}
	return nil
}

// restore takes what a run before has kept, and removes it: what it knows is known from now on.
func (u *usuals) restore(k usualKey, way usualWay) (usualSlot, bool) {
	if u.kept == nil || way.private {
		return usualSlot{}, false
	}
	stored := u.stored[k.service]
	if stored == nil {
		stored = map[string]sources.Baseline{}
		for _, b := range u.kept.Load(k.service) {
			stored[b.Key] = b
		}
		u.stored[k.service] = stored
	}
	key := k.digest(way)
	b, ok := stored[key]
	if !ok {
		return usualSlot{}, false
	}
	delete(stored, key)
	values := make(map[string]past, len(b.Parts)+1)
	for name, v := range b.Parts {
		values[name] = pastOf(v)
	}
	values[wholeKey] = pastOf(b.Whole)
	s := usualSlot{at: b.At, values: values}
	u.known[k] = s
	return s, true
}

// keep hands what was loaded to whoever keeps it.
func (u *usuals) keep(service string) {
	u.mu.Lock()
	fresh := u.fresh[service]
	delete(u.fresh, service)
	u.mu.Unlock()
	if u.kept != nil && len(fresh) > 0 {
		u.kept.Save(service, fresh)
	}
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
		var down breaker
		for range usualLoaders {
			wg.Go(func() {
				for u.next(service, &down) {
				}
			})
		}
		wg.Wait()
		u.keep(service)
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

// next loads one baseline; false when none is left to load. A source in trouble
// is not asked for all the others too: they wait as long as the one that failed.
func (u *usuals) next(service string, down *breaker) bool {
	u.mu.Lock()
	list := u.wanted[service]
	if down.open() != nil {
		for _, w := range list {
			slot := u.known[w.key]
			slot.failed = u.wall()
			u.known[w.key] = slot
		}
		list = nil
		u.wanted[service] = nil
	}
	if len(list) == 0 || u.ctx.Err() != nil {
		u.mu.Unlock()
		return false
	}
	// Those that failed most often come last, so that they keep nobody from being loaded.
	i := 0
	for j, w := range list {
		if u.known[w.key].fails < u.known[list[i].key].fails {
			i = j
		}
	}
	w := list[i]
	u.wanted[service] = slices.Delete(list, i, i+1)
	u.asked[w.key] = w.at
	u.mu.Unlock()

	answer, err := w.way.load(u.ctx, w.at)
	down.note(err)
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.asked, w.key)
	slot := u.known[w.key]
	if err != nil {
		slot.failed = u.wall()
		slot.fails++
		u.known[w.key] = slot
		if u.ctx.Err() == nil {
			u.log.Debug("baseline could not be loaded", "query", w.key.expr, "error", err)
		}
		return true
	}
	u.known[w.key] = usualSlot{at: w.at, values: answer.values}
	if u.kept != nil && !w.way.private && answer.whole {
		b := sources.Baseline{Key: w.key.digest(w.way), At: w.at, Parts: map[string]sources.Past{}}
		for name, p := range answer.values {
			if name == wholeKey {
				b.Whole = p.keep()
			} else {
				b.Parts[name] = p.keep()
			}
		}
		u.fresh[w.key.service] = append(u.fresh[w.key.service], b)
	}
	return true
}

// whole tells whether nothing may be missing from an answer. One that may is used
// for want of a better one, and not kept. What PromQL remarks on a query is no lack.
func whole(f sources.Facts) bool {
	return f.Partial == "" && !slices.ContainsFunc(f.Warnings, func(w string) bool { return !strings.HasPrefix(w, "PromQL ") })
}
