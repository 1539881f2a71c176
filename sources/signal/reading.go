package signal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"rollcall/sources"
)

// reading measures a signal and says what its value means.
func (r *run) reading(ctx context.Context, sig *Signal) sources.Reading {
	out := sources.Reading{
		Signal: sig.ID, Label: sig.Label, Pane: sig.Pane, Unit: sig.Unit, Direction: sig.Direction, Threshold: shown(sig.Limits),
	}
	m, err := r.measure(ctx, sig)
	if err != nil {
		return r.without(out, err)
	}
	out.Provenance, out.Facts = m.prov, m.facts
	usual := r.compare(ctx, sig, &m)
	window := max(r.window, sig.Window)

	whole, judgement := r.combine(sig, m, usual, window, &out)
	if judgement.so != nil && m.basis.expr != "" {
		r.since(ctx, sig, m, whole, usual, &judgement)
	}
	out.History, out.AtLeast = whole.history, m.atLeast
	if !math.IsNaN(whole.n) {
		out.N = whole.n
	}
	if m.detail != "" {
		out.Detail = m.detail
	}
	switch {
	case !whole.known:
		out.Verdict, out.Why = sources.NoTraffic, m.silent
	case sig.ID == "req_rate" && whole.value == 0 && !worse(judgement.verdict, sources.OK):
		out.Known, out.Verdict, out.Why = true, sources.NoTraffic, "no requests in "+short(window)
	default:
		out.Known, out.Value = true, whole.value
		out.Verdict, out.Why, out.Since = judgement.verdict, judgement.why, judgement.since
		if judgement.basis.Rule != "" {
			out.Judgement = &judgement.basis
		}
	}
	if out.Verdict == sources.Learning && out.Usual == nil && m.basis.expr != "" && usual == nil && out.Why == "no history yet" {
		out.Why = "usual is loading"
	}
	if r.view.Live() {
		r.e.mu.Lock()
		r.e.last[lastKey{r.svc.name, sig.ID}] = out
		// What is only over a mild level may be how it is; what is bad or unlike before is not.
		if out.Known && (out.Verdict == sources.Bad || worse(out.Verdict, sources.OK) && judgement.basis.Rule != ruleFixed) {
			r.e.noteBad(r.svc.name, sig.ID, out.Since, r.now)
		}
		r.e.mu.Unlock()
	}
	return out
}

// since tells when it began: by the change-point of the counts where there are some,
// else by the first value that was so, which looked back over a window itself.
func (r *run) since(ctx context.Context, sig *Signal, m measured, whole part, usual map[string]past, j *judged) {
	if m.all != "" && m.bad != "" {
		rho := 0.0
		if was, ok := usual[wholeKey]; ok {
			rho = was.shares.Rho
		}
		if at, low, high := r.onset(ctx, sig, m, rho); !at.IsZero() {
			j.since, j.basis.Since, j.basis.SinceLow, j.basis.SinceHigh = at, at, low, high
			return
		}
	}
	if r.step > fineStep {
		j.since = r.finerSince(ctx, sig, m, whole.name, *j)
	}
	if h := whole.history; !j.since.IsZero() && (len(h) == 0 || !j.since.Equal(h[0].T)) {
		window := max(r.window, sig.Window)
		j.basis.Since, j.basis.SinceLow, j.basis.SinceHigh = j.since, j.since.Add(-window), j.since
	}
}

// finerSince looks at the last hour with finer steps than the view has. What
// began before that is as exact as the view.
func (r *run) finerSince(ctx context.Context, sig *Signal, m measured, name string, j judged) time.Time {
	end := r.now.Truncate(sinceStep)
	series, _, err := r.e.metrics.Range(ctx, m.basis.expr, end.Add(-sinceSpan), end, sinceStep)
	if err != nil {
		return j.since
	}
	parts, _ := r.fold(series, m.basis.src, m.basis.src.Part, sig.Combine == Worst)
	p := total(parts)
	if i := slices.IndexFunc(parts, func(p part) bool { return p.name == name }); i >= 0 && sig.Combine == Worst {
		p = parts[i]
	}
	since := began(p.history, j.so)
	if since.IsZero() || since.Equal(p.history[0].T) && j.since.Before(since) {
		return j.since
	}
	return since
}

