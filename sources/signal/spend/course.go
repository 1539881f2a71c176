// Package spend says where money goes: how long a budget lasts, who spends most,
// which requests loop, and what caches save. It is pure: numbers in, a report out.
package spend

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Step is what was spent between two times, in USD.
type Step struct {
	Start, End time.Time
	USD        float64
}

// Course is what was spent over time. Within a step it is taken as even; time
// without a step is unknown, not free.
type Course struct {
	steps []Step
	usd   []float64 // spent before each step
	known []float64 // seconds known before each step
}

// NewCourse joins steps of one length with later, finer ones, which win where both
// are. Steps that overlap, end before they start, or are no amount are left out.
func NewCourse(coarse, fine []Step) *Course {
	valid := func(list []Step) []Step {
		out := make([]Step, 0, len(list))
		for _, s := range list {
			if s.USD >= 0 && !math.IsInf(s.USD, 0) && s.End.After(s.Start) {
				out = append(out, s)
			}
		}
		slices.SortFunc(out, func(a, b Step) int { return a.Start.Compare(b.Start) })
		return out
	}
	coarse, fine = valid(coarse), valid(fine)
	if len(fine) > 0 {
		cut := slices.IndexFunc(coarse, func(s Step) bool { return s.End.After(fine[0].Start) })
		if cut >= 0 {
			coarse = coarse[:cut]
		}
	}
	c := &Course{}
	usd, known := 0.0, 0.0
	for _, s := range append(slices.Clip(coarse), fine...) {
		if n := len(c.steps); n > 0 && s.Start.Before(c.steps[n-1].End) {
			continue
		}
		c.steps, c.usd, c.known = append(c.steps, s), append(c.usd, usd), append(c.known, known)
		usd += s.USD
		known += s.End.Sub(s.Start).Seconds()
	}
	c.usd, c.known = append(c.usd, usd), append(c.known, known)
	return c
}

// until is what was spent, and for how many seconds that is known, up to a time.
func (c *Course) until(t time.Time) (usd, known float64) {
	i := sort.Search(len(c.steps), func(i int) bool { return c.steps[i].End.After(t) })
	usd, known = c.usd[i], c.known[i]
	if i < len(c.steps) && t.After(c.steps[i].Start) {
		s := c.steps[i]
		part := t.Sub(s.Start).Seconds()
		usd += s.USD * part / s.End.Sub(s.Start).Seconds()
		known += part
	}
	return usd, known
}

// Between is what was spent between two times, and the share of that time of which it is known.
func (c *Course) Between(since, until time.Time) (usd, known float64) {
	if !since.Before(until) {
		return 0, 0
	}
	a, ka := c.until(since)
	b, kb := c.until(until)
	return b - a, (kb - ka) / until.Sub(since).Seconds()
}

// wavers is how far the mean of n steps within a stretch may be off, as a share of
// it. What one step differs from the next tells it, by the median: a level that
// changed once in the stretch is no wavering.
func (c *Course) wavers(since, until time.Time, n float64) float64 {
	var v, diff []float64
	mean := 0.0
	for i := len(c.steps) - 1; i >= 0 && !c.steps[i].Start.Before(since); i-- {
		if s := c.steps[i]; !s.End.After(until) {
			v = append(v, s.USD/s.End.Sub(s.Start).Seconds())
			mean += v[len(v)-1]
		}
	}
	mean /= float64(len(v))
	if len(v) < 3 || mean <= 0 {
		return 0
	}
	sq := 0.0
	for i := 1; i < len(v); i++ {
		d := math.Abs(v[i] - v[i-1])
		diff = append(diff, d)
		sq += d * d
	}
	sd := median(diff) / 0.954 // of the difference of two normal values
	if sd == 0 {
		sd = math.Sqrt(sq / float64(2*len(diff))) // mostly nothing, and now and then something
	}
	return sd / mean / math.Sqrt(max(1, n))
}
