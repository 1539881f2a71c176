package sources

import (
	"fmt"
	"time"
)

// Clock tells the time of the service that is being watched. In production it
// is the wall clock; in an accelerated drill it starts in the past, runs faster
// and never passes the wall clock. Ranges, windows, delays and holds follow
// Now; time-outs, backoff and repainting follow Wall.
type Clock interface {
	Now() time.Time
	Wall() time.Time
	// ToWall converts a duration of service time into the wall time that it takes from now.
	ToWall(d time.Duration) time.Duration
}

// ClockConfig is the `clock:` section of the configuration, written by a drill.
// Service time = Start + Speed × (wall − WallStart), never later than wall.
type ClockConfig struct {
	WallStart time.Time `yaml:"wall_start,omitempty"`
	Start     time.Time `yaml:"start,omitempty"`
	Speed     float64   `yaml:"speed,omitempty"`
}

// Clock returns the clock that the section describes, reading wall time from
// wall (time.Now when nil). The zero section is the wall clock itself.
func (c ClockConfig) Clock(wall func() time.Time) (Clock, error) {
	if wall == nil {
		wall = time.Now
	}
	if c == (ClockConfig{}) {
		return clock{wall: wall}, nil
	}
	switch {
	case c.Speed < 1:
		return nil, fmt.Errorf("clock.speed is %g; it must be 1 or more", c.Speed)
	case c.WallStart.IsZero() || c.Start.IsZero():
		return nil, fmt.Errorf("clock needs both wall_start and start")
	case c.Start.After(c.WallStart):
		return nil, fmt.Errorf("clock.start %s is later than clock.wall_start %s; drill time starts in the past",
			c.Start.Format(time.RFC3339), c.WallStart.Format(time.RFC3339))
	}
	return clock{cfg: c, wall: wall}, nil
}

type clock struct {
	cfg  ClockConfig
	wall func() time.Time
}

func (c clock) Wall() time.Time { return c.wall() }

func (c clock) Now() time.Time { return c.at(c.wall()) }

func (c clock) at(wall time.Time) time.Time {
	if c.cfg.Speed == 0 {
		return wall
	}
	t := c.cfg.Start.Add(time.Duration(float64(wall.Sub(c.cfg.WallStart)) * c.cfg.Speed))
	if t.After(wall) {
		return wall
	}
	return t
}

func (c clock) ToWall(d time.Duration) time.Duration {
	wall := c.wall()
	now := c.at(wall)
	if c.cfg.Speed == 0 || !now.Before(wall) {
		return d
	}
	// The accelerated part lasts until service time meets wall time; the rest runs at speed 1.
	lag := wall.Sub(now)
	fast := time.Duration(float64(lag) / (c.cfg.Speed - 1) * c.cfg.Speed)
	if c.cfg.Speed == 1 || d <= fast {
		return time.Duration(float64(d) / c.cfg.Speed)
	}
	return time.Duration(float64(fast)/c.cfg.Speed) + d - fast
}
