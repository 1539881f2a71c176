package emit_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"rollcall/cmd/rollcall-drill/emit"
	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

var start = time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)

// collector is an OTLP endpoint that keeps what it gets.
type collector struct {
	coltrace.UnimplementedTraceServiceServer
	collogs.UnimplementedLogsServiceServer
	mu       sync.Mutex
	spans    []*trace.Span
	events   []*logs.LogRecord
	resource map[string]map[string]string // by trace ID
}

func (c *collector) Export(_ context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans = append(c.spans, s)
				c.resource[string(s.TraceId)] = flat(rs.Resource.Attributes)
			}
		}
	}
	return &coltrace.ExportTraceServiceResponse{}, nil
}

type logService struct {
	collogs.UnimplementedLogsServiceServer
	c *collector
}

func (l logService) Export(_ context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	for _, rl := range r.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			l.c.events = append(l.c.events, sl.LogRecords...)
		}
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}

func flat(attrs []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range attrs {
		out[kv.Key] = text(kv.Value)
	}
	return out
}

func text(v *common.AnyValue) string {
	switch x := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return x.StringValue
	default:
		b, err := json.Marshal(x)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
}

// captured runs the scenario for a while and returns what an endpoint got of it.
func captured(t *testing.T, scenario string, d time.Duration) (*collector, []*sim.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{resource: map[string]map[string]string{}}
	srv := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(srv, c)
	collogs.RegisterLogsServiceServer(srv, logService{c: c})
	go func() { _ = srv.Serve(l) }() // ends with Stop
	t.Cleanup(srv.Stop)

	out, err := emit.DialTraces(t.Context(), l.Addr().String(), true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Named(scenario)
	if err != nil {
		t.Fatal(err)
	}
	e := sim.NewEngine(sim.Config{
		Seed: 4, Scenario: s, Start: start, Share: 0.1, Warm: 0.1,
		Control: sim.NewControl(s, start, func() time.Time { return start }),
	}, 0)
	sink := &keeper{Sink: &emit.Sink{Traces: out}}
	for range int(d / time.Second) {
		e.Step(sink)
	}
	if err := out.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, sink.requests
}

type keeper struct {
	*emit.Sink
	requests []*sim.Request
}

func (k *keeper) Finished(q *sim.Request) {
	k.requests = append(k.requests, q)
	k.Sink.Finished(q)
}

func TestEverySampledRequestArrivesAsOneTraceByTheContract(t *testing.T) {
	c, requests := captured(t, "prompt-regression", 5*time.Minute)
	type one struct {
		root     *trace.Span
		children []*trace.Span
	}
	traces := map[string]*one{}
	for _, s := range c.spans {
		o := traces[string(s.TraceId)]
		if o == nil {
			o = &one{}
			traces[string(s.TraceId)] = o
		}
		if len(s.ParentSpanId) == 0 {
			o.root = s
		} else {
			o.children = append(o.children, s)
		}
	}
	if len(traces) != len(requests) || len(requests) < 500 {
		t.Fatalf("%d requests were sampled, %d traces arrived", len(requests), len(traces))
	}
	seen := map[string]int{}
	for _, q := range requests {
		id := q.TraceID()
		o := traces[string(id[:])]
		if o == nil || o.root == nil {
			t.Fatalf("%s has no trace with a root", q.ID())
		}
		if o.root.Kind != trace.Span_SPAN_KIND_SERVER {
			t.Fatalf("the root of %s is a %s", q.ID(), o.root.Kind)
		}
		root := flat(o.root.Attributes)
		if root["llmops.request.id"] != q.ID() || root["gen_ai.prompt.version"] != q.Deployment.Versions[sim.Prompt] {
			t.Fatalf("the root of %s says %v", q.ID(), root)
		}
		if int64(o.root.StartTimeUnixNano) != q.Start.UnixNano() || int64(o.root.EndTimeUnixNano) != q.End().UnixNano() {
			t.Fatalf("%s lasts from %d to %d on the wire", q.ID(), o.root.StartTimeUnixNano, o.root.EndTimeUnixNano)
		}
		for _, k := range []string{
			"llmops.route", "llmops.tenant", "llmops.region", "user.id", "gen_ai.conversation.id", "gen_ai.prompt.name",
			"llmops.model.version", "llmops.tool.version", "llmops.index.version", "llmops.policy.version", "llmops.manifest.id",
			"llmops.rollout.stage", "llmops.outcome", "llmops.cache.kind", "llmops.refusal", "llmops.cost.usd", "llmops.sampled",
		} {
			if root[k] == "" {
				t.Fatalf("the root of %s has no %s", q.ID(), k)
			}
		}
		for k := range root {
			seen[k]++
		}
		res := c.resource[string(id[:])]
		if res["service.name"] != "support-assistant" || res["cloud.region"] != q.Region() || res["deployment.environment.name"] != "prod" {
			t.Fatalf("the resource of %s is %v", q.ID(), res)
		}
		ids := map[string]bool{string(o.root.SpanId): true}
		for _, s := range o.children {
			if ids[string(s.SpanId)] {
				t.Fatalf("%s has two spans with one ID", q.ID())
			}
			ids[string(s.SpanId)] = true
			if s.StartTimeUnixNano < o.root.StartTimeUnixNano || s.EndTimeUnixNano > o.root.EndTimeUnixNano+1000 {
				t.Fatalf("%s: %s is not inside its root", q.ID(), s.Name)
			}
			a := flat(s.Attributes)
			if strings.HasPrefix(s.Name, "execute_tool ") {
				seen["tool"]++
			} else if a["llmops.stage"] == "" {
				t.Fatalf("%s: %s has no stage", q.ID(), s.Name)
			}
			seen["stage "+a["llmops.stage"]]++
			for k, v := range a {
				seen[k]++
				if !utf8.ValidString(v) {
					t.Fatalf("%s is not UTF-8", k)
				}
			}
		}
	}
	for _, k := range []string{
		"stage preprocess", "stage embed", "stage vector_search", "stage rerank", "stage prompt_assembly", "stage inference",
		"stage validation", "stage delivery", "tool", "error.type", "llmops.schema.error", "llmops.feedback",
		"gen_ai.retrieval.documents", "llmops.retrieval.hit", "gen_ai.response.id", "gen_ai.response.finish_reasons",
		"gen_ai.response.time_to_first_chunk", "gen_ai.usage.cache_read.input_tokens", "openai.response.system_fingerprint",
		"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.call.result",
	} {
		if seen[k] == 0 {
			t.Errorf("no span of %d carries %s", len(c.spans), k)
		}
	}
}

func TestEvaluationsAndLateFeedbackArriveAsEvents(t *testing.T) {
	c, _ := captured(t, "quiet", 8*time.Minute)
	names, detached := map[string]int{}, 0
	for _, e := range c.events {
		a := flat(e.Attributes)
		if e.EventName != "gen_ai.evaluation.result" || a["gen_ai.evaluation.score.label"] == "" || a["gen_ai.evaluation.score.value"] == "" {
			t.Fatalf("an event is %s %v", e.EventName, a)
		}
		names[a["gen_ai.evaluation.name"]]++
		if at := time.Unix(0, int64(e.TimeUnixNano)); at.Before(start) || at.After(start.Add(8*time.Minute)) {
			t.Fatalf("an event is of %s, outside service time", at)
		}
		if len(e.TraceId) == 0 {
			detached++
			if a["gen_ai.response.id"] == "" {
				t.Fatal("an event has neither trace nor response ID")
			}
		}
	}
	for _, n := range []string{"groundedness", "helpfulness", "harmlessness", "user_feedback"} {
		if names[n] == 0 {
			t.Errorf("no event is named %s: %v", n, names)
		}
	}
	if detached == 0 || detached == len(c.events) {
		t.Errorf("%d of %d events know only the response ID; want some", detached, len(c.events))
	}
}

func TestAnEndpointThatIsNotThereCostsNoTime(t *testing.T) {
	out, err := emit.DialTraces(t.Context(), "127.0.0.1:1", true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Named("quiet")
	if err != nil {
		t.Fatal(err)
	}
	e := sim.NewEngine(sim.Config{
		Seed: 4, Scenario: s, Start: start, Share: 1, Control: sim.NewControl(s, start, func() time.Time { return start }),
	}, 0)
	for range 60 {
		e.Step(&emit.Sink{Traces: out})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = out.Close(ctx) // what matters is that it comes back
}
