package suspect

import (
	"math"
	"time"

	"rollcall/sources"
)

// Shape is how a duration is distributed over the requests of a range.
//
// Two humps are claimed when a mixture of two log-normal distributions, fitted
// by expectation and maximisation, describes the histogram better than one even
// after it has paid for its parameters (BIC; Schwarz 1978), when the two stand
// clearly apart (Ashman's D = √2·|μ₁−μ₂| / √(σ₁²+σ₂²) > 2; Ashman, Bird and Zepf
// 1994), when each holds at least LeastHump of the requests, and when there is a
// valley between them. A long tail is no hump.
type Shape struct {
	Stage  string    `json:"stage"` // "latency", "ttft", or a stage of the request
	N      int       `json:"n"`     // requests of which it is known
	Edges  []float64 `json:"edges"` // seconds, log-spaced; bin i is Edges[i] to Edges[i+1]
	Counts []int     `json:"counts"`
	// Heat is Counts by column of time, oldest first.
	Heat  [][]int `json:"-"`
	Humps []Hump  `json:"humps"` // one or two, the fast one first; none of too few
	// Cut is where the humps part, and Slow what the requests beyond have in common; of two humps only.
	Cut  sources.Num `json:"cut_s"`
	Slow *Found      `json:"slow,omitempty"`
}

// Hump is one of the humps.
type Hump struct {
	Share  float64 `json:"share"`    // of the requests
	Median float64 `json:"median_s"` // seconds
	Spread float64 `json:"spread"`   // standard deviation of the logarithm
}

// Two tells whether an average would hide something.
func (s *Shape) Two() bool { return len(s.Humps) == 2 }

// What it takes to be a hump.
const (
	LeastHump  = 0.04
	shapeRows  = 100 // requests below which no shape is claimed
	apart      = 2.0 // Ashman's D
	valley     = 0.7 // of the lower peak
	binsPerTen = 16  // bins per factor of ten
	fastest    = 1e-4
	decades    = 7 // up to a thousand seconds
	bins       = binsPerTen * decades
)

// ShapeOf returns the distribution of a number column over cols columns of time
// from the start of the table to its end; nil when the table has no such column.
func ShapeOf(t *sources.RequestTable, stage string, span time.Duration, cols int) *Shape {
	v := t.Number(stage)
	if v == nil {
		return nil
	}
	cols = max(1, cols)
	counts := make([]int, bins)
	heat := make([][]int, cols)
	for i := range heat {
		heat[i] = make([]int, bins)
	}
	s := &Shape{Stage: stage}
	for i, x := range v {
		if math.IsNaN(x) || x <= 0 {
			continue
		}
		b := binOf(x)
		counts[b]++
		s.N++
		c := 0
		if span > 0 {
			c = min(cols-1, max(0, int(float64(cols)*float64(t.Time[i])/float64(span))))
		}
		heat[c][b]++
	}
	if s.N == 0 {
		return s
	}
	lo, hi := 0, bins
	for counts[lo] == 0 {
		lo++
	}
	for counts[hi-1] == 0 {
		hi--
	}
	s.Counts = counts[lo:hi]
	for i := range heat {
		s.Heat = append(s.Heat, heat[i][lo:hi])
	}
	for i := lo; i <= hi; i++ {
		s.Edges = append(s.Edges, edge(i))
	}
	s.fit()
	return s
}

func edge(i int) float64 { return fastest * math.Pow(10, float64(i)/binsPerTen) }

func binOf(x float64) int {
	return min(bins-1, max(0, int(math.Floor(math.Log10(x/fastest)*binsPerTen))))
}

// Explain says what the slow hump has in common: a row beyond the cut is bad, one before it good.
func (s *Shape) Explain(t *sources.RequestTable) {
	if !s.Two() {
		return
	}
	v := t.Number(s.Stage)
	state := make([]State, t.N)
	for i, x := range v {
		switch {
		case math.IsNaN(x) || x <= 0:
		case x >= s.Cut.V:
			state[i] = Bad
		default:
			state[i] = Good
		}
	}
	level := Ended
	switch sources.StageOf(s.Stage) {
	case sources.Preprocess, sources.Embed, sources.VectorSearch, sources.Rerank, sources.PromptAssembly:
		level = Called
	}
	found := Find(t, state, level)
	s.Slow = &found
}

// normal is one component over the logarithm.
type normal struct{ share, mean, sd float64 }

func (n normal) density(x float64) float64 {
	z := (x - n.mean) / n.sd
	return n.share * math.Exp(-z*z/2) / (n.sd * math.Sqrt(2*math.Pi))
}

