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
	bad     []string            // every signal that is bad
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
	// What spills other people's data is contained, which takes more than going back.
	{"contain-privacy-leak", func(f *found) bool { return f.is("redactions") && (f.back == sources.Index || f.back == "") }},
	{"cache-collapse", func(f *found) bool {
		return f.back == sources.Prompt && (f.is(cacheSignals...) || f.is(slowOrDear...) && f.alsoBad(cacheSignals...))
	}},
	// The pin stayed where it was: whether another snapshot is better, the evals say.
	{"eval-drift", func(f *found) bool { return f.back == sources.Model && f.cause != nil && f.cause.Silent }},
	{"rollback-prompt", func(f *found) bool { return f.back == sources.Prompt }},
	{"rollback-model", func(f *found) bool { return f.back == sources.Model }},
	{"rollback-tools", func(f *found) bool { return f.back == sources.Tools }},
	{"rollback-index", func(f *found) bool { return f.back == sources.Index }},
	{"rollback-policy", func(f *found) bool { return f.back == sources.Policy }},
	{"shutdown-for-safety", func(f *found) bool { return f.is("filter_trigger", "refusal", "access_control") && f.ofSomebody() }},
	{"stop-runaway", func(f *found) bool {
		return f.is("cost_per_req", "spend_rate", "tokens_per_req", "budget_user_hour", "budget_request", "unusual_query") && f.ofSomebody()
	}},
	{"eval-drift", func(f *found) bool { return f.unexplained("eval_score") && !f.ofSomebody() }},
	{"raise-budget", func(f *found) bool { return f.unexplained("budget_used") && f.first.Verdict == sources.Bad }},
	{"backpressure", func(f *found) bool { return f.cause == nil && f.mostly(limited) }},
	{"backpressure", func(f *found) bool {
		return f.unexplained("ratelimit_headroom", "ratelimit_tokens", "queue_depth", "queue_wait_p95", "queue_drops")
	}},
	{"provider-outage", func(f *found) bool { return f.cause == nil && f.mostly(fromProvider) }},
	{"provider-outage", func(f *found) bool { return f.unexplained("fallback_rate") }},
}

// Caches that nothing hits any more show in cacheSignals, and in what users and the
// budget feel of it, which may be worse.
var (
	cacheSignals = []string{"cache_exact", "cache_semantic", "cache_exact_semantic", "cache_provider", "cache_saved"}
	slowOrDear   = []string{"latency_p50", "latency_p95", "latency_p99", "ttft_p95", "index_query_p95", "cost_per_req", "spend_rate"}
)

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

func (f *found) is(signals ...string) bool {
	return f.first != nil && slices.Contains(signals, f.first.Signal)
}

func (f *found) alsoBad(signals ...string) bool {
	return slices.ContainsFunc(f.bad, func(id string) bool { return slices.Contains(signals, id) })
}

// ofSomebody tells whether the bad requests come from one tenant or user, and no
// version explains them.
func (f *found) ofSomebody() bool {
	if f.suspect == nil || f.back != "" {
		return false
	}
	for _, c := range sources.Components {
		if _, ok := f.suspect.Version(c); ok {
			return false
		}
	}
	_, tenant := f.suspect.Value("tenant")
	_, user := f.suspect.Value("user")
	return tenant || user
}

// unexplained tells whether the worst is one of these signals and nothing changed before.
func (f *found) unexplained(signals ...string) bool {
	return f.is(signals...) && f.cause == nil && f.back == ""
}
