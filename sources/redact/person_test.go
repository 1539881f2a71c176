package redact

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPersonIsTheSameTokenEverywhere(t *testing.T) {
	r := redactor(t, Config{})
	token := r.Person("Alice@Example.com")
	if !IsToken(token) {
		t.Fatalf("%q is no token", token)
	}
	for _, v := range []string{"alice@example.com", " alice@example.com ", token} {
		if got := r.Person(v); got != token {
			t.Errorf("Person(%q) is %q, want %q", v, got, token)
		}
	}
	if r.Person("bob@example.com") == token || r.Person("u-17") == r.Person("U-17") {
		t.Error("two people share a token")
	}
	if got := r.Person(""); got != "" {
		t.Errorf("nobody is %q", got)
	}
	other, err := New(Config{}, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if other.Person("alice@example.com") == token {
		t.Error("the token does not depend on the key")
	}
	if got := r.Text("user " + token + " asked"); got != "user "+token+" asked" {
		t.Errorf("redaction changed a token: %q", got)
	}
}

func TestTokensOutliveWhatIsRememberedOfThem(t *testing.T) {
	r := redactor(t, Config{})
	first := r.Person("u-0")
	for i := range 2 * maxTokens {
		r.Person(fmt.Sprintf("u-%d", i))
	}
	if got := r.Person("u-0"); got != first || len(r.tokens.made) > maxTokens {
		t.Errorf("%q, want %q; %d remembered", got, first, len(r.tokens.made))
	}
}

func TestTheKeyIsMadeOnceAndKeptPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "redact.key")
	keys := make(chan []byte, 8)
	for range cap(keys) {
		go func() {
			key, err := LoadKey(path)
			if err != nil {
				t.Error(err)
			}
			keys <- key
		}()
	}
	first := <-keys
	for range cap(keys) - 1 {
		if !bytes.Equal(<-keys, first) {
			t.Error("two processes have different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Errorf("mode %v, %d bytes", info.Mode(), len(first))
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files in the folder, want the key alone", len(left))
	}
}

func TestAKeyOfTheWrongSizeIsNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redact.key")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadKey(path)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "short" {
		t.Errorf("the file now holds %q", b)
	}
}
