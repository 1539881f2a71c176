package cli

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
)

func (p *Program) changesCommand(o *options) *cobra.Command {
	only, expect := false, ""
	cmd := &cobra.Command{
		Use:   "changes",
		Short: "What moved: prompt, model, tools, index, policy",
		Long: "The changes of components in the range, oldest first, silent ones included: a served model that\n" +
			"moved while the manifest did not. Features that were switched and fallbacks that answered are changes\n" +
			"too. Versions that run at the same time (canary, shadow, blue/green, a stage of a rollout) are compared:\n" +
			"promote, hold or roll back. With --rollout only that, and exit code 1 when something is to be rolled back.\n" +
			"With --expect hold or --expect promote it is 1 also when there is no rollout, or one that is not so far.",
		Example: "  rollcall changes --range 24h\n  rollcall changes --rollout -o json",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&only, "rollout", false, "only compare the versions that run at the same time")
	cmd.Flags().StringVar(&expect, "expect", "", "with --rollout, the `verdict` that every rollout must have at least: hold or promote")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		switch {
		case expect != "" && !only:
			return usage("--expect goes with --rollout")
		case expect != "" && expect != string(rollout.Hold) && expect != string(rollout.Promote):
			return usage("--expect %s is not known; it can be hold or promote", clean(expect))
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		now := s.Clock().Now()
		v, err := o.view(now)
		if err != nil {
			return err
		}
		moves, err := s.Moves(ctx, service, v)
		if err != nil {
			return &exit{ExitUnreachable, err}
		}
		var report *rollout.Report
		if only || !asJSON {
			if report, err = s.Rollout(ctx, service, v); err != nil {
				return &exit{ExitUnreachable, err}
			}
		}
		list := moves.Changes
		t := p.printer(o, cfg.UI)
		switch {
		case asJSON && only:
			err = writeJSON(p.Out, rolloutOf(report, &moves, v.End(now)))
		case asJSON:
			if list == nil {
				list = []sources.Change{}
			}
			err = writeJSON(p.Out, list)
		default:
			if !only {
				if len(list) == 0 {
					t.line("Nothing changed between %s and %s.", stamp(v.End(now).Add(-v.Range), now), stamp(v.End(now), now))
				}
				t.changes(list, now)
				t.standing(&moves)
			}
			if only && report == nil {
				t.line("One version runs: there is nothing to compare.")
			}
			t.rollouts(report)
			err = t.err
		}
		moves.Facts.Shown, moves.Facts.Total = 0, 0
		if asJSON {
			moves.Facts.Warnings = append(slices.Clip(moves.Facts.Warnings), moves.Doubts...)
		}
		p.facts(moves.Facts, "changes")
		switch {
		case err != nil:
			return err
		case only && report != nil && slices.ContainsFunc(report.Comparisons, func(c rollout.Comparison) bool { return c.Verdict == rollout.RollBack }):
			return &exit{code: ExitBad}
		case expect != "":
			return expected(report, rollout.Verdict(expect))
		case (moves.Facts.Partial != "" || moves.Facts.Stale != "") && unreachable(s.Health()):
			return &exit{code: ExitUnreachable}
		}
		return nil
	}
	return cmd
}

// expected tells whether there is a rollout and every one is as far as wanted.
func expected(r *rollout.Report, want rollout.Verdict) error {
	if r == nil || len(r.Comparisons) == 0 {
		return &exit{ExitBad, errors.New("no versions run at the same time, so nothing can be compared; is the rollout's share above 0?")}
	}
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; c.Verdict != want && c.Verdict != rollout.Promote {
			return &exit{ExitBad, fmt.Errorf("%s: %s, not yet %s: %s", clean(c.Title()), c.Verdict, want, clean(c.Why))}
		}
	}
	return nil
}

