package manifest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"rollcall/sources"
)

// Not versions, but switches: features that are off, and models that answer for others.
const (
	disabled = `max by (feature) (llmops_feature_disabled{$scope})`
	// A fallback that takes a request now and then is every day's business: what counts is its share.
	fallen = `sum by (from, to) (rate(llmops_fallback_total{$scope}[5m])) / scalar(sum(rate(llmops_requests_total{$scope}[5m])))`
)

const (
	maxSwitches = 200
	fallsBack   = 0.05 // share of the requests from which on a fallback is in use
	recovered   = 0.02 // and below which it no longer is
)

// features are those that were switched, from llmops_feature_disabled.
func (r *Reader) features(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.Change, string, error) {
	series, _, err := r.series(ctx, scoped(disabled, r.scopes[service]), since, until, step)
	if err != nil {
		return nil, "", err
	}
	if len(series) > maxSwitches {
		return nil, exploded("llmops_feature_disabled", len(series)), nil
	}
	var out []sources.Change
	for _, s := range series {
		name := s.Labels["feature"]
		if name == "" {
			continue
		}
		was, known := false, false
		for i, p := range s.Points {
			if math.IsNaN(p.V) {
				continue
			}
			off := p.V > 0.5
			switch {
			case known && off != was:
				out = append(out, featureChange(p.T, name, off))
			case !known && off && i == 0 && p.T.Sub(since) > max(2*step, apart):
				// A series that begins with the switch: it was on while nobody said so.
				out = append(out, featureChange(p.T, name, true))
			}
			was, known = off, true
		}
	}
	return out, "", nil
}

func featureChange(at time.Time, name string, off bool) sources.Change {
	c := sources.Change{At: at, Component: sources.Feature, From: name + " on", To: name + " off", Source: "prometheus"}
	if !off {
		c.From, c.To = c.To, c.From
	}
	return c
}

// fallbacks are when another model began to answer for one, and when that ended.
func (r *Reader) fallbacks(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.Change, string, error) {
	series, _, err := r.series(ctx, scoped(fallen, r.scopes[service]), since, until, step)
	if err != nil {
		return nil, "", err
	}
	if len(series) > maxSwitches {
		return nil, exploded("llmops_fallback_total", len(series)), nil
	}
	var out []sources.Change
	for _, s := range series {
		from, to := s.Labels["from"], s.Labels["to"]
		if from == "" && to == "" {
			continue
		}
		used, first := false, true
		began, height := -1, 0.0 // the change that began it, in out; the largest share since
		for _, p := range s.Points {
			if math.IsNaN(p.V) || math.IsInf(p.V, 0) {
				continue
			}
			switch {
			case !used && p.V >= fallsBack:
				used, began, height = true, -1, 0
				if !first || p.T.Sub(since) > max(2*step, apart) {
					began = len(out)
					out = append(out, sources.Change{At: p.T, Component: sources.Fallback, From: from, To: to, Source: "prometheus"})
				}
			case used && p.V < recovered:
				used = false
				out = append(out, sources.Change{At: p.T, Component: sources.Fallback, From: to, To: from, Source: "prometheus", Evidence: "the fallback is no longer in use"})
			}
			if height = math.Max(height, p.V); used && began >= 0 {
				out[began].Evidence = fmt.Sprintf("answers up to %.0f%% of the requests", 100*height)
			}
			first = false
		}
	}
	slices.SortStableFunc(out, func(a, b sources.Change) int { return a.At.Compare(b.At) })
	return out, "", nil
}
