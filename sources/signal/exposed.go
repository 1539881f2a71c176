package signal

import (
	"regexp"
	"slices"
	"strings"
)

// Exposed is what the metrics of a recognised profile tell.
type Exposed struct {
	Profile string
	Signals []string // IDs that its metrics answer, in the catalogue's order
	Metrics []string // names, as they exist, that belong to this profile alone
}

// Exposes tells from the names that exist which profiles hold and what each answers, in the order of Profiles.
func Exposes(names []string) []Exposed {
	var out []Exposed
	for _, name := range Recognise(names) {
		p, _ := profileNamed(name)
		spoken := speaks(names, p)
		mark := regexp.MustCompile("^(" + p.Mark + ")$")
		x := Exposed{Profile: name}
		for _, n := range names {
			if mark.MatchString(n) && !slices.Contains(x.Metrics, n) {
				x.Metrics = append(x.Metrics, n)
			}
		}
		for _, sig := range Catalogue() {
			if slices.ContainsFunc(sig.From, func(s Source) bool {
				if s.Profile != name {
					return false
				}
				_, missing := spoken.resolve(s.Query)
				return missing == ""
			}) {
				x.Signals = append(x.Signals, sig.ID)
			}
		}
		out = append(out, x)
	}
	return out
}

// NameSelector matches any of the names within a scope, which may be empty.
func NameSelector(names []string, scope string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strings.ReplaceAll(regexp.QuoteMeta(n), `\`, `\\`)
	}
	s := `{__name__=~"` + strings.Join(quoted, "|") + `"`
	if scope != "" {
		s += "," + scope
	}
	return s + "}"
}
