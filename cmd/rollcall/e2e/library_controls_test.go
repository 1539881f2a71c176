package e2e

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// control is one shipped runbook that moves a setting, in the drill to one of its ends.
type control struct {
	scenario string
	speed    string
	prepare  func(t *testing.T, d *drill) // before anything else
	offered  string                       // by the verdict line; empty: nobody waits for trouble
	trouble  func(t *testing.T, d *drill) // waits for it, where the line names another runbook first or none
	runbook  string
	vars     []string
	// answers are asked at confirmations, by the step's name; the rest gets "go".
	answers map[string]func(t *testing.T, d *drill) string
	outcome string
	skipped []string // steps that were not due
	after   func(t *testing.T, d *drill)
}

// setting is what one is now.
func (d *drill) setting(t testing.TB, name string) string {
	t.Helper()
	out, _ := d.run(t, "setting", "get", name)
	return strings.TrimSpace(out)
}

// is fails unless settings are what they should be.
func (d *drill) is(t testing.TB, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if now := d.setting(t, want[i]); now != want[i+1] {
			t.Errorf("%s is %s, want %s", want[i], now, want[i+1])
		}
	}
}

// put steers the simulated service past the console.
func (d *drill) put(t testing.TB, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, d.Admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("PUT %s %s: %s", path, body, resp.Status)
	}
}

// offers waits until the verdict line offers a runbook.
func (d *drill) offers(t testing.TB, runbook string) {
	t.Helper()
	var s struct {
		Line    string
		Runbook string
	}
	defer func() { t.Logf("%s offers %q", s.Line, s.Runbook) }()
	poll(t, 120*time.Second, "line that offers "+runbook, func() bool {
		out, _ := d.run(t, "status", "-o", "json")
		return json.Unmarshal([]byte(out), &s) == nil && s.Runbook == runbook
	})
}

func (c *control) play(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	began := time.Now()
	d := startHeadless(t, binaries(t), c.scenario, "--speed", c.speed)
	if c.prepare != nil {
		c.prepare(t, d)
	}
	if c.offered != "" {
		d.offers(t, c.offered)
	}
	if c.trouble != nil {
		c.trouble(t, d)
	}
	out, code := d.run(t, append([]string{"runbook", "run", c.runbook, "--yes"}, c.vars...)...)
	s := d.state(t)
	for n := 0; s.Outcome == ""; n++ {
		if s.Ask != "confirm" || n > 20 {
			t.Fatalf("the run stands at a question of kind %q (exit %d):\n%s", s.Ask, code, out)
		}
		step, verb := s.Steps[s.Current].Name, "go"
		if answer := c.answers[step]; answer != nil {
			verb = answer(t, d)
		}
		if _, code := d.run(t, "runbook", "answer", "RUN-1", verb, "--step", step); code != 0 {
			t.Fatalf("the answer %s to %s was not taken: exit %d", verb, step, code)
		}
		out, code = d.run(t, "runbook", "resume", "RUN-1", "--yes")
		s = d.state(t)
	}
	if s.Outcome != c.outcome {
		t.Errorf("the run %s (exit %d):\n%s", s.Outcome, code, out)
	}
	skipped := strings.Join(c.skipped, " ")
	for _, st := range s.Steps {
		if c.outcome != "succeeded" || st.Phase == "Abort" {
			continue
		}
		want := "passed"
		if strings.Contains(" "+skipped+" ", " "+st.Name+" ") {
			want = "skipped"
		}
		if st.Status != want {
			t.Errorf("%s %s, want %s: %s", st.Name, st.Status, want, st.Why)
		}
	}
	if c.after != nil {
		c.after(t, d)
	}
	if out, code := d.run(t, "journal", "verify"); code != 0 {
		t.Errorf("the journal does not verify (exit %d): %s", code, out)
	}
	t.Logf("%s after %s", s.Outcome, time.Since(began).Round(time.Second))
}

// recovered waits until nothing is bad any more.
func recovered(t *testing.T, d *drill) {
	t.Helper()
	poll(t, 90*time.Second, "recovered service", func() bool {
		var status struct{ Verdict string }
		out, _ := d.run(t, "status", "-o", "json")
		return json.Unmarshal([]byte(out), &status) == nil && status.Verdict != "bad"
	})
}

func TestABadCanaryIsStopped(t *testing.T) {
	(&control{
		scenario: "canary-regression", speed: "30", offered: "stop-canary", runbook: "stop-canary", outcome: "succeeded",
		after: func(t *testing.T, d *drill) {
			d.is(t, "canary", "0")
			recovered(t, d)
		},
	}).play(t)
}

