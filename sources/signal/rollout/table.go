package rollout

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// Text and Numbers are the columns that a table for FromTable should have.
var (
	Text = []string{
		"stage", "environment", "manifest", "prompt", "model", "tools", "index", "policy",
		"outcome", "schema", "refusal", "filter", "feedback", "retrieval_hit",
	}
	Numbers = []string{"latency", "cost", "score"}
)

const (
	mostCandidates = 4
	mostSides      = 200 // more at once are no versions but a label that holds something else
	leastShare     = 0.002
	leastRival     = 0.01 // of the control's rows
	cut            = 0.9  // of the control's values: what lies beyond is slow, dear or scored low
	leastValues    = 100  // values of the control behind such a cut
	recent         = 15 * time.Minute
	goneAfter      = 3 * time.Minute // without a row
	leastBeside    = 2 * time.Minute // that two without stages must run at the same time
)

// tabled is one side as the rows show it.
type tabled struct {
	Side
	rows        []int
	first, last time.Duration // of its rows, since the table's start
	newest      int           // rows in the newest quarter of an hour
	stage       string
	doubt       string
}

// FromTable finds the versions that ran at the same time among request rows and counts
// how each did, minute by minute. What is live is the side whose rollout stage says so,
// else that which was there first. Rows outside from..to have no part in it: their clock is off.
func FromTable(t *sources.RequestTable, from, to time.Time) (pairs []Input, doubts []string) {
	sides, doubts := sidesOf(t, from, to)
	if len(sides) < 2 {
		return nil, doubts
	}
	sure, control := pickControl(sides)
	left := 0
	for _, s := range sides {
		if s == control || s.overlap(control) < leastBeside && (s.stage == "" || s.stage == control.stage) {
			continue
		}
		if Differs(&s.Side, &control.Side) == "" && s.Manifest == control.Manifest {
			continue // another stage of the same: there is nothing to compare
		}
		if len(pairs) == mostCandidates {
			left++
			continue
		}
		// A side is compared from when it was there, at most from the table's beginning.
		start := s.first.Truncate(time.Minute)
		in := Input{
			Candidate: s.Side, Control: control.Side, Newer: sure && s.stage != control.stage || s.first > control.first+time.Minute,
			Kind: SideBySide, From: latest(from, t.Start.Add(start)), To: to, Provider: "requests", Every: t.Every, Sampled: t.Facts.Sampled,
		}
		if s.stage != "" || control.stage != "" {
			in.Kind = KindOf(s.Name, control.Name)
		}
		for _, d := range []string{s.doubt, control.doubt} {
			if d != "" {
				in.Doubts = appendOnce(in.Doubts, d)
			}
		}
		in.Counted = countRows(t, s.rows, control.rows, from, to)
		for _, o := range rivals(sides, s, control) {
			in.Rivals = append(in.Rivals, countRows(t, s.rows, o.rows, from, to))
		}
		pairs = append(pairs, in)
	}
	if left > 0 {
		doubts = append(doubts, fmt.Sprintf("%s with less traffic not compared", sources.Counted(left, "more version")))
	}
	return pairs, doubts
}

