// Command rollcall is the console for on-call engineers who run LLM products,
// with everything it can do as subcommands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return newProgram().Run(ctx, os.Args[1:])
}
