package suspect

import (
	"math"
	"slices"
	"sort"
	"time"

	"rollcall/sources"
)

// Outcome says which requests are bad in the sense of a signal. One of Column,
// Number and More is set.
type Outcome struct {
	// Words are what the bad and the good requests are called: "failing", "passing".
	Words [2]string
	// Level is when it is settled: what comes later is its consequence.
	Level Level

	// Column is the column that says it, Bad and Good its values; without Good all
	// other known values are good, without Bad all that are not Good.
	Column    string
	Bad, Good []string
	// Unknown: a row that does not say is good. Errors and denials are recorded only where there are some.
	Unknown bool

	// Number is the column whose unusually high (or, when Low, low) values are
	// bad: beyond the 95th (5th) percentile of before, when that is known.
	Number string
	Low    bool
	// Zero: bad is a known zero, nothing else.
	Zero bool

	// More: there is more, or less, of something; requests since then are held against those before.
	More bool
}

// Given tells whether there is an outcome at all.
func (o *Outcome) Given() bool { return o.Column != "" || o.Number != "" || o.More }

// Numbers are the number columns that the outcome needs.
func (o *Outcome) Numbers() []string {
	switch o.Number {
	case "":
		return nil
	case "tokens":
		return []string{"tokens_in", "tokens_out"}
	}
	return []string{o.Number}
}

const (
	beyond     = 0.95
	beforeRows = 100 // rows from which on a percentile of before is believed
)

// States says of each row of a table whether it is bad. Cut is the number from
// which on it was; NaN where no number decides. Since is when the trouble began;
// zero when that is not known, and then nothing is before.
func (o *Outcome) States(t *sources.RequestTable, since time.Time) (state []State, cut float64) {
	state = make([]State, t.N)
	before := func(i int) bool { return !since.IsZero() && t.Start.Add(t.Time[i]).Before(since) }
	cut = math.NaN()
	switch {
	case o.More:
		if since.IsZero() {
			return state, cut
		}
		for i := range state {
			if state[i] = Bad; before(i) {
				state[i] = Good
			}
		}
		return state, cut
	case o.Column != "":
		o.byColumn(t, state)
	case o.Number != "":
		cut = o.byNumber(t, state, before)
	}
	for i := range state {
		if state[i] != Out && before(i) {
			state[i] |= Before
		}
	}
	return state, cut
}

func (o *Outcome) byColumn(t *sources.RequestTable, state []State) {
	c := t.Column(o.Column)
	if c == nil {
		return
	}
	of := make([]State, len(c.Values))
	for code, v := range c.Values {
		switch {
		case v == "":
			if o.Unknown {
				of[code] = Good
			}
		case slices.Contains(o.Bad, v), len(o.Bad) == 0 && !slices.Contains(o.Good, v):
			of[code] = Bad
		case len(o.Good) == 0 || slices.Contains(o.Good, v):
			of[code] = Good
		}
	}
	for i, code := range c.Codes {
		state[i] = of[code]
	}
}

func (o *Outcome) byNumber(t *sources.RequestTable, state []State, before func(int) bool) float64 {
	v := t.Number(o.Number)
	if o.Number == "tokens" {
		v = sum(t.Number("tokens_in"), t.Number("tokens_out"))
	}
	if v == nil {
		return math.NaN()
	}
	if o.Zero {
		for i, x := range v {
			switch {
			case !can(o.Number, x):
			case x == 0:
				state[i] = Bad
			default:
				state[i] = Good
			}
		}
		return math.NaN()
	}
	var usual, all []float64
	for i, x := range v {
		if !can(o.Number, x) {
			continue
		}
		all = append(all, x)
		if before(i) {
			usual = append(usual, x)
		}
	}
	if len(usual) < beforeRows {
		usual = all
	}
	if len(usual) == 0 {
		return math.NaN()
	}
	sort.Float64s(usual)
	at := beyond
	if o.Low {
		at = 1 - beyond
	}
	cut := usual[int(at*float64(len(usual)-1))]
	for i, x := range v {
		switch {
		case !can(o.Number, x):
		case o.Low && x < cut || !o.Low && x > cut:
			state[i] = Bad
		default:
			state[i] = Good
		}
	}
	return cut
}

// can tells whether a number can be what its column says. Durations, tokens and costs are
// not negative, as they are where a clock jumped; scores may be.
func can(column string, x float64) bool {
	return !math.IsNaN(x) && !math.IsInf(x, 0) && (x >= 0 || column == "score")
}

// sum adds where anything is known.
func sum(a, b []float64) []float64 {
	if a == nil || b == nil {
		return nil
	}
	out := make([]float64, len(a))
	for i := range a {
		switch {
		case math.IsNaN(a[i]):
			out[i] = b[i]
		case math.IsNaN(b[i]):
			out[i] = a[i]
		default:
			out[i] = a[i] + b[i]
		}
	}
	return out
}
