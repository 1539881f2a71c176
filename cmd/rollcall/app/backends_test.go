package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

// farTrace is a trace as a backend keeps it: the service's own spans, or the gateway's.
func farTrace(id sources.TraceID, at time.Time, requestID string, n int) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "assistant")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range n {
		s := spans.AppendEmpty()
		s.SetTraceID(pcommon.TraceID(id))
		s.SetSpanID(pcommon.SpanID{byte(i + 1)})
		s.SetName("chat gpt-4.1")
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Second)))
		if i > 0 {
			s.SetParentSpanID(pcommon.SpanID{1})
			s.Attributes().PutStr("gen_ai.operation.name", "chat")
			s.Attributes().PutStr("gen_ai.request.model", "gpt-4.1")
			s.Attributes().PutStr("gen_ai.response.model", "gpt-4.1")
			s.Attributes().PutInt("gen_ai.usage.input_tokens", 10)
			continue
		}
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Attributes().PutStr("llmops.request.id", requestID)
		s.Attributes().PutStr("error.type", "timeout")
	}
	return td
}

// tempoWith answers from one trace.
func tempoWith(t *testing.T, id sources.TraceID, td ptrace.Traces) http.HandlerFunc {
	body, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	if err != nil {
		t.Fatal(err)
	}
	requestID, _ := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().Get("llmops.request.id")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch q := r.URL.Query().Get("q"); {
		case strings.HasSuffix(r.URL.Path, "/"+id.String()):
			_, _ = fmt.Fprintf(w, `{"trace":%s,"status":"COMPLETE"}`, body)
		case r.URL.Path == "/api/search" && (strings.Contains(q, `"`+requestID.AsString()+`"`) || !strings.Contains(q, "span.")):
			_, _ = fmt.Fprintf(w, `{"traces":[{"traceID":%q,"startTimeUnixNano":"1"}]}`, id)
		case r.URL.Path == "/api/search":
			_, _ = io.WriteString(w, `{"traces":[]}`)
		default:
			http.Error(w, "trace not found", http.StatusNotFound)
		}
	}
}

func noJaeger(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/v3/services" {
		_, _ = io.WriteString(w, `{"services":[]}`)
		return
	}
	http.Error(w, `{"error":{"httpCode":404,"message":"No traces found"}}`, http.StatusNotFound)
}

