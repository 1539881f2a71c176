package pin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Options are what a Set needs from the program around it.
type Options struct {
	Service     string
	Environment string
	// Dir is where commands run: the configuration's folder.
	Dir   string
	Guard Guard
	// Recorder and Reader are the journal. Without a recorder changes are made all the same, and said to be unrecorded.
	Recorder Recorder
	Reader   Reader
	History  History      // nil: not asked
	Note     func(string) // takes remarks, one line each; nil drops them
}

// Set is what commands act on: the pins, settings, features and evals of one service, or
// of its rehearsal target. It is safe for concurrent use.
type Set struct {
	Service     string
	Environment string
	Rehearsal   bool

	guard    Guard
	drivers  map[sources.Component]Driver
	settings map[string]knob
	features featureDriver
	evals    *Evals
	reset    []string
	dir      string
	recorder Recorder
	reader   Reader
	history  History
	note     func(string)
	closers  []func()
}

// patience is how long a move may take to show.
const patience = 5 * time.Second

// Open returns the set of a service. In a rehearsal the rehearsal target is used
// and never the live one. Nothing is connected to or read yet.
func Open(live Target, rehearsal *Target, o Options) (*Set, error) {
	s := &Set{
		Service: o.Service, Environment: o.Environment, Rehearsal: o.Guard.Rehearsal, guard: o.Guard, dir: o.Dir,
		drivers: map[sources.Component]Driver{}, settings: map[string]knob{}, recorder: o.Recorder, reader: o.Reader, history: o.History, note: o.Note,
	}
	target := live
	if o.Guard.Rehearsal {
		if rehearsal == nil {
			return nil, fmt.Errorf("a rehearsal on %s is %w: it has no rehearsal target; add rehearsal: {components: ...} to the service", o.Service, ErrForbidden)
		}
		target = *rehearsal
	}
	for name, c := range target.Components {
		d, err := s.driver(versionOf(string(name)), c)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.drivers[name] = d
	}
	for name, c := range target.Settings {
		d, err := s.driver(valueOf(name), c.Component)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.settings[name] = knob{d, c}
	}
	if f := target.Features; f != nil {
		d, err := s.featureDriver(*f)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.features = d
	}
	s.evals, s.reset = target.Evals, target.Reset
	return s, nil
}

func (s *Set) driver(of subject, c Component) (Driver, error) {
	timeout := c.Timeout.Or(DefaultTimeout)
	run := command{dir: s.dir, timeout: timeout}
	switch c.Driver {
	case driverExec:
		return &execDriver{subject: of, get: c.Get, set: c.Set, list: c.List, command: run, patience: patience}, nil
	case driverFile:
		return &fileDriver{subject: of, path: c.Path, key: c.Key, after: c.After, command: run}, nil
	}
	e, err := newEndpoint(of.what, c.Endpoint, timeout)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, e.close)
	return &httpDriver{e, of, patience}, nil
}

// Close releases connections.
func (s *Set) Close() {
	for _, c := range s.closers {
		c()
	}
}

// Components lists the components that have a pin, in the usual order.
func (s *Set) Components() []sources.Component {
	var out []sources.Component
	for _, c := range sources.Components {
		if s.drivers[c] != nil {
			out = append(out, c)
		}
	}
	return out
}

func (s *Set) pin(c sources.Component) (Driver, error) {
	if d := s.drivers[c]; d != nil {
		return d, nil
	}
	if !slices.Contains(sources.Components[:], c) {
		return nil, fmt.Errorf("component %q is %w; there are %s", text(string(c)), ErrUnknown, componentNames())
	}
	return nil, fmt.Errorf("the pin of %s is %w; add %s.components.%s to the configuration", c, ErrUnknown, s.where(), c)
}

// where the target stands in the configuration.
func (s *Set) where() string {
	if s.Rehearsal {
		return "services." + s.Service + ".rehearsal"
	}
	return "services." + s.Service
}

// Get returns the live version of a component.
func (s *Set) Get(ctx context.Context, c sources.Component) (string, error) {
	d, err := s.pin(c)
	if err != nil {
		return "", err
	}
	return d.Get(ctx)
}

// Set makes version live if current is, and records how that ended. What the
// environment forbids is neither tried nor recorded.
func (s *Set) Set(ctx context.Context, c sources.Component, version, current string) error {
	d, err := s.pin(c)
	if err != nil {
		return err
	}
	for _, v := range []string{version, current} {
		if err := checkName(v); err != nil {
			return fmt.Errorf("version %w (%w); see rollcall pin list %s", err, ErrUnknown, c)
		}
	}
	if err := s.guard.Move(c); err != nil {
		return err
	}
	err = d.Set(ctx, version, current)
	data := PinSet{Component: c, From: current, To: version, Result: resultOf(err), Rehearsal: s.Rehearsal, Step: s.guard.Step}
	draft := journal.Draft{Kind: journal.PinSet}
	var moved *NotCurrent
	if errors.As(err, &moved) {
		data.Now = moved.Now
	}
	if err != nil {
		draft.Text = err.Error()
	}
	draft.Data = data
	s.record(ctx, draft)
	return err
}

// List returns the versions that the driver knows, with the marks of people.
func (s *Set) List(ctx context.Context, c sources.Component) ([]Version, error) {
	d, err := s.pin(c)
	if err != nil {
		return nil, err
	}
	list, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	marks, err := s.marks(ctx, c)
	if err != nil {
		s.tell("marks of people are missing: %v", err)
	}
	for i := range list {
		list[i].Good = list[i].Good || slices.ContainsFunc(marks, func(m mark) bool { return m.version == list[i].Name })
	}
	return list, nil
}

// Others returns every other pin on one line, by name: "index=kb-7 model=gpt-4.1".
// One that cannot be read makes it an error: a line without it would compare wrongly.
func (s *Set) Others(ctx context.Context, c sources.Component) (string, error) {
	if _, err := s.pin(c); err != nil {
		return "", err
	}
	now := s.All(ctx)
	var words []string
	for _, p := range now {
		if p.Component == c {
			continue
		}
		if p.Err != nil {
			return "", p.Err
		}
		words = append(words, string(p.Component)+"="+p.Version)
	}
	slices.Sort(words)
	return strings.Join(words, " "), nil
}

// Live is what one pin says now.
type Live struct {
	Component sources.Component
	Version   string
	Err       error
}

// All reads every pin at the same time, in the usual order.
func (s *Set) All(ctx context.Context) []Live {
	names := s.Components()
	out := make([]Live, len(names))
	var wg sync.WaitGroup
	for i, c := range names {
		wg.Go(func() {
			v, err := s.drivers[c].Get(ctx)
			out[i] = Live{c, v, err}
		})
	}
	wg.Wait()
	return out
}
