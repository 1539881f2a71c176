package redact

import "strings"

// meaning is what the name of a field says about its value.
type meaning uint8

const (
	meansNothing meaning = iota
	meansPassword
	meansSecret // a key or token: redacted unless it is an ordinary word
	meansMaybe  // redacted only when it looks generated
	meansAuth   // an Authorization header
	meansCookie
	meansPhone
	meansCard
	meansNational // an identity number with a checksum
	meansSSN      // one that may also be a US number, which has none
	meansCode     // a few digits that only one person should know
)

// maxName is as much of a name as is looked at, from its end.
const maxName = 32

// telling holds the last two letters of all names that mean something: most
// names are done with here.
var telling = func() (t [32 * 32]bool) {
	for _, pair := range strings.Fields("rd wd id se de re ie ne le ss ls et en on sn dn an ey ty th ig vv vc tp pp el ll al pf if er ar ir no ax ni") {
		t[int(pair[0]&31)<<5|int(pair[1]&31)] = true
	}
	return t
}()

// means reads a field's name. Case, dashes, dots and underscores do not matter,
// and neither does what stands before the telling end: DB_PASSWORD, x-api-key.
func means(name string) meaning {
	if len(name) < 2 || !telling[int(name[len(name)-2]&31)<<5|int(name[len(name)-1]&31)] {
		return meansNothing
	}
	var buf [maxName]byte
	at := maxName
	part := false // a separator stands before buf[edge:]
	edge := 0
	for i := len(name) - 1; i >= 0 && at > 0; i-- {
		c := name[i]
		if c == '-' || c == '_' || c == '.' || c == ' ' || c == ':' {
			if !part {
				part, edge = true, at
			}
			continue
		}
		at--
		buf[at] = c | 0x20
	}
	n := string(buf[at:]) // does not leave this function, so it is not copied to the heap
	lastWord := n
	if part {
		lastWord = string(buf[edge:])
	}
	has := func(suffix string) bool { return strings.HasSuffix(n, suffix) }
	switch n[len(n)-1] {
	case 'd':
		switch {
		case has("password"), has("passwd"), has("pwd"):
			return meansPassword
		case lastWord == "card", has("creditcard"), has("debitcard"):
			return meansCard
		case has("nationalid"), has("taxid"), has("personalid"):
			return meansSSN
		case has("steuerid"):
			return meansNational
		}
	case 'e':
		switch {
		case has("passphrase"), has("passcode"):
			return meansPassword
		case has("signature"), has("authcode"):
			return meansMaybe
		case has("cookie"):
			return meansCookie
		case has("phone"), lastWord == "mobile":
			return meansPhone
		case has("codicefiscale"), lastWord == "nie":
			return meansNational
		}
	case 's':
		if lastWord == "pass" || has("credentials") {
			return meansSecret
		}
	case 't':
		if has("secret") {
			return meansSecret
		}
	case 'n':
		switch {
		case has("token"):
			for _, w := range [...]string{"access", "refresh", "auth", "api", "bearer", "id", "session", "security", "bot", "secret", "hub", "slack"} {
				if strings.HasSuffix(n[:len(n)-len("token")], w) {
					return meansSecret
				}
			}
			return meansMaybe
		case has("authorization"):
			return meansAuth
		case lastWord == "ssn":
			return meansSSN
		case lastWord == "bsn":
			return meansNational
		case has("msisdn"):
			return meansPhone
		case lastWord == "pan":
			return meansCard
		}
	case 'y':
		if has("key") {
			for _, w := range [...]string{"api", "secret", "access", "private", "signing", "encryption", "account", "master", "subscription", "shared", "storage", "service", "auth", "openai", "anthropic", "license"} {
				if strings.HasSuffix(n[:len(n)-len("key")], w) {
					return meansSecret
				}
			}
			if n == "key" {
				return meansMaybe
			}
		}
		if has("socialsecurity") {
			return meansSSN
		}
	case 'h':
		switch {
		case has("basicauth"), has("proxyauth"):
			return meansSecret
		case n == "auth":
			return meansMaybe
		}
	case 'g':
		if lastWord == "sig" {
			return meansMaybe
		}
	case 'v', 'c':
		if lastWord == "cvv" || lastWord == "cvc" {
			return meansCode
		}
	case 'p':
		switch lastWord {
		case "otp", "totp":
			return meansCode
		case "whatsapp":
			return meansPhone
		}
	case 'l':
		switch {
		case lastWord == "tel" || lastWord == "cell":
			return meansPhone
		case has("credential"):
			return meansSecret
		}
	case 'f':
		if lastWord == "cpf" || lastWord == "nif" {
			return meansNational
		}
	case 'r':
		switch {
		case has("cardnumber"), has("ccnumber"):
			return meansCard
		case has("phonenumber"), has("mobilenumber"), has("faxnumber"):
			return meansPhone
		case has("securitynumber"):
			return meansSSN
		case has("aadhaar"), has("burgerservicenummer"), lastWord == "nir", has("aadhaarnumber"), has("bsnnumber"):
			return meansNational
		}
	case 'o':
		switch {
		case lastWord == "nino":
			return meansNational
		case has("cardno"):
			return meansCard
		case has("phoneno"):
			return meansPhone
		}
	case 'x':
		if lastWord == "fax" {
			return meansPhone
		}
	case 'i':
		if lastWord == "dni" {
			return meansNational
		}
	}
	if has("pesel") {
		return meansNational
	}
	return meansNothing
}

