package tempo

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protowire"

	"rollcall/sources"
	"rollcall/sources/redact"
	"rollcall/sources/rest"
)

const requestID = "83b63da3-45a9-4196-98b8-1a7f697d6d8d"

var traceID = sources.TraceID{0x2f, 0x3e, 0x0c, 0xee, 15: 0x54}

// recorded is a trace of n spans as an OTLP exporter would send it.
func recorded(n int) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "assistant")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	for i := range n {
		s := spans.AppendEmpty()
		s.SetTraceID(pcommon.TraceID(traceID))
		s.SetSpanID(pcommon.SpanID{0: 0xfb, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i), 7: 1})
		s.SetName("chat gpt-4.1")
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(i) * time.Microsecond)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Second)))
		if i > 0 {
			s.SetParentSpanID(pcommon.SpanID{0: 0xfb, 7: 1})
			continue
		}
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Attributes().PutStr("llmops.request.id", requestID)
		s.Attributes().PutStr("gen_ai.input.messages", "mail me at jane.doe@example.com \x1b[2J")
		s.Attributes().PutStr("user.id", "jane")
	}
	return td
}

func protoOf(t *testing.T, td ptrace.Traces) []byte {
	t.Helper()
	b, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wrap makes the second version's answer of a trace.
func wrap(b []byte, status uint64, message string) []byte {
	out := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
	out = protowire.AppendVarint(protowire.AppendTag(out, 3, protowire.VarintType), status)
	return protowire.AppendString(protowire.AppendTag(out, 4, protowire.BytesType), message)
}

func jsonOf(t *testing.T, td ptrace.Traces) string {
	t.Helper()
	b, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// inBase64 writes IDs and enumerations as protobuf's own JSON does.
func inBase64(t *testing.T, s string) string {
	t.Helper()
	s = regexp.MustCompile(`"(traceId|spanId|parentSpanId)": ?"([0-9a-f]+)"`).ReplaceAllStringFunc(s, func(m string) string {
		key, id, _ := strings.Cut(m, ":")
		raw, err := hex.DecodeString(strings.Trim(id, ` "`))
		if err != nil {
			t.Fatal(err)
		}
		return key + `: "` + base64.StdEncoding.EncodeToString(raw) + `"`
	})
	return strings.ReplaceAll(strings.ReplaceAll(s, `"kind":2`, `"kind":"SPAN_KIND_SERVER"`), `"code":2`, `"code":"STATUS_CODE_ERROR"`)
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	r, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(cfg, Options{Clock: clock, Redactor: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func answer(kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		_, _ = w.Write(body)
	}
}

func TestATraceIsReadInEveryShapeThatTempoGivesIt(t *testing.T) {
	td := recorded(3)
	body, text := protoOf(t, td), jsonOf(t, td)
	batches := strings.Replace(text, `"resourceSpans"`, `"batches"`, 1)
	second := `{"trace":` + text + `,"metrics":{},"status":"COMPLETE"}`
	old := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/api/v2/") {
				http.NotFound(w, r)
				return
			}
			h(w, r)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"version 2, protobuf":                      answer(protobuf, wrap(body, 0, "")),
		"version 2, protobuf in parts":             answer(protobuf, append(wrap(protoOf(t, part(td, 0, 1)), 0, ""), wrap(protoOf(t, part(td, 1, 3)), 0, "")...)),
		"version 2, JSON":                          answer(jsonType, []byte(second)),
		"version 2, JSON with IDs in base64":       answer(jsonType+"; charset=utf-8", []byte(inBase64(t, second))),
		"version 2, protobuf without its wrapping": answer(protobuf, body),
		"version 1, protobuf":                      old(answer(protobuf, body)),
		"version 1, JSON":                          old(answer(jsonType, []byte(batches))),
		"version 1, JSON with IDs in base64":       old(answer(jsonType, []byte(inBase64(t, batches)))),
		"version 1, JSON that does not say so":     old(answer("text/plain", []byte(batches))),
		"version 2, by a server that makes only JSON": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != jsonType {
				w.WriteHeader(http.StatusNotAcceptable)
				return
			}
			answer(jsonType, []byte(second))(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Config{URL: serve(t, h)})
			for range 2 { // the second time the version is known
				spans, facts, err := c.Trace(t.Context(), traceID)
				if err != nil || len(spans) != 3 || facts.Total != 3 || facts.Partial != "" || facts.At.IsZero() {
					t.Fatalf("%d spans, %+v: %v", len(spans), facts, err)
				}
				s := spans[0]
				id, _ := s.Attrs.Get("llmops.request.id")
				input, _ := s.Attrs.Get("gen_ai.input.messages")
				user, _ := s.Attrs.Get("user.id")
				if s.TraceID != traceID || s.SpanID != (sources.SpanID{0: 0xfb, 7: 1}) || !s.Parent.IsZero() || spans[1].Parent != s.SpanID || s.Kind != "server" || !s.Error || s.Resource.Service != "assistant" || id != requestID {
					t.Errorf("span %+v", s)
				}
				if strings.Contains(input, "jane.doe@") || strings.Contains(input, "\x1b") || !strings.Contains(input, "<email:1>") || user == "jane" {
					t.Errorf("not redacted: %q by %q", input, user)
				}
			}
			if c.Health().State != sources.SourceUp {
				t.Errorf("health %+v", c.Health())
			}
		})
	}
}

