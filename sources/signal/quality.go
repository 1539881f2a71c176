package signal

import (
	"time"

	"rollcall/sources"
)

// schemaFailLogs answers nothing where no pass was logged: a service that logs its
// failures only does not tell their share, and must not read as failing every time.
const schemaFailLogs = `sum(count_over_time($logs | json | validation_result="fail" [$window])) / ` +
	`(sum(count_over_time($logs | json | validation_result="fail" [$window])) + sum(count_over_time($logs | json | validation_result="pass" [$window])))`

// quality is the pane of whether the answers are any good.
func quality() []Signal {
	requests := rate("llmops_requests_total", "")
	content := []sources.Component{sources.Prompt, sources.Model, sources.Index, sources.Tools}
	// What people say arrives rarely: it is looked at over a longer time.
	const rare = 15 * time.Minute

	return []Signal{
		{
			ID: "schema_fail", Label: "schema fail", Name: "schema failures", Pane: sources.QualityPane, Unit: sources.Ratio, Direction: sources.HigherWorse,
			From: []Source{
				share(LLMOps, rate("llmops_validation_total", `result="fail"`), rate("llmops_validation_total", "")),
				// The gateway validates only where told to, and does not tell where: zero
				// failures and no validation look the same until the first failure.
				{
					Profile: LiteLLM, Query: rate(litellmFailed, `exception_class=~".*JSONSchemaValidationError"`) + ` / ` + rate(litellmRequests, ""),
					N: rate(litellmRequests, ""), Shy: "schema validation failure seen by LiteLLM",
				},
			},
			LogQL:  schemaFailLogs,
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return pair(b.Schema, 1) }),
			Limits: sources.Threshold{Watch: 0.03, Bad: 0.05},
			Rise:   Relative{Watch: 1.5, Bad: 3, By: 0.005},
			Least:  Least{N: 50, K: 5},
			Causes: []sources.Component{sources.Prompt, sources.Model, sources.Tools},
		},
		{
			ID: "feedback", Label: "feedback up", Name: "positive feedback", Pane: sources.QualityPane, Unit: sources.Ratio, Direction: sources.LowerWorse,
			Window: rare,
			From:   []Source{share(LLMOps, rate("llmops_feedback_total", `verdict="up"`), rate("llmops_feedback_total", ""))},
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return pair(b.Feedback, 0) }),
			Fall:   Relative{Watch: 0.8, Bad: 0.6, By: 0.05},
			Least:  Least{N: 50, K: 5},
			Causes: content,
		},
		{
			ID: "complaints", Label: "complaints", Name: "complaints", Pane: sources.QualityPane, Unit: sources.PerMille, Direction: sources.HigherWorse,
			Window: rare,
			From: []Source{{
				Profile: LLMOps, Query: `1000 * ` + fraction(rate("llmops_complaints_total", ""), requests), N: requests,
				K: rate("llmops_complaints_total", ""),
			}},
			Rise:   Relative{Watch: 2, Bad: 4, By: 1},
			Least:  Least{N: 50, K: 5},
			Causes: content,
		},
		{
			ID: "eval_score", Label: "eval score", Name: "evaluation score", Pane: sources.QualityPane, Unit: sources.Score, Direction: sources.LowerWorse,
			From: []Source{{
				Profile: LLMOps, Part: "evaluator",
				Query: rateBy("evaluator", "llmops_eval_score_sum", "") + ` / ` + rateBy("evaluator", "llmops_eval_score_count", ""),
				N:     rateBy("evaluator", "llmops_eval_score_count", ""),
			}},
			Rows:    rowScores,
			Combine: Worst,
			Fall:    Relative{Watch: 0.9, Bad: 0.75, By: 0.03},
			Least:   Least{N: 30},
			Causes:  []sources.Component{sources.Prompt, sources.Model, sources.Index},
		},
		{
			ID: "retrieval_hit", Label: "retrieval hit", Name: "retrieval hit rate", Pane: sources.QualityPane, Unit: sources.Ratio, Direction: sources.LowerWorse,
			From:   []Source{share(LLMOps, rate("llmops_retrieval_total", `hit="true"`), rate("llmops_retrieval_total", ""))},
			Rows:   rowShare(func(b *sources.RequestBucket) (float64, float64) { return pair(b.Retrieval, 0) }),
			Limits: sources.Threshold{Watch: 0.7, Bad: 0.5},
			Fall:   Relative{Watch: 0.9, Bad: 0.75, By: 0.05},
			Least:  Least{N: 50, K: 5},
			Causes: []sources.Component{sources.Index, sources.Prompt},
		},
	}
}
