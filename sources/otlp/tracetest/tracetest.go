// Package tracetest says in tests what the console needs of a trace backend. The same
// suite runs against servers of the tests' own and against a real one: it sends spans
// by OTLP, and reads them through the console's own client.
package tracetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// Backend is a client of a trace backend.
type Backend interface {
	Check(ctx context.Context) error
	Health() sources.Health
	Trace(ctx context.Context, id sources.TraceID) ([]sources.Span, sources.Facts, error)
	Find(ctx context.Context, q sources.TraceQuery) (sources.TraceList, error)
}

// Server is a trace backend under test.
type Server struct {
	Backend Backend
	Name    string // as its facts and errors say it
	OTLP    string // where it takes OTLP over HTTP: http://127.0.0.1:4318
}

// Redactor is what every client in these tests makes text harmless with.
func Redactor(t testing.TB) *redact.Redactor {
	t.Helper()
	r, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Run runs the suite. Everything that it sends belongs to services with names of their own.
func Run(t *testing.T, s Server) {
	var b [6]byte
	_, _ = rand.Read(b[:])
	q := &suite{Server: s, run: hex.EncodeToString(b[:]), at: time.Now().Add(-10 * time.Minute).Truncate(time.Millisecond)}
	q.send(t)

	t.Run("it answers", q.answers)
	t.Run("a trace is read whole by its ID", q.byID)
	t.Run("spans of one trace that come in two exports are one trace", q.twoExports)
	t.Run("events and links of a span do no harm, and events come along", q.events)
	t.Run("hostile text is harmless, and people are not named", q.hostile)
	t.Run("a trace of thousands of spans is whole", q.large)
	t.Run("a trace that is not there is no fault", q.unknown)
	t.Run("times come as they were sent, whatever the clocks said", q.skewed)
	t.Run("a trace is found by any of the attributes asked for", q.byAttribute)
	t.Run("a trace is found without its service being named", q.withoutService)
	t.Run("a value that is no value of a span finds nothing", q.byNothing)
	t.Run("traces of a service are those of no other", q.byService)
	t.Run("only traces of the time asked for", q.byTime)
	t.Run("only failed traces", q.failed)
	t.Run("no more traces than asked for, and it says that there may be more", q.limited)
	t.Run("a search that is given up leaves the server in good health", q.givenUp)
}

type suite struct {
	Server
	run string    // what the names of this run end with
	at  time.Time // when its traces begin

	whole, late, long, busy sources.TraceID
}

func (q *suite) service(name string) string { return name + "-" + q.run }
func (q *suite) value(name string) string   { return "r-" + name + "-" + q.run }

// trace is a new trace with an empty list of spans.
func (q *suite) trace(service string) (ptrace.Traces, ptrace.SpanSlice, sources.TraceID) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", q.service(service))
	rs.Resource().Attributes().PutStr("deployment.environment.name", "prod")
	var id sources.TraceID
	_, _ = rand.Read(id[:])
	return td, rs.ScopeSpans().AppendEmpty().Spans(), id
}

// add appends a span of a second, n of which have a parent: the first.
func add(spans ptrace.SpanSlice, id sources.TraceID, name string, at time.Time) ptrace.Span {
	n := spans.Len() + 1
	s := spans.AppendEmpty()
	s.SetTraceID(pcommon.TraceID(id))
	s.SetSpanID(spanID(n))
	if n > 1 {
		s.SetParentSpanID(spanID(1))
	}
	s.SetName(name)
	s.SetKind(ptrace.SpanKindInternal)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Second)))
	return s
}

func spanID(n int) pcommon.SpanID {
	return pcommon.SpanID{0: 0xfb, 5: byte(n >> 16), 6: byte(n >> 8), 7: byte(n)}
}

const (
	manySpans = 3000
	manyRuns  = 12
)

