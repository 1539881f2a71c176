// Package scenarios holds the built-in scripts of drills. README.md says how to write one.
package scenarios

import (
	"embed"
	"fmt"
	"strings"

	"rollcall/cmd/rollcall-drill/sim"
)

//go:embed *.yaml
var files embed.FS

// All returns the built-in scenarios by name.
func All() ([]*sim.Scenario, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var out []*sim.Scenario
	for _, e := range entries {
		s, err := read(e.Name())
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Named returns the built-in scenario of that name.
func Named(name string) (*sim.Scenario, error) {
	if _, err := files.Open(name + ".yaml"); err != nil {
		all, err := All()
		if err != nil {
			return nil, err
		}
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
	}
	return read(name + ".yaml")
}

func read(file string) (*sim.Scenario, error) {
	text, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := sim.Parse(file, text)
	if err != nil {
		return nil, err
	}
	if s.Name+".yaml" != file {
		return nil, fmt.Errorf("%s: the name %q must be the file's", file, s.Name)
	}
	return s, nil
}
