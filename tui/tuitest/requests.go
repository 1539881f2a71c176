package tuitest

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"rollcall/sources"
)

// rows builds the requests of a service, newest first: one every fifteen seconds over two hours.
func rows(service string, now time.Time) []sources.Request {
	const every = 15 * time.Second
	first := Start.Add(-2 * time.Hour)
	var out []sources.Request
	for i := int(now.Sub(first) / every); i >= 0; i-- {
		out = append(out, row(service, i, first.Add(time.Duration(i)*every+time.Duration(i*37%1000)*time.Millisecond)))
	}
	return out
}

func pick(seed string, i int, of ...string) string {
	f := (noise(seed, int64(i)) + 1) / 2
	return of[min(len(of)-1, int(f*float64(len(of))))]
}

func row(service string, i int, at time.Time) sources.Request {
	id := func(kind string, n int) string {
		var b []byte
		for k := 0; len(b) < n; k++ {
			b = append(b, byte(int((noise(service+kind, int64(i*31+k))+1)*127.9)))
		}
		return hex.EncodeToString(b)
	}
	r := sources.Request{
		ID: "req-" + id("r", 6), TraceID: id("t", 16), ResponseID: "chatcmpl-" + id("p", 6), ConversationID: "conv-" + id("c", 4),
		Time: at, Service: service, Environment: "prod",
		Region: pick("region", i, "eu-west-1", "us-east-1"),
		Route:  pick("route", i, "/chat", "/chat", "/search", "/summarize"),
		Tenant: pick("tenant", i, "acme", "globex", "initech", "umbrella"),
		User:   "user:" + id("u", 5),
		Prompt: "v13", Model: "gpt-4.1-2026-02", Tools: "t7", Index: "idx-2026-03-09", Policy: "p3", Manifest: "m-0142", Stage: "live",
		PromptName: "support-answer", ModelRequested: "gpt-4.1", ModelServed: "gpt-4.1-2026-02-14", ModelFingerprint: "fp_44709d6fcb", Provider: "openai",
		Outcome: "ok", FinishReason: "stop", Cache: pick("cache", i, "none", "none", "none", "exact", "semantic"),
		Schema: "pass", Filter: "none", Refusal: "false",
		RetrievalQuery: "how do I change the delivery address of an order", RetrievalHit: "true",
		Documents: []sources.Document{{ID: "kb-1042", Score: sources.N(.83)}, {ID: "kb-0077", Score: sources.N(.71)}},
		ToolCalls: []sources.ToolCall{{Name: "order_lookup", CallID: "call_1", Arguments: `{"order":"A-1042"}`, Result: `{"status":"shipped"}`}},
		Scores:    []sources.EvalScore{{Evaluator: "groundedness", Value: sources.N(.9), Label: "pass"}},
		LLMCalls:  1, SpanCount: 11,
		From: map[string]string{"prompt": "gen_ai.prompt.version", "request_id": "llmops.request.id"},
	}
	stages := [sources.StageCount]float64{.004, .021, .038, .062, .007, 1.12, .015, .03}
	total := 0.0
	for s := range stages {
		stages[s] *= 1 + .35*noise("stage"+sources.Stage(s).String(), int64(i))
		total += stages[s]
		r.StageSeconds[s] = sources.N(stages[s])
	}
	r.Latency, r.TTFT = sources.N(total), sources.N(.3+.1*noise("ttft", int64(i)))
	r.TokensIn, r.TokensOut, r.TokensCached = sources.N(1400+float64(i%9)*40), sources.N(320+float64(i%7)*20), sources.N(512)
	r.CostUSD = sources.N(.0112 + .0004*float64(i%5))
	if service == Failing && at.After(ChangeAt) {
		r.Prompt, r.Manifest = "v14", "m-0143"
		if i%3 == 0 {
			r.Schema, r.Scores[0] = "fail", sources.EvalScore{
				Evaluator: "groundedness", Value: sources.N(.42), Label: "fail", Explanation: "The answer is not JSON.",
			}
		}
		if i%9 == 0 {
			r.Feedback = "down"
		}
	}
	switch {
	case i%53 == 0:
		r.Outcome, r.ErrorType, r.FinishReason, r.Schema = "error", "timeout", "", ""
	case i%71 == 0:
		r.FinishReason = "length"
	case i%97 == 0:
		r.Filter, r.FinishReason = "block", "content_filter"
	}
	return r
}

