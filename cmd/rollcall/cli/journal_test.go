package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/journal"
)

// journalBench is a bench with a real journal that already holds two entries.
func journalBench(t *testing.T) (*bench, *journal.Journal) {
	t.Helper()
	b := newBench(t, oneService)
	path := filepath.Join(t.TempDir(), "journal.db")
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Journals = func(ctx context.Context, _ *config.File, o JournalOptions) (*journal.Journal, error) {
		if o.File == "" {
			o.File = path
		}
		return journal.Open(ctx, o.File, journal.Options{
			Clock: clock, Redact: strings.ToLower, Actor: "ana", Origin: "cli", ReadOnly: o.ReadOnly,
		})
	}
	j, err := b.Journals(t.Context(), nil, JournalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	write(t, j, journal.Draft{
		Kind: journal.PinSet, Service: "support-assistant", At: time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC), Data: map[string]any{"from": "v14", "to": "v13", "list": []int{1}},
	})
	write(t, j, journal.Draft{Kind: journal.Noted, Service: "billing", Text: "First line\nsecond line", Artifacts: []journal.Artifact{{Name: "a.txt", Body: []byte("x")}}})
	return b, j
}

func write(t *testing.T, j *journal.Journal, d journal.Draft) journal.Entry {
	t.Helper()
	es, err := j.Append(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return es[0]
}

func TestTheJournalsTailIsShown(t *testing.T) {
	b, _ := journalBench(t)
	if code := b.run("journal", "tail"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	lines := strings.Split(strings.TrimSpace(b.out.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "#1 2026-03-10 02:47:00Z ana pin.set: moved the pin of v14→v13") {
		t.Errorf("it shows %q", lines)
	}
	if !strings.HasSuffix(lines[1], "note: first line (+1 lines) [a.txt 1 bytes]") {
		t.Errorf("it shows %q", lines[1])
	}
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"-n", "1"}, 1},
		{[]string{"-n", "0"}, 0},
		{[]string{"--kind", "note,run.outcome"}, 1},
		{[]string{"--incident", "INC-1"}, 0},
		{[]string{"--service", "billing"}, 1},
	} {
		b.out.Reset()
		if code := b.run(append([]string{"journal", "tail", "-o", "json"}, tc.args...)...); code != ExitOK {
			t.Fatalf("%v: exit code %d: %s", tc.args, code, b.err.String())
		}
		var list []journal.Entry
		if err := json.Unmarshal(b.out.Bytes(), &list); err != nil || list == nil || len(list) != tc.want {
			t.Errorf("%v: %d entries, %v", tc.args, len(list), err)
		}
	}
	if code := b.run("journal", "tail", "-n", "-1"); code != ExitUsage {
		t.Errorf("exit code %d", code)
	}
}

func TestFollowingTheJournalMissesNothing(t *testing.T) {
	b, j := journalBench(t)
	r, w := io.Pipe()
	b.Out = w
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- b.Run(ctx, []string{"journal", "tail", "-f", "-n", "1", "-o", "json"})
		_ = w.Close()
	}()
	dec := json.NewDecoder(r)
	for want := int64(2); want < 6; want++ {
		var e journal.Entry
		if err := dec.Decode(&e); err != nil || e.Seq != want {
			t.Fatalf("entry %d, want %d: %v", e.Seq, want, err)
		}
		write(t, j, journal.Draft{Kind: journal.Noted, Text: "more"})
	}
	cancel()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if code := <-ended; code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestVerifyAnswersByExitCode(t *testing.T) {
	b, j := journalBench(t)
	head, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if code := b.run("journal", "verify"); code != ExitOK || !strings.Contains(b.out.String(), "2 entries, 2 texts and artifacts: all as recorded") || !strings.Contains(b.out.String(), "head 2:"+head.Hash) {
		t.Errorf("exit code %d: %s%s", code, b.out.String(), b.err.String())
	}
	if code := b.run("journal", "verify", "--head", headText(head)); code != ExitOK {
		t.Errorf("against its own head: exit code %d: %s", code, b.err.String())
	}
	b.out.Reset()
	if code := b.run("journal", "verify", "--head", "3:"+head.Hash, "-o", "json"); code != ExitBad {
		t.Errorf("against a later head: exit code %d: %s", code, b.err.String())
	}
	var r journal.Report
	if err := json.Unmarshal(b.out.Bytes(), &r); err != nil || r.OK || r.Faults[0].Kind != journal.Truncated {
		t.Errorf("%+v, %v", r, err)
	}
	if code := b.run("journal", "verify", "--head", "3:abc"); code != ExitUsage {
		t.Errorf("a head that is none: exit code %d", code)
	}
	b.err.Reset()
	if code := b.run("journal", "verify", "--file", filepath.Join(t.TempDir(), "none.db")); code != ExitBad || !strings.Contains(b.err.String(), "no journal at") {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
}

func TestABackupIsVerifiedAgainstTheHeadThatItPrinted(t *testing.T) {
	b, _ := journalBench(t)
	file := filepath.Join(t.TempDir(), "backup.db")
	if code := b.run("journal", "backup", file, "-o", "json"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	var out backupJSON
	if err := json.Unmarshal(b.out.Bytes(), &out); err != nil || out.File != file || out.Head.Seq != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	if code := b.run("journal", "verify", "--file", file, "--head", headText(out.Head)); code != ExitOK {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	if code := b.run("journal", "backup", file); code != ExitUsage || !strings.Contains(b.err.String(), "there already") {
		t.Errorf("a second one: exit code %d: %s", code, b.err.String())
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("no journal "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	b.err.Reset()
	if code := b.run("journal", "verify", "--file", file); code != ExitBad || !strings.Contains(b.err.String(), "damaged") {
		t.Errorf("a damaged one: exit code %d: %s", code, b.err.String())
	}
}

func TestErasingAsksAndNeedsAReason(t *testing.T) {
	b, j := journalBench(t)
	for _, args := range [][]string{
		{"2"}, {"2", "--why", " "}, {"2", "--why", "w"}, {"x", "--why", "w", "--yes"}, {"3-2", "--why", "w", "--yes"}, {"1-9999999", "--why", "w", "--yes"},
	} {
		if code := b.run(append([]string{"journal", "erase"}, args...)...); code != ExitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	b.InTTY, b.In = true, strings.NewReader("n\n")
	if code := b.run("journal", "erase", "2", "--why", "names a customer"); code != ExitBad || !strings.Contains(b.err.String(), "nothing was erased") {
		t.Errorf("after a no: exit code %d: %s", code, b.err.String())
	}
	if e, err := j.Entry(t.Context(), 2); err != nil || e.TextErased {
		t.Errorf("%+v, %v", e, err)
	}
	b.In = strings.NewReader("y\n")
	if code := b.run("journal", "erase", "#1-2", "--why", "names a customer"); code != ExitOK || !strings.Contains(b.out.String(), "erased: erased text beside the journal (2 parts): names a customer") {
		t.Errorf("after a yes: exit code %d: %s%s", code, b.out.String(), b.err.String())
	}
	if code := b.run("journal", "erase", "9", "--why", "w", "--yes"); code != ExitBad || !strings.Contains(b.err.String(), "no entry 9") {
		t.Errorf("one that is not there: exit code %d: %s", code, b.err.String())
	}
	b.out.Reset()
	b.run("journal", "tail")
	if !strings.Contains(b.out.String(), "(its text was erased) [a.txt erased]") {
		t.Errorf("afterwards: %s", b.out.String())
	}
}
