package signal

import (
	"context"
	"fmt"
	"math"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// SLO is a service level objective: the share of events that must be good over 30 days.
type SLO struct {
	Objective float64 `yaml:"objective"`        // 0.995 or 99.5
	Signal    string  `yaml:"signal,omitempty"` // the proportion that spends its budget; error_ratio
}

const sloID = "slo_burn"

// burnRule fires when the budget is spent faster than its factor over both windows:
// the long one says that it matters, the short one that it still goes on.
type burnRule struct {
	name        string
	factor      float64
	long, short time.Duration
	verdict     sources.Verdict
}

// The windows and factors of the SRE Workbook, for a budget of 30 days.
var burnRules = []burnRule{
	{"page 1h", 14.4, time.Hour, 5 * time.Minute, sources.Bad},
	{"page 6h", 6, 6 * time.Hour, 30 * time.Minute, sources.Bad},
	{"ticket 1d", 3, oneDay, 2 * time.Hour, sources.Watch},
	{"ticket 3d", 1, 3 * oneDay, 6 * time.Hour, sources.Watch},
}

// check says what is wrong with the objective.
func (o *SLO) check(service string, byID map[string]*Signal) error {
	at := "services." + service + ".slo"
	if o.Objective > 1 {
		o.Objective /= 100
	}
	if !(o.Objective > 0 && o.Objective < 1) {
		return fmt.Errorf("%s.objective: the share of good events, like 99.5; there is no budget to burn at 0 or 100", at)
	}
	if o.Signal == "" {
		o.Signal = "error_ratio"
	}
	sig := byID[o.Signal]
	if sig == nil {
		return fmt.Errorf("%s.signal: no such signal as %q; name a proportion such as error_ratio", at, o.Signal)
	}
	if sig.Unit != sources.Ratio || sig.Compute != nil || len(sig.From) == 0 {
		return fmt.Errorf("%s.signal: %s is no proportion of events; name one such as error_ratio, schema_fail or feedback", at, o.Signal)
	}
	return nil
}

// burning is the signal of an objective.
func burning(o SLO, of *Signal) Signal {
	return Signal{
		ID: sloID, Label: "slo burn", Name: "error budget burn", Family: of.Family, Pane: sources.HealthPane,
		Unit: sources.Count, Direction: sources.HigherWorse, Causes: of.Causes,
		Compute: func(ctx context.Context, r *run) (measured, error) { return r.burn(ctx, o) },
	}
}

// burn compares the budget's burn rates. The value is that of the last hour.
func (r *run) burn(ctx context.Context, o SLO) (measured, error) {
	sig := r.svc.signal(o.Signal)
	if r.e.deps.Prom == nil {
		return measured{}, errNotExposed{"Prometheus configured", mendable}
	}
	if r.failed != nil {
		return measured{}, r.failed
	}
	var failure error = errNotExposed{"metric for " + o.Signal, mendable}
	for i := range sig.From {
		src := &sig.From[i]
		if src.Profile != Override && !r.seen.holds(src.Profile) {
			continue
		}
		query, missing := src.Query, ""
		if src.Profile != Override {
			query, missing = r.seen.of(src.Profile).resolve(query, src.Sparse...)
		}
		if missing != "" {
			continue
		}
		m, err := r.burnOf(ctx, sig, src, query, o)
		if err == nil {
			return m, nil
		}
		failure = err
	}
	return measured{}, failure
}

func (r *run) burnOf(ctx context.Context, sig *Signal, src *Source, query string, o SLO) (measured, error) {
	rates := map[time.Duration]float64{}
	over := func(window time.Duration) (float64, error) {
		if v, ok := rates[window]; ok {
			return v, nil
		}
		// What looks back over days moves slowly: it is asked for so much more rarely.
		step := max(latelyStep, (window / 60).Truncate(time.Minute))
		at := r.now.Truncate(step)
		series, _, err := r.e.metrics.Range(ctx, expand(query, r.svc.scope(src.Profile), window, ""), at, at, step)
		r.down.note(err)
		if err != nil {
			return 0, err
		}
		parts, _ := r.fold(series, src, src.Part, false)
		bad := math.NaN()
		if len(parts) > 0 {
			bad = parts[0].history[len(parts[0].history)-1].V
		}
		if sig.Direction == sources.LowerWorse {
			bad = 1 - bad
		}
		rates[window] = stat.Burn(bad, o.Objective)
		return rates[window], nil
	}
	hour, err := over(time.Hour)
	if err != nil {
		return measured{}, err
	}
	expr := expand(query, r.svc.scope(src.Profile), time.Hour, "")
	m := measured{
		prov:  sources.Provenance{Provider: "prometheus", Profile: src.Profile, Query: expr},
		facts: sources.Facts{Source: "prometheus", At: r.now.Truncate(latelyStep), Fetched: r.e.deps.Clock.Wall()},
	}
	p := part{n: math.NaN(), rule: ruleBurn, verdict: sources.OK}
	if math.IsNaN(hour) {
		m.parts, m.silent = []part{p}, "nothing happened in 1h"
		return m, nil
	}
	p.value, p.known = hour, true
	p.why = fmt.Sprintf("%s the budget of %s over 1h", factor(hour), format(o.Objective, sources.Ratio))
	p.history = r.burnHistory(ctx, sig, src, expr, o)
	for _, rule := range burnRules {
		long, err := over(rule.long)
		if err != nil {
			return measured{}, err
		}
		short5, err := over(rule.short)
		if err != nil {
			return measured{}, err
		}
		if long > rule.factor && short5 > rule.factor {
			p.verdict = rule.verdict
			p.why = fmt.Sprintf("%s the budget of %s over %s and %s over %s; %s", factor(long), format(o.Objective, sources.Ratio), short(rule.long),
				factor(short5), short(rule.short), rule.name)
			break
		}
	}
	m.parts = []part{p}
	return m, nil
}

func (r *run) burnHistory(ctx context.Context, sig *Signal, src *Source, expr string, o SLO) []sources.Point {
	step := max(r.step, latelyStep)
	series, _, err := r.e.metrics.Range(ctx, expr, r.start, r.now.Truncate(step), step)
	if err != nil {
		return nil
	}
	parts, _ := r.fold(series, src, src.Part, false)
	if len(parts) == 0 {
		return nil
	}
	out := make([]sources.Point, len(parts[0].history))
	for i, p := range parts[0].history {
		if sig.Direction == sources.LowerWorse {
			p.V = 1 - p.V
		}
		out[i] = sources.Point{T: p.T, V: stat.Burn(p.V, o.Objective)}
	}
	return out
}
