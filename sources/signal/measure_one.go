package signal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

const (
	oneRange     = 15 * time.Minute
	onePatience  = 5 * time.Second // wall time that one reading waits for what is usual
	shownQueries = 80
)

// Measure reads and judges one signal as it is now, with what is usual, for
// which it waits within bounds. It fails for an unknown service or signal and
// when ctx ends; a source that does not answer is a matter of the verdict.
func (e *Evaluator) Measure(ctx context.Context, service, id string) (sources.Reading, error) {
	view := sources.View{Range: oneRange, Columns: int(oneRange / (30 * time.Second))}
	read := func() (sources.Reading, error) {
		r, err := e.begin(ctx, service, view)
		if err != nil {
			return sources.Reading{}, err
		}
		i := slices.IndexFunc(r.svc.signals, func(s Signal) bool { return s.ID == id })
		if i < 0 {
			return sources.Reading{}, fmt.Errorf("no signal %q; rollcall status -o json lists them", id)
		}
		return r.reading(ctx, &r.svc.signals[i]), ctx.Err()
	}
	out, err := read()
	if err != nil || out.Usual != nil || !e.usual.missing(service) {
		return out, err
	}
	bounded, cancel := context.WithTimeout(ctx, onePatience)
	defer cancel()
	if e.usual.wait(bounded, service) != nil {
		return out, ctx.Err()
	}
	return read()
}

// PromQL evaluates a query as it is now. The placeholders $scope and $window are
// filled in. No series is an unknown number; several are an error.
func (e *Evaluator) PromQL(ctx context.Context, service, query string) (sources.Num, sources.Provenance, error) {
	r, err := e.begin(ctx, service, sources.View{Range: oneRange})
	if err != nil {
		return sources.Num{}, sources.Provenance{}, err
	}
	if e.deps.Prom == nil {
		return sources.Num{}, sources.Provenance{}, fmt.Errorf("no Prometheus is configured to ask; add prometheus: {url: ...}")
	}
	expr := expand(query, r.svc.Scope, r.window, "")
	series, _, err := e.deps.Prom.Query(ctx, expr, r.now)
	v, err := single(series, expr, err)
	return v, sources.Provenance{Provider: "prometheus", Query: expr}, err
}

// LogQL is PromQL for metric queries over logs; $logs is the service's selector.
func (e *Evaluator) LogQL(ctx context.Context, service, query string) (sources.Num, sources.Provenance, error) {
	r, err := e.begin(ctx, service, sources.View{Range: oneRange})
	if err != nil {
		return sources.Num{}, sources.Provenance{}, err
	}
	if e.deps.Logs == nil {
		return sources.Num{}, sources.Provenance{}, fmt.Errorf("no Loki is configured to ask; add loki: {url: ...}")
	}
	expr := expandLogs(query, r.svc.Logs, r.window)
	series, _, err := e.deps.Logs.Instant(ctx, expr, r.now)
	v, err := single(series, expr, err)
	return v, sources.Provenance{Provider: "loki", Query: expr}, err
}

func single(series []sources.Series, expr string, err error) (sources.Num, error) {
	switch {
	case err != nil:
		return sources.Num{}, err
	case len(series) > 1:
		if r := []rune(expr); len(r) > shownQueries {
			expr = string(r[:shownQueries]) + "…"
		}
		return sources.Num{}, fmt.Errorf("%s gives %d series and a check needs one; wrap it in sum(...)", strings.TrimSpace(expr), len(series))
	case len(series) == 0 || len(series[0].Points) == 0:
		return sources.Num{}, nil
	}
	return sources.N(series[0].Points[len(series[0].Points)-1].V), nil
}
