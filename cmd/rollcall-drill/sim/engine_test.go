package sim_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	run := func(seed uint64) (map[string]float64, []string) {
		w := newWorld(t, "prompt-regression", seed, 0.2)
		w.live(4 * time.Minute)
		return w.counters(), w.sink.lines
	}
	counters, lines := run(7)
	again, linesAgain := run(7)
	if !maps.Equal(counters, again) {
		t.Error("the metrics differ between two runs with one seed")
	}
	if !slices.Equal(lines, linesAgain) {
		t.Error("requests, evaluations and feedback differ between two runs with one seed")
	}
	if other, otherLines := run(8); maps.Equal(counters, other) || slices.Equal(lines, otherLines) {
		t.Error("another seed gave the same run")
	}
}

func TestLookingAtTheMetricsChangesNothing(t *testing.T) {
	quietly, watched := newWorld(t, "prompt-regression", 3, 0), newWorld(t, "prompt-regression", 3, 0)
	quietly.live(4 * time.Minute)
	for range 48 {
		watched.live(5 * time.Second)
		watched.counters()
	}
	if !maps.Equal(quietly.counters(), watched.counters()) {
		t.Error("a service that is scraped more often counts something else")
	}
}

func TestPuttingTheOldPromptBackCuresTheRegression(t *testing.T) {
	w := newWorld(t, "prompt-regression", 1, 0)
	w.live(time.Minute) // before the start
	between(t, "schema failures before the change", w.over(90*time.Second, fails, validations), 0.003, 0.03)
	if p, _ := w.control.Pin("prompt"); p.Version != "v14" {
		t.Fatalf("prompt is %s ninety seconds in, want v14", p.Version)
	}
	w.live(15 * time.Second)
	between(t, "schema failures after it", w.over(3*time.Minute, fails, validations), 0.06, 0.13)

	pin, err := w.control.Pin("prompt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.control.SetPin("prompt", "v13", pin.Revision); err != nil {
		t.Fatal(err)
	}
	w.live(30 * time.Second) // what is under way ends as it began
	between(t, "schema failures after the rollback", w.over(3*time.Minute, fails, validations), 0.003, 0.03)
}

func TestACanaryDoesWorseThanWhatIsLiveBesideIt(t *testing.T) {
	w := newWorld(t, "canary-regression", 5, 0)
	w.live(3 * time.Minute)
	before := w.counters()
	w.live(20 * time.Minute)
	after := w.counters()
	of := func(prompt string, words []string) float64 {
		return grown(before, after, append([]string{"prompt=" + prompt}, words...)...)
	}
	between(t, "the canary's share of validations", of("v14", validations)/grown(before, after, validations...), 0.08, 0.12)
	between(t, "schema failures of the canary compared with the live prompt",
		of("v14", fails)/of("v14", validations)/(of("v13", fails)/of("v13", validations)), 4, 12)
	if n := strings.Count(infos(after)["llmops_deployment_info"], "llmops_deployment_info"); n != 2 {
		t.Errorf("%d manifests are exposed, want the live one and the canary", n)
	}
	if err := w.control.SetCanary(0); err != nil {
		t.Fatal(err)
	}
	w.live(time.Minute)
	if info := infos(w.counters())["llmops_deployment_info"]; strings.Contains(info, "canary") {
		t.Errorf("after its end the canary is still exposed: %s", info)
	}
}

func TestASilentModelChangeMovesWhatIsServedAndNoManifest(t *testing.T) {
	w := newWorld(t, "silent-model-change", 1, 0)
	w.live(2*time.Minute + 20*time.Second)
	before := infos(w.counters())
	w.live(time.Minute)
	after := infos(w.counters())
	if before["llmops_deployment_info"] != after["llmops_deployment_info"] {
		t.Error("the manifest moved")
	}
	if a, b := before["llmops_served_model_info"], after["llmops_served_model_info"]; a == b || !strings.Contains(b, "served=gpt-4.1-2025-08-07") {
		t.Errorf("served model was %s and is %s", a, b)
	}
}

// infos are the info series by name; there must be one of each.
func infos(counters map[string]float64) map[string]string {
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(counters)) {
		if name, _, _ := strings.Cut(k, "{"); strings.HasSuffix(name, "_info") {
			out[name] += k
		}
	}
	return out
}

func TestAChangeOfManifestEndsTheOldInfoSeries(t *testing.T) {
	w := newWorld(t, "prompt-regression", 1, 0)
	w.live(2*time.Minute + 30*time.Second)
	info := infos(w.counters())["llmops_deployment_info"]
	if strings.Count(info, "llmops_deployment_info") != 1 || !strings.Contains(info, "prompt=v14") {
		t.Errorf("exposed after the change: %s", info)
	}
	if len(w.sink.changes) != 1 || w.sink.changes[0].To != "v14" || !w.sink.changes[0].At.Equal(start.Add(90*time.Second)) {
		t.Errorf("the log was told %+v, want one change to v14 ninety seconds in", w.sink.changes)
	}
}

