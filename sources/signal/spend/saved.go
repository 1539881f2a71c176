package spend

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// Saving is what one kind of cache saves.
type Saving struct {
	Kind     string      `json:"kind"`         // exact, semantic, provider
	PerHour  sources.Num `json:"usd_per_hour"` // null when that cannot be told
	Hits     int         `json:"hits"`         // of the window
	HitRatio sources.Num `json:"hit_ratio"`    // of requests that tell; for provider: of input tokens read from its cache where known
	// Untold are hits that are not in the amount: on a route without a miss of known cost, or of a model without prices.
	Untold   int    `json:"untold,omitempty"`
	Why      string `json:"why"`      // how the amount came about, or why there is none
	Provider string `json:"provider"` // "requests", or "prometheus": the service's own figure
}

// Kinds of caches, in the order in which they are asked.
var Kinds = [...]string{"exact", "semantic", "provider"}

// PriceOf returns what a token of a model costs, in USD: input as usual and when it
// comes out of the provider's cache; false when that is not known.
type PriceOf func(model string) (input, cached float64, ok bool)

func savings(parts []*Rows, window time.Duration, price PriceOf) []Saving {
	hours := window.Hours()
	cache := map[[2]string]sum{}
	models := map[string]*model{}
	for _, p := range parts {
		for k, s := range p.cache {
			x := cache[k]
			x.add(s)
			cache[k] = x
		}
		for name, m := range p.models {
			x := models[name]
			if x == nil {
				x = &model{}
				models[name] = x
			}
			x.cached, x.known = x.cached+m.cached, x.known+m.known
		}
	}
	var out []Saving
	for _, kind := range Kinds[:2] {
		out = append(out, answered(kind, cache, hours))
	}
	return append(out, prefixed(models, cache, hours, price))
}

// answered is what a cache of whole answers saves: each hit what a request without
// one costs on the same route, less what the hit itself costs.
func answered(kind string, cache map[[2]string]sum, hours float64) Saving {
	s := Saving{Kind: kind, Provider: "requests"}
	misses := map[string]sum{}
	told := 0.0
	for k, x := range cache {
		if k[1] == "" {
			continue
		}
		told += x.n
		if k[1] == "none" || k[1] == "provider" {
			m := misses[k[0]]
			m.add(x)
			misses[k[0]] = m
		}
	}
	if told == 0 {
		s.Why = "cannot tell: requests do not record which cache answered"
		return s
	}
	hits, usd, untold := 0.0, 0.0, 0.0
	var routes []string
	for k, x := range cache {
		if k[1] != kind {
			continue
		}
		hits += x.n
		miss, ok := misses[k[0]].mean()
		if !ok {
			untold += x.n
			routes = append(routes, k[0])
			continue
		}
		own, _ := x.mean()
		if x.paid == 0 {
			own = 0 // a hit that tells no cost called no model
		}
		usd += x.n * max(0, miss-own)
	}
	s.Hits, s.HitRatio, s.Untold = int(hits), sources.N(hits/told), int(untold)
	switch {
	case hits == 0:
		s.PerHour, s.Why = sources.N(0), "no hits"
	case untold == hits:
		slices.Sort(routes)
		s.Why = "cannot tell: no request without a cache tells its cost on " + list(routes)
	default:
		s.PerHour, s.Why = sources.N(usd/hours), "hits × what a request without one costs on the same route"
		if untold > 0 {
			slices.Sort(routes)
			s.Why += "; not in it: " + list(routes) + ", where no such cost is known"
		}
	}
	return s
}

// prefixed is what the provider's cache saves: its tokens times the difference of the prices.
func prefixed(models map[string]*model, cache map[[2]string]sum, hours float64, price PriceOf) Saving {
	s := Saving{Kind: "provider", Provider: "requests"}
	told := 0.0
	for k, x := range cache {
		if k[1] == "provider" {
			s.Hits += int(x.n)
		}
		if k[1] != "" {
			told += x.n
		}
	}
	if told > 0 {
		s.HitRatio = sources.N(float64(s.Hits) / told)
	}
	usd, known, priced := 0.0, 0.0, 0.0
	var without []string
	for _, name := range slices.Sorted(maps.Keys(models)) {
		m := models[name]
		known += m.known
		if m.cached == 0 {
			continue
		}
		input, cached, ok := price(name)
		if !ok {
			if name == "" {
				name = "requests without a model"
			}
			without = append(without, name)
			s.Untold += int(m.known)
			continue
		}
		priced++
		usd += m.cached * (input - cached)
	}
	switch {
	case known == 0:
		s.Why = "cannot tell: requests do not record cached tokens"
	case len(without) > 0 && priced == 0:
		s.Why = "cannot tell: no price of cached tokens for " + list(without) + "; add it under prices"
	default:
		s.PerHour, s.Why = sources.N(usd/hours), "cached tokens × the difference of the prices"
		if len(without) > 0 {
			s.Why += "; not in it: " + list(without) + ", without a price of cached tokens"
		}
	}
	return s
}

// list names at most three.
func list(names []string) string {
	for i, n := range names {
		if n == "" {
			names[i] = "requests without a route"
		}
	}
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}
