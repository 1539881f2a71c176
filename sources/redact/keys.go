package redact

import (
	"encoding/base64"
	"strings"
)

// key takes the token whose prefix is s[start:body] when the rest of it has at
// least least and (unless 0) at most most characters of the class and, if asked
// for, looks generated.
func (sc *scanner) key(start, body int, mask uint8, least, most int, random bool) bool {
	s := sc.s
	if start < sc.floor || !starts(s, start) {
		return false
	}
	var end int
	if mask == cBase64URL {
		end = sc.word(body)
	} else {
		end = run(s, body, mask)
	}
	n := end - body
	if n < least || most > 0 && n > most || random && !mix(s[body:min(end, body+look)]).random() {
		return false
	}
	sc.add(start, end, kindAPIKey)
	return true
}

// word returns the end of the letters, digits, dashes and underscores at i. It
// remembers it: in "sk-sk-sk-…" every prefix would read the same long word again.
func (sc *scanner) word(i int) int {
	if i < sc.wordStart || i >= sc.wordEnd {
		sc.wordStart, sc.wordEnd = i, run(sc.s, i, cBase64URL)
	}
	return sc.wordEnd
}

const alnum = cDigit | cUpper | cLower

// dash looks for the keys with a dash in their prefix, for PEM blocks and for command line flags.
func (sc *scanner) dash(i int) {
	s := sc.s
	if i == 0 {
		sc.pem(i)
		sc.flag(i)
		return
	}
	before := s[max(sc.floor, i-6):i]
	switch s[i-1] {
	case 'k':
		switch {
		case strings.HasSuffix(before, "sk"): // OpenAI, Anthropic, LiteLLM, OpenRouter, DeepSeek, Langfuse
			if strings.HasPrefix(s[i:], "-lf-") && sc.key(i-2, i+4, cBase64URL, 30, 0, false) {
				return
			}
			sc.key(i-2, i+1, cBase64URL, 20, 0, true)
		}
	case 'i':
		switch {
		case strings.HasSuffix(before, "xai"):
			sc.key(i-3, i+1, alnum, 40, 0, false)
		case strings.HasSuffix(before, "pypi"):
			sc.key(i-4, i+1, cBase64URL, 50, 0, false)
		}
	case 't':
		if strings.HasSuffix(before, "glpat") {
			sc.key(i-5, i+1, cBase64URL, 18, 0, false)
		}
	case 'p':
		if strings.HasSuffix(before, "xapp") {
			sc.key(i-4, i+1, cBase64URL, 10, 0, true)
		}
	case 'x':
		if strings.HasSuffix(before, "GOCSPX") {
			sc.key(i-6, i+1, cBase64URL, 20, 0, false)
		} else if strings.HasSuffix(before, "pplx") {
			sc.key(i-4, i+1, alnum, 40, 0, false)
		}
	case 'X':
		if strings.HasSuffix(before, "GOCSPX") {
			sc.key(i-6, i+1, cBase64URL, 20, 0, false)
		}
	case 'a', 'b', 'c', 'e', 'o', 'r', 's': // Slack
		if i >= 4 && strings.HasPrefix(s[i-4:], "xox") {
			sc.key(i-4, i+1, cBase64URL, 10, 0, false)
		}
	case '-':
		if !sc.pem(i - 1) {
			sc.flag(i - 1)
		}
	default:
		sc.flag(i)
	}
}

