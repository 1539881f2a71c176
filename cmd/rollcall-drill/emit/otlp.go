package emit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"rollcall/cmd/rollcall-drill/sim"
)

const scope = "support-assistant/pipeline"

// exportEvery is wall time: how long spans and events wait to be sent together.
const exportEvery = 300 * time.Millisecond

// Traces sends sampled requests as traces, and their evaluations and late
// feedback as events, to an OTLP endpoint over gRPC.
type Traces struct {
	sampled   bool // only a share of the requests is sent
	tracers   map[string]trace.Tracer
	loggers   map[string]otellog.Logger
	spans     sdktrace.SpanProcessor
	events    *sdklog.BatchProcessor
	providers []*sdktrace.TracerProvider
}

// exportTimeout is wall time: on a busy machine a batch that is given up too soon is lost.
const exportTimeout = 20 * time.Second

// DialTraces prepares export to the address. The connection is made in the
// background: an endpoint that is not there costs traces, never time.
func DialTraces(ctx context.Context, addr string, sampled bool, log *slog.Logger) (*Traces, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("otlp export", "error", err) }))
	spanExporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(addr), otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("otlp traces to %s: %w", addr, err)
	}
	eventExporter, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(addr), otlploggrpc.WithInsecure(),
		otlploggrpc.WithTimeout(exportTimeout))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("otlp events to %s: %w", addr, err), spanExporter.Shutdown(ctx))
	}
	t := &Traces{
		sampled: sampled, tracers: map[string]trace.Tracer{}, loggers: map[string]otellog.Logger{},
		spans: sdktrace.NewBatchSpanProcessor(spanExporter,
			sdktrace.WithBatchTimeout(exportEvery), sdktrace.WithMaxQueueSize(32768), sdktrace.WithMaxExportBatchSize(1024)),
		events: sdklog.NewBatchProcessor(eventExporter,
			sdklog.WithExportInterval(exportEvery), sdklog.WithMaxQueueSize(8192)),
	}
	for _, region := range sim.Regions() {
		res := resource.NewSchemaless(
			attribute.String("service.name", sim.Service),
			attribute.String("service.namespace", sim.Namespace),
			attribute.String("service.version", "2026.3.1"),
			attribute.String("service.instance.id", sim.Service+"-"+region),
			attribute.String("deployment.environment.name", sim.Environment),
			attribute.String("cloud.region", region))
		tp := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSpanProcessor(t.spans),
			sdktrace.WithIDGenerator(identities{}), sdktrace.WithSampler(sdktrace.AlwaysSample()),
			sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
				AttributeValueLengthLimit: -1, AttributeCountLimit: 128, EventCountLimit: 128, LinkCountLimit: 128,
				AttributePerEventCountLimit: 128, AttributePerLinkCountLimit: 128,
			}))
		t.providers = append(t.providers, tp)
		t.tracers[region] = tp.Tracer(scope)
		lp := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(t.events))
		t.loggers[region] = lp.Logger(scope)
	}
	return t, nil
}

// Finished sends the trace of a request.
func (t *Traces) Finished(q *sim.Request) { write(t.tracers[q.Region()], q, t.sampled) }

// Evaluated sends an evaluation. A part of them knows only the provider's
// response ID, as evaluators that run elsewhere do.
func (t *Traces) Evaluated(q *sim.Request, e sim.Evaluation) {
	label := "fail"
	if e.Score >= 0.6 {
		label = "pass"
	}
	last := len(q.Calls) - 1
	t.event(q, "gen_ai.evaluation.result", e.At, q.Key()%10 < 3,
		attribute.String("gen_ai.evaluation.name", e.Evaluator),
		attribute.Float64("gen_ai.evaluation.score.value", e.Score),
		attribute.String("gen_ai.evaluation.score.label", label),
		attribute.String("gen_ai.evaluation.explanation", explain(q, e, label)),
		attribute.String("gen_ai.response.id", responseID(q, last)))
}

func explain(q *sim.Request, e sim.Evaluation, label string) string {
	switch {
	case e.Evaluator == "groundedness" && q.Hit == sim.No:
		return "the retrieved documents do not cover the question"
	case q.Schema == sim.No && e.Evaluator == "helpfulness":
		return "the answer could not be read: " + q.SchemaErr
	case q.Refused:
		return "the model refused"
	case label == "pass":
		return "no complaint"
	default:
		return "parts of the answer are not supported or beside the question"
	}
}

// Rated sends feedback that came after the answer.
func (t *Traces) Rated(q *sim.Request, at time.Time) {
	label, value := "up", 1.0
	if q.Feedback == sim.No {
		label, value = "down", 0
	}
	attrs := []attribute.KeyValue{
		attribute.String("gen_ai.evaluation.name", "user_feedback"),
		attribute.Float64("gen_ai.evaluation.score.value", value),
		attribute.String("gen_ai.evaluation.score.label", label),
	}
	if q.Answered {
		attrs = append(attrs, attribute.String("gen_ai.response.id", responseID(q, len(q.Calls)-1)))
	}
	t.event(q, "gen_ai.evaluation.result", at, false, attrs...)
}

func (t *Traces) event(q *sim.Request, name string, at time.Time, detached bool, attrs ...attribute.KeyValue) {
	ctx := context.Background()
	if !detached {
		ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: q.TraceID(), SpanID: rootSpanID(q), TraceFlags: trace.FlagsSampled,
		}))
	}
	var r otellog.Record
	r.SetEventName(name)
	r.SetTimestamp(at)
	r.SetObservedTimestamp(at)
	r.SetSeverity(otellog.SeverityInfo)
	r.AddAttributes(attrs...)
	t.loggers[q.Region()].Emit(ctx, r)
}

// Flush sends what is waiting.
func (t *Traces) Flush(ctx context.Context) error {
	return errors.Join(t.spans.ForceFlush(ctx), t.events.ForceFlush(ctx))
}

// Close sends what is waiting and hangs up.
func (t *Traces) Close(ctx context.Context) error {
	return errors.Join(t.spans.Shutdown(ctx), t.events.Shutdown(ctx))
}
