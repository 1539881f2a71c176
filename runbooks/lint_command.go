package runbooks

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// command checks a step that runs a script.
func (l *linting) command(under string, s *Step) {
	at := l.at(under + ".step")
	switch {
	case s.Effect == "":
		l.say(at, "step %s does not say whether it changes something; add effect: read or effect: write", s.Name)
	case s.Effect == Write && s.Phase == Preconditions:
		l.say(l.at(under+".effect"), "step %s changes something before the preconditions have been met; move it to ## Steps", s.Name)
	case s.Effect == Write && s.Reconcile == nil:
		l.say(at, "step %s writes, and nothing says how to find out after a crash whether it happened; add reconcile: {run: [...], done: ..., not_done: ...}", s.Name)
	}
	if s.Timeout == 0 {
		l.say(at, "step %s may hang for ever; add timeout: 30s", s.Name)
	}
	if r := s.Reconcile; r != nil {
		if s.Effect == Read {
			l.say(l.at(under+".reconcile"), "step %s only reads and is simply repeated; remove reconcile", s.Name)
		}
		l.words(under+".reconcile.run", r.Run, l.vars)
		l.condition(under+".reconcile.done", r.Done, TextValue)
		l.condition(under+".reconcile.not_done", r.NotDone, TextValue)
	}
	first, ok := l.rb.places[under+".script"]
	if !ok {
		first = at
	}
	l.used(first, "the script", s.Script, assigned(s.Script))
	for _, c := range changes(s.Script) {
		at := place{line: first.line + c.line, col: first.col + c.col}
		if s.Effect == Read {
			l.say(at, "%q changes something, but the step says effect: read; write effect: write", c.words)
		}
		if c.sets {
			l.sets(at, &c)
		}
		if !c.moves {
			continue
		}
		switch {
		case !slices.Contains(sources.Components[:], sources.Component(c.component)):
			l.say(at, "%q does not name its component; write one of %s", c.words, oneOf(sources.Components[:]))
		case l.rb.Component == "":
			l.say(at, "%q moves the %s, but the runbook moves nothing; add component: %s to the front matter", c.words, c.component, c.component)
		case !l.moves(c.component):
			l.say(at, "%q moves the %s, but this runbook may only move the %s; make two runbooks of it", c.words, c.component, l.rb.Component)
		}
	}
}

// sets checks a command that sets something: to what is named in the front matter.
// A name that a variable completes is held to the list when it runs.
func (l *linting) sets(at place, c *change) {
	begins, _, variable := strings.Cut(c.setting, "$")
	possible := slices.ContainsFunc(l.rb.Settings, func(s string) bool { return s == c.setting || variable && strings.HasPrefix(s, begins) })
	switch {
	case c.setting == "":
		l.say(at, "%q does not name its setting; rollcall setting list shows them", c.words)
	case len(l.rb.Settings) == 0 && variable:
		l.say(at, "%q sets something, but the runbook sets nothing; add settings: [...] to the front matter", c.words)
	case len(l.rb.Settings) == 0:
		l.say(at, "%q sets something, but the runbook sets nothing; add settings: [%s] to the front matter", c.words, c.setting)
	case !possible:
		l.say(at, "%q is not among the settings of this runbook, %s; add it to the front matter", c.words, strings.Join(l.rb.Settings, ", "))
	}
}

// used says which variables of a script or query have no definition.
func (l *linting) used(first place, what, script string, own []string) {
	for _, u := range variables(script, own != nil || what == "the script") {
		if slices.Contains(l.vars, u.name) || slices.Contains(own, u.name) {
			continue
		}
		// Queries know nothing of the environment.
		if what == "the script" && provided(u.name) {
			continue
		}
		at := place{line: first.line, col: first.col}
		if what == "the script" || first.exact {
			at = place{line: first.line + u.line, col: first.col + u.col}
		}
		l.say(at, "%s uses $%s, which is not defined%s", what, u.name, l.varMeant(u.name))
	}
}

// provided tells whether every command has a variable: the documented ones and the ambient ones.
func provided(name string) bool {
	return slices.Contains([]string{
		EnvService, EnvEnvironment, EnvConfig, EnvRun, EnvStep, EnvEffect, EnvComponent, EnvSettings, EnvRehearsal, EnvReadOnly, EnvIncident,
	}, name) || slices.Contains(ambient, name) || strings.HasPrefix(name, "LC_")
}

// use is one variable in a script; line and col count from 0 within it.
type use struct {
	name      string
	line, col int
}

