package signal

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

const (
	zLimit     = 6    // robust standard deviations, in two looks in a row
	zAtOnce    = 12   // the same for a value that is so many times usual that it cannot wait
	zFloor     = 0.05 // of the median: what a series wavers at least
	scoreFloor = 0.01 // the same for scores, which move little before they mean much
)

// relative compares with what was usual at this hour of the week.
func (sig *Signal) relative(p part, was *past, window time.Duration) judged {
	out := judged{verdict: sources.OK}
	if was == nil || !was.learned {
		return out
	}
	out.why = "usual " + format(was.Value, sig.Unit)
	if p.unread {
		out.verdict, out.why = sources.Unreachable, out.why+"; not compared, the last minutes could not be read"
		return out
	}
	if p.counts != nil && was.shares.Windows > 0 {
		return sig.shares(p, was, out)
	}
	if was.values.N > 0 {
		return sig.values(p, was, window, out)
	}
	return out
}

// shares tests the counts of a proportion.
func (sig *Signal) shares(p part, was *past, out judged) judged {
	alpha := stat.AlphaSeries
	if p.split {
		alpha = stat.AlphaSplit
	}
	unit := sig.perShare()
	var f stat.Finding
	if sig.Direction != sources.LowerWorse {
		f = stat.Worse(*p.counts, was.shares, alpha)
	}
	if sig.Direction == sources.LowerWorse || sig.Direction == sources.BothWorse && f.Rule == "" {
		if down := stat.Fewer(*p.counts, was.shares, alpha); sig.Direction == sources.LowerWorse || down.Rule != "" {
			f = down
		}
	}
	value := unit * f.Count.Ratio()
	length := quarter
	if f.Rule == stat.Hour {
		length = time.Hour
	}
	out.basis = sources.Judgement{
		Rule: ruleShare + f.Rule, K: number(math.Round(f.Count.K)), N: number(math.Round(f.Count.N)), Usual: number(was.Value),
		Ratio: number(f.Ratio), P: number(f.P), Rho: number(was.shares.Rho), WindowS: length.Seconds(),
	}
	if f.Rule == "" {
		out.basis.Rule = ruleShare + "15m"
		return out
	}
	out.why = fmt.Sprintf("%s (%.0f/%.0f) vs %s usual, p=%s", format(value, sig.Unit), math.Round(f.Count.K), math.Round(f.Count.N),
		format(was.Value, sig.Unit), stat.Words(f.P))
	out.verdict = sources.Watch
	if f.Ratio > 1 && on(sig.Rise.Bad) && f.Ratio >= sig.Rise.Bad || f.Ratio < 1 && on(sig.Fall.Bad) && f.Ratio <= sig.Fall.Bad {
		out.verdict = sources.Bad
	}
	out.weight = max(f.Ratio, 1/max(f.Ratio, 0.01))
	// A value belongs to the time since when it is nearer to the present share than to the usual one.
	middle := (value + was.Value) / 2
	if value > was.Value {
		out.so = func(v float64) bool { return v >= middle }
	} else {
		out.so = func(v float64) bool { return v <= middle }
	}
	out.since = began(p.history, out.so)
	return out
}

