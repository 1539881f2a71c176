package runbooks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/sources"
	"rollcall/sources/nearest"
)

// Known is what Lint compares a runbook with.
type Known struct {
	// Signal tells about a signal of the service; false when there is none. Nil: nothing is known about signals.
	Signal  func(id string) (SignalFacts, bool)
	Signals []string      // all IDs, for "did you mean"
	Window  time.Duration // what $window of a query of its own stands for
	// Rehearsed returns the last rehearsal that succeeded. Nil: nobody knows, and no notice is given.
	Rehearsed func(runbook string) (Rehearsal, bool)
	Now       time.Time // service time, for overdue rehearsals
}

// SignalFacts are what a check must respect.
type SignalFacts struct {
	Range   time.Duration // how far one value looks back
	Counted bool          // its values say how many requests stand behind them
}

// Rehearsal is a rehearsal that succeeded.
type Rehearsal struct {
	At   time.Time // service time of its end
	Hash string    // of the file that was rehearsed
}

// Lint says what is wrong between the parts of a parsed runbook, and, as
// notices, what a person should know about its state.
func Lint(rb *Runbook, k Known) []Problem {
	l := &linting{rb: rb, known: k, snaps: map[string][]string{}, lines: map[string]int{}}
	if len(rb.Source) > 0 {
		l.text = strings.Split(strings.TrimPrefix(string(rb.Source), "\uFEFF"), "\n")
	}
	for _, v := range rb.Vars {
		l.vars = append(l.vars, v.Name)
	}
	l.front()
	for i := range rb.Steps {
		l.step(i, &rb.Steps[i])
	}
	l.whole()
	l.notices()
	return l.found.sorted()
}

// HasErrors tells whether any problem is more than a notice.
func HasErrors(list []Problem) bool {
	return slices.ContainsFunc(list, func(p Problem) bool { return !p.Notice })
}

type linting struct {
	rb    *Runbook
	known Known
	text  []string // the file's lines
	vars  []string
	snaps map[string][]string // signals by snapshot so far
	lines map[string]int      // of the steps so far, by name
	found problems
}

// at returns where a value stands, or the nearest thing around it.
func (l *linting) at(path string) place {
	for {
		for _, p := range []string{path, path + " key"} {
			if at, ok := l.rb.places[p]; ok {
				return at
			}
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return place{line: 1, col: 1}
		}
		path = path[:i]
		if at, ok := l.rb.places[path+".step"]; ok {
			return at
		}
	}
}

func (l *linting) say(at place, format string, args ...any) {
	if len(l.text) > 0 {
		at.line = min(max(at.line, 1), len(l.text))
		at.col = min(max(at.col, 1), utf8.RuneCountInString(strings.TrimSuffix(l.text[at.line-1], "\r"))+1)
	}
	l.found = append(l.found, Problem{File: l.rb.File, Line: at.line, Column: at.col, Message: fmt.Sprintf(format, args...)})
}

func (l *linting) notice(at place, format string, args ...any) {
	l.say(at, format, args...)
	l.found[len(l.found)-1].Notice = true
}

func (l *linting) front() {
	for i, id := range l.rb.Suggest {
		l.signal(fmt.Sprintf("front.suggest[%d]", i), id)
	}
	for i, v := range l.rb.Vars {
		path := "front.vars." + v.Name
		for _, s := range v.Sources {
			l.words(path+".run", s.Run, l.vars[:i])
			l.words(path+".choose", s.Choose, l.vars[:i])
			path += ".else"
		}
	}
}

func (l *linting) signal(path, id string) (SignalFacts, bool) {
	if l.known.Signal == nil {
		return SignalFacts{}, false
	}
	f, ok := l.known.Signal(id)
	if !ok {
		l.say(l.at(path), "unknown signal %q%s", shorten(id), l.meant(id))
	}
	return f, ok
}

func (l *linting) meant(id string) string {
	if near := nearest.Word(id, l.known.Signals); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; rollcall status -o json lists the signals"
}

