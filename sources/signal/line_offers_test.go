package signal

import (
	"testing"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
)

func suspectOf(pairs ...string) *suspect.Suspect {
	s := &suspect.Suspect{}
	for i := 0; i < len(pairs); i += 2 {
		s.Attributes = append(s.Attributes, sources.Attribute{Name: pairs[i], Value: pairs[i+1]})
	}
	return s
}

func TestWhatIsOfferedFitsWhatIsWrongAndWhoseItIs(t *testing.T) {
	first := func(signal string) *sources.Reading { return &sources.Reading{Signal: signal, Verdict: sources.Bad} }
	silent := &sources.Change{Component: sources.Model, From: "m-0414", To: "m-0807", Silent: true}
	for name, tc := range map[string]struct {
		f    found
		want string
	}{
		"a tenant's wave of attacks":                   {found{first: first("refusal"), suspect: suspectOf("tenant", "hooli")}, "shutdown-for-safety"},
		"attacks by one user on a route":               {found{first: first("filter_trigger"), suspect: suspectOf("user", "user:1", "route", "chat")}, "shutdown-for-safety"},
		"refusals that a policy explains":              {found{first: first("refusal"), suspect: suspectOf("policy", "p9"), back: sources.Policy}, "rollback-policy"},
		"refusals of a policy that hits a tenant":      {found{first: first("refusal"), suspect: suspectOf("policy", "p9", "tenant", "hooli")}, ""},
		"refusals that nothing explains":               {found{first: first("refusal")}, ""},
		"a tenant that spends":                         {found{first: first("spend_rate"), suspect: suspectOf("tenant", "initech")}, "stop-runaway"},
		"a user who is over the budget":                {found{first: first("budget_user_hour"), suspect: suspectOf("user", "user:1")}, "stop-runaway"},
		"loops that new tools explain":                 {found{first: first("cost_per_req"), suspect: suspectOf("tools", "t6", "tenant", "initech"), back: sources.Tools}, "rollback-tools"},
		"money that a region costs":                    {found{first: first("cost_per_req"), suspect: suspectOf("region", "eu")}, ""},
		"a leak that came with an index":               {found{first: first("redactions"), suspect: suspectOf("index", "kb-44"), back: sources.Index}, "contain-privacy-leak"},
		"a leak that came with a prompt":               {found{first: first("redactions"), back: sources.Prompt}, "rollback-prompt"},
		"a leak of which nobody knows why":             {found{first: first("redactions")}, "contain-privacy-leak"},
		"retrieval that an index spoiled":              {found{first: first("retrieval_hit"), back: sources.Index}, "rollback-index"},
		"caches that a prompt defeats":                 {found{first: first("cache_exact"), back: sources.Prompt}, "cache-collapse"},
		"a slow search that a prompt's caches explain": {found{first: first("index_query_p95"), bad: []string{"index_query_p95", "cache_exact"}, back: sources.Prompt}, "cache-collapse"},
		"a slow search that caches do not explain":     {found{first: first("index_query_p95"), bad: []string{"index_query_p95"}, back: sources.Prompt}, "rollback-prompt"},
		"wrong answers beside a cache":                 {found{first: first("schema_fail"), bad: []string{"cache_exact"}, back: sources.Prompt}, "rollback-prompt"},
		"wrong answers of a prompt":                    {found{first: first("schema_fail"), back: sources.Prompt}, "rollback-prompt"},
		"a model that was swapped behind its name":     {found{first: first("latency_p95"), cause: silent, back: sources.Model}, "eval-drift"},
		"a model that somebody moved":                  {found{first: first("eval_score"), cause: &sources.Change{Component: sources.Model, To: "m"}, back: sources.Model}, "rollback-model"},
		"scores that fell by themselves":               {found{first: first("eval_score")}, "eval-drift"},
		"scores of one tenant that fell":               {found{first: first("eval_score"), suspect: suspectOf("tenant", "acme")}, ""},
	} {
		if got := tc.f.offered(); got != tc.want {
			t.Errorf("%s: %q is offered, not %q", name, got, tc.want)
		}
	}
}
