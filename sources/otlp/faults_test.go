package otlp

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"rollcall/sources"
)

// stillTakes tells that whatever happened before, the next good calls over both protocols get through.
func stillTakes(t *testing.T, r *Receiver, s *sink) {
	t.Helper()
	before := len(s.spans())
	body, err := one(nil).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if code, answer, _ := post(t, r, "/v1/traces", "application/x-protobuf", "", body); code != http.StatusOK {
		t.Errorf("a good call over HTTP: %d %s", code, answer)
	}
	if _, err := ptraceotlp.NewGRPCClient(dial(t, r)).Export(t.Context(), one(nil)); err != nil {
		t.Errorf("a good call over gRPC: %v", err)
	}
	if n := len(s.spans()) - before; n != 2 {
		t.Errorf("%d of 2 spans arrived", n)
	}
	if h := r.Health(); h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
}

// zeros is so many bytes that compress to almost nothing.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestABombOfAnyCompressionIsRefusedWithBoundedMemory(t *testing.T) {
	const unpacked = 64 << 20
	pack := func(open func(io.Writer) io.WriteCloser) []byte {
		var out bytes.Buffer
		w := open(&out)
		if _, err := io.Copy(w, zeros(unpacked)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, bomb := range map[string][]byte{
		"gzip": pack(func(w io.Writer) io.WriteCloser {
			z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}),
		"zlib": pack(func(w io.Writer) io.WriteCloser {
			z, err := zlib.NewWriterLevel(w, zlib.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}),
		"zstd": pack(func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s := &sink{}
			r := start(t, s, func(c *Config, _ *Deps) { c.MaxBody = 1 << 20 })
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			code, answer, _ := post(t, r, "/v1/traces", "application/x-protobuf", name, bomb)
			runtime.ReadMemStats(&after)
			if code != http.StatusRequestEntityTooLarge || !strings.Contains(answer, "otlp.max_body") {
				t.Errorf("%d %q", code, answer)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
				t.Errorf("%d MiB were allocated for a bomb of %d MiB", n>>20, unpacked>>20)
			}
			stillTakes(t, r, s)
		})
	}
}

// counter counts what was read of an upload.
type counter struct {
	io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestAGigabyteOfUploadIsRefusedAfterTheLimit(t *testing.T) {
	s := &sink{}
	r := start(t, s, func(c *Config, _ *Deps) { c.MaxBody = 1 << 20 })
	body := &counter{Reader: zeros(1 << 30)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.HTTPAddr()+"/v1/traces", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if resp, err := http.DefaultClient.Do(req); err == nil { // else it hung up before everything was sent
		if resp.Body.Close(); resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if n := body.n.Load(); n > 64<<20 {
		t.Errorf("%d MiB were taken before it was refused", n>>20)
	}
	stillTakes(t, r, s)
}

// half opens an export call over HTTP, sends half of its body, and nothing more.
func half(t *testing.T, r *Receiver) net.Conn {
	t.Helper()
	body, err := one(nil).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.HTTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2]); err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}

func TestASenderThatHangsUpInTheMiddleLeavesNothingBehind(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	for range 5 {
		c := half(t, r)
		eventually(t, "the call arrived", func() bool { return r.arriving.Load() == 1 })
		_ = c.Close()
		eventually(t, "the call is over", func() bool { return r.arriving.Load() == 0 })
	}
	if n := len(s.spans()); n != 0 {
		t.Errorf("%d spans of calls that were not finished", n)
	}
	stillTakes(t, r, s)
}

func TestSendersThatStallTakeTheirOwnPlacesOnly(t *testing.T) {
	s := &sink{}
	r := start(t, s, func(_ *Config, d *Deps) { d.MaxCalls = 3 })
	stalled := []net.Conn{half(t, r), half(t, r)}
	eventually(t, "two stall", func() bool { return r.arriving.Load() == 2 })
	stillTakes(t, r, s) // there is a place left
	for int64(len(stalled)) < r.arrivals() {
		stalled = append(stalled, half(t, r))
	}
	eventually(t, "all places are taken", func() bool { return r.arriving.Load() == r.arrivals() })
	body, err := one(nil).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if code, _, header := post(t, r, "/v1/traces", "application/x-protobuf", "", body); code != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("with every place taken: %d %v", code, header)
	}
	for _, c := range stalled {
		_ = c.Close()
	}
	eventually(t, "the places are free again", func() bool { return r.arriving.Load() == 0 })
	stillTakes(t, r, s)
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (rawCodec) Name() string                       { return "proto" }

var _ encoding.Codec = rawCodec{}

func TestNoiseOverGRPCIsItsSendersErrorOnly(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	for _, noise := range [][]byte{[]byte("\xff\xff\xff\xff"), []byte("hello"), bytes.Repeat([]byte{0x0a}, 1<<16)} {
		var answer []byte
		err := dial(t, r).Invoke(t.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", noise, &answer, grpc.ForceCodec(rawCodec{}))
		if c := status.Code(err); c != codes.Internal && c != codes.InvalidArgument {
			t.Errorf("noise is answered %v", err)
		}
	}
	if n := len(s.spans()); n != 0 {
		t.Errorf("%d spans of noise", n)
	}
	stillTakes(t, r, s)
}

// nested returns an export request with an attribute of so many lists within each other.
func nested(depth int) []byte {
	field := func(tag byte, inner []byte) []byte {
		out := append(make([]byte, 0, len(inner)+6), tag)
		for n := len(inner); ; n >>= 7 {
			if n < 0x80 {
				out = append(out, byte(n))
				break
			}
			out = append(out, byte(n)|0x80)
		}
		return append(out, inner...)
	}
	// Built from the inside in one buffer, written backwards: each level is a value
	// that is a list of one value.
	size := depth*12 + 64
	buf := make([]byte, size)
	at := size
	put := func(tag byte) {
		n := size - at
		var length []byte
		for ; ; n >>= 7 {
			if n < 0x80 {
				length = append(length, byte(n))
				break
			}
			length = append(length, byte(n)|0x80)
		}
		at -= len(length)
		copy(buf[at:], length)
		at--
		buf[at] = tag
	}
	for range depth {
		put(0x0a) // ArrayValue.values
		put(0x2a) // AnyValue.array_value
	}
	value := field(0x12, buf[at:]) // KeyValue.value
	attr := append([]byte{0x0a, 1, 'k'}, value...)
	span := append(field(0x0a, make([]byte, 16)), field(0x12, make([]byte, 8))...)
	span = append(span, field(0x4a, attr)...)
	return field(0x0a, field(0x12, field(0x12, span))) // ResourceSpans, ScopeSpans, Span
}

func TestAnAttributeNestedWithoutEndDoesNotTakeTheProcessDown(t *testing.T) {
	s := &sink{}
	r := start(t, s)
	for _, depth := range []int{100, 10_000, 300_000} {
		body := nested(depth)
		if code, answer, _ := post(t, r, "/v1/traces", "application/x-protobuf", "", body); code != http.StatusBadRequest || !strings.Contains(answer, "recursion") {
			t.Errorf("%d levels in %d bytes: %d %.300q", depth, len(body), code, answer)
		}
	}
	stillTakes(t, r, s)
}

func TestAStoreThatIsSlowOrDownIsSaidAndRecoveredFrom(t *testing.T) {
	var down atomic.Bool
	s := &sink{do: func(context.Context) error {
		if down.Load() {
			return errors.New("the disk is full; free some space")
		}
		return nil
	}}
	r := start(t, s)
	down.Store(true)
	body, err := one(nil).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if code, answer, header := post(t, r, "/v1/traces", "application/x-protobuf", "", body); code != http.StatusServiceUnavailable || !strings.Contains(answer, "disk is full") || header.Get("Retry-After") == "" {
		t.Errorf("%d %q %v", code, answer, header)
	}
	if h := r.Health(); h.State != sources.SourceDown || !strings.Contains(h.Reason, "disk is full") {
		t.Errorf("health %+v", h)
	}
	down.Store(false)
	stillTakes(t, r, s)
}
