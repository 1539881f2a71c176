package logapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestMetricQueries(t *testing.T) {
	s := shop(t)
	for _, c := range []struct {
		query string
		after float64
		want  string
	}{
		{`count_over_time({job="shop", level="error"} |= "fail" [10s])`, 10, `{"detected_level":"error","job":"shop","level":"error","service_name":"shop"} 1`},
		{`sum(count_over_time({job="shop"}[10s]))`, 10, `{} 5`},
		{`sum by (level) (count_over_time({job="shop"}[10s]))`, 10, `{"level":"error"} 2 {"level":"info"} 3`},
		{`sum without (level, detected_level, trace, service_name) (count_over_time({job="shop"}[10s]))`, 10, `{"job":"shop"} 5`},
		{`sum by (route) (count_over_time({job="shop"} | json | __error__="" [10s]))`, 10, `{"route":"/a"} 3 {"route":"/b"} 1`},
		{`sum by (none) (rate({job="shop"}[10s]))`, 10, `{} 0.5`},
		{`sum(bytes_over_time({job="other"}[10s]))`, 10, `{} 21`},
		{`sum(bytes_rate({job="other"}[10s]))`, 10, `{} 2.1`},
		{`count(count_over_time({job="shop"} | json | __error__="" [10s]))`, 10, `{} 4`},
		{`max by (level) (sum by (level, route) (count_over_time({job="shop"} | json | __error__="" [10s])))`, 10, `{"level":"error"} 1 {"level":"info"} 2`},
		{`min(sum by (level) (count_over_time({job="shop"}[10s])))`, 10, `{} 2`},
		{`avg(sum by (level) (count_over_time({job="shop"}[10s])))`, 10, `{} 2.5`},
		// The window is open at its start and closed at its end.
		{`sum(count_over_time({job="shop", level="info"}[2s]))`, 5, `{} 1`},
		{`sum(count_over_time({job="shop", level="info"}[2001ms]))`, 5, `{} 2`},
		{`sum(count_over_time({job="shop", level="info"}[2s] offset 2s))`, 5, `{} 1`},
		{`sum(count_over_time({job="shop", level="info"}[1s]))`, 900, ``},
		{`sum(count_over_time({job="shop", level="info"}[1s])) or vector(0)`, 900, `{} 0`},
		{`sum(count_over_time({job="shop"}[10s])) or vector(0)`, 10, `{} 5`},
		{`sum(count_over_time({job="shop", level="error"}[10s])) / sum(count_over_time({job="shop"}[10s]))`, 10, `{} 0.4`},
		{`(sum(count_over_time({job="none"}[10s])) or vector(0)) / sum(count_over_time({job="shop"}[10s])) * 100`, 10, `{} 0`},
		{`sum by (level) (count_over_time({job="shop"}[10s])) - sum by (level) (count_over_time({job="other"}[10s]))`, 10, `{"level":"info"} 2`},
		{`10 - 2 * sum(count_over_time({job="shop"}[10s]))`, 10, `{} 0`},
		{`sum(count_over_time({job="shop"}[10s])) / 0`, 10, `{} NaN`},
		{`vector(2) + 1`, 10, `{} 3`},
		{`1 + 2 * 3 - 4 / 8`, 10, `[1772366410,"6.5"]`},
		{`-(1)`, 10, `400 parse error at line 1, col 2: syntax error: unexpected "(", expecting a number`},
		{`sum(avg_over_time({job="shop"} | json | __error__="" | unwrap status [10s]))`, 10, `{} 1304`},
		{`avg_over_time({job="shop"} | json | __error__="" | unwrap status [10s]) by (level)`, 10, `{"level":"error"} 500 {"level":"info"} 268`},
		{`sum(sum_over_time({job="shop"} | json | unwrap status | __error__="" [10s]))`, 10, `{} 1304`},
		{`max_over_time({job="shop"} | json | unwrap duration(took) | __error__="" [10s]) by (job)`, 10, `{"job":"shop"} 3`},
		{`min_over_time({job="shop"} | json | unwrap duration_seconds(took) | __error__="" [10s]) by (job)`, 10, `{"job":"shop"} 0.12`},
		{`max_over_time({job="shop", level="info"} | json | unwrap bytes(size) [10s]) by (job)`, 10, `{"job":"shop"} 1000000`},
		{`first_over_time({job="shop"} | json | __error__="" | unwrap status [10s]) by ()`, 10, `{} 200`},
		{`last_over_time({job="shop"} | json | __error__="" | unwrap status [10s]) by (job)`, 10, `{"job":"shop"} 404`},
		{`quantile_over_time(0.5, {job="shop"} | json | __error__="" | unwrap status [10s]) by (job)`, 10, `{"job":"shop"} 302`},
		{`quantile_over_time(2, {job="shop"} | json | __error__="" | unwrap status [10s]) by (job)`, 10, `{"job":"shop"} +Inf`},
		{`stdvar_over_time({job="shop"} | json | __error__="" | unwrap status [10s]) by (job)`, 10, `{"job":"shop"} 17028`},
		{`stddev_over_time({job="shop", level="info"} |= "/a" | json | unwrap status [10s]) by (job)`, 10, `{"job":"shop"} 102`},
		{`rate({job="other"} | logfmt | unwrap n [10s])`, 10, `{"d":"250ms","detected_level":"info","job":"other","level":"info","msg":"hello","service_name":"other"} 0.7`},
		{`sum(rate({job="other"} | logfmt | unwrap absent [10s]))`, 10, ``},
	} {
		if got := s.vector(t, c.query, c.after); got != c.want {
			t.Errorf("%s\n gave %s\n want %s", c.query, got, c.want)
		}
	}
}

