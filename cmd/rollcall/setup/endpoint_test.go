package setup

import (
	"net"
	"strings"
	"testing"
)

// listen takes a free port and returns its address and number.
func listen(t *testing.T) (string, int) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

func TestAPortThatSomebodyHasIsLeftToThem(t *testing.T) {
	addr, _ := listen(t)
	f := find(t, Options{Env: env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")})
	if f.OTLP.GRPC == addr || !strings.HasPrefix(f.OTLP.GRPC, "127.0.0.1:") && f.OTLP.GRPC != "off" {
		t.Errorf("gRPC is received on %s although %s is taken", f.OTLP.GRPC, addr)
	}
	mentions(t, "what is left to do", strings.Join(f.Warnings, "\n"), addr, "let the collector there send a copy")

	// Who listens there is a rollcall of ours.
	f = find(t, Options{Receiving: func(string) int { return 7 }, Env: env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")})
	if f.OTLP.GRPC != addr || len(f.Warnings) != 0 {
		t.Errorf("our own receiver is taken for somebody else's: %+v %v", f.OTLP, f.Warnings)
	}
}

func TestTheEnvironmentTellsWhereTheServiceSendsItsTraces(t *testing.T) {
	for raw, want := range map[string]struct {
		host string
		port int
		grpc bool
	}{
		"http://localhost:4318":       {"localhost", 4318, false},
		"http://127.0.0.1:4317":       {"127.0.0.1", 4317, true},
		"collector.example:5555":      {"collector.example", 5555, true},
		"https://otlp.example/v1/abc": {"otlp.example", 4317, true},
	} {
		host, port, grpc, ok := exporter(env("OTEL_EXPORTER_OTLP_ENDPOINT", raw))
		if !ok || host != want.host || port != want.port || grpc != want.grpc {
			t.Errorf("%s is read as %s %d grpc=%v (%v)", raw, host, port, grpc, ok)
		}
	}
	for _, raw := range []string{"", "::", "http://\x1b[2J:4317"} {
		if host, _, _, ok := exporter(env("OTEL_EXPORTER_OTLP_ENDPOINT", raw)); ok {
			t.Errorf("%q is read as host %q", raw, host)
		}
	}
}
