package kit

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// MaxWrap is how many bytes of one text are wrapped for the screen; the rest is
// counted and said.
const MaxWrap = 256 << 10

// bytesPerColumn bounds how much of a text is looked at to fill one column:
// enough for a wide letter with several combining marks, and no more, so that a
// huge line costs what its visible part costs.
const bytesPerColumn = 24

// Line makes text one line that is safe to draw: no control bytes, no tabs or
// line ends. It looks only at what can be seen in w columns; what is cut still
// measures more than w, so that the one who fits it sees that it was cut.
func Line(s string, w int) string {
	if limit := (max(0, w) + 2) * bytesPerColumn; len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
		if ansi.StringWidth(s) <= w { // nothing but combining marks: still cut
			s = ansi.Strip(s) + strings.Repeat(" ", w+1)
		}
	}
	return clean(s, false)
}

// Clean makes text of many lines safe to draw; tabs become spaces.
func Clean(s string) string { return clean(s, true) }

func clean(s string, lines bool) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	marks := 0
	for i, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		switch {
		case r == '\n' && lines:
			b.WriteByte('\n')
		case r == '\n' || r == '\r':
			b.WriteByte(' ')
		case r == '\t' && lines:
			b.WriteString("    ")
		case r == '\t':
			b.WriteByte(' ')
		case r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0):
			b.WriteByte('?')
		case r == utf8.RuneError && !validAt(s[i:]):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// maxMarks is how many combining marks a letter keeps: more are not writing but
// an attempt to fill the rows above and below.
const maxMarks = 4

// validAt tells a U+FFFD that was written from a byte that is not UTF-8.
func validAt(s string) bool {
	_, n := utf8.DecodeRuneInString(s)
	return n == 3
}

// Screen makes lines exactly the size of the pane, and ASCII where the terminal has nothing else.
func Screen(c pane.Context, lines []string) string {
	s := widget.Block(strings.Join(lines, "\n"), c.Width, c.Height, c.Theme.Glyphs.Ellipsis)
	if c.Theme.Options.ASCII {
		s = widget.ASCII(s)
	}
	return s
}

// Wrap breaks text into lines of at most w columns, at spaces where it can.
func Wrap(s string, w int) []string {
	w = max(1, w)
	rest := 0
	if len(s) > MaxWrap {
		cut := MaxWrap
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		rest = len(s) - cut
		s = s[:cut]
	}
	lines := strings.Split(ansi.Wrap(Clean(s), w, ""), "\n")
	if rest > 0 {
		lines = append(lines, "("+Bytes(rest)+" more are not shown here; rollcall on the command line prints them all)")
	}
	return lines
}

// Lines breaks text like Wrap, into no more than so many lines; the last one says by an
// ellipsis that there is more.
func Lines(s string, w, most int, ellipsis string) []string {
	lines := Wrap(s, w)
	most = max(1, most)
	if len(lines) <= most {
		return lines
	}
	last := lines[most-1]
	if ansi.StringWidth(last)+ansi.StringWidth(ellipsis) > w {
		last = ansi.Truncate(last, max(0, w-ansi.StringWidth(ellipsis)), "")
	}
	return append(lines[:most-1:most-1], strings.TrimRight(last, " ")+ellipsis)
}

// Middle shortens an identifier to w columns by leaving out its middle: people
// compare both the beginning and the end of an ID.
func Middle(s string, w int, ellipsis string) string {
	if room := (max(0, w) + 2) * bytesPerColumn; len(s) > 2*room {
		// Only the ends can be seen; between them stands what makes it too wide in any case.
		head, tail := room, len(s)-room
		for head > 0 && !utf8.RuneStart(s[head]) {
			head--
		}
		for tail < len(s) && !utf8.RuneStart(s[tail]) {
			tail++
		}
		s = s[:head] + strings.Repeat(" ", w+1) + s[tail:]
	}
	s = clean(s, false)
	n := ansi.StringWidth(s)
	if n <= w {
		return s
	}
	keep := w - ansi.StringWidth(ellipsis)
	if keep < 2 {
		return ansi.Truncate(s, max(0, w), "")
	}
	tail := keep / 2
	return ansi.Truncate(s, keep-tail, "") + ellipsis + ansi.TruncateLeft(s, n-tail, "")
}
