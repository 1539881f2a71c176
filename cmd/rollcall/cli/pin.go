package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks"
	"rollcall/runbooks/pin"
	"rollcall/sources"
)

// Pins is what commands act on: one service, or its rehearsal target.
type Pins interface {
	All(ctx context.Context) []pin.Live
	Get(ctx context.Context, c sources.Component) (string, error)
	Set(ctx context.Context, c sources.Component, version, current string) error
	List(ctx context.Context, c sources.Component) ([]pin.Version, error)
	Others(ctx context.Context, c sources.Component) (string, error)
	LastGood(ctx context.Context, c sources.Component, not string) (pin.Good, error)
	Mark(ctx context.Context, c sources.Component, version, why string) error
	Values(ctx context.Context) []pin.Value
	Value(ctx context.Context, name string) (string, error)
	SetValue(ctx context.Context, name, value, current string) error
	OtherValues(ctx context.Context, name string) (string, error)
	Features(ctx context.Context) ([]pin.Feature, error)
	Feature(ctx context.Context, name string) (pin.Feature, error)
	FindFeature(ctx context.Context, word string) (pin.Feature, error)
	Switch(ctx context.Context, name string, on bool) error
	RunEvals(ctx context.Context, out io.Writer, keep string, candidate bool) (pin.EvalsRun, error)
	Close() error
}

type liveJSON struct {
	Component sources.Component `json:"component"`
	Version   string            `json:"version,omitempty"`
	Error     string            `json:"error,omitempty"`
}

type movedJSON struct {
	Component sources.Component `json:"component"`
	From      string            `json:"from"`
	To        string            `json:"to"`
	Result    string            `json:"result"`
}

type othersJSON struct {
	Component sources.Component `json:"component"`
	Others    string            `json:"others"`
}

// pins opens what a command acts on. Runbooks name the service in the environment.
func (p *Program) pins(o *options) (Pins, *config.File, error) {
	cfg, err := config.Load(o.config, p.Env)
	if err != nil {
		return nil, nil, err
	}
	want := o.service
	if want == "" {
		want, _ = p.Env(runbooks.EnvService)
	}
	service, err := pick(cfg, want, false)
	if err != nil {
		return nil, nil, err
	}
	s, err := p.Pins(cfg, service, func(s string) { p.note("rollcall: %s", s) })
	if err != nil {
		return nil, nil, pinExit(err)
	}
	return s, cfg, nil
}

// pinExit gives an error of pins its exit code. What somebody else moved, and
// what is forbidden here, is a check that failed; an uncertain outcome is like a
// source out of reach: look before doing anything again.
func pinExit(err error) error {
	var decided *exit
	switch {
	case err == nil || errors.As(err, &decided):
		return err
	case errors.Is(err, pin.ErrMoved), errors.Is(err, pin.ErrForbidden):
		return &exit{ExitBad, err}
	case errors.Is(err, pin.ErrUncertain), errors.Is(err, pin.ErrUnreachable):
		return &exit{ExitUnreachable, err}
	case errors.Is(err, pin.ErrUnknown):
		return &exit{ExitUsage, err}
	}
	return &exit{ExitBad, err}
}

// pinAction is one subcommand: it gets the pins, the component and the rest of the arguments.
type pinAction func(ctx context.Context, s Pins, cfg *config.File, c sources.Component, args []string, json bool) error

func (p *Program) pinCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Read and move the live versions of components",
		Long: "The pins are where the live versions of prompt, model, tools, index and policy are set, reached\n" +
			"through the drivers in the configuration. Without a subcommand it shows them all.\n\n" +
			"A move happens only while the version is still the one that was seen. Exit code 1 says that nothing\n" +
			"was changed because somebody else moved it or it is not allowed here, 2 that there is no such\n" +
			"component or version, 3 that what holds it is out of reach or did not say whether it happened.",
		Example: "  rollcall pin\n  rollcall pin set prompt v13 --if-current v14\n  rollcall pin last-good prompt --not v14",
		Args:    cobra.NoArgs,
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		s, cfg, err := p.pins(o)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		return p.showPins(cmd.Context(), o, s, cfg, asJSON)
	}
	cmd.AddCommand(p.pinGet(o), p.pinSet(o), p.pinList(o), p.pinOthers(o), p.pinLastGood(o), p.pinMark(o))
	return cmd
}

