package traces_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"rollcall/sources"
	"rollcall/store/traces"
)

const childDir = "ROLLCALL_TEST_TRACES_CHILD"

// TestMain turns the test binary into a receiver that is going to be killed
// when the environment says so.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := storeUntilKilled(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// storeUntilKilled stores one request after the other and prints the number of
// each once the store says that it is safe.
func storeUntilKilled(dir string) error {
	f, err := newFolder()
	if err != nil {
		return err
	}
	s, err := traces.OpenWith(dir, traces.Options{Folder: f, Clock: newClock()}, traces.Limits{PartTraces: 40})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := s.Consume(context.Background(), batch(chatOf(n, 2, fmt.Sprint("resp-", n)), rootOf(n))); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestAcknowledgedSpansSurviveKill9(t *testing.T) {
	for round := range 3 {
		e := &env{T: t, dir: filepath.Join(t.TempDir(), "traces"), clock: newClock()}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+e.dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		lines := bufio.NewScanner(out)
		for last < 90+round*17 && lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(lines.Text())
			}
			last = n
		}
		if err := cmd.Process.Kill(); err != nil { // SIGKILL, in the middle of the next call
			t.Fatal(err)
		}
		for lines.Scan() { // what it acknowledged before it died
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()
		if last < 90 {
			t.Fatalf("the child only got to %d", last)
		}
		e.open(traces.Limits{PartTraces: 40})
		if ok, _ := e.store.Receiving(); !ok {
			t.Error("the lock of the dead process still holds")
		}
		for n := range last + 1 {
			if v := e.trace(fmt.Sprint("req-", n)); v == nil || len(v.Spans) != 2 || v.Request.ResponseID != fmt.Sprint("resp-", n) {
				t.Fatalf("req-%d of %d acknowledged is %+v", n, last, v)
			}
		}
		e.put(batch(rootOf(100_000)))
		if e.trace("req-100000") == nil {
			t.Error("nothing is stored after the restart")
		}
	}
}

// threeParts returns a store with three partitions of one request each, closed.
func threeParts(t *testing.T, l traces.Limits) (*env, []string) {
	t.Helper()
	e := in(t, l)
	for n := 1; n <= 3; n++ {
		e.put(batch(rootOf(n)))
		e.clock.add(2 * time.Hour)
	}
	files := e.files("p-*.db")
	if len(files) != 3 {
		t.Fatalf("%d partitions", len(files))
	}
	return e, files
}

