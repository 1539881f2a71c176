package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrExists means that there is something where an export was to be written.
var ErrExists = errors.New("is there already")

// Write puts the files into a folder, all or none. A folder that has anything in it is
// refused; with force one that was written here is replaced as a whole, and no other.
func Write(dir string, files []File, force bool) (err error) {
	dir = filepath.Clean(dir)
	old, err := occupied(dir)
	if err != nil {
		return err
	}
	if old && !force {
		return fmt.Errorf("%s %w; add --force to write it anew, or name another folder with -d", dir, ErrExists)
	}
	if old && !Ours(dir) {
		return fmt.Errorf("%s %w and holds something else than exported cases; name another folder with -d", dir, ErrExists)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return trouble(dir, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*") // 0700
	if err != nil {
		return trouble(dir, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for _, f := range files {
		if err := put(filepath.Join(tmp, "new", filepath.FromSlash(f.Path)), f.Body); err != nil {
			return trouble(dir, err)
		}
	}
	was := filepath.Join(tmp, "old")
	moved := false
	if err := os.Rename(dir, was); err == nil {
		moved = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return trouble(dir, err)
	}
	if err := os.Rename(filepath.Join(tmp, "new"), dir); err != nil {
		if moved {
			err = errors.Join(err, os.Rename(was, dir))
		}
		return trouble(dir, err)
	}
	return nil
}

// occupied tells whether there is anything at a path but an empty folder.
func occupied(dir string) (bool, error) {
	list, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return true, trouble(dir, err)
	}
	return len(list) > 0, nil
}

// Ours tells whether a folder was written here.
func Ours(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, LossesFile))
	var m manifest
	return err == nil && json.Unmarshal(text, &m) == nil && m.Schema == Schema
}

func put(path string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	return errors.Join(err, f.Sync(), f.Close())
}

func trouble(dir string, err error) error {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		err = pe.Err
	case errors.As(err, &le):
		err = le.Err
	}
	return fmt.Errorf("%s cannot be written: %w; name a folder you own with -d, or free some space", dir, err)
}

// Done is an export that was written.
type Done struct {
	*Export
	Dir        string
	Files      []string // below Dir
	Seq        int64    // the journal entry of it
	Unrecorded string   // why there is no entry; empty when there is one
}