// underscore looks for the keys with an underscore in their prefix.
func (sc *scanner) underscore(i int) {
	s := sc.s
	if i < 2 {
		return
	}
	before := s[max(sc.floor, i-10):i]
	switch s[i-1] {
	case 'k':
		switch {
		case strings.HasSuffix(before, "gsk"): // Groq
			sc.key(i-3, i+1, alnum, 20, 0, false)
		case strings.HasSuffix(before, "sk"), strings.HasSuffix(before, "rk"): // Stripe
			for _, mode := range [...]string{"_live_", "_test_"} {
				if strings.HasPrefix(s[i:], mode) {
					sc.key(i-2, i+len(mode), alnum, 10, 0, false)
					return
				}
			}
		}
	case 'c':
		if strings.HasSuffix(before, "whsec") {
			sc.key(i-5, i+1, alnum, 16, 0, false)
		}
	case 'p', 'o', 'u', 's', 'r':
		if len(before) >= 3 && before[len(before)-2] == 'h' && before[len(before)-3] == 'g' { // GitHub
			sc.key(i-3, i+1, alnum, 20, 0, false)
		}
	case 't':
		if strings.HasSuffix(before, "github_pat") {
			sc.key(i-10, i+1, cBase64URL, 20, 0, false)
		}
	case 'f':
		if strings.HasSuffix(before, "hf") { // Hugging Face
			sc.key(i-2, i+1, alnum, 20, 0, false)
		}
	case 'm':
		if strings.HasSuffix(before, "npm") {
			sc.key(i-3, i+1, alnum, 30, 0, false)
		}
	case '1':
		if strings.HasSuffix(before, "dop_v1") {
			sc.key(i-6, i+1, alnum, 40, 0, false)
		}
	case '8':
		if strings.HasSuffix(before, "r8") { // Replicate
			sc.key(i-2, i+1, alnum, 30, 0, false)
		}
	}
}

// awsKey takes an access key ID and, when it follows at once, the secret that belongs to it.
func (sc *scanner) awsKey(start int) {
	s := sc.s
	if start < sc.floor || !starts(s, start) {
		return
	}
	end := run(s, start, cUpper|cDigit)
	if n := end - start; n < 16 || n > 32 || !ends(s, end) {
		return
	}
	sc.add(start, end, kindAPIKey)
	for i := end; i < len(s) && i <= end+3; i++ {
		if c := s[i]; isAlnum(c) || c == '/' && i > end || c == '+' {
			j := i
			for j < len(s) && (isAlnum(s[j]) || s[j] == '/' || s[j] == '+') {
				j++
			}
			if j-i == 40 && mix(s[i:j]).digits > 0 {
				sc.add(i, j, kindAPIKey)
			}
			return
		}
	}
}

func (sc *scanner) sendGrid(start int) {
	s := sc.s
	if !starts(s, start) {
		return
	}
	dot := run(s, start+3, cBase64URL)
	if dot-start-3 < 16 || dot >= len(s) || s[dot] != '.' {
		return
	}
	if end := run(s, dot+1, cBase64URL); end-dot-1 >= 16 {
		sc.add(start, end, kindAPIKey)
	}
}

// azureSecret takes a client secret of Entra ID: three characters, a digit, "Q~" and 31 to 34 more.
func (sc *scanner) azureSecret(i int) {
	s := sc.s
	if i < 5 || s[i-1] != 'Q' || !isDigit(s[i-2]) || i-5 < sc.floor || !starts(s, i-5) {
		return
	}
	for _, c := range []byte(s[i-5 : i-2]) {
		if class[c]&cName == 0 && c != '~' {
			return
		}
	}
	end := i + 1
	for end < len(s) && end-i < 40 && (class[s[end]]&cName != 0 || s[end] == '~') {
		end++
	}
	if n := end - i - 1; n >= 31 && n <= 36 {
		sc.add(i-5, end, kindAPIKey)
	}
}

// jwt takes header.payload.signature; the signature may be empty, and there may be five parts (JWE).
func (sc *scanner) jwt(start int) {
	s := sc.s
	if start < sc.floor || !starts(s, start) {
		return
	}
	end := sc.word(start)
	header := s[start:end]
	if len(header) < 10 || end >= len(s) || s[end] != '.' || !isJOSE(header) {
		return
	}
	parts := 1
	for parts < 5 && end < len(s) && s[end] == '.' {
		next := sc.word(end + 1)
		if parts == 1 && next-end-1 < 4 {
			return
		}
		end = next
		parts++
	}
	if parts < 2 {
		return
	}
	sc.add(start, end, kindJWT)
}

