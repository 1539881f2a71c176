package sources

import (
	"slices"
	"time"
)

// Component is what can change and be rolled back independently.
type Component string

// The components.
const (
	Prompt Component = "prompt"
	Model  Component = "model"
	Tools  Component = "tools"
	Index  Component = "index"
	Policy Component = "policy"
)

// What a change can be of that is no version: From and To of a feature are "rerank on" and
// "rerank off", those of a fallback the models.
const (
	Feature  Component = "feature"
	Fallback Component = "fallback"
)

// Components lists the components in the order in which they are always shown.
var Components = [...]Component{Prompt, Model, Tools, Index, Policy}

// Manifest names the components live at one time.
type Manifest struct {
	ID          string               `json:"manifest"`
	Environment string               `json:"environment,omitempty"`
	Stage       string               `json:"stage,omitempty"`
	Versions    map[Component]string `json:"versions"`
}

// Change is a difference between two manifests in time, or a silent one.
type Change struct {
	At        time.Time `json:"at"`
	Component Component `json:"component"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	// Silent: what is served moved while the manifest did not.
	Silent   bool   `json:"silent,omitempty"`
	Stage    string `json:"stage,omitempty"`
	Manifest string `json:"manifest,omitempty"` // the manifest after the change
	Source   string `json:"source"`             // "prometheus", "requests" or "folder"
	Evidence string `json:"evidence,omitempty"` // "412 of 430 requests served by gpt-4.1-2026-10"
	Doubt    string `json:"doubt,omitempty"`    // why it may not be so, or not then
}

// OfVersion tells whether a component's version moved, rather than a switch.
func (c *Change) OfVersion() bool { return slices.Contains(Components[:], c.Component) }
