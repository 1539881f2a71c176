package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

func (p *Program) drillScoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "score [DIR]",
		Short: "How a drill went",
		Long: "Prints the scorecard of a drill: how long until somebody noticed, declared and mitigated, whether recovery\n" +
			"was verified, what was done in vain, whom it affected and what it cost. It tells what was planted: while a\n" +
			"drill goes on, do not look. Without DIR the newest drill is meant.",
		Example: "  rollcall drill score\n  rollcall drill score ~/.local/state/rollcall/drills/20260304T020000Z-index-drift-1 -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		var dir string
		if len(args) > 0 {
			dir = args[0]
		} else if dir, err = newestDrill(config.StateDir(p.Env)); err != nil {
			return &exit{ExitUsage, err}
		}
		card, err := p.scorecard(cmd.Context(), dir)
		if err != nil {
			return &exit{ExitUsage, err}
		}
		if asJSON {
			return writeJSON(p.Out, card)
		}
		return card.Text(p.Out)
	}
	return cmd
}

// newestDrill finds the drill that was started last: the folders' names begin with the time.
func newestDrill(state string) (string, error) {
	base := filepath.Join(state, "drills")
	entries, err := os.ReadDir(base)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the drills cannot be listed: %w; name the folder of one", plainCause(err))
	}
	for i := len(entries) - 1; i >= 0; i-- {
		dir := filepath.Join(base, entries[i].Name())
		if _, err := os.Stat(filepath.Join(dir, scorecard.OutcomeFile)); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("there is no drill in %s; run: rollcall drill", base)
}

// scorePage is how many entries are read at a time.
const scorePage = 1000

// scorecard makes the card of the drill in a folder. A drill without a journal is one in which nobody wrote anything.
func (p *Program) scorecard(ctx context.Context, dir string) (scorecard.Card, error) {
	outcome, err := scorecard.ReadOutcome(dir)
	if err != nil {
		return scorecard.Card{}, err
	}
	var entries []journal.Entry
	var incidents []journal.Incident
	j, err := p.Journals(ctx, &config.File{State: dir}, JournalOptions{ReadOnly: true})
	switch {
	case errors.Is(err, journal.ErrUnknown):
	case err != nil:
		return scorecard.Card{}, err
	default:
		defer func() { _ = j.Close() }() // only read
		for f := (journal.Filter{Limit: scorePage}); ; {
			page, err := j.Entries(ctx, f)
			if err != nil {
				return scorecard.Card{}, err
			}
			entries = append(entries, page...)
			if len(page) < scorePage {
				break
			}
			f.After = page[len(page)-1].Seq
		}
		if incidents, err = j.Incidents(ctx, "", false); err != nil {
			return scorecard.Card{}, err
		}
	}
	return scorecard.Make(outcome, entries, incidents), nil
}

// showScore prints the card of a drill that was just left; a drill that never
// came so far as to have one says nothing.
func (p *Program) showScore(ctx context.Context, dir string) {
	card, err := p.scorecard(ctx, dir)
	switch {
	case err == nil:
		_ = card.Text(p.Err) // a closed standard error is told to nobody
	case !isMissing(dir):
		p.note("rollcall: there is no scorecard: %s", clean(err.Error()))
	}
}

func isMissing(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, scorecard.OutcomeFile))
	return errors.Is(err, os.ErrNotExist)
}
