package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// shape is a JSON schema of the keywords that are checked here. A proof must not rest
// on a keyword that is only believed, so all others are refused.
type shape struct {
	raw  json.RawMessage // compact, keys sorted
	root *node
}

// node is one schema. Keywords: JSON Schema 2020-12, validation vocabulary.
type node struct {
	Type       types            `json:"type"`
	Properties map[string]*node `json:"properties"`
	Required   []string         `json:"required"`
	Additional *bool            `json:"additionalProperties"`
	Items      *node            `json:"items"`
	Enum       []any            `json:"enum"`
	MinLength  *int             `json:"minLength"`
	MaxLength  *int             `json:"maxLength"`
	Pattern    *string          `json:"pattern"`
	Minimum    *json.Number     `json:"minimum"`
	Maximum    *json.Number     `json:"maximum"`
	MinItems   *int             `json:"minItems"`
	MaxItems   *int             `json:"maxItems"`

	Title       string `json:"title"`
	Description string `json:"description"`
	Draft       string `json:"$schema"`
}

// types is one word or a list of them.
type types []string

func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

var allTypes = []string{"object", "array", "string", "number", "integer", "boolean", "null"}

const maxShape = 64 << 10

func parseShape(text []byte) (*shape, error) {
	if len(text) > maxShape {
		return nil, fmt.Errorf("has %d bytes; %d are enough for what a test needs", len(text), maxShape)
	}
	if templated(string(text)) || bytes.Contains(text, []byte("://")) && !bytes.Contains(text, []byte(`"$schema"`)) {
		return nil, errors.New("has {{, {%, {# or ://, which promptfoo would execute or fetch; leave it out")
	}
	var n node
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(&n); err != nil {
		var se *json.SyntaxError
		switch {
		case errors.As(err, &se):
			return nil, fmt.Errorf("is no JSON (at byte %d: %s)", se.Offset, se.Error())
		case strings.Contains(err.Error(), "unknown field"):
			return nil, fmt.Errorf("has a keyword that cannot be proven here (%s); use type, properties, required, additionalProperties, items, enum, pattern and the min and max of lengths, numbers and items", strings.TrimPrefix(err.Error(), "json: "))
		}
		return nil, fmt.Errorf("is no JSON schema: %s", line(err.Error()))
	}
	if err := n.sound(); err != nil {
		return nil, err
	}
	n.drop()
	raw, err := json.Marshal(n.plain())
	if err != nil {
		return nil, err
	}
	return &shape{raw: raw, root: &n}, nil
}

func (n *node) sound() error {
	if n == nil {
		return nil
	}
	for _, t := range n.Type {
		if !slices.Contains(allTypes, t) {
			return fmt.Errorf("names a type %q; it can be %s", line(t), strings.Join(allTypes, ", "))
		}
	}
	if n.Pattern != nil {
		if err := portable(*n.Pattern); err != nil {
			return fmt.Errorf("has a pattern that %w", err)
		}
	}
	for _, p := range n.Properties {
		if err := p.sound(); err != nil {
			return err
		}
	}
	return n.Items.sound()
}

// drop takes out what is only for readers.
func (n *node) drop() {
	if n == nil {
		return
	}
	n.Title, n.Description, n.Draft = "", "", ""
	for _, p := range n.Properties {
		p.drop()
	}
	n.Items.drop()
}

// plain is the schema as a tree that is written with its keys sorted.
func (n *node) plain() map[string]any {
	out := map[string]any{}
	switch len(n.Type) {
	case 0:
	case 1:
		out["type"] = n.Type[0]
	default:
		out["type"] = []string(n.Type)
	}
	if n.Properties != nil {
		props := map[string]any{}
		for k, p := range n.Properties {
			if p == nil {
				p = &node{}
			}
			props[k] = p.plain()
		}
		out["properties"] = props
	}
	if n.Required != nil {
		out["required"] = n.Required
	}
	if n.Items != nil {
		out["items"] = n.Items.plain()
	}
	if n.Enum != nil {
		out["enum"] = n.Enum
	}
	for k, v := range map[string]any{"minLength": n.MinLength, "maxLength": n.MaxLength, "minItems": n.MinItems, "maxItems": n.MaxItems} {
		if p, _ := v.(*int); p != nil {
			out[k] = *p
		}
	}
	if n.Additional != nil {
		out["additionalProperties"] = *n.Additional
	}
	if n.Pattern != nil {
		out["pattern"] = *n.Pattern
	}
	if n.Minimum != nil {
		out["minimum"] = *n.Minimum
	}
	if n.Maximum != nil {
		out["maximum"] = *n.Maximum
	}
	return out
}

// check says in what way a value does not fit; empty when it does.
func (s *shape) check(v any) string { return s.root.check("the answer", v) }

