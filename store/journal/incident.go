package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/sources"
)

// Evidence is the name of the artifact that holds the verdict line as it stood
// when an incident was opened.
const Evidence = "evidence.txt"

// OpenedData is the data of incident.opened. The entry's text is the title.
type OpenedData struct {
	Category Category        `json:"category"`
	Severity Severity        `json:"severity"`
	Tags     []string        `json:"tags,omitempty"`
	Lead     string          `json:"lead,omitempty"`
	Signals  []string        `json:"signals,omitempty"`
	Began    time.Time       `json:"began,omitzero"`
	Detected time.Time       `json:"detected,omitzero"`
	Change   *sources.Change `json:"change,omitempty"`
}

// UpdatedData is the data of incident.updated: what is absent stays as it was.
// The entry's text is why, or the new title where Title says so.
type UpdatedData struct {
	Title        bool       `json:"title,omitempty"`
	Category     *Category  `json:"category,omitempty"`
	Severity     *Severity  `json:"severity,omitempty"`
	Tags         *[]string  `json:"tags,omitempty"`
	Lead         *string    `json:"lead,omitempty"`
	Began        *time.Time `json:"began,omitempty"`
	Acknowledged *time.Time `json:"acknowledged,omitempty"`
	Mitigated    *time.Time `json:"mitigated,omitempty"` // the zero time takes it back
	Resolved     *time.Time `json:"resolved,omitempty"`
	AddRequests  []string   `json:"add_requests,omitempty"`
	AddRuns      []string   `json:"add_runs,omitempty"`
	AddCases     int        `json:"add_cases,omitempty"`
}

// ClosedData is the data of incident.closed. The entry's text is the reason.
type ClosedData struct {
	Cases int `json:"cases"`
}

// CapturedData is what an incident reads of artifact.captured: the request that it is of.
type CapturedData struct {
	Request string `json:"request,omitempty"`
}

// CasesExported is the data of exported when regression cases left the journal. What
// tells it from other exports.
type CasesExported struct {
	What     string   `json:"what"` // WhatCases
	Format   string   `json:"format"`
	Requests []string `json:"requests"` // those of which there is a case
}

// WhatCases is what an export of regression cases is called in its data.
const WhatCases = "cases"

// Categories lists the categories in the order shown.
func Categories() []Category {
	return []Category{Safety, Correctness, Privacy, Quality, Availability, Cost}
}

// Severities lists the severities, worst first.
func Severities() []Severity { return []Severity{SEV1, SEV2, SEV3, SEV4} }

// foldKinds are the kinds that an incident's state is made of.
var foldKinds = []Kind{IncidentOpened, IncidentUpdated, IncidentClosed, RunStarted, Captured, Exported}

// OpenIncident opens an incident of a service and gives it the next ID.
func (j *Journal) OpenIncident(ctx context.Context, d IncidentDraft) (Incident, error) {
	if err := check(&d.Category, &d.Severity, d.Tags); err != nil {
		return Incident{}, err
	}
	if strings.TrimSpace(d.Title) == "" || d.Service == "" {
		return Incident{}, fmt.Errorf("%w: an incident needs a service and a title", ErrRefused)
	}
	data := OpenedData{
		Category: d.Category, Severity: d.Severity, Tags: d.Tags, Lead: j.name(d.Lead), Signals: d.Signals, Began: utc(d.Began), Detected: utc(d.Detected),
		Change: d.Change,
	}
	draft := Draft{Kind: IncidentOpened, Service: d.Service, Environment: d.Environment, Data: data, Text: oneLine(d.Title)}
	if d.Evidence != "" {
		draft.Artifacts = []Artifact{{Name: Evidence, Type: "text/plain", Body: []byte(d.Evidence)}}
	}
	entries, err := j.AppendIf(ctx, func(v *View) ([]Draft, error) {
		var last string
		err := v.q.QueryRowContext(ctx, "SELECT incident FROM entries WHERE kind=? AND "+noSample+" ORDER BY seq DESC LIMIT 1", string(IncidentOpened)).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, explain(j.path, err)
		}
		n, _ := strconv.Atoi(strings.TrimPrefix(last, "INC-")) // 0 when there was none
		draft.Incident = fmt.Sprintf("INC-%d", n+1)
		return []Draft{draft}, nil
	})
	if err != nil {
		return Incident{}, err
	}
	return fold(entries, entries[0].Seq)
}

