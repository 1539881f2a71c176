package redact

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// email takes the address around an @ (or %40), which is s[at:after].
func (sc *scanner) email(at, after int) {
	s := sc.s
	if sc.dsn(at) {
		return
	}
	local := at
	for local > sc.floor && at-local < 8 && s[local-1] == '\\' { // \@ is what some write for @
		local--
	}
	start := local
	for start > sc.floor && local-start < 64 {
		c := s[start-1]
		if c >= utf8.RuneSelf { // an address of a person may hold letters beyond ASCII
			r, n := utf8.DecodeLastRuneInString(s[:start])
			if !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
				break
			}
			start -= n
			continue
		}
		if class[c]&cMail == 0 {
			break
		}
		start--
	}
	start = unescape(s, max(start, sc.floor), local)
	for start < local && (s[start] == '.' || s[start] == '-' || s[start] == '+') {
		start++
	}
	if start == local || start >= 2 && s[start-1] == '/' && s[start-2] == '/' { // "//user@host" is an address of a machine
		return
	}
	end := domain(s, after)
	if end == 0 {
		return
	}
	if s[start:local] == "git" && (end == len(s) || s[end] == ':' || s[end] == '/') {
		return
	}
	sc.add(start, end, kindEmail)
}

// domain returns the end of the host name at i, or 0 when it is no name with a
// top-level domain.
func domain(s string, i int) int {
	end, label, dot := i, i, -1
	limit := min(len(s), i+255)
loop:
	for end < limit {
		c := s[end]
		switch {
		case isAlnum(c) || c >= utf8.RuneSelf && isLetterAt(s, end):
		case c == '-' && end > label:
		case c == '.' && end > label && s[end-1] != '-':
			dot, label = end, end+1
		default:
			break loop
		}
		end++
		for end < limit && !utf8.RuneStart(s[end]) {
			end++
		}
	}
	if dot == label-1 && label == end { // a full stop at the end of a sentence
		end = dot
		dot = strings.LastIndexByte(s[i:end], '.')
		if dot < 0 {
			return 0
		}
		dot += i
	}
	for end > i && s[end-1] == '-' {
		end--
	}
	if dot < i || end-dot-1 < 2 {
		return 0
	}
	tld := s[dot+1 : end]
	if !strings.HasPrefix(tld, "xn--") {
		for j := range len(tld) {
			if c := tld[j]; !isLetter(c) && c < utf8.RuneSelf {
				return 0
			}
		}
	}
	if len(tld) <= 5 && fileEnding(tld) {
		return 0
	}
	return end
}

// isAddress tells whether the value is one e-mail address and nothing else.
func (sc *scanner) isAddress(v string) bool {
	return len(sc.spans) == 1 && sc.spans[0] == span{start: 0, end: len(v), kind: kindEmail}
}

func isLetterAt(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return unicode.IsLetter(r)
}

// fileEnding tells icon@2x.png and lodash@4.17.21.tgz from addresses.
func fileEnding(tld string) bool {
	switch strings.ToLower(tld) {
	case "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "tgz", "gz", "tar", "zip", "js", "mjs", "cjs",
		"ts", "tsx", "jsx", "json", "yaml", "yml", "html", "css", "lock", "whl", "jar", "log", "txt":
		return true
	}
	return false
}

// dsn takes the password of user:password@tcp(host:port)/db, as Go's MySQL driver writes it.
func (sc *scanner) dsn(at int) bool {
	s := sc.s
	if !strings.HasPrefix(s[at:], "@tcp(") && !strings.HasPrefix(s[at:], "@unix(") {
		return false
	}
	for i := at - 1; i >= sc.floor && at-i < 128 && !isSpace(s[i]) && !isQuote(s[i]); i-- {
		if s[i] == ':' {
			if at > i+1 {
				sc.add(i+1, at, kindPassword)
			}
			return true
		}
	}
	return false
}

const maxAuthority = 1024

