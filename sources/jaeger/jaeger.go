// Package jaeger reads traces from Jaeger's query API, version 3: a trace by its
// ID, and traces by attributes.
package jaeger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

// Config is the `jaeger:` section of the configuration.
type Config = rest.Config

const (
	jsonType = "application/json"
	maxSpans = 100_000 // of one answer
	maxFound = 50      // traces of one search, which come whole
	maxAsked = 32      // services of one search that names none
)

// Options are what the client needs from the program around it.
type Options struct {
	Clock    sources.Clock
	Redactor otlp.Redactor
	Log      *slog.Logger // nil discards
}

// Client reads one Jaeger. It is safe for concurrent use.
type Client struct {
	rest *rest.Client
	red  otlp.Redactor
	// deaf: its version 3 finds nothing by attributes and gives any trace instead, as
	// that of Jaeger up to 2.13 does; then the API of its own screen tells the IDs.
	deaf atomic.Bool
}

// New returns a client. It does not connect.
func New(cfg Config, opts Options) (*Client, error) {
	r, err := rest.New("jaeger", cfg, rest.Options{Clock: opts.Clock, Redactor: opts.Redactor, Log: opts.Log}, "/api/v3", "/api")
	if err != nil {
		return nil, err
	}
	return &Client{rest: r, red: opts.Redactor}, nil
}

// Close releases idle connections.
func (c *Client) Close() { c.rest.Close() }

// Health says how Jaeger answered last.
func (c *Client) Health() sources.Health { return c.rest.Health() }

// Check asks for the names of the services.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.services(ctx)
	return err
}

