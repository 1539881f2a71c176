package jaeger

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
)

var traceID = sources.TraceID{0x2f, 0x3e, 15: 0x54}

// resourceSpans is what Jaeger 2 writes of one trace: OTLP JSON with IDs in hex.
func resourceSpans(id sources.TraceID, n int, attr, value string) string {
	var b strings.Builder
	b.WriteString(`{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"assistant"}}]},"scopeSpans":[{"scope":{},"spans":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		parent := ""
		if i > 0 {
			parent = `"parentSpanId":"00000000000000aa",`
		}
		fmt.Fprintf(&b, `{"traceId":"%s","spanId":"%016x",%s"name":"chat","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":%q,"value":{"stringValue":%q}},{"key":"gen_ai.input.messages","value":{"stringValue":"mail jane.doe@example.com"}}],"status":{"code":2}}`,
			id, 0xaa+i, parent, int64(id[0])*1e9+int64(i), int64(id[0])*1e9+1e6, attr, value)
	}
	b.WriteString(`]}]}`)
	return b.String()
}

func result(spans ...string) string {
	return `{"result":{"resourceSpans":[` + strings.Join(spans, ",") + `]}}`
}

// server is as much of Jaeger's query API as is needed; deaf as that of 2.13, which hears no attributes.
type server struct {
	deaf   bool
	traces map[sources.TraceID][2]string // the attribute that its spans carry

	mu    sync.Mutex
	asked []*url.URL
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL)
	s.mu.Unlock()
	q := r.URL.Query()
	none := func() {
		http.Error(w, `{"error":{"httpCode":404,"message":"No traces found"}}`, http.StatusNotFound)
	}
	switch {
	case r.URL.Path == "/api/v3/services":
		_, _ = io.WriteString(w, `{"services":["assistant"]}`)
	case strings.HasPrefix(r.URL.Path, "/api/v3/traces/"):
		id, _ := sources.ParseTraceID(strings.TrimPrefix(r.URL.Path, "/api/v3/traces/"))
		if a, ok := s.traces[id]; ok {
			_, _ = io.WriteString(w, result(resourceSpans(id, 2, a[0], a[1])))
			return
		}
		none()
	case r.URL.Path == "/api/v3/traces":
		if q.Get("query.start_time_min") == "" || q.Get("query.startTimeMin") == "" {
			http.Error(w, `{"error":{"httpCode":400,"message":"query.start_time_min is required"}}`, http.StatusBadRequest)
			return
		}
		var attrs map[string]string
		_ = json.Unmarshal([]byte(q.Get("query.attributes")), &attrs)
		var found []string
		for id, a := range s.traces {
			if v, has := attrs[a[0]]; s.deaf || len(attrs) == 0 || has && v == a[1] {
				found = append(found, resourceSpans(id, 2, a[0], a[1]))
			}
		}
		if len(found) == 0 {
			none()
			return
		}
		_, _ = io.WriteString(w, result(found...))
	case r.URL.Path == "/api/traces":
		var tags map[string]string
		_ = json.Unmarshal([]byte(q.Get("tags")), &tags)
		var data []map[string]string
		for id, a := range s.traces {
			if tags[a[0]] == a[1] && q.Get("service") != "" {
				data = append(data, map[string]string{"traceID": strings.TrimLeft(id.String(), "0")})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "errors": nil})
	default:
		http.NotFound(w, r)
	}
}

func client(t *testing.T, h http.Handler) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	r, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: s.URL + "/api/v3"}, Options{Clock: clock, Redactor: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestATraceIsReadByItsID(t *testing.T) {
	s := &server{traces: map[sources.TraceID][2]string{traceID: {"llmops.request.id", "r-1"}}}
	c := client(t, s)
	spans, facts, err := c.Trace(t.Context(), traceID)
	if err != nil || len(spans) != 2 || facts.Total != 2 || facts.Source != "jaeger" {
		t.Fatalf("%d spans, %+v: %v", len(spans), facts, err)
	}
	id, _ := spans[0].Attrs.Get("llmops.request.id")
	input, _ := spans[0].Attrs.Get("gen_ai.input.messages")
	if spans[0].TraceID != traceID || spans[1].Parent != spans[0].SpanID || !spans[0].Error || spans[0].Kind != "server" || spans[0].Resource.Service != "assistant" || id != "r-1" || input != "mail <email:1>" {
		t.Errorf("span %+v", spans[0])
	}
	if spans, _, err := c.Trace(t.Context(), sources.TraceID{1}); err != nil || len(spans) != 0 || c.Health().State != sources.SourceUp {
		t.Errorf("a trace that is not there: %d spans, %v, %+v", len(spans), err, c.Health())
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestATraceStreamedInPiecesIsReadWhole(t *testing.T) {
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, result(resourceSpans(traceID, 1, "a", "b"))+"\n"+result(resourceSpans(traceID, 2, "a", "b"))+"\n"+`{"result":{}}`)
	}))
	if spans, _, err := c.Trace(t.Context(), traceID); err != nil || len(spans) != 3 {
		t.Errorf("%d spans: %v", len(spans), err)
	}
}

func TestTracesAreFoundByAnyOfTheFields(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf to attributes: %v", deaf), func(t *testing.T) {
			s := &server{deaf: deaf, traces: map[sources.TraceID][2]string{
				traceID:             {"litellm.call_id", "c-1"},
				{0x30, 15: 1}:       {"litellm.call_id", "c-2"},
				{0x31, 15: 1}:       {"llmops.request.id", "other"},
				{0, 0, 0, 0, 15: 7}: {"x-request-id", "short-id"},
			}}
			c := client(t, s)
			find := func(value string) sources.TraceList {
				t.Helper()
				list, err := c.Find(t.Context(), sources.TraceQuery{
					Service: "assistant", Fields: []string{"llmops.request.id", "litellm.call_id", "x-request-id", "gen_ai.response.id"}, Value: value,
					Since: time.Unix(0, 0), Until: time.Unix(1000, 0), Limit: 3,
				})
				if err != nil {
					t.Fatal(err)
				}
				return list
			}
			if l := find("c-1"); len(l.Traces) != 1 || l.Traces[0][0].TraceID != traceID || len(l.Traces[0]) != 2 {
				t.Errorf("found %+v", l)
			}
			if l := find("short-id"); len(l.Traces) != 1 || l.Traces[0][0].TraceID != (sources.TraceID{15: 7}) {
				t.Errorf("found %+v", l)
			}
			if l := find("nowhere"); len(l.Traces) != 0 {
				t.Errorf("found %+v", l)
			}
		})
	}
}

func TestASearchWithoutFieldsGivesTheNewestTraces(t *testing.T) {
	s := &server{traces: map[sources.TraceID][2]string{{1, 15: 1}: {"error", "true"}, {2, 15: 1}: {"error", "true"}, {3, 15: 1}: {"x", "y"}}}
	list, err := client(t, s).Find(t.Context(), sources.TraceQuery{Service: "assistant", Failed: true, Since: time.Unix(0, 0), Until: time.Unix(1000, 0), Limit: 2})
	if err != nil || len(list.Traces) != 2 || list.Traces[0][0].TraceID[0] != 2 || list.Facts.Total != -1 {
		t.Fatalf("%+v: %v", list, err)
	}
	q := s.asked[0].Query()
	if q.Get("query.serviceName") != "assistant" || q.Get("query.service_name") != "assistant" || q.Get("query.num_traces") != "2" || q.Get("query.startTimeMax") != "1970-01-01T00:16:40Z" {
		t.Errorf("asked %v", q)
	}
}

func TestAnswersThatAreNoneAreExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"no such API": {http.NotFound, "check that jaeger.url"},
		"its own web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, "web page"},
		"half a JSON": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, result(resourceSpans(traceID, 1, "a", "b"))[:90])
		}, "cannot be read"},
		"a late error": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, result(resourceSpans(traceID, 1, "a", "b"))+`{"error":{"message":"storage \u001b[2J went away"}}`)
		}, "storage ␛[2J went away"},
		"no OTLP":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"result":[1,2]}`) }, "cannot be read"},
		"a wrong tenant": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "jaeger.headers"},
		"500": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":{"httpCode":500,"message":"boom"}}`, 500)
		}, "500 Internal Server Error: boom"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, tc.serve)
			_, _, err := c.Trace(t.Context(), traceID)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.ContainsAny(err.Error(), "\n\x1b") || c.Health().State != sources.SourceDown {
				t.Errorf("%v, %+v", err, c.Health())
			}
			if _, err := c.Find(t.Context(), sources.TraceQuery{Fields: []string{"a", "b"}, Value: "x", Since: time.Unix(0, 0), Until: time.Unix(9, 0)}); err == nil {
				t.Error("a search says nothing")
			}
		})
	}
}

