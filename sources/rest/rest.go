// Package rest is what the clients of trace backends and of Alertmanager share:
// HTTP bounded in time and bytes, reads retried gently and writes never, and every
// failure in one sanitised line with what to do about it.
package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/config"

	"rollcall/sources"
	"rollcall/sources/hold"
	"rollcall/sources/redact"
)

// Config is the section of one backend in the configuration.
type Config struct {
	URL     string                  `yaml:"url"`
	HTTP    config.HTTPClientConfig `yaml:"http,omitempty"` // as Prometheus itself writes it
	Headers map[string]string       `yaml:"headers,omitempty"`
	Timeout sources.Duration        `yaml:"timeout,omitempty"`  // wall time of one read, retry included; 5s
	MaxBody sources.ByteSize        `yaml:"max_body,omitempty"` // largest answer; 64MiB
}

const (
	defaultTimeout = 5 * time.Second
	defaultMaxBody = 64 << 20
	maxTries       = 2
	firstWait      = 200 * time.Millisecond
	longestWait    = 3 * time.Second
	inFlight       = 4
)

// Options are what a client needs from the program around it.
type Options struct {
	Clock    sources.Clock
	Redactor interface{ Text(s string) string } // for what a server says in its errors
	Log      *slog.Logger                       // nil discards
}

// Client reads one backend. It is safe for concurrent use.
type Client struct {
	name    string // "tempo": how the section, the source and the errors are called
	base    *url.URL
	where   string // the URL without credentials
	http    *http.Client
	headers map[string]string
	user    *url.Userinfo
	opts    Options
	timeout time.Duration
	maxBody int64
	slots   chan struct{}
	wait    func(context.Context, time.Duration) error // wall time
	jitter  func() float64                             // in [0,1)

	hold hold.Hold

	mu     sync.Mutex
	health sources.Health
}

// New returns a client; drop are paths that people append to the URL of their
// server, such as "/api", which are taken off. It does not connect: a server
// that is down is a matter of Health, not of New.
func New(name string, cfg Config, opts Options, drop ...string) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(cfg.URL))
	switch {
	case cfg.URL == "":
		return nil, fmt.Errorf("%s.url is empty; set it like http://127.0.0.1:3200", name)
	case err != nil:
		return nil, fmt.Errorf("%s.url is not a URL; write it like http://127.0.0.1:3200", name)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%s.url %s needs a scheme and a host; write it like http://127.0.0.1:3200", name, redact.SanitizeLine(u.Redacted(), 200))
	case opts.Clock == nil || opts.Redactor == nil:
		return nil, fmt.Errorf("the %s client needs a clock and a redactor", name)
	}
	if reflect.DeepEqual(cfg.HTTP, config.HTTPClientConfig{}) {
		cfg.HTTP = config.DefaultHTTPClientConfig
	}
	if err := cfg.HTTP.Validate(); err != nil {
		return nil, fmt.Errorf("%s.http: %w", name, err)
	}
	client, err := config.NewClientFromConfig(cfg.HTTP, "rollcall-"+name, config.WithUserAgent("rollcall"))
	if err != nil {
		return nil, fmt.Errorf("%s.http: %w; check the file names there", name, err)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		name: name, where: redact.SanitizeLine(u.Redacted(), 200), http: client, headers: cfg.Headers, user: u.User, opts: opts,
		timeout: cfg.Timeout.Or(defaultTimeout), maxBody: cfg.MaxBody.Or(defaultMaxBody), slots: make(chan struct{}, inFlight),
		wait: wait, jitter: rand.Float64, health: sources.Health{Source: name, State: sources.SourceUnknown},
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	u.Path = strings.TrimRight(u.Path, "/")
	for _, d := range drop {
		u.Path = strings.TrimRight(strings.TrimSuffix(u.Path, d), "/")
	}
	c.base = u
	return c, nil
}

// Close releases idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Health says how the backend answered last.
func (c *Client) Health() sources.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Answer is what came back. Missing means that the backend works and does not
// have what was asked for; NoRoute that it does not know the path.
type Answer struct {
	Body    []byte
	Type    string // media type, without parameters
	Missing bool
	NoRoute bool
	Took    time.Duration
	Fetched time.Time
	Skew    time.Duration
}