// pinSub makes a subcommand of an action; max is how many arguments it takes after the component.
func (p *Program) pinSub(o *options, use, short string, min, max int, act pinAction) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.RangeArgs(1+min, 1+max),
		ValidArgs: []string{"prompt", "model", "tools", "index", "policy"},
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		s, cfg, err := p.pins(o)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		return pinExit(act(cmd.Context(), s, cfg, sources.Component(args[0]), args[1:], asJSON))
	}
	return cmd
}

func (p *Program) showPins(ctx context.Context, o *options, s Pins, cfg *config.File, asJSON bool) error {
	all := s.All(ctx)
	if len(all) == 0 {
		return usage("no pin is configured; add components: {prompt: {driver: ...}} to the service")
	}
	var failed error
	out := make([]liveJSON, 0, len(all))
	t := p.printer(o, cfg.UI)
	tb := table{}
	for _, l := range all {
		j := liveJSON{Component: l.Component, Version: l.Version}
		shown := cell{l.Version, &t.theme.Bright}
		if l.Err != nil {
			failed = &exit{code: ExitUnreachable}
			j.Error = clean(l.Err.Error())
			shown = cell{j.Error, &t.theme.Watch}
		}
		out = append(out, j)
		tb.add(plainCell(string(l.Component)), shown)
	}
	if asJSON {
		if err := writeJSON(p.Out, out); err != nil {
			return err
		}
		return failed
	}
	tb.print(t)
	if t.err != nil {
		return t.err
	}
	return failed
}

// oneLine writes an answer that scripts compare: exactly one line.
func (p *Program) oneLine(s string, asJSON bool, v any) error {
	if asJSON {
		return writeJSON(p.Out, v)
	}
	_, err := fmt.Fprintln(p.Out, s)
	return err
}

func (p *Program) pinGet(o *options) *cobra.Command {
	return p.pinSub(o, "get COMPONENT", "The live version, on one line", 0, 0,
		func(ctx context.Context, s Pins, _ *config.File, c sources.Component, _ []string, asJSON bool) error {
			v, err := s.Get(ctx, c)
			if err != nil {
				return err
			}
			return p.oneLine(v, asJSON, liveJSON{Component: c, Version: v})
		})
}

func (p *Program) pinOthers(o *options) *cobra.Command {
	return p.pinSub(o, "others COMPONENT", "Every other pin on one line, to compare before and after", 0, 0,
		func(ctx context.Context, s Pins, _ *config.File, c sources.Component, _ []string, asJSON bool) error {
			line, err := s.Others(ctx, c)
			if err != nil {
				return err
			}
			return p.oneLine(line, asJSON, othersJSON{c, line})
		})
}

func (p *Program) pinLastGood(o *options) *cobra.Command {
	var not string
	cmd := p.pinSub(o, "last-good COMPONENT", "The version to go back to, on one line", 0, 0,
		func(ctx context.Context, s Pins, _ *config.File, c sources.Component, _ []string, asJSON bool) error {
			good, err := s.LastGood(ctx, c, not)
			if errors.Is(err, pin.ErrUnknown) && !noSuchPin(ctx, s, c) {
				return &exit{ExitBad, err} // a question without an answer, no mistake of the caller
			}
			if err != nil {
				return err
			}
			if p.ErrTTY && !asJSON {
				p.note("%s: %s", good.Version, good.From)
			}
			return p.oneLine(good.Version, asJSON, good)
		})
	cmd.Long = "The first that knows: what a person marked good, the driver, and the deployment history: the newest\n" +
		"version before that lived without a bad verdict."
	cmd.Flags().StringVar(&not, "not", "", "any but this `version`, which is the bad one")
	return cmd
}

// noSuchPin tells a component without a pin from one of which nothing good is known.
func noSuchPin(ctx context.Context, s Pins, c sources.Component) bool {
	_, err := s.Get(ctx, c)
	return errors.Is(err, pin.ErrUnknown)
}

