package runbooks

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"rollcall/sources"
)

// ErrUnknownValue says that a condition needs a number that is not known. It is
// neither true nor false then.
var ErrUnknownValue = errors.New("not known")

// ValueKind says what `value` is in a condition.
type ValueKind int

// The kinds of `value`.
const (
	NoValue     ValueKind = iota // when: there is none
	NumberValue                  // pass, fail: a measurement, with usual
	TextValue                    // reconcile: the first line of a command's output
)

// Scope is what a condition may refer to.
type Scope struct {
	Value     ValueKind
	Vars      []string
	Signals   func(id string) bool // nil: any signal
	Known     []string             // signals for "did you mean"
	Snapshots map[string][]string  // signals by the step that recorded them; nil: any
}

// Env is what a condition is evaluated with.
type Env struct {
	Value, Usual sources.Num
	Text         string // in reconcile, `value` is this
	IsText       bool   // says that Text is meant even where it is empty
	Now          func(signal string) sources.Num
	Snapshot     map[string]map[string]sources.Num // by step and signal
	Vars         map[string]string
}

// ConditionError is a mistake in a condition. Column counts characters from 1.
type ConditionError struct {
	Column int
	Msg    string
}

func (e *ConditionError) Error() string { return e.Msg }

// Condition is a compiled expression that says yes or no.
type Condition struct {
	src     string
	program *vm.Program
	// Signals are those that it reads as they are now.
	Signals []string
}

const (
	maxCondition = 1000 // characters
	maxNodes     = 200
)

// operators that end by themselves and have no other effect than their result.
var operators = []string{
	"+", "-", "*", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "and", "or", "in", "contains", "startsWith", "endsWith", "matches",
}

// Compile compiles a condition. Errors are of type *ConditionError.
func Compile(src string, scope Scope) (*Condition, error) {
	if len(src) > maxCondition {
		return nil, &ConditionError{1, fmt.Sprintf("this condition is longer than %d characters; make two steps of it", maxCondition)}
	}
	env := map[string]any{
		readName: func(string, string, string) (float64, error) { return 0, nil },
		divName:  func(any, any) (float64, error) { return 0, nil },
	}
	for _, v := range scope.Vars {
		env[v] = ""
	}
	if scope.Value == TextValue {
		env["value"] = ""
	}
	config := conf.CreateNew()
	for _, o := range []expr.Option{
		expr.Env(env), expr.AsBool(), expr.DisableAllBuiltins(), expr.MaxNodes(maxNodes),
		expr.EnableBuiltin("min"), expr.EnableBuiltin("max"), expr.EnableBuiltin("abs"), expr.EnableBuiltin("trim"), expr.EnableBuiltin("lower"),
	} {
		o(config)
	}
	for name := range config.Disabled {
		delete(config.Builtins, name)
	}
	config.Check()
	tree, err := parser.ParseWithConfig(src, config)
	if err != nil {
		return nil, conditionError(err)
	}
	t := &taming{scope: scope}
	tree.Node = t.node(tree.Node)
	if t.err != nil {
		t.err.Column = column(src, t.err.Column)
		return nil, t.err
	}
	if _, err := checker.Check(tree, config); err != nil {
		return nil, conditionError(err)
	}
	program, err := compiler.Compile(tree, config)
	if err != nil {
		return nil, conditionError(err)
	}
	slices.Sort(t.now)
	return &Condition{src: src, program: program, Signals: slices.Compact(t.now)}, nil
}

// Eval evaluates the condition from left to right: what decides it early spares
// the rest. The error wraps ErrUnknownValue when a number that it needs is unknown.
func (c *Condition) Eval(env Env) (bool, error) {
	vars := map[string]any{readName: env.read, divName: divide}
	for name, v := range env.Vars {
		vars[name] = v
	}
	vars["value"] = env.Text
	out, err := expr.Run(c.program, vars)
	if err != nil {
		var fe *file.Error
		if errors.As(err, &fe) && fe.Prev != nil {
			err = fe.Prev
		}
		if errors.Is(err, ErrUnknownValue) {
			return false, err
		}
		return false, fmt.Errorf("condition %q: %s; correct the runbook", c.src, plainly(err.Error()))
	}
	yes, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("condition %q says neither true nor false; correct the runbook", c.src)
	}
	return yes, nil
}

// Eval compiles and evaluates a condition that Lint has checked before.
func Eval(cond string, env Env) (bool, error) {
	scope := Scope{Value: NumberValue, Vars: slices.Collect(maps.Keys(env.Vars))}
	if env.IsText || env.Text != "" {
		scope.Value = TextValue
	}
	c, err := Compile(cond, scope)
	if err != nil {
		return false, fmt.Errorf("condition %q: %w; correct the runbook", cond, err)
	}
	return c.Eval(env)
}

// Names of what the rewritten expression calls; with a space, so that no one can write them.
const (
	readName = "a number"
	divName  = "a quotient"
)

// read returns a number of the environment: kind is "value", "usual", "now" or "snapshot".
func (e *Env) read(kind, step, signal string) (float64, error) {
	var n sources.Num
	name := kind
	switch kind {
	case "value":
		n = e.Value
	case "usual":
		n = e.Usual
	case "now":
		name = "now." + signal
		if e.Now != nil {
			n = e.Now(signal)
		}
	case "snapshot":
		name = "snapshot." + step + "." + signal
		n = e.Snapshot[step][signal]
	}
	if !n.OK || !sources.N(n.V).OK {
		return 0, fmt.Errorf("%s is %w", name, ErrUnknownValue)
	}
	return n.V, nil
}
