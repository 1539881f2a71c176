package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	maxFile   = 4 << 20
	lockRetry = 20 * time.Millisecond
)

// fileDriver keeps the version in a file that the service reads.
type fileDriver struct {
	subject
	path  string
	key   string
	after []string
	command
	// renaming is called before the new file takes the old one's place; tests end the process there.
	renaming func()
}

// pinFile is the file as it was read.
type pinFile struct {
	path string // where symbolic links lead
	info fs.FileInfo
	text []byte
	at   place
}

func (d *fileDriver) read() (*pinFile, error) {
	f, err := d.open()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read from %s: %w", d.what, text(d.path), err)
	}
	return f, nil
}

func (d *fileDriver) open() (*pinFile, error) {
	path, err := filepath.EvalSymlinks(d.path)
	if err != nil {
		return nil, unreadable(err)
	}
	// A pipe would block the open.
	if info, err := os.Stat(path); err != nil {
		return nil, unreadable(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file; check path")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = f.Close() }()
	out := &pinFile{path: path}
	if out.info, err = f.Stat(); err != nil {
		return nil, unreadable(err)
	}
	if out.text, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, unreadable(err)
	}
	if len(out.text) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB; this is no file of versions", maxFile>>20)
	}
	if out.at, err = find(kindOf(d.path), out.text, d.key); err != nil {
		return nil, err
	}
	if err := checkName(out.at.value); err != nil {
		return nil, fmt.Errorf("the %s there %w", d.noun, err)
	}
	return out, nil
}

func unreadable(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s (%w); check path and its permissions", text(err.Error()), ErrUnreachable)
}

// Get returns the version in the file.
func (d *fileDriver) Get(context.Context) (string, error) {
	f, err := d.read()
	if err != nil {
		return "", err
	}
	return f.at.value, nil
}

// List knows nothing but what is live.
func (d *fileDriver) List(context.Context) ([]Version, error) {
	return nil, fmt.Errorf("the versions of %s are %w: a file holds only the live one", d.what, ErrUnknown)
}

// Set writes the version under a lock and runs the command that makes the service read it.
func (d *fileDriver) Set(ctx context.Context, version, current string) error {
	if err := d.write(ctx, version, current); err != nil {
		return err
	}
	if d.after == nil {
		return nil
	}
	if _, err := d.output(ctx, fillWords(d.after, d.variable(), version, "CURRENT", current)); err != nil {
		return fmt.Errorf("%s says %s now, but whether the service reads it is open (%w): %w; run the after command by hand, or again with: %s %s %s --if-current %s",
			text(filepath.Base(d.path)), version, ErrUncertain, err, d.move, d.what, version, version)
	}
	return nil
}

func (d *fileDriver) write(ctx context.Context, version, current string) error {
	path, err := filepath.EvalSymlinks(d.path)
	if err != nil {
		return fmt.Errorf("%s cannot be read from %s: %w", d.what, text(d.path), unreadable(err))
	}
	unlock, err := lockBeside(ctx, path, d.timeout)
	if err != nil {
		return fmt.Errorf("%s was not moved: %w", d.what, err)
	}
	defer unlock()
	f, err := d.read()
	switch {
	case err != nil:
		return err
	case !d.same(f.at.value, current):
		return &NotCurrent{What: d.what, Expected: current, Now: f.at.value}
	case d.same(version, f.at.value):
		return nil // the after command may still be wanted
	}
	changed, err := f.at.replace(f.text, version)
	if err == nil {
		var again place
		if again, err = find(kindOf(d.path), changed, d.key); err == nil && !d.same(again.value, version) {
			err = fmt.Errorf("%s would be read back as %s", version, text(again.value))
		}
	}
	if err != nil {
		return fmt.Errorf("%s was not moved: %s: %w", d.what, text(d.path), err)
	}
	if err := f.swap(changed, d.renaming); err != nil {
		if errors.Is(err, errChanged) {
			now, rerr := d.Get(ctx)
			if rerr == nil && !d.same(now, current) {
				return &NotCurrent{What: d.what, Expected: current, Now: now}
			}
			return fmt.Errorf("%s was not moved: %s was written meanwhile, %w; try again", d.what, text(d.path), ErrMoved)
		}
		return fmt.Errorf("%s was not moved: %s: %w", d.what, text(d.path), err)
	}
	return nil
}

// lockBeside takes an flock on a file beside path, which outlives the renaming of
// path itself. The kernel lets go of it however the process ends.
func lockBeside(ctx context.Context, path string, timeout time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the lock %s cannot be made: %s; the folder must be writable for you", text(path+".lock"), text(pathReason(err)))
	}
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("the lock %s cannot be taken: %w; is it on a file system with locks?", text(path+".lock"), err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("somebody holds the lock %s for over %s; see who with: fuser %s", text(path+".lock"), timeout, text(path+".lock"))
		case <-tick.C:
		}
	}
}

func pathReason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

var errChanged = errors.New("the file changed")

// swap puts a new file in the place of the old one: whole or not at all, with the same owner and mode.
func (f *pinFile) swap(changed []byte, renaming func()) error {
	dir, name := filepath.Split(f.path)
	temp := filepath.Join(dir, "."+name+".rollcall")
	// Under the lock nobody else writes it: what lies there was left by a crash.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("an old %s is in the way: %s", text(temp), text(pathReason(err)))
	}
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("a new file cannot be written beside it: %s", text(pathReason(err)))
	}
	done := false
	defer func() {
		_ = out.Close()
		if !done {
			_ = os.Remove(temp)
		}
	}()
	if st, ok := f.info.Sys().(*syscall.Stat_t); ok {
		mine, err := out.Stat()
		if err != nil {
			return err
		}
		if m, ok := mine.Sys().(*syscall.Stat_t); ok && (m.Uid != st.Uid || m.Gid != st.Gid) {
			if err := out.Chown(int(st.Uid), int(st.Gid)); err != nil {
				return fmt.Errorf("its owner could not be kept (%s); run this as the file's owner", text(pathReason(err)))
			}
		}
	}
	if err := out.Chmod(f.info.Mode().Perm()); err != nil {
		return fmt.Errorf("its mode could not be kept: %s", text(pathReason(err)))
	}
	_, err = out.Write(changed)
	if err == nil {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("the new file cannot be written: %s", text(pathReason(err)))
	}
	// Not everybody takes the lock: an editor does not.
	if now, err := os.ReadFile(f.path); err != nil || !bytes.Equal(now, f.text) {
		return errChanged
	}
	if renaming != nil {
		renaming()
	}
	if err := os.Rename(temp, f.path); err != nil {
		return fmt.Errorf("the new file cannot take its place: %s", text(err.Error()))
	}
	done = true
	if d, err := os.Open(strings.TrimSuffix(dir, "/") + "/"); err == nil {
		_ = d.Sync() // the rename is done; a file system that cannot sync folders has its own ways
		_ = d.Close()
	}
	return nil
}