// isJOSE tells whether the base64 text holds the beginning of a JSON object.
func isJOSE(b64 string) bool {
	b64 = b64[:min(len(b64), 40)&^3]
	if b64 == "" {
		return false
	}
	var buf [30]byte
	n, err := base64.RawURLEncoding.Decode(buf[:], []byte(b64))
	if err != nil || n < 3 || buf[0] != '{' {
		return false
	}
	for _, c := range buf[1:n] {
		if c == '"' {
			return true
		}
		if !isSpace(c) && c != '\r' {
			return false
		}
	}
	return false
}

const maxPEM = 64 << 10

// pem takes a private key from its BEGIN line to its END line, or as far as
// what follows looks like one.
func (sc *scanner) pem(start int) bool {
	const (
		begin = "-----BEGIN "
		stop  = "-----END "
	)
	s := sc.s
	if !strings.HasPrefix(s[start:], begin) {
		return false
	}
	label := s[start+len(begin) : min(len(s), start+len(begin)+60)]
	n := strings.Index(label, "-----")
	if n < 0 || !strings.Contains(label[:n], "PRIVATE KEY") {
		return false
	}
	body := start + len(begin) + n + 5
	if sc.pemEnd < body {
		if j := strings.Index(s[body:], stop); j >= 0 {
			sc.pemEnd = body + j
		} else {
			sc.pemEnd = len(s) + maxPEM + 1
		}
	}
	if sc.pemEnd-body <= maxPEM {
		end := sc.pemEnd + len(stop)
		if j := strings.Index(s[end:min(len(s), end+60)], "-----"); j >= 0 {
			sc.add(start, end+j+5, kindPrivateKey)
			return true
		}
	}
	end, first := body, true
	for {
		i := end
		for i < len(s) && (isSpace(s[i]) || s[i] == '\\' || isQuote(s[i]) || escaped(s, i+1)) {
			i++
		}
		j := i
		for j < len(s) && (isAlnum(s[j]) || s[j] == '+' || s[j] == '/' || s[j] == '=') {
			j++
		}
		if j == i || first && j-i < 16 || j-i < 16 && !mix(s[i:j]).random() {
			break
		}
		end, first = j, false
	}
	if first {
		return false
	}
	sc.add(start, end, kindPrivateKey)
	return true
}

// bearer takes the credentials behind "Bearer" and "Basic" wherever they stand.
func (sc *scanner) bearer(i int) {
	s := sc.s
	var scheme int
	switch {
	case i+7 < len(s) && strings.EqualFold(s[i+1:i+7], "earer "):
		scheme = 7
	case i+6 < len(s) && strings.EqualFold(s[i+1:i+6], "asic "):
		scheme = 6
	default:
		return
	}
	if !starts(s, i) {
		return
	}
	start := i + scheme
	for start < len(s) && s[start] == ' ' {
		start++
	}
	end := credentials(s, start)
	token := s[start:end]
	m := mix(token)
	if scheme == 7 {
		if len(token) < 8 || m.digits == 0 && (m.upper == 0 || len(token) < 16) {
			return
		}
	} else if !isBasic(token) {
		return
	}
	sc.add(start, end, sc.kindOf(token, kindAuth))
}

func credentials(s string, i int) int {
	for i < len(s) && (class[s[i]]&cMail != 0 || s[i] == '~' || s[i] == '/' || s[i] == '=') {
		i++
	}
	return i
}

// isBasic tells whether the text is base64 of user:password.
func isBasic(token string) bool {
	if len(token) < 4 || len(token) > 4096 {
		return false
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(token, "="))
	return err == nil && strings.IndexByte(string(raw), ':') >= 0
}

// kindOf names what a whole value is by its shape, or says otherwise.
func (sc *scanner) kindOf(v string, otherwise kind) kind {
	switch {
	case strings.HasPrefix(v, "eyJ") && strings.Count(v, ".") >= 2:
		return kindJWT
	case strings.HasPrefix(v, "-----BEGIN ") && strings.Contains(v, "PRIVATE KEY"):
		return kindPrivateKey
	}
	for _, prefix := range [...]string{"sk-", "sk_", "rk_", "AKIA", "ASIA", "AIza", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "hf_", "gsk_", "glpat-"} {
		if strings.HasPrefix(v, prefix) && len(v) >= 16 {
			return kindAPIKey
		}
	}
	return otherwise
}
