// Package loki reads logs from a Loki over its HTTP API: queries, labels and a
// live tail. Every read is bounded in time, bytes and lines, and everything that
// comes back is sanitised and redacted before it leaves.
package loki

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// Config is the `loki:` section of the configuration.
type Config struct {
	URL     string                  `yaml:"url"`
	HTTP    config.HTTPClientConfig `yaml:"http,omitempty"` // as Prometheus and promtail write it
	Headers map[string]string       `yaml:"headers,omitempty"`
	Timeout sources.Duration        `yaml:"timeout,omitempty"`  // wall time of one read, retry included; 10s
	MaxLine sources.ByteSize        `yaml:"max_line,omitempty"` // longer lines are cut; 256KiB
	MaxBody sources.ByteSize        `yaml:"max_body,omitempty"` // as much of an answer is kept; 64MiB
}

const (
	defaultTimeout = 10 * time.Second
	defaultMaxLine = 256 << 10
	defaultMaxBody = 64 << 20
	// An answer may be this many times longer on the wire than what is kept of it,
	// so that one absurdly long line, of which the beginning is kept, hides nothing else.
	wireFactor = 8
)

// Redactor makes text from outside safe to show and to store.
type Redactor interface {
	Text(s string) string
	Fields(names []string, values []*string, doc []int)
	Stream(lines []*string)
	People(line string, cut bool) (out string, less int)
	Kinds() []string // the names that placeholders can carry
}

// Options are what the client needs from the program around it.
type Options struct {
	Clock    sources.Clock
	Redactor Redactor
	Log      *slog.Logger // nil discards
}

// Client reads one Loki. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	where   string // the URL without credentials
	http    *http.Client
	ws      *http.Client // the same without HTTP/2, over which no websocket can be opened
	headers http.Header
	user    *url.Userinfo
	clock   sources.Clock
	redact  Redactor
	log     *slog.Logger
	timeout time.Duration
	maxLine int
	maxBody int64
	wait    func(context.Context, time.Duration) error // wall time
	jitter  func() float64                             // in [0,1)

	hold hold.Hold

	mu     sync.Mutex
	health sources.Health
}

// New returns a client. It does not connect: a Loki that is down is a matter of Health, not of New.
func New(cfg Config, opts Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(cfg.URL))
	switch {
	case cfg.URL == "":
		return nil, errors.New("loki.url is empty; set it like http://127.0.0.1:3100")
	case err != nil:
		return nil, errors.New("loki.url is not a URL; write it like http://127.0.0.1:3100")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("loki.url %s needs a scheme and a host; write it like http://127.0.0.1:3100", redact.SanitizeLine(u.Redacted(), 200))
	case opts.Clock == nil || opts.Redactor == nil:
		return nil, errors.New("the loki client needs a clock and a redactor")
	}
	if reflect.DeepEqual(cfg.HTTP, config.HTTPClientConfig{}) {
		cfg.HTTP = config.DefaultHTTPClientConfig
	}
	if err := cfg.HTTP.Validate(); err != nil {
		return nil, fmt.Errorf("loki.http: %w", err)
	}
	client, err := config.NewClientFromConfig(cfg.HTTP, "rollcall-loki", config.WithUserAgent("rollcall"))
	if err != nil {
		return nil, fmt.Errorf("loki.http: %w; check the file names there", err)
	}
	cfg.HTTP.EnableHTTP2 = false
	ws, err := config.NewClientFromConfig(cfg.HTTP, "rollcall-loki-tail", config.WithUserAgent("rollcall"))
	if err != nil {
		return nil, fmt.Errorf("loki.http: %w; check the file names there", err)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		where:   redact.SanitizeLine(u.Redacted(), 200),
		http:    client,
		ws:      ws,
		headers: make(http.Header),
		user:    u.User,
		clock:   opts.Clock,
		redact:  opts.Redactor,
		log:     opts.Log,
		timeout: cfg.Timeout.Or(defaultTimeout),
		maxLine: int(cfg.MaxLine.Or(defaultMaxLine)),
		maxBody: cfg.MaxBody.Or(defaultMaxBody),
		wait:    wait,
		jitter:  rand.Float64,
		health:  sources.Health{Source: "loki", State: sources.SourceUnknown},
	}
	u.User = nil
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/loki/api/v1")
	u.RawQuery, u.Fragment = "", ""
	c.base = u
	for name, v := range cfg.Headers {
		c.headers.Set(name, v)
	}
	return c, nil
}

// Close releases idle connections. Tails end with their contexts.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.ws.CloseIdleConnections()
}

// Health says how Loki answered last.
func (c *Client) Health() sources.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Check asks Loki something small and says in one line what is wrong and what to do about it.
func (c *Client) Check(ctx context.Context) error {
	now := c.clock.Now()
	_, err := c.Labels(ctx, now.Add(-time.Hour), now)
	return err
}

// endpoint returns the URL of a call.
func (c *Client) endpoint(path string, params url.Values) *url.URL {
	u := c.base.JoinPath("/loki/api/v1/", path)
	u.RawQuery = params.Encode()
	return u
}

// dress puts the configured headers on a request.
func (c *Client) dress(h http.Header) {
	for name, v := range c.headers {
		h[name] = v
	}
	// Structured metadata comes apart from the stream's labels.
	h.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
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
