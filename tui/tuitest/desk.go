package tuitest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/readiness"
	"rollcall/runbooks/run"
	"rollcall/sources/signal"
	"rollcall/store/cases"
	"rollcall/store/journal"
)

// Desk implements pane.Desk in memory. It keeps what was done to it, so that a
// test can look; runs go on only when a test says so. The fields without a lock
// are set before the desk is used.
type Desk struct {
	Books []runbooks.Listing
	// Evidence is what Readiness answers from.
	Evidence *readiness.Evidence
	// Resets is the command that puts the rehearsal target back; empty: there is none.
	Resets string
	// Planned changes a plan before it is handed out.
	Planned func(*run.Plan)

	clock     *Clock
	mu        sync.Mutex
	trouble   string
	refusal   error
	entries   []journal.Entry
	artifacts []journal.Artifact
	incidents []journal.Incident
	runs      []run.State
	watchers  map[string][]chan run.State
	answers   []run.Answer
}

// NewDesk returns a desk with a short past: one closed incident and a few runbooks.
func NewDesk(c *Clock) *Desk {
	d := &Desk{clock: c, Books: Books(), Evidence: Evidence(), Resets: "llmcfg reset rehearsal", watchers: map[string][]chan run.State{}}
	day := Start.Add(-26 * time.Hour)
	d.incidents = []journal.Incident{{
		ID: "INC-6", Service: Failing, Environment: "prod", Title: "Answers cite documents of another tenant", Category: journal.Privacy,
		Severity: journal.SEV1, Lead: "bo", Began: day, Detected: day.Add(2 * time.Minute), Opened: day.Add(4 * time.Minute),
		Acknowledged: day.Add(4 * time.Minute), Mitigated: day.Add(31 * time.Minute), Resolved: day.Add(50 * time.Minute),
		Closed: day.Add(time.Hour), Cases: 1, OpenedBy: "bo", FirstSeq: 1, LastSeq: 2,
	}}
	d.add(journal.Entry{Kind: journal.IncidentOpened, At: day.Add(4 * time.Minute), Actor: "bo", Origin: "console", Incident: "INC-6", Text: "Answers cite documents of another tenant"}, nil)
	d.add(journal.Entry{Kind: journal.IncidentClosed, At: day.Add(time.Hour), Actor: "bo", Origin: "console", Incident: "INC-6"}, map[string]any{"cases": 1})
	d.add(journal.Entry{Kind: journal.ChangeSeen, At: ChangeAt, Actor: "collect", Origin: "collect"}, map[string]any{"component": "prompt", "from": "v13", "to": "v14", "manifest": "m-0143"})
	d.add(journal.Entry{Kind: journal.AlertFiring, At: ChangeAt.Add(2 * time.Minute), Actor: "collect", Origin: "collect"}, map[string]any{"signal": "schema_fail", "value": .0915, "verdict": "bad"})
	return d
}

// add records an entry; the desk is locked or not yet shared.
func (d *Desk) add(e journal.Entry, data any) journal.Entry {
	if data != nil {
		e.Data, _ = json.Marshal(data)
	}
	e.Seq = int64(len(d.entries) + 1)
	if e.At.IsZero() {
		e.At = d.clock.Now()
	}
	if e.Service == "" {
		e.Service = Failing
	}
	e.Wall, e.Hash = e.At, fmt.Sprintf("%064x", e.Seq*7919)
	d.entries = append(d.entries, e)
	return e
}

// Add records an entry as somebody else would.
func (d *Desk) Add(e journal.Entry, data any) journal.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.add(e, data)
}

// Answers are those that runs got, in order.
func (d *Desk) Answers() []run.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.answers)
}

// Kinds are the kinds of all entries, in order.
func (d *Desk) Kinds() []journal.Kind {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]journal.Kind, len(d.entries))
	for i := range d.entries {
		out[i] = d.entries[i].Kind
	}
	return out
}

// Last is the newest entry of a kind.
func (d *Desk) Last(k journal.Kind) (journal.Entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.entries) - 1; i >= 0; i-- {
		if d.entries[i].Kind == k {
			return d.entries[i], true
		}
	}
	return journal.Entry{}, false
}

// Refuse makes every call that can fail end in err, until it is called with nil.
func (d *Desk) Refuse(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusal = err
}

// Trouble makes the journal one that cannot be written; empty makes it well again.
func (d *Desk) Trouble(why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = why
}

// JournalTrouble says what Trouble was told.
func (d *Desk) JournalTrouble() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble
}

