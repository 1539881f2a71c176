package app

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
	"rollcall/store/review"
)

const (
	// snapEvery is how often the signals are recorded while an incident is open, in service time.
	snapEvery = 5 * time.Minute
	// snapAhead is how long before the trouble the signals are recorded for comparison.
	snapAhead = 5 * time.Minute
	// oldChange is how far back a change is news.
	oldChange = 2 * time.Hour
	// observeTime bounds one look, in wall time.
	observeTime = 30 * time.Second
	// watcherName is the actor of what nobody did.
	watcherName = "rollcall"
)

// AlertData is the data of alert.firing and alert.resolved.
type AlertData = journal.AlertData

// ChangeData is the data of change.seen.
type ChangeData struct {
	sources.Change
}

// history is what of the journal a watcher reads.
type history interface {
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
	Incidents(ctx context.Context, service string, onlyOpen bool) ([]journal.Incident, error)
}

// watcher writes down what happens to one service without anybody's doing:
// signals turning bad and well again, changes, and, while an incident is open,
// the signals for its review. Whatever the journal has already, whoever wrote
// it, is not written again.
type watcher struct {
	service     string
	environment string
	journal     func() (*journal.Journal, error)
	// past reads the signals as they were at a time of the past.
	past func(ctx context.Context, at time.Time) (*signal.Snapshot, error)

	step time.Duration // between two looks, in service time

	mu     sync.Mutex
	seen   *seen
	held   map[string]*held    // by signal
	looked time.Time           // of the last snapshot taken in
	snaps  map[string]*snapped // by incident

	// outside tells which rules of Prometheus and Alertmanager fire; nil where there are none.
	outside func(ctx context.Context) *outside
	warn    func(msg string, args ...any)
	ruled   map[string]*ruled // by the rule's name
	flooded bool              // it was said that there are too many
}

// seen is what the journal has of alerts and changes.
type seen struct {
	seq     int64
	firing  map[string]time.Time // by signal: since when, service time of the entry
	rules   map[string]seenRule  // of others, by name
	begun   []time.Time          // when rules of others began to fire, the newest
	changes []sources.Change
}

type seenRule struct {
	since  time.Time
	source string
}

func newSeen() *seen { return &seen{firing: map[string]time.Time{}, rules: map[string]seenRule{}} }

// began counts the rules of others that began to fire after a time.
func (s *seen) began(after time.Time) int {
	n := 0
	for _, at := range s.begun {
		if at.After(after) {
			n++
		}
	}
	return n
}

func (s *seen) takeRule(e *journal.Entry, d *AlertData) {
	if e.Kind == journal.AlertResolved {
		delete(s.rules, d.Alert)
		return
	}
	if _, ok := s.rules[d.Alert]; ok {
		return
	}
	s.rules[d.Alert] = seenRule{e.At, d.Source}
	s.begun = append(s.begun, e.At)
	if n := len(s.begun); n > 2*rulesDaily {
		s.begun = append([]time.Time(nil), s.begun[n-rulesDaily:]...)
	}
}

func (s *seen) take(entries []journal.Entry) {
	for i := range entries {
		e := &entries[i]
		s.seq = max(s.seq, e.Seq)
		switch e.Kind {
		case journal.AlertFiring, journal.AlertResolved:
			var d AlertData
			if json.Unmarshal(e.Data, &d) != nil || d.Key() == "" {
				continue
			}
			if d.Signal == "" {
				s.takeRule(e, &d)
				continue
			}
			if e.Kind == journal.AlertResolved {
				delete(s.firing, d.Signal)
			} else if _, ok := s.firing[d.Signal]; !ok {
				s.firing[d.Signal] = e.At
			}
		case journal.ChangeSeen:
			var c ChangeData
			if json.Unmarshal(e.Data, &c) == nil {
				s.changes = append(s.changes, c.Change)
			}
		}
	}
	if n := len(s.changes); n > 1000 {
		s.changes = append([]sources.Change(nil), s.changes[n-500:]...)
	}
}

// snapped is what the journal has of an incident's signals.
type snapped struct {
	seq    int64
	taken  map[string]time.Time // by why: the newest
	last   time.Time
	before *signal.Snapshot // read, not yet written
	tried  bool             // before was asked for
}

// observe writes down what a live snapshot shows that the journal has not.
func (w *watcher) observe(ctx context.Context, snap *signal.Snapshot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	j, err := w.journal()
	if err != nil {
		return err
	}
	j = j.As(watcherName, "collect")
	drafts, err := w.news(ctx, j, snap, true)
	if err != nil || len(drafts) == 0 {
		return err // mostly there is nothing new, and nobody is kept from writing
	}
	wrote, err := j.AppendIf(ctx, func(v *journal.View) ([]journal.Draft, error) { return w.news(ctx, v, snap, false) })
	w.seen.take(wrote)
	return err
}

