package traces_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
	"rollcall/store/traces"
)

var tableStart = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// tableOf fills a store with n request rows of every kind of column, written
// straight into a partition: what matters is how they are read.
func tableOf(tb testing.TB, n int) *traces.Store {
	tb.Helper()
	dir := tb.TempDir()
	// Nothing is done behind the test's back.
	clock := newClock()
	s, err := traces.OpenWith(dir, traces.Options{Folder: folder(tb), Clock: clock}, traces.Limits{Rest: time.Hour, Period: 1000 * time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	sink := &capture{}
	send(tb, dial(tb, startReceiver(tb, sink).GRPCAddr()), requests(0, 1), 1)
	for _, b := range sink.got {
		if err := s.Consume(tb.Context(), b); err != nil {
			tb.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 1 {
		tb.Fatal(files, err)
	}
	db, err := sql.Open("sqlite3", "file:"+files[0])
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"CREATE TEMP TABLE model_row AS SELECT * FROM requests LIMIT 1",
		"DELETE FROM requests", "DELETE FROM documents", "DELETE FROM tool_calls", "DELETE FROM scores",
		"CREATE TEMP TABLE n(i INTEGER)",
		fmt.Sprintf("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<%d) INSERT INTO n SELECT i FROM c", n-1),
		fmt.Sprintf(`UPDATE model_row SET time=%d`, tableStart.UnixNano()),
	} {
		if _, err := db.Exec(q); err != nil {
			tb.Fatal(err, q)
		}
	}
	names := columnNames(tb, db)
	values := slices.Clone(names)
	set := func(column, expr string) {
		i := slices.Index(names, column)
		if i < 0 {
			tb.Fatalf("no column %s", column)
		}
		values[i] = expr
	}
	set("key", "i+1")
	set("trace", "randomblob(16)")
	set("time", "time+i*5000000")
	set("request_id", "printf('req-%08d',i)")
	set("response_id", "printf('chatcmpl-%024d',i)")
	set("tenant", "'tenant-'||(i%7)")
	set("user", "'u_'||(i*2654435761%20000)")
	set("region", "CASE i%3 WHEN 0 THEN 'eu-west-1' WHEN 1 THEN 'us-east-1' ELSE 'ap-south-1' END")
	set("route", "CASE i%4 WHEN 0 THEN '/v1/agent' ELSE '/v1/answer' END")
	set("prompt", fmt.Sprintf("CASE WHEN i<%d THEN 'v13' ELSE 'v14' END", n/2))
	set("manifest", fmt.Sprintf("CASE WHEN i<%d THEN 'm-0042' ELSE 'm-0043' END", n/2))
	set("schema_result", fmt.Sprintf("CASE WHEN abs(i*2654435761%%1000)<CASE WHEN i<%d THEN 12 ELSE 91 END THEN 'fail' ELSE 'pass' END", n/2))
	set("latency", "0.5+(i*7919%1000)/200.0")
	set("tokens_in", "800+i%900")
	q := "INSERT INTO requests(" + strings.Join(names, ",") + ") SELECT " + strings.Join(values, ",") + " FROM n,model_row ORDER BY i"
	if _, err := db.Exec(q); err != nil {
		tb.Fatal(err)
	}
	for k := range 4 {
		q := fmt.Sprintf("INSERT INTO documents(id,document,score) SELECT ((i+1)<<10)+%d,'kb-42/doc-'||((i*%d)%%900),0.5 FROM n", k, 31+k*17)
		if _, err := db.Exec(q); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := db.Exec("INSERT INTO tool_calls SELECT (i+1)<<10,'order_lookup','c','','{}','{}' FROM n WHERE i%4=0"); err != nil {
		tb.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO scores SELECT (i+1)<<10,'groundedness',(i%10)/10.0,'','' FROM n WHERE i%10=0"); err != nil {
		tb.Fatal(err)
	}
	clock.add(11 * time.Hour)
	return s
}

func columnNames(tb testing.TB, db *sql.DB) []string {
	tb.Helper()
	rows, err := db.Query("SELECT name FROM pragma_table_info('requests')")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			tb.Fatal(err)
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

func everything(n int) sources.TableQuery {
	return sources.TableQuery{
		Service: "support-assistant", Since: tableStart, Until: tableStart.Add(time.Duration(n) * 5 * time.Millisecond),
		Text: suspect.Text, Lists: suspect.Lists, Numbers: append(slices.Clone(suspect.Numbers), "score"),
	}
}

func TestTableHasEveryRowAndListOfTheRangeByColumn(t *testing.T) {
	const n = 10_000
	s := tableOf(t, n)
	q := everything(n)
	got, err := s.Table(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got.N != n || got.Every != 1 || got.Facts.Partial != "" || got.Facts.Total != n {
		t.Fatalf("%d rows, every %d, facts %+v", got.N, got.Every, got.Facts)
	}
	tenant, schema, latency, score := got.Column("tenant"), got.Column("schema"), got.Number("latency"), got.Number("score")
	perRow := make([]int, n)
	for i, row := range got.Lists[0].Rows {
		perRow[row]++
		if v := got.Lists[0].Values[got.Lists[0].Codes[i]]; !strings.HasPrefix(v, "kb-42/doc-") {
			t.Fatalf("document %q", v)
		}
	}
	for row := range n {
		i := int(got.Time[row] / (5 * time.Millisecond)) // the rows are in no order; their time says which they are
		if v := tenant.Values[tenant.Codes[row]]; v != fmt.Sprintf("tenant-%d", i%7) {
			t.Fatalf("row %d has tenant %s", i, v)
		}
		want := "pass"
		limit := 12
		if i >= n/2 {
			limit = 91
		}
		if i*2654435761%1000 < limit {
			want = "fail"
		}
		if v := schema.Values[schema.Codes[row]]; v != want {
			t.Fatalf("row %d has schema %s, want %s", i, v, want)
		}
		if want := 0.5 + float64(i*7919%1000)/200; math.Abs(latency[row]-want) > 1e-5 {
			t.Fatalf("row %d has latency %v, want %v", i, latency[row], want)
		}
		if perRow[row] != 4 {
			t.Fatalf("row %d has %d documents", i, perRow[row])
		}
		if known := !math.IsNaN(score[row]); known != (i%10 == 0) {
			t.Fatalf("row %d has score %v", i, score[row])
		}
	}

	q.Since, q.Until = tableStart.Add(10*time.Second), tableStart.Add(15*time.Second)
	if got, err = s.Table(t.Context(), q); err != nil || got.N != 1000 {
		t.Errorf("a part of the range has %d rows: %v", got.N, err)
	}
	q.Service = "another"
	if got, err = s.Table(t.Context(), q); err != nil || got.N != 0 {
		t.Errorf("another service has %d rows: %v", got.N, err)
	}
}

func TestTableOfTooManyRowsTakesAnEvenShareAndSaysSo(t *testing.T) {
	const n = 20_000
	s := tableOf(t, n)
	q := everything(n)
	q.Limit = 2000
	got, err := s.Table(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got.N < 1000 || got.N > 3000 || got.Every < 8 || !got.Facts.Sampled || !strings.Contains(got.Facts.Partial, "one of ") {
		t.Fatalf("%d rows, every %d, facts %+v", got.N, got.Every, got.Facts)
	}
	// No tenant is lost to the rhythm of the traffic, and lists belong to rows that are there.
	count := map[string]int{}
	c := got.Column("tenant")
	for _, code := range c.Codes {
		count[c.Values[code]]++
	}
	for name, k := range count {
		if k < got.N/7/2 || k > got.N/7*2 {
			t.Errorf("tenant %s has %d of %d rows", name, k, got.N)
		}
	}
	if len(count) != 7 || len(got.Lists[0].Rows) != 4*got.N {
		t.Errorf("%d tenants, %d documents of %d rows", len(count), len(got.Lists[0].Rows), got.N)
	}
}

func TestRequestsAreFoundByWhatASuspectNames(t *testing.T) {
	s := tableOf(t, 2000)
	for _, tc := range []struct {
		where []sources.Attribute
		want  int
	}{
		{[]sources.Attribute{{Name: "tool", Value: "order_lookup"}}, 500},
		{[]sources.Attribute{{Name: "tool_error", Value: "order_lookup"}}, 0},
		{[]sources.Attribute{{Name: "document", Value: "kb-42/doc-0"}, {Name: "manifest", Value: "m-0042"}}, 1},
		{[]sources.Attribute{{Name: "manifest", Value: "m-0043"}, {Name: "tool", Value: "order_lookup"}}, 250},
	} {
		list, err := s.Requests(t.Context(), sources.RequestFilter{Where: tc.where, Limit: 1000})
		if err != nil || len(list.Rows) == 0 && tc.want > 0 || len(tc.where) < 2 && len(list.Rows) != tc.want {
			t.Errorf("%v finds %d, want %d: %v", tc.where, len(list.Rows), tc.want, err)
		}
		for i := range list.Rows {
			for _, a := range tc.where {
				if !slices.Contains(list.Rows[i].Attribute(a.Name), a.Value) {
					t.Errorf("%v finds %+v", tc.where, list.Rows[i])
				}
			}
		}
	}
	if _, err := s.Requests(t.Context(), sources.RequestFilter{Where: []sources.Attribute{{Name: "1=1 OR tenant", Value: "x"}}}); err == nil {
		t.Error("a column that does not exist is searched")
	}
}

func TestTableRefusesWhatARowDoesNotHave(t *testing.T) {
	s := openStore(t, t.TempDir())
	for _, change := range []func(*sources.TableQuery){
		func(q *sources.TableQuery) { q.Text = []string{"tenant) FROM spans --"} },
		func(q *sources.TableQuery) { q.Lists = []string{"users"} },
		func(q *sources.TableQuery) { q.Numbers = []string{"age"} },
		func(q *sources.TableQuery) { q.Until = q.Since },
	} {
		q := everything(10)
		change(&q)
		if _, err := s.Table(t.Context(), q); err == nil {
			t.Errorf("%+v was answered", q)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	full := tableOf(t, 100)
	if _, err := full.Table(ctx, everything(100)); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits for it any more, and it says %v", err)
	}
}

// BenchmarkSuspects reads 200,000 rows (20,000 with -short) with four documents
// each out of a warm store and finds what the bad ones have in common: those that
// fail, and those that are slow, with the shape of every stage. The newest rows are in
// no block yet, as where traces arrive.
func BenchmarkSuspects(b *testing.B) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	s := tableOf(b, n)
	s.BuildBlocks()
	stages := []string{"latency"}
	for stage := range sources.StageCount {
		stages = append(stages, stage.String())
	}
	for _, bc := range []struct {
		name    string
		outcome suspect.Outcome
		stages  []string
	}{
		{"failing", suspect.Outcome{Column: "schema", Bad: []string{"fail"}, Level: suspect.Checked}, nil},
		{"slow", suspect.Outcome{Number: "latency", Level: suspect.Ended}, stages},
	} {
		b.Run(bc.name, func(b *testing.B) {
			q := everything(n)
			q.Numbers = append(slices.Clone(suspect.Numbers), bc.stages...)
			slices.Sort(q.Numbers)
			q.Numbers = slices.Compact(q.Numbers)
			var read, find, readCPU, findCPU time.Duration
			for b.Loop() {
				cpu, began := cpuTime(b), time.Now()
				t, err := s.Table(b.Context(), q)
				if err != nil || t.N != n {
					b.Fatal(t.N, err)
				}
				read += time.Since(began)
				readCPU += cpuTime(b) - cpu
				cpu, began = cpuTime(b), time.Now()
				state, _ := bc.outcome.States(t, tableStart.Add(time.Duration(n/2)*5*time.Millisecond))
				found := suspect.Find(t, state, bc.outcome.Level)
				for _, stage := range bc.stages {
					if shape := suspect.ShapeOf(t, stage, q.Until.Sub(q.Since), 60); shape != nil {
						shape.Explain(t)
					}
				}
				find += time.Since(began)
				findCPU += cpuTime(b) - cpu
				if bc.name == "failing" && (len(found.Suspects) == 0 || found.Suspects[0].Name() != "prompt=v14") {
					b.Fatalf("%+v", found.Suspects)
				}
			}
			b.ReportMetric(float64(read.Milliseconds())/float64(b.N), "read-ms")
			b.ReportMetric(float64(find.Milliseconds())/float64(b.N), "find-ms")
			b.ReportMetric(float64((readCPU+findCPU).Milliseconds())/float64(b.N), "cpu-ms")
		})
	}
}