// url takes the password of scheme://user:password@host, and the secret path of a Slack webhook.
func (sc *scanner) url(i int) bool {
	s := sc.s
	if i+2 >= len(s) || s[i+1] != '/' || s[i+2] != '/' {
		return false
	}
	start := i + 3
	const hook = "hooks.slack.com/"
	if strings.HasPrefix(s[start:], hook) {
		body := start + len(hook)
		end := body
		for end < len(s) && (class[s[end]]&cBase64URL != 0 || s[end] == '/') {
			end++
		}
		if end-body >= 20 {
			sc.add(body, end, kindAPIKey)
			return true
		}
	}
	limit := min(len(s), start+maxAuthority)
	colon, at := -1, -1
	path, port := false, true // port: only digits stand between the colon and the path
	for j := start; j < limit; j++ {
		c := s[j]
		if c <= ' ' || isQuote(c) || c == '<' || c == '>' || c == '\\' {
			break
		}
		switch {
		case c == '@':
			if !path || !port {
				at = j
			}
		case c == ':' && colon < 0 && !path:
			colon = j
		case c == '/' || c == '?' || c == '#':
			if at >= 0 || colon < 0 || port {
				limit = j
			}
			if !path { // a password with a slash in it is short
				limit = min(limit, j+128)
			}
			path = true
		case colon >= 0 && !path && !isDigit(c):
			port = false
		}
	}
	if colon < 0 || at < colon+2 {
		return true
	}
	sc.i = start
	if strings.IndexByte(s[start:colon], '@') >= 0 { // a user who is called by an address
		user := strings.IndexByte(s[start:colon], '@') + start
		if domain(s, user+1) == colon {
			sc.add(start, colon, kindEmail)
		}
	}
	sc.add(colon+1, at, kindPassword)
	return true
}

// ipv6 takes the address whose first colon is at i.
func (sc *scanner) ipv6(i int) bool {
	s := sc.s
	if sc.r.keepIP || sc.id || i+1 >= len(s) || s[i+1] != ':' && !isHex(s[i+1]) {
		return false
	}
	start := i
	for start > sc.floor && i-start < 5 && isHex(s[start-1]) {
		start--
	}
	if start == i && s[i+1] != ':' || i-start > 4 {
		return false
	}
	const longest = 45
	colons, dots, double, end := 0, 0, false, start
	for end < len(s) && end-start <= longest && (isHex(s[end]) || s[end] == ':' || s[end] == '.') {
		switch s[end] {
		case ':':
			colons++
			double = double || end+1 < len(s) && s[end+1] == ':'
		case '.':
			dots++
		}
		end++
	}
	if colons < 2 || !double && colons < 6 || !starts(s, start) || start > 0 && (s[start-1] == ':' || s[start-1] == '.') {
		return false
	}
	for end > start && (s[end-1] == '.' || s[end-1] == ':' && !strings.HasSuffix(s[start:end], "::")) {
		end--
	}
	if !ends(s, end) {
		return false
	}
	addr, err := netip.ParseAddr(s[start:end])
	if err != nil || addr.IsLoopback() || addr.IsUnspecified() {
		return false
	}
	// A::B of a programming language is an address to the parser too.
	if m := mix(s[start:end]); m.digits == 0 && m.upper+m.lower < 8 || m.digits+m.upper+m.lower < 3 {
		return false
	}
	sc.add(start, end, kindIP)
	return true
}

// ipv4 takes the address that starts with the digits s[i:j]. Loopback, the
// unspecified address and net masks name nobody and stay.
func (sc *scanner) ipv4(i, j int) bool {
	s := sc.s
	if sc.r.keepIP || sc.id || j >= len(s) || s[j] != '.' {
		return false
	}
	var octet [4]int
	end := i
	for k := range octet {
		from := end
		for end < len(s) && isDigit(s[end]) && end-from < 4 {
			octet[k] = octet[k]*10 + int(s[end]-'0')
			end++
		}
		if end == from || end-from > 3 || octet[k] > 255 || end-from > 1 && s[from] == '0' {
			return false
		}
		if k < 3 {
			if end >= len(s) || s[end] != '.' {
				return false
			}
			end++
		}
	}
	if !ends(s, end) && s[end] != '_' || end+1 < len(s) && s[end] == '.' && isDigit(s[end+1]) {
		return false
	}
	if i > 0 && (s[i-1] == '.' || s[i-1] == '-' && i > 1 && isAlnum(s[i-2])) {
		return false
	}
	if octet[0] == 127 || octet[0] == 0 || octet[0] == 255 && octet[1] == 255 {
		return false
	}
	if i > 1 && s[i-1] == '/' && isLetter(s[i-2]) && octet[2] == 0 && octet[3] == 0 { // Chrome/120.0.0.0
		return false
	}
	if name := sc.nameBefore(i); strings.HasSuffix(name, "version") {
		return false
	}
	sc.add(i, end, kindIP)
	return true
}