// part keeps the spans from a to b.
func part(td ptrace.Traces, a, b int) ptrace.Traces {
	out := ptrace.NewTraces()
	td.CopyTo(out)
	i := -1
	out.ResourceSpans().At(0).ScopeSpans().At(0).Spans().RemoveIf(func(ptrace.Span) bool { i++; return i < a || i >= b })
	return out
}

func TestATraceThatIsNotThereIsNoFault(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"404": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "trace not found", http.StatusNotFound) },
		"404 of the first version": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/api/v2/") {
				http.NotFound(w, r)
				return
			}
			http.Error(w, "unable to find "+traceID.String(), http.StatusNotFound)
		},
		"an empty answer":    answer(protobuf, nil),
		"an empty trace":     answer(protobuf, wrap(nil, 0, "")),
		"empty JSON":         answer(jsonType, []byte(`{}`)),
		"an empty JSON list": answer(jsonType, []byte(`{"trace":{"resourceSpans":[]}}`)),
		"null":               answer(jsonType, []byte(`{"batches":null}`)),
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Config{URL: serve(t, h)})
			spans, _, err := c.Trace(t.Context(), traceID)
			if err != nil || len(spans) != 0 || c.Health().State != sources.SourceUp {
				t.Errorf("%d spans, %v, %+v", len(spans), err, c.Health())
			}
		})
	}
}

func TestAnAnswerThatIsNoTraceIsExplained(t *testing.T) {
	body := protoOf(t, recorded(3))
	for name, h := range map[string]http.HandlerFunc{
		"invalid protobuf":     answer(protobuf, []byte("\xff\xff\xff\xffnot protobuf \x1b[31m")),
		"half a protobuf":      answer(protobuf, wrap(body, 0, "")[:len(body)/2]),
		"invalid JSON":         answer(jsonType, []byte(`{"trace":`)),
		"JSON of another kind": answer(jsonType, []byte(`{"trace":{"resourceSpans":"none"}}`)),
		"IDs that are none":    answer(jsonType, []byte(`{"batches":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}`)),
		"no such API":          http.NotFound,
		"a web page":           answer("text/html", []byte("<html>")),
		"compressed, unasked":  answer("", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00")),
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Config{URL: serve(t, h)})
			spans, _, err := c.Trace(t.Context(), traceID)
			if err == nil || len(spans) != 0 || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), "; check ") {
				t.Errorf("%d spans: %v", len(spans), err)
			}
			if c.Health().State != sources.SourceDown {
				t.Errorf("health %+v", c.Health())
			}
		})
	}
}

