package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
	commonconfig "github.com/prometheus/common/config"
)

// checker compares a YAML document with the Go type it is going to be decoded
// into, so that every mistake is reported with its own line and column: the
// decoder alone loses the place inside values that decode themselves.
type checker struct {
	env   func(string) (string, bool)
	at    map[string]*token.Position // dotted path → where its value stands
	found []problem
}

type problem struct {
	pos *token.Position
	msg string
}

func (c *checker) fail(pos *token.Position, format string, args ...any) {
	c.found = append(c.found, problem{pos, fmt.Sprintf(format, args...)})
}

// node checks n, found under path, against t.
func (c *checker) node(n ast.Node, t reflect.Type, path string) {
	n = unwrap(n)
	if n == nil {
		return
	}
	pos := position(n)
	c.at[path] = pos
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n.(type) {
	case *ast.NullNode, *ast.AliasNode: // nothing to compare; an alias was checked where it is anchored
		return
	}
	if t == reflect.TypeFor[commonconfig.Secret]() {
		c.secret(n, path)
		return
	}
	before := len(c.found)
	switch kind := t.Kind(); {
	case decodesItself(t) && (kind != reflect.Struct || !isMapping(n) || !viaFunc(t)):
		c.leaf(n, t, path)
		return
	case kind == reflect.Struct:
		c.structure(n, t, path)
	case kind == reflect.Map:
		c.mapping(n, t, path)
	case kind == reflect.Slice || kind == reflect.Array:
		c.list(n, t, path)
	case kind == reflect.Interface:
		return
	default:
		if s, ok := n.(*ast.StringNode); ok && kind == reflect.String {
			c.expand(s, path)
		}
		c.leaf(n, t, path)
		return
	}
	// What a type says about its parts together can only be asked once the parts are fine.
	if len(c.found) == before && decodesItself(t) {
		c.leaf(n, t, path)
	}
}

func (c *checker) structure(n ast.Node, t reflect.Type, path string) {
	fields, rest := fieldsOf(t)
	pairs, ok := pairsOf(n)
	if !ok {
		c.fail(position(n), "%s must be a mapping with keys such as %s", orTop(path), sample(fields))
		return
	}
	for _, p := range pairs {
		if p.Key.IsMergeKey() {
			continue
		}
		key := keyText(p.Key)
		ft, known := fields[key]
		if !known && rest != nil {
			ft, known = rest, true
		}
		if !known {
			c.fail(p.Key.GetToken().Position, "%s", unknownKey(key, path, fields))
			continue
		}
		c.pair(p, ft, join(path, key))
	}
}

func (c *checker) mapping(n ast.Node, t reflect.Type, path string) {
	pairs, ok := pairsOf(n)
	if !ok {
		c.fail(position(n), "%s must be a mapping of names to values", orTop(path))
		return
	}
	for _, p := range pairs {
		if !p.Key.IsMergeKey() {
			c.pair(p, t.Elem(), join(path, keyText(p.Key)))
		}
	}
}

// pair checks the value of a key. What is later said about a whole mapping is said at its key.
func (c *checker) pair(p *ast.MappingValueNode, t reflect.Type, path string) {
	c.node(p.Value, t, path)
	if v := unwrap(p.Value); v != nil && isMapping(v) {
		c.at[path] = p.Key.GetToken().Position
	}
}

func (c *checker) list(n ast.Node, t reflect.Type, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		c.fail(position(n), "%s must be a list: [a, b]", orTop(path))
		return
	}
	for i, v := range seq.Values {
		c.node(v, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (c *checker) leaf(n ast.Node, t reflect.Type, path string) {
	v := reflect.New(t)
	if err := decode(n, v.Interface()); err != nil {
		c.fail(position(n), "%s: %s", orTop(path), plainError(err, n, t))
	}
}

// decode is strict. The library cannot inline a map, which is how the type for
// HTTP headers is written; it gets its own way in.
func decode(n ast.Node, v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be understood (%v)", r)
		}
	}()
	return yaml.NodeToValue(n, v, yaml.Strict(), yaml.CustomUnmarshaler(func(h *commonconfig.Headers, b []byte) error {
		return yaml.UnmarshalWithOptions(b, &h.Headers, yaml.Strict())
	}))
}

