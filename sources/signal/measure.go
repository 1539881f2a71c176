package signal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// measured is a signal's numbers before they are judged.
type measured struct {
	parts   []part // one unnamed part for a plain signal
	atLeast bool
	detail  string
	prov    sources.Provenance
	facts   sources.Facts
	// basis names the query whose earlier days are "usual"; empty when there are none.
	basis basis
	// bad and all are the unexpanded queries of a proportion's events; empty when not countable.
	bad, all string
	scope    string // what these are asked for
	quarters countQueries
	silent   string // why there is no value although the source knows the signal
}

// part is one element, with its history (gaps are absent points) and its newest value.
type part struct {
	name    string
	value   float64
	known   bool
	n       float64 // events behind the value; NaN when not known
	history []sources.Point
	lately  []sources.Point // the newest points, a minute or less apart, over as long as the rules look back
	counts  *stat.Lately    // the newest counts of a proportion; nil when they are not known
	split   bool            // one side of a split: there are many, so that each needs more evidence
	// verdict and why, when whoever measured knows better than levels do.
	verdict sources.Verdict
	why     string
	rule    string
}

// countQueries are those of a proportion's events per second over a quarter of an
// hour, and the label by which they are told apart; empty when not countable.
type countQueries struct{ bad, all, name string }

// errNotExposed: the source does not carry the signal.
type errNotExposed struct {
	missing string
	near    nearness
}

func (e errNotExposed) Error() string { return "no " + e.missing }

// nearness is how close the service comes to exposing a signal.
type nearness int

const (
	elsewhere nearness = iota // in a profile that the service does not have
	within                    // in a profile that it has
	mendable                  // it is all there but for a line of configuration
)

// or keeps the more telling of two: what is nearer, among equals the first.
func (e errNotExposed) or(other errNotExposed) errNotExposed {
	if e.missing == "" || other.near > e.near {
		return other
	}
	return e
}

func lacking(format string, args ...any) errNotExposed {
	return errNotExposed{missing: fmt.Sprintf(format, args...)}
}

// measure asks the providers of a signal in their order; the first that answers wins.
func (r *run) measure(ctx context.Context, sig *Signal) (measured, error) {
	var failure error
	var missing errNotExposed
	if sig.Compute != nil {
		m, err := sig.Compute(ctx, r)
		var none errNotExposed
		if len(sig.From) == 0 || !errors.As(err, &none) {
			return m, err
		}
		missing = none
	}
	for i := range sig.From {
		m, err := r.metric(ctx, sig, &sig.From[i], "")
		if err == nil {
			return m, nil
		}
		var none errNotExposed
		switch {
		case errors.As(err, &none):
			missing = missing.or(none)
		case failure == nil || unreachable(err):
			failure = err
		}
	}
	if sig.LogQL != "" && r.e.logs != nil && r.svc.Logs != "" {
		m, err := r.log(ctx, sig)
		if err == nil {
			return r.instead(m, failure), nil
		}
		failure = firstFailure(failure, err)
	}
	if sig.Rows != nil && r.e.rows != nil {
		m, err := r.row(ctx, sig, "")
		if err == nil {
			return r.instead(m, failure), nil
		}
		failure = firstFailure(failure, err)
	}
	if failure != nil {
		return measured{}, failure
	}
	return measured{}, missing.or(lacking("source for it in this service"))
}

// firstFailure keeps the first error that is more than "does not carry it".
func firstFailure(failure, err error) error {
	var none errNotExposed
	if failure != nil || errors.As(err, &none) {
		return failure
	}
	return err
}

// instead says why a later provider had to answer.
func (r *run) instead(m measured, failure error) measured {
	if failure != nil {
		m.facts.Warnings = append(slices.Clip(m.facts.Warnings), "in place of metrics: "+failure.Error())
	}
	return m
}

