package tracetest

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// export sends spans as an exporter does.
func (q *suite) export(t *testing.T, td ptrace.Traces) {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, q.OTLP+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", resp.Status, said)
	}
}

// Store is what a server of the tests' own keeps: traces by ID, in the order of their arrival.
type Store struct {
	mu   sync.Mutex
	ids  []pcommon.TraceID
	byID map[pcommon.TraceID]ptrace.Traces
}

// ServeHTTP takes OTLP over HTTP.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	req := ptraceotlp.NewExportRequest()
	if err == nil {
		err = req.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[pcommon.TraceID]ptrace.Traces{}
	}
	for _, rs := range req.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				id := span.TraceID()
				td, ok := s.byID[id]
				if !ok {
					td = ptrace.NewTraces()
					s.byID[id] = td
					s.ids = append(s.ids, id)
				}
				to := td.ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(to.Resource())
				span.CopyTo(to.ScopeSpans().AppendEmpty().Spans().AppendEmpty())
			}
		}
	}
}

// Trace returns a copy of one trace.
func (s *Store) Trace(id pcommon.TraceID) (ptrace.Traces, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := ptrace.NewTraces()
	td, ok := s.byID[id]
	if ok {
		td.CopyTo(out)
	}
	return out, ok
}

// Find returns the IDs of at most limit traces with a span that fits, the last to arrive first.
func (s *Store) Find(limit int, fits func(service string, span ptrace.Span) bool) []pcommon.TraceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []pcommon.TraceID
	for i := len(s.ids) - 1; i >= 0 && len(out) < limit; i-- {
		if holds(s.byID[s.ids[i]], fits) {
			out = append(out, s.ids[i])
		}
	}
	return out
}

// Services are the names of those that sent something.
func (s *Store) Services() []string {
	seen := map[string]bool{}
	out := []string{}
	s.Find(math.MaxInt, func(service string, _ ptrace.Span) bool {
		if !seen[service] {
			seen[service] = true
			out = append(out, service)
		}
		return false
	})
	return out
}

func holds(td ptrace.Traces, fits func(string, ptrace.Span) bool) bool {
	for _, rs := range td.ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				if fits(service.AsString(), span) {
					return true
				}
			}
		}
	}
	return false
}
