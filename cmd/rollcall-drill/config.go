package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// The console's configuration of this drill. Thresholds are those of the
// simulated service: its usual values stay well inside them, a fault does not.
var configTemplate = template.Must(template.New("config").Funcs(template.FuncMap{"q": strconv.Quote}).Parse(
	`# The configuration of one drill, written by rollcall-drill. It works as long as the drill runs.
schema: rollcall/v1
clock: {wall_start: {{.WallStart}}, start: {{.Start}}, speed: {{.Speed}}}
refresh: 2s
state: {{q .State}}
prometheus: {url: {{q .Prometheus}}, timeout: 10s}
loki: {url: {{q .Loki}}, timeout: 10s}
otlp: {grpc: {{q .GRPC}}, http: {{q .HTTP}}}
prices: # USD per token
{{- range .Prices}}
  {{.Model}}: {input: {{.Input}}, output: {{.Output}}, cached: {{.Cached}}}
{{- end}}
services:
  {{.Service}}:
    scope: 'namespace="{{.Namespace}}", job="{{.Job}}"'
    logs: '{namespace="{{.Namespace}}", job="{{.Job}}"}'
    trace_service: {{.Service}}
    environment: {{.Environment}}
    thresholds:
      error_ratio: {watch: 0.02, bad: 0.05}
      schema_fail: {watch: 0.028, bad: 0.042}
      latency_p95: {watch: 9, bad: 18}
      latency_p99: {watch: 15, bad: 30}
      ttft_p95: {watch: 1.4, bad: 1.9}
      feedback: {watch: 0.78, bad: 0.6}
      complaints: {watch: 4, bad: 8}
      eval_score: {watch: 0.78, bad: 0.65}
      retrieval_hit: {watch: 0.88, bad: 0.8}
      refusal: {watch: 0.03, bad: 0.08}
      filter_trigger: {watch: 0.05, bad: 0.12}
      fallback_rate: {watch: 0.02, bad: 0.1}
      unusual_query: {watch: 0.08, bad: 0.2}
      redactions: {watch: 3.8, bad: 5} # per second
      index_query_p95: {watch: 0.15, bad: 0.6}
      cost_per_req: {watch: 0.006, bad: 0.008}
      spend_rate: {watch: 0.18, bad: 0.24} # USD per second
    budget: {day: {{.Budget.day}}, period: {{.Budget.period}}, hour: {{.Budget.hour}}, user_hour: {{.Budget.user_hour}}, request: {{.Budget.request}}}
    components:
{{- range .Components}}
      {{.}}: {driver: http, url: {{q (print $.Admin "/v1/pins/" .)}}}
{{- end}}
    settings: # the canary's share of the traffic, queueing, budgets and whether they refuse what is over them
{{- range .Settings}}
      {{.Name}}: {driver: http, url: {{q (print $.Admin "/v1/settings/" .Name)}}{{with .Limits}}, {{.}}{{end}}}
{{- end}}
    features: {driver: http, url: {{q (print .Admin "/v1/features")}}}
    evals: {run: [{{q .Program}}, evals, --admin, {{q .Admin}}, -o, $RESULT], candidate: [{{q .Program}}, evals, --admin, {{q .Admin}}, --candidate, -o, $RESULT], format: promptfoo, pass_rate: {{.PassRate}}}
    rehearsal: # pins of their own: moving them touches nothing that is live
      components:
{{- range .Components}}
        {{.}}: {driver: http, url: {{q (print $.Admin "/v1/rehearsal/pins/" .)}}}
{{- end}}
      settings:
{{- range .Settings}}
        {{.Name}}: {driver: http, url: {{q (print $.Admin "/v1/rehearsal/settings/" .Name)}}{{with .Limits}}, {{.}}{{end}}}
{{- end}}
      features: {driver: http, url: {{q (print .Admin "/v1/rehearsal/features")}}}
      evals: {run: [{{q .Program}}, evals, --admin, {{q .Admin}}, --rehearsal, -o, $RESULT], candidate: [{{q .Program}}, evals, --admin, {{q .Admin}}, --rehearsal, --candidate, -o, $RESULT], format: promptfoo, pass_rate: {{.PassRate}}}
      reset: [{{q .Program}}, reset, --admin, {{q .Admin}}]
`))

// configSetting is a setting with what it may be, as the configuration writes it.
type configSetting struct{ Name, Limits string }

func (d *drill) configSettings() []configSetting {
	var out []configSetting
	for _, s := range d.control.Settings() {
		c := configSetting{Name: s.Name}
		switch v := s.Value.(type) {
		case bool:
			c.Limits = `values: ["on", "off"]`
		case string:
			if len(s.Words) > 0 {
				c.Limits = "values: [" + strings.Join(s.Words, ", ") + "]"
			}
		case float64:
			c.Limits = "min: 0, max: 1"
			if s.USD {
				// A slip of the finger must not cost ten times as much.
				c.Limits = "min: 0, max: " + strconv.FormatFloat(5*v, 'f', -1, 64)
			}
		}
		out = append(out, c)
	}
	return out
}

type configPrice struct {
	Model                 string
	Input, Output, Cached string
}

// writeConfig writes the file whole or not at all.
func (d *drill) writeConfig(wallStart time.Time) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("config: find this program: %w", err)
	}
	budget := map[string]string{}
	for scope, usd := range d.control.State().Budgets {
		budget[scope] = strconv.FormatFloat(usd, 'f', -1, 64)
	}
	var prices []configPrice
	all := sim.Prices()
	for _, model := range slices.Sorted(maps.Keys(all)) {
		p := all[model]
		usd := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		prices = append(prices, configPrice{model, usd(p.Input), usd(p.Output), usd(p.Cached)})
	}
	var b bytes.Buffer
	err = configTemplate.Execute(&b, map[string]any{
		"WallStart": wallStart.Format(time.RFC3339Nano), "Start": d.clock.start.Format(time.RFC3339Nano),
		"Speed": strconv.FormatFloat(d.opts.speed, 'f', -1, 64), "State": d.opts.state,
		"Prometheus": d.urls.prometheus, "Loki": d.urls.loki, "Admin": d.urls.admin,
		"GRPC": cmp.Or(d.opts.grpc, off), "HTTP": cmp.Or(d.opts.http, off), "Prices": prices, "Budget": budget,
		"Service": sim.Service, "Namespace": sim.Namespace, "Job": sim.Job, "Environment": sim.Environment,
		"Components": sim.Components[:], "Settings": d.configSettings(), "Program": program, "PassRate": sim.EvalPassShare,
	})
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(d.opts.configOut), ".rollcall-*.yaml")
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	if _, err := f.Write(b.Bytes()); err != nil {
		_ = f.Close() // the write's error says more
		return fmt.Errorf("config: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := os.Rename(f.Name(), d.opts.configOut); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}
