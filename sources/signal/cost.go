package signal

import (
	"time"

	"rollcall/sources"
)

// cost is the pane of what it costs and what is left.
func cost() []Signal {
	burners := []sources.Component{sources.Tools, sources.Prompt, sources.Model, sources.Index}
	budget := func(id, label, name string, compute computeFunc) Signal {
		return Signal{
			ID: id, Label: label, Name: name, Family: "spend", Pane: sources.CostPane, Unit: sources.Ratio, Direction: sources.HigherWorse,
			Compute: compute, Limits: sources.Threshold{Watch: 0.8, Bad: 1}, Causes: burners,
		}
	}
	used := budget("budget_used", "budget used", "budget used", budgetUsed)
	used.Combine = Worst
	// Where the configuration has no budget and the service exposes none, those that
	// its gateway enforces.
	teams, keys, orgs := "litellm_remaining_team_budget_metric", "litellm_remaining_api_key_budget_metric", "litellm_remaining_org_budget_metric"
	used.From = []Source{sparse(
		vector(LiteLLM, "budget", budgetShare("team", "team", "team, team_alias", "team_alias")+
			` or `+budgetShare("api_key", "key", "hashed_api_key, api_key_alias", "api_key_alias")+
			` or `+budgetShare("org", "org", "org_id, org_alias", "org_alias")),
		teams, "litellm_team_max_budget_metric", keys, "litellm_api_key_max_budget_metric", orgs, "litellm_org_max_budget_metric",
	)}
	used.Limits = sources.Threshold{Watch: 0.8, Bad: 0.95}
	forecast := budget("budget_forecast", "day forecast", "forecast of the day's budget", budgetForecast)
	forecast.Limits = sources.Threshold{Watch: 1, Bad: 1.5}
	// An estimate: only far over the budget does it mean anything.
	user := budget("budget_user_hour", "user budget", "top user's hour against its budget", budgetUserHour)
	user.Limits = sources.Threshold{Watch: 2}

	cache := func(id, label, name, kinds string, rows func(*sources.RequestBucket) (float64, float64)) Signal {
		return Signal{
			ID: id, Label: label, Name: name, Family: "cache", Pane: sources.CostPane, Unit: sources.Ratio, Direction: sources.LowerWorse,
			From: []Source{share(
				LLMOps,
				`sum(rate(llmops_cache_total{`+kinds+`,result="hit",$scope}[$window]))`,
				`sum(rate(llmops_cache_total{`+kinds+`,$scope}[$window]))`,
			)},
			Rows:  rowShare(rows),
			Fall:  Relative{Watch: 0.75, Bad: 0.4, By: 0.04},
			Least: Least{N: 50, K: 5},

			Causes: []sources.Component{sources.Prompt, sources.Index, sources.Policy},
		}
	}
	provider := cache("cache_provider", "cache provider", "provider cache hits", `kind="provider"`, func(b *sources.RequestBucket) (float64, float64) {
		return b.TokensCached, b.TokensIn
	})
	hits, misses := rate("litellm_cache_hits_metric_total", ""), rate("litellm_cache_misses_metric_total", "")
	looked := `((` + hits + ` or 0 * ` + misses + `) + (` + misses + ` or 0 * ` + hits + `))`
	both := cache("cache_exact_semantic", "cache answers", "answers from the cache", `kind=~"exact|semantic"`, cacheShare("exact", "semantic"))
	// One cache is configured there, exact or semantic; its metrics do not say which.
	both.From = append(both.From, sparse(Source{
		Profile: LiteLLM, Query: `(` + hits + ` or 0 * ` + misses + `) / ` + looked, N: looked,
	}, "litellm_cache_hits_metric_total", "litellm_cache_misses_metric_total"))
	provider.From = append(provider.From,
		Source{
			Profile: LLMOps,
			Query:   fraction(rate("llmops_tokens_total", `kind="cached"`), rate("llmops_tokens_total", `kind="input"`)),
		},
		Source{
			Profile: OTelGenAI0,
			Query: fraction(rate("gen_ai_client_inference_usage_cache_read_input_tokens_total", ""),
				rate("gen_ai_client_inference_usage_input_tokens_total", "")),
		},
		Source{
			Profile: LiteLLM,
			Query:   fraction(rate("litellm_input_cached_tokens_metric_total", ""), rate("litellm_input_tokens_metric_total", "")),
		},
		Source{
			Profile: EnvoyAI,
			Query: fraction(rate("gen_ai_client_token_usage_sum", byGateway+`,gen_ai_token_type="cached_input"`),
				rate("gen_ai_client_token_usage_sum", byGateway+`,`+answers+`,gen_ai_token_type="input"`)),
		},
		Source{
			Profile: VLLM,
			Query:   fraction(rate("vllm:prefix_cache_hits_total", ""), rate("vllm:prefix_cache_queries_total", "")),
		})
	provider.Least = Least{}

	return []Signal{
		{
			ID: "spend_rate", Label: "spend", Name: "spend", Family: "spend", Pane: sources.CostPane, Unit: sources.USDPerSec, Direction: sources.HigherWorse,
			From:     spendSources(),
			Rows:     rowSpend,
			RowsLack: costless,
			Rise:     Relative{Watch: 1.6, Bad: 3, By: 1.0 / 3600},
			Causes:   burners,
		},
		{
			ID: "spend_today", Label: "spend today", Name: "spend today", Pane: sources.CostPane, Unit: sources.USD, Direction: sources.Neutral,
			Compute: spendToday,
		},
		{
			ID: "budget_daily", Label: "spend 24h", Name: "spend in 24 hours", Pane: sources.CostPane, Unit: sources.USD, Direction: sources.Neutral,
			Compute: spendDay,
		},
		used,
		forecast,
		budget("budget_hour", "hour budget", "this hour against its budget", budgetHour),
		user,
		budget("budget_request", "request budget", "mean request against its budget", budgetRequest),
		{
			ID: "ratelimit_headroom", Label: "limit headroom", Name: "rate-limit headroom", Family: "limits", Pane: sources.CostPane, Unit: sources.Ratio, Direction: sources.LowerWorse, Harm: Late,
			// Calls come in bursts, and between two of them there is always room: the least of the window counts.
			From: []Source{
				vector(LLMOps, "provider", `min by (provider) (min_over_time(llmops_quota_remaining_ratio{$scope}[$window]))`),
				vector(LiteLLM, "litellm_model_name", withTraffic(`min by (litellm_model_name) (min_over_time(litellm_remaining_requests_metric{$scope}[$window])`+
					` / on (model_id) group_left () max by (model_id) (litellm_deployment_rpm_limit{$scope}))`)),
				// An engine of one's own has no quota; what runs out is the memory for contexts.
				vector(VLLM, "limit", `label_replace(1 - max by (model_name) (max_over_time(vllm:kv_cache_usage_perc{$scope}[$window])), "limit", "KV cache $1", "model_name", "(.*)")`),
			},
			Combine:  Worst,
			Forecast: true,
			Limits:   sources.Threshold{Watch: 0.2, Bad: 0.05},
			Causes:   burners,
		},
		{
			ID: "ratelimit_tokens", Label: "tokens left", Name: "token-limit headroom", Family: "limits", Pane: sources.CostPane, Unit: sources.Tokens, Direction: sources.LowerWorse, Harm: Late,
			From: []Source{
				vector(LLMOps, "provider", `min by (provider) (min_over_time(llmops_quota_remaining_tokens{$scope}[$window]))`),
				vector(LiteLLM, "model_group", withTraffic(`min by (model_group) (min_over_time(litellm_remaining_tokens_metric{$scope}[$window]))`)),
			},
			Combine:  Worst,
			Forecast: true,
			Fall:     Relative{Watch: 0.3, Bad: 0.1},
			Causes:   burners,
		},
		cache("cache_exact", "cache exact", "exact cache hits", `kind="exact"`, cacheShare("exact")),
		cache("cache_semantic", "cache semantic", "semantic cache hits", `kind="semantic"`, cacheShare("semantic")),
		both,
		provider,
		{
			ID: "cache_saved", Label: "cache saves", Name: "savings by caches", Pane: sources.CostPane, Unit: sources.USDPerSec, Direction: sources.LowerWorse,
			Window: 15 * time.Minute,
			From:   []Source{vector(LLMOps, "kind", `sum by (kind) (rate(llmops_cache_saved_usd_total{$scope}[$window]))`)},
			Fall:   Relative{Watch: 0.4, By: 0.5 / 3600},
			Causes: []sources.Component{sources.Prompt, sources.Index, sources.Policy},
		},
		{
			ID: "index_size", Label: "index size", Name: "documents in the index", Pane: sources.CostPane, Unit: sources.Count, Direction: sources.BothWorse, Harm: Late,
			// Two index versions side by side are a migration, not twice the documents.
			From: []Source{
				plain(LLMOps, `max(llmops_index_documents{$scope})`),
				plain(Qdrant, `sum(collections_vector_total{$scope})`),
				// Not vector_index_size: that is the capacity set aside.
				vector(Weaviate, "class_name", `sum by (class_name) (object_count{$scope})`),
				plain(Milvus, `sum(milvus_querynode_entity_num{$scope})`),
			},
			Rise:   Relative{Watch: 1.5},
			Fall:   Relative{Watch: 0.9, Bad: 0.5},
			Causes: []sources.Component{sources.Index},
		},
		{
			ID: "index_query_p95", Label: "index query p95", Name: "vector search p95", Family: "latency", Pane: sources.CostPane, Unit: sources.Seconds, Direction: sources.HigherWorse, Harm: Late,
			From: []Source{
				{
					Profile: LLMOps, Query: `histogram_quantile(0.95, sum by (le) (rate(llmops_index_query_seconds_bucket{$scope}[$window])))`,
					N: `sum(rate(llmops_index_query_seconds_count{$scope}[$window]))`, Bucket: `llmops_index_query_seconds_bucket{$scope}`,
				},
				quantile(Qdrant, "0.95", "rest_responses_duration_seconds", `endpoint=~".*/points/(search|query).*"`),
				milliseconds(Weaviate, "0.95", "queries_durations_ms", ""),
				{
					Profile: Weaviate, Note: "mean: no quantile is exposed",
					Query: rate("queries_filtered_vector_durations_ms_sum", "") + ` / ` + rate("queries_filtered_vector_durations_ms_count", "") + ` / 1000`,
					N:     rate("queries_filtered_vector_durations_ms_count", ""),
				},
				milliseconds(Milvus, "0.95", "milvus_proxy_sq_latency", ""),
			},
			Limits: sources.Threshold{Watch: 1, Bad: 3},
			Rise:   Relative{Watch: 1.6, Bad: 4, By: 0.05},
			Least:  Least{N: 50},
			Causes: []sources.Component{sources.Index},
		},
	}
}

// spendSources are USD per second: from a metric that counts what was spent, else
// from tokens and the price table.
func spendSources() []Source {
	out := []Source{
		plain(LLMOps, rate("llmops_cost_usd_total", "")),
		plain(OTelGenAI, rate("gen_ai_usage_cost_USD_sum", "")),
		plain(LiteLLM, rate("litellm_spend_metric_total", "")),
	}
	for _, profile := range []string{LLMOps, OTelGenAI, OTelGenAI0, EnvoyAI, VLLM} {
		src := Source{Profile: profile, Priced: true, Query: tokensByModel(profile)}
		if profile == OTelGenAI {
			src = ofService(src)
		}
		out = append(out, src)
	}
	return out
}
