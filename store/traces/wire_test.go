package traces_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/otlp"
	"rollcall/sources/redact"
	"rollcall/sources/request"
	"rollcall/store/traces"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func wallClock(tb testing.TB) sources.Clock {
	tb.Helper()
	c, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func folder(tb testing.TB) *request.Folder {
	tb.Helper()
	f, err := newFolder()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func newFolder() (*request.Folder, error) { return request.NewFolder(nil) }

// assistant appends one request of the llmops contract: ten spans, about 600 bytes each.
func assistant(td ptrace.Traces, n int, at time.Time) {
	rs := td.ResourceSpans().AppendEmpty()
	ra := rs.Resource().Attributes()
	ra.PutStr("service.name", "support-assistant")
	ra.PutStr("service.version", "2026.11.3")
	ra.PutStr("deployment.environment.name", "prod")
	ra.PutStr("cloud.region", "eu-west-1")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	trace := traceID(n)
	span := func(i int, name string, kind ptrace.SpanKind, parent int, from, took time.Duration) ptrace.Span {
		s := spans.AppendEmpty()
		s.SetTraceID(pcommon.TraceID(trace))
		s.SetSpanID(spanID(n, i))
		if parent > 0 {
			s.SetParentSpanID(spanID(n, parent))
		}
		s.SetName(name)
		s.SetKind(kind)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(from)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(from + took)))
		return s
	}
	ms := time.Millisecond
	fail := n%10 == 0
	root := span(1, "POST /v1/answer", ptrace.SpanKindServer, 0, 0, 1900*ms)
	a := root.Attributes()
	for k, v := range map[string]string{
		"llmops.request.id": fmt.Sprintf("req-%08d", n), "llmops.route": "/v1/answer", "llmops.tenant": fmt.Sprintf("tenant-%d", n%7),
		"llmops.region": "eu-west-1", "user.id": fmt.Sprintf("customer-%d", n%500), "gen_ai.conversation.id": fmt.Sprintf("conv-%d", n%900),
		"gen_ai.prompt.name": "answer", "gen_ai.prompt.version": fmt.Sprintf("v%d", 13+n%2), "llmops.model.version": "gpt-4.1-2026-04-14",
		"llmops.tool.version": "t7", "llmops.index.version": "kb-2026-11-01", "llmops.policy.version": "p3",
		"llmops.manifest.id": "m-0042", "llmops.rollout.stage": "live", "llmops.outcome": "ok", "llmops.cache.kind": "none",
		"llmops.schema.result": map[bool]string{true: "fail", false: "pass"}[fail], "llmops.filter.action": "none",
	} {
		a.PutStr(k, v)
	}
	a.PutDouble("llmops.cost.usd", 0.0123)
	a.PutBool("llmops.refusal", false)
	stages := []string{"preprocess", "embed", "vector_search", "rerank", "prompt_assembly", "inference", "validation", "delivery"}
	for i, st := range stages {
		kind := ptrace.SpanKindInternal
		name := st
		if st == "inference" {
			kind, name = ptrace.SpanKindClient, "chat gpt-4.1"
		}
		s := span(2+i, name, kind, 1, time.Duration(i)*200*ms, 190*ms)
		sa := s.Attributes()
		sa.PutStr("llmops.stage", st)
		sa.PutStr("code.function", "assistant.pipeline."+st)
		sa.PutInt("thread.id", int64(n%16))
		switch st {
		case "embed":
			sa.PutStr("gen_ai.operation.name", "embeddings")
			sa.PutStr("gen_ai.request.model", "text-embedding-3-small")
			sa.PutInt("gen_ai.usage.input_tokens", 40)
		case "vector_search":
			sa.PutStr("gen_ai.operation.name", "retrieval")
			sa.PutStr("gen_ai.data_source.id", "kb")
			sa.PutStr("gen_ai.retrieval.query.text", "how do I change the delivery address of my order")
			sa.PutStr("gen_ai.retrieval.documents", fmt.Sprintf(`[{"id":"doc-%d","score":0.83},{"id":"faq-%d","score":0.71}]`, n%300, n%77))
			sa.PutBool("llmops.retrieval.hit", true)
		case "inference":
			sa.PutStr("gen_ai.operation.name", "chat")
			sa.PutStr("gen_ai.provider.name", "openai")
			sa.PutStr("gen_ai.request.model", "gpt-4.1")
			sa.PutStr("gen_ai.response.model", "gpt-4.1-2026-04-14")
			sa.PutStr("gen_ai.response.id", fmt.Sprintf("chatcmpl-%016x", n))
			sa.PutEmptySlice("gen_ai.response.finish_reasons").AppendEmpty().SetStr("stop")
			sa.PutDouble("gen_ai.response.time_to_first_chunk", 0.42)
			sa.PutInt("gen_ai.usage.input_tokens", 1200)
			sa.PutInt("gen_ai.usage.output_tokens", 180)
			sa.PutStr("gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"Hello, my parcel `+fmt.Sprint(n)+
				` has not arrived and the tracking page has said the same thing for four days. Can you tell me where it is and change the delivery address to my office? Thank you very much for looking into this so quickly."}]}]`)
			sa.PutStr("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"I am sorry to hear that. Your parcel left the depot on Monday and the carrier reports a delay of two days. I have asked them to deliver to the office address that is on file. You will get a message with the new time window today."}],"finish_reason":"stop"}]`)
		default:
			sa.PutStr("detail", "step "+st+" finished within its budget and handed its result to the next step of the pipeline")
			sa.PutInt("items", int64(n%50))
		}
	}
	s := span(10, "execute_tool lookup_order", ptrace.SpanKindInternal, 7, 1050*ms, 60*ms)
	s.Attributes().PutStr("gen_ai.operation.name", "execute_tool")
	s.Attributes().PutStr("gen_ai.tool.name", "lookup_order")
	s.Attributes().PutStr("gen_ai.tool.call.id", fmt.Sprintf("call_%d", n))
	s.Attributes().PutStr("gen_ai.tool.call.arguments", fmt.Sprintf(`{"order":"A-%d"}`, n))
	s.Attributes().PutStr("gen_ai.tool.call.result", `{"status":"in transit","depot":"LEJ"}`)
}

func traceID(n int) (id sources.TraceID) {
	b, _ := hex.DecodeString(fmt.Sprintf("%08x%08x%08x%08x", uint32(n)*2654435761, n, uint32(n)*40503, 7))
	copy(id[:], b)
	return id
}

func spanID(n, i int) (id pcommon.SpanID) {
	b, _ := hex.DecodeString(fmt.Sprintf("%08x%08x", n, i))
	copy(id[:], b)
	return id
}

func startReceiver(tb testing.TB, sink otlp.Sink) *otlp.Receiver {
	tb.Helper()
	red, err := redact.New(redact.Config{}, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		tb.Fatal(err)
	}
	r, err := otlp.Start(tb.Context(), otlp.Config{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"}, otlp.Deps{Sink: sink, Redactor: red, Clock: wallClock(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return r
}

func openStore(tb testing.TB, dir string) *traces.Store {
	tb.Helper()
	s, err := traces.Open(dir, traces.Options{Folder: folder(tb), Clock: wallClock(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func dial(tb testing.TB, addr string) ptraceotlp.GRPCClient {
	tb.Helper()
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cc.Close() })
	return ptraceotlp.NewGRPCClient(cc)
}

func TestARequestSentOverEitherProtocolOpensByAnyOfItsIDs(t *testing.T) {
	s := openStore(t, t.TempDir())
	r := startReceiver(t, s)
	at := time.Date(2026, 11, 23, 2, 31, 0, 0, time.UTC)

	overGRPC := ptrace.NewTraces()
	assistant(overGRPC, 20, at)
	if _, err := dial(t, r.GRPCAddr()).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(overGRPC)); err != nil {
		t.Fatal(err)
	}
	overHTTP := ptrace.NewTraces()
	assistant(overHTTP, 21, at.Add(time.Second))
	body, err := ptraceotlp.NewExportRequestFromTraces(overHTTP).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post("http://"+r.HTTPAddr()+"/v1/traces", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, answer)
	}

	for _, id := range []string{"req-00000020", traceID(20).String(), "chatcmpl-0000000000000014"} {
		view, facts, err := s.Trace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if view == nil {
			t.Fatalf("%s opened nothing; facts %+v", id, facts)
		}
		q := view.Request
		if q.ID != "req-00000020" || q.Schema != "fail" || q.Prompt != "v13" || q.SpanCount != 10 || len(view.Spans) != 10 ||
			q.TokensIn.V != 1200 || q.Latency.V != 1.9 || len(q.ToolCalls) != 1 || len(q.Documents) != 2 || q.From["prompt"] != "gen_ai.prompt.version" {
			t.Fatalf("%s opened %+v", id, q)
		}
	}
	list, err := s.Requests(t.Context(), sources.RequestFilter{Service: "support-assistant"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Rows) != 2 || list.Rows[0].ID != "req-00000021" || list.Facts.Total != 2 {
		t.Fatalf("requests: %+v", list)
	}
	bad, err := s.Requests(t.Context(), sources.RequestFilter{Bad: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(bad.Rows) != 1 || bad.Rows[0].ID != "req-00000020" {
		t.Fatalf("bad requests: %+v", bad)
	}
}
