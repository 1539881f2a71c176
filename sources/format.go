package sources

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Format writes a value of the unit for a sentence: "9.1%", "4.1 s", "$12.50/h".
func (u Unit) Format(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	switch u {
	case Ratio:
		p := v * 100
		switch {
		case p != 0 && math.Abs(p) < 0.1:
			return fmt.Sprintf("%.2g%%", p)
		case math.Abs(p) < 100 && p != math.Trunc(p):
			return fmt.Sprintf("%.1f%%", p)
		}
		return fmt.Sprintf("%.0f%%", p)
	case PerSecond:
		return Short(v) + "/s"
	case Seconds:
		switch {
		case v < 1:
			return fmt.Sprintf("%.0f ms", v*1000)
		case v < 120:
			return Short(v) + " s"
		}
		return ShortDuration(time.Duration(v * float64(time.Second)))
	case USD:
		return dollars(v)
	case USDPerSec:
		return dollars(v*3600) + "/h"
	case PerMille:
		return Short(v) + "‰"
	case Score:
		return fmt.Sprintf("%.2f", v)
	case Tokens:
		return Short(v) + " tok"
	default:
		return Short(v)
	}
}

func dollars(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return "$" + Short(v)
	case a >= 1 || a == 0:
		return fmt.Sprintf("$%.2f", v)
	}
	return fmt.Sprintf("$%.2g", v)
}

// Short writes a number with three digits and an SI suffix.
func Short(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 1e9:
		return fmt.Sprintf("%.3gG", v/1e9)
	case a >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case a >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case a >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

// ShortDuration writes a duration with its two largest units.
func ShortDuration(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// Thousands writes a whole number with its thousands kept apart: "4,022".
func Thousands(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Counted writes a number with what it counts, the noun in the form of one: "1 entry", "4,022 entries".
func Counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && stem != "" && !strings.ContainsAny(stem[len(stem)-1:], "aeiou") {
		return Thousands(n) + " " + stem + "ies"
	}
	return Thousands(n) + " " + noun + "s"
}
