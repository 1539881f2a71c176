package prom

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Threshold reads the number that the expression of an alerting rule is compared with, and
// whether it fires below it: "rate(x[5m]) > 0.05 and y > 1" fires above 0.05. The value that
// such an alert has is then that of the compared side. It is false for all others: none or
// several comparisons, equality, alternatives (or), bool, and bounds that are no plain number.
func Threshold(expr string) (level float64, below, ok bool) {
	tokens, ok := scan(expr)
	for ok && len(tokens) == 1 && strings.HasPrefix(tokens[0], "(") {
		tokens, ok = scan(tokens[0][1 : len(tokens[0])-1])
	}
	if !ok {
		return 0, false, false
	}
	// What stands after "and" or "unless" only keeps it from firing.
	op, at, end := "", 0, len(tokens)
	for i, t := range tokens {
		switch strings.ToLower(t) {
		case "or", "bool", "==", "!=":
			return 0, false, false
		case "and", "unless":
			end = min(end, i)
		case ">", ">=", "<", "<=":
			if i > end {
				continue
			}
			if op != "" {
				return 0, false, false
			}
			op, at = t, i
		}
	}
	if op == "" {
		return 0, false, false
	}
	below = op[0] == '<'
	if level, ok = number(tokens[at+1 : end]); ok {
		return level, below, at > 0
	}
	if level, ok = number(tokens[:at]); ok {
		return level, !below, at+1 < end
	}
	return 0, false, false
}

func number(tokens []string) (float64, bool) {
	text := strings.ToLower(strings.Join(tokens, ""))
	v, err := strconv.ParseFloat(text, 64)
	if n, hex := strconv.ParseInt(text, 0, 64); hex == nil && strings.Contains(text, "0x") {
		v, err = float64(n), nil
	}
	return v, err == nil && len(tokens) <= 2 && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// scan splits an expression at its top level. What stands in brackets, braces, parentheses
// or quotes is one token with them; comments are left out. False where they do not match.
func scan(s string) (tokens []string, ok bool) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case unicode.IsSpace(rune(c)):
			i++
		case c == '#':
			for i < len(s) && s[i] != '\n' {
				i++
			}
		default:
			n := token(s[i:])
			if n == 0 {
				return nil, false
			}
			tokens = append(tokens, s[i:i+n])
			i += n
		}
	}
	return tokens, len(tokens) > 0
}

// token is the length of the first token; 0 where it does not end.
func token(s string) int {
	switch c := s[0]; c {
	case '"', '\'', '`':
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && c != '`':
				i++
			case s[i] == c:
				return i + 1
			}
		}
		return 0
	case '(', '[', '{':
		closing := map[byte]byte{'(': ')', '[': ']', '{': '}'}[c]
		for i := 1; i < len(s); {
			switch x := s[i]; {
			case x == closing:
				return i + 1
			case x == '#':
				for i < len(s) && s[i] != '\n' {
					i++
				}
			case strings.IndexByte("([{\"'`", x) >= 0:
				n := token(s[i:])
				if n == 0 {
					return 0
				}
				i += n
			case strings.IndexByte(")]}", x) >= 0:
				return 0
			default:
				i++
			}
		}
		return 0
	case ')', ']', '}':
		return 0
	case '>', '<', '=', '!':
		if len(s) > 1 && s[1] == '=' {
			return 2
		}
		return 1
	}
	word := func(c byte) bool {
		return c == '_' || c == ':' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
	}
	if !word(s[0]) {
		return 1
	}
	n := 1
	for n < len(s) && (word(s[n]) || (s[n] == '-' || s[n] == '+') && exponent(s[:n])) {
		n++
	}
	return n
}

// exponent tells whether a number so far ends in the "e" of its exponent.
func exponent(s string) bool {
	return (s[0] >= '0' && s[0] <= '9' || s[0] == '.') && (s[len(s)-1] == 'e' || s[len(s)-1] == 'E') && !strings.HasPrefix(strings.ToLower(s), "0x")
}
