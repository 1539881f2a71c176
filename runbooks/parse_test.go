package runbooks

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"rollcall/sources/signal"
)

// small is a runbook with one step of most kinds. The tests change one thing in it.
const small = `---
schema: rollcall/v1
id: small
title: A small one
component: prompt
suggest: [schema_fail]
max_duration: 30m
rehearse: {every: 30d}
vars:
  BAD:  {suspect: prompt, else: {run: [rollcall, pin, get, prompt]}}
  GOOD: {run: [rollcall, pin, last-good, prompt, --not, $BAD]}
---
# A small one

When it is needed.

## Preconditions
- [ ] **sure** You are sure
- [ ] **before** Record quality
  ` + "```yaml" + `
  snapshot: [schema_fail]
  ` + "```" + `

## Steps
- [ ] **apply** Move the pin
  ` + "```sh" + `
  rollcall pin set prompt "$GOOD" --if-current "$BAD"
  ` + "```" + `
  ` + "```yaml" + `
  effect: write
  timeout: 30s
  reconcile:
    run: [rollcall, pin, get, prompt]
    done: value == GOOD
    not_done: value == BAD
  ` + "```" + `

## Verify
- [ ] **quality** Schema failures are back to usual
  ` + "```yaml" + `
  check: schema_fail
  pass: value <= usual * 1.3
  fail: value > usual * 2
  initial_delay: 5m
  ` + "```" + `
- [ ] **success** All of it holds
  ` + "```yaml" + `
  criteria: [quality]
  mark: mitigated
  hold: {step: quality, for: 30m, on_fail: reopen}
  ` + "```" + `

## Abort
- [ ] **undo** Put it back
  ` + "```sh" + `
  rollcall pin set prompt "$BAD" --if-current "$GOOD"
  ` + "```" + `
  ` + "```yaml" + `
  effect: write
  when: now.schema_fail > snapshot.before.schema_fail
  timeout: 30s
  reconcile: {run: [rollcall, pin, get, prompt], done: value == BAD, not_done: value == GOOD}
  ` + "```" + `
`

func known(t testing.TB) Known {
	t.Helper()
	k, err := KnownSignals(signal.Service{Scope: `job="assistant"`})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func said(list []Problem) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.File, p.Line, p.Column, p.Message)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// problems parses and, when that works, lints.
func problemsOf(t testing.TB, src string) string {
	t.Helper()
	rb, list := Parse("rb.md", []byte(src))
	if rb != nil {
		list = Lint(rb, known(t))
	}
	return said(list)
}

// with changes one thing of the small runbook.
func with(t testing.TB, from, to string) string {
	t.Helper()
	if !strings.Contains(small, from) {
		t.Fatalf("the small runbook has no %q", from)
	}
	return strings.Replace(small, from, to, 1)
}

