package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/launch"
	"rollcall/sources"
)

// Driller runs simulated services.
type Driller interface {
	List(ctx context.Context) ([]launch.Scenario, error)
	// Start returns once everything of the drill runs; on an error nothing is left running.
	Start(ctx context.Context, o DrillOptions) (Drill, error)
}

// DrillOptions say which drill to run.
type DrillOptions struct {
	Scenario string
	Seed     int64
	Speed    float64
	For      time.Duration // wall time; 0 until stopped
	State    string        // the state folder that holds drills/
	Progress func(done float64, what string)
}

// Drill is a running simulated service with its OTLP endpoint.
type Drill interface {
	Ready() launch.Ready
	Endpoints() Endpoints
	Config() *config.File
	// Session reads the drill's sources.
	Session(ctx context.Context) (Session, error)
	Done() <-chan struct{} // closed when the child has ended
	Err() error            // why, after Done
	// Close ends it. Without keep only its configuration and logs stay. It returns where they are.
	Close(keep bool) (dir string, err error)
}

const defaultScenario = "prompt-regression"

func (p *Program) drillCommand(o *options) *cobra.Command {
	var d DrillOptions
	var headless, keep bool
	cmd := &cobra.Command{
		Use:   "drill [SCENARIO]",
		Short: "Practise on a simulated service",
		Long: "Starts a simulated LLM support assistant with its own metric and log servers, and opens the console\n" +
			"on it. It needs nothing else, listens on free ports of this machine only, and ends with the console.\n" +
			"\"rollcall drill list\" shows the scenarios.",
		Example: "  rollcall drill\n  rollcall drill cost-runaway --seed 7\n  rollcall drill --headless --for 60s",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Scenario = defaultScenario
			if len(args) > 0 {
				d.Scenario = args[0]
			}
			return p.drill(cmd.Context(), o, d, headless, keep)
		},
	}
	f := cmd.Flags()
	f.Int64Var(&d.Seed, "seed", 1, "`number` that makes a drill repeatable")
	f.Float64Var(&d.Speed, "speed", 10, "how many `times` faster than the wall clock it runs")
	f.BoolVar(&headless, "headless", false, "no screen: print one JSON line with the addresses and run")
	f.DurationVar(&d.For, "for", 0, "stop after this wall `duration`")
	f.BoolVar(&keep, "keep", false, "keep the metrics and requests of the drill when it ends")
	cmd.AddCommand(p.drillListCommand(), p.drillScoreCommand())
	return cmd
}

func (p *Program) drillListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "The scenarios", Args: cobra.NoArgs}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		list, err := p.Drill.List(cmd.Context())
		if err != nil {
			return &exit{ExitUsage, err}
		}
		if asJSON {
			return writeJSON(p.Out, list)
		}
		t := p.printer(&options{}, config.UI{})
		tb := table{}
		for _, s := range list {
			tb.add(plainCell(s.Name), plainCell(s.Description))
		}
		tb.print(t)
		return t.err
	}
	return cmd
}

// headlessJSON is the one line of a drill without a screen.
type headlessJSON struct {
	Config     string `json:"config"`
	Prometheus string `json:"prometheus"`
	Loki       string `json:"loki"`
	OTLPGRPC   string `json:"otlp_grpc"`
	OTLPHTTP   string `json:"otlp_http"`
	Admin      string `json:"admin"`
	State      string `json:"state"`
}

