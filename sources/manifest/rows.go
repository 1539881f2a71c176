package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/sources"
)

const (
	minRows  = 5   // requests in a bucket before its dominant version counts
	dominant = 0.5 // share of the requests
)

// rowChanges finds when another version became dominant among the requests.
func rowChanges(counts []sources.VersionCount, step time.Duration) ([]sources.Change, sources.Manifest) {
	byComponent := map[sources.Component][]sources.VersionCount{}
	for _, c := range counts {
		if c.Version != "" && c.N > 0 {
			byComponent[c.Component] = append(byComponent[c.Component], c)
		}
	}
	var out []sources.Change
	live := sources.Manifest{}
	for _, comp := range sources.Components {
		list := byComponent[comp]
		if len(list) == 0 {
			continue
		}
		moved, last := shifts(list, func(c sources.VersionCount) string { return c.Version }, step)
		for _, m := range moved {
			m.Component = comp
			out = append(out, m)
		}
		if last != "" {
			if live.Versions == nil {
				live.Versions = map[sources.Component]string{}
			}
			live.Versions[comp] = last
		}
		if comp == sources.Model {
			out = append(out, silentRows(list, step)...)
		}
	}
	slices.SortStableFunc(out, func(a, b sources.Change) int { return a.At.Compare(b.At) })
	return out, live
}

// silentRows looks at each pinned model by itself: there, the served one should not move.
func silentRows(list []sources.VersionCount, step time.Duration) []sources.Change {
	byPin := map[string][]sources.VersionCount{}
	for _, c := range list {
		if c.Served != "" {
			byPin[c.Version] = append(byPin[c.Version], c)
		}
	}
	var out []sources.Change
	for _, pin := range slices.Sorted(maps.Keys(byPin)) {
		moved, _ := shifts(byPin[pin], func(c sources.VersionCount) string { return c.Served }, step)
		for _, m := range moved {
			m.Component, m.Silent = sources.Model, true
			out = append(out, m)
		}
		byServed := map[string][]sources.VersionCount{}
		for _, c := range byPin[pin] {
			if c.Fingerprint != "" {
				byServed[c.Served] = append(byServed[c.Served], c)
			}
		}
		for _, served := range slices.Sorted(maps.Keys(byServed)) {
			out = append(out, fingerprints(byServed[served], served, step)...)
		}
	}
	return out
}

// strays is the share of requests that a fingerprint may have on the wrong side of its change.
const strays = 0.1

// fingerprints are silent changes behind a served name that stayed. A provider may
// answer from several systems at once, so that a fingerprint counts as new only if it was
// not there before, and as gone only if it is not there after.
func fingerprints(list []sources.VersionCount, served string, step time.Duration) []sources.Change {
	moved, _ := shifts(list, func(c sources.VersionCount) string { return c.Fingerprint }, step)
	var out []sources.Change
	for _, m := range moved {
		var before, after [3]int // all, with the old fingerprint, with the new one
		for _, c := range list {
			side := &before
			switch {
			case !c.Start.Before(m.At.Add(step)):
				side = &after
			case !c.Start.Before(m.At):
				continue // the bucket in which it moved
			}
			side[0] += c.N
			switch c.Fingerprint {
			case m.From:
				side[1] += c.N
			case m.To:
				side[2] += c.N
			}
		}
		if float64(before[2]) > strays*float64(before[0]) || float64(after[1]) > strays*float64(after[0]) {
			continue
		}
		m.Component, m.Silent = sources.Model, true
		m.Evidence = fmt.Sprintf("system fingerprint moved, served name still %s: %s", served, m.Evidence)
		out = append(out, m)
	}
	return out
}

// shifts returns the changes of the dominant value over time, and the last one.
func shifts(list []sources.VersionCount, of func(sources.VersionCount) string, step time.Duration) ([]sources.Change, string) {
	type bucket struct {
		start time.Time
		total int
		n     map[string]int
	}
	var buckets []*bucket
	at := map[int64]*bucket{}
	for _, c := range list {
		b := at[c.Start.UnixNano()]
		if b == nil {
			b = &bucket{start: c.Start, n: map[string]int{}}
			at[c.Start.UnixNano()] = b
			buckets = append(buckets, b)
		}
		b.total += c.N
		b.n[of(c)] += c.N
	}
	slices.SortFunc(buckets, func(a, b *bucket) int { return a.start.Compare(b.start) })
	winner := func(b *bucket) string {
		best := ""
		for _, v := range slices.SortedFunc(maps.Keys(b.n), cmp.Compare[string]) {
			if best == "" || b.n[v] > b.n[best] {
				best = v
			}
		}
		if b.total < minRows || float64(b.n[best]) < dominant*float64(b.total) {
			return ""
		}
		return best
	}
	var out []sources.Change
	current := ""
	for i, b := range buckets {
		w := winner(b)
		if w == "" || w == current {
			continue
		}
		if i+1 < len(buckets) && current != "" && winner(buckets[i+1]) == current {
			continue // one odd bucket
		}
		if current != "" {
			when := b.start
			// Already there in the bucket before: it began within that one.
			if i > 0 && buckets[i-1].n[w] > 0 && b.start.Sub(buckets[i-1].start) <= step {
				when = buckets[i-1].start
			}
			out = append(out, sources.Change{
				At: when, From: current, To: w, Source: "requests",
				Evidence: fmt.Sprintf("%d of %d requests ran %s", b.n[w], b.total, w),
			})
		}
		current = w
	}
	return out, current
}
