package signal

import (
	"fmt"
	"time"

	"rollcall/sources"
)

// format writes a value for a sentence, with its unit.
func format(v float64, unit sources.Unit) string { return unit.Format(v) }

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

func short(d time.Duration) string { return sources.ShortDuration(d) }

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
