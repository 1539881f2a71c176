package loki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"rollcall/sources"
	"rollcall/sources/redact"
)

func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("the error %q does not say %q", text, p)
		}
	}
	for _, r := range text {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			t.Errorf("the error %q has a control character", text)
		}
	}
	if len(text) > 600 || !utf8.ValidString(text) {
		t.Errorf("the error is %d bytes long", len(text))
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func lines(values ...string) string {
	var b strings.Builder
	b.WriteString(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"job":"a"},"values":[`)
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `["%d","%s"]`, 1_700_000_000_000_000_000+i, v)
	}
	b.WriteString(`]}],"stats":{"x":{"y":[1,2.5e3,null,true]}}}}`)
	return b.String()
}

var anything = sources.LogQuery{Query: `{job="a"}`, Since: time.Unix(1_700_000_000, 0).Add(-time.Hour), Until: time.Unix(1_700_000_000, 0).Add(time.Hour)}

func TestAnswersThatAreNoneAreExplained(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  []string
		tries int32
	}{
		{"a login page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>\x1b[31mlog in</html>")
		}, []string{"text/html instead of JSON", "check loki.url"}, 1},
		{"nothing at all", func(http.ResponseWriter, *http.Request) {}, []string{"broke off"}, 2},
		{"500 with colours and a secret", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "\x1b]0;owned\x07 password=hunter2\n"+strings.Repeat("x", 5000))
		}, []string{"500", "␛]0;owned", "<secret:1>", "in trouble"}, 2},
		{"a JSON error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"bad","message":"limit is 10 > 5"}`)
		}, []string{"400 Bad Request: limit is 10 > 5", "check the query"}, 1},
		{"no tenant", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "no org id\n")
		}, []string{"401", "X-Scope-OrgID"}, 1},
		{"not found", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, []string{"404", "loki.url"}, 1},
		{"429 with Retry-After", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(429)
		}, []string{"429", "3"}, 2},
		{"429 with a wait that is too long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}, []string{"429", "3600"}, 1},
		{"numbers instead of lines", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		}, []string{"not log lines"}, 1},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"broke off"}, 2},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\xff\xfe\x00[[[[") }, []string{"instead of JSON"}, 1},
		{"deep nesting", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"x":`+strings.Repeat("[", 100_000))
		}, []string{"instead of JSON"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tries atomic.Int32
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				c.serve(w, r)
			})
			cl := client(t, Config{URL: url})
			_, err := cl.QueryRange(t.Context(), anything)
			oneLine(t, err, append(c.want, url)...)
			if got := tries.Load(); got != c.tries {
				t.Errorf("asked %d times, want %d", got, c.tries)
			}
		})
	}
}

func TestARefusedQueryIsNotTakenForADeadSource(t *testing.T) {
	for code, unreachable := range map[int]bool{http.StatusBadRequest: false, http.StatusBadGateway: true} {
		cl := client(t, Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })})
		_, err := cl.QueryRange(t.Context(), anything)
		var at interface{ Unreachable() bool }
		if !errors.As(err, &at) || at.Unreachable() != unreachable {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestALokiThatHangsIsLeftAloneAfterTheTimeLimit(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := client(t, Config{URL: url, Timeout: sources.Duration(50 * time.Millisecond)})
	_, err := c.QueryRange(t.Context(), anything)
	oneLine(t, err, "no answer in time", "narrow the range")
	if h := c.Health(); h.State != sources.SourceDown || h.Reason == "" {
		t.Errorf("health %+v", h)
	}
}

func TestALokiThatIsNotThereIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := client(t, Config{URL: "http://" + addr})
	if h := c.Health(); h.State != sources.SourceUnknown {
		t.Errorf("before the first question it is %s", h.State)
	}
	oneLine(t, c.Check(t.Context()), addr, "connection refused", "is Loki running")
}

func TestACancelledReadSaysNothingAboutLoki(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	c := client(t, Config{URL: url})
	if _, err := c.QueryRange(ctx, anything); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if h := c.Health(); h.State != sources.SourceUnknown {
		t.Errorf("Loki is %s", h.State)
	}
}

func TestASecondTryHelps(t *testing.T) {
	var n atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		_, _ = io.WriteString(w, lines("one"))
	})
	c := client(t, Config{URL: url})
	list, err := c.QueryRange(t.Context(), anything)
	if err != nil || len(list.Lines) != 1 {
		t.Fatalf("%v, %v", list.Lines, err)
	}
	if h := c.Health(); h.State != sources.SourceUp || h.LastGood.IsZero() {
		t.Errorf("health %+v", h)
	}
}

func TestAnAnswerThatBreaksOffShowsWhatCame(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		whole := lines("one", "two", "three")
		_, _ = io.WriteString(w, whole[:strings.Index(whole, "three")])
	})
	list, err := client(t, Config{URL: url}).QueryRange(t.Context(), anything)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Lines) != 2 || !strings.Contains(list.Facts.Partial, "broke off") || !list.Facts.Truncated() {
		t.Errorf("%d lines, facts %+v", len(list.Lines), list.Facts)
	}
}

func TestAnAnswerThatIsTooLargeShowsItsBeginning(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[`)
		line := strings.Repeat("x", 1000)
		for i := range 100_000 { // until the client hangs up
			if _, err := fmt.Fprintf(w, `["%d","%s"],`, i, line); err != nil {
				return
			}
		}
	})
	list, err := client(t, Config{URL: url, MaxBody: 1 << 20}).QueryRange(t.Context(), anything)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(list.Lines); n < 500 || n > 1100 || !strings.Contains(list.Facts.Partial, "larger than 1 MiB; narrow") || list.Facts.Total != -1 {
		t.Errorf("%d lines, facts %+v", n, list.Facts)
	}
}

func TestALineOf100MegabytesIsCutWhileReading(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 100 MB")
	}
	const size = 100 << 20
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1700000000000000000","`)
		piece := strings.Repeat("é", 1<<19)
		for range size / len(piece) {
			_, _ = io.WriteString(w, piece)
		}
		_, _ = io.WriteString(w, `"],["1700000000000000001","after"]]}]}}`)
	})
	list, err := client(t, Config{URL: url, MaxLine: 1001, Timeout: sources.Duration(5 * time.Minute)}).QueryRange(t.Context(), anything)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Lines) != 2 || list.Lines[1].Line != "after" {
		t.Fatalf("%d lines", len(list.Lines))
	}
	if got := list.Lines[0].Line; got != strings.Repeat("é", 500)+fmt.Sprintf("… (+%d bytes)", size-1000) {
		t.Errorf("the line ends in %q", got[len(got)-40:])
	}
}

