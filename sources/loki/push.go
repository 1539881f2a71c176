package loki

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki-client-go/pkg/backoff"
	"github.com/grafana/loki-client-go/pkg/urlutil"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"rollcall/sources/redact"
)

const (
	// A push is tried so often, with pauses that double between these, before it fails.
	pushTries    = 3
	pushMinPause = 500 * time.Millisecond
	pushMaxPause = 2 * time.Second
	// pushBatch is far below what a Loki takes in one request.
	pushBatch    = 512 << 10
	tenantHeader = "X-Scope-Orgid"
)

// ErrRefused says that Loki was reached and does not want the lines: too old,
// too new, too long. Sending them again does not help.
var ErrRefused = errors.New("refused by Loki")

// PushLine is one line to be written to Loki. It is sent as it is: whoever
// pushes has made it safe.
type PushLine struct {
	Labels map[string]string
	Time   time.Time
	Line   string
}

// Pusher writes lines to one Loki.
type Pusher struct {
	cfg   loki.Config
	where string
}

// NewPusher returns a pusher to the Loki of the configuration. It does not connect.
func NewPusher(cfg Config) (*Pusher, error) {
	u, err := url.Parse(strings.TrimSpace(cfg.URL))
	if err != nil || u.Host == "" {
		return nil, errors.New("loki.url is not a URL; write it like http://127.0.0.1:3100")
	}
	where := redact.SanitizeLine(u.Redacted(), 200)
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/loki/api/v1") + "/loki/api/v1/push"
	client := cfg.HTTP
	if reflect.DeepEqual(client, config.HTTPClientConfig{}) {
		client = config.DefaultHTTPClientConfig
	}
	// The library knows no headers but the tenant's; its HTTP client does.
	tenant := ""
	headers := config.Headers{Headers: map[string]config.Header{}}
	if client.HTTPHeaders != nil {
		maps.Copy(headers.Headers, client.HTTPHeaders.Headers)
	}
	for name, v := range cfg.Headers {
		if http.CanonicalHeaderKey(name) == tenantHeader {
			tenant = v
			continue
		}
		headers.Headers[name] = config.Header{Values: []string{v}}
	}
	if len(headers.Headers) > 0 {
		client.HTTPHeaders = &headers
	}
	if err := client.Validate(); err != nil {
		return nil, fmt.Errorf("loki.http: %w", err)
	}
	return &Pusher{where: where, cfg: loki.Config{
		URL: urlutil.URLValue{URL: u}, BatchWait: time.Second, BatchSize: pushBatch, Client: client, TenantID: tenant,
		Timeout:       cfg.Timeout.Or(defaultTimeout),
		BackoffConfig: backoff.BackoffConfig{MinBackoff: pushMinPause, MaxBackoff: pushMaxPause, MaxRetries: pushTries},
	}}, nil
}

// Push writes the lines in their order and returns when Loki has taken them
// all, or why it did not: then some may have been taken. ErrRefused when
// trying again is useless. When ctx ends first, it returns at once, and what
// is under way ends by itself after at most three tries.
//
// The library sends in the background and tells nobody how it went. So each
// call has a client of its own: stopping it waits for the last batch, and what
// it gave up on is in its log.
func (p *Pusher) Push(ctx context.Context, lines []PushLine) error {
	if len(lines) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ear := &listener{}
	c, err := loki.NewWithLogger(p.cfg, ear)
	if err != nil {
		return fmt.Errorf("loki %s: %w", p.where, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.Stop()
		for _, l := range lines {
			if ctx.Err() != nil || ear.heard() != nil {
				return // what comes after a failed batch would only leave a gap
			}
			labels := make(model.LabelSet, len(l.Labels))
			for k, v := range l.Labels {
				labels[model.LabelName(k)] = model.LabelValue(v)
			}
			_ = c.Handle(labels, l.Time, l.Line) // never fails: it queues
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ear.heard(); err != nil {
		return fmt.Errorf("loki %s: %w", p.where, err)
	}
	return ctx.Err()
}

// listener is the library's logger. It keeps the first batch that was given up.
type listener struct {
	mu  sync.Mutex
	err error
}

// Log takes one record as key, value, key, value.
func (l *listener) Log(keyvals ...any) error {
	var msg, status string
	var cause error
	for i := 0; i+1 < len(keyvals); i += 2 {
		switch keyvals[i] {
		case "msg":
			msg, _ = keyvals[i+1].(string)
		case "status":
			status = fmt.Sprint(keyvals[i+1])
		case "error":
			cause, _ = keyvals[i+1].(error)
		}
	}
	if msg != "final error sending batch" && msg != "error encoding batch" || cause == nil {
		return nil
	}
	err := errors.New(redact.SanitizeLine(cause.Error(), 300))
	switch status {
	case "400", "413", "422": // the others are a matter of access or of the address, and can be mended
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	return nil
}

func (l *listener) heard() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
