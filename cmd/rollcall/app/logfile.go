package app

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// maxLog is when the log starts anew; the one before it is kept beside it.
const maxLog = 4 << 20

// logFile is an append-only file of bounded size. Several processes may write
// to the same one: every write is one append.
type logFile struct {
	mu   sync.Mutex
	path string
	f    *os.File
	n    int64
}

// openLog opens dir/name for appending and returns a logger on it. A log that
// cannot be written never stops the program: it is left out.
func openLog(dir, name string) (*slog.Logger, io.Closer) {
	l := &logFile{path: filepath.Join(dir, name)}
	if err := l.open(); err != nil {
		return slog.New(slog.DiscardHandler), io.NopCloser(nil)
	}
	h := slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo})
	return slog.New(h).With("pid", os.Getpid()), l
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.f, l.n = f, st.Size()
	return nil
}

// Write appends one record.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return len(p), nil
	}
	if l.n+int64(len(p)) > maxLog {
		l.rotate()
		if l.f == nil {
			return len(p), nil
		}
	}
	n, err := l.f.Write(p)
	l.n += int64(n)
	return n, err
}

func (l *logFile) rotate() {
	_ = l.f.Close()
	l.f = nil
	// Another process may have just done it: then the file is small again.
	if st, err := os.Stat(l.path); err == nil && st.Size() > maxLog/2 {
		_ = os.Rename(l.path, l.path+".1")
	}
	_ = l.open()
}

// Close closes the file; later records are dropped.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// makeState creates the state folder, for its owner only.
func makeState(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the state folder %s cannot be made: %w; set state: or XDG_STATE_HOME to a folder you own", dir, cause(err))
	}
	return nil
}
