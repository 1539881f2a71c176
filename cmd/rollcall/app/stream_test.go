package app

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAStreamComesOutWholeAndInOrder(t *testing.T) {
	key := "-----BEGIN RSA PRIVATE KEY-----\nAAAA\nBBBB\n-----END RSA PRIVATE KEY-----\n"
	for name, in := range map[string]string{
		"nothing": "", "no last newline": "a\nb", "blank lines": "\n\n\n", "a key": "x\n" + key + "y\n",
		"a key without end": "-----BEGIN X-----\nAAAA\n", "one huge line": strings.Repeat("word ", 1<<19) + "\n",
		"one huge word": strings.Repeat("x", 3<<20), "many lines": strings.Repeat("line\n", 1<<20),
	} {
		var out bytes.Buffer
		if err := stream(&out, strings.NewReader(in), func(s string) string { return s }); err != nil || out.String() != in {
			t.Errorf("%s: %d bytes in, %d out, %v", name, len(in), out.Len(), err)
		}
	}
}

func TestAKeyBlockIsJudgedWhole(t *testing.T) {
	r, w := io.Pipe()
	whole := false
	done := make(chan error, 1)
	go func() {
		done <- stream(io.Discard, r, func(s string) string {
			whole = whole || strings.Contains(s, "BEGIN") && strings.Contains(s, "-----END")
			return s
		})
	}()
	for _, l := range []string{"-----BEGIN X-----\n", "AAAA\n", "-----END X-----\n"} {
		_, _ = io.WriteString(w, l)
	}
	_ = w.Close()
	if err := <-done; err != nil || !whole {
		t.Errorf("the block was cut: %v", err)
	}
}

func TestLinesLeaveWhileTheStreamGoesOn(t *testing.T) {
	in, feed := io.Pipe()
	read, out := io.Pipe()
	go func() { _ = stream(out, in, strings.ToUpper) }()
	_, _ = io.WriteString(feed, "hello\n")
	buf := make([]byte, 6)
	if _, err := io.ReadFull(read, buf); err != nil || string(buf) != "HELLO\n" {
		t.Errorf("%q, %v", buf, err)
	}
	_ = feed.Close()
}

func TestAReadErrorIsReported(t *testing.T) {
	broken := errors.New("broken pipe")
	if err := stream(io.Discard, io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(broken)), func(s string) string { return s }); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}