// Requests returns the built-in rows that the filter keeps, newest first.
func Requests(f sources.RequestFilter, now time.Time) sources.RequestList {
	var l sources.RequestList
	total := 0
	for _, r := range rows(f.Service, now) {
		if !keep(&r, f) {
			continue
		}
		total++
		if f.Limit == 0 || len(l.Rows) < f.Limit {
			l.Rows = append(l.Rows, r)
		}
	}
	l.Facts = sources.Facts{Source: "traces", At: now, Fetched: now, Took: 2 * time.Millisecond, Shown: len(l.Rows), Total: total}
	return l
}

func keep(r *sources.Request, f sources.RequestFilter) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	ok := is(f.Outcome, r.Outcome) && is(f.ErrorType, r.ErrorType) && is(f.Schema, r.Schema) && is(f.Route, r.Route) &&
		is(f.Tenant, r.Tenant) && is(f.Region, r.Region) && is(f.User, r.User) && is(f.Served, r.ModelServed)
	ok = ok && (!f.Bad || len(r.Bad()) > 0) && (f.ID == "" || f.ID == r.ID || f.ID == r.TraceID || f.ID == r.ResponseID)
	ok = ok && (f.Since.IsZero() || !r.Time.Before(f.Since)) && (f.Until.IsZero() || r.Time.Before(f.Until))
	for c, v := range f.Versions {
		ok = ok && is(v, r.Version(c))
	}
	return ok
}

// Request returns everything about a built-in row, found by any of its IDs.
func Request(service, id string, now time.Time) (*sources.RequestView, error) {
	found := Requests(sources.RequestFilter{Service: service, ID: id}, now)
	if len(found.Rows) == 0 {
		return nil, fmt.Errorf("no request has the ID %q; try its trace ID or the provider's response ID, or a longer range", id)
	}
	r := found.Rows[0]
	if r.Schema == "fail" {
		r.SchemaError = "prose before the JSON object"
	}
	v := &sources.RequestView{
		Request: r, Spans: spans(&r),
		Content: []sources.Content{
			{Kind: "system", Role: "system", Text: "You are a support assistant. Answer as JSON with the keys answer and sources.", From: "gen_ai.system_instructions"},
			{Kind: "prompt", Role: "user", Text: "How do I change the delivery address of order A-1042? My mail is <email:1>.", From: "gen_ai.input.messages"},
			{Kind: "context", Text: "kb-1042: Addresses can be changed until the parcel is handed over.", From: "gen_ai.retrieval.documents"},
			{Kind: "tool", Role: "order_lookup", Text: `{"status":"shipped"}`, From: "gen_ai.tool.call.result"},
			{Kind: "response", Role: "assistant", Text: response(&r), From: "gen_ai.output.messages"},
		},
		Logs: Logs(service, sources.LogQuery{Contains: r.ID}, now),
		Answers: []sources.Answer{
			{Source: "traces", Found: true, Note: fmt.Sprintf("%d spans in 0.4 ms", r.SpanCount)},
			{Source: "loki", Found: true, Note: "lines by request ID"},
		},
	}
	if r.Prompt == "v14" {
		v.LastGood = &sources.Manifest{ID: "m-0142", Versions: map[sources.Component]string{
			sources.Prompt: "v13", sources.Model: r.Model, sources.Tools: r.Tools, sources.Index: r.Index, sources.Policy: r.Policy,
		}}
		v.Diff = []sources.Change{{At: ChangeAt, Component: sources.Prompt, From: "v13", To: "v14", Manifest: "m-0143", Source: "prometheus"}}
	}
	if len(r.Bad()) > 0 {
		for _, o := range Requests(sources.RequestFilter{Service: service, Bad: true, Schema: r.Schema}, now).Rows {
			if o.ID != r.ID && len(v.Alike) < 5 {
				v.Alike = append(v.Alike, o)
			}
		}
	}
	return v, nil
}

func response(r *sources.Request) string {
	if r.Schema == "fail" {
		return "Sure! You can change the address in your account until the parcel is handed over."
	}
	return `{"answer":"You can change the address in your account until the parcel is handed over.","sources":["kb-1042"]}`
}