func TestBurstsOverALimitWaitInAQueue(t *testing.T) {
	(&control{
		scenario: "rate-limiting", speed: "30", offered: "backpressure", runbook: "backpressure", outcome: "succeeded",
		after: func(t *testing.T, d *drill) { d.is(t, "queueing", "on") },
	}).play(t)
}

func TestTheSmallerModelAnswersInAnOutage(t *testing.T) {
	(&control{
		scenario: "provider-outage", speed: "30", offered: "provider-outage", runbook: "fallback-model", outcome: "succeeded",
		after: func(t *testing.T, d *drill) {
			if v := d.pin(t, "model"); v != "gpt-4.1-mini-2025-04-14" {
				t.Errorf("model is %s", v)
			}
		},
	}).play(t)
}

// The queue and the fallback are on already: another model answers, until the
// provider is well again.
func TestAnOutageOfTheProviderIsGotThrough(t *testing.T) {
	(&control{
		scenario: "provider-outage", speed: "40", offered: "provider-outage", runbook: "provider-outage", outcome: "succeeded",
		answers: map[string]func(t *testing.T, d *drill) string{
			"well": func(t *testing.T, d *drill) string {
				if v := d.pin(t, "model"); v != "gpt-4.1-mini-2025-04-14" {
					t.Errorf("during the outage the model is %s", v)
				}
				d.passes(t, 24*time.Minute)
				return "go"
			},
		},
		skipped: []string{"queue", "fallback", "enough", "away", "unqueue"},
		after: func(t *testing.T, d *drill) {
			d.is(t, "queueing", "on")
			if v := d.pin(t, "model"); v != "gpt-4.1-2025-04-14" {
				t.Errorf("after the outage the model is %s", v)
			}
			recovered(t, d)
		},
	}).play(t)
}

func TestInAnOutageTheMilderThingsComeFirst(t *testing.T) {
	(&control{
		scenario: "provider-outage", speed: "30", runbook: "provider-outage", outcome: "stopped",
		// What was switched off just before is a change, and may be taken for the cause: the line then offers nothing.
		trouble: func(t *testing.T, d *drill) { d.says(t, `^Errors .*mostly`) },
		prepare: func(t *testing.T, d *drill) {
			d.put(t, "/v1/features/model_fallback", `{"enabled": false}`)
			d.put(t, "/v1/queueing", `{"enabled": false}`)
		},
		answers: map[string]func(t *testing.T, d *drill) string{
			"well": func(t *testing.T, d *drill) string {
				s := d.state(t)
				for _, name := range []string{"queue", "fallback", "relief", "mitigated"} {
					if s.step(name) != "passed" {
						t.Errorf("%s %s", name, s.step(name))
					}
				}
				if enough := s.step("enough"); enough != "failed" && enough != "passed" && enough != "inconclusive" {
					t.Errorf("nobody looked whether that was enough: %s", enough)
				}
				d.is(t, "queueing", "on")
				if out, _ := d.run(t, "feature", "list", "-o", "json"); !strings.Contains(out, `"model_fallback",
    "enabled": true`) {
					t.Errorf("the fallback is off:\n%s", out)
				}
				return "stop"
			},
		},
	}).play(t)
}

// A rehearsal stops a canary of its own, and a reset brings that back.
func TestStoppingACanaryIsRehearsedOnACanaryOfItsOwn(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "quiet", "--speed", "40")
	practised := func() string {
		resp, err := http.Get(d.Admin + "/v1/rehearsal/settings/canary")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var s struct{ Value float64 }
		if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return strconv.FormatFloat(s.Value, 'f', -1, 64)
	}
	out, code := d.run(t, "runbook", "rehearse", "stop-canary", "--yes")
	if s := d.state(t); s.Outcome != "succeeded" || code != 0 {
		t.Errorf("the rehearsal %s (exit %d):\n%s", s.Outcome, code, out)
	}
	d.is(t, "canary", "0")
	if v := practised(); v != "0" {
		t.Errorf("the canary of the rehearsal is %s", v)
	}
	// There is nothing left to stop, until a reset: a precondition says so and a person is asked.
	if out, code := d.run(t, "runbook", "rehearse", "stop-canary", "--yes"); code == 0 {
		t.Errorf("a canary without traffic was stopped:\n%s", out)
	}
	if _, code := d.run(t, "runbook", "answer", "RUN-2", "stop", "--step", "target"); code != 0 {
		t.Errorf("the run was not stopped: exit %d", code)
	}
	_, _ = d.run(t, "runbook", "resume", "RUN-2", "--yes")
	if _, code := d.run(t, "runbook", "rehearse", "stop-canary", "--reset", "--yes"); code != 0 || practised() != "0" {
		t.Errorf("after a reset: exit %d, %s", code, practised())
	}
	var list []struct {
		ID        string
		Rehearsed string
	}
	out, _ = d.run(t, "runbook", "list", "-o", "json")
	mustJSON(t, out, &list)
	for _, l := range list {
		if l.ID == "stop-canary" && l.Rehearsed == "" {
			t.Error("it is not known to be rehearsed")
		}
	}
}

