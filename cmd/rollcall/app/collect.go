package app

import (
	"context"
	"errors"

	"rollcall/cmd/rollcall/config"
)

// Collect receives traces, and watches the services while no console does, until
// ctx ends; up is told once the endpoint listens. Everything that was received
// before the end is stored.
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
	log.Info("receiving", "grpc", grpc, "http", http)
	var a *App
	stop := func() error { return nil }
	if len(cfg.Services) > 0 {
		a, err = Open(ctx, cfg, Options{Intake: in, Origin: "collect"})
	} else {
		stop, err = mirrorAlone(ctx, cfg, clock, log, in.redactor)
	}
	if err != nil {
		return errors.Join(err, in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
	}
	up(grpc, http, cfg.State)
	if a != nil {
		a.Watch(ctx)
		err = a.Close() //nolint:contextcheck // what is open is closed whatever became of ctx
	}
	<-ctx.Done()
	log.Info("ending")
	return errors.Join(err, stop(), in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
}
