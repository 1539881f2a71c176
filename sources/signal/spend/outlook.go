package spend

import (
	"fmt"
	"math"
	"slices"
	"time"

	"rollcall/sources"
)

// The range of an outlook holds what comes in 19 of 20 cases, when the coming hours
// relate to the last ones as they did on earlier days.
const (
	sure       = 1.96
	priorSD    = 0.3 // of the logarithm, worth one day: before a course is known it may be so far off
	straightBy = 2.5 // how far a straight line may be off, either way
	mostDays   = 28
	oneDay     = 24 * time.Hour
	oneWeek    = 7 * oneDay
	mostShaky  = 0.3
	leastKnown = 0.9 // share of a stretch that must be known for it to count
)

// How an outlook came about.
const (
	ByCourse   = "course of earlier days"
	ByLine     = "straight line"
	NoOutlook  = "too little known of late"
	NothingNow = "nothing spent lately"
)

// Outlook is how far a budget lasts.
type Outlook struct {
	Until  time.Time   `json:"until"`     // end of the budget's time
	Total  sources.Num `json:"total_usd"` // spent by then, should it go on
	Low    sources.Num `json:"low_usd"`   // and its range
	High   sources.Num `json:"high_usd"`
	Out    time.Time   `json:"out,omitzero"`   // when the budget is spent; absent when it lasts
	Early  time.Time   `json:"early,omitzero"` // when that is at the earliest; absent when it lasts even then
	Late   time.Time   `json:"late,omitzero"`  // at the latest; absent when it may last
	Days   int         `json:"days"`           // earlier days that the course is taken from
	Method string      `json:"method"`
}

// Ask is what an outlook is made for.
type Ask struct {
	Now, Until    time.Time
	Known         time.Time       // up to when the course is known; Now or shortly before
	From          time.Time       // up to when Spent counts: Known, unless the budget's time began after it
	Spent, Budget float64         // USD
	Paces         []time.Duration // what the present pace may be measured over, the longest first
	Grid          time.Duration
}

// Outlook tells where spending ends. Each earlier day shows how much was spent from
// this hour on, relative to the hour before it; the median of that, times what this
// hour saw, is what is to come. It is log-normal with the spread that the days show,
// as Student's t knows it from so few, and the error of the pace itself; the range
// spans the paces of the last hour and of its last minutes, so that a pace that has
// just changed is in it. Without an earlier day it is a straight line.
func (c *Course) Outlook(a Ask) Outlook {
	o := Outlook{Until: a.Until, Total: sources.N(a.Spent), Low: sources.N(a.Spent), High: sources.N(a.Spent), Method: NoOutlook}
	if a.Spent >= a.Budget {
		o.Out, o.Early, o.Late = a.Now, a.Now, a.Now
	}
	if a.Grid <= 0 || len(a.Paces) == 0 || !a.Now.Before(a.Until) {
		return o
	}
	if a.Known.IsZero() {
		a.Known = a.Now
	}
	if a.From.IsZero() {
		a.From = a.Known
	}
	var paths []path
	longest := a.Paces[0]
	if _, known := c.Between(a.Known.Add(-longest), a.Known); known*float64(longest) < float64(min(3*a.Paces[len(a.Paces)-1], longest/4)) {
		a.Paces = nil // one sample is no pace
	}
	for _, w := range a.Paces {
		usd, known := c.Between(a.Known.Add(-w), a.Known)
		if known < leastKnown/2 {
			continue
		}
		p := c.path(&a, w, usd/known)
		if len(paths) > 0 && p.shaky > mostShaky {
			continue // so few minutes tell nothing of a service that spends now and then
		}
		paths = append(paths, p)
	}
	if len(paths) == 0 {
		o.Total, o.Low, o.High = sources.Num{}, sources.Num{}, sources.Num{}
		return o
	}
	likely := &paths[0]
	for i := 1; i < len(paths); i++ {
		// A pace that the longer one cannot explain has changed within it.
		if p := &paths[i]; p.method == likely.method && math.Abs(math.Log(p.level/likely.level)) > max(0.15, sure*math.Hypot(p.shaky, likely.shaky)) {
			likely = p
		}
	}
	o.Days, o.Method = likely.days, likely.method
	n := len(likely.mid)
	o.Total = sources.N(a.Spent + likely.mid[n-1])
	low, high := math.Inf(1), 0.0
	for i := range paths {
		low, high = min(low, paths[i].low[n-1]), max(high, paths[i].high[n-1])
	}
	o.Low, o.High = sources.N(a.Spent+low), sources.N(a.Spent+high)
	if a.Spent >= a.Budget {
		return o
	}
	left := a.Budget - a.Spent
	o.Out = crosses(&a, likely.mid, left)
	for i := range paths {
		if t := crosses(&a, paths[i].high, left); !t.IsZero() && (o.Early.IsZero() || t.Before(o.Early)) {
			o.Early = t
		}
		t := crosses(&a, paths[i].low, left)
		switch {
		case i == 0 || !o.Late.IsZero() && t.After(o.Late):
			o.Late = t
		case t.IsZero():
			o.Late = time.Time{}
		}
	}
	// What was spent since From is a forecast too: the budget may be gone by now.
	for _, t := range []*time.Time{&o.Out, &o.Early, &o.Late} {
		if !t.IsZero() && t.Before(a.Now) {
			*t = a.Now
		}
	}
	return o
}

// path is what is spent from now on, at each point of the grid.
type path struct {
	mid, low, high []float64
	level          float64 // of the pace, compared with earlier days
	shaky          float64 // how far that may be off, as a share
	days           int
	method         string
}

