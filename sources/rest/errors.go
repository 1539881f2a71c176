package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"rollcall/sources"
	"rollcall/sources/hold"
	"rollcall/sources/redact"
)

const (
	maxErrorBody = 8 << 10
	maxErrorText = 300
)

// Error is a failed read: where, what, and what to do about it, in one line.
type Error struct {
	Text      string
	Status    int  // HTTP code of a refusal, else 0
	Uncertain bool // a write that got no answer: it may have been carried out
	transient bool // worth another try
	asked     bool // the backend works; what it was asked is wrong
	canceled  bool
	cause     error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.cause }

// Unreachable tells whether the source, rather than the question, is at fault.
func (e *Error) Unreachable() bool { return !e.asked }

// uncertain marks a write that left and was not answered.
func (e *Error) uncertain(method string) *Error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case method == http.MethodGet, errors.Is(e.cause, syscall.ECONNREFUSED), errors.As(e.cause, &dns):
	case errors.As(e.cause, &op) && op.Op == "dial":
	default:
		e.Uncertain = true
		e.Text += "; it may have been carried out all the same, so look before trying again"
	}
	return e
}

func (c *Client) fail(what, remedy string, cause error) *Error {
	e := &Error{Text: fmt.Sprintf("%s %s: %s", c.name, c.where, what), cause: cause}
	if remedy != "" {
		e.Text += "; " + remedy
	}
	return e
}

// Unreadable is the error of an answer that came whole but is not what was asked for.
func (c *Client) Unreadable(a Answer, err error) error {
	e := c.fail("answer cannot be read: "+c.clean(err.Error()), "check "+c.name+".url and what stands between", err)
	c.saw(a, e)
	return e
}

func (c *Client) tooLarge() *Error {
	return c.fail(fmt.Sprintf("answer larger than %d MiB", max(1, c.maxBody>>20)), "raise "+c.name+".max_body, or ask for less; it can be looked at in the server's own screen", nil)
}

// Clean makes one safe line of what the backend says.
func (c *Client) Clean(s string) string { return c.clean(s) }

func (c *Client) clean(s string) string {
	return redact.SanitizeLine(strings.TrimSpace(c.opts.Redactor.Text(s)), maxErrorText)
}

// unreached explains why there is no answer.
func (c *Client) unreached(ctx context.Context, err error) *Error {
	var u *url.Error
	if errors.As(err, &u) { // its text would repeat the whole query
		err = u.Err
	}
	var (
		dns       *net.DNSError
		file      *os.PathError
		unknownCA x509.UnknownAuthorityError
		badCert   *tls.CertificateVerificationError
	)
	e := func(transient bool, what, remedy string) *Error {
		f := c.fail(what, remedy, err)
		f.transient = transient
		return f
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f := e(false, "the read was cancelled", "")
		f.canceled = true
		return f
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return e(false, "no answer in time", fmt.Sprintf("look at its load, or raise %s.timeout (%s)", c.name, c.timeout))
	case errors.Is(err, syscall.ECONNREFUSED):
		return e(true, "connection refused", "is it running there? check "+c.name+".url")
	case errors.As(err, &dns):
		return e(false, "the host name is not known", "check "+c.name+".url and the name server")
	case errors.As(err, &file):
		return e(false, c.clean(file.Error()), "check the file names under "+c.name+".http")
	case errors.As(err, &unknownCA):
		return e(false, "certificate of an unknown authority", "set "+c.name+".http.tls_config.ca_file")
	case errors.As(err, &badCert):
		return e(false, "certificate not valid: "+c.clean(badCert.Err.Error()), "renew it, or set server_name under "+c.name+".http.tls_config")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return e(true, "the connection broke off", "try again; look at its own log")
	}
	return e(false, c.clean(err.Error()), "check "+c.name+".url and "+c.name+".http")
}

