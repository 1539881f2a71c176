package pane

import (
	"context"

	"rollcall/runbooks"
	"rollcall/runbooks/readiness"
	"rollcall/runbooks/run"
	"rollcall/sources/signal"
	"rollcall/store/cases"
	"rollcall/store/journal"
)

// Desk is where the console acts and where it writes things down; cmd hands it
// to the program. Every call is bounded and ends when its context does, except
// that what was begun in the journal is finished. Errors are one line with a
// remedy. A journal that cannot be written refuses what acts and says why;
// reading goes on.
type Desk interface {
	// JournalTrouble is why nothing can be recorded, one line; empty when all is well.
	JournalTrouble() string
	// Record writes an entry without making anybody wait; it never fails towards the screen.
	Record(d journal.Draft)
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
	// Artifact returns a captured artifact's redacted text.
	Artifact(ctx context.Context, id int64) (journal.Artifact, error)

	// Incidents returns those of a service, newest first.
	Incidents(ctx context.Context, service string) ([]journal.Incident, error)
	// Prefill makes a draft of what the snapshot says: category, severity, evidence, start.
	Prefill(service string, snap *signal.Snapshot) journal.IncidentDraft
	OpenIncident(ctx context.Context, d journal.IncidentDraft) (journal.Incident, error)
	UpdateIncident(ctx context.Context, id string, p journal.IncidentPatch) (journal.Incident, error)
	// CloseIncident needs a reason unless a regression case was exported.
	CloseIncident(ctx context.Context, id, reason string) (journal.Incident, error)
	AddNote(ctx context.Context, service, incident, text string) (journal.Entry, error)
	// CaptureRequest stores a request, redacted, as artifacts of the incident and links it.
	CaptureRequest(ctx context.Context, service, incident, request string) (journal.Entry, error)
	// ExportReview writes the review as Markdown into the state folder and returns its path.
	ExportReview(ctx context.Context, incident string) (path string, err error)
	// CasesFolder is where ExportCases writes unless told otherwise.
	CasesFolder(incident string) string
	// ExportCases writes the captured requests as regression cases into a folder and records it. A folder that
	// has anything in it is refused.
	ExportCases(ctx context.Context, incident, dir string) (cases.Done, error)
	// Severities and Categories return what each means, in the order shown.
	Severities() []Definition
	Categories() []Definition

	// Runbooks lists all, those suggested for what is bad now first.
	Runbooks(ctx context.Context, service string, snap *signal.Snapshot) ([]runbooks.Listing, error)
	// Plan resolves a runbook's variables without acting; vars are a person's answers by name.
	Plan(ctx context.Context, service, runbook string, vars map[string]string) (*run.Plan, error)
	// StartRun starts a plan and drives it until it ends or the console does; the
	// run is linked to the open incident of the service, if there is one.
	StartRun(ctx context.Context, p *run.Plan) (run.State, error)
	// ResumeRun drives a run that nobody drives any more.
	ResumeRun(ctx context.Context, id string) (run.State, error)
	// Runs returns those of a service, newest first, whoever drives them.
	Runs(ctx context.Context, service string) ([]run.State, error)
	// WatchRun sends the state now and after every change until ctx ends or the
	// run does; a slow reader misses states in between, never the last.
	WatchRun(ctx context.Context, id string) (<-chan run.State, error)
	AnswerRun(ctx context.Context, id string, a run.Answer) error

	// Rehearse is Plan for the rehearsal target; an error where there is none.
	Rehearse(ctx context.Context, service, runbook string, vars map[string]string) (*run.Plan, error)
	// ResetCommand is what ResetRehearsals runs, to be read; empty where the configuration has none.
	ResetCommand(service string) string
	// ResetRehearsals puts the rehearsal target back to where rehearsals begin; refused while one goes on.
	ResetRehearsals(ctx context.Context, service string) error

	// Readiness answers the checklist. What cannot be looked at is part of the answers, not an error.
	Readiness(ctx context.Context, service string) (readiness.Report, error)
}

// Definition is a word with its meaning.
type Definition struct{ Word, Means string }
