package pin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// holder is a server that holds one version, as the API of a deployment does.
type holder struct {
	mu       sync.Mutex
	version  string
	revision int
	puts     int
	// before is asked first; true: it has answered.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Method == http.MethodPut {
		h.puts++
	}
	if h.before != nil && h.before(w, r) {
		return
	}
	tag := fmt.Sprintf(`"r%d"`, h.revision)
	if strings.HasSuffix(r.URL.Path, "/versions") {
		fmt.Fprint(w, `{"last_good":"v13","versions":["v12",{"version":"v13","note":"calm\u001b[2J","good":true},{"version":"v14"},{"version":"\u001bx"}]}`)
		return
	}
	if r.Method == http.MethodPut {
		if r.Header.Get("If-Match") != tag {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		h.put(r)
	}
	w.Header().Set("ETag", fmt.Sprintf(`"r%d"`, h.revision))
	_ = json.NewEncoder(w).Encode(map[string]string{"version": h.version})
}

func (h *holder) put(r *http.Request) {
	var in struct{ Version string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	h.version, h.revision = in.Version, h.revision+1
}

func (h *holder) live() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version
}

// onPut answers only writes.
func onPut(f func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			f(w, r)
			return true
		}
		return false
	}
}

func serve(t *testing.T, h http.Handler) *httpDriver {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return dial(t, srv.URL, 30*time.Second)
}

func dial(t *testing.T, url string, timeout time.Duration) *httpDriver {
	t.Helper()
	e, err := newEndpoint("prompt", Endpoint{URL: url}, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	return &httpDriver{e, versionOf("prompt"), 100 * time.Millisecond}
}

// oneLine checks what every error must be: one harmless line.
func oneLine(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.ContainsAny(err.Error(), "\n\r\x1b\u009b") || strings.Contains(err.Error(), "%!")) {
		t.Errorf("the error is not one harmless line: %q", err)
	}
}

func is(t *testing.T, err, want error, says ...string) {
	t.Helper()
	oneLine(t, err)
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v; want %v", err, want)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

func TestAPinOverHTTPMovesFromTheExpectedVersion(t *testing.T) {
	h := &holder{version: "v14"}
	d := serve(t, h)
	if v, err := d.Get(t.Context()); v != "v14" || err != nil {
		t.Fatalf("Get gave %q, %v", v, err)
	}
	if err := d.Set(t.Context(), "v13", "v14"); err != nil || h.live() != "v13" {
		t.Fatalf("Set gave %v and left %s", err, h.live())
	}
	err := d.Set(t.Context(), "v12", "v14")
	is(t, err, ErrMoved)
	if got := err.Error(); got != "prompt is v13 now, not v14: somebody else moved it, nothing was changed; ask who before going on" {
		t.Errorf("the refusal reads %q", got)
	}
	if h.puts != 1 {
		t.Errorf("%d writes were sent; a version that is not the expected one needs none", h.puts)
	}
}

func TestAPinThatMovesBetweenLookAndMoveStaysWhereItIs(t *testing.T) {
	h := &holder{version: "v14"}
	h.before = onPut(func(w http.ResponseWriter, _ *http.Request) {
		h.version, h.revision, h.before = "v15", h.revision+1, nil
		w.WriteHeader(http.StatusPreconditionFailed)
	})
	d := serve(t, h)
	is(t, d.Set(t.Context(), "v13", "v14"), ErrMoved, "prompt is v15 now, not v14")
	// There and back again is a move too.
	h.before = onPut(func(w http.ResponseWriter, _ *http.Request) {
		h.revision, h.before = h.revision+2, nil
		w.WriteHeader(http.StatusConflict)
	})
	is(t, d.Set(t.Context(), "v13", "v15"), ErrMoved, "is v15 again")
	if h.live() != "v15" {
		t.Errorf("the pin is %s", h.live())
	}
}

func TestOfManyWhoMoveAPinOverHTTPExactlyOneSucceeds(t *testing.T) {
	h := &holder{version: "v0"}
	d := serve(t, h)
	won := race(t, func(v string) error { return d.Set(t.Context(), v, "v0") })
	if h.live() != won {
		t.Errorf("%s won and %s is live", won, h.live())
	}
}

// race lets sixteen move at once and returns the version of the one that succeeded.
func race(t *testing.T, set func(version string) error) string {
	t.Helper()
	const many = 16
	errs := make([]error, many)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() { errs[i] = set(fmt.Sprintf("v%d", i+1)) })
	}
	wg.Wait()
	won := ""
	for i, err := range errs {
		switch {
		case err == nil && won == "":
			won = fmt.Sprintf("v%d", i+1)
		case err == nil:
			t.Errorf("v%d succeeded too", i+1)
		default:
			is(t, err, ErrMoved)
		}
	}
	if won == "" {
		t.Fatal("nobody succeeded")
	}
	return won
}

