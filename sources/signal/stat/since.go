package stat

import "math"

// drop is how far below its maximum the log likelihood of a beginning may be for it to
// be as good as possible: half the 95% quantile of chi-square with one degree of freedom.
const drop = 1.92

// Beginning is where a count series changed.
type Beginning struct {
	At        int // the first window of what is now
	Low, High int // the beginnings that explain the counts about as well
	Found     bool
}

// Since finds the split of a series of windows, oldest first, after which the share is
// higher, by maximum likelihood. It is not found when no split is better than none by
// more than chance: then the share was as high all along, or nothing changed.
// Windows are taken to waver by rho around their share, as they did before.
func Since(windows []Count, rho float64) Beginning {
	n := len(windows)
	var all Count
	for _, c := range windows {
		if c.Valid() {
			all = all.Add(c)
		}
	}
	// Overdispersed counts tell less than their number: by the factor that their variance is larger.
	scale := 1.0
	if n > 0 && rho > 0 {
		scale = 1 + math.Max(0, all.N/float64(n)-1)*rho
	}
	var before Count
	ll := make([]float64, n)
	none := loglik(all) / scale
	best := Beginning{}
	top := math.Inf(-1)
	for i := range windows {
		ll[i] = math.Inf(-1)
		after := Count{all.K - before.K, all.N - before.N}
		if i > 0 && before.N > 0 && after.N > 0 && after.Ratio() > before.Ratio() {
			ll[i] = (loglik(before) + loglik(after)) / scale
			if ll[i] > top {
				top, best.At = ll[i], i
			}
		}
		if windows[i].Valid() {
			before = before.Add(windows[i])
		}
	}
	// A free place of the split costs more than one parameter.
	if top-none < 2*drop {
		return Beginning{}
	}
	best.Found, best.Low, best.High = true, best.At, best.At
	for i, l := range ll {
		if l >= top-drop {
			best.Low, best.High = min(best.Low, i), max(best.High, i)
		}
	}
	return best
}

func loglik(c Count) float64 {
	k, n := math.Min(c.K, c.N), c.N
	out := 0.0
	if k > 0 {
		out += k * math.Log(k/n)
	}
	if n-k > 0 {
		out += (n - k) * math.Log((n-k)/n)
	}
	return out
}

// Burn is how many times over an error budget is spent: 1 spends it exactly in its period.
func Burn(errorRatio, objective float64) float64 { return errorRatio / (1 - objective) }
