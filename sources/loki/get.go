package loki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	maxTries     = 2
	firstWait    = 200 * time.Millisecond
	longestWait  = 5 * time.Second
	maxErrorBody = 8 << 10
	maxErrorText = 300
)

// answer is what a call said about itself besides its data.
type answer struct {
	took    time.Duration
	fetched time.Time
	skew    time.Duration
}

// facts begins the facts of a result.
func (a answer) facts() sources.Facts {
	return sources.Facts{Source: "loki", Fetched: a.fetched, Took: a.took, Skew: a.skew}
}

// get reads one endpoint and hands the body to read, which keeps what it needs.
// A read that fails before anything usable came is tried once more when Loki or
// the way to it was at fault. The body ends with errTooLong when it is longer
// than any answer may be.
func (c *Client) get(ctx context.Context, path string, params url.Values, read func(body io.Reader) error) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	began := c.clock.Wall()
	if err := c.leftAlone(ctx); err != nil {
		c.saw(answer{}, err)
		return answer{}, err
	}
	for try := 1; ; try++ {
		a, after, err := c.once(ctx, path, params, read)
		a.fetched = c.clock.Wall()
		a.took = a.fetched.Sub(began)
		if err == nil {
			c.saw(a, nil)
			return a, nil
		}
		var f *failure
		again := errors.As(err, &f) && f.transient && try < maxTries && ctx.Err() == nil
		if again {
			pause := max(time.Duration(float64(firstWait)*(0.5+c.jitter())), after)
			deadline, _ := ctx.Deadline()
			again = pause <= longestWait && pause < time.Until(deadline)
			if again {
				again = c.wait(ctx, pause) == nil
			}
		}
		if !again {
			c.saw(a, err)
			return a, err
		}
		c.log.Debug("loki: trying again", "path", path, "err", err)
	}
}

// failure is an error of a call: where, what, and what to do about it, in one line.
type failure struct {
	where, what, remedy string
	transient           bool // worth another try
	asked               bool // Loki works; what it was asked is wrong
	cause               error
}

func (f *failure) Error() string {
	s := "loki " + f.where + ": " + f.what
	if f.remedy != "" {
		s += "; " + f.remedy
	}
	return s
}

func (f *failure) Unwrap() error { return f.cause }

// Unreachable tells whether the source, rather than the question, is at fault.
func (f *failure) Unreachable() bool { return !f.asked }

func (c *Client) once(ctx context.Context, path string, params url.Values, read func(io.Reader) error) (answer, time.Duration, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint(path, params).String(), nil)
	if err != nil {
		return a, 0, &failure{where: c.where, what: "the request cannot be made", remedy: "check loki.url", cause: err}
	}
	c.dress(req.Header)
	if c.user != nil {
		password, _ := c.user.Password()
		req.SetBasicAuth(c.user.Username(), password)
	}
	sent := c.clock.Wall()
	resp, err := c.http.Do(req)
	if err != nil {
		return a, 0, c.unreached(ctx, err)
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		_ = resp.Body.Close()
	}()
	a.skew = skew(resp.Header, sent, c.clock.Wall())
	if resp.StatusCode != http.StatusOK {
		return a, c.asked(resp), c.refused(resp)
	}
	body := &bounded{r: resp.Body, left: c.maxBody * wireFactor}
	err = read(body)
	switch {
	case err == nil:
		return a, 0, nil
	case ctx.Err() != nil:
		return a, 0, c.unreached(ctx, ctx.Err())
	case errors.Is(err, errNotJSON):
		kind := redact.SanitizeLine(resp.Header.Get("Content-Type"), 60)
		return a, 0, &failure{where: c.where, what: fmt.Sprintf("answered %s instead of JSON", orElse(kind, "something")), remedy: "a proxy or a login page may be in between; check loki.url and loki.http", cause: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return a, 0, &failure{where: c.where, what: "the answer broke off", remedy: "try again, or narrow the range", transient: true, cause: err}
	}
	var f *failure
	if errors.As(err, &f) {
		return a, 0, err
	}
	return a, 0, &failure{where: c.where, what: redact.SanitizeLine(c.redact.Text(err.Error()), maxErrorText), remedy: "check that loki.url is Loki's own address", cause: err}
}

