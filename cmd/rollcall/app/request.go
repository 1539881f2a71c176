package app

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/request"
)

const (
	// Around a request: its own lines are written while it runs and shortly after.
	logsBefore = 30 * time.Second
	logsAfter  = 2 * time.Minute
	// Where no trace says when a request ran, logs are searched this far back.
	logsBlind  = 24 * time.Hour
	logLimit   = 500
	alikeLimit = 20
	// Each part of a request is given this long; the others do not wait for it.
	partTime = 5 * time.Second
)

// Request opens a request by request, trace or response ID. Every source is
// asked at once and named in the answers with what it had.
func (a *App) Request(ctx context.Context, service, id string) (*sources.RequestView, error) {
	s, err := a.service(service)
	if err != nil {
		return nil, err
	}
	look := a.lookUp(ctx, s, id)
	defer look.end()
	v := look.wait(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if v != nil {
		return a.around(ctx, service, s.Logs, v, look), nil
	}
	v, err = a.logsOnly(ctx, service, s.Logs, id, look.answers())
	if err != nil {
		return nil, err
	}
	if trace := v.Request.TraceID; trace != "" && trace != id {
		// A gateway's log knows the request by an ID that no span carries.
		again := a.lookUp(ctx, s, trace)
		defer again.end()
		if whole := again.wait(ctx); whole != nil && ctx.Err() == nil {
			return a.around(ctx, service, s.Logs, whole, again), nil
		}
	}
	return v, nil
}

// around adds to a trace what the other sources know of its request.
func (a *App) around(ctx context.Context, service, selector string, v *sources.RequestView, look *lookUp) *sources.RequestView {
	v.Content = request.ContentOf(v.Spans, v.Events)
	v.Request.SchemaError = schemaError(v.Spans)

	// What the parts find is put together here, so that a part that comes too late changes nothing.
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	var (
		logs, alike, good sources.Answer
		list              sources.LogList
		similar           []sources.Request
		manifest          *sources.Manifest
		diff              []sources.Change
		parts             sync.WaitGroup
	)
	r := v.Request
	parts.Go(func() { list, logs = a.requestLogs(ctx, selector, &r) })
	parts.Go(func() { similar, alike = a.alike(ctx, &r) })
	parts.Go(func() { manifest, diff, good = a.compared(ctx, service, &r) })
	parts.Wait()
	v.Logs, v.Alike, v.LastGood, v.Diff = list, similar, manifest, diff
	fromLogs(&v.Request, list.Lines)
	v.Answers = append(look.answers(), logs, alike, good)
	v.Answers = slices.DeleteFunc(v.Answers, func(x sources.Answer) bool { return x.Source == "" })
	return v
}

// fromLogs fills columns that no span told from what a gateway's access log says.
func fromLogs(r *sources.Request, lines []sources.LogLine) {
	if r.From == nil {
		r.From = map[string]string{}
	}
	for i := range lines {
		says := lines[i].Says
		text := func(column string, to *string) {
			if f, ok := says[column]; ok && *to == "" {
				*to, r.From[column] = f.Value, "log: "+f.Field
			}
		}
		number := func(column string, to *sources.Num) {
			if f, ok := says[column]; ok && !to.OK {
				if n, err := strconv.ParseFloat(f.Value, 64); err == nil {
					*to, r.From[column] = sources.N(n), "log: "+f.Field
				}
			}
		}
		text("model_requested", &r.ModelRequested)
		text("model_served", &r.ModelServed)
		text("provider", &r.Provider)
		number("tokens_in", &r.TokensIn)
		number("tokens_out", &r.TokensOut)
		if f, ok := says["status"]; ok && r.Outcome == "" {
			r.Outcome, r.From["outcome"] = "ok", "log: "+f.Field
			if f.Value[0] == '5' {
				r.Outcome, r.ErrorType, r.From["error_type"] = "error", f.Value, "log: "+f.Field
			}
		}
	}
}

// schemaError is what the validator said about an answer that failed its schema.
func schemaError(spans []sources.Span) string {
	for i := range spans {
		if said, _ := spans[i].Attrs.Get("llmops.schema.error"); said != "" {
			return line(said)
		}
	}
	return ""
}

// logsOnly is what is left of a request without a trace: its log lines.
func (a *App) logsOnly(ctx context.Context, service, selector, id string, traces []sources.Answer) (*sources.RequestView, error) {
	logs := sources.Answer{Source: "loki", Note: "not configured"}
	var list sources.LogList
	if a.loki != nil {
		ctx, cancel := context.WithTimeout(ctx, partTime)
		defer cancel()
		now := a.clock.Now()
		list, logs = a.linesOf(ctx, selector, []string{id}, now.Add(-logsBlind), now)
	}
	answers := slices.Concat(traces, []sources.Answer{logs})
	if !logs.Found {
		said := make([]string, len(answers))
		for i, x := range answers {
			said[i] = x.Source + ": " + x.Note
		}
		return nil, fmt.Errorf("no source has %q: %s", line(id), strings.Join(said, "; "))
	}
	v := &sources.RequestView{Logs: list, Answers: answers}
	v.Request.ID, v.Request.Service = line(id), service
	v.Request.Time = list.Lines[0].Time
	for i := range list.Lines {
		if t := list.Lines[i].TraceID; t != "" {
			v.Request.TraceID = t
			break
		}
	}
	fromLogs(&v.Request, list.Lines)
	return v, nil
}

func (a *App) requestLogs(ctx context.Context, selector string, r *sources.Request) (sources.LogList, sources.Answer) {
	if a.loki == nil {
		return sources.LogList{}, sources.Answer{Source: "loki", Note: "not configured"}
	}
	end := r.Time
	if r.Latency.OK {
		end = end.Add(time.Duration(r.Latency.V * float64(time.Second)))
	}
	return a.linesOf(ctx, selector, []string{r.ID, r.TraceID}, r.Time.Add(-logsBefore), end.Add(logsAfter))
}

// linesOf finds the lines that carry one of the IDs, in their text or else in
// their structured metadata.
func (a *App) linesOf(ctx context.Context, selector string, ids []string, since, until time.Time) (sources.LogList, sources.Answer) {
	ids = slices.DeleteFunc(slices.Compact(ids), func(s string) bool { return s == "" })
	if len(ids) == 0 {
		return sources.LogList{}, sources.Answer{Source: "loki", Note: "the request has no ID to look for"}
	}
	began := a.clock.Wall()
	q := sources.LogQuery{Query: selector + lineFilter(ids), Since: since, Until: until, Limit: logLimit}
	list, err := a.loki.QueryRange(ctx, q)
	if err == nil && len(list.Lines) == 0 {
		q.Query = selector + " | trace_id=" + strconv.Quote(ids[len(ids)-1])
		if inMeta, metaErr := a.loki.QueryRange(ctx, q); metaErr == nil && len(inMeta.Lines) > 0 {
			list = inMeta
		}
	}
	answer := sources.Answer{Source: "loki"}
	switch {
	case err != nil:
		answer.Note = line(err.Error())
	case len(list.Lines) == 0:
		answer.Note = "no line carries its ID"
	default:
		answer.Found = true
		answer.Note = joinFacts(fmt.Sprintf("%s in %s", sources.Counted(len(list.Lines), "line"), took(a.clock.Wall().Sub(began))), list.Facts)
	}
	return list, answer
}

// lineFilter keeps lines that hold one of the IDs.
func lineFilter(ids []string) string {
	if len(ids) == 1 {
		return " |= " + strconv.Quote(ids[0])
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = regexp.QuoteMeta(id)
	}
	return " |~ " + strconv.Quote(strings.Join(quoted, "|"))
}

func (a *App) alike(ctx context.Context, r *sources.Request) ([]sources.Request, sources.Answer) {
	if len(r.Bad()) == 0 {
		return nil, sources.Answer{}
	}
	list, err := a.rows.Alike(ctx, r, alikeLimit)
	switch {
	case err != nil:
		return nil, sources.Answer{Source: "alike", Note: line(err.Error())}
	case len(list.Rows) == 0:
		return nil, sources.Answer{Source: "alike", Note: "no other request failed the same way"}
	}
	note := sources.Counted(len(list.Rows), "request")
	if f := list.Facts; f.Total > f.Shown {
		note = fmt.Sprintf("%d of %d requests", f.Shown, f.Total)
	}
	return list.Rows, sources.Answer{Source: "alike", Found: true, Note: note + " failed the same way"}
}

func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func joinFacts(note string, f sources.Facts) string {
	for _, s := range append([]string{f.Partial, f.Stale}, f.Warnings...) {
		if s != "" {
			note += "; " + s
		}
	}
	return note
}
