package e2e

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Without its metrics the console judges from logs and request rows, and a service
// in which nothing is wrong must not look broken for it. The drill logs failed
// validations on lines of their own; reading those only once made every answer a failure.
func TestWithoutMetricsLogsAndRequestsGiveTheSameJudgement(t *testing.T) {
	d := startHeadless(t, binaries(t), "quiet")
	text, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	blind := strings.Replace(string(text), d.Prometheus, "http://127.0.0.1:1", 1)
	d.Config = filepath.Join(t.TempDir(), "rollcall.yaml")
	if err := os.WriteFile(d.Config, []byte(blind), 0o600); err != nil {
		t.Fatal(err)
	}

	var status struct {
		Signals []struct {
			Signal     string
			Value      *float64
			Verdict    string
			Provenance struct{ Provider string }
		}
		Sources []struct{ Source, State, Reason string }
	}
	var out string
	value := func(id, provider string) float64 {
		for _, s := range status.Signals {
			if s.Signal == id && s.Value != nil && s.Provenance.Provider == provider && s.Verdict != "bad" {
				return *s.Value
			}
		}
		return math.NaN()
	}
	poll(t, 60*time.Second, "judgement from logs and request rows", func() bool {
		var code int
		out, code = d.run(t, "status", "-o", "json")
		mustJSON(t, out, &status)
		if code != 3 {
			t.Fatalf("nothing is known to be bad and a source is down: exit %d\n%s", code, out)
		}
		return !math.IsNaN(value("schema_fail", "loki")) && !math.IsNaN(value("error_ratio", "requests"))
	})
	if v := value("schema_fail", "loki"); v > 0.2 {
		t.Errorf("schema failures read %v from the logs", v)
	}
	if v := value("error_ratio", "requests"); v > 0.2 {
		t.Errorf("errors read %v from the requests", v)
	}
	for _, s := range status.Sources {
		if s.Source == "prom" && (s.State != "down" || !strings.Contains(s.Reason, "connection refused")) {
			t.Errorf("the dead source reads %+v", s)
		}
	}
}
