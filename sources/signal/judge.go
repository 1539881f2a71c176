package signal

import (
	"fmt"
	"math"
	"time"

	"rollcall/sources"
)

// judged is what one value means.
type judged struct {
	verdict sources.Verdict
	why     string
	since   time.Time
	so      func(float64) bool // what a value must be to belong to the time since
	// weight orders verdicts of the same kind: how many times over its level or its usual value.
	weight float64
}

// steadyFor is how long a value must have been unusual before that counts; a
// fixed level counts at once.
const steadyFor = time.Minute

// judge compares one value with the fixed levels and with what is usual.
func (sig *Signal) judge(p part, usual *sources.Usual, window time.Duration) judged {
	if p.verdict != "" {
		j := judged{verdict: p.verdict, why: p.why, weight: p.value}
		if worse(p.verdict, sources.OK) {
			j.so = func(v float64) bool { return sig.crosses(v, nil) }
			j.since = began(p.history, j.so)
		}
		return j
	}
	if few, why := sig.tooFew(p); few {
		return judged{verdict: sources.Learning, why: why}
	}
	fixed := sig.level(p.value)
	relative, factorOf := sources.OK, 0.0
	enough := usual != nil && usual.Days >= enoughDays
	if enough {
		relative, factorOf = sig.compare(p, *usual)
	}
	if sig.rareEvents(p, window) {
		fixed, relative = sources.OK, sources.OK
	}
	out := judged{verdict: fixed, why: sig.overWhich(p.value, fixed), weight: sig.times(p.value, fixed)}
	if relative.Worse(fixed) {
		out = judged{verdict: relative, weight: max(factorOf, 1/factorOf)}
		if usual.Value != 0 {
			out.why = factor(factorOf) + " usual " + format(usual.Value, sig.Unit)
		} else {
			out.why = format(p.value, sig.Unit) + ", usually none"
			out.weight = 10
		}
	}
	if worse(out.verdict, sources.OK) {
		against := usual
		if !enough || relative == sources.OK {
			against = nil
		}
		out.so = func(v float64) bool { return sig.crosses(v, against) }
		out.since = began(p.history, out.so)
		return out
	}
	switch {
	case enough:
		out.why = "usual " + format(usual.Value, sig.Unit)
	case on(sig.Limits.Watch) || on(sig.Limits.Bad):
		out.why = sig.within()
	case sig.Direction == sources.Neutral && !on(sig.Rise.Watch) && !on(sig.Fall.Watch):
		out.why = "not judged"
	default:
		out.verdict = sources.Learning
		out.why = "no history yet"
		if usual != nil && usual.Days > 0 {
			out.why = fmt.Sprintf("%d of %d days of history", usual.Days, enoughDays)
		}
	}
	return out
}

// tooFew tells whether too little stands behind a value to judge it.
func (sig *Signal) tooFew(p part) (bool, string) {
	if sig.Least.N == 0 || math.IsNaN(p.n) || p.n >= sig.Least.N {
		return false, ""
	}
	return true, fmt.Sprintf("%.0f of %.0f events needed", math.Floor(p.n), sig.Least.N)
}

// rareEvents tells whether the bad events behind a value are so few that chance explains them.
func (sig *Signal) rareEvents(p part, window time.Duration) bool {
	if sig.Least.K == 0 {
		return false
	}
	k := math.NaN()
	switch sig.Unit {
	case sources.PerSecond:
		k = p.value * window.Seconds()
	case sources.PerMille:
		k = p.value / 1000 * p.n
	case sources.Ratio:
		k = p.value * p.n
		if sig.Direction == sources.LowerWorse {
			k = (1 - p.value) * p.n
		}
	}
	return k < sig.Least.K // false when the count is not known
}

// level compares with the fixed levels.
func (sig *Signal) level(v float64) sources.Verdict {
	over := func(l float64) bool {
		if !on(l) {
			return false
		}
		if sig.Direction == sources.LowerWorse {
			return v <= l
		}
		return v >= l
	}
	switch {
	case over(sig.Limits.Bad):
		return sources.Bad
	case over(sig.Limits.Watch):
		return sources.Watch
	}
	return sources.OK
}

