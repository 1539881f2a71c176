package tui

import (
	"testing"

	tea "charm.land/bubbletea/v2"
)

// BenchmarkView200x60 is a screen at 200×60 of which nothing changed but what
// View does anyway after every message.
func BenchmarkView200x60(b *testing.B) {
	for _, sc := range []struct{ name, keys string }{{"overview", ""}, {"health", "2"}, {"signal", "enter"}} {
		b.Run(sc.name, func(b *testing.B) {
			m := newBench(b, 200, 60)
			if sc.keys != "" {
				m.press(sc.keys)
			}
			for b.Loop() {
				_ = m.m.View()
			}
		})
	}
}

// BenchmarkRefresh200x60 draws a screen with new figures: no chart is cached.
func BenchmarkRefresh200x60(b *testing.B) {
	for _, sc := range []struct{ name, keys string }{{"overview", ""}, {"health", "2"}, {"signal", "enter"}} {
		b.Run(sc.name, func(b *testing.B) {
			m := newBench(b, 200, 60)
			if sc.keys != "" {
				m.press(sc.keys)
			}
			snap := *m.m.read.snap
			for b.Loop() {
				next := snap
				m.send(snapshotMsg{gen: m.m.read.gen, snap: &next, now: snap.At})
				_ = m.m.View()
			}
		})
	}
}

// BenchmarkKeyToView200x60 is a key that moves the cursor, and the screen after it.
func BenchmarkKeyToView200x60(b *testing.B) {
	for _, sc := range []struct{ name, keys string }{{"overview", ""}, {"health", "2"}, {"signal", "enter"}} {
		b.Run(sc.name, func(b *testing.B) {
			m := newBench(b, 200, 60)
			if sc.keys != "" {
				m.press(sc.keys)
			}
			keys := []tea.KeyPressMsg{keyMsg("down"), keyMsg("up")}
			i := 0
			for b.Loop() {
				m.send(keys[i%2])
				_ = m.m.View()
				i++
			}
		})
	}
}
