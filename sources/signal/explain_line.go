package signal

import (
	"cmp"
	"context"
	"sync"
	"time"

	"rollcall/sources"
)

// The verdict line is made with every refresh; its suspects are not. They are looked
// for beside the refresh, and those found before are shown meanwhile.
const (
	lineRows     = 60_000
	linePatience = 700 * time.Millisecond // wall time that a line without any suspects waits for its first
	lineBound    = 10 * time.Second       // wall time that looking for them may take
	lineKeeps    = 30 * time.Second       // service time that they are kept once found: their shares move as fast as that passes
	lineAgain    = 10 * time.Second       // and after which they are looked for again when there were none
	lineShare    = 50                     // looking takes no more than one of so many parts of the wall time, however fast service time goes
	lineWavers   = leastWindow            // the beginning of one and the same trouble moves by less
)

// explained keeps what the verdict line says.
type explained struct {
	ctx context.Context // ends with the evaluator
	wg  *sync.WaitGroup

	mu sync.Mutex
	m  map[lastKey]*explainedEntry
}

type explainedEntry struct {
	x     *Explanation // nil until the first was found
	since time.Time
	of    time.Time     // service time that it was looked for at
	at    time.Time     // wall
	took  time.Duration // wall
	busy  chan struct{} // closed when it has been looked for; nil when it is not
}

// due tells whether it is time to look again, at a service and a wall time.
func (e *explainedEntry) due(since, now, wall time.Time) bool {
	keep := lineAgain
	if e.x != nil && len(e.x.Suspects) > 0 && e.since.Sub(since).Abs() < time.Minute {
		keep = lineKeeps
	}
	return e.busy == nil && now.Sub(e.of).Abs() >= keep && wall.Sub(e.at) >= lineShare*e.took
}

// explainWorst explains the signal that the verdict line names first, or where that is
// explained by nothing, the one that it names beside it. It waits within bounds, and for
// the first answer only: a line without suspects is better than a late one.
func (r *run) explainWorst(ctx context.Context, snap *Snapshot) *Explanation {
	if r.e.deps.Tables == nil && r.e.deps.Prom == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, linePatience)
	defer cancel()
	var first *Explanation
	for i, reading := range worstReadings(snap, r.svc) {
		x := r.explainNow(bounded, *reading)
		if i == 0 {
			first = x
		}
		if x == nil || len(x.Suspects) > 0 {
			return cmp.Or(x, first)
		}
	}
	return first
}

// explainNow explains a reading, or says what was found of it before.
func (r *run) explainNow(bounded context.Context, reading sources.Reading) *Explanation {
	if !r.view.Live() { // a past moment is asked for once
		x, err := r.explain(bounded, r.svc.signal(reading.Signal), &reading, lineRows, false)
		if err != nil {
			return nil
		}
		return x
	}
	k := &r.e.explain
	k.mu.Lock()
	key := lastKey{r.svc.name, reading.Signal}
	e := k.m[key]
	if e == nil || e.since.Sub(reading.Since).Abs() >= lineWavers && e.busy == nil {
		e = &explainedEntry{}
		k.m[key] = e
	}
	if e.x == nil && e.busy == nil && e.at.IsZero() || e.due(reading.Since, r.now, r.e.deps.Clock.Wall()) {
		e.busy = make(chan struct{})
		k.look(r, e, &reading)
	}
	x, busy := e.x, e.busy
	k.mu.Unlock()
	if x != nil || busy == nil {
		return x
	}
	select {
	case <-busy:
	case <-bounded.Done():
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return e.x
}

// look explains a reading beside the refresh that asked for it. What was so a moment
// ago still is when it fails.
func (k *explained) look(r *run, e *explainedEntry, reading *sources.Reading) {
	k.wg.Go(func() {
		ctx, cancel := context.WithTimeout(k.ctx, lineBound)
		defer cancel()
		began := r.e.deps.Clock.Wall()
		x, err := r.explain(ctx, r.svc.signal(reading.Signal), reading, lineRows, false)
		k.mu.Lock()
		defer k.mu.Unlock()
		e.at, e.of = r.e.deps.Clock.Wall(), r.now
		e.took = e.at.Sub(began)
		if err == nil {
			e.x, e.since = x, reading.Since
		}
		close(e.busy)
		e.busy = nil
	})
}
