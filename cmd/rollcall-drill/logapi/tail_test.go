package logapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// tailClient is an open tail.
type tailClient struct{ conn *websocket.Conn }

// tailMessage is one message of a tail.
type tailMessage struct {
	Streams []struct {
		Stream map[string]string   `json:"stream"`
		Values [][]json.RawMessage `json:"values"`
	} `json:"streams"`
	Dropped []struct {
		Timestamp string            `json:"timestamp"`
		Labels    map[string]string `json:"labels"`
	} `json:"dropped_entries"`
	Flags []string `json:"encodingFlags"`
	size  int
}

func (m tailMessage) lines() []string {
	var out []string
	for _, s := range m.Streams {
		for _, v := range s.Values {
			var text string
			if json.Unmarshal(v[1], &text) == nil {
				out = append(out, text)
			}
		}
	}
	return out
}

// follow opens a tail; params are further parameters in pairs.
func follow(t testing.TB, s *testServer, query string, params ...string) *tailClient {
	t.Helper()
	v := url.Values{"query": {query}, "start": {ns(0)}}
	for i := 0; i < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	conn, res, err := websocket.Dial(t.Context(), s.url+"/loki/api/v1/tail?"+v.Encode(), &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Loki-Response-Encoding-Flags": {v.Get("flags")}},
	})
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &tailClient{conn}
}

func (c *tailClient) read(ctx context.Context) (tailMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, b, err := c.conn.Read(ctx)
	if err != nil {
		return tailMessage{}, err
	}
	m := tailMessage{size: len(b)}
	return m, json.Unmarshal(b, &m)
}

// until reads until n lines have come and returns them.
func (c *tailClient) until(t testing.TB, n int) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		m, err := c.read(t.Context())
		if err != nil {
			t.Fatalf("after %d of %d lines: %v", len(out), n, err)
		}
		out = append(out, m.lines()...)
	}
	return out
}

func TestATailGivesTheNewestLinesAndThenWhatArrives(t *testing.T) {
	s := shop(t)
	c := follow(t, s, `{job="shop"} |= "/"`, "limit", "3", "start", ns(1))
	if got := names(strings.Join(c.until(t, 3), " ")); got != "fail done slow" {
		t.Errorf("history: %q", got)
	}
	s.push(t, map[string]string{"job": "shop", "level": "info"}, line{10, "/one", nil}, line{11, "none", nil}, line{9, "/late", nil})
	s.push(t, map[string]string{"job": "other"}, line{12, "/other", nil})
	s.push(t, map[string]string{"job": "shop", "pod": "new"}, line{12, "/two", nil})
	live := c.until(t, 3)
	slices.Sort(live) // lines of one push may come in two messages
	if got := strings.Join(live, " "); got != "/late /one /two" {
		t.Errorf("live: %q", got)
	}
}

func TestATailMissesNothingAndRepeatsNothingFromHistoryToLive(t *testing.T) {
	s := start(t, Options{})
	const writers, each = 4, 500
	var wg sync.WaitGroup
	first := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				text := fmt.Sprintf("w%d-%d", w, i)
				e := entry{ts: t0.UnixNano() + int64(i), line: text}
				if err := s.store.push([]pushed{{labelSet{{"job", "a"}, {"w", fmt.Sprint(w)}}, []entry{e}}}); err != nil {
					t.Error(err)
				}
				if w == 0 && i == 20 {
					close(first)
				}
			}
		})
	}
	<-first
	c := follow(t, s, `{job="a"}`, "limit", "5000")
	seen := map[string]int{}
	for _, text := range c.until(t, writers*each) {
		seen[text]++
	}
	wg.Wait()
	if len(seen) != writers*each || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("%d different lines, some of them %d times", len(seen), slices.Max(slices.Collect(maps.Values(seen))))
	}
}

func TestATailKeepsLabelsApartWhenAsked(t *testing.T) {
	s := start(t, Options{})
	s.push(t, map[string]string{"job": "a"}, line{1, "k=v", map[string]string{"trace": "t"}})
	for flags, want := range map[string]string{
		"":                  `{"detected_level":"unknown","job":"a","k":"v","service_name":"a","trace":"t"} [] 2`,
		"categorize-labels": `{"job":"a","service_name":"a"} [categorize-labels] 3 {"structuredMetadata":{"detected_level":"unknown","trace":"t"},"parsed":{"k":"v"}}`,
	} {
		c := follow(t, s, `{job="a"} | logfmt`, "flags", flags)
		m, err := c.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		labels, err := json.Marshal(m.Streams[0].Stream)
		if err != nil {
			t.Fatal(err)
		}
		v := m.Streams[0].Values[0]
		got := fmt.Sprintf("%s %v %d", labels, m.Flags, len(v))
		if len(v) == 3 {
			got += " " + string(v[2])
		}
		if got != want {
			t.Errorf("flags %q:\n got  %s\n want %s", flags, got, want)
		}
	}
}

func TestATailWithADelayPutsLateLinesInOrder(t *testing.T) {
	s := start(t, Options{})
	c := follow(t, s, `{job="a"}`, "delay_for", "1")
	s.push(t, map[string]string{"job": "a", "pod": "1"}, line{2, "second", nil})
	s.push(t, map[string]string{"job": "a", "pod": "2"}, line{1, "first", nil})
	m, err := c.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := m.lines(); len(got) != 2 {
		t.Errorf("the first message holds %v, want both lines", got)
	}
}

