package traces_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/traces"
)

// testClock is a clock that tests move.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *testClock { return &testClock{now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}
func (c *testClock) Wall() time.Time                      { return c.Now() }
func (c *testClock) ToWall(d time.Duration) time.Duration { return d }
func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

type env struct {
	*testing.T
	dir   string
	clock *testClock
	store *traces.Store
}

// in opens a store in a fresh folder under small bounds.
func in(t *testing.T, l traces.Limits, change ...func(*traces.Options)) *env {
	t.Helper()
	e := &env{T: t, dir: filepath.Join(t.TempDir(), "traces"), clock: newClock()}
	e.open(l, change...)
	return e
}

func (e *env) open(l traces.Limits, change ...func(*traces.Options)) {
	e.Helper()
	opts := traces.Options{Folder: folder(e), Clock: e.clock}
	for _, c := range change {
		c(&opts)
	}
	s, err := traces.OpenWith(e.dir, opts, l)
	if err != nil {
		e.Fatal(err)
	}
	e.store = s
	e.Cleanup(func() { _ = s.Close() })
}

func (e *env) close() {
	e.Helper()
	if err := e.store.Close(); err != nil {
		e.Fatal(err)
	}
}

func (e *env) put(b *sources.TraceBatch) {
	e.Helper()
	if err := e.store.Consume(e.Context(), b); err != nil {
		e.Fatal(err)
	}
}

func (e *env) trace(id string) *sources.RequestView {
	e.Helper()
	v, _, err := e.store.Trace(e.Context(), id)
	if err != nil {
		e.Fatal(err)
	}
	return v
}

func (e *env) rows(f sources.RequestFilter) []sources.Request {
	e.Helper()
	l, err := e.store.Requests(e.Context(), f)
	if err != nil {
		e.Fatal(err)
	}
	return l.Rows
}

func (e *env) files(glob string) []string {
	e.Helper()
	list, err := filepath.Glob(filepath.Join(e.dir, glob))
	if err != nil {
		e.Fatal(err)
	}
	return list
}

var day = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// spanOf builds span id of trace n, which starts n seconds into the day.
func spanOf(n int, id, parent byte, attrs ...string) sources.Span {
	at := day.Add(time.Duration(n) * time.Second).UnixNano()
	s := sources.Span{
		TraceID: traceID(n), SpanID: sources.SpanID{7: id}, Name: fmt.Sprintf("span %d", id), Kind: "internal",
		Start: at + int64(id)*1e6, End: at + 500e6, Resource: &sources.Resource{Service: "svc"},
	}
	if parent != 0 {
		s.Parent = sources.SpanID{7: parent}
	}
	for i := 0; i+1 < len(attrs); i += 2 {
		s.Attrs = append(s.Attrs, sources.Attr{Key: attrs[i], Value: attrs[i+1]})
	}
	return s
}

func rootOf(n int, attrs ...string) sources.Span {
	return spanOf(n, 1, 0, append([]string{"llmops.request.id", fmt.Sprintf("req-%d", n)}, attrs...)...)
}

func chatOf(n int, id byte, response string) sources.Span {
	return spanOf(n, id, 1, "gen_ai.operation.name", "chat", "gen_ai.response.id", response)
}

func batch(spans ...sources.Span) *sources.TraceBatch { return &sources.TraceBatch{Spans: spans} }

func evaluation(trace sources.TraceID, response, score string) *sources.TraceBatch {
	return &sources.TraceBatch{Events: []sources.TraceEvent{{
		TraceID: trace, ResponseID: response, Name: "gen_ai.evaluation.result", Time: 1,
		Attrs: sources.Attrs{{Key: "gen_ai.evaluation.name", Value: "helpful"}, {Key: "gen_ai.evaluation.score.value", Value: score}},
	}}}
}

