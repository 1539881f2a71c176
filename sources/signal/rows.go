package signal

import (
	"fmt"
	"maps"
	"slices"

	"rollcall/sources"
)

// rowFunc computes a signal from the request rows of one window of secs seconds.
// One unnamed part is one value; nil means that the rows do not say.
type rowFunc func(b *sources.RequestBucket, secs float64) []sources.Part

func one(v, n float64) []sources.Part { return []sources.Part{{Value: v, N: n}} }

// rowShare is a proportion; a whole of zero says nothing.
func rowShare(of func(*sources.RequestBucket) (part, whole float64)) rowFunc {
	return rowMean(of)
}

// rowMean is a sum divided by its count.
func rowMean(of func(*sources.RequestBucket) (sum, n float64)) rowFunc {
	return func(b *sources.RequestBucket, _ float64) []sources.Part {
		sum, n := of(b)
		if n <= 0 {
			return nil
		}
		return one(sum/n, n)
	}
}

func rowQuantile(of func(*sources.RequestBucket) sources.Num) rowFunc {
	return func(b *sources.RequestBucket, _ float64) []sources.Part {
		v := of(b)
		if !v.OK || b.N == 0 {
			return nil
		}
		return one(v.V, float64(b.N))
	}
}

// pair returns one of two counts, and their sum.
func pair(counts [2]int, which int) (part, whole float64) {
	return float64(counts[which]), float64(counts[0] + counts[1])
}

func rowErrors(b *sources.RequestBucket, secs float64) []sources.Part {
	if b.N == 0 {
		return nil
	}
	if len(b.ByError) == 0 {
		return one(0, float64(b.N))
	}
	var out []sources.Part
	for _, name := range slices.Sorted(maps.Keys(b.ByError)) {
		out = append(out, sources.Part{Name: name, Value: float64(b.ByError[name]) / secs, N: float64(b.ByError[name])})
	}
	return out
}

func rowScores(b *sources.RequestBucket, _ float64) []sources.Part {
	var out []sources.Part
	for _, name := range slices.Sorted(maps.Keys(b.Scores)) {
		if s := b.Scores[name]; s.N > 0 {
			out = append(out, sources.Part{Name: name, Value: s.Mean, N: float64(s.N)})
		}
	}
	return out
}

func rowSpend(b *sources.RequestBucket, secs float64) []sources.Part {
	if b.WithCost == 0 {
		return nil
	}
	return one(b.CostUSD/secs, float64(b.WithCost))
}

// costless says how many requests used tokens and tell no cost, so that a sum
// over the others is no more than a part; "" when there are none.
func costless(buckets []sources.RequestBucket) string {
	n, paid := 0, 0
	for i := range buckets {
		n += buckets[i].WithTokens
		paid += buckets[i].WithCost
	}
	if paid >= n {
		return ""
	}
	return fmt.Sprintf("%d of %d requests with tokens tell no cost; add their models under prices", n-paid, n)
}

// cacheShare is the share of requests answered by caches of these kinds, among those that know.
func cacheShare(kinds ...string) func(*sources.RequestBucket) (part, whole float64) {
	return func(b *sources.RequestBucket) (hits, known float64) {
		for kind, n := range b.CacheHits {
			known += float64(n)
			if slices.Contains(kinds, kind) {
				hits += float64(n)
			}
		}
		return hits, known
	}
}
