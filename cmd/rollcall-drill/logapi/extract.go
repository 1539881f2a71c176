package logapi

import (
	"encoding/json"
	"strings"
)

// extractJSON makes labels of the fields of a JSON object: nested objects are
// joined by "_", lists are left out, null is as good as absent.
func extractJSON(l *lineState) {
	line := strings.TrimSpace(l.entry.line)
	if !strings.HasPrefix(line, "{") || !json.Valid([]byte(line)) {
		l.fail("JSONParserErr", "the line is not a JSON object")
		return
	}
	w := jsonWalk{s: line, l: l}
	w.object("")
}

// jsonWalk reads JSON that is known to be valid, without building it up: this
// runs for every line of every metric query.
type jsonWalk struct {
	s string
	i int
	l *lineState
}

func (w *jsonWalk) space() byte {
	for {
		switch c := w.s[w.i]; c {
		case ' ', '\t', '\r', '\n':
			w.i++
		default:
			return c
		}
	}
}

// object reads an object and the labels in it; prefix is the path to it.
func (w *jsonWalk) object(prefix string) {
	w.i++ // {
	for w.space() != '}' {
		if w.s[w.i] == ',' {
			w.i++
			w.space()
		}
		key := w.str()
		if prefix != "" {
			key = prefix + "_" + key
		}
		w.space()
		w.i++ // :
		switch c := w.space(); c {
		case '{':
			w.object(key)
		case '[':
			w.skipList()
		case '"':
			w.l.add(key, w.str())
		default:
			if v := w.word(); v != "null" {
				w.l.add(key, v)
			}
		}
	}
	w.i++ // }
}

// str reads a string.
func (w *jsonWalk) str() string {
	start := w.i
	escaped := false
	for w.i++; w.s[w.i] != '"'; w.i++ {
		if w.s[w.i] == '\\' {
			escaped = true
			w.i++
		}
	}
	w.i++
	raw := w.s[start:w.i]
	if !escaped {
		return raw[1 : len(raw)-1]
	}
	var out string
	if json.Unmarshal([]byte(raw), &out) != nil {
		return raw
	}
	return out
}

// word reads a number, true, false or null.
func (w *jsonWalk) word() string {
	start := w.i
	for !strings.ContainsRune(",} \t\r\n", rune(w.s[w.i])) {
		w.i++
	}
	return w.s[start:w.i]
}

func (w *jsonWalk) skipList() {
	for depth := 0; ; w.i++ {
		switch w.s[w.i] {
		case '"':
			w.str()
			w.i--
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				w.i++
				return
			}
		}
	}
}

// extractLogfmt makes labels of key=value pairs. Keys without a value and what
// is not a pair are passed over.
func extractLogfmt(l *lineState) {
	s := l.entry.line
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return
		}
		n := strings.IndexAny(s, "= \t\r\n\"")
		if n < 0 {
			return
		}
		key := s[:n]
		if s[n] != '=' {
			s = s[n+1:]
			continue
		}
		s = s[n+1:]
		var value string
		if strings.HasPrefix(s, `"`) {
			end := closingQuote(s)
			if end < 0 {
				l.fail("LogfmtParserErr", "a quoted value does not end")
				return
			}
			value = s[1:end]
			if strings.Contains(value, `\`) {
				var out string
				if json.Unmarshal([]byte(s[:end+1]), &out) == nil {
					value = out
				}
			}
			s = s[end+1:]
		} else {
			if n = strings.IndexAny(s, " \t\r\n"); n < 0 {
				n = len(s)
			}
			value, s = s[:n], s[n:]
		}
		if key != "" && value != "" {
			l.add(key, value)
		}
	}
}

// closingQuote finds the quote that ends the string at the start of s, or -1.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}