func TestSpansOfOneTraceMayComeInAnyOrderAndTwice(t *testing.T) {
	e := in(t, traces.Limits{})
	child, root := chatOf(1, 2, "resp-1"), rootOf(1, "llmops.route", "/a")
	e.put(batch(child))
	if r := e.rows(sources.RequestFilter{}); len(r) != 1 || !slices.Contains(r[0].Flags, "no root") || r[0].ResponseID != "resp-1" {
		t.Fatalf("before the root: %+v", r)
	}
	e.put(batch(child, root, child))
	e.put(batch(root))
	r := e.rows(sources.RequestFilter{})
	if len(r) != 1 || r[0].SpanCount != 2 || slices.Contains(r[0].Flags, "no root") || r[0].ID != "req-1" || r[0].Route != "/a" {
		t.Fatalf("after the root: %+v", r)
	}
	if v := e.trace("req-1"); len(v.Spans) != 2 || v.Spans[0].SpanID != root.SpanID {
		t.Fatalf("spans: %+v", v.Spans)
	}
}

func TestASpanComesBackAsItWasStored(t *testing.T) {
	e := in(t, traces.Limits{})
	s := rootOf(1, "k", "v\nw", "empty", "")
	s.Error, s.Message, s.Kind = true, "it broke", "server"
	s.End = s.Start - 5 // a clock that ran back
	s.Events = []sources.SpanEvent{{Time: s.Start + 3, Name: "exception", Attrs: sources.Attrs{{Key: "exception.type", Value: "E"}}}}
	e.put(&sources.TraceBatch{Spans: []sources.Span{s}, Events: []sources.TraceEvent{{TraceID: s.TraceID, SpanID: s.SpanID, Name: "user_feedback", Time: 9, Attrs: sources.Attrs{{Key: "label", Value: "up"}}}}})
	v := e.trace(s.TraceID.String())
	got := v.Spans[0]
	if got.Resource == nil || got.Resource.Service != "svc" {
		t.Fatalf("resource %+v", got.Resource)
	}
	got.Resource = s.Resource
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", s) {
		t.Errorf("got  %+v\nwant %+v", got, s)
	}
	if len(v.Events) != 1 || v.Events[0].Name != "user_feedback" || v.Request.Feedback != "up" || v.Request.Latency.V != 0 {
		t.Errorf("events %+v, row %+v", v.Events, v.Request)
	}
}

