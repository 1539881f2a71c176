package signal

import "rollcall/sources"

// safety is the pane of what should not have been asked, answered or shown.
func safety() []Signal {
	requests := rate("llmops_requests_total", "")
	guards := []sources.Component{sources.Policy, sources.Prompt, sources.Model}
	denied := `error_type=~"401|403|AuthenticationError|PermissionDeniedError"`

	return []Signal{
		{
			ID: "filter_trigger", Label: "filter trigger", Name: "content filter triggers", Pane: sources.SafetyPane, Unit: sources.Ratio, Direction: sources.HigherWorse,
			From: []Source{
				share(LLMOps, rate("llmops_filter_total", `action!="none"`), rate("llmops_filter_total", "")),
				{
					Profile: LiteLLM, Note: "blocked, or the guardrail failed: LiteLLM counts both as error",
					Query: fraction(rateAll("litellm_guardrail_requests_total", `status=~"error|intervened"`), rateAll("litellm_guardrail_requests_total", "")),
					N:     rateAll("litellm_guardrail_requests_total", ""),
				},
				{
					Profile: LiteLLM, Note: "blocked by the provider", Shy: "content filter of a provider seen by LiteLLM",
					Query: rate(litellmFailed, `exception_class=~".*ContentPolicyViolationError"`) + ` / ` + rate(litellmRequests, ""),
					N:     rate(litellmRequests, ""),
				},
			},
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return pair(b.Filters, 1) }),
			Limits: sources.Threshold{Watch: 0.08, Bad: 0.15},
			Rise:   Relative{Watch: 1.5, Bad: 3, By: 0.005},
			Least:  Least{N: 50, K: 5},
			Causes: guards,
		},
		{
			ID: "refusal", Label: "refusals", Name: "refusals", Pane: sources.SafetyPane, Unit: sources.Ratio, Direction: sources.BothWorse,
			From:   []Source{share(LLMOps, rate("llmops_refusals_total", ""), requests)},
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return pair(b.Refusals, 1) }),
			Limits: sources.Threshold{Watch: 0.1, Bad: 0.2},
			Rise:   Relative{Watch: 1.5, Bad: 3, By: 0.005},
			Fall:   Relative{Watch: 0.25, By: 0.01},
			Least:  Least{N: 50, K: 5},
			Causes: guards,
		},
		{
			ID: "unusual_query", Label: "top caller", Name: "share of the top caller", Pane: sources.SafetyPane, Unit: sources.Ratio, Direction: sources.HigherWorse, Harm: Costly,
			From: []Source{
				plain(LLMOps, `max(llmops_top_caller_ratio{$scope})`),
				plain(LiteLLM, `max(sum by (hashed_api_key, end_user) (rate(`+selector(litellmRequests, "")+`[$window]))) / sum(rate(`+selector(litellmRequests, "")+`[$window]))`),
			},
			Limits: sources.Threshold{Watch: 0.25, Bad: 0.5},
			Rise:   Relative{Watch: 2, Bad: 4, By: 0.05},
			Causes: []sources.Component{sources.Policy, sources.Tools},
		},
		{
			ID: "prompt_length_p99", Label: "prompt p99", Name: "prompt length p99", Family: "tokens", Pane: sources.SafetyPane, Unit: sources.Tokens, Direction: sources.HigherWorse, Harm: Costly,
			From: []Source{
				{
					Profile: LLMOps, Query: `histogram_quantile(0.99, sum by (le) (rate(llmops_prompt_tokens_bucket{$scope}[$window])))`,
					N: `sum(rate(llmops_prompt_tokens_count{$scope}[$window]))`, Bucket: `llmops_prompt_tokens_bucket{$scope}`,
				},
				ofService(quantile(OTelGenAI, "0.99", "gen_ai_client_token_usage", byService+`,gen_ai_token_type="input"`)),
				quantile(OTelGenAI0, "0.99", "gen_ai_client_inference_operation_input_tokens", ""),
				quantile(EnvoyAI, "0.99", "gen_ai_client_token_usage", byGateway+`,`+answers+`,gen_ai_token_type="input"`),
				quantile(VLLM, "0.99", "vllm:request_prompt_tokens", ""),
			},
			Rise:   Relative{Watch: 1.8, Bad: 4, By: 500},
			Least:  Least{N: 100},
			Causes: []sources.Component{sources.Prompt, sources.Tools, sources.Index},
		},
		{
			ID: "access_control", Label: "access denied", Name: "access denials", Pane: sources.SafetyPane, Unit: sources.PerSecond, Direction: sources.HigherWorse,
			From: []Source{
				vector(LLMOps, "reason", `sum by (reason) (rate(llmops_access_denied_total{$scope}[$window]))`),
				plain(OTelGenAI, rate(otelCount, denied)+` or 0 * `+rate(otelCount, "")),
				plain(OTelGenAI0, rate(otel0Count, denied)+` or 0 * `+rate(otel0Count, "")),
				sparse(vector(LiteLLM, "exception_status", rateBy("exception_status", litellmFailed, `exception_status=~"401|403|429"`)+
					` or 0 * `+rate(litellmRequests, "")), litellmFailed),
			},
			Rows: func(b *sources.RequestBucket, secs float64) []sources.Part {
				return one(float64(b.Denied)/secs, float64(b.N))
			},
			Rise:   Relative{Watch: 2.5, Bad: 6, By: 0.1},
			Least:  Least{K: 5},
			Causes: []sources.Component{sources.Policy, sources.Tools, sources.Index},
		},
		{
			ID: "redactions", Label: "redactions", Name: "redactions", Pane: sources.SafetyPane, Unit: sources.PerSecond, Direction: sources.HigherWorse,
			From:   []Source{vector(LLMOps, "kind", `sum by (kind) (rate(llmops_redactions_total{$scope}[$window]))`)},
			Rise:   Relative{Watch: 2.5, Bad: 6, By: 0.1},
			Least:  Least{K: 5},
			Causes: []sources.Component{sources.Prompt, sources.Index, sources.Tools, sources.Policy},
		},
	}
}
