package suspect

import (
	"fmt"
	"math"
	"slices"

	"rollcall/sources"
)

// Level says when in a request's life something is settled. An outcome can only
// be explained by what was settled before it: what comes with it, or after it, is
// its consequence.
type Level int

// The levels, in the order of a request's life.
const (
	Given     Level = iota // who asks what of which versions
	Retrieved              // what was looked up
	Called                 // what it took to answer
	Answered               // what came back
	Checked                // what was made of it
	Ended                  // how it ended, how long it took, what it cost
	Judged                 // what people and evaluators say
	Always                 // after everything
)

// levels are the columns that are compared, by the names of the request row.
var levels = map[string]Level{
	"prompt": Given, "model": Given, "tools": Given, "index": Given, "policy": Given, "manifest": Given, "stage": Given,
	"prompt_name": Given, "model_requested": Given, "environment": Given, "region": Given, "route": Given, "tenant": Given, "user": Given,
	"user_group":   Given,
	"model_served": Called, "model_fingerprint": Called, "provider": Called,
	"document": Retrieved,
	// Whether the provider used its cache is known of calls that succeeded only.
	"cache":         Answered,
	"retrieval_hit": Called, "tool": Called, "access_denied": Called,
	"tokens_in": Called, "llm_calls": Called,
	"tool_error": Called,
	"fallback":   Answered, "finish_reason": Answered,
	"tokens_out": Answered,
	"schema":     Checked, "filter": Checked, "refusal": Checked,
	"outcome": Ended, "error_type": Ended, "latency": Ended,
	"feedback": Judged,
}

// Text, Lists and Numbers are the columns that a table for Find should have.
var (
	Text = []string{
		"prompt", "model", "tools", "index", "policy", "manifest", "stage", "prompt_name", "model_requested", "model_served",
		"model_fingerprint", "provider", "environment", "region", "route", "tenant", "user", "cache", "retrieval_hit", "fallback",
		"finish_reason", "access_denied", "schema", "filter", "refusal", "outcome", "error_type", "feedback",
	}
	Lists   = []string{"document", "tool", "tool_error"}
	Numbers = []string{"latency", "tokens_in", "tokens_out", "llm_calls"}
)

// nothing are values that say that something did not happen. What failed early called
// and wrote little: that came of it.
var nothing = map[string]map[string]bool{
	"cache": {}, "filter": {"none": true}, "refusal": {"false": true}, "schema": {"pass": true}, "retrieval_hit": {"true": true},
	"outcome": {"ok": true}, "feedback": {"up": true}, "finish_reason": {"stop": true}, "access_denied": {"false": true},
	"llm_calls": {"under 2": true}, "tokens_out": {"under 100": true},
}

// preference orders equals: what can be rolled back, what names a set of that,
// what the provider did, who asked, and then by level.
func preference(name string) int {
	for i, c := range sources.Components {
		if name == string(c) {
			return i
		}
	}
	switch name {
	case "model_served":
		return 10
	case "model_fingerprint":
		return 11
	case "manifest", "stage", "prompt_name", "model_requested":
		return 12
	case "tenant":
		return 13
	case "route", "region", "environment":
		return 14
	case "user", "user_group":
		return 15
	}
	return 20 + int(levels[name])
}

// column is one column under comparison, text or list.
type column struct {
	name   string
	values []string
	codes  []uint32
	rowsOf []uint32 // of a list: the row of each code; nil for text
}

func (c *column) row(i int) int {
	if c.rowsOf != nil {
		return int(c.rowsOf[i])
	}
	return i
}

func (c *column) rows(value string, n int) bits {
	on := newBits(n)
	for code, v := range c.values {
		if v != value {
			continue
		}
		for i, x := range c.codes {
			if x == uint32(code) { //nolint:gosec // codes are indexes of values
				on.set(c.row(i))
			}
		}
	}
	return on
}

// columnsOf picks the columns that may explain an outcome of a level, those made of numbers included.
func columnsOf(t *sources.RequestTable, level Level, state []State) []*column {
	var out []*column
	for i := range t.Text {
		c := &t.Text[i]
		if l, ok := levels[c.Name]; ok && l < level {
			out = append(out, &column{name: c.Name, values: c.Values, codes: c.Codes})
		}
		if c.Name == "user" {
			out = append(out, groups(c, state))
		}
	}
	for i := range t.Lists {
		c := &t.Lists[i]
		if l, ok := levels[c.Name]; ok && l < level {
			out = append(out, &column{name: c.Name, values: c.Values, codes: c.Codes, rowsOf: c.Rows})
		}
	}
	for i := range t.Numbers {
		c := &t.Numbers[i]
		if l, ok := levels[c.Name]; ok && l < level {
			out = append(out, buckets(c))
		}
	}
	return out
}

