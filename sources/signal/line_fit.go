package signal

import (
	"strings"
	"unicode"
)

// PartsIn are the parts for a row of so many columns. What explains it goes before what it
// is held against: the first part loses as many of its asides as make room for the second.
// Where the second does not fit even so, it loses only what it must itself.
func (l Line) PartsIn(width int) []string {
	if len(l.Parts) == 0 {
		return nil
	}
	second := 0
	if len(l.Parts) > 1 {
		second = 1 + columns(l.Parts[1])
	}
	for _, also := range []int{second, 0} {
		text := l.Parts[0]
		for _, aside := range append([]string{""}, l.Asides...) {
			text = strings.Replace(text, aside, "", 1)
			if columns(text)+also <= width {
				return append([]string{text}, l.Parts[1:]...)
			}
		}
	}
	return l.Parts
}

// Whole is all of it, however long.
func (l Line) Whole() string {
	var b strings.Builder
	for i, p := range l.Parts {
		switch {
		case i == 0:
		case strings.HasSuffix(l.Parts[i-1], "."):
			b.WriteByte(' ')
		default:
			b.WriteString(". ")
		}
		b.WriteString(p)
	}
	return b.String()
}

// Text joins as many whole parts as fit into width columns, the most important
// first; when even the first does not fit, it is cut with an ellipsis. What it is held
// against gives way to what explains it.
func (l Line) Text(width int) string {
	if len(l.Parts) == 0 || width <= 0 {
		return ""
	}
	text := l.PartsIn(width)[0]
	if columns(text) > width {
		return cutWords(text, width)
	}
	for _, p := range l.Parts[1:] {
		if columns(text)+1+columns(p) <= width {
			text += " " + p
		}
	}
	return text
}

// cutWords cuts before a word that does not fit; a first word too long by itself is cut inside.
func cutWords(s string, width int) string {
	used, end, space := 0, 0, -1
	for i, r := range s {
		w := runeColumns(r)
		if used+w > width-1 {
			break
		}
		if r == ' ' {
			space = i
		}
		used += w
		end = i + len(string(r))
	}
	if end < len(s) && s[end] == ' ' {
		space = end
	}
	if space > 0 {
		end = space
	}
	return strings.TrimRight(s[:end], " ,;:(") + "…"
}

func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is how many terminal columns a rune takes: versions and tenants may be written in wide scripts.
func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}
