package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"rollcall/sources"
	"rollcall/store/cases"
	"rollcall/store/journal"
)

// spansKept is how much of one trace is evidence: a runaway agent makes more.
const spansKept = 5000

// CaptureRequest stores a request as artifacts of the incident and links it.
// An empty incident means the open one of the service. What the sources give
// is redacted already; the journal redacts once more.
func (a *App) CaptureRequest(ctx context.Context, service, incident, id string) (journal.Entry, error) {
	inc, err := a.incidentFor(ctx, service, incident)
	if err != nil {
		return journal.Entry{}, err
	}
	v, err := a.Request(ctx, service, id)
	if err != nil {
		return journal.Entry{}, err
	}
	artifacts, err := artifactsOf(v)
	if err != nil {
		return journal.Entry{}, err
	}
	name := v.Request.ID
	if name == "" {
		name = v.Request.TraceID
	}
	return a.append(ctx, journal.Draft{
		Kind: journal.Captured, Service: inc.Service, Environment: inc.Environment, Incident: inc.ID,
		Data: Captured{
			Request: name, TraceID: v.Request.TraceID, Bad: v.Request.Bad(), Spans: len(v.Spans), Lines: len(v.Logs.Lines),
			Model: v.Request.ModelServed, Prompt: v.Request.Prompt, Index: v.Request.Index,
		},
		Artifacts: artifacts,
	})
}

// Captured is the data of an artifact.captured entry.
type Captured struct {
	Request string   `json:"request"`
	TraceID string   `json:"trace_id,omitempty"`
	Bad     []string `json:"bad,omitempty"`
	Prompt  string   `json:"prompt,omitempty"`
	Model   string   `json:"model,omitempty"`
	Index   string   `json:"index,omitempty"`
	Spans   int      `json:"spans"`
	Lines   int      `json:"lines"`
}

func (a *App) incidentFor(ctx context.Context, service, id string) (journal.Incident, error) {
	if id == "" {
		return a.current(ctx, service)
	}
	inc, err := a.Incident(ctx, id)
	if err == nil && inc.Service != service {
		return inc, fmt.Errorf("%s is of service %s; add --service %s", inc.ID, inc.Service, inc.Service)
	}
	return inc, err
}

// artifactsOf is a request as files: the row with what was found around it, what
// the model saw and said, the trace, and the log lines.
func artifactsOf(v *sources.RequestView) ([]journal.Artifact, error) {
	row := *v
	row.Content, row.Logs, row.Alike = nil, sources.LogList{Query: v.Logs.Query, Facts: v.Logs.Facts}, nil
	body, err := indented(row)
	if err != nil {
		return nil, err
	}
	out := []journal.Artifact{{Name: cases.RowFile, Type: "application/json", Body: body}}
	if len(v.Content) > 0 { // as it came in, for programs; below for people
		body, err := indented(v.Content)
		if err != nil {
			return nil, err
		}
		out = append(out, journal.Artifact{Name: cases.ContentFile, Type: "application/json", Body: body})
	}
	texts := map[string]*strings.Builder{}
	for _, c := range v.Content {
		name := c.Kind
		if name == "system" {
			name = "prompt" // they belong together: what the model was told
		}
		b := texts[name]
		if b == nil {
			b = &strings.Builder{}
			texts[name] = b
		}
		head := c.Kind
		if c.Role != "" && c.Role != c.Kind {
			head += " " + c.Role
		}
		fmt.Fprintf(b, "# %s (%s)\n%s\n\n", head, c.From, c.Text)
	}
	for _, name := range []string{"prompt", "context", "tool", "response"} {
		if b := texts[name]; b != nil {
			out = append(out, journal.Artifact{Name: name + ".txt", Type: "text/plain", Body: []byte(b.String())})
		}
	}
	if len(v.Spans) > 0 {
		body, err := indented(traceOf(v))
		if err != nil {
			return nil, err
		}
		out = append(out, journal.Artifact{Name: "trace.json", Type: "application/json", Body: body})
	}
	if len(v.Logs.Lines) > 0 {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		for i := range v.Logs.Lines {
			if err := enc.Encode(v.Logs.Lines[i]); err != nil {
				return nil, err
			}
		}
		out = append(out, journal.Artifact{Name: "logs.jsonl", Type: "application/x-ndjson", Body: b.Bytes()})
	}
	return out, nil
}

// traceFile is the trace of a captured request.
type traceFile struct {
	Spans   []spanFile  `json:"spans"`
	Events  []eventFile `json:"events,omitempty"`
	LeftOut int         `json:"left_out,omitempty"` // spans beyond the bound
}

type spanFile struct {
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
	Parent  string `json:"parent_span_id,omitempty"`
	sources.Span
}

type eventFile struct {
	SpanID string `json:"span_id,omitempty"`
	sources.TraceEvent
}

func traceOf(v *sources.RequestView) traceFile {
	var t traceFile
	spans := v.Spans
	if len(spans) > spansKept {
		t.LeftOut = len(spans) - spansKept
		spans = spans[:spansKept]
	}
	for i := range spans {
		s := spanFile{TraceID: spans[i].TraceID.String(), SpanID: spans[i].SpanID.String(), Span: spans[i]}
		if !spans[i].Parent.IsZero() {
			s.Parent = spans[i].Parent.String()
		}
		t.Spans = append(t.Spans, s)
	}
	for i := range v.Events {
		e := eventFile{TraceEvent: v.Events[i]}
		if !e.TraceEvent.SpanID.IsZero() {
			e.SpanID = e.TraceEvent.SpanID.String()
		}
		t.Events = append(t.Events, e)
	}
	return t
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
