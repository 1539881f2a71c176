package request

import (
	"strings"
	"testing"

	"rollcall/sources"
)

func lines(list []sources.Content) string {
	var b strings.Builder
	for _, c := range list {
		b.WriteString(c.Kind + "/" + c.Role + ": " + c.Text + "\n")
	}
	return b.String()
}

func TestContentOf(t *testing.T) {
	tests := []struct {
		name   string
		spans  []sources.Span
		events []sources.TraceEvent
		want   string
	}{
		{"reads messages of the current conventions", []sources.Span{chat(
			1, 0, 0, 1,
			"gen_ai.system_instructions", `[{"type":"text","content":"Be brief."}]`,
			"gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"Where is it?"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c","name":"find","arguments":{"n":1}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c","response":"in transit"}]}]`,
			"gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"On its way."}],"finish_reason":"stop"}]`,
		)}, nil, "system/system: Be brief.\nprompt/user: Where is it?\ntool/call: find {\"n\":1}\ntool/result: in transit\nresponse/assistant: On its way.\n"},
		{"reads flattened OpenInference messages in their order", []sources.Span{sp(
			1, 0, "ChatCompletion", 0, 1, "openinference.span.kind", "LLM",
			"input.value", `{"messages":[]}`,
			"llm.input_messages.1.message.role", "user", "llm.input_messages.1.message.content", "Hi",
			"llm.input_messages.0.message.role", "developer", "llm.input_messages.0.message.content", "Help.",
			"llm.output_messages.0.message.role", "assistant",
			"llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "weather",
			"llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", `{"city":"Bonn"}`,
		)}, nil, "system/developer: Help.\nprompt/user: Hi\ntool/call: weather {\"city\":\"Bonn\"}\n"},
		{"shows retrieved documents with their scores", []sources.Span{sp(
			1, 0, "retrieval kb", 0, 1, "gen_ai.retrieval.query.text", "parcel", "gen_ai.retrieval.documents", `[{"id":"d1","score":0.5},{"id":"d2","content":"text"}]`,
		)}, nil, "context/query: parcel\ncontext/document: d1 (score 0.5)\ncontext/document: d2\ntext\n"},
		{"shows tool arguments and results", []sources.Span{sp(
			1, 0, "execute_tool a", 0, 1, "gen_ai.operation.name", "execute_tool", "gen_ai.tool.call.arguments", "{}", "gen_ai.tool.call.result", "42",
		)}, nil, "tool/arguments: {}\ntool/result: 42\n"},
		{
			"shows text that is cut or no JSON as it stands",
			[]sources.Span{chat(1, 0, 0, 1, "gen_ai.input.messages", `[{"role":"user","parts":[{"ty… (+9 bytes)`)},
			nil,
			"prompt/: [{\"role\":\"user\",\"parts\":[{\"ty… (+9 bytes)\n",
		},
		{"shows controls that JSON escaped instead of obeying them", []sources.Span{chat(
			1, 0, 0, 1, "gen_ai.input.messages", `[{"role":"us\u001ber","content":"a\u001b]52;c;eA==\u0007\u009b2J\u202e\u0000\nb"}]`,
		)}, nil, "prompt/us␛er: a␛]52;c;eA==␇<U+009B>2J<U+202E>␀\nb\n"},
		{"leaves repeats out", []sources.Span{
			chat(1, 0, 0, 1, "gen_ai.input.messages", `[{"role":"user","content":"a"}]`), chat(2, 1, 1, 2, "gen_ai.input.messages", `[{"role":"user","content":"a"},{"role":"user","content":"b"}]`),
		}, nil, "prompt/user: a\nprompt/user: b\n"},
		{"reads messages that came as events, older conventions included", nil, []sources.TraceEvent{
			ev("gen_ai.choice", 3, "body", `{"index":0,"message":{"role":"assistant","content":"Yes."}}`),
			ev("gen_ai.user.message", 1, "body", `{"content":"Is it?"}`),
			ev("gen_ai.client.inference.operation.details", 4, "gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"Done."}]}]`),
		}, "prompt/user: Is it?\nresponse/assistant: Yes.\nresponse/assistant: Done.\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lines(ContentOf(tt.spans, tt.events)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}
