package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks/pin"
)

type settingJSON struct {
	Setting string `json:"setting"`
	Value   string `json:"value,omitempty"`
	Range   string `json:"range,omitempty"`
	Error   string `json:"error,omitempty"`
}

type setJSON struct {
	Setting string `json:"setting"`
	From    string `json:"from"`
	To      string `json:"to"`
	Result  string `json:"result"`
}

type otherValuesJSON struct {
	Setting string `json:"setting"`
	Others  string `json:"others"`
}

// settingAction is one subcommand: it gets what is set, the setting, and the rest of the arguments.
type settingAction func(ctx context.Context, s Pins, name string, args []string, json bool) error

func (p *Program) settingCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setting",
		Short: "Read and set what is no version: share of a canary, queueing, budgets",
		Long: "Settings are what is moved while the service runs and is no version of a component: the share of a\n" +
			"canary, which colour is live, queueing, the limit of a budget. They are reached through the drivers in the\n" +
			"configuration. Without a subcommand it shows them all.\n\n" +
			"A setting is set only while its value is still the one that was seen. Exit codes are those of rollcall pin.",
		Example: "  rollcall setting list\n  rollcall setting set canary 0 --if-current 0.1",
		Args:    cobra.NoArgs,
	}
	show := func(cmd *cobra.Command) {
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
			return p.showSettings(cmd.Context(), o, s, cfg, asJSON)
		}
	}
	show(cmd)
	list := &cobra.Command{Use: "list", Short: "All settings, and what they may be", Args: cobra.NoArgs}
	show(list)
	cmd.AddCommand(list, p.settingGet(o), p.settingSet(o), p.settingOthers(o))
	return cmd
}

func (p *Program) settingSub(o *options, use, short string, args int, act settingAction) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1 + args)}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		s, _, err := p.pins(o)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		return pinExit(act(cmd.Context(), s, args[0], args[1:], asJSON))
	}
	return cmd
}

func (p *Program) showSettings(ctx context.Context, o *options, s Pins, cfg *config.File, asJSON bool) error {
	all := s.Values(ctx)
	if len(all) == 0 {
		return usage("no setting is configured; add settings: {canary: {driver: ...}} to the service")
	}
	var failed error
	out := make([]settingJSON, 0, len(all))
	t := p.printer(o, cfg.UI)
	tb := table{}
	for _, v := range all {
		j := settingJSON{Setting: v.Setting, Value: v.Value, Range: v.Range}
		shown := cell{v.Value, &t.theme.Bright}
		if v.Err != nil {
			failed = &exit{code: ExitUnreachable}
			j.Error = clean(v.Err.Error())
			shown = cell{j.Error, &t.theme.Watch}
		}
		out = append(out, j)
		tb.add(plainCell(v.Setting), shown, cell{v.Range, &t.theme.Dim})
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

func (p *Program) settingGet(o *options) *cobra.Command {
	return p.settingSub(o, "get NAME", "What a setting is, on one line", 0,
		func(ctx context.Context, s Pins, name string, _ []string, asJSON bool) error {
			v, err := s.Value(ctx, name)
			if err != nil {
				return err
			}
			return p.oneLine(v, asJSON, settingJSON{Setting: name, Value: v})
		})
}

func (p *Program) settingOthers(o *options) *cobra.Command {
	return p.settingSub(o, "others NAME", "Every other setting and every pin on one line, to compare before and after", 0,
		func(ctx context.Context, s Pins, name string, _ []string, asJSON bool) error {
			line, err := s.OtherValues(ctx, name)
			if err != nil {
				return err
			}
			return p.oneLine(line, asJSON, otherValuesJSON{name, line})
		})
}

func (p *Program) settingSet(o *options) *cobra.Command {
	var current string
	cmd := p.settingSub(o, "set NAME VALUE", "Give a setting a value, only while it is still what you saw", 1,
		func(ctx context.Context, s Pins, name string, args []string, asJSON bool) error {
			value, seen := args[0], current
			if seen == "" {
				if !p.InTTY || !p.ErrTTY {
					return usage("say what it must be now, so that nothing moves by surprise: rollcall setting set %s %s --if-current VALUE", name, value)
				}
				now, err := s.Value(ctx, name)
				if err != nil {
					return err
				}
				yes, err := p.ask(ctx, "Set %s from %s to %s? [y/N] ", name, now, value)
				if err != nil {
					return err
				}
				if !yes {
					return &exit{ExitBad, errors.New("nothing was changed")}
				}
				seen = now
			}
			if err := s.SetValue(ctx, name, value, seen); err != nil {
				return err
			}
			return p.oneLine(fmt.Sprintf("%s is %s (was %s)", name, value, seen), asJSON, setJSON{name, seen, value, string(pin.Done)})
		})
	cmd.Long = "Sets it only while its value is the one given with --if-current. Without it the command shows what it\n" +
		"would do and asks, on a terminal. How it ended is recorded in the journal."
	cmd.Flags().StringVar(&current, "if-current", "", "the `value` that it must have now")
	return cmd
}
