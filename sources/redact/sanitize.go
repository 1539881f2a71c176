package redact

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Sanitize makes everything visible that could drive a terminal or deceive the
// reader: control bytes (ESC as ␛), C1 controls, bidi overrides and zero-width
// characters (as <U+202E>), and bytes that are not UTF-8 (as \x9b). Newlines
// and tabs stay; CR before a newline goes. The result is valid UTF-8.
func Sanitize(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/8 + 16)
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
			case c >= 0x20 && c != 0x7f || c == '\n' || c == '\t':
				b.WriteByte(c)
			default:
				b.WriteRune(picture(c))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			const hex = "0123456789abcdef"
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		case deceptive(r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// SanitizeLine is Sanitize for one row of a screen: a newline becomes ␊, a tab
// a space, and a text of more than max bytes is cut and ends in "… (+N bytes)".
// With max 0 or less nothing is cut.
func SanitizeLine(s string, max int) string {
	cut := 0
	if max > 0 && len(s) > max {
		end := max
		for i := max; i > 0 && i > max-utf8.UTFMax; i-- { // not in the middle of a character
			if utf8.RuneStart(s[i]) {
				if _, n := utf8.DecodeRuneInString(s[i:]); i+n > max {
					end = i
				}
				break
			}
		}
		cut = len(s) - end
		s = s[:end]
	}
	s = Sanitize(s)
	if strings.ContainsAny(s, "\n\t") {
		s = lineBreaks.Replace(s)
	}
	if cut > 0 {
		s += fmt.Sprintf("… (+%d bytes)", cut)
	}
	return s
}

var lineBreaks = strings.NewReplacer("\n", "␊", "\t", " ")

// picture is the Unicode control picture of a C0 control or DEL.
func picture(c byte) rune {
	if c == 0x7f {
		return '␡'
	}
	return '␀' + rune(c)
}

// clean tells whether Sanitize would change nothing.
func clean(s string) bool {
	const (
		lo = 0x0101010101010101
		hi = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := load64(s, i)
		// Eight bytes at once: any below 0x20, any 0x7f, any from 0x80. The borrow of a
		// lower byte can only add false alarms, and those are looked at one by one.
		del := w ^ 0x7f*lo
		if (w-0x20*lo|w|(del-lo)&^del)&hi != 0 && !cleanSlow(s, i, i+8) {
			return false
		}
	}
	return cleanSlow(s, i, len(s))
}

// load64 is written so that the compiler makes one load of it.
func load64(s string, i int) uint64 {
	_ = s[i+7]
	return uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
}

// cleanSlow looks at the characters that start in s[from:to].
func cleanSlow(s string, from, to int) bool {
	for i := from; i < to; {
		c := s[i]
		if c < utf8.RuneSelf {
			if (c < 0x20 || c == 0x7f) && c != '\n' && c != '\t' {
				return false
			}
			i++
			continue
		}
		if i == from && from > 0 && !utf8.RuneStart(c) {
			// The rest of a character that began in the eight bytes before, where it was judged whole.
			back := i
			for back > 0 && i-back < utf8.UTFMax && !utf8.RuneStart(s[back]) {
				back--
			}
			_, n := utf8.DecodeRuneInString(s[back:])
			if back < i && back+n > i {
				i = back + n
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || deceptive(r) {
			return false
		}
		i += n
	}
	return true
}

// deceptive characters are invisible, or change how what follows is shown.
func deceptive(r rune) bool {
	if r < 0xad {
		return r >= 0x80 && r <= 0x9f
	}
	switch {
	case r == 0xad, // soft hyphen
		r == 0x061c,              // Arabic letter mark
		r == 0x115f, r == 0x1160, // Hangul fillers
		r == 0x180e,                // Mongolian vowel separator
		r >= 0x200b && r <= 0x200f, // zero width, left-to-right and right-to-left marks
		r >= 0x2028 && r <= 0x202e, // line and paragraph separators, embeddings, overrides
		r >= 0x2060 && r <= 0x206f, // joiners, isolates, deprecated format characters
		r == 0x3164, r == 0xffa0, r == 0xfeff,
		r >= 0xfff9 && r <= 0xfffb, // interlinear annotation
		r >= 0x1d173 && r <= 0x1d17a,
		r >= 0xe0000 && r <= 0xe0fff: // tags and supplementary variation selectors
		return true
	}
	return false
}
