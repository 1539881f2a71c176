package cli

import (
	"time"

	"github.com/spf13/cobra"

	"rollcall/sources"
)

func (p *Program) changesCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "changes",
		Short: "What moved: prompt, model, tools, index, policy",
		Long: "The changes of components in the range, oldest first, silent ones included: a served model that\n" +
			"moved while the manifest did not.",
		Args: cobra.NoArgs,
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
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
		list, facts, err := s.Changes(ctx, service, v)
		if err != nil {
			return &exit{ExitUnreachable, err}
		}
		if asJSON {
			if list == nil {
				list = []sources.Change{}
			}
			err = writeJSON(p.Out, list)
		} else {
			t := p.printer(o, cfg.UI)
			if len(list) == 0 {
				t.line("No component changed between %s and %s.", stamp(v.End(now).Add(-v.Range), now), stamp(v.End(now), now))
			}
			t.changes(list, now)
			err = t.err
		}
		p.facts(facts, "changes")
		if err == nil && (facts.Partial != "" || facts.Stale != "") && unreachable(s.Health()) {
			return &exit{code: ExitUnreachable}
		}
		return err
	}
	return cmd
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
		tb.add(plainCell(stamp(c.At, now)), what, cell{move, &t.theme.Bright}, kind, cell{t.words(from), &t.theme.Dim})
	}
	tb.print(t)
}