func TestEvaluationsFindTheirRequest(t *testing.T) {
	tests := []struct {
		name string
		run  func(e *env)
	}{
		{"by trace ID", func(e *env) {
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
			e.put(evaluation(traceID(1), "", "0.75"))
		}},
		{"by response ID", func(e *env) {
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
			e.put(evaluation(sources.TraceID{}, "resp-1", "0.75"))
		}},
		{"by the response ID of a call that was not the last", func(e *env) {
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1"), chatOf(1, 3, "resp-2")))
			e.put(evaluation(sources.TraceID{}, "resp-1", "0.75"))
		}},
		{"in the same export call", func(e *env) {
			b := evaluation(sources.TraceID{}, "resp-1", "0.75")
			b.Spans = batch(rootOf(1), chatOf(1, 2, "resp-1")).Spans
			e.put(b)
		}},
		{"that came after them, by trace ID", func(e *env) {
			e.put(evaluation(traceID(1), "", "0.75"))
			if r := e.rows(sources.RequestFilter{}); len(r) != 0 || e.trace(traceID(1).String()) != nil {
				e.Fatalf("an evaluation alone made a row: %+v", r)
			}
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
		}},
		{"that came after them, by response ID", func(e *env) {
			e.put(evaluation(sources.TraceID{}, "resp-1", "0.75"))
			if h := e.store.Health(); !strings.Contains(h.Note, "1 events wait") {
				e.Errorf("health %+v", h)
			}
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
		}},
		{"that came after them, with a restart in between", func(e *env) {
			e.put(evaluation(sources.TraceID{}, "resp-1", "0.75"))
			e.close()
			e.open(traces.Limits{})
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
		}},
		{"in a partition that is long over", func(e *env) {
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
			for n := 2; n < 6; n++ {
				e.clock.add(2 * time.Hour)
				e.put(batch(rootOf(n)))
			}
			e.put(evaluation(sources.TraceID{}, "resp-1", "0.75"))
		}},
		{"that is no longer in memory", func(e *env) {
			e.put(batch(rootOf(1), chatOf(1, 2, "resp-1")))
			e.close()
			e.open(traces.Limits{})
			e.put(evaluation(sources.TraceID{}, "resp-1", "0.75"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := in(t, traces.Limits{})
			tt.run(e)
			v := e.trace("req-1")
			if v == nil || len(v.Request.Scores) != 1 || v.Request.Scores[0].Value.V != 0.75 {
				t.Fatalf("view %+v", v)
			}
			for _, r := range e.rows(sources.RequestFilter{ID: "req-1"}) {
				if len(r.Scores) != 1 {
					t.Errorf("the row has scores %+v", r.Scores)
				}
			}
		})
	}
}

func TestEventsWhoseResponseNeverComesAreBounded(t *testing.T) {
	e := in(t, traces.Limits{PendingMax: 3})
	for i := range 10 {
		e.put(evaluation(sources.TraceID{}, fmt.Sprint("nobody-", i), "1"))
	}
	if h := e.store.Health(); !strings.Contains(h.Note, "3 events wait") || !strings.Contains(h.Note, "7 events never found") {
		t.Errorf("health %+v", h)
	}
}

func TestALateSpanJoinsItsTraceInAnOlderPartition(t *testing.T) {
	e := in(t, traces.Limits{})
	e.clock.now = day
	e.put(batch(rootOf(1)))
	e.clock.add(2 * time.Hour)
	e.put(batch(rootOf(2)))
	e.put(batch(spanOf(1, 9, 1, "llmops.stage", "rerank")))
	rows := e.rows(sources.RequestFilter{})
	if len(rows) != 2 || rows[1].SpanCount != 2 || !rows[1].StageSeconds[sources.Rerank].OK {
		t.Fatalf("rows %+v", rows)
	}
	if n := len(e.files("p-*.db")); n != 2 {
		t.Errorf("%d partitions", n)
	}
}

func TestARootThatComesLongAfterItsChildrenIsShownWithThem(t *testing.T) {
	e := in(t, traces.Limits{})
	e.put(batch(chatOf(1, 2, "resp-1")))
	for n := 2; n < 8; n++ { // further back than late spans are joined
		e.clock.add(2 * time.Hour)
		e.put(batch(rootOf(n)))
	}
	e.put(batch(rootOf(1)))
	v := e.trace("req-1")
	if v == nil || len(v.Spans) != 2 || v.Request.SpanCount != 2 || v.Request.ResponseID != "resp-1" || v.Request.ID != "req-1" {
		t.Fatalf("view %+v", v)
	}
}

func TestRequestsOpenByAnyIDInEveryPartition(t *testing.T) {
	e := in(t, traces.Limits{PartTraces: 10, CacheSpans: 8})
	const n = 95
	for i := range n {
		e.put(batch(rootOf(i), chatOf(i, 2, fmt.Sprintf("resp-%d", i))))
		e.clock.add(time.Second)
	}
	check := func() {
		t.Helper()
		for i := range n {
			for _, id := range []string{fmt.Sprintf("req-%d", i), fmt.Sprintf("resp-%d", i), traceID(i).String(), strings.ToUpper(traceID(i).String())} {
				if v := e.trace(id); v == nil || v.Request.TraceID != traceID(i).String() || len(v.Spans) != 2 {
					t.Fatalf("%s opened %+v", id, v)
				}
			}
		}
		for _, id := range []string{"", "req-", "req-9999", traceID(9999).String(), "' OR 1=1 --", "\x00"} {
			if v := e.trace(id); v != nil {
				t.Errorf("%q opened %+v", id, v.Request)
			}
		}
	}
	if len(e.files("p-*.db")) < 9 {
		t.Fatalf("only %d partitions", len(e.files("p-*.db")))
	}
	check()
	e.close()
	e.open(traces.Limits{PartTraces: 10})
	check()
}

func TestTwoTracesUnderOneRequestIDShowTheNewestAndSaySo(t *testing.T) {
	e := in(t, traces.Limits{})
	e.put(batch(rootOf(1, "llmops.request.id", "same"), rootOf(2, "llmops.request.id", "same")))
	e.put(batch(spanOf(3, 1, 0, "llmops.request.id", "same"), spanOf(4, 1, 0, "llmops.request.id", "same")))
	v, facts, err := e.store.Trace(t.Context(), "same")
	if err != nil || v == nil || v.Request.TraceID != traceID(4).String() || len(facts.Warnings) != 1 || len(v.Spans) != 1 {
		t.Fatalf("%+v %+v %v", v, facts, err)
	}
	if facts.Fetched.IsZero() || facts.At != v.Request.Time {
		t.Errorf("facts %+v", facts)
	}
}

func TestRequestsAreFilteredAndCountedHonestly(t *testing.T) {
	e := in(t, traces.Limits{PartTraces: 7})
	for i := range 40 {
		attrs := []string{"llmops.route", fmt.Sprint("/r", i%2), "llmops.tenant", fmt.Sprint("t", i%3), "gen_ai.prompt.version", fmt.Sprint("v", i%4), "llmops.region", "eu", "user.id", fmt.Sprint("user:", i%5)}
		if i%10 == 0 {
			attrs = append(attrs, "llmops.outcome", "error", "error.type", "timeout")
		}
		if i%8 == 0 {
			attrs = append(attrs, "llmops.schema.result", "fail")
		}
		e.put(batch(rootOf(i, attrs...), spanOf(i, 2, 1, "gen_ai.operation.name", "chat", "gen_ai.response.model", "m-1", "llmops.index.version", fmt.Sprint("i", i%2))))
	}
	at := func(sec int) time.Time { return day.Add(time.Duration(sec) * time.Second) }
	tests := []struct {
		name        string
		f           sources.RequestFilter
		rows, total int
	}{
		{"everything", sources.RequestFilter{}, 40, 40},
		{"a limit", sources.RequestFilter{Limit: 5}, 5, 40},
		{"bad", sources.RequestFilter{Bad: true}, 8, 8},
		{"errors", sources.RequestFilter{Outcome: "error"}, 4, 4},
		{"error type", sources.RequestFilter{ErrorType: "timeout", Limit: 1}, 1, 4},
		{"schema", sources.RequestFilter{Schema: "fail"}, 5, 5},
		{"route and tenant", sources.RequestFilter{Route: "/r1", Tenant: "t0"}, 7, 7},
		{"user", sources.RequestFilter{User: "user:3"}, 8, 8},
		{"region", sources.RequestFilter{Region: "us"}, 0, 0},
		{"prompt and index", sources.RequestFilter{Versions: map[sources.Component]string{sources.Prompt: "v1", sources.Index: "i1"}}, 10, 10},
		{"served model", sources.RequestFilter{Served: "m-1", Limit: 3}, 3, 40},
		{"another service", sources.RequestFilter{Service: "other"}, 0, 0},
		{"a time range, its end left out", sources.RequestFilter{Since: at(10), Until: at(20)}, 10, 10},
		{"an ID", sources.RequestFilter{ID: "req-17"}, 1, 1},
		{"an ID outside the range", sources.RequestFilter{ID: "req-17", Since: at(20)}, 0, 0},
		{"a trace ID", sources.RequestFilter{ID: traceID(17).String()}, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := e.store.Requests(t.Context(), tt.f)
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Rows) != tt.rows || l.Facts.Total != tt.total || l.Facts.Shown != tt.rows {
				t.Errorf("%d rows of %d, facts %+v", len(l.Rows), l.Facts.Total, l.Facts)
			}
			if !slices.IsSortedFunc(l.Rows, func(a, b sources.Request) int { return b.Time.Compare(a.Time) }) {
				t.Error("not newest first")
			}
		})
	}
	if _, err := e.store.Requests(t.Context(), sources.RequestFilter{Versions: map[sources.Component]string{"disk": "x"}}); err == nil {
		t.Error("an unknown component was taken")
	}
	if row := e.rows(sources.RequestFilter{ID: "req-17"})[0]; row.From["route"] != "llmops.route" {
		t.Errorf("origins %v", row.From)
	}
}

