package cases

import (
	"encoding/json"
	"fmt"
	"strings"
)

// LossesFile marks a folder as one that was written here.
const LossesFile = "losses.json"

// manifest is losses.json.
type manifest struct {
	Schema   string    `json:"schema"`
	Incident string    `json:"incident"`
	Formats  []Format  `json:"formats"`
	Cases    []string  `json:"cases"`
	LeftOut  []LeftOut `json:"left_out"`
	Losses   []Loss    `json:"losses"`
}

// Files are everything that is written, in a fixed order.
func (x *Export) Files() ([]File, error) {
	m := manifest{Schema, x.Incident, x.Formats, []string{}, x.LeftOut, x.Losses}
	for i := range x.Cases {
		m.Cases = append(m.Cases, x.Cases[i].ID)
	}
	losses, err := indented(m)
	if err != nil {
		return nil, err
	}
	all, err := indented(x)
	if err != nil {
		return nil, err
	}
	files := []File{{"README.md", []byte(x.readme())}, {LossesFile, losses}, {"cases.json", all}}
	for _, f := range x.Formats {
		write := map[Format]func() ([]File, error){Promptfoo: x.promptfoo, OpenAI: x.openai, Inspect: x.inspect}[f]
		more, err := write()
		if err != nil {
			return nil, fmt.Errorf("the files for %s: %w", f, err)
		}
		files = append(files, more...)
	}
	return files, nil
}

func indented(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return []byte(b.String()), err
}

var howTo = map[Format]string{
	Promptfoo: "`cd promptfoo && promptfoo eval` runs the cases against a model; `promptfoo eval -c proof.yaml` holds the captured bad answers against them: every test must fail. Add them to your own suite with `tests: file://promptfoo/tests.json`.",
	OpenAI:    "`oaieval MODEL EVAL --registry_path openai/registry` with the evals named in `openai/registry/evals`.",
	Inspect:   "`inspect eval inspect/task.py --model MODEL`.",
}

func (x *Export) readme() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Regression cases of %s\n", x.Incident)
	p("Service %s. Made by rollcall from what was captured in the incident; redacted, but read it through before it\nleaves the house. The exact texts are in `cases.json`.\n", code(x.Service))
	for _, f := range x.Formats {
		p("%s\n", howTo[f])
	}
	for i := range x.Cases {
		k := &x.Cases[i]
		p("## %s\n", k.ID)
		p("Request %s at %s, journal entry #%d (`%.16s`).\n", code(k.Request), k.At.Format("2006-01-02 15:04:05Z"), k.Seq, k.Hash)
		p("- versions: %s", k.Versions.words())
		for _, r := range k.Why {
			p("- bad: %s", code(r.Text))
		}
		for n := range k.Expect {
			e := &k.Expect[n]
			from := "derived from why it was bad"
			if e.From == Person {
				from = "a person says so"
			}
			mark := "the bad answer passes this"
			switch {
			case e.Red:
				mark = "**red**: the bad answer fails it"
			case e.Kind == ExpectRubric:
				mark = "not proven"
			}
			p("- expected: %s (%s); %s: %s", code(e.Words()), from, mark, code(e.Says))
		}
		switch g := k.Green; {
		case g == nil:
			p("- green: no right answer to the same input was captured")
		case g.Passes:
			p("- **green**: the later answer of %s (#%d) passes", code(g.Request), g.Seq)
		default:
			p("- not green: the later answer of %s (#%d) fails %s", code(g.Request), g.Seq, code(g.Fails))
		}
		p("")
	}
	if len(x.LeftOut) > 0 {
		p("## Left out\n")
		for _, l := range x.LeftOut {
			p("- %s (#%d): %s", code(l.Request), l.Seq, code(strings.TrimSuffix(l.Why+"; "+l.Do, "; ")))
		}
		p("")
	}
	p("## What is lost\n")
	for _, l := range x.Losses {
		where := strings.Trim(string(l.Format)+" "+l.Case, " ")
		if where == "" {
			where = "all"
		}
		p("- %s: %s", where, code(l.What))
	}
	return b.String()
}

func (v *Versions) words() string {
	var out []string
	for _, x := range [][2]string{
		{"prompt", v.Prompt}, {"model", v.Model}, {"served", v.ModelServed}, {"tools", v.Tools}, {"index", v.Index}, {"policy", v.Policy}, {"manifest", v.Manifest},
	} {
		if x[1] != "" {
			out = append(out, x[0]+" "+code(x[1]))
		}
	}
	if len(out) == 0 {
		return "not known"
	}
	return strings.Join(out, ", ")
}

// code shows a text in Markdown as what it is, on one line.
func code(s string) string {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "`", "'")
	if s == "" {
		return "``"
	}
	return "`" + s + "`"
}
