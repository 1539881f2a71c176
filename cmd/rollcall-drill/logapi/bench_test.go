package logapi

import (
	"fmt"
	"net/url"
	"testing"
)

func BenchmarkQuery(b *testing.B) {
	s := start(b, Options{})
	const n = 100_000
	batch := make([]entry, n)
	for i := range batch {
		batch[i] = entry{ts: t0.UnixNano() + int64(i)*36e6, line: fmt.Sprintf(
			`{"ts":"2026-03-01T12:00:00Z","level":"info","msg":"answered","request_id":"req-%d","trace_id":"%032x","route":"/r%d","duration_ms":%d}`,
			i, i, i%5, i%900)}
	}
	if err := s.store.push([]pushed{{labelSet{{"job", "a"}, {"level", "info"}}, batch}}); err != nil {
		b.Fatal(err)
	}
	for name, query := range map[string]string{
		"newest 1000":         `{job="a"}`,
		"one request":         `{job="a"} |= "req-50000"`,
		"rate":                `sum(rate({job="a"}[1m]))`,
		"json and count by":   `sum by (route) (count_over_time({job="a"} | json [1m]))`,
		"json and unwrap p99": `quantile_over_time(0.99, {job="a"} | json | unwrap duration_ms [1m]) by (route)`,
		"no grouping":         `max(count_over_time({job="a"} | json [1m]))`,
	} {
		v := url.Values{"query": {query}, "start": {ns(0)}, "end": {ns(3600)}, "limit": {"1000"}, "step": {"15"}}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := s.get(b, "query_range", v); got.code != 200 {
					b.Fatal(got.body)
				}
			}
		})
	}
}
