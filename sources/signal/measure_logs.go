package signal

import (
	"context"
	"time"

	"rollcall/sources"
)

// logRanger lets the stitching cache read LogQL.
type logRanger struct{ Logs }

func (l logRanger) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	return l.Metric(ctx, expr, start, end, step)
}

const (
	logStep   = time.Minute     // LogQL reads every line again: history is asked for no finer
	logSilent = 5 * time.Minute // wall time for which a query that found nothing is left alone
)

// log reads a LogQL metric query. One that finds nothing is no evidence that the
// logs carry the signal, so that the next provider is asked.
func (r *run) log(ctx context.Context, sig *Signal) (measured, error) {
	window := max(r.window, sig.Window)
	expr := expandLogs(sig.LogQL, r.svc.Logs, window)
	wall := r.e.deps.Clock.Wall()
	r.e.mu.Lock()
	until := r.e.silent[expr]
	r.e.mu.Unlock()
	if wall.Before(until) {
		return measured{}, errNotExposed{missing: "log line that tells"}
	}
	step := max(r.step, logStep)
	newest, facts, err := r.e.deps.Logs.Instant(ctx, expr, r.now)
	if err != nil {
		return measured{}, err
	}
	quiet := func() (measured, error) {
		r.e.mu.Lock()
		r.e.silent[expr] = wall.Add(logSilent)
		r.e.mu.Unlock()
		return measured{}, errNotExposed{missing: "log line that tells"}
	}
	if len(newest) == 0 {
		return quiet()
	}
	series, _, err := r.e.logs.Range(ctx, expr, r.now.Add(-r.view.Range), r.now, step)
	if err != nil {
		return measured{}, err
	}
	m := measured{prov: sources.Provenance{Provider: "loki", Profile: "logql", Query: expr}, facts: facts}
	m.facts.Source = "loki"
	m.parts, _ = r.fold(extend(trim(series, r.now), newest), &Source{}, "", false)
	settle(m.parts, r.now, step)
	m.facts.At = newestOf(m.parts)
	if len(m.parts) == 0 {
		return quiet()
	}
	return m, nil
}

// trim drops the points at or after a time, which an instant answer knows better.
func trim(series []sources.Series, at time.Time) []sources.Series {
	out := make([]sources.Series, 0, len(series))
	for _, s := range series {
		n := len(s.Points)
		for n > 0 && !s.Points[n-1].T.Before(at) {
			n--
		}
		out = append(out, sources.Series{Labels: s.Labels, Points: s.Points[:n:n]})
	}
	return out
}
