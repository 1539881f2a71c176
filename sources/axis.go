package sources

import "time"

// farOff is how many times the length of the root a span may lie outside it before
// its clock is taken to be wrong rather than the axis to be long.
const farOff = 10

// longest is how long a span can be for its clock to be believed.
const longest = int64(24 * time.Hour)

// SpanAxis returns the times, Unix nanoseconds, between which the spans of a trace
// are to be drawn, and how many do not lie between them: the axis is that of the longest of
// the roots and of all spans near it, for a single wrong clock must not squeeze the
// rest into a column. End is after start. Both lists may be empty only together.
func SpanAxis(roots, spans []*Span) (start, end int64, outside int) {
	if len(roots) == 0 {
		return 0, int64(time.Microsecond), len(spans)
	}
	root := roots[0]
	for _, s := range roots {
		if plausible(s) && (!plausible(root) || s.Duration() > root.Duration()) {
			root = s
		}
	}
	start, end = SaneTime(root.Start), max(SaneTime(root.Start), SaneTime(root.End))
	slack := min(farOff*min(end-start, longest)+int64(time.Second), longest)
	low, high := start-slack, end+slack
	for _, s := range spans {
		if s.Start < low || s.End > high || s.Start > high {
			outside++
			continue
		}
		start, end = min(start, s.Start), max(end, s.End)
	}
	if end <= start {
		end = start + int64(time.Microsecond)
	}
	return start, end, outside
}

func plausible(s *Span) bool {
	return s.Start > 0 && s.End >= s.Start && s.End-s.Start < longest
}

// SaneTime keeps a sender's time, Unix nanoseconds, within what can be subtracted and multiplied.
func SaneTime(at int64) int64 { return max(0, min(at, 1<<61)) }
