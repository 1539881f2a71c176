package app

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// lease says who watches a service: one process at a time, as long as it keeps
// looking. It is a file with the holder's name and the wall time of its last
// look; an flock guards the file only while it is read and written, so that a
// holder that was killed, or now shows the past, loses it by itself.
type lease struct {
	path string
	name string // of this holder
	term time.Duration
	// yields: this holder looks only so that somebody does. One who shows what
	// it reads to a person takes the lease from it at once.
	yields bool

	mu sync.Mutex
}

type holding struct {
	Holder string    `json:"holder"`
	Yields bool      `json:"yields,omitempty"`
	Looked time.Time `json:"looked"` // wall time
}

// newLease makes the lease on watching a service. term is how long a holder may
// not look before somebody else may.
func newLease(state, service string, term time.Duration, yields bool) *lease {
	return &lease{
		path: filepath.Join(state, "watch", url.PathEscape(service)+".lock"),
		name: fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()), term: term, yields: yields,
	}
}

// take makes or keeps this holder the one who watches; false while another does.
func (l *lease) take(wall time.Time) (bool, error) {
	return l.with(func(f *os.File, h holding) (bool, error) {
		age := wall.Sub(h.Looked)
		// A time in the future is that of a clock that jumped back: it does not count.
		fresh := age < l.term && age > -l.term
		if h.Holder != "" && h.Holder != l.name && fresh && (l.yields || !h.Yields) {
			return false, nil
		}
		return true, put(f, holding{l.name, l.yields, wall})
	})
}

// drop lets somebody else watch at once.
func (l *lease) drop() {
	_, _ = l.with(func(f *os.File, h holding) (bool, error) {
		if h.Holder != l.name {
			return false, nil
		}
		return true, put(f, holding{})
	})
}

func (l *lease) with(do func(*os.File, holding) (bool, error)) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close() // and with it the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil // somebody is taking it at this moment
		}
		return false, fmt.Errorf("lock %s: %w", l.path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return false, err
	}
	var h holding
	_ = json.Unmarshal(text, &h) // a half-written one is nobody's
	return do(f, h)
}

func put(f *os.File, h holding) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	return err
}
