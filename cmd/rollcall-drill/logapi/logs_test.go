package logapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// shop is a server with three streams of a small service.
func shop(t testing.TB) *testServer {
	t.Helper()
	s := start(t, Options{})
	s.push(t, map[string]string{"job": "shop", "level": "info"},
		line{1, `{"msg":"start","route":"/a","status":200,"took":"120ms","size":"2KiB"}`, nil},
		line{3, `{"msg":"done","route":"/b","status":200,"took":"1.2s","size":"1MB","user":{"id":"u1"}}`, map[string]string{"trace": "t1"}},
		line{5, `{"msg":"slow","route":"/a","status":404,"took":"3s","size":"10B"}`, map[string]string{"trace": "t2"}},
	)
	s.push(t, map[string]string{"job": "shop", "level": "error"},
		line{2, `{"msg":"fail","route":"/a","status":500,"took":"oops"}`, nil},
		line{4, `not json at all`, nil},
	)
	s.push(t, map[string]string{"job": "other", "level": "info"}, line{2.5, `msg=hello n=7 d=250ms`, nil})
	return s
}

// names replaces the lines of shop by short names.
func names(lines string) string {
	at := map[int]string{}
	for _, name := range []string{"start", "done", "slow", "fail", "not json", "hello"} {
		if i := strings.Index(lines, name); i >= 0 {
			at[i] = name
		}
	}
	var out []string
	for _, i := range slices.Sorted(maps.Keys(at)) {
		out = append(out, at[i])
	}
	return strings.Join(out, " ")
}

func TestLogQueriesSelectAndFilter(t *testing.T) {
	s := shop(t)
	for _, c := range []struct{ query, want string }{
		{`{job="shop", level="info"}`, "start done slow"},
		{`{job=~"sh.*", level!="info"}`, "fail not json"},
		{`{level="info"}`, "hello start done slow"},
		{`{job=~".+", level!~"err.*", job!="shop"}`, "hello"},
		{`{job=~"s"}`, ""},
		{`{job="shop", absent=""} |= "fail"`, "fail"},
		{`{job="shop"} |= "/a" != "slow"`, "fail start"},
		{`{job="shop"} |= "start" or "fail"`, "fail start"},
		{`{job="shop"} != "start" or "fail"`, "not json done slow"},
		{`{job="shop"} |~ "msg\":\"s[tl]" !~ "START"`, "start slow"},
		{`{job="shop"} |~ "(?i)START"`, "start"},
		{`{job="shop"} | level="error"`, "fail not json"},
		{`{job="shop"} | trace="t2"`, "slow"},
		{`{job="shop"} | trace!=""`, "done slow"},
		{`{job="shop"} | json | __error__=""`, "fail start done slow"},
		{`{job="shop"} | json | status>=400`, "fail not json slow"},
		{`{job="shop"} | json | __error__="" | status>=400`, "fail slow"},
		{`{job="shop"} | json | __error__="", status=200`, "start done"},
		{`{job="shop"} | json | user_id="u1"`, "done"},
		{`{job="shop"} | json | route="/a" and status<500 or user_id=~"u."`, "start done slow"},
		{`{job="shop"} | json | route="/a" and (status<500 or user_id=~"u.") | __error__=""`, "start slow"},
		{`{job="shop"} | json | __error__="" | took > 1s`, "fail done slow"},
		{`{job="shop"} | json | took > 1s | __error__=""`, "done slow"},
		{`{job="shop", level="info"} | json | size >= 2KB`, "start done"},
		{`{job="shop", level="info"} | json | size < 1KiB`, "slow"},
		{`{job="shop"} | json | absent > 0 | __error__=""`, ""},
		{`{job="other"} | logfmt | n=7 | d<1s msg="hello"`, "hello"},
		{`{job="other"} | json | __error__="JSONParserErr"`, "hello"},
		{`{job="nobody"}`, ""},
	} {
		if got := names(s.lines(t, c.query, "direction", "forward")); got != c.want {
			t.Errorf("%s\n gave %q\n want %q", c.query, got, c.want)
		}
	}
}

