package pin

import (
	"fmt"

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
	Component   sources.Component // the only one that may be moved; empty: any
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
		Component: sources.Component(get(runbooks.EnvComponent)), Effect: runbooks.Effect(get(runbooks.EnvEffect)),
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
	if g.Component != "" && g.Component != c {
		return fmt.Errorf("moving %s is %w: this run may move %s and nothing else; use the runbook for %s", c, ErrForbidden, g.Component, c)
	}
	return g.Change("moving " + string(c))
}
