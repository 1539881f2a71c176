package cli

import (
	"github.com/spf13/cobra"

	"rollcall/runbooks/pin"
)

func (p *Program) featureCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "feature",
		Short: "List and switch features of the service",
		Long: "Features are what can be switched off to save money or to be safe: a cache, a tool, an expensive step.\n" +
			"They are reached through the features driver in the configuration.",
		Example: "  rollcall feature list\n  rollcall feature off agent_tools",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.featureList(o), p.featureSwitch(o, "on", true), p.featureSwitch(o, "off", false))
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
