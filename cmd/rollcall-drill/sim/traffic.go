package sim

import (
	"math"
	"time"
)

// The weekly shape of traffic is fixed to the start of a drill, not to the wall
// clock: whoever practises at midnight meets the same service as at noon, and a
// seed gives the same run at any time. The start is a Wednesday, 10:30.
const (
	startHour    = 2*24 + 10.5 // hours since Monday 0:00
	peakPerSec   = 36.0
	nightShare   = 0.24 // of the peak, in the quietest hour
	weekendShare = 0.66
	busiestHour  = 14.0
)

// demand is how many requests per second are expected at an offset from the
// start, before noise.
func demand(off time.Duration) float64 {
	hour := math.Mod(startHour+off.Hours(), 7*24)
	if hour < 0 {
		hour += 7 * 24
	}
	day := (1 + math.Cos(2*math.Pi*(hour-busiestHour)/24)) / 2
	rate := peakPerSec * (nightShare + (1-nightShare)*math.Pow(day, 1.3))
	// Friday evening fades into the weekend and Sunday night out of it, so that no hour has a step.
	weekend := smooth((hour-(4*24+20))/6) - smooth((hour-(6*24+18))/6)
	return rate * (1 - (1-weekendShare)*weekend)
}

func smooth(x float64) float64 {
	x = min(max(x, 0), 1)
	return x * x * (3 - 2*x)
}

// The wobbles are what makes counts vary more than chance alone would
// (overdispersion): each multiplies a group of parameters by a slowly moving
// factor near one.
type wobble int

const (
	steady wobble = iota
	traffic
	latency
	failures
	format
	safety
	opinion
	relevance
	size
	caching
	wobbleCount
)

// wobbleSigma is the standard deviation of the logarithm of each factor.
var wobbleSigma = [wobbleCount]float64{
	traffic: 0.05, latency: 0.035, failures: 0.14, format: 0.08, safety: 0.10,
	opinion: 0.05, relevance: 0.05, size: 0.025, caching: 0.03,
}

// noiseOctaves are the time scales on which a wobble moves, with their shares.
var noiseOctaves = [...]struct {
	period time.Duration
	share  float64
}{{4 * time.Minute, 0.55}, {40 * time.Minute, 0.6}, {7 * time.Hour, 0.58}}

type wobbles [wobbleCount]float64

// wobblesAt is a function of time, with no state: history and live part meet without a seam.
func wobblesAt(seed uint64, off time.Duration) (w wobbles) {
	w[steady] = 1
	for i := steady + 1; i < wobbleCount; i++ {
		var z float64
		for o, oct := range noiseOctaves {
			x := float64(off) / float64(oct.period)
			cell := math.Floor(x)
			f := smooth(x - cell)
			a := gauss(hash(seed, streamNoise, uint64(i), uint64(o), uint64(int64(cell))))
			b := gauss(hash(seed, streamNoise, uint64(i), uint64(o), uint64(int64(cell)+1)))
			z += oct.share * (a*(1-f) + b*f)
		}
		w[i] = math.Exp(wobbleSigma[i] * min(max(z, -2.5), 2.5))
	}
	return w
}

// gauss turns a hash into a standard normal number (Box-Muller).
func gauss(h uint64) float64 {
	u := (float64(h>>11) + 0.5) / (1 << 53)
	v := float64(mix(h+1)>>11) / (1 << 53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
