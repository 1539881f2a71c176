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

func TestTheCorpusHolds(t *testing.T) {
	failures, total := SelfTest(redactor(t, Config{}))
	for _, f := range failures {
		t.Error(f)
	}
	t.Logf("%d examples", total)
}
