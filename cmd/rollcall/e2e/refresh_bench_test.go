package e2e

import (
	"os"
	"syscall"
	"testing"
	"time"

	"rollcall/cmd/rollcall/app"
	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

// spent is the CPU time that this process has used, in user and in system mode.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRefreshCPU is what one steady refresh of all signals costs this
// process, with everything that the console reads for it: metrics, changes,
// logs and request rows of a running drill. The service runs ten times as fast
// and is read every 1.5 s, so that each refresh has 15 s of new points.
func BenchmarkRefreshCPU(b *testing.B) {
	const pause, refreshes = 1500 * time.Millisecond, 20
	d := startHeadless(b, binaries(b), "quiet")
	cfg, err := config.Load(d.Config, os.LookupEnv)
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.Open(b.Context(), cfg, app.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	view := sources.View{Range: time.Hour, Columns: 120}
	service := a.Services()[0]
	refresh := func() (cpu, wall time.Duration) {
		began, before := time.Now(), spent(b)
		snap, err := a.Snapshot(b.Context(), service, view, sources.HealthPane)
		if err != nil {
			b.Fatal(err)
		}
		known := 0
		for _, r := range snap.Readings {
			if r.Known {
				known++
			}
		}
		if known < 30 {
			b.Fatalf("%d of %d signals have a value", known, len(snap.Readings))
		}
		return spent(b) - before, time.Since(began)
	}
	for range 4 { // until what is usual is there
		refresh()
		<-time.After(pause)
	}
	for b.Loop() {
		var cpu, wall []float64
		for range refreshes {
			<-time.After(pause)
			c, w := refresh()
			cpu, wall = append(cpu, millis(c)), append(wall, millis(w))
		}
		report(b, map[string]float64{"cpu-p50-ms": quantile(cpu, 0.5), "cpu-max-ms": quantile(cpu, 1), "wall-p50-ms": quantile(wall, 0.5)})
	}
}