// values tests a gauge: its mean over a quarter of an hour, now and one look before,
// or a value that is very far off and stays there.
func (sig *Signal) values(p part, was *past, window time.Duration, out judged) judged {
	lately := p.lately
	if len(lately) < 2 {
		return out
	}
	end := lately[len(lately)-1].T
	now, before := meanOver(lately, end.Add(-quarter), end), meanOver(lately, end.Add(-quarter-again), end.Add(-again))
	z := sig.z(now, was)
	out.basis = sources.Judgement{
		Rule: ruleSeasonal, Usual: number(was.Value), Ratio: number(now / was.Value), Z: number(z), WindowS: quarter.Seconds(),
	}
	if !math.IsNaN(p.n) {
		out.basis.N = number(p.n)
	}
	if end.Sub(lately[0].T) < quarter {
		before = math.NaN() // two looks need as much to look at
	}
	value := p.value
	for _, v := range []sources.Verdict{sources.Bad, sources.Watch} {
		steady := sig.far(now, was, v, zLimit) && sig.far(before, was, v, zLimit)
		atOnce := v == sources.Bad && sig.atOnce(lately, was)
		if !steady && !atOnce || sig.rareEvents(part{value: now, n: p.n}, window) {
			continue
		}
		out.verdict = v
		if steady {
			value = now
		} else {
			z = sig.z(value, was)
			out.basis.Z, out.basis.Ratio, out.basis.WindowS = number(z), number(value/was.Value), window.Seconds()
		}
		break
	}
	if out.verdict == sources.OK {
		return out
	}
	ratio := value / was.Value
	out.weight = max(ratio, 1/max(ratio, 0.01))
	if was.Value == 0 {
		out.why, out.weight = format(value, sig.Unit)+", usually none", 10
	} else {
		out.why = fmt.Sprintf("%s, %s usual %s, z=%s", format(value, sig.Unit), factor(ratio), format(was.Value, sig.Unit), deviations(z))
	}
	middle := (value + was.Value) / 2
	if value > was.Value {
		out.so = func(v float64) bool { return v >= middle }
	} else {
		out.so = func(v float64) bool { return v <= middle }
	}
	out.since = began(p.history, out.so)
	return out
}

func deviations(z float64) string {
	if math.IsInf(z, 0) {
		return "∞"
	}
	return strconv.FormatFloat(math.Abs(z), 'f', 0, 64)
}

// z is how many robust standard deviations a value is from usual.
func (sig *Signal) z(v float64, was *past) float64 {
	floor, least := zFloor, 0.0
	switch sig.Unit {
	case sources.Score:
		floor = scoreFloor
	case sources.PerSecond:
		// What is counted wavers by chance alone.
		secs := quarter.Seconds()
		least = math.Sqrt(math.Max(was.values.Median*secs, 1)) / secs
	}
	return was.values.Z(v, floor, least)
}

// far tells whether a value deserves a verdict for how far it is from usual: by its
// factor, by enough to matter, and by more than the series wavers.
func (sig *Signal) far(v float64, was *past, verdict sources.Verdict, limit float64) bool {
	if math.IsNaN(v) {
		return false
	}
	up, down := sig.Rise.Watch, sig.Fall.Watch
	if verdict == sources.Bad {
		up, down = sig.Rise.Bad, sig.Fall.Bad
	}
	z, usual := sig.z(v, was), was.Value
	if sig.Direction != sources.LowerWorse && on(up) &&
		z > limit && v >= up*usual && v-usual >= sig.Rise.By && (usual != 0 || sig.Rise.By > 0) {
		return true
	}
	return sig.Direction != sources.HigherWorse && on(down) &&
		z < -limit && v <= down*usual && usual-v >= sig.Fall.By
}

// steadyFor is how long a value must have been very far off before that counts.
const steadyFor = 2 * time.Minute

// atOnce tells whether the newest values have all been very far from usual, and
// outside all that this hour ever showed.
func (sig *Signal) atOnce(lately []sources.Point, was *past) bool {
	n := len(lately)
	end := lately[n-1].T
	if end.Sub(lately[0].T) < steadyFor {
		return false
	}
	for i := n - 1; i >= 0 && end.Sub(lately[i].T) <= steadyFor; i-- {
		v := lately[i].V
		if !sig.far(v, was, sources.Bad, zAtOnce) || v >= was.values.Low && v <= was.values.High {
			return false
		}
	}
	return true
}

// meanOver is the mean of the points after one time and until another; NaN when there are none.
func meanOver(points []sources.Point, after, until time.Time) float64 {
	var v []float64
	for _, p := range points {
		if p.T.After(after) && !p.T.After(until) {
			v = append(v, p.V)
		}
	}
	return stat.Mean(v)
}
