package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks"
)

// aRunbook is one that lints clean, with the given ID.
func aRunbook(t *testing.T, id string) string {
	t.Helper()
	for _, l := range runbooks.Load(nil, runbooks.Known{}) {
		if l.Runbook != nil && l.Runbook.ID == "rollback-prompt" {
			return strings.Replace(string(l.Runbook.Source), "id: rollback-prompt", "id: "+id, 1)
		}
	}
	t.Fatal("rollback-prompt is not shipped")
	return ""
}

func TestRunbooksAreListedWithoutConfigurationOrSources(t *testing.T) {
	b := newBench(t, "")
	b.expect(t, ExitOK, "runbook", "list")
	for _, want := range []string{"rollback-prompt", "rollback-model", "rollback-index", "Roll back the prompt", "library/rollback-index.md"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("no %q in\n%s", want, b.out.String())
		}
	}
}

func TestRunbooksOfTheUserAreFoundBesideTheConfigurationAndInItsFolders(t *testing.T) {
	b := newBench(t, oneService+"runbooks: {dirs: [more]}\n")
	path, _ := b.Env("ROLLCALL_CONFIG")
	dir := filepath.Dir(path)
	for name, id := range map[string]string{"runbooks/a.md": "beside", "more/b.md": "further"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(aRunbook(t, id)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "more", "c.md"), []byte("---\nschema: rollcall/v1\nidd: c\n---\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Rehearsals = func(context.Context, *config.File) (map[string]runbooks.Rehearsal, error) {
		return map[string]runbooks.Rehearsal{"beside": {At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}}, nil
	}
	b.expect(t, ExitOK, "runbook", "list", "-o", "json")
	var list []runbookJSON
	if err := json.Unmarshal(b.out.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	byID := map[string]runbookJSON{}
	for _, l := range list {
		byID[l.ID] = l
	}
	if l := byID["beside"]; l.File != filepath.Join(dir, "runbooks", "a.md") || l.Rehearsed == nil || l.Component != "prompt" || l.Steps != 11 {
		t.Errorf("%+v", l)
	}
	if l := byID["further"]; l.File != filepath.Join(dir, "more", "b.md") || len(l.Problems) != 1 || !l.Problems[0].Notice {
		t.Errorf("%+v", l)
	}
	if l := byID[""]; len(l.Problems) == 0 || l.Problems[0].Line == 0 {
		t.Errorf("the broken one: %+v", l)
	}
}

func TestLintNamesPlacesAndTellsByItsExitCode(t *testing.T) {
	b := newBench(t, "")
	dir := t.TempDir()
	good := filepath.Join(dir, "good.md")
	bad := filepath.Join(dir, "bad.md")
	if err := os.WriteFile(good, []byte(aRunbook(t, "good")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, []byte(strings.Replace(aRunbook(t, "bad"), "check: schema_fail", "check: schema_fial", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.expect(t, ExitOK, "runbook", "lint")
	b.expect(t, ExitOK, "runbook", "lint", good)
	if got := b.out.String(); got != "1 runbook checked: 0 errors, 0 notices\n" {
		t.Errorf("%q", got)
	}
	b.expect(t, ExitBad, "runbook", "lint", dir)
	if got := b.out.String(); !strings.HasPrefix(got, bad+":") || !strings.Contains(got, `: unknown signal "schema_fial"; did you mean "schema_fail"?`) || !strings.Contains(got, "2 runbooks checked: 1 error, 0 notices") {
		t.Errorf("%q", got)
	}
	b.expect(t, ExitBad, "runbook", "lint", "-o", "json", bad)
	var out lintJSON
	if err := json.Unmarshal(b.out.Bytes(), &out); err != nil || out.Checked != 1 || len(out.Problems) != 1 || out.Problems[0].Line < 2 {
		t.Errorf("%v %+v", err, out)
	}
	b.expect(t, ExitUsage, "runbook", "lint", filepath.Join(dir, "none.md"))
	b.expect(t, ExitUsage, "runbook", "lint", t.TempDir())
}

func TestLintUsesTheServicesOwnWindow(t *testing.T) {
	b := newBench(t, "prometheus: {url: http://127.0.0.1:9090}\nservices: {a: {scope: 'job=\"a\"', window: 10m}}\n")
	b.expect(t, ExitBad, "runbook", "lint")
	if !strings.Contains(b.out.String(), "initial_delay 5m is shorter than the 10m") {
		t.Error(b.out.String())
	}
}

func TestShowPrintsTheMarkdownOrWhatIsUnderstood(t *testing.T) {
	b := newBench(t, "")
	b.expect(t, ExitOK, "runbook", "show", "rollback-prompt")
	if want := aRunbook(t, "rollback-prompt"); b.out.String() != want {
		t.Errorf("%q", b.out.String())
	}
	b.expect(t, ExitOK, "runbook", "show", "rollback-prompt", "-o", "json")
	var l runbooks.Listing
	if err := json.Unmarshal(b.out.Bytes(), &l); err != nil || l.Runbook.Step("apply") == nil {
		t.Errorf("%v %s", err, b.out.String())
	}
	b.expect(t, ExitUsage, "runbook", "show", "rollback-promt")
	if !strings.Contains(b.err.String(), "did you mean rollback-prompt?") {
		t.Error(b.err.String())
	}
	b.expect(t, ExitUsage, "runbook", "show")
}

func (b *bench) expect(t *testing.T, code int, args ...string) {
	t.Helper()
	b.out.Reset()
	b.err.Reset()
	if got := b.run(args...); got != code {
		t.Fatalf("%v ended with %d, not %d: %s%s", args, got, code, b.err.String(), b.out.String())
	}
}
