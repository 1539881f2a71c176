package e2e

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The path of a newcomer on call: the prompt regresses, the console says so and
// names the change, one of the failing requests opens down to its spans, an
// incident is opened, the runbook rolls the prompt back, and the review is written.
func TestDrillFromFirstLookToTheReview(t *testing.T) {
	dir := binaries(t)
	state := t.TempDir()
	term := openTerminal(t, 120, 36, []string{"XDG_STATE_HOME=" + state}, filepath.Join(dir, "rollcall"), "drill", "--speed", "10")

	term.waitText(90*time.Second, "1 Overview", "schema fail", "otlp", "LIVE")
	term.waitText(120*time.Second, "▲ Schema failures", "prompt v13→v14")

	term.press("3")
	term.waitText(20*time.Second, "Quality", "╌ bad", "prompt v14")

	term.press("6")
	term.waitText(20*time.Second, "Requests", "latency")
	term.press("b")
	list := term.waitFor("bad requests alone", 20*time.Second, func(s string) bool {
		return strings.Contains(s, "x clears") && strings.Contains(s, "▲ schema") && !strings.Contains(s, "● ok")
	})
	id := regexp.MustCompile(`req_[0-9a-f]+`).FindString(list)
	if id == "" {
		t.Fatalf("no request ID in the list:\n%s", list)
	}
	term.press("\r")
	term.waitText(20*time.Second, "inference", "last good", "v13", "Alike")
	term.waitFor("the log lines of the request", 20*time.Second, func(s string) bool {
		return regexp.MustCompile(`Logs\s+[1-9][0-9]* line`).MatchString(s)
	})

	term.press("\x1b")
	term.waitText(20*time.Second, "Requests", "latency", "x clears")

	// By its ID alone, from the palette.
	term.press(":request " + id + "\r")
	term.waitText(20*time.Second, id, "inference")

	act(term, id)

	term.press("q")
	if code := term.waitExit(20 * time.Second); code != 0 {
		t.Errorf("the console ended with code %d", code)
	}
	recorded(t, dir, state, id)
}

// The same service from the command line, without a screen.
func TestCommandsReadAHeadlessDrill(t *testing.T) {
	dir := binaries(t)
	d := startHeadless(t, dir, "prompt-regression")

	var status struct {
		Verdict string `json:"verdict"`
		Line    string `json:"line"`
		Service string `json:"service"`
		Signals []struct {
			Signal     string   `json:"signal"`
			Pane       string   `json:"pane"`
			Value      *float64 `json:"value"`
			Verdict    string   `json:"verdict"`
			Provenance struct {
				Provider string `json:"provider"`
			} `json:"provenance"`
		} `json:"signals"`
	}
	poll(t, 120*time.Second, "a bad verdict that names the prompt", func() bool {
		out, code := d.run(t, "status", "-o", "json")
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			t.Fatalf("status does not speak JSON: %v\n%s", err, out)
		}
		return code == 1 && status.Verdict == "bad" && strings.Contains(status.Line, "v13→v14")
	})
	for _, s := range status.Signals {
		if s.Signal == "schema_fail" && (s.Verdict != "bad" || s.Value == nil || *s.Value < 0.03 || s.Provenance.Provider != "prometheus") {
			t.Errorf("schema_fail reads %+v", s)
		}
	}

	var changes []struct{ Component, From, To string }
	out, _ := d.run(t, "changes", "-o", "json")
	mustJSON(t, out, &changes)
	if len(changes) == 0 || changes[len(changes)-1].Component != "prompt" || changes[len(changes)-1].To != "v14" {
		t.Errorf("changes are %s", out)
	}

	var rows []struct {
		RequestID  string `json:"request_id"`
		TraceID    string `json:"trace_id"`
		ResponseID string `json:"response_id"`
		Prompt     string `json:"prompt"`
		Schema     string `json:"schema"`
	}
	poll(t, 60*time.Second, "a bad request", func() bool {
		out, _ := d.run(t, "requests", "--bad", "--prompt", "v14", "--limit", "50", "-o", "json")
		mustJSON(t, out, &rows)
		return len(rows) > 0 && rows[0].ResponseID != ""
	})
	for name, id := range map[string]string{"request": rows[0].RequestID, "trace": rows[0].TraceID, "response": rows[0].ResponseID} {
		poll(t, 30*time.Second, "request opened by its "+name+" ID", func() bool {
			out, code := d.run(t, "request", id, "-o", "json")
			return code == 0 && strings.Contains(out, rows[0].RequestID)
		})
	}

	logs, code := d.run(t, "logs", "--contains", rows[0].RequestID, "-o", "json")
	if code != 0 || !strings.Contains(logs, rows[0].RequestID) {
		t.Errorf("the log lines of a request are not found by its ID (exit %d):\n%s", code, logs)
	}
	if out, code := d.run(t, "doctor"); code > 1 {
		t.Errorf("doctor ends with %d:\n%s", code, out)
	}
}

// A scenario in which nothing is wrong teaches not to act, so it must stay calm.
func TestQuietStaysQuiet(t *testing.T) {
	dir := binaries(t)
	d := startHeadless(t, dir, "quiet")
	var status struct{ Verdict, Line string }
	// Baselines load in the background of each call; a few minutes of service time pass.
	for range 8 {
		out, code := d.run(t, "status", "-o", "json")
		mustJSON(t, out, &status)
		if code != 0 || status.Verdict == "bad" {
			t.Fatalf("quiet is %s (exit %d): %s", status.Verdict, code, status.Line)
		}
	}
}

// drill is a headless drill and the means to ask it.
type drill struct {
	bin, Config, Prometheus, Loki, Admin, State string
	OTLPGRPC                                    string `json:"otlp_grpc"`
	OTLPHTTP                                    string `json:"otlp_http"`

	launcher *os.Process
}

func startHeadless(t testing.TB, dir, scenario string, flags ...string) *drill {
	t.Helper()
	d := &drill{bin: filepath.Join(dir, "rollcall")}
	cmd := exec.Command(d.bin, append([]string{"drill", scenario, "--headless", "--for", "10m", "--speed", "10"}, flags...)...)
	cmd.Env = append(cmd.Environ(), "XDG_STATE_HOME="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.launcher = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := json.NewDecoder(out).Decode(d); err != nil {
		t.Fatalf("the drill did not say where it is: %v", err)
	}
	return d
}

// run runs a command on the drill and returns its standard output and exit code.
func (d *drill) run(t testing.TB, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(d.bin, append(args, "--config", d.Config)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code > 1 {
		t.Logf("%s: exit %d: %s", args[0], code, errs.String())
		return out.String(), code
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// poll asks again and again until ok: every try runs a process, so it needs no pause.
func poll(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if ok() {
			return
		}
	}
	t.Fatalf("no %s within %s", what, within)
}

func mustJSON(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
}

// However the launcher ends, the simulated service ends with it.
func TestTheDrillDiesWithALauncherThatIsKilled(t *testing.T) {
	d := startHeadless(t, binaries(t), "quiet")
	if err := d.launcher.Kill(); err != nil {
		t.Fatal(err)
	}
	poll(t, 2*time.Minute, "end of the drill", func() bool {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(d.Prometheus, "http://"), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}
