package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver

	"rollcall/sources"
)

const (
	// lockWait is how long a call tries to get past another process's lock.
	lockWait = 10 * time.Second
	// lockTry is how long SQLite itself waits before a call looks at its context again.
	lockTry = 250 * time.Millisecond
	// logPages is how long the log grows before it is written over from its beginning: an
	// append that makes a file longer costs a half more than one that does not.
	logPages = 256
)

// Options are what a journal is opened with.
type Options struct {
	Clock sources.Clock // needed
	// Redact makes free text safe to store. It is needed unless ReadOnly.
	Redact func(string) string
	Actor  string // who acts: login name, or the user of an SSH key
	Origin string // "console", "cli", "collect", "run"
	// ReadOnly never writes, and opens files that cannot be written.
	ReadOnly bool
	Log      *slog.Logger // nil discards
}

// Journal is one author's handle on a journal. It is safe for concurrent use,
// also by several processes at once.
type Journal struct {
	*file
	actor, origin string
}

// file is the open database that the handles of several authors share.
type file struct {
	path   string
	id     string
	clock  sources.Clock
	redact func(string) string
	log    *slog.Logger
	wait   time.Duration // lockWait; tests make it short

	w *sql.DB // the one connection that writes; nil when reading only
	r *sql.DB // connections that read

	watch watchers

	mu     sync.Mutex
	closed bool
}

// limits are the bounds that tests make small.
type limits struct {
	wait  time.Duration
	pages int // of the file; 0 is SQLite's own
}

// Open opens the journal at path, creating it with its folder when need be. It
// waits at most ten seconds for another process's lock.
//
// Errors: ErrReadOnly when it cannot be written (open it with ReadOnly to look
// at it), ErrLocked, ErrFull, ErrDamaged, ErrNewer.
func Open(ctx context.Context, path string, o Options) (*Journal, error) {
	return open(ctx, path, o, limits{wait: lockWait})
}

func open(ctx context.Context, path string, o Options, lim limits) (*Journal, error) {
	switch {
	case o.Clock == nil:
		return nil, errors.New("the journal needs a clock")
	case o.Redact == nil && !o.ReadOnly:
		return nil, errors.New("the journal needs a redactor: free text is never stored as it came")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &file{path: path, clock: o.Clock, redact: o.Redact, log: o.Log, wait: lim.wait}
	f.watch.file = f
	var err error
	if o.ReadOnly {
		err = f.openReading(ctx)
	} else {
		err = f.openWriting(ctx, lim.pages)
	}
	if err != nil {
		_ = f.close()
		return nil, explain(path, err)
	}
	return &Journal{file: f, actor: o.Actor, origin: o.Origin}, nil
}

// As returns a handle whose entries have another author. It shares the open
// file: closing either closes both.
func (j *Journal) As(actor, origin string) *Journal {
	return &Journal{file: j.file, actor: actor, origin: origin}
}

// Path is where the journal is.
func (j *Journal) Path() string { return j.path }

// ID tells this journal from every other, by 32 hex digits. A backup has the ID of its original.
func (j *Journal) ID() string { return j.id }

// Close closes the file. What was appended is safe without it.
func (j *Journal) Close() error {
	j.watch.close()
	return j.close()
}

func (f *file) close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	f.mu.Unlock()
	var err error
	if f.r != nil {
		err = f.r.Close()
	}
	if f.w != nil {
		err = errors.Join(err, f.w.Close())
	}
	return err
}

func (f *file) openWriting(ctx context.Context, pages int) error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	mode, err := modeIn(dir)
	if err != nil {
		return err
	}
	if err := secure(f.path, mode); err != nil {
		return err
	}
	extra := []string{"_journal_mode=WAL", "_synchronous=FULL", "_secure_delete=on", "_txlock=immediate", "_stmt_cache_size=32"}
	if f.w, err = connect(f.path, "rw", extra...); err != nil {
		return err
	}
	f.w.SetMaxOpenConns(1)
	f.w.SetConnMaxLifetime(0)
	err = f.patiently(ctx, func() error {
		if pages > 0 {
			if _, err := f.w.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", pages)); err != nil {
				return err
			}
		}
		if _, err := f.w.ExecContext(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint=%d", logPages)); err != nil {
			return err
		}
		return migrate(ctx, f.path, f.w)
	})
	if err != nil {
		return err
	}
	if mode&0o060 != 0 {
		for _, side := range []string{"-wal", "-shm"} {
			_ = os.Chmod(f.path+side, mode) // SQLite copies the mode, the umask may have cut it
		}
	}
	if f.r, err = connect(f.path, "rw", "_query_only=true", "_stmt_cache_size=32"); err != nil {
		return err
	}
	f.r.SetMaxOpenConns(4)
	return f.readID(ctx)
}

// modeIn is 0600, or 0660 in a folder that a group shares.
func modeIn(dir string) (fs.FileMode, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	if st.Mode()&fs.ModeSetgid != 0 || st.Mode().Perm()&0o020 != 0 {
		return 0o660, nil
	}
	return 0o600, nil
}

// secure creates the file with its mode, and takes away what a copy or a
// careless umask gave to others.
func secure(path string, mode fs.FileMode) error {
	file, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return err
	}
	st, err := file.Stat()
	if err == nil && st.Mode().Perm() != mode && (st.Size() == 0 || st.Mode().Perm()&^mode != 0) {
		err = file.Chmod(mode)
		if errors.Is(err, fs.ErrPermission) {
			err = nil // another member of the group owns it
		}
	}
	return errors.Join(err, file.Close())
}

// openReading opens what can be read without writing anything.
func (f *file) openReading(ctx context.Context) error {
	if _, err := os.Stat(f.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: there is no journal at %s yet; it begins with the first thing recorded", ErrUnknown, f.path)
		}
		return err
	}
	try := func(params ...string) error {
		var err error
		if f.r, err = connect(f.path, "ro", append(params, "_query_only=true", "_stmt_cache_size=32")...); err != nil {
			return err
		}
		f.r.SetMaxOpenConns(4)
		if err = f.patiently(ctx, func() error { return readable(ctx, f.path, f.r) }); err == nil {
			err = f.readID(ctx)
		}
		return err
	}
	err := try()
	if err == nil || !errors.Is(explain(f.path, err), ErrReadOnly) {
		return err
	}
	// SQLite wants to write beside a journal even to read it. Where it cannot and
	// nothing waits in the log, the file alone holds everything.
	_ = f.r.Close()
	if st, serr := os.Stat(f.path + "-wal"); serr == nil && st.Size() > 0 {
		return &trouble{f.path, ErrReadOnly, err, "its newest entries are in " + f.path + "-wal; copy both files to a folder that can be written and open them there"}
	}
	return try("immutable=1")
}

func (f *file) readID(ctx context.Context) error {
	return f.r.QueryRowContext(ctx, "SELECT value FROM meta WHERE name='id'").Scan(&f.id)
}

func connect(path, mode string, params ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := "file:" + (&url.URL{Path: abs}).EscapedPath() + "?mode=" + mode + fmt.Sprintf("&_busy_timeout=%d", lockTry.Milliseconds())
	for _, p := range params {
		dsn += "&" + p
	}
	return sql.Open("sqlite3", dsn)
}

// patiently repeats what another process's lock refused, with growing pauses,
// until it succeeds, ctx ends or lockWait is over.
func (f *file) patiently(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(f.wait)
	pause := 5 * time.Millisecond
	for {
		err := do()
		if err == nil || !busy(err) {
			return err
		}
		if time.Now().After(deadline) {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, lockTry)
	}
}
