// Package suspect finds what bad requests have in common that good ones have not.
//
// It is contrast-set mining (Bay and Pazzani, "Detecting Group Differences:
// Mining Contrast Sets", 2001) over the columns of request rows: every value of
// every column, and every pair of frequent values, is held against the outcome.
//
//	coverage  share of the bad requests that carry the attribute
//	share     share of the good requests that carry it
//	effect    coverage − share
//	explained I(attribute; outcome) / H(outcome), the share of the uncertainty about
//	          the outcome that knowing the attribute takes away (Theil's U, 1970);
//	          what the list is ordered by: it weighs how much is covered and how purely
//	odds      (b+½)(N−g+½) / ((g+½)(B−b+½)), of b of B bad and g of N good requests
//
// Whether it can be chance is the log-likelihood ratio test (G = 2·Σ O·ln(O/E),
// one degree of freedom; Dunning 1993), or Fisher's exact test where a cell is
// expected to hold fewer than five. Both levels together are held to Alpha by
// Holm's step-down method (1979), half of it for single attributes and half for
// pairs. A significant attribute that explains little is no suspect either:
// LeastEffect and LeastOdds say how much it must explain.
//
// An attribute that was over-represented among the bad ones just as much before
// the trouble began is how the service is, not what happened to it: it is left out.
//
// Where an attribute says only who asks, and a version came to them together with the
// trouble, the version is named with them and in front: see came.
package suspect

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"rollcall/sources"
)

// What it takes to be a suspect.
const (
	Alpha       = 0.001
	LeastEffect = 0.10
	LeastOdds   = 2.0
	LeastBad    = 10 // bad requests in all, below which nothing is said
	leastRows   = 5  // bad requests that carry the attribute

	beforeBad  = 15   // bad requests before the trouble from which on "it was always so" is believed
	alwaysSo   = 0.5  // and how much of the effect must have been there
	sameRows   = 0.98 // Jaccard index from which on two attributes are one
	tie        = 0.9  // of what another explains; closer ones are equal
	surprise   = 1.25 // how many times more a pair must explain than either of its parts
	symptom    = 0.6  // see weight
	mostSingle = 64   // attributes of which pairs are made
	mostShown  = 12

	mostCounted = 1e12 // requests of one value; more are no count
)

// Suspect is one attribute, or a few together, with what speaks against it.
type Suspect struct {
	Attributes []sources.Attribute `json:"attributes"`
	// Same are attributes that the very same requests carry.
	Same     []sources.Attribute `json:"same,omitempty"`
	Bad      int                 `json:"bad"`  // bad requests that carry it
	Good     int                 `json:"good"` // good requests that carry it
	Coverage float64             `json:"coverage"`
	Share    float64             `json:"share"`
	Effect   float64             `json:"effect"`
	Odds     float64             `json:"odds_ratio"`
	// Explained is the share of the uncertainty about the outcome that it takes away, 0 to 1.
	Explained float64 `json:"explained"`
	P         float64 `json:"p"` // after the correction for many comparisons
}

// Name is the attributes in words: "prompt=v14 with route=chat and tenant=acme".
func (s *Suspect) Name() string {
	if len(s.Attributes) < 2 {
		return joined(s.Attributes)
	}
	return s.Attributes[0].String() + " with " + joined(s.Attributes[1:])
}

// Whom is what a suspected version must meet with: "tenant=initech and route=agent". It is
// empty where the version alone is suspected, or no version at all.
func (s *Suspect) Whom() string {
	others := slices.DeleteFunc(slices.Clone(s.Attributes), func(a sources.Attribute) bool { return isVersion(a.Name) })
	if len(others) == len(s.Attributes) {
		return ""
	}
	return joined(others)
}

func joined(list []sources.Attribute) string {
	parts := make([]string, len(list))
	for i, a := range list {
		parts[i] = a.String()
	}
	return strings.Join(parts, " and ")
}

// Version returns the version of a component that the suspect, or what goes
// along with it, names. A served model that differs is no version of the model.
func (s *Suspect) Version(c sources.Component) (string, bool) { return s.Value(string(c)) }

// Value returns what the suspect, or what goes along with it, says of an attribute.
func (s *Suspect) Value(name string) (string, bool) {
	for _, list := range [][]sources.Attribute{s.Attributes, s.Same} {
		for _, a := range list {
			if a.Name == name {
				return a.Value, true
			}
		}
	}
	return "", false
}

// Has tells whether the suspect, or what goes along with it, is the attribute.
func (s *Suspect) Has(a sources.Attribute) bool {
	return slices.Contains(s.Attributes, a) || slices.Contains(s.Same, a)
}

// Found is the answer.
type Found struct {
	Suspects []Suspect `json:"suspects"` // most explaining first
	Bad      int       `json:"bad"`      // bad requests compared
	Good     int       `json:"good"`     // good requests compared
	Tested   int       `json:"tested"`   // attributes and pairs that were tested
	// Usual are those left out because they were so before the trouble, too.
	Usual []Suspect `json:"usual,omitempty"`
}

// Enough tells whether there was enough to compare.
func (f *Found) Enough() bool { return f.Bad >= LeastBad && f.Good >= LeastBad }

// attribute is one value under test.
type attribute struct {
	sources.Attribute
	column    *column
	bad, good int
	p         float64
	on        bits // rows that carry it; filled for the few that matter
}

