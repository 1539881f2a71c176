package sim

import (
	"fmt"
	"maps"
)

// Manifest is the identifier of a set of versions.
func (v Versions) Manifest() string {
	parts := make([]uint64, 0, ComponentCount)
	for _, name := range v {
		parts = append(parts, fnv(name))
	}
	return fmt.Sprintf("m-%07x", hash(parts...)>>36)
}

func (v Versions) byName() map[string]string {
	out := map[string]string{}
	for i, name := range Components {
		out[name] = v[i]
	}
	return out
}

// over returns v with what other sets on top.
func (v Versions) over(other Versions) Versions {
	for i, name := range other {
		if name != "" {
			v[i] = name
		}
	}
	return v
}

// fallbackModel answers when the pinned model does not; embedModel embeds.
const (
	fallbackModel = "gpt-4.1-mini-2025-04-14"
	embedModel    = "text-embedding-3-small"
)

// EmbedModel is the model that embeds queries.
const EmbedModel = embedModel

// TokenPrice is US dollars per token.
type TokenPrice struct{ Input, Output, Cached float64 }

const fallbackPrint = "fp_5e1b09c2d7"

var prices = map[string]TokenPrice{
	"gpt-4o-2024-11-20":  {2.5e-6, 10e-6, 1.25e-6},
	"gpt-4.1-2025-04-14": {2e-6, 8e-6, 0.5e-6},
	"gpt-4.1-2025-08-07": {2e-6, 8e-6, 0.5e-6},
	fallbackModel:        {0.4e-6, 1.6e-6, 0.1e-6},
	embedModel:           {0.02e-6, 0, 0},
}

// Prices lists the price of every model, by name.
func Prices() map[string]TokenPrice { return maps.Clone(prices) }
