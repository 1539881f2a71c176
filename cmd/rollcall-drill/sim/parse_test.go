package sim_test

import (
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

func TestMistakesInAScenarioAreNamedWithTheirPlace(t *testing.T) {
	const head = "name: x\ndescription: y\n"
	for _, c := range []struct{ what, yaml, want string }{
		{"an unknown key", head + "efects: []\n", `bad.yaml:3:1: scenario: unknown key "efects"; known are budgets, changes,`},
		{"an unknown key of an effect", head + "effects:\n  - att: 3s\n", `bad.yaml:4:5: effects: unknown key "att"`},
		{"a misspelt parameter", head + "effects:\n  - multiply: {schema_fial: 2}\n", `bad.yaml:4:16: multiply: unknown parameter "schema_fial"; did you mean schema_fail?`},
		{"an unknown parameter", head + "effects:\n  - set: {weather: 2}\n", `bad.yaml:4:11: set: unknown parameter "weather"`},
		{"text for a number", head + "effects:\n  - multiply: {ttft: slow}\n", `bad.yaml:4:22: multiply: ttft: "slow" is not a number`},
		{"a negative number", head + "effects:\n  - multiply: {ttft: -1}\n", `bad.yaml:4:22:`},
		{"a probability over one", head + "effects:\n  - set: {timeout: 1.5}\n", `bad.yaml:4:20: set: timeout is a probability; 1.5 is over 1`},
		{"a bad duration", head + "changes:\n  - at: soon\n", `bad.yaml:4:9: changes: at: "soon" is not a duration; write it like 90s`},
		{"an end before its beginning", head + "effects:\n  - at: 90s\n    until: 30s\n", `effects: until 30s is not after at 1m30s`},
		{"a change of nothing", head + "changes:\n  - at: 90s\n", `changes: set is missing`},
		{"an unknown component", head + "changes:\n  - set: {promt: v14}\n", `bad.yaml:4:11: changes: set: unknown key "promt"; known are index, model, policy, prompt, tools`},
		{"an unknown version", head + "changes:\n  - at: 1s\n    set: {prompt: v99}\n", `prompt "v99" is not a known version; known are v12, v13, v14`},
		{"an unknown tenant", head + "effects:\n  - when: {tenant: acmee}\n", `bad.yaml:4:20: when: tenant: unknown "acmee"; known are acme,`},
		{"an unknown feature", head + "features: {rerankk: false}\n", `features: unknown feature "rerankk"`},
		{"a budget that nothing adds up to", head + "left: {request: 3}\n", `left: unknown scope "request"; known are day, period, hour`},
		{"half of what is served", head + "served:\n  - at: 90s\n    serves: m\n", `served: serves and fingerprint say`},
		{"half of a solution", head + "solution:\n  cause: c\n", `bad.yaml:4:8: solution: cause, cure, category and by belong together`},
		{"a way that says nothing", head + "solution:\n  by:\n    - {}\n", `solution: by: it says nothing`},
		{"an unknown category", head + "solution: {category: [bias]}\n", `bad.yaml:3:23: solution: category: unknown "bias"; known are safety,`},
		{"a way with an unknown version", head + "solution: {cause: c, cure: d, category: [cost], by: [{pins: {prompt: v99}}]}\n", `solution: by: prompt "v99" is not a known version`},
		{"an effect that comes back and never lasts", head + "effects:\n  - every: 2m\n", `effects: every and lasts go together`},
		{"queueing that is neither on nor off", head + "queueing: maybe\n", `bad.yaml:3:11: queueing: unknown "maybe"; known are on, off`},
		{"a key twice", head + "name: z\n", `bad.yaml:3:1:`},
		{"a list where a mapping belongs", head + "effects:\n  - when: [a]\n", `bad.yaml:4:11: when must be a mapping`},
		{"a mapping where a list belongs", head + "effects: {at: 3s}\n", `effects must be a list`},
		{"broken YAML", head + "effects: [\n", `bad.yaml:`},
		{"tabs", head + "effects:\n\t- at: 3s\n", `bad.yaml:4:1`},
		{"no name", "description: y\n", `bad.yaml:1:1: a scenario needs a name and a description`},
		{"nothing", "", `bad.yaml:1:1: a scenario needs a name and a description`},
		{"a scalar", "hello\n", `bad.yaml:1:1: scenario must be a mapping`},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := sim.Parse("bad.yaml", []byte(c.yaml))
			switch {
			case err == nil:
				t.Fatal("it was accepted")
			case !strings.Contains(err.Error(), c.want):
				t.Errorf("the error is\n%s\nwant\n%s", err, c.want)
			case strings.Contains(err.Error(), "\n"):
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
}

func TestAScenarioCanBringItsOwnVersions(t *testing.T) {
	s, err := sim.Parse("mine.yaml", []byte(`
name: mine
description: d
versions:
  prompt:
    v15: {note: n, since: 20d, schema_error: unexpected end of JSON, multiply: {schema_fail: 40}}
    v14: {note: replaced}
changes:
  - {at: 1m, set: {prompt: v15}}
`))
	if err != nil {
		t.Fatal(err)
	}
	c := sim.NewControl(s, start, func() time.Time { return start })
	list, err := c.Versions("prompt")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]sim.VersionState{}
	for _, v := range list {
		got[v.Version] = v
	}
	if len(list) != 4 || got["v14"].Note != "replaced" || !got["v15"].Since.Equal(start.AddDate(0, 0, -20)) {
		t.Errorf("versions are %+v", list)
	}
}

func TestBuiltInScenariosAreSoundAndSortedByName(t *testing.T) {
	all, err := scenarios.All()
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, s := range all {
		if s.Name <= last || strings.ContainsAny(s.Description, "\t\n") || s.Story == "" {
			t.Errorf("scenario %q: out of order, without a story, or its description has more than one line", s.Name)
		}
		last = s.Name
	}
	if _, err := scenarios.Named("promt-regression"); err == nil || !strings.Contains(err.Error(), "prompt-regression") {
		t.Errorf("a misspelt name gave %v, want the list of names", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("name: x\ndescription: y\neffects:\n  - {at: 1s, when: {tenant: acme}, multiply: {ttft: 2}}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("name: !!binary x\n? [x]\n: y\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = sim.Parse("fuzz.yaml", text) // must not panic
	})
}
