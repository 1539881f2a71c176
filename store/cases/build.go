package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Journal is where the evidence is.
type Journal interface {
	Incident(ctx context.Context, id string) (journal.Incident, error)
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
	Artifact(ctx context.Context, id int64) (journal.Artifact, error)
}

// Options say what is exported.
type Options struct {
	Formats  []Format // promptfoo when empty
	Requests []string // request or trace IDs; all that were captured when empty
	// Expect is what a right answer has, as a person says it: "json", "answer" (there is one), "no-refusal",
	// "no-leak", "not:TEXT", "regex:P", "not-regex:P", or a text that it contains; "text:T" is T whatever it
	// looks like. "REQUEST=..." says it of one captured request.
	Expect []string
	Rubric string  // for a model to judge by, besides what is proven
	Shape  []byte  // JSON schema of a right answer
	MaxS   float64 // seconds that an answer may take; 0: no limit
	MaxUSD float64 // what an answer may cost; 0: no limit
}

// ErrNone means that no case can be made; the export says why.
var ErrNone = errors.New("no case could be made")

// Build makes the cases of an incident. clean makes captured text harmless once
// more: redacted, without control bytes.
//
// Errors: ErrUsage for options that cannot be, those of the journal, and ErrNone,
// which comes with an export that says what was left out.
func Build(ctx context.Context, j Journal, id string, o Options, clean func(string) string) (*Export, error) {
	inc, err := j.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	b := &builder{inc: inc, clean: clean, x: &Export{
		Schema: Schema, Incident: inc.ID, Service: inc.Service, Formats: o.Formats, Cases: []Case{}, LeftOut: []LeftOut{}, Losses: []Loss{},
	}}
	if len(b.x.Formats) == 0 {
		b.x.Formats = []Format{Promptfoo}
	}
	if err := b.read(ctx, j); err != nil {
		return nil, err
	}
	if b.o, err = o.parsed(func(id string) bool {
		return slices.ContainsFunc(b.captures, func(c capture) bool { return c.named(id) })
	}); err != nil {
		return nil, err
	}
	if err := b.choose(o.Requests); err != nil {
		return nil, err
	}
	for i := range b.captures {
		b.one(&b.captures[i])
	}
	b.losses()
	if len(b.x.Cases) == 0 {
		return b.x, fmt.Errorf("%w of %s: %s", ErrNone, inc.ID, b.x.nothing())
	}
	return b.x, nil
}

// nothing says in one line why there is no case.
func (x *Export) nothing() string {
	if len(x.LeftOut) == 0 {
		return "no request was captured; press c on one that failed, or run rollcall incident capture REQUEST"
	}
	l := x.LeftOut[0]
	say := l.Request + ": " + l.Why
	if l.Do != "" {
		say += "; " + l.Do
	}
	if n := len(x.LeftOut) - 1; n > 0 {
		say += fmt.Sprintf(" (and %d more)", n)
	}
	return say
}

type builder struct {
	inc      journal.Incident
	o        options
	clean    func(string) string
	captures []capture // in the order of the journal, the newest of each request
	chosen   map[string]bool
	x        *Export
}

