package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/cmd/rollcall/app"
	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/cases"
	"rollcall/store/journal"
)

// capture puts a request into the incident as a console would.
func capture(t *testing.T, b *bench, id, answer string, change func(*sources.Request)) {
	t.Helper()
	path, _ := b.Env("ROLLCALL_CONFIG")
	cfg, err := config.Load(path, b.Env)
	if err != nil {
		t.Fatal(err)
	}
	j, err := app.OpenJournal(t.Context(), cfg, app.JournalOptions{Origin: "console"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	row := sources.Request{ID: id, Service: "support-assistant", Prompt: "v14", Outcome: "ok"}
	change(&row)
	var parts [2][]byte
	for i, v := range []any{sources.RequestView{Request: row}, []sources.Content{
		{Kind: "prompt", Role: "user", Text: "Where is it? Ask a.person@example.org", From: "gen_ai.input.messages"}, {Kind: "response", Role: "assistant", Text: answer, From: "gen_ai.output.messages"},
	}} {
		if parts[i], err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Append(t.Context(), journal.Draft{
		Kind: journal.Captured, Service: "support-assistant", Incident: "INC-1", Data: journal.CapturedData{Request: id},
		Artifacts: []journal.Artifact{{Name: cases.RowFile, Body: parts[0]}, {Name: cases.ContentFile, Body: parts[1]}},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCapturedRequestsBecomeCasesAndTheIncidentClosesWithoutAReason(t *testing.T) {
	b := casebench(t)
	dir := filepath.Join(t.TempDir(), "cases")
	b.does(t, ExitOK, "incident", "open", "--category", "correctness", "--severity", "SEV2", "--title", "no JSON")
	has(t, b.does(t, ExitBad, "cases"), "no case could be made of INC-1: no request was captured; press c on one that failed")
	capture(t, b, "req-1", `Hello! {"a":1}`, func(r *sources.Request) { r.Schema, r.SchemaError = "fail", "prose before the JSON object" })
	capture(t, b, "req-2", "Five days.", func(r *sources.Request) { r.Feedback = "down" })
	text := b.does(t, ExitOK, "cases", "-d", dir)
	has(
		t, text, "INC-1  1 regression case in "+dir+" (promptfoo)", "it failed its schema: prose before the JSON object",
		"the answer is JSON and nothing else (derived); red: the bad answer fails, it is no JSON", "Recorded as #",
		"rollcall: no case of req-2 (#5): what a right answer has does not follow from why it was bad (the user's thumb was down); say it: --expect 'req-2=TEXT'",
	)
	has(t, b.does(t, ExitBad, "cases", "-d", dir), "is there already; add --force")
	has(t, b.does(t, ExitOK, "cases", "INC-1", "-d", dir, "--force", "-f", "inspect,openai", "--expect", "req-2=10 days"), "2 regression cases", `the answer contains "10 days" (your word); red`)
	if _, err := os.Stat(filepath.Join(dir, "promptfoo")); !os.IsNotExist(err) {
		t.Error("the files of the other format are still there")
	}
	b.does(t, ExitOK, "cases", "-d", dir, "--force", "-f", "all", "--request", "req-2", "--expect", "10 days", "-o", "json")
	var out casesJSON
	if err := json.Unmarshal(b.out.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if out.Dir != dir || len(out.Formats) != 3 || len(out.Cases) != 1 || out.Cases[0].Request != "req-2" || !out.Cases[0].Expect[0].Red || out.Entry == 0 || len(out.Losses) == 0 || len(out.Files) != 11 {
		t.Errorf("%+v", out)
	}
	for _, f := range out.Files {
		body, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "example.org") {
			t.Errorf("%s has the address", f)
		}
	}
	has(t, b.does(t, ExitOK, "incident", "show"), "cases     2", "exported the cases (promptfoo)", "exported the cases (inspect,openai)")
	has(t, b.does(t, ExitOK, "review"), "2 regression cases")
	has(t, b.does(t, ExitOK, "incident", "close"), "state     closed", "cases     2")
	b.does(t, ExitBad, "cases", "--request", "req-2", "-d", filepath.Join(dir, "x"), "-o", "json")
	if err := json.Unmarshal(b.out.Bytes(), &out); err != nil || len(out.Cases) != 0 || out.LeftOut[0].Request != "req-2" || out.Entry != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestWhatIsWrongAboutCasesIsSaidInOneLine(t *testing.T) {
	b := casebench(t)
	b.does(t, ExitOK, "incident", "open", "--category", "correctness", "--severity", "SEV2", "--title", "no JSON")
	capture(t, b, "req-1", "x", func(r *sources.Request) { r.Schema = "fail" })
	schema := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(schema, []byte(`{"oneOf":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		code int
		args []string
		says string
	}{
		{ExitUsage, []string{"-f", "yaml"}, "-f yaml is not known; it can be promptfoo, openai, inspect, or all"},
		{ExitUsage, []string{"x"}, `"x" is no incident`},
		{ExitUsage, []string{"--expect", ""}, "says nothing"},
		{ExitUsage, []string{"--request", "req-9"}, `has captured no request "req-9"; captured are req-1`},
		{ExitUsage, []string{"--schema", "/no/such"}, "cannot be read: no such file or directory"},
		{ExitUsage, []string{"--schema", schema}, `has a keyword that cannot be proven here (unknown field "oneOf")`},
		{ExitUsage, []string{"--max-latency", "-1s"}, "limits above zero"},
		{ExitBad, []string{"INC-9"}, "INC-9"},
		{ExitBad, []string{"-d", "/proc/x/y"}, "cannot be written"},
	} {
		text := b.does(t, tc.code, append([]string{"cases"}, tc.args...)...)
		has(t, text, tc.says)
		if strings.Count(strings.TrimSpace(text), "\n") > 0 {
			t.Errorf("%v: more than a line: %s", tc.args, text)
		}
	}
}
