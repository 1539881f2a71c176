package cli

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/store/review"
)

// maxErase bounds a range, so that a slip of the finger does not make a list of a billion.
const maxErase = 100_000

func (p *Program) journalErase(o *options, file *string) *cobra.Command {
	var why string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase SEQ...",
		Short: "Erase the text and artifacts of entries",
		Long: "Removes free text and captured artifacts for good and records that it did. The entries themselves\n" +
			"stay and the chain holds. Backups made before, and lines mirrored to Loki, are not reached.",
		Example: "  rollcall journal erase 412 415-420 --why 'names a customer'",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&why, "why", "", "the reason, which is recorded: `text`")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		seqs, err := parseSeqs(args)
		if err != nil {
			return err
		}
		if strings.TrimSpace(why) == "" {
			return usage("--why is needed: the journal records why something was erased")
		}
		if err := p.mayErase(); err != nil {
			return err
		}
		ctx := cmd.Context()
		j, cfg, err := p.journal(ctx, o, JournalOptions{File: *file})
		if err != nil {
			return err
		}
		defer func() { _ = j.Close() }()
		if !yes {
			if !p.InTTY {
				return usage("erasing cannot be undone; say --yes where nobody can be asked")
			}
			_, _ = fmt.Fprintf(p.Err, "erase the text and artifacts of %s for good? [y/N] ", entries(int64(len(seqs))))
			answer, _ := bufio.NewReader(p.In).ReadString('\n')
			if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
				p.note("rollcall: nothing was erased")
				return &exit{ExitBad, nil}
			}
		}
		e, err := j.Erase(ctx, seqs, why)
		if e.Seq == 0 {
			return ofJournal(err)
		}
		if asJSON {
			if werr := writeJSON(p.Out, e); werr != nil {
				return werr
			}
			return ofJournal(err)
		}
		t := p.printer(o, cfg.UI)
		t.entry(review.SentencesOf(nil), &e)
		if err == nil {
			err = t.err
		}
		return ofJournal(err)
	}
	return cmd
}

// parseSeqs reads entry numbers and ranges: 412 #413 415-420.
func parseSeqs(args []string) ([]int64, error) {
	var out []int64
	for _, a := range args {
		from, to, isRange := strings.Cut(strings.TrimPrefix(a, "#"), "-")
		first, err := strconv.ParseInt(from, 10, 64)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseInt(strings.TrimPrefix(to, "#"), 10, 64)
		}
		if err != nil || first < 1 || last < first {
			return nil, usage("%s is no entry; write its number, 412, or a range, 412-420", a)
		}
		if last-first >= maxErase || len(out) > maxErase {
			return nil, usage("%s names more than %d entries; erase fewer at once", a, maxErase)
		}
		for s := first; s <= last; s++ {
			out = append(out, s)
		}
	}
	return out, nil
}