// unreached explains why there is no answer.
func (c *Client) unreached(ctx context.Context, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) { // its text would repeat the whole query
		err = ue.Err
	}
	f := &failure{where: c.where, cause: err}
	var (
		dns       *net.DNSError
		file      *os.PathError
		unknownCA x509.UnknownAuthorityError
		badCert   *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.what = "the read was cancelled"
		return f
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		f.what = fmt.Sprintf("no answer in time (loki.timeout is %s)", c.timeout)
		f.remedy = "narrow the range, or raise loki.timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.what, f.remedy, f.transient = "connection refused", "is Loki running there? check loki.url", true
	case errors.As(err, &dns):
		f.what, f.remedy = "the host name is not known", "check loki.url and the name server"
	case errors.As(err, &file):
		f.what, f.remedy = redact.SanitizeLine(file.Error(), maxErrorText), "check the file names under loki.http"
	case errors.As(err, &unknownCA):
		f.what, f.remedy = "certificate of an unknown authority", "set loki.http.tls_config.ca_file"
	case errors.As(err, &badCert):
		f.what, f.remedy = "certificate not valid: "+redact.SanitizeLine(badCert.Err.Error(), maxErrorText), "renew it, or set server_name under loki.http.tls_config"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		f.what, f.remedy, f.transient = "the connection broke off", "try again; look at Loki's own log", true
	default:
		f.what = redact.SanitizeLine(c.redact.Text(err.Error()), maxErrorText)
		f.remedy = "check loki.url and loki.http"
	}
	return f
}

// refused explains a status other than 200, in Loki's words where it has some.
func (c *Client) refused(resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	said := strings.TrimSpace(string(raw))
	if strings.Contains(resp.Header.Get("Content-Type"), "html") || strings.HasPrefix(said, "<") {
		said = ""
	}
	if msg := errorMessage(said); msg != "" {
		said = msg
	}
	said = redact.SanitizeLine(strings.TrimSpace(c.redact.Text(said)), maxErrorText)
	f := &failure{where: c.where, what: fmt.Sprintf("%d %s", resp.StatusCode, orElse(http.StatusText(resp.StatusCode), "status"))}
	if said != "" {
		f.what += ": " + said
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		f.remedy = "check the credentials in loki.http and the tenant in loki.headers (X-Scope-OrgID)"
		if strings.Contains(said, "org id") {
			f.remedy = "name the tenant in loki.headers (X-Scope-OrgID)"
		}
	case code == http.StatusNotFound:
		f.remedy = "check that loki.url is Loki's own address, without a path of its API"
	case code == http.StatusTooManyRequests:
		f.remedy, f.transient = "ask for a shorter range, or wait", true
		if s := resp.Header.Get("Retry-After"); s != "" {
			f.remedy = "Loki asks to wait " + redact.SanitizeLine(s, 40) + " (seconds, or until then)"
		}
	case code == http.StatusInternalServerError || code == http.StatusBadGateway || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
		f.remedy, f.transient = "Loki or a proxy before it is in trouble; look at its own log", true
	case code >= 400 && code < 500:
		f.remedy, f.asked = "check the query", true
	default:
		f.remedy = "check loki.url"
	}
	return f
}

// errorMessage takes the message out of {"status":"error","message":…}.
func errorMessage(body string) string {
	if !strings.HasPrefix(body, "{") {
		return ""
	}
	var message, text string
	r := newReader(strings.NewReader(body), maxErrorBody)
	err := r.object(func(key string) error {
		switch key {
		case "message", "error":
			v, err := r.text()
			if key == "message" {
				message = v
			} else {
				text = v
			}
			return err
		}
		return r.skip()
	})
	if err != nil {
		return ""
	}
	return orElse(message, text)
}

// saw keeps the health up to date. A wrong question says nothing bad about Loki.
func (c *Client) saw(a answer, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var f *failure
	if err == nil || errors.As(err, &f) && f.asked {
		c.health.State, c.health.Reason = sources.SourceUp, ""
		c.health.LastGood, c.health.Latency, c.health.Skew = a.fetched, a.took, a.skew
		return
	}
	c.health.State, c.health.Reason = sources.SourceDown, strings.TrimPrefix(err.Error(), "loki ")
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

// asked is how long Loki wants to be left alone, which holds for all calls.
func (c *Client) asked(resp *http.Response) time.Duration {
	now := c.clock.Wall()
	d, said := hold.After(resp.Header, now)
	if !said || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	c.hold.Asked(resp.StatusCode, now, d, c.jitter())
	left, _, _ := c.hold.Left(now)
	return left
}

// leftAlone waits out the end of a time for which Loki asked to be left alone, and fails when there is more of it.
func (c *Client) leftAlone(ctx context.Context) error {
	err := c.hold.Wait(ctx, longestWait, c.clock.Wall, c.wait)
	switch why := (*hold.Held)(nil); {
	case errors.As(err, &why):
		return &failure{where: c.where, what: why.Error(), remedy: "ask for a shorter range, or raise its limits", cause: err}
	case err != nil:
		return c.unreached(ctx, err)
	}
	return nil
}

var errTooLong = errors.New("the answer is too long")

// bounded ends with errTooLong after left bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
