package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/redact"
	"rollcall/store/journal"
)

const journalFile = "journal.db"

// openDiary makes a hold on the journal of a state folder. It touches nothing yet.
func openDiary(cfg *config.File, clock sources.Clock, log *slog.Logger, redactor *redact.Redactor, origin string) *diary {
	path := filepath.Join(cfg.State, journalFile)
	return newDiary(clock, log, func(readOnly bool) (*journal.Journal, error) {
		return journal.Open(context.Background(), path, journal.Options{
			Clock: clock, Redact: redactor.Text, Actor: Actor(), Origin: origin, ReadOnly: readOnly, Log: log,
		})
	})
}

// origin is what entries name as theirs.
func (o *Options) origin() string {
	switch {
	case o.Origin != "":
		return o.Origin
	case o.Once:
		return "cli"
	}
	return "console"
}

// JournalOptions say how OpenJournal opens.
type JournalOptions struct {
	File     string // another file than the one of the state folder
	ReadOnly bool
	Origin   string
}

// OpenJournal opens a configuration's journal by itself, for commands that need
// no source. The caller closes it.
func OpenJournal(ctx context.Context, cfg *config.File, o JournalOptions) (*journal.Journal, error) {
	clock, err := cfg.Clock.Clock(nil)
	if err != nil {
		return nil, err
	}
	path := o.File
	if path == "" {
		path = filepath.Join(cfg.State, journalFile)
	}
	opts := journal.Options{Clock: clock, Actor: Actor(), Origin: o.Origin, ReadOnly: o.ReadOnly}
	if !o.ReadOnly {
		if err := makeState(cfg.State); err != nil {
			return nil, err
		}
		redactor, err := newRedactor(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		opts.Redact = redactor.Text
	}
	return journal.Open(ctx, path, opts)
}

// Actor is who acts: the login name.
func Actor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return redact.SanitizeLine(u.Username, 64)
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// Journal returns the journal, open for writing. It opens it when first called
// and, after trouble, again every few seconds. The App closes it.
func (a *App) Journal() (*journal.Journal, error) { return a.diary.write() }

// ReadJournal returns the journal for reading, which goes on where it cannot be
// written. It creates none: ErrUnknown where nothing was recorded yet.
func (a *App) ReadJournal() (*journal.Journal, error) { return a.diary.read() }

// Record writes an entry in the background and makes nobody wait; failures are
// logged and shown as JournalTrouble. What was accepted is tried again until
// it is written, for the last time by Close.
func (a *App) Record(d journal.Draft) { a.diary.record(d) }

// JournalTrouble is why nothing can be recorded, in one line; empty when all is well.
func (a *App) JournalTrouble() string { return a.diary.whyNot() }
