package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A rehearsal on the drill's target succeeds, can be repeated after a reset, and is
// evidence; the drill itself leaves its summary in the main journal though its
// launcher is killed, and only once.
func TestRehearsalsAndDrillsAreEvidenceOfReadiness(t *testing.T) {
	t.Parallel()
	d := startHeadless(t, binaries(t), "quiet", "--speed", "60")
	rehearse := func(flags ...string) (string, int) {
		return d.run(t, append([]string{"runbook", "rehearse", "rollback-prompt", "--yes", "--var", "BAD=v13", "--var", "GOOD=v12"}, flags...)...)
	}
	if out, code := rehearse(); code != 0 {
		t.Fatalf("the rehearsal ended with %d:\n%s", code, out)
	}
	if out, code := rehearse("--reset"); code != 0 {
		t.Fatalf("after a reset it ended with %d:\n%s", code, out)
	}
	if v := d.pin(t, "prompt"); v != "v13" {
		t.Errorf("the rehearsals moved what is live: %s", v)
	}
	out, _ := d.run(t, "readiness", "-o", "json")
	var r struct {
		Answers []struct {
			ID, Answer string
			Evidence   []struct{ What, Says, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Answers) != 9 {
		t.Fatalf("%v:\n%s", err, out)
	}
	prompt := ""
	for _, f := range r.Answers[8].Evidence {
		if f.What == "prompt" {
			prompt = f.Says + " " + f.Detail
		}
	}
	if !strings.HasPrefix(prompt, "yes rollback-prompt was rehearsed") {
		t.Errorf("the rehearsal is no evidence: %q", prompt)
	}

	_ = d.launcher.Kill()
	_, _ = d.launcher.Wait()
	state := filepath.Dir(filepath.Dir(d.State)) // drills/NAME
	mine := filepath.Join(t.TempDir(), "rollcall.yaml")
	if err := os.WriteFile(mine, []byte("schema: rollcall/v1\nstate: "+state+"\nprometheus: {url: \"http://127.0.0.1:1\"}\nservices: {mine: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		cmd := exec.Command(d.bin, "readiness", "--config", mine)
		cmd.Env = append(cmd.Environ(), "XDG_STATE_HOME="+filepath.Dir(state))
		_, _ = cmd.Output() // its exit code is that of the answers
		tail := exec.Command(d.bin, "journal", "tail", "-o", "json", "--config", mine)
		text, _ := tail.Output()
		return strings.Count(string(text), `"drill.ended"`)
	}
	poll(t, 2*time.Minute, "the killed drill is written down", func() bool { return count() == 1 })
	if n := count(); n != 1 {
		t.Errorf("it is written down %d times", n)
	}
}
