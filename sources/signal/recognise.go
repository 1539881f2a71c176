package signal

import (
	"regexp"
	"slices"
	"strings"
)

// Recognised is a profile that the metrics of a system speak.
type Recognised struct {
	Profile string
	Signals []string // IDs that it answers, in the catalogue's order
	Metrics []string // the names, as they exist, that it answers them from
}

// selectorSize keeps a selector within what servers take in a URL.
const selectorSize = 1500

// MetricSelectors are selectors that together match every metric that a profile
// of the catalogue reads. scope, which may be empty, narrows them to a service.
func MetricSelectors(scope string) []string {
	var names []string
	for _, sig := range Catalogue() {
		for _, src := range sig.From {
			for _, m := range metrics(src.Query) {
				names = append(append(names, m), otherNames(m)...)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var out []string
	for len(names) > 0 {
		n, size := 0, 0
		for n < len(names) && size < selectorSize {
			size += len(names[n]) + 1
			n++
		}
		out = append(out, NameSelector(names[:n], scope))
		names = names[n:]
	}
	return out
}

// NameSelector matches any of the names within a scope.
func NameSelector(names []string, scope string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = regexp.QuoteMeta(n)
	}
	s := `{__name__=~"` + strings.ReplaceAll(strings.Join(quoted, "|"), `\`, `\\`) + `"`
	if scope != "" {
		s += "," + scope
	}
	return s + "}"
}

// Recognise tells from the names that exist which profiles hold, those with the most signals first.
func Recognise(names []string) []Recognised {
	exists := map[string]bool{}
	for _, n := range names {
		exists[n] = true
	}
	byProfile := map[string]*Recognised{}
	var order []*Recognised
	for _, sig := range Catalogue() {
		for _, src := range sig.From {
			if src.Profile == Override || len(metrics(src.Query)) == 0 {
				continue
			}
			expr, missing := resolve(src.Query, func(n string) bool { return exists[n] })
			if missing != "" {
				continue
			}
			r := byProfile[src.Profile]
			if r == nil {
				r = &Recognised{Profile: src.Profile}
				byProfile[src.Profile] = r
				order = append(order, r)
			}
			if !slices.Contains(r.Signals, sig.ID) {
				r.Signals = append(r.Signals, sig.ID)
			}
			for _, m := range metrics(expr) {
				if !slices.Contains(r.Metrics, m) {
					r.Metrics = append(r.Metrics, m)
				}
			}
		}
	}
	slices.SortStableFunc(order, func(a, b *Recognised) int { return len(b.Signals) - len(a.Signals) })
	out := make([]Recognised, len(order))
	for i, r := range order {
		out[i] = *r
	}
	return out
}
