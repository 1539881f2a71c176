package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	tokenPrefix = "user:"
	tokenDigits = 16
	keyBytes    = 32
)

// Person returns the keyed token that stands for a person everywhere
// (user:9f2c41d07b3a5e68). The same value gives the same token as long as the
// key lives; addresses are compared without regard to case. A token and the
// empty string come back unchanged.
func (r *Redactor) Person(v string) string {
	v = strings.TrimSpace(v)
	if v == "" || IsToken(v) {
		return v
	}
	if strings.ContainsRune(v, '@') {
		v = strings.ToLower(v)
	}
	return r.tokens.of(v, r.token)
}

func (r *Redactor) token(v string) string {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(v))
	return tokenPrefix + hex.EncodeToString(mac.Sum(nil))[:tokenDigits]
}

// maxTokens is how many people are remembered: more than are seen in a batch of log lines.
const maxTokens = 4096

// tokens remembers the tokens of people met lately, because the same few stand
// in line after line and a keyed hash costs more than all else that is done to a line.
type tokens struct {
	mu   sync.RWMutex
	made map[string]string
}

func (t *tokens) of(v string, mint func(string) string) string {
	if len(v) > maxPerson {
		return mint(v)
	}
	t.mu.RLock()
	token, ok := t.made[v]
	t.mu.RUnlock()
	if ok {
		return token
	}
	token = mint(v)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.made == nil || len(t.made) >= maxTokens {
		t.made = make(map[string]string)
	}
	t.made[strings.Clone(v)] = token // the value may be a part of something large
	return token
}

// IsToken tells whether a value is a token of Person, with its prefix.
func IsToken(v string) bool {
	digits, ok := strings.CutPrefix(v, tokenPrefix)
	if !ok || len(digits) != tokenDigits {
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func newKey() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails, says its documentation
	return key
}

// LoadKey reads the 32 bytes in path, or creates the file (mode 0600) with
// random ones. When several processes come at once, one key wins for all.
func LoadKey(path string) ([]byte, error) {
	key, err := readKey(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("redaction key: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600 already
	if err != nil {
		return nil, fmt.Errorf("redaction key: %w; make the folder writable", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(newKey())
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("redaction key: %w", err)
	}
	// Unlike a rename, a link never replaces the key that another process made meanwhile.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		// Some file systems have no links.
		if err := os.Rename(tmp.Name(), path); err != nil {
			return nil, fmt.Errorf("redaction key: %w", err)
		}
	}
	return readKey(path)
}

func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("redaction key: %w", err)
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("redaction key %s has %d bytes instead of %d; restore it from a backup, or delete it to start anew (people get new tokens)", path, len(key), keyBytes)
	}
	return key, nil
}