// rivals are the other sides that a candidate may have to be held against: those which say of
// themselves that they are the control too, and are no stragglers.
func rivals(sides []*tabled, candidate, control *tabled) (out []*tabled) {
	if control.doubt == "" || candidate.stage == control.stage {
		return nil
	}
	for _, o := range sides {
		if o != control && o.stage == control.stage && float64(len(o.rows)) >= leastRival*float64(len(control.rows)) {
			out = append(out, o)
		}
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// overlap is for how long two sides ran at the same time.
func (s *tabled) overlap(o *tabled) time.Duration {
	return max(0, min(s.last, o.last)-max(s.first, o.first))
}

func sidesOf(t *sources.RequestTable, from, to time.Time) (list []*tabled, doubts []string) {
	list, newest, exploded := grouped(t, from, to)
	if exploded {
		return nil, []string{fmt.Sprintf("more than %d versions at once: a version label holds something else, such as an ID; nothing is compared", mostSides)}
	}
	list = joined(list)
	total, recently := 0, 0
	var main *tabled
	for _, s := range list {
		total += len(s.rows)
		if main == nil || len(s.rows) > len(main.rows) {
			main = s
		}
	}
	list = slices.DeleteFunc(list, func(s *tabled) bool {
		// What is not asked any more is over, a straggler is no rollout unless it is called one, and
		// another environment is another service.
		gap := time.Duration(0)
		if n := len(s.rows); n > 1 {
			gap = (s.last - s.first) / time.Duration(n-1)
		}
		gone := newest-s.last > max(goneAfter, 6*gap)
		few := float64(len(s.rows)) < leastShare*float64(total) && s.stage == ""
		other := s.Environment != main.Environment && s.Environment != "" && main.Environment != "" && KindOf(s.Environment, main.Environment) == Graduated
		return gone || few || other
	})
	named := map[string]int{}
	for _, s := range list {
		recently += s.newest
		s.Since = t.Start.Add(s.first)
		if s.first < time.Minute {
			s.Since = time.Time{} // it was there before
		}
		s.Name = s.stage
		if s.Name == "" && KindOf(s.Environment, s.Environment) == BlueGreen {
			s.Name, s.stage = s.Environment, s.Environment
		}
		named[s.Name]++
	}
	for _, s := range list {
		if recently > 0 {
			s.Share = sources.N(float64(s.newest) / float64(recently))
		}
		if s.Name != "" && named[s.Name] > 1 {
			s.doubt = fmt.Sprintf("%d manifests at one time in stage %s", named[s.Name], s.Name)
			doubts = appendOnce(doubts, s.doubt)
		}
	}
	slices.SortStableFunc(list, func(a, b *tabled) int { return len(b.rows) - len(a.rows) })
	nameByVersion(list, named)
	return list, doubts
}

// grouped puts rows of the same stage, environment, manifest and versions together. A row with a
// manifest goes by that: what it lacks of the versions, others of its manifest have.
func grouped(t *sources.RequestTable, from, to time.Time) (list []*tabled, newest time.Duration, exploded bool) {
	columns := make([]*sources.TextColumn, 8)
	for i, name := range Text[:8] {
		if columns[i] = t.Column(name); columns[i] == nil {
			columns[i] = &sources.TextColumn{Values: []string{""}, Codes: make([]uint32, t.N)}
		}
	}
	value := func(c, row int) string { return columns[c].Values[columns[c].Codes[row]] }
	type key [8]uint32
	at := map[key]*tabled{}
	for i := range t.N {
		when := t.Start.Add(t.Time[i])
		if when.Before(from) || when.After(to) {
			continue
		}
		var k key
		for c := range columns {
			if k[c] = columns[c].Codes[i]; c == 2 && k[c] != 0 {
				break
			}
		}
		s := at[k]
		if s == nil {
			if len(at) >= mostSides {
				return nil, 0, true
			}
			s = &tabled{stage: value(0, i), first: t.Time[i], last: t.Time[i]}
			s.Environment, s.Manifest, s.Versions = value(1, i), value(2, i), map[sources.Component]string{}
			at[k] = s
			list = append(list, s)
		}
		for c, name := range sources.Components {
			if v := value(3+c, i); v != "" && s.Versions[name] == "" {
				s.Versions[name] = v
			}
		}
		s.rows = append(s.rows, i)
		s.first, s.last, newest = min(s.first, t.Time[i]), max(s.last, t.Time[i]), max(newest, t.Time[i])
		if to.Sub(when) < recent {
			s.newest++
		}
	}
	return list, newest, false
}

// joined adds sides that say less to one that says the same and more: a request that was turned
// away early knows not all versions.
func joined(list []*tabled) []*tabled {
	slices.SortStableFunc(list, func(a, b *tabled) int { return len(b.rows) - len(a.rows) })
	var out []*tabled
	for _, s := range list {
		i := slices.IndexFunc(out, func(o *tabled) bool { return s.within(o) })
		if i < 0 {
			out = append(out, s)
			continue
		}
		o := out[i]
		o.rows = append(o.rows, s.rows...)
		o.first, o.last, o.newest = min(o.first, s.first), max(o.last, s.last), o.newest+s.newest
	}
	return out
}

// within tells whether all that a side says of itself another says too.
func (s *tabled) within(o *tabled) bool {
	says := func(a, b string) bool { return a == "" || a == b }
	if s.stage != o.stage || !says(s.Environment, o.Environment) || !says(s.Manifest, o.Manifest) {
		return false
	}
	for c, v := range s.Versions {
		if !says(v, o.Versions[c]) {
			return false
		}
	}
	return true
}

// nameByVersion gives sides without a stage of their own the name of what tells them apart.
func nameByVersion(list []*tabled, named map[string]int) {
	for i, s := range list {
		if s.Name != "" && named[s.Name] == 1 {
			continue
		}
		other := list[0]
		if i == 0 && len(list) > 1 {
			other = list[1]
		}
		name := Differs(&s.Side, &other.Side)
		if name == "" {
			name = s.Manifest
		}
		s.Name = strings.TrimSpace(s.stage + " " + name)
		if s.Name == "" {
			s.Name = "no version"
		}
	}
}

func appendOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// pickControl is the side that the others are held against, and whether that is sure.
func pickControl(list []*tabled) (sure bool, control *tabled) {
	staged := 0
	for _, s := range list { // most requests first
		if s.stage != "" {
			staged++
		}
		if s.stage != "" && IsLive(s.stage) && control == nil {
			control = s
		}
	}
	if control != nil {
		return true, control
	}
	// Beside a canary or a shadow, what is not called anything is what users get.
	if staged > 0 && staged < len(list) {
		for _, s := range list {
			if s.stage == "" {
				return true, s
			}
		}
	}
	// Blue and green, or versions without a stage: the older one is the control.
	control = list[0]
	for _, s := range list[1:] {
		if s.first < control.first-time.Minute {
			control = s
		}
	}
	return false, control
}

// countRows counts every outcome of two sides, minute by minute.
func countRows(t *sources.RequestTable, tried, beside []int, from, to time.Time) []Counted {
	minutes := int(to.Sub(from)/time.Minute) + 1
	count := func(rows []int, of func(int) (bad, known bool)) []stat.Count {
		out := make([]stat.Count, minutes)
		for _, i := range rows {
			m := int(t.Start.Add(t.Time[i]).Sub(from) / time.Minute)
			if m < 0 || m >= minutes {
				continue
			}
			if bad, known := of(i); known {
				out[m].N++
				if bad {
					out[m].K++
				}
			}
		}
		return out
	}
	both := func(id, name string, core bool, of func(int) (bad, known bool)) Counted {
		return Counted{ID: id, Name: name, Core: core, Tried: count(tried, of), Beside: count(beside, of)}
	}
	text := func(column string, bad func(string) bool) func(int) (bool, bool) {
		c := t.Column(column)
		return func(i int) (bool, bool) {
			if c == nil {
				return false, false
			}
			v := c.Values[c.Codes[i]]
			return v != "" && bad(v), v != ""
		}
	}
	is := func(want string) func(string) bool { return func(v string) bool { return v == want } }
	failed := text("outcome", is("error"))
	out := []Counted{
		both("errors", "errors", true, func(i int) (bool, bool) { bad, _ := failed(i); return bad, true }),
		both("schema_failures", "schema failures", true, text("schema", is("fail"))),
		both("refusals", "refusals", true, text("refusal", is("true"))),
		both("filter_triggers", "content filter triggers", true, text("filter", func(v string) bool { return v != "none" })),
		both("retrieval_misses", "retrievals without a hit", false, text("retrieval_hit", is("false"))),
		both("feedback", "thumbs down", false, text("feedback", is("down"))),
	}
	for _, v := range []struct {
		id, column, name string
		low              bool
		say              func(float64) string
	}{
		{"eval_scores", "score", "low evaluation scores (under %s)", true, func(v float64) string { return fmt.Sprintf("%.2f", v) }},
		{"latency", "latency", "slow answers (over %s)", false, Seconds},
		{"cost", "cost", "dear requests (over %s)", false, func(v float64) string { return fmt.Sprintf("%.3g USD", v) }},
	} {
		numbers := t.Number(v.column)
		if numbers == nil {
			continue
		}
		edge, ok := edgeOf(numbers, beside, v.low)
		if !ok {
			continue
		}
		out = append(out, both(v.id, fmt.Sprintf(v.name, v.say(edge)), false, func(i int) (bool, bool) {
			x := numbers[i]
			return x > edge && !v.low || x < edge && v.low, can(x, v.low)
		}))
	}
	return out
}

// can tells whether a number can be what it is said to be: durations and costs are not
// negative, as they are where a clock jumped; scores may be.
func can(x float64, score bool) bool {
	return !math.IsNaN(x) && !math.IsInf(x, 0) && (score || x >= 0)
}

// edgeOf is the value that one in ten of the control's rows lies beyond. Where so many
// have the very same value that none does, there is none.
func edgeOf(numbers []float64, rows []int, low bool) (float64, bool) {
	var values []float64
	for _, i := range rows {
		if x := numbers[i]; can(x, low) {
			values = append(values, x)
		}
	}
	if len(values) < leastValues {
		return 0, false
	}
	slices.Sort(values)
	i := int(cut * float64(len(values)-1))
	if low {
		i = len(values) - 1 - i
	}
	return values[i], values[0] != values[len(values)-1]
}

// Seconds is a duration in the words of a sentence.
func Seconds(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.0f ms", 1000*v)
	}
	return fmt.Sprintf("%.1f s", v)
}
