package faultproxy

import (
	"net"
	"net/http"
	"sync/atomic"
)

// Resolver is a transport whose host name cannot be found while Broken is set.
type Resolver struct {
	Next   http.RoundTripper
	Broken atomic.Bool
}

// RoundTrip sends a request, or fails as a dial does without a name.
func (r *Resolver) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.Broken.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: req.URL.Hostname(), IsNotFound: true}}
	}
	return r.Next.RoundTrip(req)
}
