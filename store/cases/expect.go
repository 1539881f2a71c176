package cases

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"rollcall/sources"
)

// ErrUsage is a mistake of whoever asked.
var ErrUsage = errors.New("cannot be asked")

// options are Options once understood.
type options struct {
	expect []wish
	rubric string
	shape  *shape
	maxS   float64
	maxUSD float64
}

// wish is what a person expects, of one request or of all.
type wish struct {
	request string
	e       Expectation
}

// parsed understands the options; known tells which requests were captured.
func (o Options) parsed(known func(id string) bool) (options, error) {
	out := options{maxS: o.MaxS, maxUSD: o.MaxUSD, rubric: strings.TrimSpace(o.Rubric)}
	for _, s := range o.Expect {
		w, err := parseWish(s, known)
		if err != nil {
			return out, err
		}
		out.expect = append(out.expect, w)
	}
	if templated(out.rubric) || strings.Contains(out.rubric, "://") {
		return out, fmt.Errorf("%w: a rubric with {{, {%%, {# or :// would be executed or fetched by promptfoo; write it in other words", ErrUsage)
	}
	if o.MaxS < 0 || o.MaxUSD < 0 {
		return out, fmt.Errorf("%w: a limit below zero fails every answer", ErrUsage)
	}
	if o.Shape != nil {
		var err error
		if out.shape, err = parseShape(o.Shape); err != nil {
			return out, fmt.Errorf("%w: the schema %w", ErrUsage, err)
		}
	}
	return out, nil
}

// parseWish reads one of Options.Expect.
func parseWish(s string, known func(id string) bool) (wish, error) {
	var w wish
	if id, rest, ok := strings.Cut(s, "="); ok && known(strings.TrimSpace(id)) {
		w.request, s = strings.TrimSpace(id), rest
	}
	kind, rest, _ := strings.Cut(s, ":")
	e := Expectation{From: Person}
	switch {
	case s == "json":
		e.Kind = ExpectJSON
	case s == "answer":
		e.Kind, e.Value = ExpectMatches, `\S`
	case s == "no-refusal":
		e.Kind, e.Value = ExpectNotMatches, refusal
	case s == "no-leak":
		e.Kind, e.Value = ExpectNotMatches, leakOf(leakKinds())
	case kind == "not":
		e.Kind, e.Value = ExpectNotContains, strings.TrimSpace(rest)
	case kind == "regex":
		e.Kind, e.Value = ExpectMatches, rest
	case kind == "not-regex":
		e.Kind, e.Value = ExpectNotMatches, rest
	case kind == "text":
		e.Kind, e.Value = ExpectContains, rest
	default:
		e.Kind, e.Value = ExpectContains, strings.TrimSpace(s)
	}
	if e.Value == "" && e.Kind != ExpectJSON {
		return w, fmt.Errorf("%w: --expect %q says nothing; give the text that a right answer has", ErrUsage, line(s))
	}
	if e.Kind == ExpectMatches || e.Kind == ExpectNotMatches {
		if err := portable(e.Value); err != nil {
			return w, fmt.Errorf("%w: the pattern %q %w", ErrUsage, line(e.Value), err)
		}
	}
	w.e = e
	return w, nil
}

// portable accepts patterns that mean the same in Go, JavaScript and Python.
func portable(p string) error {
	if _, err := regexp.Compile(p); err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			return fmt.Errorf("is no regular expression: %s", se.Code)
		}
		return fmt.Errorf("is no regular expression: %w", err)
	}
	if strings.Contains(strings.ReplaceAll(p, "(?:", ""), "(?") || regexp.MustCompile(`\\[pPzAQEaCG]|\[\[:|\\x\{`).MatchString(p) {
		return errors.New("has parts that not every tool knows; do without (?...), \\p, \\z, \\A and [[:...:]]")
	}
	if templated(p) {
		return errors.New("would be taken for a template by promptfoo; write \\x7b for {")
	}
	return nil
}

// templated tells whether a template engine would see something to execute.
func templated(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "{%") || strings.Contains(s, "{#")
}

// of is what a person expects of a request.
func (o *options) of(c *capture) []Expectation {
	var out []Expectation
	for _, w := range o.expect {
		if w.request == "" || c.named(w.request) {
			e := w.e
			if e.Kind == ExpectJSON && o.shape != nil {
				e.Schema = o.shape.raw
			}
			out = append(out, e)
		}
	}
	return out
}

