package cases

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFolderIsWrittenForItsOwnerAndNeverOverSomethingElse(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "evals", "cases-INC-1")
	b := newBook(t, "correctness")
	b.captured("req-1", failed("x"), chat("q", "x"))
	files, err := b.must(Options{Formats: Formats()}).Files()
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, files, false); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		fi, e := d.Info()
		if err != nil || e != nil {
			return errors.Join(err, e)
		}
		if want := fs.FileMode(0o600); !d.IsDir() && fi.Mode().Perm() != want || d.IsDir() && fi.Mode().Perm() != 0o700 {
			t.Errorf("%s has the mode %v", path, fi.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, files, false); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "add --force") {
		t.Errorf("a second time: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "stale"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, files[:3], true); err != nil {
		t.Errorf("by force: %v", err)
	}
	for _, gone := range []string{"stale", "promptfoo"} {
		if _, err := os.Stat(filepath.Join(dir, gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", gone)
		}
	}
	other := filepath.Join(base, "mine")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(other, files, false); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(other, LossesFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(other, files, true); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "holds something else") {
		t.Errorf("a folder of somebody else, by force: %v", err)
	}
	if err := Write(filepath.Join(other, LossesFile), files, true); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
	list, err := os.ReadDir(filepath.Join(base, "evals"))
	if err != nil || len(list) != 1 {
		t.Errorf("left behind: %v (%v)", list, err)
	}
}

func TestASchemaIsCheckedByTheKeywordsThatItHas(t *testing.T) {
	for _, tc := range []struct{ schema, right, wrong string }{
		{`{"type":["string","null"]}`, `null`, `1`},
		{`{"type":"integer","minimum":1,"maximum":1e2}`, `100`, `100.5`},
		{`{"maximum":0.1}`, `0.1`, `0.10000000000000000001`},
		{`{"enum":[1,"a",{"b":[null]}]}`, `{"b":[null]}`, `{"b":[]}`},
		{`{"enum":[1]}`, `1.0`, `true`},
		{`{"minLength":2,"maxLength":2}`, `"üß"`, `"ü"`},
		{`{"pattern":"^a+$"}`, `"aa"`, `"ab"`},
		{`{"items":{"type":"object","required":["x"]},"minItems":1}`, `[{"x":1}]`, `[{"x":1},{}]`},
		{`{"properties":{"a":{}},"additionalProperties":false}`, `{"a":1}`, `{"a":1,"b":2}`},
		{`{"type":"number"}`, `1e999999`, `"1"`},
	} {
		e := Expectation{Kind: ExpectJSON, Schema: []byte(tc.schema)}
		if fails, says := e.prove(observed{answer: tc.right}); fails {
			t.Errorf("%s does not fit %s: %s", tc.right, tc.schema, says)
		}
		if fails, _ := e.prove(observed{answer: tc.wrong}); !fails {
			t.Errorf("%s fits %s", tc.wrong, tc.schema)
		}
	}
}
