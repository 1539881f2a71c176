package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

type rolledOut struct {
	Rollouts []struct {
		Kind      string `json:"kind"`
		Verdict   string `json:"verdict"`
		Why       string `json:"why"`
		Provider  string `json:"provider"`
		Candidate struct {
			Versions map[string]string `json:"versions"`
		} `json:"candidate"`
		Outcomes []struct {
			Outcome  string  `json:"outcome"`
			State    string  `json:"state"`
			K        float64 `json:"k"`
			N        float64 `json:"n"`
			ControlN float64 `json:"control_n"`
		} `json:"outcomes"`
	} `json:"rollouts"`
	Doubts []string `json:"doubts"`
}

// The canary of a tenth of the traffic fails one answer in eleven. From metrics and, without
// Prometheus, from request rows, the same is said: too little at first, then to roll back.
func TestABadCanaryIsToBeRolledBackWithItsNumbers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "canary-regression")
	rowsOnly := *d
	text, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	rowsOnly.Config = filepath.Join(filepath.Dir(d.Config), "rows.yaml")
	text = regexp.MustCompile(`(?m)^prometheus:.*\n`).ReplaceAll(text, nil)
	if err := os.WriteFile(rowsOnly.Config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []struct {
		drill    *drill
		provider string
	}{{d, "prometheus"}, {&rowsOnly, "requests"}} {
		said := map[string]bool{}
		poll(t, 240*time.Second, "a canary to roll back by "+from.provider, func() bool {
			out, code := from.drill.run(t, "changes", "--rollout", "-o", "json")
			var x rolledOut
			mustJSON(t, out, &x)
			if len(x.Rollouts) == 0 {
				return false
			}
			c := &x.Rollouts[0]
			said[c.Verdict] = true
			if c.Verdict != "roll back" {
				return false
			}
			o := &c.Outcomes[0]
			if code != 1 || c.Kind != "canary" || c.Provider != from.provider || c.Candidate.Versions["prompt"] != "v14" || len(x.Doubts) != 0 {
				t.Errorf("exit %d, %+v", code, x)
			}
			if o.Outcome != "schema_failures" || o.State != "worse" || o.K < 5 || o.N < 50 || o.ControlN < 4*o.N || !strings.Contains(c.Why, "schema failures") {
				t.Errorf("the numbers are %+v: %s", o, c.Why)
			}
			t.Log(c.Why)
			return true
		})
		if said["promote"] {
			t.Errorf("by %s it was to be promoted", from.provider)
		}
	}
}

func TestQuietHasNoRollout(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "quiet")
	for range 3 {
		out, code := d.run(t, "changes", "--rollout", "-o", "json")
		var x rolledOut
		mustJSON(t, out, &x)
		if code != 0 || len(x.Rollouts) != 0 || len(x.Doubts) != 0 {
			t.Errorf("exit %d: %s", code, out)
		}
		if out, _ := d.run(t, "changes"); !strings.Contains(out, "Nothing changed between") || strings.Contains(out, "Doubt") {
			t.Errorf("in quiet: %s", out)
		}
	}
}
