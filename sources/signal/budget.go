package signal

import (
	"context"
	"fmt"
	"math"
	"time"

	"rollcall/sources"
)

// budget returns the budget of a scope in USD: from the configuration, else from the service's own metric.
func (r *run) budget(ctx context.Context, scope string) (float64, error) {
	b := r.svc.Budget
	own := map[string]float64{"day": b.Day, "period": b.Period, "hour": b.Hour, "user_hour": b.UserHour, "request": b.Request}[scope]
	if own > 0 {
		return own, nil
	}
	missing := errNotExposed{missing: scope + " budget; set it under budget"}
	if r.e.deps.Prom == nil || r.failed == nil && !r.seen.of(LLMOps).has("llmops_budget_usd") {
		return 0, missing
	}
	if r.failed != nil {
		return 0, r.failed
	}
	all, err := r.counts.get("budgets", func() (map[string]float64, error) {
		series, _, err := r.e.deps.Prom.Query(ctx, expand(budgetQuery, r.svc.scope(LLMOps), 0, ""), r.now)
		if err != nil {
			return nil, err
		}
		out := map[string]float64{}
		for _, s := range series {
			if len(s.Points) > 0 {
				out[s.Labels["scope"]] = s.Points[0].V
			}
		}
		return out, nil
	})
	if err != nil {
		return 0, err
	}
	if v := all[scope]; v > 0 && !math.IsInf(v, 0) {
		return v, nil
	}
	return 0, missing
}

// outlook is where the day ends at the present pace.
type outlook struct {
	total float64   // USD at midnight
	out   time.Time // when the budget is spent; zero when it lasts
}

// dayOutlook follows yesterday's course of the day, scaled by how this hour
// compares with the same hour yesterday; without yesterday, this hour goes on.
func dayOutlook(l *ledger, now time.Time, budget float64) outlook {
	hour := l.between(now.Add(-time.Hour), l.end)
	before := l.between(now.Add(-25*time.Hour), now.Add(-24*time.Hour))
	perStep := hour / float64(time.Hour/l.step)
	scale := 0.0
	if before > 0 {
		scale = min(max(hour/before, 0.2), 10)
	}
	yesterday := map[int64]float64{}
	for _, p := range l.steps {
		yesterday[p.T.Unix()] = p.V
	}
	o := outlook{total: l.between(midnight(now), l.end) + l.tail}
	if o.total >= budget {
		o.out = now
	}
	for t := l.end.Add(l.step); !t.After(midnight(now).Add(24 * time.Hour)); t = t.Add(l.step) {
		v, ok := yesterday[t.Add(-24*time.Hour).Unix()]
		if v *= scale; !ok || scale == 0 {
			v = perStep
		}
		o.total += v
		if o.out.IsZero() && o.total >= budget {
			o.out = t
		}
	}
	return o
}

// verdict of a budget: levels count only when the budget will not last.
func budgetVerdict(sig *Signal, used float64, o outlook, now time.Time, until string) (sources.Verdict, string) {
	switch {
	case used >= 1:
		return sources.Bad, format(used, sources.Ratio) + " of the budget spent"
	case o.out.IsZero():
		return sources.OK, "lasts until " + until
	case sig.level(used) == sources.Bad || o.out.Sub(now) <= soon:
		return sources.Bad, fmt.Sprintf("runs out in %s, at %s", short(o.out.Sub(now)), clockTime(o.out, now))
	case sig.level(used) == sources.Watch:
		return sources.Watch, fmt.Sprintf("%s used, runs out at %s", format(used, sources.Ratio), clockTime(o.out, now))
	}
	return sources.OK, "runs out at " + clockTime(o.out, now)
}

func budgetUsed(ctx context.Context, r *run) (measured, error) {
	sig := r.svc.signal("budget_used")
	l, err := r.today(ctx)
	if err != nil {
		return measured{}, err
	}
	out := measured{prov: l.prov, facts: l.facts, atLeast: l.facts.Sampled}
	day, dayErr := r.budget(ctx, "day")
	if dayErr == nil {
		spent := l.between(midnight(r.now), l.end) + l.tail
		p := r.figure(l, spent/day, r.sliding(l, startOfDay, 1/day)).parts[0]
		p.name = "day"
		p.verdict, p.why = budgetVerdict(sig, p.value, dayOutlook(l, r.now, day), r.now, "midnight")
		out.parts = append(out.parts, p)
	}
	if p, err := r.periodUsed(ctx, sig, l); err == nil {
		out.parts = append(out.parts, p)
	}
	if len(out.parts) == 0 {
		return measured{}, dayErr
	}
	return out, nil
}

