package signal

import (
	"context"
	"math"
	"slices"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

const (
	enoughAge   = 14 * 24 * time.Hour // history shorter than this is "learning"
	enoughDays  = 7                   // that "usual" must rest on to be told
	leastCounts = 4                   // windows of the same hour of the week
	leastValues = 8                   // values of the same hour
)

const (
	quarter = 15 * time.Minute
	oneDay  = 24 * time.Hour
	oneWeek = 7 * oneDay
)

// past is what a value was at this hour of the week, in the weeks and days before.
type past struct {
	sources.Usual
	learned bool
	values  stat.Robust // of the value itself
	shares  stat.Fit    // of the events behind it
}

func (p past) keep() sources.Past {
	return sources.Past{Usual: p.Usual, Learned: p.learned, Values: sources.Spread(p.values), Shares: sources.Share(p.shares)}
}

func pastOf(p sources.Past) past {
	return past{Usual: p.Usual, learned: p.Learned, values: stat.Robust(p.Values), shares: stat.Fit(p.Shares)}
}

// earlier are the points of an expression in the hour around a time, a quarter of an
// hour apart, on each of the last seven days and in each of the last four weeks.
// Nothing in between is touched. complete tells whether nothing may be missing.
func (e *Evaluator) earlier(ctx context.Context, expr string, at time.Time) (all []sources.Series, complete bool, err error) {
	complete = true
	ask := func(first, last, step time.Duration) (bool, error) {
		found := false
		for q := -quarter; q <= 2*quarter; q += quarter {
			series, facts, err := e.deps.Prom.Range(ctx, expr, at.Add(q-first), at.Add(q-last), step)
			if err != nil {
				return false, err
			}
			complete = complete && whole(facts)
			found = found || len(series) > 0
			all = append(all, series...)
		}
		return found, nil
	}
	found, err := ask(7*oneDay, oneDay, oneDay)
	if err != nil || !found {
		return all, complete, err // without a last week there is none before it to compare with
	}
	_, err = ask(4*oneWeek, 2*oneWeek, oneWeek)
	return all, complete, err
}

// age of a point of history: how long before the hour of its slot.
func age(slot, t time.Time) time.Duration {
	return slot.Sub(t).Round(oneDay)
}

// summary is what a list of earlier values amounts to. Those that skip says are left
// out, but count as history that exists.
func summary(points []sources.Point, slot time.Time, skip func(time.Time) bool) past {
	var p past
	var values []float64
	days := map[time.Duration]bool{}
	oldest := time.Duration(0)
	for _, x := range points {
		if math.IsNaN(x.V) || math.IsInf(x.V, 0) {
			continue
		}
		a := age(slot, x.T)
		oldest = max(oldest, a)
		if skip(x.T) {
			continue
		}
		days[a] = true
		values = append(values, x.V)
	}
	p.values = stat.RobustOf(values)
	p.learned = oldest >= enoughAge && p.values.N >= leastValues
	p.Usual = sources.Usual{Value: p.values.Median, Days: len(days)}
	p.Low, p.High = spread(values)
	return p
}

// spread is the range of values without the odd ones at either end.
func spread(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	v := slices.Sorted(slices.Values(values))
	odd := len(v) / 20
	return v[odd], v[len(v)-1-odd]
}

// shareOf is what a proportion used to be, from the events of each quarter of an hour.
// unit is what the signal's value is of a share: 1, or 1000 for so many in a thousand.
func shareOf(k, n map[time.Time]float64, slot time.Time, unit float64, skip func(time.Time) bool) past {
	var p past
	var same, daily []stat.Count
	var ratios []float64
	days := map[time.Duration]bool{}
	oldest := time.Duration(0)
	for t, of := range n {
		c := stat.Count{K: k[t] * quarter.Seconds(), N: of * quarter.Seconds()}
		if !c.Valid() || c.N == 0 {
			continue
		}
		a := age(slot, t)
		oldest = max(oldest, a)
		if skip(t) {
			continue
		}
		if a%oneWeek == 0 {
			same = append(same, c)
		}
		if a <= oneWeek {
			daily = append(daily, c)
		}
		days[a] = true
		ratios = append(ratios, unit*c.Ratio())
	}
	p.shares = stat.FitCounts(same, daily)
	p.learned = oldest >= enoughAge && p.shares.Windows >= leastCounts
	p.Usual = sources.Usual{Value: unit * p.shares.Mu, Days: len(days)}
	if p.shares.Windows == 0 {
		// Not yet a week: what is usual is what these days show.
		d := stat.FitCounts(daily, nil)
		p.Value = unit * d.Mu
	}
	if p.shares.K == 0 && p.shares.Windows > 0 {
		p.Value = 0 // half an event is for the arithmetic, not for people
	}
	p.Low, p.High = spread(ratios)
	return p
}
