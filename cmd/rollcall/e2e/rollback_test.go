package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rollback is one shipped runbook in the drill, to one of its ends.
type rollback struct {
	name      string
	scenario  string
	runbook   string
	component string
	from, to  string   // what the run is to move
	vars      []string // when a person says what to move, in place of what the runbook would find
	began     bool     // wait until the trouble has shown itself
	// meddle is what happens to the service while a person is asked.
	meddle  func(t *testing.T, d *drill)
	outcome string
}

// Every shipped rollback brings its component back where that helps, and puts it
// forward again where the old version turns out worse. Either way nothing else moves.
func TestShippedRollbacksSucceedAndUndoThemselves(t *testing.T) {
	dir := binaries(t)
	for _, c := range []rollback{
		{
			name: "a prompt that broke the format is rolled back", scenario: "prompt-regression", runbook: "rollback-prompt",
			component: "prompt", from: "v14", to: "v13", began: true, outcome: "succeeded",
		},
		{
			name: "a model that was swapped behind its name is left", scenario: "silent-model-change", runbook: "rollback-model",
			component: "model", from: "gpt-4.1-2025-04-14", to: "gpt-4o-2024-11-20", began: true, outcome: "succeeded",
		},
		{
			name: "an index that lost its ground is rolled back", scenario: "index-drift", runbook: "rollback-index",
			component: "index", from: "kb-43", to: "kb-42", began: true, outcome: "succeeded",
		},
		{
			name: "a prompt that is worse than the one it replaced is undone", scenario: "quiet", runbook: "rollback-prompt",
			component: "prompt", from: "v13", to: "v14", vars: []string{"--var", "BAD=v13", "--var", "GOOD=v14"}, outcome: "aborted",
		},
		{
			name: "a model without quota is undone", scenario: "quiet", runbook: "rollback-model",
			component: "model", from: "gpt-4.1-2025-04-14", to: "gpt-4o-2024-11-20", outcome: "aborted", meddle: refuseAll,
		},
		{
			name: "an index that finds less than the one it replaced is undone", scenario: "quiet", runbook: "rollback-index",
			component: "index", from: "kb-42", to: "kb-43", vars: []string{"--var", "BAD=kb-42", "--var", "GOOD=kb-43"}, outcome: "aborted",
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.play(t, startHeadless(t, dir, c.scenario, "--speed", "40")) })
	}
}

// refuseAll leaves the service an hourly budget that is used up, and enforces it.
func refuseAll(t *testing.T, d *drill) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, d.Admin+"/v1/budgets/hour", strings.NewReader(`{"usd": 1, "enforce": true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("the budget was not set: %s", resp.Status)
	}
}

// runState is what the tests read of `runbook runs RUN -o json`.
type runState struct {
	Outcome string
	Ask     string
	Current int
	Vars    []struct{ Name, Value string }
	Steps   []struct {
		Name, Phase, Kind, Status, Why string
		Samples                        []struct {
			Query   string
			Verdict string
			Value   *float64
		}
	}
}

func (s *runState) step(name string) string {
	for _, st := range s.Steps {
		if st.Name == name {
			return st.Status
		}
	}
	return ""
}

func (d *drill) state(t testing.TB) runState {
	t.Helper()
	var s runState
	out, _ := d.run(t, "runbook", "runs", "RUN-1", "-o", "json")
	mustJSON(t, out, &s)
	return s
}

func (d *drill) pin(t testing.TB, component string) string {
	t.Helper()
	out, _ := d.run(t, "pin", "get", component)
	return strings.TrimSpace(out)
}

func (c *rollback) play(t *testing.T, d *drill) {
	if c.began {
		poll(t, 120*time.Second, "bad verdict", func() bool {
			_, code := d.run(t, "status")
			return code == 1
		})
	}
	others, _ := d.run(t, "pin", "others", c.component)
	if v := d.pin(t, c.component); v != c.from {
		t.Fatalf("%s is %s before the run", c.component, v)
	}

	out, code := d.run(t, append([]string{"runbook", "run", c.runbook, "--yes"}, c.vars...)...)
	s := d.state(t)
	for s.Outcome == "" { // a person's word is needed where nobody can measure
		if s.Ask != "confirm" {
			t.Fatalf("the run stands at a question of kind %q (exit %d):\n%s", s.Ask, code, out)
		}
		if _, code := d.run(t, "runbook", "answer", "RUN-1", "go", "--step", s.Steps[s.Current].Name); code != 0 {
			t.Fatalf("the answer was not taken: exit %d", code)
		}
		if c.meddle != nil {
			c.meddle(t, d)
		}
		out, code = d.run(t, "runbook", "resume", "RUN-1", "--yes")
		s = d.state(t)
	}
	if s.Outcome != c.outcome {
		t.Fatalf("the run %s (exit %d):\n%s", s.Outcome, code, out)
	}
	if now, _ := d.run(t, "pin", "others", c.component); now != others {
		t.Errorf("another pin moved: %q, before %q", now, others)
	}
	c.judge(t, d, &s, code)
	if out, code := d.run(t, "journal", "verify"); code != 0 {
		t.Errorf("the journal does not verify (exit %d): %s", code, out)
	}
}

func (c *rollback) judge(t *testing.T, d *drill, s *runState, code int) {
	t.Helper()
	samples := 0
	for _, st := range s.Steps {
		for _, x := range st.Samples {
			samples++
			if x.Query == "" {
				t.Errorf("a sample of %s does not say what was asked", st.Name)
			}
		}
		if c.outcome == "succeeded" && st.Phase != "Abort" && st.Status != "passed" {
			t.Errorf("%s %s: %s", st.Name, st.Status, st.Why)
		}
	}
	if samples == 0 {
		t.Error("nothing was measured")
	}
	switch c.outcome {
	case "succeeded":
		if v := d.pin(t, c.component); code != 0 || v != c.to {
			t.Errorf("exit %d, %s is %s", code, c.component, v)
		}
		poll(t, 60*time.Second, "recovered service", func() bool {
			var status struct{ Verdict string }
			out, _ := d.run(t, "status", "-o", "json")
			return json.Unmarshal([]byte(out), &status) == nil && status.Verdict != "bad"
		})
	case "aborted":
		if v := d.pin(t, c.component); code != 1 || v != c.from {
			t.Errorf("exit %d, %s is %s", code, c.component, v)
		}
		if s.step("undo") != "passed" {
			t.Errorf("undo %s", s.step("undo"))
		}
	}
}
