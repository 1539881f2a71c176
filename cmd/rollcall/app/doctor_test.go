package app

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/journal"
)

// finding returns what the doctor says about a check.
func finding(t *testing.T, list []Finding, area, check string) Finding {
	t.Helper()
	for _, f := range list {
		if f.Area == area && f.Check == check {
			return f
		}
	}
	t.Fatalf("nothing is said about %s/%s: %+v", area, check, list)
	return Finding{}
}

func (f Finding) is(t *testing.T, v sources.Verdict, says ...string) {
	t.Helper()
	if f.Verdict != v {
		t.Errorf("%s/%s is %s, want %s: %s", f.Area, f.Check, f.Verdict, v, f.Detail)
	}
	for _, s := range says {
		if !strings.Contains(f.Detail+" | "+f.Remedy, s) {
			t.Errorf("%s/%s does not say %q: %s | %s", f.Area, f.Check, s, f.Detail, f.Remedy)
		}
	}
	if v != sources.OK && f.Remedy == "" {
		t.Errorf("%s/%s is %s and does not say what to do", f.Area, f.Check, v)
	}
}

func note(t *testing.T, a *App, text string) {
	t.Helper()
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), journal.Draft{Kind: journal.Noted, Text: text}); err != nil {
		t.Fatal(err)
	}
}

