package pin

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	commonconfig "github.com/prometheus/common/config"

	"rollcall/sources"
)

// The drivers.
const (
	driverExec = "exec"
	driverHTTP = "http"
	driverFile = "file"
)

const (
	// DefaultTimeout is wall time for one exchange with a driver.
	DefaultTimeout = 10 * time.Second
	// DefaultEvalsTimeout is wall time for the eval suite.
	DefaultEvalsTimeout = 10 * time.Minute
)

// Target is what commands act on: the pins of one service, its settings, its
// features and its eval suite. A service has a live target and may have one for rehearsals.
type Target struct {
	Components map[sources.Component]Component `yaml:"components"`
	Settings   map[string]Setting              `yaml:"settings"`
	Features   *Features                       `yaml:"features"`
	Evals      *Evals                          `yaml:"evals"`
	// Reset is a command that puts a rehearsal target back to where rehearsals begin; a live target has none.
	Reset []string `yaml:"reset"`
}

// Endpoint is an HTTP address with what Prometheus' own http_config can say about it.
type Endpoint struct {
	URL     string                        `yaml:"url"`
	HTTP    commonconfig.HTTPClientConfig `yaml:"http"`
	Headers map[string]string             `yaml:"headers"`
}

// Component says how one component's version is read and moved.
type Component struct {
	Driver   string `yaml:"driver"` // exec, http or file
	Endpoint `yaml:",inline"`

	Get  []string `yaml:"get"`  // exec: prints the live version on its first line
	Set  []string `yaml:"set"`  // exec: moves it to $VERSION if it is $CURRENT
	List []string `yaml:"list"` // exec: one version a line: VERSION [good] [note]

	Path  string   `yaml:"path"`  // file
	Key   string   `yaml:"key"`   // file: where in it, "index.version"; none in a plain text file
	After []string `yaml:"after"` // file: runs once it was written

	Timeout sources.Duration `yaml:"timeout"` // wall time of one exchange; 10s
}

// Features says how features are listed and switched.
type Features struct {
	Driver   string `yaml:"driver"` // exec or http
	Endpoint `yaml:",inline"`

	List []string `yaml:"list"` // exec: one feature a line: NAME on, NAME off
	On   []string `yaml:"on"`   // exec: switches $NAME on
	Off  []string `yaml:"off"`

	Timeout sources.Duration `yaml:"timeout"`
}

// Evals says how the eval suite runs.
type Evals struct {
	Run       []string         `yaml:"run"`       // $RESULT is the file for the result
	Candidate []string         `yaml:"candidate"` // the same against the version of a rollout that is on trial
	Format    string           `yaml:"format"`    // promptfoo, or exit: only the exit code counts
	PassRate  float64          `yaml:"pass_rate"` // share of cases that must pass; 1
	Timeout   sources.Duration `yaml:"timeout"`   // wall time; 10m
}

// The formats of an eval result.
const (
	formatPromptfoo = "promptfoo"
	formatExit      = "exit"
)

func (e *Evals) format() string {
	if e.Format != "" {
		return e.Format
	}
	if slices.ContainsFunc(e.Run, func(w string) bool { return strings.Contains(w, "$RESULT") }) {
		return formatPromptfoo
	}
	return formatExit
}

func (e *Evals) passRate() float64 {
	if e.PassRate == 0 {
		return 1
	}
	return e.PassRate
}

// Fill makes paths absolute, counting from the configuration's folder.
func (t *Target) Fill(dir string) {
	for name, c := range t.Components {
		if c.Path != "" && !filepath.IsAbs(c.Path) {
			c.Path = filepath.Join(dir, c.Path)
		}
		t.Components[name] = c
	}
	for name, c := range t.Settings {
		if c.Path != "" && !filepath.IsAbs(c.Path) {
			c.Path = filepath.Join(dir, c.Path)
		}
		t.Settings[name] = c
	}
}

// Validate reports what the types cannot say; at is where the target stands in
// the file. Addresses and HTTP settings are the caller's to check.
func (t *Target) Validate(at string, say func(at, format string, args ...any)) {
	under := at
	for name, c := range t.Components {
		at := under + ".components." + string(name)
		if !slices.Contains(sources.Components[:], name) {
			say(at, "%q is no component; there are %s", name, componentNames())
			continue
		}
		c.validate(at, "VERSION", say)
	}
	for name, c := range t.Settings {
		c.check(under+".settings."+name, name, say)
	}
	if f := t.Features; f != nil {
		f.validate(under+".features", say)
	}
	if e := t.Evals; e != nil {
		e.validate(under+".evals", say)
	}
	switch {
	case len(t.Reset) == 0:
	case !strings.HasSuffix(under, ".rehearsal"):
		say(under+".reset", "%s.reset is for a rehearsal target; put it under %s.rehearsal", under, under)
	case strings.TrimSpace(t.Reset[0]) == "":
		say(under+".reset", "%s.reset has no command; write it like [llmcfg, reset, rehearsal]", under)
	}
}