// news compares the snapshot with the journal. Only with look may it take its time.
func (w *watcher) news(ctx context.Context, h history, snap *signal.Snapshot, look bool) ([]journal.Draft, error) {
	if err := w.catchUp(ctx, h); err != nil {
		return nil, err
	}
	w.look(snap)
	drafts := w.alerts(snap)
	drafts = append(drafts, w.changes(snap)...)
	open, err := h.Incidents(ctx, w.service, true)
	if err != nil {
		return nil, err
	}
	for i := range open {
		more, err := w.signals(ctx, h, &open[i], snap, look)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, more...)
	}
	return drafts, nil
}

func (w *watcher) catchUp(ctx context.Context, h history) error {
	kinds := []journal.Kind{journal.AlertFiring, journal.AlertResolved, journal.ChangeSeen}
	if w.seen == nil {
		w.seen = newSeen()
	}
	for {
		// All of it, once: what began long ago may fire still.
		const page = 2000
		f := journal.Filter{Service: w.service, Kinds: kinds, After: w.seen.seq, Limit: page}
		entries, err := h.Entries(ctx, f)
		if err != nil {
			return err // what was taken so far stays taken
		}
		w.seen.take(entries)
		if len(entries) < page {
			return nil
		}
	}
}

// changes are those of late that the journal has not. The same change may be
// seen at slightly different times: sources are asked in steps.
func (w *watcher) changes(snap *signal.Snapshot) []journal.Draft {
	slack := max(time.Minute, 2*changeStep(snap.View.Range))
	var out []journal.Draft
	fresh := w.seen.changes[:len(w.seen.changes):len(w.seen.changes)]
	for _, c := range snap.Changes {
		if snap.At.Sub(c.At) > oldChange {
			continue
		}
		known := false
		for _, k := range fresh {
			known = known || k.Component == c.Component && k.From == c.From && k.To == c.To && k.Silent == c.Silent && k.At.Sub(c.At).Abs() <= slack
		}
		if known {
			continue
		}
		fresh = append(fresh, c)
		out = append(out, journal.Draft{Kind: journal.ChangeSeen, At: snap.At, Service: w.service, Environment: w.environment, Data: ChangeData{c}})
	}
	return out
}

// signals are the snapshots that an open incident lacks: of before it began, of
// its opening, of every few minutes, of its mitigation and its resolution.
func (w *watcher) signals(ctx context.Context, h history, inc *journal.Incident, snap *signal.Snapshot, look bool) ([]journal.Draft, error) {
	st := w.snaps[inc.ID]
	if st == nil {
		st = &snapped{taken: map[string]time.Time{}}
		if w.snaps == nil {
			w.snaps = map[string]*snapped{}
		}
		w.snaps[inc.ID] = st
	}
	if err := st.catchUp(ctx, h, inc.ID); err != nil {
		return nil, err
	}
	var out []journal.Draft
	add := func(when string, s *signal.Snapshot) {
		d := review.SnapOf(when, s.At, s.Readings).Draft(w.service, w.environment, inc.ID)
		out = append(out, d)
	}
	if _, ok := st.taken[review.SnapBefore]; !ok {
		if !st.tried && look && w.past != nil {
			st.tried = true
			began := inc.Began
			if began.IsZero() || began.After(inc.Opened) {
				began = inc.Opened
			}
			// Without it the review only lacks a column.
			st.before, _ = w.past(ctx, began.Add(-snapAhead))
		}
		if st.before != nil {
			add(review.SnapBefore, st.before)
		}
	} else {
		st.before = nil
	}
	if when := st.due(inc, snap.At); when != "" {
		add(when, snap)
	}
	return out, nil
}

func (st *snapped) catchUp(ctx context.Context, h history, incident string) error {
	for {
		const page = 200
		entries, err := h.Entries(ctx, journal.Filter{Incident: incident, Kinds: []journal.Kind{journal.SignalsSnapped}, After: st.seq, Limit: page})
		if err != nil {
			return err
		}
		for i := range entries {
			st.seq = entries[i].Seq
			s, ok := review.SnapIn(&entries[i])
			if !ok {
				continue
			}
			st.taken[s.When] = s.At
			if s.When != review.SnapBefore && s.At.After(st.last) {
				st.last = s.At
			}
		}
		if len(entries) < page {
			return nil
		}
	}
}

// due says which snapshot is due at a time; empty when none is.
func (st *snapped) due(inc *journal.Incident, now time.Time) string {
	lacks := func(when string, since time.Time) bool {
		at, ok := st.taken[when]
		return !since.IsZero() && (!ok || at.Before(since)) && !now.Before(since)
	}
	switch {
	case lacks(review.SnapResolved, inc.Resolved):
		return review.SnapResolved
	case !inc.Resolved.IsZero():
		return ""
	case lacks(review.SnapMitigated, inc.Mitigated):
		return review.SnapMitigated
	}
	if _, ok := st.taken[review.SnapOpened]; !ok {
		return review.SnapOpened
	}
	if now.Sub(st.last) >= snapEvery {
		return review.SnapDuring
	}
	return ""
}

