package traces_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/traces"
)

// BenchmarkSearchAnHour searches the request rows of the last hour at 50 requests a
// second by prompt version and type of error, in a store that holds two hours.
func BenchmarkSearchAnHour(b *testing.B) {
	const perSecond, hours, atOnce = 50, 2, 500
	n := perSecond * 3600 * hours
	if testing.Short() {
		n /= 20
	}
	s, err := traces.OpenWith(b.TempDir(), traces.Options{Folder: folder(b), Clock: wallClock(b)}, traces.Limits{PartTraces: int64(n/hours + 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	end := day.Add(time.Duration(n) * time.Second / perSecond)
	for first := 0; first < n; first += atOnce {
		var spans []sources.Span
		for i := first; i < first+atOnce; i++ {
			at := day.Add(time.Duration(i) * time.Second / perSecond).UnixNano()
			sp := sources.Span{
				TraceID: traceID(i), SpanID: sources.SpanID{7: 1}, Name: "chat", Kind: "server", Start: at, End: at + 9e8, Resource: &sources.Resource{Service: "svc"},
				Attrs: sources.Attrs{
					{Key: "llmops.request.id", Value: fmt.Sprintf("req-%08d", i)},
					{Key: "llmops.tenant", Value: fmt.Sprint("tenant-", i%9)},
					{Key: "gen_ai.prompt.version", Value: []string{"v13", "v14"}[i%2]},
					{Key: "gen_ai.request.model", Value: "gpt-4.1"},
				},
			}
			if i%25 < 2 {
				sp.Error, sp.Attrs = true, append(sp.Attrs, sources.Attr{Key: "error.type", Value: []string{"timeout", "schema"}[i/25%2]})
			}
			spans = append(spans, sp)
		}
		if err := s.Consume(b.Context(), &sources.TraceBatch{Spans: spans}); err != nil {
			b.Fatal(err)
		}
	}
	f := sources.RequestFilter{
		Service: "svc", Since: end.Add(-time.Hour), Until: end, ErrorType: "timeout", Versions: map[sources.Component]string{sources.Prompt: "v14"}, Limit: 100,
	}
	var took []time.Duration
	cpu := cpuTime(b)
	for b.Loop() {
		began := time.Now()
		list, err := s.Requests(b.Context(), f)
		took = append(took, time.Since(began))
		if err != nil || len(list.Rows) != 100 || list.Facts.Total < n/hours/60 {
			b.Fatalf("%d rows of %d: %v", len(list.Rows), list.Facts.Total, err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(len(took)), "cpu-µs/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
