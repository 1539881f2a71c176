package e2e

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

// These measure the real console on a real drill, both as processes of their
// own, on a pseudo-terminal of 200×60. Each measures once for as long as it
// says, whatever -benchtime asks for less.

// BenchmarkFirstFrame is the time from the start of the program to a screen
// with all values, sources on loopback.
func BenchmarkFirstFrame(b *testing.B) {
	d := startHeadless(b, binaries(b), "quiet", "--speed", "1")
	var ms []float64
	for b.Loop() {
		for range 20 {
			began := time.Now()
			term := openTerminal(b, 200, 60, []string{"XDG_STATE_HOME=" + b.TempDir()}, d.bin, "--config", d.Config)
			term.waitFor("a full frame", 60*time.Second, full)
			term.mu.Lock()
			ms = append(ms, millis(term.writes[len(term.writes)-1].at.Sub(began)))
			term.mu.Unlock()
			term.press("q")
			if code := term.waitExit(20 * time.Second); code != 0 {
				b.Fatalf("the console ended with code %d", code)
			}
		}
	}
	report(b, map[string]float64{"p50-ms": quantile(ms, 0.5), "max-ms": quantile(ms, 1)})
}

// BenchmarkIdleConsole is what an open console costs when nobody touches it and
// nothing is wrong: a live refresh every 15 s on a service whose readings move.
func BenchmarkIdleConsole(b *testing.B) {
	const refresh, refreshes = 15 * time.Second, 6
	d := startHeadless(b, binaries(b), "quiet", "--speed", "1")
	term := d.console(b, d.with(b, "refresh", refresh.String()))
	settled(b, term, refresh)
	for b.Loop() {
		from := term.used()
		<-time.After(refreshes * refresh)
		to := term.used()
		written := term.written(from.at, to.at)
		total, between := 0, 0
		each := bursts(written)
		for i, w := range each {
			total += w.n
			if i > 0 && w.at.Sub(each[i-1].at) < refresh-2*time.Second {
				between += w.n
			}
		}
		if len(each) < refreshes-1 || total == 0 {
			b.Fatalf("%d refreshes with %d bytes in %s", len(each), total, to.at.Sub(from.at))
		}
		report(b, map[string]float64{
			"B/s":             float64(total) / to.at.Sub(from.at).Seconds(),
			"B/refresh":       float64(total) / float64(len(each)),
			"B-between":       float64(between),
			"%-of-a-core":     to.cores(from),
			"rss-MB":          to.rss,
			"cpu-ms/refresh":  millis(to.cpu-from.cpu) / float64(refreshes),
			"refreshes-shown": float64(len(each)),
		})
	}
}

// settled waits until what is loaded once in the background is there: two
// refreshes in a row that come alone.
func settled(b *testing.B, term *terminal, refresh time.Duration) {
	b.Helper()
	term.waitFor("what is usual", 3*time.Minute, func(s string) bool { return !strings.Contains(s, "usual is loading") })
	seen := time.Now()
	term.waitFor("the next refresh", 3*refresh, func(string) bool {
		return len(term.written(seen.Add(time.Second), time.Now())) > 0
	})
	<-time.After(refresh / 2) // measure from the middle between two refreshes
}

