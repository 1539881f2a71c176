package runbooks

import (
	"errors"
	"math"
	"strings"
	"testing"

	"rollcall/sources"
)

func num(v float64) sources.Num { return sources.N(v) }

func TestConditions(t *testing.T) {
	env := Env{
		Value: num(0.02), Usual: num(0.012),
		Now: func(s string) sources.Num {
			if s == "schema_fail" {
				return num(0.09)
			}
			return sources.Num{}
		},
		Snapshot: map[string]map[string]sources.Num{"before": {"schema_fail": num(0.05), "eval_score": {}}},
		Vars:     map[string]string{"GOOD": "v13", "BAD": "v14"},
	}
	for _, tc := range []struct {
		src     string
		want    bool
		unknown string
	}{
		{src: "value <= usual * 1.3"},
		{src: "value > usual * 1.3", want: true},
		{src: "value <= max(usual * 1.3, 0.03)", want: true},
		{src: "abs(value - usual) < 0.01 and not (value < 0)", want: true},
		{src: "value / usual > 1.6", want: true},
		{src: "value == 0.02 ? true : false", want: true},
		{src: "now.schema_fail > snapshot.before.schema_fail", want: true},
		{src: `now["schema_fail"] > 0.08`, want: true},
		{src: `GOOD != BAD && GOOD in ["v12", "v13"]`, want: true},
		{src: `GOOD matches "^v[0-9]+$" && GOOD startsWith "v"`, want: true},
		{src: "value < 3", want: true},
		// What decides early spares what is unknown; what needs it never does.
		{src: "value > 0.01 || now.eval_score < 1", want: true},
		{src: "now.eval_score < 1 || value > 0.01", unknown: "now.eval_score is not known"},
		{src: "now.eval_score < 1", unknown: "now.eval_score is not known"},
		{src: "not (now.eval_score < 1)", unknown: "now.eval_score is not known"},
		{src: "now.eval_score != 1", unknown: "now.eval_score is not known"},
		{src: "max(now.eval_score, 1) > 0", unknown: "now.eval_score is not known"},
		{src: "snapshot.before.eval_score > 0", unknown: "snapshot.before.eval_score is not known"},
		{src: "snapshot.after.eval_score > 0", unknown: "snapshot.after.eval_score is not known"},
		{src: "value / (usual - usual) > 1", unknown: "the quotient is not known: it divides by zero"},
	} {
		got, err := Eval(tc.src, env)
		switch {
		case tc.unknown != "":
			if !errors.Is(err, ErrUnknownValue) || err.Error() != tc.unknown || got {
				t.Errorf("%s: %v, %v; want the error %q", tc.src, got, err, tc.unknown)
			}
		case err != nil || got != tc.want:
			t.Errorf("%s: %v, %v", tc.src, got, err)
		}
	}
}

func TestAnUnknownMeasurementIsNeitherTrueNorFalse(t *testing.T) {
	for name, env := range map[string]Env{
		"nothing":  {},
		"NaN":      {Value: sources.Num{V: math.NaN(), OK: true}},
		"infinity": {Value: sources.Num{V: math.Inf(1), OK: true}},
	} {
		for _, src := range []string{"value > 1", "value <= 1", "value != 1", "!(value == 1)"} {
			if _, err := Eval(src, env); !errors.Is(err, ErrUnknownValue) {
				t.Errorf("%s, %s: %v", name, src, err)
			}
		}
	}
}

func TestInReconcileValueIsText(t *testing.T) {
	vars := map[string]string{"GOOD": "v13", "BAD": "v14"}
	for _, tc := range []struct {
		src, text string
		want      bool
	}{
		{"value == GOOD", "v13", true},
		{"value == GOOD", "v14", false},
		{"value == GOOD", "", false},
		{`value == ""`, "", true},
		{`trim(lower(value)) == "v13"`, " V13 ", true},
	} {
		got, err := Eval(tc.src, Env{Text: tc.text, IsText: true, Vars: vars})
		if err != nil || got != tc.want {
			t.Errorf("%s with %q: %v, %v", tc.src, tc.text, got, err)
		}
	}
	if _, err := Eval("value != GOOD", Env{Vars: vars}); err == nil {
		t.Error("a measurement was compared with a version")
	}
	if _, err := Eval("usual > 1", Env{IsText: true}); err == nil {
		t.Error("usual was known in a reconcile")
	}
}

