package alerts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Told is what one source said last.
type Told struct {
	Alerts []sources.Alert
	Facts  sources.Facts
	Err    string        // why it did not answer now; the alerts are then those of its last answer
	Age    time.Duration // of that answer, wall time
	Never  bool          // it has not answered yet
}

// Input is what a list is made of.
type Input struct {
	Service  string
	Now      time.Time
	Readings []sources.Reading
	Entries  []journal.Entry // alert.* of the service, oldest first
	Keep     time.Duration   // how long what is over stays in the list

	Prometheus   *Told // nil when not configured, or not asked
	Alertmanager *Told
	Rules        []sources.Rule
	Silences     []sources.Silence
	Scope        []sources.Matcher // the service's own labels

	// Runbook suggests one for an alert; empty for none.
	Runbook func(a *Alert) string
	Notes   map[string]string // what else is to be said of a source
}

// Merge makes the list. An alert that a Prometheus and an Alertmanager both know
// is one: the Alertmanager has its labels, and perhaps some that were added on
// the way. A verdict that was posted to the Alertmanager is one with it.
func Merge(in Input) *List {
	l := &List{Service: in.Service, At: in.Now}
	f := foldEntries(in.Entries)
	own, bySignal := in.verdicts(f)
	answers := []Answer{{Source: Rollcall, Alerts: len(own), Total: len(own), Note: in.Notes[Rollcall]}}
	all := own

	sc := newScope(in.Scope)
	var told []Alert
	index := newIndex()
	if in.Prometheus != nil {
		rules := ruleIndex(in.Rules)
		n := 0
		for i := range in.Prometheus.Alerts {
			s := &in.Prometheus.Alerts[i]
			if sc.elsewhere(s.Labels) {
				l.Others++
				continue
			}
			a := external(s, in.Prometheus)
			if r := rules[s.Name]; r != nil {
				a.Query, a.ForS = r.Query, r.For.Seconds()
			}
			index.add(s.Name, s.Labels, len(told))
			told = append(told, a)
			n++
		}
		answers = append(answers, in.Prometheus.answer(Prometheus, n, in.Notes[Prometheus]))
	}
	if in.Alertmanager != nil {
		silences := map[string]*sources.Silence{}
		for i := range in.Silences {
			silences[in.Silences[i].ID] = &in.Silences[i]
		}
		n := 0
		for i := range in.Alertmanager.Alerts {
			s := &in.Alertmanager.Alerts[i]
			if of, ok := s.Labels[LabelService]; ok && of != in.Service || !ok && sc.elsewhere(s.Labels) {
				l.Others++
				continue
			}
			n++
			a := external(s, in.Alertmanager)
			a.silence(s, silences)
			if sig := s.Labels[LabelSignal]; sig != "" && s.Labels[LabelService] == in.Service {
				if k, ok := bySignal[sig]; ok {
					all[k].join(&a, false)
					continue
				}
				a.Signal = sig
			}
			if k, ok := index.find(s.Name, s.Labels); ok {
				told[k].join(&a, true)
				continue
			}
			told = append(told, a)
		}
		answers = append(answers, in.Alertmanager.answer(Alertmanager, n, in.Notes[Alertmanager]))
	}
	all = append(all, told...)
	for i := range all {
		a := &all[i]
		f.acknowledge(a)
		if in.Runbook != nil {
			a.Runbook = in.Runbook(a)
		}
		if u := a.Annotations["runbook_url"]; u != "" && a.Runbook == "" {
			a.RunbookURL = u
		}
	}
	slices.SortFunc(all, func(x, y Alert) int { return compare(&x, &y) })
	l.Total = len(all)
	l.Alerts = all[:min(len(all), Max)]
	if l.Alerts == nil {
		l.Alerts = []Alert{}
	}
	l.Sources = answers
	return l
}

func (t *Told) answer(source string, shown int, note string) Answer {
	a := Answer{Source: source, Alerts: shown, Total: max(t.Facts.Total, len(t.Alerts)), Note: note}
	add := func(s string) {
		if s != "" {
			a.Note = strings.TrimPrefix(a.Note+"; "+s, "; ")
		}
	}
	add(t.Facts.Partial)
	if t.Facts.Truncated() {
		add(fmt.Sprintf("%d of %d alerts", t.Facts.Shown, t.Facts.Total))
	}
	if t.Err != "" {
		a.Failed = true
		a.Note = ""
		add(t.Err)
		if !t.Never {
			a.AgeS = sources.N(t.Age.Round(time.Second).Seconds())
		}
	}
	return a
}

// external is an alert as its source tells it.
func external(s *sources.Alert, t *Told) Alert {
	a := Alert{
		ID: id(s.Name, s.Labels), Name: s.Name, State: Firing, Since: s.Since, Sources: []string{s.Source},
		Severity: s.Labels["severity"], Labels: s.Labels, Annotations: s.Annotations, Value: s.Value,
	}
	if a.Name == "" {
		a.Name = "(no name)"
	}
	switch s.State {
	case sources.AlertPending:
		a.State = Pending
	case sources.AlertInactive:
		a.State = Resolved
	case sources.AlertSuppressed:
		a.State = Silenced
	case sources.AlertFiring:
	}
	for _, k := range []string{"summary", "message", "description", "title"} {
		if v := s.Annotations[k]; v != "" {
			a.Evidence = v
			break
		}
	}
	if s.Value != "" {
		a.Evidence = strings.TrimPrefix(a.Evidence+" (value "+s.Value+")", " ")
	}
	if t.Err != "" {
		a.Old, a.AgeS = t.Err, sources.N(t.Age.Round(time.Second).Seconds())
	}
	return a
}

