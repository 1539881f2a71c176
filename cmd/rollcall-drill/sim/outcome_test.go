package sim_test

import (
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

func TestWhatPeopleChangeIsJudged(t *testing.T) {
	type step struct {
		wait time.Duration
		do   func(*testing.T, *sim.Control)
		want sim.Judgement
	}
	for _, c := range []struct {
		name, scenario string
		steps          []step
		mitigated      bool
	}{
		{"the right thing at once", "index-drift", []step{{3 * time.Minute, pinned("index", "kb-42"), sim.Right}}, true},
		{"before anything is wrong", "index-drift", []step{{10 * time.Second, pinned("index", "kb-41"), sim.Early}}, false},
		{"in vain, put back, and right", "index-drift", []step{
			{3 * time.Minute, switched("rerank", false), sim.Wrong},
			{time.Minute, switched("rerank", true), sim.Undone},
			{time.Minute, pinned("index", "kb-41"), sim.Right},
		}, true},
		{"right, and taken back", "index-drift", []step{
			{3 * time.Minute, pinned("index", "kb-42"), sim.Right},
			{time.Minute, pinned("index", "kb-43"), sim.Wrong},
		}, false},
		{"half of what is right", "rate-limiting", []step{{3 * time.Minute, switched("model_fallback", true), sim.Right}}, false},
		{"another way than the first", "cost-runaway", []step{
			{3 * time.Minute, pinned("prompt", "v12"), sim.Wrong},
			{time.Minute, switched("tenant.initech", false), sim.Right},
		}, true},
		{"nothing is wrong in quiet", "quiet", []step{
			{3 * time.Minute, pinned("prompt", "v12"), sim.Wrong},
			{time.Minute, pinned("prompt", "v13"), sim.Undone},
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.scenario, 3, 0)
			w.live(time.Minute)
			for i, s := range c.steps {
				w.live(s.wait)
				s.do(t, w.control)
				o := w.Outcome()
				if len(o.Actions) != i+1 || o.Actions[i].Judgement != s.want {
					t.Fatalf("step %d: %+v, want %s", i+1, o.Actions, s.want)
				}
			}
			if o := w.Outcome(); o.Mitigated.IsZero() == c.mitigated {
				t.Errorf("mitigated: %s", o.Mitigated)
			}
		})
	}
}

func TestTheTollIsOfTheTroubleAlone(t *testing.T) {
	w := newWorld(t, "index-drift", 3, 0)
	w.live(time.Minute)
	w.live(time.Minute)
	if o := w.Outcome(); !o.Began.IsZero() || o.During.Requests != 0 || o.Before.Requests == 0 {
		t.Fatalf("before it begins: %+v", o)
	}
	w.live(5 * time.Minute)
	pinned("index", "kb-42")(t, w.control)
	w.live(time.Second)
	then := w.Outcome()
	w.live(5 * time.Minute)
	o := w.Outcome()
	if !o.Began.Equal(start.Add(90*time.Second)) || !o.Mitigated.Equal(start.Add(6*time.Minute)) {
		t.Errorf("began %s, mitigated %s", o.Began, o.Mitigated)
	}
	if o.During.Requests != then.During.Requests || o.During.Bad != then.During.Bad {
		t.Errorf("it goes on counting after the mitigation: %d and %d requests", then.During.Requests, o.During.Requests)
	}
	if o.During.Seconds != 270 || o.Before.Seconds != 150 {
		t.Errorf("it counted %g s before and %g s during, want 150 and 270", o.Before.Seconds, o.During.Seconds)
	}
	share := func(t sim.Toll) float64 { return float64(t.Bad) / float64(t.Requests) }
	between(t, "bad requests compared with before", share(o.During)/share(o.Before), 1.8, 5)
	if o.During.Users < 200 || o.During.Users > o.During.Bad {
		t.Errorf("%d users met %d bad requests", o.During.Users, o.During.Bad)
	}
}

func TestAnOutageThatEndsByItselfIsNobodysMerit(t *testing.T) {
	w := newWorld(t, "provider-outage", 3, 0)
	w.live(23 * time.Minute)
	o := w.Outcome()
	if !o.Ended.Equal(start.Add(21*time.Minute+30*time.Second)) || !o.Mitigated.IsZero() || o.During.Seconds != 20*60 {
		t.Errorf("ended %s, mitigated %s, %g s", o.Ended, o.Mitigated, o.During.Seconds)
	}
}

func TestEveryScenarioButQuietKnowsItsSolution(t *testing.T) {
	all, err := scenarios.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 13 {
		t.Errorf("there are %d scenarios; these tests know 13", len(all))
	}
	for _, s := range all {
		if none := len(s.Solution.Ways) == 0; none != (s.Name == "quiet") {
			t.Errorf("%s has %d ways of mitigating", s.Name, len(s.Solution.Ways))
		}
	}
}
