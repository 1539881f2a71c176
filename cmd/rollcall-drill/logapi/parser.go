package logapi

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

const (
	maxQuery = 128 << 10
	maxDepth = 100 // of parentheses

	maxWindow = 10 * 365 * 24 * time.Hour
)

var errNoSelection = errors.New("parse error : queries require at least one regexp or equality matcher that does not have " +
	`an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will`)

// parse reads a query. Its errors are *parseError or errNoSelection.
func parse(query string) (e expr, err error) {
	if len(query) > maxQuery {
		return nil, &parseError{1, 1, fmt.Sprintf("the query is longer than %d bytes", maxQuery)}
	}
	toks, perr := lex(query)
	if perr != nil {
		return nil, perr
	}
	p := &parser{query: query, toks: toks}
	defer p.rescue(&err)
	e = p.expr()
	if p.cur().kind != tokEnd {
		p.unexpected("the end of the query")
	}
	return e, nil
}

// parseLogQuery reads a query for lines.
func parseLogQuery(query string) (*logQuery, error) {
	e, err := parse(query)
	if err != nil {
		return nil, err
	}
	q, ok := e.(*logQuery)
	if !ok {
		return nil, &parseError{1, 1, "only log selectors are supported here, and this is a metric query"}
	}
	return q, nil
}

// parseSelector reads a stream selector alone.
func parseSelector(query string) (selector, error) {
	q, err := parseLogQuery(query)
	if err != nil {
		return nil, err
	}
	if len(q.stages) > 0 {
		return nil, &parseError{1, 1, "only label matchers are supported here"}
	}
	return q.sel, nil
}

// parser walks over the tokens by recursive descent. Mistakes are panics of
// *parseError or errNoSelection, caught in rescue.
type parser struct {
	query string
	toks  []token
	i     int
	depth int
}

func (p *parser) rescue(err *error) {
	switch r := recover().(type) {
	case nil:
	case *parseError:
		*err = r
	case error:
		if !errors.Is(r, errNoSelection) {
			panic(r)
		}
		*err = r
	default:
		panic(r)
	}
}

func (p *parser) cur() token { return p.toks[p.i] }

func (p *parser) peek() token { return p.toks[min(p.i+1, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.cur()
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *parser) fail(t token, format string, args ...any) {
	panic(at(p.query, t.pos, fmt.Sprintf(format, args...)))
}

// unexpected reports the current token; want says what could stand there.
func (p *parser) unexpected(want string) {
	t := p.cur()
	if (t.kind == tokName || t.kind == tokSymbol) && unsupported[t.text] {
		p.fail(t, "syntax error: %s is not supported by this log server", t.describe())
	}
	p.fail(t, "syntax error: unexpected %s, expecting %s", t.describe(), want)
}

// is reports whether the current token is that symbol or keyword.
func (p *parser) is(text string) bool {
	t := p.cur()
	return (t.kind == tokSymbol || t.kind == tokName) && t.text == text
}

// accept steps over the symbol or keyword if it comes next.
func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(text string) token {
	if !p.is(text) {
		p.unexpected(fmt.Sprintf("%q", text))
	}
	return p.next()
}

func (p *parser) want(kind tokenKind, what string) token {
	if p.cur().kind != kind {
		p.unexpected(what)
	}
	return p.next()
}

// nest counts open parentheses, so that a hostile query cannot exhaust the stack.
func (p *parser) nest() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.cur(), "syntax error: more than %d levels of parentheses", maxDepth)
	}
	return func() { p.depth-- }
}

// expr reads operators from the loosest to the tightest: or; + -; * /.
func (p *parser) expr() expr { return p.binary(0) }

var precedence = [][]string{{"or"}, {"+", "-"}, {"*", "/"}}

func (p *parser) binary(level int) expr {
	if level == len(precedence) {
		return p.operand()
	}
	left := p.binary(level + 1)
	for slices.ContainsFunc(precedence[level], p.is) {
		op := p.next()
		if p.cur().kind == tokName && unsupported[p.cur().text] {
			p.unexpected("a metric expression")
		}
		right := p.binary(level + 1)
		for _, leg := range []expr{left, right} {
			if _, isLog := leg.(*logQuery); isLog {
				p.fail(op, "unexpected type for a leg of binary operation (%s): a log query; expecting a metric query", op.text)
			}
		}
		_, leftIsNumber := left.(number)
		_, rightIsNumber := right.(number)
		if op.text == "or" && (leftIsNumber || rightIsNumber) {
			p.fail(op, "unexpected literal for a leg of logical/set binary operation (or)")
		}
		left = &binary{op.text, left, right}
	}
	return left
}

func (p *parser) operand() expr {
	t := p.cur()
	switch {
	case p.is("{"):
		return p.logQuery()
	case p.is("("):
		defer p.nest()()
		p.next()
		e := p.expr()
		p.expect(")")
		if q, ok := e.(*logQuery); ok {
			q.stages = append(q.stages, p.stages()...)
		}
		return e
	case t.kind == tokNumber || p.is("+") || p.is("-"):
		return number(p.number())
	case t.kind == tokName && p.peek().text == "(" && t.text == "vector":
		p.next()
		p.expect("(")
		v := p.number()
		p.expect(")")
		return vector(v)
	case t.kind == tokName && (lineFunctions[t.text] || valueFunctions[t.text]):
		return p.rangeAgg()
	case t.kind == tokName && aggregations[t.text]:
		return p.vectorAgg()
	}
	p.unexpected(`a log selector such as {job="a"} or a metric expression`)
	return nil
}

func (p *parser) number() float64 {
	sign := 1.0
	switch {
	case p.accept("-"):
		sign = -1
	case p.accept("+"):
	}
	return sign * p.want(tokNumber, "a number").num
}