func TestASlowTailLosesLinesAndIsToldSo(t *testing.T) {
	s := start(t, Options{TailBuffer: 100, MaxLines: 1_000_000})
	// Within its delay the tail takes nothing, while the whole batch is stored.
	c := follow(t, s, `{job="a"}`, "delay_for", "1")
	const n = 5000
	batch := make([]entry, n)
	for i := range batch {
		batch[i] = entry{ts: t0.UnixNano() + int64(i), line: fmt.Sprint(i)}
	}
	if err := s.store.push([]pushed{{labelSet{{"job", "a"}}, batch}}); err != nil {
		t.Fatal(err)
	}
	var lines, dropped int
	for lines+dropped < n {
		m, err := c.read(t.Context())
		if err != nil {
			t.Fatalf("after %d lines and %d dropped ones: %v", lines, dropped, err)
		}
		lines += len(m.lines())
		dropped += len(m.Dropped)
		for _, d := range m.Dropped {
			if d.Labels["job"] != "a" || !strings.HasPrefix(d.Timestamp, "17723664") {
				t.Fatalf("a dropped line is reported as %+v", d)
			}
		}
		if len(m.Dropped) > messageDropped {
			t.Errorf("one message reports %d dropped lines", len(m.Dropped))
		}
	}
	if lines != 100 {
		t.Errorf("%d lines came and %d were dropped", lines, dropped)
	}
}

func TestMessagesOfATailAreBounded(t *testing.T) {
	s := start(t, Options{})
	long := strings.Repeat("x", 200_000)
	var lines []line
	for i := range 12 {
		lines = append(lines, line{float64(i), fmt.Sprint(i, long), nil})
	}
	s.push(t, map[string]string{"job": "a"}, lines...)
	c := follow(t, s, `{job="a"}`)
	for i := range lines {
		lines[i].after += 100
	}
	s.push(t, map[string]string{"job": "a"}, lines...)
	for n := 0; n < 24; {
		m, err := c.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.size > messageBytes+300_000 {
			t.Errorf("a message has %d bytes", m.size)
		}
		n += len(m.lines())
	}
}

// ended reads until the tail ends and returns how.
func (c *tailClient) ended(t testing.TB) websocket.CloseError {
	t.Helper()
	for {
		_, err := c.read(t.Context())
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[websocket.CloseError](err)
		if !ok {
			t.Fatalf("the tail ended without a reason: %v", err)
		}
		return closed
	}
}

func TestATailEndsAfterItsTimeAndWithTheServer(t *testing.T) {
	t.Run("its time", func(t *testing.T) {
		s := start(t, Options{TailMaxDuration: time.Millisecond})
		got := follow(t, s, `{job="a"}`).ended(t)
		if got.Code != websocket.StatusInternalError || got.Reason != "reached tail max duration limit" {
			t.Errorf("ended with %v", got)
		}
	})
	t.Run("the server", func(t *testing.T) {
		s := start(t, Options{})
		c := follow(t, s, `{job="a"}`)
		go s.Close()
		if got := c.ended(t); got.Code != websocket.StatusGoingAway {
			t.Errorf("ended with %v", got)
		}
		s.Close()
		if n := s.Stats().Tails; n != 0 {
			t.Errorf("%d tails are left", n)
		}
		if got := s.get(t, "tail", url.Values{"query": {`{job="a"}`}}); got.code != 503 {
			t.Errorf("a tail of a closed server gave %d %s", got.code, got.body)
		}
	})
}

func TestALimitBeyondThatOfAnswersIsFineForATail(t *testing.T) {
	s := start(t, Options{MaxEntries: 2})
	s.push(t, map[string]string{"job": "a"}, line{1, "one", nil}, line{2, "two", nil}, line{3, "three", nil})
	c := follow(t, s, `{job="a"}`, "limit", "10")
	if got := strings.Join(c.until(t, 2), " "); got != "two three" {
		t.Errorf("history: %q", got)
	}
}

func TestTailsAreBoundedAndAClientThatLeavesMakesRoom(t *testing.T) {
	s := start(t, Options{MaxTails: 1})
	c := follow(t, s, `{job="a"}`)
	got := s.get(t, "tail", url.Values{"query": {`{job="a"}`}})
	if got.code != 400 || !strings.Contains(got.body, "max concurrent tail requests limit exceeded, count > limit (2 > 1)") {
		t.Errorf("the second tail gave %d %s", got.code, got.body)
	}
	if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	s.tails.Wait()
	follow(t, s, `{job="a"}`)
}

func TestTheServerEndsAlthoughAClientDoesNotAnswer(t *testing.T) {
	s := start(t, Options{})
	follow(t, s, `{job="a"}`) // never reads, so it never answers a close
	s.Close()
	if n := s.Stats().Tails; n != 0 {
		t.Errorf("%d tails are left", n)
	}
}

func TestATailWithoutAWebsocketIsRefused(t *testing.T) {
	s := start(t, Options{})
	if got := s.get(t, "tail", url.Values{"query": {`{job="a"}`}}); got.code != http.StatusUpgradeRequired {
		t.Errorf("got %d %s", got.code, got.body)
	}
	if n := s.Stats().Tails; n != 0 {
		t.Errorf("%d tails are left", n)
	}
}
