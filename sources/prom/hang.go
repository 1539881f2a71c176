package prom

import (
	"context"
	"time"
)

// patience is how long calls wait, after the server let one run into the time
// limit, for its answer to the smallest question.
const patience = 300 * time.Millisecond

// hang is what is known about a server that takes connections and answers nothing.
// Without it every refresh would wait out the full time limit before it shows what
// the other sources say.
type hang struct {
	reason *Error        // what calls get instead of waiting; nil while the server answers
	probe  chan struct{} // closed when the question under way has ended; nil when there is none
	asked  time.Time     // wall time of that question
}

// hung returns the reason for which a call need not be made. One small question at
// a time finds out whether the server is back; a server that answers it, in
// whatever way, gets its calls again.
func (c *Client) hung(ctx context.Context) error {
	c.mu.Lock()
	if c.hang.reason == nil {
		c.mu.Unlock()
		return nil
	}
	if c.hang.probe == nil {
		c.hang.probe, c.hang.asked = make(chan struct{}), c.clock.Wall()
		go c.probe(c.hang.probe) //nolint:contextcheck // it outlives the call that began it; the time limit and Close end it
	}
	probe, left := c.hang.probe, patience-c.clock.Wall().Sub(c.hang.asked)
	c.mu.Unlock()

	wait := time.NewTimer(left)
	defer wait.Stop()
	select {
	case <-probe:
	case <-wait.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hang.reason == nil {
		return nil
	}
	return c.hang.reason
}

func (c *Client) probe(done chan struct{}) {
	ctx, cancel := context.WithTimeout(c.life, c.timeout)
	defer cancel()
	_, _, _, _ = c.api.Query(ctx, "vector(1)", c.clock.Now()) // only whether it answers counts
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		c.hang.reason = nil
	}
	c.hang.probe = nil
	close(done)
}
