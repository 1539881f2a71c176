package signal

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"rollcall/sources"
)

func TestEverySignalIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	labels := map[string]bool{}
	for _, s := range Catalogue() {
		if seen[s.ID] || labels[s.Label] || !regexp.MustCompile(`^[a-z][a-z0-9_]+$`).MatchString(s.ID) {
			t.Errorf("%s: ID or label %q is taken or ill-formed", s.ID, s.Label)
		}
		seen[s.ID], labels[s.Label] = true, true
		if n := utf8.RuneCountInString(s.Label); n == 0 || n > 16 {
			t.Errorf("%s: label %q has %d columns", s.ID, s.Label, n)
		}
		if s.Name == "" || s.Pane == "" || s.Unit == "" || s.Direction == "" {
			t.Errorf("%s: incomplete", s.ID)
		}
		if s.Compute == nil && len(s.From) == 0 {
			t.Errorf("%s: comes from nowhere", s.ID)
		}
		if s.Direction == sources.HigherWorse && s.Fall != (Relative{}) || s.Direction == sources.LowerWorse && s.Rise != (Relative{}) {
			t.Errorf("%s: compares in the direction that is not worse", s.ID)
		}
		for _, src := range s.From {
			if src.Priced && src.Part != "" {
				t.Errorf("%s: priced series cannot be parts", s.ID)
			}
		}
	}
}

func TestEverySignalOfTheContractExists(t *testing.T) {
	s, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(`req_rate error_ratio error_by_type latency_p50 latency_p95 latency_p99 ttft_p95 tokens_per_req
		cost_per_req length_cutoff fallback_rate disabled_features queue_depth queue_wait_p95 queue_drops
		schema_fail feedback complaints eval_score retrieval_hit
		spend_rate spend_today budget_daily budget_used budget_forecast budget_hour budget_user_hour budget_request
		ratelimit_headroom ratelimit_tokens cache_exact cache_semantic cache_exact_semantic cache_provider cache_saved index_size index_query_p95
		filter_trigger refusal unusual_query prompt_length_p99 access_control redactions`) {
		if s.signal(id) == nil {
			t.Errorf("no signal %s", id)
		}
	}
}

// plausible checks what can be checked of PromQL without its parser: balanced
// brackets outside strings, no placeholder left, no empty matcher or grouping.
func plausible(q string) string {
	var stack []rune
	quoted := false
	pairs := map[rune]rune{')': '(', ']': '[', '}': '{'}
	for _, r := range q {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case strings.ContainsRune("([{", r):
			stack = append(stack, r)
		case strings.ContainsRune(")]}", r):
			if len(stack) == 0 || stack[len(stack)-1] != pairs[r] {
				return "brackets do not match"
			}
			stack = stack[:len(stack)-1]
		}
	}
	switch {
	case quoted || len(stack) > 0:
		return "something is left open"
	case regexp.MustCompile(`\$[a-z]`).MatchString(q):
		return "a placeholder is left"
	case regexp.MustCompile(`\(\s*,|,\s*,|,\s*\)|\{\s*,|\[\s*\]`).MatchString(q):
		return "an empty element"
	}
	return ""
}

func TestEveryQueryIsPlausiblePromQL(t *testing.T) {
	for _, scope := range []string{`namespace="prod", job="assistant"`, ""} {
		queries, err := Queries(Service{Scope: scope})
		if err != nil {
			t.Fatal(err)
		}
		if len(queries) < 150 {
			t.Errorf("only %d queries", len(queries))
		}
		for _, q := range queries {
			if why := plausible(q.Query); why != "" {
				t.Errorf("%s (%s): %s: %s", q.Signal, q.Profile, why, q.Query)
			}
			for _, name := range metrics(q.Query) {
				if scope != "" && !strings.Contains(q.Query, scope+"}") {
					t.Errorf("%s: %s is not scoped: %s", q.Signal, name, q.Query)
				}
			}
		}
	}
}

