package redact

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A secret may stand in a text as base64 or hex. Runs of their characters are
// decoded where that gives text, and what is found in it takes the whole run with it.

const (
	shortestRun = 16 // characters: 12 bytes of base64, 8 of hex
	quickRun    = 16 // characters that are decoded before the rest is
	wrapped60   = 60 // characters of a line from which on base64 may go on in the next

	// maxDecodings is how often what was decoded is decoded again. Each takes a quarter
	// off at least, so that all of them together read no more than four times the text.
	maxDecodings = 4
)

// encoded adds the runs that hold a secret.
func (sc *scanner) encoded() {
	if sc.depth == maxDecodings {
		return
	}
	s := sc.s
	added := false
	for at := shortestRun - 1; at < len(s); {
		if class[s[at]]&cRun == 0 {
			at += shortestRun
			continue
		}
		start := at
		for start > 0 && class[s[start-1]]&cRun != 0 {
			start--
		}
		end := run(s, at, cRun)
		if end-start >= shortestRun {
			end, added = sc.decode(unescape(s, start, end), end, added)
		}
		at = end + shortestRun
	}
	if added {
		sc.spans = merge(cut(sc.spans))
	}
}

// decode looks into the run s[start:end] and returns where it ends: further on, when it is
// wrapped into lines.
func (sc *scanner) decode(start, end int, added bool) (int, bool) {
	s := sc.s
	for i := start; i+shortestRun <= end; {
		to, kind, ok := i, kind(0), false
		if readable[hexDigit[s[i]]<<4|hexDigit[s[i+1]]] {
			to, kind, ok = sc.hex(i, end)
		}
		if to == i && readable[sextet[s[i]]<<2|sextet[s[i+1]]>>4] {
			to, kind, ok = sc.base64(i, end)
		}
		if ok && !sc.covered(i, to) {
			sc.spans = append(sc.spans, span{start: i, end: to, kind: kind, whole: true})
			added = true
		}
		if to > end {
			return to, added
		}
		// What could be read is done with. Otherwise another begins behind a separator, or where
		// hex does.
		i = max(i+1, to)
		for i < end && !begins(s, i) {
			i++
		}
	}
	return end, added
}

// begins tells whether an encoded text may begin at i inside of a run: behind what can be a
// separator, and behind 0x.
func begins(s string, i int) bool {
	switch c := s[i-1]; c {
	case '+', '/', '-', '_':
		return true
	case 'x':
		return i >= 2 && s[i-2] == '0'
	}
	return false
}

// covered tells whether a secret was found there already.
func (sc *scanner) covered(start, end int) bool {
	return slices.ContainsFunc(sc.spans, func(sp span) bool { return sp.start <= start && sp.end >= end })
}

// hex reads hexadecimal text at i, and returns i where there is none.
func (sc *scanner) hex(i, end int) (to int, k kind, ok bool) {
	s := sc.s
	for j := i; j < i+shortestRun; j += 2 {
		if !isHex(s[j]) || !isHex(s[j+1]) || !readable[hexDigit[s[j]]<<4|hexDigit[s[j+1]]] {
			return i, 0, false
		}
	}
	out := make([]byte, 0, (end-i)/2)
	to = i
	for to+1 < end && isHex(s[to]) && isHex(s[to+1]) {
		out = append(out, hexDigit[s[to]]<<4|hexDigit[s[to+1]])
		to += 2
	}
	n := readableLen(out)
	if n < shortestRun/2 {
		return i, 0, false
	}
	k, ok = sc.hides(string(out[:n]))
	return to, k, ok
}