func componentNames() string {
	names := make([]string, len(sources.Components))
	for i, c := range sources.Components {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

type report = func(at, format string, args ...any)

// keyed is one key with whether the configuration has it.
type keyed struct {
	key  string
	used bool
	// of are the drivers that know the key.
	of []string
}

// onlyOwn reports keys that belong to another driver.
func onlyOwn(at, driver string, say report, all []keyed) {
	for _, s := range all {
		if s.used && !slices.Contains(s.of, driver) {
			say(at+"."+s.key, "%s.%s belongs to driver %s; this one is %s", at, s.key, strings.Join(s.of, " or "), driver)
		}
	}
}

func (e *Endpoint) keys() []keyed {
	return []keyed{
		{"url", e.URL != "", []string{driverHTTP}},
		{"headers", len(e.Headers) > 0, []string{driverHTTP}},
	}
}

func (c *Component) validate(at, variable string, say report) {
	switch c.Driver {
	case driverHTTP:
	case driverExec:
		checkWords(at, "get", c.Get, nil, nil, say)
		checkWords(at, "set", c.Set, []string{variable, "CURRENT"}, []string{variable, "CURRENT"}, say)
		if c.List != nil {
			checkWords(at, "list", c.List, nil, nil, say)
		}
	case driverFile:
		if c.Path == "" {
			say(at, "%s.path is missing; name the file that holds the "+strings.ToLower(variable), at)
		}
		switch kind := kindOf(c.Path); {
		case kind == plainText && c.Key != "":
			say(at+".key", "%s.key goes with a .yaml or .json file; %s is read as plain text", at, filepath.Base(c.Path))
		case kind != plainText && c.Key == "" && c.Path != "":
			say(at, "%s.key is missing; say where the %s stands, such as key: index.version", at, strings.ToLower(variable))
		case slices.Contains(strings.Split(c.Key, "."), "") && c.Key != "":
			say(at+".key", "%s.key %q has an empty part; write it like index.version", at, c.Key)
		}
		if c.After != nil {
			checkWords(at, "after", c.After, []string{variable, "CURRENT"}, nil, say)
		}
	case "":
		say(at, "%s.driver is missing; it can be exec, http or file", at)
		return
	default:
		say(at+".driver", "%s.driver %q is not known; it can be exec, http or file", at, c.Driver)
		return
	}
	onlyOwn(at, c.Driver, say, append(c.keys(),
		keyed{"get", c.Get != nil, []string{driverExec}}, keyed{"set", c.Set != nil, []string{driverExec}},
		keyed{"list", c.List != nil, []string{driverExec}}, keyed{"path", c.Path != "", []string{driverFile}},
		keyed{"key", c.Key != "", []string{driverFile}}, keyed{"after", c.After != nil, []string{driverFile}},
	))
}

func (f *Features) validate(at string, say report) {
	switch f.Driver {
	case driverHTTP:
	case driverExec:
		checkWords(at, "list", f.List, nil, nil, say)
		checkWords(at, "on", f.On, []string{"NAME"}, []string{"NAME"}, say)
		checkWords(at, "off", f.Off, []string{"NAME"}, []string{"NAME"}, say)
	case "":
		say(at, "%s.driver is missing; it can be exec or http", at)
		return
	default:
		say(at+".driver", "%s.driver %q is not known; it can be exec or http", at, f.Driver)
		return
	}
	onlyOwn(at, f.Driver, say, append(f.keys(), keyed{"list", f.List != nil, []string{driverExec}},
		keyed{"on", f.On != nil, []string{driverExec}}, keyed{"off", f.Off != nil, []string{driverExec}}))
}

func (e *Evals) validate(at string, say report) {
	need := []string{"RESULT"}
	switch e.format() {
	case formatPromptfoo:
	case formatExit:
		need = nil
	default:
		say(at+".format", "%s.format %q is not known; it can be promptfoo or exit", at, e.Format)
		return
	}
	checkWords(at, "run", e.Run, []string{"RESULT"}, need, say)
	if e.Candidate != nil {
		checkWords(at, "candidate", e.Candidate, []string{"RESULT"}, need, say)
	}
	if !(e.PassRate >= 0 && e.PassRate <= 1) {
		say(at+".pass_rate", "%s.pass_rate %g is no share; write 0.95 for 95%% of the cases", at, e.PassRate)
	}
}

// variable is a word that is meant to be replaced.
var variable = regexp.MustCompile(`\$[A-Z][A-Z_]*`)

// checkWords looks at a command: its words, the variables that it may use, and those that it must.
func checkWords(at, key string, argv, may, must []string, say report) {
	if len(argv) == 0 || argv[0] == "" {
		say(at, "%s.%s is missing; write the command as a list of words: [program, word, ...]", at, key)
		return
	}
	seen := map[string]bool{}
	for i, w := range argv {
		for _, v := range variable.FindAllString(w, -1) {
			name := v[1:]
			seen[name] = true
			if !slices.Contains(may, name) {
				say(fmt.Sprintf("%s.%s[%d]", at, key, i), "%s.%s: %s is not replaced here; %s", at, key, v, known(may))
			}
		}
	}
	for _, name := range must {
		if !seen[name] {
			say(at+"."+key, "%s.%s has no $%s; %s", at, key, name, whyNeeded[name])
		}
	}
}

var whyNeeded = map[string]string{
	"VERSION": "the command must be told what to set",
	"VALUE":   "the command must be told what to set",
	"CURRENT": "the command must move it only while it is $CURRENT (a small script around it can compare)",
	"NAME":    "the command must be told which feature",
	"RESULT":  "the command must write its result there; or set format: exit",
}

func known(names []string) string {
	if len(names) == 0 {
		return "this command gets no variables"
	}
	return "known here: $" + strings.Join(names, ", $")
}