func TestTheNewestLinesWinUnlessForward(t *testing.T) {
	s := shop(t)
	for _, c := range []struct {
		direction, limit, want string
	}{
		{"backward", "2", "not json slow"}, // one stream after the other
		{"forward", "2", "fail start"},
		{"BACKWARD", "4", "not json fail slow done"},
		{"", "1", "slow"},
	} {
		got := names(s.lines(t, `{job="shop"}`, "direction", c.direction, "limit", c.limit))
		if got != c.want {
			t.Errorf("%s %s gave %q, want %q", c.direction, c.limit, got, c.want)
		}
	}
}

func TestTheStartBelongsToTheRangeAndTheEndDoesNot(t *testing.T) {
	s := shop(t)
	for _, c := range []struct{ start, end, want string }{
		{ns(1), ns(5), "start done"},
		{ns(1), fmt.Sprint(t0.UnixNano() + 5_000_000_001), "start done slow"},
		{fmt.Sprint(t0.UnixNano() + 1_000_000_001), ns(6), "done slow"},
		{fmt.Sprint(t0.Unix() + 3), fmt.Sprintf("%d.5", t0.Unix()+5), "done slow"},
		{"2026-03-01T12:00:03Z", "2026-03-01T12:00:05.000000001Z", "done slow"},
		{ns(3), ns(3), ""},
	} {
		if got := names(s.lines(t, `{job="shop",level="info"}`, "direction", "forward", "start", c.start, "end", c.end)); got != c.want {
			t.Errorf("from %s to %s: %q, want %q", c.start, c.end, got, c.want)
		}
	}
	if got := names(s.lines(t, `{job="shop",level="info"}`, "start", "", "end", ns(6), "since", "2s")); got != "slow" {
		t.Errorf("the last two seconds before the end: %q", got)
	}
}

func TestPagesNeitherRepeatNorMissLines(t *testing.T) {
	s := start(t, Options{})
	const n = 2500
	for stream := range 2 {
		var lines []line
		for i := stream; i < n; i += 2 {
			lines = append(lines, line{float64(i / 5), fmt.Sprintf("l%d", i), nil}) // five lines share a time
		}
		s.push(t, map[string]string{"job": fmt.Sprint("j", stream)}, lines...)
	}
	seen := map[string]bool{}
	next := t0.UnixNano()
	for {
		fresh := 0
		last := next
		for _, r := range s.query(t, `{job=~"j."}`, "direction", "forward", "limit", "300", "start", fmt.Sprint(next)) {
			var st struct {
				Values [][]any `json:"values"`
			}
			if err := json.Unmarshal([]byte(r), &st); err != nil {
				t.Fatal(err)
			}
			for _, v := range st.Values {
				var ts int64
				if _, err := fmt.Sscan(fmt.Sprint(v[0]), &ts); err != nil {
					t.Fatal(err)
				}
				last = max(last, ts)
				if text := fmt.Sprint(v[1]); !seen[text] {
					seen[text] = true
					fresh++
				}
			}
		}
		if fresh == 0 {
			break
		}
		next = last // lines of that time come again, and are known
	}
	if len(seen) != n {
		t.Errorf("%d of %d lines were seen", len(seen), n)
	}
}

func TestIntervalThinsLines(t *testing.T) {
	s := shop(t)
	if got := names(s.lines(t, `{job="shop"}`, "direction", "forward", "interval", "2")); got != "start done slow" {
		t.Errorf("every two seconds forward: %q", got)
	}
	if got := names(s.lines(t, `{job="shop"}`, "interval", "2s")); got != "slow done start" {
		t.Errorf("every two seconds backward: %q", got)
	}
}

