package spend

import (
	"testing"

	"rollcall/sources"
)

func loopsOf(tenants ...string) Loops {
	l := Loops{N: len(tenants)}
	for _, t := range tenants {
		l.Named = append(l.Named, Loop{Tenant: t, Route: "agent"})
	}
	return l
}

func spender(value string, share, ratio float64) Spender {
	s := Spender{Attribute: "tenant", Value: value, Share: sources.N(share)}
	if ratio > 0 {
		s.Ratio = sources.N(ratio)
	}
	return s
}

func TestWhoRunsAwayIsWhoLoopsElseWhoSpendsAMultipleOfTheUsual(t *testing.T) {
	for name, tc := range map[string]struct {
		loops    Loops
		spenders []Spender
		of, want string
	}{
		"most loops, though others spend more":       {loopsOf("initech", "initech", "initech", "acme"), []Spender{spender("acme", 0.6, 1), spender("initech", 0.3, 2)}, "tenant", "initech"},
		"the route of the loops":                     {loopsOf("a", "b", "c"), nil, "route", "agent"},
		"loops of everybody":                         {loopsOf("a", "b", "c", "d", "a", "b"), []Spender{spender("a", 0.5, 1.1)}, "tenant", ""},
		"two loops are no more than two":             {loopsOf("a", "a"), nil, "tenant", ""},
		"four times the usual":                       {Loops{}, []Spender{spender("big", 0.5, 1), spender("acme", 0.3, 4)}, "tenant", "acme"},
		"four times the usual of next to nothing":    {Loops{}, []Spender{spender("acme", 0.02, 4)}, "tenant", ""},
		"the biggest, as always":                     {Loops{}, []Spender{spender("acme", 0.7, 1)}, "tenant", ""},
		"nobody knows what is usual":                 {Loops{}, []Spender{spender("acme", 0.7, 0)}, "tenant", ""},
		"those who do not say who they are":          {Loops{}, []Spender{spender("", 0.7, 9)}, "tenant", ""},
		"loops that do not say whose they are":       {loopsOf("", "", "", ""), nil, "tenant", ""},
		"an attribute of which loops do not tell it": {loopsOf("a", "a", "a"), nil, "prompt", ""},
	} {
		r := &Report{Loops: tc.loops, Top: []Top{{Attribute: "tenant", Spenders: tc.spenders}}}
		x, why := r.Runaway(tc.of)
		got := ""
		if x != nil {
			got = x.Value
		}
		if got != tc.want || (why == "") != (x == nil) {
			t.Errorf("%s: %q (%s), not %q", name, got, why, tc.want)
		}
	}
}