// choose marks the requests that are named; without names, all.
func (b *builder) choose(names []string) error {
	b.chosen = map[string]bool{}
	known := make([]string, len(b.captures))
	for i := range b.captures {
		known[i] = b.captures[i].request
		if len(names) == 0 {
			b.chosen[known[i]] = true
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(b.captures, func(c capture) bool { return c.named(n) })
		if i < 0 {
			said := "nothing was captured"
			if len(known) > 0 {
				said = "captured are " + strings.Join(known, ", ")
			}
			return fmt.Errorf("%w: %s has captured no request %q; %s", ErrUsage, b.inc.ID, line(n), said)
		}
		b.chosen[known[i]] = true
	}
	return nil
}

func (b *builder) leave(c *capture, why, do string) {
	b.x.LeftOut = append(b.x.LeftOut, LeftOut{Request: c.request, Seq: c.entry.Seq, Why: why, Do: do})
}

// one makes the case of one captured request, or says why there is none.
func (b *builder) one(c *capture) {
	switch {
	case !b.chosen[c.request]:
		return
	case c.missing != "":
		b.leave(c, c.missing, c.remedy)
		return
	}
	k := b.caseOf(c)
	wanted := b.o.of(c)
	k.Why = b.reasons(c)
	if len(k.Why) == 0 && len(wanted) == 0 {
		b.leave(c, "nothing says that its answer was bad", fmt.Sprintf("if it was, say what a right one has: --expect '%s=TEXT'", c.request))
		return
	}
	k.Expect = append(b.derive(c, k.Why), wanted...)
	seen := c.observed()
	red := false
	for i := range k.Expect {
		e := &k.Expect[i]
		e.Red, e.Says = e.prove(seen)
		red = red || e.Red
	}
	if len(k.Why) == 0 {
		if !red && len(b.o.own(c)) == 0 {
			return // what a person expects of the others holds here: it is a right answer
		}
		k.Why = []Reason{{BadPerson, "a person says what a right answer has"}}
	}
	switch {
	case red:
		if b.o.rubric != "" {
			k.Expect = append(k.Expect, Expectation{Kind: ExpectRubric, Value: b.o.rubric, From: Person, Says: "not proven: a model judges it"})
		}
		k.Green = b.green(c, k.Expect)
		b.x.Cases = append(b.x.Cases, k)
	case len(k.Expect) == 0:
		b.leave(c, "what a right answer has does not follow from why it was bad ("+words(k.Why)+")", fmt.Sprintf("say it: --expect '%s=TEXT'", c.request))
	default:
		said := make([]string, len(k.Expect))
		for i := range k.Expect {
			said[i] = k.Expect[i].Words()
		}
		do := fmt.Sprintf("say what it lacks: --expect '%s=TEXT'", c.request)
		if slices.ContainsFunc(k.Why, func(r Reason) bool { return r.Kind == BadSchema }) && b.o.shape == nil {
			do = fmt.Sprintf("give the schema (--schema FILE), or say what it lacks: --expect '%s=TEXT'", c.request)
		}
		b.leave(c, "the bad answer passes what is expected ("+strings.Join(said, "; ")+")", do)
	}
}

func (b *builder) caseOf(c *capture) Case {
	r := &c.row
	return Case{
		ID: fmt.Sprintf("%s-%d", b.inc.ID, c.entry.Seq), Request: c.request, Seq: c.entry.Seq, Hash: c.entry.Hash, At: r.Time.UTC(), Route: r.Route,
		Versions: Versions{
			Prompt: r.Prompt, Model: r.Model, Tools: r.Tools, Index: r.Index, Policy: r.Policy, Manifest: r.Manifest, Provider: r.Provider,
			ModelRequested: r.ModelRequested, ModelServed: r.ModelServed, Fingerprint: r.ModelFingerprint,
		},
		Input: c.said.input, Question: c.said.question, Context: c.said.context, Tools: c.said.tools, Answer: c.said.answer,
		Finish: r.FinishReason, Latency: r.Latency, Cost: r.CostUSD,
	}
}

// green looks for a later answer to the same input with which nothing was wrong.
func (b *builder) green(bad *capture, expect []Expectation) *Green {
	for i := range b.captures {
		c := &b.captures[i]
		if c.missing != "" || !c.row.Time.After(bad.row.Time) || len(b.reasons(c)) > 0 || len(b.o.own(c)) > 0 || !sameInput(c, bad) {
			continue
		}
		g := &Green{Request: c.request, Seq: c.entry.Seq, Passes: true}
		for _, e := range expect {
			if fails, says := e.prove(c.observed()); fails {
				g.Passes, g.Fails = false, e.Words()+": "+says
				break
			}
		}
		return g
	}
	return nil
}

// sameInput compares what users asked; the instructions are what changes between versions.
func sameInput(a, b *capture) bool {
	asked := func(c *capture) []Message {
		return slices.DeleteFunc(slices.Clone(c.said.input), func(m Message) bool { return m.Role == "system" })
	}
	return slices.Equal(asked(a), asked(b))
}

// observed is what an expectation is held against.
type observed struct {
	answer, finish string
	latency, cost  sources.Num
}

func (c *capture) observed() observed {
	return observed{c.said.answer, c.row.FinishReason, c.row.Latency, c.row.CostUSD}
}

func words(why []Reason) string {
	out := make([]string, len(why))
	for i, r := range why {
		out[i] = r.Text
	}
	return strings.Join(out, ", ")
}