// Record keeps the draft as an entry.
func (d *Desk) Record(r journal.Draft) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(journal.Entry{Kind: r.Kind, At: r.At, Actor: "ana", Origin: "console", Service: r.Service, Incident: r.Incident, Run: r.Run, Text: r.Text}, r.Data)
}

func (d *Desk) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refusal
}

// Entries returns what the filter keeps.
func (d *Desk) Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []journal.Entry
	for _, e := range d.entries {
		if e.Seq <= f.After || f.Before > 0 && e.Seq >= f.Before || f.Service != "" && e.Service != f.Service ||
			f.Incident != "" && e.Incident != f.Incident || f.Run != "" && e.Run != f.Run ||
			!f.Since.IsZero() && e.At.Before(f.Since) || !f.Until.IsZero() && e.At.After(f.Until) ||
			len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind) {
			continue
		}
		out = append(out, e)
	}
	limit := f.Limit
	if limit == 0 {
		limit = 1000
	}
	if len(out) > limit {
		if f.Newest {
			return out[len(out)-limit:], nil
		}
		return out[:limit], nil
	}
	return out, nil
}

// Artifact returns a captured artifact.
func (d *Desk) Artifact(ctx context.Context, id int64) (journal.Artifact, error) {
	if err := d.check(ctx); err != nil {
		return journal.Artifact{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id < 1 || int(id) > len(d.artifacts) {
		return journal.Artifact{}, fmt.Errorf("artifact %d was erased; the entry keeps its hash", id)
	}
	return d.artifacts[id-1], nil
}

// Incidents returns those of a service, newest first.
func (d *Desk) Incidents(ctx context.Context, service string) ([]journal.Incident, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []journal.Incident
	for i := len(d.incidents) - 1; i >= 0; i-- {
		if d.incidents[i].Service == service {
			out = append(out, d.incidents[i])
		}
	}
	return out, nil
}

// Prefill makes a draft of the verdict line.
func (d *Desk) Prefill(service string, snap *signal.Snapshot) journal.IncidentDraft {
	out := journal.IncidentDraft{Service: service, Category: journal.Quality, Severity: journal.SEV3, Lead: "ana"}
	if snap == nil {
		return out
	}
	out.Environment, out.Signals, out.Change = snap.Live.Environment, snap.Line.Signals, snap.Line.Change
	out.Evidence = strings.Join(snap.Line.Parts, ". ") + "."
	if len(snap.Line.Signals) > 0 {
		out.Title, out.Severity, out.Began, out.Detected = "Schema failures after prompt v14", journal.SEV2, ChangeAt, snap.Line.Since
	}
	return out
}

// OpenIncident opens one.
func (d *Desk) OpenIncident(ctx context.Context, r journal.IncidentDraft) (journal.Incident, error) {
	if err := d.check(ctx); err != nil {
		return journal.Incident{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inc := journal.Incident{
		ID: fmt.Sprintf("INC-%d", 6+len(d.incidents)), Service: r.Service, Environment: r.Environment, Title: r.Title, Category: r.Category,
		Tags: r.Tags, Severity: r.Severity, Lead: r.Lead, Signals: r.Signals, Began: r.Began, Detected: r.Detected,
		Opened: d.clock.Now(), OpenedBy: "ana", FirstSeq: int64(len(d.entries) + 1), LastSeq: int64(len(d.entries) + 1),
	}
	d.incidents = append(d.incidents, inc)
	d.add(journal.Entry{Kind: journal.IncidentOpened, Actor: "ana", Origin: "console", Service: r.Service, Incident: inc.ID, Text: r.Title}, map[string]any{"category": r.Category, "severity": r.Severity})
	return inc, nil
}

func (d *Desk) incident(id string) (*journal.Incident, error) {
	for i := range d.incidents {
		if d.incidents[i].ID == id {
			return &d.incidents[i], nil
		}
	}
	return nil, fmt.Errorf("no incident is called %s; rollcall incident list names them", id)
}

// UpdateIncident changes one.
func (d *Desk) UpdateIncident(ctx context.Context, id string, p journal.IncidentPatch) (journal.Incident, error) {
	if err := d.check(ctx); err != nil {
		return journal.Incident{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inc, err := d.incident(id)
	if err != nil {
		return journal.Incident{}, err
	}
	data := map[string]any{}
	if p.Severity != nil {
		inc.Severity = *p.Severity
		data["severity"] = inc.Severity
	}
	if p.Lead != nil {
		inc.Lead = *p.Lead
	}
	if p.Title != nil {
		inc.Title = *p.Title
	}
	if p.Acknowledged != nil {
		inc.Acknowledged = *p.Acknowledged
		data["acknowledged"] = inc.Acknowledged
	}
	if p.Mitigated != nil {
		inc.Mitigated = *p.Mitigated
		data["mitigated"] = inc.Mitigated
	}
	if p.Resolved != nil {
		inc.Resolved = *p.Resolved
		data["resolved"] = inc.Resolved
	}
	inc.Requests = append(inc.Requests, p.AddRequests...)
	inc.Runs = append(inc.Runs, p.AddRuns...)
	d.add(journal.Entry{Kind: journal.IncidentUpdated, Actor: "ana", Origin: "console", Service: inc.Service, Incident: id, Text: p.Why}, data)
	return *inc, nil
}

// CloseIncident closes one.
func (d *Desk) CloseIncident(ctx context.Context, id, reason string) (journal.Incident, error) {
	if err := d.check(ctx); err != nil {
		return journal.Incident{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inc, err := d.incident(id)
	if err != nil {
		return journal.Incident{}, err
	}
	if reason == "" && inc.Cases == 0 {
		return journal.Incident{}, errors.New("there is no regression case; write why, or export one with rollcall cases")
	}
	inc.Closed, inc.CloseReason = d.clock.Now(), reason
	d.add(journal.Entry{Kind: journal.IncidentClosed, Actor: "ana", Origin: "console", Service: inc.Service, Incident: id, Text: reason}, nil)
	return *inc, nil
}

// AddNote records a note.
func (d *Desk) AddNote(ctx context.Context, service, incident, text string) (journal.Entry, error) {
	if err := d.check(ctx); err != nil {
		return journal.Entry{}, err
	}
	return d.Add(journal.Entry{Kind: journal.Noted, Actor: "ana", Origin: "console", Service: service, Incident: incident, Text: text}, nil), nil
}

// CaptureRequest stores a line about the request as an artifact.
func (d *Desk) CaptureRequest(ctx context.Context, service, incident, request string) (journal.Entry, error) {
	if err := d.check(ctx); err != nil {
		return journal.Entry{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inc, err := d.incident(incident)
	if err != nil {
		return journal.Entry{}, err
	}
	body := []byte("{\n  \"request_id\": \"" + request + "\",\n  \"prompt\": \"v14\",\n  \"schema\": \"fail\",\n  \"user\": \"<user:1>\"\n}\n")
	d.artifacts = append(d.artifacts, journal.Artifact{Name: "request.json", Type: "application/json", Body: body})
	inc.Requests = append(inc.Requests, request)
	return d.add(journal.Entry{
		Kind: journal.Captured, Actor: "ana", Origin: "console", Service: service, Incident: incident,
		Artifacts: []journal.ArtifactRef{{ID: int64(len(d.artifacts)), Name: "request.json", Type: "application/json", Bytes: len(body)}},
	}, map[string]any{"request_id": request}), nil
}

// ExportReview says where the review would be.
func (d *Desk) ExportReview(ctx context.Context, incident string) (string, error) {
	if err := d.check(ctx); err != nil {
		return "", err
	}
	d.Add(journal.Entry{Kind: journal.Exported, Actor: "ana", Origin: "console", Incident: incident}, map[string]any{"format": "md"})
	return "/home/ana/.local/state/rollcall/reviews/" + incident + ".md", nil
}

// CasesFolder is in the state folder.
func (d *Desk) CasesFolder(incident string) string {
	return "/home/ana/.local/state/rollcall/cases/" + incident
}

// ExportCases counts each captured request as a case.
func (d *Desk) ExportCases(ctx context.Context, incident, dir string) (cases.Done, error) {
	if err := d.check(ctx); err != nil {
		return cases.Done{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inc, err := d.incident(incident)
	if err != nil {
		return cases.Done{}, err
	}
	done := cases.Done{Export: &cases.Export{Incident: incident, Formats: []cases.Format{cases.Promptfoo}}, Dir: dir}
	for _, r := range inc.Requests {
		done.Cases = append(done.Cases, cases.Case{ID: incident + "-" + r, Request: r})
	}
	inc.Cases = len(done.Cases)
	e := d.add(journal.Entry{Kind: journal.Exported, Actor: "ana", Origin: "console", Incident: incident, Text: dir}, journal.CasesExported{What: journal.WhatCases, Format: "promptfoo", Requests: inc.Requests})
	done.Seq = e.Seq
	return done, nil
}
