package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/sources/otlp"
	"rollcall/sources/prom"
	"rollcall/sources/redact"
	"rollcall/sources/request"
	"rollcall/sources/signal"
	"rollcall/store/journal"
	"rollcall/store/traces"
)

// The sections of the file belong to the rooms that they configure.
type (
	Prometheus = prom.Config
	Loki       = loki.Config
	OTLP       = otlp.Config
	Traces     = traces.Config
	Journal    = journal.Config
	Redact     = redact.Config
	Mapping    = request.Mapping
	Price      = signal.Price
)

// Service is one service: how it is measured and judged, and what its parts are called elsewhere.
type Service struct {
	signal.Service `yaml:",inline"`

	TraceService string         `yaml:"trace_service"` // service.name of its spans; the service's own name
	Environment  string         `yaml:"environment"`
	Components   map[string]any `yaml:"components"` // pins: kept for the commands that move them
	Evals        map[string]any `yaml:"evals"`      // the eval suite: kept likewise
}

func envService(scope string) Service { return Service{Service: signal.Service{Scope: scope}} }

func (f *File) fillServices() {
	for name, s := range f.Services {
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

// matchers is a list of label matchers as PromQL and LogQL write them.
var matchers = regexp.MustCompile(`^\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*("(\\.|[^"\\])*"|` + "`[^`]*`" + `)\s*(,\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*("(\\.|[^"\\])*"|` + "`[^`]*`" + `)\s*)*,?\s*$`)

func (f *File) validateService(say report, at string, s Service) {
	if s.Scope != "" && !matchers.MatchString(s.Scope) {
		say(at+".scope", "%s.scope is no list of matchers; write it like namespace=\"prod\", job=\"assistant\"", at)
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
