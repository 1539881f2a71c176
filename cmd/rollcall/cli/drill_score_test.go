package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

const account = `{"scenario":"index-drift","seed":7,"cause":"Index kb-43 finds less.","cure":"Put index kb-42 back.",
 "categories":["correctness"],"began":"2026-03-04T02:01:30Z","until":"2026-03-04T02:30:00Z","actions":[],
 "before":{"seconds":60,"requests":100,"bad":4,"usd":1},"during":{"seconds":600,"requests":1000,"bad":300,"users":80,"usd":12}}`

// finishedDrill is a state folder with a drill in it that was left, and one that never ran.
func finishedDrill(t *testing.T) (state, dir string) {
	t.Helper()
	state = t.TempDir()
	dir = filepath.Join(state, "drills", "20260304T020000Z-index-drift-7")
	for _, d := range []string{dir, filepath.Join(state, "drills", "20260305T020000Z-quiet-1")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, scorecard.OutcomeFile), []byte(account), 0o600); err != nil {
		t.Fatal(err)
	}
	return state, dir
}

func scoring(t *testing.T, state string) *bench {
	t.Helper()
	b := newBench(t, "")
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	env := b.Env
	b.Env = func(k string) (string, bool) {
		if k == "ROLLCALL_STATE" || k == "XDG_STATE_HOME" {
			return state, true
		}
		return env(k)
	}
	b.Journals = func(ctx context.Context, cfg *config.File, _ JournalOptions) (*journal.Journal, error) {
		return journal.Open(ctx, filepath.Join(cfg.State, "journal.db"), journal.Options{ReadOnly: true, Clock: clock})
	}
	return b
}

func TestADrillIsScoredFromItsFolder(t *testing.T) {
	_, dir := finishedDrill(t)
	b := scoring(t, t.TempDir())
	if code := b.run("drill", "score", dir); code != ExitOK || !strings.Contains(b.out.String(), "declared            no              no incident was opened") {
		t.Errorf("without a journal: exit code %d: %s%s", code, b.out.String(), b.err.String())
	}

	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), filepath.Join(dir, "journal.db"), journal.Options{Actor: "ana", Origin: "cli", Clock: clock, Redact: func(s string) string { return s }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.OpenIncident(t.Context(), journal.IncidentDraft{
		Service: "a", Title: "t", Category: journal.Cost, Severity: journal.SEV3,
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	b.out.Reset()
	if code := b.run("drill", "score", dir); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	for _, want := range []string{"Index kb-43 finds less.", "INC-1, SEV3, cost", "better: correctness", "it still goes on", "users affected      80"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.out.String())
		}
	}
	b.out.Reset()
	b.run("drill", "score", dir, "-o", "json")
	if got := firstObject(t, b.out.Bytes()); got["users_affected"] != 80.0 || got["cause"] == "" {
		t.Errorf("JSON is %s", b.out.String())
	}
}

func TestWithoutAFolderTheNewestDrillThatRanIsScored(t *testing.T) {
	state, _ := finishedDrill(t)
	found, err := newestDrill(state)
	if err != nil || !strings.HasSuffix(found, "index-drift-7") {
		t.Errorf("%q, %v", found, err)
	}
	if _, err := newestDrill(t.TempDir()); err == nil || !strings.Contains(err.Error(), "run: rollcall drill") {
		t.Errorf("in an empty state folder: %v", err)
	}
	b := scoring(t, state)
	if code := b.run("drill", "score", t.TempDir()); code != ExitUsage || !strings.Contains(b.err.String(), "no folder of a drill") {
		t.Errorf("a folder that is none: exit code %d: %s", code, b.err.String())
	}
}

func TestLeavingADrillShowsItsScore(t *testing.T) {
	_, dir := finishedDrill(t)
	b, f := withDrill(t)
	b.Journals = scoring(t, "").Journals
	f.drill.dir = dir
	if code := b.run("drill", "--headless", "--for", (10 * time.Millisecond).String()); code != ExitOK || !strings.Contains(b.err.String(), "Scorecard of index-drift, seed 7") {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	if strings.Contains(b.out.String(), "Scorecard") {
		t.Error("the card is among the one line that scripts read")
	}
}
