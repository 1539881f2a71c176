package sim

import (
	"slices"
	"time"
)

// Solution is what nobody is told before the drill is over: what was planted, and
// what is right to do about it.
type Solution struct {
	Cause string // one sentence; empty: nothing is wrong
	Cure  string // one sentence
	// Categories are those that it is right to declare the incident as.
	Categories []string
	Ways       []Way // any of them is right
}

// Way is one way of mitigating; all of it must hold.
type Way struct {
	Pins     [ComponentCount][]string // any of these versions; empty: as it is
	Features map[string]bool
	Budgets  []string // raised, or not enforced any more
	Queueing Tri
	NoCanary bool
	Colour   string // that must have the traffic; empty: either
}

// size is of how many things the way consists.
func (w *Way) size() int {
	n := len(w.Features) + len(w.Budgets)
	for _, p := range w.Pins {
		if len(p) > 0 {
			n++
		}
	}
	if w.Queueing != Unknown {
		n++
	}
	if w.NoCanary {
		n++
	}
	if w.Colour != "" {
		n++
	}
	return n
}

// met is how many of them hold.
func (w *Way) met(s *settings, budgets [len(budgetScopes)]float64) int {
	n := 0
	for c, list := range w.Pins {
		if slices.Contains(list, s.live[c]) {
			n++
		}
	}
	for name, on := range w.Features {
		if s.disabled[name] != on {
			n++
		}
	}
	for _, scope := range w.Budgets {
		if i := budgetIndex(scope); !s.enforce[scope] || s.budgets[i] > budgets[i] {
			n++
		}
	}
	if w.Queueing != Unknown && (w.Queueing == Yes) == s.queueing.Enabled {
		n++
	}
	if w.NoCanary && s.share == 0 {
		n++
	}
	if w.Colour != "" && w.Colour == s.colour {
		n++
	}
	return n
}

// Judgement of something that a person changed.
type Judgement string

// The judgements.
const (
	Right  Judgement = "right"  // it belongs to a way of mitigating
	Undone Judgement = "undone" // it put back what a person had changed
	Wrong  Judgement = "wrong"  // it helped nothing, or took away what helped
	Early  Judgement = "early"  // nothing was wrong yet
)

// Action is something that a person changed through the admin API.
type Action struct {
	At        time.Time `json:"at"`
	What      string    `json:"what"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Judgement Judgement `json:"judgement"`
}

// ledger follows whether what is set is right.
type ledger struct {
	began     time.Time // of the trouble; zero: there is none
	actions   []Action
	mitigated time.Time // since when a way is met; zero: none is
	met       []int     // of each way
	budgets   [len(budgetScopes)]float64
}

// met is how much of each way holds, and whether one holds whole.
func (a *Solution) met(s *settings, budgets [len(budgetScopes)]float64) (met []int, whole bool) {
	for i := range a.Ways {
		m := a.Ways[i].met(s, budgets)
		met, whole = append(met, m), whole || m == a.Ways[i].size()
	}
	return met, whole
}

// judge takes note of a change that was just made; the caller holds the lock.
func (c *Control) judge(ch Change) {
	l := &c.ledger
	met, whole := c.scenario.Solution.met(&c.set, l.budgets)
	more, less := false, false
	for i, was := range l.met {
		more, less = more || met[i] > was, less || met[i] < was
	}
	l.met = met
	on := !l.began.IsZero() && !ch.At.Before(l.began)
	switch {
	case !on || !whole:
		l.mitigated = time.Time{}
	case l.mitigated.IsZero():
		l.mitigated = ch.At
	}
	if ch.Actor != actorAdmin {
		return
	}
	a := Action{At: ch.At, What: ch.What, From: ch.From, To: ch.To, Judgement: Wrong}
	switch {
	case !on && !l.began.IsZero():
		a.Judgement = Early
	case more:
		a.Judgement = Right
	case !less && l.undoes(&a):
		a.Judgement = Undone
	}
	l.actions = append(l.actions, a)
}

// undoes tells whether the action puts back what a person changed last there.
func (l *ledger) undoes(a *Action) bool {
	for _, old := range slices.Backward(l.actions) {
		if old.What == a.What {
			return old.From == a.To && old.Judgement != Undone
		}
	}
	return false
}

// starts is when the trouble starts, from the start of the drill.
func (s *Scenario) starts() (time.Duration, bool) {
	first, found := time.Duration(0), false
	take := func(at time.Duration) {
		if !found || at < first {
			first, found = at, true
		}
	}
	for _, r := range s.Rollouts {
		take(r.At)
	}
	for i := range s.Effects {
		take(s.Effects[i].At)
	}
	for _, x := range s.Served {
		take(x.At)
	}
	return first, found && s.Solution.Cause != ""
}

// ends is when it ends by itself, if it does.
func (s *Scenario) ends() (time.Duration, bool) {
	var last time.Duration
	for i := range s.Effects {
		if s.Effects[i].Until == 0 {
			return 0, false
		}
		last = max(last, s.Effects[i].Until)
	}
	return last, last > 0 && len(s.Rollouts) == 0 && len(s.Served) == 0
}