func (c *Course) path(a *Ask, w time.Duration, usd float64) path {
	n := int((a.Until.Sub(a.From) + a.Grid - 1) / a.Grid)
	p := path{mid: make([]float64, n), low: make([]float64, n), high: make([]float64, n), level: usd / w.Seconds()}
	at := func(i int) time.Time {
		if t := a.From.Add(time.Duration(i+1) * a.Grid); t.Before(a.Until) {
			return t
		}
		return a.Until
	}
	longest := slices.Max(a.Paces)
	p.shaky = c.wavers(a.Known.Add(-longest), a.Known, float64(w)/float64(max(a.Grid, 5*time.Minute)))
	if usd <= 0 {
		p.method = NothingNow
		return p
	}
	bases, ratios := c.days(a, w, n, at)
	if len(bases) == 0 {
		p.method = ByLine
		for i := range n {
			t := at(i).Sub(a.From).Seconds()
			p.mid[i] = p.level * t
			f := straightBy * math.Exp(sure*p.shaky)
			p.low[i], p.high[i] = p.mid[i]/f, p.mid[i]*f
		}
		return p
	}
	p.days, p.method = len(bases), ByCourse
	p.level = usd / median(bases)
	logs := make([]float64, 0, len(ratios))
	list := make([]float64, len(ratios))
	room := make([]float64, 0, len(ratios))
	for i := range n {
		logs = logs[:0]
		for d := range ratios {
			list[d] = ratios[d][i]
			if list[d] > 0 {
				logs = append(logs, math.Log(list[d]))
			}
		}
		slices.Sort(list)
		m := middle(list)
		p.mid[i] = usd * m
		room = append(room[:0], logs...)
		slices.Sort(room)
		f := math.Exp(student(len(logs)) * math.Hypot(spreadOf(logs, middle(room)), p.shaky))
		p.low[i], p.high[i] = p.mid[i]/f, p.mid[i]*f
	}
	return p
}

// days are, of each earlier day, what was spent in the stretch before this hour, and
// what from then on as a multiple of it. Past the end of what is known, the course
// of the weeks before goes on.
func (c *Course) days(a *Ask, w time.Duration, n int, at func(int) time.Time) (bases []float64, ratios [][]float64) {
	if len(c.steps) == 0 {
		return nil, nil
	}
	back := oneDay
	if a.Now.Sub(c.steps[0].Start) >= oneWeek+oneDay {
		back = oneWeek
	}
	for d := 1; d <= mostDays; d++ {
		off := time.Duration(d) * oneDay
		base, known := c.Between(a.Known.Add(-off-w), a.Known.Add(-off))
		if known < leastKnown || base <= 0 {
			continue
		}
		base /= known
		ratio := make([]float64, n)
		sum, seen, whole := 0.0, 0.0, 0.0
		from := a.From
		for i := range n {
			to := at(i)
			s, e := from.Add(-off), to.Add(-off)
			for e.After(a.Known) {
				s, e = s.Add(-back), e.Add(-back)
			}
			usd, known := c.Between(s, e)
			whole += to.Sub(from).Seconds()
			seen += known * to.Sub(from).Seconds()
			if known > 0 {
				usd /= known
			}
			sum += usd
			ratio[i] = sum / base
			from = to
		}
		if seen < leastKnown*whole {
			continue
		}
		bases, ratios = append(bases, base), append(ratios, ratio)
	}
	return bases, ratios
}

// crosses is when a path reaches an amount; zero when it does not.
func crosses(a *Ask, path []float64, left float64) time.Time {
	before := 0.0
	for i, v := range path {
		if v >= left {
			from := a.From.Add(time.Duration(i) * a.Grid)
			to := from.Add(a.Grid)
			if to.After(a.Until) {
				to = a.Until
			}
			part := 1.0
			if v > before {
				part = (left - before) / (v - before)
			}
			return from.Add(time.Duration(part * float64(to.Sub(from))))
		}
		before = v
	}
	return time.Time{}
}

// spreadOf is the standard deviation of logarithms around their median, with the prior as one more of them.
func spreadOf(logs []float64, m float64) float64 {
	sq := priorSD * priorSD
	for _, x := range logs {
		sq += (x - m) * (x - m)
	}
	return math.Sqrt(sq / float64(len(logs)+1))
}

// student is the 97.5% quantile of Student's t, by the expansion of Abramowitz and
// Stegun 26.7.5, within 2% from three degrees of freedom on.
func student(n int) float64 {
	v := float64(max(2, n))
	return sure + 2.372/v + 2.823/(v*v)
}

// median of a list, which it leaves as it is; NaN of none.
func median(list []float64) float64 {
	v := slices.Clone(list)
	slices.Sort(v)
	return middle(v)
}

// middle of a sorted list; NaN of none.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Words is the outlook in one phrase; until names the end of the budget's time, clock writes a time.
func (o *Outlook) Words(now time.Time, until string, clock func(time.Time) string) string {
	span := ""
	switch {
	case !o.Early.IsZero() && !o.Late.IsZero():
		span = " (" + clock(o.Early) + " to " + clock(o.Late) + ")"
		if clock(o.Early) == clock(o.Late) {
			span = ""
		}
	case !o.Early.IsZero() && !o.Out.IsZero():
		span = " (" + clock(o.Early) + " or later)"
	}
	if o.Method == ByLine {
		span += ", by a straight line"
	}
	switch {
	case o.Method == NoOutlook && o.Out.IsZero():
		return "too little is known of what was spent lately for a forecast"
	case o.Out.IsZero() && o.Early.IsZero():
		return "lasts until " + until
	case o.Out.IsZero():
		return fmt.Sprintf("likely lasts until %s; %s at the earliest%s", until, clock(o.Early), span)
	}
	return "runs out at " + clock(o.Out) + span
}
