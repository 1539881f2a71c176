package stat

import (
	"math"
	"slices"
)

// Robust is what a value used to be, by its median and the median distance from it.
type Robust struct {
	Median, MAD float64
	Low, High   float64
	N           int // values behind it
}

// RobustOf summarises values; those that are no numbers are left out.
func RobustOf(values []float64) Robust {
	v := make([]float64, 0, len(values))
	for _, x := range values {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return Robust{}
	}
	slices.Sort(v)
	r := Robust{Median: middle(v), Low: v[0], High: v[len(v)-1], N: len(v)}
	for i := range v {
		v[i] = math.Abs(v[i] - r.Median)
	}
	slices.Sort(v)
	r.MAD = middle(v)
	return r
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return sorted[n/2-1]/2 + sorted[n/2]/2
}

// Z is how many robust standard deviations a value is from usual. The deviation is at
// least floor times the median, and at least least: a series that never moved is no
// proof that it must not move at all.
func (r Robust) Z(v, floor, least float64) float64 {
	mad := math.Max(r.MAD, floor*math.Abs(r.Median))
	sd := math.Max(1.4826*mad, least)
	if r.N == 0 || math.IsNaN(v) {
		return 0
	}
	if sd == 0 {
		if v == r.Median {
			return 0
		}
		return math.Inf(int(math.Copysign(1, v-r.Median)))
	}
	return (v - r.Median) / sd
}

// Mean is the mean of the numbers among values; NaN when there are none.
func Mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}

// Trend is the line through values at times, by least squares: its value at time zero,
// its slope, and how many standard errors the slope is from none. At least three points
// are needed.
func Trend(x, y []float64) (at0, slope, t float64) {
	n := float64(len(x))
	if len(x) < 3 || len(x) != len(y) {
		return math.NaN(), 0, 0
	}
	mx, my := Mean(x), Mean(y)
	var sxx, sxy, syy float64
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
		syy += (y[i] - my) * (y[i] - my)
	}
	if sxx == 0 || math.IsNaN(sxy) {
		return my, 0, 0
	}
	slope = sxy / sxx
	rest := math.Max(0, syy-slope*sxy) / (n - 2)
	if se := math.Sqrt(rest / sxx); se > 0 {
		t = slope / se
	} else if slope != 0 {
		t = math.Inf(int(math.Copysign(1, slope)))
	}
	return my - slope*mx, slope, t
}
