package pin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The kinds of files, by their names.
type fileKind int

const (
	plainText fileKind = iota
	yamlFile
	jsonFile
)

func kindOf(path string) fileKind {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return yamlFile
	case ".json":
		return jsonFile
	}
	return plainText
}

// place is a scalar's bytes in a file. Replacing exactly those leaves comments,
// order and formatting as they are.
type place struct {
	value      string
	start, end int
	write      func(version string) string
	same       func(before, after []byte) error // nothing else changed, and the new value is read back
}

// find returns where the key's value stands.
func find(kind fileKind, text []byte, key string) (place, error) {
	switch kind {
	case yamlFile:
		return findYAML(text, key)
	case jsonFile:
		return findJSON(text, key)
	}
	value := strings.TrimSpace(string(text))
	start := strings.Index(string(text), value)
	return place{
		value: value, start: start, end: start + len(value),
		write: func(v string) string { return v }, same: func([]byte, []byte) error { return nil },
	}, nil
}

func (p *place) replace(text []byte, version string) ([]byte, error) {
	out := make([]byte, 0, len(text)+len(version))
	out = append(out, text[:p.start]...)
	out = append(out, p.write(version)...)
	out = append(out, text[p.end:]...)
	if err := p.same(text, out); err != nil {
		return nil, fmt.Errorf("it cannot be edited without touching something else (%w); use a plain value there", err)
	}
	return out, nil
}

func findYAML(src []byte, key string) (place, error) {
	// The parser counts a CRLF as two lines; columns do not care.
	plain := bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	file, err := parser.ParseBytes(plain, 0)
	if err != nil {
		return place{}, yamlTrouble(err)
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return place{}, errors.New("it holds several YAML documents; keep the version in a file with one")
		}
		body = d.Body
	}
	n := body
	for i, part := range strings.Split(key, ".") {
		if n = child(n, part); n == nil {
			return place{}, fmt.Errorf("there is no %s in it; check key", strings.Join(strings.Split(key, ".")[:i+1], "."))
		}
	}
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
	}
	switch n.Type() {
	case ast.StringType, ast.IntegerType, ast.FloatType, ast.BoolType:
	default:
		return place{}, fmt.Errorf("%s is no plain value (%s); check key", key, strings.ToLower(n.Type().String()))
	}
	tk := n.GetToken()
	raw := strings.TrimSpace(tk.Origin)
	start, ok := offset(src, tk.Position)
	if !ok || !bytes.HasPrefix(src[start:], []byte(raw)) || strings.Contains(raw, "\n") || raw == "" {
		return place{}, fmt.Errorf("%s is written in a way that cannot be edited; write it on one line", key)
	}
	p := place{value: tk.Value, start: start, end: start + len(raw)}
	text := n.Type() == ast.StringType
	p.write = func(v string) string {
		switch tk.Type {
		case token.SingleQuoteType:
			return "'" + strings.ReplaceAll(v, "'", "''") + "'"
		case token.DoubleQuoteType:
			return strconv.Quote(v)
		}
		if plainYAML(v, text) {
			return v
		}
		return strconv.Quote(v)
	}
	p.same = func(before, after []byte) error { return onlyMoved(before, after, key, yaml.Unmarshal) }
	return p, nil
}

func yamlTrouble(err error) error {
	var y yaml.Error
	if errors.As(err, &y) {
		if t := y.GetToken(); t != nil && t.Position != nil {
			return fmt.Errorf("line %d, column %d: not valid YAML: %s", t.Position.Line, t.Position.Column, text(y.GetMessage()))
		}
	}
	return fmt.Errorf("not valid YAML: %s", text(err.Error()))
}

// child returns what stands under one part of a key, nil when nothing does.
func child(n ast.Node, part string) ast.Node {
	for {
		if a, ok := n.(*ast.AnchorNode); ok {
			n = a.Value
			continue
		}
		break
	}
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(m.Values) {
			return m.Values[i]
		}
		return nil
	}
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		if s, ok := p.Key.(*ast.StringNode); ok {
			name = s.Value
		}
		if name == part {
			return p.Value
		}
	}
	return nil
}

// offset turns line and column, which count characters, into bytes.
func offset(src []byte, pos *token.Position) (int, bool) {
	at := 0
	for line := 1; line < pos.Line; line++ {
		i := bytes.IndexByte(src[at:], '\n')
		if i < 0 {
			return 0, false
		}
		at += i + 1
	}
	line, _, _ := bytes.Cut(src[at:], []byte("\n"))
	column := 1
	for i := range string(line) {
		if column == pos.Column {
			return at + i, true
		}
		column++
	}
	return 0, false
}

