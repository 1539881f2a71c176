package loki

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"rollcall/sources"
	"rollcall/sources/faultproxy"
)

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, lines("one"))
}

// faulty returns a client of a proxy; waits between tries pass at once, on the clock too.
func faulty(t *testing.T, p *faultproxy.Proxy, cfg Config) (*Client, *faultproxy.Clock) {
	t.Helper()
	cfg.URL = p.URL
	if p.CA != "" {
		cfg.HTTP = config.DefaultHTTPClientConfig
		cfg.HTTP.TLSConfig.CAFile = p.CA
	}
	c, clock := client(t, cfg), &faultproxy.Clock{}
	c.clock, c.wait = clock, clock.Wait
	return c, clock
}

func TestAFaultIsSaidInOneLineAndLeftBehindWhenItEnds(t *testing.T) {
	const short, patient = 300 * time.Millisecond, time.Minute
	for _, tc := range []struct {
		fault  faultproxy.Fault
		says   string
		remedy string
		tls    bool
	}{
		{faultproxy.Refused(), "connection refused", "is Loki running there?", false},
		{faultproxy.Down(), "broke off", "Loki's own log", false},
		{faultproxy.Hanging(), "no answer in time", "loki.timeout", false},
		{faultproxy.Slow(), "no answer in time", "loki.timeout", false},
		{faultproxy.CutShort(), "broke off", "try again", false},
		{faultproxy.Plain(), "text/plain instead of JSON", "check loki.url", false},
		{faultproxy.Page(), "answered text/html", "login page", false},
		{faultproxy.ErrorPage(502), "502 Bad Gateway", "look at its own log", false},
		{faultproxy.Status(500, "out of memory"), "500 Internal Server Error: out of memory", "look at its own log", false},
		{faultproxy.Status(401, "no org id"), "no org id", "name the tenant in loki.headers (X-Scope-OrgID)", false},
		{faultproxy.Status(403, "wrong tenant"), "wrong tenant", "X-Scope-OrgID", false},
		{faultproxy.Status(404, "404 page not found"), "404 Not Found", "check that loki.url", false},
		{faultproxy.Status(429, "too many outstanding requests"), "429 Too Many Requests", "wait", false},
		{faultproxy.Status(429, "slow down", "Retry-After", "120"), "429 Too Many Requests", "Loki asks to wait 120", false},
		{faultproxy.Status(503, "starting"), "503 Service Unavailable", "look at its own log", false},
		{faultproxy.Expired(), "certificate not valid", "renew it", true},
	} {
		t.Run(tc.fault.Name+" "+tc.says, func(t *testing.T) {
			t.Parallel()
			start := faultproxy.New
			if tc.tls {
				start = faultproxy.NewTLS
			}
			p := start(t, http.HandlerFunc(healthy))
			c, clock := faulty(t, p, Config{Timeout: sources.Duration(patient)})
			good := healthyAgain(t, c, clock)
			if tc.fault.Silent() { // else nothing but the fault may end the call
				c.timeout = short
			}

			p.Set(tc.fault)
			_, err := c.QueryRange(t.Context(), anything)
			oneLine(t, err, tc.says, tc.remedy, p.URL)
			var f *failure
			if !errors.As(err, &f) || !f.Unreachable() {
				t.Errorf("the fault is taken for one of the question: %v", err)
			}
			if h := c.Health(); h.State != sources.SourceDown || "loki "+h.Reason != err.Error() || !h.LastGood.Equal(good) {
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
		list, err := c.QueryRange(t.Context(), anything)
		if err == nil && list.Facts.Partial == "" {
			return list.Facts.Fetched
		}
		if time.Now().After(deadline) {
			t.Fatalf("Loki is well and the client still says %v, %+v", err, list.Facts)
		}
	}
}

func TestALineOfAGigabyteIsNeitherReadNorHeld(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	p.Set(faultproxy.Gigabyte(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1700000000000000000","`))
	c, _ := faulty(t, p, Config{MaxBody: 1 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	list, err := c.QueryRange(t.Context(), anything)
	runtime.ReadMemStats(&after)
	if err == nil && list.Facts.Partial == "" {
		t.Errorf("nothing says that more was to come: %+v", list.Facts)
	}
	if err != nil {
		oneLine(t, err, "larger than", p.URL)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MiB were allocated for an answer of which 1 is kept", n>>20)
	}
	if n := p.Sent(); n > 64<<20 {
		t.Errorf("%d MiB were sent before the client hung up", n>>20)
	}
}

func TestANameThatIsNotFoundIsSaidAndAskedForAgain(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, _ := faulty(t, p, Config{})
	dns := &faultproxy.Resolver{Next: c.http.Transport}
	c.http.Transport = dns
	dns.Broken.Store(true)
	_, err := c.QueryRange(t.Context(), anything)
	oneLine(t, err, "host name is not known; check loki.url and the name server")
	dns.Broken.Store(false)
	if _, err := c.QueryRange(t.Context(), anything); err != nil || c.Health().State != sources.SourceUp {
		t.Errorf("error %v, health %+v", err, c.Health())
	}
}

func TestAClockTenMinutesOffIsSaidWithEveryAnswer(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, _ := faulty(t, p, Config{})
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		p.Set(faultproxy.ClockOff(off))
		list, err := c.QueryRange(t.Context(), anything)
		if err != nil || (list.Facts.Skew-off).Abs() > time.Minute || c.Health().Skew != list.Facts.Skew {
			t.Errorf("off by %s: skew %s, health %+v, error %v", off, list.Facts.Skew, c.Health(), err)
		}
	}
	p.Heal()
	if list, err := c.QueryRange(t.Context(), anything); err != nil || list.Facts.Skew != 0 || c.Health().Skew != 0 {
		t.Errorf("with its clock right again: %+v, %v", list.Facts, err)
	}
}

func TestWhatOneCallIsToldHoldsForAllCallsAndForTheTail(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, clock := faulty(t, p, Config{})
	p.Set(faultproxy.Status(429, "busy", "Retry-After", "86400"))
	if _, err := c.QueryRange(t.Context(), anything); err == nil {
		t.Fatal("no error")
	}
	for range 5 {
		_, err := c.Labels(t.Context(), anything.Since, anything.Until)
		oneLine(t, err, "429 Too Many Requests, it is asked again at", "raise its limits")
	}
	tl := &tail{c: c, query: `{job="a"}`, out: newOutbox(), seen: newMemory(overlap)}
	if _, err := tl.dial(t.Context()); err == nil || !strings.Contains(err.Error(), "it is asked again at") {
		t.Errorf("the tail: %v", err)
	}
	if n := p.Requests(); n != 1 {
		t.Errorf("a Loki that asked to be left alone got %d requests", n)
	}
	p.Heal()
	clock.Pass(5*time.Minute + 15*time.Second)
	if _, err := c.QueryRange(t.Context(), anything); err != nil || c.Health().State != sources.SourceUp {
		t.Errorf("after five minutes: %v, %+v", err, c.Health())
	}
}
