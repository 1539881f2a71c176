package prom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/config"

	"rollcall/sources"
)

var t0 = time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)

type wallClock struct{}

func (wallClock) Now() time.Time                       { return time.Now() }
func (wallClock) Wall() time.Time                      { return time.Now() }
func (wallClock) ToWall(d time.Duration) time.Duration { return d }
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg, Options{Clock: wallClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const oneSeries = `{"status":"success","warnings":["one store \u001b[31mis slow"],"data":{"resultType":"vector","result":[{"metric":{"route":"a\u001b]0;owned\u0007"},"value":[1772591400,"0.25"]}]}}`

func TestQueryReadsSeriesWarningsAndFacts(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Scope-OrgID") != "team-a" || r.Header.Get("User-Agent") != "rollcall" {
			t.Errorf("headers %v", r.Header)
		}
		_, _ = io.WriteString(w, oneSeries)
	})
	c := client(t, Config{URL: s.URL, Headers: map[string]string{"X-Scope-OrgID": "team-a"}})
	series, facts, err := c.Query(t.Context(), "x", t0)
	if err != nil {
		t.Fatal(err)
	}
	if len(series) != 1 || series[0].Points[0].V != 0.25 || !series[0].Points[0].T.Equal(t0) {
		t.Fatalf("series %+v", series)
	}
	if !facts.At.Equal(t0) || facts.Source != "prometheus" || facts.Fetched.IsZero() {
		t.Errorf("facts %+v", facts)
	}
	if len(facts.Warnings) != 1 || !strings.Contains(facts.Warnings[0], "is slow") {
		t.Errorf("the source's warning must reach the facts: %q", facts.Warnings)
	}
	for _, s := range []string{series[0].Labels["route"], facts.Warnings[0]} {
		if strings.ContainsAny(s, "\x1b\x07") {
			t.Errorf("control bytes left in %q", s)
		}
	}
	if h := c.Health(); h.State != sources.SourceUp || h.LastGood.IsZero() || h.Reason != "" {
		t.Errorf("health %+v", h)
	}
}

func TestRangeKeepsGapsAsAbsenceAndNaNAsNaN(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1772591400,"1"],[1772591430,"NaN"],[1772591490,"+Inf"]]}]}}`)
	})
	series, facts, err := client(t, Config{URL: s.URL}).Range(t.Context(), "x", t0, t0.Add(2*time.Minute), 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	p := series[0].Points
	if len(p) != 3 || !math.IsNaN(p[1].V) || !math.IsInf(p[2].V, 1) {
		t.Fatalf("points %v", p)
	}
	if !facts.At.Equal(t0.Add(90 * time.Second)) {
		t.Errorf("newest datum at %s", facts.At)
	}
}

func TestNativeHistogramsAreLeftOutAndSaidSo(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1772591400,{"count":"2","sum":"3","buckets":[[0,"0","1","2"]]}]}]}}`)
	})
	series, facts, err := client(t, Config{URL: s.URL}).Query(t.Context(), "x", t0)
	if err != nil || len(series) != 0 || !strings.Contains(facts.Partial, "histogram_quantile") {
		t.Fatalf("series %v, facts %+v, err %v", series, facts, err)
	}
}

func TestScalarsAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"scalar","result":[1772591400,"4"]}}`)
	})
	series, _, err := client(t, Config{URL: s.URL}).Query(t.Context(), "4", t0)
	if err != nil || len(series) != 1 || series[0].Points[0].V != 4 {
		t.Fatalf("series %v, err %v", series, err)
	}
}

func TestFailuresNameThePlaceAndTheRemedy(t *testing.T) {
	html := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "<!DOCTYPE html><html><body>\x1b[2Jsign in</body></html>")
		}
	}
	cases := []struct {
		name    string
		handler http.HandlerFunc
		want    string
		up      bool
	}{
		{"a 500 with a body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "out of memory\x1b[31m\nand more")
		}, "look at the server's log", false},
		{"a login page", html(200), "web page", false},
		{"a 502 page", html(502), "502", false},
		{"an answer cut short", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, oneSeries[:60]) }, "cut short", false},
		{"a connection that ends in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = io.WriteString(w, oneSeries)
		}, "middle of the answer", false},
		{"text that is not JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, "not JSON", false},
		{"a wrong path", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "path prefix", false},
		{"no credentials", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "credentials", false},
		{"a query with an error in it", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected \u001b end"}`)
		}, "query rejected: parse error", true},
		{"an unknown result type", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"banana","result":[]}}`)
		}, "not JSON", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, tc.handler)
			c := client(t, Config{URL: s.URL})
			_, _, err := c.Query(t.Context(), "x", t0)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), s.URL) {
				t.Fatalf("error %v; want %q and %s in it", err, tc.want, s.URL)
			}
			if strings.ContainsAny(err.Error(), "\x1b\n\r") || len(err.Error()) > 600 {
				t.Errorf("not one clean line: %q", err)
			}
			h := c.Health()
			if up := h.State == sources.SourceUp; up != tc.up {
				t.Errorf("state %s", h.State)
			}
			if !tc.up && h.Reason == "" {
				t.Error("a source that is down gives no reason")
			}
		})
	}
}

func TestADownServerKeepsTheTimeOfItsLastGoodAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, oneSeries) })
	c := client(t, Config{URL: s.URL})
	if _, _, err := c.Query(t.Context(), "x", t0); err != nil {
		t.Fatal(err)
	}
	good := c.Health().LastGood
	s.Close()
	_, _, err := c.Query(t.Context(), "x", t0)
	var e *Error
	if !errors.As(err, &e) || !e.Unreachable() || !strings.Contains(e.Text, "is it running?") {
		t.Fatalf("error %v", err)
	}
	if h := c.Health(); h.State != sources.SourceDown || !h.LastGood.Equal(good) {
		t.Errorf("health %+v", h)
	}
}

func TestAHangingServerIsLeftAfterTheTimeout(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	c := client(t, Config{URL: s.URL, Timeout: sources.Duration(30 * time.Millisecond)})
	_, _, err := c.Query(t.Context(), "x", t0)
	if err == nil || !strings.Contains(err.Error(), "no answer within 30ms") {
		t.Fatalf("error %v", err)
	}
}

func TestOnceAServerHangsCallsFailAtOnceAndOneSmallQuestionTellsWhenItIsBack(t *testing.T) {
	var hanging atomic.Bool
	var asked atomic.Int64
	hanging.Store(true)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil && r.Form.Get("query") == "x" {
			asked.Add(1)
		}
		if hanging.Load() {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, oneSeries)
	})
	c := client(t, Config{URL: s.URL, Timeout: sources.Duration(500 * time.Millisecond)})
	_, _, first := c.Query(t.Context(), "x", t0)
	if first == nil || asked.Load() != 1 {
		t.Fatalf("error %v after %d calls", first, asked.Load())
	}
	for range 5 {
		if _, _, err := c.Query(t.Context(), "x", t0); err == nil || err.Error() != first.Error() {
			t.Fatalf("a call to a server that hangs must fail with what is known, got %v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("a server that hangs was sent %d calls", n)
	}
	if h := c.Health(); h.State != sources.SourceDown || h.Reason == "" {
		t.Errorf("health %+v", h)
	}
	hanging.Store(false)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, _, err := c.Query(t.Context(), "x", t0); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("a server that answers again must be asked again: %v", err)
		}
	}
	if h := c.Health(); h.State != sources.SourceUp || h.Reason != "" {
		t.Errorf("health %+v", h)
	}
}

func TestAMessageOfTheServerIsOneLineWithoutMarksOfItsLineEnds(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "no\nway\n")
	})
	c, err := New(Config{URL: s.URL}, Options{Clock: wallClock{}, Sanitize: func(s string) string { return strings.ReplaceAll(s, "\n", "␊") }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, _, err := c.Query(t.Context(), "x", t0); err == nil || strings.Contains(err.Error(), "␊") || !strings.Contains(err.Error(), "no") {
		t.Errorf("error %v", err)
	}
}

func TestCancellingAReadSaysNothingAboutTheServer(t *testing.T) {
	arrived := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	c := client(t, Config{URL: s.URL})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, _, err := c.Query(ctx, "x", t0); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if h := c.Health(); h.State != sources.SourceUnknown {
		t.Errorf("state %s", h.State)
	}
}

func TestRetryWaitsAsLongAsAskedThenSucceeds(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("query") != "x" {
			t.Errorf("the retry lost the query: %v", r.Form)
		}
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, oneSeries)
	})
	var waited []time.Duration
	c, tr := traced(t, s.URL)
	tr.wait = func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
	if _, _, err := c.Query(t.Context(), "x", t0); err != nil {
		t.Fatal(err)
	}
	if len(waited) != 1 || waited[0] < 2*time.Second-100*time.Millisecond || waited[0] > 2200*time.Millisecond || c.retries.Load() != 1 {
		t.Errorf("waited %v, retries %d", waited, c.retries.Load())
	}
}

func TestRetryGivesUp(t *testing.T) {
	for _, tc := range []struct {
		name, after string
		calls       int32
		code        int
	}{
		{"after three tries", "", 3, 503},
		{"at once when asked to wait longer than anyone would", "3600", 1, 429},
		{"at once when the wait is absurd", "99999999999", 1, 429},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls atomic.Int32
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				if tc.after != "" {
					w.Header().Set("Retry-After", tc.after)
				}
				w.WriteHeader(tc.code)
			})
			c, tr := traced(t, s.URL)
			last := time.Duration(0)
			tr.wait = func(_ context.Context, d time.Duration) error {
				if d <= last || d > maxRetryWait {
					t.Errorf("wait %s after %s", d, last)
				}
				last = d
				return nil
			}
			if _, _, err := c.Query(t.Context(), "x", t0); err == nil {
				t.Fatal("no error")
			}
			if calls.Load() != tc.calls {
				t.Errorf("%d calls, want %d", calls.Load(), tc.calls)
			}
		})
	}
}

// traced returns a client whose transport a test can change.
func traced(t *testing.T, url string) (*Client, *transport) {
	t.Helper()
	var tr *transport
	c, err := newClient(Config{URL: url}, Options{Clock: wallClock{}}, func(x *transport) { tr = x; x.jitter = func() float64 { return 0.5 } })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, tr
}

func TestAGigabyteAnswerIsRefused(t *testing.T) {
	for _, announced := range []bool{true, false} {
		t.Run(fmt.Sprintf("announced=%v", announced), func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if announced {
					w.Header().Set("Content-Length", "1073741824")
				}
				chunk := []byte(strings.Repeat("x", 1<<16))
				for range 1 << 14 {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})
			c := client(t, Config{URL: s.URL, MaxBody: 1 << 20})
			_, _, err := c.Query(t.Context(), "x", t0)
			if err == nil || !strings.Contains(err.Error(), "larger than max_body") {
				t.Fatalf("error %v", err)
			}
			if n := c.bytes.Load(); n > 1<<20+1 {
				t.Errorf("read %d bytes", n)
			}
		})
	}
}

func TestNoMoreQueriesInFlightThanAllowed(t *testing.T) {
	var now, most atomic.Int32
	full := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 3 {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		now.Add(-1)
		_, _ = io.WriteString(w, oneSeries)
	})
	c := client(t, Config{URL: s.URL, MaxInFlight: 3})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := c.Query(t.Context(), "x", t0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Errorf("%d in flight", most.Load())
	}
}

func TestBadConfigurationIsNamed(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(garbage, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no URL", Config{}, "prometheus.url is empty"},
		{"no scheme", Config{URL: "localhost:9090"}, "scheme and a host"},
		{"a CA file that is missing", Config{URL: "https://127.0.0.1:1", HTTP: tlsConfig(filepath.Join(dir, "missing.pem"))}, "missing.pem"},
		{"a CA file that is no certificate", Config{URL: "https://127.0.0.1:1", HTTP: tlsConfig(garbage)}, "ca.pem"},
		{"two ways to sign in", Config{URL: "http://a", HTTP: config.HTTPClientConfig{BearerToken: "a", BasicAuth: &config.BasicAuth{Username: "u"}}}, "prometheus.http"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := New(tc.cfg, Options{Clock: wallClock{}})
			if err == nil {
				defer c.Close()
				_, _, err = c.Query(t.Context(), "x", t0)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v; want %q in it", err, tc.want)
			}
		})
	}
}

func tlsConfig(ca string) config.HTTPClientConfig {
	c := config.DefaultHTTPClientConfig
	c.TLSConfig.CAFile = ca
	return c
}

func TestAnUnknownAuthorityIsExplained(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, _, err := client(t, Config{URL: s.URL}).Query(t.Context(), "x", t0)
	if err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Fatalf("error %v", err)
	}
}

func TestAPasswordInTheURLIsSentAndNeverShown(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != "ops" || p != "hunter2" {
			t.Errorf("credentials %q %q", u, p)
		}
		w.WriteHeader(500)
	})
	c := client(t, Config{URL: strings.Replace(s.URL, "://", "://ops:hunter2@", 1)})
	_, _, err := c.Query(t.Context(), "x", t0)
	if err == nil || strings.Contains(err.Error()+c.Health().Reason, "hunter2") {
		t.Fatalf("error %v", err)
	}
}

func TestClockSkewIsReported(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-90*time.Second).UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, oneSeries)
	})
	c := client(t, Config{URL: s.URL})
	_, facts, err := c.Query(t.Context(), "x", t0)
	if err != nil || facts.Skew > -80*time.Second {
		t.Fatalf("facts %+v, err %v", facts, err)
	}
	if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "clock differs") {
		t.Errorf("check says %v", err)
	}
}

func TestARangeWithTooManyPointsIsNotSent(t *testing.T) {
	c := client(t, Config{URL: "http://127.0.0.1:1"})
	for _, step := range []time.Duration{time.Second, 0} {
		if _, _, err := c.Range(t.Context(), "x", t0, t0.Add(24*time.Hour), step); err == nil || !strings.Contains(err.Error(), "step") {
			t.Errorf("step %s: error %v", step, err)
		}
	}
}

func TestMetricNamesAreSortedAndClean(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.FormValue("match[]"); got != `{job="a"}` {
			t.Errorf("match %q", got)
		}
		_, _ = io.WriteString(w, `{"status":"success","data":["b_total","a\u001b[0m","a_total"]}`)
	})
	names, err := client(t, Config{URL: s.URL}).MetricNames(t.Context(), `{job="a"}`)
	if err != nil || strings.Join(names, ",") != "a_total,b_total" {
		t.Fatalf("names %q, err %v", names, err)
	}
}

func TestCheckWorksWithoutBuildInformation(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/query") {
			_, _ = io.WriteString(w, oneSeries)
			return
		}
		http.NotFound(w, r)
	})
	if err := client(t, Config{URL: s.URL}).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type canned struct{ body []byte }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: -1,
		Body: io.NopCloser(bytes.NewReader(c.body)), Request: r,
	}, nil
}

// Whatever a server answers: no crash, and no control byte gets through.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(oneSeries))
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"NaN"],[2,"x"]]}]}}`))
	f.Add([]byte(`{"status":"error","errorType":"bad_data","error":"\u001b[2J"}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"string","result":[1,"\u009b"]}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte{0xff, 0xfe, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := newClient(Config{URL: "http://127.0.0.1:1"}, Options{Clock: wallClock{}}, func(x *transport) { x.next = canned{body} })
		if err != nil {
			t.Fatal(err)
		}
		series, facts, err := c.Query(t.Context(), "x", t0)
		texts := slices.Clone(facts.Warnings)
		if err != nil {
			texts = append(texts, err.Error())
		}
		for _, s := range series {
			for k, v := range s.Labels {
				texts = append(texts, k, v)
			}
		}
		for _, s := range texts {
			if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
				t.Fatalf("unsafe text %q", s)
			}
		}
	})
}