// compare judges against what is usual, and says how many times it is that.
func (sig *Signal) compare(p part, usual sources.Usual) (sources.Verdict, float64) {
	times := math.Inf(1)
	if usual.Value != 0 {
		times = p.value / usual.Value
	}
	lately := p.history
	if p.recent != nil {
		lately = p.recent
	}
	for _, v := range []sources.Verdict{sources.Bad, sources.Watch} {
		if steady(lately, func(x float64) bool { return sig.unusual(x, usual, v) }) {
			return v, times
		}
	}
	return sources.OK, times
}

// unusual tells whether a value deserves a verdict for how far it is from usual:
// by its factor, by enough to matter, and outside what these days ever showed.
func (sig *Signal) unusual(v float64, usual sources.Usual, verdict sources.Verdict) bool {
	up, down := sig.Rise.Watch, sig.Fall.Watch
	if verdict == sources.Bad {
		up, down = sig.Rise.Bad, sig.Fall.Bad
	}
	if sig.Direction != sources.LowerWorse && on(up) &&
		v >= up*usual.Value && v-usual.Value >= sig.Rise.By && v > usual.High && (usual.Value != 0 || sig.Rise.By > 0) {
		return true
	}
	return sig.Direction != sources.HigherWorse && on(down) &&
		v <= down*usual.Value && usual.Value-v >= sig.Fall.By && v < usual.Low
}

// crosses tells whether a value is at least watch.
func (sig *Signal) crosses(v float64, usual *sources.Usual) bool {
	if sig.level(v) != sources.OK {
		return true
	}
	return usual != nil && (sig.unusual(v, *usual, sources.Watch) || sig.unusual(v, *usual, sources.Bad))
}

func (sig *Signal) overWhich(v float64, verdict sources.Verdict) string {
	word := "over"
	if sig.Direction == sources.LowerWorse {
		word = "under"
	}
	l := sig.Limits.Watch
	if verdict == sources.Bad {
		l = sig.Limits.Bad
	}
	if v == l {
		word = "at"
	}
	return format(v, sig.Unit) + " " + word + " " + format(l, sig.Unit)
}

// within says which level was not reached.
func (sig *Signal) within() string {
	l := sig.Limits.Watch
	if !on(l) {
		l = sig.Limits.Bad
	}
	if sig.Direction == sources.LowerWorse {
		return "over " + format(l, sig.Unit)
	}
	return "under " + format(l, sig.Unit)
}

func (sig *Signal) times(v float64, verdict sources.Verdict) float64 {
	l := sig.Limits.Watch
	if verdict == sources.Bad {
		l = sig.Limits.Bad
	}
	if !on(l) || v == 0 {
		return 1
	}
	return max(v/l, l/v)
}

// steady tells whether the newest points have all been so for a minute: at least two of them.
func steady(history []sources.Point, so func(float64) bool) bool {
	n := len(history)
	if n < 2 {
		return false
	}
	end := history[n-1].T
	for i := n - 1; i >= 0; i-- {
		if i < n-2 && end.Sub(history[i].T) > steadyFor {
			break
		}
		if !so(history[i].V) {
			return false
		}
	}
	return true
}

// began walks the history back from its end to where it first was so. One point
// that was not, with others before it that were, does not end the walk.
func began(history []sources.Point, so func(float64) bool) time.Time {
	first := -1
	for i := len(history) - 1; i >= 0; i-- {
		if so(history[i].V) {
			first = i
			continue
		}
		if i == 0 || !so(history[i-1].V) {
			break
		}
	}
	if first < 0 {
		if n := len(history); n > 0 {
			return history[n-1].T
		}
		return time.Time{}
	}
	return history[first].T
}

func worse(a, b sources.Verdict) bool {
	return a == sources.Bad || a == sources.Watch && b != sources.Bad
}
