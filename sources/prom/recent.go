package prom

import (
	"sync"
	"time"
)

// counts are what was asked of the server and what came back.
type counts struct{ queries, samples, bytes int64 }

const (
	recentSlice  = 5 * time.Second
	recentSlices = 12 // together one minute
)

// recent keeps the counts of the last minute of wall time.
type recent struct {
	mu   sync.Mutex
	ring [recentSlices]struct {
		at int64 // which slice since 1970
		counts
	}
}

func (r *recent) add(wall time.Time, n counts) {
	at := wall.UnixNano() / int64(recentSlice)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.ring[at%recentSlices]
	if s.at != at {
		s.at, s.counts = at, counts{}
	}
	s.queries += n.queries
	s.samples += n.samples
	s.bytes += n.bytes
}

func (r *recent) sum(wall time.Time) counts {
	at := wall.UnixNano() / int64(recentSlice)
	r.mu.Lock()
	defer r.mu.Unlock()
	var out counts
	for _, s := range r.ring {
		if s.at > at-recentSlices && s.at <= at {
			out.queries += s.queries
			out.samples += s.samples
			out.bytes += s.bytes
		}
	}
	return out
}

// read counts bytes of answers, unpacked.
func (c *Client) read(n int) {
	c.bytes.Add(int64(n))
	c.recent.add(c.clock.Wall(), counts{bytes: int64(n)})
}
