package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// act goes on from an opened request: incident, evidence, rollback to its end, review.
func act(term *terminal, id string) {
	term.t.Helper()
	term.press("I")
	term.waitText(20*time.Second, "Open an incident", "[correctness]", "prompt v14")
	term.press("\r")
	term.waitText(20*time.Second, "INC-1  Schema failures", "detected", "Timeline")

	term.press(":request " + id + "\r")
	term.waitText(20*time.Second, id, "inference")
	term.press("c")
	term.waitText(20*time.Second, "Captured into INC-1")

	term.press("R")
	term.waitText(20*time.Second, "Plan: Roll back the prompt", "BAD     v14", "GOOD    v13")
	term.press("\r")
	clock := header(term.waitText(60*time.Second, "waits for you", "enter  Move prompt from v14 to v13"))
	// A key that comes as the question appears does not answer it. Once the clock has moved twice the question
	// has stood for more than one refresh.
	for range 2 {
		clock = header(term.waitFor("the next minute", 60*time.Second, func(s string) bool { return header(s) != clock && header(s) != "" }))
	}
	term.press("\r")
	term.waitText(8*time.Minute, "succeeded", "RUN-1 succeeded", "✓ quality", "✓ evals")
	term.waitText(60*time.Second, "Nothing is significantly worse than usual")

	term.press("I")
	term.waitText(20*time.Second, "INC-1  Schema failures", "mitigated", "runs      RUN-1", "requests  "+id)
	term.press("S")
	term.waitText(20*time.Second, "Is INC-1 resolved")
	term.press("y")
	term.waitText(20*time.Second, "INC-1 is resolved")
	term.press("w")
	term.waitText(20*time.Second, "The review is in")
	term.press("9")
	term.waitText(20*time.Second, "exported", "Journal")
}

// header is the clock of a screen: what stands after LIVE.
func header(screen string) string { return regexp.MustCompile(`LIVE \d\d:\d\dZ`).FindString(screen) }

// recorded looks at what is left once the console and the drill are gone.
func recorded(t *testing.T, bin, state, id string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "rollcall", "drills", "*", "reviews", "INC-1.md"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the review is in %v (%v)", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"changed: prompt v13→v14", "changed: prompt v14→v13", "- [x] **apply**", "- [x] **quality**", "samples passed",
		"## Root causes", "time to mitigate", "journal verify --head", strings.ReplaceAll(id, "_", `\_`),
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the review does not hold %q:\n%s", want, text)
		}
	}
	head := regexp.MustCompile(`verify --head (\d+:[0-9a-f]{64})`).FindStringSubmatch(string(text))
	if head == nil {
		t.Fatal("the review prints no head")
	}
	file := filepath.Join(filepath.Dir(filepath.Dir(found[0])), "journal.db")
	out, err := exec.Command(filepath.Join(bin, "rollcall"), "journal", "verify", "--file", file, "--head", head[1]).CombinedOutput()
	if err != nil {
		t.Errorf("the journal does not verify against the head of the review: %v\n%s", err, out)
	}
}
