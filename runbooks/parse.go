package runbooks

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tasks "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"rollcall/sources"
	"rollcall/sources/nearest"
)

const (
	// MaxSize is how large a runbook may be, in bytes.
	MaxSize = 1 << 20
	// maxLine keeps nesting, and with it recursion, within bounds.
	maxLine     = 4096
	maxProblems = 100
	maxSteps    = 200
)

// Parse reads a runbook. file names it in problems. The runbook is nil when there
// are problems; each names the line and column where it stands and what to do.
// What is wrong between the parts of a well-formed file is for Lint to say.
func Parse(file string, src []byte) (*Runbook, []Problem) {
	p := &parsing{file: file, rb: &Runbook{File: file, Source: src, places: map[string]place{}}}
	sum := sha256.Sum256(src)
	p.rb.Hash = hex.EncodeToString(sum[:])
	if p.characters(src) {
		if rest := p.front(); rest > 0 {
			p.body(rest)
		}
	}
	if len(p.problems) == 0 {
		return p.rb, nil
	}
	return nil, p.problems.sorted()
}

// parsing is one file on its way to a Runbook.
type parsing struct {
	file     string
	src      []byte // without BOM, lines ended by \n
	lines    []int  // where each begins in src
	rb       *Runbook
	problems problems
}

type problems []Problem

