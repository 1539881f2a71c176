package redact

import (
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// A text may carry a secret in a form that everybody but the scanner would read:
// percent escapes of a URL or a form, entities of HTML, \u escapes of JSON,
// colours of a terminal in the middle of it. Such a text is peeled: read as what
// it stands for, while every byte remembers where it came from, so that what is
// found is cut out of the text as it was written.

// maxLayers is how often what was peeled is peeled again: %2525 is % three times over.
const maxLayers = 12

// peeled is a text as it reads once its escapes are undone.
type peeled struct {
	text  string
	parts []part // of the text, in order; none when it is the text as it was written

	// Room for the work, used again and again.
	buf   []byte
	spare []part // for the next layer
	one   [64]byte
}

// part is a piece of a peeled text: what was copied, or what one escape stands for.
type part struct {
	at     int // where it begins in the peeled text
	from   int // and in the text as it was written
	escape bool
}

// source maps a position in the peeled text to the text as it was written.
func (p *peeled) source(i int) int {
	if len(p.parts) == 0 {
		return i
	}
	n, exact := slices.BinarySearchFunc(p.parts, i, func(p part, i int) int { return p.at - i })
	if !exact {
		n--
	}
	if p.parts[n].escape {
		return p.parts[n].from
	}
	return p.parts[n].from + i - p.parts[n].at
}

// copied adds the parts for p.text[from:to], which is copied to at.
func (p *peeled) copied(parts []part, at, from, to int) []part {
	if len(p.parts) == 0 {
		return append(parts, part{at: at, from: from})
	}
	n, exact := slices.BinarySearchFunc(p.parts, from, func(p part, i int) int { return p.at - i })
	if !exact {
		n--
	}
	for ; n < len(p.parts) && p.parts[n].at < to; n++ {
		old := p.parts[n]
		skip := max(0, from-old.at)
		if !old.escape {
			old.from += skip
		}
		old.at = at + old.at + skip - from
		parts = append(parts, old)
	}
	return parts
}

// found is a span of a text as it was written, with what it reads as.
type found struct {
	span
	plain string
}

// byContext tells whether what stands around a value decides about its kind: the
// digits of an ID are no card. That shows only when no layer is left.
func (k kind) byContext() bool {
	switch k {
	case kindEmail, kindPhone, kindCard, kindNational, kindIP, kindSecret, kindAuth:
		return true
	}
	return false
}

// loadLayers is load for a text that may have layers: it finds what any of them
// shows, because what one layer hides may be what tells the meaning of another.
func (sc *scanner) loadLayers(name, s string, mine []int) bool {
	var all []found
	keep := func(p *peeled) {
		for _, sp := range sc.spans {
			if sp.kind != opaque {
				all = append(all, found{span{p.source(sp.start), p.source(sp.end), sp.kind, sp.whole}, p.text[sp.start:sp.end]})
			}
		}
	}
	look := func(p *peeled, mine []int) int {
		if sc.load(name, p.text, mine) {
			keep(p)
		}
		return len(all)
	}
	if sc.peeled == nil {
		sc.peeled = new(peeled)
	}
	p := sc.peeled
	p.text, p.parts = s, p.parts[:0]
	further := func() {
		sc.spans, sc.s, sc.floor = sc.spans[:0], p.text, 0
		sc.encoded()
		sc.joints()
		keep(p)
	}
	sc.outer = true
	outer := look(p, mine)
	sc.outer = false
	// JSON is read with the depth of every quote kept, which tells where values end, and
	// where it is nested also level by level, which is right about what stands between
	// the quotes.
	nested := strings.Contains(s, `\\`)
	layers := 0
	for _, json := range [...]reading{escapeOfJSON, levelOfJSON} {
		p.text, p.parts = s, p.parts[:0]
		n := 0
		for n < maxLayers && p.peel(json) {
			nested = nested || strings.Contains(p.text, `\\`)
			n++
			if strings.IndexByte(p.text, '+') >= 0 { // base64 that the next layer, a form, would read as words
				further()
			}
		}
		if n > 0 {
			layers++
			look(p, sc.r.patterns.hits(p.text))
		}
		if !nested {
			break
		}
	}
	if layers == 0 || strings.IndexByte(s, '+') >= 0 {
		p.text, p.parts = s, p.parts[:0]
		further()
	}
	p.text = ""
	if layers > 0 && outer > 0 {
		deepest := all[outer:]
		kept := slices.DeleteFunc(slices.Clone(all[:outer]), func(f found) bool {
			return f.kind.byContext() && !f.whole && !slices.ContainsFunc(deepest, func(d found) bool { return d.start < f.end && f.start < d.end })
		})
		all = slices.Concat(kept, deepest)
	}
	slices.SortStableFunc(all, func(a, b found) int { return a.start - b.start })
	sc.spans, sc.plain = sc.spans[:0], make([]string, 0, len(all))
	longest := 0
	for _, f := range all {
		n := len(sc.spans)
		if n == 0 || f.start >= sc.spans[n-1].end {
			sc.spans, sc.plain = append(sc.spans, f.span), append(sc.plain, f.plain)
			longest = f.end - f.start
			continue
		}
		last := &sc.spans[n-1]
		if f.end-f.start >= longest { // of two as long the deeper one, which reads the same wherever it stands
			last.kind, sc.plain[n-1], longest = f.kind, f.plain, f.end-f.start
		}
		last.end = max(last.end, f.end)
	}
	return len(all) > 0
}

// layered tells whether there may be something to peel. Most texts are done with here.
func layered(s string) bool {
	return anyOf(s, '%', func(i int) bool { return i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) }) ||
		anyOf(s, '\\', func(i int) bool {
			return i+1 < len(s) && (s[i+1] == '/' || s[i+1] == 'u' && i+5 < len(s) || s[i+1] == 'x' && i+3 < len(s) && s[i+2] < '8')
		}) ||
		anyOf(s, '&', func(i int) bool { return entityEnd(s, i) > 0 }) ||
		formSpace(s) ||
		strings.Contains(s, "<U+") || strings.Contains(s, "\xe2\x90") || strings.IndexByte(s, escByte) >= 0
}

