package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rollcall/store/journal"
	"rollcall/store/review"
)

// tailPage is how many entries a follower reads at once.
const tailPage = 1000

func (p *Program) journalTail(o *options, file *string) *cobra.Command {
	f := journal.Filter{Newest: true}
	var follow bool
	var kinds []string
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "The newest entries, or follow them",
		Long:  "The newest entries, oldest first; with -f also what any process writes from then on.",
		Example: "  rollcall journal tail -f\n" +
			"  rollcall journal tail -n 100 --incident INC-7 --kind note,run.outcome",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "follow the journal until interrupted")
	cmd.Flags().IntVarP(&f.Limit, "lines", "n", 20, "this `number` of entries")
	cmd.Flags().StringVar(&f.Incident, "incident", "", "only of this incident: `INC-7`")
	cmd.Flags().StringVar(&f.Run, "run", "", "only of this run: `RUN-3`")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only of these `kinds`: note, run.outcome, alert.firing, ...")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		if f.Limit < 0 || f.Limit > 1_000_000 {
			return usage("-n %d is not a number of entries; try 100", f.Limit)
		}
		for _, k := range kinds {
			f.Kinds = append(f.Kinds, journal.Kind(k))
		}
		f.Service = o.service
		ctx := cmd.Context()
		j, cfg, err := p.journal(ctx, o, JournalOptions{File: *file, ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = j.Close() }()
		t := p.printer(o, cfg.UI)
		if follow {
			return ofJournal(p.followJournal(ctx, j, f, t, asJSON))
		}
		var list []journal.Entry
		if f.Limit > 0 {
			list, err = j.Entries(ctx, f)
		}
		if asJSON {
			if list == nil {
				list = []journal.Entry{}
			}
			if werr := writeJSON(p.Out, list); werr != nil {
				return werr
			}
			return ofJournal(err)
		}
		says := review.SentencesOf(list)
		for i := range list {
			t.entry(says, &list[i])
		}
		if len(list) == 0 && err == nil {
			p.note("rollcall: no entry matches in %s", j.Path())
		}
		if err == nil {
			err = t.err
		}
		return ofJournal(err)
	}
	return cmd
}

// followJournal prints the newest entries and then what comes. Watching begins
// before reading, so that nothing falls in between.
func (p *Program) followJournal(ctx context.Context, j *journal.Journal, f journal.Filter, t *printer, asJSON bool) error {
	changed := j.Changed(ctx)
	head, err := j.Head(ctx)
	if err != nil {
		return err
	}
	says := review.SentencesOf(nil)
	show := func(list []journal.Entry) error {
		says.Learn(list)
		for i := range list {
			if asJSON {
				if err := writeLine(p.Out, list[i]); err != nil {
					return err
				}
			} else if t.entry(says, &list[i]); t.err != nil {
				return t.err
			}
		}
		return nil
	}
	if f.Limit > 0 {
		before := f
		before.Before = head.Seq + 1
		list, err := j.Entries(ctx, before)
		if err == nil {
			err = show(list)
		}
		if err != nil {
			return err
		}
	}
	f.Newest, f.Limit, f.After = false, tailPage, head.Seq
	for {
		list, err := j.Entries(ctx, f)
		if err != nil {
			return err
		}
		if err := show(list); err != nil {
			return err
		}
		if len(list) > 0 {
			f.After = list[len(list)-1].Seq
		}
		if len(list) == tailPage {
			continue
		}
		if _, open := <-changed; !open {
			return ctx.Err()
		}
	}
}

// entry prints one entry on one line: number, service time, who, kind, and what it says.
func (t *printer) entry(says *review.Sentences, e *journal.Entry) {
	about := ""
	for _, s := range []string{e.Incident, e.Run} {
		if s != "" {
			about += " " + clean(s)
		}
	}
	t.line("%s %s %s %s%s: %s", t.style(t.theme.Dim, fmt.Sprintf("%6s", fmt.Sprintf("#%d", e.Seq))),
		t.style(t.theme.Dim, e.At.UTC().Format(time.DateOnly+" 15:04:05Z")), clean(e.Actor), t.style(t.theme.Bright, clean(string(e.Kind))), about, clean(says.Summary(e)))
}
