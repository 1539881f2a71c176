package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cure is one shipped runbook that ends the trouble of a scenario.
type cure struct {
	name     string
	scenario string
	runbook  string
	vars     []string          // what a person gives, in place of what the runbook would find
	wants    map[string]string // variables as the run must have resolved them
	notes    map[string]string // what is typed at a note
	off      string            // the feature that is off afterwards; empty: none
	pin      [2]string         // component and the version that is live afterwards
	skipped  []string          // steps that are not for this case
	offered  bool              // the verdict line offers it
	captured bool              // it keeps requests as evidence
	planted  [3]string         // component, from, to: a version that the test itself puts live, where no scenario does
}

// Every shipped runbook that moves a pin or a feature ends the scenario that it is
// for, and does what it says by itself, but for what a person must say.
func TestShippedRunbooksCureWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	dir := binaries(t)
	for _, c := range []cure{
		{
			name: "a tenant whose agent loops is stopped", scenario: "cost-runaway", runbook: "stop-runaway",
			wants: map[string]string{"WHO": "initech", "FEATURE": "tenant.initech"}, off: "tenant.initech", captured: true,
			notes: map[string]string{"told": "initech's engineers; when their agent stops after 20 pages"},
		},
		{
			name: "agents go off where they cost too much", scenario: "cost-runaway", runbook: "disable-features",
			vars: []string{"--var", "FEATURE=agent_tools"}, off: "agent_tools",
		},
		{
			name: "a tenant that attacks is shut out", scenario: "safety-spike", runbook: "shutdown-for-safety", offered: true,
			wants: map[string]string{"TENANT": "hooli", "FEATURE": "tenant.hooli"}, off: "tenant.hooli", captured: true, skipped: []string{"evidence-all"},
			notes: map[string]string{"told": "the safety lead owns it; support says that the assistant is not available to hooli"},
		},
		{
			name: "an index that leaks is taken back", scenario: "privacy-leak", runbook: "contain-privacy-leak", offered: true,
			wants: map[string]string{"BAD": "kb-44", "GOOD": "kb-42", "FEATURE": "none"}, pin: [2]string{"index", "kb-42"}, captured: true, skipped: []string{"off", "evidence"},
			notes: map[string]string{"erased": "nothing yet: data protection decides", "notified": "data protection at once; the customers tomorrow"},
		},
		{
			name: "a prompt that defeats the caches is taken back", scenario: "cache-collapse", runbook: "cache-collapse", offered: true,
			wants: map[string]string{"BAD": "v15", "GOOD": "v13"}, pin: [2]string{"prompt", "v13"},
		},
		{
			name: "a model that drifted is left", scenario: "silent-model-change", runbook: "eval-drift", offered: true,
			wants: map[string]string{"BAD": "gpt-4.1-2025-04-14", "GOOD": "gpt-4o-2024-11-20"}, pin: [2]string{"model", "gpt-4o-2024-11-20"}, captured: true,
		},
		{
			name: "tools that make an agent loop are rolled back", scenario: "cost-runaway", runbook: "rollback-tools", offered: true,
			wants: map[string]string{"BAD": "t6", "GOOD": "t5"}, pin: [2]string{"tools", "t5"},
		},
		{
			name: "a policy that refuses too much is rolled back", scenario: "quiet", runbook: "rollback-policy", planted: [3]string{"policy", "p8", "p9"},
			wants: map[string]string{"BAD": "p9", "GOOD": "p8"}, pin: [2]string{"policy", "p8"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.play(t, startHeadless(t, dir, c.scenario, "--speed", "40"))
		})
	}
}