// base64 reads base64 of either alphabet at i, and returns i where there is none.
func (sc *scanner) base64(i, end int) (to int, k kind, ok bool) {
	s := sc.s
	var quick [quickRun / 4 * 3]byte
	n := 0
	for j := i; j < i+quickRun; j += 4 {
		a, b, c, d := sextet[s[j]], sextet[s[j+1]], sextet[s[j+2]], sextet[s[j+3]]
		quick[n], quick[n+1], quick[n+2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		if !readable[quick[n]] || !readable[quick[n+1]] || !readable[quick[n+2]] {
			return i, 0, false
		}
		n += 3
	}
	if readableLen(quick[:]) <= len(quick)-utf8.UTFMax {
		return i, 0, false
	}
	body, to := s[i:end], end
	for (to-i)%4 == 0 || to > end {
		next := lineBreak(s, to)
		if next == 0 || to-lastLine(s, i, to) < wrapped60 {
			break
		}
		more := run(s, next, cRun)
		if more == next {
			break
		}
		body += s[next:more]
		to = more
	}
	for n := 0; n < 2 && to < len(s) && s[to] == '='; n++ {
		to++
	}
	if n := 0; to+2 < len(s) && s[to] == '%' { // padding in a URL
		for ; n < 2 && strings.HasPrefix(s[to:], "%3D"); n++ {
			to += 3
		}
	}
	text := fromBase64(body)
	k, ok = sc.hides(string(text[:readableLen(text)]))
	return to, k, ok
}

// lastLine returns where the last line of s[i:to] begins.
func lastLine(s string, i, to int) int {
	for to > i && class[s[to-1]]&cRun != 0 {
		to--
	}
	return to
}

// lineBreak returns where the line behind the break at i begins, or 0 where there is
// no break; it may be written as an escape.
func lineBreak(s string, i int) int {
	for range 2 {
		j := i
		for j < len(s) && j-i < maxSlashes && s[j] == '\\' {
			j++
		}
		switch {
		case j == len(s):
			return 0
		case j > i && s[j] == 'r', j == i && s[j] == '\r':
			i = j + 1
			continue
		case j > i && s[j] == 'n', j == i && s[j] == '\n':
			return j + 1
		}
		return 0
	}
	return 0
}

func fromBase64(s string) []byte {
	out := make([]byte, 0, len(s)/4*3+2)
	for len(s) >= 4 {
		a, b, c, d := sextet[s[0]], sextet[s[1]], sextet[s[2]], sextet[s[3]]
		out = append(out, a<<2|b>>4, b<<4|c>>2, c<<6|d)
		s = s[4:]
	}
	if len(s) >= 2 {
		out = append(out, sextet[s[0]]<<2|sextet[s[1]]>>4)
	}
	if len(s) == 3 {
		out = append(out, sextet[s[1]]<<4|sextet[s[2]]>>2)
	}
	return out
}

// sextet is what a character of base64 stands for, in either alphabet.
var sextet = func() (t [256]byte) {
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	t['-'], t['_'] = t['+'], t['/']
	return t
}()

// hexDigit is what a hexadecimal digit stands for.
var hexDigit = func() (t [256]byte) {
	for c := range t {
		if isHex(byte(c)) {
			t[c] = nibble(byte(c))
		}
	}
	return t
}()

// readable are the bytes of which text is made.
var readable = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != 0x7f || c == '\n' || c == '\r' || c == '\t' || c == escByte
	}
	return t
}()

// readableLen returns how many of the bytes are text.
func readableLen(b []byte) int {
	i := 0
	for i < len(b) && readable[b[i]] {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		i += n
	}
	return i
}

// hides tells whether a secret stands in what was decoded, and of which kind the first is.
func (sc *scanner) hides(text string) (kind, bool) {
	text = Sanitize(text)
	inner := sc.r.scanners.Get().(*scanner)
	defer sc.r.release(inner)
	inner.depth = sc.depth + 1
	name := ""
	if sc.id {
		name = Identity
	}
	mine := sc.r.patterns.hits(text)
	var found bool
	if layered(text) {
		found = inner.loadLayers(name, text, mine)
	} else {
		found = inner.load(name, text, mine)
	}
	if found {
		for _, sp := range inner.spans {
			if sp.kind != opaque {
				return sp.kind, true
			}
		}
	}
	return 0, false
}
