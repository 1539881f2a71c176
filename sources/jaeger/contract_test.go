package jaeger

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/sources"
	"rollcall/sources/otlp/tracetest"
)

// ROLLCALL_JAEGER_URL and ROLLCALL_JAEGER_OTLP point the contract at a Jaeger that
// runs; make integration does so with the one that it builds.
func TestContractOfJaeger(t *testing.T) {
	if at := os.Getenv("ROLLCALL_JAEGER_URL"); at != "" {
		tracetest.Run(t, tracetest.Server{Backend: contractClient(t, at), Name: "jaeger", OTLP: os.Getenv("ROLLCALL_JAEGER_OTLP")})
		return
	}
	for name, deaf := range map[string]bool{"as 2.13, which hears no attributes": true, "as its documentation says": false} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(fake(deaf))
			t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
			tracetest.Run(t, tracetest.Server{Backend: contractClient(t, s.URL), Name: "jaeger", OTLP: s.URL})
		})
	}
}

func contractClient(t *testing.T, at string) *Client {
	t.Helper()
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: at}, Options{Clock: clock, Redactor: tracetest.Redactor(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fake is as much of Jaeger as the contract needs, with the manners of the real one:
// the same errors, and an adjustment of times for whoever does not ask for raw traces.
func fake(deaf bool) http.Handler {
	store := &tracetest.Store{}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/traces", store)
	none := func(w http.ResponseWriter) {
		http.Error(w, `{"error":{"httpCode":404,"message":"No traces found"}}`, http.StatusNotFound)
	}
	give := func(w http.ResponseWriter, raw bool, ids ...pcommon.TraceID) {
		all := ptrace.NewTraces()
		for _, id := range ids {
			if td, ok := store.Trace(id); ok {
				if !raw {
					adjust(td)
				}
				td.ResourceSpans().MoveAndAppendTo(all.ResourceSpans())
			}
		}
		if all.SpanCount() == 0 {
			none(w)
			return
		}
		body, err := (&ptrace.JSONMarshaler{}).MarshalTraces(all)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"result":`+string(body)+`}`)
	}
	mux.HandleFunc("GET /api/v3/services", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"services": store.Services()})
	})
	mux.HandleFunc("GET /api/v3/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, ok := sources.ParseTraceID(r.PathValue("id"))
		if !ok {
			http.Error(w, `{"error":{"httpCode":400,"message":"malformed parameter trace_id"}}`, http.StatusBadRequest)
			return
		}
		give(w, r.URL.Query().Get("raw_traces") == "true", pcommon.TraceID(id))
	})
	mux.HandleFunc("GET /api/v3/traces", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		since, err := time.Parse(time.RFC3339Nano, q.Get("query.start_time_min"))
		until, err2 := time.Parse(time.RFC3339Nano, q.Get("query.start_time_max"))
		limit, err3 := strconv.Atoi(q.Get("query.num_traces"))
		if err != nil || err2 != nil || err3 != nil {
			http.Error(w, `{"error":{"httpCode":400,"message":"query.start_time_min and query.start_time_max are required"}}`, http.StatusBadRequest)
			return
		}
		var attrs map[string]string
		if !deaf {
			_ = json.Unmarshal([]byte(q.Get("query.attributes")), &attrs)
		}
		give(w, q.Get("query.raw_traces") == "true", store.Find(limit, fitting(q.Get("query.service_name"), attrs, since, until, false))...)
	})
	mux.HandleFunc("GET /api/traces", func(w http.ResponseWriter, r *http.Request) {
		tagged(w, r.URL.Query(), store)
	})
	return mux
}

func tagged(w http.ResponseWriter, q url.Values, store *tracetest.Store) {
	if q.Get("service") == "" {
		http.Error(w, `{"data":null,"errors":[{"code":400,"msg":"parameter 'service' is required"}]}`, http.StatusBadRequest)
		return
	}
	var tags map[string]string
	if json.Unmarshal([]byte(q.Get("tags")), &tags) != nil {
		http.Error(w, `{"data":null,"errors":[{"code":400,"msg":"malformed 'tags' parameter"}]}`, http.StatusBadRequest)
		return
	}
	micros := func(key string) time.Time {
		n, _ := strconv.ParseInt(q.Get(key), 10, 64)
		return time.UnixMicro(n)
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	data := []map[string]string{}
	for _, id := range store.Find(limit, fitting(q.Get("service"), tags, micros("start"), micros("end"), true)) {
		data = append(data, map[string]string{"traceID": strings.TrimLeft(id.String(), "0")})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "errors": nil})
}

// fitting is how its memory searches. With opposite, it takes the text "true" of the
// tag error for no truth, and finds what went well.
func fitting(service string, attrs map[string]string, since, until time.Time, opposite bool) func(string, ptrace.Span) bool {
	return func(of string, s ptrace.Span) bool {
		at := s.StartTimestamp().AsTime()
		if service != "" && of != service || at.Before(since) || at.After(until) {
			return false
		}
		for k, want := range attrs {
			if k == "error" {
				if code := s.Status().Code(); opposite && code != ptrace.StatusCodeOk || !opposite && code != ptrace.StatusCodeError {
					return false
				}
				continue
			}
			if v, ok := s.Attributes().Get(k); !ok || v.AsString() != want {
				return false
			}
		}
		return true
	}
}

// adjust makes a child begin with its parent, and says so.
func adjust(td ptrace.Traces) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				if !s.ParentSpanID().IsEmpty() {
					s.Attributes().PutEmptySlice("@jaeger@warnings").AppendEmpty().SetStr("clock skew adjustment disabled; not applying calculated delta of 5s")
				}
			}
		}
	}
}