// Find compares the bad rows of a table with the good ones. State says of each
// row what it is.
func Find(t *sources.RequestTable, state []State, level Level) Found {
	rows := rowsOf(state)
	out := Found{Suspects: []Suspect{}, Bad: rows.bad, Good: rows.good}
	if !out.Enough() {
		return out
	}
	columns := columnsOf(t, level, state)
	single := tally(columns, state, rows)
	out.Tested = len(single)
	holm(single, Alpha/2)
	frequent := slices.DeleteFunc(slices.Clone(single), func(a *attribute) bool {
		return a.bad < leastRows || rows.coverage(a.bad) < LeastEffect
	})
	slices.SortStableFunc(frequent, func(a, b *attribute) int {
		return cmp.Compare(rows.g(b.bad, b.good), rows.g(a.bad, a.good))
	})
	if len(frequent) > mostSingle {
		// A version is kept however little it explains alone: it may be what came with the trouble of a few.
		rest := slices.DeleteFunc(slices.Clone(frequent[mostSingle:]), func(a *attribute) bool { return !isVersion(a.Name) })
		frequent = append(frequent[:mostSingle:mostSingle], rest...)
	}
	for _, a := range frequent {
		a.on = a.column.rows(a.Value, len(state))
	}
	split := newSplit(state)
	groups := together(frequent)
	pairs := pairsOf(groups, rows, split)
	out.Tested += len(pairs)
	holmPairs(pairs, Alpha/2)

	var list, usual []candidate
	put := func(s Suspect, on bits) {
		switch {
		case !s.worth():
		case split.always(on, s.Effect):
			usual = append(usual, candidate{s, on})
		default:
			list = append(list, candidate{s, on})
		}
	}
	var versions []*group
	for _, g := range groups {
		s := rows.suspect([]sources.Attribute{g.first.Attribute}, g.first.bad, g.first.good, g.first.p)
		for _, same := range g.others {
			s.Same = append(s.Same, same.Attribute)
		}
		put(s, g.first.on)
		if isVersion(g.first.Name) {
			versions = append(versions, g)
		}
	}
	for i := range pairs {
		p := &pairs[i]
		put(rows.suspect([]sources.Attribute{p.a.first.Attribute, p.b.first.Attribute}, p.bad, p.good, p.p), p.on())
	}
	came(list, versions, rows, split)
	out.Suspects, out.Usual = shown(list), shown(usual)
	return out
}

// shown are the first of a list, in order, each once.
func shown(list []candidate) []Suspect {
	out := make([]Suspect, 0, len(list))
	names := map[string]bool{}
	for i := range list {
		if s := &list[i].Suspect; !names[s.Name()] {
			names[s.Name()] = true
			out = append(out, *s)
		}
	}
	order(out)
	return out[:min(len(out), mostShown)]
}

// worth tells whether it explains enough and is no chance.
func (s *Suspect) worth() bool {
	return s.P < 1 && s.Bad >= leastRows && s.Effect >= LeastEffect && s.Odds >= LeastOdds
}

// weight is what is explained, less for what became of a request than for what it was
// given: many tokens may explain a slow answer, but what made them many explains more.
func (s *Suspect) weight() float64 {
	for _, a := range s.Attributes {
		if levels[a.Name] != Given && preference(a.Name) > preference("model_fingerprint") {
			return symptom * s.Explained
		}
	}
	return s.Explained
}

// order puts what explains most first; among equals the simpler, then what can be
// rolled back, then what was settled earlier in a request's life.
func order(list []Suspect) {
	slices.SortStableFunc(list, func(a, b Suspect) int { return cmp.Compare(b.weight(), a.weight()) })
	// Ties are looked for from the best downwards: closeness is not transitive.
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].weight() >= tie*list[from].weight() {
			to++
		}
		slices.SortStableFunc(list[from:to], func(a, b Suspect) int {
			return cmp.Or(
				cmp.Compare(len(a.Attributes), len(b.Attributes)),
				cmp.Compare(preference(a.Attributes[0].Name), preference(b.Attributes[0].Name)),
				cmp.Compare(b.Explained, a.Explained),
				cmp.Compare(a.Name(), b.Name()),
			)
		})
		from = to
	}
}

// FromCounts compares the values of one attribute of which only sums are known,
// as from the labels of a metric.
func FromCounts(name string, counts map[string][2]float64) Found {
	total := rows{}
	can := func(v float64) bool { return v >= 0 && v < mostCounted }
	counts = maps.Clone(counts)
	maps.DeleteFunc(counts, func(_ string, c [2]float64) bool { return !can(c[0]) || !can(c[1]) })
	for _, c := range counts {
		total.bad += int(math.Round(c[0]))
		total.good += int(math.Round(c[1]))
	}
	out := Found{Suspects: []Suspect{}, Bad: total.bad, Good: total.good}
	if !out.Enough() {
		return out
	}
	var single []*attribute
	for value, c := range counts {
		if value == "" {
			continue
		}
		a := &attribute{Attribute: sources.Attribute{Name: name, Value: value}, bad: int(math.Round(c[0])), good: int(math.Round(c[1]))}
		a.p = total.test(a.bad, a.good)
		single = append(single, a)
	}
	out.Tested = len(single)
	holm(single, Alpha)
	for _, a := range single {
		if s := total.suspect([]sources.Attribute{a.Attribute}, a.bad, a.good, a.p); s.worth() {
			out.Suspects = append(out.Suspects, s)
		}
	}
	order(out.Suspects)
	return out
}

// Merge puts answers about different attributes of the same requests together.
func Merge(list ...Found) Found {
	out := Found{Suspects: []Suspect{}}
	for _, f := range list {
		out.Bad, out.Good = max(out.Bad, f.Bad), max(out.Good, f.Good)
		out.Tested += f.Tested
		out.Suspects = append(out.Suspects, f.Suspects...)
	}
	order(out.Suspects)
	return out
}