func TestADamagedPartitionIsNamedAndTheRestWorks(t *testing.T) {
	for which, name := range []string{"the oldest", "a middle one", "the one that receives"} {
		t.Run(name, func(t *testing.T) {
			e, files := threeParts(t, traces.Limits{})
			e.close()
			e.clock.add(-2 * time.Hour) // the newest is still open to more
			if err := os.WriteFile(files[which], []byte(strings.Repeat("not a database at all ", 500)), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(files[which] + "-wal")
			e.open(traces.Limits{})
			e.put(batch(rootOf(9)))
			l, err := e.store.Requests(t.Context(), sources.RequestFilter{})
			if err != nil || len(l.Rows) != 3 {
				t.Errorf("%d rows, %v", len(l.Rows), err)
			}
			for n := 1; n <= 3; n++ {
				if v := e.trace(fmt.Sprint("req-", n)); (v == nil) != (n == which+1) {
					t.Errorf("req-%d: %+v", n, v)
				}
			}
			h := e.store.Health()
			if !strings.Contains(h.Note, filepath.Base(files[which])) || h.State != sources.SourceUp {
				t.Errorf("health %+v", h)
			}
			if which == 2 && len(e.files("*.damaged")) == 0 {
				t.Error("the damaged file was not set aside")
			}
			if which != 2 && l.Facts.Partial == "" {
				t.Errorf("the answer does not say that something is missing: %+v", l.Facts)
			}
		})
	}
}

func TestATruncatedPartitionDoesNotCrashReads(t *testing.T) {
	e, files := threeParts(t, traces.Limits{})
	e.close()
	if err := os.Truncate(files[0], 8192); err != nil {
		t.Fatal(err)
	}
	e.open(traces.Limits{})
	if l, err := e.store.Requests(t.Context(), sources.RequestFilter{}); err != nil || len(l.Rows) != 2 || l.Facts.Partial == "" {
		t.Errorf("%+v %v", l.Facts, err)
	}
}

func TestAPartitionFromALaterVersionIsLeftAlone(t *testing.T) {
	e, files := threeParts(t, traces.Limits{})
	e.close()
	db, err := sql.Open("sqlite3", files[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version=99"); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	e.open(traces.Limits{})
	if l, err := e.store.Requests(t.Context(), sources.RequestFilter{}); err != nil || len(l.Rows) != 2 || !strings.Contains(strings.Join(l.Facts.Warnings, ""), "schema 99") {
		t.Errorf("%+v %v", l.Facts, err)
	}
}

func TestALockedPartitionIsLeftOutUntilItIsFree(t *testing.T) {
	e, files := threeParts(t, traces.Limits{})
	e.close() // leaves no log behind, so that another program can take the whole file
	db, err := sql.Open("sqlite3", "file:"+files[0]+"?_journal_mode=DELETE&_locking_mode=EXCLUSIVE&_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	e.open(traces.Limits{}, func(o *traces.Options) { o.ReadOnly = true })
	l, err := e.store.Requests(t.Context(), sources.RequestFilter{})
	if err != nil || len(l.Rows) != 2 || !strings.Contains(strings.Join(l.Facts.Warnings, ""), "locked") {
		t.Errorf("while it is locked: %d rows, %+v, %v", len(l.Rows), l.Facts, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	if rows := e.rows(sources.RequestFilter{}); len(rows) != 3 {
		t.Errorf("once it is free: %d rows", len(rows))
	}
}

func TestAFolderThatCannotBeWrittenToIsReadWithTheReason(t *testing.T) {
	e, _ := threeParts(t, traces.Limits{})
	e.close()
	denied := func(path string) (*os.File, error) {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EROFS}
	}
	e.open(traces.Limits{Lock: denied})
	if rows := e.rows(sources.RequestFilter{}); len(rows) != 3 {
		t.Errorf("%d rows", len(rows))
	}
	if err := e.store.Consume(t.Context(), batch(rootOf(9))); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("storing: %v", err)
	}
	h := e.store.Health()
	if !strings.Contains(h.Reason, "cannot be written to (read-only file system)") || h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
}

func TestAReadOnlyFolderOfTheFileSystemIsRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; the test above covers the same path")
	}
	e, files := threeParts(t, traces.Limits{})
	e.close()
	for _, f := range files {
		if err := os.Chmod(f, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(e.dir, traces.LockFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(e.dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(e.dir, 0o700) })
	e.open(traces.Limits{})
	if rows := e.rows(sources.RequestFilter{}); len(rows) != 3 {
		t.Errorf("%d rows", len(rows))
	}
	if h := e.store.Health(); h.Reason == "" {
		t.Errorf("health %+v", h)
	}
}

func TestAFullDiskWithNothingToShedRefusesAndRecovers(t *testing.T) {
	e := in(t, traces.Limits{MaxPages: 60})
	var failed error
	stored := 0
	for n := 0; n < 3000 && failed == nil; n++ {
		if failed = e.store.Consume(t.Context(), batch(rootOf(n, "x", noise(n)))); failed == nil {
			stored++
		}
	}
	if failed == nil {
		t.Fatal("the disk never ran full")
	}
	if h := e.store.Health(); h.State != sources.SourceDown || !strings.Contains(h.Reason, "disk is full") {
		t.Errorf("health %+v", h)
	}
	if l, err := e.store.Requests(t.Context(), sources.RequestFilter{Limit: 1}); err != nil || l.Facts.Total != stored {
		t.Errorf("%d of %d acknowledged are there, %v", l.Facts.Total, stored, err)
	}
	e.close()
	e.open(traces.Limits{}) // room again
	e.put(batch(rootOf(5000)))
	if h := e.store.Health(); h.State != sources.SourceUp {
		t.Errorf("health after %+v", h)
	}
}

func TestAFullDiskShedsTheOldestAndSaysSo(t *testing.T) {
	e, files := threeParts(t, traces.Limits{})
	var free atomic.Int64
	e.close()
	e.open(traces.Limits{Rest: time.Millisecond, Free: func(string) (int64, error) { return free.Load(), nil }})
	e.put(batch(rootOf(9)))
	eventually(t, "all but the newest are shed", func() bool { return len(e.files("p-*.db")) == 1 })
	if _, err := os.Stat(files[0]); err == nil {
		t.Error("the oldest is still there")
	}
	if e.trace("req-9") == nil || e.trace("req-1") != nil {
		t.Error("the wrong requests are gone")
	}
	if h := e.store.Health(); !strings.Contains(h.Note, "shed the") || !strings.Contains(h.Note, "disk has only") || h.State != sources.SourceUp {
		t.Errorf("health %+v", h)
	}
}

func TestAWriteThatFindsNoRoomShedsAndGoesOn(t *testing.T) {
	e := in(t, traces.Limits{MaxPages: 60, PartTraces: 100})
	for n := range 150 { // the second partition runs full before it has its number of traces
		e.clock.add(time.Second)
		var attrs []string
		if n > 100 {
			attrs = []string{"x", noise(n)}
		}
		if err := e.store.Consume(t.Context(), batch(rootOf(n, attrs...))); err != nil {
			if h := e.store.Health(); !strings.Contains(h.Note, "shed the 1 oldest: the disk is full") {
				t.Fatalf("%v; health %+v", err, h)
			}
			return
		}
	}
	t.Fatal("the disk never ran full")
}

// noise is text that does not compress.
func noise(seed int) string {
	var b strings.Builder
	x := uint64(seed)*2654435761 + 1
	for b.Len() < 6000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "%016x", x)
	}
	return b.String()
}

func TestOldPartitionsGoByAgeAndBySize(t *testing.T) {
	t.Run("age", func(t *testing.T) {
		e := in(t, traces.Limits{Rest: time.Millisecond}, func(o *traces.Options) { o.Retention = 24 * time.Hour })
		e.put(batch(rootOf(1)))
		e.clock.add(23 * time.Hour)
		e.put(batch(rootOf(2)))
		if len(e.files("p-*.db")) != 2 {
			t.Fatal("removed too early")
		}
		e.clock.add(25 * time.Hour)
		eventually(t, "the old partition is removed", func() bool { return len(e.files("p-*.db")) == 1 })
		if rows := e.rows(sources.RequestFilter{}); len(rows) != 1 || rows[0].ID != "req-2" {
			t.Errorf("rows %+v", rows)
		}
	})
	t.Run("size", func(t *testing.T) {
		e := in(t, traces.Limits{Rest: time.Millisecond, PartTraces: 5}, func(o *traces.Options) { o.MaxBytes = 1 << 20 })
		for n := range 100 {
			e.clock.add(time.Second)
			e.put(batch(rootOf(n, "x", noise(n))))
		}
		eventually(t, "the folder is within its bound", func() bool {
			var total int64
			for _, f := range e.files("p-*.db*") {
				if fi, err := os.Stat(f); err == nil && !strings.HasSuffix(f, "-shm") {
					total += fi.Size()
				}
			}
			return total <= 1<<20
		})
		if e.trace("req-99") == nil || e.trace("req-0") != nil {
			t.Error("the wrong requests are gone")
		}
	})
}
