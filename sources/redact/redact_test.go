package redact

import "testing"

func redactor(t testing.TB, cfg Config) *Redactor {
	t.Helper()
	r, err := New(cfg, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSmoke(t *testing.T) {
	r := redactor(t, Config{})
	for _, s := range []string{
		"mail alice@example.com and bob@example.com, alice@example.com again",
		`{"level":"info","password":"hunter2","x":"{\"api_key\":\"abcDEF123456\"}"}`,
		"2026-11-23T02:33:12.123Z GET /x 10.1.2.3 +1 415 555 2671 4111 1111 1111 1111 fe80::1",
		"Authorization: Bearer abcdefgh12345678 -- sk-" + "proj-abcdEFGH1234567890abcdEFGH",
		"postgres://app:s3cr3t@db:5432/x DE89370400440532013000 \x1b[31mred\x1b[0m",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-def",
	} {
		t.Log(r.Text(s))
	}
}