// A Jaeger that cannot search for failed traces is looked through as far as one answer
// goes, and that is said.
func TestWhatCannotBeSearchedForIsLookedThroughAndSaidSo(t *testing.T) {
	newest := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/traces" {
				_, _ = io.WriteString(w, `{"data":[]}`)
				return
			}
			limit, _ := strconv.Atoi(r.URL.Query().Get("query.num_traces"))
			var spans []string
			for i := range min(n, limit) {
				one := resourceSpans(sources.TraceID{byte(i + 1), 15: 1}, 1, "a", "b")
				if i%10 != 0 {
					one = strings.Replace(one, `"status":{"code":2}`, `"status":{}`, 1)
				}
				spans = append(spans, one)
			}
			_, _ = io.WriteString(w, result(spans...))
		}
	}
	for _, tc := range []struct {
		traces, limit, want, total int
		partial                    string
	}{
		{30, 20, 3, 3, ""},
		{500, 20, 5, -1, "failed ones among the newest 50 traces"},
		{500, 4, 4, -1, ""},
	} {
		list, err := client(t, newest(tc.traces)).Find(t.Context(), sources.TraceQuery{Service: "assistant", Failed: true, Since: time.Unix(0, 0), Until: time.Unix(1000, 0), Limit: tc.limit})
		if err != nil || len(list.Traces) != tc.want || list.Facts.Shown != tc.want || list.Facts.Total != tc.total || !strings.Contains(list.Facts.Partial, tc.partial) || tc.partial == "" && list.Facts.Partial != "" {
			t.Errorf("of %d traces %d, %+v: %v", tc.traces, len(list.Traces), list.Facts, err)
		}
	}
}

