package spend

import (
	"fmt"

	"rollcall/sources"
)

// What it takes to stand out: most of the requests that loop, or a spend that is a
// multiple of the usual one and counts.
const (
	mostLoops = 0.5
	leastLoop = 3
	runsAt    = 3.0
	runsShare = 0.2
)

// Spenders are the values of an attribute, the dearest first.
func (r *Report) Spenders(attribute string) []Spender {
	for i := range r.Top {
		if r.Top[i].Attribute == attribute {
			return r.Top[i].Spenders
		}
	}
	return []Spender{}
}

// Runaway is the value of an attribute that runs away with the money, and why: the one
// that most looping requests are of, else the one that spends a multiple of what is usual
// of it. Nil when nobody stands out.
func (r *Report) Runaway(attribute string) (*Spender, string) {
	counts, named := map[string]int{}, len(r.Loops.Named)
	for i := range r.Loops.Named {
		l := &r.Loops.Named[i]
		if v := map[string]string{"tenant": l.Tenant, "user": l.User, "route": l.Route}[attribute]; v != "" {
			counts[v]++
		}
	}
	for v, n := range counts {
		if n < leastLoop || float64(n) <= mostLoops*float64(named) {
			continue
		}
		out := &Spender{Attribute: attribute, Value: v}
		list := r.Spenders(attribute)
		for i := range list {
			if list[i].Value == v {
				out = &list[i]
			}
		}
		return out, fmt.Sprintf("%d of the %d requests named as loops are of %s %s", n, named, attribute, v)
	}
	list := r.Spenders(attribute)
	for i := range list {
		if x := &list[i]; x.Value != "" && x.Ratio.V >= runsAt && x.Share.V >= runsShare {
			return x, fmt.Sprintf("%s %s spends %s of all, %.1f times its usual", attribute, x.Value, sources.Ratio.Format(x.Share.V), x.Ratio.V)
		}
	}
	return nil, ""
}
