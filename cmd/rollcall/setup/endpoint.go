package setup

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"rollcall/cmd/rollcall/config"
)

// Endpoint is where rollcall will receive traces.
type Endpoint struct {
	GRPC, HTTP string // addresses on loopback
	Note       string // what stands about it in the file
}

// elsewhere is what is added to a port that somebody else has.
const elsewhere = 10_000

// endpoint finds ports for the OTLP endpoint. Where something listens on the
// usual ones already, others are taken: that is a collector, which can send a copy.
func (a *asking) endpoint(ctx context.Context) {
	grpc, http := 4317, 4318
	note := "rollcall is the endpoint: send traces here"
	if host, port, isGRPC, ok := exporter(a.o.Env); ok {
		switch {
		case !loopback(host):
			note = "let the collector at " + host + " send a copy of traces here"
			a.guess("the service exports its traces to %s; rollcall sees them once a collector there sends a copy to this machine", host)
		case isGRPC && port != http:
			grpc = port
		case !isGRPC && port != grpc:
			http = port
		}
	}
	if a.o.Receiving != nil {
		if pid := a.o.Receiving(config.StateDir(a.o.Env)); pid > 0 {
			a.OTLP = Endpoint{at(grpc), at(http), fmt.Sprintf("%s; process %d does already", note, pid)}
			return
		}
	}
	e := Endpoint{GRPC: free(ctx, grpc), HTTP: free(ctx, http), Note: note}
	if e.GRPC != at(grpc) || e.HTTP != at(http) {
		e.Note = "the usual ports are taken; let the collector there send a copy here"
		a.warn("something listens on %s: traces are received on %s (gRPC) and %s (HTTP); let the collector there send a copy, or stop it and set otlp: anew",
			taken(e, grpc, http), cmp.Or(e.GRPC, "no port"), cmp.Or(e.HTTP, "no port"))
	}
	e.GRPC, e.HTTP = cmp.Or(e.GRPC, "off"), cmp.Or(e.HTTP, "off")
	a.OTLP = e
}

func taken(e Endpoint, grpc, http int) string {
	var list []string
	if e.GRPC != at(grpc) {
		list = append(list, at(grpc))
	}
	if e.HTTP != at(http) {
		list = append(list, at(http))
	}
	return strings.Join(list, " and ")
}

// exporter reads where the environment tells programs to send traces.
func exporter(env config.Env) (host string, port int, grpc, ok bool) {
	get := func(name string) string { v, _ := env(name); return v }
	raw := cmp.Or(get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), get("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if raw == "" {
		return "", 0, false, false
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || !plain(u.Hostname()) {
		return "", 0, false, false
	}
	port, err = strconv.Atoi(u.Port())
	if err != nil {
		port = 4317
	}
	protocol := cmp.Or(get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), get("OTEL_EXPORTER_OTLP_PROTOCOL"))
	return u.Hostname(), port, protocol == "grpc" || protocol == "" && port != 4318, true
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func at(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// free returns the address of a port that can be had, of one beside it, or "".
func free(ctx context.Context, port int) string {
	for _, p := range [...]int{port, port + elsewhere, port + elsewhere + 10, port + elsewhere + 20} {
		if p > 65535 {
			break
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at(p))
		if err != nil {
			continue
		}
		_ = l.Close()
		return at(p)
	}
	return ""
}