func TestNothingOfALineIsUnsafe(t *testing.T) {
	f, url := newFake(t)
	now := time.Now()
	f.push(map[string]string{"job": "a", "path": "\x1b]52;c;eA==\x07", "owner": "alice@example.com"}, now.Add(-time.Second),
		"\x1b[2Jgone \u202eevil\nsecond password=hunter2 bob@example.com", map[string]string{"api_key": "Zk8s0qLm", "x\u009by": "1"})
	list, err := client(t, Config{URL: url}).QueryRange(t.Context(), sources.LogQuery{Query: `{job="a"}`, Since: now.Add(-time.Minute), Until: now})
	if err != nil || len(list.Lines) != 1 {
		t.Fatalf("%v, %v", list.Lines, err)
	}
	l := list.Lines[0]
	if want := "␛[2Jgone <U+202E>evil␊second password=<secret:1> <email:1>"; l.Line != want {
		t.Errorf("line %q, want %q", l.Line, want)
	}
	if l.Labels["path"] != "␛]52;c;eA==␇" || l.Labels["owner"] != "<email:1>" || l.Meta["api_key"] != "<secret:2>" || l.Meta["x<U+009B>y"] != "1" {
		t.Errorf("labels %q, metadata %q", l.Labels, l.Meta)
	}
}

func TestErrorsAreFoundByTheirLevelAndElseByTheirWords(t *testing.T) {
	for _, c := range []struct {
		why     string
		labels  bool // the level is a label
		queries int
	}{{"a level as label", true, 1}, {"a level in the text only", false, 2}} {
		var asked []string
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			q := r.FormValue("query")
			asked = append(asked, q)
			if c.labels || strings.Contains(q, "|~") {
				_, _ = io.WriteString(w, lines("level=error it broke"))
				return
			}
			_, _ = io.WriteString(w, lines())
		})
		q := anything
		q.Errors = true
		list, err := client(t, Config{URL: url}).QueryRange(t.Context(), q)
		if err != nil || len(list.Lines) != 1 || len(asked) != c.queries {
			t.Errorf("%s: %v, %v; asked %q", c.why, list.Lines, err, asked)
		}
		if !strings.Contains(asked[0], "| level=~`") || list.Query != asked[len(asked)-1] {
			t.Errorf("%s: asked %q, says %q", c.why, asked, list.Query)
		}
	}
}

