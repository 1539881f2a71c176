package prom

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/faultproxy"
)

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, oneSeries)
}

// faulty returns a client of a proxy; waits between tries pass at once, on the clock too.
func faulty(t *testing.T, p *faultproxy.Proxy, cfg Config) (*Client, *faultproxy.Clock) {
	t.Helper()
	clock := &faultproxy.Clock{}
	cfg.URL = p.URL
	if p.CA != "" {
		cfg.HTTP = tlsConfig(p.CA)
	}
	c, err := newClient(cfg, Options{Clock: clock}, func(x *transport) {
		x.wait = clock.Wait
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, clock
}

// Whatever a server, a proxy or the network does: one line says what is wrong and
// what to do, the last good answer keeps its time, and when the fault is over the
// client finds out by itself.
func TestAFaultIsSaidInOneLineAndLeftBehindWhenItEnds(t *testing.T) {
	const short, patient = 300 * time.Millisecond, time.Minute
	for _, tc := range []struct {
		fault  faultproxy.Fault
		says   string
		remedy string
		tls    bool
	}{
		{faultproxy.Refused(), "connection refused", "is it running?", false},
		{faultproxy.Down(), "connection ended", "look at the server", false},
		{faultproxy.Hanging(), "no answer within 300ms", "raise prometheus.timeout", false},
		{faultproxy.Slow(), "no answer within 300ms", "raise prometheus.timeout", false},
		{faultproxy.CutShort(), "middle of the answer", "look at the server", false},
		{faultproxy.Plain(), "not JSON", "check prometheus.url", false},
		{faultproxy.Page(), "web page", "login page", false},
		{faultproxy.ErrorPage(502), "server error: 502", "look at the server's log", false},
		{faultproxy.Status(500, "out of memory"), "server error: 500: out of memory", "look at the server's log", false},
		{faultproxy.Status(401, "no org id"), "access refused", "X-Scope-OrgID", false},
		{faultproxy.Status(403, "wrong tenant"), "wrong tenant", "X-Scope-OrgID", false},
		{faultproxy.Status(404, "no such tenant"), "no Prometheus API", "path prefix", false},
		{faultproxy.Status(429, "slow down"), "429 Too Many Requests, it is asked again at", "raise its limit", false},
		{faultproxy.Status(429, "slow down", "Retry-After", "120"), "429 Too Many Requests, it is asked again at", "raise its limit", false},
		{faultproxy.Status(503, "starting"), "503 Service Unavailable, it is asked again at", "look at its load", false},
		{faultproxy.Gigabyte(`{"status":"success","data":{"resultType":"vector","result":[`), "larger than max_body", "shorter range", false},
		{faultproxy.Expired(), "certificate not valid", "renew it", true},
	} {
		t.Run(tc.fault.Name+" "+tc.says, func(t *testing.T) {
			t.Parallel()
			start := faultproxy.New
			if tc.tls {
				start = faultproxy.NewTLS
			}
			p := start(t, http.HandlerFunc(healthy))
			c, clock := faulty(t, p, Config{Timeout: sources.Duration(patient), MaxBody: 1 << 20})
			good := healthyAgain(t, c, clock)
			if tc.fault.Silent() { // else nothing but the fault may end the call
				c.timeout = short
			}

			p.Set(tc.fault)
			_, _, err := c.Query(t.Context(), "x", t0)
			var e *Error
			if !errors.As(err, &e) || !e.Unreachable() || !strings.Contains(e.Text, tc.says) || !strings.Contains(e.Text, tc.remedy) || !strings.Contains(e.Text, p.URL) {
				t.Fatalf("error %v; want %q and %q in it", err, tc.says, tc.remedy)
			}
			if strings.ContainsAny(e.Text, "\x1b\x07\r\n") || len(e.Text) > 600 {
				t.Errorf("not one clean line: %q", e.Text)
			}
			if h := c.Health(); h.State != sources.SourceDown || h.Reason != e.Text || !h.LastGood.Equal(good) {
				t.Errorf("health %+v; the last good answer was at %s", h, good)
			}
			p.Heal()
			healthyAgain(t, c, clock)
			if h := c.Health(); h.State != sources.SourceUp || h.Reason != "" || !h.LastGood.After(good) {
				t.Errorf("after the fault: %+v", h)
			}
		})
	}
}

// healthyAgain asks until there is an answer, and returns its time. What is held
// back passes on the clock; a loaded machine may need several tries.
func healthyAgain(t *testing.T, c *Client, clock *faultproxy.Clock) time.Time {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; clock.Pass(10 * time.Second) {
		_, facts, err := c.Query(t.Context(), "x", t0)
		if err == nil {
			return facts.Fetched
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is well and the client still says %v", err)
		}
	}
}

func TestAGigabyteIsNeitherReadNorHeld(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	p.Set(faultproxy.Gigabyte(`{"status":"success","data":{"resultType":"vector","result":[`))
	c, _ := faulty(t, p, Config{MaxBody: 4 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := c.Query(t.Context(), "x", t0); err == nil {
		t.Fatal("no error")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MiB were allocated for an answer of which 4 are allowed", n>>20)
	}
	if n := p.Sent(); n > 64<<20 {
		t.Errorf("%d MiB were sent before the client hung up", n>>20)
	}
}

func TestANameThatIsNotFoundIsSaidAndAskedForAgain(t *testing.T) {
	s := serve(t, healthy)
	dns := &faultproxy.Resolver{}
	dns.Broken.Store(true)
	c, err := newClient(Config{URL: s.URL}, Options{Clock: wallClock{}}, func(x *transport) { dns.Next, x.next = x.next, dns })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	_, _, err = c.Query(t.Context(), "x", t0)
	if err == nil || !strings.Contains(err.Error(), "host name not found; check prometheus.url and the name server") {
		t.Fatalf("error %v", err)
	}
	dns.Broken.Store(false)
	if _, _, err := c.Query(t.Context(), "x", t0); err != nil || c.Health().State != sources.SourceUp {
		t.Errorf("error %v, health %+v", err, c.Health())
	}
}

func TestARealNameThatDoesNotExistIsSaid(t *testing.T) {
	c := client(t, Config{URL: "http://prometheus.invalid:9090", Timeout: sources.Duration(20 * time.Second)})
	_, _, err := c.Query(t.Context(), "x", t0)
	if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), "host name not found") {
		t.Skipf("this machine's resolver says something else: %v", err)
	}
}

func TestAClockTenMinutesOffIsSaidWithEveryAnswer(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, clock := faulty(t, p, Config{})
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		p.Set(faultproxy.ClockOff(off))
		_, facts, err := c.Query(t.Context(), "x", t0)
		if err != nil || (facts.Skew-off).Abs() > time.Minute {
			t.Errorf("off by %s: skew %s, error %v", off, facts.Skew, err)
		}
		if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "10m0s") && !strings.Contains(err.Error(), "9m5") || !strings.Contains(err.Error(), "check NTP") {
			t.Errorf("off by %s: check says %v", off, err)
		}
	}
	p.Heal()
	healthyAgain(t, c, clock)
	if h := c.Health(); h.Skew != 0 {
		t.Errorf("with its clock right again the skew is %s", h.Skew)
	}
}

