package sim

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

//go:embed catalogue.yaml
var catalogueYAML []byte

// Parse reads a scenario. file is what errors call it; they carry line and
// column. The scenario is complete: the catalogue of known versions is part of it.
func Parse(file string, text []byte) (*Scenario, error) {
	catalogue, err := decode("catalogue.yaml", catalogueYAML)
	if err != nil {
		return nil, err
	}
	s, err := decode(file, text)
	if err != nil {
		return nil, err
	}
	if s.Name == "" || s.Description == "" {
		return nil, fmt.Errorf("%s:1:1: a scenario needs a name and a description", file)
	}
	s = s.merge(catalogue)
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func decode(file string, text []byte) (s *Scenario, err error) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(file, err)
	}
	d := decoder{file: file}
	defer func() {
		if r := recover(); r != nil {
			bad, ok := r.(badInput)
			if !ok {
				panic(r)
			}
			s, err = nil, bad.err
		}
	}()
	s = &Scenario{}
	for _, doc := range tree.Docs {
		if doc.Body != nil {
			d.scenario(doc.Body, s)
		}
	}
	return s, nil
}

func syntaxError(file string, err error) error {
	var at interface{ GetToken() *token.Token }
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		pos := at.GetToken().Position
		msg := err.Error()
		var short interface{ GetMessage() string }
		if errors.As(err, &short) {
			msg = short.GetMessage()
		}
		return fmt.Errorf("%s:%d:%d: %s", file, pos.Line, pos.Column, msg)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// decoder walks the YAML tree by hand, because every mistake in a scenario has
// to be named with its line and with what would have been right.
type decoder struct{ file string }

type badInput struct{ err error }

func (d decoder) fail(n ast.Node, format string, args ...any) {
	line, col := 1, 1
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		line, col = tk.Position.Line, tk.Position.Column
	}
	panic(badInput{fmt.Errorf("%s:%d:%d: %s", d.file, line, col, fmt.Sprintf(format, args...))})
}

// each walks a mapping.
func (d decoder) each(n ast.Node, what string, see func(key string, k, v ast.Node)) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	case *ast.NullNode:
	default:
		d.fail(n, "%s must be a mapping", what)
	}
	seen := map[string]bool{}
	for _, v := range values {
		key := v.Key.GetToken().Value
		if seen[key] {
			d.fail(v.Key, "%s: %q stands here twice", what, key)
		}
		seen[key] = true
		see(key, v.Key, v.Value)
	}
}

// fields walks a mapping of known keys.
func (d decoder) fields(n ast.Node, what string, known map[string]func(v ast.Node)) {
	d.each(n, what, func(key string, k, v ast.Node) {
		read, ok := known[key]
		if !ok {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			d.fail(k, "%s: unknown key %q; known are %s", what, key, strings.Join(names, ", "))
		}
		read(v)
	})
}

func (d decoder) list(n ast.Node, what string, see func(v ast.Node)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, "%s must be a list", what)
	}
	for _, v := range seq.Values {
		see(v)
	}
}

func (d decoder) text(n ast.Node, what string) string {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return strings.TrimSpace(v.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value
	}
	d.fail(n, "%s must be text", what)
	return ""
}

func (d decoder) number(n ast.Node, what string) float64 {
	text := strings.TrimSpace(n.GetToken().Value)
	percent := strings.HasSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		d.fail(n, "%s: %q is not a number from 0 on", what, text)
	}
	if percent {
		v /= 100
	}
	return v
}

func (d decoder) duration(n ast.Node, what string) time.Duration {
	text := d.text(n, what)
	var days time.Duration
	rest := text
	if head, tail, ok := strings.Cut(text, "d"); ok {
		v, err := strconv.ParseFloat(head, 64)
		if err != nil || v > 3650 {
			d.fail(n, "%s: %q is not a duration; write it like 90s, 10m or 3d", what, text)
		}
		days, rest = time.Duration(v*24*float64(time.Hour)), tail
		if rest == "" {
			rest = "0s"
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil || v < 0 {
		d.fail(n, "%s: %q is not a duration; write it like 90s, 10m or 3d", what, text)
	}
	return days + v
}

// one reads text that must be one of the known.
func (d decoder) one(n ast.Node, what string, known []string) string {
	v := d.text(n, what)
	if !slices.Contains(known, v) {
		d.fail(n, "%s: unknown %q; known are %s", what, v, strings.Join(known, ", "))
	}
	return v
}

func (d decoder) bool(n ast.Node, what string) bool {
	v, ok := n.(*ast.BoolNode)
	if !ok {
		d.fail(n, "%s must be true or false", what)
	}
	return v.Value
}
