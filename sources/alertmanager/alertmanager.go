// Package alertmanager reads alerts and silences from an Alertmanager, version 2
// of its API, makes and ends silences, and tells it of alerts.
package alertmanager

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
	"rollcall/sources/rest"
)

// Config is the `alertmanager:` section of the configuration.
type Config struct {
	rest.Config `yaml:",inline"`

	// Post tells it of rollcall's own verdicts. PostLabels are put on each of them: severity, team.
	Post       bool              `yaml:"post,omitempty"`
	PostLabels map[string]string `yaml:"post_labels,omitempty"`
}

const (
	maxAlerts = 5_000
	maxLabels = 64 // of one alert
	maxName   = 256
	maxProse  = 1_000 // bytes of an annotation or a comment
	maxIDs    = 100   // silences and alerts that suppress one alert
)

// Options are what the client needs from the program around it.
type Options struct {
	Clock    sources.Clock
	Redactor interface{ Text(s string) string }
	Log      *slog.Logger // nil discards
}

// Client speaks to one Alertmanager. It is safe for concurrent use.
type Client struct {
	rest  *rest.Client
	clock sources.Clock
	red   interface{ Text(s string) string }

	mu      sync.Mutex
	version string
}

// New returns a client. It does not connect.
func New(cfg Config, opts Options) (*Client, error) {
	r, err := rest.New("alertmanager", cfg.Config, rest.Options{Clock: opts.Clock, Redactor: opts.Redactor, Log: opts.Log}, "/api/v2", "/api")
	if err != nil {
		return nil, err
	}
	return &Client{rest: r, clock: opts.Clock, red: opts.Redactor}, nil
}

// Close releases idle connections.
func (c *Client) Close() { c.rest.Close() }

// Health says how the Alertmanager answered last.
func (c *Client) Health() sources.Health {
	h := c.rest.Health()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != "" {
		h.Note = "version " + c.version
	}
	return h
}

// Check asks the Alertmanager who it is.
func (c *Client) Check(ctx context.Context) error {
	var status struct {
		VersionInfo struct {
			Version string `json:"version"`
		} `json:"versionInfo"`
	}
	if _, err := c.read(ctx, "/api/v2/status", nil, &status); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = c.name(status.VersionInfo.Version)
	return nil
}

// Alerts lists the alerts that match all matchers, in the server's order; those
// that nobody is told of have the state suppressed. Of more than 5,000 the facts
// say how many there are.
func (c *Client) Alerts(ctx context.Context, match ...sources.Matcher) ([]sources.Alert, sources.Facts, error) {
	var found []struct {
		Fingerprint      string
		StartsAt, EndsAt time.Time
		Labels           map[string]string
		Annotations      map[string]string
		Receivers        []struct{ Name string }
		Status           struct {
			State                   string
			SilencedBy, InhibitedBy []string
		}
	}
	facts, err := c.read(ctx, "/api/v2/alerts", filter(match), &found)
	if err != nil {
		return nil, facts, err
	}
	facts.Total = len(found)
	found = found[:min(len(found), maxAlerts)]
	facts.Shown = len(found)
	out := make([]sources.Alert, len(found))
	for i, a := range found {
		st := sources.AlertFiring
		if a.Status.State == "suppressed" {
			st = sources.AlertSuppressed
		}
		out[i] = sources.Alert{
			ID: c.name(a.Fingerprint), Name: c.name(a.Labels["alertname"]), State: st, Source: "alertmanager",
			Labels: c.set(a.Labels, c.name), Annotations: c.set(a.Annotations, c.prose),
			Since: a.StartsAt, Ends: a.EndsAt,
			SilencedBy: c.list(a.Status.SilencedBy), InhibitedBy: c.list(a.Status.InhibitedBy),
		}
		for _, r := range a.Receivers[:min(len(a.Receivers), maxIDs)] {
			out[i].Receivers = append(out[i].Receivers, c.name(r.Name))
		}
		if a.StartsAt.After(facts.At) {
			facts.At = a.StartsAt
		}
	}
	return out, facts, nil
}

func (c *Client) read(ctx context.Context, path string, params url.Values, into any) (sources.Facts, error) {
	a, err := c.rest.Get(ctx, path, params, "application/json")
	facts := c.rest.Facts(a)
	switch {
	case err != nil:
		return facts, err
	case a.NoRoute || a.Missing:
		return facts, c.rest.NoAPI(a)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return facts, c.rest.Unreadable(a, err)
	}
	return facts, nil
}

// filter writes matchers as the API takes them: one parameter each.
func filter(match []sources.Matcher) url.Values {
	if len(match) == 0 {
		return nil
	}
	v := url.Values{}
	for _, m := range match {
		v.Add("filter", Text(m))
	}
	return v
}

// Text is a matcher as Alertmanager and PromQL write it, with names of any characters.
func Text(m sources.Matcher) string {
	op := "="
	switch {
	case m.Regex && m.Not:
		op = "!~"
	case m.Regex:
		op = "=~"
	case m.Not:
		op = "!="
	}
	name := m.Name
	if strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		name = quote(name)
	}
	return name + op + quote(m.Value)
}

// quote escapes what the matcher's grammar lets escape, and nothing else.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func (c *Client) name(s string) string { return redact.SanitizeLine(s, maxName) }

func (c *Client) prose(s string) string { return redact.SanitizeLine(c.red.Text(s), maxProse) }

func (c *Client) list(ids []string) []string {
	var out []string
	for _, id := range ids[:min(len(ids), maxIDs)] {
		out = append(out, c.name(id))
	}
	return out
}

func (c *Client) set(m map[string]string, clean func(string) string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(m), maxLabels))
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names) // so that the same ones are kept each time
	for _, k := range names[:min(len(names), maxLabels)] {
		out[c.name(k)] = clean(m[k])
	}
	return out
}