func (l problems) sorted() []Problem {
	slices.SortStableFunc(l, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return l[:min(len(l), maxProblems)]
}

func (p *parsing) fail(at place, format string, args ...any) {
	// A YAML parser places what is missing behind the end of its line.
	at.line = min(max(at.line, 1), max(len(p.lines), 1))
	at.col = min(max(at.col, 1), utf8.RuneCountInString(p.line(at.line))+1)
	p.problems = append(p.problems, Problem{File: p.file, Line: at.line, Column: at.col, Message: fmt.Sprintf(format, args...)})
}

// characters refuses what a code host would not show as it is, and finds the lines.
func (p *parsing) characters(src []byte) bool {
	if len(src) > MaxSize {
		p.fail(place{line: 1, col: 1}, "this file is larger than 1 MiB; it is no runbook")
		return false
	}
	src = bytes.TrimPrefix(src, []byte("\uFEFF"))
	p.src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	p.lines = []int{0}
	for i, b := range p.src {
		if b == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	line, col := 1, 0
	for i := 0; i < len(p.src); {
		r, n := utf8.DecodeRune(p.src[i:])
		col++
		at := place{line: line, col: col}
		switch {
		case r == '\n':
			line, col = line+1, 0
		case r == utf8.RuneError && n == 1:
			p.fail(at, "this byte is not UTF-8; save the file as UTF-8")
			return false
		case r == '\t':
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			p.fail(at, "the invisible character U+%04X is not allowed; remove it", r)
			return false
		case col > maxLine:
			p.fail(at, "this line is longer than %d characters; break it", maxLine)
			return false
		}
		i += n
	}
	return true
}

// place returns where an offset of src stands.
func (p *parsing) place(offset int) place {
	offset = min(max(offset, 0), len(p.src))
	i := sort.SearchInts(p.lines, offset+1) - 1
	return place{line: i + 1, col: utf8.RuneCount(p.src[p.lines[i]:offset]) + 1}
}

// line returns a line without its end, counted from 1.
func (p *parsing) line(n int) string {
	if n < 1 || n > len(p.lines) {
		return ""
	}
	end := len(p.src)
	if n < len(p.lines) {
		end = p.lines[n] - 1
	}
	return string(p.src[p.lines[n-1]:end])
}

// front reads the front matter and returns where the rest begins, 0 when there is none.
func (p *parsing) front() int {
	if strings.TrimRight(p.line(1), " ") != "---" {
		p.fail(place{line: 1, col: 1}, "a runbook begins with front matter: a line ---, then schema: %s, id: and title:, then a line ---", Schema)
		return 0
	}
	end := 2
	for end <= len(p.lines) && strings.TrimRight(p.line(end), " ") != "---" {
		end++
	}
	if end > len(p.lines) {
		p.fail(place{line: 1, col: 1}, "the front matter has no end; close it with a line ---")
		return 0
	}
	b := &block{text: string(p.src[p.lines[1]:p.lines[end-1]])}
	for i := 2; i <= end; i++ {
		b.at = append(b.at, place{line: i, col: 1})
	}
	r := &reader{block: b, fail: p.fail}
	var f frontMatter
	r.read(&f)
	p.fillFront(&f, r)
	if end < len(p.lines) {
		return p.lines[end]
	}
	return len(p.src)
}

func (p *parsing) fillFront(f *frontMatter, r *reader) {
	read := len(p.problems) == 0
	need := func(key, value, like string) {
		if value == "" && read {
			p.fail(b1(r), "the front matter has no %s; add %s: %s", key, key, like)
		}
	}
	need("schema", f.Schema, Schema)
	need("id", f.ID, "a-short-name")
	need("title", f.Title, "What it does")
	if f.Schema != "" && f.Schema != Schema {
		p.fail(r.at["schema"], "schema %q is not known to this version; write schema: %s or upgrade rollcall", shorten(f.Schema), Schema)
	}
	if f.ID != "" && !idForm.MatchString(f.ID) {
		p.fail(r.at["id"], "id %q is not a name; use small letters, digits and dashes, such as rollback-prompt", shorten(f.ID))
	}
	p.rb.ID, p.rb.Title = f.ID, strings.Join(strings.Fields(f.Title), " ")
	if f.Component != "" {
		p.rb.Component = sources.Component(f.Component)
		p.component(r.at["component"], "component", f.Component)
	}
	for i, name := range f.Settings {
		if !settingForm.MatchString(name) {
			p.fail(r.at[fmt.Sprintf("settings[%d]", i)], "setting %q is not a name; use small letters, digits and underscores, such as budget_day", shorten(name))
		}
	}
	p.rb.Settings = f.Settings
	p.rb.Suggest = f.Suggest
	p.rb.MaxDuration = time.Duration(f.MaxDuration)
	p.rb.RehearseEvery = time.Duration(f.Rehearse.Every)
	p.fillVars(f.Vars, r)
	p.keep("front", r)
}

func b1(r *reader) place { return place{line: max(1, r.block.start().line-1), col: 1} }

func (p *parsing) component(at place, key, c string) {
	if slices.Contains(sources.Components[:], sources.Component(c)) {
		return
	}
	p.fail(at, "%s %q is not known; it can be %s", key, shorten(c), oneOf(sources.Components[:]))
}

func (p *parsing) suspected(at place, key, of string) {
	known := make([]string, 0, len(sources.Components)+len(Suspected))
	for _, c := range sources.Components {
		known = append(known, string(c))
	}
	if known = append(known, Suspected...); !slices.Contains(known, of) {
		p.fail(at, "%s %q is not known; it can be %s", key, shorten(of), oneOf(known))
	}
}

// keep remembers where values stand, for Lint.
func (p *parsing) keep(under string, r *reader) {
	for path, at := range r.at {
		p.rb.places[under+"."+path] = at
	}
}

func (p *parsing) fillVars(vars varList, r *reader) {
	for _, v := range vars {
		path := "vars." + v.name
		switch {
		case !varForm.MatchString(v.name):
			p.fail(v.at, "variable %q is not a name; use capital letters, digits and underscores, such as BAD", shorten(v.name))
			continue
		case reserved(v.name):
			p.fail(v.at, "variable %s would hide one that commands rely on; choose another name", v.name)
			continue
		}
		out := Var{Name: v.name, Line: v.at.line}
		for from := &v.from; from != nil; from, path = from.Else, path+".else" {
			src := VarSource{Suspect: from.Suspect, Run: from.Run, Value: from.Value, Ask: strings.Join(strings.Fields(from.Ask), " "), Choose: from.Choose}
			given := 0
			for _, key := range []string{"suspect", "run", "value", "ask"} {
				if _, ok := r.at[path+"."+key]; ok {
					given++
				}
			}
			at, ok := r.at[path]
			if !ok {
				at = v.at
			}
			switch {
			case given != 1:
				if len(p.problems) == 0 {
					p.fail(at, "%s needs exactly one of suspect, run, value and ask; put the next best under else", path)
				}
			case from.Suspect != "":
				p.suspected(r.at[path+".suspect"], path+".suspect", from.Suspect)
			case from.Run != nil:
				p.argv(r.at[path+".run"], path+".run", from.Run)
			}
			if at, ok := r.at[path+".choose"]; ok {
				p.argv(at, path+".choose", from.Choose)
				if from.Ask == "" {
					p.fail(at, "%s.choose is the list that a question offers; write it beside ask", path)
				}
			}
			out.Sources = append(out.Sources, src)
		}
		p.rb.Vars = append(p.rb.Vars, out)
	}
}

func (p *parsing) argv(at place, key string, words []string) {
	if len(words) == 0 || strings.TrimSpace(words[0]) == "" {
		p.fail(at, "%s needs a command: [rollcall, pin, get, prompt]", key)
	}
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.TaskList)).Parser()

var phases = []Phase{Preconditions, Steps, Verify, Abort}

// body reads the Markdown. Offsets stay those of the file: the front matter is blanked.
func (p *parsing) body(from int) {
	src := slices.Clone(p.src)
	for i := range from {
		if src[i] != '\n' {
			src[i] = ' '
		}
	}
	doc := markdown.Parse(text.NewReader(src))
	var phase Phase
	var seen []Phase
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			phase, seen = p.heading(n, seen)
		case *ast.List:
			if phase != "" {
				p.items(n, phase)
				continue
			}
			p.noSteps(n, phase)
		case *ast.HTMLBlock:
			p.fail(p.at(n), "HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown")
		case *ast.FencedCodeBlock:
			p.closed(n)
			if phase != "" {
				p.fail(p.at(n), "this block stands outside an item and would not be part of a step; indent it by two spaces under its item, or move it out of %s", phase)
			}
		default:
			if par, ok := n.(*ast.Paragraph); ok && phase == "" && p.rb.Intro == "" && len(seen) == 0 {
				p.rb.Intro = p.plain(par)
			}
			p.noSteps(n, phase)
		}
	}
	if len(p.rb.Steps) == 0 && len(p.problems) == 0 {
		p.fail(place{line: 1, col: 1}, "there are no steps; add ## Steps with items such as - [ ] **name** What to do")
	}
}

