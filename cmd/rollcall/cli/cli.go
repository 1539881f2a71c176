// Package cli is the command line: it reads flags, opens a session on the
// configured sources, and writes what the session answers as text or JSON.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/setup"
	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
	"rollcall/tui/pane"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitBad         = 1 // something is bad, or a check failed
	ExitUsage       = 2 // the command line or the configuration is wrong
	ExitUnreachable = 3 // nothing is known to be bad, but a source could not be reached
)

// IO is the world as a command sees it.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Env      config.Env
	InTTY    bool
	OutTTY   bool
	ErrTTY   bool
	Width    int // columns of the terminal; 0 when output is no terminal
}

// Session is an open connection to the sources of one configuration.
type Session interface {
	pane.Backend
	// Health is the state of every source, the configured ones and the traces.
	Health() []sources.Health
	// Doctor checks everything that a service needs and says what to do.
	Doctor(ctx context.Context, service string) []Finding
	// Moves is Changes with what is live, what contradicts what, and aliases.
	Moves(ctx context.Context, service string, v sources.View) (manifest.Timeline, error)
	// Rollout compares versions that run at the same time; nil when only one does.
	Rollout(ctx context.Context, service string, v sources.View) (*rollout.Report, error)
	Close() error
}

// Finding is one answer of the doctor.
type Finding struct {
	Area    string `json:"area"`             // "config", "journal", "state", "alerts", "prometheus", "loki", "otlp", "traces", "signals", "runbooks", "pins", "login"
	Check   string `json:"check"`            // what was looked at
	Verdict string `json:"verdict"`          // ok, watch, bad, unreachable or not exposed
	Detail  string `json:"detail"`           // what was found
	Remedy  string `json:"remedy,omitempty"` // what to do about it
}

// Mode says what a session is for.
type Mode int

// The modes. Only a console and a collector receive traces; everything else reads.
const (
	ReadOnly Mode = iota
	Receiving
)

// Version is what was built.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Built   string `json:"built,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// Look is how the console draws.
type Look struct {
	NoColor  bool
	ASCII    bool
	SlowLink bool
	Theme    string // auto, dark or light
}

// Program is the command line with what it needs from below.
type Program struct {
	IO
	// Open opens a session. It never waits for a source.
	Open func(ctx context.Context, cfg *config.File, mode Mode) (Session, error)
	// Console runs the screen until the user leaves.
	Console func(ctx context.Context, c ConsoleStart) error
	// Collect runs the OTLP endpoint until ctx ends; up is told once it listens.
	Collect func(ctx context.Context, cfg *config.File, up func(Endpoints)) error
	// Drill runs the simulated service.
	Drill Driller
	// Pins opens what pin, feature and evals act on; note takes remarks. It waits for nothing.
	Pins func(cfg *config.File, service string, note func(string)) (Pins, error)
	// Redactor builds the filter of `redact`.
	Redactor func(cfg *config.File) (Redactor, error)
	// Purge looks for what the state folder holds of somebody or something.
	Purge func(ctx context.Context, cfg *config.File, of PurgeOf) (Purge, error)
	// Journals opens the journal alone.
	Journals Journals
	// Rehearsals returns the last successful rehearsal of each runbook; nil when there is no journal to ask.
	Rehearsals func(ctx context.Context, cfg *config.File) (map[string]runbooks.Rehearsal, error)
	// Drills writes the drills below base that are over into the journal of a configuration, each once; ended is
	// the folder of one that was ended in order just now. Nil: nothing is written.
	Drills func(ctx context.Context, cfg *config.File, base, ended string) error
	// Usual is where init looks for sources of which nobody says where they are; setup.Usual when nil.
	Usual map[setup.Kind]string
	// Receives returns the process that receives traces into a state folder; 0 for none.
	Receives func(state string) int
	Version  Version
}

// ConsoleStart is what the console opens with.
type ConsoleStart struct {
	Config  *config.File
	Session Session
	Service string
	View    sources.View
	Look    Look
	Notice  string // one line for the first frame
	// Ended is closed when the console must end by itself, and why.
	Ended <-chan struct{}
}

// Endpoints are the addresses of an OTLP endpoint that listens.
type Endpoints struct {
	GRPC  string `json:"otlp_grpc"`
	HTTP  string `json:"otlp_http"`
	State string `json:"state"`
}

// exit ends a command with a code; err, when set, is printed.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// unanswered is the error of a source that gave nothing: it is out of reach,
// unless the configuration does not name it, or it refused the query as wrong.
func unanswered(err error) error {
	var wrong *config.Error
	if errors.As(err, &wrong) {
		return err
	}
	var refused interface{ Unreachable() bool }
	if errors.As(err, &refused) && !refused.Unreachable() {
		return &exit{ExitUsage, err}
	}
	return &exit{ExitUnreachable, err}
}

