// Package redact turns untrusted text into text that may be shown, stored and
// sent on: terminal controls become visible, and secrets and personal data
// become typed, stable placeholders such as <email:1>.
//
// One hand-written pass looks only at the few bytes that every secret must
// contain ('@', ':', '=', digits, the rare letter of a key's prefix) and reads
// around them; a text in which nothing is found comes back as it is, without
// an allocation. The same value has the same number within one document.
// Redacting twice changes nothing.
package redact

import (
	"sync"
)

// Config is the `redact:` section of the configuration.
type Config struct {
	KeepIP   bool      `yaml:"keep_ip,omitempty"`  // IP addresses stay readable
	Patterns []Pattern `yaml:"patterns,omitempty"` // besides the built-in kinds
}

// Pattern is a kind of secret that only the user knows. A match becomes
// <name:N>; with a capture group only what the first group holds.
type Pattern struct {
	Name    string   `yaml:"name"`               // lower-case letters, digits and dashes
	Regexp  string   `yaml:"regexp"`             // Go (RE2) syntax
	Must    []string `yaml:"must,omitempty"`     // examples for the self-test: changed by this pattern
	MustNot []string `yaml:"must_not,omitempty"` // examples for the self-test: left alone by it
}

// Redactor redacts. It is safe for use by several goroutines.
type Redactor struct {
	key      []byte
	keepIP   bool
	names    []string // kind → name in the placeholder
	patterns *patterns
	scanners sync.Pool
	tokens   tokens
}

// New returns a redactor. The key, 32 bytes from LoadKey, makes the tokens of
// Person; without it Person's tokens hold within this redactor only.
func New(cfg Config, key []byte) (*Redactor, error) {
	if len(key) == 0 {
		key = newKey()
	}
	r := &Redactor{key: key, keepIP: cfg.KeepIP, names: append([]string(nil), builtin[:]...)}
	p, err := compile(cfg.Patterns)
	if err != nil {
		return nil, err
	}
	r.patterns = p
	for _, c := range cfg.Patterns {
		r.names = append(r.names, c.Name)
	}
	r.scanners.New = func() any { return &scanner{r: r} }
	return r, nil
}

// Kinds lists the names that placeholders can carry, the user's last.
func (r *Redactor) Kinds() []string { return append([]string(nil), r.names...) }

// Text sanitises and redacts one document. Newlines and tabs stay.
func (r *Redactor) Text(s string) string {
	values := [1]*string{&s}
	r.Batch(values[:], nil)
	return s
}

// Batch does what Text does to many values at once, in place. Values with the
// same number in doc belong to one document and share the numbering of their
// placeholders; without doc all of them do.
func (r *Redactor) Batch(values []*string, doc []int) { r.Fields(nil, values, doc) }

// Identity is the name to give Fields for the value of a field that holds an ID, a
// version or the name of a machine, a model or a tenant. It stays, whatever its
// digits seem to be, unless it holds a secret or an address by its form; one that is an
// e-mail address and nothing else becomes the token of Person.
const Identity = "id"

// Identity returns an identity as Fields leaves it, for looking it up.
func (r *Redactor) Identity(v string) string {
	r.Fields([]string{Identity}, []*string{&v}, nil)
	return v
}

// Fields is Batch for values whose names are known: what stands in a field
// called api_key is judged as in the text api_key="…", the digits of a request_id
// are no card, and who stands in a field called user.id becomes the token of
// Person. names may be nil, or hold "" for values without a name.
func (r *Redactor) Fields(names []string, values []*string, doc []int) {
	sc := r.scanners.Get().(*scanner)
	defer r.release(sc)
	for i, v := range values {
		if names != nil && NamesPerson(names[i]) {
			*v = r.Person(*v)
		} else if !clean(*v) {
			*v = Sanitize(*v)
		}
	}
	candidates := r.patterns.prefilter(values)
	var num *numbering
	for i, v := range values {
		var mine, all []int
		if len(candidates) > 0 {
			if i >= candidates[0].until {
				candidates = candidates[1:]
			}
			mine, all = candidates[0].which, r.patterns.every
		}
		name := ""
		if names != nil {
			if name = names[i]; NamesPerson(name) {
				continue
			}
		}
		d := 0
		if doc != nil {
			d = doc[i]
		}
		// What was cut out can bring together what then looks like a secret: look
		// again until nothing is found. Every turn leaves less text, and a few do.
		for turn := range maxTurns {
			if turn > 0 {
				mine = all
			}
			var found bool
			if layered(*v) {
				found = sc.loadLayers(name, *v, mine)
			} else {
				found = sc.load(name, *v, mine)
			}
			if !found {
				break
			}
			if sc.id && sc.isAddress(*v) {
				*v = r.Person(*v)
				break
			}
			if num == nil {
				num = r.number(values, doc)
			}
			*v = sc.render(*v, num, d)
		}
	}
}

const maxTurns = 6

func (r *Redactor) release(sc *scanner) {
	sc.reset()
	r.scanners.Put(sc)
}
