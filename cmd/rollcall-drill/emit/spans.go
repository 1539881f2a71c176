package emit

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"rollcall/cmd/rollcall-drill/sim"
)

// identity gives the spans of one request their IDs: the request's own trace ID,
// and span IDs counted up from its key. It travels in the context.
type identity struct {
	request *sim.Request
	spans   uint64
}

type identityKey struct{}

func (id *identity) next() (s trace.SpanID) {
	id.spans++
	x := (id.request.Key() ^ id.spans*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	binary.BigEndian.PutUint64(s[:], x^x>>29)
	return s
}

// identities is the SDK's IDGenerator.
type identities struct{}

func (identities) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id := ctx.Value(identityKey{}).(*identity)
	return id.request.TraceID(), id.next()
}

func (identities) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	return ctx.Value(identityKey{}).(*identity).next()
}

func rootSpanID(q *sim.Request) trace.SpanID { return (&identity{request: q}).next() }

func responseID(q *sim.Request, call int) string {
	return fmt.Sprintf("chatcmpl-%012x%02x", q.Key()>>16^uint64(call)*0x5851f42d4c957f2d&0xffffffffffff, call&0xff)
}

// write emits the whole trace of a request that is over.
func write(tracer trace.Tracer, q *sim.Request, sampled bool) {
	d := describe(q)
	ctx := context.WithValue(context.Background(), identityKey{}, &identity{request: q})
	ctx, root := tracer.Start(ctx, "POST /v1/"+q.Route.String(),
		trace.WithTimestamp(q.Start), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(rootAttributes(q, d, sampled)...))
	w := spanWriter{tracer: tracer, ctx: ctx, q: q, d: d, at: q.Start.Add(seconds(q.Queued))}
	for stage, took := range q.Stages {
		switch {
		case stage == sim.StageInference:
			w.calls()
		case took > 0:
			w.stage(stage, took)
		}
	}
	if q.Failed() {
		root.SetStatus(codes.Error, errorMessage(q))
	}
	root.End(trace.WithTimestamp(q.End()))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

var httpStatus = map[string]int{
	"": 200, "timeout": 504, "provider_error": 502, "rate_limited": 429, "tool_error": 500,
	"access_denied": 403, "overloaded": 503, "budget_exceeded": 429,
}

func errorMessage(q *sim.Request) string {
	switch q.ErrorType() {
	case "timeout":
		return "model did not answer within 15 s"
	case "provider_error":
		return "provider answered 502"
	case "rate_limited":
		return "provider answered 429"
	case "tool_error":
		return "agent gave up after a tool failed"
	case "access_denied":
		return "access denied: " + q.DeniedReason()
	case "overloaded":
		return "queue is full"
	case "budget_exceeded":
		return "budget is used up"
	}
	return ""
}

func rootAttributes(q *sim.Request, d *details, sampled bool) []attribute.KeyValue {
	dep := q.Deployment
	outcome := "ok"
	if q.Failed() {
		outcome = "error"
	}
	attrs := []attribute.KeyValue{
		attribute.String("http.request.method", "POST"),
		attribute.String("http.route", "/v1/"+q.Route.String()),
		attribute.Int("http.response.status_code", httpStatus[q.ErrorType()]),
		attribute.String("user_agent.original", d.userAgent),
		attribute.String("client.address", d.clientIP),
		attribute.String("llmops.request.id", q.ID()),
		attribute.String("llmops.route", q.Route.String()),
		attribute.String("llmops.tenant", q.Tenant()),
		attribute.String("llmops.region", q.Region()),
		attribute.String("user.id", d.user),
		attribute.String("gen_ai.conversation.id", d.conversation),
		attribute.String("gen_ai.prompt.name", q.PromptName()),
		attribute.String("gen_ai.prompt.version", dep.Versions[sim.Prompt]),
		attribute.String("llmops.model.version", dep.Versions[sim.Model]),
		attribute.String("llmops.tool.version", dep.Versions[sim.Tools]),
		attribute.String("llmops.index.version", dep.Versions[sim.Index]),
		attribute.String("llmops.policy.version", dep.Versions[sim.Policy]),
		attribute.String("llmops.manifest.id", dep.ID),
		attribute.String("llmops.rollout.stage", dep.Stage),
		attribute.String("llmops.outcome", outcome),
		attribute.String("llmops.cache.kind", q.Cache.String()),
		attribute.Bool("llmops.refusal", q.Refused),
		attribute.Float64("llmops.cost.usd", q.CostUSD),
		attribute.Bool("llmops.sampled", sampled),
	}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	add("error.type", q.ErrorType())
	add("llmops.access.denied", q.DeniedReason())
	add("llmops.filter.action", q.FilterAction())
	switch q.Schema {
	case sim.Yes:
		add("llmops.schema.result", "pass")
	case sim.No:
		add("llmops.schema.result", "fail")
		add("llmops.schema.error", q.SchemaErr)
	}
	switch q.PromptFeedback() {
	case sim.Yes:
		add("llmops.feedback", "up")
	case sim.No:
		add("llmops.feedback", "down")
	}
	if q.Complaint && q.PromptFeedback() == sim.No {
		attrs = append(attrs, attribute.Bool("llmops.complaint", true))
	}
	if q.Fallback && q.Answered {
		add("llmops.fallback.from", dep.Versions[sim.Model])
		add("llmops.fallback.to", q.Calls[len(q.Calls)-1].Model)
	}
	return attrs
}

// spanWriter writes the children of one root, one after the other.
type spanWriter struct {
	tracer trace.Tracer
	ctx    context.Context
	q      *sim.Request
	d      *details
	at     time.Time
}

func (w *spanWriter) span(ctx context.Context, name string, kind trace.SpanKind, took float64, attrs []attribute.KeyValue) (context.Context, trace.Span) {
	ctx, span := w.tracer.Start(ctx, name, trace.WithTimestamp(w.at), trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	w.at = w.at.Add(seconds(took))
	return ctx, span
}

func (w *spanWriter) stage(stage int, took float64) {
	q, name, kind := w.q, sim.StageNames[stage], trace.SpanKindInternal
	attrs := []attribute.KeyValue{attribute.String("llmops.stage", name)}
	switch stage {
	case sim.StageEmbed:
		name, kind = "embeddings "+sim.EmbedModel, trace.SpanKindClient
		attrs = append(attrs,
			attribute.String("gen_ai.operation.name", "embeddings"),
			attribute.String("gen_ai.provider.name", sim.Provider),
			attribute.String("gen_ai.request.model", sim.EmbedModel),
			attribute.Int("gen_ai.usage.input_tokens", len(w.d.question)/4+2))
	case sim.StageVectorSearch:
		index := q.Deployment.Versions[sim.Index]
		name, kind = "retrieval "+index, trace.SpanKindClient
		attrs = append(attrs,
			attribute.String("gen_ai.operation.name", "retrieval"),
			attribute.String("gen_ai.data_source.id", index),
			attribute.String("gen_ai.retrieval.query.text", w.d.question),
			attribute.String("gen_ai.retrieval.documents", asJSON(w.d.documents)),
			attribute.Bool("llmops.retrieval.hit", q.Hit == sim.Yes))
	case sim.StageValidation:
		if q.Schema == sim.No {
			attrs = append(attrs, attribute.String("llmops.schema.error", q.SchemaErr))
		}
	}
	_, span := w.span(w.ctx, name, kind, took, attrs)
	if stage == sim.StageValidation && q.Schema == sim.No {
		span.SetStatus(codes.Error, "answer does not match the schema: "+q.SchemaErr)
	}
	span.End(trace.WithTimestamp(w.at))
}

// calls writes one inference span per call of a model, with its tool below it.
func (w *spanWriter) calls() {
	q := w.q
	var toolTurn []message
	for i := range q.Calls {
		c := &q.Calls[i]
		attrs := append(w.callAttributes(i, c), w.content(i, c, toolTurn)...)
		ctx, span := w.span(w.ctx, "chat "+c.Model, trace.SpanKindClient, c.Seconds, attrs)
		if c.ErrorType() != "" {
			span.SetStatus(codes.Error, c.ErrorType())
		}
		span.End(trace.WithTimestamp(w.at))
		if c.Tool {
			toolTurn = w.tool(ctx, i, c)
		}
	}
}

func (w *spanWriter) callAttributes(i int, c *sim.Call) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("llmops.stage", sim.StageNames[sim.StageInference]),
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", sim.Provider),
		attribute.String("gen_ai.request.model", c.Model),
		attribute.Int("gen_ai.request.max_tokens", 1200),
		attribute.Float64("gen_ai.request.temperature", 0.2),
		attribute.String("server.address", "api.openai.com"),
	}
	if c.ErrorType() != "" {
		return append(attrs, attribute.String("error.type", c.ErrorType()))
	}
	return append(attrs,
		attribute.String("gen_ai.response.model", c.Served),
		attribute.String("gen_ai.response.id", responseID(w.q, i)),
		attribute.StringSlice("gen_ai.response.finish_reasons", []string{c.FinishReason()}),
		attribute.Float64("gen_ai.response.time_to_first_chunk", c.TTFT),
		attribute.Int("gen_ai.usage.input_tokens", c.In),
		attribute.Int("gen_ai.usage.output_tokens", c.Out),
		attribute.Int("gen_ai.usage.cache_read.input_tokens", c.Cached),
		attribute.String("openai.response.system_fingerprint", c.Fingerprint))
}