// usage is a mistake of the caller.
func usage(format string, args ...any) error {
	return &exit{ExitUsage, fmt.Errorf(format, args...)}
}

// Run executes one command line and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	if p.Env == nil {
		p.Env = func(string) (string, bool) { return "", false }
	}
	root := p.root() //nolint:contextcheck // commands get ctx from ExecuteContext
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var e *exit
	if errors.As(err, &e) {
		if e.err != nil {
			p.complain(e.err)
		}
		return e.code
	}
	var ce *config.Error
	switch {
	case errors.As(err, &ce):
		p.complain(err)
		return ExitUsage
	case errors.Is(err, config.ErrNone):
		p.welcome()
		return ExitUsage
	case errors.Is(err, context.Canceled):
		return ExitOK // ended by a signal: what was asked
	case isUsage(err):
		p.complain(fmt.Errorf("%w; see rollcall --help", err))
		return ExitUsage
	}
	p.complain(err)
	return ExitBad
}

// complain writes an error as one harmless line.
func (p *Program) complain(err error) {
	_, _ = fmt.Fprintf(p.Err, "rollcall: %s\n", clean(strings.TrimSpace(err.Error())))
}

func (p *Program) note(format string, args ...any) {
	_, _ = fmt.Fprintln(p.Err, clean(fmt.Sprintf(format, args...)))
}

// isUsage recognises the errors of cobra and pflag, which have no types.
func isUsage(err error) bool {
	s := err.Error()
	for _, start := range []string{
		"unknown command", "unknown flag", "unknown shorthand", "invalid argument", "flag needs an argument",
		"accepts ", "requires ", "required flag", "bad flag syntax", "if any flags in the group",
	} {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return false
}

func (p *Program) root() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "rollcall",
		Short: "The console for on-call engineers who run LLM products",
		Long: "rollcall shows health, quality, cost and safety of an LLM product side by side, says what\n" +
			"changed, and opens any request by its ID. Without a command it opens the console.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return p.console(cmd.Context(), o) },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&o.config, "config", "", "configuration `file` (default $ROLLCALL_CONFIG, then ~/.config/rollcall/rollcall.yaml)")
	f.StringVar(&o.service, "service", "", "`name` of the service in the configuration")
	f.StringVar(&o.at, "at", "", "look at this `time` instead of now: 02:31, 2026-03-10T02:31Z, or 15m for a quarter of an hour ago")
	f.StringVar(&o.rng, "range", "", "how far to look back: `duration` such as 30m, 6h or 2d (default 1h)")
	f.StringVar(&o.since, "since", "", "look back to this `time`, or for this long")
	f.BoolVar(&o.noColor, "no-color", false, "no colours (also NO_COLOR)")
	f.BoolVar(&o.ascii, "ascii", false, "only ASCII characters (automatic where the locale is not UTF-8)")
	f.BoolVar(&o.slowLink, "slow-link", false, "fewer frames, for slow connections")
	cmd.AddCommand(
		p.statusCommand(o), p.requestCommand(o), p.requestsCommand(o), p.logsCommand(o), p.changesCommand(o), p.alertsCommand(o), p.suspectsCommand(o), p.costCommand(o), p.readinessCommand(o),
		p.pinCommand(o), p.settingCommand(o), p.featureCommand(o), p.evalsCommand(o),
		p.runbookCommand(o), p.incidentCommand(o), p.reviewCommand(o), p.casesCommand(o), p.journalCommand(o),
		p.initCommand(o), p.doctorCommand(o), p.collectCommand(o), p.drillCommand(o), p.redactCommand(o), p.purgeCommand(o), p.versionCommand(o),
	)
	cmd.SetOut(p.Out) // before completion, which keeps the writer it finds
	cmd.SetErr(p.Err)
	cmd.SetIn(p.In)
	cmd.InitDefaultCompletionCmd()
	cmd.SetHelpCommand(&cobra.Command{Use: "help [command]", Short: "Help about a command", RunE: func(c *cobra.Command, args []string) error {
		target, _, err := c.Root().Find(args)
		if err != nil || target == nil {
			return usage("unknown command %q; see rollcall --help", strings.Join(args, " "))
		}
		return target.Help()
	}})
	return cmd
}

// welcome says what to do where nothing is configured.
func (p *Program) welcome() {
	path, _ := config.Find("", p.Env)
	if path == "" {
		path = "rollcall.yaml"
	}
	_, _ = fmt.Fprintf(p.Err, `rollcall has no configuration yet. Four ways on:

  rollcall drill                     practise on a simulated service; needs nothing else
  rollcall init                      find Prometheus, Loki and trace servers, and write one
  PROMETHEUS_URL=http://HOST:9090 LOKI_ADDR=http://HOST:3100 ROLLCALL_SCOPE='job="assistant"' rollcall
                                     look at your own; the scope picks the service's series and streams
  %s
                                     a configuration file, for more services, traces and thresholds
`, clean(path))
}
