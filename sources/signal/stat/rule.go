package stat

import "math"

// The significance that a deviation needs: so that a service series cries wolf less
// than once in three weeks, and ten times less for each of many sides of a split.
const (
	AlphaSeries = 1e-5
	AlphaSplit  = 1e-6
)

const (
	leastK     = 5     // events, in either window
	leastN     = 50    // events behind a short window
	leastRatio = 1.5   // times usual
	leastDiff  = 0.005 // more than usual, in a short window
)

// The rules by which a proportion is found to be worse than usual.
const (
	Quarter = "15m twice" // improbable over 15 minutes, twice in a row
	Hour    = "1h"        // improbable over an hour
)

// Lately are the newest counts of a proportion: the 15 minutes that end now, those
// that ended one evaluation (five minutes) before, and the hour.
type Lately struct{ Now, Before, Hour Count }

// Finding is what a proportion was found to be.
type Finding struct {
	Rule  string  // empty when it is as usual
	Count Count   // the window that the numbers are of
	Ratio float64 // of the share to the usual one
	P     float64 // probability of a count so far off or farther, when all is as usual

	large bool // by factor and by number of events
}

// Worse tests whether a proportion is higher than usual. It says so only when it is
// improbable, large enough to matter, and more than a handful of events.
func Worse(l Lately, usual Fit, alpha float64) Finding {
	return test(l, usual, alpha, func(c Count) Finding {
		f := Finding{Count: c, P: 1, Ratio: c.Ratio() / usual.Mu}
		if f.Ratio > 1 {
			f.P = usual.Tail(c)
			f.large = f.Ratio >= leastRatio && c.K >= leastK
		}
		return f
	})
}

// Fewer tests whether a proportion of what is good is lower than usual, by counting
// the others. It is large enough to matter when those have become half as many again,
// or the good ones fewer in the same measure: what hits once in ten can only so be seen to fail.
func Fewer(l Lately, usual Fit, alpha float64) Finding {
	others := usual
	others.Mu, others.K = 1-usual.Mu, usual.N-usual.K
	return test(l, usual, alpha, func(c Count) Finding {
		f := Finding{Count: c, P: 1, Ratio: c.Ratio() / usual.Mu}
		if f.Ratio < 1 {
			f.P = others.Tail(c.Complement())
			bad := c.Complement()
			f.large = bad.K >= leastK && (f.Ratio <= 1/leastRatio || bad.Ratio() >= leastRatio*others.Mu)
		}
		return f
	})
}

func test(l Lately, usual Fit, alpha float64, judge func(Count) Finding) Finding {
	find := func(c Count) Finding {
		if usual.Windows == 0 || !c.Valid() || c.N <= 0 || usual.Mu <= 0 || usual.Mu >= 1 {
			return Finding{Count: c, P: 1}
		}
		return judge(c)
	}
	short := func(f Finding) bool {
		return f.large && f.Count.N >= leastN && math.Abs(f.Count.Ratio()-usual.Mu) >= leastDiff && f.P < alpha
	}
	now := find(l.Now)
	if short(now) && short(find(l.Before)) {
		now.Rule = Quarter
		return now
	}
	if hour := find(l.Hour); hour.large && hour.P < alpha {
		hour.Rule = Hour
		return hour
	}
	return now
}