func TestWhereNoServiceIsNamedAFewAreAskedAndTheRestIsSaid(t *testing.T) {
	var names []string
	for i := range maxAsked + 8 {
		names = append(names, fmt.Sprint("service-", i))
	}
	var asked sync.Map
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v3/services":
			_ = json.NewEncoder(w).Encode(map[string]any{"services": names})
		case r.URL.Path == "/api/traces":
			service := r.URL.Query().Get("service")
			asked.Store(service, true)
			data := []map[string]string{}
			if service == "service-3" || service == "service-4" { // one trace of both
				data = append(data, map[string]string{"traceID": traceID.String()})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
		case r.URL.Path == "/api/v3/traces/"+traceID.String():
			_, _ = io.WriteString(w, result(resourceSpans(traceID, 1, "id", "r-1")))
		default: // deaf: any trace
			_, _ = io.WriteString(w, result(resourceSpans(sources.TraceID{9, 15: 9}, 1, "id", "other")))
		}
	}))
	list, err := c.Find(t.Context(), sources.TraceQuery{Fields: []string{"id"}, Value: "r-1", Since: time.Unix(0, 0), Until: time.Unix(1000, 0), Limit: 3})
	if err != nil || len(list.Traces) != 1 || list.Traces[0][0].TraceID != traceID || list.Facts.Partial != "8 services were not asked for; name one" {
		t.Errorf("found %d, %+v: %v", len(list.Traces), list.Facts, err)
	}
	n := 0
	asked.Range(func(any, any) bool { n++; return true })
	if n != maxAsked {
		t.Errorf("%d services asked", n)
	}
}
