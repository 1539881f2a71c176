package redact

import (
	"math"
	"strings"
)

// field looks at name<separator>value, where the separator is s[at:after].
func (sc *scanner) field(at, after int) {
	s := sc.s
	if at == sc.floor {
		return
	}
	if s[at-1] == 'r' && sc.token(at) {
		return
	}
	if c := s[at-1]; isDigit(c) || c == '/' || c == '=' || c == ':' || c == '!' {
		return
	}
	if end := at - 1; end >= 2 && isQuote(s[end]) && isAlnum(s[end-2]) && isLetter(s[end-1]) &&
		!telling[int(s[end-2]&31)<<5|int(s[end-1]&31)] { // as means says, only sooner: "name": is what JSON logs are made of
		return
	}
	m := means(sc.nameLeft(at, sc.floor))
	if m == meansNothing {
		return
	}
	i := after
	if i < len(s) && (s[i] == '>' && s[at] == '=' || s[i] == '=') { // =>, :=, ==
		i++
	}
	sc.take(m, sc.open(i), s[at:after] != ":")
}

// token keeps a person's token whole: its digits are no card and no phone.
func (sc *scanner) token(at int) bool {
	start, end := at+1-len(tokenPrefix), at+1+tokenDigits
	if start < sc.floor || end > len(sc.s) || !IsToken(sc.s[start:end]) {
		return false
	}
	sc.add(start, end, opaque)
	return true
}

// flag looks at --name value, also in a list of arguments.
func (sc *scanner) flag(i int) {
	s := sc.s
	if i > 0 && s[i-1] != ' ' && !isQuote(s[i-1]) {
		return
	}
	start := i
	for start < len(s) && start-i < 2 && s[start] == '-' {
		start++
	}
	if start >= len(s) || !isLetter(s[start]) {
		return
	}
	end := run(s[:min(len(s), start+64)], start, cName)
	m := means(s[start:end])
	if m != meansPassword && m != meansSecret && m != meansMaybe {
		return
	}
	next := end
	for next < len(s) && next-end < 2*maxSlashes && (isQuote(s[next]) || s[next] == ',' || s[next] == ' ' || s[next] == '\\') {
		next++
	}
	if next == end || next == len(s) || s[next] == '-' {
		return
	}
	for next > end+1 && (isQuote(s[next-1]) || s[next-1] == '\\') {
		next--
	}
	sc.take(m, sc.open(next), true)
}

// element looks at <name>value</name>.
func (sc *scanner) element(i int) {
	s := sc.s
	end := i + 1
	for end < len(s) && end-i < 64 && (class[s[end]]&cName != 0 || s[end] == ':') {
		end++
	}
	if end == i+1 || end >= len(s) || s[end] != '>' {
		return
	}
	if m := means(s[i+1 : end]); m != meansNothing {
		sc.take(m, opened{start: end + 1, quote: '<'}, true)
	}
}

// opened is where a value starts, and what will close it.
type opened struct {
	start   int
	quote   byte // 0: not quoted
	slashes int  // backslashes before the quote: how deep the JSON is nested
}

// maxSlashes is how many backslashes before a quote are counted: JSON inside JSON,
// eight times over.
const maxSlashes = 256

// open finds the value behind a separator that ends at i.
func (sc *scanner) open(i int) opened {
	s := sc.s
	skip := func(c byte, most int) {
		for most > 0 && i < len(s) && s[i] == c {
			i++
			most--
		}
	}
	skip(' ', 8)
	skip('\t', 2)
	skip('[', 1)
	skip(' ', 2)
	if i+1 < len(s) && (s[i] == 'b' || s[i] == 'u' || s[i] == 'r') && isQuote(s[i+1]) { // Python's b'…'
		i++
	}
	j := i
	for j < len(s) && j-i < maxSlashes && s[j] == '\\' {
		j++
	}
	if j < len(s) && isQuote(s[j]) {
		return opened{start: j + 1, quote: s[j], slashes: j - i}
	}
	return opened{start: i}
}

// wholeValue is the quote of a value that ends where the text does.
const wholeValue byte = 1

// look is how much of a value is judged before all of it is read.
const look = 512

