// Package otlp is an OpenTelemetry endpoint for traces and for the log events
// that belong to requests: gRPC and HTTP, protobuf and JSON. What it hands on
// is plain, bounded, sanitised and redacted.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"rollcall/sources"
)

// Config is the `otlp:` section of the configuration. An address without a host
// means loopback; to listen on other interfaces, name one (0.0.0.0 for all).
type Config struct {
	GRPC    string           `yaml:"grpc,omitempty"` // default 127.0.0.1:4317; "off" switches it off; port 0 takes a free one
	HTTP    string           `yaml:"http,omitempty"` // default 127.0.0.1:4318
	MaxBody sources.ByteSize `yaml:"max_body,omitempty"`
}

// Defaults.
const (
	DefaultGRPC    = "127.0.0.1:4317"
	DefaultHTTP    = "127.0.0.1:4318"
	DefaultMaxBody = 16 << 20
	off            = "off"
)

// Sink takes batches. It returns when a batch is safe; an error makes the sender try again.
type Sink interface {
	Consume(ctx context.Context, b *sources.TraceBatch) error
}

// Redactor removes secrets and personal data.
type Redactor interface {
	Text(s string) string
	Fields(names []string, values []*string, doc []int)
	Person(v string) string
}

// Deps are what the receiver works with.
type Deps struct {
	Sink     Sink
	Redactor Redactor
	Log      *slog.Logger
	Clock    sources.Clock
	// MaxCalls is how many export calls may be in hand at once, 64 when 0; MaxSpans
	// is how many spans and events they may carry together, 200,000 when 0. More is
	// refused in a way that senders take as "try again".
	MaxCalls, MaxSpans int
}

// Receiver is a running endpoint.
type Receiver struct {
	deps       Deps
	inner      component.Component
	grpc, http string
	meter      meter
	shedder    shedder
	arriving   atomic.Int64 // calls, their bodies perhaps still on the way
	calls      atomic.Int64
	spans      atomic.Int64
	closed     atomic.Bool
}

// Start opens the endpoint. The error of an address that is taken names it and its setting.
func Start(ctx context.Context, cfg Config, deps Deps) (*Receiver, error) {
	if deps.Sink == nil || deps.Redactor == nil || deps.Clock == nil {
		return nil, errors.New("otlp: a sink, a redactor and a clock are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.MaxCalls <= 0 {
		deps.MaxCalls = 64
	}
	if deps.MaxSpans <= 0 {
		deps.MaxSpans = 200_000
	}
	r := &Receiver{deps: deps}
	r.meter.wall, r.shedder.wall = deps.Clock.Wall, deps.Clock.Wall

	grpcAddr, err := address("otlp.grpc", cfg.GRPC, DefaultGRPC)
	if err != nil {
		return nil, err
	}
	httpAddr, err := address("otlp.http", cfg.HTTP, DefaultHTTP)
	if err != nil {
		return nil, err
	}
	if grpcAddr == off && httpAddr == off {
		return nil, errors.New("otlp: both otlp.grpc and otlp.http are off; leave one on, or do not receive")
	}
	maxBody := cfg.MaxBody.Or(DefaultMaxBody)
	factory := otlpreceiver.NewFactory()
	oc := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	guard := []configmiddleware.Config{{ID: guardID}}
	if grpcAddr != off {
		g := oc.Protocols.GRPC.GetOrInsertDefault()
		g.NetAddr.Endpoint = grpcAddr
		g.MaxRecvMsgSizeMiB = int((maxBody + 1<<20 - 1) >> 20)
		g.Middlewares = guard
		// A sender that opens more calls waits; those beyond MaxCalls are refused once read.
		g.MaxConcurrentStreams = uint32(min(deps.MaxCalls, 1<<16)) + 8
	}
	if httpAddr != off {
		h := oc.Protocols.HTTP.GetOrInsertDefault()
		h.ServerConfig.NetAddr.Endpoint = httpAddr
		h.ServerConfig.MaxRequestBodySize = maxBody
		h.ServerConfig.ReadHeaderTimeout = 10 * time.Second
		h.ServerConfig.ReadTimeout = time.Minute // a sender that stalls does not hold a place for ever
		h.ServerConfig.WriteTimeout = 2 * time.Minute
		h.ServerConfig.Middlewares = guard
	}
	addrs := &addrCatcher{log: deps.Log}
	set := receiver.Settings{ID: component.NewID(factory.Type())}
	set.Logger = zap.New(addrs)
	set.TracerProvider = nooptrace.NewTracerProvider()
	set.MeterProvider = noopmetric.NewMeterProvider()

	tracesIn, err := consumer.NewTraces(r.consumeTraces)
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	logsIn, err := consumer.NewLogs(r.consumeLogs)
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	// Both creations return the same receiver, known by its config.
	if r.inner, err = factory.CreateTraces(ctx, set, oc, tracesIn); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	if _, err = factory.CreateLogs(ctx, set, oc, logsIn); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	if err := r.inner.Start(ctx, host{guardID: &guardExt{r}}); err != nil {
		_ = r.inner.Shutdown(ctx)
		return nil, listenError(err, grpcAddr, httpAddr)
	}
	r.grpc, r.http = addrs.grpc(), addrs.http()
	return r, nil
}

// address checks a configured address and gives it loopback when it names no host.
func address(key, addr, def string) (string, error) {
	switch addr {
	case "":
		return def, nil
	case off:
		return off, nil
	}
	hostName, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return "", fmt.Errorf("%s: %q is not an address; write it like 127.0.0.1:4317, or off", key, addr)
	}
	if hostName == "" {
		hostName = "127.0.0.1"
	}
	return net.JoinHostPort(hostName, port), nil
}

