package loki

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
)

// The contract tests say what the console needs of a Loki. They run against the
// one at ROLLCALL_LOKI_URL (the drill's log server, or a real Loki), and
// otherwise against the fake of this package.

// place is where the Loki under test is.
func place(t *testing.T) string {
	t.Helper()
	at := os.Getenv("ROLLCALL_LOKI_URL")
	if at == "" {
		_, at = newFake(t)
	}
	return at
}

func contract(t *testing.T) (*Client, func(labels map[string]string, at time.Time, line string, meta map[string]string)) {
	t.Helper()
	at := place(t)
	return client(t, Config{URL: at}), lineWriter(t, at)
}

// lineWriter returns a function that writes one line, the way that every client of Loki may.
func lineWriter(t *testing.T, at string) func(labels map[string]string, at time.Time, line string, meta map[string]string) {
	return func(labels map[string]string, when time.Time, line string, meta map[string]string) {
		t.Helper()
		if meta == nil {
			meta = map[string]string{}
		}
		body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
			"stream": labels,
			"values": []any{[]any{strconv.FormatInt(when.UnixNano(), 10), line, meta}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(at+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode/100 != 2 {
			t.Fatalf("push: %s", resp.Status)
		}
	}
}

// pushAll writes many lines of one stream in one request.
func pushAll(t *testing.T, at string, labels map[string]string, when []time.Time, lines []string) {
	t.Helper()
	values := make([]any, len(lines))
	for i, line := range lines {
		values[i] = []any{strconv.FormatInt(when[i].UnixNano(), 10), line}
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(at+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("push: %s", resp.Status)
	}
}

// job is a label value that no other run used.
func job(t *testing.T) string {
	return fmt.Sprintf("contract-%s-%x", t.Name(), time.Now().UnixNano())
}

func selector(job string) string { return `{job="` + job + `"}` }

// until polls, because what was pushed to a real Loki may take a moment to be found.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for !ok() {
		if wait(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func TestContractLinesComeOldestFirstWithLabelsAndMetadata(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	for i := range 5 {
		push(map[string]string{"job": j, "level": "info"}, now.Add(time.Duration(i-10)*time.Second), fmt.Sprintf(`{"n":%d,"request_id":"req-%d"}`, i, i), map[string]string{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})
	}
	q := sources.LogQuery{Query: selector(j), Since: now.Add(-time.Minute), Until: now, Limit: 3}
	var list sources.LogList
	until(t, "five lines", func() bool {
		var err error
		all := q
		all.Limit = 10
		if list, err = c.QueryRange(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		return len(list.Lines) == 5
	})
	if list.Facts.Truncated() || list.Facts.Total != 5 || list.Facts.Source != "loki" {
		t.Errorf("facts of all lines: %+v", list.Facts)
	}
	list, err := c.QueryRange(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Lines) != 3 || !list.Facts.Truncated() {
		t.Fatalf("%d lines, facts %+v; want the newest 3 and the fact that there are more", len(list.Lines), list.Facts)
	}
	for i, l := range list.Lines {
		if want := fmt.Sprintf("req-%d", i+2); l.RequestID != want {
			t.Errorf("line %d has request ID %q, want %q", i, l.RequestID, want)
		}
		if l.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || l.Meta["trace_id"] == "" || l.Labels["job"] != j || l.Level != "info" {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if !list.Facts.At.Equal(list.Lines[2].Time) {
		t.Errorf("the newest datum is of %s, want %s", list.Facts.At, list.Lines[2].Time)
	}
	q.Forward = true
	list, err = c.QueryRange(t.Context(), q)
	if err != nil || len(list.Lines) != 3 || list.Lines[0].RequestID != "req-0" {
		t.Errorf("forward: %+v, %v; want the oldest 3", list.Lines, err)
	}
}

func TestContractMoreLinesThanOneAnswerHoldsComeWithoutLossOrRepeats(t *testing.T) {
	at := place(t)
	c, j, begin := client(t, Config{URL: at}), job(t), time.Now().Add(-10*time.Minute)
	const total = 2*pageLines + 700
	when, want := make([]time.Time, total), make([]string, total)
	for i := range total {
		when[i] = begin.Add(time.Duration(i/3) * time.Millisecond) // three lines share each time, over the edges of pages too
		want[i] = fmt.Sprintf("line %05d", i)
	}
	for i := 0; i < total; i += 2000 { // requests that a Loki takes with its usual limits
		end := min(i+2000, total)
		pushAll(t, at, map[string]string{"job": j}, when[i:end], want[i:end])
	}
	for _, forward := range []bool{false, true} {
		q := sources.LogQuery{Query: selector(j), Since: begin.Add(-time.Second), Until: time.Now(), Limit: 20_000, Forward: forward}
		var list sources.LogList
		until(t, "all lines", func() bool {
			var err error
			if list, err = c.QueryRange(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			return len(list.Lines) >= total
		})
		got := make([]string, len(list.Lines))
		for i, l := range list.Lines {
			got[i] = l.Line
			if i > 0 && l.Time.Before(list.Lines[i-1].Time) {
				t.Fatalf("line %d is older than the one before it", i)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("forward %t: %d lines, %d of them different, of %d", forward, len(got), len(slices.Compact(got)), total)
		}
		if list.Facts.Truncated() || list.Facts.Partial != "" {
			t.Errorf("forward %t: facts %+v", forward, list.Facts)
		}
	}
}

func TestContractLinesThatArriveOutOfOrderTakeTheirPlace(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	for _, ago := range []int{2, 40, 10, 30, 5} {
		push(map[string]string{"job": j}, now.Add(-time.Duration(ago)*time.Second), fmt.Sprint(ago, " seconds ago"), nil)
	}
	want := []string{"40 seconds ago", "30 seconds ago", "10 seconds ago", "5 seconds ago", "2 seconds ago"}
	var got []string
	until(t, "five lines", func() bool {
		list, err := c.QueryRange(t.Context(), sources.LogQuery{Query: selector(j), Since: now.Add(-time.Minute), Until: now})
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, l := range list.Lines {
			got = append(got, l.Line)
		}
		return len(got) == len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestContractALineFilterIsLiteral(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	push(map[string]string{"job": j}, now.Add(-3*time.Second), `he said "a\b" | x`, nil)
	push(map[string]string{"job": j}, now.Add(-2*time.Second), `he said nothing`, nil)
	until(t, "the one line", func() bool {
		list, err := c.QueryRange(t.Context(), sources.LogQuery{Query: selector(j), Contains: `"a\b" |`, Since: now.Add(-time.Minute), Until: now})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Lines) == 1 && list.Lines[0].Line == `he said "a\b" | x`
	})
}

func TestContractErrorsAloneCanBeAskedFor(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	push(map[string]string{"job": j, "level": "error"}, now.Add(-3*time.Second), `{"level":"error","msg":"one"}`, nil)
	push(map[string]string{"job": j, "level": "info"}, now.Add(-2*time.Second), `{"level":"info","msg":"no error"}`, nil)
	until(t, "the one error", func() bool {
		list, err := c.QueryRange(t.Context(), sources.LogQuery{Query: selector(j), Errors: true, Since: now.Add(-time.Minute), Until: now})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Lines) == 1 && list.Lines[0].Level == "error"
	})
}

func TestContractLabelsValuesAndSeries(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	push(map[string]string{"job": j, "level": "warn"}, now.Add(-3*time.Second), "one", nil)
	push(map[string]string{"job": j, "level": "error"}, now.Add(-2*time.Second), "two", nil)
	since, to := now.Add(-time.Hour), now.Add(time.Minute)
	until(t, "labels", func() bool {
		names, err := c.Labels(t.Context(), since, to)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(names, "job") && slices.Contains(names, "level")
	})
	values, err := c.LabelValues(t.Context(), "level", selector(j), since, to)
	if err != nil || !slices.Equal(values, []string{"error", "warn"}) {
		t.Errorf("values %q, %v", values, err)
	}
	series, err := c.Series(t.Context(), selector(j), since, to)
	if err != nil || len(series) != 2 || series[0]["job"] != j {
		t.Errorf("series %v, %v", series, err)
	}
}

func TestContractNumbers(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	for i := range 4 {
		push(map[string]string{"job": j}, now.Add(time.Duration(i-10)*time.Second), fmt.Sprint("line ", i), nil)
	}
	expr := "sum(count_over_time(" + selector(j) + "[5m]))"
	until(t, "a count of 4", func() bool {
		series, facts, err := c.Instant(t.Context(), expr, now)
		if err != nil {
			t.Fatal(err)
		}
		return len(series) == 1 && len(series[0].Points) == 1 && series[0].Points[0].V == 4 && facts.Shown == 1
	})
	series, _, err := c.Metric(t.Context(), expr, now.Add(-time.Minute), now, 30*time.Second)
	if err != nil || len(series) != 1 {
		t.Fatalf("%v, %v", series, err)
	}
	points := series[0].Points
	if last := points[len(points)-1]; last.V != 4 || last.T.After(now.Add(time.Second)) {
		t.Errorf("last point %+v, want 4", last)
	}
}

func TestContractARejectedQueryIsExplained(t *testing.T) {
	c, _ := contract(t)
	for _, err := range []error{
		func() error {
			_, err := c.QueryRange(t.Context(), sources.LogQuery{Query: `{job="x"`})
			return err
		}(),
		func() error { _, err := c.Tail(t.Context(), sources.LogQuery{Query: `{job="x"`}); return err }(),
	} {
		if err == nil {
			t.Fatal("no error")
		}
		oneLine(t, err, "400", "check the query")
	}
	if h := c.Health(); h.State != sources.SourceUp {
		t.Errorf("a wrong question makes Loki %s", h.State)
	}
}

func TestContractATailBeginsWithThePastAndGoesOn(t *testing.T) {
	c, push := contract(t)
	j, now := job(t), time.Now()
	labels := map[string]string{"job": j}
	push(labels, now.Add(-2*time.Second), "past", nil)
	until(t, "the past", func() bool {
		list, err := c.QueryRange(t.Context(), sources.LogQuery{Query: selector(j), Since: now.Add(-time.Minute), Until: now})
		return err == nil && len(list.Lines) == 1
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ch, err := c.Tail(ctx, sources.LogQuery{Query: selector(j), Since: now.Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	got := collect(t, ch, 1)
	for i := range 3 {
		push(labels, time.Now(), fmt.Sprint("live ", i), nil)
	}
	got = append(got, collect(t, ch, 3)...)
	if want := []string{"past", "live 0", "live 1", "live 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	cancel()
	until(t, "the channel to close", func() bool { _, open := <-ch; return !open })
}

// collect reads n lines of a tail.
func collect(t *testing.T, ch <-chan sources.LogBatch, n int) (lines []string) {
	t.Helper()
	for len(lines) < n {
		b, open := <-ch
		if !open {
			t.Fatalf("the tail ended after %q", lines)
		}
		for _, l := range b.Lines {
			lines = append(lines, l.Line)
		}
	}
	return lines
}

// wire is a connection between client and Loki that can be cut, as a server or a
// proxy that ends a tail does it.
type wire struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l}
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).Dial("tcp", u.Host)
			if err != nil {
				_ = in.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_, _ = pair[0].Close(), pair[1].Close()
				}()
			}
		}
	}()
	return w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func TestContractATailThatIsEndedGoesOnWithoutLossOrRepeats(t *testing.T) {
	at := place(t)
	push := lineWriter(t, at)
	w := newWire(t, at)
	c, j := client(t, Config{URL: "http://" + w.Addr().String()}), job(t)
	labels := map[string]string{"job": j}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ch, err := c.Tail(ctx, sources.LogQuery{Query: selector(j), Since: time.Now().Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for round := range 4 {
		for i := range 5 {
			line := fmt.Sprintf("round %d line %d", round, i)
			want = append(want, line)
			push(labels, time.Now(), line, nil)
			if i == 2 {
				w.cut() // in the middle of a round: some lines come live, some are caught up with
			}
		}
		got = append(got, collect(t, ch, len(want)-len(got))...)
	}
	slices.Sort(got) // lines of one moment may come in either order
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	push(labels, time.Now(), "the last", nil)
	if last := collect(t, ch, 1); last[0] != "the last" {
		t.Errorf("got %q: a line was repeated", last)
	}
}
