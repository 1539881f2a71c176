package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
)

const (
	// pinHistory is how far back the deployment history is read.
	pinHistory = 14 * 24 * time.Hour
	// shortLife is too short for a version to have been judged.
	shortLife = 10 * time.Minute
)

// Pins are the pins, features and evals of one service, with what they need to
// remember and to look back. Everything opens when it is first needed: most
// commands only ask a driver.
type Pins struct {
	*pinSet
	book *book
	past *past
}

type pinSet = pin.Set // whose name would hide its method

// OpenPins returns what commands act on. env holds what a runbook's step may do.
func OpenPins(cfg *config.File, service string, env config.Env, note func(string)) (*Pins, error) {
	s, ok := cfg.Services[service]
	if !ok {
		return nil, fmt.Errorf("no service %q in %s; it has %v", service, cfg.Label(), cfg.Names())
	}
	clock, err := cfg.Clock.Clock(nil)
	if err != nil {
		return nil, err
	}
	guard := pin.GuardFrom(env)
	if guard.Run != "" {
		switch {
		case guard.Service != "" && guard.Service != service:
			return nil, fmt.Errorf("%s is %w: this run acts on %s and nothing else; leave --service out", service, pin.ErrForbidden, guard.Service)
		case guard.Environment != s.Environment && guard.Environment != "":
			return nil, fmt.Errorf("%s is %w: this run acts on environment %s, and %s says that %s is %q; use the run's configuration",
				service, pin.ErrForbidden, guard.Environment, cfg.Label(), service, s.Environment)
		}
	}
	p := &Pins{book: &book{cfg: cfg, clock: clock, run: guard.Run != ""}}
	p.past = &past{cfg: cfg, clock: clock, service: service, book: p.book}
	p.pinSet, err = pin.Open(s.Target, s.Rehearsal, pin.Options{
		Service: service, Environment: s.Environment, Dir: cfg.Dir(), Guard: guard,
		Recorder: p.book, Reader: p.book, History: p.past, Note: note,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Close closes what was opened.
func (p *Pins) Close() error {
	p.pinSet.Close()
	return errors.Join(p.past.close(), p.book.close())
}

// book opens the journal when something is to be recorded or looked up.
type book struct {
	cfg   *config.File
	clock sources.Clock
	run   bool // called by a run

	mu sync.Mutex
	d  *diary
	c  func() error
}

func (b *book) diary() (*diary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.d != nil {
		return b.d, nil
	}
	if err := makeState(b.cfg.State); err != nil {
		return nil, err
	}
	log, closer := openLog(b.cfg.State, "rollcall.log")
	origin := "cli"
	if b.run {
		origin = "run"
	}
	b.c = closer.Close
	b.d = newDiary(b.clock, log, func(readOnly bool) (*journal.Journal, error) {
		o := journal.Options{Clock: b.clock, Actor: Actor(), Origin: origin, ReadOnly: readOnly, Log: log}
		if !readOnly {
			r, err := newRedactor(b.cfg, log)
			if err != nil {
				return nil, err
			}
			o.Redact = r.Text
		}
		return journal.Open(context.Background(), filepath.Join(b.cfg.State, journalFile), o)
	})
	return b.d, nil
}

// Append writes entries and returns once they are safe.
func (b *book) Append(ctx context.Context, drafts ...journal.Draft) ([]journal.Entry, error) {
	d, err := b.diary()
	if err != nil {
		return nil, err
	}
	j, err := d.write()
	if err != nil {
		return nil, err
	}
	return j.Append(ctx, drafts...)
}

// Entries reads; a journal that was never begun has none.
func (b *book) Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error) {
	j, err := b.reading()
	if j == nil {
		return nil, err
	}
	return j.Entries(ctx, f)
}

// reading returns the journal, nil when nothing was ever recorded.
func (b *book) reading() (*journal.Journal, error) {
	if !exists(filepath.Join(b.cfg.State, journalFile)) {
		return nil, nil
	}
	d, err := b.diary()
	if err != nil {
		return nil, err
	}
	j, err := d.read()
	if errors.Is(err, journal.ErrUnknown) {
		return nil, nil
	}
	return j, err
}

func (b *book) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.d == nil {
		return nil
	}
	err := errors.Join(b.d.close(), b.c())
	b.d = nil
	return err
}

// past looks into metrics, request rows and the journal for what was live before.
type past struct {
	cfg     *config.File
	clock   sources.Clock
	service string
	book    *book

	mu  sync.Mutex
	app *App
}

func (p *past) open(ctx context.Context) (*App, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app == nil {
		a, err := Open(ctx, p.cfg, Options{Once: true})
		if err != nil {
			return nil, err
		}
		p.app = a
	}
	return p.app, nil
}

func (p *past) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app == nil {
		return nil
	}
	return p.app.Close()
}