func TestAlikeFindsRequestsThatFailedTheSameWay(t *testing.T) {
	e := in(t, traces.Limits{})
	fail := func(n int, attrs ...string) { e.put(batch(rootOf(n, attrs...))) }
	fail(1, "llmops.schema.result", "fail", "gen_ai.prompt.version", "v14")
	fail(2, "llmops.schema.result", "fail", "gen_ai.prompt.version", "v14")
	fail(3, "llmops.schema.result", "fail", "gen_ai.prompt.version", "v13")
	fail(4, "llmops.outcome", "error", "error.type", "timeout")
	fail(5, "llmops.outcome", "error", "error.type", "timeout", "llmops.schema.result", "fail", "gen_ai.prompt.version", "v14")
	fail(6)
	for id, want := range map[string][]string{"req-1": {"req-5", "req-2"}, "req-4": {"req-5"}, "req-3": nil, "req-6": nil} {
		v := e.trace(id)
		l, err := e.store.Alike(t.Context(), &v.Request, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range l.Rows {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("like %s: %v, want %v", id, got, want)
		}
	}
}

// loop is an agent that went round and round: n spans in calls of size, of which
// every fourth is a call of the model with an answer of its own.
func loop(n, size int, put func(*sources.TraceBatch)) {
	for from := 0; from < n; from += size {
		b := &sources.TraceBatch{}
		for i := from; i < min(from+size, n); i++ {
			s := spanOf(1, 0, 1, "gen_ai.operation.name", "execute_tool", "gen_ai.tool.name", "search")
			if i%4 == 0 {
				s = spanOf(1, 0, 1, "gen_ai.operation.name", "chat", "gen_ai.response.id", fmt.Sprintf("resp-%06d", i),
					"gen_ai.usage.input_tokens", "10", "gen_ai.usage.output_tokens", "2", "gen_ai.cost.total_cost", "0.5")
			}
			s.SpanID = sources.SpanID{4: 1, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i)}
			s.Start += int64(i)
			b.Spans = append(b.Spans, s)
		}
		put(b)
	}
}

