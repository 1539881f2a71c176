package journal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	chainTag = "rollcall/journal/v1\x00"
	bodyTag  = "rollcall/journal/body/v1\x00"
	saltSize = 16

	// Times in an entry's bytes have a fixed width, so that they sort as text.
	timeLayout = "2006-01-02T15:04:05.000000000Z"

	maxText     = 1 << 20
	maxData     = 1 << 20
	maxArtifact = 32 << 20
	maxWord     = 256
	maxBodies   = 4096 // of one entry, its text included
)

// genesis stands in for the hash before the first entry.
var genesis [sha256.Size]byte

// line is what the exact bytes of an entry hold, in this order. Of text and
// artifacts they hold only a salted hash.
type line struct {
	Kind        Kind            `json:"kind"`
	Wall        string          `json:"wall"`
	At          string          `json:"at"`
	Actor       string          `json:"actor"`
	Origin      string          `json:"origin"`
	Service     string          `json:"service,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Incident    string          `json:"incident,omitempty"`
	Run         string          `json:"run,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Text        *sealed         `json:"text,omitempty"`
	Artifacts   []sealed        `json:"artifacts,omitempty"`
}

// sealed is a body as the chain knows it.
type sealed struct {
	Name  string `json:"name,omitempty"`
	Type  string `json:"type,omitempty"`
	Bytes int    `json:"bytes"`
	Hash  string `json:"hash"` // of salt and body, hex
}

// body is what stands beside the chain.
type body struct{ salt, text []byte }

// bodyID is where a body is kept: n is 0 for the text and counts the artifacts from 1.
func bodyID(seq int64, n int) int64 { return seq*maxBodies + int64(n) }

func bodyOf(id int64) (seq, n int64) { return id / maxBodies, id % maxBodies }

func seal(text []byte) (sealed, body) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: the program would end
	return sealed{Bytes: len(text), Hash: hex.EncodeToString(bodyHash(salt, text))}, body{salt, text}
}

func bodyHash(salt, text []byte) []byte {
	h := sha256.New()
	h.Write([]byte(bodyTag))
	h.Write(salt)
	h.Write(text)
	return h.Sum(nil)
}

// chainHash is SHA-256(tag ‖ prev ‖ seq as 8 bytes, big endian ‖ bytes).
func chainHash(prev []byte, seq int64, exact []byte) [sha256.Size]byte {
	buf := make([]byte, 0, 1024)
	buf = append(buf, chainTag...)
	buf = append(buf, prev...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(seq))
	buf = append(buf, exact...)
	return sha256.Sum256(buf)
}

// encode makes the exact bytes of a draft, and the bodies that stand beside
// the chain: the text first, when there is one, then the artifacts.
func (j *Journal) encode(d *Draft, wall, now time.Time) (l line, exact []byte, bodies []body, err error) {
	if d.Kind == "" || strings.ContainsFunc(string(d.Kind), func(r rune) bool { return (r < 'a' || r > 'z') && r != '.' && r != '_' }) {
		return l, nil, nil, fmt.Errorf("%w: %q is no kind of entry", ErrRefused, string(d.Kind))
	}
	at := d.At
	if at.IsZero() {
		at = now
	}
	if y := at.UTC().Year(); y < 1 || y > 9999 {
		return l, nil, nil, fmt.Errorf("%w: the year %d cannot be recorded", ErrRefused, y)
	}
	l = line{
		Kind: d.Kind, Wall: wall.UTC().Format(timeLayout), At: at.UTC().Format(timeLayout), Actor: word(j.actor), Origin: word(j.origin),
		Service: word(d.Service), Environment: word(d.Environment), Incident: word(d.Incident), Run: word(d.Run),
	}
	if l.Data, err = j.data(d.Data); err != nil {
		return l, nil, nil, fmt.Errorf("%w: the data of %s: %w", ErrRefused, d.Kind, err)
	}
	if d.Text != "" {
		s, b := seal([]byte(j.free(cut(d.Text, maxText))))
		l.Text, bodies = &s, append(bodies, b)
	}
	if len(d.Artifacts) >= maxBodies {
		return l, nil, nil, fmt.Errorf("%w: one entry keeps fewer than %d artifacts", ErrRefused, maxBodies)
	}
	for _, a := range d.Artifacts {
		if len(a.Body) > maxArtifact {
			return l, nil, nil, fmt.Errorf("%w: the artifact %s has %d bytes and %d are kept; capture a part of it", ErrRefused, word(a.Name), len(a.Body), maxArtifact)
		}
		s, b := seal([]byte(j.free(string(a.Body))))
		s.Name, s.Type = word(a.Name), word(a.Type)
		l.Artifacts, bodies = append(l.Artifacts, s), append(bodies, b)
	}
	exact, err = compact(l)
	return l, exact, bodies, err
}

// free makes free text safe to store: redacted by the caller's redactor, and
// without control bytes whatever that left in.
func (j *Journal) free(s string) string { return visible(j.redact(s)) }

// data encodes a draft's data canonically: keys sorted, no spaces. Its strings
// are identifiers, which a redactor would damage (one random ID in ten passes
// for a payment card), so they are only made visible; one with a space in it
// is a sentence, whatever its author was told, and is redacted as free text.
func (j *Journal) data(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := compact(v)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxData {
		return nil, fmt.Errorf("it has %d bytes and %d are kept; put it into an artifact", len(raw), maxData)
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if tree == nil {
		return nil, nil
	}
	if raw, err = compact(j.harmless(tree)); err != nil {
		return nil, err
	}
	return raw, nil
}

func (j *Journal) harmless(v any) any {
	switch v := v.(type) {
	case string:
		if strings.ContainsFunc(v, unicode.IsSpace) {
			return j.free(v)
		}
		return visible(v)
	case []any:
		for i := range v {
			v[i] = j.harmless(v[i])
		}
	case map[string]any:
		for k, x := range v {
			safe := visible(k)
			if safe != k {
				delete(v, k)
			}
			v[safe] = j.harmless(x)
		}
	}
	return v
}

// compact is JSON without spaces and without escapes for HTML.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// visible replaces what could drive a terminal or deceive the reader: control
// bytes, invisible and direction-changing characters, bytes that are no text.
// Newlines and tabs stay.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\r' && strings.HasPrefix(s[i:], "\r\n"):
		case r != utf8.RuneError && hidden(r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func hidden(r rune) bool {
	return r != '\n' && r != '\t' && (r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp))
}

// word is visible for a name: on one line and bounded.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, visible(s))
	return cut(s, maxWord)
}

// cut shortens a text, says so, and never cuts a character in two.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	keep := limit
	for keep > 0 && !utf8.RuneStart(s[keep]) {
		keep--
	}
	return fmt.Sprintf("%s… (+%d bytes)", s[:keep], len(s)-keep)
}

// entry decodes exact bytes; text and artifacts are filled in by whoever has the bodies.
func (l *line) entry(seq int64, hash []byte) (Entry, error) {
	wall, err1 := time.Parse(timeLayout, l.Wall)
	at, err2 := time.Parse(timeLayout, l.At)
	if err := errors.Join(err1, err2); err != nil {
		return Entry{}, fmt.Errorf("entry %d has no time", seq)
	}
	return Entry{
		Seq: seq, Kind: l.Kind, Wall: wall, At: at, Actor: l.Actor, Origin: l.Origin, Service: l.Service,
		Environment: l.Environment, Incident: l.Incident, Run: l.Run, Data: l.Data, Hash: hex.EncodeToString(hash),
	}, nil
}
