package redact

import "strings"

// What makes the scanner stop at a byte. All other bytes cost one table look-up.
const (
	tNone = iota
	tAt
	tPercent
	tColon
	tEqual
	tDigit
	tPlus
	tAngle
	tDash
	tUnderscore
	tTilde
	tBackslash
	tBearer // B, b
	tJ      // eyJ
	tK      // AKIA
	tS      // ASIA, SG.
	tZ      // AIza
	tV      // hvs.
)

var trigger = [256]uint8{
	'@': tAt, '%': tPercent, ':': tColon, '=': tEqual, '+': tPlus, '<': tAngle, '-': tDash, '_': tUnderscore,
	'~': tTilde, '\\': tBackslash, 'B': tBearer, 'b': tBearer, 'J': tJ, 'K': tK, 'S': tS, 'z': tZ, 'v': tV,
	'0': tDigit, '1': tDigit, '2': tDigit, '3': tDigit, '4': tDigit,
	'5': tDigit, '6': tDigit, '7': tDigit, '8': tDigit, '9': tDigit,
}

// opaque marks the placeholders that a text already holds.
const opaque kind = 255

// scanner finds the spans of one text, from left to right.
type scanner struct {
	r      *Redactor
	name   string // of the field that s is the value of, or ""
	id     bool   // s is an identity: only what has the shape of a secret is one
	outer  bool   // s has layers below it, in which encoded text and what is cut in two are looked for
	depth  int    // of decoding: s stands encoded in a text, which may stand so in another
	s      string
	i      int // next byte to look at
	floor  int // end of the last span: nothing before it is looked at again
	spans  []span
	peeled *peeled  // what s is read as
	plain  []string // what the spans read as, where that is not how they are written
	// pemEnd caches where the next "-----END " is, so that many beginnings without
	// an end cost one search together.
	pemEnd             int
	wordStart, wordEnd int // the last word that was read, see word
}

// load scans the value of a field and tells whether anything is to be replaced.
// The user's patterns in mine may have a hit.
func (sc *scanner) load(name, s string, mine []int) bool {
	*sc = scanner{r: sc.r, name: name, id: name == Identity, s: s, depth: sc.depth, outer: sc.outer, spans: sc.spans[:0], peeled: sc.peeled}
	if m := means(name); m != meansNothing {
		sc.take(m, opened{quote: wholeValue}, true)
	}
	sc.scan()
	if !sc.outer {
		sc.encoded()
		sc.joints()
	}
	if len(mine) > 0 {
		sc.spans = sc.r.patterns.find(s, mine, sc.spans)
	}
	for i := range sc.spans {
		if sc.spans[i].kind != opaque {
			return true
		}
	}
	return false
}

func (sc *scanner) reset() {
	sc.name, sc.s, sc.depth, sc.outer = "", "", 0, false
	if cap(sc.spans) > 4096 {
		sc.spans = nil
	}
	if sc.peeled != nil && (cap(sc.peeled.buf) > 1<<20 || max(cap(sc.peeled.parts), cap(sc.peeled.spare)) > 4096) {
		sc.peeled = nil
	}
}

// add records a span and goes on behind it.
func (sc *scanner) add(start, end int, k kind) {
	sc.spans = append(sc.spans, span{start: start, end: end, kind: k})
	sc.i, sc.floor = end, end
}

func (sc *scanner) scan() {
	s := sc.s
	for sc.i < len(s) {
		i := sc.i
		for i < len(s) && trigger[s[i]] == tNone {
			i++
		}
		if i == len(s) {
			break
		}
		sc.i = i + 1
		switch trigger[s[i]] {
		case tDigit:
			sc.digit(i)
		case tColon:
			if !sc.url(i) && !sc.ipv6(i) {
				sc.field(i, i+1)
			}
		case tEqual:
			sc.field(i, i+1)
		case tAt:
			sc.email(i, i+1)
		case tPercent:
			switch {
			case strings.HasPrefix(s[i:], "%40"):
				sc.email(i, i+3)
			case strings.HasPrefix(s[i:], "%3D"), strings.HasPrefix(s[i:], "%3A"):
				sc.field(i, i+3)
			}
		case tPlus:
			sc.phone(i)
		case tAngle:
			if end, _, _, ok := sc.r.placeholder(s, i); ok {
				sc.add(i, end, opaque)
			} else {
				sc.element(i)
			}
		case tBackslash:
			if i+1 < len(s) && s[i+1] == 'u' {
				if end, _, _, ok := sc.r.placeholder(s, i); ok {
					sc.add(i, end, opaque)
				}
			}
		case tDash:
			sc.dash(i)
		case tUnderscore:
			sc.underscore(i)
		case tTilde:
			sc.azureSecret(i)
		case tBearer:
			sc.bearer(i)
		case tJ:
			if i >= 2 && s[i-1] == 'y' && s[i-2] == 'e' {
				sc.jwt(i - 2)
			}
		case tK:
			if i >= 1 && s[i-1] == 'A' && strings.HasPrefix(s[i:], "KIA") {
				sc.awsKey(i - 1)
			}
		case tS:
			switch {
			case i >= 1 && s[i-1] == 'A' && strings.HasPrefix(s[i:], "SIA"):
				sc.awsKey(i - 1)
			case strings.HasPrefix(s[i:], "SG."):
				sc.sendGrid(i)
			}
		case tZ:
			if i >= 2 && s[i-1] == 'I' && s[i-2] == 'A' && i+1 < len(s) && s[i+1] == 'a' {
				sc.key(i-2, i+2, cBase64URL, 30, 45, false)
			}
		case tV:
			if i >= 1 && s[i-1] == 'h' && strings.HasPrefix(s[i:], "vs.") {
				sc.key(i-1, i+3, cBase64URL, 20, 0, false)
			}
		}
	}
}

// render returns the text with its spans replaced.
func (sc *scanner) render(s string, num *numbering, doc int) string {
	var b strings.Builder
	b.Grow(len(s) + 16)
	at := 0
	for i, sp := range sc.spans {
		if sp.kind == opaque {
			continue
		}
		plain := s[sp.start:sp.end]
		if sc.plain != nil {
			plain = sc.plain[i]
		}
		b.WriteString(s[at:sp.start])
		b.WriteByte('<')
		b.WriteString(sc.r.names[sp.kind])
		b.WriteByte(':')
		writeInt(&b, num.of(doc, sp.kind, plain))
		b.WriteByte('>')
		at = sp.end
	}
	b.WriteString(s[at:])
	return b.String()
}

func writeInt(b *strings.Builder, n int) {
	var buf [20]byte
	i := len(buf)
	for {
		i--
		buf[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			break
		}
	}
	b.Write(buf[i:])
}
