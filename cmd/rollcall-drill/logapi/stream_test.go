package logapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// texts are the lines of a stream between two times.
func texts(s *stream, start, end int64) []string {
	var out []string
	for _, part := range s.view(start, end) {
		for _, e := range part {
			out = append(out, e.line)
		}
	}
	return out
}

func TestLinesOutOfOrderTakeTheirPlaceInTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 10_000
	order := rng.Perm(n)
	s := &stream{}
	for _, i := range order {
		if err := s.insert(entry{ts: int64(i / 3), line: fmt.Sprint(i)}, n); err != nil {
			t.Fatal(err)
		}
	}
	if s.lines != n {
		t.Errorf("%d lines", s.lines)
	}
	last, count, size := int64(-1), 0, 0
	seen := map[string]bool{}
	for _, part := range s.view(0, n) {
		for _, e := range part {
			if e.ts < last {
				t.Fatalf("time goes back from %d to %d", last, e.ts)
			}
			last = e.ts
			seen[e.line] = true
			size += e.size()
			count++
		}
	}
	if count != n || len(seen) != n || size != s.bytes {
		t.Errorf("%d lines, %d different ones, %d bytes of %d", count, len(seen), size, s.bytes)
	}
	if got := len(texts(s, 100, 200)); got != 300 {
		t.Errorf("%d lines between 100 and 200, want 300", got)
	}
	for _, seg := range s.segments {
		if len(seg.entries) == 0 || len(seg.entries) > 2*segmentLines {
			t.Errorf("a segment has %d lines", len(seg.entries))
		}
	}
}

func TestLinesOfOneTimeKeepTheirOrderOfArrivalAndAreNotRepeated(t *testing.T) {
	s := &stream{}
	for _, l := range []struct {
		ts   int64
		line string
		want error
	}{
		{5, "a", nil},
		{5, "b", nil},
		{5, "a", errRepeated},
		{9, "z", nil},
		{5, "c", nil},
		{5, "b", errRepeated},
		{9, "z", errRepeated},
		{4, "a", nil},
		{4, "a", errRepeated},
	} {
		if err := s.insert(entry{ts: l.ts, line: l.line}, 100); !errors.Is(err, l.want) {
			t.Errorf("%d %s gave %v, want %v", l.ts, l.line, err, l.want)
		}
	}
	if err := s.insert(entry{ts: 9, line: "z", meta: labelSet{{"k", "v"}}}, 100); err != nil {
		t.Errorf("a line with other metadata is another line: %v", err)
	}
	if got := strings.Join(texts(s, 0, 10), ""); got != "aabczz" {
		t.Errorf("order is %s", got)
	}
}

func TestLinesTooFarBehindAreRefused(t *testing.T) {
	s := &stream{}
	for _, l := range []struct {
		ts   int64
		want error
	}{{100, nil}, {90, nil}, {89, errTooFarBehind}, {101, nil}, {90, errTooFarBehind}, {91, nil}} {
		if err := s.insert(entry{ts: l.ts, line: fmt.Sprint(l.ts)}, 10); !errors.Is(err, l.want) {
			t.Errorf("%d gave %v, want %v", l.ts, err, l.want)
		}
	}
}

func TestTheOldestLinesMakeRoomAndAreCounted(t *testing.T) {
	const size = 10
	for name, opts := range map[string]Options{
		"by lines": {MaxLines: 3000},
		"by bytes": {MaxBytes: 3000 * (size + len("detected_level") + len("unknown"))},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, opts)
			for i := range 10 {
				var lines []line
				for j := range 1000 {
					n := 1000*i + j
					lines = append(lines, line{float64(n) / 100, fmt.Sprintf("%0*d", size, n), nil})
				}
				s.push(t, map[string]string{"job": "a"}, lines...)
			}
			st := s.Stats()
			if st.Lines != 3000 || st.Dropped != 7000 || st.Streams != 1 {
				t.Errorf("%+v", st)
			}
			first := strings.Fields(s.lines(t, `{job="a"}`, "direction", "forward", "limit", "1"))
			if !slices.Equal(first, []string{"0000007000"}) {
				t.Errorf("the oldest line is %v", first)
			}
		})
	}
}

func TestAViewStaysAsItIsWhileTheStreamChanges(t *testing.T) {
	s := &stream{}
	for i := range 3000 {
		if err := s.insert(entry{ts: int64(2 * i), line: fmt.Sprint(2 * i)}, 1e6); err != nil {
			t.Fatal(err)
		}
	}
	view := s.view(0, 1e6)
	before := texts(s, 0, 1e6)
	for i := range 3000 {
		if err := s.insert(entry{ts: int64(2*i + 1), line: "new"}, 1e6); err != nil {
			t.Fatal(err)
		}
	}
	s.trim(1000, 1e9)
	var after []string
	for _, part := range view {
		for _, e := range part {
			after = append(after, e.line)
		}
	}
	if !slices.Equal(before, after) {
		t.Error("the view changed")
	}
}

func TestQueriesAndPushesAtTheSameTime(t *testing.T) {
	s := start(t, Options{MaxLines: 500})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			var batch []entry
			for j := range 20 {
				batch = append(batch, entry{ts: t0.Add(time.Duration(i*20+j^1) * time.Millisecond).UnixNano(), line: fmt.Sprintf(`{"n":%d}`, j)})
			}
			if err := s.store.push([]pushed{{labelSet{{"job", "a"}}, batch}}); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		s.query(t, `{job="a"} | json | n > 3`)
		s.query(t, `sum by (n) (count_over_time({job="a"} | json [1s]))`, "end", ns(10), "step", "1s")
	}
	if got := s.Stats(); got.Lines != 500 || got.Dropped != 1500 {
		t.Errorf("%+v", got)
	}
}
