package faultproxy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is one way in which a server is in trouble.
type Fault struct {
	Name    string
	serve   func(p *Proxy, w http.ResponseWriter, r *http.Request, over <-chan struct{})
	refused bool
	expired bool
	silent  bool
}

// Silent tells whether only the client's own time limit ends a call.
func (f Fault) Silent() bool { return f.silent }

// Refused: nobody listens.
func Refused() Fault { return Fault{Name: "refused", refused: true} }

// Down: connections are taken and closed, as a load balancer without a server behind it does.
func Down() Fault {
	return Fault{Name: "down", serve: func(*Proxy, http.ResponseWriter, *http.Request, <-chan struct{}) { panic(http.ErrAbortHandler) }}
}

// Hanging: the request is taken and never answered.
func Hanging() Fault {
	return Fault{Name: "hanging", silent: true, serve: func(_ *Proxy, _ http.ResponseWriter, r *http.Request, over <-chan struct{}) {
		select {
		case <-r.Context().Done():
		case <-over:
			panic(http.ErrAbortHandler)
		}
	}}
}

// Slow: the answer is right, and comes in so small drops that it never ends.
func Slow() Fault {
	return Fault{Name: "slow", silent: true, serve: func(p *Proxy, w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
		p.copyHeader(w, p.record(r).Header())
		drop := time.NewTicker(5 * time.Millisecond)
		defer drop.Stop()
		for {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-drop.C:
			case <-r.Context().Done():
				return
			case <-over:
				panic(http.ErrAbortHandler)
			}
		}
	}}
}

// CutShort: the connection ends in the middle of the right answer.
func CutShort() Fault {
	return Fault{Name: "closed in the middle", serve: func(p *Proxy, w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		rec := p.record(r)
		p.copyHeader(w, rec.Header())
		body := rec.Body.Bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/3])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}
}

// Plain: something that answers 200 and text, with an attack on the terminal in it.
func Plain() Fault {
	return says("wrong content type", 200, "text/plain", "hello \x1b[2J\x1b]0;owned\x07 I am a printer\n")
}

// Page: a login page with status 200.
func Page() Fault {
	return says("HTML page", 200, "text/html; charset=utf-8", "<!DOCTYPE html><html>\x1b[31m<h1>Sign in</h1></html>")
}

// Status: an HTTP error with a body that drives terminals, and headers as name and value.
func Status(code int, body string, headers ...string) Fault {
	f := says(strconv.Itoa(code), code, "text/plain", body+"\x1b]0;owned\x07\r\nsecond line\n")
	inner := f.serve
	f.serve = func(p *Proxy, w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		inner(p, w, r, over)
	}
	return f
}

// ErrorPage: a proxy's own page, with its status.
func ErrorPage(code int) Fault {
	return says(fmt.Sprintf("HTML %d", code), code, "text/html", "<html>\x1b[5m<h1>Bad gateway</h1></html>")
}

func says(name string, code int, kind, body string) Fault {
	return Fault{Name: name, serve: func(_ *Proxy, w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}}
}

// Gigabyte begins like a right answer with the prefix and goes on for a gigabyte.
func Gigabyte(prefix string) Fault {
	return Fault{Name: "gigabyte", serve: func(p *Proxy, w http.ResponseWriter, _ *http.Request, over <-chan struct{}) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(prefix))
		chunk := []byte(strings.Repeat("1234567 ", 8<<10))
		for range (1 << 30) / len(chunk) {
			n, err := w.Write(chunk)
			p.mu.Lock()
			p.sent += int64(n)
			p.mu.Unlock()
			if err != nil {
				return
			}
			select {
			case <-over:
				panic(http.ErrAbortHandler)
			default:
			}
		}
	}}
}

// ClockOff: right answers from a machine whose clock is off by d.
func ClockOff(d time.Duration) Fault {
	return Fault{Name: "clock off by " + d.String(), serve: func(p *Proxy, w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		w.Header().Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
		p.healthy.ServeHTTP(w, r)
	}}
}

// Expired: the certificate's time is over. Only with NewTLS.
func Expired() Fault { return Fault{Name: "expired certificate", expired: true} }

func (p *Proxy) copyHeader(w http.ResponseWriter, from http.Header) {
	for k, v := range from {
		w.Header()[k] = v
	}
}
