// Package tempo reads traces from Grafana Tempo, or anything that speaks its
// HTTP API: a trace by its ID, and traces by TraceQL.
package tempo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/sources"
	"rollcall/sources/otlp"
	"rollcall/sources/rest"
)

// Config is the `tempo:` section of the configuration.
type Config = rest.Config

const (
	protobuf = "application/protobuf"
	jsonType = "application/json"
	maxSpans = 100_000 // of one trace
	maxFound = 50      // traces of one search, each of which is read whole
)

// Options are what the client needs from the program around it.
type Options struct {
	Clock    sources.Clock
	Redactor otlp.Redactor
	Log      *slog.Logger // nil discards
}

// Client reads one Tempo. It is safe for concurrent use.
type Client struct {
	rest  *rest.Client
	red   otlp.Redactor
	clock sources.Clock
	old   atomic.Bool // knows only the first version of the trace API
}

// New returns a client. It does not connect.
func New(cfg Config, opts Options) (*Client, error) {
	r, err := rest.New("tempo", cfg, rest.Options{Clock: opts.Clock, Redactor: opts.Redactor, Log: opts.Log}, "/api")
	if err != nil {
		return nil, err
	}
	return &Client{rest: r, red: opts.Redactor, clock: opts.Clock}, nil
}

// Close releases idle connections.
func (c *Client) Close() { c.rest.Close() }

// Health says how Tempo answered last.
func (c *Client) Health() sources.Health { return c.rest.Health() }

// Check asks for as little as lets a wrong tenant show.
func (c *Client) Check(ctx context.Context) error {
	now := c.clock.Now()
	_, _, err := c.search(ctx, sources.TraceQuery{Since: now.Add(-5 * time.Minute), Until: now, Limit: 1})
	return err
}

// Trace reads one trace; no spans when Tempo has none of it.
func (c *Client) Trace(ctx context.Context, id sources.TraceID) ([]sources.Span, sources.Facts, error) {
	a, second, err := c.fetch(ctx, id)
	facts := c.rest.Facts(a)
	if err != nil || a.Missing {
		return nil, facts, err
	}
	t, err := decode(a, second)
	if err != nil {
		return nil, facts, c.rest.Unreadable(a, err)
	}
	spans, total := otlp.Spans(t.spans, c.red, maxSpans)
	facts.Shown, facts.Total = len(spans), total
	switch {
	case t.partial:
		facts.Partial = "tempo gave a part of the trace"
		if t.message != "" {
			facts.Warnings = append(facts.Warnings, c.rest.Clean(t.message))
		}
	case total > len(spans):
		facts.Partial = fmt.Sprintf("%d of %d spans", len(spans), total)
	}
	for i := range spans {
		facts.At = later(facts.At, time.Unix(0, spans[i].Start).UTC())
	}
	return spans, facts, nil
}

// fetch reads a trace by the second version of the API, or by the first where
// the server knows no other, as protobuf or as JSON where it makes no protobuf.
func (c *Client) fetch(ctx context.Context, id sources.TraceID) (a rest.Answer, second bool, err error) {
	for _, second = range [...]bool{true, false} {
		path := "/api/traces/"
		if second {
			if c.old.Load() {
				continue
			}
			path = "/api/v2/traces/"
		}
		a, err = c.rest.Get(ctx, path+id.String(), nil, protobuf)
		var e *rest.Error
		if errors.As(err, &e) && (e.Status == http.StatusNotAcceptable || e.Status == http.StatusUnsupportedMediaType) {
			a, err = c.rest.Get(ctx, path+id.String(), nil, jsonType)
		}
		if err != nil || !a.NoRoute {
			return a, second, err
		}
		c.old.Store(second)
	}
	c.old.Store(false)
	return a, false, c.rest.NoAPI(a)
}

