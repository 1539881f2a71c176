package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

func (b *builder) header(ctx context.Context) {
	inc := &b.inc
	b.r.Incident = Incident{
		ID: inc.ID, Title: inc.Title, Service: inc.Service, Environment: inc.Environment,
		Category: inc.Category, CategoryMeans: b.Categories[inc.Category],
		Severity: inc.Severity, SeverityMeans: b.Severities[inc.Severity],
		Tags: inc.Tags, State: inc.State(), Lead: inc.Lead, People: b.people(), Signals: inc.Signals,
		Cases: inc.Cases, CloseReason: inc.CloseReason,
	}
	b.r.Suspects = []Suspect{}
	for i := range b.own {
		e := &b.own[i]
		if e.Kind != journal.IncidentOpened {
			continue
		}
		d := dataOf(e)
		b.r.Evidence = b.evidence(ctx, e)
		if c := changeIn(data{"change": d["change"]}); d["change"] != nil && c.Component != "" {
			b.r.Suspects = append(b.r.Suspects, Suspect{e.Seq, changeWords(c) + prefixed(" at ", stampOf(c.At))})
		}
	}
	for i := range b.all {
		e := &b.all[i]
		for _, s := range dataOf(e).list("suspects") {
			b.r.Suspects = append(b.r.Suspects, Suspect{e.Seq, s})
		}
	}
}

