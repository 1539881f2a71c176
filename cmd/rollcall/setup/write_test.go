package setup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAFileThatIsThereIsNeverWrittenOverUnasked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "rollcall.yaml")
	if _, err := Write(path, "one\n", false); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s is %v (%v), want %v", file, st.Mode(), err, want)
		}
	}
	if _, err := Write(path, "two\n", false); !errors.Is(err, ErrThere) {
		t.Errorf("a second writing ends with %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "one\n" {
		t.Errorf("the file is now %q", b)
	}
	kept, err := Write(path, "two\n", true)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "two\n" {
		t.Errorf("the file is %q", b)
	}
	if b, _ := os.ReadFile(kept); string(b) != "one\n" {
		t.Errorf("the old one is %q", b)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 2 {
		t.Errorf("the folder holds %v", left)
	}
}

func TestAFileBehindALinkIsWrittenAndTheLinkStays(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "link.yaml")
	if err := errors.Join(os.WriteFile(real, []byte("one\n"), 0o600), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(link, "two\n", true); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(real)
	if to, err := os.Readlink(link); err != nil || to != real || string(b) != "two\n" {
		t.Errorf("the link leads to %q (%v), which holds %q", to, err, b)
	}
}

func TestTheDifferenceLeavesRemarksOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	old := "# old remark\na: 1   # why\nb: '{x=\"#\"}'\nc: 3\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Difference(path, "# new\na: 1\nb: '{x=\"#\"}'\nd: 4\x1b[2J\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"- c: 3", "+ d: 4" + line("\x1b[2J")}; !slices.Equal(got, want) {
		t.Errorf("the difference is %q, want %q", got, want)
	}
}

func TestAFolderThatCannotBeWrittenIsNamedWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Write(filepath.Join(file, "rollcall.yaml"), "x", false)
	if err == nil {
		t.Fatal("a file was written into a file")
	}
	mentions(t, "the error", err.Error(), file, "--out")
}
