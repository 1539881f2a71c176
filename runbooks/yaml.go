package runbooks

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"rollcall/sources"
	"rollcall/sources/nearest"
)

const (
	maxYAML  = 64 << 10 // bytes of one block of settings
	maxDepth = 24       // of brackets within it
)

// place is a position in the file. Lines and columns count from 1, columns in characters.
type place struct {
	line, col int
	// exact tells that the text at this place is a value as written, character by
	// character, so that a position within the value is one within the line.
	exact bool
}

// block is YAML cut out of a file, with where each of its lines stands there.
type block struct {
	text string
	at   []place
}

func (b *block) place(p *token.Position) place {
	if p == nil || len(b.at) == 0 {
		return b.start()
	}
	at := b.at[min(max(p.Line-1, 0), len(b.at)-1)]
	return place{line: at.line, col: max(1, at.col+p.Column-1)}
}

func (b *block) start() place {
	if len(b.at) == 0 {
		return place{line: 1, col: 1}
	}
	return b.at[0]
}

// reader decodes one block into a struct by its yaml tags. It is stricter than a
// decoder: it refuses what is unknown, empty, of another type, or indirect, and
// says where that stands in the file.
type reader struct {
	block *block
	fail  func(at place, format string, args ...any)
	at    map[string]place // dotted path → where the value stands
}

// selfReading is a type that reads itself from a node.
type selfReading interface {
	read(r *reader, n ast.Node, path string)
}

// read decodes the block and reports every mistake.
func (r *reader) read(into any) {
	r.at = map[string]place{}
	if len(r.block.text) > maxYAML {
		r.fail(r.block.start(), "this block is larger than 64 KiB; a runbook's settings are short")
		return
	}
	if p, deep := tooDeep(r.block.text); deep {
		r.fail(r.block.place(p), "brackets are nested more than %d deep; settings are flat", maxDepth)
		return
	}
	body, err := r.parse()
	switch {
	case err != nil:
		r.syntax(err)
	case body == nil:
		r.fail(r.block.start(), "this block is empty; write a setting or remove it")
	default:
		r.value(body, reflect.ValueOf(into).Elem(), "")
	}
}

// parse returns the one document of the block. The parser is not proof against every input.
func (r *reader) parse() (body ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it cannot be understood")
		}
	}()
	f, err := parser.ParseBytes([]byte(r.block.text), 0)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Docs {
		switch {
		case d.Body == nil || d.Body.Type() == ast.CommentType:
		case body != nil:
			return nil, errors.New("it holds several documents; keep one")
		default:
			body = d.Body
		}
	}
	if body != nil && body.Type() == ast.NullType {
		body = nil
	}
	return body, nil
}

func (r *reader) syntax(err error) {
	at, msg := r.block.start(), err.Error()
	var y yaml.Error
	if errors.As(err, &y) {
		msg = otherPlace.ReplaceAllStringFunc(y.GetMessage(), func(m string) string {
			var p token.Position
			if _, err := fmt.Sscanf(m, "at [%d:%d]", &p.Line, &p.Column); err != nil {
				return m
			}
			return fmt.Sprintf("in line %d", r.block.place(&p).line)
		})
		if t := y.GetToken(); t != nil {
			at = r.block.place(t.Position)
			if strings.Contains(t.Origin, "\t") {
				msg += "; indent with spaces, not tabs"
			}
		}
	}
	r.fail(at, "not valid YAML: %s", oneLine(msg))
}

