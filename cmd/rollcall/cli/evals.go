package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"rollcall/runbooks/pin"
)

func (p *Program) evalsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "evals", Short: "Run the eval suite", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.evalsRun(o))
	return cmd
}

func (p *Program) evalsRun(o *options) *cobra.Command {
	var keep string
	var candidate bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the suite of the configuration against what is live",
		Long: "Runs the command under evals: in the configuration, shows what it prints, and judges the result file.\n" +
			"The counts and the file's SHA-256 go into the journal. Exit code 1 when fewer cases pass than are\n" +
			"needed, 3 when there is no result at all.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&candidate, "candidate", false, "against the version of a rollout that is on trial, instead of what is live")
	cmd.Flags().StringVar(&keep, "result", "", "keep the result in this `file`")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		s, _, err := p.pins(o)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		out := p.Out
		if asJSON {
			out = p.Err
		}
		run, err := s.RunEvals(cmd.Context(), out, keep, candidate)
		if err != nil {
			if errors.Is(err, pin.ErrUnknown) {
				return pinExit(err)
			}
			return &exit{ExitUnreachable, err}
		}
		word := "failed"
		if run.Pass {
			word = "passed"
		}
		if err := p.oneLine("evals "+word+": "+clean(run.Why), asJSON, run); err != nil {
			return err
		}
		if !run.Pass {
			return &exit{code: ExitBad}
		}
		return nil
	}
	return cmd
}