// fit finds the humps.
func (s *Shape) fit() {
	x := make([]float64, len(s.Counts)) // middle of each bin
	for i := range x {
		x[i] = (math.Log(s.Edges[i]) + math.Log(s.Edges[i+1])) / 2
	}
	least := (math.Log(10) / binsPerTen) / math.Sqrt(12) // a bin is never known better than this
	single := moments(x, s.Counts, nil, float64(s.N), least)
	one := Hump{Share: 1, Median: math.Exp(single.mean), Spread: single.sd}
	if s.N < shapeRows {
		return
	}
	s.Humps = []Hump{one}
	best, likely := [2]normal{}, math.Inf(-1)
	// From several beginnings: where the split lies is what it must not depend on.
	for _, q := range []float64{0.1, 0.3, 0.5, 0.7, 0.9} {
		if pair, l := em(x, s.Counts, float64(s.N), at(x, s.Counts, s.N, q), least); l > likely {
			best, likely = pair, l
		}
	}
	alone := logLikelihood(x, s.Counts, []normal{single})
	logN := math.Log(float64(s.N))
	if 5*logN-2*likely >= 2*logN-2*alone {
		return
	}
	fast, slow := best[0], best[1]
	if fast.mean > slow.mean {
		fast, slow = slow, fast
	}
	d := math.Sqrt2 * (slow.mean - fast.mean) / math.Hypot(fast.sd, slow.sd)
	cut, ok := s.valley(x, fast.mean, slow.mean)
	if d <= apart || min(fast.share, slow.share) < LeastHump || !ok {
		return
	}
	s.Cut = sources.N(cut)
	s.Humps = []Hump{
		{Share: fast.share, Median: math.Exp(fast.mean), Spread: fast.sd},
		{Share: slow.share, Median: math.Exp(slow.mean), Spread: slow.sd},
	}
}

// valley looks for the lowest point of the smoothed histogram between two means.
func (s *Shape) valley(x []float64, from, to float64) (float64, bool) {
	smooth := make([]float64, len(s.Counts))
	for i := range smooth {
		n := 0.0
		for k := max(0, i-1); k <= min(len(smooth)-1, i+1); k++ {
			smooth[i] += float64(s.Counts[k])
			n++
		}
		smooth[i] /= n
	}
	lowest, lowAt := math.Inf(1), -1
	for i := range x {
		if x[i] > from && x[i] < to && smooth[i] < lowest {
			lowest, lowAt = smooth[i], i
		}
	}
	if lowAt < 0 {
		return 0, false
	}
	left, right := 0.0, 0.0
	for i, n := range smooth {
		if i < lowAt {
			left = max(left, n)
		} else {
			right = max(right, n)
		}
	}
	return math.Exp(x[lowAt]), lowest < valley*min(left, right)
}

// at is the quantile of a histogram.
func at(x []float64, counts []int, n int, q float64) float64 {
	left := q * float64(n)
	for i, c := range counts {
		if left -= float64(c); left <= 0 {
			return x[i]
		}
	}
	return x[len(x)-1]
}

func moments(x []float64, counts []int, weight []float64, n, least float64) normal {
	sum, total := 0.0, 0.0
	w := func(i int) float64 {
		if weight == nil {
			return float64(counts[i])
		}
		return float64(counts[i]) * weight[i]
	}
	for i := range x {
		sum += w(i) * x[i]
		total += w(i)
	}
	if total == 0 {
		return normal{sd: least}
	}
	out := normal{share: total / n, mean: sum / total}
	for i := range x {
		out.sd += w(i) * (x[i] - out.mean) * (x[i] - out.mean)
	}
	out.sd = max(least, math.Sqrt(out.sd/total))
	return out
}

// em fits two components, beginning with those on either side of a point.
func em(x []float64, counts []int, n, from, least float64) ([2]normal, float64) {
	weight := make([]float64, len(x)) // of the second component
	for i := range x {
		if x[i] > from {
			weight[i] = 1
		}
	}
	other := make([]float64, len(x))
	var pair [2]normal
	last := math.Inf(-1)
	for range 200 {
		for i := range weight {
			other[i] = 1 - weight[i]
		}
		pair = [2]normal{moments(x, counts, other, n, least), moments(x, counts, weight, n, least)}
		for i := range x {
			a, b := pair[0].density(x[i]), pair[1].density(x[i])
			if weight[i] = 0; a+b > 0 {
				weight[i] = b / (a + b)
			}
		}
		l := logLikelihood(x, counts, pair[:])
		if l-last < 1e-6*math.Abs(l) {
			return pair, l
		}
		last = l
	}
	return pair, last
}

func logLikelihood(x []float64, counts []int, parts []normal) float64 {
	sum := 0.0
	for i, c := range counts {
		if c == 0 {
			continue
		}
		d := 0.0
		for _, p := range parts {
			d += p.density(x[i])
		}
		sum += float64(c) * math.Log(max(d, 1e-300))
	}
	return sum
}
