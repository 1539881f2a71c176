package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzText(f *testing.F) {
	files, err := corpus()
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, e := range file.Replaced {
			for _, text := range wrapped(e.Text) {
				f.Add(text)
			}
		}
		for _, text := range file.Kept {
			f.Add(text)
		}
	}
	for _, unit := range hostile {
		f.Add(strings.Repeat(unit, 9))
	}
	r := redactor(f, Config{})
	user := redactor(f, Config{Patterns: []Pattern{{Name: "word", Regexp: `\b[a-f]+[0-9]\b`}, {Name: "tail", Regexp: `x.+$`}}})
	f.Fuzz(func(t *testing.T, s string) {
		check(t, r, s)
		check(t, user, s)
	})
}

func check(t *testing.T, r *Redactor, s string) {
	t.Helper()
	once := r.Text(s)
	if !utf8.ValidString(once) {
		t.Errorf("%q became %q, which is not UTF-8", s, once)
	}
	if c := control(once); c >= 0 {
		t.Errorf("%q became %q, which has a control character at %d", s, once, c)
	}
	if twice := r.Text(once); twice != once {
		t.Errorf("%q became %q and then %q", s, once, twice)
	}
	line := SanitizeLine(s, 64)
	if c := strings.IndexAny(line, "\n\t"); c >= 0 || control(line) >= 0 || !utf8.ValidString(line) {
		t.Errorf("%q as a line is %q", s, line)
	}
}

func control(s string) int {
	for i, c := range s {
		if c < 0x20 && c != '\n' && c != '\t' || c >= 0x7f && c <= 0x9f || deceptive(c) {
			return i
		}
	}
	return -1
}
