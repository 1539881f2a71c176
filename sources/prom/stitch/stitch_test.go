package stitch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"rollcall/sources"
)

var t0 = time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)

// wave answers value = seconds since t0, for one series that always exists and
// one that ends, and remembers what it was asked.
type wave struct {
	ends  time.Time
	asked []string
	fail  error
	late  float64 // added to everything, as late samples would
}

func (w *wave) Range(_ context.Context, _ string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	w.asked = append(w.asked, fmt.Sprintf("%d..%d", int(start.Sub(t0).Seconds()), int(end.Sub(t0).Seconds())))
	if w.fail != nil {
		return nil, sources.Facts{}, w.fail
	}
	a := sources.Series{Labels: map[string]string{"x": "a"}}
	b := sources.Series{Labels: map[string]string{"x": "b"}}
	for t := start; !t.After(end); t = t.Add(step) {
		a.Points = append(a.Points, sources.Point{T: t, V: t.Sub(t0).Seconds() + w.late})
		if t.Before(w.ends) {
			b.Points = append(b.Points, sources.Point{T: t, V: 1})
		}
	}
	return []sources.Series{a, b}, sources.Facts{At: end}, nil
}

func ask(t *testing.T, c *Cache, from, to int) []sources.Series {
	t.Helper()
	s, _, err := c.Range(t.Context(), "q", t0.Add(time.Duration(from)*time.Second), t0.Add(time.Duration(to)*time.Second), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func check(t *testing.T, s []sources.Series, from, to int) {
	t.Helper()
	want := (to-from)/10 + 1
	if len(s) == 0 || len(s[0].Points) != want {
		t.Fatalf("%d..%d: got %v, want %d points", from, to, s, want)
	}
	for i, p := range s[0].Points {
		if !p.T.Equal(t0.Add(time.Duration(from+10*i) * time.Second)) {
			t.Fatalf("point %d at %s", i, p.T)
		}
	}
}

func TestOnlyNewPointsAreAskedForAndTheNewestTwoAgain(t *testing.T) {
	w := &wave{ends: t0.Add(15 * time.Second)}
	c := New(w, 8, nil)
	check(t, ask(t, c, 0, 103), 0, 100)
	w.late = 0.5
	s := ask(t, c, 20, 124)
	check(t, s, 20, 120)
	check(t, ask(t, c, 20, 125), 20, 120)
	if got := fmt.Sprint(w.asked); got != "[0..100 90..120]" {
		t.Errorf("asked %s", got)
	}
	if s[0].Points[6].V != 80 || s[0].Points[7].V != 90.5 {
		t.Errorf("the newest points were not read again: %v", s[0].Points)
	}
	if len(s) != 1 {
		t.Errorf("a series that ended before the range is still there: %v", s)
	}
}

func TestPanningLeftAsksForTheLeftPart(t *testing.T) {
	w := &wave{}
	c := New(w, 8, nil)
	ask(t, c, 100, 200)
	check(t, ask(t, c, 50, 150), 50, 150)
	if got := fmt.Sprint(w.asked); got != "[100..200 50..90]" {
		t.Errorf("asked %s", got)
	}
}

func TestARangeFarAwayReplacesWhatIsKept(t *testing.T) {
	w := &wave{}
	c := New(w, 8, nil)
	ask(t, c, 0, 100)
	check(t, ask(t, c, 5000, 5100), 5000, 5100)
	check(t, ask(t, c, 0, 100), 0, 100)
	if len(w.asked) != 3 {
		t.Errorf("asked %v", w.asked)
	}
}

func TestAFailureKeepsWhatIsKnownAndIsAskedAgain(t *testing.T) {
	w := &wave{}
	c := New(w, 8, nil)
	ask(t, c, 0, 100)
	w.fail = errors.New("down")
	if _, _, err := c.Range(t.Context(), "q", t0, t0.Add(200*time.Second), 10*time.Second); err == nil {
		t.Fatal("no error")
	}
	w.fail = nil
	check(t, ask(t, c, 0, 200), 0, 200)
	if got := w.asked[len(w.asked)-1]; got != "90..200" {
		t.Errorf("asked %s", got)
	}
}

func TestFollowingForHoursDoesNotGrow(t *testing.T) {
	w := &wave{}
	c := New(w, 8, nil)
	for i := range 2000 {
		ask(t, c, i*10, i*10+100)
	}
	e := c.entry(key{"q", 10 * time.Second})
	if n := len(e.series[0].Points); n > 40 {
		t.Errorf("%d points kept for 11 shown", n)
	}
}

func TestTheLeastUsedQueryIsLetGo(t *testing.T) {
	c := New(&wave{}, 2, nil)
	for _, q := range []string{"a", "b", "a", "c"} {
		if _, _, err := c.Range(t.Context(), q, t0, t0, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, kept := c.entries[key{"b", time.Second}]; kept || len(c.entries) != 2 {
		t.Errorf("kept %v", c.entries)
	}
}

func TestWaitingForAnotherFetchEndsWithTheContext(t *testing.T) {
	c := New(&wave{}, 2, nil)
	c.entry(key{"q", time.Second}).busy <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Range(ctx, "q", t0, t0, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSeriesSurviveALaterRefresh(t *testing.T) {
	w := &wave{}
	c := New(w, 2, nil)
	old := ask(t, c, 0, 100)
	w.late = 100
	ask(t, c, 0, 150)
	if old[0].Points[10].V != 100 {
		t.Errorf("a series in a caller's hands changed: %v", old[0].Points[10])
	}
}

func TestAnAnswerStaysAsItWasGivenWhateverComesLater(t *testing.T) {
	w := &wave{ends: t0.Add(1000 * time.Second)}
	c := New(w, 8, nil)
	var held [][]sources.Series
	var copies []string
	for i := range 60 {
		switch {
		case i%7 == 3:
			w.late = float64(i) // late samples change the points that are read again
		case i%11 == 5:
			w.ends = t0.Add(time.Duration(100+10*i) * time.Second) // a series goes, and comes back later
		case i%11 == 9:
			w.ends = t0.Add(10_000 * time.Second)
		}
		s := ask(t, c, 10*i, 100+10*i)
		held, copies = append(held, s), append(copies, fmt.Sprint(s))
	}
	for i := range held {
		if got := fmt.Sprint(held[i]); got != copies[i] {
			t.Fatalf("answer %d became\n%s\nit was\n%s", i, got, copies[i])
		}
	}
}

// twice answers with two series of the same labels, of which the second comes and goes.
type twice struct{ n int }

func (w *twice) Range(_ context.Context, _ string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	w.n++
	out := []sources.Series{{}, {}}
	for i := range out[:1+w.n%2] {
		for t := start; !t.After(end); t = t.Add(step) {
			out[i].Points = append(out[i].Points, sources.Point{T: t, V: float64(i)})
		}
	}
	return out, sources.Facts{At: end}, nil
}

func TestAServerThatGivesTheSameLabelsTwiceBreaksNothing(t *testing.T) {
	c := New(&twice{}, 8, nil)
	for i := range 20 {
		if s := ask(t, c, 10*i, 100+10*i); len(s) > 2 {
			t.Fatalf("%d series of two", len(s))
		}
	}
}

func TestWhatAClockThatWentAheadFoundEmptyIsAskedForAgain(t *testing.T) {
	now := t0.Add(100 * time.Second)
	w := &until{wave: wave{ends: t0}, last: func() time.Time { return t0.Add(100 * time.Second) }}
	c := New(w, 8, func() time.Time { return now })
	check(t, ask(t, c, 0, 100), 0, 100)
	now = t0.Add(400 * time.Second) // it jumps
	ask(t, c, 0, 400)
	now = t0.Add(200 * time.Second) // and is set right
	w.last = func() time.Time { return now }
	check(t, ask(t, c, 0, 200), 0, 200)
	now = t0.Add(300 * time.Second)
	check(t, ask(t, c, 0, 300), 0, 300)
}

// until has no points after a time, as a server whose clock is right.
type until struct {
	wave
	last func() time.Time
}

func (u *until) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	series, facts, err := u.wave.Range(ctx, expr, start, end, step)
	return within(series, start, u.last()), facts, err
}