func TestAPartOfATraceSaysSo(t *testing.T) {
	body := protoOf(t, recorded(2))
	for name, h := range map[string]http.HandlerFunc{
		"protobuf": answer(protobuf, wrap(body, 1, "trace is larger than \x1b[1m50 MB")),
		"JSON":     answer(jsonType, []byte(`{"trace":`+jsonOf(t, recorded(2))+`,"status":"PARTIAL","message":"trace is larger than 50 MB"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			spans, facts, err := client(t, Config{URL: serve(t, h)}).Trace(t.Context(), traceID)
			if err != nil || len(spans) != 2 || facts.Partial == "" || len(facts.Warnings) != 1 || strings.Contains(facts.Warnings[0], "\x1b") {
				t.Errorf("%d spans, %+v: %v", len(spans), facts, err)
			}
		})
	}
}

func TestAnEnormousTraceIsCutAndSaysSo(t *testing.T) {
	const n = maxSpans + 500
	spans, facts, err := client(t, Config{URL: serve(t, answer(protobuf, wrap(protoOf(t, recorded(n)), 0, "")))}).Trace(t.Context(), traceID)
	if err != nil || len(spans) != maxSpans || facts.Total != n || facts.Partial != fmt.Sprintf("%d of %d spans", maxSpans, n) {
		t.Errorf("%d spans, %+v: %v", len(spans), facts, err)
	}
}

func TestTraceQLIsWrittenOfAQuery(t *testing.T) {
	for _, tc := range []struct {
		q    sources.TraceQuery
		want string
	}{
		{sources.TraceQuery{}, `{}`},
		{sources.TraceQuery{Fields: []string{"llmops.request.id"}, Value: "r-1"}, `{ span.llmops.request.id = "r-1" }`},
		{sources.TraceQuery{Fields: []string{"a_b", "x-request-id"}, Value: "r-1"}, `{ span.a_b = "r-1" || span."x-request-id" = "r-1" }`},
		{sources.TraceQuery{Fields: []string{"a", "b"}, Value: `x" || true || "`, Service: "s"}, `{ (span.a = "x\" || true || \"" || span.b = "x\" || true || \"") && resource.service.name = "s" }`},
		{sources.TraceQuery{Service: "assistant", Failed: true}, `{ resource.service.name = "assistant" && status = error }`},
		{sources.TraceQuery{Fields: []string{`a" = "" || "`}, Value: "v"}, `{ span."a\" = \"\" || \"" = "v" }`},
	} {
		if got := TraceQL(tc.q); got != tc.want {
			t.Errorf("%+v is written\n  %s\nwant\n  %s", tc.q, got, tc.want)
		}
	}
}

func TestASearchFindsTracesAndReadsThemWhole(t *testing.T) {
	var asked atomic.Pointer[url.Values]
	trace := wrap(protoOf(t, recorded(2)), 0, "")
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/search" {
			q := r.URL.Query()
			asked.Store(&q)
			w.Header().Set("Content-Type", jsonType)
			_, _ = fmt.Fprintf(w, `{"traces":[
				{"traceID":"9329d67b6146a0001","rootServiceName":"x","startTimeUnixNano":"1684778327699392724","durationMs":557,"spanSets":[{"spans":[],"matched":1}]},
				{"traceID":%q,"startTimeUnixNano":"1684778327699392999"},
				{"traceID":"not an ID"}],"metrics":{"totalBlocks":13}}`, traceID)
			return
		}
		if strings.HasSuffix(r.URL.Path, traceID.String()) {
			answer(protobuf, trace)(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "0000000000000009329d67b6146a0001") {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "no")
			return
		}
		http.Error(w, "trace not found", http.StatusNotFound)
	}
	c := client(t, Config{URL: serve(t, h)})
	until := time.Unix(1684778400, 0)
	list, err := c.Find(t.Context(), sources.TraceQuery{Service: "assistant", Failed: true, Since: until.Add(-time.Hour), Until: until, Limit: 5})
	if err != nil || len(list.Traces) != 1 || len(list.Traces[0]) != 2 || list.Facts.Shown != 1 || list.Facts.Total != 2 {
		t.Fatalf("%d traces, %+v: %v", len(list.Traces), list.Facts, err)
	}
	q := asked.Load()
	if q.Get("q") != `{ resource.service.name = "assistant" && status = error }` || q.Get("limit") != "5" || q.Get("start") != "1684774800" || q.Get("end") != "1684778401" {
		t.Errorf("asked %v", q)
	}
	if !strings.Contains(list.Facts.Partial, "1 of 2 traces") {
		t.Errorf("facts %+v", list.Facts)
	}
}

func TestASearchThatIsRefusedIsExplained(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no such API": http.NotFound,
		"not JSON":    answer(jsonType, []byte("nope")),
		"a tenant":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no org id", http.StatusUnauthorized) },
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Config{URL: serve(t, h)})
			if _, err := c.Find(t.Context(), sources.TraceQuery{}); err == nil || !strings.Contains(err.Error(), "; check ") {
				t.Errorf("find: %v", err)
			}
			if err := c.Check(t.Context()); err == nil || c.Health().State != sources.SourceDown {
				t.Errorf("check: %v, %+v", err, c.Health())
			}
		})
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"trace":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"AAAAAAAAAAAAAAAAAAAAAQ==","spanId":"AAAAAAAAAAE="}]}]}]}}`), jsonType, true)
	f.Add([]byte("\x0a\x04\x0a\x02\x12\x00\x18\x01"), protobuf, true)
	f.Add([]byte("\x0a\x02\x12\x00"), "", false)
	f.Fuzz(func(_ *testing.T, body []byte, kind string, second bool) {
		a := restAnswer(body, kind)
		_, _ = decode(a, second) // neither panics nor hangs
	})
}

func restAnswer(body []byte, kind string) rest.Answer { return rest.Answer{Body: body, Type: kind} }
