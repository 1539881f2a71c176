package app

import (
	"context"
	"errors"
	"log/slog"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
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
	watch, err := watchAlone(ctx, cfg, clock, log, in)
	if err != nil {
		return errors.Join(err, in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
	}
	up(grpc, http, cfg.State)
	err = watch()
	<-ctx.Done()
	log.Info("ending")
	return errors.Join(err, in.Close()) //nolint:contextcheck // what is open is closed whatever became of ctx
}

// watchAlone opens what it takes to watch the services and to mirror the journal
// while no console does. The function that it returns does so until ctx ends.
// Where no service is configured there is only the mirror.
func watchAlone(ctx context.Context, cfg *config.File, clock sources.Clock, log *slog.Logger, in *Intake) (watch func() error, err error) {
	if len(cfg.Services) == 0 {
		return mirrorAlone(ctx, cfg, clock, log, in.redactor)
	}
	a, err := Open(ctx, cfg, Options{Intake: in, Origin: "collect"})
	if err != nil {
		return nil, err
	}
	return func() error {
		a.Watch(ctx)
		return a.Close() //nolint:contextcheck // what is open is closed whatever became of ctx
	}, nil
}