func TestWhatGoesOverTheEndOfALineIsFoundWhicheverWayTheLinesCome(t *testing.T) {
	f, url := newFake(t)
	now := time.Now()
	key := "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4"
	said := []string{
		"using " + key[:20], key[20:] + " now", "loading -----BEGIN " + "PRIVATE KEY-----",
		"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "-----END " + "PRIVATE KEY-----", "done",
	}
	want := []string{"using <api-key:1>", "<api-key:1> now", "loading <private-key:1>", "<private-key:1>", "<private-key:1>", "done"}
	for i, line := range said {
		at := now.Add(time.Duration(i-20) * time.Second)
		f.push(map[string]string{"job": "a", "pod": "1"}, at, line, nil)
		f.push(map[string]string{"job": "a", "pod": "2"}, at.Add(time.Millisecond), "of another stream", nil)
	}
	for _, forward := range []bool{false, true} {
		list, err := client(t, Config{URL: url}).QueryRange(t.Context(), sources.LogQuery{Query: `{job="a"}`, Since: now.Add(-time.Minute), Until: now, Limit: 100, Forward: forward})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range list.Lines {
			if l.Labels["pod"] == "1" {
				got = append(got, l.Line)
			}
		}
		slices.Sort(got)
		sorted := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			t.Errorf("forward %v: got %q, want %q", forward, got, sorted)
		}
	}
}

func TestPeopleAreTheTokensThatRequestRowsKnowThemBy(t *testing.T) {
	f, url := newFake(t)
	red, err := redact.New(redact.Config{}, make([]byte, 32)) // as the client's
	if err != nil {
		t.Fatal(err)
	}
	token := red.Person("usr_acme_ac6b")
	now := time.Now()
	f.push(map[string]string{"job": "a", "user": "usr_acme_ac6b"}, now.Add(-time.Second),
		`{"msg":"request accepted","user":"usr_acme_ac6b","enduser.id":"bob@example.com"}`, map[string]string{"user_id": "usr_acme_ac6b"})
	long := `{"n":"` + strings.Repeat("x", 1000) + `","user":"usr_acme_ac6b"}`
	f.push(map[string]string{"job": "a"}, now, long, nil)
	c := client(t, Config{URL: url, MaxLine: 1020})
	list, err := c.QueryRange(t.Context(), sources.LogQuery{Query: `{job="a"}`, Since: now.Add(-time.Minute), Until: now.Add(time.Second)})
	if err != nil || len(list.Lines) != 2 {
		t.Fatalf("%v, %v", list.Lines, err)
	}
	l := list.Lines[0]
	if want := `{"msg":"request accepted","user":"` + token + `","enduser.id":"` + red.Person("bob@example.com") + `"}`; l.Line != want {
		t.Errorf("line %s, want %s", l.Line, want)
	}
	if l.Labels["user"] != token || l.Meta["user_id"] != token {
		t.Errorf("labels %q, metadata %q", l.Labels, l.Meta)
	}
	if l := list.Lines[1].Line; !strings.HasSuffix(l, `","user":"… (+15 bytes)`) {
		t.Errorf("a person cut off in the middle: %s", l[990:])
	}
	if values, err := c.LabelValues(t.Context(), "user", "", now.Add(-time.Hour), now.Add(time.Minute)); err != nil || !slices.Equal(values, []string{token}) {
		t.Errorf("label values %q, %v", values, err)
	}
}

func TestInvalidUTF8InALineBecomesVisible(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, lines("bad \xff\x9b[31m \\u001b[0m \\ud800"))
	})
	list, err := client(t, Config{URL: url}).QueryRange(t.Context(), anything)
	if err != nil || len(list.Lines) != 1 {
		t.Fatalf("%v, %v", list.Lines, err)
	}
	if want := `bad \xff\x9b[31m ␛[0m ` + "\ufffd"; list.Lines[0].Line != want {
		t.Errorf("line %q, want %q", list.Lines[0].Line, want)
	}
}

