package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
	"rollcall/store/review"
)

// hand is a clock that only moves when told to.
type hand struct {
	mu sync.Mutex
	t  time.Time
}

func (h *hand) Now() time.Time                       { h.mu.Lock(); defer h.mu.Unlock(); return h.t }
func (h *hand) Wall() time.Time                      { return h.Now() }
func (h *hand) ToWall(d time.Duration) time.Duration { return d }

func night(h, m int) time.Time                          { return time.Date(2026, 3, 10, h, m, 0, 0, time.UTC) }
func verbatim(s string) string                          { return s }
func kindsOf(t *testing.T, j *journal.Journal) []string { return describe(t, j, "") }

func describe(t *testing.T, j *journal.Journal, incident string) []string {
	t.Helper()
	list, err := j.Entries(t.Context(), journal.Filter{Incident: incident})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		var d struct {
			Signal, Component, When string
		}
		_ = json.Unmarshal(e.Data, &d)
		out = append(out, strings.TrimSpace(string(e.Kind)+" "+d.Signal+d.Component+d.When))
	}
	return out
}

func openJournal(t *testing.T, path string, clock sources.Clock) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), path, journal.Options{Clock: clock, Redact: verbatim, Actor: "ana", Origin: "console"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// newWatcher is the watcher of one process on the journal at path.
func newWatcher(t *testing.T, path string, clock sources.Clock) (*watcher, *journal.Journal) {
	j := openJournal(t, path, clock)
	return &watcher{service: "assistant", environment: "prod", journal: func() (*journal.Journal, error) { return j, nil }}, j
}

func snapAt(at time.Time, verdicts map[string]sources.Verdict, changes ...sources.Change) *signal.Snapshot {
	s := &signal.Snapshot{Service: "assistant", At: at, View: sources.View{Range: time.Hour}, Changes: changes}
	since := func(v sources.Verdict) (t time.Time) {
		if v == sources.Bad {
			t = at.Add(-5 * time.Minute) // its history shows that it has held
		}
		return t
	}
	for _, sig := range []string{"schema_fail", "error_ratio"} {
		v, ok := verdicts[sig]
		if !ok {
			v = sources.OK
		}
		s.Readings = append(s.Readings, sources.Reading{Signal: sig, Label: sig, Unit: sources.Ratio, Known: true, Value: .09, Verdict: v, Since: since(v), Pane: sources.QualityPane})
	}
	return s
}

func watches(t *testing.T, w *watcher, snaps ...*signal.Snapshot) {
	t.Helper()
	for _, s := range snaps {
		if err := w.observe(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the journal has\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

var bad = map[string]sources.Verdict{"schema_fail": sources.Bad}

func TestSeveralWatchersWriteEachAlertAndChangeOnce(t *testing.T) {
	clock := &hand{t: night(2, 40)}
	path := filepath.Join(t.TempDir(), "journal.db")
	first, j := newWatcher(t, path, clock)
	second, _ := newWatcher(t, path, clock)
	change := sources.Change{At: night(2, 31), Component: sources.Prompt, From: "v13", To: "v14"}
	later := change
	later.At = change.At.Add(20 * time.Second) // another source's step
	var wg sync.WaitGroup
	for i, w := range []*watcher{first, second, first, second} {
		wg.Go(func() {
			c := change
			if i%2 == 1 {
				c = later
			}
			if err := w.observe(context.Background(), snapAt(night(2, 40), bad, c)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, kindsOf(t, j), "alert.firing schema_fail", "change.seen prompt")
	watches(t, second, snapAt(night(2, 50), nil, change), snapAt(night(2, 55), nil, change))
	watches(t, first, snapAt(night(2, 50), nil, change), snapAt(night(2, 55), nil, change))
	same(t, kindsOf(t, j), "alert.firing schema_fail", "change.seen prompt", "alert.resolved schema_fail")
	third, _ := newWatcher(t, path, clock) // started later, it reads what happened before
	watches(t, third, snapAt(night(2, 56), nil, change), snapAt(night(2, 57), bad, change))
	same(t, kindsOf(t, j)[3:], "alert.firing schema_fail")
	list, err := j.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.AlertResolved}})
	if err != nil || list[0].Actor != watcherName || list[0].Service != "assistant" || list[0].Environment != "prod" || !list[0].At.Equal(night(2, 55)) {
		t.Errorf("%+v, %v", list, err)
	}
	var d AlertData
	if err := json.Unmarshal(list[0].Data, &d); err != nil || d.FiredS != sources.N(600) || !d.Until.Equal(night(2, 50)) {
		t.Errorf("it fired for %v, %v", d.FiredS, err)
	}
}

func TestAnAlertThatCannotBeSeenGoesOnFiring(t *testing.T) {
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), &hand{t: night(2, 40)})
	watches(
		t, w, snapAt(night(2, 40), bad),
		snapAt(night(2, 41), map[string]sources.Verdict{"schema_fail": sources.Unreachable}),
		snapAt(night(2, 42), map[string]sources.Verdict{"schema_fail": sources.NoTraffic}),
		snapAt(night(2, 43), map[string]sources.Verdict{"schema_fail": sources.Learning, "error_ratio": sources.Watch}),
	)
	same(t, kindsOf(t, j), "alert.firing schema_fail")
	watched := map[string]sources.Verdict{"schema_fail": sources.Watch}
	watches(t, w, snapAt(night(2, 44), watched), snapAt(night(2, 46), map[string]sources.Verdict{"schema_fail": sources.NoTraffic}), snapAt(night(2, 48), watched))
	same(t, kindsOf(t, j), "alert.firing schema_fail")
	watches(t, w, snapAt(night(2, 49), watched))
	same(t, kindsOf(t, j), "alert.firing schema_fail", "alert.resolved schema_fail")
}

func TestAChangeThatIsMadeAgainIsNews(t *testing.T) {
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), &hand{t: night(4, 0)})
	move := func(h, m int, from, to string) sources.Change {
		return sources.Change{At: night(h, m), Component: sources.Prompt, From: from, To: to}
	}
	watches(t, w, snapAt(night(4, 0), nil, move(1, 0, "v12", "v13"), move(3, 0, "v13", "v14"), move(3, 30, "v14", "v13"), move(3, 50, "v13", "v14")))
	if got := kindsOf(t, j); len(got) != 3 {
		t.Errorf("the change of three hours ago is no news, the others are: %q", got)
	}
}