// groups puts users into groups by how much each asked before the trouble began: how
// much they ask while it lasts is a consequence of it, since those who fail ask again.
// Where nothing is before, what failed is not counted.
func groups(c *sources.TextColumn, state []State) *column {
	anyBefore := slices.ContainsFunc(state, func(s State) bool { return s&Before != 0 })
	n := make([]int, len(c.Values))
	for i, code := range c.Codes {
		if state[i]&Before != 0 || !anyBefore && state[i]&^Before != Bad {
			n[code]++
		}
	}
	group := make([]uint32, len(c.Values))
	for code := range c.Values {
		switch {
		case code == 0 || n[code] == 0: // that somebody is new says when it was, not who it was
		case n[code] <= 5:
			group[code] = 1
		case n[code] <= 50:
			group[code] = 2
		default:
			group[code] = 3
		}
	}
	out := &column{name: "user_group", values: []string{"", "up to 5 requests", "6 to 50 requests", "over 50 requests"}, codes: make([]uint32, len(c.Codes))}
	for i, code := range c.Codes {
		out.codes[i] = group[code]
	}
	return out
}

var edges = map[string][]float64{
	"latency":    {1, 2.5, 5, 10, 30},
	"llm_calls":  {1.5, 3.5, 10.5},
	"tokens_in":  {500, 1000, 2000, 4000, 8000, 16000, 32000},
	"tokens_out": {100, 250, 500, 1000, 2000, 4000},
}

// buckets makes values of numbers.
func buckets(c *sources.NumberColumn) *column {
	at := edges[c.Name]
	out := &column{name: c.Name, values: []string{""}, codes: make([]uint32, len(c.V))}
	for i := 0; i <= len(at); i++ {
		out.values = append(out.values, bucketName(c.Name, at, i))
	}
	for i, v := range c.V {
		if !can(c.Name, v) {
			continue
		}
		b := 0
		for b < len(at) && v >= at[b] {
			b++
		}
		out.codes[i] = uint32(b + 1) //nolint:gosec // a handful
	}
	return out
}

func bucketName(name string, at []float64, i int) string {
	unit, low := "", 0.0
	if name == "latency" {
		unit = " s"
	}
	whole := func(v float64) float64 {
		if name == "llm_calls" {
			return math.Ceil(v)
		}
		return v
	}
	if i > 0 {
		low = whole(at[i-1])
	}
	switch {
	case i == 0:
		return fmt.Sprintf("under %g%s", whole(at[0]), unit)
	case i == len(at):
		return fmt.Sprintf("%g%s and more", low, unit)
	}
	return fmt.Sprintf("%g to %g%s", low, whole(at[i]), unit)
}

// tally counts every value of every column, and tests those that are common enough
// for a test to say anything.
func tally(columns []*column, state []State, r rows) []*attribute {
	var out []*attribute
	for _, c := range columns {
		count := make([][2]int32, len(c.values))
		if c.rowsOf == nil {
			for i, code := range c.codes {
				switch state[i] &^ Before {
				case Bad:
					count[code][0]++
				case Good:
					count[code][1]++
				}
			}
		} else {
			c.tallyList(count, state)
		}
		for code, n := range count {
			value := c.values[code]
			// How common a value is says nothing of the outcome: leaving the rare out is fair.
			if value == "" || nothing[c.name][value] || n[0]+n[1] < 2*leastRows {
				continue
			}
			a := &attribute{Attribute: sources.Attribute{Name: c.name, Value: value}, column: c, bad: int(n[0]), good: int(n[1])}
			if a.p = 1; r.effect(a.bad, a.good) > 0 {
				a.p = r.test(a.bad, a.good)
			}
			out = append(out, a)
		}
	}
	return out
}

// tallyList counts a row once for a value, however often the list has it. Entries
// of a row lie together.
func (c *column) tallyList(count [][2]int32, state []State) {
	last := make([]uint32, len(c.values)) // row+1 that was counted last
	for i, code := range c.codes {
		row := c.rowsOf[i]
		if last[code] == row+1 {
			continue
		}
		last[code] = row + 1
		switch state[row] &^ Before {
		case Bad:
			count[code][0]++
		case Good:
			count[code][1]++
		}
	}
}
