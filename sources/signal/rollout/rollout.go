// Package rollout compares versions that run at the same time: a canary, a shadow, a
// stage of a graduated rollout, or the other half of blue and green, with what runs
// beside it. The control is concurrent, so that the hour and the day cancel out. It
// says promote, hold or roll back, with the numbers, and what is still too little to
// tell. It reads nothing; what it is given are counts.
package rollout

import (
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// Kind is how versions share the traffic.
type Kind string

// The kinds.
const (
	Canary     Kind = "canary"
	Shadow     Kind = "shadow"
	BlueGreen  Kind = "blue/green"
	Graduated  Kind = "graduated"
	SideBySide Kind = "side by side" // two versions run, and nothing says as what
)

// Verdict is what to do.
type Verdict string

// The verdicts.
const (
	Promote  Verdict = "promote"
	Hold     Verdict = "hold"
	RollBack Verdict = "roll back"
)

// Side is one of the versions that run.
type Side struct {
	Name        string                       `json:"name"` // its rollout stage, environment or version
	Manifest    string                       `json:"manifest,omitempty"`
	Environment string                       `json:"environment,omitempty"`
	Versions    map[sources.Component]string `json:"versions,omitempty"`
	Since       time.Time                    `json:"since,omitzero"` // when it began; zero when that is not known
	Requests    float64                      `json:"requests"`       // in the minutes that were compared
	Share       sources.Num                  `json:"share"`          // of the traffic, newest quarter of an hour
}

// Comparison is a candidate beside its control.
type Comparison struct {
	Kind      Kind      `json:"kind"`
	Verdict   Verdict   `json:"verdict"`
	Why       string    `json:"why"` // one sentence with the numbers
	Candidate Side      `json:"candidate"`
	Control   Side      `json:"control"`
	Live      string    `json:"live,omitempty"` // of blue/green: the side that has the traffic; empty when neither clearly has
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Minutes   int       `json:"minutes"` // in which both had traffic
	Outcomes  []Outcome `json:"outcomes"`
	Needs     int       `json:"needs"`             // about how many more requests of the candidate decide; 0 when decided, -1 when none will
	Provider  string    `json:"provider"`          // "prometheus" or "requests"
	Sampled   bool      `json:"sampled,omitempty"` // only some of the requests were counted
	// Doubts speak against believing it: with any, nothing is promoted, and only what is worse in every reading of them is rolled back.
	Doubts  []string `json:"doubts,omitempty"`
	NotSeen []string `json:"not_seen,omitempty"` // outcomes that nobody counts by version
}

// Report is every rollout of a service at one time.
type Report struct {
	At          time.Time     `json:"at"`
	Comparisons []Comparison  `json:"rollouts"` // the worst first
	Doubts      []string      `json:"doubts,omitempty"`
	Facts       sources.Facts `json:"-"`
}

// Input is what Decide is given of one pair.
type Input struct {
	Kind               Kind
	Candidate, Control Side
	// Newer tells whether it is known that the candidate is the newer one.
	Newer    bool
	From, To time.Time
	Step     time.Duration // of one window; zero is a minute
	Counted  []Counted     // the first counts requests
	// With Doubts nothing is promoted. It is called guilty only where it does worse in every reading of
	// them: beside each of Rivals as well, other controls that they leave possible, counted like Counted.
	// Open tells that there are readings that nobody could count.
	Doubts   []string
	Rivals   [][]Counted
	Open     bool
	NotSeen  []string
	Provider string
	// Every is how many requests one counted request stands for; 0 and 1 are all.
	Every   int
	Sampled bool
}

// LeastTime is how long a candidate is watched before it is promoted, whatever it counts.
const LeastTime = 15 * time.Minute

// Decide compares one pair.
func Decide(in *Input) Comparison {
	out := Comparison{
		Kind: in.Kind, Candidate: in.Candidate, Control: in.Control, From: in.From, To: in.To,
		Provider: in.Provider, Sampled: in.Sampled, Doubts: slices.Clone(in.Doubts), NotSeen: in.NotSeen, Outcomes: []Outcome{},
	}
	if in.Kind == BlueGreen {
		out.Live = liveSide(&in.Candidate, &in.Control)
	}
	step := in.Step
	if step <= 0 {
		step = time.Minute
	}
	if len(in.Counted) > 0 {
		c := &in.Counted[0]
		tried, beside := concurrent(c.Tried, c.Beside)
		out.Minutes = int(time.Duration(len(tried)) * step / time.Minute)
		if len(tried) == 0 {
			tried, beside = c.Tried, c.Beside
		}
		out.Candidate.Requests, out.Control.Requests = events(tried), events(beside)
	}
	for i := range in.Counted {
		c := &in.Counted[i]
		o := compare(c, step, perEvent(c, in.Counted[0].Tried, in.Counted[0].Beside)*float64(max(1, in.Every)))
		if o.N == 0 && o.ControlN == 0 && i > 0 {
			out.NotSeen = append(slices.Clip(out.NotSeen), c.Name)
			continue
		}
		out.Outcomes = append(out.Outcomes, o)
	}
	if !in.Newer {
		out.Doubts = append(out.Doubts, "which of the two is the new one is not known")
	}
	out.decide(func(o *Outcome) bool { return in.Newer && !in.Open && in.worseBesideAll(o, step) })
	return out
}

// worseBesideAll tells whether an outcome is worse beside every other control that it may be held against.
func (in *Input) worseBesideAll(o *Outcome, step time.Duration) bool {
	for _, rival := range in.Rivals {
		i := slices.IndexFunc(rival, func(c Counted) bool { return c.ID == o.ID })
		if i < 0 || compare(&rival[i], step, 1).State != Worse {
			return false
		}
	}
	return true
}

// perEvent is how many requests stand behind one event of an outcome.
func perEvent(c *Counted, tried, beside []stat.Count) float64 {
	if n := events(c.Tried); n > 0 {
		return events(tried) / n
	}
	if n := events(c.Beside); n > 0 {
		return events(beside) / n
	}
	return 1
}

func events(list []stat.Count) (n float64) {
	for _, x := range list {
		if x.Valid() {
			n += x.N
		}
	}
	return n
}

// decide says what to do; sure tells whether a worse outcome is so in every reading of the doubts.
func (c *Comparison) decide(sure func(*Outcome) bool) {
	// What is most surely worse is said first, what is furthest from settled last.
	slices.SortStableFunc(c.Outcomes, func(a, b Outcome) int { return order(&a) - order(&b) })
	worse := c.named(Worse)
	proven := slices.DeleteFunc(c.named(Worse), func(o *Outcome) bool { return !sure(o) })
	short := c.Minutes < int(LeastTime/time.Minute)
	switch {
	case len(c.Outcomes) == 0 && len(c.Doubts) > 0:
		c.Verdict, c.Why = Hold, c.Doubts[0]
	case c.Candidate.Requests == 0 && c.Minutes == 0:
		c.Verdict, c.Why = Hold, c.Candidate.Name+" has had no requests: nothing can be told"
		c.Needs = c.needs()
	case c.Control.Requests == 0 || c.Minutes == 0:
		c.Verdict, c.Why = Hold, c.Control.Name+" had no requests at the same time: there is nothing to compare with"
		c.Needs = c.needs()
	case len(proven) > 0:
		c.Verdict, c.Why = RollBack, figures(proven[0])
		if len(proven) > 1 {
			c.Why += "; also " + names(proven[1:])
		}
		if len(c.Doubts) > 0 {
			c.Why += "; that holds although " + c.Doubts[0]
		}
	case len(worse) > 0:
		c.Verdict, c.Why = Hold, c.Candidate.Name+" does worse, but "+c.Doubts[0]+": "+figures(worse[0])
	case len(c.Doubts) > 0:
		c.Verdict, c.Why, c.Needs = Hold, c.Doubts[0], c.needs()
	case len(c.named(Suspected)) > 0:
		c.Verdict, c.Needs = Hold, c.needs()
		c.Why = "perhaps worse, not yet beyond doubt: " + figures(c.named(Suspected)[0]) + needed(c.Needs)
	case short || len(c.unsettled()) > 0 || !c.anyCore():
		c.Verdict, c.Needs = Hold, c.needs()
		switch open := c.unsettled(); {
		case !c.anyCore():
			c.Why = "nothing that decides is counted by version"
		case len(open) > 0:
			c.Why = "too little to tell about " + names(open) + needed(c.Needs)
		default:
			c.Why = "nothing is worse so far; " + sources.Counted(c.Minutes, "minute") + " watched of the " + sources.Counted(int(LeastTime/time.Minute), "minute") + " that it takes"
		}
	default:
		c.Verdict = Promote
		c.Why = names(c.named(NoWorse)) + " no worse than " + c.Control.Name + " in " + sources.Counted(c.Minutes, "minute") + " and " + count(c.Candidate.Requests) + " requests"
		if open := c.named(TooLittle); len(open) > 0 {
			c.Why += "; too little to tell about " + names(open)
		}
	}
}

func order(o *Outcome) int {
	i := slices.Index([]State{Worse, Suspected, NoWorse, TooLittle}, o.State) * 2
	if !o.Core {
		i++
	}
	return i
}

func (c *Comparison) named(s State) []*Outcome {
	var out []*Outcome
	for i := range c.Outcomes {
		if c.Outcomes[i].State == s {
			out = append(out, &c.Outcomes[i])
		}
	}
	return out
}

// unsettled are the outcomes that decide and cannot be told yet.
func (c *Comparison) unsettled() []*Outcome {
	return slices.DeleteFunc(c.named(TooLittle), func(o *Outcome) bool { return !o.Core })
}

func (c *Comparison) anyCore() bool {
	return slices.ContainsFunc(c.Outcomes, func(o Outcome) bool { return o.Core && o.N > 0 })
}

// needs is the most that an outcome which decides still needs.
func (c *Comparison) needs() int {
	most := 0
	for i := range c.Outcomes {
		switch o := &c.Outcomes[i]; {
		case o.State == NoWorse || o.State == Worse || !o.Core && o.State != Suspected:
		case o.Needs < 0:
			return -1
		default:
			most = max(most, o.Needs)
		}
	}
	return most
}

// liveSide is the side of blue and green that has nearly all of the traffic.
func liveSide(a, b *Side) string {
	const nearly = 0.9
	switch {
	case a.Share.OK && a.Share.V >= nearly:
		return a.Name
	case b.Share.OK && b.Share.V >= nearly:
		return b.Name
	}
	return ""
}

// KindOf tells from the names of two sides how they share the traffic.
func KindOf(candidate, control string) Kind {
	has := func(s string, words ...string) bool {
		s = strings.ToLower(s)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
	}
	switch {
	case has(candidate, "canary"):
		return Canary
	case has(candidate, "shadow", "dark", "mirror"):
		return Shadow
	case has(candidate, "blue", "green") && has(control, "blue", "green"):
		return BlueGreen
	}
	return Graduated
}

// live are the names of what most users get, best known first.
var live = []string{"live", "stable", "production", "prod", "baseline", ""}

// IsLive tells whether a rollout stage or environment is called what users get.
func IsLive(name string) bool { return slices.Contains(live, strings.ToLower(name)) }

// New puts comparisons into the order in which they matter.
func New(at time.Time, list []Comparison, doubts []string, facts sources.Facts) *Report {
	rank := func(c *Comparison) int { return slices.Index([]Verdict{RollBack, Hold, Promote}, c.Verdict) }
	slices.SortStableFunc(list, func(a, b Comparison) int { return rank(&a) - rank(&b) })
	return &Report{At: at, Comparisons: list, Doubts: doubts, Facts: facts}
}
