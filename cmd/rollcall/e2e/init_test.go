package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What init writes for a service it has never seen is what doctor passes.
func TestInitWritesWhatDoctorPasses(t *testing.T) {
	dir := binaries(t)
	d := startHeadless(t, dir, "quiet", "--speed", "1")
	home := t.TempDir()
	path := filepath.Join(home, "rollcall.yaml")
	environ := []string{"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state"), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	run := func(args ...string) (string, int) {
		cmd := exec.Command(d.bin, args...)
		cmd.Env = environ
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String() + errs.String(), cmd.ProcessState.ExitCode()
	}
	var text string
	poll(t, 2*time.Minute, "log lines of the service", func() bool {
		out, code := run("init", "--prometheus", d.Prometheus, "--loki", d.Loki, "--service", "support-assistant", "--out", path, "--force")
		if code != 0 {
			t.Fatalf("init ends with %d:\n%s", code, out)
		}
		written, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = string(written)
		return strings.Contains(text, "# request_id in ")
	})
	for _, want := range []string{`scope: 'namespace="prod", job="assistant"'`, `logs: '{namespace="prod", job="assistant"}'`, "llmops (", "  support-assistant:"} {
		if !strings.Contains(text, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, text)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v (%v)", st.Mode(), err)
	}

	out, code := run("doctor", "--config", path, "-o", "json")
	var findings []struct{ Area, Check, Verdict, Detail, Remedy string }
	if err := json.Unmarshal([]byte(out), &findings); err != nil || code != 0 {
		t.Fatalf("doctor ends with %d (%v):\n%s", code, err, out)
	}
	// What a first look cannot have yet: traces, rehearsed runbooks, pins.
	known := []string{"otlp/receiver", "traces/requests", "runbooks/rehearsals", "pins/configured", "login/processes", "signals/not exposed", "alerts/watched", "alerts/post"}
	for _, f := range findings {
		if f.Verdict != "ok" && !slices.Contains(known, f.Area+"/"+f.Check) {
			t.Errorf("doctor finds fault with it: %+v", f)
		}
		if f.Verdict != "ok" && f.Remedy == "" {
			t.Errorf("doctor does not say what to do: %+v", f)
		}
	}
	if out, code := run("init", "--prometheus", d.Prometheus, "--loki", d.Loki, "--out", path); code != 2 || !strings.Contains(out, "--force") {
		t.Errorf("a second init ends with %d:\n%s", code, out)
	}
}
