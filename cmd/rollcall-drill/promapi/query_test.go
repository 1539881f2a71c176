package promapi

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// sampleDB holds ten minutes of a small service, a sample each 15 s.
func sampleDB(t testing.TB) (*DB, time.Time) {
	t.Helper()
	end := start.Add(10 * time.Minute)
	db := open(t, end)
	db.Describe("req_total", "counter", "finished requests", "")
	ok := db.Series("req_total", "job", "a", "outcome", "ok", "error_type", "")
	bad := db.Series("req_total", "job", "a", "outcome", "error", "error_type", "timeout")
	buckets := map[string]*Series{}
	for _, le := range []string{"0.1", "1", "+Inf"} {
		buckets[le] = db.Series("lat_bucket", "le", le)
	}
	b := db.Batch()
	for i := 0; ; i++ {
		at := start.Add(time.Duration(i) * 15 * time.Second)
		if at.After(end) {
			break
		}
		b.Add(ok, at, float64(30*i))
		b.Add(bad, at, float64(3*i))
		b.Add(buckets["0.1"], at, float64(15*i))
		b.Add(buckets["1"], at, float64(30*i))
		b.Add(buckets["+Inf"], at, float64(30*i))
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return db, end
}

func TestQueriesGiveWhatThePromQLSays(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	for expr, want := range map[string]float64{
		`sum(rate(req_total[5m]))`: 2.2,
		`sum(rate(req_total{outcome="error"}[5m])) / sum(rate(req_total[5m]))`:  1. / 11,
		`sum(rate(req_total{error_type=""}[5m]))`:                               2,
		`histogram_quantile(0.75, sum by (le) (rate(lat_bucket[5m])))`:          0.55,
		`sum(increase(req_total{outcome="ok"}[4m] offset 2m))`:                  480,
		`(sum(rate(absent_total[5m])) or vector(0)) / sum(rate(req_total[5m]))`: 0,
		`max_over_time(sum(rate(req_total[1m]))[5m:1m])`:                        2.2,
		`vector(time())`:              float64(end.Unix()),
		`count({__name__=~"req_.*"})`: 2,
		`sum by (outcome) (req_total{outcome="error"}) / ignoring(outcome) sum(req_total)`:     1. / 11,
		`predict_linear(req_total{outcome="ok"}[5m], 60) - on() req_total{outcome="ok"}`:       120,
		`sum(req_total @ ` + fmt.Sprint(start.Add(time.Minute).Unix()) + `)`:                   132,
		`count_over_time(req_total{outcome="ok"}[` + "\n" + `1m]) # a comment`:                 4,
		`label_replace(sum(req_total{outcome="ok"}), "x", "$1", "y", "(.*)")`:                  1200,
		`quantile_over_time(0.5, req_total{outcome="ok"}[5m])`:                                 915,
		`sum(last_over_time(req_total[1m])) - sum(req_total offset 15s)`:                       33,
		`count(req_total{outcome!~"ok|nothing"}) + scalar(vector(2)) + count(lat_bucket) == 6`: 6,
	} {
		if got := srv.scalar(t, expr, end); !near(got, want) {
			t.Errorf("%s = %v, want %v", expr, got, want)
		}
	}
}

func TestRangeQueryHasAPointAtEachStepAndNoneWhereThereWasNoData(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	v, _, _, err := srv.QueryRange(t.Context(), `req_total{outcome="ok"}`,
		v1.Range{Start: start.Add(-time.Minute), End: end, Step: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	m := v.(model.Matrix)
	if len(m) != 1 || len(m[0].Values) != 21 {
		t.Fatalf("got %v", m)
	}
	if p := m[0].Values[2]; p.Timestamp.Time().Sub(start) != time.Minute || p.Value != 120 {
		t.Errorf("third point is %v", p)
	}
	if name := m[0].Metric["__name__"]; name != "req_total" {
		t.Errorf("metric name is %q", name)
	}
	if _, found := m[0].Metric["error_type"]; found {
		t.Error("a label with an empty value was stored")
	}
}

func TestTimeIsServiceTimeWhenTheRequestNamesNone(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	got := srv.get(t, "/api/v1/query?query=time()")
	want := fmt.Sprintf(`{"status":"success","data":{"resultType":"scalar","result":[%d,"%d"]}}`, end.Unix(), end.Unix())
	if got.body != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
}

func TestStaleSeriesVanishAtOnceAndOthersAfterFiveMinutes(t *testing.T) {
	db := open(t, start)
	ended, silent := db.Series("ended"), db.Series("silent")
	b := db.Batch()
	b.Add(ended, start, 1)
	b.Add(silent, start, 1)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b.Stale(ended, start.Add(15*time.Second))
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	srv := serve(t, db)
	for _, c := range []struct {
		after          time.Duration
		ended, visible int
	}{
		{14 * time.Second, 1, 1}, {15 * time.Second, 0, 1}, {5*time.Minute - time.Millisecond, 0, 1}, {5 * time.Minute, 0, 0},
	} {
		at := start.Add(c.after)
		if n := len(srv.vector(t, `ended`, at)); n != c.ended {
			t.Errorf("after %s the ended series is seen %d times", c.after, n)
		}
		if n := len(srv.vector(t, `silent`, at)); n != c.visible {
			t.Errorf("after %s the silent series is seen %d times", c.after, n)
		}
	}
	b.Add(ended, start.Add(time.Minute), 2)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := srv.scalar(t, `ended`, start.Add(time.Minute)); got != 2 {
		t.Errorf("a series that came back has value %v", got)
	}
}

func TestReadersAndWritersAtTheSameTime(t *testing.T) {
	db := open(t, start)
	srv := serve(t, db)
	var writers, readers sync.WaitGroup
	done, stop := context.WithCancel(t.Context())
	for w := range 3 {
		writers.Go(func() {
			b := db.Batch()
			for i := range 200 {
				for k := range 5 {
					b.Add(db.Series("c_total", "writer", fmt.Sprint(w), "k", fmt.Sprint(k)), start.Add(time.Duration(i)*time.Second), float64(i))
				}
				if err := b.Commit(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for done.Err() == nil {
				if _, _, _, err := srv.Query(t.Context(), `sum by (writer) (rate(c_total[1m]))`, start.Add(time.Minute)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	if got := srv.scalar(t, `sum(count_over_time(c_total[10m]))`, start.Add(200*time.Second)); got != 3*5*200 {
		t.Errorf("%v samples arrived", got)
	}
}

func TestWarningsInfosLimitsAndStatisticsReachTheClient(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	b := db.Batch()
	b.Add(db.Series("gauge"), end.Add(-time.Minute), 2)
	b.Add(db.Series("gauge"), end, 1)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	_, warnings, _, err := srv.Query(t.Context(), `quantile(2, req_total)`, end)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "quantile value should be between 0 and 1") {
		t.Errorf("warnings %v, %v", warnings, err)
	}
	_, _, infos, err := srv.Query(t.Context(), `rate(gauge[5m])`, end)
	if err != nil || len(infos) != 1 || !strings.Contains(infos[0], "might not be a counter") {
		t.Errorf("infos %v, %v", infos, err)
	}
	v, warnings, _, err := srv.Query(t.Context(), `lat_bucket`, end, v1.WithLimit(1))
	if err != nil || len(v.(model.Vector)) != 1 || len(warnings) != 1 {
		t.Errorf("limited: %v, %v, %v", v, warnings, err)
	}
	if got := srv.get(t, "/api/v1/query?query=req_total&stats=true"); !strings.Contains(got.body, `"totalQueryableSamples":2`) {
		t.Errorf("no statistics: %s", got.body)
	}
	if got := srv.get(t, "/api/v1/format_query?query=sum(a)by(b)"); !strings.Contains(got.body, `"sum by (b) (a)"`) {
		t.Errorf("format_query: %s", got.body)
	}
}