func (p *Program) pinMark(o *options) *cobra.Command {
	var why string
	cmd := p.pinSub(o, "mark COMPONENT [VERSION]", "Say that a version is good; the live one when none is named", 0, 1,
		func(ctx context.Context, s Pins, _ *config.File, c sources.Component, args []string, asJSON bool) error {
			var version string
			if len(args) > 0 {
				version = args[0]
			} else {
				v, err := s.Get(ctx, c)
				if err != nil {
					return err
				}
				version = v
			}
			if err := s.Mark(ctx, c, version, why); err != nil {
				return err
			}
			return p.oneLine(fmt.Sprintf("%s %s is marked good", c, version), asJSON, liveJSON{Component: c, Version: version})
		})
	cmd.Flags().StringVar(&why, "why", "", "what it is based on, in your `words`")
	return cmd
}

func (p *Program) pinList(o *options) *cobra.Command {
	return p.pinSub(o, "list COMPONENT", "The versions that it can be set to", 0, 0,
		func(ctx context.Context, s Pins, cfg *config.File, c sources.Component, _ []string, asJSON bool) error {
			list, err := s.List(ctx, c)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.Out, list)
			}
			t := p.printer(o, cfg.UI)
			tb := table{}
			for _, v := range list {
				state := ""
				if v.Live {
					state = "live"
				}
				if v.Good {
					state = strings.TrimSpace(state + " good")
				}
				since := cell{"", nil}
				if !v.Since.IsZero() {
					since = cell{v.Since.UTC().Format("2006-01-02 15:04Z"), &t.theme.Dim}
				}
				tb.add(cell{v.Name, &t.theme.Bright}, plainCell(state), since, cell{v.Note, &t.theme.Dim})
			}
			tb.print(t)
			return t.err
		})
}

func (p *Program) pinSet(o *options) *cobra.Command {
	var current string
	cmd := p.pinSub(o, "set COMPONENT VERSION", "Move a pin, only while it is still what you saw", 1, 1,
		func(ctx context.Context, s Pins, _ *config.File, c sources.Component, args []string, asJSON bool) error {
			version, seen := args[0], current
			if seen == "" {
				if !p.InTTY || !p.ErrTTY {
					return usage("say what it must be now, so that nothing moves by surprise: rollcall pin set %s %s --if-current VERSION", c, version)
				}
				now, err := s.Get(ctx, c)
				if err != nil {
					return err
				}
				if now == version {
					p.note("%s is %s already; nothing to do", c, version)
					return p.movedLine(c, now, version, asJSON)
				}
				yes, err := p.ask(ctx, "Move %s from %s to %s? [y/N] ", c, now, version)
				if err != nil {
					return err
				}
				if !yes {
					return &exit{ExitBad, errors.New("nothing was changed")}
				}
				seen = now
			}
			if err := s.Set(ctx, c, version, seen); err != nil {
				return err
			}
			return p.movedLine(c, seen, version, asJSON)
		})
	cmd.Long = "Moves the pin only while its version is the one given with --if-current. Without it the command shows\n" +
		"what it would do and asks, on a terminal. How it ended is recorded in the journal."
	cmd.Flags().StringVar(&current, "if-current", "", "the `version` that must be live now")
	return cmd
}

func (p *Program) movedLine(c sources.Component, from, to string, asJSON bool) error {
	return p.oneLine(fmt.Sprintf("%s is %s (was %s)", c, to, from), asJSON, movedJSON{c, from, to, string(pin.Done)})
}

// ask puts a question to the person at the terminal. Leaving is a no.
func (p *Program) ask(ctx context.Context, format string, args ...any) (bool, error) {
	_, _ = fmt.Fprint(p.Err, clean(fmt.Sprintf(format, args...)))
	answers := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(p.In, 64)).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answers:
		return a == "y" || a == "yes", nil
	case <-ctx.Done():
		_, _ = fmt.Fprintln(p.Err)
		return false, ctx.Err()
	}
}