// combine makes one value of the parts, judges it, and fills the reading's parts and usual.
func (r *run) combine(sig *Signal, m measured, usual map[string]past, window time.Duration, out *sources.Reading) (part, judged) {
	of := func(name string) *past {
		if u, ok := usual[name]; ok && u.Days > 0 {
			return &u
		}
		return nil
	}
	named := slices.ContainsFunc(m.parts, func(p part) bool { return p.name != "" })
	if sig.Combine == Sum || !named {
		whole := total(m.parts)
		u := of(wholeKey)
		j := sig.judge(whole, u, window)
		out.Usual = u.shown()
		if named {
			out.Parts, out.Detail = r.showParts(m.parts, nil), largest(m.parts)
		}
		return whole, j
	}
	best := -1
	verdicts := make([]judged, len(m.parts))
	for i, p := range m.parts {
		if !p.known {
			continue
		}
		verdicts[i] = sig.judge(p, of(p.name), window)
		if best < 0 || worsePart(sig, verdicts[i], p, verdicts[best], m.parts[best]) {
			best = i
		}
	}
	out.Parts = r.showParts(m.parts, verdicts)
	if best < 0 {
		return part{n: math.NaN(), history: total(m.parts[:1]).history}, judged{}
	}
	out.Detail, out.Usual = m.parts[best].name, of(m.parts[best].name).shown()
	return m.parts[best], verdicts[best]
}

// worsePart orders the parts of which the worst is shown: by verdict, and among
// equals by value, so that the same part stays in view while nothing is wrong.
func worsePart(sig *Signal, a judged, pa part, b judged, pb part) bool {
	if a.verdict != b.verdict {
		return a.verdict.Worse(b.verdict)
	}
	if worse(a.verdict, sources.OK) && a.weight != b.weight {
		return a.weight > b.weight
	}
	if sig.Direction == sources.LowerWorse {
		return pa.value < pb.value
	}
	return pa.value > pb.value
}

func (r *run) showParts(parts []part, verdicts []judged) []sources.Part {
	out := make([]sources.Part, 0, len(parts))
	for i, p := range parts {
		if p.name == "" && len(parts) > 1 || !p.known && len(p.history) == 0 {
			continue
		}
		x := sources.Part{Name: p.name, Value: p.value, History: p.history}
		if x.Name == "" {
			x.Name = "(none)"
		}
		if !math.IsNaN(p.n) {
			x.N = p.n
		}
		switch {
		case !p.known:
			x.Verdict = sources.NoTraffic
		case verdicts != nil:
			x.Verdict = verdicts[i].verdict
		}
		out = append(out, x)
	}
	return fewParts(out, verdicts == nil)
}

// maxParts bounds what one vector may bring to the screen: a label that grows
// without end is a mistake somewhere, and no reason to drown.
const maxParts = 50

// fewParts keeps the largest, or of judged parts the worst, and counts the rest as one.
func fewParts(parts []sources.Part, sum bool) []sources.Part {
	if len(parts) <= maxParts {
		return parts
	}
	slices.SortStableFunc(parts, func(a, b sources.Part) int {
		if a.Verdict != b.Verdict && a.Verdict.Worse(b.Verdict) != b.Verdict.Worse(a.Verdict) {
			if a.Verdict.Worse(b.Verdict) {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Value, a.Value)
	})
	rest := sources.Part{Name: fmt.Sprintf("(%d more)", len(parts)-maxParts)}
	for _, p := range parts[maxParts:] {
		if sum {
			rest.Value += p.Value
		}
		rest.N += p.N
	}
	kept := slices.Clone(parts[:maxParts])
	slices.SortFunc(kept, func(a, b sources.Part) int { return cmp.Compare(a.Name, b.Name) })
	if sum {
		kept = append(kept, rest)
	}
	return kept
}

func largest(parts []part) string {
	name, most := "", 0.0
	for _, p := range parts {
		if p.known && p.value > most && p.name != "" {
			name, most = p.name, p.value
		}
	}
	return name
}

// shown is what was usual as a reading carries it.
func (p *past) shown() *sources.Usual {
	if p == nil {
		return nil
	}
	u := p.Usual
	return &u
}

// without is the reading of a signal that nobody answered for.
func (r *run) without(out sources.Reading, err error) sources.Reading {
	var none errNotExposed
	if errors.As(err, &none) {
		out.Verdict, out.Why = sources.NotExposed, none.Error()
		return out
	}
	out.Verdict, out.Why = sources.Unreachable, "no answer"
	if !unreachable(err) {
		out.Why = "query rejected"
	}
	out.Facts = sources.Facts{Source: "prometheus", Fetched: r.e.deps.Clock.Wall(), Partial: err.Error()}
	r.e.mu.Lock()
	last, ok := r.e.last[lastKey{r.svc.name, out.Signal}]
	r.e.mu.Unlock()
	if !ok || !last.Known || !r.view.Live() {
		return out
	}
	// The old value stays in sight, marked as old; what it means now is not known.
	age := r.now.Sub(last.Facts.At)
	last.Verdict, last.Why, last.Since, last.Judgement = out.Verdict, out.Why, time.Time{}, nil
	last.Facts.Stale = fmt.Sprintf("%s old: %s", short(max(0, age)), err)
	last.Parts = slices.Clone(last.Parts)
	for i := range last.Parts {
		last.Parts[i].Verdict = sources.Unreachable
	}
	return last
}
