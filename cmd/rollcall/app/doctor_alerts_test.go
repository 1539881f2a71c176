package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/rest"
)

func TestTheDoctorLooksAtRulesAndTheAlertmanager(t *testing.T) {
	rule := func(health, lastError string) string {
		return `{"status":"success","data":{"groups":[{"name":"g","file":"f","interval":15,"rules":[{"type":"alerting","name":"Leak","query":"x","duration":0,"labels":{},"annotations":{},
			"alerts":[{"labels":{"alertname":"Leak"},"annotations":{},"state":"firing","activeAt":"2026-03-04T02:20:00Z","value":"1"}],"health":"` + health + `","lastError":"` + lastError + `","state":"firing"}]}]}}`
	}
	for _, tc := range []struct {
		name, rules, alerts string
		rulesAre, told      Finding
	}{
		{
			"all is well", rule("ok", ""), `[{"labels":{"alertname":"Leak"},"status":{"state":"active"}},{"labels":{},"status":{"state":"suppressed"}}]`,
			Finding{Verdict: sources.OK, Detail: "1 rule, none fails; 1 alert firing"},
			Finding{Verdict: sources.OK, Detail: "2 alerts, nobody is told of 1"},
		},
		{
			"a rule fails, and the Alertmanager is something else", rule("err", `mail jane.doe@example.com\u001b[2J`), `{"what":1}`,
			Finding{Verdict: sources.Watch, Detail: "1 of 1 rule fail, such as Leak: mail <email:1>"},
			Finding{Verdict: sources.Bad, Detail: "cannot be read"},
		},
		{"a server without rules", "", `[]`, Finding{Verdict: sources.NotExposed, Detail: "no rules"}, Finding{Verdict: sources.OK, Detail: "0 alerts"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.URL.Path == "/api/v2/status":
					_, _ = io.WriteString(w, `{"versionInfo":{"version":"0.35.0"}}`)
				case r.URL.Path == "/api/v2/alerts":
					_, _ = io.WriteString(w, tc.alerts)
				case r.URL.Path == "/api/v1/rules" && tc.rules != "":
					_, _ = io.WriteString(w, tc.rules)
				default:
					http.NotFound(w, r)
				}
			}))
			t.Cleanup(s.Close)
			cfg := withBackends(t, lokiLines(), nil, noJaeger)
			cfg.Prometheus, cfg.Alertmanager = &config.Prometheus{URL: s.URL}, &config.Alertmanager{Config: rest.Config{URL: s.URL}}
			got := map[string]Finding{}
			for _, f := range open(t, cfg, Options{}).Doctor(t.Context(), "assistant") {
				got[f.Area+" "+f.Check] = f
			}
			if f := got["alertmanager reachable"]; f.Verdict != sources.OK || !strings.Contains(f.Detail, "version 0.35.0") {
				t.Errorf("alertmanager: %+v", f)
			}
			for check, want := range map[string]Finding{"prometheus rules": tc.rulesAre, "alertmanager alerts": tc.told} {
				f := got[check]
				if f.Verdict != want.Verdict || !strings.Contains(f.Detail, want.Detail) || strings.Contains(f.Detail, "\x1b") {
					t.Errorf("%s: %+v, want %+v", check, f, want)
				}
				if f.Verdict != sources.OK && f.Remedy == "" {
					t.Errorf("%s has no remedy: %+v", check, f)
				}
			}
		})
	}
}
