package suspect

import (
	"cmp"
	mathbits "math/bits"
	"slices"
)

// bits is a set of rows.
type bits []uint64

func newBits(n int) bits { return make(bits, (n+63)/64) }

func (b bits) set(i int) { b[i/64] |= 1 << (i % 64) }

func (b bits) count() int {
	n := 0
	for _, w := range b {
		n += mathbits.OnesCount64(w)
	}
	return n
}

// both counts the rows of two sets at once.
func (b bits) both(o bits) int {
	n := 0
	for i, w := range b {
		n += mathbits.OnesCount64(w & o[i])
	}
	return n
}

func (b bits) and(o bits) bits {
	out := make(bits, len(b))
	for i, w := range b {
		out[i] = w & o[i]
	}
	return out
}

// alike tells whether two sets are as good as one.
func alike(a, b bits, na, nb int) bool {
	if float64(min(na, nb)) < sameRows*float64(max(na, nb)) {
		return false
	}
	both := a.both(b)
	return float64(both) >= sameRows*float64(na+nb-both)
}

// split is the rows of each kind, and of those from before the trouble.
type split struct{ bad, good, badBefore, goodBefore bits }

func newSplit(state []State) *split {
	n := len(state)
	s := &split{newBits(n), newBits(n), newBits(n), newBits(n)}
	for i, st := range state {
		switch {
		case st.is(Bad):
			s.bad.set(i)
			if st&Before != 0 {
				s.badBefore.set(i)
			}
		case st.is(Good):
			s.good.set(i)
			if st&Before != 0 {
				s.goodBefore.set(i)
			}
		}
	}
	return s
}

// always tells whether an attribute explained as much before the trouble began.
// Where there is too little from before, it is not said.
func (s *split) always(on bits, effect float64) bool {
	before := rows{bad: s.badBefore.count(), good: s.goodBefore.count()}
	if before.bad < beforeBad || before.good < beforeBad {
		return false
	}
	return before.effect(on.both(s.badBefore), on.both(s.goodBefore)) >= alwaysSo*effect
}

// group is an attribute with those that the same requests carry.
type group struct {
	first  *attribute
	others []*attribute
	n      int // rows that carry it
}

// together puts attributes of the same requests into one group, what can be
// rolled back in front.
func together(list []*attribute) []*group {
	var out []*group
	for _, a := range list {
		n := a.on.count()
		at := slices.IndexFunc(out, func(g *group) bool { return alike(g.first.on, a.on, g.n, n) })
		if at < 0 {
			out = append(out, &group{first: a, n: n})
			continue
		}
		out[at].others = append(out[at].others, a)
	}
	for _, g := range out {
		all := append([]*attribute{g.first}, g.others...)
		slices.SortStableFunc(all, func(a, b *attribute) int {
			return cmp.Or(cmp.Compare(preference(a.Name), preference(b.Name)), cmp.Compare(a.String(), b.String()))
		})
		g.first, g.others = all[0], all[1:]
	}
	return out
}

// pair is two attributes of different columns at once.
type pair struct {
	a, b      *group
	bad, good int
	p         float64
}

func (p *pair) on() bits { return p.a.first.on.and(p.b.first.on) }

// pairsOf are the pairs that explain more than either part does.
func pairsOf(groups []*group, r rows, s *split) []pair {
	var out []pair
	badOf, goodOf := make([]bits, len(groups)), make([]bits, len(groups))
	for i, g := range groups {
		badOf[i], goodOf[i] = g.first.on.and(s.bad), g.first.on.and(s.good)
	}
	for i, a := range groups {
		for k := i + 1; k < len(groups); k++ {
			b := groups[k]
			if a.first.column == b.first.column && a.first.column.rowsOf == nil {
				continue // a row has one value of a column
			}
			bad := badOf[i].both(badOf[k])
			if bad < leastRows {
				continue
			}
			good := goodOf[i].both(goodOf[k])
			parts := max(r.g(a.first.bad, a.first.good), r.g(b.first.bad, b.first.good))
			p := pair{a: a, b: b, bad: bad, good: good, p: 1}
			if r.effect(bad, good) >= LeastEffect && r.g(bad, good) >= surprise*parts {
				p.p = r.test(bad, good)
			}
			// Those that were looked at count, whether they surprise or not.
			out = append(out, p)
		}
	}
	for i := range out {
		if preference(out[i].b.first.Name) < preference(out[i].a.first.Name) {
			out[i].a, out[i].b = out[i].b, out[i].a
		}
	}
	return out
}
