package signal

import (
	"time"

	"rollcall/sources"
)

// health is the pane of whether and how fast answers come.
func health() []Signal {
	requests := rate("llmops_requests_total", "")
	otel := rate(otelCount, inference)
	otel0 := rate(otel0Count, "")
	litellm := rate(litellmRequests, "")
	served := rate(litellmRequests, `status_code="200"`)
	envoy := rate(envoyCount, answers)
	vllm := rate(vllmRequests, "")
	http := rateAll("http_requests_total", vllmAPI)
	slow := []sources.Component{sources.Model, sources.Index, sources.Tools, sources.Prompt}
	latency := func(id, label, q string, row int) Signal {
		return Signal{
			ID: id, Label: label, Name: "latency " + label, Family: "latency", Pane: sources.HealthPane, Unit: sources.Seconds, Direction: sources.HigherWorse,
			From: []Source{
				quantile(LLMOps, q, "llmops_request_seconds", ""),
				quantile(OTelGenAI, q, "gen_ai_client_operation_duration_seconds", inference),
				quantile(OTelGenAI0, q, "gen_ai_client_inference_duration_seconds", ""),
				quantile(LiteLLM, q, "litellm_request_total_latency_metric", ""),
				quantile(EnvoyAI, q, "gen_ai_server_request_duration_seconds", answers),
				quantile(VLLM, q, "vllm:e2e_request_latency_seconds", ""),
			},
			Rows:   rowQuantile(func(b *sources.RequestBucket) sources.Num { return b.Latency[row] }),
			Rise:   Relative{Watch: 1.5, Bad: 3, By: 0.3},
			Least:  Least{N: 100},
			Causes: slow,
		}
	}
	p99 := latency("latency_p99", "p99", "0.99", 2)
	// What users accept is for the configuration to say; these are for those who said nothing.
	p99.Limits = sources.Threshold{Watch: 20, Bad: 60}
	p99.Hold = 10 * time.Minute
	// That it is far from usual is a hint: what it may be at most is for its users to say.
	p99.Rise.Bad = 0

	return []Signal{
		{
			ID: "req_rate", Label: "requests", Name: "request volume", Pane: sources.HealthPane, Unit: sources.PerSecond, Direction: sources.BothWorse,
			From: []Source{
				plain(LLMOps, requests), plain(OTelGenAI, otel), plain(OTelGenAI0, otel0),
				plain(LiteLLM, litellm), plain(EnvoyAI, envoy), plain(VLLM, vllm),
			},
			Rows: func(b *sources.RequestBucket, secs float64) []sources.Part {
				return one(float64(b.N)/secs, float64(b.N))
			},
			Rise:   Relative{Watch: 2.5, By: 1},
			Fall:   Relative{Watch: 0.4, Bad: 0.1, By: 0.5},
			Causes: []sources.Component{sources.Policy, sources.Tools},
		},
		{
			ID: "error_ratio", Label: "errors", Name: "errors", Family: "errors", Pane: sources.HealthPane, Unit: sources.Ratio, Direction: sources.HigherWorse, Harm: Wrong,
			From: []Source{
				share(LLMOps, rate("llmops_requests_total", `outcome="error"`), requests),
				share(OTelGenAI, rate(otelCount, inference+`,error_type!=""`), otel),
				share(OTelGenAI0, rate(otel0Count, `error_type!=""`), otel0),
				sparse(share(LiteLLM, rate(litellmFailed, ""), litellm), litellmFailed),
				share(EnvoyAI, rate(envoyCount, answers+`,error_type!=""`), envoy),
				// The engine counts what it finished; what failed only its HTTP layer tells.
				share(VLLM, rateAll("http_requests_total", vllmAPI+`,status=~"5.."`), http),
			},
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return float64(b.Errors), float64(b.N) }),
			Limits: sources.Threshold{Watch: 0.02, Bad: 0.05},
			Rise:   Relative{Watch: 1.5, Bad: 4, By: 0.005},
			Least:  Least{N: 50, K: 5},
			Causes: []sources.Component{sources.Model, sources.Tools, sources.Index, sources.Prompt},
		},
		{
			ID: "error_by_type", Label: "errors by type", Name: "errors by type", Family: "errors", Pane: sources.HealthPane, Unit: sources.PerSecond, Direction: sources.HigherWorse,
			From: []Source{
				vector(LLMOps, "error_type", errorsByType("llmops_requests_total", `outcome="error"`, "")),
				vector(OTelGenAI, "error_type", errorsByType(otelCount, inference+`,error_type!=""`, inference)),
				vector(OTelGenAI0, "error_type", errorsByType(otel0Count, `error_type!=""`, "")),
				sparse(vector(LiteLLM, "error", `label_join(`+rateBy("exception_status, exception_class", litellmFailed, "")+
					`, "error", " ", "exception_status", "exception_class") or 0 * `+litellm), litellmFailed),
				vector(VLLM, "error", vllmErrors(`sum by (status) (rate(`+selector("http_requests_total", vllmAPI+`,status!~"2.."`)+`[$window]))`, "HTTP $1", "status")+
					// An error of the engine is an HTTP error too; a client that went away is none.
					` or `+vllmErrors(`sum by (finished_reason) (rate(`+selector(vllmRequests, `finished_reason="abort"`)+`[$window]))`, "$1", "finished_reason")+
					` or 0 * `+rateAll(vllmRequests, "")),
				vector(VLLM, "error", vllmErrors(`sum by (finished_reason) (rate(`+selector(vllmRequests, `finished_reason=~"abort|error"`)+`[$window]))`, "$1", "finished_reason")+
					` or 0 * `+rateAll(vllmRequests, "")),
			},
			Rows:   rowErrors,
			Rise:   Relative{Watch: 3, By: 0.5},
			Least:  Least{K: 5},
			Causes: []sources.Component{sources.Model, sources.Tools, sources.Index, sources.Prompt},
		},
		latency("latency_p50", "p50", "0.5", 0),
		latency("latency_p95", "p95", "0.95", 1),
		p99,
		{
			ID: "ttft_p95", Label: "ttft p95", Name: "time to first token p95", Family: "latency", Pane: sources.HealthPane, Unit: sources.Seconds, Direction: sources.HigherWorse,
			From: []Source{
				quantile(LLMOps, "0.95", "llmops_ttft_seconds", ""),
				quantile(OTelGenAI, "0.95", "gen_ai_client_operation_time_to_first_chunk_seconds", ""),
				ofService(quantile(OTelGenAI, "0.95", "gen_ai_server_time_to_first_token_seconds", notRouted)),
				quantile(OTelGenAI0, "0.95", "gen_ai_client_inference_time_to_first_chunk_seconds", ""),
				quantile(LiteLLM, "0.95", "litellm_llm_api_time_to_first_token_metric", ""),
				quantile(EnvoyAI, "0.95", "gen_ai_server_time_to_first_token_seconds", ""),
				quantile(VLLM, "0.95", "vllm:time_to_first_token_seconds", ""),
			},
			Rows:   rowQuantile(func(b *sources.RequestBucket) sources.Num { return b.TTFT[1] }),
			Limits: sources.Threshold{Watch: 5, Bad: 15},
			Rise:   Relative{Watch: 1.5, Bad: 3, By: 0.3},
			Least:  Least{N: 100},
			Causes: slow,
		},
		{
			ID: "tokens_per_req", Label: "tokens/req", Name: "tokens per request", Family: "tokens", Pane: sources.HealthPane, Unit: sources.Tokens, Direction: sources.BothWorse, Harm: Costly,
			From: []Source{
				// Cached tokens are part of the input: adding them would count them twice.
				{Profile: LLMOps, Query: rate("llmops_tokens_total", `kind=~"input|output"`) + ` / ` + requests, N: requests},
				ofService(Source{
					Profile: OTelGenAI,
					Query: rate("gen_ai_client_token_usage_sum", byService+`,gen_ai_token_type=~"input|output"`) + ` / ` +
						rate("gen_ai_client_token_usage_count", byService+`,gen_ai_token_type="input"`),
					N: rate("gen_ai_client_token_usage_count", byService+`,gen_ai_token_type="input"`),
				}),
				{
					Profile: OTelGenAI0,
					Query: `(` + rate("gen_ai_client_inference_usage_input_tokens_total", "") + ` + ` +
						rate("gen_ai_client_inference_usage_output_tokens_total", "") + `) / ` + otel0,
					N: otel0,
				},
				{Profile: LiteLLM, Query: rate("litellm_total_tokens_metric_total", "") + ` / ` + served, N: served},
				{
					Profile: EnvoyAI,
					Query: rate("gen_ai_client_token_usage_sum", byGateway+`,`+answers+`,gen_ai_token_type=~"input|output"`) + ` / ` +
						rate(envoyCount, answers+`,error_type=""`),
					N: rate(envoyCount, answers+`,error_type=""`),
				},
				{
					Profile: VLLM,
					Query:   `(` + rate("vllm:prompt_tokens_total", "") + ` + ` + rate("vllm:generation_tokens_total", "") + `) / ` + vllm,
					N:       vllm,
				},
			},
			Rows: rowMean(func(b *sources.RequestBucket) (float64, float64) {
				return b.TokensIn + b.TokensOut, float64(b.WithTokens)
			}),
			Rise:   Relative{Watch: 1.5, Bad: 3, By: 50},
			Fall:   Relative{Watch: 0.5, By: 50},
			Least:  Least{N: 50},
			Causes: []sources.Component{sources.Prompt, sources.Tools, sources.Model, sources.Index},
		},
		{
			ID: "length_cutoff", Label: "cut off", Name: "answers cut off by the token limit", Pane: sources.HealthPane, Unit: sources.Ratio, Direction: sources.HigherWorse, Harm: Wrong,
			From: []Source{
				share(LLMOps, rate("llmops_finish_total", `reason="length"`), rate("llmops_finish_total", "")),
				share(VLLM, rate(vllmRequests, `finished_reason="length"`), vllm),
			},
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return float64(b.CutOff), float64(b.N) }),
			Limits: sources.Threshold{Watch: 0.05, Bad: 0.15},
			Rise:   Relative{Watch: 1.5, Bad: 4, By: 0.01},
			Least:  Least{N: 50, K: 5},
			Causes: []sources.Component{sources.Prompt, sources.Model},
		},
		{
			ID: "cost_per_req", Label: "cost/req", Name: "cost per request", Family: "spend", Pane: sources.HealthPane, Unit: sources.USD, Direction: sources.HigherWorse, Harm: Costly,
			From: []Source{
				{Profile: LLMOps, Query: rate("llmops_cost_usd_total", "") + ` / ` + requests, N: requests},
				{
					Profile: OTelGenAI, Query: rate("gen_ai_usage_cost_USD_sum", "") + ` / ` + rate("gen_ai_usage_cost_USD_count", ""),
					N: rate("gen_ai_usage_cost_USD_count", ""),
				},
				{Profile: LiteLLM, Query: rate("litellm_spend_metric_total", "") + ` / ` + served, N: served},
				{Profile: LLMOps, Priced: true, Query: perRequest(tokensByModel(LLMOps), "model, kind", requests), N: requests},
				ofService(Source{Profile: OTelGenAI, Priced: true, Query: perRequest(tokensByModel(OTelGenAI), "gen_ai_response_model, gen_ai_token_type", otel), N: otel}),
				{Profile: OTelGenAI0, Priced: true, Query: perRequest(tokensByModel(OTelGenAI0), "gen_ai_response_model, gen_ai_token_type", otel0), N: otel0},
				{Profile: EnvoyAI, Priced: true, Query: perRequest(tokensByModel(EnvoyAI), "gen_ai_response_model, gen_ai_token_type", envoy), N: envoy},
				{Profile: VLLM, Priced: true, Query: perRequest(tokensByModel(VLLM), "model_name, kind", vllm), N: vllm},
			},
			Rows:     rowMean(func(b *sources.RequestBucket) (float64, float64) { return b.CostUSD, float64(b.WithCost) }),
			RowsLack: costless,
			Rise:     Relative{Watch: 1.5, Bad: 3, By: 0.0005},
			Least:    Least{N: 50},
			Causes:   []sources.Component{sources.Tools, sources.Prompt, sources.Model, sources.Index},
		},
		{
			ID: "fallback_rate", Label: "fallback", Name: "answers by a fallback model", Pane: sources.HealthPane, Unit: sources.Ratio, Direction: sources.HigherWorse,
			From: []Source{
				share(LLMOps, `sum(rate(llmops_fallback_total{$scope}[$window]))`, `sum(rate(llmops_requests_total{$scope}[$window]))`),
				sparse(share(LiteLLM, rate("litellm_deployment_successful_fallbacks_total", ""), litellm), "litellm_deployment_successful_fallbacks_total"),
			},
			Rows: rowShare(func(b *sources.RequestBucket) (float64, float64) { return float64(b.Fallbacks), float64(b.N) }),

			Limits: sources.Threshold{Watch: 0.05, Bad: 0.25},
			Rise:   Relative{Watch: 2, By: 0.02},
			Least:  Least{N: 50, K: 5},
			Causes: []sources.Component{sources.Model, sources.Policy},
		},
		{
			ID: "disabled_features", Label: "features off", Name: "features switched off", Pane: sources.HealthPane, Unit: sources.Count, Direction: sources.HigherWorse,
			From:   []Source{vector(LLMOps, "feature", `max by (feature) (llmops_feature_disabled{$scope})`)},
			Limits: sources.Threshold{Watch: 1},
			Causes: []sources.Component{sources.Policy},
		},
		{
			ID: "queue_depth", Label: "queue", Name: "requests waiting", Family: "queue", Pane: sources.HealthPane, Unit: sources.Count, Direction: sources.HigherWorse,
			From: []Source{
				plain(LLMOps, `sum(llmops_queue_depth{$scope})`),
				plain(LiteLLM, `sum(litellm_admission_queued_requests{$scope})`),
				plain(VLLM, `sum(vllm:num_requests_waiting{$scope})`),
			},
			Rise:   Relative{Watch: 3, Bad: 10, By: 20},
			Causes: slow,
		},
		{
			ID: "queue_wait_p95", Label: "queue wait p95", Name: "queue wait p95", Family: "queue", Pane: sources.HealthPane, Unit: sources.Seconds, Direction: sources.HigherWorse,
			From: []Source{{
				Profile: LLMOps, Query: `histogram_quantile(0.95, sum by (le) (rate(llmops_queue_wait_seconds_bucket{$scope}[$window])))`,
				N: `sum(rate(llmops_queue_wait_seconds_count{$scope}[$window]))`, Bucket: `llmops_queue_wait_seconds_bucket{$scope}`,
			}, quantile(LiteLLM, "0.95", "litellm_request_queue_time_seconds", ""), quantile(VLLM, "0.95", "vllm:request_queue_time_seconds", "")},
			Limits: sources.Threshold{Watch: 2, Bad: 10},
			Rise:   Relative{Watch: 3, By: 0.5},
			Least:  Least{N: 50},
			Causes: slow,
		},
		{
			ID: "queue_drops", Label: "queue drops", Name: "requests dropped by the queue", Family: "queue", Pane: sources.HealthPane, Unit: sources.PerSecond, Direction: sources.HigherWorse, Harm: Wrong,
			From: []Source{
				plain(LLMOps, `sum(rate(llmops_queue_dropped_total{$scope}[$window]))`),
				plain(LiteLLM, `sum(rate(litellm_admission_rejected_requests_total{$scope}[$window]))`),
				plain(VLLM, `sum(rate(vllm:admission_rejections_total{$scope}[$window]))`),
			},
			Limits: sources.Threshold{Watch: 0.05, Bad: 0.5},
			Least:  Least{K: 5},
			Causes: slow,
		},
	}
}

// errorsByType are the errors per second by type; with traffic but without any
// error it is one unnamed zero, so that "none" differs from "not known".
func errorsByType(metric, failed, all string) string {
	return rateBy("error_type", metric, failed) + ` or 0 * ` + rate(metric, all)
}

// vllmErrors names the parts of a vector after one of its labels.
func vllmErrors(expr, as, label string) string {
	return `label_replace(` + expr + `, "error", "` + as + `", "` + label + `", "(.*)")`
}

// perRequest divides a per-model vector by the one number of requests.
func perRequest(byModel, labels, requests string) string {
	return `sum by (` + labels + `, $by) (` + byModel + `) / on ($by) group_left () ` + requests
}
