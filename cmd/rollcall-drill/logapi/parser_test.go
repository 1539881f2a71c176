package logapi

import (
	"errors"
	"strings"
	"testing"
)

func TestQueriesOfTheSubsetAreUnderstood(t *testing.T) {
	for _, q := range []string{
		`{job="a"}`,
		`{job="a", level!="debug", x=~"a|b", y!~"c.*",}`,
		"{job=`a`} # comment\n|= `x`",
		`{job="a"} |= "x" != "y" |~ "z[0-9]+" !~ "q"`,
		`{job="a"} |= "x" or "y" or "z"`,
		`{job="a"} | json | status >= 500 and (method = "GET" or duration > 1.5s), size < 20MB`,
		`{job="a"} | json != "x" | logfmt |= "y"`,
		`{job="a"} | logfmt | level="error" msg=~".*time.*"`,
		`{job="a"} | a=1 or b=-2`,
		`{job="a"} | __error__=""`,
		`{job="a"} | pattern="x" | regexp!="y"`,
		`({job="a"} |= "x") |= "y"`,
		`rate({job="a"}[5m])`,
		`sum(count_over_time({job="a"} | json | level="error" [1h30m] offset 5m)) by (tenant, route)`,
		`sum by (level) (rate({job="a"}[5m] |= "x"))`,
		`count_over_time(({job="a"} |= "x")[1m])`,
		`avg without (level) (bytes_rate({job="a"}[5m]))`,
		`max(bytes_over_time({job="a"}[1d]))`,
		`quantile_over_time(0.99, {job="a"} | json | unwrap duration(took) | __error__="" [5m]) by (route)`,
		`avg_over_time({job="a"} | json | unwrap score [1h])`,
		`sum(rate({job="a"} |= "x" [5m])) / sum(rate({job="a"}[5m])) * 100 - 1`,
		`(sum(rate({job="a"} |= "x" [5m])) or vector(0)) / (sum(rate({job="a"}[5m])) + -0.5)`,
		`1 + 2 * 3`,
		`vector(1e3)`,
		`count_over_time({by="x", or="y"}[2µs])`,
	} {
		if _, err := parse(q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{``, `parse error at line 1, col 1: syntax error: unexpected the end of the query, expecting a log selector`},
		{`job="a"`, `line 1, col 1: syntax error: unexpected "job", expecting a log selector such as {job="a"} or a metric expression`},
		{`{job="a"`, `line 1, col 9: syntax error: unexpected the end of the query, expecting "}"`},
		{`{job=a}`, `line 1, col 6: syntax error: unexpected "a", expecting a string`},
		{`{job "a"}`, `line 1, col 6: syntax error: unexpected string "a", expecting one of = != =~ !~`},
		{`{job="a}`, `line 1, col 6: syntax error: the string that starts here does not end`},
		{`{job="a"} |= x`, `line 1, col 14: syntax error: unexpected "x", expecting a string`},
		{"{job=\"a\"}\n| json\n| level = ", `line 3, col 11: syntax error: unexpected the end of the query`},
		{"{job=\"é\"} é", `line 1, col 11: syntax error: unexpected character 'é'`},
		{`{job="a"} | level`, `line 1, col 18: syntax error: unexpected the end of the query, expecting an operator`},
		{`{job="a"} | level > "x"`, `line 1, col 19: syntax error: ">" cannot compare with a string`},
		{`{job="a"} | n =~ 5`, `line 1, col 18: syntax error: unexpected "5", expecting a string`},
		{`{job="a"} | n > 5q`, `line 1, col 17: syntax error: "5q" is not a number, duration or size`},
		{`{job=~"["}`, `line 1, col 7: invalid regular expression`},
		{`{job="a"} |~ "("`, `line 1, col 14: invalid regular expression`},
		{`{}`, `queries require at least one regexp or equality matcher`},
		{`{job=~".*"}`, `queries require at least one regexp or equality matcher`},
		{`{job!="a"}`, `queries require at least one regexp or equality matcher`},
		{`rate({job="a"})`, `line 1, col 1: rate needs a range such as [5m]`},
		{`rate({job="a"}[5])`, `line 1, col 16: syntax error: unexpected "5", expecting a duration`},
		{`rate({job="a"}[0s])`, `line 1, col 16: syntax error: the range must be longer than nothing`},
		{`rate({job="a"}[99y])`, `line 1, col 16: the duration is longer than ten years`},
		{`{job="a"}[5m]`, `line 1, col 10: syntax error: unexpected "["`},
		{`sum({job="a"})`, `line 1, col 4: sum needs a metric expression`},
		{`sum(1)`, `line 1, col 4: sum needs a metric expression`},
		{`{job="a"} + {job="b"}`, `line 1, col 11: unexpected type for a leg of binary operation (+)`},
		{`rate({job="a"}[1m]) or 0`, `line 1, col 21: unexpected literal for a leg of logical/set binary operation (or)`},
		{`avg_over_time({job="a"}[1m])`, `line 1, col 1: invalid aggregation avg_over_time without unwrap`},
		{`count_over_time({job="a"} | unwrap x [1m])`, `line 1, col 1: invalid aggregation count_over_time with unwrap`},
		{`count_over_time({job="a"}[1m]) by (x)`, `line 1, col 32: grouping not allowed for count_over_time aggregation`},
		{`rate({job="a"} | unwrap x | json [1m])`, `only label filters may follow unwrap`},
		{`{job="a"} | unwrap x`, `line 1, col 13: syntax error: unwrap stands only inside functions over a range`},
		{strings.Repeat("(", 200) + "1", `more than 100 levels of parentheses`},
		{`{job="` + strings.Repeat("a", maxQuery) + `"}`, `the query is longer than`},
	} {
		_, err := parse(c.query)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n gave %v\n want %s", shorten(c.query), err, c.want)
		}
	}
}

