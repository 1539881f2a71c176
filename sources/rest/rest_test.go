package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"rollcall/sources"
	"rollcall/sources/redact"
)

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	r, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New("tempo", cfg, Options{Clock: clock, Redactor: r}, "/api")
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() } // nobody waits in a test
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func TestFaultsAreSaidInOneLineWithARemedy(t *testing.T) {
	for _, tc := range []struct {
		name  string
		serve http.HandlerFunc
		want  []string
		tries int32
	}{
		{"a web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>\x1b[31mlog in</html>")
		}, []string{"web page", "check tempo.url"}, 1},
		{"404 as a web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(404)
			_, _ = io.WriteString(w, "<h1>nginx</h1>")
		}, []string{"404", "its own address"}, 1},
		{"500 with colours and a secret", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "\x1b]0;owned\x07 password=hunter2\n"+strings.Repeat("x", 5000))
		}, []string{"500", "␛]0;owned", "<secret:1>", "in trouble"}, 2},
		{"429", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(429)
		}, []string{"429", "asks to wait 2"}, 2},
		{"429 with a wait that is too long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}, []string{"429", "3600"}, 1},
		{"no tenant", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "no org id\n")
		}, []string{"401", "no org id", "X-Scope-OrgID"}, 1},
		{"a wrong tenant", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, []string{"403", "tempo.http"}, 1},
		{"a question it refuses", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"error":{"httpCode":400,"message":"range exceeds 168h"}}`)
		}, []string{"400 Bad Request: range exceeds 168h"}, 1},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"traces":[`)
		}, []string{"broke off"}, 2},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"broke off"}, 2},
		{"an answer that says it is huge", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(1<<40))
			_, _ = w.Write(make([]byte, 1000))
		}, []string{"larger than 1 MiB", "tempo.max_body"}, 1},
		{"an answer that never ends", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, []string{"larger than 1 MiB"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tries atomic.Int32
			c := client(t, Config{MaxBody: 1 << 20, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				tc.serve(w, r)
			})})
			_, err := c.Get(t.Context(), "/api/x", nil, "application/json")
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not say %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\x1b\x07") || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 600 {
				t.Errorf("the error is %q", err)
			}
			if n := tries.Load(); n != tc.tries {
				t.Errorf("%d tries, want %d", n, tc.tries)
			}
			var e *Error
			asked := errors.As(err, &e) && !e.Unreachable()
			if h := c.Health(); asked != (h.State == sources.SourceUp) || !asked && h.Reason != err.Error() {
				t.Errorf("health %+v", h)
			}
		})
	}
}

func TestAServerThatIsDownOrHangsIsGivenUp(t *testing.T) {
	c := client(t, Config{URL: "http://127.0.0.1:1"})
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err == nil || !strings.Contains(err.Error(), "connection refused; is it running there? check tempo.url") {
		t.Errorf("down: %v", err)
	}
	hang := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c = client(t, Config{URL: hang, Timeout: sources.Duration(50 * time.Millisecond)})
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err == nil || !strings.Contains(err.Error(), "no answer in time") || c.Health().State != sources.SourceDown {
		t.Errorf("hanging: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c = client(t, Config{URL: hang})
	if _, err := c.Get(ctx, "/x", nil, "*/*"); err == nil || c.Health().State != sources.SourceUnknown {
		t.Errorf("cancelled by us: %v, %+v", err, c.Health())
	}
}

func TestItRecoversByItself(t *testing.T) {
	var bad atomic.Bool
	bad.Store(true)
	c := client(t, Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if bad.Load() {
			w.WriteHeader(503)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})})
	if _, err := c.Get(t.Context(), "/x", nil, "*/*"); err == nil || c.Health().State != sources.SourceDown {
		t.Fatalf("%v, %+v", err, c.Health())
	}
	bad.Store(false)
	if a, err := c.Get(t.Context(), "/x", nil, "*/*"); err != nil || string(a.Body) != "ok" || c.Health().State != sources.SourceUp || c.Health().Reason != "" {
		t.Errorf("%v, %+v", err, c.Health())
	}
}

func TestARequestCarriesWhatTheConfigurationSays(t *testing.T) {
	var got *http.Request
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	cfg := Config{URL: strings.Replace(url, "http://", "http://me:pw@", 1) + "/prefix/api/", Headers: map[string]string{"X-Scope-OrgID": "team-a"}, HTTP: config.DefaultHTTPClientConfig}
	c := client(t, cfg)
	if _, err := c.Get(t.Context(), "/api/search", map[string][]string{"q": {"{ a = \"b\" }"}}, "application/json"); err != nil {
		t.Fatal(err)
	}
	user, pass, _ := got.BasicAuth()
	if got.URL.Path != "/prefix/api/search" || got.URL.Query().Get("q") != `{ a = "b" }` || got.Header.Get("X-Scope-OrgID") != "team-a" || user+pass != "mepw" || got.Header.Get("Accept") != "application/json" {
		t.Errorf("asked %s %v", got.URL, got.Header)
	}
}

func TestAMissingThingIsNoFaultAndAMissingPathIs(t *testing.T) {
	c := client(t, Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/known" {
			http.Error(w, "trace not found", http.StatusNotFound)
			return
		}
		http.NotFound(w, r)
	})})
	a, err := c.Get(t.Context(), "/api/known", nil, "*/*")
	if err != nil || !a.Missing || c.Health().State != sources.SourceUp {
		t.Errorf("a missing trace: %+v, %v, %+v", a, err, c.Health())
	}
	a, err = c.Get(t.Context(), "/api/unknown", nil, "*/*")
	if err != nil || !a.NoRoute || c.Health().State != sources.SourceDown {
		t.Errorf("a missing path: %+v, %v, %+v", a, err, c.Health())
	}
}

func TestSettingsThatAreNoneAreNamed(t *testing.T) {
	clock, _ := sources.ClockConfig{}.Clock(nil)
	r, _ := redact.New(redact.Config{}, make([]byte, 32))
	for _, tc := range []struct{ url, want string }{
		{"", "tempo.url is empty"}, {"localhost:3200", "tempo.url"}, {"ftp://h", "needs a scheme"}, {"http://[", "is not a URL"},
	} {
		if _, err := New("tempo", Config{URL: tc.url}, Options{Clock: clock, Redactor: r}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v", tc.url, err)
		}
	}
	if _, err := New("tempo", Config{URL: "http://h", HTTP: config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: "/none.pem"}}}, Options{Clock: clock, Redactor: r}); err == nil || !strings.Contains(err.Error(), "tempo.http") {
		t.Errorf("a CA file that is missing: %v", err)
	}
}
