package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/charmbracelet/x/term"

	"rollcall/cmd/rollcall/app"
	"rollcall/cmd/rollcall/cli"
	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/launch"
	"rollcall/store/journal"
	"rollcall/tui"
	"rollcall/tui/alerts"
	"rollcall/tui/changes"
	"rollcall/tui/incident"
	journalpane "rollcall/tui/journal"
	"rollcall/tui/logs"
	"rollcall/tui/pane"
	"rollcall/tui/request"
	"rollcall/tui/requests"
	runpane "rollcall/tui/run"
	"rollcall/tui/runbooks"
	"rollcall/tui/spending"
	"rollcall/tui/suspects"
)

// Set by the linker: -X main.version=v1.2.3.
var version = ""

func newProgram() *cli.Program {
	width := 0
	if w, _, err := term.GetSize(os.Stdout.Fd()); err == nil {
		width = w
	}
	p := &cli.Program{
		IO: cli.IO{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv, Width: width,
			InTTY: term.IsTerminal(os.Stdin.Fd()), OutTTY: term.IsTerminal(os.Stdout.Fd()), ErrTTY: term.IsTerminal(os.Stderr.Fd()),
		},
		Open: func(ctx context.Context, cfg *config.File, mode cli.Mode) (cli.Session, error) {
			a, err := app.Open(ctx, cfg, app.Options{Receive: mode == cli.Receiving, Once: mode == cli.ReadOnly})
			if err != nil {
				return nil, err
			}
			return session{a}, nil
		},
		Pins: func(cfg *config.File, service string, note func(string)) (cli.Pins, error) {
			return app.OpenPins(cfg, service, os.LookupEnv, note)
		},
		Console:  console,
		Collect:  collect,
		Drill:    driller{},
		Redactor: func(cfg *config.File) (cli.Redactor, error) { return app.NewFilter(cfg) },
		Purge: func(ctx context.Context, cfg *config.File, of cli.PurgeOf) (cli.Purge, error) {
			p, err := app.OpenPurge(ctx, cfg, app.PurgeOf(of), "cli")
			if err != nil {
				return nil, err
			}
			return p, nil
		},
		Journals: func(ctx context.Context, cfg *config.File, o cli.JournalOptions) (*journal.Journal, error) {
			return app.OpenJournal(ctx, cfg, app.JournalOptions{File: o.File, ReadOnly: o.ReadOnly, Origin: "cli"})
		},
		Receives:   app.Receiving,
		Rehearsals: app.Rehearsals,
		Version:    built(),
	}
	return p
}

// session is an App as the command line sees it.
type session struct{ *app.App }

// Doctor checks everything that a service needs.
func (s session) Doctor(ctx context.Context, service string) []cli.Finding {
	found := s.App.Doctor(ctx, service)
	out := make([]cli.Finding, len(found))
	for i, f := range found {
		out[i] = cli.Finding{Area: f.Area, Check: f.Check, Verdict: string(f.Verdict), Detail: f.Detail, Remedy: f.Remedy}
	}
	return out
}

func console(ctx context.Context, c cli.ConsoleStart) error {
	if _, set := os.LookupEnv("GOGC"); !set {
		// It runs all day beside other work: a smaller heap is worth collecting more often.
		debug.SetGCPercent(50)
	}
	if c.Ended != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-c.Ended:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	o := tui.Options{
		Backend: c.Session,
		Panes:   []pane.Pane{requests.New(), request.New(), logs.New(), changes.New(), suspects.New(), spending.New()},
		Service: c.Service, NoColor: c.Look.NoColor, ASCII: c.Look.ASCII, Background: c.Look.Theme, SlowLink: c.Look.SlowLink,
		Refresh: c.Config.Refresh.Or(config.DefaultRefresh), Range: c.View.Range, At: c.View.At, Hint: c.Notice,
	}
	if s, ok := c.Session.(session); ok {
		o.Log = s.Log()
		o.Panes = append(o.Panes, alerts.New(s))
	}
	if desk, ok := c.Session.(pane.Desk); ok {
		o.Desk = desk
		o.Panes = append(o.Panes, runbooks.New(), runpane.New(), incident.New(), journalpane.New())
	}
	return tui.Run(ctx, o, tui.Terminal{})
}

// collectMemory is what a collector may hold before it is collected more eagerly:
// more than it needs, less than a flood of large calls makes of it otherwise.
const collectMemory = 160 << 20

func collect(ctx context.Context, cfg *config.File, up func(cli.Endpoints)) error {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(collectMemory)
	}
	return app.Collect(ctx, cfg, func(grpc, http, state string) {
		up(cli.Endpoints{GRPC: grpc, HTTP: http, State: state})
	})
}

type driller struct{}

// List returns the scenarios of the sibling program.
func (driller) List(ctx context.Context) ([]launch.Scenario, error) {
	bin, err := launch.Find()
	if err != nil {
		return nil, err
	}
	return launch.List(ctx, bin)
}

// Start runs a drill.
func (driller) Start(ctx context.Context, o cli.DrillOptions) (cli.Drill, error) {
	d, err := app.StartDrill(ctx, app.DrillOptions{
		Scenario: o.Scenario, Seed: o.Seed, Speed: o.Speed, State: o.State, Env: os.LookupEnv, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	return drill{d}, nil
}

// drill is a running drill as the command line sees it.
type drill struct{ d *app.Drill }

func (r drill) Ready() launch.Ready   { return r.d.Child.Ready }
func (r drill) Config() *config.File  { return r.d.Config }
func (r drill) Done() <-chan struct{} { return r.d.Child.Done() }
func (r drill) Err() error            { return r.d.Child.Err() }
func (r drill) Endpoints() cli.Endpoints {
	return cli.Endpoints{GRPC: r.d.GRPC, HTTP: r.d.HTTP, State: r.d.Dir}
}

func (r drill) Session(ctx context.Context) (cli.Session, error) {
	a, err := r.d.App(ctx)
	if err != nil {
		return nil, err
	}
	return session{a}, nil
}

func (r drill) Close(keep bool) (string, error) {
	err := r.d.Close()
	if err != nil {
		return r.d.Dir, err
	}
	if keep {
		return r.d.Dir, r.d.Keep()
	}
	return r.d.Dir, r.d.Tidy()
}

// built tells what the linker and the Go tool recorded.
func built() cli.Version {
	v := cli.Version{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if v.Version == "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value[:min(12, len(s.Value))]
			case "vcs.time":
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					v.Built = t.UTC().Format("2006-01-02")
				}
			}
		}
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "devel"
	}
	return v
}
