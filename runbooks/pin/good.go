package pin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Life is one stretch of time in which a version was live.
type Life struct {
	Version string
	From    time.Time // zero: before anybody looked
	Until   time.Time
}

// History knows the past of a service's components.
type History interface {
	// Lives returns what was live before, newest first, the live version left out.
	Lives(ctx context.Context, c sources.Component) ([]Life, error)
	// Fared tells how a life went: bad says what spoke against it, empty when
	// nothing did. An error means that nobody can tell.
	Fared(ctx context.Context, l Life) (bad string, err error)
}

// tried is how many earlier versions are judged: each takes a look at all signals.
const tried = 5

// mark is what a person said about a version.
type mark struct {
	version, by string
	at          time.Time
}

// marks returns the marks of a component, newest first.
func (s *Set) marks(ctx context.Context, c sources.Component) ([]mark, error) {
	if s.reader == nil {
		return nil, errors.New("there is no journal")
	}
	entries, err := s.reader.Entries(ctx, journal.Filter{Kinds: []journal.Kind{journal.GoodMarked}, Service: s.Service, Newest: true})
	if err != nil {
		return nil, err
	}
	var out []mark
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		var d GoodMarked
		if json.Unmarshal(e.Data, &d) != nil || d.Component != c || d.Rehearsal != s.Rehearsal || checkName(d.Version) != nil ||
			e.Environment != s.Environment {
			continue
		}
		out = append(out, mark{d.Version, e.Actor, e.At})
	}
	return out, nil
}

// LastGood returns the version to go back to, other than not: what a person
// marked, what the driver says, what lived without a bad verdict, in this order.
func (s *Set) LastGood(ctx context.Context, c sources.Component, not string) (Good, error) {
	d, err := s.pin(c)
	if err != nil {
		return Good{}, err
	}
	good := Good{Component: c}
	marks, err := s.marks(ctx, c)
	if err != nil {
		s.tell("marks of people could not be read: %v", err)
	}
	for _, m := range marks {
		if m.version != not {
			good.Version, good.From = m.version, fmt.Sprintf("marked by %s at %s", m.by, m.at.UTC().Format("2006-01-02 15:04Z"))
			return good, nil
		}
	}
	list, err := d.List(ctx)
	if err != nil && !errors.Is(err, ErrUnknown) {
		s.tell("%v", err)
	}
	if v := newestGood(list, not); v != "" {
		good.Version, good.From = v, "driver"
		return good, nil
	}
	if s.history != nil && !s.Rehearsal {
		if v, from := s.fromHistory(ctx, c, not); v != "" {
			good.Version, good.From = v, from
			return good, nil
		}
	}
	return Good{}, fmt.Errorf("a good version of %s other than %s is %w; name one yourself, or mark it with: rollcall pin mark %s VERSION",
		c, orAny(not), ErrUnknown, c)
}

func orAny(s string) string {
	if s == "" {
		return "the live one"
	}
	return s
}

// newestGood is what the driver names, else the good version that was live last.
func newestGood(list []Version, not string) string {
	best := -1
	for i, v := range list {
		if v.Name == not || !v.Good && !v.LastGood {
			continue
		}
		if v.LastGood {
			return v.Name
		}
		if best < 0 || v.Since.After(list[best].Since) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return list[best].Name
}

// fromHistory returns the newest earlier version that lived without a bad verdict.
func (s *Set) fromHistory(ctx context.Context, c sources.Component, not string) (version, from string) {
	lives, err := s.history.Lives(ctx, c)
	if err != nil {
		s.tell("the deployment history is not complete: %v", err)
	}
	judged := 0
	bad := map[string]bool{}
	for _, l := range lives {
		if l.Version == not || bad[l.Version] || checkName(l.Version) != nil {
			continue
		}
		if judged++; judged > tried {
			break
		}
		why, err := s.history.Fared(ctx, l)
		switch {
		case err != nil:
			s.tell("how %s %s fared is not known: %v", c, l.Version, err)
		case why != "":
			s.tell("%s %s was not good: %s", c, l.Version, why)
		default:
			lived := "until " + l.Until.UTC().Format("2006-01-02 15:04Z")
			if !l.From.IsZero() {
				lived = span(l.Until.Sub(l.From))
			}
			return l.Version, "deployment history: lived " + lived + " without a bad verdict"
		}
		bad[l.Version] = true
	}
	return "", ""
}

func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}

// Mark records that a version is good, in the words of whoever says so.
func (s *Set) Mark(ctx context.Context, c sources.Component, version, why string) error {
	if _, err := s.pin(c); err != nil {
		return err
	}
	if err := checkName(version); err != nil {
		return fmt.Errorf("version %w (%w)", err, ErrUnknown)
	}
	if err := s.guard.Move(c); err != nil {
		return err
	}
	err := s.mustRecord(ctx, journal.Draft{
		Kind: journal.GoodMarked, Data: GoodMarked{Component: c, Version: version, Rehearsal: s.Rehearsal}, Text: why,
	})
	if err != nil {
		return fmt.Errorf("%s %s was not marked: %w", c, version, err)
	}
	return nil
}
