// Package faultproxy stands between a client under test and a healthy server and
// does what networks, proxies and servers in trouble do. It is for tests.
package faultproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Proxy serves a healthy handler, through the fault that is set.
type Proxy struct {
	// URL stays the same whatever happens.
	URL string
	// CA is the file of the certificate authority; empty without TLS.
	CA string

	t       testing.TB
	addr    string
	healthy http.Handler
	good    tls.Certificate
	bad     tls.Certificate
	secure  bool

	mu       sync.Mutex
	fault    Fault
	over     chan struct{} // closed when the fault is taken away
	server   *http.Server  // nil while nobody listens
	conns    map[net.Conn]bool
	requests int
	sent     int64
}

// New starts a proxy before a healthy server. It ends with the test.
func New(t testing.TB, healthy http.Handler) *Proxy {
	t.Helper()
	p := &Proxy{t: t, healthy: healthy, over: make(chan struct{}), conns: map[net.Conn]bool{}}
	p.start()
	return p
}

// NewTLS is New over https, with a certificate of an authority of its own.
func NewTLS(t testing.TB, healthy http.Handler) *Proxy {
	t.Helper()
	p := &Proxy{t: t, healthy: healthy, over: make(chan struct{}), conns: map[net.Conn]bool{}, secure: true}
	p.CA, p.good, p.bad = certificates(t)
	p.start()
	return p
}

func (p *Proxy) start() {
	p.t.Helper()
	p.listen()
	p.URL = "http://" + p.addr
	if p.secure {
		p.URL = "https://" + p.addr
	}
	p.t.Cleanup(func() {
		p.Heal()
		p.stop()
	})
}

// listen takes the proxy's address, which is a free one the first time.
func (p *Proxy) listen() {
	p.t.Helper()
	addr := p.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		p.t.Fatalf("fault proxy: %v", err)
	}
	p.addr = l.Addr().String()
	s := &http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(c net.Conn, state http.ConnState) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.conns[c] = true; state == http.StateClosed || state == http.StateHijacked {
				delete(p.conns, c)
			}
		},
	}
	if p.secure {
		l = tls.NewListener(l, &tls.Config{GetCertificate: p.certificate, MinVersion: tls.VersionTLS12})
	}
	p.mu.Lock()
	p.server = s
	p.mu.Unlock()
	go func() { _ = s.Serve(l) }()
}

func (p *Proxy) stop() {
	p.mu.Lock()
	s := p.server
	p.server = nil
	p.mu.Unlock()
	if s != nil {
		_ = s.Close()
	}
}

// Set makes the proxy behave so from now on.
func (p *Proxy) Set(f Fault) {
	p.t.Helper()
	p.Heal()
	p.mu.Lock()
	p.fault = f
	p.mu.Unlock()
	switch {
	case f.refused:
		p.stop()
	case f.expired:
		p.hangUp() // so that there is a new handshake
	}
}

// Heal takes the fault away and lets go of whoever it held.
func (p *Proxy) Heal() {
	p.t.Helper()
	p.mu.Lock()
	p.fault = Fault{}
	close(p.over)
	p.over = make(chan struct{})
	gone := p.server == nil
	p.mu.Unlock()
	if gone {
		p.listen()
	}
}

func (p *Proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Requests counts those that arrived so far.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Sent counts the bytes of answers that a fault of endless ones got rid of.
func (p *Proxy) Sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *Proxy) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.expired {
		return &p.bad, nil
	}
	return &p.good, nil
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests++
	f, over := p.fault, p.over
	p.mu.Unlock()
	if f.serve == nil {
		p.healthy.ServeHTTP(w, r)
		return
	}
	// Read first: otherwise the server does not notice that the client hung up.
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.serve(p, w, r, over)
}

// record is what the healthy server would have said.
func (p *Proxy) record(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	p.healthy.ServeHTTP(rec, r)
	return rec
}
