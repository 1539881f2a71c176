package sim_test

import (
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// figures are what the service looks like over a stretch of time.
type figures map[string]float64

func figuresOf(b, a map[string]float64, seconds float64) figures {
	of := func(words ...string) float64 { return grown(b, a, words...) }
	n := of("llmops_requests_total{")
	out := figures{
		"errors":        of("llmops_requests_total{", "outcome=error") / n,
		"requests":      n / seconds,
		"schema fail":   of("llmops_validation_total{", "result=fail") / of("llmops_validation_total{"),
		"cost":          of("llmops_cost_usd_total{") / n,
		"ttft":          of("llmops_ttft_seconds_sum") / of("llmops_ttft_seconds_count"),
		"latency":       of("llmops_request_seconds_sum") / of("llmops_request_seconds_count"),
		"search":        of("llmops_index_query_seconds_sum") / of("llmops_index_query_seconds_count"),
		"misses":        of("llmops_retrieval_total{", "hit=false") / of("llmops_retrieval_total{"),
		"refusals":      of("llmops_refusals_total{") / n,
		"filter":        (of("llmops_filter_total{", "action=mask") + of("llmops_filter_total{", "action=block")) / of("llmops_filter_total{"),
		"denials":       of("llmops_access_denied_total{") / n,
		"redactions":    of("llmops_redactions_total{") / n,
		"feedback down": of("llmops_feedback_total{", "verdict=down") / of("llmops_feedback_total{"),
		"fallback":      of("llmops_fallback_total{") / n,
		"tokens":        of("llmops_tokens_total{", "kind=output") / n,
		"prompt tokens": of("llmops_prompt_tokens_sum") / of("llmops_prompt_tokens_count"),
		"dropped":       of("llmops_queue_dropped_total") / n,
		"wait":          of("llmops_queue_wait_seconds_sum") / n,
	}
	for _, kind := range []string{"exact", "semantic", "provider"} {
		out["cache "+kind] = of("llmops_cache_total{", "kind="+kind, "result=hit") / of("llmops_cache_total{", "kind="+kind)
	}
	for _, kind := range []string{"timeout", "provider_error", "rate_limited", "overloaded", "budget_exceeded", "tool_error"} {
		out[kind] = of("llmops_requests_total{", "error_type="+kind) / n
	}
	for _, name := range []string{"groundedness", "helpfulness", "harmlessness"} {
		out[name] = of("llmops_eval_score_sum", "evaluator="+name) / of("llmops_eval_score_count", "evaluator="+name)
	}
	return out
}

func (w *world) figures(d time.Duration) figures {
	before := w.counters()
	w.live(d)
	return figuresOf(before, w.counters(), d.Seconds())
}

// span is what a figure is of what it is in quiet, at the same time of the same seed.
type span struct{ low, high float64 }

// Everything is compared with the quiet service of the same seed at the same
// time, so that the noise is the same and only what was planted differs.
func TestEveryScenarioMovesWhatItPlantedAndTheRightThingCuresIt(t *testing.T) {
	near := span{0.8, 1.25}
	const seed = 11
	quiet := newPast(newWorld(t, "quiet", seed, 0), 34*time.Minute)
	for _, c := range []struct {
		scenario string
		live     time.Duration // until it is looked at; it began ninety seconds in
		moves    map[string]span
		stays    []string
		cures    map[string]func(t *testing.T, c *sim.Control)
		cured    map[string]span
	}{
		{
			"index-drift", 6 * time.Minute,
			map[string]span{"misses": {3.5, 5.5}, "groundedness": {0.7, 0.87}, "helpfulness": {0.86, 0.96}, "feedback down": {1.3, 2.2}},
			[]string{"errors", "schema fail", "cost", "ttft", "refusals", "harmlessness", "redactions"},
			cures{"index put back": pinned("index", "kb-42"), "an older index": pinned("index", "kb-41")},
			map[string]span{"misses": {0.7, 1.5}, "groundedness": {0.95, 1.05}},
		},
		{
			"cache-collapse", 6 * time.Minute,
			map[string]span{
				"cache provider": {0.35, 0.5}, "cache exact": {0.02, 0.12}, "cache semantic": {0.1, 0.3},
				"search": {18, 34}, "ttft": {1.35, 1.9}, "cost": {1.25, 1.6},
			},
			[]string{"schema fail", "misses", "refusals", "groundedness", "tokens", "redactions"},
			cures{"prompt put back": pinned("prompt", "v13")},
			map[string]span{"cache provider": near, "search": {0.7, 1.4}, "cost": near},
		},
		{
			"safety-spike", 7 * time.Minute,
			map[string]span{
				"refusals": {6, 14}, "filter": {4, 9}, "denials": {2.5, 6}, "prompt tokens": {1.25, 1.6}, "requests": {1.2, 1.45},
			},
			[]string{"timeout", "schema fail", "misses", "groundedness", "ttft", "redactions"},
			cures{"tenant switched off": switched("tenant.hooli", false)},
			map[string]span{"refusals": {0.6, 1.6}, "filter": {0.6, 1.6}, "prompt tokens": near},
		},
		{
			"privacy-leak", 6 * time.Minute,
			map[string]span{"redactions": {2.5, 4.5}, "denials": {2.8, 5.5}, "feedback down": {1.1, 1.8}, "harmlessness": {0.9, 0.97}},
			[]string{"schema fail", "misses", "cost", "ttft", "refusals", "groundedness"},
			cures{"index put back": pinned("index", "kb-42")},
			map[string]span{"redactions": near, "denials": {0.5, 1.6}},
		},
		{
			"provider-outage", 5 * time.Minute,
			map[string]span{"errors": {25, 150}, "timeout": {40, 400}, "provider_error": {8, 80}, "fallback": {30, 120}, "ttft": {2.5, 6}},
			[]string{"schema fail", "misses", "redactions", "denials"},
			cures{"the fallback pinned": pinned("model", "gpt-4.1-mini-2025-04-14"), "the previous model pinned": pinned("model", "gpt-4o-2024-11-20")},
			map[string]span{"errors": {0.4, 2}, "ttft": {0.5, 1.4}},
		},
		{
			"canary-regression", 12 * time.Minute,
			map[string]span{"schema fail": {1.4, 2.6}},
			[]string{"errors", "misses", "ttft", "refusals", "groundedness", "cost"},
			cures{"the canary ended": func(t *testing.T, c *sim.Control) {
				t.Helper()
				if err := c.SetCanary(0); err != nil {
					t.Error(err)
				}
			}},
			map[string]span{"schema fail": near},
		},
		{
			"blue-green", 6 * time.Minute,
			map[string]span{"schema fail": {5, 11}},
			[]string{"errors", "misses", "ttft", "refusals"},
			cures{"switched back": func(t *testing.T, c *sim.Control) {
				t.Helper()
				s, err := c.Setting("colour")
				if err == nil {
					_, err = c.SetSetting("colour", "blue", s.Revision)
				}
				if err != nil {
					t.Error(err)
				}
			}, "prompt put back": pinned("prompt", "v13")},
			map[string]span{"schema fail": near},
		},
		{
			"rate-limiting", 8 * time.Minute,
			map[string]span{"errors": {6, 20}, "requests": {1.1, 1.7}},
			[]string{"schema fail", "misses", "ttft", "refusals", "redactions"},
			cures{
				"queueing switched on": func(t *testing.T, c *sim.Control) {
					t.Helper()
					if err := c.SetQueueing(sim.Queueing{Enabled: true, MaxDepth: 400}); err != nil {
						t.Error(err)
					}
				},
				"the tenant switched off": switched("tenant.globex", false),
				"the other model pinned":  pinned("model", "gpt-4.1-mini-2025-04-14"),
			},
			map[string]span{"errors": {0.5, 5.5}},
		},
		{
			"budget-exhaustion", 16 * time.Minute,
			map[string]span{"errors": {60, 400}, "cost": {0, 0.4}},
			[]string{"denials"},
			cures{"the budget raised": func(t *testing.T, c *sim.Control) {
				t.Helper()
				if err := c.SetBudget("day", 5000, true); err != nil {
					t.Error(err)
				}
			}},
			map[string]span{"errors": {0.5, 2}, "tokens": {1.7, 2.4}, "cost": {1.2, 1.7}},
		},
		{
			"cost-runaway", 7 * time.Minute,
			map[string]span{"cost": {1.8, 3.5}, "prompt tokens": {1.8, 4}},
			[]string{"schema fail", "misses", "refusals", "redactions"},
			cures{
				"tools put back": pinned("tools", "t5"), "agents without tools": switched("agent_tools", false),
				"the tenant switched off": switched("tenant.initech", false),
			},
			map[string]span{"cost": {0.7, 1.4}},
		},
		{
			"silent-model-change", 6 * time.Minute,
			map[string]span{"ttft": {1.9, 2.5}, "refusals": {3, 6}, "tokens": {1.2, 1.5}, "helpfulness": {0.8, 0.93}},
			[]string{"schema fail", "misses", "redactions", "errors"},
			cures{"the previous model pinned": pinned("model", "gpt-4o-2024-11-20")},
			map[string]span{"ttft": {0.9, 1.35}, "refusals": {0.6, 1.6}},
		},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			// Before it begins, while it goes on, and after the cure, when what was under
			// way has ended as it began and queues have run empty.
			times := [...]time.Duration{time.Minute, 140 * time.Second, c.live, c.live + 5*time.Minute, c.live + 9*time.Minute, c.live + 16*time.Minute}
			at := func(k int) figures {
				return figuresOf(quiet.at(times[k]), quiet.at(times[k+1]), (times[k+1] - times[k]).Seconds())
			}
			beforeInQuiet, usual, well := at(0), at(2), at(4)
			for name, cure := range c.cures {
				t.Run(name, func(t *testing.T) {
					w := newWorld(t, c.scenario, seed, 0)
					w.live(times[0])
					before := w.figures(times[1] - times[0])
					w.live(times[2] - times[1])
					during := w.figures(times[3] - times[2])
					cure(t, w.control)
					w.live(times[4] - times[3])
					after := w.figures(times[5] - times[4])
					for _, figure := range []string{"cost", "ttft", "groundedness", "misses"} {
						holds(t, "before it begins, "+figure, before[figure], beforeInQuiet[figure], span{0.85, 1.15})
					}
					for figure, want := range c.moves {
						holds(t, figure, during[figure], usual[figure], want)
					}
					for _, figure := range c.stays {
						holds(t, figure+", which has nothing to do with it,", during[figure], usual[figure], span{0.55, 1.7})
					}
					for figure, want := range c.cured {
						holds(t, "after the cure, "+figure, after[figure], well[figure], want)
					}
					o := w.Outcome()
					if o.Mitigated.IsZero() || len(o.Actions) == 0 || o.Actions[len(o.Actions)-1].Judgement != sim.Right {
						t.Errorf("the drill does not know that this was right: mitigated %s, %+v", o.Mitigated, o.Actions)
					}
				})
			}
		})
	}
}

// past is what a world counted, by how long it had lived: every ten seconds.
type past []map[string]float64

func newPast(w *world, length time.Duration) past {
	p := past{w.counters()}
	for range length / (10 * time.Second) {
		w.live(10 * time.Second)
		p = append(p, w.counters())
	}
	return p
}

func (p past) at(lived time.Duration) map[string]float64 { return p[lived/(10*time.Second)] }

type cures = map[string]func(*testing.T, *sim.Control)

func holds(t *testing.T, what string, is, usual float64, want span) {
	t.Helper()
	if f := is / usual; !(f >= want.low && f <= want.high) {
		t.Errorf("%s is %.4f, %.2f times %.4f; want %.2f to %.2f times", what, is, f, usual, want.low, want.high)
	}
}

func pinned(component, version string) func(*testing.T, *sim.Control) {
	return func(t *testing.T, c *sim.Control) {
		t.Helper()
		p, err := c.Pin(component)
		if err == nil {
			_, err = c.SetPin(component, version, p.Revision)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func switched(feature string, on bool) func(*testing.T, *sim.Control) {
	return func(t *testing.T, c *sim.Control) {
		t.Helper()
		if err := c.SetFeature(feature, on); err != nil {
			t.Error(err)
		}
	}
}