func (c *Client) services(ctx context.Context) ([]string, error) {
	a, err := c.rest.Get(ctx, "/api/v3/services", nil, jsonType)
	switch {
	case err != nil:
		return nil, err
	case a.NoRoute || a.Missing:
		return nil, c.rest.NoAPI(a)
	}
	var answer struct {
		Services []string `json:"services"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return nil, c.rest.Unreadable(a, err)
	}
	return answer.Services, nil
}

// Trace reads one trace; no spans when Jaeger has none of it.
func (c *Client) Trace(ctx context.Context, id sources.TraceID) ([]sources.Span, sources.Facts, error) {
	a, err := c.rest.Get(ctx, "/api/v3/traces/"+id.String(), url.Values{"raw_traces": {"true"}}, jsonType)
	facts := c.rest.Facts(a)
	if err == nil && a.NoRoute {
		err = c.rest.NoAPI(a)
	}
	if err != nil || a.Missing {
		return nil, facts, err
	}
	spans, err := c.read(a, &facts)
	return spans, facts, err
}

// Find searches by attributes. Jaeger knows no "or": each field is asked for on
// its own, and the first that finds something answers.
func (c *Client) Find(ctx context.Context, q sources.TraceQuery) (sources.TraceList, error) {
	q.Limit = min(max(q.Limit, 1), maxFound)
	switch {
	case len(q.Fields) == 0 && q.Failed:
		return c.failed(ctx, q)
	case len(q.Fields) == 0:
		return c.find(ctx, q, nil)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		list sources.TraceList
		err  error
	}
	got := make(chan outcome, len(q.Fields))
	ask := func(field string) {
		list, err := c.having(ctx, q, field)
		got <- outcome{list, err}
	}
	var last outcome
	for i := range q.Fields {
		switch i {
		case 0:
			ask(q.Fields[0])
		case 1: // now it is known whether it hears attributes
			for _, f := range q.Fields[1:] {
				go ask(f)
			}
		}
		o := <-got
		if o.err == nil && len(o.list.Traces) > 0 {
			return o.list, nil
		}
		if last.err == nil {
			last = o
		}
	}
	return last.list, last.err
}

// having finds the traces in which a span has the field with the value asked for.
func (c *Client) having(ctx context.Context, q sources.TraceQuery, field string) (sources.TraceList, error) {
	list, err := c.byAttribute(ctx, q, field)
	if q.Failed && err == nil {
		keep(&list, failed)
	}
	return list, err
}

func (c *Client) byAttribute(ctx context.Context, q sources.TraceQuery, field string) (sources.TraceList, error) {
	if c.deaf.Load() {
		return c.byTags(ctx, q, field, q.Value)
	}
	list, err := c.find(ctx, q, map[string]string{field: q.Value})
	if err != nil || len(list.Traces) == 0 {
		return list, err
	}
	if keep(&list, func(t []sources.Span) bool { return carries(t, field, q.Value) }); len(list.Traces) == 0 {
		c.deaf.Store(true)
		return c.byTags(ctx, q, field, q.Value)
	}
	return list, nil
}

// failed finds traces with a failed span. A Jaeger that is deaf gives any, and the
// memory of one takes the tag for its opposite: then the newest are looked through.
func (c *Client) failed(ctx context.Context, q sources.TraceQuery) (sources.TraceList, error) {
	for _, ask := range []func() (sources.TraceList, error){
		func() (sources.TraceList, error) { return c.find(ctx, q, map[string]string{"error": "true"}) },
		func() (sources.TraceList, error) { return c.byTags(ctx, q, "error", "true") },
	} {
		list, err := ask()
		if err != nil {
			return list, err
		}
		found := len(list.Traces)
		if keep(&list, failed); found > 0 && len(list.Traces) == found {
			return list, nil
		}
	}
	limit := q.Limit
	q.Limit = maxFound
	list, err := c.find(ctx, q, nil)
	if err != nil {
		return list, err
	}
	read := len(list.Traces)
	keep(&list, failed)
	if len(list.Traces) > limit {
		list.Traces, list.Facts.Total = list.Traces[:limit], -1
	} else if read < maxFound {
		list.Facts.Total = len(list.Traces)
	} else {
		list.Facts.Partial = fmt.Sprintf("failed ones among the newest %d traces: this Jaeger does not search for them", read)
	}
	list.Facts.Shown = len(list.Traces)
	return list, nil
}

func failed(t []sources.Span) bool {
	return slices.ContainsFunc(t, func(s sources.Span) bool { return s.Error })
}

func keep(list *sources.TraceList, which func([]sources.Span) bool) {
	list.Traces = slices.DeleteFunc(list.Traces, func(t []sources.Span) bool { return !which(t) })
	list.Facts.Shown = len(list.Traces)
	if list.Facts.Total >= 0 {
		list.Facts.Total = len(list.Traces)
	}
}

// carries tells whether a span of the trace has the field with the value, alone
// or in a list, which is how headers arrive.
func carries(t []sources.Span, field, value string) bool {
	for i := range t {
		if v, ok := t[i].Attrs.Get(field); ok && strings.Contains(v, value) {
			return true
		}
	}
	return false
}

// find asks version 3 of the API, under the names of parameters that each of its releases knows.
func (c *Client) find(ctx context.Context, q sources.TraceQuery, attrs map[string]string) (sources.TraceList, error) {
	params := url.Values{}
	both := func(now, before, v string) {
		params.Set("query."+now, v)
		params.Set("query."+before, v)
	}
	both("startTimeMin", "start_time_min", q.Since.UTC().Format(time.RFC3339Nano))
	both("startTimeMax", "start_time_max", q.Until.UTC().Format(time.RFC3339Nano))
	both("searchDepth", "num_traces", strconv.Itoa(q.Limit))
	both("rawTraces", "raw_traces", "true") // times as they were sent
	if q.Service != "" {
		both("serviceName", "service_name", q.Service)
	}
	if len(attrs) > 0 {
		text, err := json.Marshal(attrs)
		if err != nil {
			return sources.TraceList{}, err
		}
		params.Set("query.attributes", string(text))
	}
	a, err := c.rest.Get(ctx, "/api/v3/traces", params, jsonType)
	list := sources.TraceList{Facts: c.rest.Facts(a)}
	if err == nil && a.NoRoute {
		err = c.rest.NoAPI(a)
	}
	if err != nil || a.Missing {
		return list, err
	}
	spans, err := c.read(a, &list.Facts)
	if err != nil {
		return list, err
	}
	list.Traces = apart(spans)
	list.Facts.Shown, list.Facts.Total = len(list.Traces), len(list.Traces)
	if len(list.Traces) >= q.Limit {
		list.Facts.Total = -1
	}
	return list, nil
}

// byTags asks the API of Jaeger's own screen for IDs, and version 3 for the traces.
// That one must be told a service: where none is named, each is asked for.
func (c *Client) byTags(ctx context.Context, q sources.TraceQuery, field, value string) (sources.TraceList, error) {
	names := []string{q.Service}
	unasked := 0
	if q.Service == "" {
		all, err := c.services(ctx)
		if err != nil {
			return sources.TraceList{}, err
		}
		names = all[:min(len(all), maxAsked)]
		unasked = len(all) - len(names)
	}
	answers := make([]found, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { answers[i], errs[i] = c.tagged(ctx, q, name, field, value) }) // the client lets only a few run at once
	}
	wg.Wait()
	var list sources.TraceList
	var ids []sources.TraceID
	for i, a := range answers {
		list.Facts = a.facts
		if errs[i] != nil {
			return list, errs[i]
		}
		for _, id := range a.ids {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(names) == 0 {
		list.Facts = c.rest.Facts(rest.Answer{})
	}
	if unasked > 0 {
		list.Facts.Partial = fmt.Sprintf("%d services were not asked for; name one", unasked)
	}
	more := len(ids) >= q.Limit
	ids = ids[:min(len(ids), maxFound)]
	traces := make([][]sources.Span, len(ids))
	failed := make([]error, len(ids))
	for i, id := range ids {
		wg.Go(func() { traces[i], _, failed[i] = c.Trace(ctx, id) })
	}
	wg.Wait()
	for _, t := range traces {
		if len(t) > 0 {
			list.Traces = append(list.Traces, t)
		}
	}
	if err := errors.Join(failed...); err != nil {
		if len(list.Traces) == 0 {
			return list, err
		}
		list.Facts.Partial = fmt.Sprintf("%d of %d traces could not be read", len(ids)-len(list.Traces), len(ids))
	}
	newestFirst(list.Traces)
	list.Traces = list.Traces[:min(len(list.Traces), q.Limit)]
	list.Facts.Shown, list.Facts.Total = len(list.Traces), len(list.Traces)
	if more {
		list.Facts.Total = -1
	}
	return list, nil
}

// found are the IDs of the traces of one service.
type found struct {
	ids   []sources.TraceID
	facts sources.Facts
}

func (c *Client) tagged(ctx context.Context, q sources.TraceQuery, service, field, value string) (found, error) {
	tags, err := json.Marshal(map[string]string{field: value})
	if err != nil {
		return found{}, err
	}
	a, err := c.rest.Get(ctx, "/api/traces", url.Values{
		"service": {service}, "tags": {string(tags)}, "limit": {strconv.Itoa(q.Limit)}, "lookback": {"custom"},
		"start": {strconv.FormatInt(q.Since.UnixMicro(), 10)}, "end": {strconv.FormatInt(q.Until.UnixMicro(), 10)},
	}, jsonType)
	out := found{facts: c.rest.Facts(a)}
	if err != nil || a.Missing || a.NoRoute {
		return out, err
	}
	var answer struct {
		Data []struct {
			ID string `json:"traceID"`
		} `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return out, c.rest.Unreadable(a, err)
	}
	for _, d := range answer.Data[:min(len(answer.Data), q.Limit)] {
		if id, ok := sources.ParseTraceID(d.ID); ok {
			out.ids = append(out.ids, id)
		}
	}
	return out, nil
}

