package signal

import (
	"testing"

	"rollcall/sources"
	"rollcall/sources/signal/rollout"
)

func TestTheLineOffersTheRunbookOnlyWhereTheCauseIsClear(t *testing.T) {
	reading := func(id string) *sources.Reading { return &sources.Reading{Signal: id, Verdict: sources.Bad} }
	changed := func(c sources.Component, to, stage string) *sources.Change {
		return &sources.Change{Component: c, To: to, Stage: stage}
	}
	tried := func(kind rollout.Kind, live string) *rollout.Comparison {
		return &rollout.Comparison{Kind: kind, Verdict: rollout.RollBack, Live: live, Candidate: rollout.Side{Name: "green", Versions: map[sources.Component]string{sources.Prompt: "v14"}}}
	}
	for _, c := range []struct {
		what string
		f    found
		want string
	}{
		{"only the canary does worse", found{undo: tried(rollout.Canary, "")}, "stop-canary"},
		{"a stage of a rollout does worse", found{undo: tried(rollout.Graduated, "")}, "stop-canary"},
		{"the canary does worse, and what it brings changed", found{first: reading("schema_fail"), cause: changed(sources.Prompt, "v14", ""), back: sources.Prompt, undo: tried(rollout.Canary, "")}, "stop-canary"},
		{"the canary does worse, and something else changed for all", found{first: reading("error_ratio"), cause: changed(sources.Tools, "t6", ""), back: sources.Tools, undo: tried(rollout.Canary, "")}, "rollback-tools"},
		{"what changed is on trial", found{first: reading("schema_fail"), cause: changed(sources.Prompt, "v14", "canary"), back: sources.Prompt}, "stop-canary"},
		{"a shadow does worse: nobody gets its answers", found{undo: tried(rollout.Shadow, "")}, ""},
		{"all traffic is on the worse colour", found{undo: tried(rollout.BlueGreen, "green")}, "switch-back"},
		{"the worse colour has no traffic", found{undo: tried(rollout.BlueGreen, "blue")}, ""},
		{"users are refused for want of money", found{first: reading("error_ratio"), kind: "budget_exceeded", cause: changed(sources.Prompt, "v15", ""), back: sources.Prompt}, "raise-budget"},
		{"the budget is gone", found{first: reading("budget_used")}, "raise-budget"},
		{"the budget is gone, through a change", found{first: reading("budget_used"), cause: changed(sources.Prompt, "v15", ""), back: sources.Prompt}, "rollback-prompt"},
		{"a change that was undone", found{first: reading("error_ratio"), kind: "timeout", cause: changed(sources.Model, "m2", "")}, ""},
		{"calls are rejected", found{first: reading("error_ratio"), kind: "RateLimitError_429"}, "backpressure"},
		{"no head-room is left", found{first: reading("ratelimit_headroom")}, "backpressure"},
		{"requests wait, after a change", found{first: reading("queue_depth"), cause: changed(sources.Model, "m2", ""), back: sources.Model}, "rollback-model"},
		{"the provider fails", found{first: reading("error_ratio"), kind: "timeout"}, "provider-outage"},
		{"the provider fails by number", found{first: reading("error_ratio"), kind: "503"}, "provider-outage"},
		{"the fallback answers", found{first: reading("fallback_rate")}, "provider-outage"},
		{"tools fail", found{first: reading("error_ratio"), kind: "tool_error"}, ""},
		{"it is slow, and nothing says why", found{first: reading("latency_p99")}, ""},
		{"a feature was switched", found{first: reading("error_ratio"), cause: changed(sources.Feature, "off", ""), back: sources.Feature}, ""},
	} {
		if got := c.f.offered(); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