func TestWhatALineSaysAboutItself(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, c := range []struct {
		line               string
		labels, meta       map[string]string
		level, req, tracID string
	}{
		{`{"level":"WARNING","request_id":"req-1","trace_id":"` + trace + `"}`, nil, nil, "warn", "req-1", trace},
		{`{"severity":"Critical","http":{"headers":{"X-Request-Id":"abc-123"}},"traceId":"` + trace + `"}`, nil, nil, "error", "abc-123", trace},
		{`{"level":30,"msg":"hi","request.id":"r-9"}`, nil, nil, "info", "r-9", ""},
		{`level=error request_id=req-2 trace_id=` + trace + ` msg="it broke"`, nil, nil, "error", "req-2", trace},
		{`ts=1 lvl=debug x-request-id="q-7"`, nil, nil, "debug", "q-7", ""},
		{`2026-11-23 02:33:12 ERROR [main] it broke`, nil, nil, "error", "", ""},
		{`plain`, map[string]string{"level": "info"}, map[string]string{"X-Request-ID": "m-1", "otelTraceID": trace}, "info", "m-1", trace},
		{`{"level":"error"}`, nil, map[string]string{"detected_level": "info"}, "error", "", ""},
		{`no level`, nil, map[string]string{"detected_level": "warn"}, "warn", "", ""},
		{`{"request_id":"4111111111111111"}`, nil, nil, "", "4111111111111111", ""},
		{`{"request_id":"alice@example.com"}`, nil, nil, "", "", ""},
		{`{"traceparent":"00-` + trace + `-00f067aa0ba902b7-01"}`, nil, nil, "", "", trace},
		{`{"logging.googleapis.com/trace":"projects/p/traces/` + trace + `"}`, nil, nil, "", "", trace},
		{`{"request_id":"cut`, nil, nil, "", "", ""},
		{`{"litellm_call_id":"l-1","request_id":"r-1"}`, nil, nil, "", "r-1", ""},
	} {
		cl := client(t, Config{URL: "http://127.0.0.1:1"})
		got := cl.finish([]*entry{{stream: newStream(c.labels), line: c.line, meta: c.meta}})[0]
		if got.Level != c.level || got.RequestID != c.req || got.TraceID != c.tracID {
			t.Errorf("%s %v: level %q, request %q, trace %q; want %q, %q, %q", c.line, c.meta, got.Level, got.RequestID, got.TraceID, c.level, c.req, c.tracID)
		}
	}
}

func TestMoreLinesThanOneAnswerHoldsAreReadInPages(t *testing.T) {
	f, url := newFake(t)
	now := time.Now().Truncate(time.Second)
	const n = 12_000
	for i := range n { // ten lines share each nanosecond
		f.entries = append(f.entries, fakeEntry{map[string]string{"job": "a"}, now.Add(time.Duration(i/10-n) * time.Nanosecond).UnixNano(), fmt.Sprint("line ", i), nil})
	}
	for _, forward := range []bool{false, true} {
		list, err := client(t, Config{URL: url}).QueryRange(t.Context(), sources.LogQuery{Query: `{job="a"}`, Since: now.Add(-time.Minute), Until: now, Limit: 20_000, Forward: forward})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, l := range list.Lines {
			seen[l.Line] = true
		}
		if len(list.Lines) != n || len(seen) != n || list.Facts.Truncated() {
			t.Errorf("forward %v: %d lines, %d different, facts %+v; want %d", forward, len(list.Lines), len(seen), list.Facts, n)
		}
	}
}

