package tui

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"rollcall/tui/widget"
)

// oneLine makes text one line without control bytes: it comes from outside.
func oneLine(s string) string { return widget.Plain(s) }

// clean is the last gate before the terminal: of all control sequences only
// colours and emphasis (SGR) pass. Everything else that is no text is dropped,
// which agrees with how the width of a line was counted.
func clean(s string) string {
	at := dirty(s)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:at])
	for s = s[at:]; s != ""; {
		if n := sgr(s); n > 0 {
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		if c := s[0]; c >= 0x20 && c < 0x7f || c == '\n' {
			b.WriteByte(c)
			s = s[1:]
			continue
		}
		seq, width, n, _ := ansi.DecodeSequence(s, 0, nil)
		if n == 0 {
			break
		}
		if width > 0 {
			b.WriteString(strings.Map(func(r rune) rune {
				if widget.Unsafe(r) {
					return -1
				}
				return r
			}, seq))
		}
		s = s[n:]
	}
	return b.String()
}

// dirty finds the first byte that clean would not let pass; -1 when there is none.
func dirty(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= 0x20 && c < 0x7f || c == '\n':
			i++
		case c == 0x1b:
			n := sgr(s[i:])
			if n == 0 {
				return i
			}
			i += n
		case c < 0x80:
			return i
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if widget.Unsafe(r) || r == utf8.RuneError {
				return i
			}
			i += n
		}
	}
	return -1
}

// sgr returns the length of the SGR sequence that s begins with, or 0.
func sgr(s string) int {
	if len(s) < 3 || s[0] != 0x1b || s[1] != '[' {
		return 0
	}
	for i := 2; i < len(s) && i < 64; i++ {
		switch c := s[i]; {
		case c == 'm':
			return i + 1
		case c >= '0' && c <= '9', c == ';', c == ':':
		default:
			return 0
		}
	}
	return 0
}

// cut makes a line fit; most lines do, and are left alone.
func cut(s string, w int, tail string) string {
	if len(s) <= w || ansi.StringWidth(s) <= w {
		return s
	}
	return ansi.Truncate(s, w, tail)
}
