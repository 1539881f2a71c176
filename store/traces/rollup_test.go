package traces_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/traces"
)

func TestBucketsAgreeWithTheRowsTheySum(t *testing.T) {
	e := in(t, traces.Limits{PartTraces: 23})
	const n = 120
	pick := func(i int, values ...string) string { return values[i%len(values)] }
	for i := range n {
		attrs := []string{
			"gen_ai.prompt.version", pick(i, "v1", "v2", "v3"), "llmops.schema.result", pick(i, "pass", "fail", ""), "llmops.refusal", pick(i, "true", "false"),
			"llmops.filter.action", pick(i, "none", "block", "mask", ""), "llmops.feedback", pick(i, "up", "down", "", ""), "llmops.retrieval.hit", pick(i, "true", "false", ""),
			"llmops.access.denied", pick(i, "", "", "policy"), "llmops.cache.kind", pick(i, "exact", "none", "semantic"), "llmops.cost.usd", fmt.Sprint(float64(i) / 1000),
			"llmops.fallback.from", pick(i, "", "a", "", ""), "llmops.manifest.id", pick(i, "mf-1", "mf-1", "", "mf-2", "mf-2"),
		}
		if i%6 == 0 {
			attrs = append(attrs, "llmops.outcome", "error", "error.type", pick(i/6, "timeout", "rate_limit"))
		}
		if i%5 == 0 {
			attrs = append(attrs, "llmops.sampled", "true")
		}
		root := rootOf(i, attrs...)
		root.End = root.Start + int64(i+1)*1e6
		call := spanOf(i, 2, 1, "gen_ai.operation.name", "chat", "gen_ai.usage.input_tokens", fmt.Sprint(i), "gen_ai.usage.output_tokens", "2",
			"gen_ai.response.time_to_first_chunk", fmt.Sprint(float64(i)/100), "gen_ai.response.finish_reasons", pick(i, `["stop"]`, `["length"]`), "gen_ai.request.model", "m",
			"gen_ai.response.model", pick(i, "m-1", "m", "m-2"))
		e.put(batch(root, call))
		if i%2 == 0 {
			e.put(evaluation(traceID(i), "", fmt.Sprint(float64(i)/n)))
		}
	}
	step := 20 * time.Second
	since := day.Add(-step)
	for _, by := range []sources.Component{"", sources.Prompt} {
		got, facts, err := e.store.Buckets(t.Context(), "svc", since, day.Add(200*time.Second), step, by)
		if err != nil {
			t.Fatal(err)
		}
		if facts.Total != n || facts.Partial != "" || !facts.Sampled {
			t.Errorf("facts %+v", facts)
		}
		seen := 0
		for _, b := range got {
			want := sources.RequestBucket{CacheHits: map[string]int{}, ByError: map[string]int{}, Scores: map[string]sources.MeanN{}}
			var latencies []float64
			count := func(cond bool, to *int) {
				if cond {
					*to++
				}
			}
			rows := e.rows(sources.RequestFilter{Since: b.Start, Until: b.Start.Add(step), Limit: 1000})
			for i := range rows {
				r := &rows[i]
				if by != "" && r.Version(by) != b.Group {
					continue
				}
				want.N++
				count(r.Outcome == "error", &want.Errors)
				count(r.Schema == "pass", &want.Schema[0])
				count(r.Schema == "fail", &want.Schema[1])
				count(r.Feedback == "up", &want.Feedback[0])
				count(r.Feedback == "down", &want.Feedback[1])
				count(r.Refusal == "false", &want.Refusals[0])
				count(r.Refusal == "true", &want.Refusals[1])
				count(r.Filter == "none", &want.Filters[0])
				count(r.Filter == "block" || r.Filter == "mask", &want.Filters[1])
				count(r.RetrievalHit == "true", &want.Retrieval[0])
				count(r.RetrievalHit == "false", &want.Retrieval[1])
				count(r.Denied != "", &want.Denied)
				count(r.FinishReason == "length", &want.CutOff)
				count(r.Fallback != "", &want.Fallbacks)
				count(r.Sampled, &want.Sampled)
				want.TokensIn += r.TokensIn.V
				want.TokensOut += r.TokensOut.V
				want.WithTokens++
				want.CostUSD += r.CostUSD.V
				want.WithCost++
				count(r.ModelServed != "", &want.WithModel)
				count(slices.Contains(r.Flags, sources.FlagUnpinned), &want.Unpinned)
				count(slices.Contains(r.Flags, sources.FlagNoManifest), &want.NoManifest)
				latencies = append(latencies, r.Latency.V)
				if r.Cache != "" {
					want.CacheHits[r.Cache]++
				}
				if r.ErrorType != "" {
					want.ByError[r.ErrorType]++
				}
				for _, s := range r.Scores {
					m := want.Scores[s.Evaluator]
					want.Scores[s.Evaluator] = sources.MeanN{Mean: (m.Mean*float64(m.N) + s.Value.V) / float64(m.N+1), N: m.N + 1}
				}
			}
			seen += want.N
			if math.Abs(b.CostUSD-want.CostUSD) > 1e-9 || math.Abs(b.Scores["helpful"].Mean-want.Scores["helpful"].Mean) > 1e-9 || b.Scores["helpful"].N != want.Scores["helpful"].N {
				t.Errorf("%s %q: cost %v, scores %v, want %v, %v", b.Start, b.Group, b.CostUSD, b.Scores, want.CostUSD, want.Scores)
			}
			if !b.Latency[0].OK || !b.TTFT[2].OK || b.Latency[2].V < b.Latency[0].V || math.Abs(b.Latency[2].V-maxOf(latencies)) > 1e-5 {
				t.Errorf("%s %q: latency %v of %v", b.Start, b.Group, b.Latency, latencies)
			}
			b.Start, b.Group, b.CostUSD, b.Scores, b.Latency, b.TTFT = time.Time{}, "", 0, nil, [3]sources.Num{}, [3]sources.Num{}
			want.CostUSD, want.Scores = 0, nil
			if fmt.Sprint(b) != fmt.Sprint(want) {
				t.Errorf("by %q:\ngot  %v\nwant %v", by, b, want)
			}
		}
		if seen != n {
			t.Errorf("by %q: the buckets hold %d of %d rows", by, seen, n)
		}
	}
	list, err := e.store.Requests(t.Context(), sources.RequestFilter{Since: since, Until: day.Add(200 * time.Second)})
	if err != nil || !list.Facts.Sampled {
		t.Errorf("a list with sampled requests does not say so: %+v, %v", list.Facts, err)
	}
	if got, _, err := e.store.Buckets(t.Context(), "another", since, day.Add(time.Hour), step, ""); err != nil || len(got) != 0 {
		t.Errorf("another service: %v %v", got, err)
	}
	for _, bad := range []time.Duration{0, -1, time.Nanosecond} {
		if _, _, err := e.store.Buckets(t.Context(), "", since, day, bad, ""); err == nil {
			t.Errorf("a step of %s was taken", bad)
		}
	}

	versions, err := e.store.Versions(t.Context(), "svc", since, day.Add(200*time.Second), 300*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, v := range versions {
		got += fmt.Sprintf("%s %s %s %d; ", v.Component, v.Version, v.Served, v.N)
	}
	if want := "prompt v1  40; prompt v2  40; prompt v3  40; model m m 40; model m m-1 40; model m m-2 40; "; got != want {
		t.Errorf("versions %s, want %s", got, want)
	}
}

func maxOf(v []float64) float64 {
	m := math.Inf(-1)
	for _, x := range v {
		m = max(m, x)
	}
	return m
}