// words checks a command of the front matter or of a reconcile: it reads only.
func (l *linting) words(path string, argv, vars []string) {
	for _, w := range argv {
		name, isVar := strings.CutPrefix(w, "$")
		if name = strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}"); !isVar || slices.Contains(vars, name) {
			continue
		}
		switch {
		case slices.Contains(l.vars, name):
			l.say(l.at(path), "%s is used before it has a value; move its line up", w)
		default:
			l.say(l.at(path), "%s is not defined%s", w, l.varMeant(name))
		}
	}
	if c := changes(strings.Join(argv, " ")); len(c) > 0 {
		l.say(l.at(path), "%s may only read, but %q changes something", path[strings.LastIndexByte(path, '.')+1:], c[0].words)
	}
}

func (l *linting) varMeant(name string) string {
	if near := nearest.Word(name, l.vars); near != "" {
		return "; did you mean $" + near + "?"
	}
	return "; define it under vars: in the front matter"
}

func (l *linting) step(i int, s *Step) {
	under := strconv.Itoa(i)
	if line, twice := l.lines[s.Name]; twice {
		l.say(l.at(under+".step"), "step %s has the name of the one in line %d; choose another", s.Name, line)
	}
	l.condition(under+".when", s.When, NoValue)
	switch s.Kind {
	case Command:
		l.command(under, s)
	case CheckOf:
		l.check(under, s)
	case Snapshot:
		for j, id := range s.Signals {
			l.signal(fmt.Sprintf("%s.snapshot[%d]", under, j), id)
		}
		l.snaps[s.Name] = s.Signals
	case Criteria:
		l.criteria(under, s)
	case Capture:
		for c, v := range s.Capture.Version {
			l.words(under+".capture.version."+string(c), []string{v}, l.vars)
		}
		for name, v := range s.Capture.Where {
			l.words(under+".capture.where."+name, []string{v}, l.vars)
		}
	}
	l.lines[s.Name] = s.Line
}

// condition compiles an expression and says its mistakes where they stand.
func (l *linting) condition(path, src string, kind ValueKind) {
	if src == "" {
		return
	}
	scope := Scope{Value: kind, Vars: l.vars, Snapshots: l.snaps, Known: l.known.Signals}
	if l.known.Signal != nil {
		scope.Signals = func(id string) bool { _, ok := l.known.Signal(id); return ok }
	}
	_, err := Compile(src, scope)
	if err == nil {
		return
	}
	at := l.at(path)
	var ce *ConditionError
	if errors.As(err, &ce) && at.exact {
		at.col += ce.Column - 1
	}
	l.say(at, "%s: %s", path[strings.IndexByte(path, '.')+1:], err)
}

func (l *linting) check(under string, s *Step) {
	c := s.Check
	l.condition(under+".pass", c.Pass, NumberValue)
	l.condition(under+".fail", c.Fail, NumberValue)
	var look time.Duration
	switch {
	case c.Signal != "":
		f, ok := l.signal(under+".check", c.Signal)
		if ok && c.MinSamples > 0 && !f.Counted {
			l.say(l.at(under+".min_samples"), "%s does not tell how many requests stand behind it; remove min_samples", c.Signal)
		}
		look = f.Range
	default:
		key, q := "promql", c.PromQL
		if q == "" {
			key, q = "logql", c.LogQL
		}
		look = widest(q, l.known.Window)
		l.used(l.at(under+"."+key), key, q, nil)
		if c.MinSamples > 0 {
			l.say(l.at(under+".min_samples"), "a query of its own does not tell how many requests stand behind it; remove min_samples, or write the query so that it gives nothing without them")
		}
	}
	// Before anything was changed there is nothing to wait for.
	if s.Phase != Preconditions && c.InitialDelay < look {
		l.say(l.at(under+".initial_delay"), "initial_delay %s is shorter than the %s that a value looks back over, so what was before the change would be measured; write initial_delay: %s",
			short(c.InitialDelay), short(look), short(look))
	}
}

