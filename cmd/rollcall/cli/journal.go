package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/store/journal"
)

// Journals opens journals without opening any source.
type Journals func(ctx context.Context, cfg *config.File, o JournalOptions) (*journal.Journal, error)

// JournalOptions say which journal.
type JournalOptions struct {
	File     string // another file than the one in the state folder, such as a backup
	ReadOnly bool
}

func (p *Program) journalCommand(o *options) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "The record of what people and the program did and saw",
		Long: "The journal in the state folder: append-only and hash-chained. Text and artifacts stand beside the\n" +
			"chain and can be erased without breaking it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&file, "file", "", "another journal `file`, such as a backup")
	cmd.AddCommand(p.journalTail(o, &file), p.journalVerify(o, &file), p.journalBackup(o, &file), p.journalErase(o, &file))
	return cmd
}

// journal opens the journal for one command; the caller closes it.
func (p *Program) journal(ctx context.Context, o *options, jo JournalOptions) (*journal.Journal, *config.File, error) {
	cfg, err := config.LoadOrDefault(o.config, p.Env)
	if err != nil {
		return nil, nil, err
	}
	if p.Journals == nil {
		return nil, nil, errors.New("this build keeps no journal")
	}
	j, err := p.Journals(ctx, cfg, jo)
	if err != nil {
		return nil, nil, ofJournal(err)
	}
	return j, cfg, nil
}

// ofJournal is the exit code of an error: a journal that cannot be reached is
// no damaged one.
func ofJournal(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, journal.ErrRefused):
		return &exit{ExitUsage, err}
	case errors.Is(err, journal.ErrLocked), errors.Is(err, journal.ErrReadOnly), errors.Is(err, journal.ErrFull):
		return &exit{ExitUnreachable, err}
	}
	return &exit{ExitBad, err}
}

func (p *Program) journalBackup(o *options, file *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the journal as it stands, while others go on writing",
		Long: "Writes one self-contained file, readable by its owner only, and prints the head: with it a later\n" +
			"rollcall journal verify tells whether anything was cut off. An existing file is never replaced.",
		Args: cobra.ExactArgs(1),
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		j, cfg, err := p.journal(cmd.Context(), o, JournalOptions{File: *file, ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = j.Close() }()
		head, err := j.Backup(cmd.Context(), args[0])
		if err != nil {
			return ofJournal(err)
		}
		if asJSON {
			return writeJSON(p.Out, backupJSON{args[0], head})
		}
		t := p.printer(o, cfg.UI)
		t.line("%s holds %s", clean(args[0]), entries(head.Seq))
		t.line("head %s", headText(head))
		return t.err
	}
	return cmd
}

type backupJSON struct {
	File string       `json:"file"`
	Head journal.Head `json:"head"`
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// headText is a head as --head takes it.
func headText(h journal.Head) string {
	if h.Seq == 0 {
		return "none yet"
	}
	return fmt.Sprintf("%d:%s", h.Seq, h.Hash)
}
