package logapi

import (
	"strconv"
	"strings"
	"time"
)

// labelFilter is a stage that looks at labels only.
type labelFilter interface {
	stage
	isLabelFilter()
}

type (
	andFilter   struct{ a, b labelFilter }
	orFilter    struct{ a, b labelFilter }
	matchFilter struct{ m matcher }
	// compareFilter compares a label's value as a number, a duration in seconds
	// or a size in bytes.
	compareFilter struct {
		name, op string
		kind     tokenKind
		value    float64
	}
)

func (andFilter) isLabelFilter()     {}
func (orFilter) isLabelFilter()      {}
func (matchFilter) isLabelFilter()   {}
func (compareFilter) isLabelFilter() {}

func (f andFilter) process(l *lineState) bool { return f.a.process(l) && f.b.process(l) }

func (f orFilter) process(l *lineState) bool { return f.a.process(l) || f.b.process(l) }

func (f matchFilter) process(l *lineState) bool {
	v, _ := l.get(f.m.name)
	return f.m.matches(v)
}

func (f compareFilter) process(l *lineState) bool {
	// A line that failed already passes, so that the failure is seen.
	if l.err != "" {
		return true
	}
	text, found := l.get(f.name)
	if !found {
		return false
	}
	v, ok := measure(text, f.kind)
	if !ok {
		l.fail("LabelFilterErr", "label "+f.name+" is not a "+kindName(f.kind)+": "+strconv.Quote(shorten(text)))
		return true
	}
	switch f.op {
	case "=", "==":
		return v == f.value
	case "!=":
		return v != f.value
	case ">":
		return v > f.value
	case ">=":
		return v >= f.value
	case "<":
		return v < f.value
	default:
		return v <= f.value
	}
}

// measure reads a label's value as a number, seconds of a duration, or bytes.
func measure(text string, kind tokenKind) (float64, bool) {
	text = strings.TrimSpace(text)
	switch kind {
	case tokDuration:
		d, err := time.ParseDuration(text)
		return d.Seconds(), err == nil
	case tokSize:
		if n, ok := parseSize(text); ok {
			return n, true
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

func kindName(kind tokenKind) string {
	switch kind {
	case tokDuration:
		return "duration"
	case tokSize:
		return "size"
	default:
		return "number"
	}
}
