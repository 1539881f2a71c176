package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/cmd/rollcall/app"
	"rollcall/cmd/rollcall/config"
)

// pinBench is a program on real pins: a file, a command, features and evals.
func pinBench(t *testing.T, env ...string) (*bench, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"prompt": "v14\n", "share": "0.1\n", "good": "#!/bin/sh\nprintf 'v13 good calm\\nv14\\n'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t, fmt.Sprintf(`
state: %[1]s/state
prometheus: {url: http://127.0.0.1:1}
services:
  assistant:
    environment: prod
    components:
      prompt: {driver: file, path: %[1]s/prompt}
      model: {driver: exec, get: [echo, gpt-4.1], set: ["false", $VERSION, $CURRENT], list: [%[1]s/good]}
      index: {driver: http, url: "http://127.0.0.1:1/v1"}
    settings:
      canary: {driver: file, path: %[1]s/share, min: 0, max: 1}
      queueing: {driver: exec, get: [echo, on], set: ["false", $VALUE, $CURRENT], values: ["on", "off"]}
    features: {driver: exec, list: [echo, rerank off], on: ["false", $NAME], off: ["true", $NAME]}
    evals: {run: [sh, -c, 'echo case one; exit 1'], format: exit}
    rehearsal:
      components:
        prompt: {driver: exec, get: [echo, practice], set: ["true", $VERSION, $CURRENT]}
`, dir), env...)
	b.Pins = func(cfg *config.File, service string, note func(string)) (Pins, error) {
		return app.OpenPins(cfg, service, b.Env, note)
	}
	return b, dir
}

func TestPinCommandsAnswerOnOneLineAndWithTheirExitCode(t *testing.T) {
	inRun := func(kv ...string) []string {
		return append([]string{"ROLLCALL_RUN", "RUN-1", "ROLLCALL_SERVICE", "assistant", "ROLLCALL_EFFECT", "write"}, kv...)
	}
	for _, tc := range []struct {
		args string
		env  []string
		code int
		out  string
		err  string
	}{
		{"pin get prompt", nil, ExitOK, "v14\n", ""},
		{"pin get prompt -o json", nil, ExitOK, "{\n  \"component\": \"prompt\",\n  \"version\": \"v14\"\n}\n", ""},
		{"pin get promt", nil, ExitUsage, "", `rollcall: component "promt" is not known; there are prompt, model, tools, index, policy`},
		{"pin get tools", nil, ExitUsage, "", "add services.assistant.components.tools to the configuration"},
		{"pin get index", nil, ExitUnreachable, "", "connection refused"},
		{"pin get", nil, ExitUsage, "", "accepts"},
		{"pin others index", nil, ExitOK, "model=gpt-4.1 prompt=v14\n", ""},
		{"pin others prompt", nil, ExitUnreachable, "", "index cannot be read"},
		{"pin set prompt v13 --if-current v14", nil, ExitOK, "prompt is v13 (was v14)\n", ""},
		{"pin set prompt v13 --if-current v12", nil, ExitBad, "", "prompt is v14 now, not v12: somebody else moved it"},
		{"pin set prompt v13", nil, ExitUsage, "", "rollcall pin set prompt v13 --if-current VERSION"},
		{"pin set prompt -- -x", nil, ExitUsage, "", "--if-current"},
		{"pin set model x --if-current gpt-4.1", nil, ExitBad, "", "model was not moved, gpt-4.1 is still live: false ended with 1"},
		{"pin set prompt v13 --if-current v14", inRun("ROLLCALL_COMPONENT", "model"), ExitBad, "", "this run may move model and nothing else"},
		{"pin set prompt v13 --if-current v14", inRun("ROLLCALL_READ_ONLY", "1"), ExitBad, "", "read-only"},
		{"pin get prompt", inRun("ROLLCALL_ENVIRONMENT", "staging"), ExitBad, "", "this run acts on environment staging"},
		{"pin get prompt", inRun("ROLLCALL_REHEARSAL", "1"), ExitOK, "practice\n", ""},
		{"pin get prompt --service other", nil, ExitUsage, "", `no service "other"`},
		{"pin last-good model --not gpt-4.1", nil, ExitOK, "v13\n", ""},
		{"pin mark prompt", nil, ExitOK, "prompt v14 is marked good\n", ""},
		{"setting", nil, ExitOK, "canary    0.1  0 to 1\nqueueing  on   on, off\n", ""},
		{"setting get canary", nil, ExitOK, "0.1\n", ""},
		{"setting get canry", nil, ExitUsage, "", "the setting canry is not known; there are canary, queueing; add services.assistant.settings.canry"},
		{"setting get canary -o json", nil, ExitOK, "{\n  \"setting\": \"canary\",\n  \"value\": \"0.1\"\n}\n", ""},
		{"setting others canary", nil, ExitUnreachable, "", "index cannot be read"},
		{"setting set canary 0 --if-current 0.10", nil, ExitOK, "canary is 0 (was 0.10)\n", ""},
		{"setting set canary 0 --if-current 0.2", nil, ExitBad, "", "canary is 0.1 now, not 0.2: somebody else moved it"},
		{"setting set canary 0", nil, ExitUsage, "", "rollcall setting set canary 0 --if-current VALUE"},
		{"setting set canary 5 --if-current 0.1", nil, ExitUsage, "", "1 is the most"},
		{"setting set queueing off --if-current on", nil, ExitBad, "", "queueing was not moved, on is still live: false ended with 1"},
		{"setting set canary 0 --if-current 0.1", inRun("ROLLCALL_SETTINGS", "queueing"), ExitBad, "", "this run may move queueing and nothing else"},
		{"setting set canary 0 --if-current 0.1", inRun("ROLLCALL_SETTINGS", "canary"), ExitOK, "canary is 0 (was 0.1)\n", ""},
		{"setting set canary 0 --if-current 0.1", inRun("ROLLCALL_SETTINGS", "canary", "ROLLCALL_READ_ONLY", "1"), ExitBad, "", "read-only"},
		{"setting get canary", inRun("ROLLCALL_REHEARSAL", "1"), ExitUsage, "", "add services.assistant.rehearsal.settings.canary"},
		{"evals run --candidate", nil, ExitUsage, "", "add services.assistant.evals.candidate"},
		{"feature list", nil, ExitOK, "rerank  off\n", ""},
		{"feature get rerank", nil, ExitOK, "off\n", ""},
		{"feature get rerank -o json", nil, ExitOK, "{\n  \"feature\": \"rerank\",\n  \"enabled\": false\n}\n", ""},
		{"feature get rarank", nil, ExitUsage, "", `feature "rarank" is not in the list (not known); did you mean rerank?`},
		{"feature find rerank", nil, ExitOK, "rerank\n", ""},
		{"feature find acme", nil, ExitBad, "", `no feature is named after "acme"`},
		{"feature off rerank", nil, ExitOK, "rerank is off\n", ""},
		{"feature on rerank", nil, ExitBad, "", "rerank was not switched: false ended with 1"},
		{"evals run", nil, ExitBad, "case one\nevals failed: sh ended with 1\n", ""},
		{"pin -o yaml", nil, ExitUsage, "", "-o yaml is not known"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			b, _ := pinBench(t, tc.env...)
			if code := b.run(strings.Fields(tc.args)...); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if b.out.String() != tc.out || !strings.Contains(b.err.String(), tc.err) || tc.err == "" && b.err.Len() > 0 {
				t.Errorf("out %q, err %q", b.out.String(), b.err.String())
			}
			if strings.Count(b.err.String(), "\n") > 1 {
				t.Errorf("more than one line: %q", b.err.String())
			}
		})
	}
}

func TestAMoveWithoutAnExpectedVersionAsks(t *testing.T) {
	for answer, want := range map[string]string{"y\n": "v13", "\n": "v14", "": "v14", "n\n": "v14", "yes please\n": "v14"} {
		b, dir := pinBench(t)
		b.In, b.InTTY, b.ErrTTY = strings.NewReader(answer), true, true
		code := b.run("pin", "set", "prompt", "v13")
		got, _ := os.ReadFile(filepath.Join(dir, "prompt"))
		if strings.TrimSpace(string(got)) != want || (code == ExitOK) != (want == "v13") {
			t.Errorf("after %q: %s, exit code %d", answer, got, code)
		}
		if !strings.Contains(b.err.String(), "Move prompt from v14 to v13? [y/N]") {
			t.Errorf("it asks %q", b.err.String())
		}
	}
}

func TestAllPinsAreShownWithWhatCannotBeRead(t *testing.T) {
	b, _ := pinBench(t)
	if code := b.run("pin", "-o", "json"); code != ExitUnreachable {
		t.Errorf("exit code %d", code)
	}
	var list []liveJSON
	if err := json.Unmarshal(b.out.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0] != (liveJSON{Component: "prompt", Version: "v14"}) || list[2].Error == "" || list[2].Version != "" {
		t.Errorf("got %+v", list)
	}
}

func TestAMarkOutlivesTheProcessAndIsAskedFirst(t *testing.T) {
	b, _ := pinBench(t)
	if code := b.run("pin", "mark", "model", "v9", "--why", "held for a year"); code != ExitOK {
		t.Fatal(b.err.String())
	}
	b.out.Reset()
	if code := b.run("pin", "last-good", "model", "-o", "json"); code != ExitOK || !strings.Contains(b.out.String(), `"version": "v9"`) || !strings.Contains(b.out.String(), `"from": "marked by `) {
		t.Errorf("exit code %d: %s%s", code, b.out.String(), b.err.String())
	}
}

func TestOnlyAnUnansweredQuestionAboutAKnownPinIsACheckThatFailed(t *testing.T) {
	b, _ := pinBench(t)
	if code := b.run("pin", "last-good", "tools"); code != ExitUsage {
		t.Errorf("a component without a pin: exit code %d", code)
	}
	if err := pinExit(errors.New("other")); err == nil {
		t.Error("an error was lost")
	}
}
