package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/store/journal"
)

func (p *Program) journalVerify(o *options, file *string) *cobra.Command {
	var head string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Recompute every hash of the journal",
		Long: "Tells apart: an entry that was changed, entries missing from the middle, texts and artifacts that\n" +
			"were changed beside the chain, and (against a head printed earlier by an export, a backup or this\n" +
			"command) an end that was cut off. Exit code 0 when all is as it was recorded, 1 when it is not.",
		Example: "  rollcall journal verify --head 412:9f2c...",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&head, "head", "", "a head printed earlier: `SEQ:HASH`")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		against, err := parseHead(head)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		j, cfg, err := p.journal(ctx, o, JournalOptions{File: *file, ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = j.Close() }()
		var progress func(done, total int64)
		if p.ErrTTY && !asJSON {
			progress = func(done, total int64) {
				_, _ = fmt.Fprintf(p.Err, "\r%d of %s ", done, entries(total))
				if done >= total {
					_, _ = fmt.Fprint(p.Err, "\r\x1b[K")
				}
			}
		}
		r, err := j.Verify(ctx, against, progress)
		if err != nil {
			return ofJournal(err)
		}
		if asJSON {
			err = writeJSON(p.Out, r)
		} else {
			t := p.printer(o, cfg.UI)
			t.report(&r, against)
			err = t.err
		}
		if err != nil {
			return err
		}
		if !r.OK {
			return &exit{ExitBad, nil}
		}
		return nil
	}
	return cmd
}

func (t *printer) report(r *journal.Report, against *journal.Head) {
	if r.OK {
		erased := ""
		if r.Erased > 0 {
			erased = fmt.Sprintf(", %d erased on record", r.Erased)
		}
		t.line("%s, %d texts and artifacts%s: all as recorded", entries(r.Entries), r.Bodies, erased)
	} else {
		t.line("%s: not as recorded", entries(r.Entries))
	}
	for _, f := range r.Faults {
		t.line("%s  %s", t.style(t.theme.Bad, fmt.Sprintf("%-9s", f.Kind)), clean(f.Detail))
	}
	if n := r.Found - int64(len(r.Faults)); n > 0 {
		t.line("and %d more", n)
	}
	for _, n := range r.Notes {
		t.line("note: %s", clean(n))
	}
	t.line("head %s", headText(r.Head))
	if r.OK && against == nil && r.Head.Seq > 0 {
		t.line("%s", t.style(t.theme.Dim, "an end that was cut off shows only against an earlier head: keep this one and pass it with --head"))
	}
	if !r.OK {
		t.line("keep this file as it is; rollcall journal tail --file BACKUP shows what a backup has")
	}
}

var headForm = regexp.MustCompile(`^([1-9][0-9]{0,17}):([0-9a-fA-F]{64})$`)

func parseHead(s string) (*journal.Head, error) {
	if s == "" {
		return nil, nil
	}
	m := headForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return nil, usage("--head %s is no head; copy it as printed: 412:9f2c... with 64 hex digits", s)
	}
	seq, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return nil, usage("--head: %w", err)
	}
	return &journal.Head{Seq: seq, Hash: strings.ToLower(m[2])}, nil
}