// refused explains a status other than 200, in the server's words where it has some.
func (c *Client) refused(resp *http.Response) *Error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	said := strings.TrimSpace(string(raw))
	if strings.Contains(resp.Header.Get("Content-Type"), "html") || strings.HasPrefix(said, "<") {
		said = ""
	}
	if m := message(said); m != "" {
		said = m
	}
	what := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	if said = c.clean(said); said != "" {
		what += ": " + said
	}
	e := func(transient, asked bool, remedy string) *Error {
		f := c.fail(what, remedy, nil)
		f.Status, f.transient, f.asked = resp.StatusCode, transient, asked
		return f
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return e(false, false, fmt.Sprintf("check the credentials in %s.http and the tenant in %s.headers (X-Scope-OrgID)", c.name, c.name))
	case code == http.StatusTooManyRequests:
		if s := resp.Header.Get("Retry-After"); s != "" {
			return e(true, false, "it asks to wait "+redact.SanitizeLine(s, 40)+" (seconds, or until then)")
		}
		return e(true, false, "it is limiting this client; wait, or raise its limit")
	case code >= 500:
		return e(true, false, "it or a proxy before it is in trouble; look at its own log")
	case code >= 400:
		return e(false, true, "check what was asked for")
	}
	return e(false, false, "check "+c.name+".url")
}

// message takes the message out of {"error":{"message":…}}, {"message":…} or {"errors":[{"msg":…}]}.
func message(body string) string {
	var m struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
		Errors  []struct {
			Msg string `json:"msg"`
		} `json:"errors"`
	}
	if !strings.HasPrefix(body, "{") || json.Unmarshal([]byte(body), &m) != nil {
		return ""
	}
	var inner struct {
		Message string `json:"message"`
	}
	var text string
	switch {
	case json.Unmarshal(m.Error, &inner) == nil && inner.Message != "":
		return inner.Message
	case json.Unmarshal(m.Error, &text) == nil && text != "":
		return text
	case len(m.Errors) > 0:
		return m.Errors[0].Msg
	}
	return m.Message
}

// saw keeps the health up to date. A wrong question, or one that nobody waits
// for any more, says nothing bad about the backend.
func (c *Client) saw(a Answer, err error) {
	var e *Error
	if errors.As(err, &e) && e.canceled {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.health.State
	switch {
	case a.NoRoute:
		c.health.State, c.health.Reason = sources.SourceDown, fmt.Sprintf("%s %s: 404, no such API; check that %s.url is its own address", c.name, c.where, c.name)
	case err == nil || e != nil && e.asked:
		c.health.State, c.health.Reason = sources.SourceUp, ""
		c.health.LastGood, c.health.Latency, c.health.Skew = a.Fetched, a.Took, a.Skew
	default:
		c.health.State, c.health.Reason = sources.SourceDown, err.Error()
	}
	if was != c.health.State && was != sources.SourceUnknown {
		c.opts.Log.Info(c.name+" changed state", "state", c.health.State, "reason", c.health.Reason)
	}
}

// NoAPI is the error of a server that does not know any of the paths asked for.
func (c *Client) NoAPI(a Answer) error {
	a.NoRoute = true
	c.saw(a, nil)
	return c.fail("404, no such API", "check that "+c.name+".url is its own address", nil)
}

// skew is the server's clock minus ours. The Date header counts whole seconds, so less than one is none.
func skew(h http.Header, sent, got time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	d := date.Add(500 * time.Millisecond).Sub(sent.Add(got.Sub(sent) / 2))
	if d.Abs() < time.Second+got.Sub(sent)/2 {
		return 0
	}
	return d.Round(100 * time.Millisecond)
}

// holdBack is how long the server wants to be left alone, which holds for all calls.
func (c *Client) holdBack(resp *http.Response) time.Duration {
	now := c.opts.Clock.Wall()
	d, said := hold.After(resp.Header, now)
	if !said || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	c.hold.Asked(resp.StatusCode, now, d, c.jitter())
	left, _, _ := c.hold.Left(now)
	return left
}

// leftAlone waits out the end of a time for which the server asked to be left alone, and fails when there is more of it.
func (c *Client) leftAlone(ctx context.Context) error {
	err := c.hold.Wait(ctx, longestWait, c.opts.Clock.Wall, c.wait)
	switch why := (*hold.Held)(nil); {
	case errors.As(err, &why):
		return c.fail(why.Error(), "raise its limit for this client, or look at its load", err)
	case err != nil:
		return c.unreached(ctx, err)
	}
	return nil
}