// Facts begins the facts of a result.
func (c *Client) Facts(a Answer) sources.Facts {
	return sources.Facts{Source: c.name, Fetched: a.Fetched, Took: a.Took, Skew: a.Skew}
}

// Get reads one path. Errors are of type *Error.
func (c *Client) Get(ctx context.Context, path string, params url.Values, accept string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	began := c.opts.Clock.Wall()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Answer{}, c.unreached(ctx, ctx.Err())
	}
	if err := c.leftAlone(ctx); err != nil {
		c.saw(Answer{}, err)
		return Answer{}, err
	}
	for try := 1; ; try++ {
		a, after, err := c.once(ctx, http.MethodGet, path, params, accept, nil)
		a.Fetched = c.opts.Clock.Wall()
		a.Took = a.Fetched.Sub(began)
		var e *Error
		if errors.As(err, &e) && e.transient && try < maxTries && ctx.Err() == nil {
			pause := max(time.Duration(float64(firstWait)*(0.5+c.jitter())), after)
			deadline, _ := ctx.Deadline()
			if pause <= longestWait && pause < time.Until(deadline) && c.wait(ctx, pause) == nil {
				c.opts.Log.Debug(c.name+": trying again", "path", path, "err", err)
				continue
			}
		}
		c.saw(a, err)
		return a, err
	}
}

// Send writes: it posts, puts or deletes with a JSON body (nil for none), once.
// Where there was no answer to a request that may have arrived, the error says
// so in Uncertain.
func (c *Client) Send(ctx context.Context, method, path string, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Answer{}, c.unreached(ctx, ctx.Err())
	}
	began := c.opts.Clock.Wall()
	a, _, err := c.once(ctx, method, path, nil, "application/json", body)
	a.Fetched = c.opts.Clock.Wall()
	a.Took = a.Fetched.Sub(began)
	c.saw(a, err)
	return a, err
}

func (c *Client) once(ctx context.Context, method, path string, params url.Values, accept string, write []byte) (Answer, time.Duration, error) {
	var a Answer
	u := c.base.JoinPath(path)
	u.RawQuery = params.Encode()
	var body io.Reader
	if write != nil {
		body = bytes.NewReader(write)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return a, 0, c.fail("the request cannot be made", "check "+c.name+".url", err)
	}
	for k, v := range c.headers {
		req.Header.Set(k, v)
		if http.CanonicalHeaderKey(k) == "Host" {
			req.Host = v
		}
	}
	req.Header.Set("Accept", accept)
	if write != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.user != nil {
		pass, _ := c.user.Password()
		req.SetBasicAuth(c.user.Username(), pass)
	}
	sent := c.opts.Clock.Wall()
	resp, err := c.http.Do(req)
	if err != nil {
		return a, 0, c.unreached(ctx, err).uncertain(method)
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		_ = resp.Body.Close()
	}()
	a.Skew = skew(resp.Header, sent, c.opts.Clock.Wall())
	a.Type, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return c.missing(a, resp)
	case resp.StatusCode != http.StatusOK && (method == http.MethodGet || resp.StatusCode/100 != 2):
		return a, c.holdBack(resp), c.refused(resp)
	case a.Type == "text/html":
		return a, 0, c.fail("answered a web page, not its API", "check "+c.name+".url, and whether a login page stands before it", nil)
	case resp.ContentLength > c.maxBody:
		return a, 0, c.tooLarge()
	}
	a.Body, err = io.ReadAll(io.LimitReader(resp.Body, c.maxBody+1))
	switch {
	case ctx.Err() != nil:
		return a, 0, c.unreached(ctx, ctx.Err()).uncertain(method)
	case err != nil:
		return a, 0, c.unreached(ctx, err).uncertain(method)
	case int64(len(a.Body)) > c.maxBody:
		return a, 0, c.tooLarge()
	}
	return a, 0, nil
}

// missing tells a server that has no such thing from one that is not what it is taken for.
func (c *Client) missing(a Answer, resp *http.Response) (Answer, time.Duration, error) {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	said := strings.TrimSpace(string(raw))
	if a.Type == "text/html" || strings.HasPrefix(said, "<") {
		return a, 0, c.fail("404 and a web page", "check that "+c.name+".url is its own address", nil)
	}
	a.NoRoute = strings.Contains(said, "404 page not found") // how Go's servers say it
	a.Missing = !a.NoRoute
	return a, 0, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
