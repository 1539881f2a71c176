package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// clear tells whether an error is one line with a remedy that names the file.
func clearly(t *testing.T, err, want error, path string) {
	t.Helper()
	switch {
	case !errors.Is(err, want):
		t.Errorf("%v is not %q", err, want)
	case strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "; "):
		t.Errorf("not one line that names the file and the remedy: %v", err)
	}
}

// filled is a closed journal of n entries.
func filled(t *testing.T, n int) (string, Head) {
	t.Helper()
	path := temp(t)
	j := openAt(t, path)
	for i := range n {
		must[[]Entry](t)(j.Append(t.Context(), note(fmt.Sprintf("%d %s", i, strings.Repeat("x", 300)))))
	}
	head := must[Head](t)(j.Head(t.Context()))
	_ = j.Close()
	return path, head
}

func TestAFileThatIsNoJournalIsLeftAlone(t *testing.T) {
	path := temp(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	garbage := []byte(strings.Repeat("this is no database at all\n", 200))
	if err := os.WriteFile(path, garbage, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, options(newClock()))
	clearly(t, err, ErrDamaged, path)
	_, err = Open(t.Context(), path, Options{Clock: newClock(), ReadOnly: true})
	clearly(t, err, ErrDamaged, path)
	if b, _ := os.ReadFile(path); string(b) != string(garbage) {
		t.Error("it was changed")
	}
	other := filepath.Join(t.TempDir(), "other.db")
	tamper(t, other, "CREATE TABLE songs(name TEXT)")
	if _, err = Open(t.Context(), other, options(newClock())); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("another program's database: %v", err)
	}
}

func TestANewerVersionsJournalIsRefused(t *testing.T) {
	path, _ := filled(t, 1)
	tamper(t, path, fmt.Sprintf("PRAGMA user_version=%d", len(migrations)+1))
	for _, ro := range []bool{false, true} {
		o := options(newClock())
		o.ReadOnly = ro
		_, err := Open(t.Context(), path, o)
		clearly(t, err, ErrNewer, path)
		if err != nil && !strings.Contains(err.Error(), "upgrade rollcall") {
			t.Error(err)
		}
	}
}

