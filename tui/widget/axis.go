package widget

import (
	"math"
	"strconv"
	"time"

	"rollcall/sources"
)

// shown converts values of a unit into what an axis is labelled with: percent
// for ratios, per hour for money a second, milliseconds where seconds are small.
type shown struct {
	factor float64
	suffix string
	prefix string
}

func shownUnit(u sources.Unit, top float64, ascii bool) shown {
	switch u {
	case sources.Ratio:
		return shown{100, "%", ""}
	case sources.PerSecond:
		return shown{1, "/s", ""}
	case sources.Seconds:
		switch {
		case top < .1:
			return shown{1000, " ms", ""}
		case top >= 600:
			return shown{1.0 / 60, " m", ""}
		}
		return shown{1, " s", ""}
	case sources.USD:
		return shown{1, "", "$"}
	case sources.USDPerSec:
		return shown{3600, "/h", "$"}
	case sources.PerMille:
		if ascii {
			return shown{1, "/1k", ""}
		}
		return shown{1, "‰", ""}
	default:
		return shown{1, "", ""}
	}
}

// niceStep is the smallest of 1, 2, 2.5, 5 × 10^k that cuts span into at most n steps.
func niceStep(span float64, n int) float64 {
	if span <= 0 || n < 1 || math.IsInf(span, 0) || math.IsNaN(span) {
		return 1
	}
	raw := span / float64(n)
	mag := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if f*mag >= raw*.9999 {
			return f * mag
		}
	}
	return 10 * mag
}

// yTick is a labelled value of the vertical axis.
type yTick struct {
	v     float64 // in the signal's own unit
	label string
}

// yTicks labels a scale with at most n+1 round numbers in its unit, and widens the
// scale so that it begins and ends on one.
func yTicks(s Scale, u sources.Unit, n int, ascii bool) (Scale, []yTick) {
	d := shownUnit(u, s.Hi, ascii)
	lo, hi := s.Lo*d.factor, s.Hi*d.factor
	step := niceStep(hi-lo, max(1, n))
	if u == sources.Count && step < 1 {
		step = 1
	}
	first, last := math.Floor(lo/step+1e-9), math.Ceil(hi/step-1e-9)
	if last <= first {
		last = first + 1
	}
	decimals := 0
	for f := step; decimals < 6 && math.Abs(f-math.Round(f)) > 1e-6; f *= 10 {
		decimals++
	}
	div, si := 1.0, ""
	if top := max(math.Abs(last), math.Abs(first)) * step; top >= 10000 {
		for _, p := range []struct {
			over float64
			name string
		}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
			if top >= p.over {
				div, si = p.over, p.name
				break
			}
		}
		decimals = 0
		for f := step / div; decimals < 3 && math.Abs(f-math.Round(f)) > 1e-6; f *= 10 {
			decimals++
		}
	}
	var out []yTick
	for i := range min(n+4, int(last-first+1.5)) {
		v := (first + float64(i)) * step
		digits := strconv.FormatFloat(v/div+0, 'f', decimals, 64)
		if math.Abs(v/div) >= 1e9 {
			digits = strconv.FormatFloat(v/div, 'g', 3, 64)
		}
		out = append(out, yTick{v / d.factor, d.prefix + digits + si + d.suffix})
	}
	return Scale{first * step / d.factor, last * step / d.factor}, out
}

var timeSteps = []time.Duration{
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour,
}

// xTick is a labelled moment of the time axis.
type xTick struct {
	t     time.Time
	label string
}

// xTicks labels the time between start and end with at most n round moments in UTC or local time.
func xTicks(start, end time.Time, n int, local bool) []xTick {
	span := end.Sub(start)
	if span <= 0 || n < 1 {
		return nil
	}
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if span/s <= time.Duration(n) {
			step = s
			break
		}
	}
	layout := "15:04"
	switch {
	case step < time.Minute:
		layout = "15:04:05"
	case step >= 24*time.Hour:
		layout = "Jan 2"
	}
	shift := time.Duration(0)
	if local {
		_, off := start.Local().Zone()
		shift = time.Duration(off) * time.Second
	}
	var out []xTick
	for t := start.Add(shift).Truncate(step).Add(-shift); !t.After(end); t = t.Add(step) {
		if t.Before(start) {
			continue
		}
		w := t.UTC()
		if local {
			w = t.Local()
		}
		label := w.Format(layout)
		if layout == "15:04" && w.Hour() == 0 && w.Minute() == 0 && span > 12*time.Hour {
			label = w.Format("Jan 2")
		}
		out = append(out, xTick{t, label})
	}
	return out
}
