package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
)

// meaning is what kind of incident the badness of a signal points at. The
// handbook's order holds: what harms people weighs most, then wrong answers and
// leaks, then what merely annoys.
type meaning struct {
	category journal.Category
	severity journal.Severity
}

var meanings = map[string]meaning{
	"filter_trigger":    {journal.Safety, journal.SEV1},
	"refusal":           {journal.Safety, journal.SEV2},
	"unusual_query":     {journal.Safety, journal.SEV2},
	"prompt_length_p99": {journal.Safety, journal.SEV2},
	"access_control":    {journal.Privacy, journal.SEV2},
	"redactions":        {journal.Privacy, journal.SEV1},

	"schema_fail":   {journal.Correctness, journal.SEV2},
	"eval_score":    {journal.Correctness, journal.SEV2},
	"retrieval_hit": {journal.Correctness, journal.SEV2},
	"feedback":      {journal.Quality, journal.SEV3},
	"complaints":    {journal.Quality, journal.SEV3},
	"length_cutoff": {journal.Quality, journal.SEV3},

	"error_ratio":   {journal.Availability, journal.SEV2},
	"error_by_type": {journal.Availability, journal.SEV2},
	"req_rate":      {journal.Availability, journal.SEV2},
	"queue_drops":   {journal.Availability, journal.SEV2},

	"cost_per_req":   {journal.Cost, journal.SEV3},
	"tokens_per_req": {journal.Cost, journal.SEV3},
	// An index that shrinks or slows costs answers, not money.
	"index_size":      {journal.Correctness, journal.SEV2},
	"index_query_p95": {journal.Availability, journal.SEV3},
	// Without headroom requests are refused next.
	"ratelimit_headroom": {journal.Availability, journal.SEV3},
	"ratelimit_tokens":   {journal.Availability, journal.SEV3},
}

// meaningOf falls back on the signal's pane.
func meaningOf(r *sources.Reading) meaning {
	if m, ok := meanings[r.Signal]; ok {
		return m
	}
	switch r.Pane {
	case sources.SafetyPane:
		return meaning{journal.Safety, journal.SEV2}
	case sources.QualityPane:
		return meaning{journal.Quality, journal.SEV3}
	case sources.CostPane:
		return meaning{journal.Cost, journal.SEV3}
	}
	return meaning{journal.Availability, journal.SEV3}
}

// Prefill makes a draft of what the snapshot says: category and severity from
// the worst signal, the start from when it went bad or from the change before
// it, the verdict line as evidence. Without anything bad only the service is filled in.
func (a *App) Prefill(service string, snap *signal.Snapshot) journal.IncidentDraft {
	d := journal.IncidentDraft{Service: service, Environment: a.cfg.Services[service].Environment, Lead: Actor()}
	if snap == nil || !snap.Line.Verdict.Worse(sources.Unreachable) || len(snap.Line.Signals) == 0 {
		d.Category, d.Severity = journal.Quality, journal.SEV3
		return d
	}
	d.Signals = append(d.Signals, snap.Line.Signals...)
	for i, id := range d.Signals {
		r, ok := snap.Reading(id)
		if !ok {
			continue
		}
		m := meaningOf(&r)
		if r.Verdict == sources.Watch {
			m.severity = milder(m.severity)
		}
		if i == 0 {
			d.Category, d.Severity = m.category, m.severity
		} else if m.severity < d.Severity { // SEV1 sorts before SEV2
			d.Severity = m.severity
		}
	}
	if d.Category == "" {
		d.Category, d.Severity = journal.Quality, journal.SEV3
	}
	d.Title = strings.TrimSuffix(titleOf(snap), ".")
	d.Began, d.Change = snap.Line.Since, snap.Line.Change
	if c := snap.Line.Change; c != nil && !c.At.IsZero() && c.At.Before(d.Began) {
		d.Began = c.At
	}
	d.Evidence = snap.Line.Text(wholeLine)
	return d
}

// wholeLine is a width that no verdict line reaches.
const wholeLine = 1 << 16

// titleOf is the first part of the verdict line without what is usual.
func titleOf(snap *signal.Snapshot) string {
	if len(snap.Line.Parts) == 0 {
		return ""
	}
	title, _, _ := strings.Cut(snap.Line.Parts[0], " (usual")
	title, _, _ = strings.Cut(title, " (limit")
	return title
}

func milder(s journal.Severity) journal.Severity {
	all := journal.Severities()
	for i, x := range all[:len(all)-1] {
		if x == s {
			return all[i+1]
		}
	}
	return s
}