// isIDName tells whether a field holds an identifier, a time or a count, whose
// digits must not be taken for somebody's card or number.
func isIDName(name string) bool {
	if name == "" {
		return false
	}
	word := name
	if i := strings.LastIndexAny(name, "_.-"); i >= 0 {
		word = name[i+1:]
	}
	if len(word) == 0 || len(word) > 24 {
		return false
	}
	switch {
	case strings.HasSuffix(word, "Id"), strings.HasSuffix(word, "ID"), strings.HasSuffix(word, "Ids"), strings.HasSuffix(word, "IDs"):
		return true
	}
	word = strings.ToLower(word)
	word = strings.TrimSuffix(strings.TrimSuffix(word, "s"), "id")
	switch word {
	case "", "uu", "gu", "trace", "span", "request", "req", "seq", "sequence", "offset", "timestamp", "t", "time", "nano",
		"n", "version", "build", "order", "invoice", "user", "tenant", "session", "conversation", "hash", "sha", "digest",
		"etag", "commit", "rev", "revision", "thread", "event", "job", "task", "run", "batch", "txn", "transaction",
		"cursor", "fingerprint", "correlation", "customer", "parent", "message", "response", "document", "doc", "chunk":
		return !strings.EqualFold(name, "message") && !strings.EqualFold(name, "response")
	}
	return false
}

// nameBefore returns the name of the field whose value starts at i.
func (sc *scanner) nameBefore(i int) string {
	s := sc.s
	j := i
	for j > 0 && i-j < 8 && (isQuote(s[j-1]) || s[j-1] == '\\' || s[j-1] == ' ' || s[j-1] == '[') {
		j--
	}
	if j > 0 && (s[j-1] == ':' || s[j-1] == '=') {
		return sc.nameLeft(j-1, 0)
	}
	if j == 0 {
		return sc.name
	}
	if j == i-1 && s[j] == ' ' { // "request 4539…" in a sentence
		start := j
		for start > 0 && j-start < 10 && isLetter(s[start-1]) {
			start--
		}
		switch strings.ToLower(s[start:j]) {
		case "id", "request", "trace", "span", "offset", "seq":
			return s[start:j]
		}
	}
	return ""
}

// nameLeft returns the name that ends before the separator at i.
func (sc *scanner) nameLeft(i, floor int) string {
	s := sc.s
	j := i
	for j > floor && i-j < 2 && s[j-1] == ' ' {
		j--
	}
	if j > floor && s[j-1] == ']' {
		j--
	}
	if j > floor && isQuote(s[j-1]) {
		j--
		for j > floor && i-j < maxSlashes && s[j-1] == '\\' {
			j--
		}
	}
	start := j
	for start > floor && j-start < 64 && class[s[start-1]]&cName != 0 {
		start--
	}
	if start > 0 && (s[start-1] == '\\' || s[start-1] == '%') {
		start = unescape(s, start, j)
	}
	if name := s[start:j]; start > floor+1 && s[start-1] == ' ' && isLetter(s[start-2]) &&
		(strings.EqualFold(name, "key") || strings.EqualFold(name, "token")) { // "api key: …" in a sentence
		for start--; start > floor && j-start < 24 && isLetter(s[start-1]); start-- {
		}
	}
	return s[start:j]
}