func TestATailEndedByTheServerLosesAndRepeatsNothing(t *testing.T) {
	f, url := newFake(t)
	c := client(t, Config{URL: url})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ch, err := c.Tail(ctx, sources.LogQuery{Query: `{job="a"}`, Since: time.Now().Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"job": "a"}
	now := time.Now()
	var want []string
	push := func(at time.Time, text string) {
		f.push(labels, at, text, nil)
		want = append(want, text)
	}
	var got []string
	read := func(n int) {
		for len(got) < n {
			b, open := <-ch
			if !open {
				t.Fatalf("the tail ended after %d lines", len(got))
			}
			if b.Dropped > 0 {
				t.Errorf("%d lines were dropped", b.Dropped)
			}
			for _, l := range b.Lines {
				got = append(got, l.Line)
			}
		}
	}
	for round := range 4 {
		at := now.Add(time.Duration(round) * time.Second)
		for i := range 50 {
			push(at.Add(time.Duration(i/5)*time.Millisecond), fmt.Sprintf("round %d line %d", round, i)) // five lines a time
		}
		read(len(want))
		_, ever := f.openTails()
		f.endTails()
		// These come while no tail is open or another one is opening, one of them late.
		push(at.Add(20*time.Millisecond), fmt.Sprintf("round %d gap", round))
		push(at.Add(-500*time.Millisecond), fmt.Sprintf("round %d late", round))
		until(t, "the next tail", func() bool { _, now := f.openTails(); return now > ever })
	}
	read(len(want))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %d lines, want %d; the first that differs is in %q", len(got), len(want), diff(got, want))
	}
}

func diff(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + " / " + b[i]
		}
	}
	return "the end"
}

