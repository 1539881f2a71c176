package logapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// t0 is the time of the first test line; the clock of test servers stands an hour later.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testServer is a log server behind HTTP.
type testServer struct {
	*Server
	url string
}

func start(t testing.TB, opts Options) *testServer {
	t.Helper()
	s := New(func() time.Time { return t0.Add(time.Hour) }, opts)
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	t.Cleanup(s.Close)
	return &testServer{s, srv.URL}
}

type reply struct {
	code   int
	header http.Header
	body   string
}

func (s *testServer) do(t testing.TB, method, path string, header map[string]string, body []byte) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

func (s *testServer) get(t testing.TB, path string, params url.Values) reply {
	t.Helper()
	return s.do(t, http.MethodGet, "/loki/api/v1/"+path+"?"+params.Encode(), nil, nil)
}

// line is one line to push: seconds after t0.
type line struct {
	after float64
	text  string
	meta  map[string]string
}

func ns(after float64) string {
	return strconv.FormatInt(t0.UnixNano()+int64(after*1e9), 10)
}

func pushBody(t testing.TB, labels map[string]string, lines ...line) []byte {
	t.Helper()
	values := [][]any{}
	for _, l := range lines {
		v := []any{ns(l.after), l.text}
		if l.meta != nil {
			v = append(v, l.meta)
		}
		values = append(values, v)
	}
	b, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *testServer) push(t testing.TB, labels map[string]string, lines ...line) {
	t.Helper()
	got := s.do(t, http.MethodPost, "/loki/api/v1/push", map[string]string{"Content-Type": "application/json"}, pushBody(t, labels, lines...))
	if got.code != http.StatusNoContent {
		t.Fatalf("push gave %d %s", got.code, got.body)
	}
}

// apart asks for the labels of lines to be kept apart from those of streams.
var apart = map[string]string{"X-Loki-Response-Encoding-Flags": "categorize-labels"}

// query runs a range query over the first hour and returns its results as JSON.
func (s *testServer) query(t testing.TB, query string, params ...string) []string {
	t.Helper()
	v := url.Values{"query": {query}, "start": {ns(0)}, "end": {ns(3600)}, "limit": {"1000"}}
	for i := 0; i < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	got := s.do(t, http.MethodGet, "/loki/api/v1/query_range?"+v.Encode(), apart, nil)
	if got.code != http.StatusOK {
		t.Fatalf("%s gave %d %s", query, got.code, got.body)
	}
	var a struct {
		Data struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(got.body), &a); err != nil {
		t.Fatalf("%s: %v in %s", query, err, got.body)
	}
	out := []string{}
	for _, r := range a.Data.Result {
		out = append(out, string(r))
	}
	return out
}

// lines runs a log query and returns its lines alone, stream by stream.
func (s *testServer) lines(t testing.TB, query string, params ...string) string {
	t.Helper()
	var out []string
	for _, r := range s.query(t, query, params...) {
		var st struct {
			Values [][]json.RawMessage `json:"values"`
		}
		if err := json.Unmarshal([]byte(r), &st); err != nil {
			t.Fatal(err)
		}
		for _, v := range st.Values {
			var text string
			if err := json.Unmarshal(v[1], &text); err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

// vector runs an instant query at a time after t0 and returns "{labels} value" by series.
func (s *testServer) vector(t testing.TB, query string, after float64) string {
	t.Helper()
	got := s.get(t, "query", url.Values{"query": {query}, "time": {ns(after)}})
	if got.code != http.StatusOK {
		return fmt.Sprintf("%d %s", got.code, got.body)
	}
	var a struct {
		Data struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(got.body), &a); err != nil {
		t.Fatalf("%s: %v in %s", query, err, got.body)
	}
	if a.Data.ResultType == "scalar" {
		return string(a.Data.Result)
	}
	var samples []struct {
		Metric map[string]string `json:"metric"`
		Value  []any             `json:"value"`
	}
	if err := json.Unmarshal(a.Data.Result, &samples); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range samples {
		m, err := json.Marshal(r.Metric)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s", m, r.Value[1]))
	}
	return strings.Join(out, " ")
}
