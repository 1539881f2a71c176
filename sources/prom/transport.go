package prom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"rollcall/sources/hold"
)

// errTooLarge and errNotAPI are recognised when an error is put into words.
var (
	errTooLarge = errors.New("answer larger than max_body")
	errNotAPI   = errors.New("answered a web page, not the Prometheus API")
)

// transport adds what every read needs: headers, a limit on the answer's bytes,
// retries of "not now" answers, and a look at the server's clock.
type transport struct {
	next    http.RoundTripper
	headers map[string]string
	user    *url.Userinfo
	maxBody int64
	wall    func() time.Time
	wait    func(context.Context, time.Duration) error
	jitter  func() float64 // 0..1
	onDate  func(server, wall time.Time)
	onBytes func(n int)
	hold    *hold.Hold // shared by all calls: what one of them was told holds for the others
	retries *atomic.Int64
}

// RoundTrip sends the request, at most maxTries times.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	for k, v := range t.headers {
		req.Header.Set(k, v)
		if http.CanonicalHeaderKey(k) == "Host" {
			req.Host = v
		}
	}
	if t.user != nil && req.Header.Get("Authorization") == "" {
		pw, _ := t.user.Password()
		req.SetBasicAuth(t.user.Username(), pw)
	}
	for try := 1; ; try++ {
		resp, err := t.next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			t.onDate(date, t.wall())
		}
		if !notNow(resp) {
			return t.bounded(resp)
		}
		wait := t.pause(try, resp)
		deadline, limited := req.Context().Deadline()
		again := try < maxTries && wait <= maxRetryWait && (!limited || t.wall().Add(wait).Before(deadline))
		if again && req.Body != nil {
			if req.GetBody == nil {
				again = false
			} else if body, err := req.GetBody(); err == nil {
				req.Body = body
			} else {
				again = false
			}
		}
		if !again {
			t.hold.Asked(resp.StatusCode, t.wall(), leftAlone, t.jitter())
			return t.bounded(resp)
		}
		t.retries.Add(1)
		// A short drain lets the connection be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		_ = resp.Body.Close()
		if err := t.wait(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// notNow tells whether an answer asks for a later try. Prometheus itself answers
// 503 in JSON when a query ran into its time limit: that one would only do it again.
func notNow(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		return kind != "application/json" || resp.Header.Get("Retry-After") != ""
	}
	return false
}

// pause is what the server asked for, which holds for all calls, or a doubling wait with jitter.
func (t *transport) pause(try int, resp *http.Response) time.Duration {
	now := t.wall()
	if d, asked := hold.After(resp.Header, now); asked {
		t.hold.Asked(resp.StatusCode, now, d, t.jitter())
		left, _, _ := t.hold.Left(now)
		return left
	}
	d := firstRetryWait << (try - 1)
	return d/2 + time.Duration(t.jitter()*float64(d))
}

func (t *transport) bounded(resp *http.Response) (*http.Response, error) {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" && resp.StatusCode/100 == 2 {
		_ = resp.Body.Close()
		return nil, errNotAPI
	}
	if resp.ContentLength > t.maxBody {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: %d bytes, limit %d", errTooLarge, resp.ContentLength, t.maxBody)
	}
	resp.Body = &limited{body: resp.Body, left: t.maxBody, limit: t.maxBody, onBytes: t.onBytes}
	return resp, nil
}

// limited fails once more than its limit was read; cutting silently would look like a truncated answer.
type limited struct {
	body    io.ReadCloser
	left    int64
	limit   int64
	onBytes func(n int)
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, fmt.Errorf("%w: limit %d", errTooLarge, l.limit)
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.body.Read(p)
	l.left -= int64(n)
	l.onBytes(n)
	if l.left < 0 {
		return n, fmt.Errorf("%w: limit %d", errTooLarge, l.limit)
	}
	return n, err
}

func (l *limited) Close() error { return l.body.Close() }