// formSpace tells whether a plus sign behind an equals sign may be the space of a form.
func formSpace(s string) bool {
	if strings.IndexByte(s, '+') < 0 {
		return false
	}
	equals := strings.IndexByte(s, '=')
	return equals >= 0 && anyOf(s, '+', func(i int) bool { return i > equals && plusIsSpace(s, i) })
}

// escByte begins a command to the terminal. It stands only in what was peeled:
// texts are sanitised before.
const escByte = 0x1b

// plain appends a character that was escaped. Of the control characters only the
// ends of lines mean something to the scanner, and ESC to the next layer.
func plain(out []byte, r rune) []byte {
	switch {
	case r == '\r':
		return append(out, '\n')
	case r < ' ' && r != '\n' && r != '\t' && r != escByte || r == 0x7f:
		return out
	}
	return utf8.AppendRune(out, r)
}

func anyOf(s string, c byte, is func(i int) bool) bool {
	for i := 0; ; i++ {
		j := strings.IndexByte(s[i:], c)
		if j < 0 {
			return false
		}
		if i += j; is(i) {
			return true
		}
	}
}

// peel takes one layer off and tells whether there was one. The order follows what
// encoders leave as it is: one for HTML leaves backslashes and percent signs, one for
// JSON percent signs. What plus signs and commands to the terminal are shows last.
func (p *peeled) peel(json reading) bool {
	return layered(p.text) && (p.undo(entity) || p.undo(json) || p.undo(percent) || p.undo(command))
}

// reading is one kind of escapes. read appends what the one at i stands for and says
// how many bytes it takes: 0 where there is none.
type reading struct {
	first string // the bytes with which they begin, three at most
	read  func(out []byte, s string, i int) ([]byte, int)
}