func TestTheDoctorReadsTheJournal(t *testing.T) {
	cfg := servers(t, emptyProm, nil)
	a := open(t, cfg, Options{Once: true})
	finding(t, a.checkJournal(t.Context(), "assistant"), "journal", "file").is(t, sources.OK, "none yet")
	note(t, a, "first")
	note(t, a, "second")
	list := a.checkJournal(t.Context(), "assistant")
	finding(t, list, "journal", "writable").is(t, sources.OK)
	finding(t, list, "journal", "hashes").is(t, sources.OK, "all 2 entries")
	finding(t, list, "journal", "permissions").is(t, sources.OK, "its owner only")

	path := filepath.Join(cfg.State, journalFile)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	finding(t, privacy(path), "journal", "permissions").is(t, sources.Bad, "open to everybody", "chmod o-rwx")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cfg.State, 0o2770|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	finding(t, privacy(path), "journal", "permissions").is(t, sources.Watch, "others of the group cannot record", "chmod g+rw")

	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE entries SET bytes='{"kind":"note"}' WHERE seq=1`); err != nil {
		t.Fatal(err)
	}
	finding(t, a.checkJournal(t.Context(), "assistant"), "journal", "hashes").is(t, sources.Bad, "entry 1", "journal verify")
}

func TestTheDoctorReadsPinsOfBothTargets(t *testing.T) {
	cfg := servers(t, emptyProm, nil)
	dir := t.TempDir()
	pins := filepath.Join(dir, "pins.yaml")
	if err := os.WriteFile(pins, []byte("prompt: v13\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := config.Parse(filepath.Join(dir, "rollcall.yaml"), []byte(`
state: `+cfg.State+`
prometheus: {url: "`+cfg.Prometheus.URL+`"}
services:
  assistant:
    components:
      prompt: {driver: file, path: pins.yaml, key: prompt}
      model: {driver: http, url: "http://127.0.0.1:1/model", timeout: 1s}
      index: {driver: file, path: pins.yaml, key: nowhere}
    rehearsal:
      components: {prompt: {driver: exec, get: [echo, v12], set: [echo, $VERSION, $CURRENT]}}
`), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, text, Options{Once: true})
	list := a.checkPins(t.Context(), "assistant")
	finding(t, list, "pins", "prompt").is(t, sources.OK, "v13")
	finding(t, list, "pins", "model").is(t, sources.Unreachable)
	if f := finding(t, list, "pins", "index"); f.Verdict == sources.OK {
		t.Errorf("a pin without a value is fine: %+v", f)
	}
	finding(t, list, "pins", "rehearsal prompt").is(t, sources.OK, "v12")

	a = open(t, cfg, Options{Once: true})
	finding(t, a.checkPins(t.Context(), "assistant"), "pins", "configured").is(t, sources.NotExposed, "docs/pins.md")
}

func TestTheDoctorLintsRunbooksAndNamesThePlace(t *testing.T) {
	cfg := servers(t, emptyProm, nil)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.md"), []byte("# no front matter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Runbooks.Dirs = []string{dir}
	a := open(t, cfg, Options{Once: true})
	list := a.checkRunbooks(t.Context(), "assistant")
	finding(t, list, "runbooks", "list").is(t, sources.OK, "can be run")
	finding(t, list, "runbooks", "lint").is(t, sources.Bad, "mine.md:1:1", "runbook lint")
	finding(t, list, "runbooks", "rehearsals").is(t, sources.Watch, "rehearse")
}

func TestTheDoctorWarnsWhereLoggingOutEndsCommands(t *testing.T) {
	finding(t, lingering("KillUserProcesses=yes\n"), "login", "processes").is(t, sources.Watch, "systemd-run --user --scope")
	finding(t, lingering("KillUserProcesses=no\n"), "login", "processes").is(t, sources.OK)
	if got := lingering("Failed to connect to bus"); got != nil {
		t.Errorf("nonsense is taken for %+v", got)
	}
	bin := t.TempDir()
	script := "#!/bin/sh\nsleep 60\n"
	if err := os.WriteFile(filepath.Join(bin, "loginctl"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	if got := new(App).checkLogin(t.Context(), ""); got != nil {
		t.Errorf("a login manager that does not answer is taken for %+v", got)
	}
}

func TestTheDoctorSaysWhoElseMayChangeTheConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rollcall.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &App{cfg: &config.File{Path: path}}
	if got := a.checkConfig(t.Context(), ""); got != nil {
		t.Errorf("a private file is %+v", got)
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // what is looked for
		t.Fatal(err)
	}
	finding(t, a.checkConfig(t.Context(), ""), "config", "permissions").is(t, sources.Bad, "anybody", "chmod o-w")
}

func TestTheDoctorCountsLinesAndTheShareWithAnID(t *testing.T) {
	for name, tc := range map[string]struct {
		lines   []string
		verdict sources.Verdict
		says    string
	}{
		"all":  {[]string{`{"request_id":"req_1"}`, `{"request_id":"req_2"}`}, sources.OK, "in 2 of the newest 2 lines, as request_id"},
		"few":  {[]string{`{"request_id":"req_1"}`, `{"msg":"a"}`, `{"msg":"b"}`}, sources.Watch, "only 1 of the newest 3 lines"},
		"none": {[]string{`{"msg":"a"}`}, sources.Watch, "none of the newest 1 line"},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, servers(t, emptyProm, lokiLines(tc.lines...)), Options{Once: true})
			list := a.checkLoki(t.Context(), "assistant")
			finding(t, list, "loki", "request ID").is(t, tc.verdict, tc.says)
			finding(t, list, "loki", "selector").is(t, sources.OK, `{job="assistant"} matches`)
		})
	}
}

func TestTheDoctorSaysWhySignalsAreNotThere(t *testing.T) {
	a := open(t, servers(t, emptyProm, nil), Options{Once: true})
	list := a.checkSignals(t.Context(), "assistant")
	finding(t, list, "signals", "not exposed").is(t, sources.NotExposed, "refusal (no llmops_refusals_total)", "docs/llmops-contract.md")

	down := open(t, servers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, nil), Options{Once: true})
	dark := 0
	for _, f := range down.checkSignals(t.Context(), "assistant") {
		if f.Verdict == sources.Unreachable {
			dark++
			f.is(t, sources.Unreachable, "502")
		}
	}
	if dark == 0 || dark > 3 {
		t.Errorf("one source that is down makes %d findings", dark)
	}
}

func TestTheJournalIsReadOnlyAsFarAsTimeAllows(t *testing.T) {
	a := open(t, servers(t, emptyProm, nil), Options{Once: true})
	note(t, a, "first")
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	verified(t.Context(), j, "rollcall.yaml").is(t, sources.OK, "all 1 entries")
	if verifyTime > checkTime-time.Second {
		t.Error("reading the journal takes all the time that a check has")
	}
}
