package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
	"rollcall/store/review"
)

const reviewsDir = "reviews"

// Review makes the review of an incident as it stands.
func (a *App) Review(ctx context.Context, id string) (*review.Review, error) {
	j, err := a.ReadJournal()
	if err != nil {
		return nil, err
	}
	return review.Build(ctx, id, review.Deps{
		Journal: j, Runs: a.reviewRuns(id), Affected: a.affected, Changes: a.reviewChanges,
		Severities: a.cfg.Incidents.SeverityMeans(), Categories: a.cfg.Incidents.CategoryMeans(), Now: a.clock.Now(),
	})
}

// Exported is the data of an exported entry.
type Exported struct {
	What   string       `json:"what"`
	Format string       `json:"format"`
	Public bool         `json:"public,omitempty"`
	Head   journal.Head `json:"head"` // that the export prints
}

// RecordExport records that a review left the journal.
func (a *App) RecordExport(ctx context.Context, r *review.Review, format string) (journal.Entry, error) {
	return a.append(ctx, journal.Draft{
		Kind: journal.Exported, Service: r.Incident.Service, Environment: r.Incident.Environment, Incident: r.Incident.ID,
		Data: Exported{What: "review", Format: format, Public: r.Public, Head: r.Head.Head},
	})
}

// ExportReview writes the review as Markdown into the state folder and returns its path.
func (a *App) ExportReview(ctx context.Context, incident string) (string, error) {
	r, err := a.Review(ctx, incident)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(a.cfg.State, reviewsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the folder %s cannot be made: %w; free some space, or print it with rollcall review %s", dir, cause(err), r.Incident.ID)
	}
	path := filepath.Join(dir, r.Incident.ID+".md")
	if err := writeWhole(path, r.Markdown); err != nil {
		return "", fmt.Errorf("%s cannot be written: %w; free some space, or print it with rollcall review %s", path, cause(err), r.Incident.ID)
	}
	_, err = a.RecordExport(ctx, r, "md")
	return path, err
}

func (a *App) reviewChanges(ctx context.Context, service string, since, until time.Time) ([]sources.Change, error) {
	if _, err := a.service(service); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	list, facts, err := a.moves.Changes(ctx, service, since, until, changeStep(until.Sub(since)))
	if err == nil && facts.Partial != "" {
		err = errors.New(facts.Partial)
	}
	return list, err
}

// runner is the part of the console that executes runbooks.
type runner interface {
	Runs(ctx context.Context, service string) ([]run.State, error)
}

// reviewRuns reads the runs of an incident for its review; nil when this App has no engine.
func (a *App) reviewRuns(incident string) func(context.Context, string) (review.Run, error) {
	engine, ok := any(a).(runner)
	if !ok {
		return nil
	}
	return func(ctx context.Context, id string) (review.Run, error) {
		inc, err := a.Incident(ctx, incident)
		if err != nil {
			return review.Run{}, err
		}
		list, err := engine.Runs(ctx, inc.Service)
		if err != nil {
			return review.Run{}, err
		}
		for i := range list {
			if list[i].ID == id {
				return reviewRun(&list[i]), nil
			}
		}
		return review.Run{}, fmt.Errorf("no run %s is known", id)
	}
}

// outputKept is how many of a step's newest lines a review shows.
const outputKept = 20

func reviewRun(s *run.State) review.Run {
	units := map[string]sources.Unit{}
	for _, sig := range signal.Catalogue() {
		units[sig.ID] = sig.Unit
	}
	out := review.Run{
		ID: s.ID, Runbook: s.Runbook, Title: s.Title, Component: string(s.Component), Actor: s.Actor, Began: s.Began, Ended: s.Ended,
		Outcome: string(s.Outcome), Why: s.Why, Rehearsal: s.Target.Rehearsal,
	}
	for _, v := range s.Vars {
		out.Vars = append(out.Vars, review.Var{Name: v.Name, Value: v.Value, From: v.From})
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		step := review.Step{
			Name: st.Name, Phase: string(st.Phase), Sentence: st.Sentence, Status: string(st.Status), Why: st.Why, By: st.By, Note: st.Note,
			Attempt: st.Attempt, Began: st.Began, Ended: st.Ended, TookS: st.Took, Exit: st.Exit, Omitted: st.Omitted,
			Snapped: review.SnapOf(review.SnapDuring, st.Ended, st.Snapped).Signals,
		}
		if st.Check != nil {
			step.Signal, step.Unit = st.Check.Signal, units[st.Check.Signal]
		}
		for _, x := range st.Samples {
			step.Samples = append(step.Samples, review.Sample{At: x.At, Value: x.Value, Usual: x.Usual, N: x.N, Verdict: string(x.Verdict), Why: x.Why})
		}
		lines := st.Output
		if n := len(lines) - outputKept; n > 0 {
			lines = lines[n:]
			step.Omitted += int64(n)
		}
		for _, l := range lines {
			step.Output = append(step.Output, l.Text)
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}
