package logapi

import "slices"

var lineFilterOps = []string{"|=", "!=", "|~", "!~"}

// startsStage reports whether a pipeline stage comes next.
func (p *parser) startsStage() bool {
	return p.is("|") || p.is("|>") || p.is("!>") || slices.ContainsFunc(lineFilterOps, p.is)
}

// stages reads a pipeline up to what does not belong to it.
func (p *parser) stages() []stage {
	var out []stage
	for p.startsStage() {
		out = append(out, p.stage())
	}
	return out
}

func (p *parser) stage() stage {
	if slices.ContainsFunc(lineFilterOps, p.is) {
		return p.lineFilter()
	}
	if !p.is("|") {
		p.unexpected("a pipeline stage")
	}
	p.next()
	t := p.cur()
	switch {
	case p.accept("json"), p.accept("logfmt"):
		if p.cur().kind == tokName || p.is("-") {
			p.fail(p.cur(), "syntax error: arguments of %s are not supported by this log server", t.text)
		}
		return parserStage(t.text)
	case p.is("unwrap"):
		p.fail(t, "syntax error: unwrap stands only inside functions over a range")
	case p.is("("), t.kind == tokName && (p.isOperator(p.peek()) || !unsupported[t.text]):
		return p.labelFilterOr()
	}
	p.unexpected("json, logfmt or a label filter")
	return nil
}

// lineFilter reads |= "a" or "b".
func (p *parser) lineFilter() stage {
	op := p.next().text
	f := lineFilter{negative: op[0] == '!'}
	for {
		t := p.want(tokString, "a string")
		if op == "|~" || op == "!~" {
			f.res = append(f.res, p.regexp(t, t.text))
		} else {
			f.texts = append(f.texts, t.text)
		}
		// An "or" that no string follows belongs to the expression around.
		if !p.is("or") || p.peek().kind != tokString {
			return f
		}
		p.next()
	}
}

// Label filters: "or" binds looser than "and", "," and plain juxtaposition.

func (p *parser) labelFilterOr() labelFilter {
	left := p.labelFilterAnd()
	for p.is("or") && p.startsLabelFilter(p.peek()) {
		p.next()
		left = orFilter{left, p.labelFilterAnd()}
	}
	return left
}

func (p *parser) labelFilterAnd() labelFilter {
	left := p.labelFilterTerm()
	for {
		switch {
		case p.is("and") || p.is(","):
			p.next()
		case p.cur().kind == tokName && !p.is("or") && p.startsLabelFilter(p.cur()):
		default:
			return left
		}
		left = andFilter{left, p.labelFilterTerm()}
	}
}

func (p *parser) startsLabelFilter(t token) bool {
	return t.kind == tokName || t.kind == tokSymbol && t.text == "("
}

func (p *parser) isOperator(t token) bool {
	return t.kind == tokSymbol && (slices.Contains(matchOps, t.text) || slices.Contains(compareOps, t.text))
}

var compareOps = []string{"==", "=", "!=", ">", ">=", "<", "<="}

func (p *parser) labelFilterTerm() labelFilter {
	if p.is("(") {
		defer p.nest()()
		p.next()
		f := p.labelFilterOr()
		p.expect(")")
		return f
	}
	name := p.want(tokName, "a label name")
	if !p.isOperator(p.cur()) {
		p.unexpected("an operator such as =, =~ or >=")
	}
	op := p.next()
	value := p.cur()
	negative := p.accept("-")
	if negative {
		value = p.cur()
	}
	switch value.kind {
	case tokString:
		if negative || !slices.Contains(matchOps, op.text) {
			p.fail(op, "syntax error: %s cannot compare with a string; use = != =~ or !~", op.describe())
		}
		p.next()
		return matchFilter{p.match(name.text, op.text, value)}
	case tokNumber, tokDuration, tokSize:
		if op.text == "=~" || op.text == "!~" {
			p.unexpected("a string")
		}
		p.next()
		f := compareFilter{name: name.text, op: op.text, kind: value.kind, value: value.num}
		if negative {
			f.value = -f.value
		}
		return f
	}
	p.unexpected("a string, number, duration or size")
	return nil
}