func TestLabelsOfLinesMergeIntoStreamsUnlessKeptApart(t *testing.T) {
	s := start(t, Options{})
	s.push(t, map[string]string{"job": "a"},
		line{1, `{"x":"1"}`, map[string]string{"trace.id": "t", "detected_level": "info"}},
		line{2, `<b>&"`, nil})
	query := url.Values{"query": {`{job="a"} | json`}, "start": {ns(0)}, "end": {ns(9)}}

	got := s.get(t, "query_range", query)
	if !strings.Contains(got.body, `"resultType":"streams","result":[`+
		`{"stream":{"__error__":"JSONParserErr","__error_details__":"the line is not a JSON object","detected_level":"unknown","job":"a","service_name":"a"},"values":[["`+ns(2)+`","\u003cb\u003e\u0026\""]]},`+
		`{"stream":{"detected_level":"info","job":"a","service_name":"a","trace_id":"t","x":"1"},"values":[["`+ns(1)+`","{\"x\":\"1\"}"]]}]`) {
		t.Errorf("merged: %s", got.body)
	}
	if strings.Contains(got.body, "encodingFlags") {
		t.Errorf("flags were not asked for: %s", got.body)
	}

	got = s.do(t, http.MethodGet, "/loki/api/v1/query_range?"+query.Encode(),
		apart, nil)
	if !strings.Contains(got.body, `"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"job":"a","service_name":"a"},"values":[`+
		`["`+ns(2)+`","\u003cb\u003e\u0026\"",{"structuredMetadata":{"detected_level":"unknown"},"parsed":{"__error__":"JSONParserErr","__error_details__":"the line is not a JSON object"}}],`+
		`["`+ns(1)+`","{\"x\":\"1\"}",{"structuredMetadata":{"detected_level":"info","trace_id":"t"},"parsed":{"x":"1"}}]]}]`) {
		t.Errorf("apart: %s", got.body)
	}
}

func TestLabelEndpoints(t *testing.T) {
	s := shop(t)
	for path, want := range map[string]string{
		"labels?": `{"status":"success","data":["job","level","service_name"]}`,
		"labels?query={job%3D\"other\"}&start=" + ns(0):            `["job","level","service_name"]`,
		"label/job/values?start=" + ns(0):                          `["other","shop"]`,
		"label/level/values?query={job%3D\"other\"}":               `["info"]`,
		"label/none/values?":                                       `{"status":"success","data":[]}`,
		"label/job/values?end=" + ns(-1) + "&since=1h":             `"data":[]`,
		"label/job/values?start=" + ns(5.5):                        `"data":[]`,
		"label/job/values?start=" + ns(5) + "&end=" + ns(9):        `["shop"]`,
		"series?match[]={job%3D\"other\"}":                         `"data":[{"job":"other","level":"info","service_name":"other"}]`,
		"series?match[]={job%3D\"x\"}&match[]={level%3D\"error\"}": `"data":[{"job":"shop","level":"error","service_name":"shop"}]`,
		"series?": `{"job":"other","level":"info","service_name":"other"},{"job":"shop","level":"error"`,
	} {
		got := s.do(t, http.MethodGet, "/loki/api/v1/"+strings.ReplaceAll(path, `"`, "%22"), nil, nil)
		if got.code != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s gave %d %s\n want %s", path, got.code, got.body, want)
		}
	}
}

