package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// sink keeps what it is given; do, when set, decides the answer.
type sink struct {
	mu  sync.Mutex
	got []*sources.TraceBatch
	do  func(ctx context.Context) error
}

func (s *sink) Consume(ctx context.Context, b *sources.TraceBatch) error {
	if s.do != nil {
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, b)
	return nil
}

func (s *sink) spans() []sources.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sources.Span
	for _, b := range s.got {
		out = append(out, b.Spans...)
	}
	return out
}

func (s *sink) events() []sources.TraceEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sources.TraceEvent
	for _, b := range s.got {
		out = append(out, b.Events...)
	}
	return out
}

func redactor(t testing.TB) *redact.Redactor {
	t.Helper()
	r, err := redact.New(redact.Config{}, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func start(t testing.TB, s Sink, change ...func(*Config, *Deps)) *Receiver {
	t.Helper()
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, deps := Config{GRPC: "127.0.0.1:0", HTTP: ":0"}, Deps{Sink: s, Redactor: redactor(t), Clock: clock}
	for _, c := range change {
		c(&cfg, &deps)
	}
	r, err := Start(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

func dial(t testing.TB, r *Receiver) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(r.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func post(t testing.TB, r *Receiver, path, kind, encoding string, body []byte) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.HTTPAddr()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Header
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// one returns an export request of one span that fill may change.
func one(fill func(s ptrace.Span)) ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "svc")
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(pcommon.TraceID{1})
	s.SetSpanID(pcommon.SpanID{2})
	s.SetName("GET /")
	s.SetKind(ptrace.SpanKindServer)
	s.SetStartTimestamp(1_000)
	s.SetEndTimestamp(2_000)
	if fill != nil {
		fill(s)
	}
	return ptraceotlp.NewExportRequestFromTraces(td)
}

func TestSpansArriveOverEveryProtocolAndEncoding(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	req := one(nil)
	asProto, err := req.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := req.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	client := ptraceotlp.NewGRPCClient(dial(t, r))
	ways := map[string]func() error{
		"grpc":      func() error { _, err := client.Export(t.Context(), req); return err },
		"grpc gzip": func() error { _, err := client.Export(t.Context(), req, grpc.UseCompressor("gzip")); return err },
	}
	for _, w := range []struct {
		name, kind, encoding string
		body                 []byte
	}{
		{"http proto", "application/x-protobuf", "", asProto},
		{"http json", "application/json", "", asJSON},
		{"http proto gzip", "application/x-protobuf", "gzip", gzipped(t, asProto)},
		{"http json gzip", "application/json; charset=utf-8", "gzip", gzipped(t, asJSON)},
	} {
		ways[w.name] = func() error {
			if code, answer, _ := post(t, r, "/v1/traces", w.kind, w.encoding, w.body); code != http.StatusOK {
				return errors.New(answer)
			}
			return nil
		}
	}
	for name, send := range ways {
		before := len(s.spans())
		if err := send(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		spans := s.spans()
		if len(spans) != before+1 {
			t.Fatalf("%s: %d spans arrived", name, len(spans)-before)
		}
		got := spans[before]
		if got.Name != "GET /" || got.Kind != "server" || got.Start != 1000 || got.End != 2000 || got.Resource.Service != "svc" || got.TraceID != (sources.TraceID{1}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if h := r.Health(); h.State != sources.SourceUp || h.Source != "otlp" || h.LastGood.IsZero() {
		t.Errorf("health %+v", h)
	}
}

func TestPortZeroReportsTheRealAddressOnLoopback(t *testing.T) {
	r := start(t, &sink{})
	for _, a := range []string{r.GRPCAddr(), r.HTTPAddr()} {
		host, port, err := net.SplitHostPort(a)
		if err != nil || host != "127.0.0.1" || port == "0" {
			t.Errorf("address %q: %v", a, err)
		}
	}
}

func TestATakenAddressIsNamedWithItsSetting(t *testing.T) {
	r := start(t, &sink{})
	clock, _ := sources.ClockConfig{}.Clock(nil)
	_, err := Start(t.Context(), Config{GRPC: r.GRPCAddr(), HTTP: off}, Deps{Sink: &sink{}, Redactor: redactor(t), Clock: clock})
	if err == nil || !strings.Contains(err.Error(), "otlp.grpc") || !strings.Contains(err.Error(), r.GRPCAddr()) {
		t.Fatalf("error %v", err)
	}
	for _, bad := range []Config{{GRPC: off, HTTP: off}, {GRPC: "nonsense"}} {
		if _, err := Start(t.Context(), bad, Deps{Sink: &sink{}, Redactor: redactor(t), Clock: clock}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestABodyThatIsNotOTLPIsRefusedInOneClearLine(t *testing.T) {
	s := &sink{}
	r := start(t, s, func(c *Config, _ *Deps) { c.MaxBody = 1 << 20 })
	bomb := gzipped(t, make([]byte, 64<<20))
	tests := []struct {
		name, path, kind, encoding string
		body                       []byte
		code                       int
		says                       string
	}{
		{"text as JSON", "/v1/traces", "application/json", "", []byte("hello\x1b[31m password=hunter22hunter22"), 400, "not an OTLP export request"},
		{"JSON of another shape", "/v1/traces", "application/json", "", []byte(`{"resourceSpans": 7}`), 400, "not an OTLP export request"},
		{"noise as protobuf", "/v1/traces", "application/x-protobuf", "", []byte("\xff\xff\xff\xff"), 400, "not an OTLP export request"},
		{"a log file", "/v1/logs", "application/json", "", []byte("2026-11-23 INFO x"), 400, "not an OTLP export request"},
		{"another content type", "/v1/traces", "text/html", "", []byte("<html>"), 415, "application/x-protobuf"},
		{"another path", "/api/v2/spans", "application/json", "", []byte("[]"), 404, "/v1/traces"},
		{"gzip that is none", "/v1/traces", "application/json", "gzip", []byte("plain"), 400, "EOF"},
		{"a gzip bomb", "/v1/traces", "application/json", "gzip", bomb, 413, "otlp.max_body"},
		{"a body over the limit", "/v1/traces", "application/json", "", bytes.Repeat([]byte(" "), 2<<20), 413, "otlp.max_body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, answer, _ := post(t, r, tt.path, tt.kind, tt.encoding, tt.body)
			if code != tt.code || !strings.Contains(answer, tt.says) || strings.ContainsAny(answer, "\x1b\n") || strings.Contains(answer, "hunter22") {
				t.Errorf("status %d: %q", code, answer)
			}
		})
	}
	if len(s.spans()) != 0 {
		t.Error("something was taken in")
	}
	if h := r.Health(); h.State != sources.SourceUp || !strings.Contains(h.Note, "calls were not OTLP") {
		t.Errorf("health %+v", h)
	}
}

func TestACallThatUnpacksBeyondTheLimitIsRefusedOverGRPC(t *testing.T) {
	s := &sink{}
	r := start(t, s, func(c *Config, _ *Deps) { c.MaxBody = 1 << 20 })
	client := ptraceotlp.NewGRPCClient(dial(t, r))
	bomb := one(func(s ptrace.Span) { s.Attributes().PutStr("x", strings.Repeat("a", 8<<20)) })
	if _, err := client.Export(t.Context(), bomb, grpc.UseCompressor("gzip")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("error %v", err)
	}
	if _, err := client.Export(t.Context(), one(nil)); err != nil || len(s.spans()) != 1 {
		t.Errorf("the next call: %v, %d spans", err, len(s.spans()))
	}
}

func TestNothingThatDrivesATerminalOrIsSecretIsHandedOn(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	req := one(func(s ptrace.Span) {
		s.SetName("\x1b]0;owned\x07GET /\nx\u202e")
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage("mail anna@example.org\r\nfailed \xff\xfe")
		a := s.Attributes()
		a.PutStr("gen_ai.input.messages", "write to anna@example.org and bob@example.org\x1b[2J")
		a.PutStr("note", "again anna@example.org")
		a.PutStr("llmops.request.id", "req-4111111111111111")
		a.PutStr("session.id", "anna@example.org")
		a.PutStr("user.id", "anna@example.org")
		a.PutStr("enduser.id", "Anna@example.org")
		a.PutStr("http.request.header.authorization", "Basic YTpi")
		a.PutStr("gen_ai.retrieval.documents", `[{"id":"4111111111111111","score":0.5}]`)
		a.PutStr("bad\x1bkey", "v")
		a.PutInt("count of anna@example.org", 3)
		a.PutInt("typed", 4111111111111111)
		a.PutInt("n", 42)
		a.PutDouble("d", 0.25)
		a.PutBool("b", true)
		l := a.PutEmptySlice("list")
		l.AppendEmpty().SetStr("x\x1b")
		e := s.Events().AppendEmpty()
		e.SetName("exc\x1beption")
		e.Attributes().PutStr("exception.message", "anna@example.org")
	})
	body, err := req.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if code, answer, _ := post(t, r, "/v1/traces", "application/x-protobuf", "", body); code != 200 {
		t.Fatal(answer)
	}
	sp := s.spans()[0]
	raw, err := json.Marshal(sp)
	if err != nil {
		t.Fatal(err)
	}
	all := string(raw) + sp.Name + sp.Message
	for _, a := range sp.Attrs {
		all += a.Key + a.Value
	}
	for _, bad := range []string{"\x1b", "\x07", "\u202e", "anna", "Anna", "bob@", "YTpi", "\xff"} {
		if strings.Contains(all, bad) {
			t.Errorf("%q is still there: %s", bad, all)
		}
	}
	if !utf8.ValidString(all) || strings.Contains(sp.Name, "\n") {
		t.Errorf("name %q", sp.Name)
	}
	get := func(k string) string { v, _ := sp.Attrs.Get(k); return v }
	for k, want := range map[string]string{
		"llmops.request.id": "req-4111111111111111", "n": "42", "d": "0.25", "b": "true", "note": "again <email:1>",
		"gen_ai.retrieval.documents": `[{"id":"4111111111111111","score":0.5}]`, "http.request.header.authorization": "<secret>",
		"typed": "<card:1>", "count of <email:1>": "3",
		"user.id": redactor(t).Person("anna@example.org"), "enduser.id": redactor(t).Person("anna@example.org"),
	} {
		if get(k) != want {
			t.Errorf("%s is %q, want %q", k, get(k), want)
		}
	}
	if !strings.HasPrefix(get("gen_ai.input.messages"), "write to <email:1> and <email:2>") {
		t.Errorf("messages %q", get("gen_ai.input.messages"))
	}
}

func TestWhatIsTakenInIsBounded(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	req := one(func(s ptrace.Span) {
		s.Attributes().PutStr("gen_ai.output.messages", strings.Repeat("wörd ", 40_000))
		v := s.Attributes().PutEmptySlice("embedding.embeddings.0.embedding.vector")
		for range 1536 {
			v.AppendEmpty().SetDouble(0.5)
		}
		for i := range 400 {
			s.Attributes().PutStr(strings.Repeat("k", i+1), "v")
		}
		for range 300 {
			s.Events().AppendEmpty().SetName("e")
		}
		s.SetName(strings.Repeat("n", 5000))
	})
	if _, err := ptraceotlp.NewGRPCClient(dial(t, r)).Export(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	sp := s.spans()[0]
	long, _ := sp.Attrs.Get("gen_ai.output.messages")
	vec, _ := sp.Attrs.Get("embedding.embeddings.0.embedding.vector")
	dropped, _ := sp.Attrs.Get("rollcall.dropped_attributes")
	events, _ := sp.Attrs.Get("rollcall.dropped_events")
	if len(long) > maxValue+64 || !strings.Contains(long, "… (+") || !utf8.ValidString(long) || vec != "(1536 numbers, not kept)" ||
		dropped != "146" || events != "172" || len(sp.Events) != maxEvents || len(sp.Name) > maxName+32 {
		t.Errorf("long %d, vec %q, dropped %q, events %q %d, name %d", len(long), vec, dropped, events, len(sp.Events), len(sp.Name))
	}
}

func TestOnlyEventsOfRequestsAreKeptOfLogs(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	ld := plog.NewLogs()
	recs := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	add := func(name string, fill func(plog.LogRecord)) {
		rec := recs.AppendEmpty()
		rec.SetEventName(name)
		fill(rec)
	}
	add("gen_ai.evaluation.result", func(l plog.LogRecord) {
		l.Attributes().PutStr("gen_ai.response.id", "resp-1")
		l.Attributes().PutDouble("gen_ai.evaluation.score.value", 0.75)
		l.Attributes().PutStr("gen_ai.evaluation.explanation", "told anna@example.org")
		l.SetObservedTimestamp(77)
	})
	add("", func(l plog.LogRecord) {
		l.Attributes().PutStr("event.name", "user_feedback")
		l.SetTraceID(pcommon.TraceID{9})
	})
	add("gen_ai.user.message", func(l plog.LogRecord) { l.Body().SetEmptyMap().PutStr("content", "I am anna@example.org") })
	add("", func(l plog.LogRecord) { l.Body().SetStr("an ordinary line") })
	add("feature_flag.evaluation", func(plog.LogRecord) {})
	if _, err := plogotlp.NewGRPCClient(dial(t, r)).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld)); err != nil {
		t.Fatal(err)
	}
	got := s.events()
	if len(got) != 3 || got[0].ResponseID != "resp-1" || got[0].Time != 77 || got[1].TraceID != (sources.TraceID{9}) || got[1].Name != "user_feedback" {
		t.Fatalf("%+v", got)
	}
	if x, _ := got[0].Attrs.Get("gen_ai.evaluation.explanation"); x != "told <email:1>" {
		t.Errorf("explanation %q", x)
	}
	if body, _ := got[2].Attrs.Get("body"); strings.Contains(body, "anna") || !strings.Contains(body, "content") {
		t.Errorf("body %q", body)
	}
	if h := r.Health(); !strings.Contains(h.Note, "2 log records") {
		t.Errorf("health %+v", h)
	}
}

func TestMoreThanCanBeStoredIsRefusedSoThatSendersTryAgain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := &sink{do: func(ctx context.Context) error {
		entered <- struct{}{}
		<-release
		return nil
	}}
	r := start(t, s, func(_ *Config, d *Deps) { d.MaxCalls = 1 })
	client := ptraceotlp.NewGRPCClient(dial(t, r))
	first := make(chan error, 1)
	go func() {
		_, err := client.Export(t.Context(), one(nil))
		first <- err
	}()
	<-entered
	_, err := client.Export(t.Context(), one(nil))
	st, _ := status.FromError(err)
	retry := false
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() == time.Second {
			retry = true
		}
	}
	if st.Code() != codes.ResourceExhausted || !retry {
		t.Errorf("over gRPC: %v, retry info %v", err, retry)
	}
	body, err := one(nil).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if code, _, header := post(t, r, "/v1/traces", "application/x-protobuf", "", body); code != http.StatusTooManyRequests || header.Get("Retry-After") != "1" {
		t.Errorf("over HTTP: %d, Retry-After %q", code, header.Get("Retry-After"))
	}
	if h := r.Health(); h.State != sources.SourceDown || !strings.Contains(h.Note, "refused 2 calls with 2 items") {
		t.Errorf("health %+v", h)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
}

func TestAFailureOfTheStoreIsOneToTryAgain(t *testing.T) {
	s := &sink{do: func(context.Context) error { return errors.New("disk is full") }}
	r := start(t, s)
	_, err := ptraceotlp.NewGRPCClient(dial(t, r)).Export(t.Context(), one(nil))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("over gRPC: %v", err)
	}
	if h := r.Health(); h.State != sources.SourceDown || h.Reason != "disk is full" {
		t.Errorf("health %+v", h)
	}
}

func TestAPanicOverOneCallIsItsSendersErrorOnly(t *testing.T) {
	blow := true
	s := &sink{do: func(context.Context) error {
		if blow {
			panic("boom")
		}
		return nil
	}}
	r := start(t, s)
	client := ptraceotlp.NewGRPCClient(dial(t, r))
	if _, err := client.Export(t.Context(), one(nil)); status.Code(err) != codes.Internal {
		t.Errorf("the call that panicked: %v", err)
	}
	blow = false
	if _, err := client.Export(t.Context(), one(nil)); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestASpanWithoutATraceIDIsCountedAndDropped(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	if _, err := ptraceotlp.NewGRPCClient(dial(t, r)).Export(t.Context(), one(func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) })); err != nil {
		t.Fatal(err)
	}
	if h := r.Health(); len(s.spans()) != 0 || !strings.Contains(h.Note, "1 spans have no trace ID") {
		t.Errorf("%d spans, health %+v", len(s.spans()), h)
	}
}

func TestTheRateIsOfWallTime(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := &meter{wall: func() time.Time { return now }}
	for range 5 {
		m.took(100)
		now = now.Add(time.Second)
	}
	if h := m.health(); h.Rate != 100 {
		t.Errorf("rate %v after five seconds of 100", h.Rate)
	}
	now = now.Add(time.Minute)
	if h := m.health(); h.Rate != 0 {
		t.Errorf("rate %v after a silent minute", h.Rate)
	}
}

func TestRecordedExamplesOfTheProtocolAreTakenIn(t *testing.T) {
	dir := os.Getenv("ROLLCALL_REAL_DATA")
	if dir == "" {
		t.Skip("ROLLCALL_REAL_DATA is not set; recorded examples are not tested")
	}
	s := &sink{}
	r := start(t, s)
	for file, path := range map[string]string{"trace.json": "/v1/traces", "logs.json": "/v1/logs"} {
		body, err := os.ReadFile(filepath.Join(dir, "otlp-proto-examples", file))
		if err != nil {
			t.Fatal(err)
		}
		if code, answer, _ := post(t, r, path, "application/json", "", body); code != 200 {
			t.Errorf("%s: %d %s", file, code, answer)
		}
	}
	spans := s.spans()
	if len(spans) != 1 || spans[0].TraceID.String() != "5b8efff798038103d269b633813fc60c" || spans[0].Name != "I'm a server span" || spans[0].Resource.Service != "my.service" {
		t.Errorf("%+v", spans)
	}
	if h := r.Health(); !strings.Contains(h.Note, "1 log records") {
		t.Errorf("health %+v", h)
	}
}

func FuzzConvert(f *testing.F) {
	seed, err := one(func(s ptrace.Span) { s.Attributes().PutStr("user.id", "x\x1b"); s.Events().AppendEmpty() }).MarshalProto()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, true)
	f.Add([]byte("{}"), false)
	red := redactor(f)
	f.Fuzz(func(t *testing.T, body []byte, proto bool) {
		req := ptraceotlp.NewExportRequest()
		unmarshal := req.UnmarshalJSON
		if proto {
			unmarshal = req.UnmarshalProto
		}
		if unmarshal(body) != nil {
			return
		}
		b, _ := traces(req.Traces(), red)
		for _, s := range b.Spans {
			if strings.ContainsAny(s.Name, "\x1b\n") || !utf8.ValidString(s.Name) {
				t.Fatalf("name %q", s.Name)
			}
			for _, a := range s.Attrs {
				if strings.Contains(a.Key+a.Value, "\x1b") || !utf8.ValidString(a.Key+a.Value) {
					t.Fatalf("attribute %q %q", a.Key, a.Value)
				}
			}
		}
	})
}
