// Package hold keeps a client away from a server that asked to be left alone.
package hold

import (
	"context"
	"fmt"
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

// Held is the error of a call that was not made.
type Held struct {
	Code  int       // of the answer that began it
	Until time.Time // wall
}

// Error is one phrase: "429 Too Many Requests, it is asked again at 02:47:31Z".
func (e *Held) Error() string {
	end := e.Until.Add(time.Second - 1).Truncate(time.Second).UTC()
	return fmt.Sprintf("%d %s, it is asked again at %s", e.Code, http.StatusText(e.Code), end.Format("15:04:05Z"))
}

// Beyond returns why a call that would wait no longer than patience is not made; nil when it is.
func (h *Hold) Beyond(now time.Time, patience time.Duration) *Held {
	if left, until, code := h.Left(now); left > patience {
		return &Held{code, until}
	}
	return nil
}

// Wait keeps a call back: it waits out what is left, and fails with *Held at once
// when that is more than patience. wall and wait are the caller's clock.
func (h *Hold) Wait(ctx context.Context, patience time.Duration, wall func() time.Time, wait func(context.Context, time.Duration) error) error {
	for range 3 { // while it waits, other calls may be told to wait longer
		left, until, code := h.Left(wall())
		switch {
		case left == 0:
			return nil
		case left > patience:
			return &Held{code, until}
		}
		if err := wait(ctx, left); err != nil {
			return err
		}
	}
	if left, until, code := h.Left(wall()); left > 0 {
		return &Held{code, until}
	}
	return nil
}

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