func TestWhatOneCallIsToldHoldsForAllCallsAndNoLongerThanFiveMinutes(t *testing.T) {
	for _, code := range []int{429, 503} {
		p := faultproxy.New(t, http.HandlerFunc(healthy))
		c, clock := faulty(t, p, Config{})
		p.Set(faultproxy.Status(code, "busy", "Retry-After", "86400"))
		if _, _, err := c.Query(t.Context(), "x", t0); err == nil {
			t.Fatal("no error")
		}
		for range 20 {
			if _, _, err := c.Query(t.Context(), "y", t0); err == nil || !strings.Contains(err.Error(), "it is asked again at") {
				t.Fatalf("error %v", err)
			}
		}
		if n := p.Requests(); n != 1 {
			t.Errorf("a server that asked to be left alone got %d requests", n)
		}
		p.Heal()
		clock.Pass(4*time.Minute + 55*time.Second)
		if _, _, err := c.Query(t.Context(), "x", t0); err == nil {
			t.Error("it was asked before its time")
		}
		clock.Pass(20 * time.Second) // five minutes and the jitter
		if _, _, err := c.Query(t.Context(), "x", t0); err != nil || c.Health().State != sources.SourceUp {
			t.Errorf("after five minutes: %v, %+v", err, c.Health())
		}
	}
}

func TestAShortHoldIsWaitedOutByTheOtherCalls(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, clock := faulty(t, p, Config{})
	c.hold.Asked(429, clock.Wall(), 2*time.Second, 0)
	before := clock.Wall()
	if _, _, err := c.Query(t.Context(), "x", t0); err != nil {
		t.Fatal(err)
	}
	if waited := clock.Wall().Sub(before); waited < 1900*time.Millisecond {
		t.Errorf("waited %s", waited)
	}
}

// Prometheus answers 503 in JSON when a query took too long: sending the same
// expensive query again would make it worse.
func TestAQueryThatTheServerGaveUpIsNotSentAgain(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}`)
	})
	c := client(t, Config{URL: s.URL})
	for range 2 {
		if _, _, err := c.Query(t.Context(), "x", t0); err == nil || !strings.Contains(err.Error(), "query timed out at the server; use a shorter range") {
			t.Fatalf("error %v", err)
		}
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d requests for two calls", n)
	}
}

func TestTheLastMinuteIsCounted(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, clock := faulty(t, p, Config{})
	debug := func() map[string]string {
		out := map[string]string{}
		for _, e := range c.Debug() {
			out[e[0]] = e[1]
		}
		return out
	}
	for range 3 {
		if _, _, err := c.Query(t.Context(), "x", t0); err != nil {
			t.Fatal(err)
		}
	}
	clock.Pass(30 * time.Second)
	if _, _, err := c.Query(t.Context(), "x", t0); err != nil {
		t.Fatal(err)
	}
	if d := debug(); d["prom queries/min"] != "4" || d["prom samples/min"] != "4" || d["prom bytes/min"] != d["prom bytes"] || d["prom bytes"] == "0" {
		t.Errorf("counters %v", d)
	}
	clock.Pass(40 * time.Second)
	if d := debug(); d["prom queries/min"] != "1" || d["prom queries"] != "4" {
		t.Errorf("a minute after the first three: %v", d)
	}
	clock.Pass(time.Hour)
	if d := debug(); d["prom queries/min"] != "0" || d["prom bytes/min"] != "0" || d["prom samples/min"] != "0" {
		t.Errorf("after an hour of silence: %v", d)
	}
}
