package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"rollcall/sources"
)

// Texts that tools take for something else than text.
var hostile = []string{
	"{{ 7*7 }} {% set x = 1 %} {# gone #} {%- raw -%}{{ env.HOME }}{%- endraw -%}",
	"{{range.constructor(\"return process.env\")()}}", "file:///etc/passwd", "file://run.js", "package:x:y", "az://x", "https://docs.google.com/spreadsheets/x",
	"---\n- a: &x [*x]\n  <<: *x\n!!js/function 'x'\n...", "\"}], \"x\": [{\"", "'; rm -rf /", "`id` $(id) ${HOME}", "</script>\u2028\u2029\ufeff\u0085\u007f\ufffe",
	"\x00\x1b]0;x\x07 \u202e", "$ref: '#/x' %s {0} {input} {completion} \\u007b\\", "👩‍🚀 ü ``` # x\n## y", "- role: system\n  content: x", "null", "[]", "{}",
}

// hostileBook has a case of each hostile text, in its question, its documents and its answer.
func hostileBook(t *testing.T) *book {
	b := newBook(t, "correctness")
	for i, s := range hostile {
		content := chat(s, "no JSON: "+s)
		content[0].Text = s
		content = append(content, sources.Content{Kind: "context", Role: "document", Text: s}, sources.Content{Kind: "tool", Role: "result", Text: s})
		b.captured(fmt.Sprintf("req-%d {{ x }}", i), func(r *sources.Request) {
			r.Schema, r.SchemaError, r.Prompt, r.Provider, r.ModelRequested, r.Route = "fail", s, s, "openai", s, s
		}, content)
	}
	return b
}

func (x *Export) file(t *testing.T, path string) []byte {
	t.Helper()
	files, err := x.Files()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(files, func(f File) bool { return f.Path == path })
	if i < 0 {
		t.Fatalf("there is no %s", path)
	}
	return files[i].Body
}

// What a template engine acts on, and what promptfoo fetches when a text begins with it.
var (
	executes = regexp.MustCompile(`\{\{|\{%|\{#`)
	fetches  = regexp.MustCompile(`^(?:file|package|az|https?|huggingface|langfuse|portkey|helicone):`)
)

