// Package keymap holds the keys that mean the same everywhere in the console.
package keymap

import "charm.land/bubbles/v2/key"

// Map is the shell's keys. A pane gets every key that is not here.
type Map struct {
	Tabs, Changes, Alerts                    key.Binding
	Palette, Open, Help, Back, Quit          key.Binding
	Range, Longer, Shorter                   key.Binding
	Earlier, Later, Live, Freeze             key.Binding
	Copy, LocalTime, Mouse, Refresh, Suspend key.Binding
	Kill                                     key.Binding
	// Runbook and Incident are there only where the console can act.
	Runbook, Incident key.Binding
}

// New returns the keys.
func New() Map {
	b := func(help, word string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, word))
	}
	return Map{
		Tabs:      b("1–7", "go to a pane", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
		Changes:   b("C", "changes", "C"),
		Alerts:    b("A", "alerts", "A"),
		Palette:   b(":", "all commands, with arguments", ":"),
		Open:      b("g", "open a request by any of its IDs", "g"),
		Help:      b("?", "all keys", "?"),
		Back:      b("esc", "back to where you were", "esc"),
		Quit:      b("q", "leave", "q"),
		Range:     b("t", "choose the time range", "t"),
		Longer:    b("-", "longer range", "-", "_"),
		Shorter:   b("+", "shorter range", "+", "="),
		Earlier:   b("[", "earlier by half a range", "["),
		Later:     b("]", "later by half a range", "]"),
		Live:      b("0", "live: follow now", "0"),
		Freeze:    b("space", "freeze, and on again", "space"),
		Copy:      b("y", "copy what is selected", "y"),
		LocalTime: b("L", "local time or UTC", "L"),
		Mouse:     b("m", "mouse off (to select text) or on", "m"),
		Refresh:   b("ctrl+r", "read everything again now", "ctrl+r"),
		Suspend:   b("ctrl+z", "put the console in the background", "ctrl+z"),
		Kill:      b("ctrl+c", "leave, from anywhere", "ctrl+c"),
		Runbook:   b("R", "the runbook that the verdict line suggests", "R"),
		Incident:  b("I", "the open incident, or open one", "I"),
	}
}

// Group is some keys under a heading of the help.
type Group struct {
	Name string
	Keys []key.Binding
}

// Groups lists the keys as the help shows them.
func (m Map) Groups() []Group {
	return []Group{
		{"Go", []key.Binding{m.Tabs, m.Changes, m.Alerts, m.Open, m.Palette, m.Back, m.Help, m.Quit}},
		{"Act", []key.Binding{m.Runbook, m.Incident}},
		{"Time", []key.Binding{m.Range, m.Longer, m.Shorter, m.Earlier, m.Later, m.Live, m.Freeze, m.LocalTime}},
		{"Screen", []key.Binding{m.Copy, m.Mouse, m.Refresh, m.Suspend, m.Kill}},
	}
}
