package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The components, in the order in which they are always shown.
const (
	Prompt = iota
	Model
	Tools
	Index
	Policy
	ComponentCount
)

// Components names them.
var Components = [ComponentCount]string{"prompt", "model", "tools", "index", "policy"}

// Versions are the pinned versions of all components.
type Versions [ComponentCount]string

// Scope says whom an effect concerns; empty fields concern everyone.
type Scope struct {
	Versions Versions
	Tenant   string
	Route    string
	Region   string
	Stage    string // "live" or "canary"
}

// Effect moves parameters of the model for a while.
type Effect struct {
	At       time.Duration // from the start of the drill; negative infinity for traits of versions
	Ramp     time.Duration // until it is fully there
	Until    time.Duration // 0: to the end
	Every    time.Duration // it comes back this often; 0: it stays
	Lasts    time.Duration // each time
	When     Scope
	Multiply map[Param]float64
	Add      map[Param]float64
	Set      map[Param]float64
}

// Rollout is a change of manifest that the scenario makes by itself.
type Rollout struct {
	At     time.Duration
	Set    Versions // empty: as live
	Canary float64  // share of traffic that gets it; 0: it goes live for all
	Colour string   // of the environment that it is deployed to and that then gets all traffic
}

// Served is what the provider really serves for a pinned model from a time on.
type Served struct {
	At          time.Duration
	Model       string // pinned; empty: any
	Serves      string
	Fingerprint string
}

// Version is a version of a component that can be pinned.
type Version struct {
	Name  string
	Note  string
	Since time.Duration // when it last went live before the drill, as an age; 0: never
	Error string        // what the schema validator says when it fails; empty: any
	Trait Effect
}

// Scenario is the script of a drill.
type Scenario struct {
	Name        string
	Description string
	Story       string
	Live        Versions // what is live at the start; only the catalogue sets it
	Versions    [ComponentCount][]Version
	Rollouts    []Rollout
	Effects     []Effect
	Served      []Served
	Features    map[string]bool    // switched at the start
	Budgets     map[string]float64 // other budgets than usual
	Left        map[string]float64 // what is left of budgets at the start
	Enforce     []string           // budgets that refuse requests when they are used up
	Queueing    Tri                // switched at the start; it is on otherwise
	Solution    Solution
}

// merge adds the scenario's versions to the catalogue's; a version of the same name replaces.
func (s *Scenario) merge(catalogue *Scenario) *Scenario {
	out := *s
	out.Live = catalogue.Live
	for c := range Components {
		list := slices.Clone(catalogue.Versions[c])
		for _, v := range s.Versions[c] {
			if i := slices.IndexFunc(list, func(o Version) bool { return o.Name == v.Name }); i >= 0 {
				if v.Since == 0 {
					v.Since = list[i].Since
				}
				list[i] = v
			} else {
				list = append(list, v)
			}
		}
		out.Versions[c] = list
	}
	return &out
}

// check finds what a scenario names and nobody knows. Positions were checked while parsing.
func (s *Scenario) check() error {
	for _, r := range s.Rollouts {
		for c, v := range r.Set {
			if v != "" && s.version(c, v) == nil {
				return fmt.Errorf("scenario %s: changes: %s %q is not a known version; known are %s",
					s.Name, Components[c], v, strings.Join(s.names(c), ", "))
			}
		}
	}
	for _, e := range s.Effects {
		for c, v := range e.When.Versions {
			if v != "" && s.version(c, v) == nil {
				return fmt.Errorf("scenario %s: effects: when: %s %q is not a known version; known are %s",
					s.Name, Components[c], v, strings.Join(s.names(c), ", "))
			}
		}
	}
	for _, w := range s.Solution.Ways {
		for c, list := range w.Pins {
			for _, v := range list {
				if s.version(c, v) == nil {
					return fmt.Errorf("scenario %s: solution: by: %s %q is not a known version; known are %s",
						s.Name, Components[c], v, strings.Join(s.names(c), ", "))
				}
			}
		}
	}
	for _, e := range s.Served {
		if e.Model != "" && s.version(Model, e.Model) == nil {
			return fmt.Errorf("scenario %s: served: model %q is not a known version; known are %s",
				s.Name, e.Model, strings.Join(s.names(Model), ", "))
		}
	}
	return nil
}

func (s *Scenario) version(c int, name string) *Version {
	for i := range s.Versions[c] {
		if s.Versions[c][i].Name == name {
			return &s.Versions[c][i]
		}
	}
	return nil
}

func (s *Scenario) names(c int) []string {
	var out []string
	for _, v := range s.Versions[c] {
		out = append(out, v.Name)
	}
	return out
}

// allEffects are the scenario's effects and the traits of all versions.
func (s *Scenario) allEffects() []Effect {
	var out []Effect
	for c := range Components {
		for _, v := range s.Versions[c] {
			if len(v.Trait.Multiply)+len(v.Trait.Add)+len(v.Trait.Set) > 0 {
				out = append(out, v.Trait)
			}
		}
	}
	return append(out, s.Effects...)
}

// strength is how much of the effect is there at an offset, 0 to 1.
func (e *Effect) strength(off time.Duration) float64 {
	switch {
	case off < e.At, e.Until > 0 && off >= e.Until:
		return 0
	case e.Every > 0 && (off-e.At)%e.Every >= e.Lasts:
		return 0
	case e.Ramp > 0 && off < e.At+e.Ramp:
		return float64(off-e.At) / float64(e.Ramp)
	default:
		return 1
	}
}

// served is what the provider serves for a pinned model at an offset.
func (s *Scenario) served(pinned string, off time.Duration) (model, fingerprint string) {
	model, fingerprint = pinned, "fp_"+fmt.Sprintf("%010x", hash(uint64(len(pinned)), fnv(pinned))>>24)
	for _, e := range s.Served {
		if off >= e.At && (e.Model == "" || e.Model == pinned) {
			model, fingerprint = e.Serves, e.Fingerprint
		}
	}
	return model, fingerprint
}

func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
