// Package stat is the arithmetic of judgement: how surprising a count or a value is
// against what a series used to be, and since when. It knows no signals, reads
// nothing, and answers "not surprising" wherever its input makes no sense.
package stat

import "math"

// Count is K of N events in one window of time. A count of an extrapolated rate need
// not be whole.
type Count struct{ K, N float64 }

// Valid tells whether the count can be one: finite, and 0 <= K <= N.
func (c Count) Valid() bool {
	return c.N >= 0 && c.K >= 0 && c.K <= c.N*(1+slack)+slack && !math.IsInf(c.N, 0)
}

// slack is how far K may exceed N by the rounding of extrapolated rates.
const slack = 1e-6

// Ratio is K/N; NaN when nothing happened.
func (c Count) Ratio() float64 { return c.K / c.N }

// Add returns the events of both windows.
func (c Count) Add(d Count) Count { return Count{c.K + d.K, c.N + d.N} }

// Complement counts the other events: for a proportion of which less is worse.
func (c Count) Complement() Count { return Count{math.Max(0, c.N-c.K), c.N} }

// Fit is what a proportion used to be: Beta-distributed from window to window.
type Fit struct {
	Mu      float64 // mean share
	Rho     float64 // overdispersion: the share of variance that windows have in common with themselves
	K, N    float64 // events behind it
	Windows int     // windows behind it
}

const (
	minRho = 0.0005
	maxRho = 0.2
)

// FitCounts fits the windows of the same hour of the week. Two weeks of them are few
// to tell how much a series wavers: days are those of the same hour on every day, and
// the larger overdispersion of both is taken. Counts that cannot be are left out.
func FitCounts(same, days []Count) Fit {
	f := fit(same)
	if f.Windows == 0 {
		return f
	}
	if d := fit(days); d.Windows > 0 {
		f.Rho = math.Max(f.Rho, d.Rho)
	}
	return f
}

func fit(windows []Count) Fit {
	f := Fit{Rho: minRho}
	for _, c := range windows {
		if c.Valid() && c.N > 0 {
			f.K += c.K
			f.N += c.N
			f.Windows++
		}
	}
	if f.Windows == 0 {
		return f
	}
	f.Mu = (f.K + 0.5) / (f.N + 1)
	if f.Windows < 2 {
		return f
	}
	phi := 0.0
	for _, c := range windows {
		if c.Valid() && c.N > 0 {
			d := c.K - c.N*f.Mu
			phi += d * d / (c.N * f.Mu * (1 - f.Mu))
		}
	}
	phi /= float64(f.Windows - 1)
	if mean := f.N / float64(f.Windows); mean > 1 {
		f.Rho = math.Min(math.Max((phi-1)/(mean-1), minRho), maxRho)
	}
	return f
}

// Beta returns the parameters of the distribution of the share.
func (f Fit) Beta() (a, b float64) {
	s := 1/f.Rho - 1
	return f.Mu * s, (1 - f.Mu) * s
}

// Tail is the probability of K or more events among N, when all is as usual. It is 1
// for what cannot be told.
func (f Fit) Tail(c Count) float64 {
	if f.Windows == 0 || !c.Valid() || c.N < 1 || f.Mu <= 0 || f.Mu >= 1 {
		return 1
	}
	a, b := f.Beta()
	return Tail(math.Round(c.K), math.Round(c.N), a, b)
}

// Tail is P(X >= k) of a Beta-Binomial with n trials.
func Tail(k, n, a, b float64) float64 {
	if k <= 0 {
		return 1
	}
	if k > n {
		return 0
	}
	// Below the mean the other side is the shorter sum.
	if k <= n*a/(a+b) {
		return math.Max(0, math.Min(1, 1-Tail(n-k+1, n, b, a)))
	}
	term := math.Exp(lchoose(n, k) + lbeta(k+a, n-k+b) - lbeta(a, b))
	sum := term
	for x := k; x < n; x++ {
		term *= (n - x) / (x + 1) * (x + a) / (n - x - 1 + b)
		sum += term
		if term < 1e-7*sum {
			break
		}
	}
	return math.Min(1, sum)
}

func lgamma(x float64) float64 { v, _ := math.Lgamma(x); return v }

func lbeta(a, b float64) float64 { return lgamma(a) + lgamma(b) - lgamma(a+b) }

func lchoose(n, k float64) float64 { return lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1) }
