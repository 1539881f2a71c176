package app

import (
	"context"
	"fmt"
	"time"

	"rollcall/sources"
)

// Coverage says how many requests can be told to have been served by what.
type Coverage struct {
	Requests   int
	WithModel  int // of which the served model is known
	Unpinned   int // served under an alias that names no snapshot
	NoManifest int // what was live cannot be told
}

// Coverage counts over the request rows of a service.
func (a *App) Coverage(ctx context.Context, service string, since, until time.Time) (Coverage, sources.Facts, error) {
	var c Coverage
	step := until.Sub(since)
	if step <= 0 {
		return c, sources.Facts{}, fmt.Errorf("there is no time between %s and %s", since.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	buckets, facts, err := a.rows.Buckets(ctx, service, since, until, step, "")
	for i := range buckets {
		b := &buckets[i]
		c.Requests += b.N
		c.WithModel += b.WithModel
		c.Unpinned += b.Unpinned
		c.NoManifest += b.NoManifest
	}
	return c, facts, err
}

func (a *App) checkCoverage(ctx context.Context, service string) []Finding {
	now := a.clock.Now()
	c, _, err := a.Coverage(ctx, service, now.Add(-time.Hour), now.Add(time.Minute))
	if err != nil || c.Requests == 0 {
		return nil // the rows themselves are judged by others
	}
	var out []Finding
	switch {
	case c.WithModel == 0:
		out = append(out, Finding{"traces", "model", sources.Watch, fmt.Sprintf("none of %s says which model served it", sources.Counted(c.Requests, "request")), "set gen_ai.response.model on the spans of model calls, or name the attribute in mapping.model_served"})
	case c.Unpinned > 0:
		out = append(out, Finding{"traces", "model", sources.Watch, "unpinned " + share(c.Unpinned, c.Requests), "ask the provider for a dated snapshot instead of an alias, so that what answered can be told"})
	default:
		out = append(out, ok("traces", "model", "no request under an alias that names no snapshot"))
	}
	if c.NoManifest > 0 {
		return append(out, Finding{"traces", "manifest", sources.Watch, "no manifest " + share(c.NoManifest, c.Requests) + ": not reproducible", "set llmops.manifest.id, deployment.id or service.version on the spans or their resource"})
	}
	return append(out, ok("traces", "manifest", "in every request"))
}

func share(n, of int) string {
	p := 100 * float64(n) / float64(of)
	if p < 1 {
		return fmt.Sprintf("%.1f%% of requests (%d of %d)", p, n, of)
	}
	return fmt.Sprintf("%.0f%% of requests (%d of %d)", p, n, of)
}

// checkBackends asks every configured server that keeps traces.
func (a *App) checkBackends(ctx context.Context, _ string) []Finding {
	found := make([][]Finding, len(a.traces))
	done := make(chan struct{}, len(a.traces))
	for i, b := range a.traces {
		go func() {
			err := b.Check(ctx)
			found[i] = a.reached(b.name, b.url, a.ofDrill(b.Health()), err)
			done <- struct{}{}
		}()
	}
	var out []Finding
	for range a.traces {
		<-done
	}
	for _, f := range found {
		out = append(out, f...)
	}
	return out
}
