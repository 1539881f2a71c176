package signal

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

// budget returns the budget of a scope in USD: that of the configuration or the
// service's own, whichever is lower, for that one runs out first.
func (r *run) budget(ctx context.Context, scope string) (float64, error) {
	usd, _, err := r.budgetFrom(ctx, scope)
	return usd, err
}

// budgetFrom also says whose budget it is: "config" or "service".
func (r *run) budgetFrom(ctx context.Context, scope string) (usd float64, from string, err error) {
	own := r.svc.Budget.of(scope)
	all, err := r.ownBudgets(ctx)
	theirs := all[scope]
	if !(theirs > 0) || math.IsInf(theirs, 0) {
		theirs = 0
	}
	switch {
	case own > 0 && (theirs == 0 || own <= theirs):
		return own, "config", nil
	case theirs > 0:
		return theirs, "service", nil
	case err != nil:
		return 0, "", err
	}
	return 0, "", errNotExposed{missing: scope + " budget; set it under budget"}
}

// ownBudgets are those that the service exposes, by scope.
func (r *run) ownBudgets(ctx context.Context) (map[string]float64, error) {
	if r.e.deps.Prom == nil || r.failed == nil && !r.seen.of(LLMOps).has("llmops_budget_usd") {
		return nil, nil
	}
	if r.failed != nil {
		return nil, r.failed
	}
	return r.counts.get("budgets", func() (map[string]float64, error) {
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
}

// dayOutlook is where the day ends.
func (r *run) dayOutlook(ctx context.Context, l *ledger, budget float64) spend.Outlook {
	until := midnight(r.now).Add(oneDay)
	return r.outlook(ctx, l, "day", spend.Ask{
		Until: until, From: later(l.end, midnight(r.now)), Spent: l.between(midnight(r.now), l.end), Budget: budget,
		Paces: []time.Duration{time.Hour, quarter, ledgerStep}, Grid: max(ledgerStep, until.Sub(r.now)/96),
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// outlook is worked out once per refresh and scope.
func (r *run) outlook(ctx context.Context, l *ledger, scope string, ask spend.Ask) spend.Outlook {
	o, _ := r.outlooks.get(scope, func() (spend.Outlook, error) {
		ask.Now, ask.Known = r.now, l.end
		return r.course(ctx, l).Outlook(ask), nil
	})
	return o
}

// course is what was spent in the last weeks, by the hour; of the last day by ledger steps.
func (r *run) course(ctx context.Context, l *ledger) *spend.Course {
	c, _ := r.courses.get("", func() (*spend.Course, error) {
		var hours []spend.Step
		// The first look at weeks is taken in the background.
		if !r.view.Live() || r.e.spending.knows(r.svc.name) {
			if weeks, err := r.weeks(ctx); err == nil {
				hours = weeks.asSteps()
			}
		}
		return spend.NewCourse(hours, l.asSteps()), nil
	})
	return c
}

// weeks is the ledger of the last four weeks and a day.
func (r *run) weeks(ctx context.Context) (*ledger, error) {
	return r.spent(ctx, r.now.Add(-4*oneWeek-oneDay).Truncate(periodStep), periodStep)
}

func (l *ledger) asSteps() []spend.Step {
	out := make([]spend.Step, 0, len(l.steps))
	for _, p := range l.steps {
		out = append(out, spend.Step{Start: p.T.Add(-l.step), End: p.T, USD: p.V})
	}
	return out
}

// ahead writes a time to come, with the date when it is not today.
func ahead(now time.Time) func(time.Time) string {
	return func(t time.Time) string {
		t = t.UTC()
		if !midnight(t).Equal(midnight(now)) {
			return t.Format("01-02 15:04")
		}
		return t.Format("15:04")
	}
}

// verdict of a budget: levels count only when the budget will not last.
func budgetVerdict(sig *Signal, used float64, o spend.Outlook, now time.Time, until string) (sources.Verdict, string) {
	words := o.Words(now, until, ahead(now))
	switch {
	case used >= 1:
		return sources.Bad, format(used, sources.Ratio) + " of the budget spent"
	case o.Out.IsZero():
		return sources.OK, words
	case sig.level(used) == sources.Bad || o.Out.Sub(now) <= soon:
		return sources.Bad, "runs out in " + short(o.Out.Sub(now)) + ", " + strings.TrimPrefix(words, "runs out ")
	case sig.level(used) == sources.Watch:
		return sources.Watch, format(used, sources.Ratio) + " used, " + words
	}
	return sources.OK, words
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
		p.verdict, p.why = budgetVerdict(sig, p.value, r.dayOutlook(ctx, l, day), r.now, "midnight")
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

// periodUsed is the share of the month's budget.
func (r *run) periodUsed(ctx context.Context, sig *Signal, l *ledger) (part, error) {
	period, err := r.budget(ctx, "period")
	if err != nil {
		return part{}, err
	}
	hours, first, spent, err := r.month(ctx, l)
	if err != nil {
		return part{}, err
	}
	o := r.periodOutlook(ctx, l, first, spent, period)
	since := func(time.Time) time.Time { return first }
	p := r.figure(l, spent/period, r.sliding(hours, since, 1/period)).parts[0]
	p.name = "period"
	p.verdict, p.why = budgetVerdict(sig, p.value, o, r.now, "the end of the month")
	return p, nil
}

// month is the ledger since the first of the month, and what was spent since.
func (r *run) month(ctx context.Context, l *ledger) (hours *ledger, first time.Time, spent float64, err error) {
	first = time.Date(r.now.UTC().Year(), r.now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	if hours, err = r.spent(ctx, first, periodStep); err != nil {
		return nil, first, 0, err
	}
	return hours, first, hours.between(first, hours.end) + l.between(hours.end, l.end) + l.tail, nil
}

func (r *run) periodOutlook(ctx context.Context, l *ledger, first time.Time, spent, budget float64) spend.Outlook {
	until := first.AddDate(0, 1, 0)
	return r.outlook(ctx, l, "period", spend.Ask{
		Until: until, From: later(l.end, first), Spent: spent - l.tail, Budget: budget,
		Paces: []time.Duration{oneDay, oneDay / 4}, Grid: max(periodStep, until.Sub(r.now)/120),
	})
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
	o := r.dayOutlook(ctx, l, day)
	if !o.Total.OK {
		return measured{}, errNotExposed{missing: "spend of the last hour to go by"}
	}
	m := r.figure(l, o.Total.V/day, nil)
	p := &m.parts[0]
	p.verdict, p.why = sig.level(p.value), o.Words(r.now, "midnight", ahead(r.now))
	if o.Low.V < o.High.V {
		m.detail = format(o.Low.V/day, sources.Ratio) + " to " + format(o.High.V/day, sources.Ratio)
	}
	if !o.Out.IsZero() {
		left := o.Out.Sub(r.now)
		if left <= soon {
			p.verdict = sources.Bad
		}
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

// budgetUserHour is what the dearest user spent in the last hour, as request rows
// tell. Without them it is an estimate: the share of the top caller in the requests
// times the hour's spend.
func budgetUserHour(ctx context.Context, r *run) (measured, error) {
	budget, err := r.budget(ctx, "user_hour")
	if err != nil {
		return measured{}, err
	}
	if m, ok := r.dearestUser(ctx, budget); ok {
		return m, nil
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

// dearestUser is the hour's spend of the user who spent most, from request rows.
// Where rows are of some requests only, it is that user's share of what was spent.
func (r *run) dearestUser(ctx context.Context, budget float64) (measured, bool) {
	look := r.look(ctx, r.now.Add(-spendLeast))
	f := look.Factor()
	user, usd, over, known := spend.Users(look.Parts, budget/f)
	if !known {
		return measured{}, false
	}
	usd *= f
	p := part{value: usd / budget, known: true, n: math.NaN(), verdict: sources.OK, why: format(usd, sources.USD) + " of " + format(budget, sources.USD)}
	switch {
	case p.value >= 2:
		p.verdict = sources.Bad
	case p.value >= 1:
		p.verdict = sources.Watch
	}
	if over > 1 {
		p.why += fmt.Sprintf("; %d users over it", over)
	}
	if f > 1 {
		p.why = "≈ " + p.why
	}
	p.history = []sources.Point{{T: look.To, V: p.value}}
	return measured{
		parts: []part{p}, detail: user, prov: sources.Provenance{Provider: "requests"}, facts: sources.Facts{Source: "requests", At: look.To},
	}, true
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
	m.basis, m.quarters, m.detail = basis{}, countQueries{}, "mean"
	return m, nil
}
