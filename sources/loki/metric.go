package loki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// Bounds of one metric answer.
const (
	maxSeries = 2000
	maxPoints = 500_000
)

// Metric evaluates a metric query at every step of a range. Steps without a value are absent.
func (c *Client) Metric(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	if step <= 0 || !start.Before(end) {
		return nil, sources.Facts{Source: "loki"}, fmt.Errorf("a metric query needs a start before its end and a step above zero, not %s to %s by %s", start.Format(time.RFC3339), end.Format(time.RFC3339), step)
	}
	return c.numbers(ctx, "query_range", url.Values{
		"query": {expr},
		"start": {strconv.FormatInt(start.UnixNano(), 10)},
		"end":   {strconv.FormatInt(end.UnixNano(), 10)},
		"step":  {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

// Instant evaluates a metric query at one time; the series have one point each.
func (c *Client) Instant(ctx context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error) {
	return c.numbers(ctx, "query", url.Values{
		"query": {expr},
		"time":  {strconv.FormatInt(at.UnixNano(), 10)},
	})
}

func (c *Client) numbers(ctx context.Context, path string, params url.Values) ([]sources.Series, sources.Facts, error) {
	var list []sources.Series
	var warnings []string
	partial := ""
	points := 0
	a, err := c.get(ctx, path, params, func(body io.Reader) error {
		list, partial, points = nil, "", 0
		d := decoder{c: c}
		d.series = func(r *reader) error {
			s, err := r.series()
			if err != nil {
				return err
			}
			points += len(s.Points)
			if len(list) >= maxSeries || points > maxPoints {
				return errTooLong
			}
			list = append(list, s)
			return nil
		}
		d.scalar = func(r *reader) error {
			p, err := r.point()
			list = []sources.Series{{Points: []sources.Point{p}}}
			return err
		}
		err := d.read(body)
		warnings = d.warnings
		if errors.Is(err, errTooLong) {
			partial = fmt.Sprintf("only the first %d series were read; make the query narrower", len(list))
			return nil
		}
		return err
	})
	facts := a.facts()
	if err != nil {
		return nil, facts, err
	}
	facts.Warnings, facts.Partial = warnings, partial
	facts.Shown, facts.Total = len(list), len(list)
	if partial != "" {
		facts.Total = -1
	}
	maps := make([]*map[string]string, len(list))
	for i := range list {
		maps[i] = &list[i].Labels
		if n := len(list[i].Points); n > 0 && list[i].Points[n-1].T.After(facts.At) {
			facts.At = list[i].Points[n-1].T
		}
	}
	c.cleanAll(maps)
	return list, facts, nil
}

// series reads {"metric": {…}, "values": [[t, "v"], …]} or one "value".
func (r *reader) series() (sources.Series, error) {
	var s sources.Series
	add := func() error {
		p, err := r.point()
		if len(s.Points) >= maxPoints {
			return errTooLong
		}
		s.Points = append(s.Points, p)
		return err
	}
	err := r.object(func(key string) (err error) {
		switch key {
		case "metric":
			s.Labels, err = r.strings()
			return err
		case "values":
			return r.array(add)
		case "value":
			return add()
		}
		return r.skip()
	})
	return s, err
}

// point reads [seconds, "value"].
func (r *reader) point() (p sources.Point, err error) {
	i := 0
	err = r.array(func() error {
		v, _, err := r.scalar()
		if err != nil {
			return err
		}
		f, bad := strconv.ParseFloat(v, 64)
		if bad != nil || i == 0 && (math.IsNaN(f) || math.Abs(f) > 1<<40) {
			return fmt.Errorf("%w: %q is no number", errNotJSON, v)
		}
		if i == 0 {
			sec, frac := math.Modf(f)
			p.T = time.Unix(int64(sec), int64(math.Round(frac*1e3))*1e6).UTC()
		} else {
			p.V = f
		}
		i++
		return nil
	})
	return p, err
}

// cleanAll redacts label sets in one go.
func (c *Client) cleanAll(sets []*map[string]string) {
	type pair struct {
		set  int
		name string
		v    *string
	}
	var pairs []pair
	var names []string
	var values []*string
	var docs []int
	for i, set := range sets {
		for _, k := range slices.Sorted(maps.Keys(*set)) {
			v := (*set)[k]
			pairs = append(pairs, pair{i, k, &v})
			names, values, docs = append(names, k), append(values, &v), append(docs, i)
		}
		*set = make(map[string]string, len(*set))
	}
	c.redact.Fields(names, values, docs)
	for _, p := range pairs {
		(*sets[p.set])[redact.SanitizeLine(c.name(p.name), maxLabel)] = redact.SanitizeLine(*p.v, maxLabel)
	}
}