// evidence is the verdict line that was kept when the incident was opened.
func (b *builder) evidence(ctx context.Context, e *journal.Entry) string {
	for _, ref := range e.Artifacts {
		if ref.Name != journal.Evidence || ref.Erased {
			continue
		}
		a, err := b.Journal.Artifact(ctx, ref.ID)
		if err != nil {
			b.gap("the evidence of #%d could not be read: %s", e.Seq, err)
			return ""
		}
		return strings.TrimSpace(string(a.Body))
	}
	return ""
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// changes gathers what moved, from the journal and from the sources, each once.
func (b *builder) changes(ctx context.Context) {
	b.r.Changes = []Change{}
	add := func(c sources.Change, seq int64) {
		if c.At.Before(b.began.Add(-before)) || c.At.After(b.ended.Add(after)) {
			return
		}
		for i := range b.r.Changes {
			if sameChange(&b.r.Changes[i].Change, &c) {
				return
			}
		}
		out := Change{Change: c, Seq: seq}
		out.At = utc(c.At)
		if !b.inc.Began.IsZero() {
			out.BeforeS = sources.N(b.inc.Began.Sub(c.At).Seconds())
		}
		b.r.Changes = append(b.r.Changes, out)
	}
	for i := range b.all {
		if e := &b.all[i]; e.Kind == journal.ChangeSeen {
			c := changeIn(dataOf(e))
			if c.At.IsZero() {
				c.At = e.At
			}
			add(c, e.Seq)
		}
	}
	if b.Changes != nil {
		list, err := b.Changes(ctx, b.inc.Service, b.began.Add(-before), b.ended)
		if err != nil {
			b.gap("the changes could not be read from the sources, only from the journal: %s", err)
		}
		for _, c := range list {
			add(c, 0)
		}
	}
	slices.SortStableFunc(b.r.Changes, func(x, y Change) int { return x.At.Compare(y.At) })
}

// sameTime is how far apart two sightings of one change may lie: sources look in steps.
const sameTime = 2 * time.Minute

func sameChange(a, b *sources.Change) bool {
	return a.Component == b.Component && a.From == b.From && a.To == b.To && a.Silent == b.Silent &&
		a.At.Sub(b.At).Abs() <= sameTime
}

func (b *builder) runs(ctx context.Context) {
	b.r.Runs = []Run{}
	for _, id := range b.inc.Runs {
		if b.Runs == nil {
			b.gap("the steps of %s could not be read", id)
			continue
		}
		run, err := b.Runs(ctx, id)
		if err != nil {
			b.gap("the steps of %s could not be read: %s", id, err)
			continue
		}
		b.r.Runs = append(b.r.Runs, run)
	}
}

// signals compares before, during and after from the snapshots in the journal,
// and from those that runs took.
func (b *builder) signals() {
	byID := map[string]*Signal{}
	var order []string
	add := func(s *SnapSignal, at time.Time, seq int64, phase string) {
		sig := byID[s.Signal]
		if sig == nil {
			sig = &Signal{Signal: s.Signal, Label: or(s.Label, s.Signal), Unit: s.Unit, Points: []SignalPoint{}}
			byID[s.Signal] = sig
			order = append(order, s.Signal)
		}
		sig.Points = append(sig.Points, SignalPoint{At: utc(at), Seq: seq, Value: s.Value, Verdict: s.Verdict})
		if s.Usual.OK && (!sig.Usual.OK || phase == SnapBefore) {
			sig.Usual = s.Usual
		}
		if !s.Value.OK {
			return
		}
		switch phase {
		case SnapBefore:
			sig.Before = s.Value
		case "after":
			sig.After = s.Value
		default:
			if !sig.During.OK || worse(s.Value.V, sig.During.V, s.Direction, sig.Usual) {
				sig.During = s.Value
			}
		}
	}
	settled := b.inc.Mitigated
	if settled.IsZero() {
		settled = b.inc.Resolved
	}
	phase := func(at time.Time, when string) string {
		switch {
		case when == SnapBefore || at.Before(b.began):
			return SnapBefore
		case !settled.IsZero() && !at.Before(settled):
			return "after"
		}
		return SnapDuring
	}
	type shot struct {
		Snap
		seq int64
	}
	var shots []shot
	for i := range b.own {
		if s, ok := SnapIn(&b.own[i]); ok {
			shots = append(shots, shot{s, b.own[i].Seq})
		}
	}
	for _, r := range b.r.Runs {
		for _, st := range r.Steps {
			if len(st.Snapped) > 0 {
				shots = append(shots, shot{Snap{When: SnapDuring, At: st.Ended, Signals: st.Snapped}, 0})
			}
		}
	}
	slices.SortStableFunc(shots, func(x, y shot) int { return x.At.Compare(y.At) })
	for _, s := range shots {
		for i := range s.Signals {
			add(&s.Signals[i], s.At, s.seq, phase(s.At, s.When))
		}
	}
	// Those that opened it come first, then those that were bad at any time, then the others as snapped.
	rank := func(s *Signal) int {
		if i := slices.Index(b.inc.Signals, s.Signal); i >= 0 {
			return i - len(b.inc.Signals)
		}
		for _, p := range s.Points {
			if p.Verdict == sources.Bad {
				return 1
			}
		}
		for _, p := range s.Points {
			if p.Verdict == sources.Watch {
				return 2
			}
		}
		return 3
	}
	b.r.Signals = make([]Signal, 0, len(order))
	for _, id := range order {
		b.r.Signals = append(b.r.Signals, *byID[id])
	}
	slices.SortStableFunc(b.r.Signals, func(x, y Signal) int { return rank(&x) - rank(&y) })
	if len(order) == 0 {
		b.gap("no signals were recorded while it was open; keep a console or rollcall collect running")
	}
}

// Notable splits the signals into those that opened the incident or were watched
// or bad at any time, and the labels of the others.
func (r *Review) Notable() (shown []Signal, others []string) {
	for _, s := range r.Signals {
		notable := contains(r.Incident.Signals, s.Signal)
		for _, p := range s.Points {
			notable = notable || p.Verdict == sources.Bad || p.Verdict == sources.Watch
		}
		if notable {
			shown = append(shown, s)
		} else {
			others = append(others, s.Label)
		}
	}
	return shown, others
}

// worse tells whether v is worse than the worst so far.
func worse(v, than float64, dir sources.Direction, usual sources.Num) bool {
	switch dir {
	case sources.LowerWorse:
		return v < than
	case sources.BothWorse:
		if usual.OK {
			return abs(v-usual.V) > abs(than-usual.V)
		}
	}
	return v > than
}

func abs(v float64) float64 { return max(v, -v) }

func (b *builder) affected(ctx context.Context) {
	b.r.Affected = Affected{Notes: []string{"the request rows were not asked"}}
	if b.Affected == nil {
		return
	}
	a, err := b.Affected(ctx, b.inc.Service, b.began, b.ended)
	if err != nil {
		a = Affected{Notes: []string{"not known: the request rows could not be read: " + err.Error()}}
	}
	b.r.Affected = a
}

func (b *builder) requests() {
	b.r.Requests = []Linked{}
	at := map[string]int{}
	for _, id := range b.inc.Requests {
		at[id] = len(b.r.Requests)
		b.r.Requests = append(b.r.Requests, Linked{Request: id})
	}
	for i := range b.own {
		e := &b.own[i]
		if e.Kind != journal.Captured {
			continue
		}
		id := dataOf(e).str("request", "request_id")
		n, ok := at[id]
		if !ok {
			n = len(b.r.Requests)
			at[id] = n
			b.r.Requests = append(b.r.Requests, Linked{Request: id})
		}
		l := &b.r.Requests[n]
		l.Seq = e.Seq
		l.Artifacts = append(l.Artifacts, e.Artifacts...)
	}
}

func withArticle(s string) string {
	if strings.ContainsAny(s[:1], "aeiou") {
		return "an " + s
	}
	return "a " + s
}

// summary says in a few sentences what the review holds; only what is known.
func (b *builder) summary() string {
	inc := &b.r.Incident
	var s strings.Builder
	where := inc.Service
	if inc.Environment != "" {
		where += " (" + inc.Environment + ")"
	}
	fmt.Fprintf(&s, "%s was %s incident of severity %s in %s.", inc.ID, withArticle(or(string(inc.Category), "not categorised")), or(string(inc.Severity), "not known"), where)
	if !b.inc.Began.IsZero() {
		fmt.Fprintf(&s, " It began at %s", stamp(b.inc.Began))
		if d, ok := b.took("time to detect"); ok {
			fmt.Fprintf(&s, ", was detected after %s", d)
		}
		if d, ok := b.took("time to mitigate"); ok {
			fmt.Fprintf(&s, ", was mitigated after %s", d)
		}
		if d, ok := b.took("time to resolve"); ok {
			fmt.Fprintf(&s, ", was resolved after %s", d)
		}
		s.WriteString(".")
	}
	if c := b.likeliest(); c != "" {
		fmt.Fprintf(&s, " The last change before it: %s.", c)
	}
	if a := &b.r.Affected; a.Known && a.Bad.OK {
		fmt.Fprintf(&s, " %.0f of %d requests were bad", a.Bad.V, a.Requests)
		if a.Users.OK {
			fmt.Fprintf(&s, ", of %s", sources.Counted(int(a.Users.V), "user"))
		}
		s.WriteString(".")
	}
	for i := range b.r.Runs {
		r := &b.r.Runs[i]
		if r.Rehearsal {
			continue
		}
		fmt.Fprintf(&s, " Runbook %s (%s) %s.", r.Runbook, r.ID, or(r.Outcome, "is still going on"))
	}
	fmt.Fprintf(&s, " It is %s.", inc.State)
	return s.String()
}

func (b *builder) took(name string) (string, bool) {
	for _, d := range b.r.Durations {
		if d.Name == name && d.Seconds.OK && d.Seconds.V >= 0 {
			return seconds(d.Seconds.V), true
		}
	}
	return "", false
}

// likeliest is the newest change that came before it began.
func (b *builder) likeliest() string {
	for i := len(b.r.Changes) - 1; i >= 0; i-- {
		// That another model answers for one is a consequence.
		if c := &b.r.Changes[i]; c.BeforeS.OK && c.BeforeS.V >= 0 && c.Component != sources.Fallback {
			return fmt.Sprintf("%s at %s, %s earlier", changeWords(c.Change), stamp(c.At), seconds(c.BeforeS.V))
		}
	}
	return ""
}
