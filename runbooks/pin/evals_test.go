package pin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/sources"
)

const promptfooResult = `{"results":{"version":3,"stats":{"successes":%S,"failures":%F,"errors":%E}}}`

func result(passed, failed, errors string) string {
	return strings.NewReplacer("%S", passed, "%F", failed, "%E", errors).Replace(promptfooResult)
}

func TestTheResultFileDecidesWhetherEvalsPass(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script string
		rate   float64
		format string
		pass   bool
		why    string // of the run, or of the error
		fails  bool
	}{
		{"all pass", `printf '%s' '` + result("3", "0", "0") + `' > "$0"`, 0, "", true, "3 of 3 cases passed, 100% are needed", false},
		{"one fails", `printf '%s' '` + result("2", "1", "0") + `' > "$0"; exit 100`, 0, "", false, "2 of 3 cases passed, 100% are needed", false},
		{"enough pass", `printf '%s' '` + result("9", "1", "0") + `' > "$0"; exit 100`, 0.9, "", true, "9 of 10 cases passed, 90% are needed", false},
		{"one could not be judged", `printf '%s' '` + result("2", "0", "1") + `' > "$0"`, 0, "", false, "2 of 3 cases passed, 100% are needed; 1 could not be judged", false},
		{"all pass and the command fails", `printf '%s' '` + result("3", "0", "0") + `' > "$0"; echo broken >&2; exit 2`, 0, "", false, "3 of 3 cases passed, 100% are needed, but sh ended with 2: broken", false},
		{"no result", `exit 0`, 0, "", false, "the result file cannot be read: no such file or directory; does the command write to $RESULT?", true},
		{"no result and an error", `echo no key >&2; exit 1`, 0, "", false, "does the command write to $RESULT?; sh ended with 1: no key", true},
		{"half a result", `printf '%s' '{"results":{"stats":{"succ' > "$0"`, 0, "", false, "the result file is no JSON", true},
		{"a result of another shape", `printf '%s' '{"results":{}}' > "$0"`, 0, "", false, "the result file has no results.stats", true},
		{"a result of another type", `printf '%s' '{"results":{"stats":{"successes":"3"}}}' > "$0"`, 0, "", false, "of another shape", true},
		{"no case", `printf '%s' '` + result("0", "0", "0") + `' > "$0"`, 0, "", false, "no case ran", true},
		{"it hangs", `exec sleep 1000`, 0, "", false, "did not end within 500ms and was stopped", true},
		{"only the exit code, good", `: "$0"`, 0, formatExit, true, "the suite ended with 0", false},
		{"only the exit code, bad", `: "$0"; echo two failed >&2; exit 1`, 0, formatExit, false, "sh ended with 1: two failed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live := target(t)
			live.Evals = &Evals{Run: []string{"sh", "-c", tc.script, "$RESULT"}, Format: tc.format, PassRate: tc.rate}
			if strings.Contains(tc.script, "sleep") {
				live.Evals.Timeout.UnmarshalText([]byte("500ms"))
			}
			b := &book{}
			run, err := open(t, live, b, Guard{}).RunEvals(t.Context(), &bytes.Buffer{}, "", false)
			oneLine(t, err)
			why := run.Why
			if err != nil {
				why = err.Error()
			}
			if (err != nil) != tc.fails || run.Pass != tc.pass || !strings.Contains(why, tc.why) {
				t.Errorf("pass %v, %q, error %v", run.Pass, run.Why, err)
			}
			if !strings.HasPrefix(b.last(), "evals.run assistant prod") || run.Versions[string(sources.Prompt)] != "v14" {
				t.Errorf("recorded %s", b.last())
			}
		})
	}
}

func TestTheResultOfEvalsIsHashedAndMayBeKept(t *testing.T) {
	body := result("1", "0", "0")
	keep := filepath.Join(t.TempDir(), "result.json")
	if err := os.WriteFile(keep, []byte("from yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	live := Target{Evals: &Evals{Run: []string{"sh", "-c", `printf 'half a line'; printf ' \033[2J and more\n'; printf '%s' '` + body + `' > "$0"; ls -d "$0" >&2`, "$RESULT"}}}
	var out bytes.Buffer
	run, err := open(t, live, &book{}, Guard{}).RunEvals(t.Context(), &out, keep, false)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if got := content(t, keep); got != body || run.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("kept %q with hash %s", got, run.SHA256)
	}
	if !strings.Contains(out.String(), "half a line ␛[2J and more\n") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("shown: %q", out.String())
	}
	// What is left from an earlier run is no result of this one.
	live.Evals.Run = []string{"true", "$RESULT"}
	if _, err := open(t, live, &book{}, Guard{}).RunEvals(t.Context(), &out, keep, false); err == nil {
		t.Error("an old result was taken for a new one")
	}
}
