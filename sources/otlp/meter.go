package otlp

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/sources"
)

// meter counts what comes in.
type meter struct {
	wall    func() time.Time
	foreign atomic.Int64 // log records that are no events of requests
	invalid atomic.Int64 // spans without a trace ID

	mu       sync.Mutex
	seconds  [window + 1]int64 // items by second of wall time
	at       int64             // the newest second counted
	first    int64             // the second of the first item
	lastGood time.Time
	refused  int64 // calls
	lost     int64 // items in them; senders may have sent them again
	reason   string
	failedAt time.Time
	wrong    int64 // calls that were not OTLP
	wrongWhy string
}

// window is how many whole seconds the rate looks back over.
const window = 10

func (m *meter) took(n int) {
	wall := m.wall()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(wall.Unix())
	if m.first == 0 {
		m.first = wall.Unix()
	}
	m.seconds[wall.Unix()%(window+1)] += int64(n)
	m.lastGood = wall
}

// advance empties the seconds that have passed since the last count.
func (m *meter) advance(now int64) {
	if now-m.at > window {
		m.seconds = [window + 1]int64{}
	} else {
		for s := m.at + 1; s <= now; s++ {
			m.seconds[s%(window+1)] = 0
		}
	}
	m.at = max(m.at, now)
}

func (m *meter) refuse(reason string, items int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused++
	m.lost += int64(items)
	m.reason, m.failedAt = reason, m.wall()
}

// malformed counts a call that could not be read. It says nothing about the
// endpoint, which stays up.
func (m *meter) malformed(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong++
	m.wrongWhy = why
}

// health is up unless the last call was refused by the sink or for want of room.
func (m *meter) health() sources.Health {
	wall := m.wall()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(wall.Unix())
	var sum int64
	for i, n := range m.seconds {
		if int64(i) != wall.Unix()%(window+1) { // the running second is not whole yet
			sum += n
		}
	}
	h := sources.Health{State: sources.SourceUp, LastGood: m.lastGood}
	if past := min(int64(window), wall.Unix()-m.first); m.first > 0 && past > 0 {
		h.Rate = float64(sum) / float64(past)
	}
	if m.failedAt.After(m.lastGood) {
		h.State, h.Reason = sources.SourceDown, m.reason
	}
	var notes []string
	note := func(n int64, what string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%d %s", n, what))
		}
	}
	if m.refused > 0 {
		notes = append(notes, fmt.Sprintf("refused %d calls with %d items, last: %s", m.refused, m.lost, m.reason))
	}
	if m.wrong > 0 {
		notes = append(notes, fmt.Sprintf("%d calls were not OTLP, last: %s", m.wrong, m.wrongWhy))
	}
	note(m.foreign.Load(), "log records are not about requests and were dropped")
	note(m.invalid.Load(), "spans have no trace ID and were dropped")
	h.Note = strings.Join(notes, "; ")
	return h
}
