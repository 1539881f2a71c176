package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// The ways in which the file can fail, and the ways in which a caller can be
// wrong. Each comes wrapped in one line that says what to do.
var (
	ErrLocked   = errors.New("locked by another process")
	ErrReadOnly = errors.New("cannot be written")
	ErrFull     = errors.New("no room to write")
	ErrDamaged  = errors.New("damaged")
	ErrNewer    = errors.New("written by a newer version")
	ErrClosed   = errors.New("closed")
	ErrUnknown  = errors.New("not in the journal")
	ErrRefused  = errors.New("refused")
)

// trouble is a failure of the file: what, why, and what to do.
type trouble struct {
	path   string
	kind   error
	cause  error
	remedy string
}

func (t *trouble) Error() string {
	s := fmt.Sprintf("the journal %s is %s", t.path, t.kind)
	switch {
	case errors.Is(t.kind, ErrReadOnly):
		s = fmt.Sprintf("the journal %s cannot be written", t.path)
	case errors.Is(t.kind, ErrFull):
		s = fmt.Sprintf("there is no room to write the journal %s", t.path)
	}
	if t.cause != nil {
		s += " (" + reason(t.cause) + ")"
	}
	return s + "; " + t.remedy
}

func (t *trouble) Unwrap() []error { return []error{t.kind, t.cause} }

// reason is the innermost cause of an error about a path that is named anyway.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// explain turns an error of SQLite or of the file system into one that says
// which file it is about and what to do.
func explain(path string, err error) error {
	var known *trouble
	var code sqlite3.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, ErrUnknown), errors.Is(err, ErrRefused), errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return &trouble{path, ErrFull, err, "free some space on its disk; what was written before is safe"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &trouble{path, ErrReadOnly, err, "give yourself write access to the file and its folder, or set state: to a folder you own"}
	case !errors.As(err, &code):
		return fmt.Errorf("the journal %s: %w", path, err)
	}
	switch code.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return &trouble{path, ErrLocked, nil, "end the program that holds it (a database browser, a backup?) and try again"}
	case sqlite3.ErrFull:
		return &trouble{path, ErrFull, err, "free some space on its disk; what was written before is safe"}
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen, sqlite3.ErrAuth:
		return &trouble{path, ErrReadOnly, err, "give yourself write access to the file and its folder, or set state: to a folder you own"}
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return damaged(path, err)
	case sqlite3.ErrIoErr:
		switch code.SystemErrno {
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
			return &trouble{path, ErrFull, code.SystemErrno, "free some space on its disk; what was written before is safe"}
		case syscall.EROFS, syscall.EACCES, syscall.EPERM:
			return &trouble{path, ErrReadOnly, code.SystemErrno, "give yourself write access to the file and its folder, or set state: to a folder you own"}
		}
		if code.ExtendedCode == sqlite3.ErrIoErrShortRead {
			return damaged(path, err)
		}
		return fmt.Errorf("the journal %s: %w; look at the disk (dmesg) before writing on", path, err)
	}
	return fmt.Errorf("the journal %s: %w", path, err)
}

func damaged(path string, err error) error {
	return &trouble{path, ErrDamaged, err, "keep the file, and put a backup in its place (rollcall journal backup makes them), or move it aside to begin a new one"}
}

// busy tells whether another process holds the lock, so that trying again may help.
func busy(err error) bool {
	var code sqlite3.Error
	return errors.As(err, &code) && (code.Code == sqlite3.ErrBusy || code.Code == sqlite3.ErrLocked)
}