// read takes the spans out of {"result": {"resourceSpans": …}}, of which a
// gateway that streams sends several one after the other.
func (c *Client) read(a rest.Answer, facts *sources.Facts) ([]sources.Span, error) {
	var spans []sources.Span
	total := 0
	d := json.NewDecoder(bytes.NewReader(a.Body))
	for {
		var part struct {
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		err := d.Decode(&part)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && part.Error != nil {
			err = errors.New(part.Error.Message)
		}
		if err != nil {
			return nil, c.rest.Unreadable(a, err)
		}
		if len(part.Result) == 0 {
			continue
		}
		td, err := otlp.UnmarshalJSON(part.Result)
		if err != nil {
			return nil, c.rest.Unreadable(a, err)
		}
		more, n := otlp.Spans(td, c.red, maxSpans-len(spans))
		spans, total = append(spans, more...), total+n
	}
	for i := range spans {
		if at := time.Unix(0, spans[i].Start).UTC(); at.After(facts.At) {
			facts.At = at
		}
	}
	facts.Shown, facts.Total = len(spans), total
	if total > len(spans) {
		facts.Partial = fmt.Sprintf("%d of %d spans", len(spans), total)
	}
	return spans, nil
}

// apart sorts spans by trace, newest trace first.
func apart(spans []sources.Span) [][]sources.Span {
	at := map[sources.TraceID]int{}
	var out [][]sources.Span
	for i := range spans {
		n, ok := at[spans[i].TraceID]
		if !ok {
			n = len(out)
			at[spans[i].TraceID] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], spans[i])
	}
	newestFirst(out)
	return out
}

func newestFirst(traces [][]sources.Span) {
	slices.SortStableFunc(traces, func(a, b []sources.Span) int { return int(min(1, max(-1, began(b)-began(a)))) })
}

func began(t []sources.Span) int64 {
	at := t[0].Start
	for i := range t {
		at = min(at, t[i].Start)
	}
	return at
}
