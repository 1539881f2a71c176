package runbooks

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"rollcall/sources/nearest"
)

// taming rewrites a parsed condition: numbers that may be unknown become calls
// that fail when they are, division by zero fails, and everything that a
// condition has no use for is refused.
type taming struct {
	scope Scope
	now   []string
	err   *ConditionError // the first mistake; its Column is an offset from 0
}

func (t *taming) fail(n ast.Node, format string, args ...any) ast.Node {
	if t.err == nil {
		t.err = &ConditionError{n.Location().From, fmt.Sprintf(format, args...)}
	}
	return n
}

func (t *taming) node(n ast.Node) ast.Node {
	if t.err != nil {
		return n
	}
	switch m := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConstantNode:
	case *ast.IdentifierNode:
		return t.name(m)
	case *ast.MemberNode:
		return t.member(m)
	case *ast.UnaryNode:
		if !slices.Contains([]string{"!", "not", "-", "+"}, m.Operator) {
			return t.fail(n, "the operator %s has no use in a condition", m.Operator)
		}
		m.Node = t.node(m.Node)
	case *ast.BinaryNode:
		return t.binary(m)
	case *ast.ConditionalNode:
		m.Cond, m.Exp1, m.Exp2 = t.node(m.Cond), t.node(m.Exp1), t.node(m.Exp2)
	case *ast.ArrayNode:
		for i := range m.Nodes {
			m.Nodes[i] = t.node(m.Nodes[i])
		}
	case *ast.BuiltinNode:
		if m.Name == "min" || m.Name == "max" {
			if len(m.Arguments) < 2 {
				return t.fail(n, "%s needs two numbers: %s(usual * 1.3, 0.03)", m.Name, m.Name)
			}
		}
		for i := range m.Arguments {
			m.Arguments[i] = t.node(m.Arguments[i])
		}
	case *ast.CallNode:
		name := "this"
		if id, ok := m.Callee.(*ast.IdentifierNode); ok {
			name = id.Value
		}
		return t.fail(n, "there is no function %s; the functions are min, max, abs, trim and lower", name)
	default:
		return t.fail(n, "this has no use in a condition; compare numbers and texts with operators, min, max, abs, trim and lower")
	}
	return n
}

func (t *taming) binary(m *ast.BinaryNode) ast.Node {
	if m.Operator != "/" && !slices.Contains(operators, m.Operator) {
		return t.fail(m, "the operator %s has no use in a condition", m.Operator)
	}
	if m.Operator == "matches" {
		re, ok := m.Right.(*ast.StringNode)
		if !ok {
			return t.fail(m.Right, `matches needs a pattern in quotes: GOOD matches "^v[0-9]+$"`)
		}
		if _, err := regexp.Compile(re.Value); err != nil {
			return t.fail(m.Right, "%s", strings.Replace(err.Error(), "error parsing regexp: ", "not a pattern: ", 1))
		}
	}
	m.Left, m.Right = t.node(m.Left), t.node(m.Right)
	if m.Operator == "/" {
		return call(m, divName, m.Left, m.Right)
	}
	return m
}

func (t *taming) name(id *ast.IdentifierNode) ast.Node {
	switch {
	case slices.Contains(t.scope.Vars, id.Value):
		return id
	case id.Value == "value" && t.scope.Value == TextValue:
		return id
	case (id.Value == "value" || id.Value == "usual") && t.scope.Value == NumberValue:
		return number(id, id.Value, "", "")
	case id.Value == "value" || id.Value == "usual":
		return t.fail(id, "there is no %s here; use now.SIGNAL or snapshot.STEP.SIGNAL", id.Value)
	case id.Value == "now":
		return t.fail(id, "now needs a signal: now.schema_fail")
	case id.Value == "snapshot":
		return t.fail(id, "snapshot needs a step and a signal: snapshot.before.schema_fail")
	}
	names := slices.Concat(t.scope.Vars, []string{"now", "snapshot"})
	if t.scope.Value != NoValue {
		names = append(names, "value", "usual")
	}
	if near := nearest.Word(id.Value, names); near != "" {
		return t.fail(id, "unknown name %s; did you mean %s?", id.Value, near)
	}
	return t.fail(id, "unknown name %s; there are value, usual, now.SIGNAL, snapshot.STEP.SIGNAL and the variables of the runbook", id.Value)
}

