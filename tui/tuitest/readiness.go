package tuitest

import (
	"context"
	"errors"
	"time"

	"rollcall/runbooks/readiness"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/store/journal"
)

// Rehearse is Plan for the rehearsal target.
func (d *Desk) Rehearse(ctx context.Context, service, runbook string, vars map[string]string) (*run.Plan, error) {
	p, err := d.Plan(ctx, service, runbook, vars)
	if err == nil {
		p.Target.Rehearsal, p.Why = true, ""
	}
	return p, err
}

// ResetCommand returns Resets.
func (d *Desk) ResetCommand(string) string { return d.Resets }

// ResetRehearsals writes down that it was done.
func (d *Desk) ResetRehearsals(ctx context.Context, service string) error {
	if err := d.check(ctx); err != nil {
		return err
	}
	if d.Resets == "" {
		return errors.New("no reset is configured")
	}
	d.Add(journal.Entry{Kind: journal.RehearsalReset, Actor: "ana", Origin: "console", Service: service}, nil)
	return nil
}

// Readiness answers from Evidence.
func (d *Desk) Readiness(ctx context.Context, service string) (readiness.Report, error) {
	if err := d.check(ctx); err != nil {
		return readiness.Report{}, err
	}
	e := *d.Evidence
	e.Service, e.Now = service, d.clock.Now()
	return readiness.Judge(&e), nil
}

// Evidence is that of a team that has done some of it.
func Evidence() *readiness.Evidence {
	const day = 24 * time.Hour
	e := &readiness.Evidence{
		Evals: true,
		Requests: readiness.RequestsSeen{Over: day, N: 500, Traffic: true, Opened: 3, Texts: 3, Parts: []readiness.Share{
			{What: "request ID", N: 500, Of: 500},
			{What: "prompt version", N: 500, Of: 500},
			{What: "model pinned to a snapshot", N: 221, Of: 500, Next: "set gen_ai.response.model, and ask the provider for a dated snapshot instead of an alias"},
			{What: "index version", N: 480, Of: 482},
			{What: "manifest", N: 500, Of: 500},
		}},
		Fatigue: readiness.Fatigue{Over: 28 * day, Firings: 31, Rules: 6, Useless: []string{"ttft_p95"}, Acted: sources.N(.61), PerShift: sources.N(.6)},
		Budgets: readiness.Budgets{
			Scopes: []string{"day", "period"}, Features: true,
			Caches:   []readiness.Signal{{ID: "cache_exact", Verdict: sources.OK}, {ID: "cache_semantic", Verdict: sources.OK}},
			Fallback: []readiness.Signal{{ID: "fallback_rate", Verdict: sources.OK}},
		},
		Logs: readiness.LogsSeen{
			Over: 6 * time.Hour, N: 600, Structured: 600, Identified: 571, Field: "request_id", Hits: map[string]int{"email": 4, "api-key": 1},
		},
		Incidents: readiness.Incidents{Closed: []readiness.Closed{{ID: "INC-6", At: Start.Add(-day), Cases: 1}}},
		Practice:  readiness.Practice{Drill: readiness.Drill{At: Start.Add(-12 * day), Scenario: "index-drift", Verified: true}},
	}
	for _, w := range []string{"SEV1", "SEV2", "SEV3", "SEV4"} {
		e.Meanings.Severities = append(e.Meanings.Severities, readiness.Meaning{Word: w, Means: "x", Own: w == "SEV1"})
	}
	e.Runbooks.Target = true
	for _, c := range []sources.Component{sources.Prompt, sources.Model, sources.Index} {
		e.Pins.Pins = append(e.Pins.Pins, readiness.Pin{Component: c, Version: "v13"})
		b := readiness.Book{ID: "rollback-" + string(c), Component: c, Every: 30 * day}
		if c != sources.Model {
			b.Rehearsed = readiness.Done{At: Start.Add(-9 * day), What: "RUN-2", Same: c == sources.Prompt}
		}
		e.Runbooks.Books = append(e.Runbooks.Books, b)
	}
	for id, v := range map[string]sources.Verdict{
		"latency_p50": sources.OK, "latency_p95": sources.OK, "latency_p99": sources.OK, "ttft_p95": sources.OK, "cost_per_req": sources.OK,
		"spend_rate": sources.OK, "spend_today": sources.OK, "error_ratio": sources.OK, "error_by_type": sources.OK,
		"schema_fail": sources.Unreachable, "feedback": sources.Unreachable, "complaints": sources.NotExposed, "eval_score": sources.Unreachable, "retrieval_hit": sources.OK,
	} {
		e.Signals.Signals = append(e.Signals.Signals, readiness.Signal{ID: id, Verdict: v})
	}
	return e
}
