package signal

import (
	"context"
	"math"
	"strings"
	"time"

	"rollcall/sources"
)

// computeFunc derives a signal from what other queries of the refresh found.
type computeFunc func(ctx context.Context, r *run) (measured, error)

const (
	ledgerStep  = 5 * time.Minute
	periodStep  = time.Hour
	soon        = 4 * time.Hour // a budget that runs out within this is bad, not only worth watching
	budgetQuery = `max by (scope) (llmops_budget_usd{$scope})`
)

// ledger is what was spent, in steps: each point is the USD of the step that ends there.
type ledger struct {
	from  time.Time
	end   time.Time // of the last whole step
	steps []sources.Point
	tail  float64 // spent since, as far as the last step tells
	step  time.Duration
	prov  sources.Provenance
	facts sources.Facts
}

// ledgerQuery asks what was spent in a step. Weeks of hours look at a counter every five
// minutes instead of at each of its samples, which are twenty times as many: an hour may
// be off by a hundredth for that, and what a process spent in its last minutes is lost.
func ledgerQuery(src Source, step time.Duration) string {
	query := strings.ReplaceAll(src.Query, "rate(", "increase(")
	if step > ledgerStep {
		query = strings.ReplaceAll(query, "[$window]", "[$window:"+promDuration(ledgerStep)+"]")
	}
	return query
}

// spent reads the ledger from a time on. Only new steps are fetched.
func (r *run) spent(ctx context.Context, from time.Time, step time.Duration) (*ledger, error) {
	return r.ledger.get(from.String()+step.String(), func() (*ledger, error) {
		var failure error
		sig := r.svc.signal("spend_rate")
		for i := range sig.From {
			src := sig.From[i]
			if src.Profile == Override {
				continue // a rate of the user's own cannot be turned into an increase
			}
			l, err := r.ledgerOf(ctx, src, from, step)
			if err == nil {
				return l, nil
			}
			failure = firstFailure(failure, err)
		}
		if r.e.rows != nil && step == ledgerStep {
			l, err := r.ledgerOfRows(ctx, from, step)
			if err == nil {
				return l, nil
			}
			failure = firstFailure(failure, err)
		}
		if failure != nil {
			return nil, failure
		}
		return nil, errNotExposed{missing: "cost metric, and no prices for its tokens"}
	})
}

func (r *run) ledgerOf(ctx context.Context, src Source, from time.Time, step time.Duration) (*ledger, error) {
	if r.e.deps.Prom == nil {
		return nil, errNotExposed{missing: "Prometheus configured"}
	}
	if r.failed != nil {
		return nil, r.failed
	}
	if err := r.down.open(); err != nil {
		return nil, err
	}
	query, missing := r.seen.of(src.Profile).resolve(ledgerQuery(src, step), src.Sparse...)
	if missing != "" || !r.seen.holds(src.Profile) || src.Priced && len(r.e.deps.Prices) == 0 {
		return nil, errNotExposed{missing: missing}
	}
	expr := expand(query, r.svc.scope(src.Profile), step, "")
	l := &ledger{from: from.Truncate(step), end: r.now.Truncate(step), step: step}
	series, facts, err := r.e.metrics.Range(ctx, expr, l.from, l.end, step)
	r.down.note(err)
	if err != nil {
		return nil, err
	}
	if src.Shy != "" && len(series) == 0 {
		return nil, errNotExposed{src.Shy, within}
	}
	parts, unpriced := r.fold(series, &src, "", false)
	if len(parts) == 0 && len(unpriced) > 0 {
		return nil, errNotExposed{"price for " + strings.Join(unpriced, ", "), mendable}
	}
	if len(unpriced) > 0 {
		facts.Partial = "no price for " + strings.Join(unpriced, ", ") + "; add it under prices"
	}
	l.steps = total(parts).history
	l.prov = sources.Provenance{Provider: "prometheus", Profile: src.Profile, Query: expr}
	l.facts = facts
	l.close(r.now)
	return l, nil
}