func (c *cure) play(t *testing.T, d *drill) {
	if p := c.planted; p[0] != "" {
		if out, code := d.run(t, "pin", "set", p[0], p[2], "--if-current", p[1]); code != 0 {
			t.Fatalf("%s was not put live: %s", p[2], out)
		}
	}
	var status struct{ Verdict, Runbook string }
	poll(t, 150*time.Second, "trouble that shows", func() bool {
		out, code := d.run(t, "status", "-o", "json")
		if code != 1 {
			return false
		}
		mustJSON(t, out, &status)
		return !c.offered || status.Runbook == c.runbook
	})
	out, code := d.run(t, append([]string{"runbook", "run", c.runbook, "--yes"}, c.vars...)...)
	s := d.answered(t, c.notes, out, code)
	if s.Outcome != "succeeded" {
		for _, st := range s.Steps {
			t.Logf("%s %s: %s", st.Name, st.Status, st.Why)
		}
		t.Fatalf("the run %s", s.Outcome)
	}
	c.judge(t, d, &s)
	if c.planted[0] == "" {
		d.mitigated(t)
	}
	if out, code := d.run(t, "journal", "verify"); code != 0 {
		t.Errorf("the journal does not verify (exit %d): %s", code, out)
	}
}

// answered gives a run what a person must say until it ends: that it is so where it asks
// for a word, and texts where it asks for one.
func (d *drill) answered(t *testing.T, notes map[string]string, out string, code int) runState {
	t.Helper()
	s := d.state(t)
	for s.Outcome == "" {
		step := s.Steps[s.Current].Name
		text, noted := notes[step]
		if s.Ask != "confirm" && (s.Ask != "note" || !noted) {
			t.Fatalf("the run stands at %s with a question of kind %q (exit %d):\n%s", step, s.Ask, code, out)
		}
		if _, code := d.run(t, "runbook", "answer", "RUN-1", "go", "--step", step, "--why", text); code != 0 {
			t.Fatalf("the answer was not taken: exit %d", code)
		}
		out, code = d.run(t, "runbook", "resume", "RUN-1", "--yes")
		s = d.state(t)
	}
	return s
}

func (c *cure) judge(t *testing.T, d *drill, s *runState) {
	t.Helper()
	for name, want := range c.wants {
		if got := s.value(name); got != want {
			t.Errorf("%s was %q, not %q", name, got, want)
		}
	}
	skipped, samples := strings.Join(c.skipped, " "), 0
	for _, st := range s.Steps {
		samples += len(st.Samples)
		want := "passed"
		if strings.Contains(" "+skipped+" ", " "+st.Name+" ") {
			want = "skipped"
		}
		// What the suite says of a model that drifted is for the record.
		if st.Phase != "Abort" && st.Status != want && st.Name != "drifted" {
			t.Errorf("%s %s: %s", st.Name, st.Status, st.Why)
		}
	}
	if samples == 0 {
		t.Error("nothing was measured")
	}
	for name, on := range d.features(t) {
		if on == (name == c.off) {
			t.Errorf("%s is on: %v", name, on)
		}
	}
	if c.pin[0] != "" && d.pin(t, c.pin[0]) != c.pin[1] {
		t.Errorf("%s is %s", c.pin[0], d.pin(t, c.pin[0]))
	}
	journal, _ := d.run(t, "journal", "tail", "-o", "json", "-n", "5000")
	if got := strings.Contains(journal, `"artifact.captured"`); got != c.captured {
		t.Errorf("requests were kept as evidence: %v", got)
	}
	for _, text := range c.notes {
		if !strings.Contains(journal, text) {
			t.Errorf("the journal does not say %q", text)
		}
	}
}

// mitigated waits until the drill's own account says so, and that nothing was done in vain.
func (d *drill) mitigated(t *testing.T) {
	t.Helper()
	var o struct {
		Mitigated time.Time
		Actions   []struct{ What, From, To, Judgement string }
	}
	poll(t, 30*time.Second, "mitigation in the drill's own account", func() bool {
		text, err := os.ReadFile(filepath.Join(d.State, "outcome.json"))
		return err == nil && json.Unmarshal(text, &o) == nil && !o.Mitigated.IsZero()
	})
	for _, a := range o.Actions {
		if a.Judgement != "right" {
			t.Errorf("%s from %s to %s was %s", a.What, a.From, a.To, a.Judgement)
		}
	}
}

