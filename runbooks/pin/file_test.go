package pin

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fileDriverOn(t *testing.T, name, content, key string) *fileDriver {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return &fileDriver{subject: versionOf("index"), path: path, key: key, command: command{dir: filepath.Dir(path), timeout: 30 * time.Second}}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFileChangesInOneValueAndNowhereElse(t *testing.T) {
	for _, tc := range []struct{ name, file, key, before, after, from, to string }{
		{"comments and spaces", "pins.yaml", "index.version", "# é who\nindex:\n  version:   kb-6   # live\n  other: kb-6\n\nz: [1,  2]\n", "# é who\nindex:\n  version:   kb-7   # live\n  other: kb-6\n\nz: [1,  2]\n", "kb-6", "kb-7"},
		{"lines that end as on Windows", "pins.yml", "index.version", "a: 1\r\nindex:\r\n  version: kb-6\r\nb: 2\r\n", "a: 1\r\nindex:\r\n  version: kb-7\r\nb: 2\r\n", "kb-6", "kb-7"},
		{"single quotes", "p.yaml", "v", "v: 'kb-6' # x\n", "v: 'it''s' # x\n", "kb-6", "it's"},
		{"double quotes", "p.yaml", "v", "v: \"kb-6\"\n", "v: \"kb-7\"\n", "kb-6", "kb-7"},
		{"text that would become a number", "p.yaml", "v", "v: kb-6\n", "v: \"14\"\n", "kb-6", "14"},
		{"text that would become a truth", "p.yaml", "v", "v: kb-6\n", "v: \"true\"\n", "kb-6", "true"},
		{"a number stays one", "p.yaml", "v", "v: 13\n", "v: 14\n", "13", "14"},
		{"flow style", "p.yaml", "index.version", "index: {ü: 1, version: kb-6, other: 2}\n", "index: {ü: 1, version: kb-7, other: 2}\n", "kb-6", "kb-7"},
		{"an anchored value", "p.yaml", "v", "v: &x kb-6\nw: 1\n", "v: &x kb-7\nw: 1\n", "kb-6", "kb-7"},
		{"what ends a value in flow style", "p.yaml", "i.v", "i: {v: kb-6}\n", "i: {v: \"a,b}\"}\n", "kb-6", "a,b}"},
		{"an element of a list", "p.yaml", "pins.1.version", "pins:\n- version: a\n- version: kb-6\n", "pins:\n- version: a\n- version: kb-7\n", "kb-6", "kb-7"},
		{"an anchored mapping", "p.yaml", "base.version", "base: &b\n  version: kb-6\nuse:\n  name: x\n", "base: &b\n  version: kb-7\nuse:\n  name: x\n", "kb-6", "kb-7"},
		{"JSON with tabs", "p.json", "index.version", "{\n\t\"a\": {\"version\": \"kb-6\"},\n\t\"index\" : { \"version\" :\t\"kb-6\" }\n}\n", "{\n\t\"a\": {\"version\": \"kb-6\"},\n\t\"index\" : { \"version\" :\t\"kb-7\" }\n}\n", "kb-6", "kb-7"},
		{"a number in JSON", "p.json", "l.1", `{"l":[12, 13]}`, `{"l":[12, 14]}`, "13", "14"},
		{"plain text", "VERSION", "", "kb-6\n", "kb-7\n", "kb-6", "kb-7"},
		{"plain text without an end of line", "version.txt", "", "kb-6", "kb-7", "kb-6", "kb-7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := fileDriverOn(t, tc.file, tc.before, tc.key)
			if v, err := d.Get(t.Context()); v != tc.from || err != nil {
				t.Fatalf("Get gave %q, %v", v, err)
			}
			if err := d.Set(t.Context(), tc.to, tc.from); err != nil {
				t.Fatal(err)
			}
			if got := content(t, d.path); got != tc.after {
				t.Errorf("got  %q\nwant %q", got, tc.after)
			}
			if v, err := d.Get(t.Context()); v != tc.to || err != nil {
				t.Errorf("read back: %q, %v", v, err)
			}
			if st, _ := os.Stat(d.path); st.Mode().Perm() != 0o640 {
				t.Errorf("the mode became %v", st.Mode())
			}
		})
	}
}

