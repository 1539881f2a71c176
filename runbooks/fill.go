package runbooks

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// What holds where a file says nothing.
const (
	DefaultInterval        = time.Minute
	DefaultCount           = 10
	DefaultConsecutivePass = 3
	DefaultFailureLimit    = 3
	DefaultEvalsTimeout    = 10 * time.Minute
	DefaultCaptureLimit    = 20
	maxCount               = 1000
	maxTime                = 7 * 24 * time.Hour
)

// filling turns the settings of one item into its step.
type filling struct {
	*parsing
	set  *settings
	read *reader
	step *Step
	at   place
}

func (f *filling) place(path string) place {
	for _, key := range []string{path, path + " key"} {
		if at, ok := f.read.at[key]; ok {
			return at
		}
	}
	return f.at
}

func (f *filling) say(path, format string, args ...any) { f.fail(f.place(path), format, args...) }

func (f *filling) given(path string) bool { _, ok := f.read.at[path]; return ok }

func (f *filling) fill(hasScript bool) {
	var given []string
	for path := range f.read.at {
		if key, ok := strings.CutSuffix(path, " key"); ok && !strings.Contains(key, ".") {
			given = append(given, key)
		}
	}
	slices.Sort(given)
	k, clash := kind(hasScript, given)
	if clash != "" {
		f.fail(f.at, "step %s: %s", f.step.Name, clash)
		return
	}
	for _, key := range given {
		if why := misplaced(key, k); why != "" {
			f.say(key+" key", "%s", why)
		}
	}
	s, set := f.step, f.set
	s.Kind, s.When = k, set.When
	s.OnFail = f.action("on_fail", set.OnFail, f.usualAction(k))
	switch k {
	case Command:
		f.command()
	case CheckOf:
		f.check()
	case Snapshot:
		s.Signals = set.Snapshot
		if len(set.Snapshot) == 0 {
			f.say("snapshot", "snapshot names no signals; write snapshot: [schema_fail, eval_score]")
		}
	case Wait:
		s.Wait = f.span("wait", set.Wait)
		if s.Wait == 0 {
			f.say("wait", "wait is no time at all; write it like wait: 5m")
		}
	case Note:
		s.Ask = strings.Join(strings.Fields(set.Note), " ")
	case Capture:
		f.capture()
	case Evals:
		s.Timeout = cmp.Or(f.span("timeout", set.Timeout), DefaultEvalsTimeout)
	case Criteria:
		f.criteria()
	}
}

// usualAction is what follows a failure where the file does not say: before
// anything was changed, and while undoing, there is nothing to abort.
func (f *filling) usualAction(k Kind) Action {
	switch {
	case k == Wait || k == Note:
		return ""
	case f.step.Phase == Preconditions || f.step.Phase == Abort || k == Criteria || k == Snapshot || k == Capture:
		return Escalate
	}
	return AbortRun
}

func (f *filling) action(path, word string, usual Action, more ...Action) Action {
	if !f.given(path) {
		return usual
	}
	allowed := append([]Action{AbortRun, Escalate, Continue}, more...)
	if len(more) > 0 {
		allowed = more
	}
	if f.step.Phase == Abort {
		allowed = slices.DeleteFunc(allowed, func(a Action) bool { return a == AbortRun })
		if word == string(AbortRun) {
			f.say(path, "%s cannot be abort in the section Abort itself; write escalate", path)
			return usual
		}
	}
	if !slices.Contains(allowed, Action(word)) {
		f.say(path, "%s %q is not known; it can be %s", path, shorten(word), oneOf(allowed))
		return usual
	}
	return Action(word)
}

// span checks a time: bounded, so that a slip does not wait for years.
func (f *filling) span(path string, d sources.Duration) time.Duration {
	if time.Duration(d) > maxTime {
		f.say(path, "%s is longer than 7d; a run does not take that long", path)
	}
	return time.Duration(d)
}

func (f *filling) command() {
	s, set := f.step, f.set
	s.Timeout = f.span("timeout", set.Timeout)
	s.Effect = Effect(set.Effect)
	if set.Effect != "" && s.Effect != Read && s.Effect != Write {
		f.say("effect", "effect %q is not known; it can be read or write", shorten(set.Effect))
	}
	if r := set.Reconcile; r != nil {
		s.Reconcile = &Reconcile{Run: r.Run, Done: r.Done, NotDone: r.NotDone}
		f.argv(f.place("reconcile.run"), "reconcile.run", r.Run)
		if r.Done == "" {
			f.say("reconcile", "reconcile does not say when the write has happened; add done: value == GOOD")
		}
	}
}

