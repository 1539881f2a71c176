package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Setting is something of the service that is set while it runs and is no version.
// Revision counts its changes, as that of a pin does.
type Setting struct {
	Name     string
	Value    any // a number, true or false, or a word
	Revision int
	USD      bool     // of a number; else it is a share
	Words    []string // that it can be
}

// The settings besides the budgets, of which each that adds up has a limit and
// perhaps refuses what is over it.
const (
	canarySetting   = "canary"   // share of the traffic
	colourSetting   = "colour"   // that has the traffic
	queueingSetting = "queueing" // whether requests wait
	fallbackSetting = "fallback_model"
	budgetSetting   = "budget_"
	enforceSetting  = "enforce_"
)

// colours are the two environments of blue and green.
var colours = [2]string{"blue", "green"}

// What a rehearsal begins with, where the scenario brings no canary.
const (
	rehearsedCanary = "v12"
	rehearsedShare  = 0.1
)

func settingNames() []string {
	names := []string{canarySetting, colourSetting, queueingSetting, fallbackSetting}
	for _, scope := range spentScopes {
		names = append(names, budgetSetting+scope, enforceSetting+scope)
	}
	return names
}

// settingOf is the setting that a change is about: of a budget, limit and enforcement move together.
func settingOf(what string) string {
	if scope, ok := strings.CutPrefix(what, "budget "); ok {
		return budgetSetting + scope
	}
	return what
}

// Settings returns all of them.
func (c *Control) Settings() []Setting {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Setting
	for _, name := range settingNames() {
		s, _ := c.setting(name) // it is one of the names
		out = append(out, s)
	}
	return out
}

// Setting returns one.
func (c *Control) Setting(name string) (Setting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setting(name)
}

func (c *Control) setting(name string) (Setting, error) {
	s := Setting{Name: name, Revision: c.moved[name] + 1}
	budget, isBudget := strings.CutPrefix(name, budgetSetting)
	enforced, isEnforced := strings.CutPrefix(name, enforceSetting)
	switch {
	case name == canarySetting:
		s.Value = c.set.share
	case name == colourSetting:
		s.Value, s.Words = c.set.colour, colours[:]
	case name == queueingSetting:
		s.Value = c.set.queueing.Enabled
	case name == fallbackSetting:
		s.Value, s.Words = fallbackModel, []string{fallbackModel}
	case isBudget && slices.Contains(spentScopes[:], budget):
		s.Value, s.USD = c.set.budgets[budgetIndex(budget)], true
	case isEnforced && slices.Contains(spentScopes[:], enforced):
		s.Value, s.Revision = c.set.enforce[enforced], c.moved[budgetSetting+enforced]+1
	default:
		return Setting{}, fmt.Errorf("%w setting %q; there are %s", ErrUnknown, name, strings.Join(settingNames(), ", "))
	}
	return s, nil
}

// SetSetting gives a setting a value if its revision is still the one given;
// otherwise it returns the setting as it is and ErrMoved.
func (c *Control) SetSetting(name string, value any, revision int) (Setting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.setting(name)
	if err != nil {
		return s, err
	}
	if revision != s.Revision {
		return s, fmt.Errorf("%w: %s is %v now, revision %d", ErrMoved, name, s.Value, s.Revision)
	}
	number, isNumber := value.(float64)
	on, isBool := value.(bool)
	switch s.Value.(type) {
	case float64:
		if !isNumber {
			return s, fmt.Errorf("%w: %s is a number", ErrRejected, name)
		}
	case bool:
		if !isBool {
			return s, fmt.Errorf("%w: %s is true or false", ErrRejected, name)
		}
	}
	budget, isBudget := strings.CutPrefix(name, budgetSetting)
	enforced, isEnforced := strings.CutPrefix(name, enforceSetting)
	switch {
	case name == canarySetting:
		err = c.setCanary(number)
	case name == colourSetting:
		err = c.setColour(value)
	case name == queueingSetting:
		c.setQueueing(Queueing{Enabled: on, MaxDepth: c.set.queueing.MaxDepth})
	case isBudget:
		err = c.setBudget(budget, number, c.set.enforce[budget])
	case isEnforced:
		err = c.setBudget(enforced, c.set.budgets[budgetIndex(enforced)], on)
	default:
		err = fmt.Errorf("%w: %s is built in", ErrRejected, name)
	}
	if err != nil {
		return s, err
	}
	return c.setting(name)
}

// setColour gives the traffic to the other colour, with the versions that run there.
func (c *Control) setColour(value any) error {
	to, _ := value.(string)
	if !slices.Contains(colours[:], to) {
		return fmt.Errorf("%w: %v is no colour; there are %s", ErrRejected, value, strings.Join(colours[:], " and "))
	}
	if to != c.set.colour {
		c.switchTo(to, c.set.idle, c.now(), actorAdmin)
	}
	return nil
}

func (c *Control) switchTo(colour string, versions Versions, at time.Time, actor string) {
	was := c.set.colour
	c.set.idle = c.set.live
	c.moveAll(versions, at, actorDeploy) // nobody moved a pin: they follow the traffic
	c.set.colour = colour
	c.note(Change{at, colourSetting, was, colour, actor})
}
