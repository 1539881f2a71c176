package signal

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// Service is the part of a service's configuration that says how it is measured and judged.
type Service struct {
	Scope      string              `yaml:"scope"`                // PromQL matchers: namespace="prod", job="assistant"
	Scopes     map[string]string   `yaml:"scopes,omitempty"`     // by profile, where it lives under other labels than the service
	Logs       string              `yaml:"logs,omitempty"`       // LogQL selector: {namespace="prod"}
	Window     sources.Duration    `yaml:"window,omitempty"`     // what one value looks back over; 5m, never under four scrapes
	Thresholds map[string]Limits   `yaml:"thresholds,omitempty"` // by signal
	Queries    map[string]Overrule `yaml:"queries,omitempty"`    // by signal
	Budget     Budget              `yaml:"budget,omitempty"`
	SLO        *SLO                `yaml:"slo,omitempty"`
}

// Limits override the fixed levels of a signal; a level left out keeps its default, .nan switches it off.
type Limits struct {
	Watch *float64 `yaml:"watch,omitempty"`
	Bad   *float64 `yaml:"bad,omitempty"`
}

// Overrule replaces the queries of a signal. Placeholders: $scope, $window, $by, and $logs in LogQL.
type Overrule struct {
	PromQL string `yaml:"promql,omitempty"`
	LogQL  string `yaml:"logql,omitempty"`
	N      string `yaml:"n,omitempty"` // PromQL: events per second behind the value
	Part   string `yaml:"part,omitempty"`
}

// Budget holds what may be spent, in USD; zero is no budget. The period is the calendar month (UTC).
// Where the service exposes a budget of its own, the lower of the two counts.
type Budget struct {
	Day      float64 `yaml:"day,omitempty"`
	Period   float64 `yaml:"period,omitempty"`
	Hour     float64 `yaml:"hour,omitempty"`
	UserHour float64 `yaml:"user_hour,omitempty"`
	Request  float64 `yaml:"request,omitempty"`
}

// of returns the budget of a scope; zero when there is none.
func (b *Budget) of(scope string) float64 {
	switch scope {
	case "day":
		return b.Day
	case "period":
		return b.Period
	case "hour":
		return b.Hour
	case "user_hour":
		return b.UserHour
	case "request":
		return b.Request
	}
	return 0
}

// Price is what one token costs, in USD. Cached input costs Cached, or Input when that is zero.
type Price struct {
	Input  float64 `yaml:"input"`
	Output float64 `yaml:"output"`
	Cached float64 `yaml:"cached,omitempty"`
}

const (
	defaultWindow = 5 * time.Minute
	maxWindow     = 6 * time.Hour
)

// service is a Service checked and joined with the catalogue.
type service struct {
	Service
	name    string
	signals []Signal
}

func newService(name string, cfg Service) (*service, error) {
	s := &service{Service: cfg, name: name, signals: Catalogue()}
	at := func(part, id string) string { return "services." + name + "." + part + "." + id }
	byID := map[string]*Signal{}
	for i := range s.signals {
		byID[s.signals[i].ID] = &s.signals[i]
	}
	known := func(part, id string) error {
		if byID[id] != nil {
			return nil
		}
		return fmt.Errorf("%s: no such signal; the signals are %s", at(part, id), strings.Join(slices.Sorted(maps.Keys(byID)), ", "))
	}
	for _, profile := range slices.Sorted(maps.Keys(cfg.Scopes)) {
		if _, ok := profileNamed(profile); !ok {
			var names []string
			for _, p := range Profiles() {
				names = append(names, p.Name)
			}
			return nil, fmt.Errorf("%s: no such profile; the profiles are %s", at("scopes", profile), strings.Join(names, ", "))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(cfg.Thresholds)) {
		if err := known("thresholds", id); err != nil {
			return nil, err
		}
		sig, l := byID[id], cfg.Thresholds[id]
		if l.Watch != nil {
			sig.Limits.Watch = level(*l.Watch)
		}
		if l.Bad != nil {
			sig.Limits.Bad = level(*l.Bad)
		}
		w, b := sig.Limits.Watch, sig.Limits.Bad
		if on(w) && on(b) && (w > b && sig.Direction != sources.LowerWorse || w < b && sig.Direction == sources.LowerWorse) {
			return nil, fmt.Errorf("%s: watch %g would come after bad %g; %s is worse here, so set watch to the milder level",
				at("thresholds", id), w, b, map[bool]string{true: "lower", false: "higher"}[sig.Direction == sources.LowerWorse])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(cfg.Queries)) {
		if err := known("queries", id); err != nil {
			return nil, err
		}
		sig, q := byID[id], cfg.Queries[id]
		if q.PromQL == "" && q.LogQL == "" {
			return nil, fmt.Errorf("%s: empty; give promql or logql", at("queries", id))
		}
		// What the configuration asks for is asked first; the catalogue still helps when it does not answer.
		if q.PromQL != "" {
			sig.From = append([]Source{{Profile: Override, Query: q.PromQL, N: q.N, Part: q.Part}}, sig.From...)
			sig.Compute = nil
		}
		if q.LogQL != "" {
			sig.LogQL = q.LogQL
		}
	}
	for _, b := range []struct {
		key string
		v   float64
	}{{"day", cfg.Budget.Day}, {"period", cfg.Budget.Period}, {"hour", cfg.Budget.Hour}, {"user_hour", cfg.Budget.UserHour}, {"request", cfg.Budget.Request}} {
		if b.v < 0 || math.IsNaN(b.v) {
			return nil, fmt.Errorf("%s: %g USD; a budget is positive", at("budget", b.key), b.v)
		}
	}
	if cfg.SLO != nil {
		o := *cfg.SLO
		if err := o.check(name, byID); err != nil {
			return nil, err
		}
		of := *byID[o.Signal]
		at := slices.IndexFunc(s.signals, func(sig Signal) bool { return sig.ID == "error_ratio" }) + 1
		s.signals = slices.Insert(s.signals, at, burning(o, &of))
	}
	if w := time.Duration(cfg.Window); w > maxWindow {
		return nil, fmt.Errorf("services.%s.window: %s hides what happens now; use %s or less", name, w, maxWindow)
	}
	return s, nil
}

// scope are the matchers of a profile's series.
func (s *service) scope(profile string) string {
	if own, ok := s.Scopes[profile]; ok {
		return own
	}
	return s.Scope
}

func (s *service) signal(id string) *Signal {
	i := slices.IndexFunc(s.signals, func(sig Signal) bool { return sig.ID == id })
	if i < 0 {
		return nil
	}
	return &s.signals[i]
}

// level reads a configured level: "not a number" is off.
func level(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// on tells whether a level of the catalogue is in force.
func on(level float64) bool { return level != 0 && !math.IsNaN(level) }

// shown is the threshold as readings carry it: NaN where a level is off, nil when both are.
func shown(t sources.Threshold) *sources.Threshold {
	if !on(t.Watch) && !on(t.Bad) {
		return nil
	}
	for _, l := range []*float64{&t.Watch, &t.Bad} {
		if !on(*l) {
			*l = math.NaN()
		}
	}
	return &t
}
