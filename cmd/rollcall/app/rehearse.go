package app

import (
	"context"
	"fmt"
	"strings"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
)

// Rehearse resolves a runbook for the rehearsal target without acting. It belongs
// to no incident: practice is no part of one.
func (a *App) Rehearse(ctx context.Context, service, runbook string, vars map[string]string) (*run.Plan, error) {
	s, err := a.service(service)
	if err != nil {
		return nil, err
	}
	if s.Rehearsal == nil {
		return nil, fmt.Errorf("%s has no target to rehearse on; set services.%s.rehearsal, and nothing live is touched", service, service)
	}
	rb, err := a.Runbook(ctx, service, runbook)
	if err != nil {
		return nil, err
	}
	e, err := a.Engine()
	if err != nil {
		return nil, err
	}
	return e.Plan(ctx, rb, run.Target{Service: service, Environment: s.Environment, Rehearsal: true}, vars)
}

// ResetCommand is what ResetRehearsals runs, to be read; empty where the configuration has none.
func (a *App) ResetCommand(service string) string {
	if s := a.cfg.Services[service]; s.Rehearsal != nil {
		return line(strings.Join(s.Rehearsal.Reset, " "))
	}
	return ""
}

// ResetRehearsals puts the rehearsal target back to where rehearsals begin. While
// a rehearsal goes on it is refused: what that one has moved would move under it.
func (a *App) ResetRehearsals(ctx context.Context, service string) error {
	runs, err := a.Runs(ctx, service)
	if err != nil {
		return err
	}
	for i := range runs {
		if r := &runs[i]; r.Outcome == "" && r.Target.Rehearsal {
			return fmt.Errorf("%s is a rehearsal that has not ended; finish or stop it first", r.ID)
		}
	}
	env := func(name string) (string, bool) {
		if name == runbooks.EnvRehearsal {
			return "1", true
		}
		return "", false
	}
	pins, err := OpenPins(a.cfg, service, env, nil)
	if err != nil {
		return err
	}
	defer func() { _ = pins.Close() }()
	return pins.Reset(ctx)
}
