package recorder

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// ErrGone: the recorder died before the command had ended, and nobody knows how it did.
var ErrGone = errors.New("its recorder is gone")

// Attempt is one command as the process sees it that started its recorder, or
// that comes back to it later.
type Attempt struct {
	dir    string
	exited <-chan struct{} // of the recorder, in the process that started it; nil elsewhere
	offset int64
}

// Start starts a recorder for a command in a new folder. self is the program
// that calls Main, with its arguments before the folder; env is the command's.
func Start(dir string, spec Spec, self, env []string) (*Attempt, error) {
	if spec.Grace <= 0 {
		spec.Grace = DefaultGrace
	}
	if spec.MaxLines <= 0 {
		spec.MaxLines = DefaultMaxLines
	}
	if spec.MaxBytes <= 0 {
		spec.MaxBytes = DefaultMaxBytes
	}
	spec.Token = rand.Text()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := errors.Join(writeDurable(dir, specFile, spec), syncDir(filepath.Dir(dir))); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	// Held from before the recorder exists: at no time does a living one look dead.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(self[0], append(slices.Clone(self[1:]), dir)...) //nolint:noctx // it outlives whoever started it
	cmd.Env = append(slices.Clone(env), EnvAttempt+"="+spec.Token)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the recorder cannot be started: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return &Attempt{dir: dir, exited: exited}, nil
}

// Open returns an attempt that some process started, and whether it ever was.
func Open(dir string) (*Attempt, bool) {
	_, err := os.Stat(filepath.Join(dir, specFile))
	return &Attempt{dir: dir}, err == nil
}

// Alive tells whether the recorder lives.
func (a *Attempt) Alive() bool {
	f, err := os.OpenFile(filepath.Join(a.dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// Identity tells who runs the command; false when it never began.
func (a *Attempt) Identity() (Identity, bool) {
	var id Identity
	ok, err := readJSON(filepath.Join(a.dir, processFile), &id)
	return id, ok && err == nil
}

// Result tells how the command ended; false when that is not known, or not yet.
func (a *Attempt) Result() (Result, bool) {
	var r Result
	ok, err := readJSON(filepath.Join(a.dir, resultFile), &r)
	return r, ok && err == nil
}

// Read returns the lines since the last call. They are durable when it returns.
func (a *Attempt) Read() ([]Line, error) {
	f, err := os.OpenFile(filepath.Join(a.dir, spoolFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil || st.Size() <= a.offset {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, a.offset, st.Size()-a.offset))
	if err != nil {
		return nil, err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	if len(b) == 0 {
		return nil, nil
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	var out []Line
	for row := range bytes.Lines(b) {
		var l Line
		if json.Unmarshal(row, &l) == nil {
			out = append(out, l)
		}
	}
	a.offset += int64(len(b))
	return out, nil
}

// All returns every line in the spool, whatever was read before.
func (a *Attempt) All() ([]Line, error) {
	whole := Attempt{dir: a.dir}
	return whole.Read()
}

const (
	poll      = 25 * time.Millisecond
	lookAlive = 20 // polls between two looks at whether the recorder lives
)

// Follow tells of lines and of who runs the command until it has ended. It
// returns ErrGone when the recorder died, and ctx's error when that ended;
// the command then goes on.
func (a *Attempt) Follow(ctx context.Context, began func(Identity), lines func([]Line)) (Result, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	exited := a.exited
	known := false
	for i := 0; ; i++ {
		if !known {
			if id, ok := a.Identity(); ok {
				known = true
				began(id)
			}
		}
		// In this order: what has a result has written all its lines.
		gone := exited == nil && i%lookAlive == 0 && !a.Alive()
		res, ended := a.Result()
		got, err := a.Read()
		if err != nil {
			return Result{}, err
		}
		if len(got) > 0 {
			lines(got)
		}
		switch {
		case ended:
			return res, nil
		case gone:
			return Result{}, ErrGone
		}
		select {
		case <-tick.C:
		case <-exited:
			exited, i = nil, -1 // look once more, then it is known to be gone
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
}

// Cancel asks the recorder to end the command: politely, then by force.
func (a *Attempt) Cancel() {
	if id, ok := a.Identity(); ok && same(id.Recorder, id.RecorderStart, id.Boot) {
		_ = syscall.Kill(id.Recorder, syscall.SIGTERM)
	}
}

// Clear makes sure that nothing of an attempt lives whose recorder is dead, and
// returns how many processes it had to end. id may come from elsewhere when the
// folder has none.
func (a *Attempt) Clear(ctx context.Context, grace time.Duration) (int, error) {
	id, ok := a.Identity()
	if !ok {
		return 0, nil
	}
	return Clear(ctx, id, grace)
}

// Clear ends the processes of an attempt and waits until they are gone.
func Clear(ctx context.Context, id Identity, grace time.Duration) (int, error) {
	if grace <= 0 {
		grace = DefaultGrace
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	began := time.Now()
	seen := map[int]bool{}
	for {
		left := living(id)
		if len(left) == 0 {
			return len(seen), nil
		}
		sig := syscall.SIGTERM
		if time.Since(began) > grace {
			sig = syscall.SIGKILL
		}
		if time.Since(began) > 4*grace {
			return len(seen), fmt.Errorf("process %d of the old attempt does not end; end it by hand and resume again", left[0])
		}
		for _, pid := range left {
			if !seen[pid] || sig == syscall.SIGKILL {
				_ = syscall.Kill(pid, sig)
			}
			seen[pid] = true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return len(seen), ctx.Err()
		}
	}
}
