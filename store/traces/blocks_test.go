package traces_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/traces"
)

// partitionFile is the one partition of a store's folder.
func partitionFile(tb testing.TB, s *traces.Store) string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir(), "*.db"))
	if err != nil || len(files) != 1 {
		tb.Fatal(files, err)
	}
	return files[0]
}

// change does something to the one partition of a store behind its back.
func change(tb testing.TB, s *traces.Store, queries ...string) {
	tb.Helper()
	db, err := sql.Open("sqlite3", "file:"+partitionFile(tb, s)+"?_busy_timeout=5000")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			tb.Fatal(err, q)
		}
	}
}

func count(tb testing.TB, s *traces.Store, query string) (n int) {
	tb.Helper()
	db, err := sql.Open("sqlite3", "file:"+partitionFile(tb, s)+"?mode=ro")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		tb.Fatal(err, query)
	}
	return n
}

// flat is a table as one line per row, in the order of time, whatever its codes are.
func flat(t *sources.RequestTable) []string {
	lists := make([]map[uint32][]string, len(t.Lists))
	for i := range t.Lists {
		lists[i] = map[uint32][]string{}
		for e, row := range t.Lists[i].Rows {
			lists[i][row] = append(lists[i][row], t.Lists[i].Values[t.Lists[i].Codes[e]])
		}
	}
	out := make([]string, t.N)
	for row := range out {
		line := fmt.Sprintf("%015d", t.Time[row])
		for i := range t.Text {
			line += " " + t.Text[i].Values[t.Text[i].Codes[row]]
		}
		for i := range t.Numbers {
			v := t.Numbers[i].V[row]
			if math.IsNaN(v) {
				v = -1
			}
			line += fmt.Sprintf(" %.6f", v)
		}
		for i := range lists {
			values := lists[i][uint32(row)]
			slices.Sort(values)
			line += fmt.Sprint(" ", values)
		}
		out[row] = line
	}
	slices.Sort(out)
	return out
}

