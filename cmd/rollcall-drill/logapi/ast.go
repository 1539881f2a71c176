package logapi

import (
	"regexp"
	"time"
)

// expr is a parsed query: *logQuery, or one of the metric expressions
// *rangeAgg, *vectorAgg, *binary, number and vector.
type expr any

// logQuery selects streams and sends their lines through a pipeline.
type logQuery struct {
	sel    selector
	stages []stage
}

// matcher tests the value of one label, a missing label being the empty value.
type matcher struct {
	name, op, value string
	re              *regexp.Regexp // for =~ and !~
}

func (m matcher) matches(value string) bool {
	switch m.op {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	case "=~":
		return m.re.MatchString(value)
	default:
		return !m.re.MatchString(value)
	}
}

// selector picks the streams that all its matchers match.
type selector []matcher

func (sel selector) matches(ls labelSet) bool {
	for _, m := range sel {
		if v, _ := ls.get(m.name); !m.matches(v) {
			return false
		}
	}
	return true
}

// rangeAgg applies a function to the lines or unwrapped values of each series
// in the window (t-window-offset, t-offset].
type rangeAgg struct {
	op     string
	q      *logQuery
	unwrap *unwrap // nil for functions of lines
	window time.Duration
	offset time.Duration
	q01    float64 // of quantile_over_time
	group  *grouping
}

// unwrap takes a label's value as the sample.
type unwrap struct {
	label   string
	convert string  // "", duration, duration_seconds or bytes
	after   []stage // label filters that follow it
}

// grouping keeps only the named labels, or with without all others.
type grouping struct {
	without bool
	names   []string
}

func (g *grouping) apply(ls labelSet) labelSet {
	switch {
	case g == nil:
		return nil
	case g.without:
		return ls.drop(g.names)
	default:
		return ls.keep(g.names)
	}
}

// vectorAgg combines the series of an expression at each time.
type vectorAgg struct {
	op    string
	of    expr
	group *grouping // nil: all series into one
}

// binary is arithmetic between series with equal labels or a number, or "or".
type binary struct {
	op          string
	left, right expr
}

// number is a literal; vector is one series without labels of that value.
type (
	number float64
	vector float64
)

// lineFunctions and valueFunctions are the functions over a range, of lines and
// of unwrapped values.
var (
	lineFunctions = map[string]bool{
		"rate": true, "count_over_time": true, "bytes_rate": true, "bytes_over_time": true,
	}
	valueFunctions = map[string]bool{
		"rate": true, "sum_over_time": true, "avg_over_time": true, "min_over_time": true, "max_over_time": true,
		"first_over_time": true, "last_over_time": true, "stddev_over_time": true, "stdvar_over_time": true,
		"quantile_over_time": true,
	}
	// groupable take "by" and "without" themselves.
	groupable = map[string]bool{
		"avg_over_time": true, "min_over_time": true, "max_over_time": true, "first_over_time": true, "last_over_time": true,
		"stddev_over_time": true, "stdvar_over_time": true, "quantile_over_time": true,
	}
	aggregations = map[string]bool{"sum": true, "min": true, "max": true, "avg": true, "count": true}

	// unsupported is the rest of LogQL, to say so instead of calling it a mistake.
	unsupported = map[string]bool{
		"line_format": true, "label_format": true, "pattern": true, "regexp": true, "unpack": true, "decolorize": true,
		"drop": true, "keep": true, "distinct": true, "ip": true, "rate_counter": true, "absent_over_time": true,
		"topk": true, "bottomk": true, "stddev": true, "stdvar": true, "sort": true, "sort_desc": true, "approx_topk": true,
		"label_replace": true, "bool": true, "on": true, "ignoring": true, "group_left": true, "group_right": true,
		"and": true, "unless": true, "variants": true, "of": true,
		"|>": true, "!>": true, "%": true, "^": true, "@": true, "==": true, ">": true, "<": true, ">=": true, "<=": true, "!=": true,
	}
)
