package signal

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NamedQuery is one expanded query of the catalogue.
type NamedQuery struct {
	Signal, Profile, Query string

	Counts bool // asked to judge the value by; the value itself looks back over less
}

// Queries returns every PromQL query that the catalogue can send for a service,
// whole and split by each version label, for checking against a real engine.
func Queries(cfg Service) ([]NamedQuery, error) {
	s, err := newService("service", cfg)
	if err != nil {
		return nil, err
	}
	var out []NamedQuery
	add := func(sig, profile, q string) {
		if q != "" {
			out = append(out, NamedQuery{Signal: sig, Profile: profile, Query: q})
		}
	}
	for _, sig := range s.signals {
		w := max(sig.Window, cfg.Window.Or(defaultWindow))
		for _, src := range sig.From {
			for _, by := range []string{"", "prompt", "model", "index"} {
				label := splitLabel(src.Profile, by)
				if by != "" && (label == "" || !strings.Contains(src.Query, "$by")) {
					continue
				}
				add(sig.ID, src.Profile, expand(src.Query, s.scope(src.Profile), w, label))
				add(sig.ID, src.Profile, expand(src.N, s.scope(src.Profile), w, label))
				if src.K != "" {
					out = append(out, NamedQuery{Signal: sig.ID, Profile: src.Profile, Query: expand(src.K, s.scope(src.Profile), quarter, label), Counts: true})
				}
			}
			if src.Bucket != "" {
				add(sig.ID, src.Profile, expand(bounds(src.Bucket), s.scope(src.Profile), w, ""))
			}
		}
	}
	for _, src := range spendSources() {
		add("spend_today", src.Profile, expand(ledgerQuery(src), s.scope(src.Profile), ledgerStep, ""))
	}
	add("budget_used", LLMOps, expand(budgetQuery, s.scope(LLMOps), 0, ""))
	return out, nil
}

// expand fills the placeholders of PromQL. Without a split the grouping disappears.
func expand(expr, scope string, window time.Duration, by string) string {
	if by == "" {
		expr = strings.NewReplacer("by ($by) ", "", ", $by", "", "$by", "").Replace(expr)
	} else {
		expr = strings.ReplaceAll(expr, "$by", by)
	}
	expr = strings.NewReplacer("$scope", scope, "$window", promDuration(window)).Replace(expr)
	if scope == "" {
		expr = strings.ReplaceAll(expr, ",}", "}")
	}
	return expr
}

// expandLogs fills the placeholders of LogQL.
func expandLogs(expr, logs string, window time.Duration) string {
	return strings.NewReplacer("$logs", logs, "$window", promDuration(window)).Replace(expr)
}

func promDuration(d time.Duration) string {
	switch {
	case d <= 0:
		return "5m"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

var metricName = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{`)

// metrics returns the metric names that an expression of the catalogue selects, each once.
func metrics(expr string) []string {
	var out []string
	for _, m := range metricName.FindAllStringSubmatch(expr, -1) {
		if !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

// otherNames are the names under which exporters write the same metric: without
// unit and type suffixes, with the unit of the early token histogram, with the
// names of earlier versions, or under the prefix of what runs the system.
func otherNames(name string) []string {
	var out []string
	if base, ok := strings.CutPrefix(name, "vllm:"); ok {
		bases := []string{base}
		switch {
		case base == "kv_cache_usage_perc":
			bases = append(bases, "gpu_cache_usage_perc")
		case strings.HasPrefix(base, "prefix_cache_"):
			bases = append(bases, "gpu_"+base)
		}
		for _, prefix := range []string{"vllm:", "ray_vllm:", "ray_vllm_"} {
			for _, b := range bases {
				out = append(out, prefix+b)
			}
		}
		return out[1:]
	}
	if !strings.HasPrefix(name, "gen_ai_") {
		return nil
	}
	base, suffix := name, ""
	for _, s := range []string{"_bucket", "_count", "_sum"} {
		if b, ok := strings.CutSuffix(name, s); ok {
			base, suffix = b, s
		}
	}
	for _, unit := range []string{"_seconds", "_total", "_USD"} {
		if b, ok := strings.CutSuffix(base, unit); ok {
			out = append(out, b+suffix)
		}
	}
	if strings.HasSuffix(base, "token_usage") {
		out = append(out, base+"_token"+suffix, base+"_tokens"+suffix)
	}
	return out
}

// resolve rewrites an expression to the metric names that exist. It reports
// which metric is missing when one does not exist under any name; of the sparse
// ones any may be missing, but not all metrics of the expression.
func resolve(expr string, exists func(string) bool, sparse ...string) (query, missing string) {
	as := map[string]string{}
	for _, name := range metrics(expr) {
		names := append([]string{name}, otherNames(name)...)
		i := slices.IndexFunc(names, exists)
		switch {
		case i >= 0:
			as[name] = names[i]
		case !slices.Contains(sparse, name):
			return "", name
		default:
			missing = cmp.Or(missing, name)
		}
	}
	if len(as) == 0 && missing != "" {
		return "", missing
	}
	return metricName.ReplaceAllStringFunc(expr, func(m string) string {
		name := strings.TrimSuffix(m, "{")
		return cmp.Or(as[name], name) + "{"
	}), ""
}

// bounds asks for the bucket bounds of a histogram.
func bounds(bucket string) string { return "count by (le) (" + bucket + ")" }
