package stat

import (
	"math"
	"slices"
)

// The methods that are compared. Each gets a series in steps of five minutes and says
// at which of them it fires; the usual methods are here, ours is the package's.

const (
	perHour = 12 // evaluations
	perDay  = 24 * perHour
	perWeek = 7 * perDay
)

// ledger holds counts per minute, summed up.
type ledger struct{ k, n []float64 }

func (l ledger) between(from, to int) Count { // minutes
	if from < 0 {
		return Count{math.NaN(), math.NaN()}
	}
	return Count{l.k[to] - l.k[from], l.n[to] - l.n[from]}
}

const (
	minutesDay  = 24 * 60
	minutesWeek = 7 * minutesDay
)

// reference are the quarters of the hour around a minute, weeks and days before,
// without those that touch a known incident.
func (l ledger) reference(end, weeks, days int, skip func(from, to int) bool) (same, daily []Count) {
	slot := (end + 30) / 60 * 60
	slice := func(shift int, out []Count) []Count {
		for q := -30; q < 30; q += 15 {
			from := slot - shift + q
			if from >= 0 && (skip == nil || !skip(from, from+15)) {
				out = append(out, l.between(from, from+15))
			}
		}
		return out
	}
	for w := 1; w <= weeks; w++ {
		same = slice(w*minutesWeek, same)
	}
	for d := 1; d <= days; d++ {
		daily = slice(d*minutesDay, daily)
	}
	return same, daily
}

// finals tells at one minute whether the rule of the console fires, at each significance.
func (l ledger) finals(end, weeks int, skip func(from, to int) bool, alphas []float64, out []bool) {
	now := Lately{l.between(end-15, end), l.between(end-20, end-5), l.between(end-60, end)}
	for i := range out {
		out[i] = false
	}
	if now.Hour.K < leastK {
		return
	}
	same, days := l.reference(end, weeks, 7, skip)
	base := FitCounts(same, days)
	for i, a := range alphas {
		out[i] = Worse(now, base, a).Rule != ""
	}
}

func pooled(c []Count) Count {
	var s Count
	for _, x := range c {
		s = s.Add(x)
	}
	return s
}

// zScore of two proportions.
func zScore(now, base Count) float64 {
	p := (now.K + base.K) / (now.N + base.N)
	sd := math.Sqrt(p * (1 - p) * (1/now.N + 1/base.N))
	if now.N < 1 || base.N < 1 || sd == 0 {
		return 0
	}
	return (now.Ratio() - base.Ratio()) / sd
}

func wilson(c Count, z float64) (low, high float64) {
	p, n := c.Ratio(), c.N
	mid := p + z*z/(2*n)
	d := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return (mid - d) / (1 + z*z/n), (mid + d) / (1 + z*z/n)
}

// poissonTail is P(X >= k).
func poissonTail(k, mean float64) float64 {
	if k <= 0 || mean <= 0 {
		return 1
	}
	term := math.Exp(k*math.Log(mean) - mean - lgamma(k+1))
	sum := term
	if k <= mean {
		// The lower sum is the shorter one.
		low := 0.0
		t := math.Exp(-mean)
		for x := 0.0; x < k; x++ {
			low += t
			t *= mean / (x + 1)
		}
		return 1 - low
	}
	for x := k + 1; term > 1e-9*sum; x++ {
		term *= mean / x
		sum += term
	}
	return sum
}

// floors are what the literature adds to a z test so that it does not fire on nothing.
func floors(now, base Count) bool {
	return now.K >= 5 && now.N >= 50 && now.Ratio() >= 1.5*base.Ratio() && now.Ratio()-base.Ratio() >= 0.005
}

// rolling are the sums over a window of a series.
type rolling struct{ sum, squares, n []float64 }

func newRolling(v []float64) rolling {
	r := rolling{make([]float64, len(v)+1), make([]float64, len(v)+1), make([]float64, len(v)+1)}
	for i, x := range v {
		r.sum[i+1], r.squares[i+1], r.n[i+1] = r.sum[i], r.squares[i], r.n[i]
		if !math.IsNaN(x) {
			r.sum[i+1] += x
			r.squares[i+1] += x * x
			r.n[i+1]++
		}
	}
	return r
}

