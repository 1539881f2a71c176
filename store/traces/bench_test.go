package traces_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"rollcall/sources"
	"rollcall/store/traces"
)

const (
	spansPerTrace  = 10
	tracesPerBatch = 50 // 500 spans, near the SDK's default export of 512
)

// requests builds n export calls of tracesPerBatch traces each, numbered from first.
func requests(first, n int) []ptraceotlp.ExportRequest {
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	out := make([]ptraceotlp.ExportRequest, n)
	for i := range out {
		td := ptrace.NewTraces()
		for j := range tracesPerBatch {
			k := first + i*tracesPerBatch + j
			assistant(td, k, at.Add(time.Duration(k)*time.Millisecond))
		}
		out[i] = ptraceotlp.NewExportRequestFromTraces(td)
	}
	return out
}

// BenchmarkIngest sends 1 M spans (100,000 with -short) as OTLP over gRPC from
// this process into a store, with redaction and request rows on, and reports
// spans per second beside those of a raw loop that inserts the same spans into
// one table with two indexes in the same run.
func BenchmarkIngest(b *testing.B) {
	const calls = 100
	passes := 20
	if testing.Short() {
		passes = 2
	}
	spans := float64(passes * calls * tracesPerBatch * spansPerTrace)
	var wire, raw, wireCPU, rawCPU time.Duration
	for b.Loop() {
		s, err := traces.Open(b.TempDir(), traces.Options{Folder: folder(b), Clock: wallClock(b)})
		if err != nil {
			b.Fatal(err)
		}
		r := startReceiver(b, s)
		client := dial(b, r.GRPCAddr())
		yardstick := rawTable(b)
		for pass := range passes {
			batches := requests(pass*calls*tracesPerBatch, calls)
			if pass == 0 {
				wireBytes := 0
				for _, req := range batches {
					body, err := req.MarshalProto()
					if err != nil {
						b.Fatal(err)
					}
					wireBytes += len(body)
				}
				b.ReportMetric(float64(wireBytes)/float64(calls*tracesPerBatch*spansPerTrace), "wire-B/span")
			}
			began, cpu := time.Now(), cpuTime(b)
			send(b, client, batches, 4)
			wire += time.Since(began)
			wireCPU += cpuTime(b) - cpu
			took, used := rawInserts(b, yardstick, batches)
			raw += took
			rawCPU += used
		}
		if err := r.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		// A figure for spans that are not there would be worthless.
		list, err := s.Requests(b.Context(), sources.RequestFilter{Limit: 1000})
		if err != nil || list.Facts.Total != passes*calls*tracesPerBatch {
			b.Fatalf("%d of %d requests are there: %v", list.Facts.Total, passes*calls*tracesPerBatch, err)
		}
		for _, row := range list.Rows {
			if row.SpanCount != spansPerTrace || row.Prompt == "" || row.TokensIn.V != 1200 {
				b.Fatalf("row %+v", row)
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	ours := spans * float64(b.N) / wire.Seconds()
	theirs := spans * float64(b.N) / raw.Seconds()
	b.ReportMetric(ours, "spans/s")
	b.ReportMetric(theirs, "raw-spans/s")
	b.ReportMetric(ours/theirs, "of-raw")
	b.ReportMetric(float64(wireCPU.Nanoseconds())/1e3/spans/float64(b.N), "cpu-µs/span")
	b.ReportMetric(float64(rawCPU.Nanoseconds())/1e3/spans/float64(b.N), "raw-cpu-µs/span")
	b.ReportMetric(0, "ns/op")
}

func send(tb testing.TB, client ptraceotlp.GRPCClient, batches []ptraceotlp.ExportRequest, senders int) {
	tb.Helper()
	var wg sync.WaitGroup
	work := make(chan ptraceotlp.ExportRequest)
	for range senders {
		wg.Go(func() {
			for req := range work {
				if _, err := client.Export(context.Background(), req); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	for _, req := range batches {
		work <- req
	}
	close(work)
	wg.Wait()
}

// rawTable is the yardstick: one row per span, indexes on trace and time.
func rawTable(tb testing.TB) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(tb.TempDir(), "raw.db")+"?_journal_mode=WAL&_synchronous=NORMAL")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"CREATE TABLE spans(trace BLOB,span BLOB,parent BLOB,name TEXT,start INTEGER,finish INTEGER,attrs TEXT)",
		"CREATE INDEX spans_by_trace ON spans(trace)", "CREATE INDEX spans_by_start ON spans(start)",
	} {
		if _, err := db.Exec(q); err != nil {
			tb.Fatal(err)
		}
	}
	return db
}

// rawInserts puts the spans into the yardstick, one transaction per batch; nothing else is done to them.
func rawInserts(tb testing.TB, db *sql.DB, batches []ptraceotlp.ExportRequest) (took, cpu time.Duration) {
	tb.Helper()
	type row struct {
		trace, span, parent []byte
		name, attrs         string
		start, end          int64
	}
	rows := make([][]row, len(batches))
	for i, req := range batches {
		for _, rs := range req.Traces().ResourceSpans().All() {
			for _, s := range rs.ScopeSpans().At(0).Spans().All() {
				t, id, p := s.TraceID(), s.SpanID(), s.ParentSpanID()
				attrs := fmt.Sprint(s.Attributes().AsRaw())
				rows[i] = append(rows[i], row{t[:], id[:], p[:], s.Name(), attrs, int64(s.StartTimestamp()), int64(s.EndTimestamp())})
			}
		}
	}
	began, used := time.Now(), cpuTime(tb)
	for _, batch := range rows {
		tx, err := db.Begin()
		if err != nil {
			tb.Fatal(err)
		}
		stmt, err := tx.Prepare("INSERT INTO spans VALUES(?,?,?,?,?,?,?)")
		if err != nil {
			tb.Fatal(err)
		}
		defer func() { _ = stmt.Close() }()
		for i := range batch {
			r := &batch[i]
			if _, err := stmt.Exec(r.trace, r.span, r.parent, r.name, r.start, r.end, r.attrs); err != nil {
				tb.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			tb.Fatal(err)
		}
	}
	return time.Since(began), cpuTime(tb) - used
}

// filled returns a store that holds n traces, written straight through Consume.
func filled(tb testing.TB, n int) *traces.Store {
	tb.Helper()
	s := openStore(tb, tb.TempDir())
	sink := &capture{}
	r := startReceiver(tb, sink)
	client := dial(tb, r.GRPCAddr())
	for first := 0; first < n; first += tracesPerBatch {
		sink.got = nil
		send(tb, client, requests(first, 1), 1)
		for _, b := range sink.got {
			if err := s.Consume(tb.Context(), b); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return s
}

type capture struct {
	mu  sync.Mutex
	got []*sources.TraceBatch
}

func (c *capture) Consume(_ context.Context, b *sources.TraceBatch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, b)
	return nil
}

// BenchmarkConsume is the store alone: batches already converted and redacted.
func BenchmarkConsume(b *testing.B) {
	const calls = 100
	sink := &capture{}
	r := startReceiver(b, sink)
	send(b, dial(b, r.GRPCAddr()), requests(0, calls), 1)
	spans := float64(calls * tracesPerBatch * spansPerTrace)
	var took, used time.Duration
	for b.Loop() {
		s, err := traces.Open(b.TempDir(), traces.Options{Folder: folder(b), Clock: wallClock(b)})
		if err != nil {
			b.Fatal(err)
		}
		began, cpu := time.Now(), cpuTime(b)
		for _, batch := range sink.got {
			if err := s.Consume(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		took += time.Since(began)
		used += cpuTime(b) - cpu
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(spans*float64(b.N)/took.Seconds(), "spans/s")
	b.ReportMetric(float64(used.Nanoseconds())/1e3/spans/float64(b.N), "cpu-µs/span")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkReceive is the endpoint alone, with redaction, into nothing.
func BenchmarkReceive(b *testing.B) {
	const calls = 100
	batches := requests(0, calls)
	r := startReceiver(b, discard{})
	client := dial(b, r.GRPCAddr())
	spans := float64(calls * tracesPerBatch * spansPerTrace)
	var took, used time.Duration
	for b.Loop() {
		began, cpu := time.Now(), cpuTime(b)
		send(b, client, batches, 4)
		took += time.Since(began)
		used += cpuTime(b) - cpu
	}
	b.ReportMetric(float64(used.Nanoseconds())/1e3/spans/float64(b.N), "cpu-µs/span")
	b.ReportMetric(spans*float64(b.N)/took.Seconds(), "spans/s")
	b.ReportMetric(0, "ns/op")
}

type discard struct{}

func (discard) Consume(context.Context, *sources.TraceBatch) error { return nil }

// BenchmarkRead reads a store of 1 M spans (100,000 with -short): a request by
// its ID, a search, and the sums of two hours by minute and prompt.
func BenchmarkRead(b *testing.B) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	s := filled(b, n)
	since := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	timed := func(b *testing.B, read func(i int)) {
		read(0)
		cpu := cpuTime(b)
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			began := time.Now()
			read(i)
			took = append(took, time.Since(began))
		}
		b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(len(took)), "cpu-µs/op")
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	}
	b.Run("by-id", func(b *testing.B) {
		timed(b, func(i int) {
			id := fmt.Sprintf("req-%08d", (i*7919)%n)
			view, _, err := s.Trace(b.Context(), id)
			if err != nil || view == nil || view.Request.ID != id {
				b.Fatalf("%s: %v %v", id, view, err)
			}
		})
	})
	b.Run("search", func(b *testing.B) {
		timed(b, func(int) {
			list, err := s.Requests(b.Context(), sources.RequestFilter{Bad: true, Tenant: "tenant-3", Versions: map[sources.Component]string{sources.Prompt: "v13"}, Limit: 100})
			if err != nil || len(list.Rows) != 100 {
				b.Fatal(len(list.Rows), err)
			}
		})
	})
	b.Run("buckets", func(b *testing.B) {
		timed(b, func(int) {
			if _, _, err := s.Buckets(b.Context(), "", since, since.Add(2*time.Hour), time.Minute, sources.Prompt); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("versions", func(b *testing.B) {
		timed(b, func(int) {
			if _, err := s.Versions(b.Context(), "", since, since.Add(2*time.Hour), time.Minute); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// cpuTime is what this process has used of all cores: unlike wall time it means
// the same on a busy machine.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLargeTrace stores one trace of 100,000 spans in calls of 500, and
// opens it: how long the longest call kept others waiting, and what it holds.
func BenchmarkLargeTrace(b *testing.B) {
	for b.Loop() {
		s, err := traces.Open(b.TempDir(), traces.Options{Folder: folder(b), Clock: wallClock(b)})
		if err != nil {
			b.Fatal(err)
		}
		var longest time.Duration
		began := time.Now()
		put := func(batch *sources.TraceBatch) {
			at := time.Now()
			if err := s.Consume(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(at))
		}
		loop(100_000, 500, put)
		put(batch(rootOf(1)))
		stored := time.Since(began)
		var mem runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&mem)
		at := time.Now()
		v, _, err := s.Trace(b.Context(), "req-1")
		if err != nil || len(v.Spans) != 100_000 || v.Request.LLMCalls != 25_000 {
			b.Fatalf("the trace came back wrong: %v", err)
		}
		b.ReportMetric(float64(time.Since(at).Milliseconds()), "ms-open")
		b.ReportMetric(float64(longest.Milliseconds()), "ms-longest-call")
		b.ReportMetric(100_001/stored.Seconds(), "spans/s")
		b.ReportMetric(float64(mem.HeapAlloc)/(1<<20), "MiB-held")
		b.ReportMetric(0, "ns/op")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
