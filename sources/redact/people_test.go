package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPeopleInTheFieldsOfALogLineBecomeTheirTokens(t *testing.T) {
	r := redactor(t, Config{})
	id, mail, number := r.Person("usr_acme_ac6b"), r.Person("alice@example.com"), r.Person("12345")
	for _, c := range []struct{ why, in, want string }{
		{"JSON", `{"user":"usr_acme_ac6b","n":1}`, `{"user":"` + id + `","n":1}`},
		{"spaces", `{"user_id" : "usr_acme_ac6b"}`, `{"user_id" : "` + id + `"}`},
		{"dots, camel case and an address in capitals", `{"user.email":"Alice@Example.com","userId":"usr_acme_ac6b"}`, `{"user.email":"` + mail + `","userId":"` + id + `"}`},
		{"an escape is what it stands for", `{"user":"usr\u005facme_ac6b"}`, `{"user":"` + id + `"}`},
		{"a number", `{"enduser.id":12345,"x":2}`, `{"enduser.id":"` + number + `","x":2}`},
		{"an object", `{"user":{"age":3,"id":"usr_acme_ac6b","email":"alice@example.com"},"id":"r-1"}`, `{"user":{"age":3,"id":"` + id + `","email":"` + mail + `"},"id":"r-1"}`},
		{"an object inside", `{"ctx":{"customer":{"id":12345}}}`, `{"ctx":{"customer":{"id":"` + number + `"}}}`},
		{"JSON inside a string", `{"msg":"got {\"user\":\"usr_acme_ac6b\",\"user_id\":12345}"}`, `{"msg":"got {\"user\":\"` + id + `\",\"user_id\":\"` + number + `\"}"}`},
		{"logfmt", `level=info user=usr_acme_ac6b user.email="alice@example.com" n=1`, `level=info user=` + id + ` user.email="` + mail + `" n=1`},
		{"logfmt in a message of JSON", `{"msg":"login user=usr_acme_ac6b"}`, `{"msg":"login user=` + id + `"}`},
		{"a query", `GET /v1?user_id=12345&x=1`, `GET /v1?user_id=` + number + `&x=1`},
		{"Python", `{'user': 'usr_acme_ac6b'}`, `{'user': '` + id + `'}`},
		{"broken JSON", `{"user":"usr_acme_ac6b`, `{"user":"` + id},
		{"a token stays", `{"user":"` + id + `"}`, `{"user":"` + id + `"}`},
	} {
		got, less := r.People(c.in, false)
		if got != c.want || less != 0 {
			t.Errorf("%s: %s\nbecame %s (-%d)\nwant   %s", c.why, c.in, got, less, c.want)
		}
		if json.Valid([]byte(c.in)) && !json.Valid([]byte(got)) {
			t.Errorf("%s: %s is no JSON any more", c.why, got)
		}
		if again := r.Text(got); again != c.want {
			t.Errorf("%s: redaction changed it to %s", c.why, again)
		}
	}
}

func TestWhatNamesNobodyStaysByteForByte(t *testing.T) {
	r := redactor(t, Config{})
	for _, in := range []string{
		``, `{"role":"user","content":"hello"}`, `User: how do I log in?`, `{"user":null,"user_id":true}`, `{"user":[1,2]}`,
		`{"user_agent":"curl/8","userland":"x","users":3}`, `user=- user_id=null user=="x" user={{.User}}`, `{"user":""}`, `{"user"`, `{"user":`,
		`user`, `user=`, `{"user":{`, `{"user":{"id"`, `{"user":{"id":`, `{"user":{"x":[{"id":1}]}}`, `"user:"`, `\user\"`,
		`{"user":"` + strings.Repeat("a long text ", 40) + `"}`,
	} {
		if got, less := r.People(in, true); got != in || less != 0 {
			t.Errorf("%s became %s (-%d)", in, got, less)
		}
	}
}

func TestAPersonCutOffInTheMiddleIsDroppedAndCounted(t *testing.T) {
	r := redactor(t, Config{})
	for in, want := range map[string]string{
		`{"n":1,"user":"usr_ac`:                  `{"n":1,"user":"`,
		`n=1 user=usr_ac`:                        `n=1 user=`,
		`{"user_id":12`:                          `{"user_id":`,
		`{"user":"u1","user_id":"usr_ac`:         `{"user":"` + r.Person("u1") + `","user_id":"`,
		`{"user":{"name":"A","email":"alice@exa`: `{"user":{"name":"` + r.Person("A") + `","email":"`,
	} {
		got, less := r.People(in, true)
		if got != want || less == 0 || !strings.HasSuffix(in, in[len(in)-less:]) {
			t.Errorf("%s became %s (-%d), want %s", in, got, less, want)
		}
	}
}

func TestDigitsOfATokenAreNoCard(t *testing.T) {
	r := redactor(t, Config{})
	for _, s := range []string{"user:4111111111111111", `{"user":"user:4111111111111111"}`, "a user:4111111111111111 b"} {
		if got := r.Text(s); got != s {
			t.Errorf("%s became %s", s, got)
		}
	}
	if got := r.Text("superuser:41111111111111110"); strings.Contains(got, "<secret") {
		t.Errorf("became %s", got)
	}
}

func TestAFieldThatNamesAPersonHoldsTheToken(t *testing.T) {
	r := redactor(t, Config{})
	mail, other := "Alice@example.com", "bob@example.com"
	r.Fields([]string{"enduser.id", "owner"}, []*string{&mail, &other}, nil)
	if mail != r.Person("alice@example.com") || other != "<email:1>" {
		t.Errorf("%q, %q", mail, other)
	}
}

func FuzzPeople(f *testing.F) {
	for _, s := range []string{`{"user":{"id":"x","email":"y@z.org"}}`, `user="\"a`, `{\"user\":\"a\\\"b\"}`, `USER_ID=7`, `{"customer":{"email":12`, `"user\":\"\\"`} {
		f.Add(s, true)
	}
	r, err := New(Config{}, make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string, cut bool) {
		once, less := r.People(s, cut)
		if less < 0 || less > len(s) {
			t.Fatalf("dropped %d bytes of %d", less, len(s))
		}
		if json.Valid([]byte(s)) && !cut && !json.Valid([]byte(once)) {
			t.Errorf("%q became %q, which is no JSON", s, once)
		}
	})
}
