package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
	"rollcall/store/journal"
)

// Journal is where runs are kept.
type Journal interface {
	Append(ctx context.Context, drafts ...journal.Draft) ([]journal.Entry, error)
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
	// NextRun reserves an ID, "RUN-3".
	NextRun(ctx context.Context) (string, error)
}

// Signals measures. Every answer is as fresh as the source has it.
type Signals interface {
	Measure(ctx context.Context, service, signal string) (sources.Reading, error)
	PromQL(ctx context.Context, service, query string) (Measured, error)
	LogQL(ctx context.Context, service, query string) (Measured, error)
}

// Measured is what a query gave.
type Measured struct {
	Value sources.Num
	Query string // as sent
	From  string // who answered
}

// Capturer finds requests and makes entries with artifacts of them. It only reads.
type Capturer interface {
	// Capture also says of how many requests these are the newest, and what is not known of that.
	Capture(ctx context.Context, c Capturing) ([]journal.Draft, sources.Facts, error)
}

// Capturing says what a capture step wants.
type Capturing struct {
	Run     string
	Target  Target
	Bad     bool
	Version map[sources.Component]string
	Where   []sources.Attribute
	Limit   int
	Since   time.Time // service time; the run's start less an hour
}

// Marker moves the incident of a run along.
type Marker interface {
	// Mark sets the incident mitigated or resolved, unless it is already.
	Mark(ctx context.Context, incident, as string, at time.Time, why string) error
	// Reopen says that it was not mitigated after all.
	Reopen(ctx context.Context, incident string, why string) error
}

// Deps are what an engine works with. All but Capturer, Marker, Suspect and Boundary are needed.
type Deps struct {
	Journal  Journal
	Signals  Signals
	Capturer Capturer
	Marker   Marker
	// Suspect names the version of a component, or the value of another attribute of
	// requests, that explains what is bad now, and says why.
	Suspect func(ctx context.Context, service, of string) (value, why string, ok bool)
	Clock   sources.Clock
	// Dir holds locks, and what recorders write, in the state folder.
	Dir string
	// Self starts a recorder, with the attempt's folder as one more argument:
	// the path of this program and recorder.Argument.
	Self []string
	// Bin is the folder that leads the PATH of commands: where rollcall itself is.
	Bin        string
	WorkDir    string // where commands run
	ConfigPath string
	Environ    []string // what commands may see of the environment; see Environ
	Redact     func(string) string
	Redaction  redact.Config // the same for recorders
	KeyFile    string
	Actor      string
	Log        *slog.Logger
	Grace      time.Duration // between asking a command to end and killing it
	// Boundary is told of each point at which a crash must lose nothing.
	Boundary func(name string)
}

// Engine drives runs. It is safe for concurrent use.
type Engine struct {
	Deps
	ctx  context.Context
	stop context.CancelCauseFunc

	mu      sync.Mutex
	drivers map[string]*driver
	wg      sync.WaitGroup
}

// Options say how a run is driven.
type Options struct {
	Yes bool // writes need no word; where a person must decide it still waits
}

var errClosing = errors.New("the console is leaving")