func TestATraceOfAHundredThousandSpansKeepsThemAllAndItsRow(t *testing.T) {
	e := in(t, traces.Limits{Rest: 5 * time.Millisecond})
	const n = 100_000
	loop(n, 500, e.put)
	e.put(batch(rootOf(1, "llmops.outcome", "error", "error.type", "agent_loop")))
	rows := e.rows(sources.RequestFilter{})
	if len(rows) != 1 || rows[0].ErrorType != "agent_loop" || rows[0].SpanCount != n+1 {
		t.Fatalf("rows %+v", rows)
	}
	if r := rows[0]; r.LLMCalls != n/4 || r.TokensIn.V != 10*n/4 || r.TokensOut.V != 2*n/4 || r.CostUSD.V != 0.5*n/4 {
		t.Errorf("%d calls, %v and %v tokens, %v USD", r.LLMCalls, r.TokensIn, r.TokensOut, r.CostUSD)
	}
	if r := rows[0]; !slices.Contains(r.Flags, sources.FlagLarge) || len(r.ToolCalls) > 64 {
		t.Errorf("flags %v and %d tool calls", r.Flags, len(r.ToolCalls))
	}
	v, facts, err := e.store.Trace(t.Context(), "req-1")
	if err != nil || len(v.Spans) != n || facts.Total != n+1 || facts.Partial == "" {
		t.Errorf("%d of %d spans, %q: %v", len(v.Spans), facts.Total, facts.Partial, err)
	}
	if v := e.trace("resp-000000"); v == nil || v.Request.ID != "req-1" {
		t.Error("a response of it does not open the request")
	}
}

