package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// known is one example of the corpus with what must be gone from it.
type known struct {
	kind   string
	text   string
	secret []string
}

func knownSecrets(tb testing.TB) []known {
	tb.Helper()
	files, err := corpus()
	if err != nil {
		tb.Fatal(err)
	}
	var out []known
	for _, f := range files {
		for _, e := range f.Replaced {
			if len(e.Secret) > 0 {
				out = append(out, known{f.Kind, e.Text, e.Secret})
			}
		}
	}
	return out
}

// wrapping is one way in which logs, spans and answers carry a text. What it
// makes can be wrapped again.
type wrapping struct {
	name string
	wrap func(rnd *rand.Rand, s string) string
}

var filler = []string{"ok", "stage=rerank", "took 12 ms", "level=info", "[1, 2]", "größer", `say "hi"`, "a/b", "100%", "n=1&m=2", "it's", "<b>", "", "…"}

func fill(rnd *rand.Rand) string { return filler[rnd.IntN(len(filler))] }

// some draws a quarter of all characters: an encoder escapes a character always or never.
func some(rnd *rand.Rand) func(rune) bool {
	seed := rnd.Uint64()
	return func(c rune) bool { return rand.New(rand.NewPCG(seed, uint64(c))).IntN(4) == 0 }
}

func inJSONString(s string, escapeHTML bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

var wrappings = []wrapping{
	{"a value of JSON", func(rnd *rand.Rand, s string) string {
		return `{"level":"info","msg":` + inJSONString(s, rnd.IntN(2) == 0) + `,"n":` + inJSONString(fill(rnd), false) + `}`
	}},
	{"a value of JSON with spaces", func(rnd *rand.Rand, s string) string {
		return "{\n  \"body\" : " + inJSONString(s, false) + ",\n  \"n\" : 1\n}"
	}},
	{"an array of JSON", func(rnd *rand.Rand, s string) string {
		return `[` + inJSONString(fill(rnd), false) + `,` + inJSONString(s, false) + `,[` + inJSONString(s, true) + `]]`
	}},
	{"a name in JSON", func(_ *rand.Rand, s string) string { return `{` + inJSONString(s, false) + `:1}` }},
	{"JSON that escapes what need not be", func(rnd *rand.Rand, s string) string {
		var b strings.Builder
		also := some(rnd)
		for _, c := range s {
			switch {
			case c < 0x20 || c == '"' || c == '\\' || c < 0x10000 && also(c):
				fmt.Fprintf(&b, []string{`\u%04x`, `\u%04X`}[rnd.IntN(2)], c)
			default:
				b.WriteRune(c)
			}
		}
		return `{"text":"` + b.String() + `"}`
	}},
	{"JSON with escaped slashes", func(_ *rand.Rand, s string) string {
		return `{"text":` + strings.ReplaceAll(inJSONString(s, false), "/", `\/`) + `}`
	}},
	{"ASCII JSON", func(_ *rand.Rand, s string) string { return `{"text":` + strconv.QuoteToASCII(s) + `}` }},
	{"a quoted value of logfmt", func(rnd *rand.Rand, s string) string {
		return "level=info msg=" + strconv.Quote(s) + " x=" + strconv.Quote(fill(rnd))
	}},
	{"single quotes", func(rnd *rand.Rand, s string) string {
		return fill(rnd) + " '" + strings.ReplaceAll(s, "'", `\'`) + "' " + fill(rnd)
	}},
	{"Python", func(_ *rand.Rand, s string) string { return `{'message': b'` + strings.ReplaceAll(s, "'", `\'`) + `'}` }},
	{"a map of Go", func(rnd *rand.Rand, s string) string { return "map[msg:" + s + " n:" + fill(rnd) + "]" }},
	{"a query", func(_ *rand.Rand, s string) string {
		return "GET /v1/chat?q=" + url.QueryEscape(s) + "&step=2 HTTP/1.1"
	}},
	{"a form", func(rnd *rand.Rand, s string) string {
		return url.Values{"a": {fill(rnd)}, "q": {s}, "z": {"1"}}.Encode()
	}},
	{"a path", func(_ *rand.Rand, s string) string { return "/files/" + url.PathEscape("of "+s+" now") + "/x" }},
	{"every byte as percent", func(rnd *rand.Rand, s string) string {
		var b strings.Builder
		also := some(rnd)
		for i := range len(s) {
			if c := s[i]; c < 0x21 || c >= 0x7f || c == '%' || c == '&' || c == '+' || also(rune(c)) {
				fmt.Fprintf(&b, []string{"%%%02x", "%%%02X"}[rnd.IntN(2)], c)
			} else {
				b.WriteByte(c)
			}
		}
		return "q=" + b.String() + "&x=1"
	}},
	{"HTML", func(rnd *rand.Rand, s string) string { return "<p>" + html.EscapeString(s) + "</p>" + fill(rnd) }},
	{"HTML by number", func(rnd *rand.Rand, s string) string {
		var b strings.Builder
		also := some(rnd)
		for _, c := range s {
			switch {
			case strings.ContainsRune(`<>&"'`, c) || also(c):
				fmt.Fprintf(&b, []string{"&#%d;", "&#x%x;", "&#X%04X;"}[rnd.IntN(3)], c)
			default:
				b.WriteRune(c)
			}
		}
		return "<p>" + b.String() + "</p>"
	}},
	{"lines around it", func(rnd *rand.Rand, s string) string {
		return fill(rnd) + "\n" + s + "\n" + fill(rnd)
	}},
	{"CRLF", func(rnd *rand.Rand, s string) string { return fill(rnd) + "\r\n" + s + "\r\n" }},
	{"a sentence", func(rnd *rand.Rand, s string) string { return "then: " + s + ", " + fill(rnd) }},
	{"brackets", func(_ *rand.Rand, s string) string { return "(" + s + ") [" + s + "] {" + s + "}" }},
	{"an element", func(_ *rand.Rand, s string) string { return "<message>" + s + "</message>" }},
	{"base64", func(_ *rand.Rand, s string) string {
		return "body " + base64.StdEncoding.EncodeToString([]byte(s)) + " end"
	}},
	{"base64 without padding", func(_ *rand.Rand, s string) string {
		return "data:text/plain;base64," + base64.RawStdEncoding.EncodeToString([]byte(s))
	}},
	{"base64 in a URL", func(_ *rand.Rand, s string) string {
		return "GET /v1/" + base64.URLEncoding.EncodeToString([]byte(s)) + "?n=1"
	}},
	{"base64 in a path", func(_ *rand.Rand, s string) string {
		return "/jobs/" + base64.RawURLEncoding.EncodeToString([]byte(s)) + "/status"
	}},
	{"base64 in lines", func(_ *rand.Rand, s string) string {
		b := base64.StdEncoding.EncodeToString([]byte(s))
		for i := 76; i < len(b); i += 77 {
			b = b[:i] + "\n" + b[i:]
		}
		return "payload:\n" + b + "\n"
	}},
	{"hex", func(rnd *rand.Rand, s string) string {
		return fmt.Sprintf([]string{"0x%x", "raw=%X;", "<%x>"}[rnd.IntN(3)], s)
	}},
	{"colours", func(_ *rand.Rand, s string) string { return "\x1b[31m" + s + "\x1b[0m" }},
}

// reveal undoes whatever of the wrappings is left, as a reader could.
func reveal(s string) string {
	for range 16 {
		before := s
		s = html.UnescapeString(s)
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
				b.WriteByte(nibble(s[i+1])<<4 | nibble(s[i+2]))
				i += 2
			case s[i] == '\\' && i+5 < len(s) && s[i+1] == 'u':
				if n, err := strconv.ParseUint(s[i+2:i+6], 16, 32); err == nil {
					b.WriteRune(rune(n))
					i += 5
					continue
				}
				b.WriteByte(s[i])
			case s[i] == '\\' && i+1 < len(s):
				if c := strings.IndexByte("nrt", s[i+1]); c >= 0 {
					b.WriteByte("\n\r\t"[c])
				} else {
					b.WriteByte(s[i+1])
				}
				i++
			default:
				b.WriteByte(s[i])
			}
		}
		if s = b.String(); s == before {
			break
		}
	}
	return s
}