func (a *Alert) silence(s *sources.Alert, known map[string]*sources.Silence) {
	if s.State != sources.AlertSuppressed {
		return
	}
	for _, id := range s.SilencedBy {
		x := Silence{ID: id}
		if k := known[id]; k != nil {
			x.By, x.Comment, x.Ends = k.By, k.Comment, k.Ends
		}
		a.Silences = append(a.Silences, x)
	}
	a.Inhibited = len(s.InhibitedBy) > 0
}

// join adds what an Alertmanager says of the same alert.
func (a *Alert) join(b *Alert, earlier bool) {
	a.Sources = append(a.Sources, b.Sources...)
	if b.ID != a.ID {
		a.also = b.ID
	}
	if b.State == Silenced && a.State != Resolved {
		a.State, a.Silences, a.Inhibited = Silenced, b.Silences, b.Inhibited
	}
	if earlier && !b.Since.IsZero() && (a.Since.IsZero() || b.Since.Before(a.Since)) {
		a.Since = b.Since
	}
	if a.Old != "" && b.Old == "" {
		// One of the two still tells of it now.
		a.Old, a.AgeS = "", sources.Num{}
	}
	if a.Evidence == "" {
		a.Evidence = b.Evidence
	}
	if len(a.Labels) == 0 {
		a.Labels = b.Labels
	}
	if len(a.Annotations) == 0 {
		a.Annotations = b.Annotations
	}
}

// id names an alert by its name and a hash of its labels.
func id(name string, labels map[string]string) string {
	sum := sha256.Sum256([]byte(keyOf(labels, names(labels))))
	if name == "" {
		name = "unnamed"
	}
	return name + "-" + hex.EncodeToString(sum[:4])
}

func names(labels map[string]string) []string {
	out := make([]string, 0, len(labels))
	for k := range labels {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// keyOf writes the labels of those names; the same labels give the same text.
func keyOf(labels map[string]string, names []string) string {
	var b strings.Builder
	for _, k := range names {
		fmt.Fprintf(&b, "%q=%q,", k, labels[k])
	}
	return b.String()
}

// index finds the alert whose labels are all among those that are asked for.
type index struct{ byName map[string]*sameName }

type sameName struct{ sets []*labelSet }

// labelSet are the alerts of one name that carry the same label names.
type labelSet struct {
	names []string
	at    map[string]int
}

// maxSets bounds how many different sets of label names of one alert are
// compared; a rule has one, or a few where its expression joins several.
const maxSets = 16

func newIndex() *index { return &index{map[string]*sameName{}} }

func (x *index) add(name string, labels map[string]string, at int) {
	g := x.byName[name]
	if g == nil {
		g = &sameName{}
		x.byName[name] = g
	}
	ns := names(labels)
	var set *labelSet
	for _, s := range g.sets {
		if slices.Equal(s.names, ns) {
			set = s
		}
	}
	if set == nil {
		if len(g.sets) == maxSets {
			return
		}
		set = &labelSet{ns, map[string]int{}}
		g.sets = append(g.sets, set)
	}
	k := keyOf(labels, ns)
	if _, ok := set.at[k]; !ok {
		set.at[k] = at
	}
}

func (x *index) find(name string, labels map[string]string) (int, bool) {
	g := x.byName[name]
	if g == nil {
		return 0, false
	}
	best, most := 0, -1
	for _, s := range g.sets {
		if len(s.names) <= most {
			continue
		}
		has := true
		for _, n := range s.names {
			if _, ok := labels[n]; !ok {
				has = false
				break
			}
		}
		if !has {
			continue
		}
		if at, ok := s.at[keyOf(labels, s.names)]; ok {
			best, most = at, len(s.names)
		}
	}
	return best, most >= 0
}

func ruleIndex(rules []sources.Rule) map[string]*sources.Rule {
	out := make(map[string]*sources.Rule, len(rules))
	for i := range rules {
		if r := &rules[i]; r.Alerting && out[r.Name] == nil {
			out[r.Name] = r
		}
	}
	return out
}

// scope tells alerts of the service from those of others.
type scope []scoped

type scoped struct {
	sources.Matcher
	re *regexp.Regexp
}

func newScope(list []sources.Matcher) scope {
	var out scope
	for _, m := range list {
		s := scoped{Matcher: m}
		if m.Regex {
			re, err := regexp.Compile("^(?s:" + m.Value + ")$")
			if err != nil {
				continue
			}
			s.re = re
		}
		out = append(out, s)
	}
	return out
}

// elsewhere tells whether the labels say that the alert is of something else. A
// label that the alert does not carry says nothing.
func (sc scope) elsewhere(labels map[string]string) bool {
	for _, m := range sc {
		v, ok := labels[m.Name]
		if !ok {
			continue
		}
		same := v == m.Value
		if m.re != nil {
			same = m.re.MatchString(v)
		}
		if same == m.Not {
			return true
		}
	}
	return false
}
