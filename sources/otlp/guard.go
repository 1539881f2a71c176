package otlp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	"rollcall/sources/redact"
)

var guardID = component.MustNewID("rollcall_guard")

// host is what the collector's receiver runs in: nothing but the guard.
type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

// guardExt stands before both servers: it counts calls that never reach the
// consumers, says in a clear line what is wrong with them, and survives panics.
type guardExt struct{ r *Receiver }

var (
	_ extensionmiddleware.HTTPServer = (*guardExt)(nil)
	_ extensionmiddleware.GRPCServer = (*guardExt)(nil)
)

func (*guardExt) Start(context.Context, component.Host) error { return nil }
func (*guardExt) Shutdown(context.Context) error              { return nil }

// GetGRPCServerOptions adds the interceptor.
func (g *guardExt) GetGRPCServerOptions(context.Context) ([]grpc.ServerOption, error) {
	intercept := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if p := recover(); p != nil {
				g.r.deps.Log.Error("an export call could not be read", "panic", fmt.Sprint(p))
				g.r.meter.malformed("it could not be read")
				err = status.Error(codes.InvalidArgument, "rollcall could not read this export call")
			}
		}()
		return next(ctx, req)
	}
	// Every connection has streams of its own; all together must not bring more bodies
	// than there are places, however many connections there are.
	tapped := func(ctx context.Context, _ *tap.Info) (context.Context, error) {
		if g.r.arriving.Add(1) > g.r.arrivals() {
			g.r.arriving.Add(-1)
			g.r.meter.refuse("more arrives than can be stored", 0)
			g.r.shedder.overload()
			return nil, status.Error(codes.Unavailable, "rollcall takes in no more calls just now; try again")
		}
		context.AfterFunc(ctx, func() { g.r.arriving.Add(-1) }) // the stream's, which ends with the call
		return ctx, nil
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(intercept), grpc.InTapHandle(tapped)}, nil
}

// GetHTTPHandler wraps the handler of all paths.
func (g *guardExt) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer g.r.arriving.Add(-1)
			if g.r.arriving.Add(1) > g.r.arrivals() { // before its body takes room
				g.r.meter.refuse("more arrives than can be stored", 0)
				g.r.shedder.overload()
				w.Header().Set("Retry-After", "1")
				http.Error(w, "rollcall takes in no more calls just now; try again", http.StatusTooManyRequests)
				return
			}
			h := &held{w: w, r: r, redact: g.r.deps.Redactor.Text}
			next.ServeHTTP(h, r)
			if why := h.explain(); why != "" {
				g.r.meter.malformed(why)
			}
		}), nil
	}, nil
}

// arrivals is how many calls may be on the way in: those in hand, and a few whose
// bodies are only arriving.
func (r *Receiver) arrivals() int64 { return int64(r.deps.MaxCalls) + 8 }

// held passes good answers through, and keeps refusals back to say them better.
type held struct {
	w    http.ResponseWriter
	r    *http.Request
	code int
	body bytes.Buffer
	// redact is for the parser's complaint, which quotes the body.
	redact func(string) string
}

func (h *held) Header() http.Header { return h.w.Header() }

func (h *held) WriteHeader(code int) {
	h.code = code
	if !h.bad() {
		h.w.WriteHeader(code)
	}
}

func (h *held) Write(b []byte) (int, error) {
	if h.bad() {
		return h.body.Write(b)
	}
	return h.w.Write(b)
}

// bad tells whether the answer refuses a call that is malformed. Refusals for
// want of room come from the consumers, which count and word them themselves.
func (h *held) bad() bool {
	switch h.code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// explain writes a refusal that was kept back, and returns it.
func (h *held) explain() string {
	if !h.bad() {
		return ""
	}
	detail := h.body.String()
	kind, _, _ := mime.ParseMediaType(h.r.Header.Get("Content-Type"))
	proto3 := kind == "application/x-protobuf"
	var st spb.Status
	if proto3 && proto.Unmarshal(h.body.Bytes(), &st) == nil || !proto3 && protojson.Unmarshal(h.body.Bytes(), &st) == nil {
		detail = st.GetMessage()
	}
	code := h.code
	var line string
	switch {
	case code == http.StatusNotFound:
		line = fmt.Sprintf("nothing is received at %s; traces go to /v1/traces and logs to /v1/logs", h.r.URL.Path)
	case code == http.StatusMethodNotAllowed:
		line = fmt.Sprintf("%s is not received; OTLP is sent with POST", h.r.Method)
	case code == http.StatusUnsupportedMediaType:
		line = fmt.Sprintf("content type %q is not OTLP; send application/x-protobuf or application/json", h.r.Header.Get("Content-Type"))
	case strings.Contains(detail, "body too large"):
		code = http.StatusRequestEntityTooLarge
		line = "the body is larger than otlp.max_body; send smaller batches"
	default:
		line = fmt.Sprintf("the body is not an OTLP export request in %s: %s", kind, detail)
	}
	line = redact.SanitizeLine(h.redact(line), 300)
	st = spb.Status{Code: int32(codes.InvalidArgument), Message: line}
	var out []byte
	if proto3 {
		out, _ = proto.Marshal(&st)
	} else {
		out, _ = protojson.Marshal(&st)
		h.w.Header().Set("Content-Type", "application/json")
	}
	h.w.Header().Del("Content-Length")
	h.w.WriteHeader(code)
	_, _ = h.w.Write(out) // the sender may be gone
	return line
}

// addrCatcher is the logger of the collector's receiver. It learns from its
// start messages which addresses it got, and passes warnings on.
type addrCatcher struct {
	zapcore.LevelEnabler
	log *slog.Logger

	mu   sync.Mutex
	seen map[string]string // start message → address
}

func (a *addrCatcher) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

// With is part of zapcore.Core; fields set in advance are of no interest.
func (a *addrCatcher) With([]zapcore.Field) zapcore.Core { return a }

// Check is part of zapcore.Core.
func (a *addrCatcher) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if a.Enabled(e.Level) {
		return c.AddCore(e, a)
	}
	return c
}

// Write is part of zapcore.Core.
func (a *addrCatcher) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if f.Key == "endpoint" {
			a.mu.Lock()
			if a.seen == nil {
				a.seen = map[string]string{}
			}
			a.seen[e.Message] = f.String
			a.mu.Unlock()
		}
	}
	if e.Level >= zapcore.WarnLevel {
		a.log.Warn("otlp receiver", "message", redact.SanitizeLine(e.Message, 300))
	}
	return nil
}

// Sync is part of zapcore.Core.
func (a *addrCatcher) Sync() error { return nil }

func (a *addrCatcher) find(word string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for msg, addr := range a.seen {
		if strings.Contains(msg, word) {
			return addr
		}
	}
	return ""
}

func (a *addrCatcher) grpc() string { return a.find("GRPC") }
func (a *addrCatcher) http() string { return a.find("HTTP") }
