// Package hold keeps a client away from a server that asked to be left alone.
package hold

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Longest bounds what a server can ask for: one that says "tomorrow" is looked
// at again while somebody is still watching.
const Longest = 5 * time.Minute

// spread is the most by which a wait is stretched, so that the consoles of a
// team do not all come back in the same instant.
const spread = 10 * time.Second

// Hold is shared by all calls to one server. The zero Hold holds nothing back.
type Hold struct {
	mu    sync.Mutex
	until time.Time // wall
	code  int
}

// Asked notes that the server answered with an HTTP code at a wall time and is
// to be left alone for d from then on. jitter is in [0,1). A later end stays.
func (h *Hold) Asked(code int, now time.Time, d time.Duration, jitter float64) {
	d = min(max(d, 0), Longest)
	d += time.Duration(jitter * float64(min(d/10, spread)))
	h.mu.Lock()
	defer h.mu.Unlock()
	if until := now.Add(d); until.After(h.until) || h.tooFar(now) {
		h.until, h.code = until, code
	}
}

// Left returns how long calls have to stay away, zero when they need not, until
// which wall time that is, and the HTTP code that began it.
func (h *Hold) Left(now time.Time) (left time.Duration, until time.Time, code int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tooFar(now) {
		h.until = time.Time{} // the wall clock was set back
	}
	return max(0, h.until.Sub(now)), h.until, h.code
}

func (h *Hold) tooFar(now time.Time) bool { return h.until.Sub(now) > Longest+spread }

// After reads a Retry-After header: seconds, or a date. It reports false when there is none.
func After(header http.Header, now time.Time) (time.Duration, bool) {
	s := header.Get("Retry-After")
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return time.Duration(min(n, uint64(24*time.Hour/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