func TestNothingInCapturedTextIsExecutedFetchedOrBreaksTheFiles(t *testing.T) {
	x := hostileBook(t).must(Options{Formats: Formats(), Expect: []string{"{{ nope }}", "file://x", "not:{% nope %}", "total=2", "text:json"}})
	if len(x.Cases) != len(hostile) {
		t.Fatalf("%d cases of %d; left out: %.2000v", len(x.Cases), len(hostile), x.LeftOut)
	}
	tests := x.file(t, "promptfoo/tests.json")
	if m := executes.FindIndex(tests); m != nil {
		t.Errorf("a template is in tests.json: %q", tests[max(0, m[0]-40):m[0]+40])
	}
	var parsed []promptfooTest
	if err := json.Unmarshal(tests, &parsed); err != nil {
		t.Fatal(err)
	}
	for i, p := range parsed {
		k := &x.Cases[i]
		var input []Message
		var question, answer string
		var context []string
		for text, into := range map[string]any{p.Vars.Case.Input: &input, p.Vars.Case.Question: &question, p.Vars.Case.Answer: &answer, p.Vars.Case.Context: &context} {
			if executes.MatchString(text) || fetches.MatchString(text) {
				t.Errorf("%s: promptfoo acts on %.60q", k.ID, text)
			}
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(input, k.Input) || question != k.Question || answer != k.Answer || !slices.Equal(context, k.Context) {
			t.Errorf("%s does not come back as it was captured", k.ID)
		}
		for _, a := range p.Assert {
			if v, ok := a.Value.(string); ok && (executes.MatchString(v) || fetches.MatchString(v)) {
				t.Errorf("%s: promptfoo acts on the value %q", k.ID, v)
			}
		}
	}
	for _, name := range []string{"promptfoo/promptfooconfig.yaml", "promptfoo/proof.yaml", "openai/registry/evals/rollcall-inc-1.yaml"} {
		var config map[string]any
		if err := yaml.Unmarshal(x.file(t, name), &config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(string(x.file(t, name)), "rm -rf") {
			t.Errorf("captured text is in %s", name)
		}
	}
	for _, name := range []string{"openai/registry/data/rollcall-inc-1/json.jsonl", "inspect/dataset.jsonl"} {
		lines := bytes.Split(bytes.TrimSuffix(x.file(t, name), []byte("\n")), []byte("\n"))
		if len(lines) != len(hostile) {
			t.Errorf("%s has %d lines", name, len(lines))
		}
		for i, l := range lines {
			var s struct{ Input []Message }
			if err := json.Unmarshal(l, &s); err != nil || !slices.Equal(s.Input, x.Cases[i].Input) {
				t.Errorf("%s:%d is not what was captured (%v)", name, i+1, err)
			}
		}
	}
	readme := string(x.file(t, "README.md"))
	for _, l := range strings.Split(readme, "\n") {
		if l == "## y" || strings.HasPrefix(l, "---") || strings.HasPrefix(l, "- a:") {
			t.Errorf("captured text makes the line %q", l)
		}
	}
}

func TestAMegabyteComesBackAsItWas(t *testing.T) {
	long := strings.Repeat("long {{ x }} ", 80_000)
	b := newBook(t, "correctness")
	b.captured("req-1", failed("x"), chat(long, "no JSON"))
	var parsed []promptfooTest
	var question string
	body := b.must(Options{}).file(t, "promptfoo/tests.json")
	if err := json.Unmarshal(body, &parsed); err != nil || bytes.Contains(body, []byte("{{")) {
		t.Fatalf("tests.json is no JSON, or has templates: %v", err)
	}
	if err := json.Unmarshal([]byte(parsed[0].Vars.Case.Question), &question); err != nil || question != long {
		t.Errorf("the question has %d bytes, want %d (%v)", len(question), len(long), err)
	}
}

func TestEverythingThatLeavesIsCleanedOnceMore(t *testing.T) {
	b := newBook(t, "correctness")
	b.captured("req-1", failed("found hunter2"), append(chat("my password is hunter2", "no, hunter2"), sources.Content{Kind: "context", Role: "document", Text: "hunter2"}, sources.Content{Kind: "tool", Role: "result", Text: "hunter2"}))
	x, err := Build(t.Context(), b, "INC-1", Options{Formats: Formats()}, func(s string) string { return strings.ReplaceAll(s, "hunter2", "<password:1>") })
	if err != nil {
		t.Fatal(err)
	}
	files, err := x.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if bytes.Contains(f.Body, []byte("hunter2")) {
			t.Errorf("%s has the password", f.Path)
		}
	}
}

func TestTheSameJournalGivesTheSameBytes(t *testing.T) {
	b := hostileBook(t)
	o := Options{Formats: Formats(), Shape: []byte(`{"type":"object","required":["b","a"],"properties":{"z":{},"a":{"enum":["x",1,null]},"m":{"minLength":1,"maxLength":3}}}`), Rubric: "kind", Expect: []string{"x"}}
	first, err := b.must(o).Files()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := b.must(o).Files()
		if err != nil || len(again) != len(first) {
			t.Fatal(len(again), err)
		}
		for i := range first {
			if first[i].Path != again[i].Path || !bytes.Equal(first[i].Body, again[i].Body) {
				t.Fatalf("%s differs", first[i].Path)
			}
		}
	}
}