func TestAStageThatFailsFailsTheMetricQuery(t *testing.T) {
	s := shop(t)
	for query, want := range map[string]string{
		`sum(count_over_time({job="shop"} | json [10s]))`:                                          `400 pipeline error: 'JSONParserErr' for series: '{__error__="JSONParserErr"`,
		`sum(sum_over_time({job="shop"} | json | __error__="" | unwrap route [10s]))`:              `400 pipeline error: 'SampleExtractionErr'`,
		`sum(count_over_time({job="shop"} | json | __error__="" | took > 1s [10s]))`:               `400 pipeline error: 'LabelFilterErr'`,
		`sum(count_over_time({job="shop"} | json | __error__="" | took > 1s | __error__="" [9s]))`: `{} 2`,
	} {
		if got := s.vector(t, query, 10); !strings.HasPrefix(got, want) {
			t.Errorf("%s\n gave %s\n want %s", query, got, want)
		}
	}
}

func TestRangeQueriesHaveAPointPerStepWhereThereAreLines(t *testing.T) {
	s := shop(t)
	got := s.query(t, `sum by (level) (count_over_time({job="shop"}[2s]))`, "start", ns(0), "end", ns(8), "step", "1s")
	var out []string
	for _, r := range got {
		var row struct {
			Metric map[string]string `json:"metric"`
			Values [][2]any          `json:"values"`
		}
		if err := json.Unmarshal([]byte(r), &row); err != nil {
			t.Fatal(err)
		}
		text := row.Metric["level"]
		for _, v := range row.Values {
			text += fmt.Sprintf(" %v=%v", v[0].(float64)-float64(t0.Unix()), v[1])
		}
		out = append(out, text)
	}
	if want := "error 2=1 3=1 4=1 5=1|info 1=1 2=1 3=1 4=1 5=1 6=1"; strings.Join(out, "|") != want {
		t.Errorf("got %v, want %s", out, want)
	}
	got = s.query(t, `3`, "start", ns(0), "end", ns(2), "step", "1")
	if want := fmt.Sprintf(`{"metric":{},"values":[[%d,"3"],[%d,"3"],[%d,"3"]]}`, t0.Unix(), t0.Unix()+1, t0.Unix()+2); len(got) != 1 || got[0] != want {
		t.Errorf("a number gave %v", got)
	}
	got = s.query(t, `sum(count_over_time({job="none"}[1s])) or vector(0) or vector(1)`, "end", ns(0.5), "step", "0.25")
	if want := fmt.Sprintf(`{"metric":{},"values":[[%d,"0"],[%d.25,"0"],[%d.5,"0"]]}`, t0.Unix(), t0.Unix(), t0.Unix()); len(got) != 1 || got[0] != want {
		t.Errorf("gaps gave %v", got)
	}
	got = s.query(t, `sum(count_over_time({job="shop", level="error"}[1s])) or vector(0)`, "end", ns(4), "step", "2")
	if want := fmt.Sprintf(`{"metric":{},"values":[[%d,"0"],[%d,"1"],[%d,"1"]]}`, t0.Unix(), t0.Unix()+2, t0.Unix()+4); len(got) != 1 || got[0] != want {
		t.Errorf("partly filled gave %v", got)
	}
}

func TestSeriesOfAnAnswerAreBoundedButThoseInsideASumAreNot(t *testing.T) {
	s := start(t, Options{MaxSeries: 10})
	var lines []line
	for i := range 1000 {
		lines = append(lines, line{float64(i+1) / 100, fmt.Sprintf("id=%d n=1", i), nil})
	}
	s.push(t, map[string]string{"job": "a"}, lines...)
	if got := s.vector(t, `sum(count_over_time({job="a"} | logfmt [1m]))`, 60); got != `{} 1000` {
		t.Errorf("sum gave %s", got)
	}
	if got := s.vector(t, `max(count_over_time({job="a"} | logfmt [1m]))`, 60); got != `{} 1` {
		t.Errorf("max gave %s", got)
	}
	if got := s.vector(t, `count_over_time({job="a"} | logfmt [1m])`, 60); got != `400 maximum of series (10) reached for a single query` {
		t.Errorf("too many gave %s", got)
	}
}

func TestSamplesOfSeveralStreamsAreOneSeriesInTimeOrder(t *testing.T) {
	s := start(t, Options{})
	s.push(t, map[string]string{"job": "a", "pod": "1"}, line{1, "n=1", nil}, line{5, "n=5", nil})
	s.push(t, map[string]string{"job": "a", "pod": "2"}, line{3, "n=3", nil}, line{7, "n=7", nil})
	query := `last_over_time({job="a"} | logfmt | unwrap n [10s]) by (job)`
	for after, want := range map[float64]string{4: "3", 6: "5", 8: "7"} {
		if got := s.vector(t, query, after); got != `{"job":"a"} `+want {
			t.Errorf("after %v s: %s, want %s", after, got, want)
		}
	}
}

func TestAQueryThatTakesTooLongIsEnded(t *testing.T) {
	s := start(t, Options{QueryTimeout: 1}) // a nanosecond
	for i := range 3 {
		var lines []line
		for j := range 1000 {
			lines = append(lines, line{float64(i*1000 + j), fmt.Sprint("l", i, j), nil})
		}
		s.push(t, map[string]string{"job": "a"}, lines...)
	}
	for _, query := range []string{`{job="a"} |= "none"`, `sum(rate({job="a"}[1h]))`} {
		got := s.get(t, "query_range", url.Values{"query": {query}, "start": {ns(0)}, "end": {ns(3600)}})
		if got.code != 504 || !strings.Contains(got.body, "request timed out") {
			t.Errorf("%s gave %d %s", query, got.code, got.body)
		}
	}
}
