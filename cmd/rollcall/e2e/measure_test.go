package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
)

// clockTick is the unit of times in /proc, the same on every Linux.
const clockTick = 10 * time.Millisecond

// usage is what a process has used so far.
type usage struct {
	at  time.Time
	cpu time.Duration
	rss float64 // MB that it holds now, shared pages of its program included
}

// used reads what the console's process has used.
func (s *terminal) used() usage {
	s.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		s.t.Skipf("this machine does not tell what a process uses: %v", err)
	}
	u := usage{at: time.Now()}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold anything
	if fields := strings.Fields(string(rest)); len(fields) > 12 {
		for _, f := range fields[11:13] { // in user and in system mode
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			u.cpu += time.Duration(n) * clockTick
		}
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		s.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		s.t.Fatalf("no resident size in %s", status)
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	u.rss = kb / 1024
	return u
}

// cores is how much of a core was used since an earlier look, in percent.
func (u usage) cores(since usage) float64 {
	return 100 * (u.cpu - since.cpu).Seconds() / u.at.Sub(since.at).Seconds()
}

// written returns what the program wrote from one time up to another.
func (s *terminal) written(from, to time.Time) []write {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []write
	for _, w := range s.writes {
		if !w.at.Before(from) && w.at.Before(to) {
			out = append(out, w)
		}
	}
	return out
}

// bursts joins writes that follow each other within a second: what one refresh wrote.
func bursts(writes []write) []write {
	var out []write
	last := time.Time{}
	for _, w := range writes {
		if len(out) == 0 || w.at.Sub(last) > time.Second {
			out = append(out, write{at: w.at})
		}
		out[len(out)-1].n += w.n
		last = w.at
	}
	return out
}

// answer presses keys and returns how long the screen took to show what they
// do, counted to the arrival of the bytes and not to their interpretation here.
func (s *terminal) answer(keys, what string, ok func(screen string) bool) time.Duration {
	s.t.Helper()
	// A key that follows a frame at once would always wait for the whole next
	// one; a person's comes at any moment between two.
	<-time.After(time.Duration(s.pressed*7919%33_000) * time.Microsecond)
	s.pressed++
	began := time.Now()
	s.press(keys)
	s.waitFor(what, 20*time.Second, ok)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes[len(s.writes)-1].at.Sub(began)
}

// selected is the request that the cursor stands on, and how many rows are above it.
func selected(screen string) (id string, above int) {
	_, rows, _ := strings.Cut(screen, "time UTC")
	for line := range strings.Lines(rows) {
		if strings.HasPrefix(line, "›") {
			return requestID.FindString(line), above - 1
		}
		above++
	}
	return "", 0
}

var requestID = regexp.MustCompile(`req_[0-9a-f]+`)

// with returns the path of the drill's configuration with one setting changed.
func (d *drill) with(t testing.TB, key, value string) string {
	t.Helper()
	text, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^` + key + `:.*$`)
	if !line.Match(text) {
		t.Fatalf("the drill's configuration has no %s", key)
	}
	path := filepath.Join(t.TempDir(), "rollcall.yaml")
	if err := os.WriteFile(path, line.ReplaceAll(text, []byte(key+": "+value)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// console opens the console on a drill, at 200×60, and waits for its first full frame.
func (d *drill) console(t testing.TB, config string) *terminal {
	t.Helper()
	term := openTerminal(t, 200, 60, []string{"XDG_STATE_HOME=" + t.TempDir()}, d.bin, "--config", config)
	term.waitFor("a full frame", 60*time.Second, full)
	return term
}

// full tells whether an overview of 200×60 shows values in all four panes, the
// verdict, and the chart.
func full(screen string) bool {
	for _, re := range fullFrame {
		if !re.MatchString(screen) {
			return false
		}
	}
	return true
}

var fullFrame = []*regexp.Regexp{
	regexp.MustCompile(`[●◐▲] [A-Z].*\.`),
	regexp.MustCompile(`requests +[0-9.]+/s +[▁-█ ]*[▁-█]`),
	regexp.MustCompile(`p99 +[0-9.]+ m?s `),
	regexp.MustCompile(`schema fail +[0-9.]+% +[▁-█ ]*[▁-█]`),
	regexp.MustCompile(`spend +\$[0-9.]+/h`),
	regexp.MustCompile(`filter trigger +[0-9.]+% +[▁-█ ]*[▁-█]`),
	regexp.MustCompile(`┤(?s:.*)UTC +[0-9]{2}:[0-9]{2}`),
	regexp.MustCompile(`q leave *$`),
}

// flood pushes log lines of the drill's service to its log server until the
// benchmark ends; pushed counts them.
func (d *drill) flood(t testing.TB, perSecond int) (pushed *atomic.Int64) {
	t.Helper()
	const every = 20 * time.Millisecond
	clock := d.clock(t)
	pushed = &atomic.Int64{}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		began, sent := time.Now(), 0
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			due := int(time.Since(began).Seconds()*float64(perSecond)) - sent
			if due <= 0 {
				continue
			}
			if err := d.push(clock, sent, min(due, perSecond)); err != nil {
				t.Errorf("push: %v", err)
				return
			}
			sent += min(due, perSecond)
			pushed.Store(int64(sent))
		}
	})
	t.Cleanup(func() {
		close(stop)
		running.Wait()
	})
	return pushed
}

// push sends n lines, numbered from first, as Loki's JSON.
func (d *drill) push(clock sources.Clock, first, n int) error {
	values := make([][2]string, n)
	now := clock.Now().UnixNano()
	for i := range values {
		values[i] = [2]string{
			strconv.FormatInt(now+int64(i), 10),
			fmt.Sprintf(`level=info msg="request finished" route=answer tenant=acme prompt_version=v13 manifest=m-a5bf88f status=200 duration_ms=%d.%d request_id=req_%012x client_ip=10.1.%d.%d`,
				100+(first+i)%4000, i%10, first+i, i%250, first%250),
		}
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
		"stream": map[string]string{"namespace": "prod", "job": "assistant", "pod": "bench-0"}, "values": values,
	}}})
	if err != nil {
		return err
	}
	resp, err := http.Post(d.Loki+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// counters reads the console's debug pane, which must be on the screen.
func counters(screen string) map[string]float64 {
	out := map[string]float64{}
	for line := range strings.Lines(screen) {
		m := regexp.MustCompile(`^ (\S.*?)  +(\S.*?)\s*$`).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if d, err := time.ParseDuration(m[2]); err == nil {
			out[m[1]] = d.Seconds()
		} else if n, err := strconv.ParseFloat(m[2], 64); err == nil {
			out[m[1]] = n
		}
	}
	return out
}

// quantile sorts values and returns one by rank.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}