// New returns an engine that drives nothing yet. Close it before its journal.
func New(deps Deps) (*Engine, error) {
	switch {
	case deps.Journal == nil || deps.Signals == nil || deps.Clock == nil || deps.Redact == nil:
		return nil, errors.New("the runbook engine needs a journal, signals, a clock and a redactor")
	case deps.Dir == "" || len(deps.Self) == 0:
		return nil, errors.New("the runbook engine needs a folder and the program that records commands")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Boundary == nil {
		deps.Boundary = func(string) {}
	}
	for _, d := range []string{deps.Dir, filepath.Join(deps.Dir, locksDir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("the folder of runs cannot be made: %w; make the state folder writable", err)
		}
	}
	e := &Engine{Deps: deps, drivers: map[string]*driver{}}
	e.ctx, e.stop = context.WithCancelCause(context.Background())
	return e, nil
}

// Close detaches from every run: a command goes on under its recorder, and the
// journal says that the run can be resumed.
func (e *Engine) Close() {
	e.stop(errClosing)
	e.wg.Wait()
}

// Detach stops driving one run and returns when it is let go.
func (e *Engine) Detach(id string) {
	if d := e.driver(id); d != nil {
		d.stop(errClosing)
		<-d.done
	}
}

func (e *Engine) driver(id string) *driver {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drivers[id]
}

// Driving lists the runs that this engine drives.
func (e *Engine) Driving() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for id := range e.drivers {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Start starts a planned run and drives it until it ends or the engine closes.
func (e *Engine) Start(ctx context.Context, p *Plan, o Options) (State, error) {
	if p == nil || p.Runbook == nil {
		return State{}, errors.New("there is no plan to start; plan the runbook first")
	}
	if missing := p.Missing(); len(missing) > 0 {
		return State{}, fmt.Errorf("%s needs a value: %s", missing[0].Name, missing[0].Ask)
	}
	rb := p.Runbook
	place, err := e.lockPlace(ctx, p)
	if err != nil {
		return State{}, err
	}
	id, err := e.Journal.NextRun(ctx)
	if err != nil {
		place.release()
		return State{}, fmt.Errorf("the run cannot be started, since it cannot be recorded: %w", err)
	}
	fail := func(err error, more ...*lock) (State, error) {
		place.release()
		for _, l := range more {
			l.release()
		}
		return State{}, err
	}
	own, err := e.lockRun(id)
	if err != nil {
		return fail(err)
	}
	now := e.Clock.Now()
	hold := holder{PID: os.Getpid(), Actor: e.Actor, Run: id, Runbook: rb.ID, Since: now}
	place.write(hold)
	own.write(hold)
	exact := &pinned{Steps: rb.Steps, Vars: p.Vars, WorkDir: e.WorkDir}
	if err := e.pin(id, exact); err != nil {
		return fail(fmt.Errorf("%s cannot be prepared: %w; make the state folder writable", id, err), own)
	}
	host, _ := os.Hostname()
	started := Started{
		Runbook: rb.ID, Title: rb.Title, Hash: rb.Hash, File: rb.File, Component: rb.Component, Settings: rb.Settings, Target: p.Target, Steps: rb.Steps, Vars: p.Vars,
		Pinned: exact.hash(), MaxDuration: rb.MaxDuration, Unattended: o.Yes, PID: os.Getpid(), Host: host, Doubts: p.Doubts,
	}
	draft := e.draft(id, p.Target, journal.RunStarted, started)
	draft.Text = describeVars(p)
	if len(rb.Source) > 0 {
		draft.Artifacts = []journal.Artifact{{Name: rb.ID + ".md", Type: "text/markdown", Body: rb.Source}}
	}
	entries, err := e.Journal.Append(ctx, draft)
	if err != nil {
		return fail(fmt.Errorf("%s was not started, since it cannot be recorded: %w", id, err), own)
	}
	e.Boundary("started")
	e.sweep(ctx)
	f := &fold{}
	for i := range entries {
		f.apply(&entries[i])
	}
	return e.drive(id, f, exact, o.Yes, append(place, own)), nil
}

func describeVars(p *Plan) string {
	var b strings.Builder
	if p.Why != "" {
		fmt.Fprintf(&b, "%s\n", p.Why)
	}
	for _, v := range p.Vars {
		fmt.Fprintf(&b, "%s = %s (%s)\n", v.Name, v.Value, v.From)
	}
	return b.String()
}

func (e *Engine) draft(id string, t Target, kind journal.Kind, data any) journal.Draft {
	return journal.Draft{Kind: kind, At: e.Clock.Now(), Service: t.Service, Environment: t.Environment, Incident: t.Incident, Run: id, Data: data}
}

// Resume drives a run that nobody drives any more.
func (e *Engine) Resume(ctx context.Context, id string, o Options) (State, error) {
	if d := e.driver(id); d != nil {
		if st := d.snapshot(); st.Outcome == "" {
			return st, nil
		}
	}
	f, err := e.load(ctx, id)
	if err != nil {
		return State{}, err
	}
	if f.st.Outcome != "" {
		return State{}, fmt.Errorf("%s ended at %s: %s; start the runbook anew", id, f.st.Ended.UTC().Format("15:04:05Z"), f.st.Outcome)
	}
	own, err := e.lockRun(id)
	if err != nil {
		return State{}, err
	}
	place, err := e.takeAll(placeKeys(f.st.Runbook, moving{f.st.Component, f.st.Settings}, f.st.Target))
	if err != nil {
		own.release()
		return State{}, err
	}
	// Whoever had it may have moved it on between the look and the lock.
	if f, err = e.load(ctx, id); err != nil || f.st.Outcome != "" {
		own.release()
		place.release()
		if err == nil {
			err = fmt.Errorf("%s has just ended: %s", id, f.st.Outcome)
		}
		return State{}, err
	}
	hold := holder{PID: os.Getpid(), Actor: e.Actor, Run: id, Runbook: f.st.Runbook, Since: e.Clock.Now()}
	own.write(hold)
	place.write(hold)
	host, _ := os.Hostname()
	drafts := []journal.Draft{e.draft(id, f.st.Target, RunResumed, Resumed{PID: os.Getpid(), Host: host, Unattended: o.Yes})}
	exact, lost := e.unpin(id, f)
	if lost != nil {
		drafts = append(drafts, e.draft(id, f.st.Target, journal.RunEnded, Ended{Escalated, lost.Error()}))
	}
	entries, err := e.Journal.Append(ctx, drafts...)
	if err != nil {
		own.release()
		place.release()
		return State{}, fmt.Errorf("%s cannot be resumed, since it cannot be recorded: %w", id, err)
	}
	for i := range entries {
		f.apply(&entries[i])
	}
	if lost != nil {
		own.release()
		place.release()
		return f.state(), lost
	}
	e.Boundary("resumed")
	return e.drive(id, f, exact, o.Yes, append(place, own)), nil
}

// load folds a run from the journal.
func (e *Engine) load(ctx context.Context, id string) (*fold, error) {
	f := &fold{}
	if err := e.follow(ctx, id, f); err != nil {
		return nil, err
	}
	if f.st.ID == "" {
		return nil, fmt.Errorf("there is no run %q; rollcall runbook runs lists them", redact.SanitizeLine(id, 64))
	}
	return f, nil
}

// follow adds the entries that a fold does not have yet.
func (e *Engine) follow(ctx context.Context, id string, f *fold) error {
	const page = 1000
	for {
		entries, err := e.Journal.Entries(ctx, journal.Filter{Run: id, After: f.last, Limit: page})
		if err != nil {
			return err
		}
		for i := range entries {
			f.apply(&entries[i])
			f.last = max(f.last, entries[i].Seq)
		}
		if len(entries) < page {
			return nil
		}
	}
}

// State returns a run as it stands, whoever drives it.
func (e *Engine) State(ctx context.Context, id string) (State, error) {
	if d := e.driver(id); d != nil {
		return d.snapshot(), nil
	}
	f, err := e.load(ctx, id)
	if err != nil {
		return State{}, err
	}
	return e.foreign(f), nil
}

// Runs returns the runs of a service, newest first; of all services when it is empty.
func (e *Engine) Runs(ctx context.Context, service string) ([]State, error) {
	const most = 200
	starts, err := e.Journal.Entries(ctx, journal.Filter{Kinds: []journal.Kind{journal.RunStarted}, Service: service, Limit: most, Newest: true})
	if err != nil {
		return nil, err
	}
	slices.Reverse(starts)
	out := make([]State, 0, len(starts))
	for i := range starts {
		st, err := e.State(ctx, starts[i].Run)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// Answer records a person's decision. The run acts on it wherever it is driven.
func (e *Engine) Answer(ctx context.Context, id string, a Answer) error {
	return e.AnswerAs(ctx, e.Journal, e.Actor, id, a)
}

// AnswerAs is Answer by somebody else; j writes in the name of actor.
func (e *Engine) AnswerAs(ctx context.Context, j Journal, actor, id string, a Answer) error {
	f, err := e.load(ctx, id)
	if err != nil {
		return err
	}
	if err := f.refuse(actor, a); err != nil {
		return err
	}
	draft := e.draft(id, f.st.Target, journal.RunAnswer, Answered{Step: a.Step, Ask: f.st.Ask, Verb: a.Verb})
	draft.Text = strings.TrimSpace(a.Text)
	entries, err := j.Append(ctx, draft)
	if err != nil {
		return fmt.Errorf("your answer was not taken, since it cannot be recorded: %w", err)
	}
	e.Boundary("answered:" + a.Step)
	defer func() {
		if d := e.driver(id); d != nil {
			d.nudge()
		}
	}()
	// Somebody else may have been quicker.
	all, err := e.Journal.Entries(ctx, journal.Filter{Run: id, After: f.last, Limit: 1000})
	if err != nil {
		return nil //nolint:nilerr // the answer is recorded; the driver sees it
	}
	for i := range all {
		took := f.apply(&all[i])
		if all[i].Seq == entries[0].Seq {
			if !took {
				return fmt.Errorf("%s had moved on before your answer; look again", id)
			}
			return nil
		}
	}
	return nil
}
