package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxSize is far above any real configuration; it keeps a wrong path from filling the memory.
const maxSize = 4 << 20

// Error is one mistake in a configuration file. Line and Col are 0 when it has no place.
type Error struct {
	File      string
	Line, Col int
	Msg       string // what is wrong and what to do
	More      int    // further mistakes in the same file
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Col)
	}
	b.WriteString(": " + e.Msg)
	if e.More > 0 {
		fmt.Fprintf(&b, " (and %d more)", e.More)
	}
	return b.String()
}

// ErrNone says that there is no configuration at all, which is no mistake.
var ErrNone = errors.New("no configuration")

// Env is the environment that a configuration is found in and filled from.
type Env func(name string) (string, bool)

// get returns a variable, empty when it is not set.
func (e Env) get(name string) string {
	v, _ := e(name)
	return v
}

// Find returns the path of the configuration file: the flag, $ROLLCALL_CONFIG,
// or rollcall.yaml in the user's configuration folder. named is false for the
// last, which may be missing.
func Find(flag string, env Env) (path string, named bool) {
	if flag != "" {
		return flag, true
	}
	if v := env.get("ROLLCALL_CONFIG"); v != "" {
		return v, true
	}
	dir := env.get("XDG_CONFIG_HOME")
	if dir == "" {
		home := env.get("HOME")
		if home == "" {
			return "", false
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "rollcall", "rollcall.yaml"), false
}

// Load reads the configuration that Find names. Without a file it is made of the
// environment variables; ErrNone when those are missing too.
func Load(flag string, env Env) (*File, error) {
	path, named := Find(flag, env)
	if path == "" {
		return fromEnv(env)
	}
	f, err := os.Open(path)
	if err != nil {
		if !named && errors.Is(err, os.ErrNotExist) {
			return fromEnv(env)
		}
		return nil, &Error{File: path, Msg: fmt.Sprintf("cannot be read (%s); check --config or $ROLLCALL_CONFIG", cause(err))}
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, &Error{File: path, Msg: fmt.Sprintf("cannot be read (%s); name a file that holds the configuration", cause(err))}
	}
	if len(text) > maxSize {
		return nil, &Error{File: path, Msg: "is larger than 4 MiB; this is not a rollcall configuration"}
	}
	cfg, err := Parse(path, text, env)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// Parse decodes and validates a configuration. path names it in errors; files
// that it mentions are relative to path's folder.
func Parse(path string, text []byte, env Env) (*File, error) {
	name := shown(path)
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	cfg := &File{Path: path}
	c := &checker{env: env, at: map[string]*token.Position{}}
	body, err := onlyDocument(doc)
	if err != nil {
		return nil, &Error{File: name, Msg: err.Error()}
	}
	if body == nil {
		return nil, &Error{File: name, Msg: "is empty; it needs at least a service with prometheus: {url: ...} or loki: {url: ...}"}
	}
	c.node(body, reflect.TypeFor[File](), "")
	if len(c.found) == 0 {
		if err := decode(body, cfg); err != nil {
			c.fail(position(body), "%s", plainError(err, body, reflect.TypeFor[File]()))
		}
	}
	if len(c.found) == 0 {
		cfg.fill(filepath.Dir(path), env)
		cfg.validate(func(at, format string, args ...any) {
			c.fail(c.place(at), format, args...)
		})
	}
	if len(c.found) > 0 {
		return nil, c.err(name)
	}
	return cfg, nil
}

// place returns where a dotted path, or the nearest thing around it, stands.
func (c *checker) place(path string) *token.Position {
	for {
		if p := c.at[path]; p != nil {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return c.at[""]
		}
		path = path[:i]
	}
}

// err reports the mistake that stands first in the file.
func (c *checker) err(name string) error {
	first := c.found[0]
	for _, p := range c.found[1:] {
		if p.pos != nil && first.pos != nil && (p.pos.Line < first.pos.Line || p.pos.Line == first.pos.Line && p.pos.Column < first.pos.Column) {
			first = p
		}
	}
	e := &Error{File: name, Msg: oneLine(first.msg), More: len(c.found) - 1}
	if first.pos != nil {
		e.Line, e.Col = first.pos.Line, first.pos.Column
	}
	return e
}

func onlyDocument(f *ast.File) (ast.Node, error) {
	var body ast.Node
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return nil, errors.New("holds several YAML documents; keep one and remove the others")
		}
		body = d.Body
	}
	return body, nil
}

func syntaxError(name string, err error) error {
	e := &Error{File: name}
	var y yaml.Error
	if errors.As(err, &y) {
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Col = t.Position.Line, t.Position.Column
		}
		e.Msg = y.GetMessage()
	} else {
		e.Msg = err.Error()
	}
	e.Msg = "not valid YAML: " + oneLine(e.Msg)
	if t := yaml.Error(nil); errors.As(err, &t) && t.GetToken() != nil && strings.Contains(t.GetToken().Origin, "\t") {
		e.Msg += "; indent with spaces, not tabs"
	}
	return e
}

var placePrefix = regexp.MustCompile(`^\[\d+:\d+\] `)

// plainError says in one line why a value does not fit its type.
func plainError(err error, n ast.Node, t reflect.Type) string {
	var y yaml.Error
	if errors.As(err, &y) {
		var te interface{ GetToken() *token.Token } = y
		if _, ok := n.(*ast.StringNode); ok && te != nil && isScalar(t) {
			return fmt.Sprintf("%q is not %s", n.GetToken().Value, kindWord(t))
		}
		return oneLine(placePrefix.ReplaceAllString(y.GetMessage(), ""))
	}
	return oneLine(placePrefix.ReplaceAllString(err.Error(), ""))
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint, reflect.Float64:
		return !decodesItself(t)
	}
	return false
}

func kindWord(t reflect.Type) string {
	if t.Kind() == reflect.Bool {
		return "true or false"
	}
	return "a number"
}

// oneLine keeps the first line of a message and makes control bytes harmless.
func oneLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// cause is the innermost reason of an operating system error: "permission denied".
func cause(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// shown is a path as people refer to it: relative when it is below the current folder.
func shown(path string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// LoadOrDefault is Load for commands that need no source: without any
// configuration the defaults hold.
func LoadOrDefault(flag string, env Env) (*File, error) {
	f, err := Load(flag, env)
	if errors.Is(err, ErrNone) {
		f = &File{}
		f.fill(".", env)
		err = nil
	}
	return f, err
}
