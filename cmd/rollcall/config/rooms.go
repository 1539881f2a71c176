package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rollcall/runbooks"
	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/sources/alertmanager"
	"rollcall/sources/jaeger"
	"rollcall/sources/loki"
	"rollcall/sources/manifest"
	"rollcall/sources/otlp"
	"rollcall/sources/prom"
	"rollcall/sources/redact"
	"rollcall/sources/request"
	"rollcall/sources/signal"
	"rollcall/sources/tempo"
	"rollcall/store/journal"
	"rollcall/store/traces"
)

// The sections of the file belong to the rooms that they configure.
type (
	Prometheus   = prom.Config
	Alertmanager = alertmanager.Config
	Loki         = loki.Config
	Tempo        = tempo.Config
	Jaeger       = jaeger.Config
	OTLP         = otlp.Config
	Traces       = traces.Config
	Journal      = journal.Config
	Redact       = redact.Config
	Mapping      = request.Mapping
	Price        = signal.Price
	Runbooks     = runbooks.Config
)

// Service is one service: how it is measured and judged, and what its parts are called elsewhere.
type Service struct {
	signal.Service `yaml:",inline"`

	TraceService string `yaml:"trace_service"` // service.name of its spans; the service's own name
	Environment  string `yaml:"environment"`

	Manifests *manifest.Config `yaml:"manifests"` // where it is written what is to be live

	pin.Target `yaml:",inline"` // what commands act on
	Rehearsal  *pin.Target      `yaml:"rehearsal"` // where rehearsals act instead
}

func envService(scope string) Service { return Service{Service: signal.Service{Scope: scope}} }

// fillRunbooks makes the folders absolute and adds the one beside the file, which
// need not be there. A missing folder that is named is a problem of the list of
// runbooks, not of the configuration: the console opens without it.
func (f *File) fillRunbooks(dir string, env Env) {
	for i, d := range f.Runbooks.Dirs {
		if d != "" && !filepath.IsAbs(d) {
			f.Runbooks.Dirs[i] = filepath.Join(dir, d)
		}
	}
	if f.Path == "" {
		path, _ := Find("", env)
		if path == "" {
			return
		}
		dir = filepath.Dir(path)
	}
	beside := filepath.Join(dir, "runbooks")
	if st, err := os.Stat(beside); err == nil && st.IsDir() && !slices.Contains(f.Runbooks.Dirs, beside) {
		f.Runbooks.Dirs = append(f.Runbooks.Dirs, beside)
	}
}

func (f *File) fillServices(dir string) {
	for name, s := range f.Services {
		fillTarget(&s.Target, dir)
		if s.Rehearsal != nil {
			fillTarget(s.Rehearsal, dir)
		}
		if s.Manifests != nil && s.Manifests.Dir != "" && !filepath.IsAbs(s.Manifests.Dir) {
			s.Manifests.Dir = filepath.Join(dir, s.Manifests.Dir)
		}
		s.Scope = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s.Scope), "{"), "}"))
		if s.TraceService == "" && f.Path != "" {
			s.TraceService = name
		}
		if s.Logs == "" {
			s.Logs = `{job=~".+"}`
			if s.Scope != "" {
				s.Logs = "{" + s.Scope + "}"
			}
		}
		f.Services[name] = s
	}
}

// fillTarget makes paths absolute and gives HTTP sections their defaults.
func fillTarget(t *pin.Target, dir string) {
	t.Fill(dir)
	for name, c := range t.Components {
		fillHTTP(&c.HTTP, dir)
		t.Components[name] = c
	}
	for name, c := range t.Settings {
		fillHTTP(&c.HTTP, dir)
		t.Settings[name] = c
	}
	if t.Features != nil {
		fillHTTP(&t.Features.HTTP, dir)
	}
}

// validateTarget checks pins, settings, features and evals.
func validateTarget(say report, at string, t *pin.Target) {
	t.Validate(at, say)
	for name, c := range t.Components {
		if c.Driver == "http" {
			checkEndpoint(say, fmt.Sprintf("%s.components.%s", at, name), &c.Endpoint)
		}
	}
	for name, c := range t.Settings {
		if c.Driver == "http" {
			checkEndpoint(say, fmt.Sprintf("%s.settings.%s", at, name), &c.Endpoint)
		}
	}
	if t.Features != nil && t.Features.Driver == "http" {
		checkEndpoint(say, at+".features", &t.Features.Endpoint)
	}
}

