package tuitest

import (
	"math"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/sources/signal/suspect"
)

// Suspects is what the failing service's bad requests have in common.
func Suspects(service, id string, v sources.View, now time.Time, anyway bool) *signal.Explanation {
	snap := Snapshot(service, v, now)
	r, _ := snap.Reading(id)
	x := &signal.Explanation{
		Signal: id, Name: r.Label, From: snap.At.Add(-v.Range), To: snap.At, Verdict: r.Verdict, Words: [2]string{"failing", "passing"},
		Found: suspect.Found{Suspects: []suspect.Suspect{}}, Provider: "requests",
		Facts: sources.Facts{Source: "requests", At: snap.At, Shown: 4204, Total: 4204},
	}
	if strings.HasPrefix(id, "latency") {
		x.Words = [2]string{"slow", "other"}
		x.Shapes = shapes()
	}
	if !x.Wrong() && !anyway {
		x.Why = r.Label + ": as usual. There is nothing to explain."
		return x
	}
	x.Since = r.Since
	attr := func(name, value string) sources.Attribute { return sources.Attribute{Name: name, Value: value} }
	x.Bad, x.Good, x.Tested = 182, 4022, 311
	x.Suspects = []suspect.Suspect{
		{
			Attributes: []sources.Attribute{attr("prompt", "v14")}, Same: []sources.Attribute{attr("manifest", "m-0143")},
			Bad: 177, Good: 1247, Coverage: 177.0 / 182, Share: 1247.0 / 4022, Effect: 0.66, Odds: 78, Explained: 0.24, P: 3e-71,
		},
		{
			Attributes: []sources.Attribute{attr("prompt", "v14"), attr("route", "chat")},
			Bad:        121, Good: 610, Coverage: 121.0 / 182, Share: 610.0 / 4022, Effect: 0.51, Odds: 11, Explained: 0.17, P: 4e-48,
		},
		{
			Attributes: []sources.Attribute{attr("document", "kb-42/doc-7")},
			Bad:        31, Good: 201, Coverage: 31.0 / 182, Share: 201.0 / 4022, Effect: 0.12, Odds: 3.9, Explained: 0.03, P: 2e-7,
		},
	}
	x.Why = "prompt=v14 in 97% of failing, 31% of passing."
	return x
}

// shapes are a vector search with two humps within latencies that have one.
func shapes() []suspect.Shape {
	var out []suspect.Shape
	for i, stage := range []string{"latency", "embed", "vector_search", "inference"} {
		s := suspect.Shape{Stage: stage, N: 4204}
		median := []float64{2.1, 0.02, 0.04, 1.6}[i]
		for b := range 33 {
			s.Edges = append(s.Edges, median*math.Pow(10, float64(b-12)/16))
		}
		hump := func(at, n float64) []int {
			var c []int
			for b := range 32 {
				c = append(c, int(n*math.Exp(-math.Pow((float64(b)-at)/2.5, 2))))
			}
			return c
		}
		s.Counts = hump(12, 800)
		s.Humps = []suspect.Hump{{Share: 1, Median: median, Spread: 0.3}}
		if stage == "vector_search" {
			for b, n := range hump(27, 400) {
				s.Counts[b] += n
			}
			s.Humps = []suspect.Hump{{Share: 0.67, Median: median, Spread: 0.3}, {Share: 0.33, Median: median * 8.6, Spread: 0.3}}
			s.Cut = sources.N(median * 3)
			s.Slow = &suspect.Found{Bad: 1387, Good: 2817, Suspects: []suspect.Suspect{{
				Attributes: []sources.Attribute{{Name: "cache", Value: "none"}}, Coverage: 0.98, Share: 0.61, Effect: 0.37, Odds: 31, Explained: 0.2, P: 1e-90,
			}}}
		}
		for c := range 60 {
			col := make([]int, len(s.Counts))
			for b := range col {
				if stage != "vector_search" || b < 19 || c > 30 {
					col[b] = s.Counts[b] / 60
				}
			}
			s.Heat = append(s.Heat, col)
		}
		out = append(out, s)
	}
	return out
}
