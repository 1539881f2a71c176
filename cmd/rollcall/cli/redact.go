package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
)

// Redactor replaces secrets and personal data in a stream.
type Redactor interface {
	// Stream copies in to out, redacted; lines leave as soon as they can be judged.
	Stream(out io.Writer, in io.Reader) error
	// SelfTest runs the corpus and the user's patterns; it returns one line for each failure.
	SelfTest() (ran int, failures []string)
}

func (p *Program) redactCommand(o *options) *cobra.Command {
	var selftest bool
	cmd := &cobra.Command{
		Use:   "redact",
		Short: "Filter standard input",
		Long: "Copies standard input to standard output with secrets and personal data replaced by placeholders\n" +
			"such as <email:1>, and terminal controls made visible. Patterns of the configuration are used when\n" +
			"there is one. --selftest checks every pattern against its corpus instead.",
		Example: "  kubectl logs assistant-0 | rollcall redact",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&selftest, "selftest", false, "run the corpus and the patterns of the configuration")
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := config.LoadOrDefault(o.config, p.Env)
		if err != nil {
			return err
		}
		r, err := p.Redactor(cfg)
		if err != nil {
			return &exit{ExitUsage, err}
		}
		if selftest {
			ran, failures := r.SelfTest()
			for _, f := range failures {
				_, _ = fmt.Fprintln(p.Out, clean(f))
			}
			if len(failures) > 0 {
				return &exit{ExitBad, fmt.Errorf("%d of %d checks failed", len(failures), ran)}
			}
			_, err := fmt.Fprintf(p.Out, "%d checks, all fine\n", ran)
			return err
		}
		out := bufio.NewWriterSize(p.Out, 64<<10)
		if err := errors.Join(r.Stream(out, p.In), out.Flush()); err != nil {
			return &exit{ExitBad, fmt.Errorf("standard input: %w", err)}
		}
		return nil
	}
	return cmd
}
