package spend

import (
	"cmp"
	"slices"
	"strings"

	"rollcall/sources"
)

// Spender is one value of an attribute, and what its requests cost.
type Spender struct {
	Attribute string      `json:"attribute"`
	Value     string      `json:"value"`              // empty: requests that do not tell
	USD       float64     `json:"usd"`                // as its request rows tell
	AtLeast   bool        `json:"at_least,omitempty"` // some of its requests are not in it, or used tokens and tell no cost
	Estimate  sources.Num `json:"estimate_usd"`       // where rows are of some requests only: its share of all that was spent
	Share     sources.Num `json:"share"`              // of all known spend of the window
	Requests  int         `json:"requests"`
	Usual     sources.Num `json:"usual_usd"` // the median of the same hours of earlier days; null when that is not known
	Ratio     sources.Num `json:"ratio"`     // of the spend to the usual one
	Days      int         `json:"days,omitempty"`
}

// Top are the values of one attribute that cost most.
type Top struct {
	Attribute string    `json:"attribute"`
	Values    int       `json:"values"` // how many there are, as far as they were counted
	Spenders  []Spender `json:"spenders"`
}

// Usual is what each value cost in the same hours of one earlier day.
type Usual [len(Attributes)]map[string]float64

// UsualOf sums the rows of an earlier day; false when there are none.
func UsualOf(t *sources.RequestTable) (Usual, bool) {
	var u Usual
	if t.N == 0 {
		return u, false
	}
	r := Fold(t, t.Start, t.Start)
	for a := range Attributes {
		u[a] = map[string]float64{}
		for v, s := range r.by[a] {
			u[a][v] = s.usd
		}
	}
	return u, true
}

// leastDays are needed to say what is usual of a value.
const leastDays = 3

func top(parts []*Rows, usual []Usual, most int) []Top {
	all := 0.0
	for _, p := range parts {
		all += p.all.usd
	}
	var out []Top
	for a, name := range Attributes {
		sums := map[string]sum{}
		cuts, in := 0, map[string]int{} // parts that lack the cheapest values
		for _, p := range parts {
			if p.cut[a] {
				cuts++
			}
			for v, s := range p.by[a] {
				x := sums[v]
				x.add(s)
				sums[v] = x
				if p.cut[a] {
					in[v]++
				}
			}
		}
		t := Top{Attribute: name, Values: len(sums), Spenders: []Spender{}}
		if _, unknown := sums[""]; unknown {
			t.Values--
		}
		values := make([]string, 0, len(sums))
		for v, s := range sums {
			if s.usd > 0 {
				values = append(values, v)
			}
		}
		slices.SortFunc(values, func(a, b string) int {
			return cmp.Or(cmp.Compare(sums[b].usd, sums[a].usd), strings.Compare(a, b))
		})
		for _, v := range values[:min(len(values), most)] {
			s := sums[v]
			x := Spender{Attribute: name, Value: v, USD: s.usd, AtLeast: in[v] < cuts || s.owed > 0, Requests: int(s.n)}
			if all > 0 {
				x.Share = sources.N(s.usd / all)
			}
			t.Spenders = append(t.Spenders, x)
		}
		if len(usual) >= leastDays {
			for i := range t.Spenders {
				x := &t.Spenders[i]
				days := make([]float64, len(usual))
				for d := range usual {
					days[d] = usual[d][a][x.Value]
				}
				x.Days, x.Usual = len(days), sources.N(median(days))
				if x.Usual.V > 0 {
					x.Ratio = sources.N(x.USD / x.Usual.V)
				}
			}
		}
		if t.Values > 0 {
			out = append(out, t)
		}
	}
	return out
}