// logQuery reads a selector and the stages after it.
func (p *parser) logQuery() *logQuery {
	sel := p.selector()
	return &logQuery{sel: sel, stages: p.stages()}
}

func (p *parser) selector() selector {
	p.expect("{")
	var sel selector
	selective := false
	for !p.is("}") {
		m := p.matcher()
		sel = append(sel, m)
		selective = selective || (m.op == "=" || m.op == "=~") && !m.matches("")
		if !p.accept(",") {
			break
		}
	}
	p.expect("}")
	if !selective {
		panic(errNoSelection)
	}
	return sel
}

var matchOps = []string{"=", "!=", "=~", "!~"}

func (p *parser) matcher() matcher {
	name := p.want(tokName, `a label name or "}"`)
	if !slices.ContainsFunc(matchOps, p.is) {
		p.unexpected("one of = != =~ !~")
	}
	op := p.next()
	return p.match(name.text, op.text, p.want(tokString, "a string"))
}

// match makes a matcher of a label. Its expression has to match the whole value.
func (p *parser) match(name, op string, value token) matcher {
	m := matcher{name: name, op: op, value: value.text}
	if op == "=~" || op == "!~" {
		m.re = p.regexp(value, "^(?s:"+value.text+")$")
	}
	return m
}

func (p *parser) regexp(t token, text string) *regexp.Regexp {
	re, err := regexp.Compile(text)
	if err != nil {
		p.fail(t, "invalid regular expression: %v", err)
	}
	return re
}

// rangeAgg reads function([parameter,] log query [window] …) [grouping].
func (p *parser) rangeAgg() expr {
	name := p.next()
	p.expect("(")
	defer p.nest()()
	a := &rangeAgg{op: name.text}
	if a.op == "quantile_over_time" {
		a.q01 = p.number()
		p.expect(",")
	}
	p.rangeOf(a)
	p.expect(")")
	switch {
	case a.window == 0:
		p.fail(name, "%s needs a range such as [5m] after the log selector", a.op)
	case a.unwrap == nil && !lineFunctions[a.op]:
		p.fail(name, "invalid aggregation %s without unwrap", a.op)
	case a.unwrap != nil && !valueFunctions[a.op]:
		p.fail(name, "invalid aggregation %s with unwrap", a.op)
	}
	if p.is("by") || p.is("without") {
		if !groupable[a.op] {
			p.fail(p.cur(), "grouping not allowed for %s aggregation", a.op)
		}
		a.group = p.grouping()
	}
	return a
}

// rangeOf reads the log query of a range function; the window may stand before
// or behind the pipeline, and parentheses around either.
func (p *parser) rangeOf(a *rangeAgg) {
	if p.is("(") {
		defer p.nest()()
		p.next()
		p.rangeOf(a)
		p.expect(")")
	} else {
		a.q = &logQuery{sel: p.selector()}
	}
	for {
		switch {
		case p.is("[") && a.window == 0:
			p.next()
			t := p.cur()
			a.window = p.duration()
			if a.window <= 0 {
				p.fail(t, "syntax error: the range must be longer than nothing")
			}
			p.expect("]")
			if p.accept("offset") {
				sign := time.Duration(1)
				if p.accept("-") {
					sign = -1
				}
				a.offset = sign * p.duration()
			}
		case p.is("|") && p.peek().text == "unwrap":
			if a.unwrap != nil {
				p.fail(p.peek(), "syntax error: unwrap stands there already")
			}
			p.next()
			a.unwrap = p.unwrap()
		case p.startsStage():
			s := p.stage()
			if a.unwrap == nil {
				a.q.stages = append(a.q.stages, s)
				continue
			}
			if _, ok := s.(labelFilter); !ok {
				p.fail(p.cur(), "syntax error: only label filters may follow unwrap")
			}
			a.unwrap.after = append(a.unwrap.after, s)
		default:
			return
		}
	}
}

func (p *parser) duration() time.Duration {
	t := p.want(tokDuration, "a duration such as 5m")
	d, _ := parseDuration(t.text) // the lexer read it once
	if d > maxWindow {
		p.fail(t, "the duration is longer than ten years")
	}
	return d
}

func (p *parser) unwrap() *unwrap {
	p.expect("unwrap")
	name := p.want(tokName, "a label name")
	u := &unwrap{label: name.text}
	if p.accept("(") {
		switch name.text {
		case "duration", "duration_seconds", "bytes":
		default:
			p.fail(name, "syntax error: unwrap knows duration, duration_seconds and bytes, not %s", name.describe())
		}
		u.convert = name.text
		u.label = p.want(tokName, "a label name").text
		p.expect(")")
	}
	return u
}

// vectorAgg reads sum(…), sum by (a) (…) and sum(…) by (a).
func (p *parser) vectorAgg() expr {
	name := p.next()
	a := &vectorAgg{op: name.text}
	if p.is("by") || p.is("without") {
		a.group = p.grouping()
	}
	open := p.expect("(")
	defer p.nest()()
	a.of = p.expr()
	p.expect(")")
	switch a.of.(type) {
	case *logQuery:
		p.fail(open, "%s needs a metric expression, such as rate({…}[5m]), not a log query", a.op)
	case number:
		p.fail(open, "%s needs a metric expression, not a number", a.op)
	}
	if a.group == nil && (p.is("by") || p.is("without")) {
		a.group = p.grouping()
	}
	return a
}

func (p *parser) grouping() *grouping {
	g := &grouping{without: p.next().text == "without"}
	p.expect("(")
	for !p.is(")") {
		g.names = append(g.names, p.want(tokName, "a label name").text)
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return g
}