// watch is an App's part in watching: one watcher and one lease for each service.
type watch struct {
	cfg   *config.File
	clock sources.Clock
	log   func(service string, err error)
	make  func(service string) *watcher
	post  *poster // nil: nobody is told
	// yields: a console that watches the same takes over.
	yields bool

	mu    sync.Mutex
	of    map[string]*watched
	queue chan *signal.Snapshot // the newest that nobody has looked at
}

type watched struct {
	*watcher
	*lease
}

func (a *App) newWatch(yields bool) *watch {
	return &watch{
		yields: yields, post: a.newPoster(),
		cfg: a.cfg, clock: a.clock, of: map[string]*watched{}, queue: make(chan *signal.Snapshot, 1),
		log: func(service string, err error) { a.log.Warn("not watched", "service", service, "err", err) },
		make: func(service string) *watcher {
			return &watcher{
				service: service, environment: a.cfg.Services[service].Environment, journal: a.Journal,
				outside: func(ctx context.Context) *outside { return a.outside(ctx, service) }, warn: a.log.Warn,
				step: time.Duration(float64(a.cfg.Refresh.Or(config.DefaultRefresh)) * max(1, a.cfg.Clock.Speed)),
				past: func(ctx context.Context, at time.Time) (*signal.Snapshot, error) {
					return a.eval.Snapshot(ctx, service, sources.View{At: at, Range: 15 * time.Minute, Columns: 15}, "")
				},
			}
		},
	}
}

func (w *watch) service(name string) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of[name]
	if s == nil {
		// Two refreshes may be missed before somebody else takes over.
		term := 3 * w.cfg.Refresh.Or(config.DefaultRefresh)
		s = &watched{w.make(name), newLease(w.cfg.State, name, term, w.yields)}
		w.of[name] = s
	}
	return s
}

// mine tells whether this process is the one to watch a service now.
func (w *watch) mine(service string) bool {
	ok, err := w.service(service).take(w.clock.Wall())
	if err != nil {
		w.log(service, err)
	}
	return ok
}

// offer hands a live snapshot to the background, without waiting; a newer one
// takes the place of one that was not looked at yet.
func (w *watch) offer(snap *signal.Snapshot) {
	for {
		select {
		case w.queue <- snap:
			return
		default:
		}
		select {
		case <-w.queue:
		default:
		}
	}
}

// run observes what is offered until ctx ends.
func (w *watch) run(ctx context.Context) {
	for {
		select {
		case snap := <-w.queue:
			w.observe(ctx, snap)
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range w.of {
				s.drop()
			}
			return
		}
	}
}

func (w *watch) observe(ctx context.Context, snap *signal.Snapshot) {
	if !w.mine(snap.Service) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, observeTime)
	defer cancel()
	s := w.service(snap.Service)
	if err := s.observe(ctx, snap); err != nil && !errors.Is(err, context.Canceled) {
		w.log(snap.Service, err)
	}
	if w.post != nil {
		if err := w.post.tell(ctx, snap, s.firing(), s.environment); err != nil && !errors.Is(err, context.Canceled) {
			w.log(snap.Service, err)
		}
	}
	// Last: a source that takes its time holds up nothing else.
	if err := s.observeRules(ctx, snap.At); err != nil && !errors.Is(err, context.Canceled) {
		w.log(snap.Service, err)
	}
}

// lookOnce watches once where nobody else does: a command that opens an incident
// leaves the signals in the journal even when no console is open.
func (a *App) lookOnce(ctx context.Context, service string) {
	if !a.once || !a.watch.mine(service) {
		return
	}
	defer a.watch.service(service).drop()
	ctx, cancel := context.WithTimeout(ctx, observeTime)
	defer cancel()
	snap, err := a.Snapshot(ctx, service, sources.View{Range: time.Hour, Columns: 60}, "")
	if err != nil {
		a.log.Warn("the signals could not be read for the journal", "service", service, "err", err)
		return
	}
	a.watch.observe(ctx, snap)
}

// Watch evaluates every service as often as a console does, while no console
// does it, until ctx ends.
func (a *App) Watch(ctx context.Context) {
	tick := time.NewTicker(a.cfg.Refresh.Or(config.DefaultRefresh))
	defer tick.Stop()
	for {
		for _, service := range a.Services() {
			if !a.watch.mine(service) {
				continue
			}
			if _, err := a.Snapshot(ctx, service, sources.View{Range: time.Hour, Columns: 60}, ""); err != nil && ctx.Err() == nil {
				a.log.Warn("the signals could not be read", "service", service, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