func (p *parsing) heading(h *ast.Heading, seen []Phase) (Phase, []Phase) {
	title := strings.TrimSpace(p.raw(h))
	i := slices.Index(phases, Phase(title))
	switch {
	case i < 0:
		// A heading that nearly names a section would silently turn its steps into prose.
		for _, ph := range phases {
			if strings.EqualFold(title, string(ph)) || nearest.Word(strings.ToLower(title), []string{strings.ToLower(string(ph))}) != "" {
				p.fail(p.at(h), "the section %q is not known; did you mean ## %s?", shorten(title), ph)
			}
		}
		if h.Level > 2 && len(seen) > 0 {
			return seen[len(seen)-1], seen
		}
		return "", seen
	case h.Level != 2:
		p.fail(p.at(h), "the section %s must be a heading of the second level; write ## %s", title, title)
	case slices.Contains(seen, phases[i]):
		p.fail(p.at(h), "there are two sections %s; put their items into one", title)
	case len(seen) > 0 && slices.Index(phases, seen[len(seen)-1]) > i:
		p.fail(p.at(h), "%s comes after %s; the order is Preconditions, Steps, Verify, Abort", title, seen[len(seen)-1])
	}
	return phases[i], append(seen, phases[i])
}

var stepLike = regexp.MustCompile(`^\s*(?:[-*+]|\d+[.)])\s*\[.?\]`)