func TestTheRootsBillStandsInALargeTraceToo(t *testing.T) {
	e := in(t, traces.Limits{Rest: 5 * time.Millisecond})
	e.put(batch(rootOf(1, "llmops.cost.usd", "7")))
	loop(24_000, 4000, e.put)
	eventually(t, "the row knows all spans", func() bool { return e.rows(sources.RequestFilter{})[0].SpanCount == 24_001 })
	if r := e.rows(sources.RequestFilter{})[0]; r.CostUSD.V != 7 || r.LLMCalls != 6000 {
		t.Errorf("%v USD, %d calls", r.CostUSD, r.LLMCalls)
	}
	e.close()
	e.open(traces.Limits{Rest: 5 * time.Millisecond})
	e.put(batch(func() sources.Span { s := chatOf(1, 9, "resp-late"); s.SpanID[0] = 9; return s }()))
	eventually(t, "the row counts on after a restart", func() bool { return e.rows(sources.RequestFilter{})[0].LLMCalls == 6001 })
	if r := e.rows(sources.RequestFilter{})[0]; r.CostUSD.V != 7 || r.SpanCount != 24_002 {
		t.Errorf("after a restart: %v USD, %d spans", r.CostUSD, r.SpanCount)
	}
}

func TestARowThatLagsIsBroughtUpToDateOnceItsTraceRests(t *testing.T) {
	e := in(t, traces.Limits{Rest: time.Millisecond})
	b := batch(rootOf(1))
	for i := range 300 {
		s := spanOf(1, 0, 1)
		s.SpanID = sources.SpanID{3: 9, 6: byte(i >> 8), 7: byte(i)}
		b.Spans = append(b.Spans, s)
	}
	e.put(b)
	e.put(batch(chatOf(1, 7, "resp-late"))) // a twentieth more is not worth a fold at once
	eventually(t, "the row knows its response", func() bool { return e.rows(sources.RequestFilter{})[0].ResponseID == "resp-late" })
	if e.trace("resp-late") == nil {
		t.Error("the response does not open the request")
	}
}

