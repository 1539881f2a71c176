package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/prom/stitch"
	"rollcall/sources/signal/spend"
)

// Prom reads metrics.
type Prom interface {
	Query(ctx context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error)
	Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error)
	MetricNames(ctx context.Context, match string) ([]string, error)
}

// Logs evaluates LogQL metric queries.
type Logs interface {
	Metric(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error)
	Instant(ctx context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error)
}

// RowSource sums the request rows of a service per span of time from since on;
// by splits them by a component's version.
type RowSource interface {
	Buckets(ctx context.Context, service string, since, until time.Time, step time.Duration, by sources.Component) ([]sources.RequestBucket, sources.Facts, error)
}

// Changes says what is live and what changed.
type Changes interface {
	Read(ctx context.Context, service string, since, until time.Time, step time.Duration) (manifest.Timeline, error)
}

// Deps are what the evaluator reads from. Every source may be nil: not configured.
type Deps struct {
	Prom    Prom
	Logs    Logs
	Rows    RowSource
	Tables  sources.Tables
	Changes Changes
	// Incidents are left out of what is usual.
	Incidents Incidents
	Clock     sources.Clock
	Log       *slog.Logger
	Prices    map[string]Price
	Health    func() []sources.Health // state of every source, in the order of the header
	Usual     Baselines               // nil: what is usual is asked for anew by every run
}

const (
	workers      = 4 // at once per refresh; more only queue up in a small Prometheus
	maxStitched  = 600
	beforeRange  = time.Hour // changes are read this much further back than the range
	defaultRange = time.Hour
	defaultCols  = 120

	// A view with a coarser step than this shows it in its chart only: values,
	// verdicts and the time since when come from a finer look at the newest part,
	// so that zooming out changes no verdict.
	fineStep  = 30 * time.Second
	fineTail  = 2 * time.Minute
	sinceStep = 20 * time.Second
	sinceSpan = time.Hour

	pastPatience = 3 * time.Second // wall time that a past moment waits for its baselines
)

// Evaluator measures and judges the signals of services. It is safe for concurrent use.
type Evaluator struct {
	deps     Deps
	services map[string]*service
	metrics  *stitch.Cache
	logs     *stitch.Cache
	usual    *usuals
	rows     *rowCache
	spans    spanCache
	explain  explained
	rollouts rollouts
	spending *spender

	mu      sync.Mutex
	exposed map[string]*exposure
	last    map[lastKey]sources.Reading
	bad     map[lastKey][]sources.Stretch
	silent  map[string]time.Time // LogQL that answered nothing, and until when it is left alone

	stop context.CancelFunc
	wg   sync.WaitGroup
}

type lastKey struct{ service, signal string }

// NewEvaluator checks the configuration of the services against the catalogue.
func NewEvaluator(deps Deps, services map[string]Service) (*Evaluator, error) {
	if deps.Clock == nil {
		return nil, errors.New("signal evaluator has no clock")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Prom != nil {
		deps.Prom = underscored{deps.Prom}
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &Evaluator{
		deps: deps, services: map[string]*service{}, stop: stop,
		exposed: map[string]*exposure{}, last: map[lastKey]sources.Reading{}, bad: map[lastKey][]sources.Stretch{}, silent: map[string]time.Time{},
	}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s, err := newService(name, services[name])
		if err != nil {
			stop()
			return nil, err
		}
		e.services[name] = s
	}
	if deps.Prom != nil {
		e.metrics = stitch.New(deps.Prom, maxStitched, deps.Clock.Now)
	}
	if deps.Logs != nil {
		e.logs = stitch.New(logRanger{deps.Logs}, maxStitched, deps.Clock.Now)
	}
	if deps.Rows != nil {
		e.rows = newRowCache(deps.Rows)
	}
	e.usual = newUsuals(ctx, &e.wg, deps)
	e.explain.ctx, e.explain.wg, e.explain.m = ctx, &e.wg, map[lastKey]*explainedEntry{}
	e.spending = newSpender(ctx, &e.wg, e)
	return e, nil
}

// Close ends the background loading of baselines and waits for it.
func (e *Evaluator) Close() {
	e.stop()
	e.wg.Wait()
}

// run is one refresh of one service.
type run struct {
	e      *Evaluator
	svc    *service
	view   sources.View
	now    time.Time // the end of the view
	start  time.Time // on the grid
	end    time.Time // on the grid, at or before now
	step   time.Duration
	window time.Duration
	seen   *exposure

	down    breaker
	counts  memo[map[string]float64] // events behind values, by query
	ledger  memo[*ledger]
	rowsNow memo[rowAnswer]

	courses  memo[*spend.Course]
	outlooks memo[spend.Outlook]
	failed   error // why the metrics source has nothing for this refresh
}

// Snapshot reads and judges every signal of a service. The signals of the pane
// first are read first. It fails only for an unknown service or a cancelled context.
func (e *Evaluator) Snapshot(ctx context.Context, service string, view sources.View, first sources.Pane) (*Snapshot, error) {
	r, err := e.begin(ctx, service, view)
	if err != nil {
		return nil, err
	}
	snap := &Snapshot{Service: service, At: r.now, View: view, Window: r.window, Profiles: r.seen.profiles(), Readings: make([]sources.Reading, len(r.svc.signals))}

	var timeline manifest.Timeline
	var timelineErr error
	var wg sync.WaitGroup
	if e.deps.Changes != nil {
		wg.Go(func() {
			timeline, timelineErr = e.deps.Changes.Read(ctx, service, r.start.Add(-beforeRange), r.now, r.step)
			if timelineErr == nil {
				snap.Rollout = r.rollout(ctx, &timeline)
			}
		})
	}
	r.readAll(ctx, first, snap.Readings)
	r.readSpend(ctx) // after what is in sight
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if view.Live() {
		e.usual.load(r.svc.name)
	} else if e.usual.missing(r.svc.name) {
		// A past moment is asked for once and stands still: it gets its baselines at once.
		bounded, cancel := context.WithTimeout(ctx, pastPatience)
		defer cancel()
		if e.usual.wait(bounded, r.svc.name) == nil {
			r.readAll(ctx, first, snap.Readings)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	snap.Changes, snap.Live, snap.Doubts, snap.Aliases = timeline.Changes, timeline.Live, timeline.Doubts, timeline.Aliases
	if snap.Changes == nil {
		snap.Changes = []sources.Change{}
	}
	if e.deps.Health != nil {
		snap.Health = e.deps.Health()
	}
	snap.Suspects = r.explainWorst(ctx, snap)
	snap.Spend = r.spendReport(ctx, snap)
	told := *snap
	told.Changes = causes(snap.Changes, snap.Readings)
	snap.Line = lineOf(&told, r.svc, e.deps.Changes != nil && timelineErr == nil)
	if timelineErr != nil {
		e.deps.Log.Warn("changes could not be read", "service", service, "error", timelineErr)
	}
	return snap, nil
}

// readAll reads and judges every signal, those of the pane first before the others.
func (r *run) readAll(ctx context.Context, first sources.Pane, out []sources.Reading) {
	order := readOrder(r.svc.signals, first)
	jobs := make(chan int, len(order))
	for _, i := range order {
		jobs <- i
	}
	close(jobs)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range jobs {
				if ctx.Err() == nil {
					out[i] = r.reading(ctx, &r.svc.signals[i])
				}
			}
		})
	}
	wg.Wait()
}

