package logapi

import (
	"errors"
	"slices"
	"sort"
)

// entry is one line. ts is nanoseconds since 1970.
type entry struct {
	ts   int64
	line string
	meta labelSet // structured metadata
}

// size is what an entry counts for against the bound of its stream.
func (e entry) size() int {
	n := len(e.line)
	for _, l := range e.meta {
		n += len(l.name) + len(l.value)
	}
	return n
}

// Bounds of a segment: small enough to be copied for every line out of order.
const (
	segmentLines = 256
	segmentBytes = 1 << 20
)

// segment is a run of entries in time order. What readers may hold of it never
// changes: lines are added behind their end, or the segment is replaced.
type segment struct {
	entries []entry
	bytes   int
}

func (s segment) full() bool { return len(s.entries) >= segmentLines || s.bytes >= segmentBytes }

// stream holds the newest lines with the same labels, in time order.
type stream struct {
	labels   labelSet
	key      string
	segments []segment
	lines    int
	bytes    int
	newest   int64
}

var (
	errTooFarBehind = errors.New("entry too far behind")
	errRepeated     = errors.New("the stream holds this line already")
)

// insert adds an entry at its place in time. Entries of the same time stay in
// order of arrival; a line that is already there at its time is not repeated.
func (s *stream) insert(e entry, disorder int64) error {
	if s.lines > 0 && e.ts < s.newest-disorder {
		return errTooFarBehind
	}
	if s.lines == 0 || e.ts >= s.newest {
		if e.ts == s.newest && s.repeats(e, len(s.segments)-1) {
			return errRepeated
		}
		s.append(e)
		return nil
	}
	// Out of order: the first segment that ends after the entry takes it. There
	// is one, since the entry is older than the newest.
	i := sort.Search(len(s.segments), func(i int) bool {
		es := s.segments[i].entries
		return es[len(es)-1].ts > e.ts
	})
	if s.repeats(e, i) {
		return errRepeated
	}
	old := s.segments[i]
	at := sort.Search(len(old.entries), func(j int) bool { return old.entries[j].ts > e.ts })
	entries := make([]entry, 0, len(old.entries)+1)
	entries = append(append(append(entries, old.entries[:at]...), e), old.entries[at:]...)
	s.segments[i] = segment{entries: entries, bytes: old.bytes + e.size()}
	if len(entries) > 2*segmentLines {
		s.split(i)
	}
	s.lines++
	s.bytes += e.size()
	return nil
}

func (s *stream) append(e entry) {
	last := len(s.segments) - 1
	if last < 0 || s.segments[last].full() {
		s.segments = append(s.segments, segment{})
		last++
	}
	seg := &s.segments[last]
	seg.entries = append(seg.entries, e)
	seg.bytes += e.size()
	s.lines++
	s.bytes += e.size()
	s.newest = e.ts
}

// split cuts segment i in two. The halves do not share room to grow.
func (s *stream) split(i int) {
	es := s.segments[i].entries
	half := len(es) / 2
	first, second := segment{entries: es[:half:half]}, segment{entries: es[half:]}
	for _, e := range first.entries {
		first.bytes += e.size()
	}
	second.bytes = s.segments[i].bytes - first.bytes
	s.segments[i] = first
	s.segments = slices.Insert(s.segments, i+1, second)
}

// repeats reports whether the line stands in the stream at its time, looking
// backwards from the end of segment i.
func (s *stream) repeats(e entry, i int) bool {
	for ; i >= 0; i-- {
		es := s.segments[i].entries
		for j := sort.Search(len(es), func(j int) bool { return es[j].ts > e.ts }) - 1; j >= 0; j-- {
			if es[j].ts < e.ts {
				return false
			}
			if es[j].line == e.line && slices.Equal(es[j].meta, e.meta) {
				return true
			}
		}
	}
	return false
}

// trim drops the oldest lines until the stream is within its bounds and returns
// how many it dropped.
func (s *stream) trim(maxLines, maxBytes int) (dropped int) {
	for s.lines > 1 && (s.lines > maxLines || s.bytes > maxBytes) {
		first := &s.segments[0]
		size := first.entries[0].size()
		first.entries = first.entries[1:]
		first.bytes -= size
		s.bytes -= size
		s.lines--
		dropped++
		if len(first.entries) == 0 {
			s.segments = slices.Clone(s.segments[1:])
		}
	}
	return dropped
}

// view returns the entries from start up to but not including end. It stays as
// it is while the stream changes.
func (s *stream) view(start, end int64) [][]entry {
	var out [][]entry
	for _, seg := range s.segments {
		es := seg.entries
		if es[0].ts >= end || es[len(es)-1].ts < start {
			continue
		}
		from := sort.Search(len(es), func(i int) bool { return es[i].ts >= start })
		to := sort.Search(len(es), func(i int) bool { return es[i].ts >= end })
		if from < to {
			out = append(out, es[from:to:to])
		}
	}
	return out
}

// spans reports whether the stream has lines between start and end, both included.
func (s *stream) spans(start, end int64) bool {
	return s.lines > 0 && s.newest >= start && s.segments[0].entries[0].ts <= end
}
