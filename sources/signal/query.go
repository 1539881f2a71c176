package signal

import (
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
		for _, step := range []time.Duration{ledgerStep, periodStep} {
			add("spend_today", src.Profile, expand(ledgerQuery(src, step), s.scope(src.Profile), step, ""))
		}
	}
	add("budget_used", LLMOps, expand(budgetQuery, s.scope(LLMOps), 0, ""))
	return out, nil
}

var ungrouped = strings.NewReplacer(`by ("$by") `, "", `, "$by"`, "", `"$by"`, "", "by ($by) ", "", ", $by", "", "$by", "")

// expand fills the placeholders of PromQL. Without a split the grouping disappears.
func expand(expr, scope string, window time.Duration, by string) string {
	if by == "" {
		expr = ungrouped.Replace(expr)
	} else {
		expr = strings.ReplaceAll(strings.ReplaceAll(expr, `"$by"`, strconv.Quote(attribute(by))), "$by", by)
	}
	// The scope comes last: it is the user's own text.
	expr = strings.ReplaceAll(strings.ReplaceAll(expr, "$window", promDuration(window)), "$scope", scope)
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

// bounds asks for the bucket bounds of a histogram.
func bounds(bucket string) string { return "count by (le) (" + bucket + ")" }