func (s *runState) value(name string) string {
	for _, v := range s.Vars {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// features tells which are on.
func (d *drill) features(t testing.TB) map[string]bool {
	t.Helper()
	out, _ := d.run(t, "feature", "list", "-o", "json")
	var list []struct {
		Feature string
		Enabled bool
	}
	mustJSON(t, out, &list)
	on := map[string]bool{}
	for _, f := range list {
		on[f.Feature] = f.Enabled
	}
	return on
}

// feature switches one as somebody else would, beside the console.
func (d *drill) feature(t testing.TB, name string, on bool) {
	t.Helper()
	body := `{"enabled": false}`
	if on {
		body = `{"enabled": true}`
	}
	req, err := http.NewRequest(http.MethodPut, d.Admin+"/v1/features/"+name, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s was not switched: %s", name, resp.Status)
	}
}

// What was switched off goes on again, and off at once when the trouble is still there.
func TestAFeatureThatWasOffComesBackOrGoesOffAgain(t *testing.T) {
	t.Parallel()
	dir := binaries(t)
	for _, c := range []struct{ name, scenario, feature, outcome string }{
		{"reranking", "quiet", "rerank", "succeeded"},
		{"a tenant that still attacks", "safety-spike", "tenant.hooli", "aborted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := startHeadless(t, dir, c.scenario, "--speed", "30")
			d.feature(t, c.feature, false)
			out, code := d.run(t, "runbook", "run", "restore-feature", "--yes", "--var", "FEATURE="+c.feature)
			s := d.answered(t, nil, out, code)
			if s.Outcome != c.outcome {
				for _, st := range s.Steps {
					t.Logf("%s %s: %s", st.Name, st.Status, st.Why)
				}
				t.Errorf("the run %s", s.Outcome)
			}
			if on := d.features(t)[c.feature]; on != (c.outcome == "succeeded") {
				t.Errorf("%s is on: %v", c.feature, on)
			}
		})
	}
}

// A feature that relieves nothing goes on again.
func TestAFeatureThatRelievesNothingGoesOnAgain(t *testing.T) {
	t.Parallel()
	d := startHeadless(t, binaries(t), "cost-runaway", "--speed", "40")
	poll(t, 150*time.Second, "money that goes too fast", func() bool {
		out, code := d.run(t, "status")
		return code == 1 && strings.Contains(out, "Cost per request")
	})
	out, code := d.run(t, "runbook", "run", "disable-features", "--yes", "--var", "FEATURE=rerank")
	s := d.answered(t, nil, out, code)
	if s.Outcome != "aborted" || s.step("undo") != "passed" || !d.features(t)["rerank"] {
		t.Errorf("the run %s, undo %s, features %v:\n%s", s.Outcome, s.step("undo"), d.features(t), out)
	}
}

// Rehearsals switch the rehearsal target and nothing that is live.
func TestRehearsalsOfSwitchesTouchNothingThatIsLive(t *testing.T) {
	t.Parallel()
	d := startHeadless(t, binaries(t), "quiet", "--speed", "60")
	notes := map[string]string{"told": "nobody, it is practice"}
	out, code := d.run(t, "runbook", "rehearse", "shutdown-for-safety", "--yes", "--var", "TENANT=hooli")
	if s := d.answered(t, notes, out, code); s.Outcome != "succeeded" || s.value("FEATURE") != "tenant.hooli" {
		t.Errorf("the rehearsal %s with %s:\n%s", s.Outcome, s.value("FEATURE"), out)
	}
	for name, on := range d.features(t) {
		if !on {
			t.Errorf("%s is off", name)
		}
	}
	list, _ := d.run(t, "runbook", "list", "-o", "json")
	var books []struct{ ID, Rehearsed string }
	mustJSON(t, list, &books)
	for _, b := range books {
		if (b.Rehearsed != "") != (b.ID == "shutdown-for-safety") {
			t.Errorf("%s was rehearsed: %q", b.ID, b.Rehearsed)
		}
	}
}