// member handles now.SIGNAL and snapshot.STEP.SIGNAL.
func (t *taming) member(m *ast.MemberNode) ast.Node {
	last, ok := m.Property.(*ast.StringNode)
	if !ok || m.Optional {
		return t.fail(m, "this has no use in a condition; write now.SIGNAL or snapshot.STEP.SIGNAL")
	}
	switch of := m.Node.(type) {
	case *ast.IdentifierNode:
		switch of.Value {
		case "now":
			if !t.signal(m.Property, last.Value) {
				return m
			}
			t.now = append(t.now, last.Value)
			return number(m, "now", "", last.Value)
		case "snapshot":
			return t.fail(m, "snapshot.%s needs a signal: snapshot.%s.schema_fail", last.Value, last.Value)
		}
	case *ast.MemberNode:
		base, isName := of.Node.(*ast.IdentifierNode)
		step, isText := of.Property.(*ast.StringNode)
		if isName && isText && base.Value == "snapshot" && !of.Optional {
			return t.snapshot(m, of.Property, step.Value, last.Value)
		}
	}
	return t.fail(m, "only now and snapshot have parts; write now.SIGNAL or snapshot.STEP.SIGNAL")
}

func (t *taming) snapshot(m *ast.MemberNode, at ast.Node, step, sig string) ast.Node {
	if t.scope.Snapshots != nil {
		recorded, ok := t.scope.Snapshots[step]
		if !ok {
			return t.fail(at, "no snapshot %s comes before this step%s", step, orMeant(step, slices.Sorted(maps.Keys(t.scope.Snapshots))))
		}
		if !slices.Contains(recorded, sig) {
			return t.fail(m.Property, "the snapshot %s does not record %s; it records %s", step, sig, strings.Join(recorded, ", "))
		}
	}
	return number(m, "snapshot", step, sig)
}

func (t *taming) signal(at ast.Node, id string) bool {
	if t.scope.Signals == nil || t.scope.Signals(id) {
		return true
	}
	t.fail(at, "unknown signal %s%s", id, orMeant(id, t.scope.Known))
	return false
}

// orMeant ends a message about an unknown name with what may have been meant.
func orMeant(word string, known []string) string {
	if near := nearest.Word(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(known) > 0 {
		return "; there are " + strings.Join(known, ", ")
	}
	return ""
}

func number(at ast.Node, kind, step, sig string) ast.Node {
	return call(at, readName, quoted(at, kind), quoted(at, step), quoted(at, sig))
}

func quoted(at ast.Node, s string) ast.Node {
	n := &ast.StringNode{Value: s}
	n.SetLocation(at.Location())
	return n
}

func call(at ast.Node, name string, args ...ast.Node) ast.Node {
	callee := &ast.IdentifierNode{Value: name}
	callee.SetLocation(at.Location())
	n := &ast.CallNode{Callee: callee, Arguments: args}
	n.SetLocation(at.Location())
	return n
}

func divide(a, b any) (float64, error) {
	x, okX := float(a)
	y, okY := float(b)
	switch {
	case !okX || !okY:
		return 0, errors.New("only numbers can be divided")
	case y == 0:
		return 0, fmt.Errorf("the quotient is %w: it divides by zero", ErrUnknownValue)
	}
	return x / y, nil
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	}
	return 0, false
}

// conditionError takes the place out of an error of the expression library.
func conditionError(err error) *ConditionError {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return &ConditionError{1, plainly(err.Error())}
	}
	if fe.Line > 1 {
		return &ConditionError{1, plainly(fe.Message)}
	}
	return &ConditionError{fe.Column + 1, plainly(fe.Message)}
}

var (
	numberTypes = regexp.MustCompile(`\b(float64|integer|int)\b`)
	plainWords  = strings.NewReplacer(
		"mismatched types", "these do not go together:",
		"unexpected token EOF", "it ends too early",
		`unexpected token Operator("=")`, "write == to compare",
		"compilation failed: expression exceeds maximum allowed nodes", "it has too many parts; make two steps of it",
		"expected bool, but got number", "it is a number; compare it with something",
		"expected bool, but got string", "it is a text; compare it with something",
	)
)

// plainly says a message of the expression library in the words of this package.
func plainly(msg string) string {
	return plainWords.Replace(numberTypes.ReplaceAllString(oneLine(msg), "number"))
}

// column turns an offset of a one-line source into a column.
func column(src string, offset int) int {
	if strings.Contains(src, "\n") {
		return 1
	}
	return min(offset, len([]rune(src))) + 1
}
