package sim

import (
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d decoder) scenario(n ast.Node, s *Scenario) {
	d.fields(n, "scenario", map[string]func(ast.Node){
		"name":        func(v ast.Node) { s.Name = d.text(v, "name") },
		"description": func(v ast.Node) { s.Description = d.text(v, "description") },
		"story":       func(v ast.Node) { s.Story = d.text(v, "story") },
		"live":        func(v ast.Node) { s.Live = d.versions(v, "live") },
		"versions":    func(v ast.Node) { d.allVersions(v, s) },
		"changes": func(v ast.Node) {
			d.list(v, "changes", func(v ast.Node) { s.Rollouts = append(s.Rollouts, d.rollout(v)) })
		},
		"effects": func(v ast.Node) {
			d.list(v, "effects", func(v ast.Node) {
				e := Effect{}
				d.fields(v, "effects", d.effectFields(&e))
				if e.Until > 0 && e.Until <= e.At {
					d.fail(v, "effects: until %s is not after at %s", e.Until, e.At)
				}
				if e.Lasts > 0 != (e.Every > 0) || e.Lasts > e.Every {
					d.fail(v, "effects: every and lasts go together, and lasts is the shorter; they are %s and %s", e.Every, e.Lasts)
				}
				s.Effects = append(s.Effects, e)
			})
		},
		"served": func(v ast.Node) {
			d.list(v, "served", func(v ast.Node) { s.Served = append(s.Served, d.served(v)) })
		},
		"features": func(v ast.Node) { s.Features = d.features(v, "features") },
		"queueing": func(v ast.Node) { s.Queueing = d.onOff(v, "queueing") },
		"solution": func(v ast.Node) { s.Solution = d.solution(v) },
		"budgets":  func(v ast.Node) { s.Budgets = d.budgets(v, "budgets", budgetScopes[:]) },
		"left":     func(v ast.Node) { s.Left = d.budgets(v, "left", spentScopes[:]) },
		"enforce": func(v ast.Node) {
			d.list(v, "enforce", func(v ast.Node) {
				s.Enforce = append(s.Enforce, d.one(v, "enforce", spentScopes[:]))
			})
		},
	})
}

func (d decoder) onOff(n ast.Node, what string) Tri {
	if d.one(n, what, []string{"on", "off"}) == "on" {
		return Yes
	}
	return No
}

func (d decoder) solution(n ast.Node) (a Solution) {
	d.fields(n, "solution", map[string]func(ast.Node){
		"cause": func(v ast.Node) { a.Cause = d.text(v, "solution: cause") },
		"cure":  func(v ast.Node) { a.Cure = d.text(v, "solution: cure") },
		"category": func(v ast.Node) {
			d.list(v, "solution: category", func(v ast.Node) {
				a.Categories = append(a.Categories, d.one(v, "solution: category", categories[:]))
			})
		},
		"by": func(v ast.Node) {
			d.list(v, "solution: by", func(v ast.Node) { a.Ways = append(a.Ways, d.way(v)) })
		},
	})
	if a.Cause == "" || a.Cure == "" || len(a.Categories) == 0 || len(a.Ways) == 0 {
		d.fail(n, "solution: cause, cure, category and by belong together; one is missing")
	}
	return a
}

// categories of incidents, as the console knows them.
var categories = [...]string{"safety", "correctness", "privacy", "quality", "availability", "cost"}

func (d decoder) way(n ast.Node) (w Way) {
	pins := map[string]func(ast.Node){}
	for c, name := range Components {
		pins[name] = func(n ast.Node) {
			what := "solution: by: pins: " + name
			if _, several := n.(*ast.SequenceNode); !several {
				w.Pins[c] = []string{d.text(n, what)}
				return
			}
			d.list(n, what, func(v ast.Node) { w.Pins[c] = append(w.Pins[c], d.text(v, what)) })
		}
	}
	d.fields(n, "solution: by", map[string]func(ast.Node){
		"pins":     func(v ast.Node) { d.fields(v, "solution: by: pins", pins) },
		"features": func(v ast.Node) { w.Features = d.features(v, "solution: by: features") },
		"queueing": func(v ast.Node) { w.Queueing = d.onOff(v, "solution: by: queueing") },
		"canary": func(v ast.Node) {
			d.one(v, "solution: by: canary", []string{"off"})
			w.NoCanary = true
		},
		"colour": func(v ast.Node) { w.Colour = d.one(v, "solution: by: colour", colours[:]) },
		"budgets": func(v ast.Node) {
			d.list(v, "solution: by: budgets", func(v ast.Node) {
				w.Budgets = append(w.Budgets, d.one(v, "solution: by: budgets", budgetScopes[:]))
			})
		},
	})
	if w.size() == 0 {
		d.fail(n, "solution: by: it says nothing; give pins, features, queueing, canary, colour or budgets")
	}
	return w
}

func (d decoder) features(n ast.Node, what string) map[string]bool {
	out := map[string]bool{}
	d.each(n, what, func(key string, k, v ast.Node) {
		if !knownFeature(key) {
			d.fail(k, "%s: unknown feature %q", what, key)
		}
		out[key] = d.bool(v, what+": "+key)
	})
	return out
}

func (d decoder) budgets(n ast.Node, what string, scopes []string) map[string]float64 {
	out := map[string]float64{}
	d.each(n, what, func(key string, k, v ast.Node) {
		if !slices.Contains(scopes, key) {
			d.fail(k, "%s: unknown scope %q; known are %s", what, key, strings.Join(scopes, ", "))
		}
		out[key] = d.number(v, what+": "+key)
	})
	return out
}