func TestSampledRequestsAreAUniformShareOfAll(t *testing.T) {
	w := newWorld(t, "prompt-regression", 2, 0.25)
	w.live(3 * time.Minute)
	before, seen := w.counters(), len(w.sink.requests)
	w.live(10 * time.Minute)
	after, sampled := w.counters(), w.sink.requests[seen:]
	all := grown(before, after, requests...)
	between(t, "the share of sampled requests", float64(len(sampled))/all, 0.235, 0.265)
	failed := 0.0
	for _, q := range sampled {
		if q.Schema == sim.No {
			failed++
		}
	}
	between(t, "schema failures among the sampled ones compared with all",
		failed/float64(len(sampled))/(grown(before, after, fails...)/all), 0.8, 1.25)
}

func TestFeaturesBudgetsAndQueueingAct(t *testing.T) {
	t.Run("agents without tools call the model once", func(t *testing.T) {
		w := newWorld(t, "cost-runaway", 1, 1)
		w.live(5 * time.Minute)
		if err := w.control.SetFeature("agent_tools", false); err != nil {
			t.Fatal(err)
		}
		w.live(3 * time.Minute) // loops that had begun come to their end
		w.sink.requests = nil
		w.live(time.Minute)
		for _, q := range w.sink.requests {
			if len(q.Calls) > 2 { // a failed call and its fallback
				t.Fatalf("%s made %d calls", q.ID(), len(q.Calls))
			}
		}
	})
	t.Run("a tenant that is switched off is refused", func(t *testing.T) {
		w := newWorld(t, "quiet", 1, 1)
		if err := w.control.SetFeature("tenant.initech", false); err != nil {
			t.Fatal(err)
		}
		w.live(90 * time.Second)
		for _, q := range w.sink.requests {
			if q.Tenant() == "initech" && q.DeniedReason() != "suspended" {
				t.Fatalf("%s of initech was let through", q.ID())
			}
		}
	})
	t.Run("a budget that is enforced and used up refuses requests", func(t *testing.T) {
		w := newWorld(t, "quiet", 1, 0)
		if err := w.control.SetBudget("hour", 0.5, true); err != nil {
			t.Fatal(err)
		}
		w.live(2 * time.Minute)
		share := w.over(time.Minute, []string{"llmops_requests_total{", "error_type=budget_exceeded"}, requests)
		between(t, "the refused share", share, 0.95, 1)
	})
	t.Run("a slow provider fills the queue, which drops what does not fit", func(t *testing.T) {
		w := newWorld(t, "provider-outage", 1, 0)
		if err := w.control.SetQueueing(sim.Queueing{Enabled: true, MaxDepth: 30}); err != nil {
			t.Fatal(err)
		}
		w.live(6 * time.Minute)
		before := w.counters()
		w.live(8 * time.Minute)
		after := w.counters()
		if n := grown(before, after, "llmops_queue_dropped_total"); n == 0 {
			t.Error("nothing was dropped")
		}
		between(t, "the mean wait", grown(before, after, "llmops_queue_wait_seconds_sum")/grown(before, after, "llmops_queue_wait_seconds_count"), 0.2, 30)
	})
}

// Whose request finds the queue full is chance. It was always the busiest user's once, who then stood out among the failing.
func TestTheQueueDropsRequestsOfAllUsersAlike(t *testing.T) {
	w := newWorld(t, "provider-outage", 1, 1)
	w.live(6 * time.Minute)
	type share struct{ busiest, all float64 }
	var dropped, served share
	for _, q := range w.sink.requests {
		s := &served
		if q.ErrorType() == "overloaded" {
			s = &dropped
		}
		s.all++
		if q.User() == 0 {
			s.busiest++
		}
	}
	if dropped.all < 300 {
		t.Fatalf("only %.0f requests were dropped", dropped.all)
	}
	between(t, "the busiest users' share of dropped requests, compared with the others", dropped.busiest/dropped.all/(served.busiest/served.all), 0.75, 1.3)
}

func TestTheEvalSuiteTellsGoodFromBad(t *testing.T) {
	w := newWorld(t, "prompt-regression", 1, 0)
	w.live(time.Minute)
	good := w.Evaluate()
	w.live(3 * time.Minute)
	bad := w.Evaluate()
	if !good.Pass || bad.Pass || good.Manifest == bad.Manifest || good.Cases != good.Passed+good.Failed {
		t.Errorf("before the change %d of %d passed, after it %d of %d", good.Passed, good.Cases, bad.Passed, bad.Cases)
	}
	before := w.counters()
	w.Evaluate()
	if !maps.Equal(before, w.counters()) {
		t.Error("running the suite moved a metric")
	}
}
