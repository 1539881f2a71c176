package pin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// execDriver asks commands.
type execDriver struct {
	subject
	get, set, list []string
	command
	patience time.Duration
}

// Get returns the first line that the command prints.
func (d *execDriver) Get(ctx context.Context) (string, error) {
	out, err := d.output(ctx, d.get)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w (%w)", d.what, err, ErrUnreachable)
	}
	line, _, _ := strings.Cut(strings.TrimLeft(out, "\r\n"), "\n")
	line = strings.TrimSpace(line)
	if err := checkName(line); err != nil {
		return "", fmt.Errorf("%s cannot be read: the %s that %s printed %w (%w)", d.what, d.noun, text(d.get[0]), err, ErrUnreachable)
	}
	return line, nil
}

// Set runs the command, which compares for itself; what is live is looked at before and after.
func (d *execDriver) Set(ctx context.Context, version, current string) error {
	now, err := d.Get(ctx)
	switch {
	case err != nil:
		return err
	case !d.same(now, current):
		return &NotCurrent{What: d.what, Expected: current, Now: now}
	case d.same(version, now):
		return nil
	}
	current = now // in its own words: the command may compare letter by letter
	_, err = d.output(ctx, fillWords(d.set, d.variable(), version, "CURRENT", current))
	var f *failure
	if !errors.As(err, &f) {
		return settle(ctx, d.patience, &d.subject, version, current, d.Get)
	}
	if !f.started {
		return fmt.Errorf("%s was not moved: %w", d.what, f)
	}
	if f.exit < 0 {
		return doubt(ctx, &d.subject, version, f.Error(), d.Get)
	}
	switch now, err := d.Get(ctx); {
	case err != nil, d.same(now, version):
		return doubt(ctx, &d.subject, version, f.Error(), func(context.Context) (string, error) { return now, err })
	case !d.same(now, current):
		return fmt.Errorf("%w (%w)", &NotCurrent{What: d.what, Expected: current, Now: now}, f)
	}
	return fmt.Errorf("%s was not moved, %s is still live: %w", d.what, current, f)
}

// List reads one version a line: its name, perhaps the word good, and a note.
func (d *execDriver) List(ctx context.Context) ([]Version, error) {
	if d.list == nil {
		return nil, fmt.Errorf("the versions of %s are %w; give its driver a list command", d.what, ErrUnknown)
	}
	live, err := d.Get(ctx)
	if err != nil {
		return nil, err
	}
	printed, err := d.output(ctx, d.list)
	if err != nil {
		return nil, fmt.Errorf("the versions of %s cannot be listed: %w (%w)", d.what, err, ErrUnreachable)
	}
	var out []Version
	for line := range strings.Lines(printed) {
		name, note, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		if checkName(name) != nil {
			continue // an empty line, a heading of dashes
		}
		v := Version{Name: name, Live: name == live}
		word, rest, _ := strings.Cut(strings.TrimSpace(note), " ")
		if v.Good = word == "good"; v.Good {
			note = rest
		}
		v.Note = text(note)
		out = append(out, v)
		if len(out) == maxVersions {
			break
		}
	}
	return withLive(out, live), nil
}

const maxVersions = 1000

// withLive adds the live version where a list lacks it.
func withLive(list []Version, live string) []Version {
	for _, v := range list {
		if v.Name == live {
			return list
		}
	}
	return append([]Version{{Name: live, Live: true}}, list...)
}