// secret refuses values written into the file: they belong in files of their
// own or in the environment.
func (c *checker) secret(n ast.Node, path string) {
	s, ok := n.(*ast.StringNode)
	if !ok || !envOnly(s.Value) {
		key := path[strings.LastIndexByte(path, '.')+1:]
		c.fail(position(n), "%s holds a secret in clear text; use %s_file: PATH, or ${NAME} to take it from the environment", path, key)
		return
	}
	c.expand(s, path)
}

func envOnly(s string) bool {
	return strings.HasPrefix(s, "${") && strings.IndexByte(s, '}') == len(s)-1 && len(s) > 3
}

// expand replaces ${NAME} by the variable. A lone $ stays: queries are full of them.
func (c *checker) expand(s *ast.StringNode, path string) {
	if !strings.Contains(s.Value, "${") {
		return
	}
	var out strings.Builder
	rest := s.Value
	for {
		before, after, ok := strings.Cut(rest, "${")
		out.WriteString(before)
		if !ok {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			c.fail(position(s), "%s: ${ without a closing }", path)
			return
		}
		v, set := c.env(name)
		if !set {
			c.fail(position(s), "%s: the environment variable %s is not set; export it or write the value here", path, name)
			return
		}
		out.WriteString(v)
		rest = tail
	}
	s.Value = out.String()
	s.Token.Value = s.Value
}

// fieldsOf lists the keys of a struct type as the decoder sees them, and the
// element type of an inlined map, which takes every other key.
func fieldsOf(t reflect.Type) (fields map[string]reflect.Type, rest reflect.Type) {
	fields = map[string]reflect.Type{}
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if strings.Contains(opts, "inline") {
			ft := f.Type
			for ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Map {
				rest = ft.Elem()
				continue
			}
			inner, r := fieldsOf(ft)
			for k, v := range inner {
				fields[k] = v
			}
			if r != nil {
				rest = r
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		fields[name] = f.Type
	}
	return fields, rest
}

func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func isMapping(n ast.Node) bool {
	_, ok := pairsOf(n)
	return ok
}

func unwrap(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.DocumentNode:
			n = v.Body
		default:
			return n
		}
	}
}

func position(n ast.Node) *token.Position {
	if p, ok := pairsOf(n); ok && len(p) > 0 {
		return p[0].Key.GetToken().Position
	}
	return n.GetToken().Position
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.GetToken().Value
}

// decodesItself tells whether the decoder hands the value to the type's own method.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{
		reflect.TypeFor[interface{ UnmarshalText([]byte) error }](),
		reflect.TypeFor[yaml.BytesUnmarshaler](),
		reflect.TypeFor[yaml.NodeUnmarshaler](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	return viaFunc(t)
}

// viaFunc tells whether the type decodes itself through a function over the
// same fields, as the types of prometheus/common do.
func viaFunc(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.InterfaceUnmarshaler]())
}

func unknownKey(key, path string, fields map[string]reflect.Type) string {
	where := "at the top level"
	if path != "" {
		where = fmt.Sprintf("under %q", path)
	}
	msg := fmt.Sprintf("unknown key %q %s", key, where)
	if near := Nearest(key, keys(fields)); near != "" {
		return fmt.Sprintf("%s; did you mean %q?", msg, near)
	}
	return fmt.Sprintf("%s; known here: %s", msg, strings.Join(keys(fields), ", "))
}

func keys(fields map[string]reflect.Type) []string {
	out := make([]string, 0, len(fields))
	for k := range fields {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func sample(fields map[string]reflect.Type) string {
	k := keys(fields)
	return strings.Join(k[:min(3, len(k))], ", ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
