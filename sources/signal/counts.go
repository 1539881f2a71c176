package signal

import (
	"context"
	"math"
	"slices"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

const (
	latelyStep = time.Minute
	again      = 5 * time.Minute  // between two looks that must both find the same
	latelySpan = quarter + again  // what the rules for values look back over
	trendSpan  = 45 * time.Minute // what a forecast rests on
)

// lately fills in the newest values of each part at one distance, whatever the view
// shows: zooming changes no verdict.
func (r *run) lately(ctx context.Context, sig *Signal, m *measured) {
	if !sig.looksBack() {
		return
	}
	span := latelySpan
	if sig.Forecast {
		span = trendSpan
	}
	if r.step <= latelyStep && r.view.Range >= span {
		for i := range m.parts {
			h := m.parts[i].history
			from := r.now.Add(-span)
			first, _ := slices.BinarySearchFunc(h, from, func(p sources.Point, t time.Time) int { return p.T.Compare(t) })
			m.parts[i].lately = h[first:]
		}
		return
	}
	end := r.now.Truncate(latelyStep)
	series, _, err := r.e.metrics.Range(ctx, m.basis.expr, end.Add(-span), end, latelyStep)
	if err != nil {
		return // what needs it is not judged
	}
	parts, _ := r.fold(series, m.basis.src, m.basis.src.Part, sig.Combine == Worst)
	byName := make(map[string][]sources.Point, len(parts))
	for _, p := range parts {
		byName[p.name] = p.history
	}
	for i := range m.parts {
		m.parts[i].lately = byName[m.parts[i].name]
	}
}

// looksBack tells whether a rule of the signal needs more than the newest value.
func (sig *Signal) looksBack() bool {
	return on(sig.Rise.Watch) || on(sig.Rise.Bad) || on(sig.Fall.Watch) || on(sig.Fall.Bad) || sig.Hold > 0 || sig.Forecast
}

// countLately fills in the newest counts of each part of a proportion.
func (r *run) countLately(ctx context.Context, parts []part, of countQueries) {
	end := r.now.Truncate(latelyStep)
	read := func(expr string) (map[string]map[int64]float64, bool) {
		series, _, err := r.e.metrics.Range(ctx, expr, end.Add(-3*quarter), end, latelyStep)
		if err != nil {
			return nil, false
		}
		out := map[string]map[int64]float64{}
		for _, s := range series {
			key := ""
			if of.name != "" {
				key = s.Labels[of.name]
			}
			if out[key] == nil {
				out[key] = make(map[int64]float64, len(s.Points))
			}
			for _, p := range s.Points {
				out[key][p.T.Unix()] += p.V * quarter.Seconds()
			}
		}
		return out, true
	}
	all, ok := read(of.all)
	if !ok {
		return
	}
	bad, ok := read(of.bad)
	if !ok {
		return
	}
	for i := range parts {
		key := parts[i].name
		at := func(back time.Duration) stat.Count {
			t := end.Add(-back).Unix()
			whole, ok := all[key][t]
			if !ok {
				return stat.Count{}
			}
			return stat.Count{K: bad[key][t], N: whole}
		}
		l := stat.Lately{Now: at(0), Before: at(again), Hour: at(0)}
		for back := quarter; back < 4*quarter; back += quarter {
			l.Hour = l.Hour.Add(at(back))
		}
		parts[i].counts = &l
	}
}

const (
	sinceFine   = 2 * time.Hour
	sinceCoarse = oneDay
	coarseStep  = 10 * time.Minute
)

// onset finds when a proportion changed, from its counts: first over the last two
// hours, and where it was so all along, over the last day.
func (r *run) onset(ctx context.Context, sig *Signal, m measured, rho float64) (since, low, high time.Time) {
	step := max(latelyStep, r.seen.window())
	for _, look := range []struct{ span, step time.Duration }{{sinceFine, step}, {sinceCoarse, max(coarseStep, step)}} {
		end := r.now.Truncate(look.step)
		read := func(expr string) map[int64]float64 {
			series, _, err := r.e.metrics.Range(ctx, expand(expr, m.scope, look.step, ""), end.Add(-look.span), end, look.step)
			if err != nil {
				return nil
			}
			out := map[int64]float64{}
			for _, s := range series {
				for _, p := range s.Points {
					out[p.T.Unix()] += p.V * look.step.Seconds()
				}
			}
			return out
		}
		all, bad := read(m.all), read(m.bad)
		if len(all) == 0 || bad == nil {
			return
		}
		var at []time.Time
		var windows []stat.Count
		for t := end.Add(-look.span); !t.After(end); t = t.Add(look.step) {
			n, ok := all[t.Unix()]
			c := stat.Count{K: math.Min(bad[t.Unix()], n), N: n}
			if !ok || !c.Valid() {
				continue
			}
			if sig.Direction == sources.LowerWorse {
				c = c.Complement()
			}
			at, windows = append(at, t), append(windows, c)
		}
		b := stat.Since(windows, rho)
		if b.Found {
			return at[b.At].Add(-look.step), at[b.Low].Add(-look.step), at[b.High]
		}
	}
	return
}
