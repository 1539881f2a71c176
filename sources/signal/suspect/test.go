package suspect

import (
	"cmp"
	"math"
	"slices"

	"rollcall/sources"
)

// State is what a row is in a comparison.
type State uint8

// The states. Before marks the rows from before the trouble began.
const (
	Out    State = iota // the outcome of the request is not known: it takes no part
	Good                // as it should be
	Bad                 // as it should not
	Before State = 0x80
)

func (s State) is(what State) bool { return s&^Before == what }

// rows are how many rows of each kind are compared.
type rows struct{ bad, good int }

func rowsOf(state []State) rows {
	var r rows
	for _, s := range state {
		switch s &^ Before {
		case Bad:
			r.bad++
		case Good:
			r.good++
		}
	}
	return r
}

func (r rows) coverage(bad int) float64     { return float64(bad) / float64(r.bad) }
func (r rows) effect(bad, good int) float64 { return r.coverage(bad) - float64(good)/float64(r.good) }

func (r rows) odds(bad, good int) float64 {
	return (float64(bad) + 0.5) * (float64(r.good-good) + 0.5) / ((float64(good) + 0.5) * (float64(r.bad-bad) + 0.5))
}

func (r rows) suspect(attrs []sources.Attribute, bad, good int, p float64) Suspect {
	return Suspect{
		Attributes: attrs, Bad: bad, Good: good, Coverage: r.coverage(bad), Share: float64(good) / float64(r.good),
		Effect: r.effect(bad, good), Odds: r.odds(bad, good), Explained: r.g(bad, good) / (2 * r.entropy()), P: p,
	}
}

// test returns how likely chance makes at least such a difference.
func (r rows) test(bad, good int) float64 {
	n := float64(r.bad + r.good)
	with, without := float64(bad+good), n-float64(bad+good)
	if with == 0 || without == 0 {
		return 1
	}
	smallest := min(with, without) * float64(min(r.bad, r.good)) / n
	if smallest < 5 {
		return fisher(bad, good, r.bad, r.good)
	}
	g := r.g(bad, good) / 2
	return math.Erfc(math.Sqrt(g)) // of χ² = 2g with one degree of freedom
}

// g is the log-likelihood ratio of independence: 2·Σ O·ln(O/E).
func (r rows) g(bad, good int) float64 {
	n, b, gd := float64(r.bad+r.good), float64(r.bad), float64(r.good)
	with := float64(bad + good)
	sum := 0.0
	cell := func(o, row, col float64) {
		if o > 0 {
			sum += o * math.Log(o*n/(row*col))
		}
	}
	cell(float64(bad), with, b)
	cell(float64(good), with, gd)
	cell(b-float64(bad), n-with, b)
	cell(gd-float64(good), n-with, gd)
	return max(0, 2*sum)
}

// entropy is the uncertainty about the outcome of all rows, in nats.
func (r rows) entropy() float64 {
	n := float64(r.bad + r.good)
	return float64(r.bad)*math.Log(n/float64(r.bad)) + float64(r.good)*math.Log(n/float64(r.good))
}

// fisher is the one-sided exact test that bad of allBad is no more than good of
// allGood, doubled. The tail is summed outward from the observation.
func fisher(bad, good, allBad, allGood int) float64 {
	with := bad + good
	logChoose := func(n, k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	all := logChoose(allBad+allGood, with)
	p := 0.0
	for k := bad; k <= min(allBad, with); k++ {
		term := math.Exp(logChoose(allBad, k) + logChoose(allGood, with-k) - all)
		p += term
		if term < p*1e-12 {
			break
		}
	}
	return min(1, 2*p)
}

// holm replaces each p by the adjusted one; those that are not significant at alpha become 1.
func holm(list []*attribute, alpha float64) {
	p := make([]*float64, len(list))
	for i := range list {
		p[i] = &list[i].p
	}
	stepDown(p, alpha)
}

func holmPairs(list []pair, alpha float64) {
	p := make([]*float64, len(list))
	for i := range list {
		p[i] = &list[i].p
	}
	stepDown(p, alpha)
}

func stepDown(p []*float64, alpha float64) {
	slices.SortStableFunc(p, func(a, b *float64) int { return cmp.Compare(*a, *b) })
	reached := 0.0
	for i := range p {
		reached = max(reached, min(1, *p[i]*float64(len(p)-i)))
		*p[i] = reached
		if reached > alpha {
			*p[i] = 1
		}
	}
}
