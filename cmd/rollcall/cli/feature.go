package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rollcall/runbooks/pin"
)

func (p *Program) featureCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "feature",
		Short: "List and switch features of the service",
		Long: "Features are what can be switched off to save money or to be safe: a cache, a tool, an expensive step.\n" +
			"They are reached through the features driver in the configuration.",
		Example: "  rollcall feature list\n  rollcall feature find acme\n  rollcall feature off agent_tools",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.featureList(o), p.featureGet(o), p.featureFind(o), p.featureSwitch(o, "on", true), p.featureSwitch(o, "off", false))
	return cmd
}

func (p *Program) featureList(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "The features, and which are on", Args: cobra.NoArgs}
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
		list, err := s.Features(cmd.Context())
		if err != nil {
			return pinExit(err)
		}
		if asJSON {
			if list == nil {
				list = []pin.Feature{}
			}
			return writeJSON(p.Out, list)
		}
		t := p.printer(o, cfg.UI)
		tb := table{}
		for _, f := range list {
			state := plainCell("on")
			if !f.Enabled {
				state = cell{"off", &t.theme.Watch}
			}
			tb.add(plainCell(f.Name), state)
		}
		tb.print(t)
		return t.err
	}
	return cmd
}

func (p *Program) featureGet(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Whether a feature is on or off", Args: cobra.ExactArgs(1),
		Long: "Prints on or off. Exit code 2: it is not in the list, which of some services holds only what is off.",
	}
	return p.featureOne(o, cmd, func(ctx context.Context, s Pins, word string) (pin.Feature, string, error) {
		f, err := s.Feature(ctx, word)
		if f.Enabled {
			return f, "on", err
		}
		return f, "off", err
	})
}

func (p *Program) featureFind(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "find WORD", Short: "The feature that is named after a tenant, a tool or a route", Args: cobra.ExactArgs(1),
		Long: "Prints the one feature that has the word as a part of its name, such as tenant.acme for acme.\n" +
			"Exit code 1: there is none, or more than one.",
		Example: "  rollcall feature find acme",
	}
	return p.featureOne(o, cmd, func(ctx context.Context, s Pins, word string) (pin.Feature, string, error) {
		f, err := s.FindFeature(ctx, word)
		return f, f.Name, err
	})
}

// featureOne is a command that tells of one feature on one line.
func (p *Program) featureOne(o *options, cmd *cobra.Command, one func(ctx context.Context, s Pins, word string) (pin.Feature, string, error)) *cobra.Command {
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
		f, words, err := one(cmd.Context(), s, args[0])
		if err != nil {
			return pinExit(err)
		}
		return p.oneLine(words, asJSON, f)
	}
	return cmd
}

func (p *Program) featureSwitch(o *options, word string, on bool) *cobra.Command {
	cmd := &cobra.Command{Use: word + " NAME", Short: "Switch a feature " + word, Args: cobra.ExactArgs(1)}
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
		if err := s.Switch(cmd.Context(), args[0], on); err != nil {
			return pinExit(err)
		}
		return p.oneLine(args[0]+" is "+word, asJSON, pin.Feature{Name: args[0], Enabled: on})
	}
	return cmd
}
