package redact

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/wasilibs/go-re2/experimental"
)

// patterns are the user's own. One set of all of them runs over a whole batch;
// only a pattern that hits somewhere in it runs on the values.
type patterns struct {
	cfg   []Pattern
	every []int // all of them
	res   []*regexp.Regexp
	set   *experimental.Set // nil: without a prefilter every pattern runs on every value
}

var patternName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

func compile(cfg []Pattern) (*patterns, error) {
	if len(cfg) == 0 {
		return nil, nil
	}
	if len(cfg)+int(kindCount) >= int(opaque) {
		return nil, fmt.Errorf("redact.patterns has %d patterns; at most %d fit", len(cfg), int(opaque)-int(kindCount)-1)
	}
	p := &patterns{cfg: cfg}
	seen := make(map[string]bool)
	pre := make([]string, len(cfg))
	for i, c := range cfg {
		switch {
		case !patternName.MatchString(c.Name):
			return nil, fmt.Errorf("redact.patterns[%d]: name %q is not of lower-case letters, digits and dashes, at most 31, starting with a letter", i, SanitizeLine(c.Name, 60))
		case slices.Contains(builtin[:], c.Name) || seen[c.Name]:
			return nil, fmt.Errorf("redact.patterns[%d]: the name %q is taken; give the pattern one of its own", i, c.Name)
		}
		seen[c.Name] = true
		re, err := regexp.Compile(c.Regexp)
		if err != nil {
			return nil, fmt.Errorf("redact.patterns[%d]: pattern %q: %s", i, c.Name, SanitizeLine(err.Error(), 200))
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("redact.patterns[%d]: pattern %q matches the empty text, so it would match everywhere; make it match at least one character", i, c.Name)
		}
		p.res = append(p.res, re)
		p.every = append(p.every, i)
		pre[i] = lineAnchored(c.Regexp)
	}
	if set, err := experimental.CompileSet(pre); err == nil {
		p.set = set
	}
	return p, nil
}

// lineAnchored turns the anchors of the whole text into those of a line, because
// the prefilter sees many values joined by newlines: it then finds whatever the
// pattern finds in one value, and perhaps more.
func lineAnchored(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return expr
	}
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpBeginText:
			re.Op = syntax.OpBeginLine
		case syntax.OpEndText:
			re.Op = syntax.OpEndLine
		}
		for _, sub := range re.Sub {
			walk(sub)
		}
	}
	walk(re)
	return re.String()
}

// chunk is how much text the prefilter looks at in one call: enough to make the
// call cheap, little enough that a hit makes few values pay.
const chunk = 16 << 10

// candidates says which patterns may hit in the values before until, and not before the previous one's.
type candidates struct {
	until int
	which []int
}

// prefilter finds which patterns hit where. Values are joined by newlines.
func (p *patterns) prefilter(values []*string) []candidates {
	if p == nil || len(values) == 0 {
		return nil
	}
	if p.set == nil {
		return []candidates{{until: len(values), which: p.every}}
	}
	if len(values) == 1 {
		return []candidates{{until: 1, which: p.hits(*values[0])}}
	}
	var out []candidates
	var b strings.Builder
	b.Grow(chunk + 512)
	for i, v := range values {
		b.WriteString(*v)
		b.WriteByte('\n')
		if b.Len() >= chunk || i == len(values)-1 {
			out = append(out, candidates{until: i + 1, which: p.hits(b.String())})
			b = strings.Builder{}
			b.Grow(chunk + 512)
		}
	}
	return out
}

// hits says which patterns may hit in a text.
func (p *patterns) hits(text string) []int {
	switch {
	case p == nil:
		return nil
	case p.set == nil:
		return p.every
	}
	hits, err := p.set.FindAllStringWithError(text, len(p.res))
	if err != nil { // not knowing is no reason to let anything through
		return p.every
	}
	slices.Sort(hits)
	return hits
}

// find adds the hits of the user's patterns to the built-in ones. Where spans
// overlap they become one, so that nothing of either stays; placeholders that
// were there before are left alone.
func (p *patterns) find(s string, which []int, spans []span) []span {
	own := len(spans)
	for _, w := range which {
		for _, m := range p.res[w].FindAllStringSubmatchIndex(s, -1) {
			start, end := m[0], m[1]
			if len(m) > 2 && m[2] >= 0 {
				start, end = m[2], m[3]
			}
			if start < end {
				spans = append(spans, span{start: start, end: end, kind: kindCount + kind(w)})
			}
		}
	}
	if len(spans) == own {
		return spans
	}
	return merge(cut(spans))
}

// cut takes the existing placeholders out of the other spans.
func cut(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int { return a.start - b.start })
	var fixed []span
	for _, sp := range spans {
		if sp.kind == opaque {
			fixed = append(fixed, sp)
		}
	}
	var out []span
	first := 0
	for _, sp := range spans {
		if sp.kind == opaque {
			continue
		}
		for first < len(fixed) && fixed[first].end <= sp.start {
			first++
		}
		for _, f := range fixed[first:] {
			if f.start >= sp.end {
				break
			}
			if f.start > sp.start {
				out = append(out, span{sp.start, f.start, sp.kind, sp.whole})
			}
			sp.start = min(max(sp.start, f.end), sp.end)
		}
		if sp.start < sp.end {
			out = append(out, sp)
		}
	}
	return out
}

// merge makes overlapping spans one, of the kind of the longest.
func merge(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int { return a.start - b.start })
	out := spans[:0]
	longest := 0
	for _, sp := range spans {
		if n := len(out); n > 0 && sp.start < out[n-1].end {
			if sp.end-sp.start > longest {
				out[n-1].kind, longest = sp.kind, sp.end-sp.start
			}
			out[n-1].end = max(out[n-1].end, sp.end)
			out[n-1].whole = out[n-1].whole || sp.whole
			continue
		}
		out = append(out, sp)
		longest = sp.end - sp.start
	}
	return out
}