// of is the mean and standard deviation of the window of w steps that ends with step i.
func (r rolling) of(i, w int) (mean, sd float64) {
	from, to := max(0, i+1-w), i+1
	n := r.n[to] - r.n[from]
	if n == 0 || to <= from {
		return math.NaN(), math.NaN()
	}
	mean = (r.sum[to] - r.sum[from]) / n
	return mean, math.Sqrt(math.Max(0, (r.squares[to]-r.squares[from])/n-mean*mean))
}

// bands are those of grafana/promql-anomaly-detection, for a series in steps of so many
// per hour; samples of zero are dropped, as its rules do.
type bands struct {
	hour        int
	v           []float64
	avg, sd     []float64
	wide        rolling
	median      []float64
	mad         []float64
	low, high   []float64 // adaptive
	rlow, rhigh []float64 // robust
}

func newBands(raw []float64, hour int) *bands {
	b := &bands{hour: hour, v: slices.Clone(raw)}
	for i, x := range b.v {
		if !(x > 0) {
			b.v[i] = math.NaN()
		}
	}
	n := len(raw)
	roll := newRolling(b.v)
	b.avg, b.sd = make([]float64, n), make([]float64, n)
	filtered := make([]float64, n)
	for i := range n {
		b.avg[i], b.sd[i] = roll.of(i, hour)
		filtered[i] = math.NaN()
		if b.sd[i] > 0.5*b.avg[i] {
			filtered[i] = b.sd[i]
		}
	}
	b.wide = newRolling(filtered)
	b.medians()
	b.low, b.high = make([]float64, n), make([]float64, n)
	b.rlow, b.rhigh = make([]float64, n), make([]float64, n)
	for i := range n {
		spread, _ := b.wide.of(i, 26*hour)
		margin := 0.5 * b.avg[i]
		if 2*spread > margin {
			margin = 2 * spread
		}
		b.low[i], b.high[i] = b.avg[i]-margin, b.avg[i]+margin
		m := math.Max(2*b.mad[i], 0.5*b.median[i])
		b.rlow[i], b.rhigh[i] = b.median[i]-m, b.median[i]+m
		for _, back := range []int{hour * 47 / 2, hour * 335 / 2} { // 23h30m and 167h30m
			if j := i - back; j >= 0 && !math.IsNaN(b.avg[j]) {
				lo, hi := b.avg[j]-2*b.sd[j], b.avg[j]+2*b.sd[j]
				b.low[i], b.high[i] = math.Min(b.low[i], lo), math.Max(b.high[i], hi)
				b.rlow[i], b.rhigh[i] = math.Min(b.rlow[i], lo), math.Max(b.rhigh[i], hi)
			}
		}
	}
	return b
}

// medians of the last day, renewed once an hour.
func (b *bands) medians() {
	n := len(b.v)
	b.median, b.mad = make([]float64, n), make([]float64, n)
	for i := range n {
		if i%b.hour != 0 && i > 0 {
			b.median[i], b.mad[i] = b.median[i-1], b.mad[i-1]
			continue
		}
		r := RobustOf(b.v[max(0, i+1-24*b.hour) : i+1])
		b.median[i], b.mad[i] = r.Median, r.MAD
		if r.N == 0 {
			b.median[i] = math.NaN()
		}
	}
}

// out tells whether two evaluations in a row (for: 5m) are outside the band.
func (b *bands) out(i int, robust, both bool) bool {
	at := func(i int) bool {
		if i < 0 || math.IsNaN(b.v[i]) {
			return false
		}
		low, high := b.low[i], b.high[i]
		if robust {
			low, high = b.rlow[i], b.rhigh[i]
		}
		return b.v[i] > high || both && b.v[i] < low
	}
	return at(i) && at(i-1)
}

// episodes counts firings that follow more than an hour of quiet.
type episodes struct {
	n    int
	last int
	any  bool
}

func (e *episodes) see(minute int, fires bool) {
	if !fires {
		return
	}
	if !e.any || minute-e.last > 60 {
		e.n++
	}
	e.last, e.any = minute, true
}