// UpdateIncident changes what the patch names and returns the incident after
// it. A patch that names nothing is refused.
func (j *Journal) UpdateIncident(ctx context.Context, id string, p IncidentPatch) (Incident, error) {
	var tags []string
	if p.Tags != nil {
		tags = *p.Tags
	}
	if err := check(p.Category, p.Severity, tags); err != nil {
		return Incident{}, err
	}
	return j.change(ctx, id, func(i *Incident) ([]Draft, error) {
		if p.AddCases < 0 {
			return nil, fmt.Errorf("%w: a number of cases below zero", ErrRefused)
		}
		var ds []Draft
		if p.Title != nil {
			title := oneLine(*p.Title)
			if title == "" {
				return nil, fmt.Errorf("%w: an incident needs a title", ErrRefused)
			}
			ds = append(ds, Draft{Kind: IncidentUpdated, Data: UpdatedData{Title: true}, Text: title})
		}
		data := UpdatedData{
			Category: p.Category, Severity: p.Severity, Tags: p.Tags, Began: utcp(p.Began), Acknowledged: utcp(p.Acknowledged),
			Mitigated: utcp(p.Mitigated), Resolved: utcp(p.Resolved), AddCases: p.AddCases,
		}
		if p.Lead != nil {
			lead := j.name(*p.Lead)
			data.Lead = &lead
		}
		for _, r := range p.AddRequests {
			if !slices.Contains(i.Requests, r) {
				data.AddRequests = append(data.AddRequests, r)
			}
		}
		for _, r := range p.AddRuns {
			if !slices.Contains(i.Runs, r) {
				data.AddRuns = append(data.AddRuns, r)
			}
		}
		if raw, err := compact(data); err != nil {
			return nil, err
		} else if string(raw) != "{}" || p.Why != "" && len(ds) == 0 {
			ds = append(ds, Draft{Kind: IncidentUpdated, Data: data, Text: p.Why})
		}
		if len(ds) == 0 && len(p.AddRequests) == 0 && len(p.AddRuns) == 0 {
			return nil, fmt.Errorf("%w: nothing of %s is to be changed", ErrRefused, i.ID)
		}
		return ds, nil
	})
}

// CloseIncident closes an incident. Without an exported regression case a
// reason is needed; one that is closed already is refused.
func (j *Journal) CloseIncident(ctx context.Context, id, reason string) (Incident, error) {
	return j.change(ctx, id, func(i *Incident) ([]Draft, error) {
		switch {
		case !i.Open():
			return nil, fmt.Errorf("%w: %s was closed already, at %s", ErrRefused, i.ID, i.Closed.Format(time.RFC3339))
		case i.Cases == 0 && strings.TrimSpace(reason) == "":
			return nil, fmt.Errorf("%w: %s has no regression case yet; export one, or give the reason why there is none", ErrRefused, i.ID)
		}
		return []Draft{{Kind: IncidentClosed, Data: ClosedData{Cases: i.Cases}, Text: strings.TrimSpace(reason)}}, nil
	})
}

// change decides over an incident as it stands and returns it as it stands then.
func (j *Journal) change(ctx context.Context, id string, decide func(*Incident) ([]Draft, error)) (Incident, error) {
	var before Incident
	entries, err := j.AppendIf(ctx, func(v *View) ([]Draft, error) {
		var err error
		if before, err = v.Incident(ctx, id); err != nil {
			return nil, explain(j.path, err)
		}
		ds, err := decide(&before)
		for i := range ds {
			ds[i].Incident, ds[i].Service, ds[i].Environment = before.ID, before.Service, before.Environment
		}
		return ds, err
	})
	if err != nil {
		return Incident{}, err
	}
	for i := range entries {
		if err := before.apply(&entries[i]); err != nil {
			return Incident{}, err
		}
	}
	return before, nil
}

// Incident returns one incident as it stands; ErrUnknown when there is none.
func (j *Journal) Incident(ctx context.Context, id string) (Incident, error) {
	i, err := j.reader().Incident(ctx, id)
	return i, explain(j.path, j.goneIf(err))
}

// Incidents returns those of a service (of all when it is empty), newest first.
func (j *Journal) Incidents(ctx context.Context, service string, onlyOpen bool) ([]Incident, error) {
	list, err := j.reader().Incidents(ctx, service, onlyOpen)
	return list, explain(j.path, j.goneIf(err))
}

// Incident is Journal.Incident on the view.
func (r reader) Incident(ctx context.Context, id string) (Incident, error) {
	if !incidentID.MatchString(id) {
		return Incident{}, noIncident(id)
	}
	entries, err := r.Entries(ctx, Filter{Incident: id, Kinds: foldKinds, Limit: 1 << 30})
	if err != nil {
		return Incident{}, err
	}
	if len(entries) == 0 {
		return Incident{}, noIncident(id)
	}
	var last int64
	if err := r.q.QueryRowContext(ctx, "SELECT max(seq) FROM entries WHERE incident=?", id).Scan(&last); err != nil {
		return Incident{}, err
	}
	return fold(entries, last)
}