func TestATailOfALokiThatIsDownWaitsForIt(t *testing.T) {
	f, url := newFake(t)
	var down atomic.Bool
	down.Store(true)
	f.fault = func(w http.ResponseWriter, _ *http.Request) bool {
		if down.Load() {
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
		return down.Load()
	}
	c := client(t, Config{URL: url})
	c.wait = func(ctx context.Context, _ time.Duration) error { return wait(ctx, time.Millisecond) }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f.push(map[string]string{"job": "a"}, time.Now(), "while it was down", nil)
	ch, err := c.Tail(ctx, sources.LogQuery{Query: `{job="a"}`, Since: time.Now().Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if b := <-ch; !strings.HasPrefix(b.State, "reconnecting: 503") || !strings.Contains(b.State, "starting") {
		t.Errorf("state %q", b.State)
	}
	down.Store(false)
	if got := collect(t, ch, 1); got[0] != "while it was down" {
		t.Errorf("got %q", got)
	}
}

func TestASlowConsumerLosesTheOldestAndIsTold(t *testing.T) {
	o := newOutbox()
	o.state("live")
	const n = maxWaiting + 700
	for i := range n {
		o.lines([]sources.LogLine{{Time: time.Unix(int64(i), 0), Line: fmt.Sprint(i)}})
	}
	lines, dropped := 0, 0
	last := ""
	for {
		b, ok, _ := o.take()
		if !ok {
			break
		}
		lines += len(b.Lines)
		dropped += b.Dropped
		if len(b.Lines) > batchLines {
			t.Errorf("a batch of %d lines", len(b.Lines))
		}
		if len(b.Lines) > 0 {
			last = b.Lines[len(b.Lines)-1].Line
		}
	}
	if lines != maxWaiting || dropped != 700 || last != fmt.Sprint(n-1) {
		t.Errorf("%d lines, %d dropped, the last is %s", lines, dropped, last)
	}
}

func TestDroppedEntriesOfTheServerAreReported(t *testing.T) {
	c := client(t, Config{URL: "http://127.0.0.1:1"})
	tl := &tail{c: c, out: newOutbox(), seen: newMemory(overlap)}
	err := tl.message(strings.NewReader(`{"streams":[{"stream":{},"values":[["1","a"],["1","a"]]}],"dropped_entries":[{"labels":{},"timestamp":"1"},{"labels":{},"timestamp":"2"}]}`))
	b, _, _ := tl.out.take()
	if err != nil || len(b.Lines) != 1 || b.Dropped != 2 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestMemoryForgetsOnlyWhatIsOldOrTooMuch(t *testing.T) {
	m := newMemory(time.Second)
	for i := range 3 * maxKnown {
		if !m.add(int64(i)*1000, uint64(i)) {
			t.Fatal("a new entry was taken for a known one")
		}
		if len(m.known) > maxKnown+minSweep {
			t.Fatalf("%d entries are remembered", len(m.known))
		}
	}
	for i := 3*maxKnown - 1; int64(i)*1000 > max(m.floor, m.newest-int64(time.Second)); i-- {
		if m.add(int64(i)*1000, uint64(i)) {
			t.Fatalf("entry %d was forgotten", i)
		}
	}
}

func TestConfigurationErrorsNameThePlace(t *testing.T) {
	for url, want := range map[string]string{
		"":                "loki.url is empty",
		"127.0.0.1:3100":  "loki.url",
		"ftp://host":      "needs a scheme",
		"http://[::1:bad": "not a URL",
	} {
		_, err := New(Config{URL: url}, Options{Clock: wallClock(t), Redactor: client(t, Config{URL: "http://x"}).redact})
		oneLine(t, err, want, "loki.url")
	}
	cfg := Config{URL: "https://127.0.0.1:1"}
	if err := json.Unmarshal([]byte(`{"ca_file":"/does/not/exist"}`), &cfg.HTTP.TLSConfig); err != nil {
		t.Fatal(err)
	}
	_, err := New(cfg, Options{Clock: wallClock(t), Redactor: client(t, Config{URL: "http://x"}).redact})
	oneLine(t, err, "loki.http", "/does/not/exist")
}

func TestHeadersAndCredentialsAreSentAndNotShown(t *testing.T) {
	var got http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.WriteHeader(500)
	})
	c := client(t, Config{URL: strings.Replace(url, "://", "://bob:hunter2@", 1), Headers: map[string]string{"X-Scope-OrgID": "acme"}})
	_, err := c.QueryRange(t.Context(), anything)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
	if got.Get("X-Scope-Orgid") != "acme" || !strings.HasPrefix(got.Get("Authorization"), "Basic ") || got.Get("X-Loki-Response-Encoding-Flags") != "categorize-labels" {
		t.Errorf("headers %v", got)
	}
}

func TestClockSkewIsReported(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, lines("one"))
	})
	list, err := client(t, Config{URL: url}).QueryRange(t.Context(), anything)
	if err != nil {
		t.Fatal(err)
	}
	if s := list.Facts.Skew; s < 57*time.Second || s > 63*time.Second {
		t.Errorf("skew %s, want a minute", s)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(lines("one", "two")))
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1.5,"NaN"],[2,"1e9"]]}]}}`))
	f.Add([]byte(`{"streams":[{"stream":{"a":"\ud83d\ude00"},"values":[["1","x",{"structuredMetadata":{"k":"v"}}]]}],"dropped_entries":null}`))
	f.Add([]byte(`{"data":["a",null,{}],"status":"error"}`))
	c := client(f, Config{URL: "http://127.0.0.1:1"})
	f.Fuzz(func(t *testing.T, b []byte) {
		var entries []*entry
		keep := func(e *entry) error { entries = append(entries, e); return nil }
		for _, d := range []decoder{
			{c: c, streams: func(r *reader) error { return r.entries(64, keep) }},
			{c: c, series: func(r *reader) error { _, err := r.series(); return err }, scalar: func(r *reader) error { _, err := r.point(); return err }},
			{c: c, plain: func(r *reader) error { _, _, err := r.scalar(); return err }},
		} {
			_ = d.read(strings.NewReader(string(b)))
		}
		tl := &tail{c: c, out: newOutbox(), seen: newMemory(overlap)}
		_ = tl.message(strings.NewReader(string(b)))
		for _, l := range c.finish(entries) {
			if !utf8.ValidString(l.Line) || strings.ContainsAny(l.Line, "\x1b\n\r\t\x00\x7f") {
				t.Errorf("line %q", l.Line)
			}
		}
	})
}

func BenchmarkDecode5000Lines(b *testing.B) {
	values := make([]string, 5000)
	for i := range values {
		values[i] = fmt.Sprintf(`{\"ts\":\"2026-11-23T02:33:12Z\",\"level\":\"info\",\"msg\":\"answer delivered\",\"request_id\":\"req-%d\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"route\":\"/chat\",\"tenant\":\"acme\",\"user\":\"usr_acme_%04x\"}`, i, i%400)
	}
	body := lines(values...)
	c := client(b, Config{URL: "http://127.0.0.1:1"})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var entries []*entry
		d := decoder{c: c, streams: func(r *reader) error {
			return r.entries(defaultMaxLine, func(e *entry) error { entries = append(entries, e); return nil })
		}}
		if err := d.read(strings.NewReader(body)); err != nil {
			b.Fatal(err)
		}
		c.finish(entries)
	}
}
