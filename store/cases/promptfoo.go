package cases

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// File is one file of an export, with its path below the folder.
type File struct {
	Path string
	Body []byte
}

// inert writes a value as JSON in which no tool finds anything to execute, however
// often it is rendered: promptfoo renders some prompts twice, so that a template in what
// was put into the first is executed by the second. In strings { } % and # are escaped, which is the
// same to whoever reads the JSON, and so is all that YAML does not print. A text that
// begins with a quotation mark or a bracket is no file:// either.
func inert(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return `""` // strings and lists of strings always encode
	}
	raw := strings.TrimSuffix(b.String(), "\n")
	var out strings.Builder
	out.Grow(len(raw) + len(raw)/4 + 64)
	quoted := false
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRuneInString(raw[i:])
		switch {
		case r == '\\': // an escape stands as it is
			n = 2
			out.WriteString(raw[i : i+n])
		case r == '"':
			quoted = !quoted
			out.WriteByte('"')
		case quoted && strings.ContainsRune("{}%#", r), r >= utf8.RuneSelf && !unicode.IsPrint(r), r == 0x7f:
			escape(&out, r)
		default:
			out.WriteString(raw[i : i+n])
		}
		i += n
	}
	return out.String()
}

func escape(b *strings.Builder, r rune) {
	if r > 0xffff {
		hi, lo := utf16.EncodeRune(r)
		fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		return
	}
	fmt.Fprintf(b, `\u%04x`, r)
}

// promptfooTest is one test of promptfoo's configuration. What was captured stands in
// one variable that is an object: only variables that are texts or lists are taken for files,
// templates or several tests.
type promptfooTest struct {
	Description string            `json:"description"`
	Vars        promptfooVars     `json:"vars"`
	Assert      []promptfooAssert `json:"assert"`
	Metadata    map[string]any    `json:"metadata"`
}

type promptfooVars struct {
	Case struct {
		Input    string `json:"input"`    // JSON: the messages
		Question string `json:"question"` // JSON: the last message of a user
		Context  string `json:"context"`  // JSON: a list of documents
		Answer   string `json:"answer"`   // JSON: the bad answer
	} `json:"case"`
}

type promptfooAssert struct {
	Type      string   `json:"type"`
	Value     any      `json:"value,omitempty"`
	Threshold *float64 `json:"threshold,omitempty"`
	Metric    string   `json:"metric"`
}

func (x *Export) promptfoo() ([]File, error) {
	tests := make([]promptfooTest, len(x.Cases))
	for i := range x.Cases {
		k := &x.Cases[i]
		t := &tests[i]
		kinds := make([]string, len(k.Why))
		for n, r := range k.Why {
			kinds[n] = r.Kind
		}
		t.Description = k.ID + ": " + strings.Join(kinds, ", ")
		t.Vars.Case.Input, t.Vars.Case.Question = inert(k.Input), inert(k.Question)
		t.Vars.Case.Context, t.Vars.Case.Answer = inert(append([]string{}, k.Context...)), inert(k.Answer)
		t.Metadata = map[string]any{"incident": x.Incident, "case": k.ID, "entry": k.Seq, "entry_hash": k.Hash}
		for n := range k.Expect {
			t.Assert = append(t.Assert, assertion(&k.Expect[n]))
		}
	}
	body, err := yamlSafe(tests)
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(x.Incident)
	config := fmt.Sprintf(`# Regression cases of %[1]s, for promptfoo: promptfoo eval -c promptfooconfig.yaml
#
# Each prompt gets the captured messages as JSON text in case.input. To test the prompt that is live, put
# it here as a chat, with the captured question or documents where they belong, not in quotation marks:
#   [{"role": "system", "content": "..."}, {"role": "user", "content": {{ case.question }}}]
# To add the cases to a suite of your own, name tests.json in its tests.
description: %[2]q
prompts:
  - label: as captured
    raw: "{{ case.input }}"
providers:
  - %[3]s
tests: file://tests.json
`, x.Incident, "regression cases of "+x.Incident, x.provider())
	proof := fmt.Sprintf(`# The proof: the bad answers that were captured, held against the same expectations. Every test must fail.
#   promptfoo eval -c proof.yaml
description: %q
prompts:
  - label: bad answer as captured
    raw: "{{ case.answer }}"
providers:
  - echo
defaultTest:
  options:
    transform: JSON.parse(output)
tests: file://tests.json
`, name+": every test must fail")
	return []File{
		{"promptfoo/promptfooconfig.yaml", []byte(config)}, {"promptfoo/proof.yaml", []byte(proof)}, {"promptfoo/tests.json", body},
	}, nil
}