func listenError(err error, grpcAddr, httpAddr string) error {
	for _, a := range []struct{ key, addr string }{{"otlp.grpc", grpcAddr}, {"otlp.http", httpAddr}} {
		if strings.Contains(err.Error(), a.addr) {
			return fmt.Errorf("%s: cannot listen on %s: %w; end what uses it or set another address", a.key, a.addr, innermost(err))
		}
	}
	return fmt.Errorf("otlp: cannot listen: %w", err)
}

func innermost(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// GRPCAddr is the address that is listened on, with the real port; empty when off.
func (r *Receiver) GRPCAddr() string { return r.grpc }

// HTTPAddr is the address that is listened on, with the real port; empty when off.
func (r *Receiver) HTTPAddr() string { return r.http }

// Close stops listening and lets the calls in hand finish, as long as ctx allows.
// The sink must stay open until it returns.
func (r *Receiver) Close(ctx context.Context) error {
	if r.closed.Swap(true) {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- r.inner.Shutdown(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("otlp: close: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("otlp: close: calls in hand did not finish: %w", ctx.Err())
	}
}

// Health tells the rate of the last seconds of wall time and what was refused, and why.
func (r *Receiver) Health() sources.Health {
	h := r.meter.health()
	h.Source = "otlp"
	if shed, oneOf := r.shedder.state(); shed > 0 {
		note := fmt.Sprintf("shed %d spans and events of whole traces", shed)
		if oneOf > 1 {
			note += fmt.Sprintf(", and keeps one trace in %d until less arrives", oneOf)
		}
		h.Note = strings.TrimPrefix(h.Note+"; "+note, "; ")
	}
	if r.closed.Load() {
		h.State, h.Reason = sources.SourceDown, "the endpoint is closed"
	}
	return h
}

func (r *Receiver) consumeTraces(ctx context.Context, td ptrace.Traces) (err error) {
	shed := r.shedder.share().spans(td)
	leave, err := r.enter(td.SpanCount(), shed)
	if err != nil {
		return err
	}
	defer leave()
	defer r.recovered(&err)
	b, stats := traces(td, r.deps.Redactor)
	r.meter.invalid.Add(int64(stats.invalid))
	return r.hand(ctx, b)
}

func (r *Receiver) consumeLogs(ctx context.Context, ld plog.Logs) (err error) {
	shed := r.shedder.share().events(ld)
	leave, err := r.enter(ld.LogRecordCount(), shed)
	if err != nil {
		return err
	}
	defer leave()
	defer r.recovered(&err)
	b, stats := logs(ld, r.deps.Redactor)
	r.meter.foreign.Add(int64(stats.dropped))
	return r.hand(ctx, b)
}

// enter takes a place for a call that carries n items besides those that were shed,
// or refuses it for now. A call of which nothing is left is refused too: its sender
// may have more luck later.
func (r *Receiver) enter(n, shed int) (leave func(), err error) {
	if n == 0 && shed > 0 {
		r.meter.refuse("more arrives than can be stored", shed)
		return nil, overloaded()
	}
	calls, spans := r.calls.Add(1), r.spans.Add(int64(n))
	leave = func() {
		r.calls.Add(-1)
		r.spans.Add(int64(-n))
	}
	// A single call is let in however large it is; the body limit bounds it.
	if calls > int64(r.deps.MaxCalls) || calls > 1 && spans > int64(r.deps.MaxSpans) {
		leave()
		r.meter.refuse("more arrives than can be stored", n+shed)
		r.shedder.overload()
		return nil, overloaded()
	}
	if shed > 0 {
		r.shedder.count(shed)
	}
	return leave, nil
}

// overloaded is the error that tells senders of either protocol to wait a second and try again.
func overloaded() error {
	st := status.New(codes.ResourceExhausted, "rollcall takes in no more spans just now; try again")
	if with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}); err == nil {
		st = with
	}
	return st.Err()
}

// recovered turns a panic over a hostile call into an error for its sender.
func (r *Receiver) recovered(err *error) {
	if p := recover(); p != nil {
		r.deps.Log.Error("an export call could not be read", "panic", fmt.Sprint(p))
		r.meter.malformed("it could not be read")
		*err = consumererror.NewPermanent(errors.New("rollcall could not read this export call"))
	}
}

func (r *Receiver) hand(ctx context.Context, b *sources.TraceBatch) error {
	if len(b.Spans) == 0 && len(b.Events) == 0 {
		r.meter.took(0)
		return nil
	}
	if err := r.deps.Sink.Consume(ctx, b); err != nil {
		r.meter.refuse(err.Error(), len(b.Spans)+len(b.Events))
		st := status.New(codes.Unavailable, err.Error())
		if with, e := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)}); e == nil {
			st = with
		}
		return st.Err()
	}
	r.meter.took(len(b.Spans) + len(b.Events))
	return nil
}
