// Command rollcall is the console for on-call engineers who run LLM products,
// with everything it can do as subcommands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rollcall/runbooks/run/recorder"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == recorder.Argument {
		os.Exit(recorder.Main(os.Args[2])) // runs one command for a runbook, and nothing else
	}
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return newProgram().Run(ctx, os.Args[1:])
}
