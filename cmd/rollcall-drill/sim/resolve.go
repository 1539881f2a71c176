package sim

import (
	"slices"
	"time"
)

// resolver turns traits and effects into the parameters of a deployment.
type resolver struct {
	effects []Effect
	now     []float64 // strength of each effect
}

func newResolver(s *Scenario) *resolver {
	all := s.allEffects()
	return &resolver{effects: all, now: make([]float64, len(all))}
}

// advance moves to an offset and tells whether any effect moved.
func (r *resolver) advance(off time.Duration) (moved bool) {
	for i := range r.effects {
		if s := r.effects[i].strength(off); s != r.now[i] {
			r.now[i], moved = s, true
		}
	}
	return moved
}

// resolve sets the deployment's parameters to what they are now.
func (r *resolver) resolve(d *Deployment) {
	for route := range routeCount {
		scoped := slices.ContainsFunc(r.effects, func(e Effect) bool {
			return (e.When.Tenant != "" || e.When.Region != "") && e.When.meets(d, route)
		})
		if !scoped {
			p := baseParams(route)
			r.apply(&p, d, route, "", "")
			d.cells[route] = []params{p}
			continue
		}
		cells := make([]params, 0, len(tenants)*len(regions))
		for t := range tenants {
			for g := range regions {
				p := baseParams(route)
				r.apply(&p, d, route, tenants[t].name, regions[g].name)
				cells = append(cells, p)
			}
		}
		d.cells[route] = cells
	}
}

// meets tells whether the scope's versions, stage and route hold for a deployment's route.
func (s *Scope) meets(d *Deployment, route Route) bool {
	for c, v := range s.Versions {
		if v != "" && v != d.Versions[c] {
			return false
		}
	}
	return (s.Stage == "" || s.Stage == d.Stage) && (s.Route == "" || s.Route == route.String())
}

func (r *resolver) apply(p *params, d *Deployment, route Route, tenant, region string) {
	for i := range r.effects {
		e, s := &r.effects[i], r.now[i]
		if s == 0 || !e.When.meets(d, route) ||
			e.When.Tenant != "" && e.When.Tenant != tenant || e.When.Region != "" && e.When.Region != region {
			continue
		}
		for k, f := range e.Multiply {
			p[k] *= 1 + (f-1)*s
		}
		for k, v := range e.Add {
			p[k] += v * s
		}
		for k, v := range e.Set {
			p[k] += (v - p[k]) * s
		}
	}
	p.clamp()
}
