package runbooks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"rollcall/sources"
)

// The structs here are the file format: their yaml tags are its keys. They are
// described in docs/runbooks.md and docs/runbook.schema.json, which a test compares.

// frontMatter is the YAML at the top of the file.
type frontMatter struct {
	Schema      string           `yaml:"schema"`
	ID          string           `yaml:"id"`
	Title       string           `yaml:"title"`
	Component   string           `yaml:"component"`
	Settings    []string         `yaml:"settings"`
	Suggest     []string         `yaml:"suggest"`
	MaxDuration sources.Duration `yaml:"max_duration"`
	Rehearse    rehearse         `yaml:"rehearse"`
	Vars        varList          `yaml:"vars"`
}

type rehearse struct {
	Every sources.Duration `yaml:"every"`
}

// varSource is one variable's way to a value; else is the next one.
type varSource struct {
	Suspect string     `yaml:"suspect"`
	Run     []string   `yaml:"run"`
	Value   string     `yaml:"value"`
	Ask     string     `yaml:"ask"`
	Choose  []string   `yaml:"choose"`
	Else    *varSource `yaml:"else"`
}

// varList keeps the variables in the order of the file.
type varList []varEntry

type varEntry struct {
	name string
	at   place
	from varSource
}

func (l *varList) read(r *reader, n ast.Node, path string) {
	r.pairs(n, path, "of names to where their values come from", func(key string, at place, val ast.Node) {
		r.at[join(path, key)+" key"] = at
		e := varEntry{name: key, at: at}
		r.value(val, valueOf(&e.from), join(path, key))
		*l = append(*l, e)
	})
}

// settings is the YAML of one step.
type settings struct {
	Effect    string            `yaml:"effect"`
	Timeout   sources.Duration  `yaml:"timeout"`
	OnFail    string            `yaml:"on_fail"`
	When      string            `yaml:"when"`
	Reconcile *reconcileSetting `yaml:"reconcile"`

	Check           string           `yaml:"check"`
	PromQL          string           `yaml:"promql"`
	LogQL           string           `yaml:"logql"`
	Pass            string           `yaml:"pass"`
	Fail            string           `yaml:"fail"`
	InitialDelay    sources.Duration `yaml:"initial_delay"`
	Interval        sources.Duration `yaml:"interval"`
	Count           int              `yaml:"count"`
	ConsecutivePass int              `yaml:"consecutive_pass"`
	FailureLimit    int              `yaml:"failure_limit"`
	MinSamples      float64          `yaml:"min_samples"`
	Outcome         outcomeSetting   `yaml:"outcome"`

	Snapshot []string         `yaml:"snapshot"`
	Wait     sources.Duration `yaml:"wait"`
	Approve  *struct{}        `yaml:"approve"`
	Note     string           `yaml:"note"`
	Capture  *captureSetting  `yaml:"capture"`
	Evals    *struct{}        `yaml:"evals"`
	Criteria []string         `yaml:"criteria"`
	Mark     string           `yaml:"mark"`
	Hold     *holdSetting     `yaml:"hold"`
}

type reconcileSetting struct {
	Run     []string `yaml:"run"`
	Done    string   `yaml:"done"`
	NotDone string   `yaml:"not_done"`
}

type outcomeSetting struct {
	Fail         string `yaml:"fail"`
	Inconclusive string `yaml:"inconclusive"`
}

type captureSetting struct {
	Bad     bool              `yaml:"bad"`
	Version map[string]string `yaml:"version"`
	Where   map[string]string `yaml:"where"`
	Limit   int               `yaml:"limit"`
}

type holdSetting struct {
	Step   string           `yaml:"step"`
	For    sources.Duration `yaml:"for"`
	OnFail string           `yaml:"on_fail"`
}

// kindOf says which kind of step a key makes, and keysFor which further keys a
// kind has. Every step may have `when`; `on_fail` is for those that can fail.
// To add a kind: a key here, its struct above, a case in step.fill, and what it
// does in package run.
var kindOf = []struct {
	key  string
	kind Kind
}{
	{"check", CheckOf},
	{"promql", CheckOf},
	{"logql", CheckOf},
	{"snapshot", Snapshot},
	{"wait", Wait},
	{"approve", Approve},
	{"note", Note},
	{"capture", Capture},
	{"evals", Evals},
	{"criteria", Criteria},
}

var keysFor = map[Kind][]string{
	Confirm:  {"on_fail"},
	Command:  {"effect", "timeout", "on_fail", "reconcile"},
	CheckOf:  {"pass", "fail", "initial_delay", "interval", "count", "consecutive_pass", "failure_limit", "min_samples", "outcome"},
	Snapshot: {"on_fail"},
	Approve:  {"on_fail"},
	Capture:  {"on_fail"},
	Evals:    {"timeout", "on_fail"},
	Criteria: {"mark", "hold", "on_fail"},
}

// words says what a kind is called in a message.
var words = map[Kind]string{
	Confirm: "confirmation", Command: "command", CheckOf: "check", Snapshot: "snapshot", Wait: "wait", Approve: "approval",
	Note: "note", Capture: "capture", Evals: "run of the evals", Criteria: "success criterion",
}

// kind decides by what the item holds. given are the top-level keys of its settings.
func kind(hasScript bool, given []string) (Kind, string) {
	k, by := Confirm, ""
	if hasScript {
		k, by = Command, "an sh block"
	}
	for _, c := range kindOf {
		if !slices.Contains(given, c.key) {
			continue
		}
		if by != "" {
			return k, fmt.Sprintf("it holds both %s and %s:, and a step does one thing; make two steps of it", by, c.key)
		}
		k, by = c.kind, c.key+":"
	}
	return k, ""
}

// misplaced says why a key does not belong into a step of kind k; empty when it does.
func misplaced(key string, k Kind) string {
	if key == "when" || slices.Contains(keysFor[k], key) || slices.ContainsFunc(kindOf, func(c struct {
		key  string
		kind Kind
	},
	) bool {
		return c.key == key
	}) {
		return ""
	}
	if key == "on_fail" && k == CheckOf {
		return "a check says what follows with outcome: {fail: ..., inconclusive: ...}, not on_fail"
	}
	var of []string
	for _, other := range []Kind{Command, CheckOf, Evals, Criteria, Snapshot} {
		if slices.Contains(keysFor[other], key) {
			of = append(of, words[other])
		}
	}
	return fmt.Sprintf("%s belongs to a %s; this item is a %s", key, strings.Join(of, " or a "), words[k])
}

var (
	idForm      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,59}$`)
	settingForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	stepForm    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)
	varForm     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,39}$`)
)

// reserved are names that mean something to a shell or to the console.
func reserved(name string) bool {
	return strings.HasPrefix(name, "ROLLCALL_") || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "LC_") || slices.Contains(ambient, name)
}

// ambient are the variables that every command has besides its runbook's own.
var ambient = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TZ", "TMPDIR", "PWD", "OLDPWD", "IFS", "PPID", "ENV", "UID",
	"OPTARG", "OPTIND", "PS1", "PS2", "PS4", "LINENO", "MAIL", "MAILPATH", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
}