func (n *node) check(at string, v any) string {
	if n == nil {
		return ""
	}
	if len(n.Type) > 0 && !slices.ContainsFunc(n.Type, func(t string) bool { return isType(t, v) }) {
		return fmt.Sprintf("%s is no %s", at, strings.Join(n.Type, " or "))
	}
	if n.Enum != nil && !slices.ContainsFunc(n.Enum, func(e any) bool { return same(e, v) }) {
		return at + " is none of the values allowed"
	}
	switch v := v.(type) {
	case map[string]any:
		return n.checkObject(at, v)
	case []any:
		if n.MinItems != nil && len(v) < *n.MinItems || n.MaxItems != nil && len(v) > *n.MaxItems {
			return fmt.Sprintf("%s has %d items", at, len(v))
		}
		for i, x := range v {
			if m := n.Items.check(fmt.Sprintf("%s[%d]", at, i), x); m != "" {
				return m
			}
		}
	case string:
		l := utf8.RuneCountInString(v)
		if n.MinLength != nil && l < *n.MinLength || n.MaxLength != nil && l > *n.MaxLength {
			return fmt.Sprintf("%s has %d characters", at, l)
		}
		if n.Pattern != nil && !regexp.MustCompile(*n.Pattern).MatchString(v) {
			return at + " does not match its pattern"
		}
	case json.Number:
		if n.Minimum != nil && compare(v, *n.Minimum) < 0 {
			return fmt.Sprintf("%s is below %s", at, *n.Minimum)
		}
		if n.Maximum != nil && compare(v, *n.Maximum) > 0 {
			return fmt.Sprintf("%s is above %s", at, *n.Maximum)
		}
	}
	return ""
}

func (n *node) checkObject(at string, v map[string]any) string {
	for _, r := range n.Required {
		if _, ok := v[r]; !ok {
			return fmt.Sprintf("%s has no %s", at, line(r))
		}
	}
	keys := make([]string, 0, len(v))
	for k := range v {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		p, known := n.Properties[k]
		if !known && n.Additional != nil && !*n.Additional {
			return fmt.Sprintf("%s has a %s too many", at, line(k))
		}
		if m := p.check(line(k), v[k]); m != "" {
			return m
		}
	}
	return ""
}

func isType(t string, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return t == "object"
	case []any:
		return t == "array"
	case string:
		return t == "string"
	case bool:
		return t == "boolean"
	case nil:
		return t == "null"
	case json.Number:
		if t == "number" {
			return true
		}
		r, ok := number(v)
		return t == "integer" && ok && r.IsInt()
	}
	return false
}

// number reads a number exactly, unless its exponent would fill the memory.
func number(n json.Number) (*big.Rat, bool) {
	if f, err := n.Float64(); err != nil || f != 0 && (f > 1e300 || f < -1e300 || f < 1e-300 && f > -1e-300) {
		return nil, false
	}
	return new(big.Rat).SetString(n.String())
}

func compare(a, b json.Number) int {
	x, okA := number(a)
	y, okB := number(b)
	if okA && okB {
		return x.Cmp(y)
	}
	f, _ := a.Float64()
	g, _ := b.Float64()
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

func same(a, b any) bool {
	x, okA := a.(json.Number)
	y, okB := b.(json.Number)
	if okA && okB {
		return compare(x, y) == 0
	}
	p, errA := json.Marshal(a)
	q, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(p, q)
}

const property = `([A-Za-z_][A-Za-z0-9_.-]{0,63})`

// What validators say of a property that is missing, or that has none of the values
// allowed: the drill's and pydantic's words, Python's jsonschema, ajv, Go's jsonschema.
var (
	missing = []*regexp.Regexp{
		regexp.MustCompile(`(?i)^` + property + `: (?:required property is missing|field required|is required|missing)`),
		regexp.MustCompile(`'` + property + `' is a required property`),
		regexp.MustCompile(`(?i)must have required property '` + property + `'`),
		regexp.MustCompile(`(?i)missing propert(?:y|ies):? '` + property + `'`),
	}
	oneOf = regexp.MustCompile(`(?i)^` + property + `: must be one of ([A-Za-z0-9 _.,-]{1,200})$`)
)

// shapeOf is as much of a schema as the validator's message tells; nil when it tells nothing.
func shapeOf(said string) json.RawMessage {
	for _, re := range missing {
		if m := re.FindStringSubmatch(said); m != nil {
			raw, _ := json.Marshal(map[string]any{"type": "object", "required": []string{m[1]}})
			return raw
		}
	}
	if m := oneOf.FindStringSubmatch(said); m != nil {
		var values []string
		for _, v := range strings.Split(m[2], ",") {
			if v = strings.TrimSpace(v); v != "" {
				values = append(values, v)
			}
		}
		raw, _ := json.Marshal(map[string]any{"type": "object", "properties": map[string]any{m[1]: map[string]any{"enum": values}}})
		return raw
	}
	return nil
}