func TestASoundRunbookParsesAndLintsClean(t *testing.T) {
	if got := problemsOf(t, small); got != "" {
		t.Fatal(got)
	}
	rb, _ := Parse("rb.md", []byte(small))
	if rb.ID != "small" || rb.Component != "prompt" || rb.MaxDuration != 30*time.Minute || rb.RehearseEvery != 30*24*time.Hour {
		t.Errorf("%+v", rb)
	}
	if rb.Intro != "When it is needed." {
		t.Errorf("intro %q", rb.Intro)
	}
	if len(rb.Vars) != 2 || rb.Vars[0].Name != "BAD" || rb.Vars[0].Sources[0].Suspect != "prompt" || len(rb.Vars[0].Sources[1].Run) != 4 {
		t.Errorf("%+v", rb.Vars)
	}
	var kinds []string
	for _, s := range rb.Steps {
		kinds = append(kinds, fmt.Sprintf("%s/%s %s", s.Phase, s.Kind, s.Name))
	}
	want := "Preconditions/confirm sure, Preconditions/snapshot before, Steps/command apply, Verify/check quality, Verify/criteria success, Abort/command undo"
	if got := strings.Join(kinds, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	apply := rb.Step("apply")
	if apply.Script != "rollcall pin set prompt \"$GOOD\" --if-current \"$BAD\"\n" || apply.Effect != Write || apply.Timeout != 30*time.Second ||
		apply.OnFail != AbortRun || apply.Line != 25 || apply.Sentence != "Move the pin" || apply.Reconcile.NotDone != "value == BAD" {
		t.Errorf("%+v", apply)
	}
	c := rb.Step("quality").Check
	if c.Interval != time.Minute || c.Count != 10 || c.ConsecutivePass != 3 || c.FailureLimit != 3 || c.OnFail != AbortRun || c.OnInconclusive != Escalate {
		t.Errorf("%+v", c)
	}
	if s := rb.Step("success"); s.OnFail != Escalate || s.Hold.OnFail != ReopenInc || s.Hold.For != 30*time.Minute {
		t.Errorf("%+v", s)
	}
	if rb.Step("undo").OnFail != Escalate {
		t.Error("in Abort there is nothing to abort")
	}
}

func TestEveryMistakeNamesItsPlaceAndRemedy(t *testing.T) {
	fence := "```"
	for _, tc := range []struct{ name, from, to, want string }{
		{"no front matter", "---\nschema", "schema", "rb.md:1:1: a runbook begins with front matter: a line ---, then schema: rollcall/v1, id: and title:, then a line ---"},
		{"front matter without end", "---\n# A small one", "# A small one", "rb.md:1:1: the front matter has no end; close it with a line ---"},
		{"a key with a typo", "component: prompt", "compnent: prompt", `rb.md:5:1: unknown key "compnent"; did you mean "component"?`},
		{"no id", "id: small\n", "", "rb.md:1:1: the front matter has no id; add id: a-short-name"},
		{"another schema", "rollcall/v1", "rollcall/v9", `rb.md:2:9: schema "rollcall/v9" is not known to this version; write schema: rollcall/v1 or upgrade rollcall`},
		{"an id that is no name", "id: small", "id: Small One", `rb.md:3:5: id "Small One" is not a name; use small letters, digits and dashes, such as rollback-prompt`},
		{"an unknown component", "component: prompt", "component: promt", `rb.md:5:12: component "promt" is not known; it can be prompt, model, tools, index or policy`},
		{"two components", "component: prompt", "component: [prompt, model]", "rb.md:5:12: component must be text"},
		{"a duration without a unit", "max_duration: 30m", "max_duration: 30", `rb.md:7:15: max_duration: "30" is not a duration; write it like 15s, 10m, 6h or 7d`},
		{"an empty value", "max_duration: 30m", "max_duration:", "rb.md:7:14: max_duration is empty; give it a value or remove it"},
		{"an anchor", "title: A small one", "title: &x A small one", "rb.md:4:8: title uses an anchor, alias or tag; write the value out, so that everybody reads the same"},
		{"a key twice", "id: small", "id: small\nid: other", `rb.md:4:1: not valid YAML: mapping key "id" already defined in line 3`},
		{"a variable in small letters", "  BAD:", "  bad:", `rb.md:10:3: variable "bad" is not a name; use capital letters, digits and underscores, such as BAD`},
		{"a variable that commands rely on", "  GOOD:", "  PATH:", "rb.md:11:3: variable PATH would hide one that commands rely on; choose another name"},
		{"a variable from two places", "{suspect: prompt, else", "{suspect: prompt, value: v1, else", "rb.md:10:9: vars.BAD needs exactly one of suspect, run, value and ask; put the next best under else"},
		{"a suspect that is none", "{suspect: prompt, else", "{suspect: tennant, else", `rb.md:10:19: vars.BAD.suspect "tennant" is not known; it can be prompt, model, tools, index, policy, tenant, user, route, region, document, tool, error_type, provider or model_served`},
		{"a list without a question", "{suspect: prompt, else", "{suspect: prompt, choose: [rollcall, feature, list], else", "rb.md:10:35: vars.BAD.choose is the list that a question offers; write it beside ask"},
		{"a list that writes", "else: {run: [rollcall, pin, get, prompt]}", "else: {ask: Which?, choose: [rollcall, feature, off, x]}", `rb.md:10:55: choose may only read, but "rollcall feature off x" changes something`},
		{"a list of what has no value yet", "else: {run: [rollcall, pin, get, prompt]}", "else: {ask: Which?, choose: [echo, $GOOD]}", "rb.md:10:55: $GOOD is used before it has a value; move its line up"},
		{"a variable used too early", "else: {run: [rollcall, pin, get, prompt]}", "else: {run: [rollcall, pin, get, $GOOD]}", "rb.md:10:39: $GOOD is used before it has a value; move its line up"},
		{"a variable that writes", "else: {run: [rollcall, pin, get, prompt]}", "else: {run: [rollcall, pin, set, prompt, v1]}", `rb.md:10:39: run may only read, but "rollcall pin set prompt" changes something`},
		{"an unknown signal to suggest", "suggest: [schema_fail]", "suggest: [schema_fails]", `rb.md:6:11: unknown signal "schema_fails"; did you mean "schema_fail"?`},
		{"delays longer than the run", "max_duration: 30m", "max_duration: 6m", "rb.md:7:15: max_duration 6m is shorter than the delays of the steps, which take 7m"},

		{"a section with a typo", "## Verify", "## Verfy", `rb.md:38:4: the section "Verfy" is not known; did you mean ## Verify?` + "\n" +
			"rb.md:39:3: this task item would never be executed; put it at the left margin of Preconditions, Steps, Verify or Abort, or remove its checkbox\n" +
			"rb.md:46:3: this task item would never be executed; put it at the left margin of Preconditions, Steps, Verify or Abort, or remove its checkbox"},
		{"a section at another level", "## Abort", "### Abort", "rb.md:53:5: the section Abort must be a heading of the second level; write ## Abort"},
		{"a section twice", "## Abort", "## Verify", "rb.md:53:4: there are two sections Verify; put their items into one"},
		{"sections out of order", "## Preconditions", "## Verify", "rb.md:24:4: Steps comes after Verify; the order is Preconditions, Steps, Verify, Abort\nrb.md:38:4: there are two sections Verify; put their items into one"},
		{"a ticked box", "- [ ] **sure**", "- [x] **sure**", "rb.md:18:3: this checkbox is ticked; a runbook is no record of a run, write [ ]"},
		{"an item without a box", "- [ ] **sure**", "- **sure**", `rb.md:18:3: this item has no checkbox, and every item of Preconditions is a step; begin it with "- [ ] **name** ", or write prose without a list`},
		{"a box without space", "- [ ] **sure**", "- [] **sure**", `rb.md:18:3: this item has no checkbox, and every item of Preconditions is a step; begin it with "- [ ] **name** ", or write prose without a list`},
		{"a list marker without space", "- [ ] **before**", "-[ ] **before**", `rb.md:19:1: this line looks like a step but is read as text; begin it with "- [ ] " at the left margin, after an empty line`},
		{"a step without a name", "**apply** Move", "Move", "rb.md:25:3: this step has no name; write - [ ] **name** What to do"},
		{"a name that is no name", "**apply**", "**Apply it**", `rb.md:25:3: step "Apply it" is not a name; use small letters, digits, dashes and underscores, at most 40`},
		{"a step without a sentence", "**sure** You are sure", "**sure**", "rb.md:18:3: step sure does not say what it does; write a sentence after its name"},
		{"another language", fence + "sh\n  rollcall pin set prompt \"$GOOD\"", fence + "bash\n  rollcall pin set prompt \"$GOOD\"", `rb.md:26:6: a block in a step is sh or yaml, not "bash"`},
		{"something behind sh", fence + "sh\n  rollcall pin set prompt \"$GOOD\"", fence + "sh timeout=3\n  rollcall pin set prompt \"$GOOD\"", "rb.md:26:6: nothing may stand after ```sh: code hosts do not show it; put settings into the yaml block"},
		{"a block that does not say what it is", fence + "sh\n  rollcall pin set prompt \"$GOOD\"", fence + "\n  rollcall pin set prompt \"$GOOD\"", "rb.md:26:3: this block does not say what it is; write ```sh for a command or ```yaml for settings"},
		{"a block at the margin", "  " + fence + "yaml\n  snapshot: [schema_fail]\n  " + fence, fence + "yaml\nsnapshot: [schema_fail]\n" + fence, "rb.md:20:1: this block stands outside an item and would not be part of a step; indent it by two spaces under its item, or move it out of Preconditions"},
		{"a block that never ends", "  snapshot: [schema_fail]\n  " + fence, "  snapshot: [schema_fail]", "rb.md:20:3: this block is never closed; end it with a line ``` indented like its beginning"},
		{"two scripts", fence + "yaml\n  effect: write\n  timeout", fence + "sh\n  true\n  " + fence + "\n  " + fence + "yaml\n  effect: write\n  timeout", "rb.md:29:3: this item has two sh blocks; make two steps of it"},
		{"an empty script", "  rollcall pin set prompt \"$GOOD\" --if-current \"$BAD\"\n", "", "rb.md:26:3: this sh block is empty; write the command or remove it"},
		{"an empty settings block", "  snapshot: [schema_fail]\n", "  # later\n", "rb.md:21:3: this block is empty; write a setting or remove it"},
		{"a second paragraph", "You are sure\n", "You are sure\n\n  Really.\n\n", "rb.md:20:3: a step is one sentence with at most an sh and a yaml block; move the rest above or below the list"},
		{"a step in a step", "You are sure\n", "You are sure\n  - [ ] **very** Really\n", "rb.md:19:5: a step cannot hold further items; move them to the left margin"},
		{"HTML", "When it is needed.", "<!-- hidden -->", "rb.md:15:1: HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown"},
		{"HTML in a sentence", "You are sure", "You are <b>sure</b>", "rb.md:18:24: HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown\nrb.md:18:31: HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown"},
		{"an invisible character", "You are sure", "You are\u202e sure", "rb.md:18:23: the invisible character U+202E is not allowed; remove it"},
		{"an escape sequence", "You are sure", "You are\x1b[2J sure", "rb.md:18:23: the invisible character U+001B is not allowed; remove it"},
		{"another encoding", "You are sure", "You are s\xfcre", "rb.md:18:25: this byte is not UTF-8; save the file as UTF-8"},

		{"an unknown setting", "  effect: write\n  timeout: 30s\n  reconcile:\n", "  efect: write\n  timeout: 30s\n  reconcile:\n", `rb.md:30:3: unknown key "efect"; did you mean "effect"?`},
		{"an unknown setting in a setting", "    not_done: value == BAD", "    notdone: value == BAD", `rb.md:35:5: unknown key "notdone" under "reconcile"; did you mean "not_done"?`},
		{"an unknown effect", "  effect: write\n  timeout: 30s\n  reconcile:\n", "  effect: writes\n  timeout: 30s\n  reconcile:\n", `rb.md:30:11: effect "writes" is not known; it can be read or write`},
		{"text for a number", "initial_delay: 5m", "initial_delay: 5m\n  count: many", `rb.md:45:10: count must be a whole number, not "many"`},
		{"a count of nothing", "initial_delay: 5m", "initial_delay: 5m\n  count: 0", "rb.md:45:10: count must be between 1 and 1000, not 0"},
		{"a pass that cannot be reached", "initial_delay: 5m", "initial_delay: 5m\n  count: 2\n  consecutive_pass: 3", "rb.md:46:21: consecutive_pass 3 can never be reached with count 2; raise count"},
		{"a list that is none", "snapshot: [schema_fail]", "snapshot: schema_fail", "rb.md:21:13: snapshot must be a list: [a, b]"},
		{"YAML that is none", "snapshot: [schema_fail]", "snapshot: [schema_fail", "rb.md:21:13: not valid YAML: sequence end token ']' not found"},
		{"a tab", "    done: value == GOOD", "  \tdone: value == GOOD", "rb.md:34:3: not valid YAML: found character 'tab' that cannot start any token; indent with spaces, not tabs"},
		{"two things at once", "snapshot: [schema_fail]", "snapshot: [schema_fail]\n  wait: 5m", "rb.md:19:3: step before: it holds both snapshot: and wait:, and a step does one thing; make two steps of it"},
		{"a setting of another kind", "snapshot: [schema_fail]", "snapshot: [schema_fail]\n  interval: 5m", "rb.md:22:3: interval belongs to a check; this item is a snapshot"},
		{"on_fail of a check", "initial_delay: 5m", "initial_delay: 5m\n  on_fail: abort", "rb.md:45:3: a check says what follows with outcome: {fail: ..., inconclusive: ...}, not on_fail"},
		{"an unknown outcome", "initial_delay: 5m", "initial_delay: 5m\n  outcome: {fail: undo}", `rb.md:45:19: outcome.fail "undo" is not known; it can be abort, escalate or continue`},
		{"abort while aborting", "  when: now", "  on_fail: abort\n  when: now", "rb.md:60:12: on_fail cannot be abort in the section Abort itself; write escalate"},
		{"evidence by what no request has", "snapshot: [schema_fail]", "capture: {where: {tennant: acme}}", `rb.md:21:21: capture.where: requests have no attribute "tennant"; there are route, tenant, user, region, outcome, error_type, schema, model_served, document, tool, tool_error, manifest, stage, environment, prompt_name, model_requested, model_fingerprint, provider, cache, finish_reason, filter, refusal, access_denied, feedback, fallback or retrieval_hit`},
		{"evidence of a version in the wrong place", "snapshot: [schema_fail]", "capture: {where: {prompt: v14}}", "rb.md:21:21: the version of the prompt stands under version: in capture"},
		{"evidence by an unknown variable", "snapshot: [schema_fail]", "capture: {where: {tenant: $TENANT}}", "rb.md:21:29: $TENANT is not defined; define it under vars: in the front matter\nrb.md:60:36: when: no snapshot before comes before this step"},
		{"an unknown mark", "mark: mitigated", "mark: done", `rb.md:49:9: mark "done" is not known; it can be mitigated or resolved`},
		{"a hold that reopens wrongly", "on_fail: reopen", "on_fail: abort", `rb.md:50:44: hold.on_fail "abort" is not known; it can be reopen, escalate or continue`},
		{"a check without pass", "  pass: value <= usual * 1.3\n", "", "rb.md:41:10: step quality does not say when it passes; add pass: value <= usual * 1.3"},
		{"settings where there are none", "snapshot: [schema_fail]", "evals: {suite: all}", "rb.md:21:10: evals takes no settings; write evals: {}"},

		{"an unknown signal to check", "check: schema_fail", "check: schema_fial", `rb.md:41:10: unknown signal "schema_fial"; did you mean "schema_fail"?`},
		{"an unknown signal to record", "snapshot: [schema_fail]", "snapshot: [schema_fail, nonsense]", `rb.md:21:27: unknown signal "nonsense"; rollcall status -o json lists the signals`},
		{"no effect", "  effect: write\n  timeout: 30s\n  reconcile:\n", "  timeout: 30s\n  reconcile:\n", "rb.md:25:3: step apply does not say whether it changes something; add effect: read or effect: write"},
		{"no timeout", "  effect: write\n  timeout: 30s\n  reconcile:\n", "  effect: write\n  reconcile:\n", "rb.md:25:3: step apply may hang for ever; add timeout: 30s"},
		{"no reconcile", "  timeout: 30s\n  reconcile: {run: [rollcall, pin, get, prompt], done: value == BAD, not_done: value == GOOD}\n", "  timeout: 30s\n", "rb.md:54:3: step undo writes, and nothing says how to find out after a crash whether it happened; add reconcile: {run: [...], done: ..., not_done: ...}"},
		{"a read that writes", "  effect: write\n  timeout: 30s\n  reconcile:\n    run: [rollcall, pin, get, prompt]\n    done: value == GOOD\n    not_done: value == BAD\n", "  effect: read\n  timeout: 30s\n", `rb.md:27:3: "rollcall pin set prompt" changes something, but the step says effect: read; write effect: write`},
		{"another component", "rollcall pin set prompt \"$GOOD\"", "cd / && rollcall pin set model \"$GOOD\"", `rb.md:27:11: "rollcall pin set model" moves the model, but this runbook may only move the prompt; make two runbooks of it`},
		{"a setting that is not named", "rollcall pin set prompt \"$GOOD\"", "rollcall setting set canary 0", `rb.md:27:3: "rollcall setting set canary" sets something, but the runbook sets nothing; add settings: [canary] to the front matter`},
		{"a setting that no variable can become", "rollcall pin set prompt \"$GOOD\"", "rollcall setting set \"budget_$GOOD\" 9", `rb.md:27:3: "rollcall setting set budget_$GOOD" sets something, but the runbook sets nothing; add settings: [...] to the front matter`},
		{"a setting without a name", "component: prompt", "component: prompt\nsettings: [Canary]", `rb.md:6:12: setting "Canary" is not a name; use small letters, digits and underscores, such as budget_day`},
		{"a component from a variable", "rollcall pin set prompt \"$GOOD\"", "rollcall pin set \"$BAD\" \"$GOOD\"", `rb.md:27:3: "rollcall pin set $BAD" does not name its component; write one of prompt, model, tools, index or policy`},
		{"no component", "component: prompt\n", "", `rb.md:26:3: "rollcall pin set prompt" moves the prompt, but the runbook moves nothing; add component: prompt to the front matter` + "\n" +
			`rb.md:55:3: "rollcall pin set prompt" moves the prompt, but the runbook moves nothing; add component: prompt to the front matter`},
		{"an undefined variable", "rollcall pin set prompt \"$GOOD\"", "rollcall pin set prompt \"${GOD}\"", "rb.md:27:28: the script uses $GOD, which is not defined; did you mean $GOOD?"},
		{"a delay shorter than the range", "initial_delay: 5m", "initial_delay: 2m", "rb.md:44:18: initial_delay 2m is shorter than the 5m that a value looks back over, so what was before the change would be measured; write initial_delay: 5m"},
		{"no delay", "  initial_delay: 5m\n", "", "rb.md:39:3: initial_delay 0s is shorter than the 5m that a value looks back over, so what was before the change would be measured; write initial_delay: 5m"},
		{"a delay shorter than a query's range", "check: schema_fail", "promql: sum(rate(x{a=\"[2h]\"}[10m])) / sum(rate(y[5m]))", "rb.md:44:18: initial_delay 5m is shorter than the 10m that a value looks back over, so what was before the change would be measured; write initial_delay: 10m"},
		{"samples of what is not counted", "check: schema_fail", "check: index_size\n  min_samples: 200", "rb.md:42:16: index_size does not tell how many requests stand behind it; remove min_samples"},
		{"no criteria", "criteria: [quality]\n  mark: mitigated\n  hold: {step: quality, for: 30m, on_fail: reopen}", "note: Is it good?", "rb.md:1:1: there are no success criteria; end ## Verify with an item whose settings are criteria: [...]"},
		{"criteria that do not exist", "criteria: [quality]", "criteria: [qualty]", `rb.md:48:14: criteria names the step "qualty", which does not exist; did you mean "quality"?`},
		{"criteria that come later", "criteria: [quality]", "criteria: [quality, undo]", "rb.md:48:23: criteria names the step undo, which does not come before"},
		{"a hold on no check", "hold: {step: quality", "hold: {step: apply", "rb.md:50:16: hold watches a check, and apply is a command"},
		{"a name twice", "**undo**", "**apply**", "rb.md:54:3: step apply has the name of the one in line 25; choose another"},
		{"a condition with a typo", "pass: value <= usual * 1.3", "pass: valu <= usual * 1.3", "rb.md:42:9: pass: unknown name valu; did you mean value?"},
		{"a condition of two kinds", "done: value == GOOD\n", "done: value == 3\n", "rb.md:34:17: reconcile.done: invalid operation: == (these do not go together: string and number)"},
		{"a condition that says a number", "pass: value <= usual * 1.3", "pass: value - usual", "rb.md:42:9: pass: it is a number; compare it with something"},
		{"a condition in quotes", "pass: value <= usual * 1.3", "pass: \"value <= usul\"", "rb.md:42:19: pass: unknown name usul; did you mean usual?"},
		{"an unknown signal in a condition", "now.schema_fail", "now.schema_fial", "rb.md:60:13: when: unknown signal schema_fial; did you mean schema_fail?"},
		{"an unknown snapshot in a condition", "snapshot.before", "snapshot.bfore", "rb.md:60:36: when: no snapshot bfore comes before this step; did you mean before?"},
		{"a signal that was not recorded", "snapshot.before.schema_fail", "snapshot.before.eval_score", "rb.md:60:43: when: the snapshot before does not record eval_score; it records schema_fail"},
		{"value where there is none", "when: now.schema_fail", "when: value", "rb.md:60:9: when: there is no value here; use now.SIGNAL or snapshot.STEP.SIGNAL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := problemsOf(t, with(t, tc.from, tc.to)); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestWholeSectionsMustBeThere(t *testing.T) {
	cut := func(from, to string) string {
		i := strings.Index(small, from)
		j := len(small)
		if to != "" {
			j = strings.Index(small, to)
		}
		return small[:i] + small[j:]
	}
	for name, tc := range map[string]struct{ src, want string }{
		"no Abort":  {cut("## Abort", ""), "rb.md:1:1: there is no way back; add ## Abort with the steps that undo what was done, or one that says whom to call"},
		"no Steps":  {cut("## Steps", "## Verify"), "rb.md:1:1: there are no steps under ## Steps; say there what to do"},
		"no Verify": {cut("## Verify", "## Abort"), "rb.md:1:1: there are no success criteria; end ## Verify with an item whose settings are criteria: [...]"},
		"nothing":   {cut("## Preconditions", ""), "rb.md:1:1: there are no steps; add ## Steps with items such as - [ ] **name** What to do"},
		"empty":     {"", "rb.md:1:1: a runbook begins with front matter: a line ---, then schema: rollcall/v1, id: and title:, then a line ---"},
		"too large": {strings.Repeat("x", MaxSize+1), "rb.md:1:1: this file is larger than 1 MiB; it is no runbook"},
		"long line": {small + strings.Repeat("> ", 5000), "rb.md:64:4097: this line is longer than 4096 characters; break it"},
	} {
		if got := problemsOf(t, tc.src); got != tc.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tc.want)
		}
	}
}

func TestWhatWindowsWritesIsReadAsWell(t *testing.T) {
	dos := "\uFEFF" + strings.ReplaceAll(small, "\n", "\r\n")
	if got := problemsOf(t, dos); got != "" {
		t.Fatal(got)
	}
	bad := strings.Replace(dos, "check: schema_fail", "check: schema_fial", 1)
	if got, want := problemsOf(t, bad), `rb.md:41:10: unknown signal "schema_fial"; did you mean "schema_fail"?`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	a, _ := Parse("a.md", []byte(small))
	b, _ := Parse("b.md", []byte(dos))
	if a.Step("apply").Script != b.Step("apply").Script {
		t.Errorf("%q and %q", a.Step("apply").Script, b.Step("apply").Script)
	}
	if a.Hash == b.Hash {
		t.Error("other bytes have the same hash")
	}
}

func TestProseAnywhereElseIsFine(t *testing.T) {
	src := strings.Replace(small, "When it is needed.", "When it is needed.\n\n- a list\n- of things\n\n```sh\nls\n```\n\n> quoted\n\n| a | b |\n|---|---|\n", 1)
	src = strings.Replace(src, "## Verify\n", "## Verify\n\nLook at the **dashboards** too, with `curl`.\n\n", 1)
	src += "\n## Notes\n\n1. one\n2. two\n\n```\nanything\n```\n"
	if got := problemsOf(t, src); got != "" {
		t.Error(got)
	}
}

func TestAStepMayBeWrittenInAnyOfMarkdownsWays(t *testing.T) {
	src := strings.Replace(small, "- [ ] **sure** You are sure\n", "* [ ] **sure** You are\n  quite sure\n\n", 1)
	src = strings.Replace(src, "- [ ] **undo**", "1. [ ] __undo__", 1)
	src = strings.ReplaceAll(src, "## Abort", "Abort\n-----")
	i := strings.Index(src, "Abort\n---")
	src = src[:i] + strings.ReplaceAll(src[i:], "\n  ", "\n   ")
	if got := problemsOf(t, src); got != "" {
		t.Fatal(got)
	}
	rb, _ := Parse("rb.md", []byte(src))
	if s := rb.Step("sure").Sentence; s != "You are quite sure" {
		t.Errorf("%q", s)
	}
	if rb.Step("undo").Script != "rollcall pin set prompt \"$BAD\" --if-current \"$GOOD\"\n" {
		t.Errorf("%q", rb.Step("undo").Script)
	}
}

func TestTheOtherKindsOfSteps(t *testing.T) {
	item := func(name, yaml string) string {
		return "- [ ] **" + name + "** Something\n  ```yaml\n  " + yaml + "\n  ```\n"
	}
	src := strings.Replace(small, "## Verify\n",
		item("pause", "wait: 1d12h")+item("second", "approve: {}")+item("say", "note: 'Which tenant?'")+
			item("proof", "capture: {bad: true, version: {prompt: $BAD}, limit: 5}")+item("suite", "evals: {}")+"\n## Verify\n", 1)
	src = strings.Replace(src, "max_duration: 30m\n", "", 1)
	if got := problemsOf(t, src); got != "" {
		t.Fatal(got)
	}
	rb, _ := Parse("rb.md", []byte(src))
	if s := rb.Step("pause"); s.Kind != Wait || s.Wait != 36*time.Hour || s.OnFail != "" {
		t.Errorf("%+v", s)
	}
	if s := rb.Step("second"); s.Kind != Approve || s.OnFail != AbortRun {
		t.Errorf("%+v", s)
	}
	if s := rb.Step("say"); s.Kind != Note || s.Ask != "Which tenant?" {
		t.Errorf("%+v", s)
	}
	if s := rb.Step("proof"); s.Kind != Capture || !s.Capture.Bad || s.Capture.Limit != 5 || s.Capture.Version["prompt"] != "$BAD" {
		t.Errorf("%+v", s)
	}
	if s := rb.Step("suite"); s.Kind != Evals || s.Timeout != 10*time.Minute {
		t.Errorf("%+v", s)
	}
	bad := strings.Replace(src, "{prompt: $BAD}", "{prompt: $BED}", 1)
	if got := problemsOf(t, bad); !strings.Contains(got, "$BED is not defined; did you mean $BAD?") {
		t.Error(got)
	}
}

func TestTheShippedRunbooksLintClean(t *testing.T) {
	list := Load(nil, known(t))
	if len(list) < 3 {
		t.Fatalf("%d runbooks", len(list))
	}
	for _, l := range list {
		if len(l.Problems) > 0 {
			t.Error(said(l.Problems))
			continue
		}
		if l.File != "library/"+l.Runbook.ID+".md" {
			t.Errorf("%s has the id %s", l.File, l.Runbook.ID)
		}
		// The drill's whole service runs ten times as fast; people read the same text.
		if c := l.Runbook.Component; strings.HasPrefix(l.Runbook.ID, "rollback-") && l.Runbook.ID != "rollback-"+string(c) {
			t.Errorf("%s moves the %s: the verdict line suggests rollback-COMPONENT", l.Runbook.ID, c)
		}
	}
}

// The documentation's complete example must be taken as it stands.
func TestTheExampleInTheDocumentationLintsClean(t *testing.T) {
	doc, err := os.ReadFile("../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)````markdown\n(.*?)````").FindAllSubmatch(doc, -1)
	if len(blocks) == 0 {
		t.Fatal("docs/runbooks.md shows no runbook")
	}
	for _, b := range blocks {
		if got := problemsOf(t, string(b[1])); got != "" {
			t.Error(got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	for _, l := range Load(nil, Known{}) {
		f.Add(l.Runbook.Source)
	}
	f.Add([]byte("---\na: [[[[{{{\n---\n- [ ] **a**\n\n  ```yaml\n\tx: |\n"))
	f.Add([]byte("---\n---\n## Steps\n>- - - 1. [ ] **a** b\n> ```sh\n```\n"))
	k := known(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		rb, list := Parse("f.md", src)
		if (rb == nil) != (len(list) > 0) {
			t.Fatalf("runbook %v with %d problems", rb != nil, len(list))
		}
		if rb != nil {
			list = Lint(rb, k)
		}
		lines := strings.Split(strings.ReplaceAll(strings.TrimPrefix(string(src), "\uFEFF"), "\r\n", "\n"), "\n")
		for _, p := range list {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 {
				t.Fatalf("%d:%d is outside of the file: %s", p.Line, p.Column, p.Message)
			}
			if p.Message == "" || strings.ContainsFunc(p.Message, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("message %q", p.Message)
			}
		}
	})
}
