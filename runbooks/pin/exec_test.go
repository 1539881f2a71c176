package pin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script writes an executable and returns its path.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// llmcfg is a driver on a small real program that keeps its version in a file
// and compares before it sets, under a lock.
func llmcfg(t *testing.T, set string) (*execDriver, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "version")
	if err := os.WriteFile(file, []byte("v14\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := script(t, dir, "get", `cat "`+file+`"; echo a second line; echo noise >&2`)
	if set == "" {
		set = `
until mkdir "` + dir + `/lock" 2>/dev/null; do sleep 0.05; done
trap 'rmdir "` + dir + `/lock"' EXIT
[ "$(cat "` + file + `")" = "$2" ] || { echo "it is not $2" >&2; exit 4; }
echo "$1" > "` + file + `.new" && mv "` + file + `.new" "` + file + `"`
	}
	return &execDriver{
		subject: versionOf("model"), get: []string{get}, set: []string{script(t, dir, "set", set), "$VERSION", "$CURRENT"},
		command: command{dir: dir, timeout: 30 * time.Second}, patience: 100 * time.Millisecond,
	}, file
}

func TestAPinBehindACommandMovesFromTheExpectedVersion(t *testing.T) {
	d, _ := llmcfg(t, "")
	if v, err := d.Get(t.Context()); v != "v14" || err != nil {
		t.Fatalf("Get gave %q, %v; the first line is the version", v, err)
	}
	is(t, d.Set(t.Context(), "v13", "v12"), ErrMoved, "model is v14 now, not v12")
	if err := d.Set(t.Context(), "v13", "v14"); err != nil {
		t.Fatal(err)
	}
	if v, _ := d.Get(t.Context()); v != "v13" {
		t.Errorf("%s is live", v)
	}
}

func TestOfManyWhoMoveAPinBehindACommandExactlyOneSucceeds(t *testing.T) {
	d, file := llmcfg(t, "")
	if err := os.WriteFile(file, []byte("v0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	won := race(t, func(v string) error { return d.Set(t.Context(), v, "v0") })
	if b, _ := os.ReadFile(file); strings.TrimSpace(string(b)) != won {
		t.Errorf("%s won and %s is live", won, b)
	}
}

func TestAVersionIsAWordAndNeverPastedIntoAShell(t *testing.T) {
	d, file := llmcfg(t, `printf '%s\n' "$1" > "$(dirname "$0")/version"`)
	evil := `v13;$(touch${IFS}pwned)`
	if err := d.Set(t.Context(), evil, "v14"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); strings.TrimSpace(string(b)) != evil {
		t.Errorf("the command got %q", b)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "pwned")); err == nil {
		t.Error("the version was run")
	}
}

func TestTheOutcomeOfACommandIsLookedAtAndNotBelieved(t *testing.T) {
	for _, tc := range []struct {
		name, set string
		kind      error
		says      []string
	}{
		{"it fails and nothing moved", `echo "first" >&2; printf 'quota \033[31mexceeded\n' >&2; exit 3`, nil, []string{"model was not moved, v14 is still live: set ended with 3: quota ␛[31mexceeded"}},
		{"it fails though it moved", `echo "$1" > "$(dirname "$0")/version"; exit 1`, ErrUncertain, []string{"may or may not have moved", "v13 is live now"}},
		{"it fails because somebody moved it", `echo v15 > "$(dirname "$0")/version"; exit 1`, ErrMoved, []string{"model is v15 now, not v14"}},
		{"it says yes and does nothing", `exit 0`, ErrUncertain, []string{"accepted, but v14 is still live"}},
		{"it is killed", `kill -9 $$`, ErrUncertain, []string{"v14 is live now"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, _ := llmcfg(t, tc.set)
			err := d.Set(t.Context(), "v13", "v14")
			if err == nil {
				t.Fatal("it is reported as a success")
			}
			oneLine(t, err)
			if tc.kind != nil {
				is(t, err, tc.kind)
			} else if errors.Is(err, ErrUncertain) || errors.Is(err, ErrMoved) {
				t.Errorf("got %v", err)
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

func TestACommandThatHangsIsStoppedWithEverythingThatItStarted(t *testing.T) {
	dir := t.TempDir()
	child := filepath.Join(dir, "child")
	// Its child ignores the polite signal; both hold the output open.
	hang := `trap '' TERM
(trap '' TERM; echo $$ > /dev/null; sleep 1000) &
echo $! > "` + child + `"
sleep 1000`
	d, _ := llmcfg(t, hang)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // stopped by the person once it really runs
		for ctx.Err() == nil {
			if b, err := os.ReadFile(child); err == nil && strings.HasSuffix(string(b), "\n") {
				cancel()
			}
		}
	}()
	is(t, d.Set(ctx, "v13", "v14"), ErrUncertain, "was stopped before it ended")
	b, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for !gone(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlived its command", pid)
		}
	}
}

// gone counts what only waits to be reaped by init as gone.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

func TestACommandThatTakesTooLongSaysSo(t *testing.T) {
	d, _ := llmcfg(t, `exec sleep 1000`)
	d.timeout = 3 * time.Second
	d.get = []string{"sh", "-c", "echo v14"}
	is(t, d.Set(t.Context(), "v13", "v14"), ErrUncertain, "set did not end within 3s and was stopped", "v14 is live now")
}

func TestOneLineSaysWhatIsWrongWithACommand(t *testing.T) {
	for _, tc := range []struct {
		name string
		argv []string
		says string
	}{
		{"it is not there", []string{"no-such-program-here"}, "no-such-program-here cannot be started: executable file not found in $PATH; check the command"},
		{"it may not run", []string{"/dev/null"}, "null cannot be started: permission denied"},
		{"it prints nothing", []string{"true"}, "the version that true printed is empty"},
		{"it prints escapes", []string{"printf", `\033]52;c;x\007`}, "control characters: ␛]52;c;x␇"},
		{"it floods", []string{"sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"}, "is 262144 bytes long"},
		{"it fails", []string{"sh", "-c", "echo no such user >&2; exit 7"}, "sh ended with 7: no such user"},
		{"it reads its input", []string{"sh", "-c", "cat; echo v1"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &execDriver{subject: versionOf("model"), get: tc.argv, command: command{timeout: 30 * time.Second}}
			v, err := d.Get(t.Context())
			if tc.says == "" {
				if v != "v1" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
				return
			}
			is(t, err, ErrUnreachable, tc.says)
		})
	}
}

func TestTheVersionsOfACommandAreListed(t *testing.T) {
	d := &execDriver{subject: versionOf("model"), get: []string{"echo", "v14"}, command: command{timeout: 30 * time.Second}}
	_, err := d.List(t.Context())
	is(t, err, ErrUnknown)
	d.list = []string{"printf", `v12\tgood  first\nv13 good\n\n---\nv13b goodish note\n`}
	list, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Version{{Name: "v14", Live: true}, {Name: "v12", Good: true, Note: "first"}, {Name: "v13", Good: true}, {Name: "v13b", Note: "goodish note"}}
	if len(list) != len(want) {
		t.Fatalf("got %+v", list)
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("got %+v, want %+v", list[i], want[i])
		}
	}
}
