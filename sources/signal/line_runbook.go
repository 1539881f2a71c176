package signal

import (
	"slices"
	"strings"

	"rollcall/sources"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/suspect"
)

// found is what a line rests on: what it offers is decided from this alone.
type found struct {
	first   *sources.Reading    // the worst; nil when only a rollout is to be rolled back
	kind    string              // of most errors, where the worst is errors and one kind stands out
	cause   *sources.Change     // the likeliest; nil when there is none
	back    sources.Component   // that is to be rolled back; empty when none is
	suspect *suspect.Suspect    // what the bad requests have in common; nil when that is not known
	undo    *rollout.Comparison // the rollout that is to be rolled back; nil when there is none
}

// offers says which runbook the line offers, the first that fits. Where none does the
// cause is not clear enough: the list of runbooks is then ordered by what each suggests itself for.
var offers = []struct {
	runbook string
	fits    func(f *found) bool
}{
	{"stop-canary", func(f *found) bool { return f.tried(rollout.Canary, rollout.Graduated) }},
	{"stop-canary", func(f *found) bool { return f.cause != nil && f.undo == nil && trial(f.cause.Stage) }},
	{"switch-back", func(f *found) bool { return f.tried(rollout.BlueGreen) && f.undo.Live == f.undo.Candidate.Name }},
	// Whoever is refused needs money first, whatever has spent it.
	{"raise-budget", func(f *found) bool { return f.mostly(overBudget) }},
	{"rollback-prompt", func(f *found) bool { return f.back == sources.Prompt }},
	{"rollback-model", func(f *found) bool { return f.back == sources.Model }},
	{"rollback-tools", func(f *found) bool { return f.back == sources.Tools }},
	{"rollback-index", func(f *found) bool { return f.back == sources.Index }},
	{"rollback-policy", func(f *found) bool { return f.back == sources.Policy }},
	{"raise-budget", func(f *found) bool { return f.unexplained("budget_used") && f.first.Verdict == sources.Bad }},
	{"backpressure", func(f *found) bool { return f.cause == nil && f.mostly(limited) }},
	{"backpressure", func(f *found) bool {
		return f.unexplained("ratelimit_headroom", "ratelimit_tokens", "queue_depth", "queue_wait_p95", "queue_drops")
	}},
	{"provider-outage", func(f *found) bool { return f.cause == nil && f.mostly(fromProvider) }},
	{"provider-outage", func(f *found) bool { return f.unexplained("fallback_rate") }},
}

// Kinds of errors, by parts of their names: these differ from system to system.
var (
	overBudget   = []string{"budget"}
	limited      = []string{"rate_limit", "ratelimit", "429", "quota", "throttl", "too_many_requests", "resource_exhausted"}
	fromProvider = []string{"timeout", "provider", "upstream", "unavailable", "overloaded_error", "server_error", "connection", "500", "502", "503", "504", "529"}
)

// offered is the runbook to press; empty when the cause is not clear enough.
func (f *found) offered() string {
	for _, o := range offers {
		if o.fits(f) {
			return o.runbook
		}
	}
	return ""
}

// tried tells whether a rollout of one of these kinds is to be rolled back, and
// nothing else that changed is more likely.
func (f *found) tried(kinds ...rollout.Kind) bool {
	if f.undo == nil || !slices.Contains(kinds, f.undo.Kind) {
		return false
	}
	return f.cause == nil || trial(f.cause.Stage) || f.cause.To == f.undo.Candidate.Versions[f.cause.Component]
}

// trial tells whether a change was one of a version on trial, which no pin holds.
func trial(stage string) bool { return stage == string(rollout.Canary) }

func (f *found) mostly(kinds []string) bool {
	kind := strings.ToLower(f.kind)
	return kind != "" && slices.ContainsFunc(kinds, func(k string) bool { return strings.Contains(kind, k) })
}

// unexplained tells whether the worst is one of these signals and nothing changed before.
func (f *found) unexplained(signals ...string) bool {
	return f.first != nil && f.cause == nil && f.back == "" && slices.Contains(signals, f.first.Signal)
}
