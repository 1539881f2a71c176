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
	provider.From = append(provider.From,
		Source{
			Profile: LLMOps,
			Query:   fraction(rate("llmops_tokens_total", `kind="cached"`), rate("llmops_tokens_total", `kind="input"`)),
		},
		Source{
			Profile: OTelGenAI0,
			Query: fraction(rate("gen_ai_client_inference_usage_cache_read_input_tokens_total", ""),
				rate("gen_ai_client_inference_usage_input_tokens_total", "")),
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
			ID: "ratelimit_headroom", Label: "limit headroom", Name: "rate-limit headroom", Family: "limits", Pane: sources.CostPane, Unit: sources.Ratio, Direction: sources.LowerWorse,
			From:    []Source{vector(LLMOps, "provider", `min by (provider) (llmops_quota_remaining_ratio{$scope})`)},
			Combine: Worst,
			Limits:  sources.Threshold{Watch: 0.2, Bad: 0.05},
			Causes:  burners,
		},
		{
			ID: "ratelimit_tokens", Label: "tokens left", Name: "token-limit headroom", Family: "limits", Pane: sources.CostPane, Unit: sources.Tokens, Direction: sources.LowerWorse,
			From:    []Source{vector(LLMOps, "provider", `min by (provider) (llmops_quota_remaining_tokens{$scope})`)},
			Combine: Worst,
			Fall:    Relative{Watch: 0.3, Bad: 0.1},
			Causes:  burners,
		},
		cache("cache_exact", "cache exact", "exact cache hits", `kind="exact"`, cacheShare("exact")),
		cache("cache_semantic", "cache semantic", "semantic cache hits", `kind="semantic"`, cacheShare("semantic")),
		cache("cache_exact_semantic", "cache answers", "answers from the cache", `kind=~"exact|semantic"`, cacheShare("exact", "semantic")),
		provider,
		{
			ID: "cache_saved", Label: "cache saves", Name: "savings by caches", Pane: sources.CostPane, Unit: sources.USDPerSec, Direction: sources.LowerWorse,
			Window: 15 * time.Minute,
			From:   []Source{vector(LLMOps, "kind", `sum by (kind) (rate(llmops_cache_saved_usd_total{$scope}[$window]))`)},
			Fall:   Relative{Watch: 0.4, By: 0.5 / 3600},
			Causes: []sources.Component{sources.Prompt, sources.Index, sources.Policy},
		},
		{
			ID: "index_size", Label: "index size", Name: "documents in the index", Pane: sources.CostPane, Unit: sources.Count, Direction: sources.BothWorse,
			// Two index versions side by side are a migration, not twice the documents.
			From:   []Source{plain(LLMOps, `max(llmops_index_documents{$scope})`)},
			Rise:   Relative{Watch: 1.5},
			Fall:   Relative{Watch: 0.9, Bad: 0.5},
			Causes: []sources.Component{sources.Index},
		},
		{
			ID: "index_query_p95", Label: "index query p95", Name: "vector search p95", Family: "latency", Pane: sources.CostPane, Unit: sources.Seconds, Direction: sources.HigherWorse,
			From: []Source{{
				Profile: LLMOps, Query: `histogram_quantile(0.95, sum by (le) (rate(llmops_index_query_seconds_bucket{$scope}[$window])))`,
				N: `sum(rate(llmops_index_query_seconds_count{$scope}[$window]))`, Bucket: `llmops_index_query_seconds_bucket{$scope}`,
			}},
			Limits: sources.Threshold{Watch: 1, Bad: 3},
			Rise:   Relative{Watch: 1.6, Bad: 4, By: 0.05},
			Least:  Least{N: 50},
			Causes: []sources.Component{sources.Index},
		},
	}
}

// spendSources are USD per second, from a cost metric or from tokens and the price table.
func spendSources() []Source {
	return []Source{
		plain(LLMOps, rate("llmops_cost_usd_total", "")),
		{Profile: LLMOps, Priced: true, Query: llmopsTokens()},
		{Profile: OTelGenAI, Priced: true, Query: tokensByModel(OTelGenAI)},
		{Profile: OTelGenAI0, Priced: true, Query: tokensByModel(OTelGenAI0)},
	}
}