type rolloutJSON struct {
	At       time.Time            `json:"at"`
	Rollouts []rollout.Comparison `json:"rollouts"`
	Doubts   []string             `json:"doubts"`
	Aliases  []manifest.Alias     `json:"aliases"`
	Manifest sources.Manifest     `json:"live"`
}

func rolloutOf(r *rollout.Report, moves *manifest.Timeline, at time.Time) rolloutJSON {
	out := rolloutJSON{At: at.UTC(), Rollouts: []rollout.Comparison{}, Doubts: slices.Concat([]string{}, moves.Doubts), Aliases: moves.Aliases, Manifest: moves.Live}
	if out.Aliases == nil {
		out.Aliases = []manifest.Alias{}
	}
	if r != nil {
		out.Rollouts = append(out.Rollouts, r.Comparisons...)
		out.Doubts = append(out.Doubts, r.Doubts...)
	}
	return out
}

// changes prints changes as a table, oldest first.
func (t *printer) changes(list []sources.Change, now time.Time) {
	tb := table{indent: "  "}
	arrow := "→"
	if t.ascii() {
		arrow = "->"
	}
	for _, c := range list {
		what := plainCell(string(c.Component))
		move := t.or(c.From) + " " + arrow + " " + t.or(c.To)
		kind := cell{c.Stage, &t.theme.Dim}
		if c.Silent {
			kind = cell{"silent", &t.theme.Watch}
		}
		from := c.Source
		if c.Manifest != "" {
			from = "manifest " + c.Manifest + t.dot() + from
		}
		if c.Evidence != "" {
			from += t.dot() + c.Evidence
		}
		if c.Doubt != "" {
			from += t.dot() + "doubt: " + c.Doubt
		}
		tb.add(plainCell(stamp(c.At, now)), what, cell{move, &t.theme.Bright}, kind, cell{t.words(clean(from)), &t.theme.Dim})
	}
	tb.print(t)
}

// standing says what speaks against believing what is live.
func (t *printer) standing(m *manifest.Timeline) {
	for _, d := range m.Doubts {
		t.line("%s", t.style(t.theme.Watch, t.words("Doubt: "+clean(d)+".")))
	}
	for i := range m.Aliases {
		t.line("%s", t.style(t.theme.Watch, t.words("Unpinned: "+clean(m.Aliases[i].Words())+".")))
	}
}

// rollouts prints what versions that run at the same time do, each beside its control.
func (t *printer) rollouts(r *rollout.Report) {
	if r == nil {
		return
	}
	for i := range r.Comparisons {
		c := &r.Comparisons[i]
		style := t.theme.Bright
		switch c.Verdict {
		case rollout.RollBack:
			style = t.theme.Bad
		case rollout.Hold:
			style = t.theme.Watch
		case rollout.Promote:
		}
		t.line("")
		t.line("%s", t.style(style, t.words(clean(c.Title()+": "+string(c.Verdict)+", "+c.Why+"."))))
		for _, fact := range c.Facts() {
			t.line("  %s", t.style(t.theme.Dim, t.words(clean(fact))))
		}
		tb := table{indent: "  ", head: []string{"outcome", c.Candidate.Name, c.Control.Name, "ratio", "p", "", "needs"}, right: []bool{1: true, 2: true, 3: true, 4: true, 6: true}}
		for k := range c.Outcomes {
			row := c.Outcomes[k].Cells()
			cells := make([]cell, len(row))
			for n, s := range row {
				cells[n] = plainCell(t.words(clean(s)))
			}
			switch c.Outcomes[k].State {
			case rollout.Worse:
				cells[5].style = &t.theme.Bad
			case rollout.Suspected:
				cells[5].style = &t.theme.Watch
			case rollout.NoWorse, rollout.TooLittle:
				cells[5].style = &t.theme.Dim
			}
			tb.add(cells...)
		}
		tb.print(t)
	}
	for _, d := range r.Doubts {
		t.line("%s", t.style(t.theme.Watch, t.words("Doubt: "+clean(d)+".")))
	}
}
