package signal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/sources"
)

var splits = []string{string(sources.Prompt), string(sources.Model), string(sources.Index)}

// Split reads one signal apart by the version of a component: "prompt", "model" or "index".
func (e *Evaluator) Split(ctx context.Context, service, id, by string, view sources.View) ([]sources.Part, sources.Facts, error) {
	if !slices.Contains(splits, by) {
		return nil, sources.Facts{}, fmt.Errorf("cannot split by %q; split by %s", by, strings.Join(splits, ", "))
	}
	r, err := e.begin(ctx, service, view)
	if err != nil {
		return nil, sources.Facts{}, err
	}
	sig := r.svc.signal(id)
	if sig == nil {
		return nil, sources.Facts{}, fmt.Errorf("no signal %q", id)
	}
	m, err := r.split(ctx, sig, by)
	if err != nil {
		if cancelled := ctx.Err(); cancelled != nil {
			return nil, sources.Facts{}, cancelled
		}
		return nil, m.facts, fmt.Errorf("%s cannot be split by %s: %w", id, by, err)
	}
	var usual *past
	if w, ok := r.compare(ctx, sig, &m)[wholeKey]; ok && w.Days > 0 && sig.Combine == Sum {
		usual = &w // what is usual for the whole service is what a version is held against
	}
	e.usual.load(service)
	window := max(r.window, sig.Window)
	verdicts := make([]judged, len(m.parts))
	for i, p := range m.parts {
		p.split = true
		verdicts[i] = sig.judge(p, usual, window)
	}
	return r.showParts(m.parts, verdicts), m.facts, nil
}

func (r *run) split(ctx context.Context, sig *Signal, by string) (measured, error) {
	if sig.Compute != nil {
		return measured{}, errors.New("it is about the service as a whole")
	}
	var failure error
	var missing errNotExposed
	for i := range sig.From {
		m, err := r.metric(ctx, sig, &sig.From[i], by)
		var none errNotExposed
		switch {
		case errors.As(err, &none):
			missing = missing.or(none)
		case err != nil && (failure == nil || unreachable(err)):
			failure = err
		case err == nil && (len(m.parts) != 1 || m.parts[0].name != ""):
			return m, nil
		}
	}
	if sig.Rows != nil && r.e.rows != nil {
		m, err := r.row(ctx, sig, sources.Component(by))
		if err == nil {
			return m, nil
		}
		failure = firstFailure(failure, err)
	}
	if failure == nil {
		failure = missing.or(lacking("%s label on its metric", by))
	}
	return measured{}, failure
}