// Lives returns what was live before, newest first.
func (p *past) Lives(ctx context.Context, c sources.Component) ([]pin.Life, error) {
	var changes []sources.Change
	now := p.clock.Now()
	since := now.Add(-pinHistory)
	a, failed := p.open(ctx)
	if failed == nil {
		list, facts, err := a.moves.Changes(ctx, p.service, since, now, changeStep(pinHistory))
		changes, failed = list, err
		if err == nil && facts.Partial != "" {
			failed = errors.New(facts.Partial)
		}
	}
	entries, err := p.book.Entries(ctx, journal.Filter{
		Kinds: []journal.Kind{journal.ChangeSeen, journal.PinSet}, Service: p.service, Since: since, Newest: true,
	})
	failed = errors.Join(failed, err)
	for _, e := range entries {
		if ch, ok := recordedChange(e); ok {
			changes = append(changes, ch)
		}
	}
	return lives(c, changes), failed
}

// recordedChange is what an entry says that moved.
func recordedChange(e journal.Entry) (sources.Change, bool) {
	if e.Kind == journal.PinSet {
		var d pin.PinSet
		err := json.Unmarshal(e.Data, &d)
		return sources.Change{At: e.At, Component: d.Component, From: d.From, To: d.To}, err == nil && d.Result == pin.Done && !d.Rehearsal
	}
	var c sources.Change
	err := json.Unmarshal(e.Data, &c)
	return c, err == nil && !c.At.IsZero()
}

// sameMove is how far apart two sources may see one change.
const sameMove = 5 * time.Minute

// lives turns the changes of a component into what was live until each, newest first.
func lives(c sources.Component, changes []sources.Change) []pin.Life {
	own := slices.DeleteFunc(slices.Clone(changes), func(ch sources.Change) bool {
		return ch.Component != c || ch.Silent || ch.From == "" || ch.From == ch.To
	})
	slices.SortStableFunc(own, func(a, b sources.Change) int { return a.At.Compare(b.At) })
	var out []pin.Life
	var last sources.Change
	for i, ch := range own {
		if i > 0 && ch.From == last.From && ch.To == last.To && ch.At.Sub(last.At) < sameMove {
			continue
		}
		l := pin.Life{Version: ch.From, Until: ch.At}
		if last.To == ch.From {
			l.From = last.At
		}
		last = ch
		out = append(out, l)
	}
	slices.Reverse(out)
	return out
}

// Fared judges a life at its end and in its middle, and asks the journal for incidents in it.
func (p *past) Fared(ctx context.Context, l pin.Life) (string, error) {
	looks := []time.Time{l.Until.Add(-judgedBefore)}
	if !l.From.IsZero() {
		if l.Until.Sub(l.From) < shortLife {
			return fmt.Sprintf("it lived only from %s to %s", l.From.UTC().Format("15:04Z"), l.Until.UTC().Format("15:04Z")), nil
		}
		looks = append(looks, l.From.Add(l.Until.Sub(l.From)/2))
	}
	if bad, err := p.incident(ctx, l); err != nil || bad != "" {
		return bad, err
	}
	a, err := p.open(ctx)
	if err != nil {
		return "", err
	}
	for _, at := range looks {
		if bad, err := a.badAt(ctx, p.service, at); err != nil || bad != "" {
			return bad, err
		}
	}
	return "", nil
}

// incident tells of one that began while the version was live.
func (p *past) incident(ctx context.Context, l pin.Life) (string, error) {
	j, err := p.book.reading()
	if j == nil {
		return "", err
	}
	list, err := j.Incidents(ctx, p.service, false)
	if err != nil {
		return "", err
	}
	for _, in := range list {
		began := in.Began
		if began.IsZero() {
			began = in.Opened
		}
		if began.Before(l.Until) && began.After(l.From) && !l.From.IsZero() {
			return fmt.Sprintf("%s began while it was live", in.ID), nil
		}
	}
	return "", nil
}

// badAt says what was bad at a time of the past, empty when nothing was. It is
// an error when nothing at all could be judged then.
func (a *App) badAt(ctx context.Context, service string, at time.Time) (string, error) {
	v := sources.View{At: at, Range: 15 * time.Minute, Columns: 15}
	a.settle(ctx, service, v)
	s, err := a.eval.Snapshot(ctx, service, v, sources.QualityPane)
	if err != nil {
		return "", err
	}
	return judged(s, at)
}

// judged leaves money out: a budget runs out under any version.
func judged(s *signal.Snapshot, at time.Time) (string, error) {
	seen, missing := 0, ""
	for _, r := range s.Readings {
		if r.Pane == sources.CostPane {
			continue
		}
		switch r.Verdict {
		case sources.Bad:
			return fmt.Sprintf("%s was bad at %s", r.Label, at.UTC().Format("2006-01-02 15:04Z")), nil
		case sources.OK, sources.Watch:
			seen++
		case sources.Unreachable:
			missing = r.Label
		}
	}
	if missing != "" {
		return "", fmt.Errorf("%s could not be reached for %s", missing, at.UTC().Format("2006-01-02 15:04Z"))
	}
	if seen == 0 {
		return "", fmt.Errorf("nothing was measured at %s", at.UTC().Format("2006-01-02 15:04Z"))
	}
	return "", nil
}
