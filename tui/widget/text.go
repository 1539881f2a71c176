// Package widget draws the small things that panes are made of. Everything is a
// pure function of its arguments; widths are terminal columns.
package widget

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Fit cuts or pads s to exactly w columns; what is cut ends in tail.
func Fit(s string, w int, tail string) string {
	if w <= 0 {
		return ""
	}
	n := ansi.StringWidth(s)
	if n > w {
		s = ansi.Truncate(s, w, tail)
		n = ansi.StringWidth(s)
	}
	return s + strings.Repeat(" ", max(0, w-n))
}

// FitLeft pads on the left: for numbers.
func FitLeft(s string, w int, tail string) string {
	n := ansi.StringWidth(s)
	if n > w {
		return Fit(s, w, tail)
	}
	return strings.Repeat(" ", w-n) + s
}

// Block makes s exactly h lines of exactly w columns.
func Block(s string, w, h int, tail string) string {
	lines := strings.Split(s, "\n")
	out := make([]string, h)
	for i := range out {
		if i < len(lines) {
			out[i] = Fit(lines[i], w, tail)
		} else {
			out[i] = strings.Repeat(" ", max(0, w))
		}
	}
	return strings.Join(out, "\n")
}
