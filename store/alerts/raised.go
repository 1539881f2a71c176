package alerts

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Raised is a rule of a Prometheus or an Alertmanager of which an alert fires. However many of
// its alerts do, people are told of the rule.
type Raised struct {
	Name     string
	Source   string // who tells of it
	Severity string
	Query    string    // its expression; empty where nobody says
	Since    time.Time // the oldest of its alerts; zero when not known
	Alerts   int       // that fire
	Silenced bool      // nobody is told of any of them
	Values   []float64 // of those that have one
	Labels   map[string]string
	Evidence string // of the oldest
}

// Raised are the rules of others that fire, in the order of their names.
func (l *List) Raised() []Raised {
	by := map[string]*Raised{}
	for i := range l.Alerts {
		a := &l.Alerts[i]
		if a.Signal != "" || a.State == Pending || a.State == Resolved || a.Old != "" {
			continue
		}
		r := by[a.Name]
		if r == nil {
			r = &Raised{Name: a.Name, Source: a.Sources[0], Silenced: true}
			by[a.Name] = r
		}
		if r.Alerts++; r.Alerts == 1 || !a.Since.IsZero() && a.Since.Before(r.Since) {
			r.Since, r.Labels, r.Evidence = a.Since, a.Labels, a.Evidence
		}
		if r.Severity == "" || a.rank() < rank(r.Severity) {
			r.Severity = a.Severity
		}
		if r.Query == "" {
			r.Query = a.Query
		}
		r.Silenced = r.Silenced && a.State == Silenced
		if v, err := strconv.ParseFloat(a.Value, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			r.Values = append(r.Values, v)
		}
	}
	out := make([]Raised, 0, len(by))
	for _, r := range by {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Raised) int { return strings.Compare(a.Name, b.Name) })
	return out
}
