package redact

import (
	"encoding/json"
	"strings"
)

// persons are the names of fields whose values name a person, in lower case and
// without what separates their words: user.id, user_id and userId are one name.
var persons = map[string]bool{
	"user": true, "userid": true, "useremail": true, "username": true, "userfullname": true, "userhash": true,
	"enduser": true, "enduserid": true, "enduserpseudoid": true, "endusername": true, "enduseremail": true,
	"customerid": true, "customeremail": true, "clientuserid": true, "genaiuserid": true, "llmuser": true,
	"langfuseuserid": true, "traceloopassociationpropertiesuserid": true,
	"metadatauserapikeyuserid": true, "metadatauserapikeyuseremail": true,
}

const (
	maxPersonName = 64  // bytes of a field's name
	maxPerson     = 256 // bytes of a value in a log line; what is longer is text
)

// NamesPerson tells whether the value of a field of this name is a person, who
// is known by the token of Person everywhere.
func NamesPerson(name string) bool {
	if len(name) < len("user") || len(name) > maxPersonName {
		return false
	}
	switch name[len(name)-1] | 0x20 {
	case 'd', 'r', 'l', 'e', 'h':
	default:
		return false
	}
	var b [maxPersonName]byte
	n, known := 0, false
	for i := range len(name) {
		c := name[i]
		if c == '.' || c == '_' || c == '-' {
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b[n] = c
		n++
		// Every name has "user" or "customer" in it, and few others do.
		known = known || c == 'r' && n >= 3 && b[n-2] == 'e' && (b[n-3] == 's' || b[n-3] == 'm')
	}
	return known && persons[string(b[:n])]
}

// People replaces the people that the fields of a log line name by their
// tokens: "user":"…" of JSON at any depth, also of JSON inside a string, and
// user=… of logfmt. The rest of the line stays byte for byte, and a line
// without such a field comes back as it is.
//
// Where the end of the line was cut off in the middle of a person, no token
// would be the right one: that piece is dropped, and less counts its bytes.
func (r *Redactor) People(line string, cut bool) (out string, less int) {
	p := people{r: r, s: line, cut: cut}
	if !p.first() {
		return line, 0
	}
	for at := p.next(); at >= 0; at = p.next() {
		p.word(at)
	}
	if p.done == 0 {
		return line[:len(line)-p.less], p.less
	}
	p.out.WriteString(line[p.done : len(line)-p.less])
	return p.out.String(), p.less
}

// words are the spellings of which every name of a person has one.
var words = [...]string{"user", "User", "USER", "ustomer", "USTOMER"}

// people is the work on one line.
type people struct {
	r    *Redactor
	s    string
	cut  bool
	at   [len(words)]int // next occurrence of each word
	i    int             // all before is looked at
	done int             // all before is in out
	less int
	out  strings.Builder
}

func (p *people) first() bool {
	found := false
	for w, word := range words {
		p.at[w] = strings.Index(p.s, word)
		found = found || p.at[w] >= 0
	}
	return found
}

func (p *people) next() int {
	least := -1
	for w, word := range words {
		if p.at[w] >= 0 && p.at[w] < p.i {
			if p.at[w] = strings.Index(p.s[p.i:], word); p.at[w] >= 0 {
				p.at[w] += p.i
			}
		}
		if p.at[w] >= 0 && (least < 0 || p.at[w] < least) {
			least = p.at[w]
		}
	}
	return least
}

func partOfName(c byte) bool { return isAlnum(c) || c == '_' || c == '.' || c == '-' }

// word looks at the name around a word, and at what follows it.
func (p *people) word(at int) {
	s := p.s
	start, end := at, at
	for start > p.i && at-start < maxPersonName && partOfName(s[start-1]) {
		start--
	}
	for end < len(s) && end-at < maxPersonName && partOfName(s[end]) {
		end++
	}
	p.i = end
	name := s[start:end]
	if end == len(s) {
		return
	}
	if s[end] == '=' {
		if NamesPerson(name) {
			p.logfmt(end + 1)
		}
		return
	}
	quote, slashes, i := p.quote(end)
	if quote == 0 || start == 0 || s[start-1] != quote {
		return
	}
	if i = p.colon(i); i < 0 {
		return
	}
	if i < len(s) && s[i] == '{' {
		p.i = i + 1
		p.object(name, i+1, quote, slashes)
		return
	}
	if NamesPerson(name) {
		p.json(i, quote, slashes)
	}
}

// quote reads a quote with the backslashes before it, and returns what is behind.
func (p *people) quote(i int) (quote byte, slashes, after int) {
	j := i
	for j < len(p.s) && j-i < maxSlashes && p.s[j] == '\\' {
		j++
	}
	if j < len(p.s) && (p.s[j] == '"' || p.s[j] == '\'') {
		return p.s[j], j - i, j + 1
	}
	return 0, 0, i
}

// end finds the quote that closes a value, or one that closes what is around it.
// A quote of a string inside others has 1, 3, 7 … backslashes, besides pairs
// that stand for a backslash of the value.
func (p *people) end(i int, quote byte, slashes, limit int) int {
	n := 0
	for ; i < limit; i++ {
		switch c := p.s[i]; {
		case c == '\\':
			n++
			continue
		case c == '\n':
			return i
		case c == quote || slashes > 0 && c == '"':
			for mine := 0; mine <= slashes; mine = 2*mine + 1 {
				if n%(2*mine+2) == mine {
					return i - mine
				}
			}
		}
		n = 0
	}
	return limit
}

func (p *people) spaces(i int) int {
	for i < len(p.s) && (p.s[i] == ' ' || p.s[i] == '\t') {
		i++
	}
	return i
}

// colon returns where the value of a quoted name begins, or -1.
func (p *people) colon(i int) int {
	if i = p.spaces(i); i >= len(p.s) || p.s[i] != ':' {
		return -1
	}
	return p.spaces(i + 1)
}

// object looks at the fields of "user":{…}, whose names say who only together with its own.
func (p *people) object(parent string, i int, quote byte, slashes int) {
	for i = p.spaces(i); i < len(p.s); i = p.spaces(i) {
		q, n, start := p.quote(i)
		if q != quote || n != slashes {
			return
		}
		end := p.end(start, quote, slashes, min(len(p.s), start+maxPersonName))
		if i = p.colon(end + slashes + 1); i < 0 {
			return
		}
		name := parent + "." + p.s[start:end]
		switch {
		case i < len(p.s) && (p.s[i] == '{' || p.s[i] == '['):
			return
		case NamesPerson(name):
			i = p.json(i, quote, slashes)
		default:
			i = p.scalar(i)
		}
		if i = p.spaces(i); i >= len(p.s) || p.s[i] != ',' {
			return
		}
		i++
	}
}

// scalar returns the end of a value that stays as it is.
func (p *people) scalar(i int) int {
	if quote, slashes, start := p.quote(i); quote != 0 {
		return min(len(p.s), p.end(start, quote, slashes, len(p.s))+slashes+1)
	}
	for i < len(p.s) && p.s[i] != ',' && p.s[i] != '}' {
		i++
	}
	return i
}

// json replaces the value of a field of JSON and returns its end.
func (p *people) json(i int, quote byte, slashes int) int {
	s := p.s
	q, n, start := p.quote(i)
	if q == quote && n == slashes {
		end := p.end(start, quote, slashes, min(len(s), start+maxPerson+1))
		p.replace(start, end, plainText(s[start:end], slashes), "")
		return min(len(s), end+slashes+1)
	}
	end := i
	for end < len(s) && end-i <= maxPerson && (partOfName(s[end]) || s[end] == '+') {
		end++
	}
	if end > i && (isDigit(s[i]) || s[i] == '-') { // a number; its token is text
		p.replace(i, end, s[i:end], strings.Repeat(`\`, slashes)+string(quote))
	}
	return end
}

// logfmt replaces the value behind an equals sign.
func (p *people) logfmt(i int) {
	s := p.s
	if quote, slashes, start := p.quote(i); quote != 0 {
		end := p.end(start, quote, slashes, min(len(s), start+maxPerson+1))
		p.replace(start, end, plainText(s[start:end], slashes), "")
		return
	}
	end := i
	for end < len(s) && end-i <= maxPerson && strings.IndexByte(" \t\n,;|&)]}\"'`\\", s[end]) < 0 {
		end++
	}
	switch v := s[i:end]; {
	case v == "" || strings.IndexByte("={[(<$%", v[0]) >= 0: // a comparison, a structure, a template
	case v == "-" || v == "null" || v == "nil" || v == "none" || v == "None":
	default:
		p.replace(i, end, v, "")
	}
}

// replace puts a token, between quotes where given, in the place of s[start:end].
func (p *people) replace(start, end int, v, quote string) {
	switch {
	case end-start > maxPerson || strings.TrimSpace(v) == "":
		return
	case end == len(p.s) && p.cut:
		p.less = end - start
	default:
		if p.done == 0 {
			p.out.Grow(len(p.s) + 2*(len(tokenPrefix)+tokenDigits))
		}
		p.out.WriteString(p.s[p.done:start])
		p.out.WriteString(quote)
		p.out.WriteString(p.r.Person(v))
		p.out.WriteString(quote)
		p.done = end
	}
	p.i = end
}

// plainText reads a string of JSON that stands inside as many others as its quotes have backslashes for.
func plainText(v string, slashes int) string {
	for ; strings.IndexByte(v, '\\') >= 0; slashes /= 2 {
		var plain string
		if json.Unmarshal([]byte(`"`+v+`"`), &plain) != nil {
			return v
		}
		v = plain
		if slashes == 0 {
			return v
		}
	}
	return v
}