// take judges the value that was opened and records it.
func (sc *scanner) take(m meaning, o opened, assign bool) {
	s := sc.s
	if o.start >= len(s) {
		return
	}
	if _, _, _, ok := sc.r.placeholder(s, o.start); ok {
		return
	}
	end := sc.valueEnd(o, min(len(s), o.start+look), assign)
	v := s[o.start:end]
	if v == "" {
		return
	}
	k := kindSecret
	switch m {
	case meansPassword, meansSecret, meansMaybe:
		if !secret(m, v, o.quote != 0) {
			// What seems to go on may have ended at a quote of another depth.
			n := strings.IndexAny(v, "\\\"'")
			if m != meansMaybe || n < 1 || !secret(m, v[:n], o.quote != 0) {
				return
			}
			sc.add(o.start, o.start+n, sc.kindOf(v[:n], kindSecret))
			return
		}
		k = sc.kindOf(v, kindSecret)
		if k == kindPrivateKey {
			return // the PEM scanner knows better where it ends
		}
	case meansAuth:
		sc.authorization(o, assign)
		return
	case meansCookie:
		if strings.IndexByte(v, '=') < 0 {
			return
		}
		sc.add(o.start, sc.lineEnd(o, len(s)), k)
		return
	case meansCode:
		if len(v) < 3 || len(v) > 8 || digits(v, 0) != len(v) {
			return
		}
	default:
		sc.personal(m, o, v)
		return
	}
	sc.add(o.start, sc.valueEnd(o, len(s), assign), k)
}

// valueEnd returns where the value ends, looking no further than limit.
func (sc *scanner) valueEnd(o opened, limit int, assign bool) int {
	s := sc.s
	switch o.quote {
	case '<':
		if j := strings.IndexByte(s[o.start:limit], '<'); j >= 0 {
			return o.start + j
		}
		return limit
	case wholeValue:
		return limit
	case 0:
		return bareEnd(s, o.start, limit, assign)
	}
	return closing(s, o, limit)
}

// closing finds the quote that closes a value. A quote inside the value has
// more backslashes than the opening one; one with fewer closes what is around it.
func closing(s string, o opened, limit int) int {
	slashes := 0
	for i := o.start; i < limit; i++ {
		switch c := s[i]; {
		case c == '\\':
			slashes++
			continue
		case c == '\n':
			return i
		case c == o.quote || o.slashes > 0 && c == '"':
			if slashes < o.slashes || slashes%(2*(o.slashes+1)) == o.slashes {
				return i - min(slashes, o.slashes)
			}
		}
		slashes = 0
	}
	return limit
}

// bareEnd returns the end of a value without quotes.
func bareEnd(s string, i, limit int, assign bool) int {
	for ; i < limit; i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '"', '\'', '`', ';', '<', '>', '|':
			return i
		case '&':
			if assign {
				return i
			}
		case '\\':
			if i+1 >= len(s) || strings.IndexByte(`nrtu"'\`, s[i+1]) >= 0 {
				return i
			}
		case '%':
			if i+2 < len(s) && (s[i+1] == '2' && strings.IndexByte("26BC", s[i+2]) >= 0 || s[i+1] == '3' && s[i+2] == 'B') {
				return i
			}
		case ')', ']', '}':
			if i+1 >= len(s) || !isAlnum(s[i+1]) {
				return i
			}
		case ',':
			if i+1 >= len(s) || isSpace(s[i+1]) || isQuote(s[i+1]) || s[i+1] == '{' {
				return i
			}
			j := run(s[:min(len(s), i+40)], i+1, cName)
			if j < len(s) && (s[j] == '=' || s[j] == ':') {
				return i
			}
		}
	}
	return limit
}

// lineEnd is the end of a header's value: its quote, or the end of the line.
func (sc *scanner) lineEnd(o opened, limit int) int {
	s := sc.s
	if o.quote != 0 {
		return sc.valueEnd(o, limit, true)
	}
	for i := o.start; i < limit; i++ {
		if c := s[i]; c == '\n' || isQuote(c) || c == '<' || c == '\\' && i+1 < len(s) && strings.IndexByte(`nr"'\`, s[i+1]) >= 0 {
			return i
		}
	}
	return limit
}

// authorization takes what follows the scheme; without a known one, the value itself.
func (sc *scanner) authorization(o opened, assign bool) {
	s := sc.s
	m := meansSecret
	end := func(limit int) int { return sc.valueEnd(o, limit, assign) }
	scheme, _, found := strings.Cut(s[o.start:min(len(s), o.start+32)], " ")
	if found {
		switch strings.ToLower(scheme) {
		case "bearer", "basic", "token", "apikey", "key", "negotiate", "ntlm":
			m = meansPassword
		case "digest", "aws4-hmac-sha256", "hawk", "sharedkey", "sharedaccesssignature", "hmac":
			m = meansPassword
			end = func(limit int) int { return sc.lineEnd(o, limit) }
		}
	}
	if m == meansPassword {
		for o.start += len(scheme); o.start < len(s) && s[o.start] == ' '; o.start++ {
		}
		if o.start == len(s) {
			return
		}
		if _, _, _, ok := sc.r.placeholder(s, o.start); ok {
			return
		}
	}
	v := s[o.start:end(min(len(s), o.start+look))]
	if v != "" && secret(m, v, m == meansPassword || o.quote != 0) {
		sc.add(o.start, end(len(s)), sc.kindOf(v, kindAuth))
	}
}

