package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/sources/redact"
)

const (
	varTimeout  = 20 * time.Second // of a command that gives a variable its value, wall
	planMeasure = 8 * time.Second  // for what the checks would say now, wall
	maxValue    = 4096             // bytes of a variable
)

// Plan resolves a runbook's variables, in the order of the file, and says what
// its checks would say now. It changes nothing: the commands it runs only read.
// vars are a person's answers; they win over every source.
func (e *Engine) Plan(ctx context.Context, rb *runbooks.Runbook, t Target, vars map[string]string) (*Plan, error) {
	for name := range vars {
		if !slices.ContainsFunc(rb.Vars, func(v runbooks.Var) bool { return v.Name == name }) {
			return nil, fmt.Errorf("%s has no variable %q; it has %s", rb.ID, redact.SanitizeLine(name, 64), names(rb.Vars))
		}
	}
	p := &Plan{Runbook: rb, Target: t}
	for _, v := range rb.Vars {
		if reserved(v.Name) {
			return nil, fmt.Errorf("%s:%d: the variable %s would change how commands run; give it another name", rb.File, v.Line, v.Name)
		}
		value, why, err := e.value(ctx, p, v, vars)
		if err != nil {
			return nil, err
		}
		if p.Why == "" {
			p.Why = why
		}
		p.Vars = append(p.Vars, value)
	}
	p.Doubts = e.doubts(ctx, rb)
	p.Now = e.now(ctx, rb, t, p.Vars)
	if t.Rehearsal {
		p.Doubts = append(p.Doubts, failingLive(p.Now)...)
	}
	return p, ctx.Err()
}

