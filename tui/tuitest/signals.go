package tuitest

import (
	"fmt"
	"math"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
)

// ChangeAt is when the failing service's prompt moved from v13 to v14.
var ChangeAt = Start.Add(-16 * time.Minute)

// def describes a built-in signal: its value before and after the change.
type def struct {
	id, label string
	pane      sources.Pane
	unit      sources.Unit
	dir       sources.Direction
	before    float64
	after     float64
	wobble    float64 // relative
	watch     float64
	bad       float64
	verdict   sources.Verdict // after the change; before it everything is usual
	why       string
	detail    string
	parts     []sources.Part
}

var nan = math.NaN()

func defs() []def {
	h, q, c, s := sources.HealthPane, sources.QualityPane, sources.CostPane, sources.SafetyPane
	up, down, both := sources.HigherWorse, sources.LowerWorse, sources.BothWorse
	ok, bad, watch := sources.OK, sources.Bad, sources.Watch
	return []def{
		{"req_rate", "requests", h, sources.PerSecond, both, 40.8, 41.2, .06, nan, nan, ok, "usual", "", nil},
		{"error_ratio", "errors", h, sources.Ratio, up, .0041, .0043, .2, .02, .05, ok, "under 2%", "", nil},
		{"error_by_type", "errors by type", h, sources.PerSecond, up, .12, .13, .2, nan, nan, ok, "no threshold", "timeout", []sources.Part{
			{Name: "timeout", Value: .13}, {Name: "rate_limit", Value: .04}, {Name: "provider_5xx", Value: .01},
		}},
		{"latency_p50", "latency p50", h, sources.Seconds, up, 1.31, 1.33, .05, nan, nan, ok, "no threshold", "", nil},
		{"latency_p95", "latency p95", h, sources.Seconds, up, 2.9, 3.0, .05, nan, nan, ok, "no threshold", "", nil},
		{"latency_p99", "latency p99", h, sources.Seconds, up, 4.05, 4.12, .06, 6, 10, ok, "under 6 s", "", nil},
		{"ttft_p95", "ttft p95", h, sources.Seconds, up, .87, .9, .06, 2, 4, ok, "under 2 s", "", nil},
		{"tokens_per_req", "tokens/request", h, sources.Tokens, both, 1820, 1875, .04, 4000, 8000, ok, "under 4k", "", nil},
		{"cut_off", "cut off", h, sources.Ratio, up, .006, .007, .2, .03, .1, ok, "under 3%", "", nil},
		{"cost_per_req", "cost/request", h, sources.USD, up, .0118, .0121, .04, .05, .1, ok, "under $0.05", "", nil},
		{"fallback", "fallbacks", h, sources.Ratio, up, .001, .0011, .3, .05, .2, ok, "under 5%", "", nil},
		{"features_off", "features off", h, sources.Count, up, 0, 0, 0, 1, nan, ok, "none", "", nil},
		{"queue_depth", "queue depth", h, sources.Count, up, 3, 3, .4, 50, 200, ok, "under 50", "", nil},
		{"queue_wait", "queue wait p95", h, sources.Seconds, up, .018, .02, .1, 1, 5, ok, "under 1 s", "", nil},
		{"queue_dropped", "queue drops", h, sources.PerSecond, up, 0, 0, 0, .1, 1, ok, "none", "", nil},

		{"schema_fail", "schema fail", q, sources.Ratio, up, .012, .0915, .03, .02, .05, bad, "%.1f%% over 5%%", "", nil},
		{"feedback", "feedback up", q, sources.Ratio, down, .86, .71, .02, .8, .7, watch, "%.0f%% under 80%%", "", nil},
		{"complaints", "complaints", q, sources.PerMille, up, .8, 2.1, .1, 3, 8, ok, "under 3‰", "", nil},
		{"eval_score", "eval score", q, sources.Score, down, .88, .81, .01, .82, .7, watch, "%.2f under 0.82", "groundedness", []sources.Part{
			{Name: "groundedness", Value: .81, Verdict: watch, N: 412}, {Name: "relevance", Value: .88, Verdict: ok, N: 412},
		}},
		{"retrieval_hit", "retrieval hit", q, sources.Ratio, down, .941, .94, .01, .85, .7, ok, "over 85%", "", nil},

		{"spend_rate", "spend rate", c, sources.USDPerSec, up, .481, .499, .04, nan, nan, ok, "no threshold", "", nil},
		{"spend_day", "spend today", c, sources.USD, up, 4630, 4812, .01, 38400, 45600, ok, "10% of $48k", "", nil},
		{"spend_period", "spend period", c, sources.USD, up, 412000, 412700, .001, 1152000, 1368000, ok, "29% of $1.44M", "", nil},
		{"quota_headroom", "quota left", c, sources.Ratio, down, .62, .61, .03, .2, .05, ok, "over 20%", "openai", nil},
		{"cache_exact", "cache exact", c, sources.Ratio, down, .18, .18, .04, nan, nan, ok, "no threshold", "", nil},
		{"cache_semantic", "cache semantic", c, sources.Ratio, down, .12, .11, .05, nan, nan, ok, "no threshold", "", nil},
		{"cache_provider", "cache provider", c, sources.Ratio, down, .44, .43, .03, nan, nan, ok, "no threshold", "", nil},
		{"index_docs", "index size", c, sources.Count, down, 1284000, 1284000, 0, nan, nan, ok, "no threshold", "", nil},
		{"index_latency", "index query p95", c, sources.Seconds, up, .038, .039, .06, .2, .5, ok, "under 200 ms", "", nil},
		{"quota_tokens", "tokens left", c, sources.Count, down, 0, 0, 0, nan, nan, sources.NotExposed, "no such metric here", "", nil},

		{"filter_trigger", "filter triggers", s, sources.Ratio, up, .004, .0042, .15, .02, .05, ok, "under 2%", "", nil},
		{"refusal", "refusals", s, sources.Ratio, up, .011, .012, .1, .05, .1, ok, "under 5%", "", nil},
		{"top_caller", "top caller", s, sources.Ratio, up, .08, .081, .1, .3, .5, ok, "under 30%", "", nil},
		{"access_denied", "access denied", s, sources.PerSecond, up, .02, .02, .2, .5, 2, ok, "under 0.5/s", "scope", nil},
		{"redactions", "redactions", s, sources.PerSecond, up, .31, .3, .1, nan, nan, sources.Learning, "3 of 14 days", "email", nil},
	}
}