func TestWithoutAnAnswerNobodyClaimsToKnow(t *testing.T) {
	hijack := func(w http.ResponseWriter, write string) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = buf.WriteString(write)
		_ = buf.Flush()
		_ = conn.Close()
	}
	for _, tc := range []struct {
		name  string
		moves bool
		say   func(w http.ResponseWriter, r *http.Request)
		live  string
	}{
		{"the connection closes before it happened", false, func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }, "v14 is live now"},
		{"the connection closes after it happened", true, func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }, "v13 is live now"},
		{"half a status line", true, func(w http.ResponseWriter, _ *http.Request) { hijack(w, "HTTP/1.1 2") }, "v13 is live now"},
		{"an error of the server", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "v14 is live now"},
		{"a gateway that gave up", true, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(504)
			fmt.Fprint(w, `{"error":"upstream \u001b[31mtimed out"}`)
		}, "v13 is live now"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &holder{version: "v14"}
			h.before = onPut(func(w http.ResponseWriter, r *http.Request) {
				if tc.moves {
					h.put(r)
				}
				tc.say(w, r)
			})
			is(t, serve(t, h).Set(t.Context(), "v13", "v14"), ErrUncertain, "may or may not have moved to v13", tc.live)
			if h.puts != 1 {
				t.Errorf("the write was sent %d times", h.puts)
			}
		})
	}
}

func TestAWriteThatHangsIsUncertainAndNotRepeated(t *testing.T) {
	release := make(chan struct{})
	puts := make(chan struct{}, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			puts <- struct{}{}
			<-release
			return
		}
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, `{"version":"v14"}`)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(release) })
	d := dial(t, srv.URL, 2*time.Second)
	is(t, d.Set(t.Context(), "v13", "v14"), ErrUncertain, "no answer within 2s", "v14 is live now")
	if len(puts) != 1 {
		t.Errorf("the write was sent %d times", len(puts))
	}
}

func TestAMoveThatDoesNotShowIsUncertain(t *testing.T) {
	h := &holder{version: "v14"}
	h.before = onPut(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version":"v13"}`) })
	is(t, serve(t, h).Set(t.Context(), "v13", "v14"), ErrUncertain, "accepted, but v14 is still live")
}

func TestAnAcceptedMoveMayTakeAMomentToShow(t *testing.T) {
	h := &holder{version: "v14"}
	reads := 0
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			reads = 0
			return false
		}
		reads++
		if h.puts == 1 && reads < 3 {
			fmt.Fprint(w, `{"version":"v14"}`)
			return true
		}
		return false
	}
	d := serve(t, h)
	d.patience = time.Minute
	if err := d.Set(t.Context(), "v13", "v14"); err != nil {
		t.Error(err)
	}
}

func TestAVersionThatSomebodyMovesRightAfterIsNotASuccess(t *testing.T) {
	h := &holder{version: "v14"}
	h.before = onPut(func(w http.ResponseWriter, r *http.Request) {
		h.put(r)
		h.version = "v15"
		fmt.Fprint(w, `{"version":"v13"}`)
	})
	is(t, serve(t, h).Set(t.Context(), "v13", "v14"), ErrMoved, "prompt was moved to v13 and is v15 now")
}

