package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The answers that a bad prompt gave become tests which those answers fail, and then the
// incident needs no reason to be closed.
func TestFailingRequestsOfADrillBecomeCasesThatTheirAnswersFail(t *testing.T) {
	d := startHeadless(t, binaries(t), "prompt-regression", "--speed", "40")
	var ids []string
	poll(t, 120*time.Second, "failing requests of v14", func() bool {
		out, _ := d.run(t, "requests", "--bad", "--prompt", "v14", "--limit", "100", "-o", "json")
		var rows []struct {
			ID  string `json:"request_id"`
			Bad []string
		}
		if json.Unmarshal([]byte(out), &rows) != nil {
			return false
		}
		ids = nil
		for _, r := range rows {
			if slices.Contains(r.Bad, "schema") {
				ids = append(ids, r.ID)
			}
		}
		return len(ids) >= 10
	})
	if out, code := d.run(t, "incident", "open", "--category", "correctness", "--severity", "SEV2", "--title", "answers are no JSON"); code != 0 {
		t.Fatalf("no incident was opened (exit %d): %s", code, out)
	}
	if out, code := d.run(t, "incident", "close"); code != 2 {
		t.Fatalf("it was closed without a case or a reason (exit %d): %s", code, out)
	}
	// One in ten of v14's failures is of another kind, and one that only a schema tells becomes no case.
	captured := 0
	for _, id := range ids {
		if out, code := d.run(t, "incident", "capture", id); code != 0 {
			t.Fatalf("%s was not captured (exit %d): %s", id, code, out)
		}
		if captured++; captured == 4 {
			break
		}
	}
	dir := filepath.Join(t.TempDir(), "cases")
	out, code := d.run(t, "cases", "-f", "all", "-d", dir, "-o", "json")
	if code != 0 {
		t.Fatalf("no cases (exit %d): %s", code, out)
	}
	var said struct {
		Cases []struct {
			Expect []struct {
				Kind string
				Red  bool
			}
		}
	}
	mustJSON(t, out, &said)
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Cases []struct {
			Versions struct{ Prompt string }
			Input    []struct{ Role, Content string }
			Answer   string `json:"bad_answer"`
		}
	}
	mustJSON(t, string(text), &kept)
	if len(kept.Cases) < 2 || len(kept.Cases) != len(said.Cases) {
		t.Fatalf("%d cases of %d captured requests:\n%s", len(kept.Cases), captured, out)
	}
	prose := 0
	for i, k := range kept.Cases {
		if k.Versions.Prompt != "v14" || len(k.Input) < 2 || k.Input[0].Role != "system" || k.Answer == "" {
			t.Errorf("a case is not what was captured: %+v", k)
		}
		e := said.Cases[i].Expect
		if len(e) == 0 || e[0].Kind != "json" || !e[0].Red {
			t.Errorf("the answer %q is not red: %+v", k.Answer, e)
		}
		if !json.Valid([]byte(k.Answer)) {
			prose++
		}
	}
	if prose == 0 {
		t.Error("no answer of v14 is prose")
	}
	if out, code := d.run(t, "incident", "close"); code != 0 {
		t.Errorf("with cases it still needs a reason (exit %d): %s", code, out)
	}
	if out, code := d.run(t, "journal", "verify"); code != 0 {
		t.Errorf("the journal does not verify (exit %d): %s", code, out)
	}
}
