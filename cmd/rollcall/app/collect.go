package app

import (
	"context"
	"errors"

	"rollcall/cmd/rollcall/config"
)

// Collect receives traces until ctx ends; up is told once the endpoint listens.
// Everything that was received before the end is stored.
func Collect(ctx context.Context, cfg *config.File, up func(grpc, http, state string)) error {
	clock, err := cfg.Clock.Clock(nil)
	if err != nil {
		return err
	}
	if err := makeState(cfg.State); err != nil {
		return err
	}
	log, closer := openLog(cfg.State, "collect.log")
	defer func() { _ = closer.Close() }()
	in, err := OpenIntake(context.WithoutCancel(ctx), cfg, clock, log, true)
	if err != nil {
		return err
	}
	grpc, http, err := in.Endpoints(ctx)
	if err != nil {
		return errors.Join(err, in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
	}
	stop, err := mirrorAlone(ctx, cfg, clock, log, in.redactor)
	if err != nil {
		return errors.Join(err, in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
	}
	log.Info("receiving", "grpc", grpc, "http", http)
	up(grpc, http, cfg.State)
	<-ctx.Done()
	log.Info("ending")
	return errors.Join(stop(), in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
}