// metric reads one PromQL source, whole or split by a version label.
func (r *run) metric(ctx context.Context, sig *Signal, src *Source, by string) (measured, error) {
	if r.e.deps.Prom == nil {
		return measured{}, errNotExposed{missing: "Prometheus configured"}
	}
	if r.failed != nil {
		return measured{}, r.failed
	}
	if err := r.down.open(); err != nil {
		return measured{}, err
	}
	query, count := src.Query, src.N
	if by != "" && src.Part != "" {
		// Split by version instead of by its own label: a mean over both, never a sum of means.
		query = strings.ReplaceAll(query, src.Part+", $by", "$by")
		count = strings.ReplaceAll(count, src.Part+", $by", "$by")
	}
	if src.Profile != Override {
		var missing string
		query, missing = r.seen.of(src.Profile).resolve(query, src.Sparse...)
		switch {
		case missing != "" && r.seen.holds(src.Profile):
			return measured{}, errNotExposed{missing, within}
		case missing != "":
			return measured{}, errNotExposed{missing: missing}
		case !r.seen.holds(src.Profile):
			return measured{}, lacking("%s: %s is read instead", src.Profile, r.seen.dialect)
		}
		if src.Priced && len(r.e.deps.Prices) == 0 {
			return measured{}, errNotExposed{"cost metric and no prices in the configuration", mendable}
		}
		count, _ = r.seen.of(src.Profile).resolve(count, src.Sparse...)
	}
	label := splitLabel(src.Profile, by)
	if by != "" && (label == "" || !strings.Contains(query, "$by")) {
		return measured{}, errNotExposed{by + " label on " + strings.Join(metrics(query), ", "), within}
	}
	window := max(r.window, sig.Window)
	scope := r.svc.scope(src.Profile)
	expr := expand(query, scope, window, label)
	if by != "" && count != "" && sig.Least.N > 0 {
		// The last few requests of a version that goes out of use are no proportion:
		// where too few events stand behind a side of a split, it has a gap.
		expr = fmt.Sprintf("(%s) and (%s) * %g >= %g", expr, expand(count, scope, window, label), window.Seconds(), sig.Least.N)
	}
	series, facts, err := r.e.metrics.Range(ctx, expr, r.start, r.end, r.step)
	r.down.note(err)
	if err != nil {
		return measured{}, err
	}
	at := r.end
	if r.step > fineStep {
		at = r.now.Truncate(fineStep)
		recent, f, err := r.e.metrics.Range(ctx, expr, at.Add(-fineTail), at, fineStep)
		r.down.note(err)
		if err != nil {
			return measured{}, err
		}
		facts = f
		series = extend(series, newest(recent, at))
	}
	m := measured{
		prov:   sources.Provenance{Provider: "prometheus", Profile: src.Profile, Query: expr},
		facts:  facts,
		basis:  basis{expr: expand(query, scope, window, ""), src: src},
		detail: src.Note,
		scope:  scope,
	}
	m.facts.Source = "prometheus"
	if r.seen != nil && r.seen.warning != "" && src.Profile == r.seen.dialect {
		m.facts.Warnings = append(slices.Clip(m.facts.Warnings), r.seen.warning)
	}
	m.facts.Warnings = append(slices.Clip(m.facts.Warnings), r.seen.of(src.Profile).leftOut(src.Query)...)
	name := src.Part
	if by != "" {
		name = label
	}
	var unpriced []string
	m.parts, unpriced = r.fold(series, src, name, sig.Combine == Worst && by == "")
	if len(unpriced) > 0 {
		m.facts.Partial = "no price for " + strings.Join(unpriced, ", ") + "; add it under prices"
		if len(m.parts) == 0 {
			return measured{}, errNotExposed{"price for " + strings.Join(unpriced, ", "), mendable}
		}
	}
	if src.Shy != "" && len(series) == 0 {
		return measured{}, errNotExposed{src.Shy, within}
	}
	settle(m.parts, at, r.step)
	if count != "" {
		r.count(ctx, m.parts, expand(count, scope, window, label), name, at, window)
	}
	if by == "" {
		r.lately(ctx, sig, &m)
	}
	if src.K != "" && count != "" {
		bad, missing := r.seen.of(src.Profile).resolve(src.K, src.Sparse...)
		if src.Profile == Override {
			bad, missing = src.K, ""
		}
		if missing == "" {
			m.basis.k = expand(bad, scope, quarter, "")
			m.basis.n = expand(count, scope, quarter, "")
			m.bad, m.all = bad, count
			m.quarters = countQueries{expand(bad, scope, quarter, label), expand(count, scope, quarter, label), name}
		}
	}
	m.facts.At = newestOf(m.parts)
	if !slices.ContainsFunc(m.parts, func(p part) bool { return p.known }) {
		if m.silent = "nothing happened in " + short(window); src.Profile == Override {
			m.silent = "the query of the configuration returned nothing"
		}
		if !m.facts.At.IsZero() && at.Sub(m.facts.At) > window {
			m.silent = "no samples since " + clockTime(m.facts.At, r.now)
		}
	}
	if src.Bucket != "" && by == "" && len(m.parts) == 1 && m.parts[0].known {
		// The quantile of a value above every bound is the top bound itself: say "at least".
		m.atLeast = r.beyond(ctx, src, m.parts[0].value, at, window)
	}
	return m, nil
}

