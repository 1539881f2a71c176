package promapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 7, 30, 0, 0, time.UTC)

// open returns an empty database whose clock stands at now.
func open(t testing.TB, now time.Time) *DB {
	t.Helper()
	db, err := Open(t.TempDir(), func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestBackfillStoresEverySampleOfEveryDay(t *testing.T) {
	end := start.Add(75*time.Hour + 10*time.Second) // four blocks, the last one cut short
	db := open(t, end)
	a, b := db.Series("a_total", "job", "x"), db.Series("b")
	var calls int
	var progress []float64
	err := db.Backfill(t.Context(), start, end, time.Minute, func(at time.Time, add func(*Series, float64)) {
		add(a, float64(calls))
		if at.Hour() == 12 {
			add(b, 1)
		}
		calls++
	}, func(done float64) { progress = append(progress, done) })
	if err != nil {
		t.Fatal(err)
	}
	if calls != 75*60+1 {
		t.Errorf("fill was called for %d times, want one for each minute before the end", calls)
	}
	if len(progress) < 90 || progress[0] != 0 || progress[len(progress)-1] != 1 {
		t.Errorf("progress went %v", progress)
	}
	srv := serve(t, db)
	for expr, want := range map[string]float64{
		`count_over_time(a_total[80h])`:                     float64(calls),
		`count_over_time(b[80h])`:                           3 * 60,
		`max_over_time(a_total[80h])`:                       float64(calls - 1),
		`a_total offset 60h`:                                15 * 60,
		`sum_over_time(a_total[1h] @ start() offset 3135m)`: sum(1365-60, 1365),
		`increase(a_total[10m])`:                            10,
	} {
		if got := srv.scalar(t, expr, end); !near(got, want) {
			t.Errorf("%s = %v, want %v", expr, got, want)
		}
	}
}

// sum adds the whole numbers after from up to and including to.
func sum(from, to int) float64 { return float64(to*(to+1)/2 - from*(from+1)/2) }

func near(a, b float64) bool { return a-b < 1e-9*(1+b) && b-a < 1e-9*(1+b) }

func TestLiveSamplesContinueWhereTheBackfillEnds(t *testing.T) {
	end := start.Add(2 * time.Hour)
	db := open(t, end.Add(time.Minute))
	s := db.Series("s_total")
	n := 0.0
	err := db.Backfill(t.Context(), start, end, time.Minute, func(_ time.Time, add func(*Series, float64)) {
		n++
		add(s, n)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	batch := db.Batch()
	for at := end; at.Before(end.Add(time.Minute)); at = at.Add(15 * time.Second) {
		n++
		batch.Add(s, at, n)
		if err := batch.Commit(); err != nil {
			t.Fatalf("sample at %s: %v", at, err)
		}
	}
	srv := serve(t, db)
	if got := srv.scalar(t, `count_over_time(s_total[3h])`, end.Add(time.Minute)); got != 124 {
		t.Errorf("%v samples, want 120 of history and 4 live ones", got)
	}
	batch.Add(s, end.Add(-time.Minute), 1)
	batch.Add(s, end.Add(time.Minute), n+1)
	err = batch.Commit()
	if err == nil || !strings.Contains(err.Error(), "1 of 2 samples refused") || !strings.Contains(err.Error(), "s_total") {
		t.Errorf("a sample before the end of the backfill gave %v", err)
	}
	if got := srv.scalar(t, `s_total`, end.Add(time.Minute)); got != n+1 {
		t.Errorf("the good sample of that batch was not stored: %v", got)
	}
}

func TestLiveHeadBecomesBlocksWithoutLosingSamples(t *testing.T) {
	db := open(t, start)
	s := db.Series("s")
	end := start.Add(10 * time.Hour)
	fill := func(_ time.Time, add func(*Series, float64)) { add(s, 1) }
	if err := db.Backfill(t.Context(), start, end, time.Minute, fill, nil); err != nil {
		t.Fatal(err)
	}
	batch := db.Batch()
	for i := range 50 * 60 {
		batch.Add(s, end.Add(time.Duration(i)*time.Minute), 1)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.tsdb.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(db.tsdb.Blocks()); n < 2 {
		t.Fatalf("%d blocks after compaction", n)
	}
	srv := serve(t, db)
	last := end.Add(50 * time.Hour)
	if got := srv.scalar(t, `count_over_time(s[61h])`, last); got != 60*60 {
		t.Errorf("%v samples after compaction, want 3600", got)
	}
	batch.Add(s, last, 2)
	if err := batch.Commit(); err != nil {
		t.Errorf("the handle stopped working after its series left the head: %v", err)
	}
}

func TestBackfillThatFailsLeavesNothing(t *testing.T) {
	twice := func(s *Series) func(time.Time, func(*Series, float64)) {
		return func(at time.Time, add func(*Series, float64)) {
			add(s, 1)
			if at.Sub(start) > 30*time.Hour {
				add(s, 2)
			}
		}
	}
	other := open(t, start)
	for name, c := range map[string]struct {
		fill func(db *DB) func(time.Time, func(*Series, float64))
		end  time.Time
		want string
	}{
		"two samples of a series at one time": {
			func(db *DB) func(time.Time, func(*Series, float64)) { return twice(db.Series("s", "k", "v")) },
			start.Add(48 * time.Hour), `series {__name__="s", k="v"} has two samples at one time`,
		},
		"a series of another database": {
			func(*DB) func(time.Time, func(*Series, float64)) {
				return func(_ time.Time, add func(*Series, float64)) { add(other.Series("o"), 1) }
			},
			start.Add(time.Hour), "another database",
		},
		"an end before the start": {
			func(*DB) func(time.Time, func(*Series, float64)) { return nil },
			start.Add(-time.Hour), "the end must be after the start",
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, start)
			err := db.Backfill(t.Context(), start, c.end, time.Minute, c.fill(db), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			checkUsable(t, db)
		})
	}
}

func TestBackfillStopsWhenItsContextEnds(t *testing.T) {
	db := open(t, start)
	ctx, cancel := context.WithCancel(t.Context())
	s := db.Series("s")
	n := 0
	err := db.Backfill(ctx, start, start.Add(1000*time.Hour), time.Minute, func(_ time.Time, add func(*Series, float64)) {
		if n++; n == 5000 {
			cancel()
		}
		add(s, 1)
	}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that the context ended", err)
	}
	if n != 5000 {
		t.Errorf("fill was called %d times, the last ones in vain", n-5000)
	}
	checkUsable(t, db)
}

// checkUsable checks that a backfill left no trace and that one may still come.
func checkUsable(t *testing.T, db *DB) {
	t.Helper()
	if _, err := os.Stat(db.buildDir()); !os.IsNotExist(err) {
		t.Errorf("the unfinished blocks are still there: %v", err)
	}
	if !db.isReady() {
		t.Error("the server is not ready again")
	}
	s := db.Series("after")
	fill := func(_ time.Time, add func(*Series, float64)) { add(s, 1) }
	if err := db.Backfill(t.Context(), start, start.Add(time.Hour), time.Minute, fill, nil); err != nil {
		t.Errorf("the next backfill: %v", err)
	}
	if n := len(db.tsdb.Blocks()); n != 1 {
		t.Errorf("%d blocks, want only the one of the second backfill", n)
	}
}

func TestBackfillComesFirstAndOnce(t *testing.T) {
	fill := func(time.Time, func(*Series, float64)) {}
	t.Run("after a live sample", func(t *testing.T) {
		db := open(t, start)
		b := db.Batch()
		b.Add(db.Series("s"), start, 1)
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		err := db.Backfill(t.Context(), start, start.Add(time.Hour), time.Minute, fill, nil)
		if err == nil || !strings.Contains(err.Error(), "history comes first") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("into a folder that holds metrics", func(t *testing.T) {
		db := open(t, start)
		checkUsable(t, db) // fills it
		err := db.Backfill(t.Context(), start, start.Add(time.Hour), time.Minute, fill, nil)
		if err == nil || !strings.Contains(err.Error(), "use an empty folder") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("while another runs, and then the server is not ready", func(t *testing.T) {
		db := open(t, start)
		srv := serve(t, db)
		var inner error
		err := db.Backfill(t.Context(), start, start.Add(time.Minute), time.Minute, func(time.Time, func(*Series, float64)) {
			inner = db.Backfill(t.Context(), start, start.Add(time.Hour), time.Minute, fill, nil)
			if got := srv.get(t, "/-/ready"); got.code != 503 {
				t.Errorf("/-/ready says %d during a backfill", got.code)
			}
			if got := srv.get(t, "/api/v1/query?query=1"); got.code != 503 || !strings.Contains(got.body, "still being written") {
				t.Errorf("a query during a backfill gives %d %s", got.code, got.body)
			}
		}, nil)
		if err != nil {
			t.Error(err)
		}
		if inner == nil || !strings.Contains(inner.Error(), "another backfill is running") {
			t.Errorf("error %v", inner)
		}
		if got := srv.get(t, "/-/ready"); got.code != 200 {
			t.Errorf("/-/ready says %d after the backfill", got.code)
		}
	})
}

func TestStaleMarkerInHistoryEndsASeries(t *testing.T) {
	end := start.Add(time.Hour)
	db := open(t, end)
	s := db.Series("s")
	err := db.Backfill(t.Context(), start, end, time.Minute, func(at time.Time, add func(*Series, float64)) {
		switch d := at.Sub(start); {
		case d < 30*time.Minute:
			add(s, 1)
		case d == 30*time.Minute:
			add(s, StaleMarker())
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, db)
	if n := len(srv.vector(t, `s`, start.Add(29*time.Minute+59*time.Second))); n != 1 {
		t.Errorf("%d series just before the marker", n)
	}
	if n := len(srv.vector(t, `s`, start.Add(30*time.Minute))); n != 0 {
		t.Errorf("%d series at the marker", n)
	}
}

func BenchmarkBackfill(b *testing.B) {
	for _, c := range []struct{ series, days int }{{500, 16}} {
		b.Run(fmt.Sprintf("series=%d/days=%d", c.series, c.days), func(b *testing.B) {
			for b.Loop() {
				db := open(b, start)
				list := make([]*Series, c.series)
				value := make([]float64, c.series)
				for i := range list {
					list[i] = db.Series(fmt.Sprintf("metric_%d_total", i%40), "instance", fmt.Sprint(i), "job", "bench")
				}
				n := 0
				err := db.Backfill(b.Context(), start, start.AddDate(0, 0, c.days), time.Minute, func(_ time.Time, add func(*Series, float64)) {
					n++
					for i, s := range list {
						value[i] += float64((n*i)%97) * 1.013
						add(s, value[i])
					}
				}, nil)
				if err != nil {
					b.Fatal(err)
				}
			}
			samples := float64(c.series) * float64(c.days) * 24 * 60
			b.ReportMetric(samples*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/backfill")
		})
	}
}

func TestAFolderOfAnEarlierDrillKeepsItsHistory(t *testing.T) {
	dir := t.TempDir()
	end := start.Add(30 * time.Hour)
	now := func() time.Time { return end }
	log := slog.New(slog.DiscardHandler)
	db, err := Open(dir, now, log)
	if err != nil {
		t.Fatal(err)
	}
	s := db.Series("s")
	fill := func(_ time.Time, add func(*Series, float64)) { add(s, 1) }
	if err := db.Backfill(t.Context(), start, end, time.Minute, fill, nil); err != nil {
		t.Fatal(err)
	}
	b := db.Batch()
	for i := range 1000 { // more than one chunk, so that some are on disk
		b.Add(s, end.Add(time.Duration(i)*time.Second), float64(i))
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "backfill.tmp", "half-a-block"), 0o700); err != nil {
		t.Fatal(err)
	}

	db, err = Open(dir, now, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(db.buildDir()); !os.IsNotExist(err) {
		t.Errorf("the unfinished blocks are still there: %v", err)
	}
	if got := serve(t, db).scalar(t, `count_over_time(s[31h])`, end.Add(time.Hour-time.Minute)); got != 30*60 {
		t.Errorf("%v samples of history, want 1800", got)
	}
	again := db.Batch()
	again.Add(db.Series("s"), end.Add(time.Hour), 5)
	if err := again.Commit(); err != nil {
		t.Errorf("a new live sample: %v", err)
	}
}
