package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rollcall/store/journal"
)

const (
	locksDir  = "locks"
	lockTries = 5
	lockPause = 20 * time.Millisecond
)

// holder says who holds a lock. It is for people: the lock itself is the kernel's,
// and ends with its process however that ends.
type holder struct {
	PID     int       `json:"pid"`
	Actor   string    `json:"actor"`
	Run     string    `json:"run,omitempty"`
	Runbook string    `json:"runbook,omitempty"`
	Since   time.Time `json:"since"` // service time
}

type lock struct{ f *os.File }

func (l *lock) release() {
	if l != nil && l.f != nil {
		_ = l.f.Close()
		l.f = nil
	}
}

// locks are several that are held together.
type locks []*lock

func (l locks) release() {
	for _, one := range l {
		one.release()
	}
}

func (l locks) write(h holder) {
	for _, one := range l {
		one.write(h)
	}
}

func (l *lock) write(h holder) {
	b, err := json.Marshal(h)
	if err == nil && l.f.Truncate(0) == nil {
		_, _ = l.f.WriteAt(b, 0)
	}
}

var errHeld = errors.New("held")

// lockFile takes a lock, or returns who has it with errHeld.
func lockFile(path string) (*lock, holder, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, holder{}, fmt.Errorf("the lock of the run cannot be made: %w; make the state folder writable", err)
	}
	for try := 0; ; try++ {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil || try == lockTries {
			break
		}
		time.Sleep(lockPause) // somebody may just be looking whether it is held
	}
	if err != nil {
		var h holder
		b, _ := io.ReadAll(io.LimitReader(f, 4096))
		_ = json.Unmarshal(b, &h)
		_ = f.Close()
		return nil, h, errHeld
	}
	return &lock{f}, holder{}, nil
}

// placeKeys is what only one run at a time may act on: a component and settings of
// a service in an environment, or the runbook itself where it moves none. They are
// in one order for everybody, so that two who take several cannot block each other.
func placeKeys(runbook string, m moving, t Target) []string {
	where := "live"
	if t.Rehearsal {
		where = "rehearsal"
	}
	key := func(kind, name string) string {
		return strings.Join([]string{t.Service, t.Environment, where, kind, name}, "\x00")
	}
	var keys []string
	if m.component != "" {
		keys = append(keys, key("component", string(m.component)))
	}
	for _, name := range m.settings {
		keys = append(keys, key("setting", name))
	}
	if len(keys) == 0 {
		keys = []string{key("runbook", runbook)}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (e *Engine) lockPath(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(e.Dir, locksDir, kind+"-"+hex.EncodeToString(sum[:8]))
}

// take locks what a run acts on.
func (e *Engine) take(key string) (*lock, error) {
	l, h, err := lockFile(e.lockPath("on", key))
	if errors.Is(err, errHeld) {
		if h.Run == "" {
			return nil, errors.New("somebody is just starting a run on it; look again in a moment")
		}
		return nil, fmt.Errorf("%s (pid %d) is running %s %s on it since %s; open it with :run %s",
			h.Actor, h.PID, h.Run, h.Runbook, h.Since.UTC().Format("15:04"), h.Run)
	}
	return l, err
}

// takeAll takes several locks, or none.
func (e *Engine) takeAll(keys []string) (locks, error) {
	var out locks
	for _, key := range keys {
		l, err := e.take(key)
		if err != nil {
			out.release()
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// lockPlace takes what a new run acts on. A run that nobody drives still has it:
// a write of it may be half done.
func (e *Engine) lockPlace(ctx context.Context, p *Plan) (locks, error) {
	keys := placeKeys(p.Runbook.ID, moving{p.Runbook.Component, p.Runbook.Settings}, p.Target)
	l, err := e.takeAll(keys)
	if err != nil {
		return nil, err
	}
	entries, err := e.Journal.Entries(ctx, journal.Filter{
		Kinds: []journal.Kind{journal.RunStarted, journal.RunEnded}, Service: p.Target.Service, Limit: 1000, Newest: true,
	})
	if err != nil {
		l.release()
		return nil, err
	}
	going := map[string]journal.Entry{}
	for _, en := range entries {
		if en.Kind == journal.RunEnded {
			delete(going, en.Run)
			continue
		}
		s := decode[Started](&en)
		if slices.ContainsFunc(placeKeys(s.Runbook, moving{s.Component, s.Settings}, s.Target), func(k string) bool { return slices.Contains(keys, k) }) {
			going[en.Run] = en
		}
	}
	for id, en := range going {
		l.release()
		return nil, fmt.Errorf("%s %s of %s has been on it since %s and was interrupted; resume it with rollcall runbook resume %s, or stop it there",
			id, decode[Started](&en).Runbook, en.Actor, en.At.UTC().Format("15:04"), id)
	}
	l.write(holder{PID: os.Getpid(), Actor: e.Actor, Since: e.Clock.Now()})
	return l, nil
}

// lockRun takes the right to drive a run.
func (e *Engine) lockRun(id string) (*lock, error) {
	l, h, err := lockFile(e.lockPath("run", id))
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("%s (pid %d) is driving %s; open it with :run %s", h.Actor, h.PID, id, id)
	}
	return l, err
}

// driving tells who drives a run that this engine does not; empty when nobody does.
func (e *Engine) driving(id string) string {
	path := e.lockPath("run", id)
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	// A shared lock for an instant: a resume at that very instant would be refused once.
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return ""
	}
	var h holder
	b, _ := io.ReadAll(io.LimitReader(f, 4096))
	_ = json.Unmarshal(b, &h)
	if h.Actor != "" && h.Actor != e.Actor {
		return fmt.Sprintf("%s, pid %d", h.Actor, h.PID)
	}
	return fmt.Sprintf("pid %d", h.PID)
}
