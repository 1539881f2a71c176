package redact

import "strings"

// unhide writes the ASCII characters that JSON carries as \u00XX as themselves:
// some encoders write + or & so, and what stands behind the escape would be read
// by everybody but the scanner. Escapes of nested JSON (\\u0040) count too. Quotes,
// backslashes and angle brackets stay escaped, since as themselves they would change
// what the text around them means.
func unhide(s string) string {
	first := strings.Index(s, `\u00`)
	if first < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:first]...)
	for i := first; i < len(s); i++ {
		out = append(out, s[i])
		// What one escape stood for can be the end of another: looking at the end of
		// what was written, rather than again from the start, keeps this linear.
		for {
			n := len(out) - 6
			if n < 0 || out[n] != '\\' || string(out[n:n+4]) != `\u00` {
				break
			}
			c, ok := hidden(out[n+4], out[n+5])
			if !ok {
				break
			}
			for n > 0 && out[n-1] == '\\' {
				n--
			}
			out = append(out[:n], c)
		}
	}
	if len(out) == len(s) {
		return s
	}
	return string(out)
}

// hidden reads two hexadecimal digits as a character that may stand for itself.
func hidden(hi, lo byte) (byte, bool) {
	if !isHex(hi) || !isHex(lo) {
		return 0, false
	}
	c := nibble(hi)<<4 | nibble(lo)
	return c, c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>'
}

func nibble(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
