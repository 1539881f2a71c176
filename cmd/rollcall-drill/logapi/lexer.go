package logapi

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// parseError is a mistake in a query with its place.
type parseError struct {
	line, col int // from 1; col counts characters
	msg       string
}

func (e *parseError) Error() string {
	return fmt.Sprintf("parse error at line %d, col %d: %s", e.line, e.col, e.msg)
}

type tokenKind int

const (
	tokEnd tokenKind = iota
	tokName
	tokString   // text is the content
	tokNumber   // num is the value
	tokDuration // num is in seconds
	tokSize     // num is in bytes
	tokSymbol
)

// token is one word of a query; pos is its byte offset.
type token struct {
	kind tokenKind
	text string
	num  float64
	pos  int
}

// describe names the token in an error message.
func (t token) describe() string {
	switch t.kind {
	case tokEnd:
		return "the end of the query"
	case tokString:
		return "string " + strconv.Quote(shorten(t.text))
	default:
		return strconv.Quote(shorten(t.text))
	}
}

func shorten(s string) string {
	if len(s) <= 40 {
		return s
	}
	return strings.ToValidUTF8(s[:40], "") + "…"
}

// symbols, longest first.
var symbols = []string{
	"|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=",
	"{", "}", "(", ")", "[", "]", ",", "|", "=", ">", "<", "+", "-", "*", "/", "%", "^", "@",
}

// lex cuts a query into tokens; the last one is tokEnd.
func lex(query string) ([]token, *parseError) {
	var out []token
	for pos := 0; ; {
		rest := query[pos:]
		trimmed := strings.TrimLeft(rest, " \t\r\n")
		pos += len(rest) - len(trimmed)
		rest = trimmed
		if rest == "" {
			return append(out, token{kind: tokEnd, pos: pos}), nil
		}
		c := rest[0]
		var t token
		n := 0
		switch {
		case c == '#':
			if n = strings.IndexByte(rest, '\n'); n < 0 {
				n = len(rest)
			}
			pos += n
			continue
		case nameByte(c, true):
			for n < len(rest) && nameByte(rest[n], false) {
				n++
			}
			t = token{kind: tokName, text: rest[:n]}
		case c == '"' || c == '`':
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, at(query, pos, "syntax error: the string that starts here does not end, or holds an invalid escape")
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, at(query, pos, "syntax error: invalid string")
			}
			n = len(quoted)
			t = token{kind: tokString, text: text}
		case c >= '0' && c <= '9' || c == '.':
			n = quantityLen(rest)
			var ok bool
			if t, ok = quantity(rest[:n]); !ok {
				return nil, at(query, pos, fmt.Sprintf("syntax error: %q is not a number, duration or size", shorten(rest[:n])))
			}
		default:
			for _, s := range symbols {
				if strings.HasPrefix(rest, s) {
					n = len(s)
					t = token{kind: tokSymbol, text: s}
					break
				}
			}
			if n == 0 {
				r, _ := utf8.DecodeRuneInString(rest)
				return nil, at(query, pos, fmt.Sprintf("syntax error: unexpected character %q", r))
			}
		}
		t.pos = pos
		out = append(out, t)
		pos += n
	}
}

// quantityLen is how far a number with an optional unit reaches. Characters
// beyond ASCII belong to it for the sake of µs.
func quantityLen(s string) int {
	for n := range len(s) {
		c := s[n]
		exponent := n > 0 && (c == '+' || c == '-') && (s[n-1] == 'e' || s[n-1] == 'E')
		if !nameByte(c, false) && c != '.' && c < utf8.RuneSelf && !exponent {
			return n
		}
	}
	return len(s)
}

// quantity reads a number, a duration (5m, 1h30m, 2d, 1.5s) or a size (20MB, 1KiB).
func quantity(s string) (token, bool) {
	t := token{text: s}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		t.kind, t.num = tokNumber, f
		return t, true
	}
	if d, ok := parseDuration(s); ok {
		t.kind, t.num = tokDuration, d.Seconds()
		return t, true
	}
	if n, ok := parseSize(s); ok {
		t.kind, t.num = tokSize, n
		return t, true
	}
	return t, false
}

func parseDuration(s string) (time.Duration, bool) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, true
	}
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), true
	}
	return 0, false
}

var sizeUnits = map[string]float64{
	"b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"kib": 1 << 10, "ki": 1 << 10, "mib": 1 << 20, "mi": 1 << 20, "gib": 1 << 30, "gi": 1 << 30, "tib": 1 << 40, "ti": 1 << 40,
}

func parseSize(s string) (float64, bool) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ' ' })
	if i <= 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(s[:i]), 64)
	unit, ok := sizeUnits[strings.ToLower(s[i:])]
	if err != nil || !ok {
		return 0, false
	}
	return f * unit, true
}

// at makes an error for the place pos in query.
func at(query string, pos int, msg string) *parseError {
	before := query[:pos]
	line := strings.Count(before, "\n") + 1
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &parseError{line, col, msg}
}