func (d decoder) rollout(n ast.Node) (r Rollout) {
	d.fields(n, "changes", map[string]func(ast.Node){
		"at":     func(v ast.Node) { r.At = d.duration(v, "changes: at") },
		"set":    func(v ast.Node) { r.Set = d.versions(v, "changes: set") },
		"canary": func(v ast.Node) { r.Canary = d.number(v, "changes: canary") },
		"colour": func(v ast.Node) { r.Colour = d.one(v, "changes: colour", colours[1:]) },
	})
	if r.Set == (Versions{}) {
		d.fail(n, "changes: set is missing; it names what is deployed, like {prompt: v14}")
	}
	if r.Canary > 0 && r.Colour != "" {
		d.fail(n, "changes: canary and colour are two ways of deploying; choose one")
	}
	if r.Canary >= 1 {
		d.fail(n, "changes: canary is a share of traffic below 100%%")
	}
	return r
}

func (d decoder) served(n ast.Node) (s Served) {
	d.fields(n, "served", map[string]func(ast.Node){
		"at":          func(v ast.Node) { s.At = d.duration(v, "served: at") },
		"model":       func(v ast.Node) { s.Model = d.text(v, "served: model") },
		"serves":      func(v ast.Node) { s.Serves = d.text(v, "served: serves") },
		"fingerprint": func(v ast.Node) { s.Fingerprint = d.text(v, "served: fingerprint") },
	})
	if s.Serves == "" || s.Fingerprint == "" {
		d.fail(n, "served: serves and fingerprint say what the provider serves instead; one is missing")
	}
	return s
}

func (d decoder) versions(n ast.Node, what string) (v Versions) {
	known := map[string]func(ast.Node){}
	for c, name := range Components {
		known[name] = func(n ast.Node) { v[c] = d.text(n, what+": "+name) }
	}
	d.fields(n, what, known)
	return v
}

func (d decoder) allVersions(n ast.Node, s *Scenario) {
	known := map[string]func(ast.Node){}
	for c, name := range Components {
		known[name] = func(n ast.Node) {
			d.each(n, "versions: "+name, func(key string, k, n ast.Node) {
				v := Version{Name: key, Trait: Effect{At: math.MinInt64}}
				v.Trait.When.Versions[c] = key
				fields := d.effectFields(&v.Trait)
				for _, no := range []string{"at", "ramp", "until", "every", "lasts", "when"} {
					delete(fields, no)
				}
				what := "versions: " + name + ": " + key
				fields["note"] = func(n ast.Node) { v.Note = d.text(n, what+": note") }
				fields["since"] = func(n ast.Node) { v.Since = d.duration(n, what+": since") }
				fields["schema_error"] = func(n ast.Node) { v.Error = d.one(n, what+": schema_error", SchemaErrors) }
				d.fields(n, what, fields)
				s.Versions[c] = append(s.Versions[c], v)
			})
		}
	}
	d.fields(n, "versions", known)
}

func (d decoder) effectFields(e *Effect) map[string]func(ast.Node) {
	amounts := func(what string, into *map[Param]float64, check func(n ast.Node, p Param, v float64)) func(ast.Node) {
		return func(n ast.Node) {
			*into = map[Param]float64{}
			d.each(n, what, func(key string, k, v ast.Node) {
				p, ok := ParamNamed(key)
				if !ok {
					d.fail(k, "%s: unknown parameter %q%s", what, key, nearest(key))
				}
				x := d.number(v, what+": "+key)
				if check != nil {
					check(v, p, x)
				}
				(*into)[p] = x
			})
		}
	}
	return map[string]func(ast.Node){
		"at":       func(v ast.Node) { e.At = d.duration(v, "at") },
		"ramp":     func(v ast.Node) { e.Ramp = d.duration(v, "ramp") },
		"until":    func(v ast.Node) { e.Until = d.duration(v, "until") },
		"every":    func(v ast.Node) { e.Every = d.duration(v, "every") },
		"lasts":    func(v ast.Node) { e.Lasts = d.duration(v, "lasts") },
		"when":     func(v ast.Node) { e.When = d.scope(v) },
		"multiply": amounts("multiply", &e.Multiply, nil),
		"add":      amounts("add", &e.Add, nil),
		"set": amounts("set", &e.Set, func(n ast.Node, p Param, v float64) {
			if paramTable[p].probability && v > 1 {
				d.fail(n, "set: %s is a probability; %g is over 1", p, v)
			}
		}),
	}
}

func (d decoder) scope(n ast.Node) (s Scope) {
	known := map[string]func(ast.Node){
		"tenant": func(v ast.Node) { s.Tenant = d.one(v, "when: tenant", tenantNames()) },
		"route":  func(v ast.Node) { s.Route = d.one(v, "when: route", routeNames()) },
		"region": func(v ast.Node) { s.Region = d.one(v, "when: region", regionNames()) },
		"stage":  func(v ast.Node) { s.Stage = d.one(v, "when: stage", []string{StageLive, StageCanary}) },
	}
	for c, name := range Components {
		known[name] = func(v ast.Node) { s.Versions[c] = d.text(v, "when: "+name) }
	}
	d.fields(n, "when", known)
	return s
}

// nearest suggests the parameter that was probably meant.
func nearest(key string) string {
	best, at := "", 3
	for _, name := range ParamNames() {
		if n := distance(key, name); n < at {
			best, at = name, n
		}
	}
	if best == "" {
		return "; the scenario README lists them"
	}
	return "; did you mean " + best + "?"
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(b)]
}

func tenantNames() (out []string) {
	for _, t := range tenants {
		out = append(out, t.name)
	}
	return out
}

func routeNames() (out []string) {
	for _, r := range routes {
		out = append(out, r.name)
	}
	return out
}

func regionNames() (out []string) {
	for _, r := range regions {
		out = append(out, r.name)
	}
	return out
}
