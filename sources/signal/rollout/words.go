package rollout

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// Sentence says the worst rollout for the verdict line: "Canary prompt v14: roll back,
// schema failures 9.1% (37/406) vs 1.2% (44/3660), p=3e-14." Empty when there is none.
func (r *Report) Sentence() string {
	if r == nil || len(r.Comparisons) == 0 {
		return ""
	}
	c := &r.Comparisons[0]
	return c.Title() + ": " + string(c.Verdict) + ", " + c.Why + "."
}

// Brief says a comparison in parts, the most important first: without counts, for a line
// that has little room.
func (c *Comparison) Brief() []string {
	worse := c.named(Worse)
	if len(worse) == 0 {
		return []string{c.Title() + ": " + string(c.Verdict) + ", " + c.Why + "."}
	}
	first := fmt.Sprintf("%s: %s, %s %s vs %s", c.Title(), c.Verdict, worse[0].Name, percent(worse[0].Share()), percent(worse[0].ControlShare()))
	if worse[0].P.OK {
		first += ", p=" + stat.Words(worse[0].P.V)
	}
	parts := []string{first + "."}
	if len(worse) > 1 {
		parts = append(parts, "Also "+names(worse[1:])+".")
	}
	return parts
}

// Worst is the outcome that speaks most surely against the candidate; nil when none does.
func (c *Comparison) Worst() *Outcome {
	if worse := c.named(Worse); len(worse) > 0 {
		return worse[0]
	}
	return nil
}

// Title names a comparison: "Canary prompt v14".
func (c *Comparison) Title() string {
	what := Differs(&c.Candidate, &c.Control)
	name := c.Candidate.Name
	switch c.Kind {
	case Canary, Shadow:
		name = strings.ToUpper(string(c.Kind[:1])) + string(c.Kind[1:])
	case BlueGreen:
		name = "Blue/green, " + name
	case Graduated:
		name = "Rollout stage " + name
	case SideBySide:
		return "Side by side, " + name + " and " + c.Control.Name
	}
	if strings.HasSuffix(name, what) {
		return name // it is named by its version
	}
	return name + " " + what
}

// Differs names the versions of one side that are not the other's: "prompt v14".
func Differs(a, b *Side) string {
	var out []string
	for _, k := range sources.Components {
		if v := a.Versions[k]; v != "" && v != b.Versions[k] {
			out = append(out, string(k)+" "+v)
		}
	}
	return strings.Join(out, ", ")
}

// figures are the numbers of one outcome.
func figures(o *Outcome) string {
	s := fmt.Sprintf("%s %s (%s/%s) vs %s (%s/%s)", o.Name, percent(o.Share()), count(o.K), count(o.N), percent(o.ControlShare()), count(o.ControlK), count(o.ControlN))
	if o.Ratio.OK {
		s += ", " + strconv.FormatFloat(o.Ratio.V, 'f', 1, 64) + "×"
	}
	if o.P.OK {
		s += ", p=" + stat.Words(o.P.V)
	}
	if o.Minutes > 0 {
		s += fmt.Sprintf(", last %d min", o.Minutes)
	}
	return s
}

func percent(v float64) string {
	switch {
	case math.IsNaN(v):
		return "none"
	case v < 0.1:
		return strconv.FormatFloat(100*v, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(100*v, 'f', 0, 64) + "%"
}

// count is a number of events, which of extrapolated rates need not be whole.
func count(v float64) string { return sources.Thousands(int(math.Round(v))) }

// names lists outcomes, the first few of them.
func names(list []*Outcome) string {
	const most = 3
	var out []string
	for _, o := range list {
		name, _, _ := strings.Cut(o.Name, " (")
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) > most {
		out = append(out[:most:most], fmt.Sprintf("%d more", len(out)-most))
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}

func needed(n int) string {
	switch {
	case n < 0:
		return "; more requests alone will not tell"
	case n > 0:
		return "; about " + count(float64(n)) + " more requests"
	}
	return ""
}

// Facts say what was compared, a line each: how the traffic is shared, for how long, from where.
func (c *Comparison) Facts() []string {
	sides := []string{}
	for _, s := range []*Side{&c.Candidate, &c.Control} {
		word := s.Name + " " + count(s.Requests) + " requests"
		if s.Share.OK {
			word += ", " + percent(s.Share.V) + " of the traffic now"
		}
		sides = append(sides, word)
	}
	from := "metrics"
	if c.Provider == "requests" {
		from = "request rows"
		if c.Sampled {
			from += ", not all of them"
		}
	}
	out := []string{fmt.Sprintf("%s; %s with both, from %s", strings.Join(sides, "; "), sources.Counted(c.Minutes, "minute"), from)}
	switch {
	case c.Live != "":
		out = append(out, c.Live+" is live")
	case c.Kind == BlueGreen:
		out = append(out, "both have traffic: neither is clearly live")
	}
	for _, d := range c.Doubts {
		out = append(out, "doubt: "+d)
	}
	if len(c.NotSeen) > 0 {
		out = append(out, "not counted by version: "+strings.Join(c.NotSeen, ", "))
	}
	return out
}

// Cells are an outcome as the row of a table: words, both shares with their counts, ratio, p, state, needs.
func (o *Outcome) Cells() []string {
	row := []string{o.Name, "", "", "", "", string(o.State), ""}
	if o.N > 0 {
		row[1] = fmt.Sprintf("%s (%s/%s)", percent(o.Share()), count(o.K), count(o.N))
	}
	if o.ControlN > 0 {
		row[2] = fmt.Sprintf("%s (%s/%s)", percent(o.ControlShare()), count(o.ControlK), count(o.ControlN))
	}
	if o.Ratio.OK {
		row[3] = strconv.FormatFloat(o.Ratio.V, 'f', 2, 64) + "×"
	}
	if o.P.OK {
		row[4] = stat.Words(o.P.V)
	}
	switch {
	case o.State == NoWorse || o.State == Worse:
	case o.Needs < 0:
		row[6] = "will not tell"
	case o.Needs > 0:
		row[6] = "~" + count(float64(o.Needs)) + " more"
	}
	return row
}