// noise is a fixed pseudo-random value in -1..1.
func noise(seed string, n int64) float64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(seed) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ uint64(n)) * 1099511628211
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 32
	return float64(h%20001)/10000 - 1
}

func (d *def) at(t time.Time, failing bool) float64 {
	v := d.before
	if failing && t.After(ChangeAt) {
		ramp := min(1, t.Sub(ChangeAt).Minutes()/4)
		v += (d.after - d.before) * ramp
	}
	day := math.Sin(float64(t.Unix()%86400) / 86400 * 2 * math.Pi)
	return v * (1 + d.wobble*(.6*noise(d.id, t.Unix()/60)+.4*day))
}

func history(d *def, v sources.View, now time.Time, failing bool) []sources.Point {
	end := v.End(now).Truncate(time.Second)
	n := max(2, min(240, v.Columns))
	if v.Columns == 0 {
		n = 60
	}
	step := v.Range / time.Duration(n)
	if step <= 0 {
		return nil
	}
	out := make([]sources.Point, 0, n+1)
	for i := n; i >= 0; i-- {
		t := end.Add(-time.Duration(i) * step)
		out = append(out, sources.Point{T: t, V: d.at(t, failing)})
	}
	return out
}

// Snapshot is the built-in snapshot of a service at the view's time.
func Snapshot(service string, v sources.View, now time.Time) *signal.Snapshot {
	failing := service == Failing
	end := v.End(now)
	broken := failing && end.After(ChangeAt.Add(2*time.Minute))
	snap := &signal.Snapshot{
		Service: service, At: end, View: v, Window: 2 * time.Minute,
		Live: sources.Manifest{ID: "m-0142", Environment: "prod", Stage: "live", Versions: map[sources.Component]string{
			sources.Prompt: "v13", sources.Model: "gpt-4.1-2026-02", sources.Tools: "t7", sources.Index: "idx-2026-03-09", sources.Policy: "p3",
		}},
		Health: []sources.Health{
			{Source: "prom", State: sources.SourceUp, LastGood: now, Latency: 12 * time.Millisecond},
			{Source: "loki", State: sources.SourceUp, LastGood: now, Latency: 31 * time.Millisecond},
			{Source: "otlp", State: sources.SourceUp, LastGood: now, Rate: 418},
		},
	}
	if failing {
		snap.Spend = Spend(end)
	}
	if failing && end.After(ChangeAt) {
		snap.Live.ID, snap.Live.Versions[sources.Prompt] = "m-0143", "v14"
	}
	for _, ch := range []sources.Change{
		{
			At: ChangeAt.Add(-74 * time.Minute), Component: sources.Index, From: "idx-2026-03-08", To: "idx-2026-03-09",
			Stage: "live", Manifest: "m-0142", Source: "prometheus",
		},
		{
			At: ChangeAt, Component: sources.Prompt, From: "v13", To: "v14",
			Stage: "live", Manifest: "m-0143", Source: "prometheus",
		},
	} {
		if failing && !ch.At.After(end) && ch.At.After(end.Add(-v.Range-time.Hour)) {
			snap.Changes = append(snap.Changes, ch)
		}
	}
	for _, d := range defs() {
		r := sources.Reading{
			Signal: d.id, Label: d.label, Pane: d.pane, Unit: d.unit, Direction: d.dir,
			Detail: d.detail, Verdict: sources.OK, Why: "usual", N: 4944,
			Provenance: sources.Provenance{
				Provider: "prometheus", Profile: "llmops",
				Query: `sum(rate(llmops_` + d.id + `_total{namespace="prod",job="assistant"}[2m])) / sum(rate(llmops_requests_total{namespace="prod",job="assistant"}[2m]))`,
			},
			Facts: sources.Facts{Source: "prometheus", At: end, Fetched: now, Took: 3 * time.Millisecond},
		}
		if d.verdict == sources.NotExposed {
			r.Verdict, r.Why, r.N, r.Provenance = d.verdict, d.why, 0, sources.Provenance{}
			snap.Readings = append(snap.Readings, r)
			continue
		}
		r.Value, r.Known = d.at(end, failing), true
		r.History = history(&d, v, now, failing)
		if !math.IsNaN(d.watch) || !math.IsNaN(d.bad) {
			r.Threshold = &sources.Threshold{Watch: d.watch, Bad: d.bad}
		}
		if d.before > 0 && d.wobble > 0 {
			r.Usual = &sources.Usual{Value: d.before, Low: d.before * (1 - 2*d.wobble), High: d.before * (1 + 2*d.wobble), Days: 14}
		}
		if d.verdict != sources.Bad && d.verdict != sources.Watch {
			r.Verdict, r.Why = d.verdict, d.why
		} else if broken {
			shown := r.Value
			if d.unit == sources.Ratio {
				shown *= 100
			}
			r.Verdict, r.Why, r.Since = d.verdict, fmt.Sprintf(d.why, shown), ChangeAt.Add(2*time.Minute)
		}
		if broken || d.verdict == sources.OK {
			r.Parts = d.parts
		}
		snap.Readings = append(snap.Readings, r)
	}
	if broken {
		snap.Line = signal.Line{
			Verdict: sources.Bad, Signals: []string{"schema_fail", "feedback"}, Since: ChangeAt.Add(2 * time.Minute),
			Change: &snap.Changes[len(snap.Changes)-1], Runbook: "rollback-prompt",
			Parts: []string{
				"Schema failures 9.1% since 02:33", "(over 5%, usual 1.2%)", "Suspect: prompt v13→v14 at 02:31", "Also feedback up 71%",
			},
		}
	} else {
		snap.Line = signal.Line{Verdict: sources.OK, Parts: []string{"All signals usual", "No change in the last hour"}}
	}
	return snap
}

func split(service, id, by string, v sources.View, now time.Time) ([]sources.Part, sources.Facts) {
	var parts []sources.Part
	names := map[string][2]string{
		"prompt": {"v13", "v14"},
		"model":  {"gpt-4.1-2026-02", "gpt-4.1-mini-2026-01"},
		"index":  {"idx-2026-03-09", "idx-2026-03-08"},
	}[by]
	for _, d := range defs() {
		if d.id != id {
			continue
		}
		good := d
		good.after = good.before
		parts = append(
			parts,
			sources.Part{Name: names[1], Value: d.at(now, service == Failing), Verdict: d.verdict, N: 2410, History: history(&d, v, now, service == Failing)},
			sources.Part{Name: names[0], Value: good.at(now, false), Verdict: sources.OK, N: 2534, History: history(&good, v, now, false)},
		)
	}
	return parts, sources.Facts{Source: "prometheus", At: v.End(now), Fetched: now, Took: 5 * time.Millisecond, Shown: len(parts), Total: len(parts)}
}