func spans(r *sources.Request) []sources.Span {
	var tid sources.TraceID
	if b, err := hex.DecodeString(r.TraceID); err == nil {
		copy(tid[:], b)
	}
	res := &sources.Resource{Service: r.Service, Attrs: sources.Attrs{{Key: "cloud.region", Value: r.Region}}}
	start := r.Time.UnixNano()
	root := sources.SpanID{1}
	out := []sources.Span{{
		TraceID: tid, SpanID: root, Name: "POST " + r.Route, Kind: "server", Start: start,
		End: start + int64(r.Latency.V*1e9), Error: r.Outcome == "error", Resource: res,
		Attrs: sources.Attrs{
			{Key: "llmops.request.id", Value: r.ID}, {Key: "llmops.tenant", Value: r.Tenant}, {Key: "gen_ai.prompt.version", Value: r.Prompt},
		},
	}}
	for i, d := range r.StageSeconds {
		s := sources.Stage(i)
		sp := sources.Span{
			TraceID: tid, SpanID: sources.SpanID{2, byte(i)}, Parent: root, Name: strings.ReplaceAll(s.String(), "_", " "), Kind: "internal",
			Start: start, End: start + int64(d.V*1e9), Resource: res, Attrs: sources.Attrs{{Key: "llmops.stage", Value: s.String()}},
		}
		switch s {
		case sources.Inference:
			sp.Name, sp.Kind = "chat "+r.ModelRequested, "client"
			sp.Attrs = append(
				sp.Attrs, sources.Attr{Key: "gen_ai.response.model", Value: r.ModelServed}, sources.Attr{Key: "gen_ai.response.id", Value: r.ResponseID},
			)
			out = append(out, sp, sources.Span{
				TraceID: tid, SpanID: sources.SpanID{3}, Parent: sp.SpanID, Name: "execute_tool order_lookup", Kind: "internal",
				Start: start + int64(d.V*2e8), End: start + int64(d.V*3e8), Resource: res,
				Attrs: sources.Attrs{{Key: "gen_ai.tool.name", Value: "order_lookup"}},
			})
		case sources.Validation:
			if r.Schema == "fail" {
				sp.Error, sp.Message = true, "answer is not JSON"
			}
			out = append(out, sp)
		default:
			out = append(out, sp)
		}
		start += int64(d.V * 1e9)
	}
	return out
}

// Logs returns the built-in lines that the query keeps, oldest first: three for every request.
func Logs(service string, q sources.LogQuery, now time.Time) sources.LogList {
	l := sources.LogList{Query: q.Query}
	if l.Query == "" {
		l.Query = `{namespace="prod", job="assistant"}`
	}
	all := rows(service, now)
	for i := len(all) - 1; i >= 0; i-- {
		for _, line := range lines(&all[i]) {
			in := (q.Since.IsZero() || !line.Time.Before(q.Since)) && (q.Until.IsZero() || line.Time.Before(q.Until))
			if in && strings.Contains(line.Line, q.Contains) {
				l.Lines = append(l.Lines, line)
			}
		}
	}
	total := len(l.Lines)
	if q.Limit > 0 && total > q.Limit {
		l.Lines = l.Lines[total-q.Limit:]
	}
	l.Facts = sources.Facts{Source: "loki", At: now, Fetched: now, Took: 31 * time.Millisecond, Shown: len(l.Lines), Total: total}
	return l
}

func lines(r *sources.Request) []sources.LogLine {
	mk := func(after float64, level, msg, extra string) sources.LogLine {
		t := r.Time.Add(time.Duration(after * float64(time.Second)))
		return sources.LogLine{
			Time: t, Level: level, RequestID: r.ID, TraceID: r.TraceID,
			Labels: map[string]string{"namespace": "prod", "job": "assistant", "level": level},
			Line: fmt.Sprintf(`{"ts":%q,"level":%q,"msg":%q,"request_id":%q,"trace_id":%q,"route":%q,"tenant":%q%s}`,
				t.Format(time.RFC3339Nano), level, msg, r.ID, r.TraceID, r.Route, r.Tenant, extra),
		}
	}
	out := []sources.LogLine{
		mk(0, "info", "request received", ""),
		mk(.1, "debug", "retrieved documents", `,"stage":"vector_search","documents":2`),
	}
	switch {
	case r.Outcome == "error":
		out = append(out, mk(r.Latency.V, "error", "inference failed", `,"stage":"inference","error_type":"`+r.ErrorType+`"`))
	case r.Schema == "fail":
		out = append(out, mk(r.Latency.V, "warn", "schema validation failed", `,"stage":"validation","error_type":"schema"`))
	default:
		out = append(out, mk(r.Latency.V, "info", "request served", fmt.Sprintf(`,"duration_ms":%.0f`, r.Latency.V*1000)))
	}
	return out
}
