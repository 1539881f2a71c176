package faultproxy

import (
	"context"
	"sync/atomic"
	"time"
)

// Clock is wall time that a test can let pass, so that nobody waits for a time to end.
type Clock struct{ passed atomic.Int64 }

// Now is Wall: nothing is accelerated.
func (c *Clock) Now() time.Time { return c.Wall() }

// Wall is the time, with what was let pass.
func (c *Clock) Wall() time.Time { return time.Now().Add(time.Duration(c.passed.Load())) }

// ToWall changes nothing.
func (c *Clock) ToWall(d time.Duration) time.Duration { return d }

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) { c.passed.Add(int64(d)) }

// Wait lets time pass in place of waiting for it.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	c.Pass(d)
	return ctx.Err()
}