func TestConditionsCanDoNothingElse(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{"value", "it is a number; compare it with something"},
		{"", "it ends too early"},
		{"value <", "it ends too early"},
		{"value = 1", "write == to compare"},
		{"value > 1 value", ""},
		{"GOOD", "it is a text; compare it with something"},
		{"GOOD > 1", "invalid operation: > (these do not go together: string and number)"},
		{"count(1..1000000000, # > 1) > 3", ""},
		{"1..3 == 1", "the operator .. has no use in a condition"},
		{"value ** 3 > 1", "the operator ** has no use in a condition"},
		{"(GOOD ?? BAD) == GOOD", "the operator ?? has no use in a condition"},
		{"let x = 1; x > 0", ""},
		{"map([1], # + 1)[0] > 0", ""},
		{"repeat(GOOD, 100000000) == GOOD", ""},
		{"now() == 1", ""},
		{"{a: 1}.a > 0", ""},
		{"GOOD.length > 0", "only now and snapshot have parts; write now.SIGNAL or snapshot.STEP.SIGNAL"},
		{"GOOD[0:1] == GOOD", ""},
		{"now?.x > 1", ""},
		{"now > 1", "now needs a signal: now.schema_fail"},
		{"now[GOOD] > 1", ""},
		{"snapshot.before > 1", "snapshot.before needs a signal: snapshot.before.schema_fail"},
		{"snapshot > 1", "snapshot needs a step and a signal: snapshot.before.schema_fail"},
		{"$env.GOOD == GOOD", ""},
		{"nil == nil", ""},
		{"max(value) > 1", "max needs two numbers: max(usual * 1.3, 0.03)"},
		{"GOOD matches BAD", `matches needs a pattern in quotes: GOOD matches "^v[0-9]+$"`},
		{`GOOD matches "["`, ""},
		{strings.Repeat("(", 900) + "1" + strings.Repeat(")", 900) + " > 0", ""},
		{strings.Repeat("value + ", 120) + "1 > 0", ""},
		{strings.Repeat("!", 990) + "true", ""},
	} {
		c, err := Compile(tc.src, Scope{Value: NumberValue, Vars: []string{"GOOD", "BAD"}})
		switch {
		case err == nil:
			t.Errorf("%s compiles: %v", tc.src, c)
		case tc.want != "" && err.Error() != tc.want:
			t.Errorf("%s: %q\nwant %q", tc.src, err, tc.want)
		}
		t.Logf("%.40s: %v", tc.src, err)
	}
}

func TestAConditionSaysWhichSignalsItReads(t *testing.T) {
	c, err := Compile("now.b > 1 && now.a > snapshot.before.c || now.b < 3", Scope{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Signals, " "); got != "a b" {
		t.Errorf("%q", got)
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"value <= usual * 1.3", "now.a > snapshot.b.c", `GOOD in ["a"]`, "min(value, 1) / 0 > 2", "1 / value < 3 ? true : !false"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		env := Env{Value: num(1), Vars: map[string]string{"GOOD": "v1"}}
		c, err := Compile(src, Scope{Value: NumberValue, Vars: []string{"GOOD"}})
		if err != nil {
			var ce *ConditionError
			if !errors.As(err, &ce) || ce.Column < 1 || ce.Column > len([]rune(src))+1 {
				t.Fatalf("%#v", err)
			}
			return
		}
		if yes, err := c.Eval(env); err != nil && yes {
			t.Fatalf("%v with %v", yes, err)
		}
	})
}