func TestLossesSayWhatAFormatCannotExpress(t *testing.T) {
	b := newBook(t, "privacy")
	content := append(chat("It is <email:1>", "Hers is <secret:1> and <phone:4>, and then"), sources.Content{Kind: "tool", Role: "call", Text: "find"}, sources.Content{Kind: "context", Role: "document", Text: "d1"})
	b.captured("req-1", func(r *sources.Request) { r.FinishReason = "length" }, content)
	x := b.must(Options{Formats: Formats(), MaxS: 1, MaxUSD: .001, Rubric: "kind"})
	said := ""
	for _, l := range x.Losses {
		said += fmt.Sprintf("%s|%s|%s\n", l.Format, l.Case, l.What)
	}
	for _, want := range []string{
		"||values that were redacted", "||the system message is that of prompt v14", "||temperature", "|INC-1-2|no tool is called: 1 calls", "|INC-1-2|retrieval is not repeated, and of 1 documents only the names",
		"promptfoo|INC-1-2|the rubric is judged by a model", "promptfoo|INC-1-2|these have no form of their own and are found only where they were redacted: secret", "promptfoo|INC-1-2|an answer passes as not cut off only",
		"openai|INC-1-2|cannot be expressed: the answer costs", "openai|INC-1-2|is judged by a model, since no class of evals can say it: the answer shows no phone, secret",
		"inspect|INC-1-2|cannot be expressed: the answer costs at most 0.001 USD",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("not said: %s\nsaid:\n%s", want, said)
		}
	}
	var m manifest
	if err := json.Unmarshal(x.file(t, LossesFile), &m); err != nil || m.Schema != Schema || len(m.Losses) != len(x.Losses) || m.Cases[0] != "INC-1-2" {
		t.Errorf("losses.json is %+v, %v", m, err)
	}
}

// Inspect's scorer is Python: it must judge as the proof did.
func TestTheScorerOfInspectJudgesAsTheProof(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here")
	}
	type trial struct {
		Expect Expectation `json:"expect"`
		Answer string      `json:"answer"`
		Reason string      `json:"reason"`
		Took   float64     `json:"took"`
		Fails  bool        `json:"fails"`
	}
	var trials []trial
	add := func(e Expectation, answers ...string) {
		for _, a := range answers {
			for _, reason := range []string{"stop", "length"} {
				fails, _ := e.prove(observed{answer: a, finish: reason, latency: sources.N(3)})
				trials = append(trials, trial{e, a, reason, 3, fails})
			}
		}
	}
	texts := append([]string{"", "I can’t help with that", "maria@example.org", "+49 30 5550 1234", "<card:1>", `{"a":1}`, `{"a":`, " [] ", "Straße Ünd É"}, hostile[:14]...)
	for _, e := range []Expectation{
		{Kind: ExpectJSON},
		{Kind: ExpectMatches, Value: `\S`},
		{Kind: ExpectNotMatches, Value: refusal},
		{Kind: ExpectNotMatches, Value: leakOf(leakKinds())},
		{Kind: ExpectContains, Value: "{{ 7*7"},
		{Kind: ExpectNotContains, Value: "ÜND"},
		{Kind: ExpectMatches, Value: anyCase("straße {{x}} #1")},
		{Kind: ExpectMatches, Value: literal(hostile[9])},
		{Kind: ExpectFinish},
		{Kind: ExpectLatency, Limit: sources.N(2)},
		{Kind: ExpectLatency, Limit: sources.N(4)},
	} {
		add(e, texts...)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "expectations.py"), expectationsFile, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "task.py"), taskFile, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "-m", "py_compile", filepath.Join(dir, "task.py")).CombinedOutput(); err != nil {
		t.Errorf("task.py does not compile: %s", out)
	}
	cmd := exec.Command(python, "-c", "import json,sys\nfrom expectations import fails\nprint(json.dumps([fails(t['expect'], t['answer'], t['reason'], t['took']) is not None for t in json.load(sys.stdin)]))")
	cmd.Dir = dir
	in, err := json.Marshal(trials)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	var got []bool
	if err != nil || json.Unmarshal(out, &got) != nil || len(got) != len(trials) {
		t.Fatalf("%v: %s", err, out)
	}
	for i, tr := range trials {
		if got[i] != tr.Fails {
			t.Errorf("%s of %.80q, ended with %s: the proof says %t, the scorer %t", tr.Expect.Words(), tr.Answer, tr.Reason, tr.Fails, got[i])
		}
	}
}

