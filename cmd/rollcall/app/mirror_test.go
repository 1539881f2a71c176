package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/store/journal"
)

// fakeLoki remembers what was pushed, each line once, as Loki does.
type fakeLoki struct {
	mu      sync.Mutex
	lines   []sources.LogLine
	seen    map[string]bool
	pushes  int
	repeats int
	fail    error                    // of every push
	refuse  func(loki.PushLine) bool // a batch that holds such a line is refused as a whole
	asked   int
	changed chan struct{}
}

func newFakeLoki() *fakeLoki {
	return &fakeLoki{seen: map[string]bool{}, changed: make(chan struct{}, 1000)}
}

func (f *fakeLoki) Push(_ context.Context, lines []loki.PushLine) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.changed <- struct{}{} }()
	f.pushes++
	if f.fail != nil {
		return f.fail
	}
	for _, l := range lines {
		if f.refuse != nil && f.refuse(l) {
			return fmt.Errorf("%w: too old", loki.ErrRefused)
		}
	}
	for _, l := range lines {
		if key := l.Time.String() + l.Line; f.seen[key] {
			f.repeats++
		} else {
			f.seen[key] = true
			f.lines = append(f.lines, sources.LogLine{Time: l.Time, Labels: l.Labels, Line: l.Line})
		}
	}
	return nil
}

func (f *fakeLoki) QueryRange(_ context.Context, q sources.LogQuery) (sources.LogList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.fail != nil {
		return sources.LogList{}, f.fail
	}
	var out sources.LogList
	for _, l := range f.lines {
		if strings.Contains(q.Query, l.Labels["journal"]) && !l.Time.Before(q.Since) && l.Time.Before(q.Until) {
			out.Lines = append(out.Lines, l)
		}
	}
	if n := len(out.Lines); n > q.Limit {
		out.Lines = out.Lines[n-q.Limit:]
	}
	return out, nil
}

func (f *fakeLoki) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeLoki) has() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lines)
}

// waits until the fake has n lines, woken by pushes.
func (f *fakeLoki) waits(t *testing.T, n int) {
	t.Helper()
	for end := time.After(30 * time.Second); f.has() != n; {
		select {
		case <-f.changed:
		case <-end:
			t.Fatalf("%d lines are mirrored, want %d", f.has(), n)
		}
	}
}

// mirrored starts a mirror of j; end stops it and waits.
func startMirror(t *testing.T, j *journal.Journal, f *fakeLoki) (end func()) {
	t.Helper()
	m := &mirror{
		journal: func() (*journal.Journal, error) { return j, nil }, asks: f, push: f, clock: wallClock(t), log: slog.New(slog.DiscardHandler),
		stamp: func(w time.Time) time.Time { return w }, lock: filepath.Join(filepath.Dir(j.Path()), "mirror.lock"), pause: time.Millisecond,
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.run(ctx) }()
	return func() { cancel(); <-ended }
}