// next returns where the next escape may begin, or -1.
func (r *reading) next(s string) int {
	a, b, c := r.first[0], r.first[len(r.first)/2], r.first[len(r.first)-1]
	if len(r.first) == 1 {
		return strings.IndexByte(s, a)
	}
	for i := range len(s) {
		if s[i] == a || s[i] == b || s[i] == c {
			return i
		}
	}
	return -1
}

var (
	entity       = reading{"&", readEntity}
	escapeOfJSON = reading{`\`, readEscape}
	levelOfJSON  = reading{`\`, readLevel}
	percent      = reading{"%+", readPercent}
	command      = reading{"<\xe2\x1b", readCommand} // <U+…>, a control picture, or ESC
)

// undo reads every escape of one kind as what it stands for.
func (p *peeled) undo(kind reading) bool {
	s := p.text
	out := p.buf[:0]
	parts := p.spare[:0]
	done := 0 // all before is in out
	for i := 0; ; {
		j := kind.next(s[i:])
		if j < 0 {
			break
		}
		i += j
		plain, n := kind.read(p.one[:0], s, i)
		if n == 0 || string(plain) == s[i:i+n] {
			i += max(n, 1)
			continue
		}
		if done < i {
			parts = p.copied(parts, len(out), done, i)
			out = append(out, s[done:i]...)
		}
		parts = append(parts, part{len(out), p.source(i), true})
		out = append(out, plain...)
		i += n
		done = i
	}
	if done == 0 {
		return false
	}
	// The end has a part of its own, so that it is found when all that is before was dropped.
	parts = p.copied(parts, len(out), done, len(s))
	out = append(out, s[done:]...)
	p.buf = out
	parts = append(parts, part{len(out), p.source(len(s)), true})
	p.text, p.parts, p.spare = string(out), parts, p.parts
	return true
}

// plusIsSpace tells whether the plus at i can be what a form writes for a space:
// not the first character of a number after one, and not the offset of a time.
func plusIsSpace(s string, i int) bool {
	if i == 0 || i+1 == len(s) || isSpace(s[i-1]) || isSpace(s[i+1]) {
		return false
	}
	return !isDigit(s[i-1]) || i+3 >= len(s) || !isDigit(s[i+1]) || !isDigit(s[i+2]) || s[i+3] != ':'
}

// readPercent reads %XX, and the plus of a form.
func readPercent(out []byte, s string, i int) ([]byte, int) {
	if s[i] == '+' && plusIsSpace(s, i) && inForm(s, i) {
		return append(out, ' '), 1
	}
	if s[i] != '%' || i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
		return out, 0
	}
	c := nibble(s[i+1])<<4 | nibble(s[i+2])
	if c >= utf8.RuneSelf { // a part of a character
		return append(out, c), 3
	}
	return plain(out, rune(c)), 3
}

// inForm tells whether the word around i may be the body of a form or the query of a
// URL. Whoever writes %20 for a space means the plus sign as it stands.
func inForm(s string, i int) bool {
	const near = 256
	is := false
	for j := i; j >= 0 && i-j < near && !isSpace(s[j]); j-- {
		is = is || s[j] == '='
		if spaceByPercent(s, j) {
			return false
		}
		is = is || s[j] == '%'
	}
	for j := i + 1; j < len(s) && j-i < near && !isSpace(s[j]); j++ {
		if spaceByPercent(s, j) {
			return false
		}
		is = is || s[j] == '%' && j+2 < len(s) && isHex(s[j+1]) && isHex(s[j+2])
	}
	return is
}

// spaceByPercent tells whether %20 stands at i, or %2520, and so on.
func spaceByPercent(s string, i int) bool {
	if s[i] != '%' {
		return false
	}
	for i++; strings.HasPrefix(s[i:], "25"); i += 2 {
	}
	return strings.HasPrefix(s[i:], "20")
}

// readCommand drops what was an invisible character or a command to the terminal
// before it was made visible.
func readCommand(out []byte, s string, i int) ([]byte, int) {
	switch {
	case s[i] == escByte:
		return out, 1 + commandEnd(s[i+1:])
	case s[i] == '<' && strings.HasPrefix(s[i:], "<U+"):
		if end := strings.IndexByte(s[i:min(len(s), i+12)], '>'); end > 0 {
			return out, end + 1
		}
	case s[i] == 0xe2 && i+2 < len(s) && s[i+1] == 0x90 && s[i+2] <= 0xa1:
		switch s[i+2] {
		case 0x8d: // a carriage return
			return append(out, '\n'), 3
		case 0x9b:
			return out, 3 + commandEnd(s[i+3:])
		}
		return out, 3
	}
	return out, 0
}

// readEntity reads an entity of HTML.
func readEntity(out []byte, s string, i int) ([]byte, int) {
	if s[i] != '&' {
		return out, 0
	}
	n := entityEnd(s, i)
	for _, r := range html.UnescapeString(s[i : i+n]) {
		out = plain(out, r)
	}
	return out, n
}

// maxEntity is how long an entity of HTML may be that is read as one.
const maxEntity = 10

// entityEnd returns how long the entity of HTML at i is, or 0.
func entityEnd(s string, i int) int {
	end := strings.IndexByte(s[i:min(len(s), i+maxEntity)], ';')
	if end < 2 || s[i+1] != '#' && !isLetter(s[i+1]) {
		return 0
	}
	if plain := html.UnescapeString(s[i : i+end+1]); len(plain) == end+1 || strings.ContainsRune(plain, utf8.RuneError) {
		return 0
	}
	return end + 1
}

// readEscape reads \/, \uXXXX and \xXX at any depth. Quotes and backslashes get the
// backslashes that they would have without \u, which say how deep they stand.
func readEscape(out []byte, s string, i int) ([]byte, int) {
	if s[i] != '\\' {
		return out, 0
	}
	j := i
	for j < len(s) && s[j] == '\\' {
		j++
	}
	slashes := j - i
	r, n := character(s, j)
	switch {
	case n == 0 || slashes > maxSlashes:
		return append(out, s[i:j]...), slashes
	case r == '"':
		for range 2*slashes - 1 {
			out = append(out, '\\')
		}
		out = append(out, '"')
	case r == '\\':
		for range 2 * slashes {
			out = append(out, '\\')
		}
	default:
		out = plain(out, r)
	}
	return out, slashes + n
}

// readLevel takes one level of backslashes off.
func readLevel(out []byte, s string, i int) ([]byte, int) {
	if s[i] != '\\' || i+1 == len(s) {
		return out, 0
	}
	switch c := s[i+1]; c {
	case '\\', '"', '\'':
		return append(out, c), 2
	case 'n', 'r':
		return append(out, '\n'), 2
	case 't':
		return append(out, '\t'), 2
	}
	r, n := character(s, i+1)
	if n == 0 {
		return out, 0
	}
	return plain(out, r), 1 + n
}

// character reads what stands behind a backslash: / or uXXXX or xXX, of which those
// from 80 on are bytes that were no character.
func character(s string, i int) (r rune, n int) {
	if i >= len(s) {
		return 0, 0
	}
	switch s[i] {
	case '/':
		return '/', 1
	case 'u':
		n = 5
	case 'x':
		n = 3
	default:
		return 0, 0
	}
	if i+n > len(s) {
		return 0, 0
	}
	for _, c := range []byte(s[i+1 : i+n]) {
		if !isHex(c) {
			return 0, 0
		}
		r = r<<4 | rune(nibble(c))
	}
	if n == 3 && r >= utf8.RuneSelf {
		return 0, 0
	}
	return r, n
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

// commandEnd returns how long the rest of a command to the terminal is, such as [31m.
func commandEnd(s string) int {
	const longest = 24
	if s == "" || s[0] != '[' {
		return 0
	}
	n := 1
	for n < len(s) && n < longest && (isDigit(s[n]) || s[n] == ';' || s[n] == '?') {
		n++
	}
	if n < len(s) && isLetter(s[n]) {
		n++
	}
	return n
}
