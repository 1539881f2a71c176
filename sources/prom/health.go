package prom

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"rollcall/sources"
)

const (
	maxMessage = 200 // bytes of a remote message on screen
	maxLabel   = 256
)

// Error is a failed read in one line: what happened where, and what to do.
type Error struct {
	Text string
	// Rejected: the server is fine, the query is not.
	Rejected bool
	cause    error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.cause }

// Unreachable tells whether the source, rather than the question, is at fault.
func (e *Error) Unreachable() bool { return !e.Rejected }

// explain puts an error into one sanitised line with a remedy.
func (c *Client) explain(err error, timedOut bool) *Error {
	say := func(what, remedy string) *Error {
		return &Error{Text: fmt.Sprintf("prometheus %s: %s; %s", c.where, what, remedy), cause: err}
	}
	var apiErr *v1.Error
	if errors.As(err, &apiErr) {
		msg := apiErr.Msg
		if apiErr.Detail != "" && !strings.Contains(apiErr.Detail, "<html") && !strings.Contains(apiErr.Detail, "<!DOCTYPE") {
			msg += ": " + apiErr.Detail
		}
		msg = cut(c.sanitize(oneLine(msg)), maxMessage)
		switch {
		case apiErr.Type == v1.ErrBadData || apiErr.Type == v1.ErrExec:
			e := say("query rejected: "+msg, "check the query")
			e.Rejected = true
			return e
		case strings.Contains(apiErr.Msg, "429"):
			return say("too many requests", "it is limiting this client; raise its limit or refresh less often")
		case strings.Contains(apiErr.Msg, "401"), strings.Contains(apiErr.Msg, "403"):
			return say("access refused: "+msg, "check the credentials under prometheus.http and the tenant in prometheus.headers (X-Scope-OrgID)")
		case strings.Contains(apiErr.Msg, "404"):
			return say("no Prometheus API at this address", "check prometheus.url, path prefix included")
		case apiErr.Type == v1.ErrBadResponse:
			return say("answer is cut short or not JSON: "+msg, "check prometheus.url and what stands between")
		case apiErr.Type == v1.ErrTimeout, strings.Contains(apiErr.Detail, `"errorType":"timeout"`):
			return say("query timed out at the server", "use a shorter range, or look at its load")
		default:
			return say(msg, "look at the server's log")
		}
	}
	var (
		unknownCA x509.UnknownAuthorityError
		badCert   *tls.CertificateVerificationError
		file      *os.PathError
		dns       *net.DNSError
	)
	switch {
	case errors.Is(err, errTooLarge):
		return say(errTooLarge.Error(), "use a shorter range, or raise prometheus.max_body")
	case errors.Is(err, errNotAPI):
		return say(errNotAPI.Error(), "check prometheus.url, and whether a login page stands before it")
	case errors.As(err, &file):
		return say(cut(c.sanitize(file.Error()), maxMessage), "check the file names under prometheus.http")
	case timedOut, errors.Is(err, context.DeadlineExceeded):
		return say("no answer within "+c.timeout.String(), "look at its load, or raise prometheus.timeout")
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("connection refused", "is it running?")
	case errors.As(err, &dns):
		return say("host name not found", "check prometheus.url and the name server")
	case errors.As(err, &unknownCA):
		return say("certificate of an unknown authority", "set prometheus.http.tls_config.ca_file")
	case errors.As(err, &badCert):
		return say("certificate not valid: "+cut(c.sanitize(oneLine(badCert.Err.Error())), maxMessage), "renew it, or set server_name under prometheus.http.tls_config")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return say("connection ended in the middle of the answer", "look at the server and what stands between")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may carry the query
	}
	return say(cut(c.sanitize(oneLine(err.Error())), maxMessage), "check prometheus.url and prometheus.http")
}

// record keeps the state of the source; it returns the clock skew when that is worth showing.
func (c *Client) record(facts sources.Facts, err error, timedOut bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.health.State
	var e *Error
	unreachable := errors.As(err, &e) && e.Unreachable()
	c.hang.reason = nil
	if unreachable && timedOut {
		c.hang.reason = e
	}
	if unreachable {
		c.health.State = sources.SourceDown
		c.health.Reason = e.Text
	} else {
		c.health.State = sources.SourceUp
		c.health.Reason = ""
		c.health.LastGood = facts.Fetched
		c.health.Latency = facts.Took
	}
	if was != c.health.State && was != sources.SourceUnknown {
		c.log.Info("prometheus changed state", "state", c.health.State, "reason", c.health.Reason)
	}
	if c.health.Skew > sources.MaxSkew || c.health.Skew < -sources.MaxSkew {
		return c.health.Skew
	}
	return 0
}

// sawDate compares the server's clock with ours. The header has whole seconds,
// so up to a second of difference means nothing.
func (c *Client) sawDate(server, wall time.Time) {
	skew := server.Add(500 * time.Millisecond).Sub(wall)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.Skew = skew.Round(100 * time.Millisecond)
	if skew > -time.Second && skew < time.Second {
		c.health.Skew = 0
	}
}

// Health is the state of the source after the last read.
func (c *Client) Health() sources.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Debug returns counters since the start, as name and value.
func (c *Client) Debug() [][2]string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	minute := c.recent.sum(c.clock.Wall())
	return [][2]string{
		{"prom queries/min", n(minute.queries)},
		{"prom samples/min", n(minute.samples)},
		{"prom bytes/min", n(minute.bytes)},
		{"prom queries", n(c.queries.Load())},
		{"prom failures", n(c.failures.Load())},
		{"prom retries", n(c.retries.Load())},
		{"prom held back", n(c.heldBack.Load())},
		{"prom in flight", n(int64(len(c.slots)))},
		{"prom time", time.Duration(c.took.Load()).Round(time.Millisecond).String()},
		{"prom samples", n(c.samples.Load())},
		{"prom bytes", n(c.bytes.Load())},
	}
}

// plain makes text safe when the program around gave no better function.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return utf8.RuneError
		}
		return r
	}, s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