// passes waits until so much service time has passed since the drill began.
func (d *drill) passes(t testing.TB, span time.Duration) {
	t.Helper()
	poll(t, 120*time.Second, "end of "+span.String(), func() bool {
		resp, err := http.Get(d.Admin + "/v1/state")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var s struct{ Start, Now time.Time }
		return json.NewDecoder(resp.Body).Decode(&s) == nil && s.Now.Sub(s.Start) > span
	})
}

func TestABudgetThatIsUsedUpIsRaised(t *testing.T) {
	c := &control{scenario: "budget-exhaustion", speed: "30", offered: "raise-budget", runbook: "raise-budget", outcome: "succeeded"}
	var to string
	c.trouble = func(t *testing.T, d *drill) {
		limit, err := strconv.ParseFloat(d.setting(t, "budget_day"), 64)
		if err != nil {
			t.Fatal(err)
		}
		to = strconv.FormatFloat(limit+2500, 'f', -1, 64)
		c.vars = []string{"--var", "TO=" + to}
	}
	c.after = func(t *testing.T, d *drill) { d.is(t, "budget_day", to, "enforce_day", "on") }
	c.play(t)
}

func TestARunawayIsFrozenByItsBudget(t *testing.T) {
	(&control{
		scenario: "cost-runaway", speed: "30", runbook: "freeze-budget", outcome: "succeeded",
		trouble: func(t *testing.T, d *drill) {
			poll(t, 120*time.Second, "bad verdict", func() bool {
				_, code := d.run(t, "status")
				return code == 1
			})
		},
		after: func(t *testing.T, d *drill) {
			scope, _ := d.run(t, "cost", "tightest")
			scope = strings.TrimSpace(scope)
			d.is(t, "budget_"+scope, "0.01", "enforce_"+scope, "on")
		},
	}).play(t)
}

func TestAHealthyCandidateIsPromotedStageByStage(t *testing.T) {
	(&control{
		scenario: "quiet", speed: "60", runbook: "promote-rollout", outcome: "succeeded",
		prepare: func(t *testing.T, d *drill) {
			d.put(t, "/v1/canary", `{"share": 0.1, "set": {"prompt": "v12"}}`)
		},
		skipped: strings.Fields("go-1 to-1 health-1 compare-1 evals-1 enough-1 go-5 to-5 health-5 compare-5 evals-5 enough-5 go-10 to-10 health-10 compare-10 evals-10 enough-10"),
		after: func(t *testing.T, d *drill) {
			d.is(t, "canary", "1")
			if v := d.pin(t, "prompt"); v != "v12" {
				t.Errorf("prompt is %s", v)
			}
		},
	}).play(t)
}

func TestABadCandidateIsNotPromoted(t *testing.T) {
	(&control{
		scenario: "canary-regression", speed: "30", runbook: "promote-rollout", outcome: "aborted",
		trouble: func(t *testing.T, d *drill) {
			poll(t, 60*time.Second, "canary", func() bool { return d.setting(t, "canary") == "0.1" })
		},
		after: func(t *testing.T, d *drill) {
			d.is(t, "canary", "0")
			if v := d.pin(t, "prompt"); v != "v13" {
				t.Errorf("prompt is %s", v)
			}
			// Which of them sees it first depends on how long the canary has run.
			s := d.state(t)
			if s.step("so-far") != "failed" && s.step("calm") != "failed" && s.step("evals") != "failed" {
				t.Errorf("comparison %s, status %s, evals %s", s.step("so-far"), s.step("calm"), s.step("evals"))
			}
		},
	}).play(t)
}

func TestTheTrafficGoesBackToTheOtherEnvironment(t *testing.T) {
	(&control{
		scenario: "blue-green", speed: "30", offered: "rollback-prompt", runbook: "switch-back", outcome: "succeeded",
		after: func(t *testing.T, d *drill) {
			d.is(t, "colour", "blue")
			if v := d.pin(t, "prompt"); v != "v13" {
				t.Errorf("prompt is %s", v)
			}
			recovered(t, d)
		},
	}).play(t)
}
