package traces

import (
	"os"
	"time"
)

// Limits are the bounds that tests make small; zero keeps the default.
type Limits struct {
	Period     time.Duration
	PartTraces int64
	CacheSpans int
	MaxPages   int
	PendingMax int
	Rest       time.Duration
	Free       func(string) (int64, error)
	Lock       func(string) (*os.File, error)
}

// OpenWith is Open with other bounds.
func OpenWith(dir string, opts Options, l Limits) (*Store, error) {
	lim := defaultLimits()
	if l.Period > 0 {
		lim.period = l.Period
	}
	if l.PartTraces > 0 {
		lim.partTraces = l.PartTraces
	}
	if l.CacheSpans > 0 {
		lim.cacheSpans = l.CacheSpans
	}
	if l.PendingMax > 0 {
		lim.pendingMax = l.PendingMax
	}
	if l.Rest > 0 {
		lim.rest = l.Rest
	}
	if l.Free != nil {
		lim.free = l.Free
	}
	if l.Lock != nil {
		lim.lock = l.Lock
	}
	lim.maxPages = l.MaxPages
	return open(dir, opts, lim)
}

// BuildBlocks builds every block that is missing.
func (s *Store) BuildBlocks() {
	for more := true; more; {
		done := make(chan *writer, 1)
		s.tasks <- func(w *writer) {
			more = w.buildBlock()
			done <- w
		}
		(<-done).sealing.Wait()
	}
}

// Dir is the folder.
func (s *Store) Dir() string { return s.dir }

// LockFile is the name of the lock in the folder.
const LockFile = lockFile

// FreeBytes is the default of Limits.Free.
var FreeBytes = freeBytes

// FilterHas tells whether a stored filter may hold a request ID.
func FilterHas(data []byte, id string) (bool, error) {
	f, err := parseFilter(data)
	return err == nil && f.has(hashID(kindRequest, id)), err
}

// FilterOf is a filter of request IDs.
func FilterOf(ids ...string) []byte {
	f := newFilter(int64(len(ids)))
	for _, id := range ids {
		f.add(hashID(kindRequest, id))
	}
	return f.bytes()
}