// tooDeep finds flow brackets nested deeper than any settings are, before a
// recursive parser meets them. Brackets in text count too: there are not that many.
func tooDeep(text string) (*token.Position, bool) {
	depth, line, col := 0, 1, 0
	for _, c := range text {
		col++
		switch c {
		case '\n':
			line, col = line+1, 0
		case '[', '{':
			if depth++; depth > maxDepth {
				return &token.Position{Line: line, Column: col}, true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return nil, false
}

// value reads a node into v.
func (r *reader) value(n ast.Node, v reflect.Value, path string) {
	at := r.place(n)
	r.at[path] = at
	switch n.(type) {
	case nil, *ast.NullNode:
		r.fail(at, "%s is empty; give it a value or remove it", named(path))
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		r.fail(at, "%s uses an anchor, alias or tag; write the value out, so that everybody reads the same", named(path))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch into := v.Addr().Interface().(type) {
	case selfReading:
		into.read(r, n, path)
		return
	case *sources.Duration:
		if s, ok := r.scalar(n, path, "a duration such as 30s, 5m or 1d"); ok {
			if err := into.UnmarshalText([]byte(s)); err != nil {
				r.fail(at, "%s: %s", path, err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.structure(n, v, path)
	case reflect.Map:
		r.mapping(n, v, path)
	case reflect.Slice:
		r.list(n, v, path)
	case reflect.String:
		if s, ok := r.scalar(n, path, "text"); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.fail(at, "%s must be true or false", path)
			return
		}
		v.SetBool(b.Value)
	case reflect.Int:
		s, ok := r.scalar(n, path, "a whole number")
		if !ok {
			return
		}
		i, err := strconv.Atoi(s)
		if err != nil {
			r.fail(at, "%s must be a whole number, not %q", path, shorten(s))
			return
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		s, ok := r.scalar(n, path, "a number")
		if !ok {
			return
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != f {
			r.fail(at, "%s must be a number, not %q", path, shorten(s))
			return
		}
		v.SetFloat(f)
	}
}

func (r *reader) structure(n ast.Node, v reflect.Value, path string) {
	keys := keysOf(v.Type())
	if m, ok := n.(*ast.MappingNode); len(keys) == 0 && (!ok || len(m.Values) > 0) {
		r.fail(r.place(n), "%s takes no settings; write %s: {}", path, path)
		return
	}
	r.pairs(n, path, "with keys such as "+strings.Join(keys[:min(3, len(keys))], ", "), func(key string, at place, val ast.Node) {
		i := slices.Index(keys, key)
		if i < 0 {
			r.fail(at, "%s", unknownKey(key, path, keys))
			return
		}
		r.at[join(path, key)+" key"] = at
		r.value(val, v.FieldByIndex(fieldOf(v.Type(), key)), join(path, key))
	})
}

func (r *reader) mapping(n ast.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	r.pairs(n, path, "of names to values", func(key string, at place, val ast.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		r.value(val, e, join(path, key))
		r.at[join(path, key)+" key"] = at
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), e)
	})
}

func (r *reader) list(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fail(r.place(n), "%s must be a list: [a, b]", named(path))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, e := range seq.Values {
		r.value(e, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

// pairs calls each for every key of a mapping.
func (r *reader) pairs(n ast.Node, path, like string, each func(key string, at place, val ast.Node)) {
	var list []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		list = n.Values
	case *ast.MappingValueNode:
		list = []*ast.MappingValueNode{n}
	default:
		r.fail(r.place(n), "%s must be a mapping %s", named(path), like)
		return
	}
	for _, p := range list {
		at := r.block.place(p.Key.GetToken().Position)
		key, ok := p.Key.(*ast.StringNode)
		if !ok {
			r.fail(at, "%q cannot be a key here; keys are plain words", shorten(p.Key.GetToken().Value))
			continue
		}
		each(key.Value, at, p.Value)
	}
}

// scalar returns the text of a plain value, as written.
func (r *reader) scalar(n ast.Node, path, want string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	r.fail(r.place(n), "%s must be %s", named(path), want)
	return "", false
}

// place says where a node's text begins.
func (r *reader) place(n ast.Node) place {
	switch m := n.(type) {
	case nil:
		return r.block.start()
	case *ast.MappingNode:
		if len(m.Values) > 0 && (m.Start == nil || m.Start.Type != token.MappingStartType) {
			return r.block.place(m.Values[0].Key.GetToken().Position)
		}
	case *ast.MappingValueNode:
		return r.block.place(m.Key.GetToken().Position)
	case *ast.StringNode:
		at := r.block.place(m.Token.Position)
		written := strings.TrimSpace(m.Token.Origin)
		switch m.Token.Type {
		case token.SingleQuoteType, token.DoubleQuoteType:
			at.exact = len(written) >= 2 && written[1:len(written)-1] == m.Value
			if at.exact {
				at.col++
			}
		default:
			at.exact = written == m.Value
		}
		return at
	}
	return r.block.place(n.GetToken().Position)
}

// keysOf lists the keys of a struct as the file writes them, in order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if k := f.Tag.Get("yaml"); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

func fieldOf(t reflect.Type, key string) []int {
	for f := range t.Fields() {
		if f.Tag.Get("yaml") == key {
			return f.Index
		}
	}
	return nil
}

func unknownKey(key, path string, keys []string) string {
	msg := fmt.Sprintf("unknown key %q", shorten(key))
	if path != "" {
		msg += fmt.Sprintf(" under %q", path)
	}
	if near := nearest.Word(key, keys); near != "" {
		return fmt.Sprintf("%s; did you mean %q?", msg, near)
	}
	return msg + "; known here: " + strings.Join(keys, ", ")
}

func named(path string) string {
	if path == "" {
		return "this block"
	}
	return path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// otherPlace is a second place that a message names, within the block.
var otherPlace = regexp.MustCompile(`at \[\d+:\d+\]`)

var placePrefix = regexp.MustCompile(`^\[\d+:\d+\] `)

// oneLine keeps the first line of a library's message.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = placePrefix.ReplaceAllString(strings.TrimSpace(s), "")
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, "\t", "tab"))
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}