func TestOneLineSaysWhatIsWrongWithAFile(t *testing.T) {
	for _, tc := range []struct{ name, file, key, content, says string }{
		{"no such key", "p.yaml", "index.version", "index: {name: x}\n", "there is no index.version in it; check key"},
		{"no such parent", "p.json", "index.version", `{"a":1}`, "there is no index.version in it; check key"},
		{"a mapping there", "p.yaml", "index", "index: {version: x}\n", "index is no plain value (mapping); check key"},
		{"nothing there", "p.yaml", "v", "v:\n", "v is no plain value (null)"},
		{"an object there", "p.json", "v", `{"v":{}}`, "the key leads to no plain value"},
		{"a truth there", "p.json", "v", `{"v":true}`, "neither text nor a number"},
		{"a value of several lines", "p.yaml", "v", "v: |\n  a\n  b\n", "v is no plain value (literal)"},
		{"an alias", "p.yaml", "v", "a: &x kb\nv: *x\n", "v is no plain value (alias)"},
		{"several documents", "p.yaml", "v", "v: a\n---\nv: b\n", "several YAML documents"},
		{"not YAML", "p.yaml", "v", "v: [a\n", "line 1, column"},
		{"not JSON", "p.json", "v", `{"v": "a`, "not valid JSON"},
		{"empty", "VERSION", "", "\n", "the version there is empty"},
		{"escapes", "VERSION", "", "\x1b[2Jv1\n", "control characters: ␛[2Jv1"},
		{"two words", "VERSION", "", "v1 v2\n", "holds a space"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := fileDriverOn(t, tc.file, tc.content, tc.key)
			_, err := d.Get(t.Context())
			oneLine(t, err)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v; want %q", err, tc.says)
			}
			if err := d.Set(t.Context(), "v2", "v1"); err == nil || content(t, d.path) != tc.content {
				t.Errorf("Set gave %v and left %q", err, content(t, d.path))
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		d := &fileDriver{subject: versionOf("index"), path: filepath.Join(t.TempDir(), "none")}
		_, err := d.Get(t.Context())
		is(t, err, ErrUnreachable, "no such file or directory")
		is(t, d.Set(t.Context(), "b", "a"), ErrUnreachable)
	})
	t.Run("a pipe", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip(err)
		}
		_, err := (&fileDriver{subject: versionOf("index"), path: path}).Get(t.Context())
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("huge", func(t *testing.T) {
		d := fileDriverOn(t, "VERSION", strings.Repeat("x", maxFile+1), "")
		_, err := d.Get(t.Context())
		if err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAFileMovesFromTheExpectedVersion(t *testing.T) {
	d := fileDriverOn(t, "VERSION", "kb-8\n", "")
	is(t, d.Set(t.Context(), "kb-6", "kb-7"), ErrMoved, "index is kb-8 now, not kb-7")
	_, err := d.List(t.Context())
	is(t, err, ErrUnknown)
}

func TestOfManyWhoWriteAFileExactlyOneSucceeds(t *testing.T) {
	d := fileDriverOn(t, "p.yaml", "v: v0 # live\n", "v")
	won := race(t, func(v string) error { return d.Set(t.Context(), v, "v0") })
	if got := content(t, d.path); got != "v: "+won+" # live\n" {
		t.Errorf("%s won and the file is %q", won, got)
	}
}

func TestAnEditorThatTakesNoLockIsNotOverwritten(t *testing.T) {
	d := fileDriverOn(t, "p.yaml", "v: v0\n", "v")
	f, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.path, []byte("v: v0\nadded: yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is(t, f.swap([]byte("v: v1\n"), nil), errChanged)
	if got := content(t, d.path); got != "v: v0\nadded: yes\n" {
		t.Errorf("the file is %q", got)
	}
}

func TestALinkStaysALink(t *testing.T) {
	d := fileDriverOn(t, "real.yaml", "v: v0\n", "v")
	link := filepath.Join(t.TempDir(), "pins.yaml")
	if err := os.Symlink(d.path, link); err != nil {
		t.Fatal(err)
	}
	real := d.path
	d.path = link
	if err := d.Set(t.Context(), "v1", "v0"); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Lstat(link); st.Mode()&os.ModeSymlink == 0 || content(t, real) != "v: v1\n" {
		t.Errorf("the link became %v, its file is %q", st.Mode(), content(t, real))
	}
}

func TestTheCommandAfterwardsIsPartOfTheMove(t *testing.T) {
	d := fileDriverOn(t, "VERSION", "v0\n", "")
	d.after = []string{"sh", "-c", `echo "$0 $1" > told; cat VERSION >> told`, "$VERSION", "$CURRENT"}
	if err := d.Set(t.Context(), "v1", "v0"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(d.dir, "told")); got != "v1 v0\nv1\n" {
		t.Errorf("the command saw %q", got)
	}
	d.after = []string{"sh", "-c", "echo unit not found >&2; exit 5"}
	is(t, d.Set(t.Context(), "v2", "v1"), ErrUncertain, "VERSION says v2 now", "sh ended with 5: unit not found", "rollcall pin set index v2 --if-current v2")
	d.after = []string{"touch", "again"}
	if err := d.Set(t.Context(), "v2", "v2"); err != nil {
		t.Fatal(err)
	}
	content(t, filepath.Join(d.dir, "again")) // setting what is set runs the command again
}

const crashOn = "PIN_TEST_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashOn); path != "" {
		d := &fileDriver{subject: versionOf("index"), path: path, key: "v", command: command{timeout: time.Minute}, renaming: func() {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}}
		_ = d.write(context.Background(), "v1", "v0")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAKilledWriterLeavesTheOldFileAndNoLock(t *testing.T) {
	d := fileDriverOn(t, "p.yaml", "v: v0 # live\n", "v")
	for range 2 { // the second finds what the first left
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashOn+"="+d.path)
		if err := cmd.Run(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the writer was not killed: %v", err)
		}
		if got := content(t, d.path); got != "v: v0 # live\n" {
			t.Fatalf("the file is %q", got)
		}
	}
	if err := d.Set(t.Context(), "v1", "v0"); err != nil || content(t, d.path) != "v: v1 # live\n" {
		t.Fatalf("the next one could not write: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(d.path))
	if err != nil || len(left) != 2 {
		t.Errorf("there lie %v", left)
	}
}

func TestALockThatIsHeldForLongIsNamed(t *testing.T) {
	d := fileDriverOn(t, "p.yaml", "v: v0\n", "v")
	unlock, err := lockBeside(t.Context(), d.path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	d.timeout = 50 * time.Millisecond
	if err := d.Set(t.Context(), "v1", "v0"); err == nil || !strings.Contains(err.Error(), "somebody holds the lock "+d.path+".lock") {
		t.Errorf("got %v", err)
	}
}

func FuzzFindNeverLosesItsPlace(f *testing.F) {
	for _, s := range []string{"v: a\n", "{\"v\": \"a\"}", "v: 'a' # x\r\nw: 1", "é: {v: b}\nv: \"x\\ty\""} {
		f.Add([]byte(s), "b-2")
	}
	f.Fuzz(func(t *testing.T, src []byte, version string) {
		if checkName(version) != nil {
			return
		}
		for _, kind := range []fileKind{yamlFile, jsonFile, plainText} {
			p, err := find(kind, src, map[fileKind]string{plainText: ""}[kind]+strings.Repeat("v", min(1, int(kind))))
			if err != nil || checkName(p.value) != nil {
				continue
			}
			out, err := p.replace(src, version)
			if err != nil {
				continue
			}
			if string(out[:p.start]) != string(src[:p.start]) || !strings.HasSuffix(string(out), string(src[p.end:])) {
				t.Errorf("something else changed: %q became %q", src, out)
			}
			if kind == jsonFile && !json.Valid(out) {
				t.Errorf("%q is no JSON", out)
			}
		}
	})
}
