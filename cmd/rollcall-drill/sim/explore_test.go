package sim

import (
	"fmt"
	"os"
	"sort"
	"testing"
	"time"
)

func TestExplore(t *testing.T) {
	name := os.Getenv("EXPLORE")
	if name == "" {
		t.Skip()
	}
	text, err := os.ReadFile("../scenarios/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	c := NewControl(s, start, func() time.Time { return start })
	e := NewEngine(Config{Seed: 1, Scenario: s, Start: start, Control: c}, 10*time.Minute)
	t0 := time.Now()
	h := NewHistory(e, time.Minute)
	fmt.Println("history prep", time.Since(t0))
	t0 = time.Now()
	n := 0
	names := map[*Metric]bool{}
	for tt := start.Add(-16 * 24 * time.Hour); tt.Before(start.Add(-10 * time.Minute)); tt = tt.Add(time.Minute) {
		h.Fill(tt, func(m *Metric, v float64) { n++; names[m] = true })
	}
	fmt.Println("fill", time.Since(t0), n, len(names), e.Spent())
	rate := func(m map[string]float64, secs float64) {
		g := func(prefix string) float64 { return m[prefix] }
		req := g("requests")
		fmt.Printf("req/s %.1f err %.2f%% schema %.2f%% up %.1f%% compl %.2f eval %.3f miss %.1f%% cost/req %.5f cost/h %.0f lat %.2f ttft %.2f tok/req %.0f refus %.2f%% calls/req %.2f exact %.1f%% sem %.1f%% prov %.1f%%\n",
			req/secs, 100*g("errors")/req, 100*g("fail")/(g("fail")+g("pass")), 100*g("up")/(g("up")+g("down")), 1000*g("compl")/req, g("scoresum")/g("scoren"),
			100*g("miss")/(g("miss")+g("hit")), g("cost")/req, g("cost")/secs*3600, g("latsum")/g("latn"), g("ttftsum")/g("ttftn"), g("tokens")/req, 100*g("refusals")/req, g("calls")/req,
			100*g("exact")/(g("exactn")), 100*g("sem")/g("semn"), 100*g("prov")/g("provn"))
	}
	sum := func() map[string]float64 {
		out := map[string]float64{}
		lab := func(m *Metric, k string) string {
			for i := 0; i < len(m.Labels); i += 2 {
				if m.Labels[i] == k {
					return m.Labels[i+1]
				}
			}
			return ""
		}
		e.Gather(func(m *Metric, v float64) {
			switch m.Name {
			case "llmops_requests_total":
				out["requests"] += v
				if lab(m, "outcome") == "error" {
					out["errors"] += v
				}
			case "llmops_validation_total":
				out[lab(m, "result")] += v
			case "llmops_feedback_total":
				out[lab(m, "verdict")] += v
			case "llmops_complaints_total":
				out["compl"] += v
			case "llmops_eval_score_sum":
				out["scoresum"] += v
			case "llmops_eval_score_count":
				out["scoren"] += v
			case "llmops_retrieval_total":
				out[map[string]string{"true": "hit", "false": "miss"}[lab(m, "hit")]] += v
			case "llmops_cost_usd_total":
				out["cost"] += v
			case "llmops_request_seconds_sum":
				out["latsum"] += v
			case "llmops_request_seconds_count":
				out["latn"] += v
			case "llmops_ttft_seconds_sum":
				out["ttftsum"] += v
			case "llmops_ttft_seconds_count":
				out["ttftn"] += v
			case "llmops_tokens_total":
				if lab(m, "kind") != "cached" {
					out["tokens"] += v
				}
			case "llmops_refusals_total":
				out["refusals"] += v
			case "llmops_finish_total":
				out["calls"] += v
			case "llmops_cache_total":
				k := map[string]string{"exact": "exact", "semantic": "sem", "provider": "prov"}[lab(m, "kind")]
				out[k+"n"] += v
				if lab(m, "result") == "hit" {
					out[k] += v
				}
			}
		})
		return out
	}
	last := sum()
	{
		d := last
		rate(d, (16*24*time.Hour - 10*time.Minute).Seconds())
	}
	t0 = time.Now()
	for k := 0; k < 40; k++ {
		for range 60 {
			e.Step(nowhere{})
		}
		now := sum()
		d := map[string]float64{}
		for k := range now {
			d[k] = now[k] - last[k]
		}
		last = now
		fmt.Printf("%3d ", k-9)
		rate(d, 60)
		if k == 20 {
			p, _ := c.Pin("prompt")
			if p.Version == "v14" {
				c.SetPin("prompt", "v13", p.Revision)
				fmt.Println("rolled back")
			}
		}
	}
	fmt.Println("40 min of live", time.Since(t0))
	var g []string
	e.Gather(func(m *Metric, v float64) {
		if m.Gauge {
			g = append(g, fmt.Sprint(m.Name, m.Labels[4:], " ", v))
		}
	})
	sort.Strings(g)
	for _, x := range g {
		fmt.Println(x)
	}
	ev := e.Evaluate()
	fmt.Println(ev.PassRate, ev.Scores, ev.Pass)
}