func TestTheRestOfLogQLIsRejectedByName(t *testing.T) {
	for query, name := range map[string]string{
		`{job="a"} | line_format "{{.x}}"`:                     `"line_format"`,
		`{job="a"} | label_format a=b`:                         `"label_format"`,
		`{job="a"} | pattern "<ip>"`:                           `"pattern"`,
		`{job="a"} | regexp "(?P<x>.)"`:                        `"regexp"`,
		`{job="a"} | decolorize`:                               `"decolorize"`,
		`{job="a"} | drop x`:                                   `"drop"`,
		`{job="a"} | keep x`:                                   `"keep"`,
		`{job="a"} | unpack`:                                   `"unpack"`,
		`{job="a"} |> "<_>"`:                                   `"|>"`,
		`{job="a"} |= ip("1.1.1.1")`:                           `"ip"`,
		`{job="a"} | addr = ip("1.1.1.1")`:                     `"ip"`,
		`{job="a"} | json x="y"`:                               `arguments of json`,
		`{job="a"} | logfmt --strict`:                          `arguments of logfmt`,
		`topk(5, rate({job="a"}[1m]))`:                         `"topk"`,
		`absent_over_time({job="a"}[1m])`:                      `"absent_over_time"`,
		`label_replace(rate({job="a"}[1m]), "a","b","c","d")`:  `"label_replace"`,
		`rate({job="a"}[1m]) > 5`:                              `">"`,
		`rate({job="a"}[1m]) != 5`:                             `"!="`,
		`rate({job="a"}[1m]) % 5`:                              `"%"`,
		`rate({job="a"}[1m]) ^ 5`:                              `"^"`,
		`rate({job="a"}[1m]) and rate({job="a"}[1m])`:          `"and"`,
		`rate({job="a"}[1m]) / on(x) rate({job="a"}[1m])`:      `"on"`,
		`rate({job="a"}[1m]) * ignoring(x) rate({job="a"}[1])`: `"ignoring"`,
	} {
		_, err := parse(query)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "not supported by this log server") {
			t.Errorf("%s gave %v", query, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{a="b"} |= "c" or "d" | json | e > 5m and (f = "g" or h <= 2KiB) | unwrap i`,
		`sum by (a) (rate({b=~"c.+"}[5m] offset 1h)) / 2 or vector(0)`,
		`quantile_over_time(0.9, {a="b"} | logfmt | unwrap duration(c) [1m]) without (d)`,
		"{a=`\xff`} # x", "1e", "\"", "((((", "{a=\"b\"}[", "µ", "5µs", "\xb5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		_, err := parse(query)
		if err == nil || errors.Is(err, errNoSelection) {
			return
		}
		perr, ok := errors.AsType[*parseError](err)
		if !ok {
			t.Fatalf("%q gave an error without a place: %v", query, err)
		}
		if perr.line < 1 || perr.col < 1 {
			t.Errorf("%q: place %d:%d", query, perr.line, perr.col)
		}
	})
}
