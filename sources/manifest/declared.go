package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"rollcall/sources"
	"rollcall/sources/nearest"
)

// declared is a manifest as a file says it.
type declared struct {
	sources.Manifest
	service string
	at      time.Time // when it was deployed; zero when the file does not say
	by      string
}

// place is the stage that a manifest claims.
func (d *declared) place() string { return d.Environment + "\x00" + d.Stage }

func stageIn(place string) string {
	_, stage, _ := strings.Cut(place, "\x00")
	return stage
}

// manifestKeys are the keys of a manifest file.
var manifestKeys = []string{"manifest", "service", "environment", "stage", "at", "by", "versions"}

// parseManifest reads one file strictly; its errors name file, line and column.
func parseManifest(name string, text []byte) (declared, error) {
	d := declared{Manifest: sources.Manifest{Stage: "live", Versions: map[sources.Component]string{}}}
	fail := func(t *token.Token, format string, args ...any) (declared, error) {
		place := name
		if t != nil && t.Position != nil {
			place = fmt.Sprintf("%s:%d:%d", name, t.Position.Line, t.Position.Column)
		}
		return declared{}, fmt.Errorf("%s: %s", place, harmless(fmt.Sprintf(format, args...)))
	}
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		var y yaml.Error
		if errors.As(err, &y) {
			return fail(y.GetToken(), "not valid YAML: %s", y.GetMessage())
		}
		return fail(nil, "not valid YAML: %s", err)
	}
	var body ast.Node
	for _, x := range doc.Docs {
		if x.Body == nil || x.Body.Type() == ast.NullType || x.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return fail(x.Body.GetToken(), "a second YAML document; keep one manifest in a file")
		}
		body = x.Body
	}
	if body == nil {
		return fail(nil, "empty; write versions: {prompt: v1}")
	}
	pairs, ok := mapping(body)
	if !ok {
		return fail(body.GetToken(), "not a manifest; write versions: {prompt: v1}")
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		key := p.Key.String()
		if !slices.Contains(manifestKeys, key) {
			hint := "the keys are " + strings.Join(manifestKeys, ", ")
			if near := nearest.Word(key, manifestKeys); near != "" {
				hint = "did you mean " + near + "?"
			}
			return fail(p.Key.GetToken(), "unknown key %q; %s", key, hint)
		}
		if seen[key] {
			return fail(p.Key.GetToken(), "%s is there twice", key)
		}
		seen[key] = true
		if key == "versions" {
			versions, ok := mapping(p.Value)
			if !ok {
				return fail(p.Value.GetToken(), "versions is no mapping; write versions: {prompt: v1}")
			}
			for _, v := range versions {
				c := sources.Component(v.Key.String())
				if !slices.Contains(sources.Components[:], c) {
					return fail(v.Key.GetToken(), "unknown component %q; the components are prompt, model, tools, index, policy", string(c))
				}
				if _, twice := d.Versions[c]; twice {
					return fail(v.Key.GetToken(), "%s is there twice", c)
				}
				s, ok := scalar(v.Value)
				if !ok || s == "" {
					return fail(v.Value.GetToken(), "the version of %s is no text; quote it", c)
				}
				d.Versions[c] = s
			}
			continue
		}
		s, ok := scalar(p.Value)
		if !ok || s == "" {
			return fail(p.Value.GetToken(), "%s is no text", key)
		}
		switch key {
		case "manifest":
			d.ID = s
		case "service":
			d.service = s
		case "environment":
			d.Environment = s
		case "stage":
			d.Stage = s
		case "by":
			d.by = s
		case "at":
			if d.at, err = time.Parse(time.RFC3339, s); err != nil {
				return fail(p.Value.GetToken(), "at: %q is no time; write it like 2026-03-10T02:31:00Z", s)
			}
			d.at = d.at.UTC()
		}
	}
	if len(d.Versions) == 0 {
		return fail(body.GetToken(), "no versions; write versions: {prompt: v1}")
	}
	return d, nil
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// scalar is the text of a plain or quoted value, as it is written: 1.10 stays 1.10.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return harmless(n.Value), true
	case *ast.LiteralNode:
		return harmless(strings.TrimSpace(n.Value.Value)), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return harmless(n.GetToken().Value), true
	}
	return "", false
}

var control = regexp.MustCompile(`[\x00-\x1f\x7f-\x9f\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]+`)

// harmless is outside text on one line, without what drives a terminal.
func harmless(s string) string {
	const most = 200
	s = control.ReplaceAllString(strings.ToValidUTF8(s, "?"), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(s)
}