// Incidents returns those of a service, newest first; of all services when it is empty.
func (a *App) Incidents(ctx context.Context, service string) ([]journal.Incident, error) {
	j, err := a.ReadJournal()
	if errors.Is(err, journal.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return j.Incidents(ctx, service, false)
}

// Incident returns one incident as it stands.
func (a *App) Incident(ctx context.Context, id string) (journal.Incident, error) {
	j, err := a.ReadJournal()
	if err != nil {
		return journal.Incident{}, err
	}
	return j.Incident(ctx, id)
}

// OpenIncident opens an incident. What is not said about when it was detected
// is taken from the alerts in the journal, or else it is now.
func (a *App) OpenIncident(ctx context.Context, d journal.IncidentDraft) (journal.Incident, error) {
	s, err := a.service(d.Service)
	if err != nil {
		return journal.Incident{}, err
	}
	if d.Environment == "" {
		d.Environment = s.Environment
	}
	now := a.clock.Now()
	if d.Began.After(now.Add(sources.MaxSkew)) {
		return journal.Incident{}, fmt.Errorf("it cannot have begun at %s, which is in the future; it is %s now", utcWords(d.Began), utcWords(now))
	}
	if d.Lead == "" {
		d.Lead = Actor()
	}
	j, err := a.Journal()
	if err != nil {
		return journal.Incident{}, err
	}
	if d.Detected.IsZero() {
		d.Detected = a.firstAlert(ctx, &d, now)
	}
	inc, err := j.OpenIncident(ctx, d)
	if err == nil {
		a.lookOnce(ctx, d.Service)
	}
	return inc, err
}

// earlyAlert is how long before a trouble began, as far as that is known, its alert may have fired.
const earlyAlert = 10 * time.Minute

// firstAlert is when the journal first saw one of the draft's signals bad, of those that
// still are; now when it saw none. What fired long before the trouble began was another one.
func (a *App) firstAlert(ctx context.Context, d *journal.IncidentDraft, now time.Time) time.Time {
	seen := newSeen()
	entries, err := a.Entries(ctx, journal.Filter{
		Service: d.Service, Kinds: []journal.Kind{journal.AlertFiring, journal.AlertResolved}, Newest: true,
	})
	if err != nil {
		a.log.Warn("the alerts could not be read", "err", err)
		return now
	}
	seen.take(entries)
	at := now
	for _, id := range d.Signals {
		f, ok := seen.firing[id]
		if early := d.Began.Sub(f); ok && early > 0 && !d.Began.IsZero() {
			f, ok = d.Began, early <= earlyAlert
		}
		if ok && f.Before(at) {
			at = f
		}
	}
	return at
}

// UpdateIncident changes what the patch names.
func (a *App) UpdateIncident(ctx context.Context, id string, p journal.IncidentPatch) (journal.Incident, error) {
	j, err := a.Journal()
	if err != nil {
		return journal.Incident{}, err
	}
	now := a.clock.Now()
	for what, t := range map[string]*time.Time{"begun": p.Began, "been mitigated": p.Mitigated, "been resolved": p.Resolved} {
		if t != nil && t.After(now.Add(sources.MaxSkew)) {
			return journal.Incident{}, fmt.Errorf("it cannot have %s at %s, which is in the future; it is %s now", what, utcWords(*t), utcWords(now))
		}
	}
	inc, err := j.UpdateIncident(ctx, id, p)
	if err == nil && (p.Mitigated != nil && !p.Mitigated.IsZero() || p.Resolved != nil && !p.Resolved.IsZero()) {
		a.lookOnce(ctx, inc.Service)
	}
	return inc, err
}

// CloseIncident closes an incident; without a regression case it needs a reason.
func (a *App) CloseIncident(ctx context.Context, id, reason string) (journal.Incident, error) {
	j, err := a.Journal()
	if err != nil {
		return journal.Incident{}, err
	}
	return j.CloseIncident(ctx, id, reason)
}

// current is the incident that is meant when none is named: the newest open one of the service.
func (a *App) current(ctx context.Context, service string) (journal.Incident, error) {
	list, err := a.Incidents(ctx, service)
	if err != nil {
		return journal.Incident{}, err
	}
	for i := range list {
		if list[i].Open() {
			return list[i], nil
		}
	}
	return journal.Incident{}, fmt.Errorf("no incident of %s is open; open one with rollcall incident open", service)
}

func utcWords(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
