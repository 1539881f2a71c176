package tuitest

import (
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/tui/pane"
)

// Severities returns what each severity means.
func (d *Desk) Severities() []pane.Definition {
	return []pane.Definition{
		{Word: "SEV1", Means: "People are harmed or data leaks now, or the product is unusable for most: everybody, at once"},
		{Word: "SEV2", Means: "Many answers are wrong or unsafe, or cost runs away: the on-call engineer and a lead, at once"},
		{Word: "SEV3", Means: "Some answers are worse than usual, with a way around: within the working day"},
		{Word: "SEV4", Means: "A flaw that few notice: planned work"},
	}
}

// Categories returns what each category means.
func (d *Desk) Categories() []pane.Definition {
	return []pane.Definition{
		{Word: "safety", Means: "harmful, toxic or policy-breaking output"},
		{Word: "correctness", Means: "wrong facts, wrong actions, broken format"},
		{Word: "privacy", Means: "personal or tenant data where it must not be"},
		{Word: "quality", Means: "answers got worse without being wrong"},
		{Word: "availability", Means: "errors, timeouts, overload"},
		{Word: "cost", Means: "spend out of proportion to use"},
	}
}

// Rollback is the runbook that the tests run.
func Rollback() *runbooks.Runbook {
	pre, do, verify, abort := runbooks.Preconditions, runbooks.Steps, runbooks.Verify, runbooks.Abort
	return &runbooks.Runbook{
		ID: "rollback-prompt", Title: "Roll back the prompt", Component: sources.Prompt, Suggest: []string{"schema_fail", "eval_score", "complaints"},
		MaxDuration: 30 * time.Minute, RehearseEvery: 30 * 24 * time.Hour, File: "library/rollback-prompt.md", Hash: "5f2c9d",
		Intro: "When schema failures or wrong answers began with a prompt change. Takes ten minutes.",
		Vars: []runbooks.Var{
			{Name: "BAD", Line: 9, Sources: []runbooks.VarSource{{Suspect: "prompt"}}},
			{Name: "GOOD", Line: 10, Sources: []runbooks.VarSource{{Run: []string{"rollcall", "pin", "last-good", "prompt", "--not", "$BAD"}}}},
			{Name: "TICKET", Line: 11, Sources: []runbooks.VarSource{{Ask: "Which ticket is this for? (none is an answer)"}}},
		},
		Steps: []runbooks.Step{
			{
				Name: "target", Sentence: "A different known-good version exists, and the bad one is still live", Phase: pre, Kind: runbooks.Command, Effect: runbooks.Read,
				Script: "test -n \"$GOOD\" && test \"$GOOD\" != \"$BAD\" && test \"$(rollcall pin get prompt)\" = \"$BAD\"", Timeout: 10 * time.Second,
			},
			{Name: "before", Sentence: "Record quality as it is now", Phase: pre, Kind: runbooks.Snapshot, Signals: []string{"schema_fail", "eval_score"}},
			{
				Name: "apply", Sentence: "Move the pin, only if it is still the bad one", Phase: do, Kind: runbooks.Command, Effect: runbooks.Write,
				Script: "rollcall pin set prompt \"$GOOD\" --if-current \"$BAD\"", Timeout: 30 * time.Second,
				Reconcile: &runbooks.Reconcile{Run: []string{"rollcall", "pin", "get", "prompt"}, Done: "value == GOOD", NotDone: "value == BAD"},
			},
			{Name: "only-prompt", Sentence: "Nothing else moved", Phase: do, Kind: runbooks.Command, Effect: runbooks.Read, Script: "test \"$(rollcall pin others prompt)\" = \"$OTHERS\"", Timeout: 10 * time.Second},
			{
				Name: "quality", Sentence: "Schema failures are back to usual", Phase: verify, Kind: runbooks.CheckOf,
				Check: &runbooks.Check{
					Signal: "schema_fail", Pass: "value <= usual * 1.3", Fail: "value > usual * 2", InitialDelay: 5 * time.Minute, Interval: time.Minute,
					Count: 10, ConsecutivePass: 3, FailureLimit: 3, MinSamples: 200, OnFail: runbooks.AbortRun, OnInconclusive: runbooks.Escalate,
				},
			},
			{Name: "evals", Sentence: "The eval suite passes on what is live now", Phase: verify, Kind: runbooks.Evals, Timeout: 10 * time.Minute},
			{
				Name: "success", Sentence: "All of it holds, and keeps holding", Phase: verify, Kind: runbooks.Criteria, Criteria: []string{"only-prompt", "quality", "evals"},
				Mark: "mitigated", Hold: &runbooks.Hold{Step: "quality", For: 30 * time.Minute, OnFail: runbooks.ReopenInc},
			},
			{
				Name: "undo", Sentence: "Put the old version back, only if the new one measured worse", Phase: abort, Kind: runbooks.Command, Effect: runbooks.Write,
				Script: "rollcall pin set prompt \"$BAD\" --if-current \"$GOOD\"", When: "now.schema_fail > snapshot.before.schema_fail", Timeout: 30 * time.Second,
			},
		},
	}
}

// Books are a few runbooks: one suggested, one never rehearsed, one that cannot be parsed.
func Books() []runbooks.Listing {
	model := *Rollback()
	model.ID, model.Title, model.Component, model.File = "rollback-model", "Roll back the model", sources.Model, "library/rollback-model.md"
	index := *Rollback()
	index.ID, index.Title, index.Component, index.File = "rollback-index", "Roll back the retrieval index", sources.Index, "library/rollback-index.md"
	return []runbooks.Listing{
		{
			Runbook: Rollback(), File: "library/rollback-prompt.md", Rehearsed: Start.Add(-9 * 24 * time.Hour), LastRun: Start.Add(-9 * 24 * time.Hour),
			Suggested: "Schema failures 9.1%; prompt v13→v14 at 02:31",
		},
		{Runbook: &model, File: "library/rollback-model.md", Problems: []runbooks.Problem{{File: "library/rollback-model.md", Line: 1, Message: "never rehearsed; practise it with R in the drill", Notice: true}}},
		{Runbook: &index, File: "library/rollback-index.md", Rehearsed: Start.Add(-3 * 24 * time.Hour)},
		{File: "team/stop-agents.md", Problems: []runbooks.Problem{{File: "team/stop-agents.md", Line: 31, Column: 5, Message: "unknown key \"efect\"; did you mean effect?"}}},
	}
}