// noSteps refuses what looks like a step where it would not be one.
func (p *parsing) noSteps(n ast.Node, phase Phase) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *tasks.TaskCheckBox:
			p.fail(p.at(n.Parent()), "this task item would never be executed; put it at the left margin of Preconditions, Steps, Verify or Abort, or remove its checkbox")
			return ast.WalkSkipChildren, nil
		case *ast.HTMLBlock:
			p.fail(p.at(n), "HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown")
		case *ast.RawHTML:
			p.fail(p.place(n.Segments.At(0).Start), "HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown")
		case *ast.FencedCodeBlock:
			p.closed(n)
		case *ast.Paragraph, *ast.TextBlock:
			p.looksLikeStep(n, 0, phase)
		}
		return ast.WalkContinue, nil
	})
}

// looksLikeStep finds list markers that Markdown read as text, from the given line of a paragraph on.
func (p *parsing) looksLikeStep(n ast.Node, from int, phase Phase) {
	if phase == "" {
		return
	}
	for i := from; i < n.Lines().Len(); i++ {
		seg := n.Lines().At(i)
		if stepLike.Match(p.src[seg.Start:seg.Stop]) {
			p.fail(p.place(seg.Start), "this line looks like a step but is read as text; begin it with \"- [ ] \" at the left margin, after an empty line")
		}
	}
}

// closed refuses a fence that is never closed: it swallows everything after it.
func (p *parsing) closed(f *ast.FencedCodeBlock) {
	last := p.at(f).line
	if n := f.Lines().Len(); n > 0 {
		last = p.place(f.Lines().At(n - 1).Start).line
	}
	end := strings.TrimLeft(p.line(last+1), " \t>")
	if !strings.HasPrefix(end, "```") && !strings.HasPrefix(end, "~~~") {
		p.fail(p.at(f), "this block is never closed; end it with a line ``` indented like its beginning")
	}
}

// at returns where a block begins.
func (p *parsing) at(n ast.Node) place {
	switch n := n.(type) {
	case *ast.FencedCodeBlock:
		switch {
		case n.Info != nil:
			at := p.place(n.Info.Segment.Start)
			line := p.line(at.line)
			return place{line: at.line, col: indexOfFence(line) + 1}
		case n.Lines().Len() > 0:
			line := p.place(n.Lines().At(0).Start).line - 1
			return place{line: line, col: indexOfFence(p.line(line)) + 1}
		}
	case *ast.HTMLBlock:
		if n.Lines().Len() > 0 {
			return p.place(n.Lines().At(0).Start)
		}
	}
	if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
		return p.place(n.Lines().At(0).Start)
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if c.Type() == ast.TypeBlock {
			return p.at(c)
		}
	}
	if n.Pos() > 0 {
		return p.place(n.Pos())
	}
	if prev := n.PreviousSibling(); prev != nil {
		return p.at(prev)
	}
	if n.Parent() != nil && n.Parent().Kind() != ast.KindDocument {
		return p.at(n.Parent())
	}
	return place{line: 1, col: 1}
}

func indexOfFence(line string) int {
	for i, c := range []rune(line) {
		if c == '`' || c == '~' {
			return i
		}
	}
	return 0
}

// raw is a block's text as written.
func (p *parsing) raw(n ast.Node) string { return string(n.Lines().Value(p.src)) }

// plain is a block's text on one line.
func (p *parsing) plain(n ast.Node) string { return strings.Join(strings.Fields(p.raw(n)), " ") }

func valueOf[T any](v *T) reflect.Value { return reflect.ValueOf(v).Elem() }

// oneOf lists words for a message: "a, b or c".
func oneOf[T ~string](list []T) string {
	var b strings.Builder
	for i, w := range list {
		switch {
		case i == 0:
		case i == len(list)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}
