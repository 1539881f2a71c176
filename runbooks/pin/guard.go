package pin

import (
	"fmt"
	"slices"
	"strings"

	"rollcall/runbooks"
	"rollcall/sources"
)

// Guard is what the environment of a command allows: the runbook engine says
// there which run it belongs to and what the step may do. Its zero value, a
// command that a person typed, allows everything.
type Guard struct {
	Run         string
	Step        string
	Incident    string
	Service     string
	Environment string
	Component   sources.Component // the only one that a run may move
	Settings    []string          // the only ones that a run may set
	Effect      runbooks.Effect
	ReadOnly    bool
	Rehearsal   bool
}

// GuardFrom reads the environment.
func GuardFrom(env func(string) (string, bool)) Guard {
	get := func(name string) string { v, _ := env(name); return v }
	on := func(name string) bool { v := get(name); return v != "" && v != "0" }
	return Guard{
		Run: get(runbooks.EnvRun), Step: get(runbooks.EnvStep), Incident: get(runbooks.EnvIncident),
		Service: get(runbooks.EnvService), Environment: get(runbooks.EnvEnvironment),
		Component: sources.Component(get(runbooks.EnvComponent)), Settings: strings.Fields(get(runbooks.EnvSettings)), Effect: runbooks.Effect(get(runbooks.EnvEffect)),
		ReadOnly: on(runbooks.EnvReadOnly), Rehearsal: on(runbooks.EnvRehearsal),
	}
}

// Change tells whether anything may be changed; what names it in the refusal.
func (g Guard) Change(what string) error {
	step := g.Step
	if step == "" {
		step = "this step"
	}
	switch {
	case g.ReadOnly:
		return fmt.Errorf("%s is %w: nothing may be changed in read-only mode; run it without --read-only", what, ErrForbidden)
	case g.Effect == "" && g.Run != "", g.Effect != "" && g.Effect != runbooks.Write:
		return fmt.Errorf("%s is %w: %s only reads; give it effect: write in the runbook", what, ErrForbidden, step)
	}
	return nil
}

// Move tells whether a component's version may be changed.
func (g Guard) Move(c sources.Component) error {
	if err := g.Change("moving " + string(c)); err != nil {
		return err
	}
	if (g.Component != "" || g.Run != "") && g.Component != c {
		return fmt.Errorf("moving %s is %w: this run may move %s and nothing else; use the runbook for %s", c, ErrForbidden, g.may(), c)
	}
	return nil
}

// Adjust tells whether a setting may be changed.
func (g Guard) Adjust(setting string) error {
	if err := g.Change("setting " + setting); err != nil {
		return err
	}
	if (len(g.Settings) > 0 || g.Run != "") && !slices.Contains(g.Settings, setting) {
		return fmt.Errorf("setting %s is %w: this run may move %s and nothing else; use a runbook with settings: [%s]", setting, ErrForbidden, g.may(), setting)
	}
	return nil
}

// may says what a run may move.
func (g Guard) may() string {
	all := slices.Clone(g.Settings)
	if g.Component != "" {
		all = slices.Insert(all, 0, string(g.Component))
	}
	if len(all) == 0 {
		return "features"
	}
	return strings.Join(all, ", ")
}
