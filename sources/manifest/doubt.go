package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/request"
)

const (
	besideSpan    = 10 * time.Minute
	besideMinutes = 3 // in which both must have run, so that it was no switch from one to the other
	besideWithin  = 5 // newest whole minutes
	besideLeast   = 0.005
)

// beside are the components of which requests ran two versions or more in the same
// minutes lately: a rollout is under way, whatever it is called.
func beside(rows []sources.VersionCount, until time.Time) []sources.Component {
	type cell struct {
		c  sources.Component
		at int64
	}
	n := map[cell]map[string]int{}
	total := map[sources.Component]int{}
	by := map[sources.Component]map[string]int{}
	end := until.Truncate(rowStep)
	for _, r := range rows {
		if r.Version == "" || r.N <= 0 || !r.Start.Before(end) || r.Start.Before(end.Add(-besideWithin*rowStep)) {
			continue
		}
		k := cell{r.Component, r.Start.UnixNano()}
		if n[k] == nil {
			n[k] = map[string]int{}
		}
		n[k][r.Version] += r.N
		total[r.Component] += r.N
		if by[r.Component] == nil {
			by[r.Component] = map[string]int{}
		}
		by[r.Component][r.Version] += r.N
	}
	minutes := map[sources.Component]int{}
	for k, versions := range n {
		several := 0
		for v := range versions {
			if float64(by[k.c][v]) >= besideLeast*float64(total[k.c]) {
				several++
			}
		}
		if several > 1 {
			minutes[k.c]++
		}
	}
	var out []sources.Component
	for _, c := range sources.Components {
		if minutes[c] >= besideMinutes {
			out = append(out, c)
		}
	}
	return out
}

// unlike says where requests do not run what the metrics call live, although nothing
// moved lately that would explain it.
func unlike(told, seen sources.Manifest, changes []sources.Change, until time.Time, settled time.Duration) []string {
	var out []string
	for _, c := range sources.Components {
		a, b := told.Versions[c], seen.Versions[c]
		if a == "" || b == "" || a == b {
			continue
		}
		moved := slices.ContainsFunc(changes, func(ch sources.Change) bool {
			return ch.Component == c && !ch.Silent && until.Sub(ch.At) < settled
		})
		if !moved {
			out = append(out, fmt.Sprintf("%s: metrics say %s is live, most requests ran %s", c, a, b))
		}
	}
	return out
}

// disagree says where what a folder declares live is not what is seen to be.
func disagree(declared, seen sources.Manifest, source string) []string {
	var differ []string
	for _, c := range sources.Components {
		a, b := declared.Versions[c], seen.Versions[c]
		if a != "" && b != "" && a != b {
			differ = append(differ, fmt.Sprintf("%s %s in the folder, %s in %s", c, a, b, source))
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return []string{"the manifest folder and what runs differ: " + strings.Join(differ, ", ")}
}

// aliases counts the requests that models served under names that say no snapshot.
func aliases(rows []sources.VersionCount) []Alias {
	of := 0
	n := map[string]int{}
	for _, r := range rows {
		if r.Component != sources.Model || r.N <= 0 {
			continue
		}
		of += r.N
		// What answered is the truth; an alias that is answered with a snapshot's name can at least be told.
		if name := cmp.Or(r.Served, r.Version); name != "" && looksLikeModel(name) && !request.Pinned(name) {
			n[name] += r.N
		}
	}
	var out []Alias
	for _, name := range slices.Sorted(maps.Keys(n)) {
		out = append(out, Alias{Model: name, Requests: n[name], Of: of, Source: "requests"})
	}
	slices.SortStableFunc(out, func(a, b Alias) int { return b.Requests - a.Requests })
	return out[:min(len(out), maxAliases)]
}

const maxAliases = 5

// looksLikeModel keeps version names of a team's own ("m2", "v7") from being called aliases.
func looksLikeModel(name string) bool {
	return len(name) >= 5 && strings.ContainsFunc(name, func(r rune) bool { return r == '-' || r == ':' || r == '/' })
}

// withLive adds the live model where its name says no snapshot and no request told.
func withLive(list []Alias, live *sources.Manifest) []Alias {
	m := live.Versions[sources.Model]
	if m == "" || !looksLikeModel(m) || request.Pinned(m) || slices.ContainsFunc(list, func(a Alias) bool { return a.Model == m }) {
		return list
	}
	return append(list, Alias{Model: m, Source: "manifest"})
}

// Words say an alias in one sentence.
func (a *Alias) Words() string {
	s := a.Model + " is an alias that names no snapshot: what answers can move without a change here"
	if a.Of > 0 {
		s += fmt.Sprintf(" (%d of %d requests)", a.Requests, a.Of)
	}
	return s
}
