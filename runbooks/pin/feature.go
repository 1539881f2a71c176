package pin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/sources/nearest"
	"rollcall/store/journal"
)

// Feature is something of the service that can be switched off.
type Feature struct {
	Name    string `json:"feature"`
	Enabled bool   `json:"enabled"`
}

// featureDriver reaches the features of a service.
type featureDriver interface {
	list(ctx context.Context) ([]Feature, error)
	set(ctx context.Context, name string, on bool) error
}

func (s *Set) featureDriver(f Features) (featureDriver, error) {
	timeout := f.Timeout.Or(DefaultTimeout)
	if f.Driver == driverExec {
		return &execFeatures{f.List, f.On, f.Off, command{dir: s.dir, timeout: timeout}}, nil
	}
	e, err := newEndpoint("features", f.Endpoint, timeout)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, e.close)
	return &httpFeatures{e}, nil
}

func (s *Set) switches() (featureDriver, error) {
	if s.features == nil {
		return nil, fmt.Errorf("the features of %s are %w; add features: to the service in the configuration", s.Service, ErrUnknown)
	}
	return s.features, nil
}

// Features lists the features by name.
func (s *Set) Features(ctx context.Context) ([]Feature, error) {
	d, err := s.switches()
	if err != nil {
		return nil, err
	}
	list, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(f Feature) bool { return checkName(f.Name) != nil })
	slices.SortFunc(list, func(a, b Feature) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Feature tells of one feature whether it is on. One that the list leaves out is
// unknown: the list of some services holds only what is off.
func (s *Set) Feature(ctx context.Context, name string) (Feature, error) {
	list, err := s.Features(ctx)
	if err != nil {
		return Feature{}, err
	}
	names := make([]string, len(list))
	for i, f := range list {
		if f.Name == name {
			return f, nil
		}
		names[i] = f.Name
	}
	msg := fmt.Sprintf("feature %q is not in the list (%%w)", text(name))
	if near := nearest.Word(name, names); near != "" {
		return Feature{}, fmt.Errorf(msg+"; did you mean %s?", ErrUnknown, near)
	}
	return Feature{}, fmt.Errorf(msg+"; see rollcall feature list", ErrUnknown)
}

// ErrNoOne says that a search among features did not end at exactly one.
var ErrNoOne = errors.New("not exactly one feature")

// FindFeature returns the one feature that is called by a word, or that has the word
// as a part of its name: acme finds tenant.acme, and not tenant.acme-labs beside it.
func (s *Set) FindFeature(ctx context.Context, word string) (Feature, error) {
	list, err := s.Features(ctx)
	if err != nil {
		return Feature{}, err
	}
	want := nameParts(word)
	var found []Feature
	for _, f := range list {
		if f.Name == word {
			return f, nil
		}
		if parts := nameParts(f.Name); len(want) > 0 && len(want) < len(parts) && slices.Equal(parts[len(parts)-len(want):], want) {
			found = append(found, f)
		}
	}
	if len(found) == 0 { // no name ends with it; one may hold it
		for _, f := range list {
			if len(want) > 0 && within(nameParts(f.Name), want) {
				found = append(found, f)
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Feature{}, fmt.Errorf("no feature is named after %q (%w); see rollcall feature list", text(word), ErrNoOne)
	}
	return Feature{}, fmt.Errorf("%d features are named after %q (%w): %s and %s among them; name one", len(found), text(word), ErrNoOne, found[0].Name, found[1].Name)
}

// nameParts are the parts of a name in small letters. A dash parts nothing: names of
// tenants have dashes.
func nameParts(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(". /:_=", r) })
}

func within(parts, want []string) bool {
	for i := 0; i+len(want) <= len(parts); i++ {
		if slices.Equal(parts[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

// Switch turns a feature on or off, makes sure that it took, and records how that ended.
func (s *Set) Switch(ctx context.Context, name string, on bool) error {
	d, err := s.switches()
	if err != nil {
		return err
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("feature %w (%w); see rollcall feature list", err, ErrUnknown)
	}
	if err := s.guard.Change("switching " + name); err != nil {
		return err
	}
	err = d.set(ctx, name, on)
	if err == nil {
		err = s.switched(ctx, name, on)
	}
	draft := journal.Draft{Kind: journal.FeatureSet}
	draft.Data = FeatureSet{Feature: name, Enabled: on, Result: resultOf(err), Rehearsal: s.Rehearsal, Step: s.guard.Step}
	if err != nil {
		draft.Text = err.Error()
	}
	s.record(ctx, draft)
	return err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// switched reads back. A list may leave out what only exists while it is off.
func (s *Set) switched(ctx context.Context, name string, on bool) error {
	list, err := s.Features(ctx)
	if err != nil {
		return fmt.Errorf("%s was switched %s, but it cannot be read back (%w): %w", name, onOff(on), err, ErrUncertain)
	}
	for _, f := range list {
		if f.Name == name && f.Enabled != on {
			return fmt.Errorf("switching %s %s was accepted, but it is still %s: %w; look again with: rollcall feature list",
				name, onOff(on), onOff(!on), ErrUncertain)
		}
	}
	return nil
}

// httpFeatures: GET gives {"NAME": true, ...}, PUT URL/NAME takes {"enabled": false}.
type httpFeatures struct{ *endpoint }

func (h *httpFeatures) list(ctx context.Context) ([]Feature, error) {
	var in map[string]bool
	if _, err := h.read(ctx, h.url, &in); err != nil {
		return nil, err
	}
	out := make([]Feature, 0, len(in))
	for name, on := range in {
		out = append(out, Feature{name, on})
	}
	return out, nil
}

func (h *httpFeatures) set(ctx context.Context, name string, on bool) error {
	a, sent, err := h.exchange(ctx, http.MethodPut, h.url+"/"+url.PathEscape(name), map[string]bool{"enabled": on}, "")
	switch {
	case a.status/100 == 2:
		return nil
	case err != nil && !sent:
		return fmt.Errorf("%s was not switched: %s: %s (%w)", name, h.where, reason(err, h.timeout), ErrUnreachable)
	case err != nil && a.status == 0:
		return fmt.Errorf("%s may or may not be %s now: %s: %s (%w); make sure with: rollcall feature list", name, onOff(on), h.where, reason(err, h.timeout), ErrUncertain)
	case a.status/100 == 5:
		return fmt.Errorf("%s may or may not be %s now: %s: %s (%w); make sure with: rollcall feature list", name, onOff(on), h.where, a.complaint(), ErrUncertain)
	case a.status == http.StatusNotFound:
		return fmt.Errorf("feature %s is %w there (%s); see rollcall feature list", name, ErrUnknown, a.complaint())
	}
	return fmt.Errorf("%s was not switched: %s answered %s", name, h.where, a.complaint())
}

// execFeatures asks commands: list prints NAME on or NAME off, one a line.
type execFeatures struct {
	listing, on, off []string
	command
}

func (x *execFeatures) list(ctx context.Context) ([]Feature, error) {
	printed, err := x.output(ctx, x.listing)
	if err != nil {
		return nil, fmt.Errorf("features cannot be listed: %w (%w)", err, ErrUnreachable)
	}
	var out []Feature
	for line := range strings.Lines(printed) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 2 || words[1] != "on" && words[1] != "off" {
			return nil, fmt.Errorf("features cannot be listed: %q is not NAME on or NAME off (%w)", text(line), ErrUnreachable)
		}
		out = append(out, Feature{words[0], words[1] == "on"})
	}
	return out, nil
}

func (x *execFeatures) set(ctx context.Context, name string, on bool) error {
	argv := x.off
	if on {
		argv = x.on
	}
	_, err := x.output(ctx, fillWords(argv, "NAME", name))
	if err == nil {
		return nil
	}
	if f, ok := err.(*failure); ok && f.started && f.exit < 0 { //nolint:errorlint // output returns nothing else
		return fmt.Errorf("%s may or may not be %s now: %w (%w); make sure with: rollcall feature list", name, onOff(on), err, ErrUncertain)
	}
	return fmt.Errorf("%s was not switched: %w", name, err)
}
