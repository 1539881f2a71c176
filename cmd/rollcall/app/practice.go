package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

const (
	// DrillsDir is the folder, in the state folder, that holds one folder for each drill.
	DrillsDir = "drills"
	// settleDrills bounds the writing of summaries, in wall time. What it does not reach the next start does.
	settleDrills = 20 * time.Second
	// drillsLater is how long a console waits with that: its first frame comes first.
	drillsLater = 3 * time.Second
	// practicePage is how many entries of a journal are read at a time.
	practicePage = 1000
)

// RecordDrills writes a summary of every drill that is over and has none yet into
// the journal of the configuration; base holds the drills. ended is the folder of
// one that was ended in order just now, empty for none. Any number of processes
// may do it at once: no drill is written down twice.
func RecordDrills(ctx context.Context, cfg *config.File, base, ended string) error {
	ctx, cancel := context.WithTimeout(ctx, settleDrills)
	defer cancel()
	open := func(readOnly bool) (*journal.Journal, error) {
		return OpenJournal(ctx, cfg, JournalOptions{ReadOnly: readOnly, Origin: "cli"})
	}
	over, err := unwritten(ctx, base, func() (*journal.Journal, error) { return open(true) }, true)
	if err != nil || len(over) == 0 {
		return err
	}
	j, err := open(false)
	if err != nil {
		return err
	}
	return errors.Join(writeDrills(ctx, j, base, over, ended), j.Close())
}

// recordDrills is RecordDrills of a console, in the background and into the journal that it has open.
func (a *App) recordDrills(ctx context.Context, base string) {
	select {
	case <-time.After(drillsLater):
	case <-ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleDrills)
	defer cancel()
	over, err := unwritten(ctx, base, a.ReadJournal, false)
	if err == nil && len(over) > 0 {
		var j *journal.Journal
		if j, err = a.Journal(); err == nil {
			err = writeDrills(ctx, j, base, over, "")
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("finished drills are not written down; the next start tries again", "err", err)
	}
}

// unwritten are the names of the drills that are over and of which a journal knows nothing, oldest first.
func unwritten(ctx context.Context, base string, open func() (*journal.Journal, error), closes bool) ([]string, error) {
	dirs, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the drills cannot be listed: %w", cause(err))
	}
	var names []string
	for _, d := range dirs { // their names begin with the time
		if d.IsDir() && exists(filepath.Join(base, d.Name(), scorecard.OutcomeFile)) {
			names = append(names, d.Name())
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	known := map[string]bool{}
	switch j, err := open(); {
	case errors.Is(err, journal.ErrUnknown): // nothing was recorded yet
	case err != nil:
		return nil, err
	default:
		known, err = drillsIn(ctx, j)
		if closes {
			err = errors.Join(err, j.Close())
		}
		if err != nil {
			return nil, err
		}
	}
	var out []string
	for _, name := range names {
		traces := filepath.Join(base, name, tracesDir)
		if !known[name] && (!exists(traces) || !received(traces)) {
			out = append(out, name)
		}
	}
	return out, nil
}

// entriesOf is what a journal and a view of it have in common.
type entriesOf interface {
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
}

// eachEntry reads all entries that a filter selects, page by page.
func eachEntry(ctx context.Context, j entriesOf, f journal.Filter, do func(*journal.Entry)) error {
	f.Limit = practicePage
	for {
		page, err := j.Entries(ctx, f)
		if err != nil {
			return err
		}
		for i := range page {
			do(&page[i])
		}
		if len(page) < practicePage {
			return nil
		}
		f.After = page[len(page)-1].Seq
	}
}

func drillsIn(ctx context.Context, j entriesOf) (map[string]bool, error) {
	known := map[string]bool{}
	err := eachEntry(ctx, j, journal.Filter{Kinds: []journal.Kind{journal.DrillEnded}}, func(e *journal.Entry) {
		var s scorecard.Summary
		if json.Unmarshal(e.Data, &s) == nil {
			known[s.Drill] = true
		}
	})
	return known, err
}

func writeDrills(ctx context.Context, j *journal.Journal, base string, names []string, ended string) error {
	var trouble error
	for _, name := range names {
		if ctx.Err() != nil {
			return errors.Join(trouble, ctx.Err())
		}
		s, err := summaryOf(ctx, base, name)
		if err != nil {
			trouble = errors.Join(trouble, err) // one that is damaged keeps none of the others out
			continue
		}
		s.Cut = name != filepath.Base(ended)
		_, err = j.AppendIf(ctx, func(v *journal.View) ([]journal.Draft, error) {
			known, err := drillsIn(ctx, v)
			if err != nil || known[name] {
				return nil, err
			}
			return []journal.Draft{{Kind: journal.DrillEnded, At: s.Ended, Data: s}}, nil
		})
		if err != nil {
			return errors.Join(trouble, err)
		}
	}
	return trouble
}

// summaryOf reads a drill's folder.
func summaryOf(ctx context.Context, base, name string) (scorecard.Summary, error) {
	dir := filepath.Join(base, name)
	outcome, err := scorecard.ReadOutcome(dir)
	if err != nil {
		return scorecard.Summary{}, err
	}
	entries, incidents, head, trouble := drillJournal(ctx, dir)
	card := scorecard.Make(outcome, entries, incidents)
	s := scorecard.Summarise(&outcome, &card, entries)
	s.Drill, s.Head, s.Trouble = name, head, trouble
	if head != nil || trouble != "" {
		s.Journal = filepath.Join(DrillsDir, name, journalFile)
	}
	st, err := os.Stat(filepath.Join(dir, scorecard.OutcomeFile))
	if err != nil {
		return s, fmt.Errorf("the end of the drill %s is not known: %w", name, cause(err))
	}
	s.Ended = st.ModTime().UTC() // it is written every few seconds, and last of all at the end
	return s, nil
}

// drillJournal reads the journal of a drill; a drill without one is one in which nobody wrote anything.
func drillJournal(ctx context.Context, dir string) (entries []journal.Entry, incidents []journal.Incident, head *journal.Head, trouble string) {
	j, err := OpenJournal(ctx, &config.File{State: dir}, JournalOptions{ReadOnly: true, Origin: "cli"})
	if errors.Is(err, journal.ErrUnknown) {
		return nil, nil, nil, ""
	}
	if err == nil {
		defer func() { _ = j.Close() }() // only read
		err = eachEntry(ctx, j, journal.Filter{}, func(e *journal.Entry) { entries = append(entries, *e) })
		var ierr, herr error
		incidents, ierr = j.Incidents(ctx, "", false)
		h, herr := j.Head(ctx)
		if herr == nil {
			head = &h
		}
		err = cmp.Or(err, ierr, herr)
	}
	if err != nil {
		trouble = line(err.Error())
	}
	return entries, incidents, head, trouble
}

// drillOf tells whether a configuration is that of a drill: its journal is the drill's own.
func drillOf(cfg *config.File) bool { return cfg.Clock != (sources.ClockConfig{}) }