func TestOneProcessReceivesAndOthersRead(t *testing.T) {
	e := in(t, traces.Limits{})
	if ok, pid := e.store.Receiving(); !ok || pid != os.Getpid() {
		t.Fatalf("receiving %v by %d", ok, pid)
	}
	e.put(batch(rootOf(1)))
	other, err := traces.OpenWith(e.dir, traces.Options{Folder: folder(t), Clock: e.clock}, traces.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if ok, pid := other.Receiving(); ok || pid != os.Getpid() {
		t.Errorf("the second receives %v, pid %d", ok, pid)
	}
	if err := other.Consume(t.Context(), batch(rootOf(9))); err == nil {
		t.Error("the second took spans")
	}
	for n := 1; n <= 3; n++ { // it sees what the first commits, at once, whatever the first does
		if v, _, err := other.Trace(t.Context(), fmt.Sprintf("req-%d", n)); err != nil || v == nil {
			t.Fatalf("req-%d: %v %v", n, v, err)
		}
		e.put(batch(rootOf(n + 1)))
	}
	if h := other.Health(); !strings.Contains(h.Note, fmt.Sprintf("received by pid %d", os.Getpid())) || h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
	e.close()
	if ok, err := other.Receive(); !ok || err != nil {
		t.Fatalf("taking over: %v %v", ok, err)
	}
	if err := other.Consume(t.Context(), batch(rootOf(9))); err != nil {
		t.Fatal(err)
	}
	if l, err := other.Requests(t.Context(), sources.RequestFilter{}); err != nil || len(l.Rows) != 5 {
		t.Errorf("%d rows, %v", len(l.Rows), err)
	}
}

func TestFilesAreOnlyForTheirOwner(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	e := in(t, traces.Limits{})
	e.put(batch(rootOf(1)))
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPurgeErasesByRequestUserAndTenant(t *testing.T) {
	e := in(t, traces.Limits{PartTraces: 4})
	secret := "WORDS-THAT-MUST-GO"
	for i := range 12 {
		e.put(batch(rootOf(i, "user.id", fmt.Sprint("user:", i%3), "llmops.tenant", fmt.Sprint("t", i%4)), chatOf(i, 2, fmt.Sprint("resp-", i))))
	}
	e.put(batch(rootOf(50, "llmops.route", secret)))
	for _, tt := range []struct {
		erase traces.Erase
		n     int
	}{{traces.Erase{User: "user:1"}, 4}, {traces.Erase{Tenant: "t0"}, 2}, {traces.Erase{ID: "resp-2"}, 1}, {traces.Erase{ID: "req-50"}, 1}, {traces.Erase{ID: "req-50"}, 0}} {
		if d, err := e.store.Purge(t.Context(), tt.erase); err != nil || d.Requests != tt.n {
			t.Errorf("%+v erased %+v, %v", tt.erase, d, err)
		}
	}
	if rows := e.rows(sources.RequestFilter{}); len(rows) != 5 {
		t.Errorf("%d rows are left", len(rows))
	}
	if e.trace("req-1") != nil || e.trace("resp-2") != nil || e.trace("req-3") == nil {
		t.Error("the wrong requests are gone")
	}
	if _, err := e.store.Purge(t.Context(), traces.Erase{}); err == nil {
		t.Error("purging nothing in particular was taken")
	}
	e.put(batch(rootOf(60)))
	e.close()
	for _, f := range e.files("*") {
		if b, err := os.ReadFile(f); err != nil || strings.Contains(string(b), secret) {
			t.Errorf("%s still holds what was erased (%v)", f, err)
		}
	}
}

func TestManyReadersAndSendersAtOnce(t *testing.T) {
	e := in(t, traces.Limits{PartTraces: 50, CacheSpans: 20, Rest: time.Millisecond})
	var wg sync.WaitGroup
	const senders, each = 4, 50
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				n := s*each + i
				if err := e.store.Consume(context.Background(), batch(chatOf(n, 2, fmt.Sprint("resp-", n)))); err != nil {
					t.Error(err)
				}
				if err := e.store.Consume(context.Background(), batch(rootOf(n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := e.store.Requests(context.Background(), sources.RequestFilter{Limit: 10}); err != nil {
					t.Error(err)
				}
				if _, _, err := e.store.Trace(context.Background(), fmt.Sprint("req-", i%100)); err != nil {
					t.Error(err)
				}
				_ = e.store.Health()
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	if l, err := e.store.Requests(t.Context(), sources.RequestFilter{Limit: 1000}); err != nil || len(l.Rows) != senders*each {
		t.Fatalf("%d rows, %v", len(l.Rows), err)
	}
	for n := range senders * each {
		if v := e.trace(fmt.Sprint("req-", n)); v == nil || len(v.Spans) != 2 {
			t.Fatalf("req-%d: %+v", n, v)
		}
	}
}

func TestACancelledReadStopsWithItsReason(t *testing.T) {
	e := in(t, traces.Limits{})
	e.put(batch(rootOf(1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.store.Requests(ctx, sources.RequestFilter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if h := e.store.Health(); strings.Contains(h.Note, "left out") {
		t.Errorf("a cancelled read blamed the partition: %+v", h)
	}
}

func TestCallsThatMeetTheEndAreAnsweredAndWhatWasAcknowledgedIsThere(t *testing.T) {
	e := in(t, traces.Limits{})
	acknowledged := make(chan int, 4000)
	var wg sync.WaitGroup
	for s := range 4 {
		wg.Go(func() {
			for n := s; n < 4000; n += 4 {
				if e.store.Consume(context.Background(), batch(rootOf(n))) != nil {
					return
				}
				acknowledged <- n
			}
		})
	}
	first := <-acknowledged
	e.close()
	wg.Wait() // nobody waits for an answer that never comes
	close(acknowledged)
	e.open(traces.Limits{})
	for n := range acknowledged {
		if e.trace(fmt.Sprint("req-", n)) == nil {
			t.Fatalf("req-%d was acknowledged and is gone", n)
		}
	}
	if e.trace(fmt.Sprint("req-", first)) == nil {
		t.Fatal("the first is gone")
	}
}
