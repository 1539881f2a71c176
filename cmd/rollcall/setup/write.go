package setup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrThere says that the file exists.
var ErrThere = errors.New("it is there already")

// Write writes the file whole or not at all, for its owner. Without force a file
// that is there stays as it is (ErrThere); with force the old one is kept beside
// it, and its name returned.
func Write(path, text string, force bool) (kept string, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the file, where a link leads to it
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("%s cannot be made: %w; name another file with --out", dir, cause(err))
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return "", fmt.Errorf("%s cannot be written to: %w; name another file with --out", dir, cause(err))
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, werr := io.WriteString(f, text)
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("%s cannot be written: %w; free some space, or name another file with --out", path, cause(err))
	}
	if !force {
		// A link, unlike a renaming, never takes the place of a file that has just come.
		err := os.Link(f.Name(), path)
		switch {
		case errors.Is(err, fs.ErrExist):
			return "", fmt.Errorf("%s: %w", path, ErrThere)
		case err == nil:
			return "", nil
		}
		if _, serr := os.Lstat(path); serr == nil {
			return "", fmt.Errorf("%s: %w", path, ErrThere)
		}
	} else if st, err := os.Stat(path); err == nil {
		if !st.Mode().IsRegular() {
			return "", fmt.Errorf("%s is no regular file; name another with --out", path)
		}
		kept = path + ".old"
		if err := keep(path, kept); err != nil {
			return "", fmt.Errorf("the old %s cannot be kept: %w; move it away", path, cause(err))
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", fmt.Errorf("%s cannot be written: %w; name another file with --out", path, cause(err))
	}
	return kept, nil
}

// keep copies a file beside itself, for its owner.
func keep(path, to string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(old)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

const (
	maxOld   = 1 << 20
	maxLines = 2000
)

// Difference says which lines a new text takes from what is at path and which it
// adds, remarks left out: "- refresh: 5s", "+ refresh: 15s".
func Difference(path, text string) ([]string, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	old, err := io.ReadAll(io.LimitReader(f, maxOld))
	if err != nil {
		return nil, err
	}
	a, b := meaning(string(old)), meaning(text)
	// Longest common subsequence, from the end.
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if n[i][j] = max(n[i+1][j], n[i][j+1]); a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && n[i+1][j] >= n[i][j+1]:
			out = append(out, "- "+line(a[i]))
			i++
		default:
			out = append(out, "+ "+line(b[j]))
			j++
		}
	}
	return out, nil
}

// meaning are the lines without remarks.
func meaning(text string) []string {
	var out []string
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, " \t\r\n")
		if i := strings.Index(l, " #"); i >= 0 && strings.Count(l[:i], "'")%2 == 0 && strings.Count(l[:i], `"`)%2 == 0 {
			l = strings.TrimRight(l[:i], " ")
		}
		if t := strings.TrimSpace(l); t != "" && t[0] != '#' && len(out) < maxLines {
			out = append(out, l)
		}
	}
	return out
}
