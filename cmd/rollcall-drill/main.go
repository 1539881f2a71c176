// Command rollcall-drill is a simulated LLM support assistant with its own
// metric and log servers, for practising with the rollcall console.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall-drill/scenarios"
)

// version is set by the linker.
var version = "dev"

func main() {
	say := newSpeaker(os.Stdout)
	if err := command(say).Execute(); err != nil {
		say.failed(err)
		fmt.Fprintln(os.Stderr, "rollcall-drill:", err)
		os.Exit(1)
	}
}

func command(say *speaker) *cobra.Command {
	o := options{}
	list := false
	cmd := &cobra.Command{
		Use:   "rollcall-drill",
		Short: "A simulated LLM support assistant to practise on; rollcall drill starts it",
		Long: `A simulated LLM support assistant with metric and log servers of its own.

"rollcall drill" starts this program and opens the console on it. It runs until its standard input ends.`,
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				return printScenarios(cmd)
			}
			return runUntilStopped(cmd.Context(), o, say)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.state, "state", "", "folder for everything that the drill writes; must exist")
	f.StringVar(&o.scenario, "scenario", "prompt-regression", "name of a built-in scenario, or path of a YAML file")
	f.Int64Var(&o.seed, "seed", 1, "the same seed gives the same run")
	f.Float64Var(&o.speed, "speed", 10, "service time per wall time, 1 or more")
	f.StringVar(&o.grpc, "otlp-grpc", "", "address that takes OTLP over gRPC; \"off\" sends no traces")
	f.StringVar(&o.http, "otlp-http", "", "address that takes OTLP over HTTP; only written into the config")
	f.StringVar(&o.configOut, "config-out", "", "where the console's configuration is written; default STATE/rollcall.yaml")
	f.DurationVar(&o.life, "for", 0, "end by itself after this much wall time")
	f.Var(&o.start, "start", "service time at the start, RFC 3339; default: as far in the past as forty accelerated minutes need")
	f.BoolVar(&list, "list", false, "list the built-in scenarios")
	cmd.AddCommand(evalsCommand(), resetCommand())
	return cmd
}

func printScenarios(cmd *cobra.Command) error {
	all, err := scenarios.All()
	if err != nil {
		return err
	}
	for _, s := range all {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", s.Name, s.Description); err != nil {
			return err
		}
	}
	return nil
}

// runUntilStopped runs a drill until its launcher is gone, a signal comes, or its time is up.
func runUntilStopped(ctx context.Context, o options, say *speaker) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go whenInputEnds(os.Stdin, func() { cancel(errLauncherGone) })
	go whenParentDies(ctx, func() { cancel(errLauncherGone) })

	d, err := newDrill(ctx, o, say)
	if err != nil {
		return err
	}
	// Whatever hangs, the program is gone within a second of being told.
	context.AfterFunc(ctx, func() {
		time.AfterFunc(lastWords, func() {
			d.abandon()
			os.Exit(0)
		})
	})
	err = d.run(ctx)
	d.close(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // told to stop while starting
	}
	return err
}

// lastWords is wall time for closing what is open.
const lastWords = 700 * time.Millisecond

var errLauncherGone = errors.New("the launcher is gone")

// speaker writes the launch protocol: one JSON object a line.
type speaker struct{ enc *json.Encoder }

func newSpeaker(f *os.File) *speaker {
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	return &speaker{enc}
}

func (s *speaker) progress(done float64, what string) {
	s.say(map[string]any{"progress": float64(int(done*1000)) / 1000, "what": what})
}

func (s *speaker) failed(err error) { s.say(map[string]string{"error": err.Error()}) }

// say drops what nobody reads: the launcher may be gone.
func (s *speaker) say(v any) { _ = s.enc.Encode(v) }
