package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
)

func (p *Program) collectCommand(o *options) *cobra.Command {
	var stopAfter time.Duration
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "The OTLP endpoint without a screen",
		Long: "Receives traces and gen_ai events over OTLP (gRPC and HTTP) while no console is open. It runs until\n" +
			"it gets SIGINT or SIGTERM, and stores what it has before it ends.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().DurationVar(&stopAfter, "for", 0, "stop after this wall `duration`")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		cfg, err := config.LoadOrDefault(o.config, p.Env)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		if stopAfter > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, stopAfter)
			defer cancel()
		}
		err = p.Collect(ctx, cfg, func(e Endpoints) {
			if asJSON {
				_ = writeLine(p.Out, e)
				return
			}
			t := p.printer(o, cfg.UI)
			t.line("receiving OTLP: gRPC %s, HTTP %s", t.or(e.GRPC), t.or(e.HTTP))
			t.line("storing in %s; stop with Ctrl-C", clean(e.State))
		})
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return &exit{ExitBad, err}
	}
	return cmd
}
