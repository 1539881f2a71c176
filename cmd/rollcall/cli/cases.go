package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/store/cases"
)

// maxSchema is how much of a schema file is read.
const maxSchema = 1 << 20

func (p *Program) casesCommand(o *options) *cobra.Command {
	var opts cases.Options
	var formats []string
	var dir, schema string
	var slowest time.Duration
	var force bool
	cmd := &cobra.Command{
		Use:   "cases [INC]",
		Short: "Regression cases from what an incident captured",
		Long: "Writes each captured request of an incident as a test: the input, what a right answer has, and the proof\n" +
			"that the captured bad answer fails it. What a right answer has follows from why the bad one was bad (it failed\n" +
			"its schema, was refused, was cut off, showed private data), or you say it:\n\n" +
			"  --expect TEXT           it contains this text\n" +
			"  --expect not:TEXT       it does not\n" +
			"  --expect json, answer, no-refusal, no-leak\n" +
			"  --expect regex:P, not-regex:P\n" +
			"  --expect REQUEST=...    the same, of one request alone\n\n" +
			"A request whose bad answer passes what is expected becomes no case. What the formats cannot express is listed\n" +
			"in losses.json and the README beside the cases. That they were exported is recorded: the incident then needs\n" +
			"no reason to be closed. Without INC the open incident of the service is meant, or else its newest.",
		Example: "  rollcall cases INC-7\n  rollcall cases INC-7 -f promptfoo,inspect -d evals/inc-7\n" +
			"  rollcall cases INC-7 --request req-4f2a --expect \"within 5 working days\"",
		Args: cobra.MaximumNArgs(1),
	}
	f := cmd.Flags()
	f.StringSliceVarP(&formats, "format", "f", []string{string(cases.Promptfoo)}, "`format`: "+words(cases.Formats())+"; several, or all")
	f.StringSliceVar(&opts.Requests, "request", nil, "only this captured `request`; may be given several times")
	f.StringArrayVar(&opts.Expect, "expect", nil, "what a right answer has; may be given several times")
	f.StringVar(&opts.Rubric, "rubric", "", "what a model is to judge an answer by, besides what is proven")
	f.StringVar(&schema, "schema", "", "a `file` with the JSON schema of a right answer")
	f.DurationVar(&slowest, "max-latency", 0, "an answer that took longer is bad")
	f.Float64Var(&opts.MaxUSD, "max-cost", 0, "an answer that cost more `USD` is bad")
	f.StringVarP(&dir, "dir", "d", "", "write into this `folder` (cases-INC-7)")
	f.BoolVar(&force, "force", false, "replace a folder of cases that is there already")
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		id, rest := named(args)
		if len(rest) > 0 {
			return usage("%q is no incident; write it like INC-7", clean(rest[0]))
		}
		var err error
		if opts.Formats, err = formatsOf(formats); err != nil {
			return err
		}
		if slowest < 0 || opts.MaxUSD < 0 {
			return usage("--max-latency and --max-cost are limits above zero")
		}
		opts.MaxS = slowest.Seconds()
		if schema != "" {
			if opts.Shape, err = readSchema(schema); err != nil {
				return err
			}
		}
		inc, err := d.latest(ctx, id)
		if err != nil {
			return err
		}
		if dir == "" {
			dir = "cases-" + inc.ID
		}
		done, err := d.book.WriteCases(ctx, inc.ID, dir, opts, force)
		return d.cases(p, &done, err)
	})
}

func formatsOf(names []string) ([]cases.Format, error) {
	var out []cases.Format
	for _, n := range names {
		switch f := cases.Format(strings.ToLower(strings.TrimSpace(n))); {
		case f == "all":
			return cases.Formats(), nil
		case !slices.Contains(cases.Formats(), f):
			return nil, usage("-f %s is not known; it can be %s, or all", clean(n), words(cases.Formats()))
		case !slices.Contains(out, f):
			out = append(out, f)
		}
	}
	return out, nil
}

func readSchema(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("--schema %s cannot be read: %w; name a file with a JSON schema", clean(file), plainCause(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSchema))
	if err != nil {
		return nil, usage("--schema %s cannot be read: %w; name a file with a JSON schema", clean(file), plainCause(err))
	}
	return text, nil
}

