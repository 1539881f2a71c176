package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/runbooks/run/recorder"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
)

const (
	runsDir      = "runs"
	suspectWait  = 10 * time.Second // wall
	captureAtMax = 50
)

// Engine returns the engine that drives runs, made when first asked for. The App closes it.
func (a *App) Engine() (*run.Engine, error) {
	a.runs.mu.Lock()
	defer a.runs.mu.Unlock()
	if a.runs.engine != nil || a.runs.closed {
		if a.runs.closed {
			return nil, errors.New("the console is leaving; nothing is started any more")
		}
		return a.runs.engine, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("commands cannot be recorded: %w", err)
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	path, work := a.cfg.Path, "/"
	if path != "" {
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		work = filepath.Dir(path)
	} else if here, err := os.Getwd(); err == nil {
		work = here
	}
	state, err := filepath.Abs(a.cfg.State)
	if err != nil {
		return nil, err
	}
	e, err := run.New(run.Deps{
		Journal: runJournal{a}, Signals: runSignals{a.eval}, Capturer: runCapturer{a}, Marker: runMarker{a}, Suspect: a.suspect,
		Clock: a.clock, Dir: filepath.Join(state, runsDir), Self: []string{exe, recorder.Argument}, Bin: filepath.Dir(exe), WorkDir: work,
		ConfigPath: path, Environ: run.Environ(os.Environ(), nil), Redact: a.intake.redactor.Text, Redaction: a.cfg.Redact,
		KeyFile: filepath.Join(state, keyFile), Actor: Actor(), Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.runs.engine = e
	return e, nil
}

// closeRuns lets go of every run that this process drives.
func (a *App) closeRuns() {
	a.runs.mu.Lock()
	e := a.runs.engine
	a.runs.engine, a.runs.closed = nil, true
	a.runs.mu.Unlock()
	if e != nil {
		e.Close()
	}
}

// runJournal opens the journal when it is needed, and again after trouble.
type runJournal struct{ a *App }

func (j runJournal) Append(ctx context.Context, drafts ...journal.Draft) ([]journal.Entry, error) {
	w, err := j.a.Journal()
	if err != nil {
		return nil, err
	}
	return w.Append(ctx, drafts...)
}

func (j runJournal) Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error) {
	r, err := j.a.ReadJournal()
	if errors.Is(err, journal.ErrUnknown) {
		return nil, nil // nothing was recorded yet
	}
	if err != nil {
		return nil, err
	}
	return r.Entries(ctx, f)
}

func (j runJournal) NextRun(ctx context.Context) (string, error) {
	w, err := j.a.Journal()
	if err != nil {
		return "", err
	}
	return w.NextRun(ctx)
}

// runSignals measures for checks.
type runSignals struct{ e *signal.Evaluator }

func (s runSignals) Measure(ctx context.Context, service, id string) (sources.Reading, error) {
	return s.e.Measure(ctx, service, id)
}

func (s runSignals) PromQL(ctx context.Context, service, query string) (run.Measured, error) {
	v, p, err := s.e.PromQL(ctx, service, query)
	return run.Measured{Value: v, Query: p.Query, From: p.Provider}, err
}

func (s runSignals) LogQL(ctx context.Context, service, query string) (run.Measured, error) {
	v, p, err := s.e.LogQL(ctx, service, query)
	return run.Measured{Value: v, Query: p.Query, From: p.Provider}, err
}

// runMarker moves incidents along.
type runMarker struct{ a *App }

func (m runMarker) Mark(ctx context.Context, id, as string, at time.Time, why string) error {
	j, err := m.a.Journal()
	if err != nil {
		return err
	}
	inc, err := j.Incident(ctx, id)
	if err != nil {
		return err
	}
	p := journal.IncidentPatch{Why: why}
	if inc.Mitigated.IsZero() {
		p.Mitigated = &at
	}
	if as == "resolved" && inc.Resolved.IsZero() {
		p.Resolved = &at
	}
	if p.Mitigated == nil && p.Resolved == nil || !inc.Open() {
		return nil
	}
	_, err = j.UpdateIncident(ctx, id, p)
	return err
}

func (m runMarker) Reopen(ctx context.Context, id, why string) error {
	j, err := m.a.Journal()
	if err != nil {
		return err
	}
	inc, err := j.Incident(ctx, id)
	if err != nil || !inc.Open() {
		return err
	}
	never := time.Time{}
	_, err = j.UpdateIncident(ctx, id, journal.IncidentPatch{Mitigated: &never, Resolved: &never, Why: why})
	return err
}

// runCapturer keeps requests as artifacts.
type runCapturer struct{ a *App }

func (c runCapturer) Capture(ctx context.Context, w run.Capturing) ([]journal.Draft, sources.Facts, error) {
	f := sources.RequestFilter{
		Service: w.Target.Service, Since: w.Since, Until: c.a.clock.Now(), Bad: w.Bad, Versions: w.Version, Limit: min(max(1, w.Limit), captureAtMax),
	}
	for _, a := range w.Where {
		var ok bool
		if f, ok = f.With(a); !ok {
			return nil, sources.Facts{}, fmt.Errorf("requests cannot be picked by %s; correct the runbook", line(a.Name))
		}
	}
	list, err := c.a.Requests(ctx, f)
	if err != nil {
		return nil, sources.Facts{}, err
	}
	var out []journal.Draft
	for i := range list.Rows {
		id := list.Rows[i].ID
		if id == "" {
			id = list.Rows[i].TraceID
		}
		v, err := c.a.Request(ctx, w.Target.Service, id)
		if err != nil {
			return nil, sources.Facts{}, err
		}
		artifacts, err := artifactsOf(v)
		if err != nil {
			return nil, sources.Facts{}, err
		}
		out = append(out, journal.Draft{
			Kind: journal.Captured,
			Data: Captured{
				Request: id, TraceID: v.Request.TraceID, Bad: v.Request.Bad(), Spans: len(v.Spans), Lines: len(v.Logs.Lines),
				Model: v.Request.ModelServed, Prompt: v.Request.Prompt, Index: v.Request.Index,
			},
			Artifacts: artifacts,
		})
	}
	return out, list.Facts, nil
}

// suspect names what the verdict line holds responsible: the version of a component, or
// the value of another attribute that the bad requests share.
func (a *App) suspect(ctx context.Context, service, of string) (value, why string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, suspectWait)
	defer cancel()
	snap, err := a.eval.Snapshot(ctx, service, sources.View{Range: time.Hour, Columns: 120}, sources.QualityPane)
	if err != nil {
		return "", "", false
	}
	version := slices.Contains(sources.Components[:], sources.Component(of))
	if c := snap.Line.Change; version && c != nil {
		if string(c.Component) != of || c.To == "" {
			return "", "", false
		}
		return c.To, line(snap.Line.Text(200)), true
	}
	if snap.Suspects == nil {
		return "", "", false
	}
	// No change was seen, or none says it, and still the bad requests may share what the good ones do not.
	for i := range snap.Suspects.Suspects {
		s := &snap.Suspects.Suspects[i]
		if v, ok := s.Value(of); ok && v != "" && s.Explained >= snap.Suspects.Suspects[0].Explained/3 {
			return v, line(snap.Suspects.Phrase(s)), true
		}
	}
	return "", "", false
}

// runbookList reads and lints all runbooks for a service.
func (a *App) runbookList(ctx context.Context, service string) ([]runbooks.Listing, error) {
	s, err := a.service(service)
	if err != nil {
		return nil, err
	}
	k, err := runbooks.KnownSignals(s.Service)
	if err != nil {
		return nil, err
	}
	k.Now = a.clock.Now()
	if done, err := run.Rehearsals(ctx, runJournal{a}); err == nil {
		k.Rehearsed = func(id string) (runbooks.Rehearsal, bool) {
			r, ok := done[id]
			return runbooks.Rehearsal{At: r.At, Hash: r.Hash}, ok
		}
	}
	return runbooks.Load(a.cfg.Runbooks.Dirs, k), nil
}

// Rehearsals returns the last successful rehearsal of each runbook from the
// journal of a configuration; none where nothing was recorded yet.
func Rehearsals(ctx context.Context, cfg *config.File) (map[string]runbooks.Rehearsal, error) {
	j, err := OpenJournal(ctx, cfg, JournalOptions{ReadOnly: true, Origin: "cli"})
	if errors.Is(err, journal.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = j.Close() }()
	done, err := run.Rehearsals(ctx, j)
	if err != nil {
		return nil, err
	}
	out := map[string]runbooks.Rehearsal{}
	for id, r := range done {
		out[id] = runbooks.Rehearsal{At: r.At, Hash: r.Hash}
	}
	return out, nil
}

// Runbooks lists all, those suggested for what is bad now first.
func (a *App) Runbooks(ctx context.Context, service string, snap *signal.Snapshot) ([]runbooks.Listing, error) {
	list, err := a.runbookList(ctx, service)
	if err != nil {
		return nil, err
	}
	last := map[string]time.Time{}
	starts, err := runJournal{a}.Entries(ctx, journal.Filter{Kinds: []journal.Kind{journal.RunStarted}, Service: service, Newest: true})
	if err != nil {
		a.log.Warn("when runbooks ran last is not known", "err", err)
	}
	for i := range starts {
		last[run.RunbookOf(&starts[i])] = starts[i].At
	}
	for i := range list {
		if rb := list[i].Runbook; rb != nil {
			list[i].LastRun = last[rb.ID]
			list[i].Suggested = suggested(rb, snap)
		}
	}
	slices.SortStableFunc(list, func(x, y runbooks.Listing) int {
		return cmp.Or(rank(&x, snap)-rank(&y, snap), typical(&x, snap)-typical(&y, snap))
	})
	return list, nil
}

func rank(l *runbooks.Listing, snap *signal.Snapshot) int {
	switch {
	case l.Runbook == nil:
		return 3
	case snap != nil && snap.Line.Runbook != "" && l.Runbook.ID == snap.Line.Runbook:
		return 0
	case l.Suggested != "":
		return 1
	}
	return 2
}

// typical is how far behind, among the signals that a suggested runbook is for, the first one stands that is bad.
func typical(l *runbooks.Listing, snap *signal.Snapshot) int {
	if l.Suggested == "" {
		return 0
	}
	return slices.IndexFunc(l.Runbook.Suggest, func(id string) bool {
		r, ok := snap.Reading(id)
		return ok && r.Verdict == sources.Bad
	})
}

// suggested says why a runbook fits what is bad now.
func suggested(rb *runbooks.Runbook, snap *signal.Snapshot) string {
	if snap == nil {
		return ""
	}
	if snap.Line.Runbook == rb.ID {
		return line(snap.Line.Text(160))
	}
	if c := snap.Line.Change; c != nil && rb.Component != "" && c.Component != rb.Component {
		return "" // something else changed
	}
	var bad []string
	for _, id := range rb.Suggest {
		if r, ok := snap.Reading(id); ok && r.Verdict == sources.Bad {
			bad = append(bad, r.Label+" "+r.Why)
		}
	}
	return line(strings.Join(bad, "; "))
}

// Runbook returns one runbook that may be run.
func (a *App) Runbook(ctx context.Context, service, id string) (*runbooks.Runbook, error) {
	list, err := a.runbookList(ctx, service)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range list {
		l := &list[i]
		if l.Runbook == nil || l.Runbook.ID != id {
			if l.Runbook != nil {
				ids = append(ids, l.Runbook.ID)
			}
			continue
		}
		for _, p := range l.Problems {
			if !p.Notice {
				return nil, fmt.Errorf("%s:%d: %s; a runbook that does not lint is not run", line(p.File), p.Line, line(p.Message))
			}
		}
		return l.Runbook, nil
	}
	if near := config.Nearest(id, ids); near != "" {
		return nil, fmt.Errorf("no runbook %q; did you mean %s?", line(id), near)
	}
	return nil, fmt.Errorf("no runbook %q; rollcall runbook list shows them", line(id))
}

// RunTarget is what a run of a service acts on, linked to its open incident.
func (a *App) RunTarget(ctx context.Context, service string) (run.Target, error) {
	s, err := a.service(service)
	if err != nil {
		return run.Target{}, err
	}
	t := run.Target{Service: service, Environment: s.Environment}
	if j, err := a.ReadJournal(); err == nil {
		if open, err := j.Incidents(ctx, service, true); err == nil && len(open) > 0 {
			t.Incident = open[0].ID
		}
	}
	return t, nil
}

// Plan resolves a runbook's variables without acting.
func (a *App) Plan(ctx context.Context, service, runbook string, vars map[string]string) (*run.Plan, error) {
	rb, err := a.Runbook(ctx, service, runbook)
	if err != nil {
		return nil, err
	}
	t, err := a.RunTarget(ctx, service)
	if err != nil {
		return nil, err
	}
	e, err := a.Engine()
	if err != nil {
		return nil, err
	}
	return e.Plan(ctx, rb, t, vars)
}

// StartRun starts a plan and drives it until it ends or the App is closed.
func (a *App) StartRun(ctx context.Context, p *run.Plan) (run.State, error) {
	e, err := a.Engine()
	if err != nil {
		return run.State{}, err
	}
	if p != nil && p.Target.Incident == "" && !p.Target.Rehearsal {
		// One may have been opened while the plan was on the screen.
		linked := *p
		if t, err := a.RunTarget(ctx, p.Target.Service); err == nil {
			linked.Target.Incident = t.Incident
		}
		p = &linked
	}
	return e.Start(ctx, p, run.Options{})
}

// ResumeRun drives a run that nobody drives any more.
func (a *App) ResumeRun(ctx context.Context, id string) (run.State, error) {
	e, err := a.Engine()
	if err != nil {
		return run.State{}, err
	}
	return e.Resume(ctx, id, run.Options{})
}

// Runs returns those of a service, newest first, whoever drives them.
func (a *App) Runs(ctx context.Context, service string) ([]run.State, error) {
	e, err := a.Engine()
	if err != nil {
		return nil, err
	}
	return e.Runs(ctx, service)
}

// WatchRun sends the state of a run now and after every change.
func (a *App) WatchRun(ctx context.Context, id string) (<-chan run.State, error) {
	e, err := a.Engine()
	if err != nil {
		return nil, err
	}
	return e.Watch(ctx, id)
}

// AnswerRun records a person's decision.
func (a *App) AnswerRun(ctx context.Context, id string, answer run.Answer) error {
	e, err := a.Engine()
	if err != nil {
		return err
	}
	return e.Answer(ctx, id, answer)
}

// WatchHolds watches over the checks that finished runs left to be watched, until
// ctx ends. Any number of processes may call it: each hold is watched by one.
func (a *App) WatchHolds(ctx context.Context) {
	const every = 15 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	var mine runSet
	for {
		if e, err := a.Engine(); err == nil {
			holds, err := e.Holds(ctx)
			if err != nil && ctx.Err() == nil {
				a.log.Warn("what is to be watched after runs is not known", "err", err)
			}
			for _, h := range holds {
				if !mine.add(h.Run) {
					continue
				}
				a.running.Go(func() {
					defer mine.remove(h.Run)
					if end, err := e.WatchHold(ctx, h); err != nil && !errors.Is(err, run.ErrWatched) && ctx.Err() == nil {
						a.log.Warn("a hold is not watched", "run", h.Run, "err", err)
					} else if err == nil {
						a.log.Info("a hold ended", "run", h.Run, "status", end.Status, "why", end.Why)
					}
				})
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
