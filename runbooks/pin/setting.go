package pin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"rollcall/store/journal"
)

// Setting says how one setting is read and set, through the same drivers as a
// pin, and which values make sense.
type Setting struct {
	Component `yaml:",inline"`

	Values []string `yaml:"values"` // it may be one of these; none: whatever the bounds allow
	Min    *float64 `yaml:"min"`    // with min or max it must be a number
	Max    *float64 `yaml:"max"`
}

// settingName is what a setting may be called: a word that runbooks and the environment can carry.
var settingName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func (c *Setting) check(at, name string, say report) {
	if !settingName.MatchString(name) {
		say(at, "%q is no name of a setting; use small letters, digits and underscores, such as budget_day", text(name))
		return
	}
	c.validate(at, "VALUE", say)
	if c.List != nil && c.Driver == driverExec {
		say(at+".list", "%s.list belongs to pins; write values: [...] to say what it may be", at)
	}
	for i, v := range c.Values {
		if err := checkName(v); err != nil {
			say(fmt.Sprintf("%s.values[%d]", at, i), "%s.values: a value %s", at, err)
		}
	}
	if len(c.Values) > 0 && (c.Min != nil || c.Max != nil) {
		say(at+".values", "%s has values and bounds; leave min and max out", at)
	}
	if c.Min != nil && c.Max != nil && *c.Min > *c.Max {
		say(at+".min", "%s.min %g is over its max %g; exchange them", at, *c.Min, *c.Max)
	}
}

// allows tells whether a value makes sense.
func (c *Setting) allows(name, value string) error {
	if len(c.Values) > 0 {
		if !slices.ContainsFunc(c.Values, func(v string) bool { return sameValue(v, value) }) {
			return fmt.Errorf("%s cannot be %s (%w); it can be %s", name, value, ErrUnknown, strings.Join(c.Values, ", "))
		}
		return nil
	}
	if c.Min == nil && c.Max == nil {
		return nil
	}
	v, ok := number(value)
	switch {
	case !ok:
		return fmt.Errorf("%s cannot be %s (%w); it is a number", name, value, ErrUnknown)
	case c.Min != nil && v < *c.Min:
		return fmt.Errorf("%s cannot be %s (%w); %s is the least", name, value, ErrUnknown, plain(*c.Min))
	case c.Max != nil && v > *c.Max:
		return fmt.Errorf("%s cannot be %s (%w); %s is the most", name, value, ErrUnknown, plain(*c.Max))
	}
	return nil
}

// Range is what the setting may be, in a few words; empty when anything goes.
func (c *Setting) Range() string {
	switch {
	case len(c.Values) > 0:
		return strings.Join(c.Values, ", ")
	case c.Min != nil && c.Max != nil:
		return plain(*c.Min) + " to " + plain(*c.Max)
	case c.Min != nil:
		return plain(*c.Min) + " or more"
	case c.Max != nil:
		return plain(*c.Max) + " or less"
	}
	return ""
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// knob is a setting with its driver.
type knob struct {
	Driver
	cfg Setting
}

// Value is what one setting is now.
type Value struct {
	Setting string
	Value   string
	Range   string // what it may be; empty: anything
	Err     error
}

func (s *Set) knob(name string) (knob, error) {
	if k, ok := s.settings[name]; ok {
		return k, nil
	}
	there := ""
	if names := s.Settings(); len(names) > 0 {
		there = "; there are " + strings.Join(names, ", ")
	}
	return knob{}, fmt.Errorf("the setting %s is %w%s; add %s.settings.%s to the configuration", text(name), ErrUnknown, there, s.where(), text(name))
}

// Settings lists the settings by name.
func (s *Set) Settings() []string { return slices.Sorted(maps.Keys(s.settings)) }

// Value returns what a setting is now.
func (s *Set) Value(ctx context.Context, name string) (string, error) {
	k, err := s.knob(name)
	if err != nil {
		return "", err
	}
	return k.Get(ctx)
}

// SetValue gives a setting a value if current is what it is, and records how that
// ended. What the environment forbids is neither tried nor recorded.
func (s *Set) SetValue(ctx context.Context, name, value, current string) error {
	k, err := s.knob(name)
	if err != nil {
		return err
	}
	for _, v := range []string{value, current} {
		if err := checkName(v); err != nil {
			return fmt.Errorf("the value %w (%w); see rollcall setting list", err, ErrUnknown)
		}
	}
	if err := k.cfg.allows(name, value); err != nil {
		return err
	}
	if err := s.guard.Adjust(name); err != nil {
		return err
	}
	err = k.Set(ctx, value, current)
	data := SettingSet{Setting: name, From: current, To: value, Result: resultOf(err), Rehearsal: s.Rehearsal, Step: s.guard.Step}
	draft := journal.Draft{Kind: journal.SettingSet}
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

// Values reads every setting at the same time, by name.
func (s *Set) Values(ctx context.Context) []Value {
	names := s.Settings()
	out := make([]Value, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			k := s.settings[name]
			v, err := k.Get(ctx)
			out[i] = Value{Setting: name, Value: v, Range: k.cfg.Range(), Err: err}
		})
	}
	wg.Wait()
	return out
}

// OtherValues returns every other setting and every pin on one line, by name:
// "index=kb-7 prompt=v13 queueing=on". One that cannot be read makes it an error:
// a line without it would compare wrongly.
func (s *Set) OtherValues(ctx context.Context, name string) (string, error) {
	if _, err := s.knob(name); err != nil {
		return "", err
	}
	var words []string
	for _, v := range s.Values(ctx) {
		if v.Setting == name {
			continue
		}
		if v.Err != nil {
			return "", v.Err
		}
		words = append(words, v.Setting+"="+v.Value)
	}
	for _, p := range s.All(ctx) {
		if p.Err != nil {
			return "", p.Err
		}
		words = append(words, string(p.Component)+"="+p.Version)
	}
	slices.Sort(words)
	return strings.Join(words, " "), nil
}