// casesJSON is what was exported. The texts of the cases are in the files.
type casesJSON struct {
	Incident string          `json:"incident"`
	Service  string          `json:"service"`
	Formats  []cases.Format  `json:"formats"`
	Dir      string          `json:"dir"`   // absent when nothing was written
	Files    []string        `json:"files"` // below it
	Entry    int64           `json:"entry"` // of the journal; 0 when it is not recorded
	Cases    []caseJSON      `json:"cases"`
	LeftOut  []cases.LeftOut `json:"left_out"`
	Losses   []cases.Loss    `json:"losses"`
}

type caseJSON struct {
	ID      string              `json:"id"`
	Request string              `json:"request"`
	Seq     int64               `json:"seq"`
	Why     []cases.Reason      `json:"why"`
	Expect  []cases.Expectation `json:"expect"`
	Green   *cases.Green        `json:"green,omitempty"`
}

// cases tells what was exported, and what was not.
func (d *desk) cases(p *Program, done *cases.Done, err error) error {
	switch {
	case errors.Is(err, cases.ErrUsage):
		return &exit{ExitUsage, err}
	case err != nil && !errors.Is(err, cases.ErrNone):
		return err
	}
	if err == nil || len(done.LeftOut) > 1 {
		for _, l := range done.LeftOut {
			p.note("rollcall: no case of %s (#%d): %s", clean(l.Request), l.Seq, clean(strings.TrimSuffix(l.Why+"; "+l.Do, "; ")))
		}
	}
	if d.json {
		out := casesJSON{
			Incident: done.Incident, Service: done.Service, Formats: done.Formats, Files: done.Files, Entry: done.Seq, Cases: []caseJSON{},
			LeftOut: done.LeftOut, Losses: done.Losses,
		}
		if err == nil {
			out.Dir = done.Dir
		} else {
			out.Files = []string{}
		}
		for i := range done.Cases {
			k := &done.Cases[i]
			out.Cases = append(out.Cases, caseJSON{k.ID, k.Request, k.Seq, k.Why, k.Expect, k.Green})
		}
		if werr := writeJSON(p.Out, out); werr != nil {
			return werr
		}
	}
	if err != nil {
		return &exit{ExitBad, err}
	}
	if !d.json {
		d.out.cases(done)
	}
	if done.Unrecorded != "" {
		return &exit{ExitBad, fmt.Errorf("the cases are written, but that is not recorded, so closing %s still needs a reason: %s; run it again with --force", done.Incident, done.Unrecorded)}
	}
	return d.out.err
}

func (t *printer) cases(done *cases.Done) {
	n := "1 regression case"
	if len(done.Cases) != 1 {
		n = fmt.Sprintf("%d regression cases", len(done.Cases))
	}
	t.line("%s  %s in %s (%s)", t.style(t.theme.Title, clean(done.Incident)), n, clean(done.Dir), words(done.Formats))
	for i := range done.Cases {
		k := &done.Cases[i]
		why := make([]string, len(k.Why))
		for n, r := range k.Why {
			why[n] = r.Text
		}
		t.line("")
		t.line("%s  request %s: %s", t.style(t.theme.Bright, clean(k.ID)), clean(k.Request), t.words(clean(strings.Join(why, ", "))))
		for n := range k.Expect {
			e := &k.Expect[n]
			from := "derived"
			if e.From == cases.Person {
				from = "your word"
			}
			mark := "the bad answer passes"
			switch {
			case e.Red:
				mark = "red: the bad answer fails"
			case e.Kind == cases.ExpectRubric:
				mark = "not proven"
			}
			t.line("  %s (%s); %s, %s", clean(e.Words()), from, mark, clean(e.Says))
		}
		switch g := k.Green; {
		case g == nil:
		case g.Passes:
			t.line("  green: the later answer of %s passes", clean(g.Request))
		default:
			t.line("  not green: the later answer of %s fails %s", clean(g.Request), clean(g.Fails))
		}
	}
	t.line("")
	t.line("What they do not carry: %s. Recorded as #%d.", clean(done.Dir+"/README.md"), done.Seq)
}
