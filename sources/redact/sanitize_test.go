package redact

import (
	"strings"
	"testing"
)

func TestOneLineForTheScreen(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"a\nb\tc\r\nd", 0, "a␊b c␊d"},
		{"hello", 5, "hello"},
		{"hello world", 5, "hello… (+6 bytes)"},
		{"ééé", 3, "é… (+4 bytes)"},
		{"\x1b[31m", 0, "␛[31m"},
		{"\xff\xfe", 0, `\xff\xfe`},
		{strings.Repeat("\x80", 3), 2, `\x80\x80… (+1 bytes)`},
		{"", 3, ""},
	} {
		if got := SanitizeLine(c.in, c.max); got != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.in, c.max, got, c.want)
		}
	}
}

func TestEveryControlByteIsSeenWhereverItStands(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			s := strings.Repeat("x", at) + string([]byte{byte(c)}) + "yyyyyyyy"
			got := Sanitize(s)
			harmless := c >= 0x20 && c < 0x7f || c == '\n' || c == '\t'
			if (got == s) != harmless {
				t.Fatalf("byte %#x at %d became %q", c, at, got)
			}
			if control(got) >= 0 {
				t.Fatalf("byte %#x at %d survived in %q", c, at, got)
			}
		}
	}
	for _, r := range "\u0080\u009b\u009f\u00ad\u061c\u200b\u200d\u200e\u2028\u202a\u202e\u2066\u2069\ufeff\U000e0041" {
		for at := range 12 {
			if got := Sanitize(strings.Repeat("x", at) + string(r) + "y"); control(got) >= 0 {
				t.Fatalf("%U at %d survived in %q", r, at, got)
			}
		}
	}
}
