package signal

import (
	"fmt"
	"math"
	"time"

	"rollcall/sources"
)

// format writes a value for a sentence, with its unit.
func format(v float64, unit sources.Unit) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	switch unit {
	case sources.Ratio:
		p := v * 100
		switch {
		case p != 0 && math.Abs(p) < 0.1:
			return fmt.Sprintf("%.2g%%", p)
		case math.Abs(p) < 100 && p != math.Trunc(p):
			return fmt.Sprintf("%.1f%%", p)
		}
		return fmt.Sprintf("%.0f%%", p)
	case sources.PerSecond:
		return number(v) + "/s"
	case sources.Seconds:
		switch {
		case v < 1:
			return fmt.Sprintf("%.0f ms", v*1000)
		case v < 120:
			return number(v) + " s"
		}
		return short(time.Duration(v * float64(time.Second)))
	case sources.USD:
		return dollars(v)
	case sources.USDPerSec:
		return dollars(v*3600) + "/h"
	case sources.PerMille:
		return number(v) + "‰"
	case sources.Score:
		return fmt.Sprintf("%.2f", v)
	case sources.Tokens:
		return number(v) + " tok"
	default:
		return number(v)
	}
}

func dollars(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return "$" + number(v)
	case a >= 1 || a == 0:
		return fmt.Sprintf("$%.2f", v)
	}
	return fmt.Sprintf("$%.2g", v)
}

// number writes three digits and an SI suffix.
func number(v float64) string {
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

// factor writes how many times something is of something else.
func factor(f float64) string {
	if f >= 10 {
		return fmt.Sprintf("%.0f×", f)
	}
	if f < 1 {
		return fmt.Sprintf("%.2f×", f)
	}
	return fmt.Sprintf("%.1f×", f)
}

// short writes a duration with its two largest units.
func short(d time.Duration) string {
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

// clockTime writes a time of day in UTC, with the date when it is not that of now.
func clockTime(t, now time.Time) string {
	t = t.UTC()
	if y, m, d := now.UTC().Date(); t.Year() != y || t.Month() != m || t.Day() != d {
		if now.Sub(t) > 12*time.Hour {
			return t.Format("01-02 15:04")
		}
	}
	return t.Format("15:04")
}
