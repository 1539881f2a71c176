package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"rollcall/cmd/rollcall-drill/admin"
	"rollcall/cmd/rollcall-drill/emit"
	"rollcall/cmd/rollcall-drill/logapi"
	"rollcall/cmd/rollcall-drill/promapi"
	"rollcall/cmd/rollcall-drill/sim"
)

// Times of the service.
const (
	historyDays   = 16
	historyStep   = time.Minute
	scrapeEvery   = 15 * time.Second
	warmUp        = 10 * time.Minute // before the start, simulated request by request
	flushEvery    = 20 * time.Second // of that, so that no exporter's queue overflows
	warmShare     = 0.05             // of those requests are sent as traces, some nine hundred
	tracesPerWall = 55.0             // requests a second that are sent as traces at most
	peakRequests  = 38.0             // a second of service time
)

// drill is one run: the simulated service and the servers that show it.
type drill struct {
	opts     options
	say      *speaker
	log      *slog.Logger
	logFile  *os.File
	scenario *sim.Scenario
	clock    *clock
	control  *sim.Control
	engine   *sim.Engine
	db       *promapi.DB
	dbDir    string
	logs     *logapi.Server
	scraper  *scraper
	sink     *emit.Sink
	servers  []*http.Server
	broken   chan error // a server stopped
	urls     struct{ prometheus, loki, admin string }
	closing  atomic.Bool
}

