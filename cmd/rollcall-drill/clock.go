package main

import (
	"sync/atomic"
	"time"
)

// clock tells service time: start + speed × (wall − wallStart), never later than
// wall. Until it is released it stands still at the start. The console computes
// the same from the configuration that the drill writes.
type clock struct {
	start    time.Time
	speed    float64
	wall     func() time.Time
	released atomic.Pointer[time.Time]
}

func (c *clock) now() time.Time {
	from := c.released.Load()
	if from == nil {
		return c.start
	}
	wall := c.wall()
	t := c.start.Add(time.Duration(float64(wall.Sub(*from)) * c.speed))
	if t.After(wall) {
		return wall
	}
	return t
}

// release lets service time run from now on and returns the wall time of that.
func (c *clock) release() time.Time {
	// Without the monotonic reading, as whoever reads it from the configuration has it.
	wall := c.wall().UTC().Truncate(time.Millisecond)
	c.released.Store(&wall)
	return wall
}
