package request

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/sources"
)

// realSpan reads a recorded file of one span, whose IDs were cleared, into the
// plain types. Attribute values become text the way the endpoint makes them.
func realSpan(t *testing.T, path string) sources.Span {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	fields["traceId"], fields["spanId"] = []byte(`"000000000000000000000000000000aa"`), []byte(`"00000000000000bb"`)
	one, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString(`{"resourceSpans":[{"scopeSpans":[{"spans":[`)
	b.Write(one)
	b.WriteString(`]}]}]}`)
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	in := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	s := sources.Span{TraceID: sources.TraceID(in.TraceID()), SpanID: sources.SpanID(in.SpanID()), Name: in.Name(), Error: in.Status().Code() == ptrace.StatusCodeError}
	for k, v := range in.Attributes().All() {
		s.Attrs = append(s.Attrs, sources.Attr{Key: k, Value: v.AsString()})
	}
	for _, e := range in.Events().All() {
		ev := sources.SpanEvent{Name: e.Name()}
		for k, v := range e.Attributes().All() {
			ev.Attrs = append(ev.Attrs, sources.Attr{Key: k, Value: v.AsString()})
		}
		s.Events = append(s.Events, ev)
	}
	return s
}

func TestRecordedOpenInferenceSpansFoldIntoRows(t *testing.T) {
	dir := os.Getenv("ROLLCALL_REAL_DATA")
	if dir == "" {
		t.Skip("ROLLCALL_REAL_DATA is not set; recorded spans are not tested")
	}
	files, err := filepath.Glob(filepath.Join(dir, "openinference-spans", "*.json"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d recorded spans: %v", len(files), err)
	}
	want := map[string]func(r sources.Request, content string) string{
		"chat-basic.json": func(r sources.Request, content string) string {
			return expect(r.ModelRequested, "gpt-5-nano", r.From["model_requested"], "llm.invocation_parameters", r.ModelServed, "gpt-5-nano-2025-08-07", r.From["model_served"], "llm.model_name",
				r.TokensIn.V, 8.0, r.From["tokens_in"], "llm.token_count.prompt", r.TokensOut.V, 377.0, r.TokensCached.V, 0.0, r.Cache, "", r.Provider, "openai",
				r.FinishReason, "stop", r.From["finish_reason"], "output.value", r.ResponseID, "chatcmpl-C4Gm9xikLXbgE8He0BHWeoM03aa72", r.Outcome, "ok", slices.Contains(r.Flags, FlagUnpinned), false,
				strings.Contains(content, "prompt/user: Hello!"), true, strings.Contains(content, "response/assistant: Hi there!"), true)
		},
		"chat-streaming.json": func(r sources.Request, content string) string {
			return expect(r.ModelServed, "gpt-5-nano-2025-08-07", r.TokensIn.OK, false, r.TokensOut.OK, false, r.FinishReason, "stop", r.ResponseID, "chatcmpl-C4HqHBe4xca0k0EzsCnf1t6V3YFXp", r.Outcome, "ok",
				r.From["ttft_s"], "First Token Stream Event", strings.Contains(content, "response/assistant: Hi there!"), true)
		},
		"chat-reasoning.json": func(r sources.Request, content string) string {
			return expect(r.ModelRequested, "gpt-5-nano", r.TokensIn.V, 27.0, r.TokensOut.V, 267.0, r.TokensCached.V, 0.0, r.FinishReason, "stop", r.ResponseID, "chatcmpl-CJYvbsw8VZh862zGsIV5ZJtMnVFej",
				strings.Contains(content, "Ball costs 5 cents."), true)
		},
		"chat-detailed-usage.json": func(r sources.Request, _ string) string {
			return expect(r.FinishReason, "length", r.Bad()[0], "cut off", r.TokensIn.OK, true, r.TokensOut.OK, true)
		},
		"chat-bad-request.json": func(r sources.Request, _ string) string {
			return expect(r.Outcome, "error", r.ErrorType, "openai.BadRequestError", r.From["error_type"], "exception.type", r.TokensIn.OK, false, r.ResponseID, "", r.FinishReason, "")
		},
		"chat-unknown-model.json": func(r sources.Request, content string) string {
			return expect(r.Outcome, "error", r.ErrorType, "openai.NotFoundError", r.ModelRequested, "gpt-4.1-nano-wrong", slices.Contains(r.Flags, FlagUnpinned), false)
		},
		"chat-tools.json": func(r sources.Request, content string) string {
			return expect(r.FinishReason, "tool_calls", r.LLMCalls, 1, strings.Contains(content, "tool/call: get_current_weather {"), true)
		},
		"chat-multiturn.json": func(r sources.Request, content string) string {
			return expect(r.TokensIn.V, 50.0, strings.Contains(content, "system/developer: You are a helpful assistant."), true)
		},
		"embeddings-basic.json": func(r sources.Request, content string) string {
			return expect(r.LLMCalls, 0, r.TokensIn.V, 7.0, r.TokensOut.OK, false, r.StageSeconds[sources.Embed].OK, true, r.StageSeconds[sources.Inference].OK, false, len(content) < 4096, true)
		},
	}
	f := newFolder(t, nil)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := realSpan(t, file)
			r := f.Fold([]sources.Span{s}, nil)
			if r.SpanCount != 1 || r.TraceID == "" || !strings.HasPrefix(filepath.Base(file), "embeddings") && r.LLMCalls != 1 {
				t.Errorf("folded into %+v", r)
			}
			check := want[filepath.Base(file)]
			if check == nil {
				t.Error("nothing is expected of this recording; say what its row must hold")
			} else {
				if wrong := check(r, lines(ContentOf([]sources.Span{s}, nil))); wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
}