// newDrill opens everything; nothing runs yet but the HTTP servers.
func newDrill(ctx context.Context, o options, say *speaker) (_ *drill, err error) {
	d := &drill{opts: o, say: say, broken: make(chan error, 3)}
	defer func() {
		if err != nil {
			d.close(ctx)
		}
	}()
	if d.scenario, err = o.load(); err != nil {
		return nil, err
	}
	start, err := o.begin(time.Now())
	if err != nil {
		return nil, err
	}
	if d.logFile, err = os.OpenFile(filepath.Join(o.state, "drill.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	d.log = slog.New(slog.NewTextHandler(d.logFile, nil))
	d.clock = &clock{start: start, speed: o.speed, wall: time.Now}
	d.control = sim.NewControl(d.scenario, start, d.clock.now)
	d.engine = sim.NewEngine(sim.Config{
		Seed: uint64(o.seed), Scenario: d.scenario, Start: start, Control: d.control,
		Share: o.share(), Warm: min(o.share(), warmShare),
	}, warmUp)

	if d.dbDir, err = os.MkdirTemp(o.state, "metrics-"); err != nil {
		return nil, fmt.Errorf("folder for metrics: %w", err)
	}
	if d.db, err = promapi.Open(d.dbDir, d.clock.now, d.log); err != nil {
		return nil, err
	}
	d.logs = logapi.New(d.clock.now, logapi.Options{MaxLines: 120_000, MaxBytes: 24 << 20, Log: d.log})
	info := admin.Info{Service: sim.Service, Scenario: d.scenario.Name, Seed: o.seed, Speed: o.speed, Start: start}
	for _, s := range []struct {
		url     *string
		handler http.Handler
	}{
		{&d.urls.prometheus, d.db.Handler()},
		{&d.urls.loki, d.logs.Handler()},
		{&d.urls.admin, admin.Handler(admin.Controls{Live: d.control, Rehearsal: sim.NewRehearsal(d.scenario, start, d.clock.now)}, d.engine, info, d.clock.now, d.log)},
	} {
		if *s.url, err = d.serve(ctx, s.handler); err != nil {
			return nil, err
		}
	}
	d.scraper = newScraper(d.db)
	d.sink = &emit.Sink{Logs: emit.DialLogs(ctx, d.urls.loki, d.log)}
	if o.grpc != "" && o.grpc != off {
		if d.sink.Traces, err = emit.DialTraces(ctx, o.grpc, o.share() < 1, d.log); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// share is the part of the requests that is sent as traces and logs: all of them,
// unless service time runs so fast that the console would drown. It is the same
// for good and bad requests, so that shares among traces are the shares of the service.
func (o *options) share() float64 {
	return min(1, tracesPerWall/(peakRequests*o.speed))
}

// serve answers on a free loopback port.
func (d *drill) serve(ctx context.Context, h http.Handler) (url string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("no free port on 127.0.0.1: %w", err)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	d.servers = append(d.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) && !d.closing.Load() {
			d.broken <- fmt.Errorf("a server of the drill stopped: %w", err)
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// run fills in the past, says that it is ready, and lives until ctx ends.
func (d *drill) run(ctx context.Context) error {
	if err := d.past(ctx); err != nil {
		return err
	}
	wallStart := d.clock.release()
	if err := d.writeConfig(wallStart); err != nil {
		return err
	}
	d.say.say(map[string]any{
		"ready": true, "config": d.opts.configOut, "prometheus": d.urls.prometheus, "loki": d.urls.loki,
		"admin": d.urls.admin, "state": d.opts.state, "service": sim.Service, "scenario": d.scenario.Name,
		"seed": d.opts.seed, "speed": d.opts.speed, "start": d.clock.start, "wall_start": wallStart,
	})
	d.noteOutcome()
	d.log.Info("ready", "scenario", d.scenario.Name, "seed", d.opts.seed, "speed", d.opts.speed)
	return d.live(ctx)
}

// past writes sixteen days of metrics and lives through the minutes before the start.
func (d *drill) past(ctx context.Context) error {
	begun := time.Now()
	what := fmt.Sprintf("backfilling %d days of metrics", historyDays)
	d.say.progress(0, what)
	history := sim.NewHistory(d.engine, historyStep)
	until := d.clock.start.Add(-warmUp)
	told := 0
	err := d.db.Backfill(ctx, until.AddDate(0, 0, -historyDays), until, historyStep,
		func(t time.Time, add func(*promapi.Series, float64)) {
			d.scraper.history(func(see func(*sim.Metric, float64)) { history.Fill(t, see) }, add)
		},
		func(done float64) {
			if pct := int(done * 100); pct >= told+4 {
				told = pct
				d.say.progress(0.94*done, what)
			}
		})
	if err != nil {
		return err
	}
	d.log.Info("history written", "took", time.Since(begun), "series", len(d.scraper.handles))
	what = "simulating the last minutes before the start"
	d.say.progress(0.95, what)
	d.sink.Logs.Patient = true
	for d.engine.Now().Before(d.clock.start) && ctx.Err() == nil {
		if err := d.second(); err != nil { //nolint:contextcheck // a scrape is written whole, whatever ends meanwhile
			return err
		}
		if d.engine.Now().Sub(d.clock.start)%flushEvery == 0 {
			d.flushTraces(ctx)
		}
	}
	d.sink.Logs.Patient = false
	d.say.progress(0.99, what)
	flush, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := d.sink.Logs.Flush(flush); err != nil {
		d.log.Warn("logs from before the start", "error", err)
	}
	d.log.Info("past simulated", "took", time.Since(begun))
	return ctx.Err()
}

// flushTraces waits until the endpoint has what was sent so far. The minutes before
// the start go by faster than an exporter's queue drains, and a full queue drops:
// a drill would then begin with requests missing.
func (d *drill) flushTraces(ctx context.Context) {
	if d.sink.Traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.sink.Traces.Flush(ctx); err != nil {
		d.log.Warn("traces from before the start", "error", err)
	}
}

// second lives through one second of service time and scrapes when it is due.
func (d *drill) second() error {
	d.engine.Step(d.sink)
	if now := d.engine.Now(); now.Sub(d.clock.start)%scrapeEvery == 0 {
		return d.scrape(now)
	}
	return nil
}

func (d *drill) scrape(now time.Time) error {
	return d.scraper.live(now, func(see func(*sim.Metric, float64)) {
		for _, c := range d.engine.Gather(see) {
			d.sink.Changed(c)
		}
	})
}

// live follows the clock.
func (d *drill) live(ctx context.Context) error {
	tick := time.NewTicker(min(max(time.Duration(float64(time.Second)/d.opts.speed), 50*time.Millisecond), time.Second))
	defer tick.Stop()
	keep := time.NewTicker(outcomeEvery)
	defer keep.Stop()
	defer d.noteOutcome()
	var end <-chan time.Time
	if d.opts.life > 0 {
		timer := time.NewTimer(d.opts.life)
		defer timer.Stop()
		end = timer.C
	}
	for {
		now := d.clock.now()
		d.sink.Mute = now.Sub(d.engine.Now()) > d.tooFar()
		for !d.engine.Now().Add(time.Second).After(now) && ctx.Err() == nil {
			if err := d.second(); err != nil { //nolint:contextcheck // as above
				d.log.Warn("scrape", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-end:
			return nil
		case err := <-d.broken:
			return err
		case <-keep.C:
			d.noteOutcome()
		case <-tick.C:
		}
	}
}

// tooFar is service time: further behind, the drill was asleep, and nobody wants
// the traces of that.
func (d *drill) tooFar() time.Duration {
	return time.Duration(30 * d.opts.speed * float64(time.Second))
}

// close ends everything that newDrill opened.
func (d *drill) close(ctx context.Context) {
	d.closing.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords/2)
	defer cancel()
	var errs []error
	if d.sink != nil {
		if d.sink.Logs != nil {
			d.sink.Logs.Close()
		}
		if d.sink.Traces != nil {
			errs = append(errs, d.sink.Traces.Close(ctx))
		}
	}
	if d.logs != nil {
		d.logs.Close()
	}
	for _, s := range d.servers {
		errs = append(errs, s.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	d.abandon()
	if d.logFile != nil {
		if err := errors.Join(errs...); err != nil {
			d.log.Warn("close", "error", err)
		}
		_ = d.logFile.Close() // nothing is written after it
	}
}

// abandon removes what would lie around, without closing it first.
func (d *drill) abandon() {
	if d.dbDir != "" {
		_ = os.RemoveAll(d.dbDir) // the state folder belongs to the launcher, which clears it up
	}
}
