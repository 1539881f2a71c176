// Package setup finds the sources of a service and writes a first configuration
// for it. It asks only addresses that were given, that the environment names, or
// that are usual on this machine; it never looks at another host by itself.
package setup

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/sources/prom"
	"rollcall/sources/redact"
)

// Kind is a kind of source, called as its section in the configuration.
type Kind string

// The kinds, in the order in which they are shown and written.
const (
	Prometheus   Kind = "prometheus"
	Loki         Kind = "loki"
	Tempo        Kind = "tempo"
	Jaeger       Kind = "jaeger"
	Alertmanager Kind = "alertmanager"
)

// Kinds lists all of them.
var Kinds = [...]Kind{Prometheus, Loki, Tempo, Jaeger, Alertmanager}

// Usual is where each kind listens on a machine that somebody has set up for a trial.
func Usual() map[Kind]string {
	return map[Kind]string{
		Prometheus: "http://127.0.0.1:9090", Loki: "http://127.0.0.1:3100", Tempo: "http://127.0.0.1:3200",
		Jaeger: "http://127.0.0.1:16686", Alertmanager: "http://127.0.0.1:9093",
	}
}

// variables name a source in the environment, the first that is set wins.
var variables = map[Kind][]string{
	Prometheus: {"PROMETHEUS_URL"}, Loki: {"LOKI_ADDR"}, Tempo: {"TEMPO_URL"},
	Jaeger: {"JAEGER_QUERY_URL", "JAEGER_URL"}, Alertmanager: {"ALERTMANAGER_URL"},
}

const (
	knockTime = 1500 * time.Millisecond // for an answer from a usual port
	givenTime = 8 * time.Second         // for one from an address that somebody named
	readTime  = 20 * time.Second        // for everything that is asked of one source
)

// Options say where to look and what is known already.
type Options struct {
	URLs    map[Kind]string // given by hand
	Usual   map[Kind]string // where to look without a hint; Usual() when nil
	Env     config.Env
	Scope   string // PromQL matchers that pick the service, without braces
	Service string // its name
	Path    string // of the configuration to write; files with credentials are looked for beside it
	Wall    func() time.Time
	// Receiving returns the process that receives traces into a state folder already; 0 for none, nil for nobody knows.
	Receiving func(state string) int
}

// Found is what was found and what follows from it.
type Found struct {
	Sources  []Source  // one of each kind that was looked for, in the order of Kinds
	Services []Service // to be written, best first
	Also     []Service // recognised, but not an application of its own
	OTLP     Endpoint
	Guesses  []string // what was concluded rather than known, one sentence each
	Warnings []string // what is missing or doubtful, with what to do

	path   string
	config string // folder of path, absolute
}

// Service is one service as it will be written.
type Service struct {
	Name     string
	Scope    string   // PromQL matchers
	Profiles []string // recognised: "llmops (31 signals)"
	Logs     string   // LogQL selector; empty when none has lines
	Lines    string   // what is known about its lines
	Traces   string   // service.name of its spans; empty when not seen

	labels []label // what Scope is made of
}

type label struct{ name, value string }

// Reached tells whether a source of a kind answers.
func (f *Found) Reached(k Kind) bool { return f.source(k).State == Up }

func (f *Found) source(k Kind) *Source {
	for i := range f.Sources {
		if f.Sources[i].Kind == k {
			return &f.Sources[i]
		}
	}
	return &Source{Kind: k, State: Absent}
}

// Find looks for sources and asks those that answer about services, profiles, lines and traces.
func Find(ctx context.Context, o Options) (*Found, error) {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	if o.Usual == nil {
		o.Usual = Usual()
	}
	abs, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; name a file with --out", o.Path, err)
	}
	f := &Found{path: abs, config: filepath.Dir(abs)}
	var list []Source
	for _, k := range Kinds {
		s, err := o.candidate(k)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() { list[i].look(ctx, f.config, o.Env) })
	}
	wg.Wait()
	f.Sources = list
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	clock, err := sources.ClockConfig{}.Clock(o.Wall)
	if err != nil {
		return nil, err
	}
	a := &asking{Found: f, o: o, clock: clock}
	a.metrics(ctx)
	a.traces()
	a.logs(ctx)
	a.endpoint(ctx)
	a.sum()
	return f, ctx.Err()
}

// candidate decides where to look for one kind: where it was said, else where
// the environment says, else at its usual port.
func (o *Options) candidate(k Kind) (Source, error) {
	s := Source{Kind: k, URL: o.URLs[k], From: "--" + string(k), wait: givenTime}
	if s.URL == "" {
		for _, name := range variables[k] {
			if v, _ := o.Env(name); v != "" {
				s.URL, s.From = v, "$"+name
				break
			}
		}
	}
	if s.URL == "" {
		s.URL, s.From, s.wait = o.Usual[k], "usual port", knockTime
		s.usual = true
	}
	if s.URL == "" {
		s.State = Absent
		return s, nil
	}
	u, err := url.Parse(strings.TrimSpace(s.URL))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return s, fmt.Errorf("%s is not a URL; write it like %s", s.From, Usual()[k])
	case u.RawQuery != "" || u.Fragment != "":
		return s, fmt.Errorf("%s may have a path, but no ? or #", s.From)
	case strings.Contains(s.URL, "${"):
		return s, fmt.Errorf("%s holds ${; write the address itself", s.From)
	}
	s.user, u.User = u.User, nil
	s.URL = strings.TrimRight(u.String(), "/")
	return s, nil
}

// asking is one search under way.
type asking struct {
	*Found
	o     Options
	clock sources.Clock
}

func (a *asking) guess(format string, args ...any) {
	a.Guesses = append(a.Guesses, fmt.Sprintf(format, args...))
}

func (a *asking) warn(format string, args ...any) {
	a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...))
}

func (a *asking) prometheus(s *Source) (*prom.Client, error) {
	cfg, err := s.settings(a.config, a.o.Env)
	if err != nil {
		return nil, err
	}
	return prom.New(prom.Config{URL: s.URL, HTTP: cfg.HTTP, Headers: cfg.Headers, Timeout: sources.Duration(givenTime)},
		prom.Options{Clock: a.clock, Sanitize: line})
}

func (a *asking) loki(s *Source) (*loki.Client, error) {
	cfg, err := s.settings(a.config, a.o.Env)
	if err != nil {
		return nil, err
	}
	r, err := redact.New(redact.Config{}, []byte("looks once and keeps nothing"))
	if err != nil {
		return nil, err
	}
	return loki.New(loki.Config{URL: s.URL, HTTP: cfg.HTTP, Headers: cfg.Headers, Timeout: sources.Duration(givenTime)},
		loki.Options{Clock: a.clock, Redactor: r})
}

// line makes one line of outside text safe.
func line(s string) string { return redact.SanitizeLine(s, 256) }

// sum adds what only the whole shows.
func (a *asking) sum() {
	if !a.Configurable() {
		return
	}
	for _, k := range [...]Kind{Prometheus, Loki} {
		if s := a.source(k); !s.writable() {
			a.warn("no %s: %s; give its address with --%s", k, absent(s), k)
		}
	}
	for _, s := range a.Services {
		if s.Scope == "" && a.Reached(Prometheus) {
			a.warn("%s has no scope, so that every series counts; give it with --scope 'namespace=\"prod\", job=\"NAME\"'", s.Name)
		}
	}
}