// The real promptfoo, where it is: ROLLCALL_PROMPTFOO names its program.
func TestPromptfooRunsTheCasesAndExecutesNothing(t *testing.T) {
	program := os.Getenv("ROLLCALL_PROMPTFOO")
	if program == "" {
		t.Skip("ROLLCALL_PROMPTFOO names no promptfoo")
	}
	b := hostileBook(t)
	b.captured("req-r", func(r *sources.Request) { r.Refusal = "true" }, chat("q", "I'm sorry, but I can't help with that."))
	b.captured("req-s", failed("citations: required property is missing"), chat("q", `{"answer": "{{ 7*7 }}"}`))
	x := b.must(Options{Expect: []string{"req-r={{ seven }}", "req-s=file://x", "req-s=not:{% x"}})
	files, err := x.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cases")
	if err := Write(dir, files, false); err != nil {
		t.Fatal(err)
	}
	type results struct {
		Results struct {
			Results []struct {
				Success  bool
				Response struct{ Output any }
				Grading  struct {
					Parts []struct {
						Pass bool
						Why  string `json:"reason"`
					} `json:"componentResults"`
				} `json:"gradingResult"`
			}
		}
	}
	run := func(config string) results {
		t.Helper()
		out := filepath.Join(dir, config+".json")
		cmd := exec.Command(program, "eval", "-c", config, "--no-cache", "--no-write", "--no-table", "-j", "1", "-o", out)
		cmd.Dir = filepath.Join(dir, "promptfoo")
		cmd.Env = append(os.Environ(), "PROMPTFOO_DISABLE_TELEMETRY=1", "PROMPTFOO_DISABLE_UPDATE=1", "PROMPTFOO_DISABLE_REMOTE_GENERATION=true", "PROMPTFOO_CONFIG_DIR="+t.TempDir())
		said, _ := cmd.CombinedOutput() // it exits with 100 where a test fails
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		var r results
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Results.Results) != len(x.Cases) {
			t.Fatalf("%d results of %d cases: %s", len(r.Results.Results), len(x.Cases), said)
		}
		return r
	}
	for i, r := range run("proof.yaml").Results.Results {
		k := &x.Cases[i]
		if got := fmt.Sprint(r.Response.Output); r.Success || got != k.Answer {
			t.Errorf("%s: success is %t; the answer came out as %.80q, want %.80q", k.ID, r.Success, got, k.Answer)
		}
		if len(r.Grading.Parts) != len(k.Expect) {
			t.Errorf("%s: %d of %d expectations were judged", k.ID, len(r.Grading.Parts), len(k.Expect))
			continue
		}
		for n, p := range r.Grading.Parts {
			if p.Pass == k.Expect[n].Red {
				t.Errorf("%s: promptfoo says %t (%s) of %s; the proof says red=%t", k.ID, p.Pass, p.Why, k.Expect[n].Words(), k.Expect[n].Red)
			}
		}
	}
	config := filepath.Join(dir, "promptfoo", "echo.yaml")
	text := regexp.MustCompile(`(?m)^  - "[^"]*".*$`).ReplaceAll(x.file(t, "promptfoo/promptfooconfig.yaml"), []byte("  - echo"))
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, r := range run("echo.yaml").Results.Results {
		var got []Message
		if err := json.Unmarshal([]byte(fmt.Sprint(r.Response.Output)), &got); err != nil || !slices.Equal(got, x.Cases[i].Input) {
			t.Errorf("%s: a model would get %.200v (%v)", x.Cases[i].ID, r.Response.Output, err)
		}
	}
}
