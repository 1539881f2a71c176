package request

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/sources"
)

func newFolder(t *testing.T, m Mapping) *Folder {
	t.Helper()
	f, err := NewFolder(m)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sp builds a span: id and parent are small numbers, times are milliseconds.
func sp(id, parent byte, name string, from, to int64, attrs ...string) sources.Span {
	s := sources.Span{TraceID: sources.TraceID{15: 1}, SpanID: sources.SpanID{7: id}, Name: name, Start: from * 1e6, End: to * 1e6}
	if parent != 0 {
		s.Parent = sources.SpanID{7: parent}
	}
	for i := 0; i+1 < len(attrs); i += 2 {
		s.Attrs = append(s.Attrs, sources.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	return s
}

func chat(id, parent byte, from, to int64, attrs ...string) sources.Span {
	return sp(id, parent, "chat m", from, to, append([]string{"gen_ai.operation.name", "chat"}, attrs...)...)
}

func TestFold(t *testing.T) {
	root := func(attrs ...string) sources.Span { return sp(1, 0, "POST /answer", 0, 1000, attrs...) }
	tests := []struct {
		name   string
		spans  []sources.Span
		events []sources.TraceEvent
		want   func(r sources.Request) string // what is wrong, or empty
	}{
		{"takes identity from the root before any other span", []sources.Span{
			chat(2, 1, 10, 20, "llmops.request.id", "inner", "gen_ai.prompt.version", "v1"),
			root("llmops.request.id", "outer", "gen_ai.prompt.version", "v2"),
		}, nil, func(r sources.Request) string {
			return expect(r.ID, "outer", r.Prompt, "v2", r.From["request_id"], "llmops.request.id")
		}},
		{"prefers an earlier field of the list over a nearer place", []sources.Span{
			{SpanID: sources.SpanID{1}, Attrs: sources.Attrs{{Key: "langfuse.environment", Value: "span"}}, Resource: &sources.Resource{
				Service: "svc", Attrs: sources.Attrs{{Key: "deployment.environment.name", Value: "prod"}},
			}},
		}, nil, func(r sources.Request) string {
			return expect(r.Environment, "prod", r.Service, "svc", r.From["environment"], "deployment.environment.name")
		}},
		{"shows controls that JSON escaped instead of obeying them", []sources.Span{
			root("x-request-id", `["req\u001b[2J"]`), chat(2, 1, 10, 20, "gen_ai.response.finish_reasons", `["st\u009bop"]`),
		}, nil, func(r sources.Request) string {
			return expect(r.ID, "req␛[2J", r.FinishReason, "st<u+009b>op")
		}},
		{"falls back to the trace ID when nothing names the request", []sources.Span{root()}, nil, func(r sources.Request) string {
			return expect(r.ID, r.TraceID, r.From["request_id"], "trace_id")
		}},
		{"does not believe a bare id on an inner span", []sources.Span{root(), sp(2, 1, "x", 1, 2, "id", "row-7")}, nil, func(r sources.Request) string {
			return expect(r.ID, r.TraceID)
		}},
		{"sums tokens over the calls of the model and counts them", []sources.Span{
			root(),
			chat(2, 1, 10, 20, "gen_ai.usage.input_tokens", "100", "gen_ai.usage.output_tokens", "7", "gen_ai.response.finish_reasons", `["tool_calls"]`, "gen_ai.response.id", "a"),
			chat(3, 1, 30, 40, "gen_ai.usage.input_tokens", "50", "gen_ai.usage.output_tokens", "3", "gen_ai.response.finish_reasons", `["stop"]`, "gen_ai.response.id", "b"),
			sp(4, 1, "embeddings e", 1, 2, "gen_ai.operation.name", "embeddings", "gen_ai.usage.input_tokens", "9", "gen_ai.request.model", "embedder"),
		}, nil, func(r sources.Request) string {
			return expect(r.LLMCalls, 2, r.TokensIn.V, 150.0, r.TokensOut.V, 10.0, r.FinishReason, "stop", r.ResponseID, "b", r.ModelRequested, "")
		}},
		{"counts a call once when a wrapper reports it too", []sources.Span{
			root(),
			sp(2, 1, "ChatCompletion", 10, 20, "openinference.span.kind", "LLM", "llm.token_count.prompt", "100"),
			chat(3, 2, 11, 19, "gen_ai.usage.input_tokens", "100"),
		}, nil, func(r sources.Request) string { return expect(r.LLMCalls, 1, r.TokensIn.V, 100.0) }},
		{"believes the root's bill before the sum of the calls", []sources.Span{
			root("llmops.cost.usd", "0.5"), chat(2, 1, 1, 2, "gen_ai.cost.total_cost", "0.1"), chat(3, 1, 3, 4, "gen_ai.cost.total_cost", "0.2"),
		}, nil, func(r sources.Request) string { return expect(r.CostUSD.V, 0.5) }},
		{"sums the bill of the calls when the root has none", []sources.Span{
			root(), chat(2, 1, 1, 2, "gen_ai.cost.total_cost", "0.1"), chat(3, 1, 3, 4, "gen_ai.cost.total_cost", "0.2"),
		}, nil, func(r sources.Request) string { return expect(fmt.Sprintf("%.2f", r.CostUSD.V), "0.30") }},
		{"reads a gateway that puts everything on the server span", []sources.Span{
			sp(1, 0, "Received Proxy Server Request", 0, 10, "gen_ai.request.model", "gpt-4.1", "gen_ai.usage.input_tokens", "5", "gen_ai.usage.output_tokens", "6", "litellm.call_id", "c-1"),
		}, nil, func(r sources.Request) string {
			return expect(r.LLMCalls, 1, r.TokensIn.V, 5.0, r.ModelRequested, "gpt-4.1", r.ID, "c-1")
		}},
		{"never adds unknown numbers as zero", []sources.Span{root()}, nil, func(r sources.Request) string {
			return expect(r.TokensIn.OK, false, r.CostUSD.OK, false, r.TTFT.OK, false)
		}},
		{
			"ignores numbers that are none",
			[]sources.Span{root(), chat(2, 1, 1, 2, "gen_ai.usage.input_tokens", "NaN", "gen_ai.usage.output_tokens", "-4", "gen_ai.response.time_to_first_chunk", "-1")},
			nil,
			func(r sources.Request) string {
				return expect(r.TokensIn.OK, false, r.TokensOut.OK, false, r.TTFT.OK, false)
			},
		},
		{"keeps the first of two spans with one ID", []sources.Span{
			root("llmops.route", "/a"), sp(1, 0, "again", 0, 5000, "llmops.route", "/b"), root("llmops.route", "/a"),
		}, nil, func(r sources.Request) string { return expect(r.SpanCount, 1, r.Route, "/a", r.Latency.V, 1.0) }},
		{"takes the earliest orphan when the root is missing and says so", []sources.Span{
			sp(3, 9, "late", 50, 60, "llmops.route", "/late"), sp(2, 8, "early", 10, 40, "llmops.route", "/early"),
		}, nil, func(r sources.Request) string {
			return expect(r.Route, "/early", r.Time.UnixMilli(), int64(10), slices.Contains(r.Flags, FlagNoRoot), true)
		}},
		{"survives parents that form a circle", []sources.Span{
			chat(1, 2, 10, 20), chat(2, 1, 5, 30),
		}, nil, func(r sources.Request) string {
			return expect(r.SpanCount, 2, r.Time.UnixMilli(), int64(5), slices.Contains(r.Flags, FlagNoRoot), true)
		}},
		{"never shows a negative duration when clocks disagree", []sources.Span{
			sp(1, 0, "root", 100, 40), sp(2, 1, "rerank", 90, 10, "llmops.stage", "rerank"), sp(3, 1, "embed", -50, -40, "llmops.stage", "embed"),
		}, nil, func(r sources.Request) string {
			return expect(r.Latency.V, 0.0, r.StageSeconds[sources.Rerank].V, 0.0, r.StageSeconds[sources.Embed].V, 0.01, r.Time.UnixMilli(), int64(100))
		}},
		{"counts overlapping spans of a stage once", []sources.Span{
			root(), chat(2, 1, 0, 100), chat(3, 1, 50, 150), chat(4, 1, 60, 70),
		}, nil, func(r sources.Request) string { return expect(r.StageSeconds[sources.Inference].V, 0.15) }},
		{"recognises stages in every dialect", []sources.Span{
			root(),
			sp(2, 1, "a", 0, 1, "openinference.span.kind", "RERANKER"), sp(3, 1, "b", 0, 2, "openinference.span.kind", "RETRIEVER"),
			sp(4, 1, "Prompt Assembly", 0, 3), sp(5, 1, "c", 0, 4, "openinference.span.kind", "GUARDRAIL"),
			sp(6, 1, "query", 10, 11, "db.system", "qdrant"), sp(7, 1, "delivery", 0, 6),
		}, nil, func(r sources.Request) string {
			return expect(r.StageSeconds[sources.Rerank].V, 0.001, r.StageSeconds[sources.VectorSearch].V, 0.003, r.StageSeconds[sources.PromptAssembly].V, 0.003,
				r.StageSeconds[sources.Validation].V, 0.004, r.StageSeconds[sources.Delivery].V, 0.006, r.StageSeconds[sources.Embed].OK, false)
		}},
		{"counts a failed retry inside an answered request as no error", []sources.Span{
			root(), failed(chat(2, 1, 1, 2, "error.type", "timeout")), chat(3, 1, 3, 4),
		}, nil, func(r sources.Request) string { return expect(r.Outcome, "ok", r.ErrorType, "") }},
		{"takes the error type from the failed call when the root names none", []sources.Span{
			failed(root()), failed(chat(2, 1, 1, 2, "error.type", "rate_limit")),
		}, nil, func(r sources.Request) string { return expect(r.Outcome, "error", r.ErrorType, "rate_limit") }},
		{"takes a status of 500 as an error", []sources.Span{root("http.response.status_code", "503")}, nil, func(r sources.Request) string {
			return expect(r.Outcome, "error", r.From["outcome"], "http.response.status_code")
		}},
		{"reads evaluations, the newest of each evaluator, and feedback", []sources.Span{root()}, []sources.TraceEvent{
			ev("gen_ai.evaluation.result", 5, "gen_ai.evaluation.name", "helpful", "gen_ai.evaluation.score.value", "0.9"),
			ev("gen_ai.evaluation.result", 1, "gen_ai.evaluation.name", "helpful", "gen_ai.evaluation.score.value", "0.1"),
			ev("gen_ai.evaluation.result", 2, "gen_ai.evaluation.name", "toxic", "gen_ai.evaluation.score.label", "no"),
			ev("user_feedback", 9, "gen_ai.evaluation.score.label", "down"),
		}, func(r sources.Request) string {
			if len(r.Scores) != 2 {
				return fmt.Sprint("scores ", r.Scores)
			}
			return expect(r.Scores[0].Value.V, 0.9, r.Scores[1].Label, "no", r.Scores[1].Value.OK, false, r.Feedback, "down")
		}},
		{
			"joins both ends of a fallback",
			[]sources.Span{root("llmops.fallback.from", "gpt-4.1", "llmops.fallback.to", "gpt-4.1-mini")},
			nil,
			func(r sources.Request) string { return expect(r.Fallback, "gpt-4.1→gpt-4.1-mini") },
		},
		{
			"unwraps header attributes",
			[]sources.Span{root("http.request.header.x-request-id", `["abc-1"]`)},
			nil,
			func(r sources.Request) string { return expect(r.ID, "abc-1") },
		},
		{
			"matches fields whatever their case and separators",
			[]sources.Span{root("LLMOPS_Request-ID", "r1")},
			nil,
			func(r sources.Request) string { return expect(r.ID, "r1", r.From["request_id"], "LLMOPS_Request-ID") },
		},
		{"flags a model served under the alias that was asked for", []sources.Span{
			root("llmops.manifest.id", "m1"), chat(2, 1, 1, 2, "gen_ai.request.model", "gpt-4.1", "gen_ai.response.model", "gpt-4.1"),
		}, nil, func(r sources.Request) string { return expect(fmt.Sprint(r.Flags), "[unpinned]", r.Model, "gpt-4.1") }},
		{"does not flag a pinned model", []sources.Span{
			root(), chat(2, 1, 1, 2, "gen_ai.request.model", "gpt-4.1-2026-04-14", "gen_ai.response.model", "gpt-4.1-2026-04-14"),
		}, nil, func(r sources.Request) string { return expect(fmt.Sprint(r.Flags), "[no manifest]") }},
		{"reads tools with their errors", []sources.Span{
			root(), failed(sp(2, 1, "execute_tool pay", 1, 2, "gen_ai.operation.name", "execute_tool", "gen_ai.tool.call.id", "c1", "gen_ai.tool.call.arguments", `{"a":1}`)),
		}, nil, func(r sources.Request) string {
			return expect(fmt.Sprintf("%+v", r.ToolCalls), `[{Name:pay CallID:c1 Error:error Arguments:{"a":1} Result:}]`)
		}},
		{"reads OpenInference documents", []sources.Span{
			root(), sp(2, 1, "retrieve", 1, 2, "openinference.span.kind", "RETRIEVER", "retrieval.documents.0.document.id", "d0",
				"retrieval.documents.0.document.score", "0.5", "retrieval.documents.1.document.id", "d1", "retrieval.documents.1.document.content", "text"),
		}, nil, func(r sources.Request) string {
			return expect(fmt.Sprint(r.Documents), "[{d0 {0.5 true}} {d1 {0 false}}]", r.RetrievalHit, "true")
		}},
		{
			"takes an empty list of documents as a miss",
			[]sources.Span{root(), sp(2, 1, "r", 1, 2, "gen_ai.retrieval.documents", "[]")},
			nil,
			func(r sources.Request) string { return expect(r.RetrievalHit, "false") },
		},
		{"measures the first token from its event", []sources.Span{root(), {
			SpanID: sources.SpanID{9}, Parent: sources.SpanID{7: 1}, Start: 1e9, End: 3e9, Attrs: sources.Attrs{{Key: "openinference.span.kind", Value: "LLM"}},
			Events: []sources.SpanEvent{{Time: 15e8, Name: "First Token Stream Event"}},
		}}, nil, func(r sources.Request) string { return expect(r.TTFT.V, 0.5) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t, nil)
			for turn := range len(tt.spans) { // the order of arrival must not matter, except among repeats
				spans := append(slices.Clone(tt.spans[turn:]), tt.spans[:turn]...)
				if turn > 0 && hasRepeats(tt.spans) {
					break
				}
				if wrong := tt.want(f.Fold(spans, tt.events)); wrong != "" {
					t.Errorf("in order %d: %s", turn, wrong)
				}
			}
		})
	}
}

func hasRepeats(spans []sources.Span) bool {
	seen := map[sources.SpanID]bool{}
	for _, s := range spans {
		if seen[s.SpanID] {
			return true
		}
		seen[s.SpanID] = true
	}
	return false
}

func failed(s sources.Span) sources.Span {
	s.Error = true
	return s
}

func ev(name string, at int64, attrs ...string) sources.TraceEvent {
	e := sources.TraceEvent{Name: name, Time: at}
	for i := 0; i+1 < len(attrs); i += 2 {
		e.Attrs = append(e.Attrs, sources.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	return e
}

// expect compares pairs of got and want, and says which differ.
func expect(pairs ...any) string {
	var wrong string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] != pairs[i+1] {
			wrong += fmt.Sprintf("value %d is %#v, want %#v; ", i/2, pairs[i], pairs[i+1])
		}
	}
	return wrong
}

func TestFoldOfNothingIsAnEmptyRow(t *testing.T) {
	if r := newFolder(t, nil).Fold(nil, []sources.TraceEvent{ev("user_feedback", 1, "label", "up")}); r.SpanCount != 0 || r.TraceID != "" {
		t.Fatalf("%+v", r)
	}
}

func TestAMappingReplacesTheFieldsOfItsColumnsOnly(t *testing.T) {
	f := newFolder(t, Mapping{"request_id": {"my.id"}})
	r := f.Fold([]sources.Span{sp(1, 0, "x", 0, 1, "llmops.request.id", "theirs", "my.id", "mine", "llmops.tenant", "acme")}, nil)
	if wrong := expect(r.ID, "mine", r.Tenant, "acme"); wrong != "" {
		t.Fatal(wrong)
	}
}

func TestAMappingOfAnUnknownColumnIsRefusedByName(t *testing.T) {
	for _, m := range []Mapping{{"request_idd": {"a"}}, {"request_id": {" "}}} {
		if _, err := NewFolder(m); err == nil {
			t.Errorf("%v was taken", m)
		}
	}
}

func TestResponseIDsNamesEveryCall(t *testing.T) {
	got := newFolder(t, nil).ResponseIDs([]sources.Span{chat(1, 0, 0, 1, "gen_ai.response.id", "a"), chat(2, 1, 0, 1, "gen_ai.response.id", "b"), chat(3, 1, 0, 1, "gen_ai.response.id", "a")})
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Fatal(got)
	}
}

func TestPinned(t *testing.T) {
	for model, want := range map[string]bool{
		"gpt-4.1": false, "gpt-4.1-2026-10-02": true, "claude-sonnet-4-20250514": true, "gpt-4-0613": true, "gemini-1.5-pro-002": true,
		"gpt-4o": false, "text-embedding-3-small": false, "llama3:latest": false, "llama3@sha256:ab": true, "gpt-3.5-turbo-16k": false,
		"llama-3-70b": false, "gpt-5-nano-2025-08-07": true, "": false, "o3": false, "mistral-large-2407": true, "2024": false,
	} {
		if got := Pinned(model); got != want {
			t.Errorf("%q: %v", model, got)
		}
	}
}

func TestRowsSurviveTheirJSON(t *testing.T) {
	r := newFolder(t, nil).Fold([]sources.Span{sp(1, 0, "x", 0, 1500, "llmops.stage", "embed")}, nil)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Stages map[string]float64 `json:"stages"`
		Time   time.Time          `json:"time"`
	}
	if err := json.Unmarshal(b, &back); err != nil || back.Stages["embed"] != 1.5 {
		t.Fatalf("%v %s", err, b)
	}
}

func FuzzFold(f *testing.F) {
	f.Add("gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"x"}]}]`, int64(1), int64(-1))
	f.Add("retrieval.documents.0.document.id", "d", int64(0), int64(0))
	f.Add("llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "\x1b[31m", int64(9), int64(1))
	f.Fuzz(func(t *testing.T, key, value string, start, end int64) {
		fo := newFolder(t, nil)
		spans := []sources.Span{
			{SpanID: sources.SpanID{1}, Start: start, End: end, Attrs: sources.Attrs{{Key: key, Value: value}, {Key: "gen_ai.operation.name", Value: value}}},
			{SpanID: sources.SpanID{2}, Parent: sources.SpanID{2}, Start: end, End: start, Attrs: sources.Attrs{{Key: "openinference.span.kind", Value: "LLM"}, {Key: key, Value: value}}},
		}
		r := fo.Fold(spans, nil)
		if r.Latency.V < 0 {
			t.Fatal("negative latency")
		}
		ContentOf(spans, nil)
	})
}
