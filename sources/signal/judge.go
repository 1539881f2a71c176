package signal

import (
	"fmt"
	"math"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// judged is what one value means.
type judged struct {
	verdict sources.Verdict
	why     string
	since   time.Time
	so      func(float64) bool // what a value must be to belong to the time since
	// weight orders verdicts of the same kind: how many times over its level or its usual value.
	weight float64
	basis  sources.Judgement
}

// The rules that a judgement names.
const (
	ruleShare    = "beta-binomial " // and the window
	ruleSeasonal = "seasonal z"
	ruleFixed    = "fixed"
	ruleForecast = "forecast"
	ruleBurn     = "burn rate"
	ruleBudget   = "budget"
)

// judge compares one value with the fixed levels and with what was usual. The worse
// verdict wins; at equal ones that which says how it compares.
func (sig *Signal) judge(p part, was *past, window time.Duration) judged {
	if p.verdict != "" {
		return sig.given(p, window)
	}
	fixed := sig.fixed(p, was, window)
	relative := sig.relative(p, was, window)
	few, why := sig.tooFew(p)
	switch {
	case relative.verdict.Worse(sources.OK) && (few || !fixed.verdict.Worse(relative.verdict)):
		return relative
	case few:
		out := judged{verdict: sources.Learning, why: why, basis: relative.basis}
		if p.counts != nil && was != nil && was.learned && p.counts.Now.N >= sig.Least.N {
			out.verdict, out.why = sources.OK, relative.why // few in this window, enough over a longer one
		}
		return out
	case fixed.verdict.Worse(sources.OK):
		fixed.basis.P, fixed.basis.Z, fixed.basis.Rho = relative.basis.P, relative.basis.Z, relative.basis.Rho
		return fixed
	case was != nil && was.learned:
		if fixed.why != "" {
			relative.why = fixed.why
		}
		return relative
	case on(sig.Limits.Watch) || on(sig.Limits.Bad):
		if fixed.why == "" {
			fixed.why = sig.within()
		}
		return fixed
	case sig.Direction == sources.Neutral && !on(sig.Rise.Watch) && !on(sig.Fall.Watch):
		return judged{verdict: sources.OK, why: "not judged"}
	}
	out := judged{verdict: sources.Learning, why: "no history yet", basis: relative.basis}
	if was != nil && was.Days > 0 {
		out.why = fmt.Sprintf("usual %s so far; less than two weeks of history", format(was.Value, sig.Unit))
	}
	return out
}

// given is the judgement of whoever measured.
func (sig *Signal) given(p part, window time.Duration) judged {
	j := judged{verdict: p.verdict, why: p.why, weight: p.value}
	j.basis = sources.Judgement{Rule: p.rule, WindowS: window.Seconds()}
	if p.rule == "" {
		j.basis.Rule = ruleBudget
	}
	if worse(p.verdict, sources.OK) {
		j.so = func(v float64) bool { return sig.level(v) != sources.OK }
		if p.rule == ruleBurn {
			j.so = func(v float64) bool { return v > 1 } // more than the budget allows
		}
		j.since = began(p.history, j.so)
	}
	return j
}

// fixed compares with the fixed levels, and with where the value is going.
func (sig *Signal) fixed(p part, was *past, window time.Duration) judged {
	out := judged{verdict: sig.level(p.value), basis: sources.Judgement{Rule: ruleFixed, WindowS: window.Seconds()}}
	if was != nil && was.Days > 0 {
		out.basis.Usual = number(was.Value)
		out.basis.Ratio = number(p.value / was.Value)
	}
	if !math.IsNaN(p.n) {
		out.basis.N = number(p.n)
		if k := sig.events(p, window); !math.IsNaN(k) && sig.Unit != sources.PerSecond {
			out.basis.K = number(math.Round(k))
		}
	}
	if sig.rareEvents(p, window) {
		out.verdict = sources.OK
	}
	if out.verdict != sources.OK {
		out.why = sig.overWhich(p.value, out.verdict)
		out.weight = sig.times(p.value, out.verdict)
		if held := held(p, func(v float64) bool { return !out.verdict.Worse(sig.level(v)) }); held < sig.Hold {
			// Not long enough to count; what is far over is worth a look meanwhile.
			out.why += fmt.Sprintf(" for %s of %s", short(held), short(sig.Hold))
			out.verdict = map[sources.Verdict]sources.Verdict{sources.Bad: sources.Watch, sources.Watch: sources.OK}[out.verdict]
		}
	}
	if worse(out.verdict, sources.OK) {
		out.so = func(v float64) bool { return sig.level(v) != sources.OK }
		out.since = began(p.history, out.so)
		return out
	}
	if sig.Forecast {
		if why, soon := usedUp(p.lately); soon {
			out.verdict, out.why, out.weight = sources.Watch, why, 1
			out.basis.Rule = ruleForecast
		}
	}
	return out
}

// held is how long the newest values have all been so.
func held(p part, so func(float64) bool) time.Duration {
	h := p.lately
	if len(h) == 0 {
		h = p.history
	}
	n := len(h)
	first := n
	for first > 0 && so(h[first-1].V) {
		first--
	}
	if first == n {
		return 0
	}
	return h[n-1].T.Sub(h[first].T)
}

const (
	forecastSpan  = 4 * time.Hour
	forecastSure  = 8   // standard errors
	forecastStill = 4   // the same for the newest third
	forecastHalf  = 0.5 // of what it was at the start of the look back
)

// usedUp tells whether a value that falls steadily will be gone within four hours.
func usedUp(lately []sources.Point) (string, bool) {
	if len(lately) < 10 || lately[len(lately)-1].T.Sub(lately[0].T) < trendSpan/2 {
		return "", false
	}
	end := lately[len(lately)-1].T
	x, y := make([]float64, len(lately)), make([]float64, len(lately))
	for i, p := range lately {
		x[i], y[i] = p.T.Sub(end).Seconds(), p.V
	}
	at0, slope, t := stat.Trend(x, y)
	if !(t < -forecastSure) || slope >= 0 || at0 <= 0 || at0 > forecastHalf*(at0+slope*x[0]) {
		return "", false
	}
	// What fell once and stays there is not falling: the newest third must say the same.
	late := len(x) * 2 / 3
	if _, now, t := stat.Trend(x[late:], y[late:]); now > slope/2 || !(t < -forecastStill) {
		return "", false
	}
	left := time.Duration(-at0 / slope * float64(time.Second))
	if left > forecastSpan {
		return "", false
	}
	return "used up in " + short(left) + " at this pace", true
}

// tooFew tells whether too little stands behind a value to judge it.
func (sig *Signal) tooFew(p part) (bool, string) {
	if sig.Least.N == 0 || math.IsNaN(p.n) || p.n >= sig.Least.N {
		return false, ""
	}
	return true, fmt.Sprintf("%.0f of %.0f events needed", math.Floor(p.n), sig.Least.N)
}

// events is how many bad ones stand behind a value; NaN when that is not known.
func (sig *Signal) events(p part, window time.Duration) float64 {
	switch sig.Unit {
	case sources.PerSecond:
		return p.value * window.Seconds()
	case sources.PerMille:
		return p.value / 1000 * p.n
	case sources.Ratio:
		if sig.Direction == sources.LowerWorse {
			return (1 - p.value) * p.n
		}
		return p.value * p.n
	}
	return math.NaN()
}

// rareEvents tells whether the bad events behind a value are so few that chance explains them.
func (sig *Signal) rareEvents(p part, window time.Duration) bool {
	return sig.Least.K != 0 && sig.events(p, window) < sig.Least.K // false when the count is not known
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

// number is a value for a judgement: nil when it is none.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