// withBackends configures trace backends beside the other sources; nil is one that is down.
func withBackends(t *testing.T, loki, tempo, jaeger http.HandlerFunc) *config.File {
	t.Helper()
	cfg := servers(t, emptyProm, loki)
	serve := func(h http.HandlerFunc) string {
		if h == nil {
			return "http://127.0.0.1:1"
		}
		s := httptest.NewServer(h)
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s.URL
	}
	text := fmt.Sprintf(`
state: %s
prometheus: {url: %q, timeout: 2s}
loki: {url: %q, timeout: 2s}
tempo: {url: %q, timeout: 2s}
jaeger: {url: %q, timeout: 2s}
otlp: {grpc: "127.0.0.1:0", http: "127.0.0.1:0"}
services: {assistant: {scope: 'job="assistant"'}}
`, cfg.State, cfg.Prometheus.URL, cfg.Loki.URL, serve(tempo), serve(jaeger))
	cfg, err := config.Parse(filepath.Join(cfg.State, "rollcall.yaml"), []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func answerOf(v *sources.RequestView, source string) sources.Answer {
	i := slices.IndexFunc(v.Answers, func(a sources.Answer) bool { return a.Source == source })
	if i < 0 {
		return sources.Answer{}
	}
	return v.Answers[i]
}

func TestARequestOpensFromATraceBackendByAnyOfItsIDs(t *testing.T) {
	id := sources.TraceID{9, 15: 1}
	a := open(t, withBackends(t, lokiLines(), tempoWith(t, id, farTrace(id, time.Now().Add(-time.Minute), "req-far", 3)), noJaeger), Options{Receive: true})
	for _, by := range []string{"req-far", id.String()} {
		v, err := a.Request(t.Context(), "assistant", by)
		if err != nil {
			t.Fatal(err)
		}
		if r := v.Request; r.ID != "req-far" || r.TraceID != id.String() || len(v.Spans) != 3 || r.ErrorType != "timeout" || r.TokensIn.V != 20 || r.LLMCalls != 2 || r.From["request_id"] != "llmops.request.id" || r.Service != "assistant" {
			t.Errorf("by %s: %+v", by, r)
		}
		if got := answerOf(v, "tempo"); !got.Found || !strings.HasPrefix(got.Note, "3 spans in ") {
			t.Errorf("tempo: %+v", got)
		}
		if got := answerOf(v, "traces"); got.Found || got.Note != "no trace carries this ID" {
			t.Errorf("traces: %+v", got)
		}
		if got := answerOf(v, "jaeger"); got.Found || !strings.Contains(got.Note, "carries this ID") && !strings.Contains(got.Note, "not waited for") {
			t.Errorf("jaeger: %+v", got)
		}
	}
	_, err := a.Request(t.Context(), "assistant", "nowhere")
	if err == nil || !strings.Contains(err.Error(), "tempo: no trace of the last 24 h carries this ID; jaeger: no trace of the last 24 h carries this ID; loki: ") {
		t.Errorf("%v", err)
	}
}

func TestABackendThatIsDownOrHangsTakesNothingFromARequest(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	a := open(t, withBackends(t, lokiLines(), hang, nil), Options{Receive: true})
	consume(t, a.intake, "req-1", time.Now().Add(-time.Minute))
	v, err := a.Request(t.Context(), "assistant", "req-1")
	if err != nil || len(v.Spans) != 2 || !answerOf(v, "traces").Found {
		t.Fatalf("%+v: %v", v, err)
	}
	if got := answerOf(v, "tempo"); got.Found || got.Note == "" {
		t.Errorf("tempo: %+v", got)
	}
	if got := answerOf(v, "jaeger"); got.Found || got.Note == "" {
		t.Errorf("jaeger: %+v", got)
	}
}

func TestPiecesOfATraceArePutTogether(t *testing.T) {
	id := sources.TraceID{1, 2, 3} // that of consume, of which traces/ has two spans here
	a := open(t, withBackends(t, lokiLines(), tempoWith(t, id, farTrace(id, time.Now(), "req-1", 4)), noJaeger), Options{Receive: true})
	store, err := a.intake.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lone := sources.Span{TraceID: id, SpanID: sources.SpanID{77}, Parent: sources.SpanID{1}, Name: "rerank", Start: time.Now().UnixNano(), End: time.Now().UnixNano(), Attrs: sources.Attrs{{Key: "llmops.request.id", Value: "req-1"}}}
	if err := store.Consume(t.Context(), &sources.TraceBatch{Spans: []sources.Span{lone}}); err != nil {
		t.Fatal(err)
	}
	v, err := a.Request(t.Context(), "assistant", "req-1")
	if err != nil {
		t.Fatal(err)
	}
	// traces/ lacks the root, so the whole one wins.
	if len(v.Spans) != 4 || slices.Contains(v.Request.Flags, sources.FlagNoRoot) || v.Request.ErrorType != "timeout" {
		t.Errorf("%d spans, %+v", len(v.Spans), v.Request)
	}
	both := a.view([]found{
		{view: &sources.RequestView{Events: []sources.TraceEvent{{Name: "user_feedback", Attrs: sources.Attrs{{Key: "label", Value: "down"}}}}}, spans: []sources.Span{lone}},
		{spans: []sources.Span{lone, {TraceID: id, SpanID: sources.SpanID{1}, Name: "root", Attrs: sources.Attrs{{Key: "llmops.route", Value: "/answer"}}}}},
	})
	if len(both.Spans) != 2 || both.Request.Route != "/answer" || both.Request.Feedback != "down" || both.Spans[0].Name != "root" {
		t.Errorf("%+v", both)
	}
}

func TestARequestThatOnlyAGatewaysLogKnowsLeadsToItsTrace(t *testing.T) {
	id := sources.TraceID{9, 15: 2}
	log := fmt.Sprintf(`{"x-request-id":"gw-7","trace_id":"%s","gen_ai.usage.output_tokens":7,"response_code":503}`, id)
	a := open(t, withBackends(t, lokiLines(log), tempoWith(t, id, farTrace(id, time.Now(), "inner", 2)), noJaeger), Options{Receive: true})
	v, err := a.Request(t.Context(), "assistant", "gw-7")
	if err != nil || len(v.Spans) != 2 || v.Request.TraceID != id.String() || len(v.Logs.Lines) != 1 {
		t.Fatalf("%+v: %v", v, err)
	}
	if r := v.Request; r.TokensOut.V != 7 || r.From["tokens_out"] != "log: gen_ai.usage.output_tokens" || r.TokensIn.V != 10 || r.From["tokens_in"] != "gen_ai.usage.input_tokens" {
		t.Errorf("%+v", r)
	}
	a = open(t, withBackends(t, lokiLines(log), nil, nil), Options{Receive: true})
	v, err = a.Request(t.Context(), "assistant", "gw-7")
	if err != nil || len(v.Spans) != 0 || v.Request.Outcome != "error" || v.Request.ErrorType != "503" || v.Request.TokensOut.V != 7 {
		t.Errorf("without a trace: %+v: %v", v, err)
	}
}

func TestRequestsAreListedFromABackendWhereTracesKnowsNone(t *testing.T) {
	id := sources.TraceID{9, 15: 3}
	a := open(t, withBackends(t, lokiLines(), tempoWith(t, id, farTrace(id, time.Now().Add(-time.Minute), "req-far", 2)), noJaeger), Options{Receive: true})
	now := time.Now()
	all := sources.RequestFilter{Service: "assistant", Since: now.Add(-time.Hour), Until: now.Add(time.Minute)}
	bad := all
	bad.Bad = true
	for _, f := range []sources.RequestFilter{all, bad} {
		list, err := a.Requests(t.Context(), f)
		if err != nil || len(list.Rows) != 1 || list.Rows[0].ID != "req-far" || list.Facts.Source != "tempo" || !strings.Contains(list.Facts.Partial, "20 traces at most") || f.Bad != strings.Contains(list.Facts.Partial, "failed span") {
			t.Errorf("%+v: %v", list, err)
		}
	}
	none := all
	none.Route = "/elsewhere"
	if list, err := a.Requests(t.Context(), none); err != nil || len(list.Rows) != 0 || list.Facts.Partial == "" {
		t.Errorf("%+v: %v", list, err)
	}
	consume(t, a.intake, "req-1", now.Add(-time.Minute))
	if list, err := a.Requests(t.Context(), all); err != nil || len(list.Rows) != 1 || list.Rows[0].ID != "req-1" || list.Facts.Source != "requests" {
		t.Errorf("with rows of its own: %+v: %v", list, err)
	}
	if list, err := a.Requests(t.Context(), none); err != nil || len(list.Rows) != 0 || list.Facts.Source != "requests" {
		t.Errorf("with rows of its own, none alike: %+v: %v", list, err)
	}
}

func TestAListWithEveryBackendDownSaysWhy(t *testing.T) {
	a := open(t, withBackends(t, lokiLines(), nil, nil), Options{Receive: true})
	list, err := a.Requests(t.Context(), sources.RequestFilter{Service: "assistant"})
	if err != nil || len(list.Rows) != 0 || len(list.Facts.Warnings) != 1 || !strings.Contains(list.Facts.Warnings[0], "tempo http://127.0.0.1:1: connection refused") {
		t.Errorf("%+v: %v", list, err)
	}
}

func TestTheDoctorLooksAtBackendsAndCoverage(t *testing.T) {
	a := open(t, withBackends(t, lokiLines(), nil, noJaeger), Options{Receive: true})
	consume(t, a.intake, "req-1", time.Now().Add(-time.Minute)) // m1 served as m1, without a manifest
	got := map[string]Finding{}
	for _, f := range a.Doctor(t.Context(), "assistant") {
		got[f.Area+" "+f.Check] = f
	}
	if f := got["tempo reachable"]; f.Verdict != sources.Unreachable || !strings.Contains(f.Detail, "connection refused") || f.Remedy == "" {
		t.Errorf("tempo: %+v", f)
	}
	if f := got["jaeger reachable"]; f.Verdict != sources.OK {
		t.Errorf("jaeger: %+v", f)
	}
	if f := got["traces model"]; f.Verdict != sources.Watch || f.Detail != "unpinned 100% of requests (1 of 1)" {
		t.Errorf("model: %+v", f)
	}
	if f := got["traces manifest"]; f.Verdict != sources.Watch || !strings.HasPrefix(f.Detail, "no manifest 100% of requests") {
		t.Errorf("manifest: %+v", f)
	}
	states := map[string]sources.HealthState{}
	for _, h := range a.Health() {
		states[h.Source] = h.State
	}
	if states["tempo"] != sources.SourceDown || states["jaeger"] != sources.SourceUp {
		t.Errorf("health %v", states)
	}
}