func (f *filling) check() {
	s, set := f.step, f.set
	c := &Check{
		Signal: set.Check, PromQL: set.PromQL, LogQL: set.LogQL, Pass: set.Pass, Fail: set.Fail,
		InitialDelay: f.span("initial_delay", set.InitialDelay), Interval: cmp.Or(f.span("interval", set.Interval), DefaultInterval),
		Count: set.Count, ConsecutivePass: set.ConsecutivePass, FailureLimit: set.FailureLimit, MinSamples: set.MinSamples,
	}
	s.Check = c
	queries := 0
	for _, q := range []string{c.Signal, c.PromQL, c.LogQL} {
		if q != "" {
			queries++
		}
	}
	if queries != 1 {
		f.fail(f.at, "step %s measures several things; keep one of check, promql and logql", s.Name)
	}
	if c.Pass == "" {
		f.say("check", "step %s does not say when it passes; add pass: value <= usual * 1.3", s.Name)
	}
	if c.Interval < time.Second {
		f.say("interval", "interval is shorter than 1s; measuring that often tells nothing new")
	}
	f.whole("count", &c.Count, DefaultCount)
	f.whole("consecutive_pass", &c.ConsecutivePass, min(DefaultConsecutivePass, c.Count))
	f.whole("failure_limit", &c.FailureLimit, DefaultFailureLimit)
	if c.ConsecutivePass > c.Count {
		f.say("consecutive_pass", "consecutive_pass %d can never be reached with count %d; raise count", c.ConsecutivePass, c.Count)
	}
	if c.MinSamples < 0 {
		f.say("min_samples", "min_samples is negative; it is a number of requests")
	}
	usual := f.usualAction(CheckOf)
	c.OnFail = f.action("outcome.fail", set.Outcome.Fail, usual)
	c.OnInconclusive = f.action("outcome.inconclusive", set.Outcome.Inconclusive, Escalate)
	s.OnFail = c.OnFail
}

func (f *filling) whole(path string, v *int, usual int) {
	switch {
	case !f.given(path):
		*v = usual
	case *v < 1 || *v > maxCount:
		f.say(path, "%s must be between 1 and %d, not %d", path, maxCount, *v)
	}
}

func (f *filling) capture() {
	c := f.set.Capture
	out := &CaptureOf{Bad: c.Bad, Limit: c.Limit}
	f.whole("capture.limit", &out.Limit, DefaultCaptureLimit)
	for name, v := range c.Version {
		f.component(f.place("capture.version."+name+" key"), "capture.version", name)
		if out.Version == nil {
			out.Version = map[sources.Component]string{}
		}
		out.Version[sources.Component(name)] = v
	}
	for name, v := range c.Where {
		at := "capture.where." + name
		_, known := sources.RequestFilter{}.With(sources.Attribute{Name: name, Value: v})
		switch {
		case slices.Contains(sources.Components[:], sources.Component(name)):
			f.say(at+" key", "the version of the %s stands under version: in capture", name)
		case !known || !slices.Contains(sources.RequestAttributes, name):
			f.say(at+" key", "capture.where: requests have no attribute %q; there are %s", shorten(name), oneOf(sources.RequestAttributes))
		case v == "":
			f.say(at, "capture.where: %s has no value; write where: {%s: acme} or where: {%s: $NAME}", name, name, name)
		}
	}
	out.Where = c.Where
	f.step.Capture = out
}

func (f *filling) criteria() {
	s, set := f.step, f.set
	s.Criteria, s.Mark = set.Criteria, set.Mark
	if len(set.Criteria) == 0 {
		f.say("criteria", "criteria names no steps; write criteria: [quality, evals]")
	}
	if f.given("mark") && s.Mark != "mitigated" && s.Mark != "resolved" {
		f.say("mark", "mark %q is not known; it can be mitigated or resolved", shorten(s.Mark))
	}
	if h := set.Hold; h != nil {
		s.Hold = &Hold{Step: h.Step, For: f.span("hold.for", h.For), OnFail: f.action("hold.on_fail", h.OnFail, ReopenInc, ReopenInc, Escalate, Continue)}
		if h.Step == "" || s.Hold.For == 0 {
			f.say("hold", "hold needs a check to watch and how long; write hold: {step: quality, for: 30m}")
		}
	}
}
