package review

import (
	"strings"
	"unicode"
)

// longest is how much of one free text a line of the review shows.
const longest = 2000

// flat keeps text on one line and without anything that a terminal or a page obeys.
func flat(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return ' '
		case unicode.IsControl(r):
			return -1
		case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e', r == '\u200f', r == '\ufeff':
			return -1 // these turn the reading direction around
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	return s
}

// special is what Markdown obeys inside a line, on GitHub and elsewhere.
const special = "\\`*_[]|~$"

// md makes text harmless inside a line or a table cell of Markdown: no markup,
// link, image, HTML, mention or break out of the cell survives. It does not guard
// the start of a line: what is written there is always a word of our own.
func md(s string) string {
	s = flat(s)
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
			continue
		case r == '>':
			b.WriteString("&gt;")
			continue
		case r == '&':
			b.WriteString("&amp;")
			continue
		case r == '@':
			// A bare address or name would become a link or a mention; an empty comment keeps it from that.
			b.WriteString("@<!-- -->")
			continue
		case r == ':' && strings.HasPrefix(s[i:], "://"), r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteByte('\\')
		case strings.ContainsRune(special, r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// fence wraps lines into a code block that none of them can close.
func fence(indent string, lines []string) string {
	ticks := "```"
	for _, l := range lines {
		for strings.Contains(l, ticks) {
			ticks += "`"
		}
	}
	var b strings.Builder
	b.WriteString(indent + ticks + "text\n")
	for _, l := range lines {
		b.WriteString(indent + harmless(l) + "\n")
	}
	b.WriteString(indent + ticks + "\n")
	return b.String()
}

// harmless is flat for preformatted text: spaces stay.
func harmless(s string) string {
	var b strings.Builder
	for _, part := range strings.SplitAfter(s, " ") {
		word := strings.TrimSuffix(part, " ")
		b.WriteString(flat(word))
		if len(word) < len(part) {
			b.WriteByte(' ')
		}
	}
	return b.String()
}