// Incidents is Journal.Incidents on the view.
func (r reader) Incidents(ctx context.Context, service string, onlyOpen bool) ([]Incident, error) {
	kinds := strings.TrimSuffix(strings.Repeat("?,", len(foldKinds)), ",")
	args := make([]any, len(foldKinds))
	for i, k := range foldKinds {
		args[i] = string(k)
	}
	entries, err := r.read(ctx, "SELECT seq, hash, bytes FROM entries WHERE incident IS NOT NULL AND kind IN ("+kinds+") ORDER BY seq", args...)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Incident{}
	var out []*Incident
	for i := range entries {
		e := &entries[i]
		if e.Kind == IncidentOpened {
			inc := &Incident{}
			byID[e.Incident] = inc
			if service == "" || e.Service == service {
				out = append(out, inc)
			}
		}
		if inc := byID[e.Incident]; inc != nil {
			if err := inc.apply(e); err != nil {
				return nil, err
			}
		}
	}
	rows, err := r.q.QueryContext(ctx, "SELECT incident, max(seq) FROM entries WHERE incident IS NOT NULL GROUP BY incident")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var last int64
		if err := rows.Scan(&id, &last); err != nil {
			return nil, err
		}
		if inc := byID[id]; inc != nil {
			inc.LastSeq = last
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	list := make([]Incident, 0, len(out))
	for i := len(out) - 1; i >= 0; i-- {
		if !onlyOpen || out[i].Open() {
			list = append(list, *out[i])
		}
	}
	return list, nil
}

// fold adds up the entries of one incident, oldest first.
func fold(entries []Entry, last int64) (Incident, error) {
	var i Incident
	for k := range entries {
		if err := i.apply(&entries[k]); err != nil {
			return i, err
		}
	}
	i.LastSeq = max(i.LastSeq, last)
	return i, nil
}

// apply is what one entry does to the state.
func (i *Incident) apply(e *Entry) error {
	i.LastSeq = max(i.LastSeq, e.Seq)
	var err error
	switch e.Kind {
	case IncidentOpened:
		var d OpenedData
		err = json.Unmarshal(e.Data, &d)
		*i = Incident{
			ID: e.Incident, Service: e.Service, Environment: e.Environment, Title: titleOf(e), Category: d.Category, Tags: d.Tags, Severity: d.Severity,
			Lead: d.Lead, Signals: d.Signals, Began: d.Began, Detected: d.Detected, Opened: e.At, OpenedBy: e.Actor, FirstSeq: e.Seq, LastSeq: e.Seq,
		}
	case IncidentUpdated:
		var d UpdatedData
		if err = json.Unmarshal(e.Data, &d); err == nil {
			i.update(e, &d)
		}
	case IncidentClosed:
		i.Closed, i.CloseReason = e.At, e.Text
		if e.TextErased {
			i.CloseReason = erasedText
		}
	case RunStarted:
		i.Runs = add(i.Runs, e.Run)
	case Captured:
		var d CapturedData
		if json.Unmarshal(e.Data, &d) == nil {
			i.Requests = add(i.Requests, d.Request)
		}
	case Exported:
		var d CasesExported
		if json.Unmarshal(e.Data, &d) == nil && d.What == WhatCases {
			for _, r := range d.Requests {
				// The same request exported again is no further case.
				if len(i.cased) < len(add(i.cased, r)) {
					i.cased = append(i.cased, r)
					i.Cases++
				}
			}
		}
	}
	if err != nil {
		return fmt.Errorf("entry %d: its data is not that of %s: %w", e.Seq, e.Kind, err)
	}
	return nil
}

func (i *Incident) update(e *Entry, d *UpdatedData) {
	if d.Title {
		i.Title = titleOf(e)
	}
	set(&i.Category, d.Category)
	set(&i.Severity, d.Severity)
	set(&i.Tags, d.Tags)
	set(&i.Lead, d.Lead)
	set(&i.Began, d.Began)
	set(&i.Acknowledged, d.Acknowledged)
	set(&i.Mitigated, d.Mitigated)
	set(&i.Resolved, d.Resolved)
	for _, r := range d.AddRequests {
		i.Requests = add(i.Requests, r)
	}
	for _, r := range d.AddRuns {
		i.Runs = add(i.Runs, r)
	}
	i.Cases += d.AddCases
}

const erasedText = "(erased)"

func titleOf(e *Entry) string {
	if e.TextErased {
		return erasedText
	}
	return e.Text
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func add(list []string, v string) []string {
	if v == "" || slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// name redacts who leads: an address is no login name, and could not be erased.
func (j *Journal) name(s string) string {
	if s == "" || j.redact == nil {
		return s
	}
	return word(j.redact(strings.TrimSpace(s)))
}

var tag = regexp.MustCompile(`^[a-z0-9][a-z0-9_.:-]{0,39}$`)

func check(c *Category, s *Severity, tags []string) error {
	if c != nil && !slices.Contains(Categories(), *c) {
		return fmt.Errorf("%w: %q is no category; it can be %s", ErrRefused, word(string(*c)), list(Categories()))
	}
	if s != nil && !slices.Contains(Severities(), *s) {
		return fmt.Errorf("%w: %q is no severity; it can be %s", ErrRefused, word(string(*s)), list(Severities()))
	}
	for _, t := range tags {
		if !tag.MatchString(t) {
			return fmt.Errorf("%w: %q is no tag; use up to 40 small letters, digits and dashes", ErrRefused, word(t))
		}
	}
	return nil
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func utcp(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
