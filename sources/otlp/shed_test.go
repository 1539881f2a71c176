package otlp

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rollcall/sources"
)

// handClock is a clock that the test moves.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time                       { return c.Wall() }
func (c *handClock) ToWall(d time.Duration) time.Duration { return d }
func (c *handClock) Wall() time.Time                      { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *handClock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func traceNumber(rnd *rand.Rand, n uint64) (id pcommon.TraceID) {
	binary.BigEndian.PutUint64(id[:], rnd.Uint64())
	binary.BigEndian.PutUint64(id[8:], n+1)
	return id
}

// partOf is an export call with one span of each of several traces.
func partOf(span byte, ids ...pcommon.TraceID) ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for _, id := range ids {
		s := spans.AppendEmpty()
		s.SetTraceID(id)
		s.SetSpanID(pcommon.SpanID{7: span})
		s.SetName("part")
	}
	return ptraceotlp.NewExportRequestFromTraces(td)
}

func TestASmallerShareIsPartOfALargerOne(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const n = 40_000
	var kept [maxShed + 1]int
	for i := range uint64(n) {
		id := traceNumber(rnd, i)
		for s := range share(maxShed + 1) {
			if s.keeps(id) {
				kept[s]++
				if s > 0 && !(s - 1).keeps(id) {
					t.Fatalf("%s is kept at share %d and not at %d", id, s, s-1)
				}
			}
		}
	}
	for s, got := range kept {
		if want := n >> s; got < want*8/10-20 || got > want*12/10+20 {
			t.Errorf("share %d keeps %d of %d", s, got, n)
		}
	}
}

func TestUnderOverloadTracesAreKeptWholeOrNotAtAll(t *testing.T) {
	clock := &handClock{now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)}
	entered, release := make(chan struct{}), make(chan struct{})
	blocking := true
	s := &sink{do: func(context.Context) error {
		if blocking {
			entered <- struct{}{}
			<-release
		}
		return nil
	}}
	r := start(t, s, func(_ *Config, d *Deps) { d.MaxCalls, d.Clock = 1, clock })
	client := ptraceotlp.NewGRPCClient(dial(t, r))
	first := make(chan error, 1)
	go func() {
		_, err := client.Export(t.Context(), one(nil))
		first <- err
	}()
	<-entered
	rnd := rand.New(rand.NewPCG(3, 4))
	ids := make([]pcommon.TraceID, 400)
	for i := range ids {
		ids[i] = traceNumber(rnd, uint64(i))
	}
	for range 3 { // refusals for more than two seconds: one trace in four is kept
		if _, err := client.Export(t.Context(), partOf(9, ids...)); status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("%v", err)
		}
		clock.pass(shedAfter)
	}
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	blocking = false

	send := func(span byte, ids ...pcommon.TraceID) error {
		_, err := client.Export(t.Context(), partOf(span, ids...))
		return err
	}
	for i := 0; i < len(ids); i += 40 { // the parts of a trace come in calls of their own, in company
		for span := byte(1); span <= 3; span++ {
			if err := send(span, ids[i:i+40]...); err != nil {
				t.Fatal(err)
			}
		}
	}
	parts := map[sources.TraceID]int{}
	for _, sp := range s.spans() {
		if sp.Name == "part" {
			parts[sp.TraceID]++
		}
	}
	for id, n := range parts {
		if n != 3 {
			t.Errorf("%s has %d of 3 spans", id, n)
		}
	}
	if len(parts) < 60 || len(parts) > 140 {
		t.Errorf("%d of 400 traces were kept, want about one in four", len(parts))
	}
	h := r.Health()
	if !strings.Contains(h.Note, "spans and events of whole traces, and keeps one trace in 4 until less arrives") {
		t.Errorf("health says %q", h.Note)
	}
	var gone pcommon.TraceID
	for _, id := range ids {
		if parts[sources.TraceID(id)] == 0 {
			gone = id
		}
	}
	err := send(1, gone)
	if st, _ := status.FromError(err); st.Code() != codes.ResourceExhausted || len(st.Details()) != 1 {
		t.Errorf("a call of which nothing is kept: %v", err)
	}
	clock.pass(calmAfter)
	_ = send(1, gone) // one step at a time
	clock.pass(calmAfter)
	if err := send(1, gone); err != nil {
		t.Errorf("when it is calm again: %v", err)
	}
	if h := r.Health(); strings.Contains(h.Note, "keeps one trace") {
		t.Errorf("health still says %q", h.Note)
	}
}
