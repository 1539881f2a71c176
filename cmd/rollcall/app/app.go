// Package app puts the rooms together: it opens the sources and the trace store
// that a configuration names, and answers the questions of the console and of
// the command line from them.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/alertmanager"
	"rollcall/sources/loki"
	"rollcall/sources/manifest"
	"rollcall/sources/prom"
	"rollcall/sources/redact"
	"rollcall/sources/signal"
	"rollcall/sources/signal/rollout"
)

const (
	// settleTime is how long a single look waits for more than the readings.
	settleTime = 5 * time.Second
	// watchEvery is how old the last good answer of a source that nobody reads may get.
	watchEvery = 20 * time.Second
)

// Options are what an App needs besides its configuration.
type Options struct {
	// Once: the caller looks only once, so that a snapshot waits for its usual values.
	Once bool
	// Receive: start the OTLP endpoint when no other process receives.
	Receive bool
	// Intake is one that already runs, as a drill's does; the App then does not own it.
	Intake *Intake
	Wall   func() time.Time // time.Now when nil
	// Env says whether a runbook's run may change anything; os.LookupEnv when nil.
	Env func(string) (string, bool)
	// Origin is what the journal's entries name as theirs: "cli" with Once, else "console", when empty.
	Origin string
	// Drills is the folder whose finished drills the journal is to know of; empty for none.
	Drills string
}

// App answers from the sources of one configuration. It is safe for concurrent use.
type App struct {
	cfg    *config.File
	clock  sources.Clock
	log    *slog.Logger
	closer io.Closer

	intake *Intake
	owns   bool
	rows   rows
	prom   *prom.Client         // nil when not configured
	loki   *loki.Client         // nil when not configured
	alerts *alertmanager.Client // nil when not configured
	told   told                 // what Prometheus and Alertmanager said last of alerts
	toll   toll
	env    func(string) (string, bool)
	traces []backend // servers that keep traces, as configured
	moves  *manifest.Reader
	eval   *signal.Evaluator
	good   lastGood
	diary  *diary
	runs   driven
	watch  *watch
	once   bool

	stop    context.CancelFunc // ends what runs in the background
	running sync.WaitGroup
}

