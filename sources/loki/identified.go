package loki

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rollcall/sources"
)

// Identified counts the lines that carry a request ID or a trace ID, and names
// the field in which most of them have it; "their text" when it stands in none.
func Identified(lines []sources.LogLine) (n int, field string) {
	names := map[string]int{}
	for i := range lines {
		l := &lines[i]
		id := cmp.Or(l.RequestID, l.TraceID)
		if id == "" {
			continue
		}
		n++
		names[holder(l, id)]++
	}
	best := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return cmp.Or(names[b]-names[a], strings.Compare(a, b)) })
	if len(best) > 0 {
		field = best[0]
	}
	return n, field
}

// fieldEnd is a name and what may stand between it and its value, in JSON and in logfmt.
var fieldEnd = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.\-/]{0,63})"?\s*[:=]\s*"?$`)

func holder(l *sources.LogLine, id string) string {
	for _, m := range []map[string]string{l.Meta, l.Labels} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if m[k] == id {
				return k
			}
		}
	}
	for at, rest := 0, l.Line; ; {
		i := strings.Index(rest, id)
		if i < 0 {
			return "their text"
		}
		at += i
		if m := fieldEnd.FindStringSubmatch(l.Line[max(0, at-80):at]); m != nil {
			return m[1]
		}
		at += len(id)
		rest = l.Line[at:]
	}
}
