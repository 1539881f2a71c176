package app

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

func read(t *testing.T, path string) []journal.Entry {
	t.Helper()
	j, err := journal.Open(t.Context(), path, journal.Options{Clock: wallClock(t), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	r, err := j.Verify(t.Context(), nil, nil)
	if err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	es, err := j.Entries(t.Context(), journal.Filter{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func wallClock(t *testing.T) sources.Clock {
	t.Helper()
	c, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsRecordedInTheBackgroundIsWrittenBeforeCloseReturns(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	a, err := Open(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cfg.State, journalFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("a journal begins with the first thing recorded")
	}
	if _, err := a.ReadJournal(); !errors.Is(err, journal.ErrUnknown) {
		t.Errorf("reading creates none: %v", err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 250 {
				a.Record(journal.Draft{Kind: journal.QueryTyped, Service: "assistant", Text: fmt.Sprintf("%d/%d by a.person@example.org", g, i)})
			}
		})
	}
	wg.Wait()
	a.Record(journal.Draft{Kind: journal.Noted, Incident: "INC-404", Text: "refused, and takes nothing with it"})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	es := read(t, filepath.Join(cfg.State, journalFile))
	if len(es) != 1000 || es[0].Origin != "console" || es[0].Actor != Actor() || strings.Contains(es[0].Text, "example.org") {
		t.Errorf("%d entries, the first %+v", len(es), es[0])
	}
	if a.JournalTrouble() != "" {
		t.Errorf("a refused draft is no trouble of the file: %s", a.JournalTrouble())
	}
	if _, err := a.Journal(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	a.Record(journal.Draft{Kind: journal.Noted}) // must not block or panic
}

// shaky is a diary whose file cannot be opened until told otherwise.
func shaky(t *testing.T) (d *diary, path string, mended *atomic.Bool) {
	t.Helper()
	path, mended = filepath.Join(t.TempDir(), journalFile), &atomic.Bool{}
	d = newDiary(wallClock(t), slog.New(slog.NewTextHandler(io.Discard, nil)), func(readOnly bool) (*journal.Journal, error) {
		if !mended.Load() {
			return nil, errors.New("the disk is full; free some space")
		}
		return journal.Open(t.Context(), path, journal.Options{Clock: wallClock(t), Redact: strings.ToLower, ReadOnly: readOnly})
	})
	d.retry = time.Millisecond
	return d, path, mended
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("waited in vain for: " + what)
		}
	}
}

func TestTroubleWithTheJournalDelaysEntriesAndLosesNone(t *testing.T) {
	d, path, mended := shaky(t)
	for i := range 300 {
		d.record(journal.Draft{Kind: journal.Noted, Text: fmt.Sprint(i)})
	}
	await(t, "the trouble to show", func() bool { return d.whyNot() == "the disk is full; free some space" })
	if _, err := d.write(); err == nil {
		t.Error("it cannot be written")
	}
	mended.Store(true)
	await(t, "the trouble to end", func() bool { return d.whyNot() == "" })
	d.record(journal.Draft{Kind: journal.Noted, Text: "last"})
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	es := read(t, path)
	if len(es) != 301 || es[0].Text != "0" || es[300].Text != "last" {
		t.Errorf("%d entries", len(es))
	}
}

func TestEntriesThatFoundNoRoomInTheQueueAreCountedInTheJournal(t *testing.T) {
	d, path, mended := shaky(t)
	for range diaryQueue + 5 {
		d.record(journal.Draft{Kind: journal.Noted, Text: "x"})
	}
	mended.Store(true)
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	es := read(t, path)
	last := es[len(es)-1]
	if len(es) != diaryQueue+1 || last.Kind != journal.Lost || string(last.Data) != `{"entries":5}` {
		t.Errorf("%d entries, the last %+v %s", len(es), last, last.Data)
	}
}

func TestTheJournalIsReadWhereItCannotBeWritten(t *testing.T) {
	d, path, mended := shaky(t)
	mended.Store(true)
	d.record(journal.Draft{Kind: journal.Noted, Text: "x"})
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	whole := errors.New("the disk is read-only; ask for write access")
	d = newDiary(wallClock(t), slog.New(slog.DiscardHandler), func(readOnly bool) (*journal.Journal, error) {
		if !readOnly {
			return nil, whole
		}
		return journal.Open(t.Context(), path, journal.Options{Clock: wallClock(t), ReadOnly: true})
	})
	if _, err := d.write(); !errors.Is(err, whole) || d.whyNot() != whole.Error() {
		t.Errorf("%v, trouble %q", err, d.whyNot())
	}
	j, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	if es, err := j.Entries(t.Context(), journal.Filter{}); err != nil || len(es) != 1 {
		t.Errorf("%d entries, %v", len(es), err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAJournalOfANewerVersionIsTroubleSaidInOneLine(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	a, err := Open(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.Record(journal.Draft{Kind: journal.Noted, Text: "x"})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.State, journalFile)
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("PRAGMA user_version=99"); err != nil {
		t.Fatal(err)
	}
	b := open(t, cfg, Options{Once: true})
	if _, err := b.Journal(); !errors.Is(err, journal.ErrNewer) {
		t.Errorf("%v", err)
	}
	if why := b.JournalTrouble(); !strings.Contains(why, "newer version") || strings.Contains(why, "\n") {
		t.Errorf("the trouble is %q", why)
	}
}