// send writes what the tests ask for, and waits until it can be read.
func (q *suite) send(t *testing.T) {
	td, spans, id := q.trace("whole")
	root := add(spans, id, "POST /chat", q.at)
	root.SetKind(ptrace.SpanKindServer)
	root.Attributes().PutStr("llmops.request.id", q.value("whole"))
	root.Attributes().PutInt("gen_ai.usage.input_tokens", 1234)
	root.Attributes().PutDouble("gen_ai.request.temperature", 0.5)
	root.Attributes().PutBool("llmops.cached", true)
	reasons := root.Attributes().PutEmptySlice("gen_ai.response.finish_reasons")
	reasons.AppendEmpty().SetStr("stop")
	reasons.AppendEmpty().SetStr("length")
	call := add(spans, id, "chat grün/7b", q.at.Add(50*time.Millisecond))
	call.SetKind(ptrace.SpanKindClient)
	call.Status().SetCode(ptrace.StatusCodeError)
	call.Status().SetMessage("rate limited")
	call.Attributes().PutStr("litellm.call_id", q.value("call"))
	e := call.Events().AppendEmpty()
	e.SetName("exception")
	e.SetTimestamp(pcommon.NewTimestampFromTime(q.at.Add(70 * time.Millisecond)))
	e.Attributes().PutStr("exception.type", "RateLimitError")
	e.Attributes().PutStr("exception.message", "ask jane.doe@example.com \x1b[2J")
	link := call.Links().AppendEmpty()
	link.SetTraceID(pcommon.TraceID{0: 1, 15: 9})
	link.SetSpanID(pcommon.SpanID{7: 9})
	link.TraceState().FromRaw("a=b")
	q.whole = id
	q.export(t, td)

	td, spans, id = q.trace("late")
	add(spans, id, "begin", q.at).Attributes().PutStr("llmops.request.id", q.value("late"))
	q.late = id
	q.export(t, td)
	td, spans, _ = q.trace("late")
	add(spans, id, "begin", q.at)
	add(spans, id, "end", q.at.Add(-5*time.Second)) // by a clock that is off
	spans.RemoveIf(func(s ptrace.Span) bool { return s.Name() == "begin" })
	q.export(t, td)

	td, spans, id = q.trace("large")
	for i := range manySpans {
		add(spans, id, "step", q.at.Add(time.Duration(i)*time.Millisecond))
	}
	q.long = id
	q.export(t, td)

	td, spans, id = q.trace("hostile")
	s := add(spans, id, "a\x1b]0;owned\x07\u202eb\nc", q.at)
	s.Attributes().PutStr("llmops.request.id", q.value("hostile"))
	s.Attributes().PutStr("gen_ai.input.messages", "\x1b[2J\x9b31m my card is 4111 1111 1111 1111, mail jane.doe@example.com")
	s.Attributes().PutStr("long", strings.Repeat("lorem ipsum ", 20_000))
	s.Attributes().PutStr("\x1b[31mkey", "v")
	s.Status().SetCode(ptrace.StatusCodeError)
	s.Status().SetMessage("\x1b[8mhidden\x1b[0m sk-proj-" + strings.Repeat("Ab3dEf9h", 6))
	q.export(t, td)
	q.busy = id

	for i := range manyRuns {
		td, spans, id := q.trace("many")
		s := add(spans, id, "run", q.at.Add(time.Duration(i)*time.Second))
		if i%4 == 1 {
			add(spans, id, "failed", q.at.Add(time.Duration(i)*time.Second)).Status().SetCode(ptrace.StatusCodeError)
		}
		s.Status().SetCode(ptrace.StatusCodeOk)
		q.export(t, td)
	}
	for _, id := range []sources.TraceID{q.whole, q.late, q.long, q.busy} {
		Until(t, "the traces to arrive", func() bool {
			spans, _, err := q.Backend.Trace(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return len(spans) == map[sources.TraceID]int{q.whole: 2, q.late: 2, q.long: manySpans, q.busy: 1}[id]
		})
	}
	Until(t, "the last of the traces to be found", func() bool {
		list, err := q.Backend.Find(t.Context(), q.query("many", "", 50))
		return err == nil && len(list.Traces) == manyRuns
	})
}

// query is a search in the time of this run, by fields with a value or without.
func (q *suite) query(service, value string, limit int, fields ...string) sources.TraceQuery {
	if service != "" {
		service = q.service(service)
	}
	return sources.TraceQuery{Service: service, Fields: fields, Value: value, Since: q.at.Add(-time.Minute), Until: q.at.Add(time.Minute), Limit: limit}
}

func (q *suite) find(t *testing.T, ask sources.TraceQuery) sources.TraceList {
	t.Helper()
	list, err := q.Backend.Find(t.Context(), ask)
	if err != nil {
		t.Fatalf("%+v: %v", ask, err)
	}
	if list.Facts.Source != q.Name || list.Facts.Shown != len(list.Traces) {
		t.Errorf("%d traces, facts %+v", len(list.Traces), list.Facts)
	}
	return list
}

func (q *suite) answers(t *testing.T) {
	if err := q.Backend.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := q.Backend.Health(); h.State != sources.SourceUp || h.LastGood.IsZero() {
		t.Errorf("health %+v", h)
	}
}

// read returns a trace with its spans by name.
func (q *suite) read(t *testing.T, id sources.TraceID) ([]sources.Span, map[string]sources.Span, sources.Facts) {
	t.Helper()
	spans, facts, err := q.Backend.Trace(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]sources.Span{}
	for _, s := range spans {
		if s.TraceID != id {
			t.Errorf("a span of trace %s in %s", s.TraceID, id)
		}
		byName[s.Name] = s
	}
	return spans, byName, facts
}

func (q *suite) byID(t *testing.T) {
	spans, byName, facts := q.read(t, q.whole)
	root, call := byName["POST /chat"], byName["chat grün/7b"]
	if len(spans) != 2 || facts.Source != q.Name || facts.Total != 2 || facts.Shown != 2 || facts.Partial != "" || facts.At.IsZero() || facts.Fetched.IsZero() {
		t.Fatalf("%d spans, %+v", len(spans), facts)
	}
	if root.SpanID != sources.SpanID(spanID(1)) || !root.Parent.IsZero() || call.SpanID != sources.SpanID(spanID(2)) || call.Parent != root.SpanID {
		t.Errorf("who calls whom: %+v, %+v", root, call)
	}
	if root.Kind != "server" || call.Kind != "client" || root.Error || !call.Error || call.Message != "rate limited" {
		t.Errorf("kinds and outcomes: %+v, %+v", root, call)
	}
	if root.Start != q.at.UnixNano() || root.Duration() != time.Second || call.Start != q.at.Add(50*time.Millisecond).UnixNano() {
		t.Errorf("times: %+v, %+v", root, call)
	}
	if env, _ := root.Resource.Attrs.Get("deployment.environment.name"); root.Resource.Service != q.service("whole") || env != "prod" {
		t.Errorf("resource %+v", root.Resource)
	}
	for key, want := range map[string]string{
		"llmops.request.id": q.value("whole"), "gen_ai.usage.input_tokens": "1234", "gen_ai.request.temperature": "0.5",
		"llmops.cached": "true", "gen_ai.response.finish_reasons": `["stop","length"]`,
	} {
		if got, _ := root.Attrs.Get(key); got != want {
			t.Errorf("%s came as %q, want %q", key, got, want)
		}
	}
}

func (q *suite) twoExports(t *testing.T) {
	spans, byName, _ := q.read(t, q.late)
	if len(spans) != 2 || byName["end"].Parent != byName["begin"].SpanID {
		t.Errorf("spans %+v", spans)
	}
}

func (q *suite) events(t *testing.T) {
	_, byName, _ := q.read(t, q.whole)
	call := byName["chat grün/7b"]
	if len(call.Events) != 1 || call.Events[0].Name != "exception" || call.Events[0].Time != q.at.Add(70*time.Millisecond).UnixNano() {
		t.Fatalf("events %+v", call.Events)
	}
	kind, _ := call.Events[0].Attrs.Get("exception.type")
	if text, _ := call.Events[0].Attrs.Get("exception.message"); kind != "RateLimitError" || strings.Contains(text, "jane.doe") || strings.Contains(text, "\x1b") {
		t.Errorf("event %+v", call.Events[0])
	}
}

func (q *suite) hostile(t *testing.T) {
	spans, _, _ := q.read(t, q.busy)
	if len(spans) != 1 {
		t.Fatalf("spans %+v", spans)
	}
	s := spans[0]
	all := []string{s.Name, s.Message}
	for _, a := range s.Attrs {
		all = append(all, a.Key, a.Value)
	}
	for _, text := range all {
		if strings.ContainsAny(text, "\x1b\x07\x9b\u202e") || strings.Contains(text, "4111 1111") || strings.Contains(text, "jane.doe") || strings.Contains(text, "sk-proj") {
			t.Errorf("not harmless: %.200q", text)
		}
	}
	if strings.Contains(s.Name, "\n") || !strings.Contains(s.Name, "owned") || !strings.Contains(s.Message, "hidden") {
		t.Errorf("%q: %q", s.Name, s.Message)
	}
	if long, _ := s.Attrs.Get("long"); len(long) > 100_000 || !strings.HasPrefix(long, "lorem") {
		t.Errorf("a long attribute came with %d bytes", len(long))
	}
}

func (q *suite) large(t *testing.T) {
	spans, facts, err := q.Backend.Trace(t.Context(), q.long)
	if err != nil || len(spans) != manySpans || facts.Total != manySpans || facts.Partial != "" {
		t.Errorf("%d spans, %+v: %v", len(spans), facts, err)
	}
	seen := map[sources.SpanID]bool{}
	for i := range spans {
		seen[spans[i].SpanID] = true
	}
	if len(seen) != manySpans {
		t.Errorf("%d different spans", len(seen))
	}
}

func (q *suite) unknown(t *testing.T) {
	spans, facts, err := q.Backend.Trace(t.Context(), sources.TraceID{0: 0xee, 15: 1})
	if err != nil || len(spans) != 0 || facts.Source != q.Name {
		t.Errorf("%d spans, %+v: %v", len(spans), facts, err)
	}
	if h := q.Backend.Health(); h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
}

func (q *suite) skewed(t *testing.T) {
	_, byName, _ := q.read(t, q.late)
	end := byName["end"]
	if end.Start != q.at.Add(-5*time.Second).UnixNano() {
		t.Errorf("a span of %s came as of %s", q.at.Add(-5*time.Second), time.Unix(0, end.Start))
	}
	if len(end.Attrs) != 0 {
		t.Errorf("it came with what was not sent: %+v", end.Attrs)
	}
}

func (q *suite) byAttribute(t *testing.T) {
	fields := []string{"llmops.request.id", "litellm.call_id", "x-request-id", "gen_ai.response.id"}
	for value, want := range map[string]sources.TraceID{q.value("whole"): q.whole, q.value("call"): q.whole} {
		list := q.find(t, q.query("whole", value, 3, fields...))
		if len(list.Traces) != 1 || list.Traces[0][0].TraceID != want || len(list.Traces[0]) != 2 {
			t.Errorf("%s finds %+v", value, list)
		}
	}
}

func (q *suite) withoutService(t *testing.T) {
	list := q.find(t, q.query("", q.value("call"), 3, "llmops.request.id", "litellm.call_id"))
	if len(list.Traces) != 1 || list.Traces[0][0].TraceID != q.whole {
		t.Errorf("found %+v", list)
	}
}

func (q *suite) byNothing(t *testing.T) {
	for _, value := range []string{"nowhere", `x" || true || "`, `{"a":"b"}`, "r-\x1b[31m\n", "%", strings.Repeat("long ", 100)} {
		for _, service := range []string{"whole", ""} {
			if list := q.find(t, q.query(service, value, 3, "llmops.request.id", "litellm.call_id")); len(list.Traces) != 0 {
				t.Errorf("%.40q finds %d traces", value, len(list.Traces))
			}
		}
	}
	// What one service says is not found in another.
	if list := q.find(t, q.query("many", q.value("whole"), 3, "llmops.request.id")); len(list.Traces) != 0 {
		t.Errorf("found in a service that did not say it: %+v", list)
	}
	if h := q.Backend.Health(); h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
}

func (q *suite) byService(t *testing.T) {
	list := q.find(t, q.query("many", "", 50))
	if len(list.Traces) != manyRuns {
		t.Fatalf("%d traces, want %d", len(list.Traces), manyRuns)
	}
	var began []int64
	for _, trace := range list.Traces {
		began = append(began, trace[0].Start)
		for _, s := range trace {
			if s.Resource.Service != q.service("many") {
				t.Errorf("a trace of %s", s.Resource.Service)
			}
		}
	}
	if !slices.IsSortedFunc(began, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("not the newest first: %v", began)
	}
	if list := q.find(t, q.query("nobody", "", 50)); len(list.Traces) != 0 {
		t.Errorf("a service that does not exist has %d traces", len(list.Traces))
	}
}

func (q *suite) byTime(t *testing.T) {
	ask := q.query("many", "", 50)
	ask.Since, ask.Until = q.at.Add(-time.Hour), q.at.Add(-10*time.Minute)
	if list := q.find(t, ask); len(list.Traces) != 0 {
		t.Errorf("%d traces of a time before all of them", len(list.Traces))
	}
	ask.Fields, ask.Value = []string{"llmops.request.id"}, q.value("whole")
	if list := q.find(t, ask); len(list.Traces) != 0 {
		t.Errorf("an attribute is found outside of the time asked for: %d traces", len(list.Traces))
	}
}

func (q *suite) failed(t *testing.T) {
	ask := q.query("many", "", 50)
	ask.Failed = true
	list := q.find(t, ask)
	if want := manyRuns / 4; len(list.Traces) != want {
		t.Errorf("%d failed traces, want %d; %+v", len(list.Traces), want, list.Facts)
	}
	for _, trace := range list.Traces {
		if !slices.ContainsFunc(trace, func(s sources.Span) bool { return s.Error }) {
			t.Errorf("a trace without a failure: %+v", trace)
		}
	}
}

func (q *suite) limited(t *testing.T) {
	list := q.find(t, q.query("many", "", 4))
	if len(list.Traces) != 4 || list.Facts.Total != -1 {
		t.Errorf("%d traces, %+v", len(list.Traces), list.Facts)
	}
}

func (q *suite) givenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Backend.Find(ctx, q.query("many", "", 4)); err == nil {
		t.Error("a search that was given up answers")
	}
	if h := q.Backend.Health(); h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
}

// Until waits for what a server does in its own time.
func Until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