// BenchmarkKeyToRepaint is how long a key takes to show while 10,000 log lines
// arrive each second and the service runs ten times as fast.
func BenchmarkKeyToRepaint(b *testing.B) {
	const rate = 10_000
	d := startHeadless(b, binaries(b), "quiet")
	term := d.console(b, d.Config)
	pushed := d.flood(b, rate)
	has := func(part string) func(string) bool {
		return func(s string) bool { return strings.Contains(s, part) }
	}
	onLogs := func(s string) bool { return strings.Contains(s, "─ Logs ─") && strings.Contains(s, "● live") }
	term.press("6")
	term.waitFor("rows", 20*time.Second, func(s string) bool {
		id, _ := selected(s)
		return has("─ Requests ─")(s) && id != ""
	})
	term.press("jjj") // below the first row the list stands still while newer ones arrive
	term.waitFor("the fourth row", 20*time.Second, func(s string) bool {
		_, above := selected(s)
		return above >= 3
	})
	for b.Loop() {
		var logs, rows, tabs []float64
		began, before := time.Now(), pushed.Load()
		for i := range 150 { // down and up again
			screen, _ := term.screen()
			at, _ := selected(screen)
			rows = append(rows, millis(term.answer("jk"[i%2:i%2+1], "the cursor move", func(s string) bool {
				id, _ := selected(s)
				return id != "" && id != at
			})))
		}
		for range 30 {
			tabs = append(tabs, millis(term.answer("7", "the logs", has("─ Logs ─"))))
			term.waitFor("the tail", 20*time.Second, onLogs)
			for range 3 {
				logs = append(logs, millis(term.answer("k", "a held screen", has(" held"))))
				// What passed meanwhile is read anew; the key has done its work before.
				logs = append(logs, millis(term.answer("f", "a released screen", func(s string) bool { return !has(" held")(s) })))
				term.waitFor("the tail", 20*time.Second, onLogs)
			}
			tabs = append(tabs, millis(term.answer("6", "the requests", has("─ Requests ─"))))
		}
		arrived := float64(pushed.Load()-before) / time.Since(began).Seconds()
		all := append(append(append([]float64(nil), logs...), rows...), tabs...)
		report(b, map[string]float64{
			"p50-ms": quantile(all, 0.5), "p99-ms": quantile(all, 0.99), "max-ms": quantile(all, 1), "keys": float64(len(all)),
			"logs-p99-ms": quantile(logs, 0.99), "requests-p99-ms": quantile(rows, 0.99), "tabs-p99-ms": quantile(tabs, 0.99),
			"lines/s": arrived,
		})
	}
}

// BenchmarkFollowLogs is the memory of a console that follows 1,000 lines/s.
func BenchmarkFollowLogs(b *testing.B) {
	const rate, seconds = 1000, 60
	d := startHeadless(b, binaries(b), "quiet", "--speed", "1")
	term := d.console(b, d.Config)
	pushed := d.flood(b, rate)
	term.press("7")
	term.waitText(20*time.Second, "─ Logs ─", "● live")
	for b.Loop() {
		from, before := term.used(), pushed.Load()
		most, third := from.rss, 0.0
		tick := time.NewTicker(time.Second)
		for i := range seconds {
			<-tick.C
			u := term.used()
			most = max(most, u.rss)
			if i == seconds/3 {
				third = most
			}
		}
		tick.Stop()
		to := term.used()
		screen, _ := term.screen()
		if m := regexp.MustCompile(`([0-9,]+) lines? lost`).FindString(screen); m != "" {
			b.Logf("the console says: %s", m)
		}
		report(b, map[string]float64{
			"max-rss-MB": most, "growth-MB": most - third, "%-of-a-core": to.cores(from),
			"lines/s": float64(pushed.Load()-before) / to.at.Sub(from.at).Seconds(),
		})
	}
}

// BenchmarkRefreshOnDrill is what one warm refresh of all signals asks of
// Prometheus and sends to the terminal. The service runs ten times as fast and
// is read every 2 s, so that each refresh has 20 s of new points.
func BenchmarkRefreshOnDrill(b *testing.B) {
	const refresh, refreshes = 2 * time.Second, 12
	d := startHeadless(b, binaries(b), "quiet")
	term := d.console(b, d.Config)
	settled(b, term, refresh)
	for b.Loop() {
		from := time.Now()
		<-time.After(refreshes * refresh)
		total := 0
		for _, w := range term.written(from, time.Now()) {
			total += w.n
		}
		term.press(":debug\r")
		now := counters(term.waitText(20*time.Second, "─ Debug ─", "prom time"))
		var queries, ms, samples []float64
		for range refreshes {
			was := now
			screen := term.waitFor("the next refresh", 30*time.Second, func(s string) bool {
				return counters(s)["prom queries"] != was["prom queries"]
			})
			now = counters(screen)
			queries = append(queries, now["prom queries"]-was["prom queries"])
			ms = append(ms, 1000*(now["prom time"]-was["prom time"]))
			samples = append(samples, now["prom samples"]-was["prom samples"])
		}
		report(b, map[string]float64{
			"prom-p50-ms": quantile(ms, 0.5), "prom-max-ms": quantile(ms, 1), "queries": quantile(queries, 0.5),
			"samples": quantile(samples, 0.5), "B/refresh": float64(total) / refreshes,
		})
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// report gives the figures of a benchmark in place of the time of an iteration.
func report(b *testing.B, figures map[string]float64) {
	b.Helper()
	for unit, v := range figures {
		if math.IsNaN(v) {
			b.Errorf("no %s", unit)
		}
		b.ReportMetric(v, unit)
	}
	b.ReportMetric(0, "ns/op")
}
