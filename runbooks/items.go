package runbooks

import (
	"fmt"
	"strings"

	"github.com/yuin/goldmark/ast"
	tasks "github.com/yuin/goldmark/extension/ast"
)

// items reads the list of a section: each item is a step.
func (p *parsing) items(list *ast.List, phase Phase) {
	for n := list.FirstChild(); n != nil; n = n.NextSibling() {
		if len(p.rb.Steps) >= maxSteps {
			p.fail(p.at(n), "a runbook has at most %d steps; split it", maxSteps)
			return
		}
		p.item(n, phase)
	}
}

// item reads one step: a checkbox, a bold name, one sentence, at most one sh and one yaml block.
func (p *parsing) item(item ast.Node, phase Phase) {
	head := item.FirstChild()
	var box *tasks.TaskCheckBox
	if head != nil {
		box, _ = head.FirstChild().(*tasks.TaskCheckBox)
	}
	if box == nil {
		p.fail(p.at(item), "this item has no checkbox, and every item of %s is a step; begin it with \"- [ ] **name** \", or write prose without a list", phase)
		return
	}
	at, before := p.at(head), len(p.problems)
	if box.IsChecked {
		p.fail(at, "this checkbox is ticked; a runbook is no record of a run, write [ ]")
	}
	s := Step{Phase: phase, Line: at.line}
	s.Name, s.Sentence = p.nameAndSentence(head, box, at)

	under := fmt.Sprint(len(p.rb.Steps))
	p.rb.places[under+".step"] = at
	var script, yaml *ast.FencedCodeBlock
	for n := head.NextSibling(); n != nil; n = n.NextSibling() {
		f, ok := n.(*ast.FencedCodeBlock)
		if !ok {
			p.misfit(n)
			continue
		}
		p.closed(f)
		switch info := p.info(f); info {
		case "sh":
			if script != nil {
				p.fail(p.at(f), "this item has two sh blocks; make two steps of it")
			}
			script = f
		case "yaml":
			if yaml != nil {
				p.fail(p.at(f), "this item has two yaml blocks; put the settings into one")
			}
			yaml = f
		default:
			p.wrongInfo(f, info)
		}
	}
	var set settings
	r := &reader{block: &block{at: []place{at}}, fail: p.fail, at: map[string]place{}}
	if yaml != nil {
		r.block = p.cut(yaml)
		r.read(&set)
	}
	p.keep(under, r)
	if script != nil {
		s.Script = string(script.Lines().Value(p.src))
		if script.Lines().Len() > 0 {
			p.rb.places[under+".script"] = p.place(script.Lines().At(0).Start)
		}
		if strings.TrimSpace(s.Script) == "" {
			p.fail(p.at(script), "this sh block is empty; write the command or remove it")
		}
	}
	if len(p.problems) == before {
		f := &filling{parsing: p, set: &set, read: r, step: &s, at: at}
		f.fill(script != nil)
	}
	p.rb.Steps = append(p.rb.Steps, s)
}

// nameAndSentence splits the item's paragraph after its checkbox.
func (p *parsing) nameAndSentence(head ast.Node, box ast.Node, at place) (name, sentence string) {
	bold, ok := box.NextSibling().(*ast.Emphasis)
	if !ok || bold.Level != 2 {
		p.fail(at, "this step has no name; write - [ ] **name** What to do")
		return "", ""
	}
	end := 0
	for c := bold.FirstChild(); c != nil; c = c.NextSibling() {
		t, ok := c.(*ast.Text)
		if !ok || c.NextSibling() != nil {
			p.fail(at, "a step's name is one plain word; write - [ ] **name** What to do")
			return "", ""
		}
		name, end = string(t.Segment.Value(p.src)), t.Segment.Stop+2
	}
	if !stepForm.MatchString(name) {
		p.fail(at, "step %q is not a name; use small letters, digits, dashes and underscores, at most 40", shorten(name))
	}
	lines := head.Lines()
	if stop := lines.At(lines.Len() - 1).Stop; stop > end {
		sentence = strings.Join(strings.Fields(string(p.src[end:stop])), " ")
	}
	if sentence == "" {
		p.fail(at, "step %s does not say what it does; write a sentence after its name", shorten(name))
	}
	p.looksLikeStep(head, 1, Steps)
	_ = ast.Walk(head, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.RawHTML); ok && entering {
			p.fail(p.place(h.Segments.At(0).Start), "HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown")
		}
		return ast.WalkContinue, nil
	})
	return name, sentence
}

// misfit says why a block does not belong into an item.
func (p *parsing) misfit(n ast.Node) {
	switch n := n.(type) {
	case *ast.CodeBlock:
		p.fail(p.at(n), "an indented block is not executed; write it between ```sh and ```")
	case *ast.List:
		p.fail(p.at(n), "a step cannot hold further items; move them to the left margin")
	case *ast.HTMLBlock:
		p.fail(p.at(n), "HTML is not allowed in a runbook: it can hide what the console obeys; write Markdown")
	default:
		p.fail(p.at(n), "a step is one sentence with at most an sh and a yaml block; move the rest above or below the list")
	}
}

func (p *parsing) info(f *ast.FencedCodeBlock) string {
	if f.Info == nil {
		return ""
	}
	return string(f.Info.Segment.Value(p.src))
}

func (p *parsing) wrongInfo(f *ast.FencedCodeBlock, info string) {
	at := p.at(f)
	if f.Info != nil {
		at = p.place(f.Info.Segment.Start)
	}
	first, more, _ := strings.Cut(info, " ")
	switch {
	case info == "":
		p.fail(at, "this block does not say what it is; write ```sh for a command or ```yaml for settings")
	case (first == "sh" || first == "yaml") && more != "":
		p.fail(at, "nothing may stand after ```%s: code hosts do not show it; put settings into the yaml block", first)
	default:
		p.fail(at, "a block in a step is sh or yaml, not %q", shorten(info))
	}
}

// cut takes YAML out of an indented fence, remembering where its lines stood.
func (p *parsing) cut(f *ast.FencedCodeBlock) *block {
	b := &block{}
	var text strings.Builder
	for i := range f.Lines().Len() {
		seg := f.Lines().At(i)
		at := p.place(seg.Start)
		at.col -= seg.Padding
		b.at = append(b.at, at)
		text.Write(seg.Value(p.src))
	}
	if len(b.at) == 0 {
		b.at = []place{p.at(f)}
	}
	b.text = text.String()
	return b
}
