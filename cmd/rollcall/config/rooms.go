package config

import (
	commonconfig "github.com/prometheus/common/config"

	"rollcall/sources"
)

// Prometheus placeholder until merged.
type Prometheus struct {
	URL         string                        `yaml:"url"`
	HTTP        commonconfig.HTTPClientConfig `yaml:"http"`
	Headers     map[string]string             `yaml:"headers"`
	Timeout     sources.Duration              `yaml:"timeout"`
	MaxInFlight int                           `yaml:"max_in_flight"`
}

type Loki struct {
	URL     string                        `yaml:"url"`
	HTTP    commonconfig.HTTPClientConfig `yaml:"http"`
	Headers map[string]string             `yaml:"headers"`
	Timeout sources.Duration              `yaml:"timeout"`
}

type OTLP struct {
	GRPC    string           `yaml:"grpc"`
	HTTP    string           `yaml:"http"`
	MaxBody sources.ByteSize `yaml:"max_body"`
}

type Pattern struct {
	Name   string `yaml:"name"`
	Regexp string `yaml:"regexp"`
}
type Redact struct {
	KeepIP   bool      `yaml:"keep_ip"`
	Patterns []Pattern `yaml:"patterns"`
}

type Mapping map[string][]string

type Price struct {
	Input  float64 `yaml:"input"`
	Output float64 `yaml:"output"`
	Cached float64 `yaml:"cached"`
}

type Threshold struct {
	Watch *float64 `yaml:"watch"`
	Bad   *float64 `yaml:"bad"`
}

type Service struct {
	Scope        string               `yaml:"scope"`
	Logs         string               `yaml:"logs"`
	TraceService string               `yaml:"trace_service"`
	Environment  string               `yaml:"environment"`
	Thresholds   map[string]Threshold `yaml:"thresholds"`
	Components   map[string]any       `yaml:"components"`
	Evals        map[string]any       `yaml:"evals"`
}

func envService(scope string) Service { return Service{Scope: scope} }

func (f *File) fillServices() {
	for n, s := range f.Services {
		if s.TraceService == "" {
			s.TraceService = n
		}
		if s.Logs == "" && s.Scope != "" {
			s.Logs = "{" + s.Scope + "}"
		}
		f.Services[n] = s
	}
}

func (f *File) validateService(report, string, Service) {}
