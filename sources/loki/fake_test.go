package loki

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// fake is a Loki in memory: as much of one as the contract tests ask for.
type fake struct {
	mu      sync.Mutex
	entries []fakeEntry
	tails   map[chan struct{}]bool
	opened  int
	end     chan struct{} // closed to end all tails
	fault   func(w http.ResponseWriter, r *http.Request) bool
}

type fakeEntry struct {
	labels map[string]string
	ns     int64
	line   string
	meta   map[string]string
}

func newFake(t testing.TB) (*fake, string) {
	f := &fake{tails: map[chan struct{}]bool{}, end: make(chan struct{})}
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		f.endTails()
		s.CloseClientConnections()
		s.Close()
	})
	return f, s.URL
}

func (f *fake) push(labels map[string]string, at time.Time, line string, meta map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, fakeEntry{labels, at.UnixNano(), line, meta})
	for wake := range f.tails {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// endTails closes every open tail, as Loki does after an hour.
func (f *fake) endTails() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.end)
	f.end = make(chan struct{})
}

func (f *fake) openTails() (open, ever int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tails), f.opened
}

var (
	matcher = regexp.MustCompile(`(\w+)="([^"]*)"`)
	filter  = regexp.MustCompile(`\|= ("(?:[^"\\]|\\.)*")`)
)

func (f *fake) match(query string, from, to int64) []fakeEntry {
	head, tail, _ := strings.Cut(query, "}")
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []fakeEntry
next:
	for _, e := range f.entries {
		if e.ns < from || e.ns >= to {
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(head, -1) {
			if e.labels[m[1]] != m[2] {
				continue next
			}
		}
		for _, m := range filter.FindAllStringSubmatch(tail, -1) {
			want, err := strconv.Unquote(m[1])
			if err != nil || !strings.Contains(e.line, want) {
				continue next
			}
		}
		if strings.Contains(tail, "| level=~") && e.labels["level"] != "error" {
			continue
		}
		out = append(out, e)
	}
	return out
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.fault != nil && f.fault(w, r) {
		return
	}
	_ = r.ParseForm()
	num := func(name string) int64 {
		n, _ := strconv.ParseInt(r.Form.Get(name), 10, 64)
		return n
	}
	reply := func(data any) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}
	query := r.Form.Get("query")
	path := strings.TrimPrefix(r.URL.Path, "/loki/api/v1/")
	switch {
	case path == "push" && r.Header.Get("Content-Type") == "application/x-protobuf":
		if err := f.pushProto(r.Body); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case path == "push":
		var body struct {
			Streams []struct {
				Stream map[string]string
				Values [][]any
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		for _, s := range body.Streams {
			for _, v := range s.Values {
				ns, _ := strconv.ParseInt(v[0].(string), 10, 64)
				meta := map[string]string{}
				if len(v) > 2 {
					for k, x := range v[2].(map[string]any) {
						meta[k] = x.(string)
					}
				}
				f.push(s.Stream, time.Unix(0, ns), v[1].(string), meta)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	case strings.Contains(query, "{") && !strings.Contains(query, "}"):
		http.Error(w, "parse error at line 1, col 3: syntax error: unexpected end of input", 400)
	case path == "query" || path == "query_range" && strings.Contains(query, "count_over_time"):
		inner := query[strings.Index(query, "{"):]
		at := num("time")
		if at == 0 {
			at = num("end")
		}
		n := len(f.match(inner, at-int64(time.Hour), at+1))
		if path == "query" {
			reply(map[string]any{"resultType": "vector", "result": []any{map[string]any{"metric": map[string]string{}, "value": []any{float64(at) / 1e9, strconv.Itoa(n)}}}})
			return
		}
		reply(map[string]any{"resultType": "matrix", "result": []any{map[string]any{"metric": map[string]string{}, "values": []any{[]any{float64(at) / 1e9, strconv.Itoa(n)}}}}})
	case path == "query_range":
		found := f.match(query, num("start"), num("end"))
		slices.SortStableFunc(found, func(a, b fakeEntry) int { return int(min(1, max(-1, a.ns-b.ns))) })
		limit := int(num("limit"))
		if r.Form.Get("direction") != "forward" {
			slices.Reverse(found)
		}
		found = found[:min(len(found), limit)]
		reply(map[string]any{"resultType": "streams", "encodingFlags": []string{"categorize-labels"}, "result": streamsOf(found)})
	case path == "labels" || strings.HasPrefix(path, "label/"):
		name := strings.TrimSuffix(strings.TrimPrefix(path, "label/"), "/values")
		var out []string
		for _, e := range f.match(query, num("start"), num("end")) {
			for k, v := range e.labels {
				if path == "labels" {
					out = append(out, k)
				} else if k == name {
					out = append(out, v)
				}
			}
		}
		slices.Sort(out)
		reply(slices.Compact(out))
	case path == "series":
		var out []map[string]string
		seen := map[string]bool{}
		for _, e := range f.match(r.Form.Get("match[]"), num("start"), num("end")) {
			if key := fmt.Sprint(e.labels); !seen[key] {
				seen[key] = true
				out = append(out, e.labels)
			}
		}
		reply(out)
	case path == "tail":
		f.tail(w, r, query, num("start"))
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) pushProto(body io.Reader) error {
	b, err := io.ReadAll(body)
	if err == nil {
		b, err = snappy.Decode(nil, b)
	}
	var req push.PushRequest
	if err == nil {
		err = req.Unmarshal(b)
	}
	if err != nil {
		return err
	}
	for _, s := range req.Streams {
		labels := map[string]string{}
		for _, m := range matcher.FindAllStringSubmatch(s.Labels, -1) {
			labels[m[1]] = m[2]
		}
		for _, e := range s.Entries {
			f.push(labels, e.Timestamp, e.Line, map[string]string{})
		}
	}
	return nil
}

func streamsOf(entries []fakeEntry) []any {
	out := []any{}
	for _, e := range entries {
		out = append(out, map[string]any{
			"stream": e.labels,
			"values": []any{[]any{strconv.FormatInt(e.ns, 10), e.line, map[string]any{"structuredMetadata": e.meta}}},
		})
	}
	return out
}

func (f *fake) tail(w http.ResponseWriter, r *http.Request, query string, from int64) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	f.mu.Lock()
	end := f.end
	f.tails[wake] = true
	f.opened++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.tails, wake)
		f.mu.Unlock()
		_ = conn.CloseNow()
	}()
	ctx := conn.CloseRead(r.Context())
	sent := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			_ = conn.Close(websocket.StatusGoingAway, "reached tail max duration limit")
			return
		case <-wake:
		}
		found := f.match(query, from, 1<<62)
		if len(found) == sent {
			continue
		}
		b, _ := json.Marshal(map[string]any{"streams": streamsOf(found[sent:]), "dropped_entries": nil})
		sent = len(found)
		if conn.Write(ctx, websocket.MessageText, b) != nil {
			return
		}
	}
}

// wallClock is the real clock of a service that is watched live.
func wallClock(t testing.TB) sources.Clock {
	t.Helper()
	c, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func client(t testing.TB, cfg Config) *Client {
	t.Helper()
	r, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(cfg, Options{Clock: wallClock(t), Redactor: r})
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() } // nobody waits in a test
	t.Cleanup(c.Close)
	return c
}