func TestExpandFillsAndTidies(t *testing.T) {
	for _, tc := range []struct{ expr, scope, by, want string }{
		{`sum by ($by) (rate(x{a="b",$scope}[$window]))`, `job="a"`, "", `sum (rate(x{a="b",job="a"}[5m]))`},
		{`sum by ($by) (rate(x{a="b",$scope}[$window]))`, "", "prompt", `sum by (prompt) (rate(x{a="b"}[5m]))`},
		{`sum by (le, $by) (x{$scope})`, "", "", `sum by (le) (x{})`},
		{`a / on ($by) group_left () b`, "", "", `a / on () group_left () b`},
		{`sum by ("error.type", "$by") (rate({"x.y","error.type"!="",$scope}[$window]))`, "", "", `sum by ("error.type") (rate({"x.y","error.type"!=""}[5m]))`},
		{`sum by ("$by") (rate({"x.y",$scope}[$window]))`, `job="a"`, "gen_ai_response_model", `sum by ("gen_ai.response.model") (rate({"x.y",job="a"}[5m]))`},
		{`sum by ("$by") (rate({"x.y",$scope}[$window]))`, `job="a"`, "", `sum (rate({"x.y",job="a"}[5m]))`},
	} {
		if got := expand(tc.expr, tc.scope, defaultWindow, tc.by); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestMetricsAreFoundUnderTheNamesThatExportersGiveThem(t *testing.T) {
	for _, tc := range []struct {
		expr, want, missing string
		exists              []string
	}{
		{`rate(gen_ai_client_operation_duration_seconds_count{}[5m])`, `rate(gen_ai_client_operation_duration_count{}[5m])`, "", []string{"gen_ai_client_operation_duration_count"}},
		{`rate(gen_ai_client_token_usage_sum{}[5m])`, `rate(gen_ai_client_token_usage_token_sum{}[5m])`, "", []string{"gen_ai_client_token_usage_token_sum"}},
		{`rate(gen_ai_client_inference_usage_input_tokens_total{}[5m])`, `rate(gen_ai_client_inference_usage_input_tokens{}[5m])`, "", []string{"gen_ai_client_inference_usage_input_tokens"}},
		{
			`histogram_quantile(0.9, sum by (le, $by) (rate(gen_ai_client_operation_duration_seconds_bucket{gen_ai_operation_name=~"chat|x",$scope}[$window])))`,
			`histogram_quantile(0.9, sum by (le, "$by") (rate({"gen_ai.client.operation.duration_seconds_bucket","gen_ai.operation.name"=~"chat|x",$scope}[$window])))`,
			"",
			[]string{"gen_ai.client.operation.duration_seconds_bucket"},
		},
		{
			`histogram_quantile(0.9, sum by (le, $by) (rate(gen_ai_client_operation_duration_seconds_bucket{$scope}[$window])))`,
			`histogram_quantile(0.9, sum by ("$by") (rate({"gen_ai.client.operation.duration",$scope}[$window])))`,
			"",
			[]string{"gen_ai.client.operation.duration"},
		},
		{
			`sum by (error_type, $by) (rate(x_count{error_type!="",$scope}[5m])) / sum(rate(x_sum{$scope}[5m]))`,
			`sum by (error_type, $by) (histogram_count(rate(x{error_type!="",$scope}[5m]))) / sum(histogram_sum(rate(x{$scope}[5m])))`,
			"",
			[]string{"x"},
		},
		{`max(count_over_time(x_count{$scope}[10m]))`, `max(count_over_time(x{$scope}[10m]))`, "", []string{"x"}},
		{`sum(rate(x_count{}[5m]))`, `sum(rate(x_count{}[5m]))`, "", []string{"x", "x_count", "x_bucket", "x_sum"}},
		{`sum(rate(x_bucket{}[5m]))`, "", "x_bucket", []string{"x", "x_count", "x_sum"}}, // a summary
		{`a{} / b{}`, "", "b", []string{"a"}},
	} {
		got, missing := newVocabulary(tc.exists).resolve(tc.expr)
		if got != tc.want || missing != tc.missing {
			t.Errorf("%s: got %q, missing %q", tc.expr, got, missing)
		}
	}
}

func TestConfigurationMistakesNameTheirPlace(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	for _, tc := range []struct {
		name string
		cfg  Service
		want string
	}{
		{"an unknown signal", Service{Thresholds: map[string]Limits{"schema_fial": {}}}, "services.s.thresholds.schema_fial: no such signal"},
		{"an unknown query", Service{Queries: map[string]Overrule{"x": {PromQL: "1"}}}, "services.s.queries.x"},
		{"an empty query", Service{Queries: map[string]Overrule{"refusal": {}}}, "services.s.queries.refusal: empty"},
		{"levels the wrong way round", Service{Thresholds: map[string]Limits{"latency_p99": {Watch: f(9), Bad: f(3)}}}, "watch 9 would come after bad 3"},
		{"levels the wrong way round where lower is worse", Service{Thresholds: map[string]Limits{"eval_score": {Watch: f(0.5), Bad: f(0.8)}}}, "lower is worse"},
		{"a negative budget", Service{Budget: Budget{Day: -1}}, "services.s.budget.day"},
		{"a window that hides everything", Service{Window: sources.Duration(48 * 3600e9)}, "services.s.window"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewEvaluator(Deps{Clock: &clock{now: t0}}, map[string]Service{"s": tc.cfg})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
}
