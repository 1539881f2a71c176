package otlp

import (
	"encoding/binary"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	// maxShed is how often the share of traces that is kept can be halved.
	maxShed = 8
	// shedAfter is how long more must arrive than can be stored before more is shed, in wall time.
	shedAfter = time.Second
	// calmAfter is how long nothing must be refused before less is shed, in wall time.
	calmAfter = 10 * time.Second
)

// shedder decides which traces are let in while more arrives than can be stored.
// It goes by the trace ID alone: all spans of a trace share its fate, in whichever
// call and from whichever sender they come, and every sender loses the same share.
type shedder struct {
	wall func() time.Time

	mu      sync.Mutex
	level   int       // one trace of 2^level is kept
	over    time.Time // since when calls are refused at this level
	refused time.Time // the last time that one was
	shed    int64     // spans and events
}

// overload notes that a call was refused.
func (s *shedder) overload() {
	now := s.wall()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = now
	switch {
	case s.over.IsZero():
		s.over = now
	case now.Sub(s.over) >= shedAfter && s.level < maxShed:
		s.level++
		s.over = now
	}
}

// share returns which traces are kept now.
func (s *shedder) share() share {
	now := s.wall()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.level == 0 && s.over.IsZero() {
		return 0
	}
	for now.Sub(s.refused) >= calmAfter {
		s.refused, s.over = s.refused.Add(calmAfter), time.Time{}
		if s.level == 0 {
			break
		}
		s.level--
	}
	return share(s.level)
}

func (s *shedder) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shed += int64(n)
}

// state is how many spans and events were shed, and the share of traces kept now: one of so many.
func (s *shedder) state() (shed int64, oneOf int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shed, 1 << s.level
}

// share keeps one trace of 2^share.
type share int

// keeps tells whether a trace is let in. The hash spreads IDs that begin with a time.
func (s share) keeps(id pcommon.TraceID) bool {
	h := binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h>>(64-maxShed)&(1<<s-1) == 0
}

// spans takes the spans of traces that are not let in out of a call, and says how many.
func (s share) spans(td ptrace.Traces) (shed int) {
	if s == 0 {
		return 0
	}
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(span ptrace.Span) bool {
				if s.keeps(span.TraceID()) {
					return false
				}
				shed++
				return true
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
	return shed
}

// events takes the log records of traces that are not let in out of a call. Those
// that name no trace stay.
func (s share) events(ld plog.Logs) (shed int) {
	if s == 0 {
		return 0
	}
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			sl.LogRecords().RemoveIf(func(rec plog.LogRecord) bool {
				if id := rec.TraceID(); id.IsEmpty() || s.keeps(id) {
					return false
				}
				shed++
				return true
			})
		}
	}
	return shed
}