// plainYAML tells whether a version can be written without quotes where text, or
// something else such as a number, stood before.
func plainYAML(v string, text bool) bool {
	var m map[string]any
	if err := yaml.Unmarshal([]byte("k: "+v+"\n"), &m); err != nil || len(m) != 1 {
		return false
	}
	// Inside of [] and {} more characters end a value.
	if strings.ContainsAny(v, ",[]{}#&*!|>'\"%@`") || strings.HasSuffix(v, ":") || strings.Contains(v, ": ") {
		return false
	}
	s, isText := m["k"].(string)
	return isText && s == v || !text && !isText && m["k"] != nil
}

// onlyMoved makes sure that an edit changed the key and nothing else.
func onlyMoved(before, after []byte, key string, decode func([]byte, any) error) error {
	var a, b any
	if err := decode(before, &a); err != nil {
		return errors.New("it does not decode")
	}
	if err := decode(after, &b); err != nil {
		return errors.New("it would no longer decode")
	}
	parts := strings.Split(key, ".")
	if !blank(a, parts) || !blank(b, parts) || !reflect.DeepEqual(a, b) {
		return errors.New("another value would change with it")
	}
	return nil
}

// blank takes the key's value out, so that the rest can be compared.
func blank(v any, parts []string) bool {
	switch c := v.(type) {
	case map[string]any:
		child, ok := c[parts[0]]
		if !ok {
			return false
		}
		if len(parts) == 1 {
			c[parts[0]] = nil
			return true
		}
		return blank(child, parts[1:])
	case []any:
		i, err := strconv.Atoi(parts[0])
		if err != nil || i < 0 || i >= len(c) {
			return false
		}
		if len(parts) == 1 {
			c[i] = nil
			return true
		}
		return blank(c[i], parts[1:])
	}
	return false
}

// findJSON walks the tokens to the key, and takes the last one where keys repeat, as decoders do.
func findJSON(src []byte, key string) (place, error) {
	if !json.Valid(src) {
		var v any
		return place{}, fmt.Errorf("not valid JSON: %s", text(json.Unmarshal(src, &v).Error()))
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	p, found, err := seekJSON(dec, src, strings.Split(key, "."))
	if err != nil {
		return place{}, err
	}
	if !found {
		return place{}, fmt.Errorf("there is no %s in it; check key", key)
	}
	p.same = func(before, after []byte) error { return onlyMoved(before, after, key, json.Unmarshal) }
	return p, nil
}

// seekJSON reads one value; when no part is left it is the one.
func seekJSON(dec *json.Decoder, src []byte, parts []string) (p place, found bool, err error) {
	from := int(dec.InputOffset())
	t, err := dec.Token()
	if err != nil {
		return p, false, err
	}
	delim, nested := t.(json.Delim)
	if !nested {
		if len(parts) > 0 {
			return p, false, nil
		}
		return jsonScalar(src, from, int(dec.InputOffset()), t)
	}
	if len(parts) == 0 {
		return p, false, errors.New("the key leads to no plain value; check key")
	}
	for i := 0; dec.More(); i++ {
		name := strconv.Itoa(i)
		if delim == '{' {
			k, err := dec.Token()
			if err != nil {
				return p, false, err
			}
			name, _ = k.(string)
		}
		if name != parts[0] {
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return p, false, err
			}
			continue
		}
		if p, found, err = seekJSON(dec, src, parts[1:]); err != nil {
			return p, false, err
		}
	}
	_, err = dec.Token() // the closing bracket
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return p, found, err
}

func jsonScalar(src []byte, from, to int, t json.Token) (place, bool, error) {
	for from < to && strings.IndexByte(" \t\r\n:,", src[from]) >= 0 {
		from++
	}
	p := place{start: from, end: to}
	switch v := t.(type) {
	case string:
		p.value = v
		p.write = quoteJSON
	case json.Number:
		p.value = v.String()
		p.write = func(s string) string {
			var n json.Number
			if json.Unmarshal([]byte(s), &n) == nil && n.String() == s {
				return s
			}
			return quoteJSON(s)
		}
	default:
		return p, false, errors.New("the key leads to neither text nor a number; check key")
	}
	return p, true, nil
}

func quoteJSON(s string) string {
	b, _ := json.Marshal(s) // text can always be written as JSON
	return string(b)
}