func TestBadRequestsAreNamedInPlainText(t *testing.T) {
	s := shop(t)
	for _, c := range []struct {
		path, params, want string
	}{
		{"query_range", `query={job="a"`, `parse error at line 1, col 9`},
		{"query_range", `query=&start=1`, `parse error at line 1, col 1`},
		{"query_range", `query={job="a"}&start=2&end=1`, `end timestamp must not be before or equal to start time`},
		{"query_range", `query={job="a"}&start=yesterday`, `could not parse 'start' parameter`},
		{"query_range", `query={job="a"}&end=1e`, `could not parse 'end' parameter`},
		{"query_range", `query={job="a"}&since=x`, `could not parse 'since' parameter`},
		{"query_range", `query={job="a"}&limit=0`, `limit must be a positive value`},
		{"query_range", `query={job="a"}&limit=x`, `could not parse 'limit' parameter`},
		{"query_range", `query={job="a"}&limit=5001`, `max entries limit per query exceeded, limit > max_entries_limit (5001 > 5000)`},
		{"query_range", `query={job="a"}&direction=up`, `invalid direction 'up'`},
		{"query_range", `query={job="a"}&step=0`, `zero or negative query resolution`},
		{"query_range", `query={job="a"}&step=NaN`, `overflows int64`},
		{"query_range", `query={job="a"}&step=x`, `could not parse 'step' parameter`},
		{"query_range", `query={job="a"}&start=1&end=11002&step=1`, `exceeded maximum resolution of 11,000 points`},
		{"query_range", `query={job="a"}&interval=-1`, `interval must be >= 0`},
		{"query_range", `query=%zz`, `invalid URL escape`},
		{"query", `query={job="a"}`, `log queries are not supported as an instant query type`},
		{"query", `query=rate({job="a"}[1m])&time=x`, `could not parse 'time' parameter`},
		{"labels", `query=rate({job="a"}[1m])`, `only log selectors are supported here`},
		{"labels", `query={job="a"}|="x"`, `only label matchers are supported here`},
		{"series", `match[]={`, `parse error`},
		{"tail", `query=rate({job="a"}[1m])`, `only log selectors are supported here`},
		{"tail", `query={job="a"}&delay_for=6`, `delay_for can't be greater than 5`},
		{"tail", `query={job="a"}&delay_for=x`, `could not parse 'delay_for' parameter`},
		{"tail", `query={job="a"}&start=x`, `could not parse 'start' parameter`},
	} {
		got := s.do(t, http.MethodGet, "/loki/api/v1/"+c.path+"?"+strings.NewReplacer(`"`, "%22", "{", "%7B", "|", "%7C").Replace(c.params), nil, nil)
		if got.code != 400 || !strings.Contains(got.body, c.want) {
			t.Errorf("%s %s gave %d %s\n want 400 %s", c.path, c.params, got.code, got.body, c.want)
		}
		if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
			t.Errorf("%s %s: the error is %s", c.path, c.params, kind)
		}
	}
}

func TestFormsTenantsCompressionAndProbes(t *testing.T) {
	s := shop(t)
	form := url.Values{"query": {`{job="shop"}`}, "start": {ns(0)}, "end": {ns(9)}}
	got := s.do(t, http.MethodPost, "/loki/api/v1/query_range",
		map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-Scope-OrgID": "tenant"}, []byte(form.Encode()))
	if got.code != 200 || !strings.Contains(got.body, "not json at all") || !strings.Contains(got.body, `"totalEntriesReturned":5`) {
		t.Errorf("form: %d %s", got.code, got.body)
	}
	got = s.do(t, http.MethodGet, "/loki/api/v1/query_range?"+form.Encode(), map[string]string{"Accept-Encoding": "gzip"}, nil)
	if got.header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(got.body, "\x1f\x8b") {
		t.Errorf("not compressed: %v", got.header)
	}
	if got := s.do(t, http.MethodGet, "/ready", nil, nil); got.code != 200 || got.body != "ready\n" {
		t.Errorf("/ready: %d %q", got.code, got.body)
	}
	got = s.get(t, "status/buildinfo", nil)
	if got.code != 200 || !strings.Contains(got.body, `"version":"3.`) {
		t.Errorf("build info: %d %s", got.code, got.body)
	}
}

func TestTimesOfQueriesAreServiceTimeWhenTheRequestNamesNone(t *testing.T) {
	s := start(t, Options{})
	s.push(t, map[string]string{"job": "a"}, line{-1, "before", nil}, line{1, "within the hour", nil}, line{3600, "now", nil})
	if got := s.lines(t, `{job="a"}`, "start", "", "end", ""); got != "within the hour" {
		t.Errorf("the last hour: %q", got)
	}
	if got := s.get(t, "query", url.Values{"query": {`count_over_time({job="a"}[59m59s])`}}); !strings.Contains(got.body, `"value":[1772370000,"1"]`) {
		t.Errorf("now: %s", got.body)
	}
}
