package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollcall/store/journal"
	"rollcall/tui/pane"
)

// Entries reads the journal; where nothing was recorded yet there are none.
func (a *App) Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error) {
	j, err := a.ReadJournal()
	if errors.Is(err, journal.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return j.Entries(ctx, f)
}

// Artifact returns a captured artifact's redacted text.
func (a *App) Artifact(ctx context.Context, id int64) (journal.Artifact, error) {
	j, err := a.ReadJournal()
	if err != nil {
		return journal.Artifact{}, err
	}
	return j.Artifact(ctx, id)
}

// AddNote records what a person says, in an incident or without one.
func (a *App) AddNote(ctx context.Context, service, incident, text string) (journal.Entry, error) {
	if strings.TrimSpace(text) == "" {
		return journal.Entry{}, errors.New("the note is empty; say something, or leave it")
	}
	s, err := a.service(service)
	if err != nil {
		return journal.Entry{}, err
	}
	return a.append(ctx, journal.Draft{
		Kind: journal.Noted, Service: service, Environment: s.Environment, Incident: incident, Text: strings.TrimSpace(text),
	})
}

// append records one entry and waits until it is on disk.
func (a *App) append(ctx context.Context, d journal.Draft) (journal.Entry, error) {
	j, err := a.Journal()
	if err != nil {
		return journal.Entry{}, err
	}
	entries, err := j.Append(ctx, d)
	if err != nil {
		return journal.Entry{}, err
	}
	if len(entries) != 1 {
		return journal.Entry{}, fmt.Errorf("the journal wrote %d entries instead of one; look at rollcall journal tail", len(entries))
	}
	return entries[0], nil
}

// Severities returns what each severity means, worst first.
func (a *App) Severities() []pane.Definition {
	return definitions(journal.Severities(), a.cfg.Incidents.SeverityMeans())
}

// Categories returns what each category means.
func (a *App) Categories() []pane.Definition {
	return definitions(journal.Categories(), a.cfg.Incidents.CategoryMeans())
}

func definitions[K ~string](order []K, means map[K]string) []pane.Definition {
	out := make([]pane.Definition, len(order))
	for i, k := range order {
		out[i] = pane.Definition{Word: string(k), Means: means[k]}
	}
	return out
}

var _ pane.Desk = (*App)(nil)
