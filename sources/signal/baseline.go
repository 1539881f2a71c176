package signal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"rollcall/sources"
)

// basis says what earlier times of a value are asked with.
type basis struct {
	expr string
	src  *Source
	k, n string // a proportion's events per second over a quarter of an hour; empty when not countable
}

// compare returns what is usual at this hour, by part, as far as it is loaded. Where
// counts are held against it, the newest ones are read.
func (r *run) compare(ctx context.Context, sig *Signal, m *measured) map[string]past {
	usual := r.usualOf(sig, m.basis)
	if m.quarters.all != "" && usual[wholeKey].learned {
		r.countLately(ctx, m.parts, m.quarters)
	}
	return usual
}

// usualOf returns what is usual at this hour, by part.
func (r *run) usualOf(sig *Signal, b basis) map[string]past {
	if b.expr == "" {
		return nil
	}
	key := usualKey{r.svc.name, sig.ID, b.expr}
	if b.k != "" {
		key.expr = b.k
	}
	return r.e.usual.get(key, r.now, usualWay{
		load: func(ctx context.Context, at time.Time) (loaded, error) {
			skip := r.e.excluded(ctx, r.svc.name, sig.ID, at)
			if b.k != "" {
				return r.sharesBefore(ctx, sig, b, at, skip)
			}
			return r.valuesBefore(ctx, sig, b, at, skip)
		},
		depends: func() string {
			how := fmt.Sprint(b.n, "\x00", b.src.Part, " ", sig.Combine)
			if b.src.Priced {
				how += fmt.Sprint(" ", r.e.deps.Prices) // maps print in the order of their keys
			}
			return how
		},
		private: b.src.Profile == Override && b.src.Part != "",
	})
}

func (r *run) valuesBefore(ctx context.Context, sig *Signal, b basis, at time.Time, skip exclusion) (loaded, error) {
	series, complete, err := r.e.earlier(ctx, b.expr, at)
	if err != nil {
		return loaded{}, err
	}
	parts, _ := r.fold(series, b.src, b.src.Part, sig.Combine == Worst)
	whole := total(parts).history
	pick := skip.enough(times(whole))
	out := map[string]past{wholeKey: summary(whole, at, pick)}
	for _, p := range parts {
		if p.name != "" || len(parts) == 1 {
			out[p.name] = summary(p.history, at, pick)
		}
	}
	return loaded{out, complete && !skip.unread}, nil
}

func (r *run) sharesBefore(ctx context.Context, sig *Signal, b basis, at time.Time, skip exclusion) (loaded, error) {
	complete := !skip.unread
	read := func(expr string) (map[time.Time]float64, []time.Time, error) {
		series, all, err := r.e.earlier(ctx, expr, at)
		complete = complete && all
		out := map[time.Time]float64{}
		var when []time.Time
		for _, s := range series {
			for _, p := range s.Points {
				if _, ok := out[p.T]; !ok {
					when = append(when, p.T)
				}
				out[p.T] += p.V
			}
		}
		return out, when, err
	}
	n, when, err := read(b.n)
	if err != nil {
		return loaded{}, err
	}
	k, _, err := read(b.k)
	if err != nil {
		return loaded{}, err
	}
	p := shareOf(k, n, at, sig.perShare(), skip.enough(when))
	return loaded{map[string]past{wholeKey: p, "": p}, complete}, nil
}

func times(points []sources.Point) []time.Time {
	out := make([]time.Time, len(points))
	for i, p := range points {
		out[i] = p.T
	}
	return out
}

// perShare is what the signal's value is of a share of one.
func (sig *Signal) perShare() float64 {
	if sig.Unit == sources.PerMille {
		return 1000
	}
	return 1
}

// Incidents tells when a service was known not to be well.
type Incidents interface {
	Stretches(ctx context.Context, service string, since time.Time) ([]sources.Stretch, error)
}