// content is what the model was told and what it said. Instructions and context
// go with the first call; later ones carry only what is new to them.
func (w *spanWriter) content(i int, c *sim.Call, toolTurn []message) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	in := toolTurn
	if i == 0 || in == nil {
		attrs = append(attrs, attribute.String("gen_ai.system_instructions", asJSON(text(instructions(w.q)))))
		in = w.d.input(w.q)
	}
	attrs = append(attrs, attribute.String("gen_ai.input.messages", asJSON(in)))
	switch {
	case c.ErrorType() != "":
	case c.Tool:
		call := part{Type: "tool_call", ID: toolCallID(w.q, i), Name: w.d.tool(w.q, i, false).name}
		attrs = append(attrs, attribute.String("gen_ai.output.messages",
			asJSON([]message{{Role: "assistant", Parts: []part{call}, Finish: c.FinishReason()}})))
	default:
		attrs = append(attrs, attribute.String("gen_ai.output.messages",
			asJSON([]message{{Role: "assistant", Parts: text(w.d.output(w.q)), Finish: c.FinishReason()}})))
	}
	return attrs
}

func toolCallID(q *sim.Request, i int) string {
	return "call_" + strconv.FormatUint(q.Key()>>20, 36) + "_" + strconv.Itoa(i)
}

// tool writes the span of the tool that a call asked for and returns what the next call hears of it.
func (w *spanWriter) tool(ctx context.Context, i int, c *sim.Call) []message {
	t := w.d.tool(w.q, i, c.ToolErr)
	attrs := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "execute_tool"),
		attribute.String("gen_ai.tool.name", t.name),
		attribute.String("gen_ai.tool.type", "function"),
		attribute.String("gen_ai.tool.call.id", toolCallID(w.q, i)),
		attribute.String("gen_ai.tool.call.arguments", t.arguments),
		attribute.String("gen_ai.tool.call.result", t.result),
	}
	if c.ToolErr {
		attrs = append(attrs, attribute.String("error.type", "tool_error"))
	}
	_, span := w.span(ctx, "execute_tool "+t.name, trace.SpanKindInternal, c.ToolSeconds, attrs)
	if c.ToolErr {
		span.SetStatus(codes.Error, "upstream answered 503")
	}
	span.End(trace.WithTimestamp(w.at))
	return []message{{Role: "tool", Parts: []part{{Type: "tool_call_response", ID: toolCallID(w.q, i), Response: t.result}}}}
}