func (r *run) ledgerOfRows(ctx context.Context, from time.Time, step time.Duration) (*ledger, error) {
	buckets, facts, err := r.e.rows.buckets(ctx, r.svc.name, "", from, r.now, step)
	if err != nil {
		return nil, err
	}
	l := &ledger{from: from.Truncate(step), end: r.now.Truncate(step), step: step, prov: sources.Provenance{Provider: "requests"}, facts: facts}
	known := 0
	for _, b := range buckets {
		known += b.WithCost
		l.steps = append(l.steps, sources.Point{T: b.Start.Add(step), V: b.CostUSD})
	}
	if known == 0 {
		return nil, errNotExposed{missing: "request row with a cost"}
	}
	if l.facts.Partial == "" {
		l.facts.Partial = costless(buckets)
	}
	l.close(r.now)
	return l, nil
}

func (l *ledger) close(now time.Time) {
	if n := len(l.steps); n > 0 {
		l.facts.At = l.steps[n-1].T
		if l.steps[n-1].T.Equal(l.end) {
			l.tail = l.steps[n-1].V * float64(now.Sub(l.end)) / float64(l.step)
		}
	}
}

// between sums the whole steps that end after one time and not after another.
func (l *ledger) between(after, until time.Time) float64 {
	sum := 0.0
	for _, p := range l.steps {
		if p.T.After(after) && !p.T.After(until) {
			sum += p.V
		}
	}
	return sum
}

func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// today is the ledger of today and of the 25 hours before now.
func (r *run) today(ctx context.Context) (*ledger, error) {
	from := r.now.Add(-25 * time.Hour).Truncate(ledgerStep)
	return r.spent(ctx, from, ledgerStep)
}

// sliding is the ledger as a chart: at each step the sum of what of() says counts there.
func (r *run) sliding(l *ledger, since func(t time.Time) time.Time, scale float64) []sources.Point {
	var out []sources.Point
	for i, p := range l.steps {
		from := since(p.T)
		if p.T.Before(r.start) || p.T.After(r.now) || from.Before(l.from) {
			continue
		}
		if r.step > l.step && p.T.Truncate(r.step) != p.T {
			continue
		}
		sum := 0.0
		for j := i; j >= 0 && l.steps[j].T.After(from); j-- {
			sum += l.steps[j].V
		}
		out = append(out, sources.Point{T: p.T, V: sum * scale})
	}
	return out
}

// figure makes a measured of one number out of the ledger.
func (r *run) figure(l *ledger, value float64, history []sources.Point) measured {
	if n := len(history); n == 0 || history[n-1].T.Before(r.now) {
		history = append(history, sources.Point{T: r.now, V: value})
	}
	return measured{prov: l.prov, facts: l.facts, atLeast: l.facts.Sampled, parts: []part{{value: value, known: true, n: math.NaN(), history: history}}}
}

func spendToday(ctx context.Context, r *run) (measured, error) {
	l, err := r.today(ctx)
	if err != nil {
		return measured{}, err
	}
	m := r.figure(l, l.between(midnight(r.now), l.end)+l.tail, r.sliding(l, startOfDay, 1))
	if day, err := r.budget(ctx, "day"); err == nil {
		m.parts[0].verdict, m.parts[0].why = sources.OK, "of "+format(day, sources.USD)+" a day"
	}
	return m, nil
}

func spendDay(ctx context.Context, r *run) (measured, error) {
	l, err := r.today(ctx)
	if err != nil {
		return measured{}, err
	}
	day := func(t time.Time) time.Time { return t.Add(-24 * time.Hour) }
	m := r.figure(l, l.between(day(r.now), l.end)+l.tail, r.sliding(l, day, 1))
	if n := len(l.steps); n > 0 && l.steps[0].T.Sub(l.from) > 2*time.Hour {
		m.facts.Partial = "spend is known since " + clockTime(l.steps[0].T, r.now)
	}
	return m, nil
}

// startOfDay is the midnight before a step's end: the step that ends at midnight belongs to the day before.
func startOfDay(t time.Time) time.Time { return midnight(t.Add(-time.Nanosecond)) }

func hourBefore(t time.Time) time.Time { return t.Add(-time.Hour) }
