package sim_test

import (
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// BenchmarkSecond is one second of service time without anybody listening.
func BenchmarkSecond(b *testing.B) {
	w := newWorld(b, "prompt-regression", 1, 0)
	w.live(5 * time.Minute)
	for b.Loop() {
		w.Step(w.sink)
	}
}

// BenchmarkHistory is one step of history with all its series.
func BenchmarkHistory(b *testing.B) {
	w := newWorld(b, "prompt-regression", 1, 0)
	h := sim.NewHistory(w.Engine, time.Minute)
	at := start.AddDate(0, 0, -16)
	for b.Loop() {
		h.Fill(at, func(*sim.Metric, float64) {})
		at = at.Add(time.Minute)
	}
}