// newest keeps the points at one time.
func newest(series []sources.Series, at time.Time) []sources.Series {
	var out []sources.Series
	for _, s := range series {
		if n := len(s.Points); n > 0 && s.Points[n-1].T.Equal(at) {
			out = append(out, sources.Series{Labels: s.Labels, Points: s.Points[n-1:]})
		}
	}
	return out
}

// extend adds later points to the series of a range.
func extend(series, later []sources.Series) []sources.Series {
	out := slices.Clone(series)
	at := make(map[string]int, len(out))
	for i, s := range out {
		at[identity(s.Labels)] = i
	}
	for _, n := range later {
		i, ok := at[identity(n.Labels)]
		if !ok {
			out = append(out, n)
			continue
		}
		// A point that both have is the later answer's.
		old := out[i].Points
		for len(old) > 0 && !old[len(old)-1].T.Before(n.Points[0].T) {
			old = old[:len(old)-1]
		}
		out[i].Points = append(slices.Clip(old), n.Points...)
	}
	return out
}

func identity(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k)
		b.WriteByte(0)
		b.WriteString(labels[k])
		b.WriteByte(0)
	}
	return b.String()
}

// fold turns series into parts: named by a label, priced where they are tokens,
// and added where several series share a name. A value that is no number is a gap.
// With apart, an unnamed element is kept as it is; otherwise it belongs to the sum only.
func (r *run) fold(series []sources.Series, src *Source, name string, apart bool) ([]part, []string) {
	var order []string
	sums := map[string][]sources.Point{}
	var unpriced []string
	for _, s := range series {
		factor := 1.0
		if src.Priced {
			price, model, ok := r.price(s.Labels)
			if !ok {
				if model != "" && !slices.Contains(unpriced, model) {
					unpriced = append(unpriced, model)
				}
				continue
			}
			factor = price
		}
		key := ""
		if name != "" {
			key = s.Labels[name]
		}
		sum, known := sums[key]
		if !known {
			order = append(order, key)
		}
		sums[key] = plus(sum, numbers(s.Points, factor))
	}
	slices.Sort(order)
	out := make([]part, 0, len(order))
	for _, k := range order {
		if apart && k == "" && len(order) > 1 {
			continue
		}
		if len(sums[k]) > 0 {
			out = append(out, part{name: k, n: math.NaN(), history: sums[k]})
		}
	}
	slices.Sort(unpriced)
	return out, unpriced
}

// numbers are the points that have a value, times a factor, in the order of time and
// one for each. What needs no change is not copied; nobody appends to it in place.
func numbers(points []sources.Point, factor float64) []sources.Point {
	ordered := true
	for i, p := range points {
		if math.IsNaN(p.V) || math.IsInf(p.V, 0) || i > 0 && !points[i-1].T.Before(p.T) {
			ordered = false
			break
		}
	}
	if ordered && factor == 1 {
		return slices.Clip(points)
	}
	out := make([]sources.Point, 0, len(points))
	for _, p := range points {
		if !math.IsNaN(p.V) && !math.IsInf(p.V, 0) {
			out = append(out, sources.Point{T: p.T, V: p.V * factor})
		}
	}
	if ordered {
		return out
	}
	slices.SortStableFunc(out, func(a, b sources.Point) int { return a.T.Compare(b.T) })
	n := 0
	for i, p := range out {
		if i > 0 && out[n-1].T.Equal(p.T) {
			out[n-1].V += p.V
			continue
		}
		out[n] = p
		n++
	}
	return out[:n:n]
}

