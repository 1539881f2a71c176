package runbooks

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed library/*.md
var library embed.FS

// maxFiles is how many runbooks one folder may hold.
const maxFiles = 1000

// Load reads the shipped runbooks and those of the given folders (not of folders
// in them), and lints them. A runbook of a folder takes the place of a shipped
// one with the same ID. What cannot be read or parsed is listed with its
// problems. The list is in the order of IDs, broken files last.
func Load(dirs []string, k Known) []Listing {
	var all []Listing
	ids := map[string]int{}
	add := func(l Listing, shipped bool) {
		if l.Runbook == nil {
			all = append(all, l)
			return
		}
		if k.Rehearsed != nil {
			if r, ok := k.Rehearsed(l.Runbook.ID); ok {
				l.Rehearsed = r.At
			}
		}
		at, taken := ids[l.Runbook.ID]
		switch {
		case !taken:
			ids[l.Runbook.ID] = len(all)
			all = append(all, l)
		case !shipped && strings.HasPrefix(all[at].File, "library/"):
			all[at] = l
		default:
			l.Problems = append(l.Problems, Problem{
				File: l.File, Line: 1, Column: 1,
				Message: fmt.Sprintf("the id %s is taken by %s; choose another", l.Runbook.ID, all[at].File),
			})
			l.Runbook = nil
			all = append(all, l)
		}
	}
	shipped, _ := fs.Glob(library, "library/*.md") // the pattern is right
	for _, name := range shipped {
		src, err := library.ReadFile(name)
		add(listing(name, src, err, k), true)
	}
	for _, dir := range dirs {
		names, err := Files(dir)
		if err != nil {
			add(unreadable(dir, err), false)
		}
		for _, name := range names {
			add(LoadFile(name, k), false)
		}
	}
	slices.SortStableFunc(all, func(a, b Listing) int {
		if (a.Runbook == nil) != (b.Runbook == nil) {
			if a.Runbook != nil {
				return -1
			}
			return 1
		}
		if a.Runbook == nil {
			return cmp.Compare(a.File, b.File)
		}
		return cmp.Compare(a.Runbook.ID, b.Runbook.ID)
	})
	return all
}

// LoadFile reads and lints one file.
func LoadFile(name string, k Known) Listing {
	src, err := readFile(name)
	return listing(name, src, err, k)
}

func listing(name string, src []byte, err error, k Known) Listing {
	if err != nil {
		return unreadable(name, err)
	}
	rb, problems := Parse(name, src)
	if rb != nil {
		problems = Lint(rb, k)
	}
	return Listing{Runbook: rb, File: name, Problems: problems}
}

func unreadable(name string, err error) Listing {
	return Listing{File: name, Problems: []Problem{{File: name, Message: plainError(err)}}}
}

func plainError(err error) string {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file or folder; check the path, or runbooks: {dirs: [...]} in the configuration"
	case errors.As(err, &pe):
		return "cannot be read: " + pe.Err.Error()
	}
	return err.Error()
}

// Files lists the Markdown files of a folder; a README explains, it is no runbook.
func Files(dir string) ([]string, error) {
	d, err := os.Open(dir) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(10 * maxFiles)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if strings.EqualFold(path.Ext(n), ".md") && !strings.HasPrefix(n, ".") && !strings.EqualFold(n, "README.md") {
			out = append(out, filepath.Join(dir, n))
		}
	}
	slices.Sort(out)
	if len(out) > maxFiles {
		return out[:maxFiles], fmt.Errorf("holds more than %d Markdown files; the rest is not read; keep runbooks in a folder of their own", maxFiles)
	}
	return out, nil
}

// readFile reads a regular file of bounded size: opening a pipe would wait for its writer.
func readFile(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("is no regular file; name a Markdown file")
	}
	f, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1)) // Parse says that it is too large
}

// Config is the `runbooks:` section of the configuration.
type Config struct {
	// Dirs are folders with runbooks of one's own; relative ones count from the
	// configuration file's folder. The folder runbooks beside that file is read as well.
	Dirs []string `yaml:"dirs"`
}