func TestAnOpenIncidentKeepsItsSignals(t *testing.T) {
	clock := &hand{t: night(2, 40)}
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), clock)
	asked := 0
	w.past = func(_ context.Context, at time.Time) (*signal.Snapshot, error) {
		asked++
		if !at.Equal(night(2, 26)) {
			t.Errorf("the time before is %s", at)
		}
		return snapAt(at, nil), nil
	}
	inc, err := j.OpenIncident(t.Context(), journal.IncidentDraft{
		Service: "assistant", Title: "schema failures", Category: journal.Correctness, Severity: journal.SEV2, Began: night(2, 31),
	})
	if err != nil {
		t.Fatal(err)
	}
	mark := func(p journal.IncidentPatch) {
		t.Helper()
		if _, err := j.UpdateIncident(t.Context(), inc.ID, p); err != nil {
			t.Fatal(err)
		}
	}
	watches(t, w, snapAt(night(2, 40), nil), snapAt(night(2, 41), nil), snapAt(night(2, 46), nil), snapAt(night(2, 47), nil))
	at := night(2, 48)
	mark(journal.IncidentPatch{Mitigated: &at})
	other, _ := newWatcher(t, j.Path(), clock)
	other.past = func(context.Context, time.Time) (*signal.Snapshot, error) {
		t.Error("the time before is in the journal already")
		return nil, nil
	}
	watches(t, other, snapAt(night(2, 49), nil), snapAt(night(2, 50), nil))
	at2 := night(2, 51)
	mark(journal.IncidentPatch{Resolved: &at2})
	watches(t, w, snapAt(night(2, 52), nil), snapAt(night(3, 30), nil))
	if _, err := j.CloseIncident(t.Context(), inc.ID, "a drill"); err != nil {
		t.Fatal(err)
	}
	watches(t, w, snapAt(night(3, 40), nil))
	same(t, describe(t, j, inc.ID), "incident.opened", "signals.snapped before", "signals.snapped opened", "signals.snapped during",
		"incident.updated", "signals.snapped mitigated", "incident.updated", "signals.snapped resolved", "incident.closed")
	if asked != 1 {
		t.Errorf("the past was read %d times", asked)
	}
	list, err := j.Entries(t.Context(), journal.Filter{Incident: inc.ID, Kinds: []journal.Kind{journal.SignalsSnapped}})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := review.SnapIn(&list[0])
	if !ok || !s.At.Equal(night(2, 26)) || len(s.Signals) != 2 || s.Signals[0].Value != sources.N(.09) {
		t.Errorf("the snapshot before is %+v", s)
	}
}

func TestTheOneWhoLooksWatchesAndTheOthersTakeOver(t *testing.T) {
	dir := t.TempDir()
	now := night(2, 40)
	console, second := newLease(dir, "a/b c", time.Minute, false), newLease(dir, "a/b c", time.Minute, false)
	daemon := newLease(dir, "a/b c", time.Minute, true)
	takes := func(l *lease, at time.Time, want bool, why string) {
		t.Helper()
		if got, err := l.take(at); err != nil || got != want {
			t.Errorf("%s: %v, %v", why, got, err)
		}
	}
	takes(daemon, now, true, "nobody else looks")
	takes(console, now.Add(time.Second), true, "a console takes over from the daemon")
	takes(daemon, now.Add(2*time.Second), false, "the console looks")
	takes(second, now.Add(3*time.Second), false, "the first console looks")
	takes(console, now.Add(50*time.Second), true, "it goes on looking")
	takes(second, now.Add(100*time.Second), false, "it looked less than a minute ago")
	takes(second, now.Add(111*time.Second), true, "the first console has stopped looking")
	second.drop()
	takes(daemon, now.Add(112*time.Second), true, "the second console has left")
	takes(console, now.Add(-time.Hour), true, "a clock that jumped back keeps nobody from looking")
	if err := os.WriteFile(console.path, []byte(`{"holder":"x","looked":"2026-`), 0o600); err != nil {
		t.Fatal(err)
	}
	takes(second, now, true, "a half-written file is nobody's")
	st, err := os.Stat(console.path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

func TestALiveLookIsWrittenDownAndAPastOneIsNot(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	a := open(t, cfg, Options{})
	running := a.watch
	a.watch = a.newWatch(false) // whose queue nobody empties
	for _, tc := range []struct {
		at   time.Time
		want int
	}{{a.clock.Now().Add(-time.Minute), 0}, {time.Time{}, 1}} {
		if _, err := a.Snapshot(t.Context(), "assistant", sources.View{At: tc.at, Range: time.Hour, Columns: 60}, ""); err != nil {
			t.Fatal(err)
		}
		if n := len(a.watch.queue); n != tc.want {
			t.Errorf("a look at %s offers %d snapshots", tc.at, n)
		}
	}
	a.watch = running
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changed := j.Changed(ctx)
	a.watch.offer(snapAt(a.clock.Now(), bad))
	for {
		list, err := j.Entries(ctx, journal.Filter{Kinds: []journal.Kind{journal.AlertFiring}})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatal("the alert was not written")
		}
	}
}