// plus adds two lists of points up, both in the order of time, into a new one.
func plus(a, b []sources.Point) []sources.Point {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	out := make([]sources.Point, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch a[0].T.Compare(b[0].T) {
		case -1:
			out, a = append(out, a[0]), a[1:]
		case 1:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, sources.Point{T: a[0].T, V: a[0].V + b[0].V}), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// price looks up what a token of a series costs.
func (r *run) price(labels map[string]string) (usd float64, model string, ok bool) {
	model = cmp.Or(labels["gen_ai_response_model"], labels["model"], labels["model_name"])
	kind := cmp.Or(labels["gen_ai_token_type"], labels["kind"])
	p, ok := priceOf(r.e.deps.Prices, model)
	if !ok {
		return 0, model, false
	}
	switch kind {
	case "input":
		return p.Input, model, true
	case "output":
		return p.Output, model, true
	case "cached":
		// Cached tokens were already counted as input: only the discount is left.
		if p.Cached == 0 {
			return 0, model, true
		}
		return p.Cached - p.Input, model, true
	}
	return 0, "", false
}

// priceOf looks up a model. Providers answer with a dated name for an alias: the
// longest known prefix is its price.
func priceOf(prices map[string]Price, model string) (Price, bool) {
	if p, ok := prices[model]; ok {
		return p, true
	}
	best := ""
	for name := range prices {
		if strings.HasPrefix(model, name+"-") && len(name) > len(best) {
			best = name
		}
	}
	p, ok := prices[best]
	return p, ok && best != ""
}

// settle takes each part's newest value; one older than two steps is no value now.
func settle(parts []part, at time.Time, step time.Duration) {
	for i := range parts {
		h := parts[i].history
		if len(h) == 0 {
			continue
		}
		last := h[len(h)-1]
		if at.Sub(last.T) <= 2*step && at.Sub(last.T) <= 2*time.Minute || last.T.Equal(at) {
			parts[i].value, parts[i].known = last.V, true
		}
	}
}

// count fills in the events behind each part.
func (r *run) count(ctx context.Context, parts []part, expr, name string, at time.Time, window time.Duration) {
	counts, err := r.counts.get(expr+at.String(), func() (map[string]float64, error) {
		series, _, err := r.e.deps.Prom.Query(ctx, expr, at)
		if err != nil {
			return nil, err
		}
		out := map[string]float64{}
		for _, s := range series {
			if len(s.Points) > 0 && !math.IsNaN(s.Points[0].V) {
				out[s.Labels[name]] += s.Points[0].V * window.Seconds()
			}
		}
		return out, nil
	})
	if err != nil {
		return // the value stands; it is only not known how much is behind it
	}
	for i := range parts {
		if n, ok := counts[parts[i].name]; ok {
			parts[i].n = n
		} else if len(parts) == 1 && parts[i].name == "" && len(counts) > 0 {
			parts[i].n = 0
		}
	}
}

func newestOf(parts []part) time.Time {
	var t time.Time
	for _, p := range parts {
		if n := len(p.history); n > 0 && p.history[n-1].T.After(t) {
			t = p.history[n-1].T
		}
	}
	return t
}

// total adds the parts up, point by point.
func total(parts []part) part {
	if len(parts) == 1 {
		return parts[0]
	}
	out := part{n: math.NaN()}
	for _, p := range parts {
		if p.known {
			out.value += p.value
			out.known = true
			if !math.IsNaN(p.n) {
				if math.IsNaN(out.n) {
					out.n = 0
				}
				out.n += p.n
			}
		}
	}
	out.history = addUp(parts, func(p part) []sources.Point { return p.history })
	out.lately = addUp(parts, func(p part) []sources.Point { return p.lately })
	return out
}

func addUp(parts []part, of func(part) []sources.Point) []sources.Point {
	var out []sources.Point
	for _, p := range parts {
		out = plus(out, of(p))
	}
	return slices.Clip(out)
}