func (l *linting) criteria(under string, s *Step) {
	for j, name := range s.Criteria {
		l.earlier(fmt.Sprintf("%s.criteria[%d]", under, j), "criteria", name, s)
	}
	if s.Hold == nil {
		return
	}
	if l.earlier(under+".hold.step", "hold", s.Hold.Step, s) {
		if of := l.rb.Step(s.Hold.Step); of.Kind != CheckOf {
			l.say(l.at(under+".hold.step"), "hold watches a check, and %s is a %s", s.Hold.Step, words[of.Kind])
		}
	}
}

// earlier says when a step that is referred to does not come before.
func (l *linting) earlier(path, key, name string, of *Step) bool {
	if _, ok := l.lines[name]; ok && name != of.Name {
		return true
	}
	if l.rb.Step(name) != nil {
		l.say(l.at(path), "%s names the step %s, which does not come before", key, name)
		return false
	}
	var names []string
	for n := range l.lines {
		names = append(names, n)
	}
	msg := fmt.Sprintf("%s names the step %q, which does not exist", key, shorten(name))
	if near := nearest.Word(name, names); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	l.say(l.at(path), "%s", msg)
	return false
}

// whole checks what the runbook must have.
func (l *linting) whole() {
	has := func(ok func(*Step) bool) bool {
		return slices.ContainsFunc(l.rb.Steps, func(s Step) bool { return ok(&s) })
	}
	top := place{line: 1, col: 1}
	if !has(func(s *Step) bool { return s.Phase == Steps }) {
		l.say(top, "there are no steps under ## Steps; say there what to do")
	}
	if !has(func(s *Step) bool { return s.Phase == Verify && s.Kind == Criteria }) {
		l.say(top, "there are no success criteria; end ## Verify with an item whose settings are criteria: [...]")
	}
	if !has(func(s *Step) bool { return s.Phase == Abort }) {
		l.say(top, "there is no way back; add ## Abort with the steps that undo what was done, or one that says whom to call")
	}
	least := leastTime(l.rb.Steps)
	if l.rb.MaxDuration > 0 && least > l.rb.MaxDuration {
		l.say(l.at("front.max_duration"), "max_duration %s is shorter than the delays of the steps, which take %s", short(l.rb.MaxDuration), short(least))
	}
}

// leastTime is how long the steps wait even when everything passes at once. A
// check's delay counts from the last write.
func leastTime(steps []Step) time.Duration {
	var total, written time.Duration
	for i := range steps {
		s := &steps[i]
		switch {
		case s.Phase == Abort:
		case s.Kind == Wait:
			total += s.Wait
		case s.Kind == Command && s.Effect == Write:
			written = total
		case s.Check != nil:
			total = max(total, written+s.Check.InitialDelay) + time.Duration(s.Check.ConsecutivePass-1)*s.Check.Interval
		}
	}
	return total
}

func (l *linting) notices() {
	if l.known.Rehearsed == nil {
		return
	}
	at := l.at("front.rehearse key")
	r, ok := l.known.Rehearsed(l.rb.ID)
	switch age := l.known.Now.Sub(r.At); {
	case !ok:
		l.notice(at, "never rehearsed; try it with: rollcall runbook rehearse %s", l.rb.ID)
	case r.Hash != l.rb.Hash:
		l.notice(at, "changed since its rehearsal of %s; rehearse it again: rollcall runbook rehearse %s", r.At.UTC().Format("2006-01-02"), l.rb.ID)
	case l.rb.RehearseEvery > 0 && age > l.rb.RehearseEvery:
		l.notice(at, "rehearsal overdue: the last was %s ago, every %s is wanted; rollcall runbook rehearse %s", short(age.Round(time.Hour)), short(l.rb.RehearseEvery), l.rb.ID)
	}
}

// short writes a duration as the file does: 5m, 1h30m, 30d.
func short(d time.Duration) string {
	day := 24 * time.Hour
	if d >= 2*day || d == day {
		days := strconv.Itoa(int(d/day)) + "d"
		if rest := d % day; rest > 0 {
			return days + short(rest)
		}
		return days
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// moves tells whether c is the component that this runbook may move.
func (l *linting) moves(c string) bool { return sources.Component(c) == l.rb.Component }