func assertion(e *Expectation) promptfooAssert {
	a := promptfooAssert{Metric: e.Kind, Value: e.Value}
	switch e.Kind {
	case ExpectJSON:
		a.Type, a.Value = "is-json", nil
		if len(e.Schema) > 0 {
			a.Value = e.Schema
		}
	case ExpectMatches:
		a.Type = "regex"
	case ExpectNotMatches:
		a.Type = "not-regex"
	case ExpectContains, ExpectNotContains:
		a.Type = "icontains"
		if !bare(e.Value) { // promptfoo would render or fetch it
			a.Type, a.Value = "regex", anyCase(e.Value)
		}
		if e.Kind == ExpectNotContains {
			a.Type = "not-" + a.Type
		}
	case ExpectFinish:
		a.Type, a.Value = "finish-reason", "stop"
	case ExpectLatency:
		ms := 1000 * e.Limit.V
		a.Type, a.Value, a.Threshold = "latency", nil, &ms
	case ExpectCost:
		usd := e.Limit.V
		a.Type, a.Value, a.Threshold = "cost", nil, &usd
	case ExpectRubric:
		a.Type = "llm-rubric"
	}
	return a
}

// bare tells whether promptfoo takes a value for what it is.
func bare(s string) bool {
	return !strings.ContainsAny(s, "{}\n") && !strings.Contains(s, ":") && strings.TrimSpace(s) == s
}

// anyCase is a pattern for a text whatever the case of its letters.
func anyCase(s string) string {
	var b strings.Builder
	for _, r := range s {
		lower, upper := unicode.ToLower(r), unicode.ToUpper(r)
		if lower != upper {
			fmt.Fprintf(&b, "[%c%c]", lower, upper)
			continue
		}
		b.WriteString(literal(string(r)))
	}
	return b.String()
}

var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$`)

// prefixes are promptfoo's names of the providers that the conventions for traces name.
var prefixes = map[string]string{
	"openai": "openai:chat:", "anthropic": "anthropic:messages:", "gcp.gemini": "google:", "gemini": "google:", "mistral_ai": "mistral:",
	"groq": "groq:", "deepseek": "deepseek:", "cohere": "cohere:",
}

// provider is what answered the captured requests, where they agree and promptfoo knows
// it; else a program that nobody has written yet, which fails until somebody does.
func (x *Export) provider() string {
	found := ""
	for i := range x.Cases {
		v := &x.Cases[i].Versions
		model := or(v.ModelRequested, v.Model)
		prefix := prefixes[v.Provider]
		if prefix == "" || !modelName.MatchString(model) || found != "" && found != prefix+model {
			found = ""
			break
		}
		found = prefix + model
	}
	if found == "" {
		return `"exec:./answer" # a program of yours: it gets the prompt as its first argument and prints the answer`
	}
	return fmt.Sprintf("%q", found)
}

// yamlSafe is JSON, indented, that a reader of YAML takes for the same.
func yamlSafe(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var out strings.Builder
	out.Grow(b.Len())
	for _, r := range b.String() {
		if r >= utf8.RuneSelf && !unicode.IsPrint(r) || r == 0x7f {
			escape(&out, r)
			continue
		}
		out.WriteRune(r)
	}
	return []byte(out.String()), nil
}