func readOrder(signals []Signal, first sources.Pane) []int {
	var order []int
	for _, visible := range []bool{true, false} {
		for i := range signals {
			if (signals[i].Pane == first) == visible {
				order = append(order, i)
			}
		}
	}
	return order
}

// Warm loads the baselines that a snapshot of this view will compare with, and
// waits for them: for a caller that looks only once.
func (e *Evaluator) Warm(ctx context.Context, service string, view sources.View) error {
	if _, err := e.Snapshot(ctx, service, view, ""); err != nil {
		return err
	}
	if err := e.usual.wait(ctx, service); err != nil {
		return err
	}
	since, until := spendSpan(view, view.End(e.deps.Clock.Now()))
	return e.spending.wait(ctx, service, since, until)
}

func (e *Evaluator) begin(ctx context.Context, service string, view sources.View) (*run, error) {
	svc := e.services[service]
	if svc == nil {
		return nil, fmt.Errorf("no service %q in the configuration; there is %s", service, strings.Join(slices.Sorted(maps.Keys(e.services)), ", "))
	}
	if view.Range <= 0 {
		view.Range = defaultRange
	}
	if view.Columns <= 0 {
		view.Columns = defaultCols
	}
	r := &run{e: e, svc: svc, view: view, now: view.End(e.deps.Clock.Now())}
	r.step = Step(view)
	r.end = r.now.Truncate(r.step)
	r.start = r.now.Add(-view.Range).Truncate(r.step).Add(r.step)
	r.window = svc.Window.Or(defaultWindow)
	if e.deps.Prom != nil {
		r.seen, r.failed = e.discover(ctx, r)
		r.window = max(r.window, r.seen.window())
	}
	return r, nil
}

// Step is the distance of a view's points: round, and at most two per column.
func Step(view sources.View) time.Duration {
	if view.Range <= 0 {
		view.Range = defaultRange
	}
	if view.Columns <= 0 {
		view.Columns = defaultCols
	}
	least := view.Range / time.Duration(2*view.Columns)
	for _, s := range []time.Duration{
		10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if s >= least {
			return s
		}
	}
	return least.Truncate(24*time.Hour) + 24*time.Hour
}

// breaker stops a refresh from waiting for the same dead source once per signal.
type breaker struct {
	mu     sync.Mutex
	bad    int
	good   int
	reason error
}

const breakAfter = 3

func (b *breaker) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bad >= breakAfter && b.good == 0 {
		return b.reason
	}
	return nil
}

func (b *breaker) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.good++
	case unreachable(err):
		b.bad++
		b.reason = err
	}
}

// unreachable tells whether the source, rather than the question, is at fault.
func unreachable(err error) bool {
	var u interface{ Unreachable() bool }
	if errors.As(err, &u) {
		return u.Unreachable()
	}
	return err != nil && !errors.Is(err, context.Canceled)
}

// memo computes each key once per refresh, however many signals want it.
type memo[T any] struct {
	mu sync.Mutex
	m  map[string]*memoized[T]
}

type memoized[T any] struct {
	once sync.Once
	v    T
	err  error
}

func (m *memo[T]) get(key string, compute func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.m == nil {
		m.m = map[string]*memoized[T]{}
	}
	x := m.m[key]
	if x == nil {
		x = &memoized[T]{}
		m.m[key] = x
	}
	m.mu.Unlock()
	x.once.Do(func() { x.v, x.err = compute() })
	return x.v, x.err
}