// own is what a person expects of this request by its name.
func (o *options) own(c *capture) []Expectation {
	var out []Expectation
	for _, w := range o.expect {
		if w.request != "" && c.named(w.request) {
			out = append(out, w.e)
		}
	}
	return out
}

// reasons are why an answer was bad, as far as anything captured says so.
func (b *builder) reasons(c *capture) []Reason {
	r := &c.row
	var out []Reason
	add := func(cond bool, kind, format string, args ...any) {
		if cond {
			out = append(out, Reason{kind, line(fmt.Sprintf(format, args...))})
		}
	}
	add(r.Schema == "fail" && r.SchemaError == "", BadSchema, "it failed its schema")
	add(r.Schema == "fail" && r.SchemaError != "", BadSchema, "it failed its schema: %s", r.SchemaError)
	add(r.Refusal == "true", BadRefusal, "the model refused")
	add(r.FinishReason == "length", BadCutOff, "it was cut off by the token limit")
	add(len(b.leaked(c)) > 0, BadLeak, "in a privacy incident, it shows %s that the question does not have", strings.Join(b.leaked(c), ", "))
	add(b.o.maxS > 0 && r.Latency.OK && r.Latency.V > b.o.maxS, BadLatency, "it took %.3g s", r.Latency.V)
	add(b.o.maxUSD > 0 && r.CostUSD.OK && r.CostUSD.V > b.o.maxUSD, BadCost, "it cost %.3g USD", r.CostUSD.V)
	add(r.Filter != "" && r.Filter != "none", BadFilter, "a filter acted on it (%s)", r.Filter)
	add(r.Denied != "", BadDenied, "access was denied (%s)", r.Denied)
	schema := r.Schema == "fail" && strings.Contains(strings.ToLower(r.ErrorType), "schema")
	add(r.Outcome == "error" && !schema, BadError, "it ended in an error (%s)", or(r.ErrorType, "of unknown type"))
	add(r.Feedback == "down", BadFeedback, "the user's thumb was down")
	return out
}

// derive is what a right answer has, as far as that follows from why a bad one was bad.
//
// A refusal or a filter in a safety incident may have been right, an error may be the
// provider's, and what displeased a user or an evaluator only a person can say.
func (b *builder) derive(c *capture, why []Reason) []Expectation {
	var out []Expectation
	for _, r := range why {
		e := Expectation{From: Derived}
		switch r.Kind {
		case BadSchema:
			e.Kind = ExpectJSON
			switch {
			case b.o.shape != nil:
				e.Schema = b.o.shape.raw
			default:
				e.Schema = shapeOf(c.row.SchemaError)
			}
		case BadRefusal:
			if b.inc.Category == "safety" {
				continue
			}
			e.Kind, e.Value = ExpectNotMatches, refusalOf(c.said.answer)
		case BadCutOff:
			e.Kind = ExpectFinish
		case BadLeak:
			e.Kind, e.Value = ExpectNotMatches, leakOf(b.leaked(c))
		case BadLatency:
			e.Kind, e.Limit = ExpectLatency, sources.N(b.o.maxS)
		case BadCost:
			e.Kind, e.Limit = ExpectCost, sources.N(b.o.maxUSD)
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// Words say what is expected, for people and for a model that judges.
func (e *Expectation) Words() string {
	switch e.Kind {
	case ExpectJSON:
		if len(e.Schema) > 0 {
			return "the answer is JSON and nothing else, and fits the schema " + string(e.Schema)
		}
		return "the answer is JSON and nothing else"
	case ExpectMatches:
		if e.Value == `\S` {
			return "there is an answer"
		}
		return "the answer matches the pattern " + e.Value
	case ExpectNotMatches:
		switch {
		case e.Value == refusal || strings.HasPrefix(e.Value, refusal+"|"):
			return "the answer does not refuse"
		case strings.HasPrefix(e.Value, "<"):
			return "the answer shows no " + strings.Join(leakNames(e.Value), ", ")
		}
		return "the answer does not match the pattern " + e.Value
	case ExpectContains:
		return fmt.Sprintf("the answer contains %q", e.Value)
	case ExpectNotContains:
		return fmt.Sprintf("the answer does not contain %q", e.Value)
	case ExpectFinish:
		return "the answer is not cut off"
	case ExpectLatency:
		return fmt.Sprintf("the answer takes at most %g s", e.Limit.V)
	case ExpectCost:
		return fmt.Sprintf("the answer costs at most %g USD", e.Limit.V)
	case ExpectRubric:
		return e.Value
	}
	return e.Kind
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