// secret judges a value by what its name means.
func secret(m meaning, v string, quoted bool) bool {
	if idle(v) {
		return false
	}
	mixed := mix(v)
	switch m {
	case meansPassword:
		return v[0] != '/' && v[0] != '~' || quoted // PWD=/srv/app
	case meansSecret:
		if len(v) < 6 || strings.IndexByte(v, ' ') >= 0 || mixed.digits == len(v) && len(v) < 8 {
			return false
		}
		return mixed.digits > 0 || mixed.upper > 0 && mixed.lower > 0 && mixed.longest != len(v) || quoted && len(v) >= 8 ||
			len(v) >= 16 && mixed.other == 0
	default:
		for i := range len(v) {
			if c := v[i]; class[c]&cMail == 0 && c != '/' && c != '=' && c != '~' {
				return false
			}
		}
		return len(v) >= 16 && mixed.digits > 0 && mixed.upper+mixed.lower > 0 &&
			(mixed.upper > 0 && mixed.lower > 0 || mixed.longest >= 16) && entropy(v) >= 3
	}
}

// idle values say that there is no secret: words, masks and templates.
func idle(v string) bool {
	if i := strings.IndexByte(v, '&'); i > 0 { // the next field of a form
		if j := run(v, i+1, cName); j < len(v) && v[j] == '=' {
			v = v[:i]
		}
	}
	switch strings.ToLower(v[:min(len(v), 12)]) {
	case "null", "nil", "none", "true", "false", "undefined", "required", "missing", "invalid", "incorrect", "wrong",
		"expired", "empty", "unset", "yes", "no", "ok", "string", "redacted", "[redacted]", "hidden", "masked", "unknown",
		"rejected", "is", "was", "must", "cannot", "{", "(", "[", "[]", "{}":
		return true
	}
	for _, template := range [...]string{"${", "{{", "$(", "%(", "***", "[REDACTED", "process.env", "os.environ", "os.Getenv"} {
		if strings.HasPrefix(v, template) {
			return true
		}
	}
	if v[0] == '<' && v[len(v)-1] == '>' || v[0] == '$' && len(v) > 1 && strings.ToUpper(v) == v {
		return true
	}
	return len(v) >= 3 && strings.IndexByte("*xX.#-", v[0]) >= 0 && strings.Count(v, v[:1]) == len(v)
}

// entropy is Shannon's, in bits a byte.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	sum, n := 0.0, float64(len(s))
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / n
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// personal takes numbers whose name says whose they are.
func (sc *scanner) personal(m meaning, o opened, v string) {
	s := sc.s
	if m == meansPhone {
		i := o.start
		if s[i] == '+' || s[i] == '(' {
			i++
		}
		first := digits(s, i)
		end, n, _ := phoneEnd(s, i, 13)
		if first-i >= 7 {
			end, n = first, first-i
		}
		if n >= 7 && n <= 15 && ends(s, end) {
			sc.add(o.start, end, kindPhone)
		}
		return
	}
	// The number may be written in groups, so it is read up to something else.
	var buf [20]byte
	n, end := 0, o.start
	for i := o.start; i < len(s) && n < len(buf); i++ {
		c := s[i]
		if isAlnum(c) {
			if isLower(c) {
				c -= 'a' - 'A'
			}
			buf[n] = c
			n++
			end = i + 1
			continue
		}
		if c != ' ' && c != '-' && c != '.' && c != '/' || i-end >= 1 {
			break
		}
		if k := sc.numberKind(m, string(buf[:n])); k != opaque { // what follows a whole number is something else
			break
		}
	}
	for ; n > 0; n-- {
		if k := sc.numberKind(m, string(buf[:n])); k != opaque && ends(s, end) {
			sc.add(o.start, end, k)
			return
		}
		for end--; end > o.start && !isAlnum(s[end-1]); end-- {
		}
	}
}

func (sc *scanner) numberKind(m meaning, n string) kind {
	numeric := digits(n, 0) == len(n)
	if m == meansCard {
		if numeric && len(n) >= 12 && len(n) <= 19 && luhn(n) {
			return kindCard
		}
		return opaque
	}
	if m == meansSSN && numeric && validSSN(n) || validDNI(n) || validCF(n) || validNINO(n) || len(n) == 18 && digits(n, 0) >= 17 && validRIC(n) ||
		numeric && (validBSN(n) || validCPF(n) || validNIR(n) || validSteuerID(n) || validPESEL(n) || validAadhaar(n) || validRRN(n)) {
		return kindNational
	}
	return opaque
}
