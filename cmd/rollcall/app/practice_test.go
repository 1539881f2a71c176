package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
	"rollcall/store/traces"
)

// oldDrill leaves in a folder what a drill leaves there.
func oldDrill(t *testing.T, base, name string, entries ...journal.Draft) {
	t.Helper()
	dir := filepath.Join(base, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(scorecard.Outcome{Scenario: "index-drift", Seed: 3, Start: time.Unix(1_700_000_000, 0), Until: time.Unix(1_700_003_600, 0), Began: time.Unix(1_700_000_600, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, scorecard.OutcomeFile), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		return
	}
	j, err := OpenJournal(t.Context(), &config.File{State: dir}, JournalOptions{Origin: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// summaries are those in the main journal, oldest first.
func summaries(t *testing.T, cfg *config.File) []scorecard.Summary {
	t.Helper()
	j, err := OpenJournal(t.Context(), cfg, JournalOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	entries, err := j.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.DrillEnded}})
	if err != nil {
		t.Fatal(err)
	}
	var out []scorecard.Summary
	for i := range entries {
		var s scorecard.Summary
		if err := json.Unmarshal(entries[i].Data, &s); err != nil {
			t.Fatal(err)
		}
		if !entries[i].At.Equal(s.Ended) {
			t.Errorf("the entry is of %s, the drill ended at %s", entries[i].At, s.Ended)
		}
		out = append(out, s)
	}
	return out
}

func TestAFinishedDrillLeavesItsSummaryInTheMainJournalOnce(t *testing.T) {
	state := t.TempDir()
	base, cfg := filepath.Join(state, DrillsDir), &config.File{State: state}
	oldDrill(t, base, "20260301T000000Z-index-drift-3") // killed, nobody wrote anything
	oldDrill(t, base, "20260302T000000Z-index-drift-3",
		journal.Draft{Kind: journal.RunStarted, Run: "RUN-1", Data: map[string]any{"runbook": "rollback-index", "hash": "5f"}},
		journal.Draft{Kind: journal.RunEnded, Run: "RUN-1", Data: map[string]any{"outcome": "succeeded"}})
	if err := os.MkdirAll(filepath.Join(base, "20260303T000000Z-quiet-1"), 0o700); err != nil { // was never ready
		t.Fatal(err)
	}
	ended := filepath.Join(base, "20260302T000000Z-index-drift-3")
	var wg sync.WaitGroup
	for range 4 { // as several consoles would
		wg.Go(func() {
			if err := RecordDrills(t.Context(), cfg, base, ended); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := summaries(t, cfg)
	if len(got) != 2 {
		t.Fatalf("%d summaries: %+v", len(got), got)
	}
	a, b := got[0], got[1]
	if a.Drill != "20260301T000000Z-index-drift-3" {
		a, b = b, a
	}
	if !a.Cut || a.Head != nil || a.Journal != "" || a.Scenario != "index-drift" || a.Seed != 3 {
		t.Errorf("of the one that was killed: %+v", a)
	}
	if b.Cut || b.Head == nil || b.Head.Seq != 2 || len(b.Head.Hash) != 64 || b.Journal != "drills/20260302T000000Z-index-drift-3/journal.db" ||
		len(b.Runs) != 1 || b.Runs[0].Runbook != "rollback-index" || b.Runs[0].Outcome != "succeeded" {
		t.Errorf("of the other: %+v", b)
	}
}

func TestADrillThatGoesOnIsNotWrittenDown(t *testing.T) {
	state := t.TempDir()
	base, cfg := filepath.Join(state, DrillsDir), &config.File{State: state}
	const name = "20260301T000000Z-index-drift-3"
	oldDrill(t, base, name)
	s, err := traces.Open(filepath.Join(base, name, tracesDir), traces.Options{Folder: pricedFolder{}, Clock: &lateClock{}})
	if err != nil {
		t.Fatal(err)
	}
	if own, _ := s.Receiving(); !own {
		t.Fatal("the test receives nothing")
	}
	if err := RecordDrills(t.Context(), cfg, base, ""); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(state, journalFile)) {
		t.Fatal("something was written down")
	}
	if err := s.Close(); err != nil { // as when its process is killed
		t.Fatal(err)
	}
	if err := RecordDrills(t.Context(), cfg, base, ""); err != nil {
		t.Fatal(err)
	}
	if got := summaries(t, cfg); len(got) != 1 || !got[0].Cut {
		t.Fatalf("%+v", got)
	}
}

func TestADamagedDrillKeepsNoOtherOut(t *testing.T) {
	state := t.TempDir()
	base, cfg := filepath.Join(state, DrillsDir), &config.File{State: state}
	oldDrill(t, base, "20260301T000000Z-a-1")
	oldDrill(t, base, "20260302T000000Z-b-1")
	oldDrill(t, base, "20260303T000000Z-c-1")
	if err := os.WriteFile(filepath.Join(base, "20260301T000000Z-a-1", scorecard.OutcomeFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "20260302T000000Z-b-1", journalFile), []byte("no database at all, and longer than a header of one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RecordDrills(t.Context(), cfg, base, ""); err == nil || !strings.Contains(err.Error(), "outcome.json") {
		t.Errorf("the error is %v", err)
	}
	got := summaries(t, cfg)
	if len(got) != 2 || got[0].Trouble == "" || got[1].Trouble != "" {
		t.Fatalf("%+v", got)
	}
}

func TestAConsoleTakesUpDrillsThatWereKilled(t *testing.T) {
	state := t.TempDir()
	base := filepath.Join(state, DrillsDir)
	oldDrill(t, base, "20260301T000000Z-index-drift-3")
	cfg := &config.File{State: state, OTLP: config.OTLP{GRPC: "off", HTTP: "off"}, Services: map[string]config.Service{"s": {}}}
	a, err := Open(t.Context(), cfg, Options{Drills: base})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a.recordDrills(ctx, base) // the one in the background writes none twice
	if got := summaries(t, cfg); len(got) != 1 {
		t.Fatalf("%+v", got)
	}
}
