package signal

import "rollcall/sources/signal/suspect"

// outcomes say of each signal which requests are bad in its sense. What a row does
// not record (complaints, queues, what is left of a limit) is held against time
// instead: what is there more of since it began.
var outcomes = func() map[string]suspect.Outcome {
	failing := [2]string{"failing", "passing"}
	slow := func(number string) suspect.Outcome {
		return suspect.Outcome{Words: [2]string{"slow", "other"}, Level: suspect.Ended, Number: number}
	}
	costly := suspect.Outcome{Words: [2]string{"expensive", "other"}, Level: suspect.Answered, Number: "cost"}
	long := suspect.Outcome{Words: [2]string{"long", "other"}, Level: suspect.Called, Number: "tokens"}
	missed := func(kinds ...string) suspect.Outcome {
		return suspect.Outcome{Words: [2]string{"uncached", "cached"}, Level: suspect.Retrieved, Column: "cache", Good: kinds}
	}
	more := suspect.Outcome{Words: [2]string{"later", "earlier"}, Level: suspect.Called, More: true}
	errs := suspect.Outcome{Words: failing, Level: suspect.Answered, Column: "outcome", Bad: []string{"error"}}
	latency := slow("latency")
	return map[string]suspect.Outcome{
		"error_ratio": errs, "error_by_type": errs,
		"latency_p50": latency, "latency_p95": latency, "latency_p99": latency, "ttft_p95": slow("ttft"),
		"index_query_p95": {Words: [2]string{"slow", "other"}, Level: suspect.Called, Number: "vector_search"},
		"tokens_per_req":  long,
		"length_cutoff":   {Words: [2]string{"cut off", "whole"}, Level: suspect.Answered, Column: "finish_reason", Bad: []string{"length"}},
		"cost_per_req":    costly, "spend_rate": costly, "spend_today": costly, "budget_daily": costly, "budget_used": costly,
		"budget_forecast": costly, "budget_hour": costly, "budget_user_hour": costly, "budget_request": costly,
		"fallback_rate": {Words: [2]string{"fallback", "other"}, Level: suspect.Called, Column: "fallback", Good: []string{"none", "false"}, Unknown: true},
		"schema_fail":   {Words: failing, Level: suspect.Checked, Column: "schema", Bad: []string{"fail"}},
		"feedback":      {Words: [2]string{"thumbs-down", "thumbs-up"}, Level: suspect.Judged, Column: "feedback", Bad: []string{"down"}, Good: []string{"up"}},
		"eval_score":    {Words: [2]string{"low-scored", "other"}, Level: suspect.Answered, Number: "score", Low: true},
		"retrieval_hit": {Words: [2]string{"missing", "finding"}, Level: suspect.Retrieved, Column: "retrieval_hit", Bad: []string{"false"}},
		"filter_trigger": {
			Words: [2]string{"filtered", "other"}, Level: suspect.Called, Column: "filter", Good: []string{"none"},
		},
		"refusal":        {Words: [2]string{"refused", "other"}, Level: suspect.Answered, Column: "refusal", Bad: []string{"true"}},
		"access_control": {Words: [2]string{"denied", "other"}, Level: suspect.Retrieved, Column: "access_denied", Good: []string{"false", "none"}, Unknown: true},
		"cache_exact":    missed("exact"), "cache_semantic": missed("semantic"), "cache_exact_semantic": missed("exact", "semantic"),
		"cache_provider":    {Words: [2]string{"uncached", "cached"}, Level: suspect.Called, Number: "tokens_cached", Zero: true},
		"prompt_length_p99": {Words: [2]string{"long", "other"}, Level: suspect.Retrieved, Number: "tokens_in"},
		"req_rate":          more, "complaints": more, "unusual_query": more, "redactions": more, "disabled_features": more, "cache_saved": more,
		"queue_depth": more, "queue_wait_p95": more, "queue_drops": more, "ratelimit_headroom": more, "ratelimit_tokens": more,
		"index_size": more,
	}
}()