// periodUsed is the share of the month's budget, at the pace of the last day.
func (r *run) periodUsed(ctx context.Context, sig *Signal, l *ledger) (part, error) {
	period, err := r.budget(ctx, "period")
	if err != nil {
		return part{}, err
	}
	first := time.Date(r.now.UTC().Year(), r.now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	hours, err := r.spent(ctx, first, periodStep)
	if err != nil {
		return part{}, err
	}
	spent := hours.between(first, hours.end) + l.between(hours.end, l.end) + l.tail
	o := outlook{total: spent}
	if perDay := l.between(r.now.Add(-24*time.Hour), l.end); perDay > 0 {
		left := time.Duration(max(0, period-spent) / perDay * float64(24*time.Hour))
		if out := r.now.Add(left); out.Before(first.AddDate(0, 1, 0)) {
			o.out = out
		}
	}
	since := func(time.Time) time.Time { return first }
	p := r.figure(l, spent/period, r.sliding(hours, since, 1/period)).parts[0]
	p.name = "period"
	p.verdict, p.why = budgetVerdict(sig, p.value, o, r.now, "the end of the month")
	return p, nil
}

func budgetForecast(ctx context.Context, r *run) (measured, error) {
	sig := r.svc.signal("budget_forecast")
	l, err := r.today(ctx)
	if err != nil {
		return measured{}, err
	}
	day, err := r.budget(ctx, "day")
	if err != nil {
		return measured{}, err
	}
	o := dayOutlook(l, r.now, day)
	m := r.figure(l, o.total/day, nil)
	p := &m.parts[0]
	p.verdict, p.why = sig.level(p.value), "lasts until midnight"
	if !o.out.IsZero() {
		left := o.out.Sub(r.now)
		if m.detail = "runs out at " + clockTime(o.out, r.now); left <= soon {
			p.verdict = sources.Bad
		}
		p.why = "runs out in " + short(max(0, left))
		if left <= 0 {
			p.why = "spent"
		}
	}
	return m, nil
}

func budgetHour(ctx context.Context, r *run) (measured, error) {
	l, err := r.today(ctx)
	if err != nil {
		return measured{}, err
	}
	hour, err := r.budget(ctx, "hour")
	if err != nil {
		return measured{}, err
	}
	return r.figure(l, l.between(l.end.Add(-time.Hour), l.end)/hour, r.sliding(l, hourBefore, 1/hour)), nil
}

// budgetUserHour estimates what the top caller spends in an hour: its share of
// the requests times the hour's spend. No metric carries the spend of a person.
func budgetUserHour(ctx context.Context, r *run) (measured, error) {
	budget, err := r.budget(ctx, "user_hour")
	if err != nil {
		return measured{}, err
	}
	l, err := r.today(ctx)
	if err != nil {
		return measured{}, err
	}
	top, err := r.measure(ctx, r.svc.signal("unusual_query"))
	if err != nil {
		return measured{}, err
	}
	share := total(top.parts)
	if !share.known {
		return measured{}, errNotExposed{missing: "share of the top caller just now"}
	}
	// The budget is for an hour, so the share is that of the hour too, not of this moment.
	over := func(at time.Time) float64 {
		sum, n := 0.0, 0
		for _, p := range share.history {
			if !p.T.After(at) && at.Sub(p.T) < time.Hour {
				sum += p.V
				n++
			}
		}
		return sum / float64(max(1, n))
	}
	var history []sources.Point
	for _, p := range r.sliding(l, hourBefore, 1/budget) {
		if s := over(p.T); s > 0 {
			history = append(history, sources.Point{T: p.T, V: p.V * s})
		}
	}
	m := r.figure(l, over(r.now)*l.between(l.end.Add(-time.Hour), l.end)/budget, history)
	m.prov.Query = top.prov.Query + " × " + l.prov.Query
	m.detail = "estimate from share of requests"
	return m, nil
}

// budgetRequest compares the mean cost of a request with its budget.
func budgetRequest(ctx context.Context, r *run) (measured, error) {
	budget, err := r.budget(ctx, "request")
	if err != nil {
		return measured{}, err
	}
	m, err := r.measure(ctx, r.svc.signal("cost_per_req"))
	if err != nil {
		return measured{}, err
	}
	p := total(m.parts)
	history := make([]sources.Point, len(p.history))
	for i, h := range p.history {
		history[i] = sources.Point{T: h.T, V: h.V / budget}
	}
	m.parts = []part{{value: p.value / budget, known: p.known, n: p.n, history: history}}
	m.basis, m.detail = basis{}, "mean"
	return m, nil
}
