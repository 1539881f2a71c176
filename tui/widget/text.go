// Package widget draws the small things that panes are made of. Everything is a
// pure function of its arguments; widths are terminal columns.
package widget

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Fit cuts or pads s to exactly w columns; what is cut ends in tail.
func Fit(s string, w int, tail string) string {
	if w <= 0 {
		return ""
	}
	s = flat(s)
	n := ansi.StringWidth(s)
	if n > w {
		s = ansi.Truncate(s, w, tail)
		n = ansi.StringWidth(s)
	}
	return s + strings.Repeat(" ", max(0, w-n))
}

// FitLeft pads on the left: for numbers.
func FitLeft(s string, w int, tail string) string {
	s = flat(s)
	n := ansi.StringWidth(s)
	if n > w {
		return Fit(s, w, tail)
	}
	return strings.Repeat(" ", w-n) + s
}

// Plain makes text from outside one line without control sequences. It has
// been made safe where it was read; a screen does not rely on that.
func Plain(s string) string {
	safe := true
	for i := 0; i < len(s) && safe; i++ {
		safe = s[i] >= 0x20 && s[i] < 0x7f
	}
	if safe {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case isBreak(r):
			return ' '
		case Unsafe(r):
			return -1
		}
		return r
	}, ansi.Strip(s))
}

// Words is Plain for a sentence with figures in it: without Unicode a value per
// 1000 must not be taken for one per 100.
func Words(s string, ascii bool) string {
	s = Plain(s)
	if ascii {
		s = strings.ReplaceAll(s, "‰", "/1k")
	}
	return s
}

// Unsafe tells control characters, and those that reorder or hide text.
func Unsafe(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return true
	case r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	}
	return false
}

// flat keeps text that may come from outside on its row.
func flat(s string) string {
	if strings.IndexFunc(s, isBreak) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isBreak(r) {
			return ' '
		}
		return r
	}, s)
}

func isBreak(r rune) bool {
	return r >= '\t' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
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

// Message is a screen with a few calm words in its upper third and nothing else.
func Message(w, h int, tail string, words ...string) string {
	lines := make([]string, max(0, h/3))
	for _, s := range words {
		lines = append(lines, strings.Repeat(" ", max(2, (w-ansi.StringWidth(s))/2))+s)
	}
	return Block(strings.Join(lines, "\n"), w, h, tail)
}

// ASCII replaces what a terminal without UTF-8 cannot show, column for column.
func ASCII(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] < 0x80
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		if i := strings.IndexRune(asciiFrom, r); i >= 0 {
			b.WriteByte(asciiTo[utf8.RuneCountInString(asciiFrom[:i])])
			continue
		}
		for range ansi.StringWidth(string(r)) {
			b.WriteByte('?')
		}
	}
	return b.String()
}

const (
	asciiFrom = "→←↑↓–—…≥≤×·•‰“”‘’␊"
	asciiTo   = "><^v--.><x|*?\"\"''$"
)
