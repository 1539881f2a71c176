package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/launch"
	"rollcall/sources"
	"rollcall/store/traces"
)

// DrillOptions say which drill to run.
type DrillOptions struct {
	Binary   string // path of rollcall-drill; sought when empty
	Scenario string
	Seed     int64
	Speed    float64
	State    string // the state folder that holds drills/
	Env      config.Env
	Progress func(done float64, what string)
}

// Drill is a running simulated service and the endpoint that takes its traces.
type Drill struct {
	Dir    string
	Child  *launch.Drill
	Config *config.File
	GRPC   string
	HTTP   string

	intake *Intake
	log    *slog.Logger
	closer io.Closer
}

// StartDrill opens the OTLP endpoint on free ports in a folder of its own, then
// starts the child against it. On an error nothing is left running.
func StartDrill(ctx context.Context, o DrillOptions) (d *Drill, err error) {
	if o.Binary == "" {
		if o.Binary, err = launch.Find(); err != nil {
			return nil, err
		}
	}
	d = &Drill{}
	if d.Dir, err = drillDir(o); err != nil { //nolint:contextcheck // local files only
		return nil, err
	}
	d.log, d.closer = openLog(d.Dir, "rollcall.log")
	defer func() { //nolint:contextcheck // what is open is closed whatever became of ctx
		if err != nil {
			_ = d.Close()
		}
	}()
	if o.Progress != nil {
		o.Progress(0, "opening the OTLP endpoint")
	}
	clock := &lateClock{}
	first := &config.File{State: d.Dir, OTLP: config.OTLP{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"}}
	if d.intake, err = OpenIntake(context.WithoutCancel(ctx), first, clock, d.log, true); err != nil {
		return nil, err
	}
	if d.GRPC, d.HTTP, err = d.intake.Endpoints(ctx); err != nil {
		return nil, err
	}
	path := filepath.Join(d.Dir, "rollcall.yaml")
	d.Child, err = launch.Start(ctx, launch.Options{
		Binary: o.Binary, State: d.Dir, Scenario: o.Scenario, Seed: o.Seed, Speed: o.Speed, GRPC: d.GRPC, HTTP: d.HTTP,
		ConfigOut: path, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	if d.Child.Ready.Config != "" {
		path = d.Child.Ready.Config
	}
	if d.Config, err = config.Load(path, o.Env); err != nil {
		return nil, fmt.Errorf("the drill wrote a configuration that this rollcall cannot read: %w", err)
	}
	real, err := d.Config.Clock.Clock(nil)
	if err != nil {
		return nil, err
	}
	clock.is.Store(&real)
	d.Config.State = d.Dir
	return d, nil
}

// drillDir makes the folder of a new drill.
func drillDir(o DrillOptions) (string, error) {
	base := filepath.Join(o.State, DrillsDir)
	if err := makeState(base); err != nil {
		return "", err
	}
	sweep(base)
	name := fmt.Sprintf("%s-%s-%d", time.Now().UTC().Format("20060102T150405Z"), o.Scenario, o.Seed)
	for i := 1; ; i++ {
		dir := filepath.Join(base, name)
		if i > 1 {
			dir += fmt.Sprintf("-%d", i)
		}
		switch err := os.Mkdir(dir, 0o700); {
		case err == nil:
			return dir, nil
		case !errors.Is(err, os.ErrExist) || i > 100:
			return "", fmt.Errorf("the folder %s cannot be made: %w; set XDG_STATE_HOME to a folder you own", dir, cause(err))
		}
	}
}

// App opens the drill's sources; the endpoint stays the drill's own.
func (d *Drill) App(ctx context.Context) (*App, error) {
	return Open(ctx, d.Config, Options{Intake: d.intake})
}

// Close ends the child, then the endpoint. It may be called at any stage of the start.
func (d *Drill) Close() error {
	if d.Child != nil {
		d.Child.Stop()
	}
	var err error
	if d.intake != nil {
		err = d.intake.Close()
	}
	if d.closer != nil {
		err = errors.Join(err, d.closer.Close())
	}
	return err
}

// metricsDir begins the name of the folder in which the simulated service keeps its metrics.
const metricsDir = "metrics-"

// keptFile marks the folder of a drill that was to be kept whole.
const keptFile = "kept"

// Keep marks the drill's folder so that nothing of it is ever tidied away.
func (d *Drill) Keep() error {
	return os.WriteFile(filepath.Join(d.Dir, keptFile), nil, 0o600)
}

// sweep tidies up after drills whose launcher was killed: nobody receives there
// any more, and nobody asked to keep them.
func sweep(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		if e.IsDir() && !exists(filepath.Join(dir, keptFile)) && exists(filepath.Join(dir, tracesDir)) && !received(filepath.Join(dir, tracesDir)) {
			_ = (&Drill{Dir: dir}).Tidy()
		}
	}
}

// received tells whether a process receives traces into the folder.
func received(dir string) bool {
	s, err := traces.Open(dir, traces.Options{Folder: pricedFolder{}, Clock: &lateClock{}, ReadOnly: true})
	if err != nil {
		return true // not understood: leave it alone
	}
	defer func() { _ = s.Close() }()
	own, pid := s.Receiving()
	return own || pid > 0
}

// Tidy removes the bulk of a finished drill: its metrics and requests. What people
// may come back for stays: configuration, logs, the journal, reviews, records of runs.
func (d *Drill) Tidy() error {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && (e.Name() == tracesDir || strings.HasPrefix(e.Name(), metricsDir)) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(d.Dir, e.Name())))
		}
	}
	return err
}

// lateClock is wall time until the child has said which clock its service follows.
type lateClock struct{ is atomic.Pointer[sources.Clock] }

func (c *lateClock) Now() time.Time {
	if p := c.is.Load(); p != nil {
		return (*p).Now()
	}
	return time.Now()
}

func (c *lateClock) Wall() time.Time { return time.Now() }

func (c *lateClock) ToWall(d time.Duration) time.Duration {
	if p := c.is.Load(); p != nil {
		return (*p).ToWall(d)
	}
	return d
}
