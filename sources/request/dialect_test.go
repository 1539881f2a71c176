package request

import (
	"slices"
	"strings"
	"testing"

	"rollcall/sources"
)

// Each case is one call as the instrumentation named writes it.
func TestEveryDialectFillsTheSameColumns(t *testing.T) {
	f := newFolder(t, nil)
	for _, tc := range []struct {
		name  string
		spans []sources.Span
		want  func(r sources.Request, content string) string
	}{
		{
			"the GenAI conventions before 1.37",
			[]sources.Span{sp(1, 0, "chat gpt-4o", 0, 100,
				"gen_ai.system", "openai", "gen_ai.operation.name", "chat", "gen_ai.request.model", "gpt-4o", "gen_ai.response.model", "gpt-4o-2024-08-06",
				"gen_ai.response.id", "chatcmpl-1", "gen_ai.usage.prompt_tokens", "11", "gen_ai.usage.completion_tokens", "7",
				"gen_ai.openai.response.system_fingerprint", "x", "gen_ai.openai.system_fingerprint", "fp_1", "gen_ai.response.finish_reasons", `["stop"]`,
				"gen_ai.prompt.0.role", "user", "gen_ai.prompt.0.content", "hi", "gen_ai.completion.0.role", "assistant", "gen_ai.completion.0.content", "hello")},
			func(r sources.Request, content string) string {
				return expect(r.Provider, "openai", r.From["provider"], "gen_ai.system", r.ModelRequested, "gpt-4o", r.ModelServed, "gpt-4o-2024-08-06", r.ResponseID, "chatcmpl-1",
					r.TokensIn.V, 11.0, r.From["tokens_in"], "gen_ai.usage.prompt_tokens", r.TokensOut.V, 7.0, r.ModelFingerprint, "fp_1", r.FinishReason, "stop",
					slices.Contains(r.Flags, FlagUnpinned), false, content, "prompt/user: hi\nresponse/assistant: hello\n")
			},
		},
		{
			"the GenAI conventions of today",
			[]sources.Span{sp(1, 0, "chat", 0, 100,
				"gen_ai.provider.name", "anthropic", "gen_ai.operation.name", "chat", "gen_ai.request.model", "claude-sonnet-4-20250514", "gen_ai.response.model", "claude-sonnet-4-20250514",
				"gen_ai.conversation.id", "conv-1", "gen_ai.prompt.name", "support", "gen_ai.prompt.version", "v13", "gen_ai.usage.input_tokens", "20", "gen_ai.usage.output_tokens", "5",
				"gen_ai.usage.cache_read.input_tokens", "4", "gen_ai.response.time_to_first_chunk", "0.25", "gen_ai.response.finish_reasons", `["max_tokens"]`,
				"gen_ai.system_instructions", `[{"type":"text","content":"be brief"}]`, "gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"hi"}]}]`,
				"gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"hello"}],"finish_reason":"length"}]`)},
			func(r sources.Request, content string) string {
				return expect(r.Provider, "anthropic", r.ConversationID, "conv-1", r.PromptName, "support", r.Prompt, "v13", r.TokensIn.V, 20.0, r.TokensCached.V, 4.0, r.Cache, "provider",
					r.TTFT.V, 0.25, r.FinishReason, "length", slices.Contains(r.Flags, FlagUnpinned), false,
					content, "system/system: be brief\nprompt/user: hi\nresponse/assistant: hello\n")
			},
		},
		{"OpenInference", []sources.Span{
			sp(1, 0, "chain", 0, 100, "openinference.span.kind", "CHAIN", "session.id", "s-1", "user.id", "p_1", "metadata", `{"session_id":"not me"}`),
			sp(2, 1, "retrieve", 0, 10, "openinference.span.kind", "RETRIEVER", "input.value", "refund?", "retrieval.documents.0.document.id", "kb-1", "retrieval.documents.0.document.score", "0.5"),
			sp(3, 1, "llm", 10, 80, "openinference.span.kind", "LLM", "llm.model_name", "gpt-4o-2024-08-06", "llm.invocation_parameters", `{"model":"gpt-4o"}`, "llm.provider", "openai",
				"llm.token_count.prompt", "12", "llm.token_count.completion", "3", "llm.token_count.prompt_details.cache_read", "2", "llm.cost.total", "0.01",
				"llm.prompt_template.version", "v2", "llm.input_messages.0.message.role", "user", "llm.input_messages.0.message.content", "refund?"),
			sp(4, 1, "judge", 80, 90, "openinference.span.kind", "EVALUATOR", "evaluation.name", "helpful", "evaluation.score", "0.4", "evaluation.label", "poor", "evaluation.explanation", "too short"),
		}, func(r sources.Request, content string) string {
			return expect(r.ConversationID, "s-1", r.User, "p_1", r.ModelRequested, "gpt-4o", r.From["model_requested"], "llm.invocation_parameters", r.ModelServed, "gpt-4o-2024-08-06",
				r.TokensIn.V, 12.0, r.TokensCached.V, 2.0, r.CostUSD.V, 0.01, r.Prompt, "v2", r.RetrievalQuery, "refund?", r.From["retrieval_query"], "input.value", r.RetrievalHit, "true", len(r.Documents), 1,
				len(r.Scores), 1, r.Scores[0].Evaluator, "helpful", r.Scores[0].Value.V, 0.4, r.Scores[0].Explanation, "too short", strings.Contains(content, "prompt/user: refund?"), true)
		}},
		{
			"OpenInference with an alias that names no snapshot",
			[]sources.Span{sp(1, 0, "llm", 0, 10, "openinference.span.kind", "LLM", "llm.model_name", "gpt-4.1", "llm.invocation_parameters", `{"model":"gpt-4.1"}`)},
			func(r sources.Request, _ string) string {
				return expect(slices.Contains(r.Flags, FlagUnpinned), true, slices.Contains(r.Flags, FlagNoManifest), true)
			},
		},
		{"OpenLLMetry", []sources.Span{
			sp(1, 0, "answer.workflow", 0, 100, "traceloop.span.kind", "workflow", "traceloop.workflow.name", "answer", "traceloop.association.properties.session_id", "s-1",
				"traceloop.association.properties.user_id", "p_2", "traceloop.association.properties.request_id", "req-9", "traceloop.entity.version", "3"),
			queried(sp(2, 1, "pinecone.query", 0, 10, "db.system", "pinecone")),
			sp(3, 1, "openai.chat", 10, 90, "llm.request.type", "chat", "gen_ai.system", "OpenAI", "gen_ai.request.model", "gpt-4o", "gen_ai.response.model", "gpt-4o", "gen_ai.usage.input_tokens", "9", "gen_ai.usage.output_tokens", "1",
				"gen_ai.usage.cache_read_input_tokens", "3", "llm.usage.total_tokens", "10", "traceloop.prompt.key", "greet", "traceloop.prompt.version_name", "blue",
				"gen_ai.prompt.0.content", "hi", "gen_ai.prompt.0.role", "user", "gen_ai.completion.0.content", "yo", "gen_ai.completion.0.finish_reason", "stop"),
			sp(4, 1, "lookup.tool", 90, 95, "traceloop.span.kind", "tool", "traceloop.entity.name", "lookup", "traceloop.entity.input", `{"q":1}`, "traceloop.entity.output", "found"),
		}, func(r sources.Request, content string) string {
			return expect(r.ID, "req-9", r.Route, "answer", r.ConversationID, "s-1", r.User, "p_2", r.Tools, "3", r.PromptName, "greet", r.Prompt, "blue", r.TokensIn.V, 9.0, r.TokensCached.V, 3.0,
				r.FinishReason, "stop", slices.Contains(r.Flags, FlagUnpinned), true, len(r.Documents), 1, r.Documents[0].ID, "vec-7", r.From["documents"], "db.query.result.id", r.StageSeconds[sources.VectorSearch].OK, true,
				len(r.ToolCalls), 1, r.ToolCalls[0].Name, "lookup", r.ToolCalls[0].Result, "found", strings.Contains(content, "tool/result: found"), true)
		}},
		{"Langfuse", []sources.Span{
			sp(1, 0, "handle", 0, 100, "langfuse.observation.type", "span", "langfuse.session.id", "s-1", "langfuse.user.id", "p_3", "langfuse.release", "r-17", "langfuse.environment", "prod", "langfuse.observation.level", "ERROR", "langfuse.trace.name", "answer"),
			sp(2, 1, "gen", 10, 80, "langfuse.observation.type", "generation", "langfuse.observation.model.name", "gpt-4.1", "langfuse.observation.model.parameters", `{"temperature":0}`,
				"langfuse.observation.prompt.name", "support", "langfuse.observation.prompt.version", "14",
				"langfuse.observation.usage_details", `{"input":100,"output":20,"total":120,"cache_read_input_tokens":8}`, "langfuse.observation.cost_details", `{"input":0.1,"output":0.2,"total":0.3}`,
				"langfuse.observation.input", `[{"role":"user","content":"hi"}]`, "langfuse.observation.output", `{"role":"assistant","content":"hello"}`),
		}, func(r sources.Request, content string) string {
			return expect(r.Outcome, "error", r.From["outcome"], "langfuse.observation.level", r.Manifest, "r-17", r.Environment, "prod", r.Route, "answer", r.PromptName, "support", r.Prompt, "14", r.Model, "gpt-4.1",
				r.TokensIn.V, 100.0, r.From["tokens_in"], "langfuse.observation.usage_details.input", r.TokensOut.V, 20.0, r.TokensCached.V, 8.0, r.CostUSD.V, 0.3, r.LLMCalls, 1,
				content, "prompt/user: hi\nresponse/assistant: hello\n")
		}},
		{"LiteLLM's proxy, which puts the call on the server span", []sources.Span{
			kindOf(sp(1, 0, "Received Proxy Server Request", 0, 100, "litellm.call_id", "c-1", "gen_ai.operation.name", "chat", "gen_ai.request.model", "gpt-4o", "gen_ai.response.model", "gpt-4o-2024-08-06",
				"gen_ai.usage.input_tokens", "5", "gen_ai.usage.output_tokens", "6", "gen_ai.cost.total_cost", "0.002", "cache_hit", "None", "litellm_session_id", "s-4",
				"metadata", `{"user_api_key_team_id":"team-7","prompt_management_metadata":{"prompt_id":"greet"},"guardrail_information":[{"guardrail_name":"pii","guardrail_status":"guardrail_intervened"}],"vector_store_request_metadata":[{"vector_store_id":"vs_1"}]}`), "server"),
		}, func(r sources.Request, _ string) string {
			return expect(r.ID, "c-1", r.LLMCalls, 1, r.TokensIn.V, 5.0, r.CostUSD.V, 0.002, r.Cache, "", r.ConversationID, "s-4", r.Tenant, "team-7", r.From["tenant"], "metadata.user_api_key_team_id",
				r.PromptName, "greet", r.Filter, "block", r.Index, "vs_1")
		}},
		{"LiteLLM's proxy with several calls, of which the server span keeps the last", []sources.Span{
			kindOf(sp(1, 0, "Received Proxy Server Request", 0, 100, "gen_ai.request.model", "b", "gen_ai.usage.input_tokens", "7", "gen_ai.cost.total_cost", "0.2"), "server"),
			chat(2, 1, 0, 40, "gen_ai.request.model", "a", "gen_ai.usage.input_tokens", "5", "gen_ai.cost.total_cost", "0.1"),
			chat(3, 1, 50, 90, "gen_ai.request.model", "b", "gen_ai.usage.input_tokens", "7", "gen_ai.cost.total_cost", "0.25"),
		}, func(r sources.Request, _ string) string {
			return expect(r.LLMCalls, 2, r.TokensIn.V, 12.0, r.CostUSD.V, 0.35, r.ModelRequested, "b")
		}},
		{
			"LiteLLM reporting a failure",
			[]sources.Span{failed(sp(1, 0, "litellm_request", 0, 5, "gen_ai.request.model", "m", "error_information", `{"error_code":"429","error_class":"RateLimitError","llm_provider":"openai"}`))},
			func(r sources.Request, _ string) string {
				return expect(r.Outcome, "error", r.ErrorType, "RateLimitError", r.From["error_type"], "error_information.error_class")
			},
		},
		{"Envoy AI Gateway", []sources.Span{
			kindOf(sp(1, 0, "ChatCompletion", 0, 50, "openinference.span.kind", "LLM", "x-request-id", "83b63da3-45a9", "session.id", "s-1", "gen_ai.operation.name", "messages", "gen_ai.provider.name", "aws.anthropic",
				"gen_ai.original.model", "claude", "gen_ai.response.model", "claude-3-7-sonnet-20250219", "gen_ai.usage.input_tokens", "15", "gen_ai.usage.output_tokens", "7", "response_flags", "-", "http.status_code", "200"), "server"),
		}, func(r sources.Request, _ string) string {
			return expect(r.ID, "83b63da3-45a9", r.ConversationID, "s-1", r.Provider, "aws.anthropic", r.ModelRequested, "claude", r.From["model_requested"], "gen_ai.original.model", r.Outcome, "ok", r.TokensOut.V, 7.0, r.LLMCalls, 1)
		}},
		{
			"Envoy AI Gateway calling a tool over MCP",
			[]sources.Span{sp(1, 0, "tools/call", 0, 50, "mcp.method.name", "tools/call", "mcp.tool.name", "get-docs", "mcp.session.id", "m-1", "http.status_code", "503")},
			func(r sources.Request, _ string) string {
				return expect(len(r.ToolCalls), 1, r.ToolCalls[0].Name, "get-docs", r.Outcome, "error", r.ErrorType, "503", r.LLMCalls, 0)
			},
		},
		{"an evaluation inside a span, and a later one that corrects it", []sources.Span{
			func() sources.Span {
				s := chat(1, 0, 0, 10)
				s.Events = []sources.SpanEvent{
					{Time: 9, Name: "gen_ai.evaluation.result", Attrs: sources.Attrs{{Key: "gen_ai.evaluation.name", Value: "safe"}, {Key: "gen_ai.evaluation.score.value", Value: "1"}}},
					{Time: 5, Name: "gen_ai.evaluation.result", Attrs: sources.Attrs{{Key: "gen_ai.evaluation.name", Value: "safe"}, {Key: "gen_ai.evaluation.score.value", Value: "0"}}},
				}
				return s
			}(),
		}, func(r sources.Request, _ string) string { return expect(len(r.Scores), 1, r.Scores[0].Value.V, 1.0) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := f.Fold(tc.spans, nil)
			if wrong := tc.want(r, lines(ContentOf(tc.spans, nil))); wrong != "" {
				t.Errorf("%s\n%+v", wrong, r)
			}
		})
	}
}

func TestAttributesThatHoldJSONAreReadWithinBounds(t *testing.T) {
	f := newFolder(t, Mapping{"tenant": {"ctx.tenant.name"}})
	for name, tc := range map[string]struct{ value, want string }{
		"a nested value":                {`{"tenant":{"name":"acme"}}`, "acme"},
		"the first of a list":           {`{"tenant":[{"name":"acme"},{"name":"other"}]}`, "acme"},
		"JSON that breaks off":          {`{"tenant":{"name":"ac`, ""},
		"no JSON":                       {`{tenant}`, ""},
		"something far too deep":        {strings.Repeat(`{"tenant":`, 40) + `1` + strings.Repeat(`}`, 40), ""},
		"something far too long":        {`{"tenant":{"name":"` + strings.Repeat("x", maxNestedText) + `"}}`, ""},
		"a null":                        {`{"tenant":{"name":null}}`, ""},
		"controls that JSON had hidden": {`{"tenant":{"name":"a\u001b[2Jb"}}`, "a␛[2Jb"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sp(1, 0, "root", 0, 1, "ctx", tc.value)
			before := len(s.Attrs)
			if r := f.Fold([]sources.Span{s}, nil); r.Tenant != tc.want || len(s.Attrs) != before {
				t.Errorf("tenant is %q, want %q", r.Tenant, tc.want)
			}
		})
	}
}

func kindOf(s sources.Span, kind string) sources.Span {
	s.Kind = kind
	return s
}

func queried(s sources.Span) sources.Span {
	s.Events = append(s.Events, sources.SpanEvent{Name: "db.query.result", Attrs: sources.Attrs{{Key: "db.query.result.id", Value: "vec-7"}, {Key: "db.query.result.score", Value: "0.8"}}})
	return s
}