// variables finds the capital-letter variables that a script reads without a
// default. In a shell, what stands in single quotes, behind a backslash or in a
// comment is none.
func variables(script string, shell bool) []use {
	var out []use
	r := []rune(script)
	line, start, double, quote := 0, 0, false, false
	for i := 0; i < len(r); i++ {
		switch c := r[i]; {
		case c == '\n':
			line, start = line+1, i+1
		case shell && quote:
			quote = c != '\''
		case shell && c == '\'' && !double:
			quote = true
		case shell && c == '\\':
			i++
			if i < len(r) && r[i] == '\n' {
				line, start = line+1, i+1
			}
		case shell && c == '"':
			double = !double
		case shell && c == '#' && !double && (i == 0 || strings.ContainsRune(" \t\n;&|(", r[i-1])):
			for i+1 < len(r) && r[i+1] != '\n' {
				i++
			}
		case c == '$' && i+1 < len(r):
			j, braces := i+1, r[i+1] == '{'
			if braces {
				j++
				if shell && j < len(r) && r[j] == '#' {
					j++
				}
			}
			end := j
			for end < len(r) && (r[end] == '_' || r[end] >= 'A' && r[end] <= 'Z' || end > j && r[end] >= '0' && r[end] <= '9') {
				end++
			}
			if end == j || end < len(r) && r[end] >= 'a' && r[end] <= 'z' {
				continue // another alphabet of names: local to the script
			}
			rest := string(r[end:min(end+2, len(r))])
			if braces && shell && (strings.HasPrefix(rest, ":-") || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, ":+") || strings.HasPrefix(rest, "+")) {
				continue // it says what holds without it
			}
			out = append(out, use{string(r[j:end]), line, i - start})
		}
	}
	return out
}

var assignment = regexp.MustCompile(`(?m)(?:^|[\s;&|(])(?:export\s+|readonly\s+|local\s+|for\s+|read\s+(?:-\w+\s+)*|getopts\s+\S+\s+)?([A-Z_][A-Z0-9_]*)(?:=|\s+in\b|\s*(?:;|$|<))`)

// assigned lists the variables that a script sets itself.
func assigned(script string) []string {
	names := []string{}
	for _, m := range assignment.FindAllStringSubmatch(script, -1) {
		names = append(names, m[1])
	}
	return names
}

// change is one command in a script that is known to change something.
type change struct {
	words     string // as written
	component string // of a pin
	moves     bool   // it moves a pin
	setting   string // that it sets; with $NAME in it where a variable says which
	sets      bool
	line, col int
}

var valued = []string{"--service", "--config", "--at", "--range", "--since"}

// changes finds the commands of the console that change something.
func changes(script string) []change {
	var out []change
	lines := strings.Split(script, "\n")
	for n := 0; n < len(lines); n++ {
		first, text := n, lines[n]
		for strings.HasSuffix(text, "\\") && n+1 < len(lines) {
			n++
			text = strings.TrimSuffix(text, "\\") + " " + lines[n]
		}
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t;&|()`", r) })
		for i, w := range words {
			if path.Base(strings.Trim(w, `"'`)) != "rollcall" {
				continue
			}
			args := plainWordsOf(words[i+1:])
			c := change{line: first, col: max(0, strings.Index(text, w))}
			switch {
			case len(args) >= 2 && args[0] == "pin" && args[1] == "set":
				c.moves = true
				if len(args) > 2 {
					c.component = args[2]
				}
			case len(args) >= 2 && args[0] == "setting" && args[1] == "set":
				c.sets = true
				if len(args) > 2 {
					c.setting = args[2]
				}
			case len(args) >= 2 && args[0] == "pin" && args[1] == "mark":
			case len(args) >= 2 && args[0] == "feature" && (args[1] == "on" || args[1] == "off"):
			default:
				continue
			}
			c.words = "rollcall " + strings.Join(args[:min(3, len(args))], " ")
			out = append(out, c)
		}
	}
	return out
}

// plainWordsOf drops flags and quotes.
func plainWordsOf(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		w := strings.Trim(words[i], `"'`)
		if strings.HasPrefix(w, "-") {
			if slices.Contains(valued, w) {
				i++
			}
			continue
		}
		out = append(out, w)
	}
	return out
}

var (
	quotedText = regexp.MustCompile(`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|` + "`[^`]*`")
	lookback   = regexp.MustCompile(`\[\s*([^\]:\s]+)\s*(?::[^\]]*)?\]`)
	unitOf     = map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
	}
	rangePart = regexp.MustCompile(`^(\d+)(ms|s|m|h|d|w|y)`)
)

// widest is the longest range that a PromQL or LogQL query looks back over.
func widest(query string, window time.Duration) time.Duration {
	var most time.Duration
	for _, m := range lookback.FindAllStringSubmatch(quotedText.ReplaceAllString(query, ""), -1) {
		d := window
		if m[1] != "$window" {
			d = promRange(m[1])
		}
		most = max(most, d)
	}
	return most
}

// promRange reads a duration as PromQL writes it: 5m, 1h30m, 2w. 0 when it is none.
func promRange(s string) time.Duration {
	var d time.Duration
	for s != "" {
		m := rangePart.FindStringSubmatch(s)
		if m == nil || len(m[1]) > 9 {
			return 0
		}
		var n time.Duration
		for _, c := range m[1] {
			n = n*10 + time.Duration(c-'0')
		}
		if n > 100*unitOf["y"]/unitOf[m[2]] {
			return 100 * unitOf["y"]
		}
		d, s = d+n*unitOf[m[2]], s[len(m[0]):]
	}
	return d
}