var (
	lineBreaksOfBase64 = regexp.MustCompile(`([A-Za-z0-9+/]{76})\s+`)
	runsOfBase64       = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)
	runsOfHex          = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){8,}`)
)

// decoded returns what base64 and hex in a text stand for, to every depth.
func decoded(s string, depth int) []string {
	out := []string{s, reveal(s), strings.ReplaceAll(reveal(s), "+", " ")}
	if depth == 0 {
		return out
	}
	for _, text := range out[:3:3] {
		for _, word := range runsOfBase64.FindAllString(lineBreaksOfBase64.ReplaceAllString(text, "$1"), -1) {
			for _, part := range append(strings.FieldsFunc(word, func(c rune) bool { return c == '/' }), word) {
				part = strings.NewReplacer("-", "+", "_", "/").Replace(part)
				if b, err := base64.RawStdEncoding.DecodeString(part[:len(part)-max(0, len(part)%4-3)]); err == nil && utf8.Valid(b) {
					out = append(out, decoded(string(b), depth-1)...)
				}
			}
		}
		for _, word := range runsOfHex.FindAllString(text, -1) {
			if b, err := hex.DecodeString(word); err == nil && utf8.Valid(b) {
				out = append(out, decoded(string(b), depth-1)...)
			}
		}
	}
	return out
}

// survives returns a secret that can still be read in what became of the text.
func survives(got string, secrets []string) string {
	for _, plain := range decoded(got, 4) {
		for _, secret := range secrets {
			for _, s := range []string{secret, reveal(secret)} {
				if strings.Contains(plain, s) {
					return s
				}
			}
		}
	}
	return ""
}

// wrapUp applies up to depth wrappings, drawn by rnd, and names them.
func wrapUp(rnd *rand.Rand, s string, depth int) (text, how string) {
	var names []string
	for range depth {
		w := &wrappings[rnd.IntN(len(wrappings))]
		s = w.wrap(rnd, s)
		names = append(names, w.name)
	}
	return s, strings.Join(names, ", then ")
}

// hides asks that nothing of an example survives its wrapping.
func hides(t *testing.T, r *Redactor, k *known, text, how string) {
	t.Helper()
	got := r.Text(text)
	if s := survives(got, k.secret); s != "" {
		t.Errorf("%s: %q is still there (%s)\n  in  %q\n  out %q", k.kind, s, how, text, got)
	}
	if again := r.Text(got); again != got {
		t.Errorf("%s: a second pass changed it (%s)\n  in    %q\n  once  %q\n  twice %q", k.kind, how, text, got, again)
	}
}

func TestNoKnownSecretSurvivesAnyOneWrapping(t *testing.T) {
	r := redactor(t, Config{})
	for _, k := range knownSecrets(t) {
		for _, w := range wrappings {
			for seed := range uint64(4) {
				hides(t, r, &k, w.wrap(rand.New(rand.NewPCG(seed, 1)), k.text), w.name)
			}
		}
	}
}

// TestNoKnownSecretSurvivesWhatItIsWrappedIn nests the wrappings: the same texts in
// every run. FuzzWrapped goes on from there.
func TestNoKnownSecretSurvivesWhatItIsWrappedIn(t *testing.T) {
	r := redactor(t, Config{})
	rounds := uint64(60)
	if testing.Short() {
		rounds = 8
	}
	for _, k := range knownSecrets(t) {
		for seed := range rounds {
			text, how := wrapUp(rand.New(rand.NewPCG(seed, 2)), k.text, 2+int(seed%3))
			hides(t, r, &k, text, how)
		}
	}
}

func FuzzWrapped(f *testing.F) {
	all := knownSecrets(f)
	for i := range all {
		f.Add(uint64(i), uint(i), uint(i%5))
	}
	r := redactor(f, Config{})
	f.Fuzz(func(t *testing.T, seed uint64, which, depth uint) {
		k := &all[which%uint(len(all))]
		text, how := wrapUp(rand.New(rand.NewPCG(seed, 3)), k.text, int(depth%5))
		hides(t, r, k, text, how)
	})
}

func TestWhatMustStayStaysWhateverItIsWrappedIn(t *testing.T) {
	r := redactor(t, Config{})
	files, err := corpus()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, text := range f.Kept {
			for i := range wrappings {
				w := &wrappings[i]
				in := w.wrap(rand.New(rand.NewPCG(1, 4)), text)
				if got := r.Text(in); got != Sanitize(in) {
					t.Errorf("%s: %s was changed (%s)\n  in  %q\n  out %q", f.Kind, text, w.name, in, got)
				}
			}
		}
	}
}