// Find searches by TraceQL and reads what it found, whole.
func (c *Client) Find(ctx context.Context, q sources.TraceQuery) (sources.TraceList, error) {
	ids, facts, err := c.search(ctx, q)
	list := sources.TraceList{Facts: facts}
	if err != nil {
		return list, err
	}
	traces := make([][]sources.Span, len(ids))
	failed := make([]error, len(ids))
	parts := make([]string, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { // the client lets only a few run at once
			var f sources.Facts
			traces[i], f, failed[i] = c.Trace(ctx, id)
			parts[i] = f.Partial
		})
	}
	wg.Wait()
	lost := 0
	for i := range ids {
		switch {
		case failed[i] != nil:
			lost, err = lost+1, failed[i]
		case len(traces[i]) > 0:
			list.Traces = append(list.Traces, traces[i])
		}
		if list.Facts.Partial == "" {
			list.Facts.Partial = parts[i]
		}
	}
	if lost > 0 && lost == len(ids) {
		return list, err
	}
	if lost > 0 {
		list.Facts.Partial = fmt.Sprintf("%d of %d traces could not be read", lost, len(ids))
		list.Facts.Warnings = append(list.Facts.Warnings, err.Error())
	}
	list.Facts.Shown = len(list.Traces)
	return list, nil
}

// search returns the IDs that a query finds, newest first.
func (c *Client) search(ctx context.Context, q sources.TraceQuery) ([]sources.TraceID, sources.Facts, error) {
	limit := maxFound
	if q.Limit > 0 {
		limit = min(q.Limit, maxFound)
	}
	params := url.Values{"q": {TraceQL(q)}, "limit": {strconv.Itoa(limit)}, "spss": {"1"}}
	if !q.Since.IsZero() {
		params.Set("start", strconv.FormatInt(q.Since.Unix(), 10))
		params.Set("end", strconv.FormatInt(q.Until.Unix()+1, 10))
	}
	a, err := c.rest.Get(ctx, "/api/search", params, jsonType)
	facts := c.rest.Facts(a)
	if err == nil && (a.NoRoute || a.Missing) {
		err = c.rest.NoAPI(a)
	}
	if err != nil {
		return nil, facts, err
	}
	var answer struct {
		Traces []struct {
			ID    string      `json:"traceID"`
			Start json.Number `json:"startTimeUnixNano"`
		} `json:"traces"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return nil, facts, c.rest.Unreadable(a, err)
	}
	type found struct {
		id sources.TraceID
		at int64
	}
	var list []found
	for _, t := range answer.Traces {
		if id, ok := sources.ParseTraceID(t.ID); ok {
			at, _ := t.Start.Int64() // a time that is none sorts last
			list = append(list, found{id, at})
		}
	}
	slices.SortStableFunc(list, func(x, y found) int { return int(min(1, max(-1, y.at-x.at))) })
	list = list[:min(len(list), limit)]
	ids := make([]sources.TraceID, len(list))
	for i, f := range list {
		ids[i] = f.id
	}
	facts.Total = len(ids)
	if len(ids) == limit {
		facts.Total = -1 // it stops looking once it has as many as were asked for
	}
	return ids, facts, nil
}

// TraceQL writes a query in Tempo's language.
func TraceQL(q sources.TraceQuery) string {
	var terms []string
	if len(q.Fields) > 0 {
		one := make([]string, len(q.Fields))
		for i, f := range q.Fields {
			one[i] = "span." + attribute(f) + " = " + strconv.Quote(q.Value)
		}
		alternatives := strings.Join(one, " || ")
		if len(one) > 1 && (q.Service != "" || q.Failed) {
			alternatives = "(" + alternatives + ")"
		}
		terms = append(terms, alternatives)
	}
	if q.Service != "" {
		terms = append(terms, "resource.service.name = "+strconv.Quote(q.Service))
	}
	if q.Failed {
		terms = append(terms, "status = error")
	}
	if len(terms) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(terms, " && ") + " }"
}

// attribute quotes names with characters that have a meaning of their own.
func attribute(name string) string {
	for i := range len(name) {
		b := name[i]
		if b|0x20-'a' > 25 && b-'0' > 9 && b != '_' && b != '.' {
			return strconv.Quote(name)
		}
	}
	return name
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
