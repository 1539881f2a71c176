package promapi

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// server is a database behind HTTP with the official client before it.
type server struct {
	url string
	v1.API
}

func serve(t testing.TB, db *DB) server {
	t.Helper()
	srv := httptest.NewServer(db.Handler())
	t.Cleanup(srv.Close)
	c, err := api.NewClient(api.Config{Address: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return server{srv.URL, v1.NewAPI(c)}
}

func (s server) vector(t testing.TB, expr string, at time.Time) model.Vector {
	t.Helper()
	v, _, _, err := s.Query(t.Context(), expr, at)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	vec, ok := v.(model.Vector)
	if !ok {
		t.Fatalf("%s gave a %s", expr, v.Type())
	}
	return vec
}

// scalar is the value of an expression that gives one series.
func (s server) scalar(t testing.TB, expr string, at time.Time) float64 {
	t.Helper()
	v := s.vector(t, expr, at)
	if len(v) != 1 {
		t.Fatalf("%s gave %d series: %v", expr, len(v), v)
	}
	return float64(v[0].Value)
}

type reply struct {
	code   int
	header http.Header
	body   string
}

func (s server) get(t testing.TB, path string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, req)
}

func (s server) do(t testing.TB, req *http.Request) reply {
	t.Helper()
	res, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
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

func TestBadRequestsGetTheErrorThatPrometheusGives(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	e := end.Unix()
	for _, c := range []struct {
		path, kind, want string
		code             int
	}{
		{"query?query=sum(", "bad_data", `invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis`, 400},
		{"query", "bad_data", `parse error: no expression found in input`, 400},
		{"query?query=1&time=yesterday", "bad_data", `cannot parse \"yesterday\" to a valid timestamp`, 400},
		{"query?query=1&time=NaN", "bad_data", `cannot parse \"NaN\"`, 400},
		{"query?query=1&timeout=x", "bad_data", `invalid parameter \"timeout\"`, 400},
		{"query?query=1&limit=-1", "bad_data", `limit must be non-negative`, 400},
		{"query?query=up&timeout=0", "timeout", `query timed out`, 503},
		{"query?query=req_total%2Blat_bucket*on()req_total", "execution", `many-to-many matching not allowed`, 422},
		{"query?query=%zz", "bad_data", `invalid URL escape`, 400},
		{"query_range?query=1&start=2&end=1&step=1", "bad_data", `end timestamp must not be before start time`, 400},
		{"query_range?query=1&start=1&end=2&step=0", "bad_data", `zero or negative query resolution`, 400},
		{"query_range?query=1&start=1&end=2&step=1e300", "bad_data", `overflows int64`, 400},
		{"query_range?query=1&start=1&end=2", "bad_data", `invalid parameter \"step\"`, 400},
		{"query_range?query=1&end=2&step=1", "bad_data", `invalid parameter \"start\"`, 400},
		{fmt.Sprintf("query_range?query=1&start=%d&end=%d&step=1", e-11001, e), "bad_data", `exceeded maximum resolution of 11,000 points`, 400},
		{"query_range?query=req_total[5m]&start=1&end=2&step=1", "bad_data", `invalid expression type`, 400},
		{"series", "bad_data", `no match[] parameter provided`, 400},
		{"series?match[]=%7B%7D", "bad_data", `at least one non-empty matcher`, 400},
		{"series?match[]=a%7B", "bad_data", `parse error`, 400},
		{"label/%FF/values", "bad_data", `invalid label name`, 400},
		{"metadata?limit=many", "bad_data", `limit must be a number`, 400},
	} {
		got := srv.get(t, "/api/v1/"+c.path)
		if got.code != c.code || !strings.Contains(got.body, c.want) || !strings.Contains(got.body, c.kind) {
			t.Errorf("%s gave %d %s\nwant %d %s %s", c.path, got.code, got.body, c.code, c.kind, c.want)
		}
		if c.kind != "" && !json.Valid([]byte(got.body)) {
			t.Errorf("%s: the error is not JSON: %s", c.path, got.body)
		}
	}
	if got := srv.get(t, fmt.Sprintf("/api/v1/query_range?query=vector(1)&start=%d&end=%d&step=1", e-11000, e)); got.code != 200 {
		t.Errorf("11,000 steps were refused: %s", got.body)
	}
}

func TestFormsAreTakenByPost(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	form := url.Values{
		"query": {`req_total{outcome="ok"}`}, "time": {fmt.Sprint(end.Unix())}, "match[]": {"req_total", "lat_bucket"},
		"start": {fmt.Sprint(start.Unix())}, "end": {end.Format(time.RFC3339)}, "step": {"5m"},
	}
	for path, want := range map[string]string{
		"query":       `"1200"`,
		"query_range": fmt.Sprintf(`[%d,"600"]`, start.Add(5*time.Minute).Unix()),
		"series":      `"le":"+Inf"`,
		"labels":      `["__name__","error_type","job","le","outcome"]`,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.url+"/api/v1/"+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := srv.do(t, req); got.code != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s gave %d %s\nwant %s", path, got.code, got.body, want)
		}
	}
	big := strings.NewReader("query=" + strings.Repeat("1", maxForm+1))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.url+"/api/v1/query", big)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := srv.do(t, req); got.code != 400 || !strings.Contains(got.body, "too large") {
		t.Errorf("a huge body gave %d %s", got.code, got.body)
	}
}