func TestOneLineSaysWhatIsWrongWithAnEndpoint(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	status := func(code int, s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); _, _ = io.WriteString(w, s) }
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		kind   error
		says   string
	}{
		{"a web page", text("<html>"), ErrUnreachable, "the answer is no JSON"},
		{"nothing", text(""), ErrUnreachable, "the answer is no JSON"},
		{"half an object", text(`{"version": "v1`), ErrUnreachable, "the answer is no JSON"},
		{"a number", text(`{"version": 14}`), ErrUnreachable, "its version is no text"},
		{"a list", text(`[]`), ErrUnreachable, "of another shape, it is a array"},
		{"no version", text(`{"name": "v14"}`), ErrUnreachable, "its version is missing"},
		{"a version that drives the terminal", text(`{"version":"\u001b]0;pwned\u0007"}`), ErrUnreachable, "holds control characters: ␛]0;pwned␇"},
		{"a version that reads backwards", text(`{"version":"v\u202e31"}`), ErrUnreachable, "control characters: v<U+202E>31"},
		{"an option", text(`{"version":"--force"}`), ErrUnreachable, "begins with a dash"},
		{"a sentence", text(`{"version":"v1 v2"}`), ErrUnreachable, "holds a space"},
		{"too much", text(`{"version":"` + strings.Repeat("x", maxBody) + `"}`), ErrUnreachable, "larger than 1048576 bytes"},
		{"500", status(500, `{"error":"disk\u001b[2J full"}`), ErrUnreachable, "500 Internal Server Error: disk␛[2J full"},
		{"404", status(404, "no"), ErrUnknown, "prompt is not known at http://127.0.0.1:"},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"version":"v14"}`)
		}, ErrUnreachable, "the answer broke off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := serve(t, tc.answer).Get(t.Context())
			is(t, err, tc.kind, tc.says)
		})
	}
	t.Run("401", func(t *testing.T) {
		_, err := serve(t, status(401, "")).Get(t.Context())
		if err == nil || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "may not be read") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		srv := httptest.NewServer(text(""))
		srv.Close()
		d := dial(t, srv.URL, 30*time.Second)
		_, err := d.Get(t.Context())
		is(t, err, ErrUnreachable, "connection refused")
		is(t, d.Set(t.Context(), "v13", "v14"), ErrUnreachable)
	})
	t.Run("no ETag", func(t *testing.T) {
		err := serve(t, text(`{"version":"v14"}`)).Set(t.Context(), "v13", "v14")
		if err == nil || !strings.Contains(err.Error(), "gives no ETag") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no such version", func(t *testing.T) {
		h := &holder{version: "v14"}
		h.before = onPut(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(422)
			fmt.Fprint(w, `{"error":"known are v13, v14"}`)
		})
		is(t, serve(t, h).Set(t.Context(), "v77", "v14"), ErrUnknown, "known are v13, v14")
	})
	t.Run("a redirect", func(t *testing.T) {
		other := &holder{version: "v14"}
		elsewhere := httptest.NewServer(other)
		t.Cleanup(elsewhere.Close)
		h := &holder{version: "v14"}
		h.before = onPut(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		})
		err := serve(t, h).Set(t.Context(), "v13", "v14")
		oneLine(t, err)
		if err == nil || !strings.Contains(err.Error(), "307") || other.puts != 0 {
			t.Errorf("a write must not be carried elsewhere: %v, %d writes there", err, other.puts)
		}
	})
}

func TestTheVersionsOfAnEndpointAreListedWithoutWhatCouldNotBeSet(t *testing.T) {
	list, err := serve(t, &holder{version: "v14"}).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", list)
	want := fmt.Sprintf("%+v", []Version{{Name: "v12"}, {Name: "v13", Good: true, LastGood: true, Note: "calm␛[2J"}, {Name: "v14", Live: true}})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = serve(t, http.NotFoundHandler()).List(t.Context())
	is(t, err, ErrUnknown, "there is no http://")
}

func TestAStoppedCommandLeavesNoRequestBehind(t *testing.T) {
	h := &holder{version: "v14"}
	ctx, cancel := context.WithCancel(t.Context())
	h.before = onPut(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client left
		cancel()
		<-r.Context().Done()
	})
	is(t, serve(t, h).Set(ctx, "v13", "v14"), ErrUncertain)
}
