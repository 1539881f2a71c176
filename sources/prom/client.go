package prom

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"rollcall/sources"
	"rollcall/sources/hold"
)

// nameLookback bounds how far back MetricNames looks for a metric.
const nameLookback = 24 * time.Hour

// Query evaluates an instant query at a time of the service; every series has one
// point. A value that is "not a number" stays NaN; an absent series is absent.
func (c *Client) Query(ctx context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error) {
	var value model.Value
	facts, err := c.do(ctx, func(ctx context.Context) (v1.Warnings, v1.Warnings, error) {
		v, warn, info, err := c.api.Query(ctx, expr, at)
		value = v
		return warn, v1.Warnings(info), err
	})
	return c.answer(value, facts, err)
}

// Range evaluates a query from start to end, both included, every step.
func (c *Client) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	if step <= 0 || end.Before(start) {
		return nil, sources.Facts{Source: "prometheus"}, fmt.Errorf("range %s to %s by %s is empty; give an end after its start and a positive step",
			start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339), step)
	}
	if n := end.Sub(start) / step; n >= maxPoints {
		return nil, sources.Facts{Source: "prometheus"}, fmt.Errorf("range asks for %d points per series; use a step of %s or more",
			n+1, (end.Sub(start)/(maxPoints-1)).Round(time.Second)+time.Second)
	}
	var value model.Value
	facts, err := c.do(ctx, func(ctx context.Context) (v1.Warnings, v1.Warnings, error) {
		v, warn, info, err := c.api.QueryRange(ctx, expr, v1.Range{Start: start, End: end, Step: step})
		value = v
		return warn, v1.Warnings(info), err
	})
	return c.answer(value, facts, err)
}

// MetricNames lists the metrics that have a series matching the selector and a
// sample within the last day.
func (c *Client) MetricNames(ctx context.Context, match string) ([]string, error) {
	now := c.clock.Now()
	var values model.LabelValues
	_, err := c.do(ctx, func(ctx context.Context) (v1.Warnings, v1.Warnings, error) {
		v, warn, info, err := c.api.LabelValues(ctx, model.MetricNameLabel, []string{match}, now.Add(-nameLookback), now)
		values = v
		return warn, v1.Warnings(info), err
	})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(values))
	for _, v := range values {
		// A name that needs sanitising is no name that a query of ours could contain.
		if s := string(v); c.sanitize(s) == s {
			names = append(names, s)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Check asks whether the server answers and whether its clock agrees with ours.
func (c *Client) Check(ctx context.Context) error {
	var version string
	_, err := c.do(ctx, func(ctx context.Context) (v1.Warnings, v1.Warnings, error) {
		info, err := c.api.Buildinfo(ctx)
		version = info.Version
		return nil, nil, err
	})
	if err != nil {
		// Not every compatible server has build information; all of them can count to one.
		if _, _, err = c.Query(ctx, "vector(1)", c.clock.Now()); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if version != "" {
		c.health.Note = "version " + c.sanitize(version)
	}
	if d := c.health.Skew; d > sources.MaxSkew || d < -sources.MaxSkew {
		return fmt.Errorf("prometheus %s: its clock differs from this machine's by %s; check NTP on both", c.where, d.Round(time.Second))
	}
	return nil
}

// do runs one call in a slot, within the time limit, and keeps the books.
func (c *Client) do(ctx context.Context, call func(context.Context) (warnings, infos v1.Warnings, err error)) (sources.Facts, error) {
	facts := sources.Facts{Source: "prometheus"}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return facts, ctx.Err()
	}
	if err := c.hold.Wait(ctx, maxRetryWait, c.clock.Wall, c.rt.wait); err != nil {
		if why := (*hold.Held)(nil); errors.As(err, &why) {
			c.heldBack.Add(1)
			err = c.held(why)
			c.record(facts, err, false)
		}
		return facts, err
	}
	if err := c.hung(ctx); err != nil {
		return facts, err
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	c.queries.Add(1)
	c.recent.add(c.clock.Wall(), counts{queries: 1})
	began := c.clock.Wall()
	warn, info, err := call(bounded)
	facts.Fetched = c.clock.Wall()
	facts.Took = facts.Fetched.Sub(began)
	c.took.Add(int64(facts.Took))
	for _, w := range slices.Concat(warn, info) {
		facts.Warnings = append(facts.Warnings, cut(c.sanitize(w), maxMessage))
	}
	if err != nil && ctx.Err() != nil {
		return facts, ctx.Err() // nobody looks any more: says nothing about the server
	}
	if err != nil {
		c.failures.Add(1)
		why := c.hold.Beyond(c.clock.Wall(), maxRetryWait)
		if why != nil && refusedForNow(err) {
			err = c.held(why)
		} else {
			err = c.explain(err, bounded.Err() != nil)
		}
	}
	facts.Skew = c.record(facts, err, bounded.Err() != nil)
	return facts, err
}

// answer turns the API's value into series, in the order of the answer.
func (c *Client) answer(value model.Value, facts sources.Facts, err error) ([]sources.Series, sources.Facts, error) {
	if err != nil {
		return nil, facts, err
	}
	var out []sources.Series
	native := 0
	switch v := value.(type) {
	case model.Vector:
		for _, s := range v {
			if s.Histogram != nil {
				native++
				continue
			}
			out = append(out, sources.Series{Labels: c.labels(s.Metric), Points: []sources.Point{{T: s.Timestamp.Time(), V: float64(s.Value)}}})
		}
	case model.Matrix:
		for _, s := range v {
			if len(s.Histograms) > 0 {
				native++
			}
			if len(s.Values) == 0 {
				continue
			}
			points := make([]sources.Point, len(s.Values))
			for i, p := range s.Values {
				points[i] = sources.Point{T: p.Timestamp.Time(), V: float64(p.Value)}
			}
			out = append(out, sources.Series{Labels: c.labels(s.Metric), Points: points})
		}
	case *model.Scalar:
		out = append(out, sources.Series{Points: []sources.Point{{T: v.Timestamp.Time(), V: float64(v.Value)}}})
	case nil:
	default:
		return nil, facts, fmt.Errorf("prometheus answered a %s where numbers were expected; check the query", value.Type())
	}
	if native > 0 {
		facts.Partial = fmt.Sprintf("%d native histograms left out; wrap them in histogram_quantile()", native)
	}
	n := 0
	for _, s := range out {
		n += len(s.Points)
		for i := len(s.Points) - 1; i >= 0; i-- {
			if !math.IsNaN(s.Points[i].V) {
				if s.Points[i].T.After(facts.At) {
					facts.At = s.Points[i].T
				}
				break
			}
		}
	}
	c.samples.Add(int64(n))
	c.recent.add(facts.Fetched, counts{samples: int64(n)})
	return out, facts, nil
}

func (c *Client) labels(m model.Metric) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[c.sanitize(string(k))] = cut(c.sanitize(string(v)), maxLabel)
	}
	return out
}