func checkEndpoint(say report, at string, e *pin.Endpoint) {
	checkURL(say, at, e.URL)
	checkHTTP(say, at+".http", &e.HTTP)
	checkHeaders(say, at+".headers", e.Headers)
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// checkPostLabels keeps the labels by which a posted verdict is known from being overwritten.
func checkPostLabels(say report, labels map[string]string, post bool) {
	if len(labels) > 0 && !post {
		say("alertmanager.post_labels", "alertmanager.post_labels does nothing without post: true")
	}
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		at := "alertmanager.post_labels." + k
		switch {
		case !labelName.MatchString(k):
			say(at, "%s is no label name; use letters, digits and underscores", at)
		case k == "alertname" || strings.HasPrefix(k, "rollcall_"):
			say(at, "%s is set by rollcall itself; choose another name", at)
		case labels[k] == "":
			say(at, "%s is empty; give it a value or remove it", at)
		}
	}
}

// matchers is a list of label matchers as PromQL and LogQL write them.
var matchers = regexp.MustCompile(`^\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*("(\\.|[^"\\])*"|` + "`[^`]*`" + `)\s*(,\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*("(\\.|[^"\\])*"|` + "`[^`]*`" + `)\s*)*,?\s*$`)

func (f *File) validateService(say report, at string, s Service) {
	if s.Scope != "" && !matchers.MatchString(s.Scope) {
		say(at+".scope", "%s.scope is no list of matchers; write it like namespace=\"prod\", job=\"assistant\"", at)
	}
	validateTarget(say, at, &s.Target)
	if s.Rehearsal != nil {
		validateTarget(say, at+".rehearsal", s.Rehearsal)
	}
	if m := s.Manifests; m != nil {
		// That the folder is missing is for doctor and the console to say: it may be mounted later.
		if st, err := os.Stat(m.Dir); m.Dir == "" {
			say(at+".manifests", "%s.manifests.dir is missing; write manifests: {dir: FOLDER}", at)
		} else if err == nil && !st.IsDir() {
			say(at+".manifests.dir", "%s.manifests.dir %s is a file; name the folder that holds the manifests", at, m.Dir)
		}
	}
	if sel := strings.TrimSpace(s.Logs); !strings.HasPrefix(sel, "{") {
		say(at+".logs", "%s.logs is no LogQL selector; write it like {namespace=\"prod\", job=\"assistant\"}", at)
	}
}

// validateRooms asks each room about its own section.
func (f *File) validateRooms(say report) {
	for i, p := range f.Redact.Patterns {
		at := fmt.Sprintf("redact.patterns[%d]", i)
		if _, err := regexp.Compile(p.Regexp); err != nil {
			say(at+".regexp", "%s.regexp: %s", at, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	if _, err := request.NewFolder(f.Mapping); err != nil {
		say("mapping", "%s", err)
	}
	for i, d := range f.Runbooks.Dirs {
		if strings.TrimSpace(d) == "" {
			at := fmt.Sprintf("runbooks.dirs[%d]", i)
			say(at, "%s is empty; name a folder or remove it", at)
		}
	}
	for model, p := range f.Prices {
		if p.Input < 0 || p.Output < 0 || p.Cached < 0 {
			say("prices."+model, "prices.%s is negative; prices are USD per token", model)
		}
	}
	clock, err := f.Clock.Clock(nil)
	if err != nil {
		return // said already
	}
	known := map[string]reflect.Type{}
	for _, s := range signal.Catalogue() {
		known[s.ID] = nil
	}
	for name, s := range f.Services {
		at := "services." + name
		for part, ids := range map[string][]string{"thresholds": slices.Collect(maps.Keys(s.Thresholds)), "queries": slices.Collect(maps.Keys(s.Queries))} {
			for _, id := range ids {
				if _, ok := known[id]; !ok {
					where := at + "." + part
					say(where+"."+id, "%s", strings.Replace(unknownKey(id, where, known), "unknown key", "unknown signal", 1))
				}
			}
		}
		if err := checkSignals(name, s.Service, clock); err != nil {
			if where, _, _ := strings.Cut(err.Error(), ": "); !strings.Contains(err.Error(), "no such signal") {
				say(where, "%s", err)
			}
		}
	}
}

// checkSignals asks the catalogue about thresholds, queries and budgets.
func checkSignals(name string, s signal.Service, clock sources.Clock) error {
	e, err := signal.NewEvaluator(signal.Deps{Clock: clock}, map[string]signal.Service{name: s})
	if err != nil {
		return err
	}
	e.Close()
	return nil
}