func someJournal(t *testing.T, clock sources.Clock) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), journalFile), journal.Options{Clock: clock, Redact: strings.ToLower, Actor: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func add(t *testing.T, j *journal.Journal, n int) []journal.Entry {
	t.Helper()
	ds := make([]journal.Draft, n)
	for i := range ds {
		ds[i] = journal.Draft{Kind: journal.RunSample, Service: "assistant", Text: fmt.Sprint("text ", i)}
	}
	es, err := j.Append(t.Context(), ds...)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func TestTheMirrorCatchesUpAfterEitherSideWasAway(t *testing.T) {
	j, f := someJournal(t, wallClock(t)), newFakeLoki()
	add(t, j, 1200)
	end := startMirror(t, j, f)
	f.waits(t, 1200)
	add(t, j, 1)
	f.waits(t, 1201)
	end()

	add(t, j, 10) // while nobody mirrors
	end = startMirror(t, j, f)
	f.waits(t, 1211)

	before := 0
	f.set(func() { f.fail, before = errors.New("connection refused"), f.pushes })
	add(t, j, 5)
	for {
		<-f.changed
		done := false
		f.set(func() { done = f.pushes > before })
		if done {
			break
		}
	}
	f.set(func() { f.fail = nil })
	f.waits(t, 1216)
	end()
	if f.repeats > 0 {
		t.Errorf("%d lines were sent again", f.repeats)
	}
	l := f.lines[0]
	if l.Labels["job"] != mirrorJob || l.Labels["journal"] != j.ID() || l.Labels["kind"] != "run" || l.Labels["service"] != "assistant" || len(l.Labels) != 4 {
		t.Errorf("the labels are %v", l.Labels)
	}
	if !strings.HasPrefix(l.Line, `{"seq":1,"kind":"run.sample"`) || !strings.Contains(l.Line, `"text":"text 0"`) || !strings.Contains(l.Line, `"hash":"`) {
		t.Errorf("the line is %s", l.Line)
	}
}

func TestOneProcessOfAStateFolderMirrors(t *testing.T) {
	j, f := someJournal(t, wallClock(t)), newFakeLoki()
	var ends []func()
	for range 4 {
		ends = append(ends, startMirror(t, j, f))
	}
	for n := range 20 {
		add(t, j, 1)
		f.waits(t, n+1)
	}
	for _, end := range ends {
		end()
	}
	if f.repeats > 0 {
		t.Errorf("%d lines were sent twice", f.repeats)
	}
}

func TestWhatLokiRefusesDoesNotKeepTheRestOut(t *testing.T) {
	j, f := someJournal(t, wallClock(t)), newFakeLoki()
	f.refuse = func(l loki.PushLine) bool { return strings.HasPrefix(l.Line, `{"seq":7,`) }
	add(t, j, 20)
	end := startMirror(t, j, f)
	f.waits(t, 19)
	add(t, j, 1)
	f.waits(t, 20)
	end()
}

func TestErasedTextIsNotMirrored(t *testing.T) {
	j, f := someJournal(t, wallClock(t)), newFakeLoki()
	add(t, j, 2)
	if _, err := j.Erase(t.Context(), []int64{1}, "asked to"); err != nil {
		t.Fatal(err)
	}
	end := startMirror(t, j, f)
	f.waits(t, 3)
	end()
	if strings.Contains(f.lines[0].Line, "text 0") || !strings.Contains(f.lines[0].Line, `"text_erased":true`) {
		t.Errorf("the line is %s", f.lines[0].Line)
	}
}

// jumpy is a clock whose wall time goes back.
type jumpy struct {
	sources.Clock
	mu   sync.Mutex
	back time.Duration
}

func (c *jumpy) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Clock.Wall().Add(-c.back)
}

func TestAClockThatWentBackLosesNothingInTheMirror(t *testing.T) {
	c := &jumpy{Clock: wallClock(t)}
	j, f := someJournal(t, c), newFakeLoki()
	add(t, j, 3)
	end := startMirror(t, j, f)
	f.waits(t, 3)
	c.mu.Lock()
	c.back = time.Hour
	c.mu.Unlock()
	add(t, j, 3)
	f.waits(t, 6)
	end()
	end = startMirror(t, j, f)
	add(t, j, 1)
	f.waits(t, 7)
	end()
	if f.repeats > 0 {
		t.Errorf("%d lines were sent again", f.repeats)
	}
}

func TestALongEntryIsMirroredShort(t *testing.T) {
	j, f := someJournal(t, wallClock(t)), newFakeLoki()
	if _, err := j.Append(
		t.Context(),
		journal.Draft{Kind: journal.Noted, Text: strings.Repeat("é", 200_000)},
		journal.Draft{Kind: journal.Noted, Text: "x", Data: map[string]string{"d": strings.Repeat("y", 500_000)}},
	); err != nil {
		t.Fatal(err)
	}
	end := startMirror(t, j, f)
	f.waits(t, 2)
	end()
	for _, l := range f.lines {
		if len(l.Line) > mirrorLine || !strings.HasSuffix(l.Line, `"cut":true}`) {
			t.Errorf("%d bytes, ends in %q", len(l.Line), l.Line[len(l.Line)-20:])
		}
	}
}
