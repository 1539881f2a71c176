package signal

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
)

// slowTables lets each answer wait until it is let go.
type slowTables struct {
	tablesFake
	mu    sync.Mutex
	calls int
	began chan struct{}
	let   chan error
}

func (s *slowTables) Table(ctx context.Context, q sources.TableQuery) (*sources.RequestTable, error) {
	if !slices.Equal(q.Text, suspect.Text) {
		return nil, errors.New("asked by somebody else")
	}
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	s.began <- struct{}{}
	select {
	case err := <-s.let:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tablesFake.Table(ctx, q)
}

func (s *slowTables) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func TestARefreshLooksForNoSuspectsAndDoesNotWaitForThem(t *testing.T) {
	began := minutes(-12)
	c := &clock{now: t0}
	rows := &slowTables{tablesFake: tablesFake{at: began}, began: make(chan struct{}, 10), let: make(chan error, 10)}
	e := evaluator(t, Deps{Prom: validation(step(began.Add(time.Minute), 0.012, 0.2)), Tables: rows, Changes: went(began), Clock: c}, Service{})
	named := func(s *Snapshot) bool { return s.Suspects != nil && len(s.Suspects.Suspects) > 0 }

	rows.let <- nil
	if s := snapshot(t, e); !named(s) || !strings.Contains(s.Line.Text(400), "Suspect: ") {
		t.Fatalf("the first line is %q", s.Line.Text(400))
	}
	<-rows.began
	c.add(15 * time.Second)
	if s := snapshot(t, e); !named(s) || rows.count() != 1 {
		t.Fatalf("after 15 s the rows were read %d times", rows.count())
	}
	c.add(20 * time.Second)
	// Nobody lets this one go: a refresh that waited for it would have no suspects.
	if s := snapshot(t, e); !named(s) {
		t.Error("while they are looked for again, the line has none")
	}
	<-rows.began
	if s := snapshot(t, e); !named(s) || rows.count() != 2 {
		t.Errorf("the rows are read %d times at once", rows.count())
	}
	// It took a minute of wall time, so the next look waits for fifty.
	c.add(time.Minute)
	rows.let <- nil
	settled(t, e)
	c.add(10 * time.Minute)
	if s := snapshot(t, e); s.Suspects == nil || rows.count() != 2 {
		t.Errorf("slow rows are read again at once: %d times", rows.count())
	}
}

// settled waits until nothing is looked for.
func settled(t testing.TB, e *Evaluator) {
	t.Helper()
	e.explain.mu.Lock()
	var busy []chan struct{}
	for _, x := range e.explain.m {
		if x.busy != nil {
			busy = append(busy, x.busy)
		}
	}
	e.explain.mu.Unlock()
	for _, b := range busy {
		select {
		case <-b:
		case <-t.Context().Done():
			t.Fatal("it never ends")
		}
	}
}

func TestWhenRowsFailLaterTheLineKeepsWhatItKnew(t *testing.T) {
	began := minutes(-12)
	c := &clock{now: t0}
	rows := &slowTables{tablesFake: tablesFake{at: began}, began: make(chan struct{}, 10), let: make(chan error, 10)}
	p := validation(step(began.Add(time.Minute), 0.012, 0.2))
	e := evaluator(t, Deps{Prom: p, Tables: rows, Clock: c}, Service{})
	rows.let <- nil
	if s := snapshot(t, e); s.Suspects == nil || len(s.Suspects.Suspects) == 0 {
		t.Fatal("no suspects")
	}
	c.add(31 * time.Second)
	rows.let <- errors.New("disk gone")
	if s := snapshot(t, e); s.Suspects == nil || len(s.Suspects.Suspects) == 0 {
		t.Error("the refresh that reads in vain has no suspects")
	}
	settled(t, e)
}

// fast is a clock whose service time passes faster than the wall's.
type fast struct {
	clock
	wall time.Time
}

func (f *fast) Wall() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wall
}

func (f *fast) add(wall time.Duration, speed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall, f.now = f.wall.Add(wall), f.now.Add(wall*time.Duration(speed))
}

// In a drill that runs twenty times faster the shares are those of half a minute of its own
// time ago, not of ten; and looking for them takes no larger part of the time for it.
func TestTheSharesInTheLineFollowServiceTime(t *testing.T) {
	began := minutes(-12)
	c := &fast{clock: clock{now: t0}, wall: t0.Add(1000 * time.Hour)}
	rows := &slowTables{tablesFake: tablesFake{at: began}, began: make(chan struct{}, 10), let: make(chan error, 10)}
	e := evaluator(t, Deps{Prom: validation(step(began.Add(time.Minute), 0.012, 0.2)), Tables: rows, Changes: went(began), Clock: c}, Service{})
	looks := func(wall time.Duration, want int, why string) {
		t.Helper()
		c.add(wall, 20)
		if s := snapshot(t, e); s.Suspects == nil {
			t.Errorf("%s: no suspects", why)
		}
		settled(t, e)
		if got := rows.count(); got != want {
			t.Fatalf("%s: the rows were read %d times, not %d", why, got, want)
		}
	}
	rows.let <- nil
	looks(0, 1, "the first time")
	looks(time.Second, 1, "20 s of service time later")
	rows.let <- nil
	looks(time.Second, 2, "40 s of service time later")
	// Now a look that takes a second of wall time.
	<-rows.began
	<-rows.began
	c.add(2*time.Second, 20)
	if s := snapshot(t, e); s.Suspects == nil {
		t.Error("no suspects while they are looked for again")
	}
	<-rows.began
	c.add(time.Second, 20)
	rows.let <- nil
	settled(t, e)
	looks(49*time.Second, 3, "49 s of wall time after a look that took one")
	rows.let <- nil
	looks(2*time.Second, 4, "51 s after")
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// canned answers with the same 60,000 rows each time.
type canned struct {
	t     *sources.RequestTable
	asked int
}

func (c *canned) Table(context.Context, sources.TableQuery) (*sources.RequestTable, error) {
	c.asked++
	return c.t, nil
}

// BenchmarkRefreshWhileBad is the CPU of one live refresh while a signal is bad and
// the verdict line names its suspects out of 60,000 rows, those that look for them
// beside it included. Reading the rows is Suspects in store/traces.
func BenchmarkRefreshWhileBad(b *testing.B) {
	const refresh, n = 15 * time.Second, 60_000
	began := minutes(-12)
	rows := &tablesFake{at: began, pace: 33 * time.Minute / n}
	t, err := rows.Table(b.Context(), sources.TableQuery{Since: t0.Add(-33 * time.Minute), Until: t0})
	if err != nil {
		b.Fatal(err)
	}
	c := &clock{now: t0}
	tables := &canned{t: t}
	p := validation(func(at time.Time) float64 {
		if at.Before(began) {
			return 0.012
		}
		return 0.2 + 0.001*math.Sin(float64(at.Unix()))
	})
	e := evaluator(b, Deps{Prom: p, Tables: tables, Changes: went(began), Clock: c}, Service{})
	if err := e.Warm(b.Context(), "s", view); err != nil {
		b.Fatal(err)
	}
	cpu := cpuTime(b)
	for b.Loop() {
		p.mu.Lock()
		p.asked = p.asked[:0]
		p.mu.Unlock()
		c.add(refresh)
		s, err := e.Snapshot(b.Context(), "s", view, sources.HealthPane)
		if err != nil || s.Suspects == nil || len(s.Suspects.Suspects) == 0 {
			b.Fatal(s.Suspects, err)
		}
		settled(b, e)
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/refresh")
	b.ReportMetric(float64(tables.asked)/float64(b.N), "looks/refresh")
}
