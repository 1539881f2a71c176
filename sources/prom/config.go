// Package prom reads metrics from any server that speaks the Prometheus HTTP
// API. Every read is bounded in time and bytes, cancellable, and retried gently;
// everything textual that comes back is sanitised before it leaves.
package prom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"

	"rollcall/sources"
	"rollcall/sources/hold"
)

// Config is the `prometheus:` section of the configuration.
type Config struct {
	URL         string                  `yaml:"url"`
	HTTP        config.HTTPClientConfig `yaml:"http,omitempty"` // as Prometheus itself writes it
	Headers     map[string]string       `yaml:"headers,omitempty"`
	Timeout     sources.Duration        `yaml:"timeout,omitempty"`       // wall time of one query, retries included; 10s
	MaxInFlight int                     `yaml:"max_in_flight,omitempty"` // queries at once; 8
	MaxBody     sources.ByteSize        `yaml:"max_body,omitempty"`      // largest answer; 16MiB
}

const (
	defaultTimeout  = 10 * time.Second
	defaultInFlight = 8
	defaultMaxBody  = 16 << 20 // a thousand series of a wide chart; several come at once, and each is held twice
	maxPoints       = 11_000   // what Prometheus itself refuses to exceed per series
	maxTries        = 3
	maxRetryWait    = 3 * time.Second // a call that would have to wait longer fails and says until when
	firstRetryWait  = 200 * time.Millisecond
	leftAlone       = 5 * time.Second // for which a server that refused every try is not asked
)

// Options are what the client needs from the program around it.
type Options struct {
	Clock    sources.Clock
	Sanitize func(string) string // makes one line of outside text safe to show; nil replaces control characters
	Text     func(string) string // the same for what people write, such as annotations, and redacts it; nil is Sanitize
	Log      *slog.Logger        // nil discards
}

// Client reads one Prometheus. It is safe for concurrent use.
type Client struct {
	api      v1.API
	idle     func()
	clock    sources.Clock
	sanitize func(string) string
	text     func(string) string
	log      *slog.Logger
	timeout  time.Duration
	slots    chan struct{}
	where    string // the URL without credentials

	life context.Context // until Close
	end  context.CancelFunc

	rt     *transport
	hold   hold.Hold
	recent recent

	mu     sync.Mutex
	health sources.Health
	hang   hang

	queries, failures, retries, heldBack, samples, bytes, took atomic.Int64
}

// New returns a client. It does not connect: a server that is down is a matter of Health, not of New.
func New(cfg Config, opts Options) (*Client, error) {
	return newClient(cfg, opts, func(*transport) {})
}

func newClient(cfg Config, opts Options, adjust func(*transport)) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case cfg.URL == "":
		return nil, errors.New("prometheus.url is empty; set it like http://127.0.0.1:9090")
	case err != nil:
		return nil, fmt.Errorf("prometheus.url is not a URL; write it like http://127.0.0.1:9090")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("prometheus.url %s needs a scheme and a host; write it like http://127.0.0.1:9090", u.Redacted())
	case opts.Clock == nil:
		return nil, errors.New("prometheus client has no clock")
	}
	if reflect.DeepEqual(cfg.HTTP, config.HTTPClientConfig{}) {
		cfg.HTTP = config.DefaultHTTPClientConfig
	}
	if err := cfg.HTTP.Validate(); err != nil {
		return nil, fmt.Errorf("prometheus.http: %w", err)
	}
	base, err := config.NewRoundTripperFromConfig(cfg.HTTP, "rollcall", config.WithUserAgent("rollcall"))
	if err != nil {
		return nil, fmt.Errorf("prometheus.http: %w; check the file names there", err)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Sanitize == nil {
		opts.Sanitize = plain
	}
	if opts.Text == nil {
		opts.Text = opts.Sanitize
	}
	c := &Client{
		clock:    opts.Clock,
		sanitize: opts.Sanitize,
		text:     opts.Text,
		log:      opts.Log,
		timeout:  cfg.Timeout.Or(defaultTimeout),
		slots:    make(chan struct{}, positive(cfg.MaxInFlight, defaultInFlight)),
		where:    u.Redacted(),
		health:   sources.Health{Source: "prom", State: sources.SourceUnknown},
	}
	rt := &transport{
		next:    base,
		headers: cfg.Headers,
		maxBody: cfg.MaxBody.Or(defaultMaxBody),
		wall:    opts.Clock.Wall,
		wait:    sleep,
		jitter:  rand.Float64,
		onDate:  c.sawDate,
		onBytes: c.read,
		hold:    &c.hold,
		retries: &c.retries,
	}
	adjust(rt)
	c.rt = rt
	c.life, c.end = context.WithCancel(context.Background())
	if u.User != nil && cfg.HTTP.BasicAuth == nil {
		// Credentials written into the URL: sent by net/http as basic auth, shown nowhere.
		rt.user = u.User
		u.User = nil
	}
	client, err := api.NewClient(api.Config{Address: u.String(), Client: &http.Client{Transport: rt, CheckRedirect: redirects(cfg.HTTP.FollowRedirects)}})
	if err != nil {
		return nil, fmt.Errorf("prometheus.url %s: %w", c.where, err)
	}
	c.api = v1.NewAPI(client)
	if i, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.idle = i.CloseIdleConnections
	}
	return c, nil
}

// Close ends what runs in the background and releases idle connections.
func (c *Client) Close() {
	c.end()
	if c.idle != nil {
		c.idle()
	}
}

func redirects(follow bool) func(*http.Request, []*http.Request) error {
	if follow {
		return nil // net/http's own limit of ten
	}
	return func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

func positive(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
