package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
)

// Runner is the part of a session that runs runbooks.
type Runner interface {
	Engine() (*run.Engine, error)
	Runbook(ctx context.Context, service, id string) (*runbooks.Runbook, error)
	RunTarget(ctx context.Context, service string) (run.Target, error)
	ResetRehearsals(ctx context.Context, service string) error
}

// runFlags are what run and rehearse are told.
type runFlags struct {
	vars     []string
	yes      bool
	dry      bool
	readOnly bool
	incident string
	rehearse bool
	reset    bool
}

func (p *Program) runCommands(o *options) []*cobra.Command {
	return []*cobra.Command{
		p.runbookRun(o, false), p.runbookRun(o, true), p.runbookRuns(o), p.runbookResume(o), p.runbookAnswer(o),
	}
}

func (p *Program) runbookRun(o *options, rehearse bool) *cobra.Command {
	f := &runFlags{rehearse: rehearse}
	cmd := &cobra.Command{
		Use:   "run ID",
		Short: "Run a runbook, step by step",
		Long: "Runs a runbook and prints what happens. Before each write it says in full what it will do and asks; on no\n" +
			"terminal, or where a person must decide, it stops and says how to resume. With --yes writes need no word.\n\n" +
			"Ctrl-C, a closed terminal and a crash lose nothing: a command goes on under its recorder, and the run can\n" +
			"be resumed.\n\n" +
			"Exit code: 0 succeeded, 1 aborted, escalated, stopped or interrupted, 2 usage.",
		Example: "  rollcall runbook run rollback-prompt --dry-run\n  rollcall runbook run rollback-prompt --var GOOD=v13",
		Args:    cobra.ExactArgs(1),
	}
	if rehearse {
		cmd.Use, cmd.Short = "rehearse ID", "Practise a runbook on the rehearsal target"
		cmd.Long = "Like run, but on the rehearsal target of the configuration; the success is recorded as a rehearsal. It\n" +
			"belongs to no incident. With --reset the target is first put back to where rehearsals begin."
		cmd.Example = "  rollcall runbook rehearse rollback-prompt --reset"
		cmd.Flags().BoolVar(&f.reset, "reset", false, "first put the rehearsal target back, with its reset command of the configuration")
	}
	cmd.Flags().StringArrayVar(&f.vars, "var", nil, "`NAME=VALUE` of a variable, in place of what the runbook would find")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask before writes; it still stops where a person must decide")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "resolve everything and print it; change nothing")
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false, "refuse every step that changes something")
	cmd.Flags().StringVar(&f.incident, "incident", "", "link the run to this `incident`; the open one of the service otherwise")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		return p.withRunner(cmd.Context(), o, asJSON, func(ctx context.Context, r *runDesk) error { return r.start(ctx, f, args[0]) })
	}
	return cmd
}

func (p *Program) runbookResume(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was interrupted",
		Long: "Goes on where a run stands. What an interrupted write did is found out first; no write is repeated without\n" +
			"knowing that it did not happen.",
		Example: "  rollcall runbook resume RUN-3",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before writes")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		return p.withRunner(cmd.Context(), o, asJSON, func(ctx context.Context, r *runDesk) error {
			st, err := r.engine.Resume(ctx, runID(args[0]), run.Options{Yes: yes})
			if err != nil {
				return err
			}
			return r.follow(ctx, st.ID, yes)
		})
	}
	return cmd
}

func (p *Program) runbookAnswer(o *options) *cobra.Command {
	var step, why string
	cmd := &cobra.Command{
		Use:   "answer RUN go|skip|again|accept|abort|stop",
		Short: "Answer what a run asks, also one that another process drives",
		Long:  "Gives a person's decision to a run, such as the approval of a second person. The step is the one it stands at.",
		Args:  cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&step, "step", "", "refuse unless the run stands at this `step`")
	cmd.Flags().StringVar(&why, "why", "", "the reason, or the `text` that a note asks for")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.withRunner(cmd.Context(), o, false, func(ctx context.Context, r *runDesk) error {
			st, err := r.engine.State(ctx, runID(args[0]))
			if err != nil {
				return err
			}
			at := step
			if at == "" && st.Current >= 0 {
				at = st.Steps[st.Current].Name
			}
			if err := r.engine.Answer(ctx, st.ID, run.Answer{Step: at, Verb: run.Verb(args[1]), Text: why}); err != nil {
				return err
			}
			if st.Driver == "" {
				r.say("Recorded. Nobody drives %s now; rollcall runbook resume %s", st.ID, st.ID)
			}
			return nil
		})
	}
	return cmd
}

func (p *Program) runbookRuns(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "runs [RUN]", Short: "Runs of the service, newest first, or one in full", Args: cobra.MaximumNArgs(1)}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		return p.withRunner(cmd.Context(), o, asJSON, func(ctx context.Context, r *runDesk) error {
			if len(args) == 1 {
				st, err := r.engine.State(ctx, runID(args[0]))
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(p.Out, st)
				}
				r.whole(&st)
				return r.out.err
			}
			list, err := r.engine.Runs(ctx, r.service)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.Out, list)
			}
			tb := table{head: []string{"run", "runbook", "began", "by", "state", "why"}}
			for i := range list {
				st := &list[i]
				tb.add(plainCell(st.ID), plainCell(clean(st.Runbook)), plainCell(stamp(st.Began, r.now)), plainCell(clean(st.Actor)),
					plainCell(stateWords(st)), cell{r.out.words(clean(firstOf(st.Why, st.Question))), &r.out.theme.Dim})
			}
			tb.print(r.out)
			return r.out.err
		})
	}
	return cmd
}