// Open opens everything that the configuration names. It waits for no source:
// one that is down is a matter of Health.
func Open(ctx context.Context, cfg *config.File, o Options) (*App, error) {
	clock, err := cfg.Clock.Clock(o.Wall)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, clock: clock, intake: o.Intake, once: o.Once, good: lastGood{known: map[string]bool{}}, env: o.Env}
	if a.env == nil {
		a.env = os.LookupEnv
	}
	if err := makeState(cfg.State); err != nil {
		return nil, err
	}
	a.log, a.closer = openLog(cfg.State, "rollcall.log")
	ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	if a.intake == nil {
		a.owns = true
		if a.intake, err = OpenIntake(ctx, cfg, clock, a.log, o.Receive); err != nil {
			return nil, errors.Join(err, a.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
		}
	}
	a.rows = rows{a.intake, cfg}
	a.diary = openDiary(cfg, clock, a.log, a.intake.redactor, o.origin()) //nolint:contextcheck // what is begun in the journal is finished
	if err := a.open(); err != nil {                                      //nolint:contextcheck // the evaluator's own work ends with its Close
		return nil, errors.Join(err, a.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
	}
	a.watch = a.newWatch(o.Once || o.Origin == "collect")
	if o.Once {
		return a, nil
	}
	watching := a.watch
	a.running.Go(func() { watching.run(ctx) })
	a.running.Go(func() { a.WatchHolds(ctx) })
	if o.Drills != "" && !drillOf(cfg) {
		a.running.Go(func() { a.recordDrills(ctx, o.Drills) })
	}
	if a.alerts != nil {
		a.running.Go(func() { a.probe(ctx, "alertmanager", a.alerts) })
	}
	for _, b := range a.traces {
		a.running.Go(func() { a.probe(ctx, b.name, b) })
	}
	if a.loki != nil {
		a.running.Go(func() { a.probe(ctx, "loki", a.loki) })
		m, err := newMirror(cfg, clock, a.log, a.loki, a.ReadJournal)
		if err != nil {
			return nil, errors.Join(err, a.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
		}
		if m != nil {
			a.running.Go(func() { m.run(ctx) })
		}
	}
	return a, nil
}

// probed is a source that no signal reads.
type probed interface {
	Check(ctx context.Context) error
	Health() sources.Health
}

// probe keeps the state of a source fresh while nobody reads it.
func (a *App) probe(ctx context.Context, name string, source probed) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if h := source.Health(); a.clock.Wall().Sub(h.LastGood) > watchEvery {
			check, cancel := context.WithTimeout(ctx, settleTime)
			if err := source.Check(check); err != nil && ctx.Err() == nil && h.State != sources.SourceDown {
				a.log.Warn(name, "err", err)
			}
			cancel()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) open() error {
	var metrics signal.Prom
	var fromMetrics manifest.Prom
	if a.cfg.Prometheus != nil {
		c, err := prom.New(*a.cfg.Prometheus, prom.Options{
			Clock: a.clock, Sanitize: line, Log: a.log,
			Text: func(s string) string { return line(a.intake.redactor.Text(s)) },
		})
		if err != nil {
			return err
		}
		a.prom, metrics, fromMetrics = c, c, c
	}
	var logs signal.Logs
	if a.cfg.Loki != nil {
		c, err := loki.New(*a.cfg.Loki, loki.Options{Clock: a.clock, Redactor: a.intake.redactor, Log: a.log})
		if err != nil {
			return err
		}
		a.loki, logs = c, c
	}
	if a.cfg.Alertmanager != nil {
		c, err := alertmanager.New(*a.cfg.Alertmanager, alertmanager.Options{Clock: a.clock, Redactor: a.intake.redactor, Log: a.log})
		if err != nil {
			return err
		}
		a.alerts = c
	}
	if err := a.openBackends(); err != nil {
		return err
	}
	scopes := map[string]string{}
	services := map[string]signal.Service{}
	for name, s := range a.cfg.Services {
		scopes[name], services[name] = s.Scope, s.Service
	}
	a.moves = manifest.New(fromMetrics, a.rows, scopes).WithClock(a.clock)
	for name, s := range a.cfg.Services {
		if s.Manifests != nil {
			a.moves.WithFolder(name, s.Manifests.Dir, a.clock, func(s string) string { return line(a.intake.redactor.Text(s)) })
		}
	}
	eval, err := signal.NewEvaluator(signal.Deps{
		Prom: metrics, Logs: logs, Rows: a.rows, Tables: a.rows, Changes: a.moves, Incidents: known{a}, Clock: a.clock, Log: a.log,
		Prices: a.cfg.Prices, Health: a.Health, Usual: a.keepUsual(),
	}, services)
	if err != nil {
		return fmt.Errorf("%s: %w", a.cfg.Label(), err)
	}
	a.eval = eval
	return nil
}

// line makes one line of outside text safe.
func line(s string) string { return redact.SanitizeLine(s, 512) }

// Close ends what runs in the background and closes the stores.
func (a *App) Close() error {
	if a.stop == nil {
		return nil
	}
	a.closeRuns() // before the journal that they are recorded in
	a.stop()
	a.stop = nil
	a.running.Wait()
	if a.eval != nil {
		a.eval.Close()
	}
	if a.prom != nil {
		a.prom.Close()
	}
	if a.loki != nil {
		a.loki.Close()
	}
	if a.alerts != nil {
		a.alerts.Close()
	}
	for _, b := range a.traces {
		b.Close()
	}
	var err error
	if a.diary != nil {
		err = a.diary.close()
	}
	if a.owns && a.intake != nil {
		err = errors.Join(err, a.intake.Close())
	}
	return errors.Join(err, a.closer.Close())
}

// Log is where the program writes what it does.
func (a *App) Log() *slog.Logger { return a.log }

// Clock tells the service's time.
func (a *App) Clock() sources.Clock { return a.clock }

// Services returns the names in the configuration.
func (a *App) Services() []string { return a.cfg.Names() }

func (a *App) service(name string) (config.Service, error) {
	s, ok := a.cfg.Services[name]
	if !ok {
		return s, fmt.Errorf("no service %q in %s; it has %v", name, a.cfg.Label(), a.cfg.Names())
	}
	return s, nil
}

// Snapshot reads all signals of a service; first names the pane to read first.
func (a *App) Snapshot(ctx context.Context, service string, v sources.View, first sources.Pane) (*signal.Snapshot, error) {
	if _, err := a.service(service); err != nil {
		return nil, err
	}
	if a.once {
		a.settle(ctx, service, v)
	}
	snap, err := a.eval.Snapshot(ctx, service, v, first)
	if err == nil && v.Live() && !a.once {
		a.watch.offer(snap)
	}
	return snap, err
}

// settle waits, within bounds, for what a single look would otherwise miss: what
// is usual at this hour, and whether the sources that no signal needs are up.
func (a *App) settle(ctx context.Context, service string, v sources.View) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.eval.Warm(ctx, service, v); err != nil {
			a.log.Info("not every usual value was loaded", "err", err)
		}
	})
	check := func(name string, source probed) {
		wg.Go(func() {
			if err := source.Check(ctx); err != nil {
				a.log.Info(name, "err", err)
			}
		})
	}
	if a.loki != nil {
		check("loki", a.loki)
	}
	for _, b := range a.traces {
		check(b.name, b)
	}
	wg.Wait()
}

