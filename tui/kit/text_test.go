package kit

import (
	"strings"
	"testing"
)

func TestLinesSayThatThereIsMore(t *testing.T) {
	for _, tc := range []struct {
		most int
		want string
	}{{1, "one two…"}, {2, "one two|three…"}, {3, "one two|three|four"}, {0, "one two…"}} {
		if got := strings.Join(Lines("one two three four", 8, tc.most, "…"), "|"); got != tc.want {
			t.Errorf("%d lines: %q, want %q", tc.most, got, tc.want)
		}
	}
	if got := Lines("onetwothree", 5, 1, "..."); len(got) != 1 || got[0] != "on..." {
		t.Errorf("%q", got)
	}
}
