package redact

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"rollcall/testdata/redaction"
)

// corpusFile states what must and must not be replaced for one kind.
type corpusFile struct {
	Kind     string          `yaml:"kind"`
	Replaced []corpusExample `yaml:"replaced"`
	Kept     []string        `yaml:"kept"`
}

type corpusExample struct {
	Text   string   `yaml:"text"`
	Want   string   `yaml:"want,omitempty"`
	Secret []string `yaml:"secret,omitempty"` // parts that must be gone, however the text is wrapped
}

// SelfTest runs the corpus and the examples of the user's patterns. It returns
// what went wrong, one line each, and how many examples ran.
func SelfTest(r *Redactor) (failures []string, total int) {
	fail := func(kind, format string, args ...any) {
		failures = append(failures, kind+": "+SanitizeLine(fmt.Sprintf(format, args...), 300))
	}
	files, err := corpus()
	if err != nil {
		return []string{err.Error()}, 1
	}
	plain := &Redactor{key: r.key, keepIP: r.keepIP, names: r.names[:kindCount]} // the corpus is about the built-in kinds
	plain.scanners.New = func() any { return &scanner{r: plain} }
	for _, f := range files {
		if f.Kind == builtin[kindIP] && r.keepIP {
			continue
		}
		for _, e := range f.Replaced {
			total++
			got := plain.Text(e.Text)
			switch {
			case e.Want != "" && got != e.Want && !r.keepIP:
				fail(f.Kind, "%q became %q, want %q", e.Text, got, e.Want)
			case got == e.Text:
				fail(f.Kind, "%q was left as it is", e.Text)
			}
			if again := plain.Text(got); again != got {
				fail(f.Kind, "a second pass changed %q to %q", got, again)
			}
			for how, text := range wrapped(e.Text) {
				total++
				got := plain.Text(text)
				for _, secret := range e.Secret {
					if strings.Contains(got, secret) {
						fail(f.Kind, "%q is still in %q (%s)", secret, got, how)
					}
				}
			}
		}
		for _, text := range f.Kept {
			total++
			if got := plain.Text(text); got != text {
				fail(f.Kind, "%q became %q, want no change", text, got)
			}
		}
	}
	if r.patterns != nil {
		for i, c := range r.patterns.cfg {
			for _, text := range c.Must {
				total++
				if got := r.Text(text); !strings.Contains(got, "<"+c.Name+":") {
					fail(c.Name, "redact.patterns[%d] does not redact its example %q", i, text)
				}
			}
			for _, text := range c.MustNot {
				total++
				if got := r.Text(text); strings.Contains(got, "<"+c.Name+":") {
					fail(c.Name, "redact.patterns[%d] redacts %q, which it must not: %q", i, text, got)
				}
			}
		}
	}
	return failures, total
}

// wrapped returns the text as logs carry it: as it is, in JSON, in JSON inside JSON, and quoted.
func wrapped(text string) map[string]string {
	inJSON := func(v string) string {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(map[string]string{"msg": v}) // a string always encodes
		return strings.TrimSuffix(b.String(), "\n")
	}
	once := inJSON(text)
	return map[string]string{
		"plain":          text,
		"in JSON":        once,
		"in nested JSON": inJSON(once),
		"quoted":         fmt.Sprintf("level=info msg=%q n=1", text),
	}
}

func corpus() ([]corpusFile, error) {
	names, err := redaction.Files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("redaction corpus: %w", err)
	}
	var files []corpusFile
	for _, n := range names {
		raw, err := redaction.Files.ReadFile(n.Name())
		if err != nil {
			return nil, fmt.Errorf("redaction corpus: %w", err)
		}
		var f corpusFile
		text := strings.ReplaceAll(string(raw), "¦", "")
		if err := yaml.UnmarshalWithOptions([]byte(text), &f, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("redaction corpus %s: %w", n.Name(), err)
		}
		if f.Kind+path.Ext(n.Name()) != n.Name() {
			return nil, fmt.Errorf("redaction corpus %s: its kind is %q", n.Name(), f.Kind)
		}
		files = append(files, f)
	}
	return files, nil
}
