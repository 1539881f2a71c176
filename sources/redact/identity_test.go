package redact

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// formed are the kinds whose values are known by their form alone, wherever they stand. The
// others are numbers that any ID may have, or depend on a name.
var formed = map[string]bool{"email": true, "iban": true, "jwt": true, "private-key": true, "api-key": true, "password": true, "auth": true}

func TestASecretWhereAnIDIsExpectedIsRedactedByItsForm(t *testing.T) {
	r := redactor(t, Config{})
	for _, k := range knownSecrets(t) {
		if !formed[k.kind] {
			continue
		}
		if got := r.Identity(k.text); survives(got, k.secret) != "" {
			t.Errorf("%s: %q became %q", k.kind, k.text, got)
		}
	}
}

func TestATenantThatIsAnAddressBecomesTheTokenOfThePerson(t *testing.T) {
	r := redactor(t, Config{})
	if got, want := r.Identity("Alice@example.com"), r.Person("alice@example.com"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := r.Identity("acme/alice@example.com"), "acme/<email:1>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if token := r.Person("alice@example.com"); r.Identity(token) != token {
		t.Errorf("a token became %q", r.Identity(token))
	}
}

func TestIDsAndVersionsStayWhateverTheirDigitsSeemToBe(t *testing.T) {
	r := redactor(t, Config{})
	keep := func(s string) {
		t.Helper()
		if got := r.Identity(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	for _, s := range []string{
		"4111111111111111", "11010519491231002X", "536-90-4399", "415-555-2671", "529.982.247-25", "1.2.3.4", "10.0.0.4:8080", "2001:db8::17",
		"gpt-4o-2024-08-06", "v14", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz123",
		"fp_44709d6fcb", "anthropic/claude-sonnet-4@20250514", "registry.example/app@sha256:0f1e2d3c4b5a",
		"resp_bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVyOm9wZW5haTttb2RlbF9pZDpOb25lO3Jlc3BvbnNlX2lkOnJlc3BfNjhhOQ",
	} {
		keep(s)
	}
	rnd := rand.New(rand.NewPCG(8, 8))
	base64URL := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for range 20_000 {
		n := rnd.Uint64()
		b := make([]byte, 22)
		for i := range b {
			b[i] = base64URL[rnd.IntN(64)]
		}
		keep(fmt.Sprintf("%018d", n%1e18))
		keep(fmt.Sprintf("%d", n%1e16))
		keep(fmt.Sprintf("%016x%016x", n, rnd.Uint64()))
		keep(fmt.Sprintf("%s-%d", b, n%1e15))
		keep(string(b))
	}
}

func TestASecretInBase64OrHexTakesTheWholeRunWithIt(t *testing.T) {
	r := redactor(t, Config{})
	for in, want := range map[string]string{
		"body=YWxpY2VAZXhhbXBsZS5jb20=&n=1":                                      "body=<email:1>&n=1",
		"/jobs/bWFpbCBhbGljZUBleGFtcGxlLmNvbSBhYm91dCBpdA/status":                "/jobs/<email:1>",
		`{"b":"616c696365406578616d706c652e636f6d"}`:                             `{"b":"<email:1>"}`,
		"0x616c696365406578616d706c652e636f6d!":                                  "0x<email:1>!",
		`{"msg":"to\nYWxpY2VAZXhhbXBsZS5jb20="}`:                                 `{"msg":"to\n<email:1>"}`,
		"WVd4cFkyVkFaWGhoYlhCc1pTNWpiMjA9 twice":                                 "<email:1> twice",
		"aGVsbG8gd29ybGQsIGFsbCBpcyB3ZWxs":                                       "aGVsbG8gd29ybGQsIGFsbCBpcyB3ZWxs",
		"internationalization/of/characteristically and incomprehensibilities_x": "internationalization/of/characteristically and incomprehensibilities_x",
		"dHJhY2U9NGJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzY":                    "dHJhY2U9NGJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzY",
	} {
		if got := r.Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