func TestBlocksSayWhatTheRowsSay(t *testing.T) {
	const n = 10_000 // two whole blocks, and a part of one that is read row by row
	s := tableOf(t, n)
	all := everything(n)
	part := everything(n)
	part.Since, part.Until = tableStart.Add(9*time.Second), tableStart.Add(22*time.Second)
	thin := everything(n)
	thin.Limit = 1000
	other := everything(n)
	other.Service = "another"
	scored := everything(n)
	scored.Evaluator = "groundedness"
	named := everything(n)
	named.Text = append(slices.Clone(named.Text), "request_id") // blocks have none
	few := sources.TableQuery{Since: all.Since, Until: all.Until, Text: []string{"prompt"}, Numbers: []string{"inference", "cost"}}
	queries := []sources.TableQuery{all, part, thin, other, scored, named, few}
	before := make([][]string, len(queries))
	for i, q := range queries {
		got, err := s.Table(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		before[i] = flat(got)
	}
	s.BuildBlocks()
	if got := count(t, s, "SELECT count(*) FROM blocks"); got != 2 {
		t.Fatalf("%d blocks", got)
	}
	// What is in a block is not read from the rows any more: else this test would prove nothing.
	change(t, s, "UPDATE requests SET tenant='from the row' WHERE key<8192")
	for i, q := range queries {
		got, err := s.Table(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if i != 5 && !slices.Equal(flat(got), before[i]) {
			t.Errorf("query %d has %d rows of %d, or other ones", i, got.N, len(before[i]))
		}
	}
	if len(before[0]) != n || len(before[1]) != 2600 || len(before[2]) == 0 || len(before[3]) != 0 {
		t.Errorf("the queries match %d, %d, %d, %d", len(before[0]), len(before[1]), len(before[2]), len(before[3]))
	}
}

func TestADamagedBlockCostsTimeOnly(t *testing.T) {
	const n = 9000
	s := tableOf(t, n)
	want, err := s.Table(t.Context(), everything(n))
	if err != nil {
		t.Fatal(err)
	}
	s.BuildBlocks()
	var whole []byte
	db, err := sql.Open("sqlite3", "file:"+partitionFile(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRow("SELECT data FROM blocks WHERE n=1").Scan(&whole); err != nil {
		t.Fatal(err)
	}
	lines := flat(want)
	for _, damage := range [][]byte{{}, {9}, whole[:len(whole)/2], whole[:5], bytes.Replace(whole, []byte("tenant"), []byte("tenent"), 1), append(slices.Clone(whole[:40]), make([]byte, 4000)...)} {
		if _, err := db.Exec("UPDATE blocks SET data=? WHERE n=1", damage); err != nil {
			t.Fatal(err)
		}
		got, err := s.Table(t.Context(), everything(n))
		if err != nil || !slices.Equal(flat(got), lines) {
			t.Fatalf("with %d bytes of damage: %d rows, %v", len(damage), got.N, err)
		}
	}
}

// lateSpans stores n requests of one span each.
func lateSpans(tb testing.TB, s *traces.Store, n int) {
	tb.Helper()
	for first := 0; first < n; first += 1000 {
		var spans []sources.Span
		for i := first; i < min(n, first+1000); i++ {
			at := tableStart.Add(time.Duration(i) * time.Millisecond).UnixNano()
			spans = append(spans, sources.Span{
				TraceID: traceID(i), SpanID: sources.SpanID{7: 1}, Name: "chat", Kind: "server", Start: at, End: at + 9e8, Resource: &sources.Resource{Service: "svc"},
				Attrs: sources.Attrs{
					{Key: "llmops.request.id", Value: fmt.Sprintf("req-%08d", i)},
					{Key: "llmops.tenant", Value: fmt.Sprintf("tenant-%d", i)},
					{Key: "gen_ai.request.model", Value: "gpt-4.1"},
				},
			})
		}
		if err := s.Consume(tb.Context(), &sources.TraceBatch{Spans: spans}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestALateSpanShowsThoughItsRowWasInABlock(t *testing.T) {
	const n = 5000
	clock := newClock()
	s, err := traces.OpenWith(t.TempDir(), traces.Options{Folder: folder(t), Clock: clock}, traces.Limits{Rest: time.Hour, Period: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	lateSpans(t, s, n)
	s.BuildBlocks()
	if got := count(t, s, "SELECT count(*) FROM blocks"); got != 0 {
		t.Fatalf("%d blocks of rows that have just been written", got)
	}
	clock.add(11 * time.Hour)
	s.BuildBlocks()
	if got := count(t, s, "SELECT count(*) FROM blocks"); got == 0 {
		t.Fatal("no block of rows that rest")
	}
	q := sources.TableQuery{Since: tableStart, Until: tableStart.Add(time.Hour), Numbers: []string{"spans"}}
	span := sources.Span{
		TraceID: traceID(7), SpanID: sources.SpanID{7: 2}, Parent: sources.SpanID{7: 1}, Name: "chat gpt-4.1", Kind: "client",
		Start: tableStart.UnixNano(), End: tableStart.UnixNano() + 5e8, Attrs: sources.Attrs{{Key: "gen_ai.operation.name", Value: "chat"}},
	}
	late := func() (n int) {
		t.Helper()
		got, err := s.Table(t.Context(), q)
		if err != nil || got.N != 5000 {
			t.Fatal(got.N, err)
		}
		for _, v := range got.Number("spans") {
			if v == 2 {
				n++
			}
		}
		return n
	}
	if late() != 0 {
		t.Fatal("two spans before there were two")
	}
	if err := s.Consume(t.Context(), &sources.TraceBatch{Spans: []sources.Span{span}}); err != nil {
		t.Fatal(err)
	}
	if late() != 1 {
		t.Error("the late span does not show")
	}
	clock.add(11 * time.Hour)
	s.BuildBlocks()
	if late() != 1 || count(t, s, "SELECT count(*) FROM blocks WHERE n=0") != 1 {
		t.Error("the block is not built anew, or not with the late span")
	}
}

func TestWhatIsPurgedIsInNoBlock(t *testing.T) {
	const n = 5000
	clock := newClock()
	s, err := traces.OpenWith(t.TempDir(), traces.Options{Folder: folder(t), Clock: clock}, traces.Limits{Rest: time.Hour, Period: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	lateSpans(t, s, n)
	clock.add(11 * time.Hour)
	s.BuildBlocks()
	if p, err := s.Purge(t.Context(), traces.Erase{Tenant: "tenant-7"}); err != nil || p.Requests != 1 {
		t.Fatal(p, err)
	}
	if got := count(t, s, "SELECT count(*) FROM blocks WHERE n=0"); got != 0 {
		t.Error("the block is still there")
	}
	q := sources.TableQuery{Since: tableStart, Until: tableStart.Add(time.Hour), Text: []string{"tenant"}}
	for range 2 { // without the block, and with the new one
		got, err := s.Table(t.Context(), q)
		if err != nil || got.N != n-1 || slices.Contains(got.Text[0].Values, "tenant-7") || !slices.Contains(got.Text[0].Values, "tenant-8") {
			t.Errorf("%d rows, %v", got.N, err)
		}
		clock.add(11 * time.Hour)
		s.BuildBlocks()
	}
}

// A partition that an earlier version wrote has no blocks.
func TestAPartitionWithoutBlocksIsReadAndThenGetsThem(t *testing.T) {
	const n = 5000
	dir := t.TempDir()
	first, err := traces.OpenWith(dir, traces.Options{Folder: folder(t), Clock: wallClock(t)}, traces.Limits{Rest: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	lateSpans(t, first, n)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, first, "DROP TABLE blocks", "PRAGMA user_version=1")
	q := sources.TableQuery{Since: tableStart, Until: tableStart.Add(time.Hour), Text: []string{"tenant"}}
	reader, err := traces.Open(dir, traces.Options{Folder: folder(t), Clock: wallClock(t), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	if got, err := reader.Table(t.Context(), q); err != nil || got.N != n {
		t.Fatal(got, err)
	}
	s, err := traces.OpenWith(dir, traces.Options{Folder: folder(t), Clock: wallClock(t)}, traces.Limits{Rest: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.BuildBlocks()
	if count(t, s, "SELECT count(*) FROM blocks") == 0 {
		t.Error("no blocks")
	}
	if got, err := reader.Table(t.Context(), q); err != nil || got.N != n {
		t.Error(got, err)
	}
	if fi, err := os.Stat(partitionFile(t, s)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi, err)
	}
}

// Rows that cannot be read are an old trouble of that partition alone: the store goes on, and does not try all the time.
func TestABlockThatCannotBeBuiltIsLeftAloneForAWhile(t *testing.T) {
	clock := newClock()
	s, err := traces.OpenWith(t.TempDir(), traces.Options{Folder: folder(t), Clock: clock}, traces.Limits{Rest: time.Second, Period: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	lateSpans(t, s, 5000)
	change(t, s, "ALTER TABLE scores RENAME TO hidden")
	clock.add(time.Minute)
	s.BuildBlocks() // ends
	change(t, s, "ALTER TABLE hidden RENAME TO scores")
	s.BuildBlocks()
	if got := count(t, s, "SELECT count(*) FROM blocks"); got != 0 {
		t.Errorf("%d blocks at once", got)
	}
	clock.add(time.Hour)
	s.BuildBlocks()
	if got := count(t, s, "SELECT count(*) FROM blocks"); got != 1 {
		t.Errorf("%d blocks after an hour", got)
	}
}
