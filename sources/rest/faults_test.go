package rest

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
	_, _ = io.WriteString(w, `{"traces":[{"traceID":"2f3e0cee77ae5dc9c17ade3689eb2e54"}]}`)
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
	c.opts.Clock, c.wait = clock, clock.Wait
	return c, clock
}

func TestAFaultIsSaidInOneLineAndLeftBehindWhenItEnds(t *testing.T) {
	const short, patient = 300 * time.Millisecond, time.Minute
	for _, tc := range []struct {
		fault faultproxy.Fault
		says  string
		tls   bool
	}{
		{faultproxy.Refused(), "connection refused; is it running there?", false},
		{faultproxy.Down(), "broke off; try again", false},
		{faultproxy.Hanging(), "no answer in time; look at its load", false},
		{faultproxy.Slow(), "no answer in time; look at its load", false},
		{faultproxy.CutShort(), "broke off; try again", false},
		{faultproxy.Page(), "answered a web page, not its API; check tempo.url", false},
		{faultproxy.ErrorPage(502), "502 Bad Gateway; it or a proxy before it is in trouble", false},
		{faultproxy.Status(500, "out of memory"), "500 Internal Server Error: out of memory", false},
		{faultproxy.Status(401, "no org id"), "X-Scope-OrgID", false},
		{faultproxy.Status(403, "wrong tenant"), "X-Scope-OrgID", false},
		{faultproxy.Status(429, "slow down"), "429 Too Many Requests", false},
		{faultproxy.Status(429, "slow down", "Retry-After", "120"), "it asks to wait 120", false},
		{faultproxy.Status(503, "starting"), "503 Service Unavailable", false},
		{faultproxy.Gigabyte(`{"traces":[`), "larger than 1 MiB; raise tempo.max_body", false},
		{faultproxy.Expired(), "certificate not valid", true},
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
			_, err := c.Get(t.Context(), "/x", nil, "*/*")
			var e *Error
			if !errors.As(err, &e) || !e.Unreachable() || !strings.Contains(e.Text, tc.says) || !strings.Contains(e.Text, p.URL) {
				t.Fatalf("error %v; want %q in it", err, tc.says)
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
		a, err := c.Get(t.Context(), "/x", nil, "*/*")
		if err == nil {
			return a.Fetched
		}
		if time.Now().After(deadline) {
			t.Fatalf("the backend is well and the client still says %v", err)
		}
	}
}

func TestAGigabyteIsNeitherReadNorHeld(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	p.Set(faultproxy.Gigabyte(`{"traces":[`))
	c, _ := faulty(t, p, Config{MaxBody: 4 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err == nil {
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
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, _ := faulty(t, p, Config{})
	dns := &faultproxy.Resolver{Next: c.http.Transport}
	c.http.Transport = dns
	dns.Broken.Store(true)
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err == nil || !strings.Contains(err.Error(), "host name is not known; check tempo.url and the name server") {
		t.Errorf("error %v", err)
	}
	dns.Broken.Store(false)
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err != nil || c.Health().State != sources.SourceUp {
		t.Errorf("error %v, health %+v", err, c.Health())
	}
}

func TestAClockTenMinutesOffIsSaidWithEveryAnswer(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, _ := faulty(t, p, Config{})
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		p.Set(faultproxy.ClockOff(off))
		a, err := c.Get(t.Context(), "/x", nil, "*/*")
		if err != nil || (c.Facts(a).Skew-off).Abs() > time.Minute || c.Health().Skew != a.Skew {
			t.Errorf("off by %s: skew %s, health %+v, error %v", off, a.Skew, c.Health(), err)
		}
	}
	p.Heal()
	if a, err := c.Get(t.Context(), "/x", nil, "*/*"); err != nil || a.Skew != 0 || c.Health().Skew != 0 {
		t.Errorf("with its clock right again: %s, %v", a.Skew, err)
	}
}

func TestWhatOneCallIsToldHoldsForAllCalls(t *testing.T) {
	p := faultproxy.New(t, http.HandlerFunc(healthy))
	c, clock := faulty(t, p, Config{})
	p.Set(faultproxy.Status(503, "busy", "Retry-After", "86400"))
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err == nil {
		t.Fatal("no error")
	}
	for range 5 {
		if _, err := c.Get(t.Context(), "/y", nil, "*/*"); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable, it is asked again at") {
			t.Fatalf("error %v", err)
		}
	}
	if n := p.Requests(); n != 1 {
		t.Errorf("a backend that asked to be left alone got %d requests", n)
	}
	p.Heal()
	clock.Pass(5*time.Minute + 15*time.Second)
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err != nil || c.Health().State != sources.SourceUp {
		t.Errorf("after five minutes: %v, %+v", err, c.Health())
	}
}
