package prom

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

func TestAlertsAreReadCleanAndBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/alerts" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_, _ = io.WriteString(w, `{"status":"success","data":{"alerts":[
			{"labels":{"alertname":"SchemaFail\u001b[2J","severity":"page"},"annotations":{"summary":"mail a@b.example\nnow"},"state":"firing","activeAt":"2026-03-04T02:20:00Z","value":"9.1e-02"},
			{"labels":{"alertname":"Other"},"annotations":{},"state":"exploding","activeAt":"2026-03-04T02:29:00Z","value":"1"}
			`+strings.Repeat(`,{"labels":{},"annotations":{},"state":"pending","activeAt":"2026-03-04T02:29:00Z","value":""}`, maxAlerts)+`]}}`)
	})
	c, err := New(Config{URL: s.URL}, Options{Clock: wallClock{}, Text: func(s string) string {
		return strings.ReplaceAll(plain(s), "a@b.example", "<email:1>")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	alerts, facts, err := c.Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := alerts[0]
	if a.State != sources.AlertFiring || !a.Since.Equal(t0.Add(-10*time.Minute)) || a.Value != "9.1e-02" || a.Labels["severity"] != "page" || a.Source != "prometheus" {
		t.Errorf("alert %+v", a)
	}
	if strings.ContainsAny(a.Name+a.Labels["alertname"]+a.Annotations["summary"], "\x1b\n") || !strings.Contains(a.Annotations["summary"], "<email:1>") {
		t.Errorf("not made harmless: %+v", a)
	}
	if alerts[1].State != sources.AlertInactive {
		t.Errorf("a state that nobody knows is taken for %q", alerts[1].State)
	}
	if len(alerts) != maxAlerts || facts.Total != maxAlerts+2 || !facts.Truncated() {
		t.Errorf("%d alerts, facts %+v", len(alerts), facts)
	}
}

func TestRulesSayWhatTheyWatchAndWhetherTheyWork(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"groups":[{"name":"llm","file":"/etc/r.yml","interval":15,"rules":[
			{"type":"alerting","name":"SchemaFail","query":"x > 1","duration":120,"labels":{"severity":"page"},"annotations":{"summary":"s"},
			 "alerts":[{"labels":{"alertname":"SchemaFail"},"annotations":{},"state":"pending","activeAt":"2026-03-04T02:20:00Z","value":"2"}],
			 "health":"ok","state":"pending","evaluationTime":0.25,"lastEvaluation":"2026-03-04T02:30:00Z"},
			{"type":"recording","name":"job:x:sum","query":"sum(x)","health":"err","lastError":"too\u001b[1m many","evaluationTime":1e300,"lastEvaluation":"0001-01-01T00:00:00Z"}]}]}}`)
	})
	rules, facts, err := client(t, Config{URL: s.URL}).Rules(t.Context())
	if err != nil || len(rules) != 2 {
		t.Fatalf("%+v, %v", rules, err)
	}
	r := rules[0]
	if !r.Alerting || r.Group != "llm" || r.For != 2*time.Minute || r.State != sources.AlertPending || len(r.Alerts) != 1 || !r.Healthy || r.Took != 250*time.Millisecond {
		t.Errorf("alerting rule %+v", r)
	}
	if r = rules[1]; r.Alerting || r.Healthy || r.LastError == "" || strings.Contains(r.LastError, "\x1b") || r.Took != 0 {
		t.Errorf("recording rule %+v", r)
	}
	if !facts.At.Equal(t0) || facts.Shown != 2 || facts.Total != 2 {
		t.Errorf("facts %+v", facts)
	}
}

func TestAServerThatEvaluatesNoRulesIsNotDown(t *testing.T) {
	s := serve(t, http.NotFound)
	c := client(t, Config{URL: s.URL})
	for _, ask := range []func() error{
		func() error { _, _, err := c.Alerts(t.Context()); return err },
		func() error { _, _, err := c.Rules(t.Context()); return err },
	} {
		var e *Error
		if err := ask(); !errors.As(err, &e) || e.Unreachable() || !strings.Contains(e.Text, "no alerts and rules") {
			t.Errorf("error %v", err)
		}
	}
	if h := c.Health(); h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
	s.Close()
	if _, _, err := c.Alerts(t.Context()); err == nil || c.Health().State != sources.SourceDown {
		t.Errorf("a server that is gone: %v, %+v", err, fmt.Sprint(c.Health()))
	}
}