func firstOf(words ...string) string {
	i := slices.IndexFunc(words, func(w string) bool { return w != "" })
	if i < 0 {
		return ""
	}
	return words[i]
}

// stateWords says where a run stands.
func stateWords(st *run.State) string {
	words := string(st.Outcome)
	switch {
	case st.Outcome != "":
	case st.Interrupted():
		words = "interrupted"
	case st.Ask != run.AskNothing:
		words = "asks, driven by " + st.Driver
	default:
		words = "running, driven by " + st.Driver
	}
	if st.Target.Rehearsal {
		words += ", rehearsal"
	}
	return clean(words)
}

func runID(s string) string {
	s = strings.ToUpper(s)
	if s != "" && strings.Trim(s, "0123456789") == "" {
		return "RUN-" + s
	}
	return s
}

// withRunner opens a session for one command about runs.
func (p *Program) withRunner(ctx context.Context, o *options, asJSON bool, do func(ctx context.Context, r *runDesk) error) error {
	s, cfg, service, err := p.session(ctx, o, ReadOnly)
	if err != nil {
		return err
	}
	runner, ok := s.(Runner)
	if !ok {
		return errors.Join(errors.New("this session runs no runbooks"), s.Close())
	}
	engine, err := runner.Engine()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	r := &runDesk{p: p, runner: runner, engine: engine, service: service, json: asJSON, out: p.printer(o, cfg.UI), now: s.Clock().Now()}
	return recorded(errors.Join(do(ctx, r), closing(s)))
}

// lines gives what is typed, line by line.
func (r *runDesk) lines() <-chan string {
	if r.typed == nil {
		r.typed = make(chan string)
		go func() {
			defer close(r.typed)
			for in := bufio.NewScanner(r.p.In); in.Scan(); {
				r.typed <- in.Text()
			}
		}()
	}
	return r.typed
}

// ask puts a question and waits for a line.
func (r *runDesk) ask(ctx context.Context, prompt string) (string, bool) {
	_, _ = fmt.Fprint(r.p.Out, r.out.words(clean(prompt))+" ")
	select {
	case s, ok := <-r.lines():
		return strings.TrimSpace(s), ok
	case <-ctx.Done():
		return "", false
	}
}

func (r *runDesk) start(ctx context.Context, f *runFlags, id string) error {
	vars := map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return usage("--var %s has no value; write it like --var GOOD=v13", v)
		}
		vars[name] = value
	}
	rb, err := r.runner.Runbook(ctx, r.service, id)
	if err != nil {
		return &exit{ExitUsage, err}
	}
	t, err := r.runner.RunTarget(ctx, r.service)
	if err != nil {
		return err
	}
	t.Rehearsal, t.ReadOnly = f.rehearse, f.readOnly
	if f.rehearse {
		t.Incident = "" // practice is no part of one, unless somebody says so
	}
	if f.reset {
		if f.dry || f.readOnly {
			return usage("--reset changes the rehearsal target; it does not go with --dry-run and --read-only")
		}
		if err := r.runner.ResetRehearsals(ctx, r.service); err != nil {
			return err
		}
	}
	if f.incident != "" {
		t.Incident = strings.ToUpper(f.incident)
	}
	plan, err := r.engine.Plan(ctx, rb, t, vars)
	if err != nil {
		return err
	}
	if !f.dry && r.talks() {
		for len(plan.Missing()) > 0 {
			m := plan.Missing()[0]
			r.say("%s: %s", m.Name, m.Ask)
			r.offered(m.Offers)
			value, ok := r.ask(ctx, m.Name+" =")
			value = chosen(m.Offers, value)
			if !ok || value == "" {
				return usage("%s has no value; give it with --var %s=...", m.Name, m.Name)
			}
			vars[m.Name] = value
			if plan, err = r.engine.Plan(ctx, rb, t, vars); err != nil {
				return err
			}
		}
	}
	if f.dry {
		if r.json {
			return writeJSON(r.p.Out, plan)
		}
		r.planned(plan)
		return r.out.err
	}
	if missing := plan.Missing(); len(missing) > 0 {
		return usage("%s has no value: %s; give it with --var %s=...%s", missing[0].Name, missing[0].Ask, missing[0].Name, oneOfOffers(missing[0].Offers))
	}
	st, err := r.engine.Start(ctx, plan, run.Options{Yes: f.yes})
	if err != nil {
		return err
	}
	r.began(plan, &st)
	return r.follow(ctx, st.ID, f.yes)
}

// offered prints what there is to choose from, each under a number.
func (r *runDesk) offered(offers []run.Offer) {
	tb := table{indent: "  ", right: []bool{0: true}}
	for i, o := range offers {
		tb.add(cell{strconv.Itoa(i + 1), &r.out.theme.Dim}, cell{clean(o.Value), &r.out.theme.Bright}, cell{r.out.words(clean(o.Note)), &r.out.theme.Dim})
	}
	tb.print(r.out)
}

// chosen is the offer with that number, unless one is called so; what is no offer stays.
func chosen(offers []run.Offer, typed string) string {
	n, err := strconv.Atoi(typed)
	if err != nil || n < 1 || n > len(offers) || slices.ContainsFunc(offers, func(o run.Offer) bool { return o.Value == typed }) {
		return typed
	}
	return offers[n-1].Value
}

// oneOfOffers names the first offers for a message.
func oneOfOffers(offers []run.Offer) string {
	const most = 12
	if len(offers) == 0 {
		return ""
	}
	var names []string
	for _, o := range offers[:min(len(offers), most)] {
		names = append(names, o.Value)
	}
	if len(offers) > most {
		names = append(names, "...")
	}
	return ", one of " + strings.Join(names, ", ")
}