// Split reads one signal split by a component.
func (a *App) Split(ctx context.Context, service, id, by string, v sources.View) ([]sources.Part, sources.Facts, error) {
	if _, err := a.service(service); err != nil {
		return nil, sources.Facts{}, err
	}
	return a.eval.Split(ctx, service, id, by, v)
}

// Suspects says what the bad requests of a signal have in common; anyway looks
// even when there are no more of them than usual.
func (a *App) Suspects(ctx context.Context, service, id string, v sources.View, anyway bool) (*signal.Explanation, error) {
	if _, err := a.service(service); err != nil {
		return nil, err
	}
	return a.eval.Explain(ctx, service, id, v, anyway)
}

// Changes returns what moved within the view's range, oldest first.
func (a *App) Changes(ctx context.Context, service string, v sources.View) ([]sources.Change, sources.Facts, error) {
	if _, err := a.service(service); err != nil {
		return nil, sources.Facts{}, err
	}
	until := v.End(a.clock.Now())
	return a.moves.Changes(ctx, service, until.Add(-v.Range), until, changeStep(v.Range))
}

// Moves is Changes with everything besides: what is live, contradictions, aliases.
func (a *App) Moves(ctx context.Context, service string, v sources.View) (manifest.Timeline, error) {
	if _, err := a.service(service); err != nil {
		return manifest.Timeline{}, err
	}
	until := v.End(a.clock.Now())
	return a.moves.Read(ctx, service, until.Add(-v.Range), until, changeStep(v.Range))
}

// Rollout compares the versions that run at the same time; nil when only one does.
func (a *App) Rollout(ctx context.Context, service string, v sources.View) (*rollout.Report, error) {
	if _, err := a.service(service); err != nil {
		return nil, err
	}
	return a.eval.Rollout(ctx, service, v)
}

// changeStep keeps a range at a few hundred points.
func changeStep(rng time.Duration) time.Duration {
	return max(15*time.Second, (rng / 240).Round(15*time.Second))
}

// Logs reads log lines; without a query those of the service.
func (a *App) Logs(ctx context.Context, service string, q sources.LogQuery) (sources.LogList, error) {
	q, err := a.logQuery(service, q)
	if err != nil {
		return sources.LogList{}, err
	}
	return a.loki.QueryRange(ctx, q)
}

// Tail follows the log until ctx ends.
func (a *App) Tail(ctx context.Context, service string, q sources.LogQuery) (<-chan sources.LogBatch, error) {
	q, err := a.logQuery(service, q)
	if err != nil {
		return nil, err
	}
	return a.loki.Tail(ctx, q)
}

func (a *App) logQuery(service string, q sources.LogQuery) (sources.LogQuery, error) {
	s, err := a.service(service)
	if err != nil {
		return q, err
	}
	if a.loki == nil {
		return q, &config.Error{File: a.cfg.Label(), Msg: "names no log source; add loki: {url: http://HOST:3100}, or set LOKI_ADDR"}
	}
	if q.Query == "" {
		q.Query = s.Logs
	}
	return q, nil
}

// Health is the state of every source, in the order in which it is shown.
func (a *App) Health() []sources.Health {
	out := make([]sources.Health, 0, 4)
	if a.prom != nil {
		out = append(out, a.ofDrill(a.prom.Health()))
	} else {
		out = append(out, sources.Health{Source: "prom", State: sources.SourceOff, Note: "not configured"})
	}
	if a.loki != nil {
		out = append(out, a.ofDrill(a.loki.Health()))
	} else {
		out = append(out, sources.Health{Source: "loki", State: sources.SourceOff, Note: "not configured"})
	}
	if a.alerts != nil {
		out = append(out, a.ofDrill(a.alerts.Health()))
	}
	for _, b := range a.traces {
		out = append(out, a.ofDrill(b.Health()))
	}
	return append(out, a.intake.Health()...)
}

// ofDrill forgets the skew of a drill's servers: they run on this machine and
// tell its accelerated time, which is not that of the wall.
func (a *App) ofDrill(h sources.Health) sources.Health {
	if a.cfg.Clock != (sources.ClockConfig{}) {
		h.Skew = 0
	}
	return h
}

// Debug returns counters for the debug pane.
func (a *App) Debug() [][2]string {
	out := [][2]string{{"config", a.cfg.Label()}, {"state", a.cfg.State}}
	if a.prom != nil {
		out = append(out, a.prom.Debug()...)
	}
	for _, h := range a.Health() {
		if h.Note != "" {
			out = append(out, [2]string{h.Source, h.Note})
		}
	}
	return append(out, [2]string{"log", filepath.Join(a.cfg.State, "rollcall.log")})
}
