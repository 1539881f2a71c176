package traces_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"rollcall/store/traces"
)

// BenchmarkLookUp opens requests by their ID in a store of 2 M spans in 20
// partitions, warm. ROLLCALL_BENCH_SPANS=10000000 fills one with 10 M instead,
// which takes some minutes and 3 GB of disk; -short one with 100,000.
func BenchmarkLookUp(b *testing.B) {
	const partitions, lookUps = 20, 5000
	spans := 2_000_000
	if testing.Short() {
		spans = 100_000
	}
	if v := os.Getenv("ROLLCALL_BENCH_SPANS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < partitions*tracesPerBatch*spansPerTrace {
			b.Fatalf("ROLLCALL_BENCH_SPANS=%q is not a number of spans from %d on", v, partitions*tracesPerBatch*spansPerTrace)
		}
		spans = n
	}
	n := spans / spansPerTrace
	s, err := traces.OpenWith(b.TempDir(), traces.Options{Folder: folder(b), Clock: wallClock(b)}, traces.Limits{PartTraces: int64(n / partitions)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	r := startReceiver(b, s)
	client := dial(b, r.GRPCAddr())
	const calls = 100
	for first := 0; first < n; first += calls * tracesPerBatch {
		send(b, client, requests(first, min(calls, (n-first)/tracesPerBatch)), 4)
	}
	n -= n % tracesPerBatch
	for name, id := range map[string]func(i int) string{
		"request-id": func(i int) string { return fmt.Sprintf("req-%08d", i) },
		"trace-id":   func(i int) string { return traceID(i).String() },
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			look := func(i int) time.Duration {
				began := time.Now()
				view, _, err := s.Trace(b.Context(), id(i))
				d := time.Since(began)
				if err != nil || view == nil || len(view.Spans) != spansPerTrace {
					b.Fatalf("%s: %v %v", id(i), view, err)
				}
				return d
			}
			var cpu time.Duration
			for b.Loop() {
				for i := range 2 * lookUps { // every partition in turn, no request twice
					d := look(int(uint64(i) * 2_654_435_761 % uint64(n)))
					switch { // the first half warms
					case i >= lookUps:
						took = append(took, d)
					case i == lookUps-1:
						cpu -= cpuTime(b)
					}
				}
				cpu += cpuTime(b)
			}
			b.ReportMetric(float64(cpu.Microseconds())/float64(len(took)), "cpu-µs/op")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}