func TestOfADamagedFileWhatCanBeReadIsRead(t *testing.T) {
	path, head := filled(t, 400)
	b := must[[]byte](t)(os.ReadFile(path))
	for i := len(b) / 2; i < len(b)/2+64<<10 && i < len(b); i++ {
		b[i] = 0xa5
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Open(t.Context(), path, Options{Clock: newClock(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	es, err := j.Entries(t.Context(), Filter{})
	clearly(t, err, ErrDamaged, path)
	if len(es) == 0 || es[0].Seq != 1 {
		t.Errorf("%d entries were read", len(es))
	}
	r := must[Report](t)(j.Verify(t.Context(), &head, nil))
	if r.OK || r.Found == 0 {
		t.Errorf("%+v", r)
	}
}

func TestATruncatedFileIsToldFromAWholeOne(t *testing.T) {
	path, head := filled(t, 400)
	if err := os.Truncate(path, 40<<10); err != nil {
		t.Fatal(err)
	}
	j, err := Open(t.Context(), path, options(newClock()))
	if err != nil {
		clearly(t, err, ErrDamaged, path)
		return
	}
	defer j.Close()
	r := must[Report](t)(j.Verify(t.Context(), &head, nil))
	if r.OK {
		t.Errorf("%+v", r)
	}
	if _, err := j.Append(t.Context(), note("more")); err != nil {
		clearly(t, err, ErrDamaged, path)
	}
}

func TestAMissingLogShowsAsTruncation(t *testing.T) {
	path := temp(t)
	j := openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), note("in the file")))
	if err := j.emptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	must[[]Entry](t)(j.Append(t.Context(), note("in the log"), note("in the log")))
	head := must[Head](t)(j.Head(t.Context()))
	// A copy of the file alone is what a careless backup makes.
	alone := filepath.Join(t.TempDir(), "journal.db")
	if err := os.WriteFile(alone, must[[]byte](t)(os.ReadFile(path)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, alone)
	r := must[Report](t)(c.Verify(t.Context(), &head, nil))
	if r.OK || r.Entries != 1 || r.Faults[0].Kind != Truncated {
		t.Errorf("%+v", r)
	}
	if r := must[Report](t)(c.Verify(t.Context(), nil, nil)); !r.OK {
		t.Errorf("what is there is whole: %+v", r)
	}
}

func TestALockedJournalSaysSoAndTakesUpAgain(t *testing.T) {
	path, head := filled(t, 3)
	o := options(newClock())
	j, err := open(t.Context(), path, o, limits{wait: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	holder := must[*sql.DB](t)(sql.Open("sqlite3", path+"?_txlock=immediate"))
	defer holder.Close()
	tx := must[*sql.Tx](t)(holder.Begin())
	_, err = j.Append(t.Context(), note("locked out"))
	clearly(t, err, ErrLocked, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Append(ctx, note("given up")); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever gives up waits no longer: %v", err)
	}
	if es := must[[]Entry](t)(j.Entries(t.Context(), Filter{})); len(es) != 3 {
		t.Errorf("reading goes on: %d entries", len(es))
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	must[[]Entry](t)(j.Append(t.Context(), note("again")))
	r := must[Report](t)(j.Verify(t.Context(), &head, nil))
	if !r.OK || r.Entries != 4 {
		t.Errorf("%+v", r)
	}
}

func TestAJournalUnderAnExclusiveLockIsNotOpened(t *testing.T) {
	path, _ := filled(t, 1)
	holder := must[*sql.DB](t)(sql.Open("sqlite3", path+"?_locking_mode=EXCLUSIVE"))
	defer holder.Close()
	holder.SetMaxOpenConns(1)
	if _, err := holder.Exec("BEGIN EXCLUSIVE; UPDATE meta SET value=value; COMMIT"); err != nil {
		t.Fatal(err)
	}
	for _, ro := range []bool{false, true} {
		o := options(newClock())
		o.ReadOnly = ro
		_, err := open(t.Context(), path, o, limits{wait: 300 * time.Millisecond})
		clearly(t, err, ErrLocked, path)
	}
}

func TestAFullDiskLosesNothingAlreadyWritten(t *testing.T) {
	path := temp(t)
	j, err := open(t.Context(), path, options(newClock()), limits{wait: time.Second, pages: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var n int64
	for err == nil && n < 1000 {
		if _, err = j.Append(t.Context(), note(strings.Repeat("x", 2000)), note("second of two")); err == nil {
			n += 2
		}
	}
	clearly(t, err, ErrFull, path)
	if !strings.Contains(err.Error(), "free some space") {
		t.Error(err)
	}
	r := must[Report](t)(j.Verify(t.Context(), nil, nil))
	if !r.OK || r.Entries != n || n == 0 {
		t.Errorf("%d were acknowledged: %+v", n, r)
	}
	if _, err := j.w.Exec("PRAGMA max_page_count=4000"); err != nil {
		t.Fatal(err)
	}
	must[[]Entry](t)(j.Append(t.Context(), note("there is room again")))
}

// asNobody calls do without root's powers, which no mode of a file could stop.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ok := dropPowers(t)
		if ok {
			do()
		}
		done <- ok
	}()
	if !<-done {
		t.Skip("root can write everywhere, and this system has no way to be somebody else for a moment")
	}
}

func TestAJournalThatCannotBeWrittenIsStillRead(t *testing.T) {
	for name, modes := range map[string][2]os.FileMode{
		"a read-only file":            {0o444, 0o777},
		"a read-only folder":          {0o444, 0o555},
		"a file that is not readable": {0o000, 0o555},
	} {
		t.Run(name, func(t *testing.T) {
			path, head := filled(t, 3)
			for dir := filepath.Dir(path); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, modes[0]); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Dir(path), modes[1]); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(filepath.Dir(path), 0o700) })
			asNobody(t, func() {
				_, err := Open(t.Context(), path, options(newClock()))
				clearly(t, err, ErrReadOnly, path)
				j, err := Open(t.Context(), path, Options{Clock: newClock(), ReadOnly: true})
				if modes[0] == 0 {
					clearly(t, err, ErrReadOnly, path)
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				defer j.Close()
				if r, err := j.Verify(t.Context(), &head, nil); err != nil || !r.OK || r.Entries != 3 {
					t.Errorf("%+v, %v", r, err)
				}
				_, err = j.Append(t.Context(), note("more"))
				clearly(t, err, ErrReadOnly, path)
			})
		})
	}
}

func TestReadingCreatesNoJournal(t *testing.T) {
	path := temp(t)
	if _, err := Open(t.Context(), path, Options{Clock: newClock(), ReadOnly: true}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("it is there")
	}
	if _, err := Open(t.Context(), path, Options{Clock: newClock()}); err == nil {
		t.Error("a journal without a redactor was opened for writing")
	}
}

func TestTheJournalIsItsOwnersAlone(t *testing.T) {
	path := temp(t)
	j := openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), note("x")))
	modes := func(dir, want os.FileMode) {
		t.Helper()
		for p, m := range map[string]os.FileMode{path: want, path + "-wal": want, path + "-shm": want, filepath.Dir(path): dir} {
			st := must[os.FileInfo](t)(os.Stat(p))
			if st.Mode().Perm() != m {
				t.Errorf("%s is %v, want %v", filepath.Base(p), st.Mode().Perm(), m)
			}
		}
	}
	modes(0o700, 0o600)
	_ = j.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	j = openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), note("x")))
	modes(0o700, 0o600)
	_ = j.Close()

	// In a folder that a group shares, the group may write.
	path = filepath.Join(t.TempDir(), "journal.db")
	if err := os.Chmod(filepath.Dir(path), 0o770); err != nil {
		t.Fatal(err)
	}
	j = openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), note("x")))
	modes(0o770, 0o660)
}
