// Package config reads rollcall.yaml: it assembles the configuration of each
// room into one file, finds it, fills in defaults, and reports every mistake in
// one line with its place and what to do about it.
package config

import (
	"net/url"
	"path/filepath"
	"sort"
	"time"

	commonconfig "github.com/prometheus/common/config"

	"rollcall/sources"
)

// Schema is the value that `schema:` may have.
const Schema = "rollcall/v1"

// File is the whole configuration.
type File struct {
	Path string `yaml:"-"` // empty when made of environment variables

	Schema       string              `yaml:"schema"`
	Clock        sources.ClockConfig `yaml:"clock"`
	Refresh      sources.Duration    `yaml:"refresh"`
	State        string              `yaml:"state"`
	Prometheus   *Prometheus         `yaml:"prometheus"`
	Alertmanager *Alertmanager       `yaml:"alertmanager"`
	Loki         *Loki               `yaml:"loki"`
	Tempo        *Tempo              `yaml:"tempo"`
	Jaeger       *Jaeger             `yaml:"jaeger"`
	OTLP         OTLP                `yaml:"otlp"`
	Traces       Traces              `yaml:"traces"`
	Journal      Journal             `yaml:"journal"`
	Redact       Redact              `yaml:"redact"`
	Mapping      Mapping             `yaml:"mapping"`
	Prices       map[string]Price    `yaml:"prices"`
	UI           UI                  `yaml:"ui"`
	Runbooks     Runbooks            `yaml:"runbooks"`
	Incidents    Incidents           `yaml:"incidents"`
	Services     map[string]Service  `yaml:"services"`
}

// UI holds what a terminal cannot tell by itself.
type UI struct {
	Color    string `yaml:"color"`     // auto, always or never
	ASCII    string `yaml:"ascii"`     // auto, always or never
	Theme    string `yaml:"theme"`     // auto, dark or light
	SlowLink bool   `yaml:"slow_link"` // fewer frames
}

// DefaultRefresh is how often the console reads again, in wall time.
const DefaultRefresh = 15 * time.Second

// Dir is the folder of the file, where the commands that it names run.
func (f *File) Dir() string {
	if f.Path == "" {
		return ""
	}
	abs, err := filepath.Abs(f.Path)
	if err != nil {
		return ""
	}
	return filepath.Dir(abs)
}

// Names returns the services in alphabetical order.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.Services))
	for n := range f.Services {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Label names the configuration in messages.
func (f *File) Label() string {
	if f.Path == "" {
		return "the environment"
	}
	return shown(f.Path)
}

// StateDir returns the folder for state when the configuration names none.
func StateDir(env Env) string {
	if v := env.get("XDG_STATE_HOME"); v != "" && filepath.IsAbs(v) {
		return filepath.Join(v, "rollcall")
	}
	if home := env.get("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "rollcall")
	}
	return ""
}

// fill sets defaults. Relative paths count from dir, the file's folder.
func (f *File) fill(dir string, env Env) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	f.Refresh = sources.Duration(f.Refresh.Or(DefaultRefresh))
	switch {
	case f.State == "":
		f.State = StateDir(env)
	case !filepath.IsAbs(f.State):
		f.State = filepath.Join(dir, f.State)
	}
	if f.Prometheus == nil && env.get("PROMETHEUS_URL") != "" {
		f.Prometheus = promFromEnv(env)
	}
	if f.Loki == nil && env.get("LOKI_ADDR") != "" {
		f.Loki = lokiFromEnv(env)
	}
	if f.Prometheus != nil {
		fillHTTP(&f.Prometheus.HTTP, dir)
	}
	if f.Alertmanager != nil {
		fillHTTP(&f.Alertmanager.HTTP, dir)
	}
	if f.Loki != nil {
		fillHTTP(&f.Loki.HTTP, dir)
	}
	if f.Tempo != nil {
		fillHTTP(&f.Tempo.HTTP, dir)
	}
	if f.Jaeger != nil {
		fillHTTP(&f.Jaeger.HTTP, dir)
	}
	f.Traces.Retention = sources.Duration(f.Traces.Retention.Or(7 * 24 * time.Hour))
	f.Traces.MaxBytes = sources.ByteSize(f.Traces.MaxBytes.Or(10 << 30))
	for _, v := range []*string{&f.UI.Color, &f.UI.ASCII, &f.UI.Theme} {
		if *v == "" {
			*v = "auto"
		}
	}
	f.fillRunbooks(dir, env)
	f.fillServices(dir)
}

// fillHTTP gives an absent `http:` section the library's defaults, which its own
// decoding gives to a present one.
func fillHTTP(h *commonconfig.HTTPClientConfig, dir string) {
	if zeroHTTP(h) {
		*h = commonconfig.DefaultHTTPClientConfig
	}
	h.SetDirectory(dir)
}

func zeroHTTP(h *commonconfig.HTTPClientConfig) bool {
	return h.BasicAuth == nil && h.Authorization == nil && h.OAuth2 == nil && h.HTTPHeaders == nil &&
		h.TLSConfig == commonconfig.TLSConfig{} && h.ProxyURL.URL == nil && !h.ProxyFromEnvironment &&
		h.BearerTokenFile == "" && h.BearerToken == "" && !h.FollowRedirects && !h.EnableHTTP2
}

// takeUser moves a user and password out of a URL, so that it can be shown.
func takeUser(raw string, h *commonconfig.HTTPClientConfig) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return raw
	}
	pass, _ := u.User.Password()
	h.BasicAuth = &commonconfig.BasicAuth{Username: u.User.Username(), Password: commonconfig.Secret(pass)}
	u.User = nil
	return u.String()
}
