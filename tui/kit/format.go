package kit

import (
	"math"
	"strconv"
	"time"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// Clock writes a time of day in the zone of the screen.
func Clock(c pane.Context, t time.Time) string { return stamp(c, t, "15:04:05") }

// ClockMillis writes a time of day with milliseconds.
func ClockMillis(c pane.Context, t time.Time) string { return stamp(c, t, "15:04:05.000") }

// Minute writes a time of day to the minute with its zone: "02:47Z".
func Minute(c pane.Context, t time.Time) string { return widget.Clock(t, c.LocalTime) }

// Moment writes a full time with its zone; the day is left out when it is that of now.
func Moment(c pane.Context, t time.Time) string {
	if t.IsZero() {
		return "--:--"
	}
	layout := "15:04:05.000"
	if !sameDay(c, t, c.Now) {
		layout = "2006-01-02 " + layout
	}
	return stamp(c, t, layout) + zone(c)
}

// Zone is the word for the zone of the screen, for column titles.
func Zone(c pane.Context) string {
	if c.LocalTime {
		return "local"
	}
	return "UTC"
}

func zone(c pane.Context) string {
	if c.LocalTime {
		return " local"
	}
	return "Z"
}

// Local puts a time into the zone of the screen.
func Local(c pane.Context, t time.Time) time.Time {
	if c.LocalTime {
		return t.Local()
	}
	return t.UTC()
}

func stamp(c pane.Context, t time.Time, layout string) string {
	if t.IsZero() {
		return "--:--"
	}
	return Local(c, t).Format(layout)
}

func sameDay(c pane.Context, a, b time.Time) bool {
	ay, am, ad := Local(c, a).Date()
	by, bm, bd := Local(c, b).Date()
	return ay == by && am == bm && ad == bd
}

// Ago writes how long before now a time was: "12s ago". What is a little ahead,
// because clocks differ or now is that of the last refresh, was just now.
func Ago(d time.Duration) string {
	switch {
	case d < -time.Minute:
		return widget.Span(-d) + " ahead of the clock"
	case d < time.Second:
		return "just now"
	}
	return widget.Span(d) + " ago"
}

// Range writes the length of a view as the header does: "1h", "30m", "6h", "2d".
func Range(d time.Duration) string { return widget.Span(d) }

// Duration writes a measured duration as the rest of the console does: "820 µs", "12 ms", "4.12 s".
func Duration(d time.Duration, ascii bool) string {
	return widget.Amount(d.Seconds(), sources.Seconds, ascii)
}

// Offset writes a time relative to a start: "+123ms", "+4.120s".
func Offset(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	switch {
	case d < time.Second:
		return sign + strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + "ms"
	case d < 100*time.Second:
		return sign + strconv.FormatFloat(d.Seconds(), 'f', 3, 64) + "s"
	}
	return sign + Duration(d, true)
}

// Seconds writes a number of seconds, or a dash when it is not known.
func Seconds(n sources.Num, ascii bool) string { return amount(n, sources.Seconds, ascii) }

// USD writes money, or a dash when it is not known.
func USD(n sources.Num, ascii bool) string { return amount(n, sources.USD, ascii) }

func amount(n sources.Num, u sources.Unit, ascii bool) string {
	if !n.OK {
		return Unknown(ascii)
	}
	return widget.Amount(n.V, u, ascii)
}

// Whole writes a whole number with thousands separated, or a dash when it is not known.
func Whole(n sources.Num, ascii bool) string {
	if !n.OK {
		return Unknown(ascii)
	}
	if math.Abs(n.V) >= 1e15 {
		return strconv.FormatFloat(n.V, 'g', 3, 64)
	}
	return sources.Thousands(int(math.Round(n.V)))
}

// Score writes a score, which is 0..1 as a rule, with two decimals.
func Score(v float64) string {
	if math.Abs(v) >= 1e6 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Bytes writes a size: "812 KiB".
func Bytes(n int) string {
	switch {
	case n < 1<<10:
		return strconv.Itoa(n) + " bytes"
	case n < 1<<20:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

// Unknown stands where no span carried a value.
func Unknown(ascii bool) string {
	if ascii {
		return "-"
	}
	return "–"
}