func (p *Program) drill(ctx context.Context, o *options, d DrillOptions, headless, keep bool) error {
	switch {
	case o.config != "" || o.service != "" || o.at != "":
		return usage("a drill writes its own configuration; --config, --service and --at do not go with it")
	case d.Speed < 1 || d.Speed > 100:
		return usage("--speed %g is out of range; give 1 to 100", d.Speed)
	case d.For < 0:
		return usage("--for %s is negative; give a duration such as 60s", d.For)
	case !headless && (!p.InTTY || !p.OutTTY):
		return usage("a drill needs a terminal for its console; without one run: rollcall drill --headless --for 60s")
	}
	if term, _ := p.Env("TERM"); !headless && term == "dumb" {
		return usage("TERM=dumb has no screen to draw on; set TERM to what this terminal is, or run: rollcall drill --headless --for 60s")
	}
	if d.State = config.StateDir(p.Env); d.State == "" {
		return usage("there is no folder for the drill; set HOME or XDG_STATE_HOME")
	}
	if err := p.knownScenario(ctx, d.Scenario); err != nil {
		return &exit{ExitUsage, err}
	}
	bar := &progress{w: p.Err, tty: p.ErrTTY, width: p.Width}
	d.Progress = bar.show
	run, err := p.Drill.Start(ctx, d)
	bar.clear()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &exit{ExitBad, err}
	}
	left := false
	leave := func() error {
		if left {
			return nil
		}
		left = true
		dir, err := run.Close(keep)
		if keep {
			p.note("rollcall: the drill is over; everything of it is kept in %s", dir)
		} else {
			p.note("rollcall: the drill is over; its configuration, journal and logs are in %s", dir)
		}
		p.showScore(context.WithoutCancel(ctx), dir)
		p.recordDrills(context.WithoutCancel(ctx), p.practising(d.State), dir)
		return err
	}
	defer func() { _ = leave() }()
	if headless {
		if err := p.headless(ctx, run, d.For); err != nil {
			return err
		}
		return leave()
	}
	s, err := run.Session(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	v, err := o.view(s.Clock().Now())
	if err != nil {
		return err
	}
	if d.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.For)
		defer cancel()
	}
	cfg := run.Config()
	err = p.Console(ctx, ConsoleStart{
		Config: cfg, Session: s, Service: run.Ready().Service, View: v, Look: p.look(o, cfg.UI), Ended: run.Done(),
		Notice: fmt.Sprintf("Drill %s, seed %d. You are on call for %s.", d.Scenario, d.Seed, run.Ready().Service),
	})
	if err == nil && ended(run) && ctx.Err() == nil {
		err = diedEarly(run)
	}
	_ = s.Close()
	if lerr := leave(); err == nil {
		err = lerr
	}
	return err
}

// practising is the configuration in whose journal a drill leaves its summary: the
// one that a console would open without a flag. Without one, or when that is
// a drill's itself, the journal is in the folder for state.
func (p *Program) practising(state string) *config.File {
	if cfg, err := config.Load("", p.Env); err == nil && cfg.Clock == (sources.ClockConfig{}) {
		return cfg
	}
	return &config.File{State: state}
}

func (p *Program) knownScenario(ctx context.Context, name string) error {
	list, err := p.Drill.List(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(list))
	for _, s := range list {
		if s.Name == name {
			return nil
		}
		names = append(names, s.Name)
	}
	if near := config.Nearest(name, names); near != "" {
		return fmt.Errorf("no scenario %q; did you mean %q?", name, near)
	}
	return fmt.Errorf("no scenario %q; rollcall drill list shows them", name)
}

func ended(run Drill) bool {
	select {
	case <-run.Done():
		return true
	default:
		return false
	}
}

func diedEarly(run Drill) error {
	why := run.Err()
	if why == nil {
		return nil
	}
	return &exit{ExitBad, fmt.Errorf("the simulated service ended: %w; its log is in %s", why, run.Endpoints().State)}
}

// headless prints the addresses and runs until the time is over, ctx ends, or the child dies.
func (p *Program) headless(ctx context.Context, run Drill, length time.Duration) error {
	r, e := run.Ready(), run.Endpoints()
	if err := writeLine(p.Out, headlessJSON{
		Config: r.Config, Prometheus: r.Prometheus, Loki: r.Loki, OTLPGRPC: e.GRPC, OTLPHTTP: e.HTTP, Admin: r.Admin, State: e.State,
	}); err != nil {
		return err
	}
	var over <-chan time.Time
	if length > 0 {
		t := time.NewTimer(length)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
	case <-ctx.Done():
	case <-run.Done():
		return diedEarly(run)
	}
	return nil
}

// progress shows how far a start is: one line that rewrites itself on a
// terminal, a line for each new thing elsewhere.
type progress struct {
	w     io.Writer
	tty   bool
	width int
	last  string
	shown bool
}

func (b *progress) show(done float64, what string) {
	what = clean(what)
	if !b.tty {
		if what != b.last {
			_, _ = fmt.Fprintf(b.w, "rollcall: %s\n", what)
			b.last = what
		}
		return
	}
	line := fmt.Sprintf("%3.0f%%  %s", done*100, what)
	if b.width > 1 {
		line = strings.ToValidUTF8(line[:min(len(line), b.width-1)], "")
	}
	if line == b.last {
		return
	}
	b.last, b.shown = line, true
	_, _ = fmt.Fprintf(b.w, "\r\x1b[K%s", line)
}

func (b *progress) clear() {
	if b.tty && b.shown {
		_, _ = fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = false
	}
}