func TestMetadataEndpointsAnswerTheOfficialClient(t *testing.T) {
	db, end := sampleDB(t)
	srv := serve(t, db)
	ctx := t.Context()

	sets, _, _, err := srv.Series(ctx, []string{`req_total{outcome="ok"}`, `lat_bucket`}, start, end)
	if err != nil || len(sets) != 4 {
		t.Errorf("series: %v, %v", sets, err)
	}
	if sets, _, _, err := srv.Series(ctx, []string{`lat_bucket`}, end.Add(time.Hour), end.Add(2*time.Hour)); err != nil || len(sets) != 0 {
		t.Errorf("series outside the time range: %v, %v", sets, err)
	}
	sets, warnings, _, err := srv.Series(ctx, []string{`lat_bucket`}, start, end, v1.WithLimit(2))
	if err != nil || len(sets) != 2 || !slices.Equal(warnings, []string{"results truncated due to limit"}) {
		t.Errorf("limited series: %v, %v, %v", sets, warnings, err)
	}
	names, _, _, err := srv.LabelNames(ctx, nil, start, end)
	if err != nil || fmt.Sprint(names) != "__name__, error_type, job, le, outcome" {
		t.Errorf("label names: %v, %v", names, err)
	}
	values, _, _, err := srv.LabelValues(ctx, "__name__", []string{`{job="a"}`, `{le="1"}`}, start, end)
	if err != nil || fmt.Sprint(values) != "[lat_bucket req_total]" {
		t.Errorf("label values: %v, %v", values, err)
	}
	meta, err := srv.Metadata(ctx, "req_total", "")
	if err != nil || len(meta["req_total"]) != 1 || meta["req_total"][0].Type != v1.MetricTypeCounter {
		t.Errorf("metadata: %v, %v", meta, err)
	}
	if info, err := srv.Buildinfo(ctx); err != nil || info.Version == "" {
		t.Errorf("build info: %v, %v", info, err)
	}
	if info, err := srv.Runtimeinfo(ctx); err != nil || !info.StartTime.Equal(end) {
		t.Errorf("runtime info: %v, %v", info, err)
	}
	if rules, err := srv.Rules(ctx, nil); err != nil || len(rules.Groups) != 0 {
		t.Errorf("rules: %v, %v", rules, err)
	}
	if alerts, err := srv.Alerts(ctx); err != nil || len(alerts.Alerts) != 0 {
		t.Errorf("alerts: %v, %v", alerts, err)
	}
	if targets, err := srv.Targets(ctx); err != nil || len(targets.Active) != 0 {
		t.Errorf("targets: %v, %v", targets, err)
	}
	if am, err := srv.AlertManagers(ctx); err != nil || len(am.Active) != 0 {
		t.Errorf("alertmanagers: %v, %v", am, err)
	}
}

