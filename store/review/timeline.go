package review

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollcall/sources"
	"rollcall/store/journal"
)

// data is the decoded data of an entry, read by documented names: what a newer
// or an older program wrote still makes a line.
type data map[string]any

func dataOf(e *journal.Entry) data {
	var d data
	if json.Unmarshal(e.Data, &d) != nil || d == nil {
		return data{}
	}
	return d
}

func (d data) str(names ...string) string {
	for _, n := range names {
		switch v := d[n].(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			return strconv.FormatFloat(v, 'g', -1, 64)
		case bool:
			return strconv.FormatBool(v)
		}
	}
	return ""
}

func (d data) num(name string) sources.Num {
	if v, ok := d[name].(float64); ok {
		return sources.N(v)
	}
	return sources.Num{}
}

func (d data) in(name string) data {
	v, _ := d[name].(map[string]any)
	return v
}

func (d data) list(name string) []string {
	var out []string
	v, _ := d[name].([]any)
	for _, x := range v {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (d data) formatted(name string, unit sources.Unit) string {
	if n := d.num(name); n.OK {
		return unit.Format(n.V)
	}
	return "?"
}

// watcher is who records what nobody did: alerts and changes.
const watcher = "rollcall"

// Timeline turns entries into lines. Alike ones that follow each other are one
// line that cites the first and the last; what only the engine needs is left
// out, and so are exports of other incidents than the one named.
func Timeline(entries []journal.Entry, incident string) []Row {
	rows := make([]Row, 0, len(entries))
	merged := ""
	says := SentencesOf(entries)
	for i := range entries {
		e := &entries[i]
		if machinery(e, incident) {
			continue
		}
		what, group := says.describe(e)
		row := Row{Seq: e.Seq, At: utc(e.At), Kind: e.Kind, Actor: e.Actor, What: what, Text: e.Text, Artifacts: e.Artifacts}
		if e.Kind == journal.RunStarted || e.Kind == journal.RunOutcome {
			row.Text = "" // output, which the run itself shows
		}
		if e.Origin == "collect" {
			row.Actor = watcher
		}
		if e.TextErased {
			row.Text = "(erased)"
		}
		if last := len(rows) - 1; group != "" && group == merged && last >= 0 && rows[last].Actor == row.Actor {
			rows[last].SeqLast = e.Seq
			rows[last].What += ", " + tail(what)
			continue
		}
		merged = group
		rows = append(rows, row)
	}
	return rows
}

// tail is what a line adds to the one before it: "quality: 1.3%" adds "1.3%".
func tail(what string) string {
	if _, rest, ok := strings.Cut(what, ": "); ok {
		return rest
	}
	return what
}

// machinery tells what a timeline leaves out: what only the engine needs, what
// the next entry says as well, and exports of other incidents.
func machinery(e *journal.Entry, incident string) bool {
	switch e.Kind {
	case journal.RunIntent, journal.RunProcess, journal.SignalsSnapped, runAsked:
		return true
	case journal.Exported:
		return e.Incident != "" && e.Incident != incident
	case journal.Purged:
		return dataOf(e).str("state") == "begun"
	}
	return false
}

// describe says an entry in words. Entries of one group that follow each other
// become one line of a timeline.
func (u *Sentences) describe(e *journal.Entry) (what, group string) {
	d := dataOf(e)
	switch e.Kind {
	case journal.IncidentOpened:
		return join("opened "+e.Incident, brackets(join(d.str("severity"), d.str("category")))), ""
	case journal.IncidentUpdated:
		return updated(e, d), ""
	case journal.IncidentClosed:
		return join("closed", e.Incident), ""
	case journal.Noted:
		return "noted", ""
	case journal.RunStarted:
		return runStarted(e, d), ""
	case journal.RunIntent:
		return join(e.Run, "is about to run", step(d)), ""
	case journal.RunProcess:
		return join(e.Run, step(d), "runs", prefixed("as process ", d.str("pid"))), ""
	case journal.RunSample:
		return u.sample(e, d)
	case journal.RunAnswer:
		return join(e.Run, "answered", quoted(answer(d)), prefixed("at ", step(d))), ""
	case journal.RunOutcome:
		why := d.str("why")
		return join(e.Run, step(d), or(d.str("status", "outcome"), "ended")) + prefixed(": ", why), ""
	case journal.RunEnded:
		return join(e.Run, or(d.str("outcome", "status"), "ended")) + prefixed(": ", d.str("why")), ""
	case runAsked:
		return join(e.Run, "asks", prefixed("at ", step(d))) + prefixed(": ", d.str("question")), ""
	case "run.resumed":
		return join(e.Run, "was taken up again"), ""
	case "run.detached":
		return join(e.Run, "was left and can be resumed", prefixed("at ", step(d))), ""
	case "run.held":
		return join(e.Run, "watched", step(d), "after its end:", d.str("status")) + prefixed(", ", d.str("why")), ""
	case journal.Lost:
		return join(d.str("entries"), "entries were lost: the journal could not be written"), ""
	case journal.AlertFiring:
		return alert(d), ""
	case journal.AlertResolved:
		if d.str("signal") == "" && d.str("alert") != "" {
			return "the rule " + d.str("alert") + " of " + or(d.str("source"), "others") + " fires no more", ""
		}
		unit := sources.Unit(d.str("unit"))
		return fmt.Sprintf("%s is no longer bad: %s", or(d.str("label", "signal"), "a signal"), d.formatted("value", unit)), ""
	case journal.AlertAcknowledged:
		return "acknowledged " + or(d.str("label", "name", "signal"), "an alert"), ""
	case journal.AlertSilenced:
		if d.str("state") == "begun" {
			return "", "" // how it ended follows
		}
		return join("silenced", or(d.str("name"), "an alert"), "until", d.str("ends"), brackets(d.str("state"))), ""
	case journal.ChangeSeen:
		return "changed: " + changeWords(changeIn(d)), ""
	case journal.RequestViewed:
		return "looked at request: " + or(d.str("request", "request_id"), "?"), "viewed"
	case journal.QueryTyped:
		return join("asked", d.str("where", "pane")), ""
	case journal.Captured:
		return join("captured request", d.str("request", "request_id")), ""
	case journal.PinSet:
		move := d.str("from") + "→" + d.str("to")
		return join("moved the pin of", d.str("component"), move, brackets(d.str("result", "outcome"))), ""
	case journal.GoodMarked:
		return join("marked", d.str("component"), d.str("version"), "as good"), ""
	case journal.FeatureSet:
		return join("switched feature", d.str("feature", "name"), onOff(d)), ""
	case journal.SettingSet:
		move := d.str("from") + "→" + d.str("to")
		return join("set", d.str("setting"), move, brackets(d.str("result"))), ""
	case journal.EvalsRun:
		return evals(d), ""
	case journal.SignalsSnapped:
		n := 0
		if snap, ok := SnapIn(e); ok {
			n = len(snap.Signals)
		}
		return fmt.Sprintf("kept the values of %d signals", n), ""
	case journal.Exported:
		return join("exported the", or(d.str("what"), "review"), brackets(d.str("format"))), ""
	case journal.DrillEnded:
		return join("practised", or(d.str("scenario"), "a drill"), brackets(d.str("drill"))), ""
	case journal.RehearsalReset:
		return "put the rehearsal target back to its beginning", ""
	case journal.Erased:
		return join("erased text beside the journal", brackets(counted(d.str("bodies"), "parts"))), ""
	case journal.Purged:
		return join("purged a", d.str("by"), brackets(d.str("state"))), ""
	}
	return string(e.Kind), ""
}

// updated says what an incident.updated entry changed, by the names of the patch.
func updated(e *journal.Entry, d data) string {
	var parts []string
	for _, name := range []string{"severity", "category", "lead"} {
		if v := d.str(name); v != "" {
			parts = append(parts, name+" is now "+v)
		}
	}
	if _, ok := d["title"]; ok {
		parts = append(parts, "title is now")
	}
	for _, name := range []string{"began", "acknowledged", "mitigated", "resolved"} {
		v, ok := d[name].(string)
		switch {
		case !ok:
		case strings.HasPrefix(v, "0001-"):
			parts = append(parts, "not "+name+" after all")
		case name == "began":
			parts = append(parts, "began at "+v)
		default:
			parts = append(parts, name)
		}
	}
	for _, name := range []string{"add_requests", "requests"} {
		if l := d.list(name); len(l) > 0 {
			parts = append(parts, "linked request "+strings.Join(l, ", "))
		}
	}
	for _, name := range []string{"add_runs", "runs"} {
		if l := d.list(name); len(l) > 0 {
			parts = append(parts, "linked "+strings.Join(l, ", "))
		}
	}
	if len(parts) == 0 {
		return "updated " + e.Incident
	}
	return strings.Join(parts, "; ")
}

func runStarted(e *journal.Entry, d data) string {
	what := join("started", or(d.str("runbook"), "a runbook"), brackets(e.Run))
	if d.in("target").str("rehearsal") == "true" || d.str("rehearsal") == "true" {
		what = join("rehearsed", or(d.str("runbook"), "a runbook"), brackets(e.Run))
	}
	return what
}

func (u *Sentences) sample(e *journal.Entry, d data) (what, group string) {
	s := d
	if in := d.in("sample"); in != nil {
		s = in
	}
	name := or(step(d), "check")
	value := "no value"
	if n := s.num("value"); n.OK {
		unit := sources.Unit(d.str("unit"))
		if unit == "" {
			unit = u.unitOf(e.Run, name)
		}
		value = unit.Format(n.V)
	}
	return join(e.Run, "measured", name) + ": " + join(value, s.str("verdict")), e.Run + "/" + name
}

func alert(d data) string {
	unit := sources.Unit(d.str("unit"))
	if d.str("signal") == "" && d.str("alert") != "" {
		return "the rule " + d.str("alert") + " of " + or(d.str("source"), "others") + " fires" + ruleValue(d)
	}
	what := fmt.Sprintf("%s is bad: %s", or(d.str("label", "signal"), "a signal"), d.formatted("value", unit))
	if n := d.num("usual"); n.OK {
		what += " (usual " + unit.Format(n.V) + ")"
	}
	return what
}

func ruleValue(d data) string {
	if v := d.num("value"); v.OK {
		return fmt.Sprintf(", value %.4g", v.V)
	}
	return ""
}

func evals(d data) string {
	result := "evals ran"
	passed, failed := d.num("passed"), d.num("failed")
	if passed.OK && failed.OK {
		result += fmt.Sprintf(": %.0f passed, %.0f failed", passed.V, failed.V)
	}
	return result
}

func step(d data) string { return d.str("step", "name") }

func answer(d data) string {
	if in := d.in("answer"); in != nil {
		return in.str("verb")
	}
	return d.str("verb", "answer")
}

func onOff(d data) string {
	switch d.str("on", "enabled", "state", "to") {
	case "true", "on":
		return "on"
	case "false", "off":
		return "off"
	}
	return ""
}

// changeIn reads the change of a change.seen entry, which is the data itself or its "change".
func changeIn(d data) sources.Change {
	var c sources.Change
	var from any = d
	if in := d.in("change"); in != nil {
		from = in
	}
	text, err := json.Marshal(from)
	if err == nil {
		_ = json.Unmarshal(text, &c) // what does not fit stays empty and is shown so
	}
	return c
}

func changeWords(c sources.Change) string {
	s := fmt.Sprintf("%s %s→%s", c.Component, or(c.From, "?"), or(c.To, "?"))
	if c.Silent {
		s = fmt.Sprintf("served %s %s→%s, silently", c.Component, or(c.From, "?"), or(c.To, "?"))
	}
	if c.Stage != "" && c.Stage != "live" {
		s += " (" + c.Stage + ")"
	}
	return s
}

// people are those who acted, the busiest first.
func (b *builder) people() []Person {
	count := map[string]int{}
	for i := range b.own {
		if e := &b.own[i]; e.Actor != "" && e.Origin != "collect" {
			count[e.Actor]++
		}
	}
	if b.inc.Lead != "" && count[b.inc.Lead] == 0 {
		count[b.inc.Lead] = 0
	}
	out := make([]Person, 0, len(count))
	for name, n := range count {
		out = append(out, Person{name, n})
	}
	slices.SortFunc(out, func(a, b Person) int {
		if a.Entries != b.Entries {
			return b.Entries - a.Entries
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func or(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// join puts what is not empty beside each other.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func brackets(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "“" + s + "”"
}

// counted is a number with what it counts, or nothing.
func counted(n, what string) string {
	if n == "" {
		return ""
	}
	return n + " " + what
}

// prefixed is s with what leads to it, or nothing.
func prefixed(lead, s string) string {
	if s == "" {
		return ""
	}
	return lead + s
}
