package cli

import (
	"context"

	"rollcall/cmd/rollcall/config"
)

// console opens the screen, with --at on a past moment. Without a terminal it says what works without one.
func (p *Program) console(ctx context.Context, o *options) error {
	cfg, err := config.Load(o.config, p.Env)
	if err != nil {
		return err
	}
	if !p.InTTY || !p.OutTTY {
		return usage("the console needs a terminal; without one use rollcall status, requests, request, logs or changes")
	}
	if term, _ := p.Env("TERM"); term == "dumb" {
		return usage("TERM=dumb has no screen to draw on; set TERM to what this terminal is, or use rollcall status, requests, request, logs or changes")
	}
	service, err := pick(cfg, o.service, true)
	if err != nil {
		return err
	}
	s, err := p.Open(ctx, cfg, Receiving)
	if err != nil {
		return &exit{ExitUsage, err}
	}
	defer func() { _ = s.Close() }()
	v, err := o.view(s.Clock().Now())
	if err != nil {
		return err
	}
	return p.Console(ctx, ConsoleStart{Config: cfg, Session: s, Service: service, View: v, Look: p.look(o, cfg.UI)})
}