func TestTheVersionIsThatOfTheServer(t *testing.T) {
	for module, want := range map[string]string{"v0.316.0": "3.16.0", "v0.301.2": "3.1.2", "v1.2.3": "1.2.3", "(devel)": "(devel)"} {
		if got := release(module); got != want {
			t.Errorf("module %s is server %s, want %s", module, got, want)
		}
	}
}

func TestAnswersAreCompressedForThoseWhoAsk(t *testing.T) {
	db, _ := sampleDB(t)
	srv := serve(t, db)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.url+"/api/v1/query?query=req_total", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	got := srv.do(t, req)
	if got.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("headers are %v", got.header)
	}
	z, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || !strings.Contains(string(b), `"1200"`) {
		t.Errorf("unpacked: %s, %v", b, err)
	}
}

func TestValuesThatJSONDoesNotKnowAndHostileLabelsArrive(t *testing.T) {
	db := open(t, start)
	b := db.Batch()
	want := map[string]float64{"nan": math.NaN(), "inf": math.Inf(1), "ninf": math.Inf(-1), "tiny": 1e-300, "big": 1e300, "e": math.E}
	for k, v := range want {
		b.Add(db.Series("v", "k", k), start, v)
	}
	b.Add(db.Series("gen_ai.dots", "quote\"", "\x1b[31m\"</script>\n\xff"), start, 1)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	srv := serve(t, db)
	for _, s := range srv.vector(t, `v`, start) {
		k := string(s.Metric["k"])
		if got := float64(s.Value); got != want[k] && !(math.IsNaN(got) && k == "nan") {
			t.Errorf("%s came back as %v", k, got)
		}
	}
	v := srv.vector(t, `{"gen_ai.dots"}`, start)
	if len(v) != 1 || string(v[0].Metric["quote\""]) != "\x1b[31m\"</script>\n\uFFFD" {
		t.Errorf("got %v", v)
	}
	if got := srv.get(t, "/api/v1/query?query=%22a%22"); !strings.Contains(got.body, `"result":[1772350200,"a"]`) {
		t.Errorf("a string gave %s", got.body)
	}
	if got := srv.get(t, "/api/v1/query?query=1&time=0.05"); !strings.Contains(got.body, `"result":[0.050,"1"]`) {
		t.Errorf("a fraction of a second gave %s", got.body)
	}
}

func TestSeriesHandles(t *testing.T) {
	db := open(t, start)
	if db.Series("m", "a", "1", "b", "2") != db.Series("m", "b", "2", "a", "1", "c", "") {
		t.Error("the same labels gave two handles")
	}
	if db.Series("m", "a", "1") == db.Series("m", "a", "2") {
		t.Error("different labels gave one handle")
	}
	for name, pairs := range map[string][]string{"odd": {"a"}, "": nil, "label": {"", "x"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Series(%q, %q) did not panic", name, pairs)
				}
			}()
			db.Series(name, pairs...)
		}()
	}
}

func TestAClosedDatabaseSaysSo(t *testing.T) {
	db := open(t, start)
	srv := serve(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b := db.Batch()
	b.Add(db.Series("s"), start, 1)
	if err := b.Commit(); err == nil || !strings.Contains(err.Error(), "not open") {
		t.Errorf("a batch after the end: %v", err)
	}
	if got := srv.get(t, "/api/v1/query?query=1"); got.code != 503 {
		t.Errorf("a query after the end: %d", got.code)
	}
	if got := srv.get(t, "/-/healthy"); got.code != 200 {
		t.Errorf("/-/healthy: %d", got.code)
	}
}
