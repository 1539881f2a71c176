package widget

import (
	"math"
	"strconv"
	"strings"
	"time"

	"rollcall/sources"
)

// Value writes a number in its unit with fixed decimals, so that columns do not
// dance: the digits, and the unit with its leading space where it takes one.
func Value(v float64, u sources.Unit, ascii bool) (num, unit string) {
	if math.IsNaN(v) {
		return "NaN", ""
	}
	switch u {
	case sources.Ratio:
		return percent(v * 100), "%"
	case sources.PerSecond:
		return plain(v), "/s"
	case sources.Seconds:
		return seconds(v, ascii)
	case sources.USD:
		return dollars(v), ""
	case sources.USDPerSec:
		return dollars(v * 3600), "/h"
	case sources.Tokens:
		return whole(v), " tok"
	case sources.PerMille:
		if ascii {
			return fixed(v, 2), "/1k"
		}
		return fixed(v, 2), "‰"
	case sources.Score:
		return fixed(v, 2), ""
	default:
		return whole(v), ""
	}
}

// Figure is the number and the unit of a reading that has a value. A lower bound
// says so, except where the number is too small to be told at all.
func Figure(r *sources.Reading, ascii bool) (num, unit string) {
	num, unit = Value(r.Value, r.Unit, ascii)
	switch {
	case !r.AtLeast || strings.HasPrefix(num, "<"):
		return num, unit
	case ascii:
		return ">=" + num, unit
	}
	return "≥" + num, unit
}

// Text is Value as one word, with ≥ before what is only a lower bound.
func Text(r *sources.Reading, ascii bool) string {
	if !r.Known {
		if ascii {
			return "-"
		}
		return "–"
	}
	num, unit := Figure(r, ascii)
	return num + unit
}

// Amount is Value as one word.
func Amount(v float64, u sources.Unit, ascii bool) string {
	num, unit := Value(v, u, ascii)
	return num + unit
}

// Short is Amount without zeros that say nothing, for limits: "2%", "10 s", "$400".
func Short(v float64, u sources.Unit, ascii bool) string {
	num, unit := Value(v, u, ascii)
	if strings.Contains(num, ".") {
		digits := strings.TrimRight(num, "kMGT")
		suffix := num[len(digits):]
		num = strings.TrimSuffix(strings.TrimRight(digits, "0"), ".") + suffix
	}
	return num + unit
}

func fixed(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-") // no negative zero
	}
	return s
}

func percent(p float64) string {
	if p > 0 && p < .05 {
		return "<0.1"
	}
	return fixed(p, 1)
}

func plain(v float64) string {
	switch a := math.Abs(v); {
	case a < 9.995:
		return fixed(v, 2)
	case a < 999.95:
		return fixed(v, 1)
	}
	return si(v)
}

func whole(v float64) string {
	switch a := math.Abs(v); {
	case a >= 9999.5:
		return si(v)
	case a >= 100 || v == math.Trunc(v):
		return fixed(v, 0)
	}
	return fixed(v, 1)
}

func seconds(v float64, ascii bool) (num, unit string) {
	switch a := math.Abs(v); {
	case a == 0:
		return "0.00", " s"
	case a < .9995e-3:
		if ascii {
			return fixed(v*1e6, 0), " us"
		}
		return fixed(v*1e6, 0), " µs"
	case a < 9.995e-3:
		return fixed(v*1e3, 1), " ms"
	case a < .0995:
		return fixed(v*1e3, 0), " ms"
	case a < 9.995:
		return fixed(v, 2), " s"
	case a < 99.95:
		return fixed(v, 1), " s"
	case a < 599.5:
		return fixed(v, 0), " s"
	case a < 5999:
		return fixed(v/60, 1), " m"
	}
	return fixed(v/3600, 1), " h"
}

func dollars(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	switch {
	case v == 0:
		return "$0.00"
	case v < .0995:
		return sign + "$" + fixed(v, 4)
	case v < 999.995:
		return sign + "$" + fixed(v, 2)
	}
	return sign + "$" + si(v)
}

// si writes three to four figures with a decimal prefix.
func si(v float64) string {
	for _, p := range []struct {
		over   float64
		suffix string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= p.over*.9995 {
			x := v / p.over
			switch a := math.Abs(x); {
			case a >= 99.95:
				return fixed(x, 0) + p.suffix
			case a >= 9.995:
				return fixed(x, 1) + p.suffix
			}
			return fixed(x, 2) + p.suffix
		}
	}
	return fixed(v, 1)
}

// Clock writes a time of day to the minute with its zone: "02:47Z", or "03:47 local".
func Clock(t time.Time, local bool) string {
	switch {
	case t.IsZero():
		return "--:--"
	case local:
		return t.Local().Format("15:04") + " local"
	}
	return t.UTC().Format("15:04") + "Z"
}

// Day writes a time with its date where that is not the day of ref.
func Day(t, ref time.Time, local bool) string {
	a, b := t.UTC(), ref.UTC()
	if local {
		a, b = t.Local(), ref.Local()
	}
	if a.YearDay() == b.YearDay() && a.Year() == b.Year() {
		return Clock(t, local)
	}
	return a.Format("Jan 2 ") + Clock(t, local)
}

// Span writes the length of a time in its largest unit or two: "15s", "45m", "1h30m", "7d".
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d >= 24*time.Hour:
		if h := d % (24 * time.Hour) / time.Hour; h > 0 {
			return strconv.Itoa(int(d/(24*time.Hour))) + "d" + strconv.Itoa(int(h)) + "h"
		}
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d >= time.Hour:
		if m := d % time.Hour / time.Minute; m > 0 {
			return strconv.Itoa(int(d/time.Hour)) + "h" + strconv.Itoa(int(m)) + "m"
		}
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= time.Minute:
		if s := d % time.Minute / time.Second; s > 0 && d < 10*time.Minute {
			return strconv.Itoa(int(d/time.Minute)) + "m" + strconv.Itoa(int(s)) + "s"
		}
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

// Age writes how old something is, coarser the older it is, so that it seldom changes: "40s", "3m", "2h".
func Age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return strconv.Itoa(int(d/(5*time.Second))*5) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// Latency writes a time that a source needed: "12ms", "1.4s".
func Latency(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return strconv.Itoa(int(d/time.Millisecond)) + "ms"
	}
	return fixed(d.Seconds(), 1) + "s"
}
