package tempo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/sources"
	"rollcall/sources/otlp/tracetest"
)

// ROLLCALL_TEMPO_URL and ROLLCALL_TEMPO_OTLP point the contract at a Tempo of yours.
func TestContractOfTempo(t *testing.T) {
	at, send := os.Getenv("ROLLCALL_TEMPO_URL"), os.Getenv("ROLLCALL_TEMPO_OTLP")
	if at == "" {
		s := httptest.NewServer(fake())
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		at, send = s.URL, s.URL
	}
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: at}, Options{Clock: clock, Redactor: tracetest.Redactor(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	tracetest.Run(t, tracetest.Server{Backend: c, Name: "tempo", OTLP: send})
}

// fake is as much of Tempo as the contract needs.
func fake() http.Handler {
	store := &tracetest.Store{}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/traces", store)
	mux.HandleFunc("GET /api/v2/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, _ := sources.ParseTraceID(r.PathValue("id"))
		td, ok := store.Trace(pcommon.TraceID(id))
		if !ok {
			http.Error(w, "trace not found", http.StatusNotFound)
			return
		}
		body, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", protobuf)
		_, _ = w.Write(wrap(body, 0, ""))
	})
	mux.HandleFunc("GET /api/search", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		seconds := func(key string) time.Time {
			n, _ := strconv.ParseInt(q.Get(key), 10, 64)
			return time.Unix(n, 0)
		}
		fits, err := parse(q.Get("q"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		limit, _ := strconv.Atoi(q.Get("limit"))
		found := []map[string]string{}
		for _, id := range store.Find(limit, func(service string, s ptrace.Span) bool {
			at := s.StartTimestamp().AsTime()
			return !at.Before(seconds("start")) && at.Before(seconds("end")) && fits(service, s)
		}) {
			td, _ := store.Trace(id)
			first := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
			found = append(found, map[string]string{"traceID": id.String(), "startTimeUnixNano": strconv.FormatInt(int64(first.StartTimestamp()), 10)})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"traces": found, "metrics": map[string]int{}})
	})
	return mux
}

var token = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|&&|\|\||[{}()=]|[a-zA-Z_][\w.]*)`)

// parse reads the TraceQL that the client writes: terms joined by && and || with
// parentheses, each an attribute, or the status, that equals something.
func parse(text string) (func(service string, s ptrace.Span) bool, error) {
	var tokens []string
	for len(text) > 0 {
		m := token.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("parse error at %q", text)
		}
		tokens, text = append(tokens, m[1]), text[len(m[0]):]
		// span."x-y" is one name.
		if n := len(tokens); n > 1 && tokens[n-2] == "span." {
			tokens = append(tokens[:n-2], "span."+unquoted(tokens[n-1]))
		}
		if len(text) > 0 && text == " " {
			break
		}
	}
	return expression(tokens)
}

func unquoted(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

type fits = func(service string, s ptrace.Span) bool

func expression(tokens []string) (fits, error) {
	at := 0
	next := func() string {
		if at == len(tokens) {
			return ""
		}
		at++
		return tokens[at-1]
	}
	var either func() (fits, error)
	term := func() (fits, error) {
		name := next()
		if name == "(" {
			f, err := either()
			if err == nil && next() != ")" {
				err = fmt.Errorf("parse error: no closing parenthesis")
			}
			return f, err
		}
		if next() != "=" {
			return nil, fmt.Errorf("parse error after %s", name)
		}
		want := unquoted(next())
		switch {
		case name == "status" && want == "error":
			return func(_ string, s ptrace.Span) bool { return s.Status().Code() == ptrace.StatusCodeError }, nil
		case name == "resource.service.name":
			return func(service string, _ ptrace.Span) bool { return service == want }, nil
		case len(name) > 5 && name[:5] == "span.":
			return func(_ string, s ptrace.Span) bool {
				v, ok := s.Attributes().Get(name[5:])
				return ok && v.AsString() == want
			}, nil
		}
		return nil, fmt.Errorf("parse error: %s", name)
	}
	all := func() (fits, error) {
		f, err := term()
		for err == nil && at < len(tokens) && tokens[at] == "&&" {
			next()
			var g fits
			f0 := f
			g, err = term()
			f = func(service string, s ptrace.Span) bool { return f0(service, s) && g(service, s) }
		}
		return f, err
	}
	either = func() (fits, error) {
		f, err := all()
		for err == nil && at < len(tokens) && tokens[at] == "||" {
			next()
			var g fits
			f0 := f
			g, err = all()
			f = func(service string, s ptrace.Span) bool { return f0(service, s) || g(service, s) }
		}
		return f, err
	}
	if next() != "{" {
		return nil, fmt.Errorf("parse error: no selector")
	}
	if at < len(tokens) && tokens[at] == "}" {
		return func(string, ptrace.Span) bool { return true }, nil
	}
	f, err := either()
	if err == nil && next() != "}" {
		err = fmt.Errorf("parse error: no end of the selector")
	}
	return f, err
}
