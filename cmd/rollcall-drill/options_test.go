package main

import (
	"testing"
	"time"
)

func TestADrillStartsFarEnoughBeforeMidnightForTheBudgetOfADay(t *testing.T) {
	for _, c := range []struct {
		wall, want string
		speed      float64
	}{
		{"2026-03-04T12:00:00Z", "2026-03-04T06:00:00Z", 10},
		{"2026-03-04T05:30:00Z", "2026-03-03T22:00:00Z", 10}, // would be 23:30
		{"2026-03-04T04:00:00Z", "2026-03-03T22:00:00Z", 10},
		{"2026-03-04T06:00:00Z", "2026-03-04T00:00:00Z", 10},
		{"2026-03-04T23:59:30Z", "2026-03-04T22:00:00Z", 1},
	} {
		wall, err := time.Parse(time.RFC3339, c.wall)
		if err != nil {
			t.Fatal(err)
		}
		o := options{speed: c.speed}
		start, err := o.begin(wall)
		if err != nil || start.Format(time.RFC3339) != c.want {
			t.Errorf("at %s, speed %g, a drill starts at %s (%v), want %s", c.wall, c.speed, start.Format(time.RFC3339), err, c.want)
		}
	}
}
