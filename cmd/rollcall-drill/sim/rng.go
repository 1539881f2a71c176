package sim

import (
	"math"
	"math/rand/v2"
)

// Streams of randomness. Each draws from its own generator, so that asking one
// of them more often changes nothing in another.
const (
	streamSecond uint64 = iota + 1
	streamReference
	streamHistory
	streamRequest
	streamNoise
	streamEvals
	streamGauges
)

// mix is the finaliser of SplitMix64: every bit of x moves every bit of the result.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// hash folds the parts into one well-mixed number.
func hash(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h = mix(h + 0x9e3779b97f4a7c15 ^ p)
	}
	return h
}

// dice is a generator that can be seeded again without allocating.
type dice struct {
	*rand.Rand
	pcg *rand.PCG
}

func newDice(parts ...uint64) dice {
	pcg := rand.NewPCG(0, 0)
	d := dice{rand.New(pcg), pcg}
	d.seed(parts...)
	return d
}

func (d dice) seed(parts ...uint64) {
	h := hash(parts...)
	d.pcg.Seed(h, mix(h))
}

// chance is true with probability p.
func (d dice) chance(p float64) bool { return p > 0 && d.Float64() < p }

// around draws from a log-normal distribution.
func (d dice) around(median, sigma float64) float64 {
	return median * math.Exp(sigma*d.NormFloat64())
}

// poisson draws a number of events of which lambda are expected.
func (d dice) poisson(lambda float64) float64 {
	switch {
	case lambda <= 0:
		return 0
	case lambda < 24:
		limit, product, n := math.Exp(-lambda), d.Float64(), 0.0
		for product > limit {
			n++
			product *= d.Float64()
		}
		return n
	default:
		return math.Max(0, math.Round(lambda+math.Sqrt(lambda)*d.NormFloat64()))
	}
}

// pick returns an index with a probability proportional to its weight. The
// weights are cumulative and the last one is their sum.
func (d dice) pick(cumulative []float64) int {
	x := d.Float64() * cumulative[len(cumulative)-1]
	lo, hi := 0, len(cumulative)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if cumulative[mid] > x {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

func cumulate(weights []float64) []float64 {
	out, sum := make([]float64, len(weights)), 0.0
	for i, w := range weights {
		sum += w
		out[i] = sum
	}
	return out
}
