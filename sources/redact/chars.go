package redact

import "unicode/utf8"

// Character classes of ASCII bytes.
const (
	cDigit = 1 << iota
	cUpper
	cLower
	cHexLetter
	cBase64URL // letters, digits, - and _
	cMail      // local part of an address
	cName      // name of a field: letters, digits, _ - .
	cRun       // base64 of either alphabet: letters, digits, + / - _
)

var class = func() (t [256]uint8) {
	for c := 0; c < utf8.RuneSelf; c++ {
		switch {
		case c >= '0' && c <= '9':
			t[c] = cDigit | cBase64URL | cMail | cName
		case c >= 'A' && c <= 'Z':
			t[c] = cUpper | cBase64URL | cMail | cName
		case c >= 'a' && c <= 'z':
			t[c] = cLower | cBase64URL | cMail | cName
		case c == '-' || c == '_':
			t[c] = cBase64URL | cMail | cName
		case c == '.':
			t[c] = cMail | cName
		case c == '+' || c == '%':
			t[c] = cMail
		}
		if t[c]&cBase64URL != 0 || c == '+' || c == '/' {
			t[c] |= cRun
		}
		if c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			t[c] |= cHexLetter
		}
	}
	return t
}()

func isDigit(c byte) bool  { return c-'0' < 10 }
func isUpper(c byte) bool  { return c-'A' < 26 }
func isLower(c byte) bool  { return c-'a' < 26 }
func isLetter(c byte) bool { return c|0x20-'a' < 26 && c < utf8.RuneSelf }
func isAlnum(c byte) bool  { return class[c]&(cDigit|cUpper|cLower) != 0 }
func isHex(c byte) bool    { return class[c]&(cDigit|cHexLetter) != 0 }
func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' }
func isQuote(c byte) bool  { return c == '"' || c == '\'' || c == '`' }

// run returns the end of the characters of the class that start at i.
func run(s string, i int, mask uint8) int {
	for i < len(s) && class[s[i]]&mask != 0 {
		i++
	}
	return i
}

// digits returns the end of the digits that start at i.
func digits(s string, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

// starts tells whether a word can begin at i: at the edge of the text, after
// anything but a letter, a digit or an underscore, or after an escape sequence
// (\n, \u0022, %3D) whose last character only looks like one.
func starts(s string, i int) bool {
	if i == 0 || !isAlnum(s[i-1]) && s[i-1] != '_' {
		return true
	}
	return escaped(s, i)
}

// escaped tells whether an escape sequence ends just before i.
func escaped(s string, i int) bool {
	if i >= 2 && s[i-2] == '\\' {
		switch s[i-1] {
		case 'n', 'r', 't', 'b', 'f', 'v':
			return true
		}
	}
	if i >= 3 && s[i-3] == '%' && isHex(s[i-2]) && isHex(s[i-1]) {
		return true
	}
	return i >= 6 && s[i-6] == '\\' && s[i-5] == 'u' && isHex(s[i-4]) && isHex(s[i-3]) && isHex(s[i-2]) && isHex(s[i-1])
}

// unescape moves start behind an escape sequence that a word seems to begin with:
// in the text `\nalice@…` the word is not "nalice".
func unescape(s string, start, end int) int {
	for i := start; i < end && i < start+6; i++ {
		if escaped(s, i) {
			start = i
		}
	}
	return start
}

// ends tells whether a word can end before i.
func ends(s string, i int) bool { return i >= len(s) || !isAlnum(s[i]) && s[i] != '_' }

// mixture describes a token that might be random.
type mixture struct{ digits, upper, lower, other, longest int }

func mix(s string) (m mixture) {
	word := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			m.digits++
		case isUpper(c):
			m.upper++
		case isLower(c):
			m.lower++
		default:
			m.other++
			word = -1
		}
		word++
		m.longest = max(m.longest, word)
	}
	return m
}

// random tells whether a key's body looks generated rather than written by a person.
func (m mixture) random() bool {
	return m.digits > 0 && (m.upper > 0 && m.lower > 0 || m.longest >= 20)
}