// failingLive says of a rehearsal which checks cannot pass: they measure what is live.
func failingLive(now []PlannedCheck) []string {
	var names []string
	for i := range now {
		if now[i].Sample.Verdict == Failed {
			names = append(names, now[i].Step)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"checks measure what is live, also in a rehearsal, and there this fails now: " + strings.Join(names, ", ") + "; rehearse when nothing is bad"}
}

func names(vars []runbooks.Var) string {
	if len(vars) == 0 {
		return "none"
	}
	var out []string
	for _, v := range vars {
		out = append(out, v.Name)
	}
	return strings.Join(out, ", ")
}

// value resolves one variable; without a value it carries the question.
func (e *Engine) value(ctx context.Context, p *Plan, v runbooks.Var, answers map[string]string) (out Value, why string, err error) {
	out = Value{Name: v.Name}
	if given, ok := answers[v.Name]; ok {
		if err := acceptable(given); err != nil {
			return out, "", fmt.Errorf("%s: %w", v.Name, err)
		}
		out.Value, out.From = given, "you"
		return out, "", nil
	}
	var tried []string
	question, choose := "", []string(nil)
	for _, s := range v.Sources {
		switch {
		case s.Suspect != "":
			if e.Suspect == nil {
				continue
			}
			version, because, ok := e.Suspect(ctx, p.Target.Service, s.Suspect)
			if !ok || acceptable(version) != nil || version == "" {
				tried = append(tried, "no "+s.Suspect+" is suspected now")
				continue
			}
			out.Value, out.From = version, "suspect "+s.Suspect
			return out, because, nil
		case len(s.Run) > 0:
			printed, failure := e.asked(ctx, p, s.Run)
			got := firstLine(printed)
			if failure == "" {
				if err := acceptable(got); err != nil {
					failure = strings.Join(s.Run, " ") + ": " + err.Error()
				}
			}
			if failure != "" {
				tried = append(tried, failure)
				continue
			}
			out.Value, out.From = got, strings.Join(s.Run, " ")
			return out, "", nil
		case s.Ask != "":
			question, choose = s.Ask, s.Choose
		default:
			out.Value, out.From = Resolve(s.Value, p.Vars), "the runbook"
			return out, "", nil
		}
	}
	if question == "" {
		question = "Which value has " + v.Name + "?"
	}
	if len(tried) > 0 {
		question += " (" + strings.Join(tried, "; ") + ")"
	}
	out.Ask = question
	if len(choose) > 0 {
		var failure string
		if out.Offers, failure = e.offers(ctx, p, choose); failure != "" {
			out.Ask += " (" + failure + ")"
		}
	}
	return out, "", nil
}

// mostOffers is how many values a person is offered.
const mostOffers = 100

// offers runs the command that lists what there is to choose from: a value on each line,
// and behind it what it is. Lines whose value no variable may have are left out.
func (e *Engine) offers(ctx context.Context, p *Plan, argv []string) (out []Offer, failure string) {
	printed, failure := e.asked(ctx, p, argv)
	for line := range strings.Lines(printed) {
		value, note, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value == "" || len(out) == mostOffers || acceptable(value) != nil || slices.ContainsFunc(out, func(o Offer) bool { return o.Value == value }) {
			continue
		}
		out = append(out, Offer{value, redact.SanitizeLine(e.Redact(strings.TrimSpace(note)), 120)})
	}
	return out, failure
}

// asked runs a command that only reads and returns what it printed.
func (e *Engine) asked(ctx context.Context, p *Plan, argv []string) (value, failure string) {
	words, missing := substitute(argv, p.Vars)
	shown := strings.Join(argv, " ")
	if missing != "" {
		return "", shown + " needs " + missing
	}
	env := e.environ("", moving{p.Runbook.Component, p.Runbook.Settings}, p.Target, p.Vars, "", runbooks.Read)
	out, err := e.quick(ctx, words, env, varTimeout)
	if err != nil {
		return "", fmt.Sprintf("%s: %s", shown, err)
	}
	if firstLine(out) == "" {
		return "", shown + " printed nothing"
	}
	return out, ""
}

// substitute replaces the words $NAME of a command by values. They stay words:
// no shell sees them.
func substitute(argv []string, vars []Value) (out []string, missing string) {
	for _, w := range argv {
		name, is := strings.CutPrefix(w, "$")
		if !is {
			out = append(out, w)
			continue
		}
		name = strings.Trim(name, "{}")
		i := slices.IndexFunc(vars, func(v Value) bool { return v.Name == name })
		if i < 0 || vars[i].Value == "" {
			return nil, name
		}
		out = append(out, vars[i].Value)
	}
	return out, ""
}

// acceptable refuses what no version or name is: it may come from a service that lies.
func acceptable(v string) error {
	switch {
	case len(v) > maxValue:
		return fmt.Errorf("the value has %d bytes and %d are the most; give a shorter one", len(v), maxValue)
	case strings.ContainsFunc(v, unicode.IsControl) || redact.Sanitize(v) != v:
		return fmt.Errorf("the value %q holds line breaks or control characters; give a plain one", redact.SanitizeLine(v, 80))
	}
	return nil
}

// now measures each check once.
func (e *Engine) now(ctx context.Context, rb *runbooks.Runbook, t Target, vars []Value) []PlannedCheck {
	ctx, cancel := context.WithTimeout(ctx, planMeasure)
	defer cancel()
	out := make([]PlannedCheck, 0, len(rb.Steps))
	var wg sync.WaitGroup
	gate := make(chan struct{}, 4)
	for i := range rb.Steps {
		s := &rb.Steps[i]
		if s.Check == nil {
			continue
		}
		out = append(out, PlannedCheck{Step: s.Name})
	}
	for i := range out {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			out[i].Sample = e.measure(ctx, t, rb.Step(out[i].Step).Check, vars, nil)
		})
	}
	wg.Wait()
	return out
}

// doubts are what a person should know before starting.
func (e *Engine) doubts(ctx context.Context, rb *runbooks.Runbook) []string {
	all, err := e.Rehearsals(ctx)
	if err != nil {
		return []string{"whether it was rehearsed is not known: " + err.Error()}
	}
	r, ok := all[rb.ID]
	switch {
	case !ok:
		return []string{"never rehearsed; rollcall runbook rehearse " + rb.ID}
	case r.Hash != rb.Hash:
		return []string{"changed since its rehearsal on " + r.At.UTC().Format("2006-01-02")}
	case rb.RehearseEvery > 0 && e.Clock.Now().Sub(r.At) > rb.RehearseEvery:
		return []string{"its rehearsal on " + r.At.UTC().Format("2006-01-02") + " is overdue"}
	}
	return nil
}

// environment of a condition, apart from what is measured.
func (e *Engine) env(ctx context.Context, t Target, vars []Value, taken snapshots) runbooks.Env {
	env := runbooks.Env{Vars: map[string]string{}, Snapshot: taken}
	for _, v := range vars {
		env.Vars[v.Name] = v.Value
	}
	env.Now = func(signal string) sources.Num {
		r, err := e.Signals.Measure(ctx, t.Service, signal)
		if err != nil || !r.Known {
			return sources.Num{}
		}
		return sources.N(r.Value)
	}
	return env
}
