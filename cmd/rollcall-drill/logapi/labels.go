package logapi

import (
	"slices"
	"strconv"
	"strings"
)

// label is a name and its value.
type label struct{ name, value string }

// labelSet is a set of labels sorted by name.
type labelSet []label

func (ls labelSet) get(name string) (string, bool) {
	for _, l := range ls {
		if l.name == name {
			return l.value, true
		}
	}
	return "", false
}

// String writes the set as a stream selector would; it also serves as a key.
func (ls labelSet) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range ls {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(l.name)
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l.value))
	}
	b.WriteByte('}')
	return b.String()
}

// newLabelSet sorts labels and drops those without a value. Of labels with the
// same name the first one stays. It takes over the slice.
func newLabelSet(ls []label) labelSet {
	ls = slices.DeleteFunc(ls, func(l label) bool { return l.value == "" })
	slices.SortStableFunc(ls, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(ls, func(a, b label) bool { return a.name == b.name })
}

// keep returns the labels whose names are in names.
func (ls labelSet) keep(names []string) labelSet {
	var out labelSet
	for _, l := range ls {
		if slices.Contains(names, l.name) {
			out = append(out, l)
		}
	}
	return out
}

// drop returns the labels whose names are not in names.
func (ls labelSet) drop(names []string) labelSet {
	var out labelSet
	for _, l := range ls {
		if !slices.Contains(names, l.name) {
			out = append(out, l)
		}
	}
	return out
}

// validLabelName reports whether name can stand in a selector.
func validLabelName(name string) bool {
	for i := range len(name) {
		if !nameByte(name[i], i == 0) {
			return false
		}
	}
	return name != ""
}

func nameByte(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

// labelNameFor turns any key of a log line into a label name.
func labelNameFor(key string) string {
	if validLabelName(key) {
		return key
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return ""
	}
	b := make([]byte, 0, len(key)+1)
	if key[0] >= '0' && key[0] <= '9' {
		b = append(b, '_')
	}
	for _, r := range key {
		if r < 128 && nameByte(byte(r), false) {
			b = append(b, byte(r))
		} else {
			b = append(b, '_')
		}
	}
	return string(b)
}