const (
	deployBefore = 5 * time.Minute  // a change is seen up to a scrape and a window late
	deployAfter  = 30 * time.Minute // while caches fill and pods move
	deployStep   = 30 * time.Minute
	badJoin      = 30 * time.Minute // badness that returns within this belongs together
	badKept      = 4*oneWeek + oneDay
)

// exclusion is the times that are no example of how a service behaves.
type exclusion struct {
	known   []sources.Stretch // incidents, and when this signal was bad
	deploys []sources.Stretch
	unread  bool // there may be more of them
}

// enough decides whether deploys can be left out: where they are so many that little
// else is left, they are how the service behaves.
func (x exclusion) enough(when []time.Time) func(time.Time) bool {
	in := func(spans []sources.Stretch, t time.Time) bool {
		for _, s := range spans {
			if s.Overlaps(t.Add(-quarter), t) {
				return true
			}
		}
		return false
	}
	left, calm := 0, 0
	for _, t := range when {
		if !in(x.known, t) {
			left++
			if !in(x.deploys, t) {
				calm++
			}
		}
	}
	deploys := x.deploys
	if 2*calm < left {
		deploys = nil
	}
	return func(t time.Time) bool { return in(x.known, t) || in(deploys, t) }
}

// excluded gathers what is left out of a signal's baseline. What cannot be read is
// not left out: a baseline with an incident in it is wider, never narrower.
func (e *Evaluator) excluded(ctx context.Context, service, signal string, at time.Time) exclusion {
	since := at.Add(-badKept)
	e.mu.Lock()
	own := append([]sources.Stretch(nil), e.bad[lastKey{service, signal}]...)
	e.mu.Unlock()
	shared := e.spans.get(service, at, func() exclusion {
		var x exclusion
		if e.deps.Incidents != nil {
			spans, err := e.deps.Incidents.Stretches(ctx, service, since)
			if err != nil {
				e.deps.Log.Info("incidents are not left out of baselines", "service", service, "error", err)
				x.unread = true
			}
			x.known = spans
		}
		if e.deps.Changes != nil {
			timeline, err := e.deps.Changes.Read(ctx, service, since, at, deployStep)
			if err != nil {
				e.deps.Log.Info("deploys are not left out of baselines", "service", service, "error", err)
				x.unread = true
			}
			for _, c := range timeline.Changes {
				x.deploys = append(x.deploys, sources.Stretch{Since: c.At.Add(-deployBefore), Until: c.At.Add(deployAfter)})
			}
		}
		return x
	})
	return exclusion{known: append(own, shared.known...), deploys: shared.deploys, unread: shared.unread}
}

// spanCache keeps the exclusions of each service for one hour: all its baselines share them.
type spanCache struct {
	mu sync.Mutex
	m  map[string]spanSlot
}

type spanSlot struct {
	at time.Time
	x  exclusion
}

func (c *spanCache) get(service string, at time.Time, read func() exclusion) exclusion {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.m[service]; ok && s.at.Equal(at) {
		return s.x
	}
	if c.m == nil {
		c.m = map[string]spanSlot{}
	}
	x := read()
	c.m[service] = spanSlot{at, x}
	return x
}

// noteBad remembers while a signal is worse than usual, so that its baseline stands
// still: what goes on for long must not become usual.
func (e *Evaluator) noteBad(service, signal string, since, now time.Time) {
	if since.IsZero() || since.After(now) {
		since = now
	}
	k := lastKey{service, signal}
	list := e.bad[k]
	for len(list) > 0 && now.Sub(list[0].Until) > badKept {
		list = list[1:]
	}
	if n := len(list); n > 0 && since.Sub(list[n-1].Until) <= badJoin {
		if now.After(list[n-1].Until) {
			list[n-1].Until = now
		}
		if since.Before(list[n-1].Since) {
			list[n-1].Since = since
		}
	} else {
		list = append(list, sources.Stretch{Since: since, Until: now})
	}
	e.bad[k] = list
}
