package fatigue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Kinds are the kinds of entries that the figures are made of.
func Kinds() []journal.Kind {
	return []journal.Kind{
		journal.AlertFiring, journal.AlertResolved, journal.AlertAcknowledged, journal.IncidentOpened, journal.IncidentUpdated, journal.IncidentClosed,
		journal.RunStarted, journal.PinSet, journal.FeatureSet, journal.SettingSet,
	}
}

// Slim is an entry without what the figures do not need: a run's start holds all of its runbook.
func Slim(e *journal.Entry) journal.Entry {
	out := journal.Entry{Seq: e.Seq, Kind: e.Kind, At: e.At, Service: e.Service, Incident: e.Incident, Actor: e.Actor, Data: e.Data}
	if e.Kind == journal.RunStarted {
		d, ok := in[struct {
			Target practised `json:"target"`
		}](e)
		if raw, err := json.Marshal(d); ok && err == nil {
			out.Data = raw
		}
	}
	return out
}

// firing is one time that a rule fired.
type firing struct {
	data     journal.AlertData
	at       time.Time
	until    time.Time // now, while it goes on
	over     bool
	timeless bool // it is not known for how long it fired
	flaps    int
	worst    sources.Num
	acked    time.Time // when somebody took it up
	actioned bool
}

// window is how long after it fired something done counts as done because of it.
func (f *firing) window() time.Time {
	if w := f.at.Add(ActWithin); w.After(f.until) {
		return w
	}
	return f.until
}

// flap tells whether it was over too soon for anybody to do anything.
func (f *firing) flap() bool { return f.over && !f.timeless && f.until.Sub(f.at) < FlapUnder }

// extreme is the value that was farthest off while it fired.
func (f *firing) extreme() sources.Num {
	switch {
	case !f.worst.OK:
		return f.data.Value
	case !f.data.Value.OK:
		return f.worst
	case f.data.Direction == sources.LowerWorse:
		return sources.N(min(f.worst.V, f.data.Value.V))
	}
	return sources.N(max(f.worst.V, f.data.Value.V))
}

// Fold makes the report of one service from entries, oldest first, of any time
// before now; entries of other services and kinds are passed over. began is when
// the journal begins, zero where the entries say so themselves.
func Fold(service string, entries []journal.Entry, began, now time.Time) *Report {
	f := folder{service: service, now: now, open: map[string]*firing{}, incidents: map[string]bool{}}
	for i := range entries {
		e := &entries[i]
		if e.Service != "" && e.Service != service || e.At.After(now) {
			continue
		}
		if began.IsZero() || e.At.Before(began) {
			began = e.At
		}
		f.take(e)
	}
	for _, x := range f.open {
		x.until = now
	}
	f.attribute()
	return f.report(began)
}

type folder struct {
	service   string
	now       time.Time
	all       []*firing
	open      map[string]*firing // by key
	deeds     []deed
	incidents map[string]bool // open at this point of the fold
}

// deed is something that a person did.
type deed struct {
	at    time.Time
	key   string // of what an acknowledgement is of
	acts  bool   // it is an action, and not only a sign that somebody looked
	takes bool   // it tells that somebody took the alert up
}

func (f *folder) take(e *journal.Entry) {
	switch e.Kind {
	case journal.AlertFiring:
		d, ok := in[journal.AlertData](e)
		if !ok || d.Key() == "" || f.open[d.Key()] != nil {
			return
		}
		x := &firing{data: d, at: e.At, actioned: len(f.incidents) > 0}
		f.all, f.open[d.Key()] = append(f.all, x), x
	case journal.AlertResolved:
		d, _ := in[journal.AlertData](e)
		x := f.open[d.Key()]
		if x == nil {
			return
		}
		x.over, x.until, x.flaps, x.worst = true, e.At, d.Flaps, d.Worst
		if !d.Until.IsZero() && !d.Until.Before(x.at) {
			x.until = d.Until
		}
		if x.until.Before(x.at) {
			// The clock went back meanwhile: for how long it fired is not known.
			x.until, x.timeless = x.at, true
		}
		delete(f.open, d.Key())
	case journal.AlertAcknowledged:
		if d, ok := in[journal.AcknowledgedData](e); ok && d.Key() != "" {
			f.deeds = append(f.deeds, deed{at: e.At, key: d.Key(), acts: d.Acted, takes: true})
		}
	case journal.IncidentOpened:
		f.incidents[e.Incident] = true
		f.deeds = append(f.deeds, deed{at: e.At, acts: true, takes: true})
	case journal.IncidentUpdated:
		if d, ok := in[journal.UpdatedData](e); ok && d.Resolved != nil && !d.Resolved.IsZero() {
			delete(f.incidents, e.Incident)
		}
	case journal.IncidentClosed:
		delete(f.incidents, e.Incident)
	case journal.RunStarted:
		if d, ok := in[struct {
			Target practised `json:"target"`
		}](e); ok && !d.Target.Rehearsal {
			f.deeds = append(f.deeds, deed{at: e.At, acts: true, takes: true})
		}
	case journal.PinSet, journal.FeatureSet, journal.SettingSet:
		if d, ok := in[practised](e); ok && !d.Rehearsal && d.happened() {
			f.deeds = append(f.deeds, deed{at: e.At, acts: true, takes: true})
		}
	}
}

// practised is what tells whether something was done to what is live.
type practised struct {
	Rehearsal bool   `json:"rehearsal"`
	Result    string `json:"result"` // as package pin has them
}

// happened tells whether anything may have moved.
func (p practised) happened() bool {
	return p.Result == "" || p.Result == "done" || p.Result == "uncertain"
}

func in[T any](e *journal.Entry) (d T, ok bool) {
	ok = json.Unmarshal(e.Data, &d) == nil
	return d, ok
}

// attribute gives every firing what was done while it lasted, and shortly after
// it began. What was done while several fired counts for each of them: nobody
// can tell which of them it was.
func (f *folder) attribute() {
	slices.SortStableFunc(f.deeds, func(a, b deed) int { return a.at.Compare(b.at) })
	for _, x := range f.all {
		end := x.window()
		from, _ := slices.BinarySearchFunc(f.deeds, x.at, func(d deed, t time.Time) int { return d.at.Compare(t) })
		for _, d := range f.deeds[from:] {
			if d.at.After(end) {
				break
			}
			if d.key != "" && d.key != x.data.Key() {
				continue
			}
			if d.takes && x.acked.IsZero() {
				x.acked = d.at
			}
			x.actioned = x.actioned || d.acts
		}
	}
}

func (f *folder) report(began time.Time) *Report {
	since := f.now.Add(-Span)
	r := &Report{Service: f.service, Since: since.UTC(), Until: f.now.UTC(), How: how, Rules: []Rule{}, Shifts: []ShiftLoad{}}
	covered := f.now.Sub(since)
	if began.IsZero() {
		covered = 0
	} else if began.After(since) {
		covered = f.now.Sub(began)
	}
	r.Days = math.Round(covered.Hours()/24*10) / 10
	byKey := map[string][]*firing{}
	for _, x := range f.all {
		byKey[x.data.Key()] = append(byKey[x.data.Key()], x)
	}
	for _, list := range byKey {
		if rule, ok := f.rule(list, since, covered); ok {
			r.Rules = append(r.Rules, rule)
			r.Firings += rule.Firings
			r.Actioned += rule.Actioned
		}
	}
	slices.SortFunc(r.Rules, func(a, b Rule) int {
		want := func(a Advice) int {
			if a == Keep {
				return 1
			}
			return 0
		}
		return cmp.Or(want(a.Advice)-want(b.Advice), b.Firings-a.Firings, strings.Compare(a.Name(), b.Name()))
	})
	f.shifts(r, since, covered)
	return r
}

// rule adds up the firings of one signal; those before the four weeks count only
// for what has ever led to an action.
func (f *folder) rule(all []*firing, since time.Time, covered time.Duration) (Rule, bool) {
	last := all[len(all)-1].data
	r := Rule{Signal: last.Signal, Alert: last.Alert, Source: last.Source, Label: last.Label, Unit: last.Unit}
	var acks []float64
	for _, x := range all {
		if x.until.After(since) {
			from := x.at
			if from.Before(since) {
				from = since
			}
			r.FiringS += x.until.Sub(from).Seconds()
		}
		if x.at.Before(since) {
			continue
		}
		r.Firings++
		r.Wavers += x.flaps
		r.Fires = r.Fires || !x.over
		if x.actioned {
			r.Actioned++
		}
		if x.flap() {
			r.Flaps++
		}
		if !x.acked.IsZero() {
			acks = append(acks, x.acked.Sub(x.at).Seconds())
		}
	}
	if r.Firings == 0 && r.FiringS == 0 {
		return r, false
	}
	r.Acked = len(acks)
	r.AckS = median(acks)
	if r.Firings > 0 {
		r.Share = sources.N(float64(r.Actioned) / float64(r.Firings))
	}
	if covered >= week { // less says nothing about weeks
		r.PerWeek = sources.N(float64(r.Firings) / (covered.Hours() / week.Hours()))
	}
	r.Threshold = separate(all)
	f.advise(&r, all, covered)
	return r, true
}

// advise applies the rule: once a week or more often, and nothing came of it in four weeks.
func (f *folder) advise(r *Rule, all []*firing, covered time.Duration) {
	if r.Actioned > 0 || r.Firings < int(Span/week) {
		return
	}
	last := &all[len(all)-1].data
	if !pages(last) {
		r.Why = "nothing came of it, and nothing has to: its severity (" + last.Severity + ") pages nobody"
		return
	}
	if covered < Span {
		r.Why = fmt.Sprintf("nothing came of it so far; advice takes four weeks of journal, and there are %.0f days", math.Floor(covered.Hours()/24))
		return
	}
	ever := 0
	for _, x := range all {
		if x.actioned {
			ever++
		}
	}
	base := fmt.Sprintf("it fired %d times in four weeks and nothing came of it", r.Firings)
	switch {
	case ever == 0:
		r.Advice, r.Why = Retire, base+"; nor did it before"
	case r.Threshold != nil && r.Threshold.Drops > 0:
		r.Advice = Retune
		r.Why = fmt.Sprintf("%s; %s would have kept all %s that led to an action, and spared %d of %d", base, r.Threshold.Text(r.Unit), sources.Counted(ever, "firing"), r.Threshold.Drops, r.Threshold.Of)
	case r.Threshold == nil && last.Signal == "":
		r.Advice, r.Why = Rethink, base+fmt.Sprintf("; %s did before, and no threshold can be proposed: %s", sources.Counted(ever, "firing"), unmeasured(last))
	default:
		r.Advice, r.Why = Rethink, base+fmt.Sprintf("; the %s that led to an action before look no different, so no threshold helps: judge it by another signal, or retire it", sources.Counted(ever, "firing"))
	}
}

// pages tells whether somebody is woken.
func pages(d *journal.AlertData) bool {
	switch strings.ToLower(d.Severity) {
	case "info", "none", "notice", "sev4", "p4":
		return false
	}
	return true
}

// unmeasured says why a rule of others has no threshold.
func unmeasured(d *journal.AlertData) string {
	switch {
	case d.Source == "alertmanager":
		return "an Alertmanager tells neither the value nor the expression"
	case !d.Level.OK:
		return "its expression is not a comparison with a plain number"
	}
	return "its value is not known of all of them"
}

// shifts counts pages by shift: every firing is one.
func (f *folder) shifts(r *Report, since time.Time, covered time.Duration) {
	by := map[time.Time]int{}
	n := 0
	for _, x := range f.all {
		if !x.at.Before(since) && pages(&x.data) {
			by[x.at.UTC().Truncate(Shift)]++
			n++
		}
	}
	for t, pages := range by {
		r.Shifts = append(r.Shifts, ShiftLoad{t, pages})
		r.Worst = max(r.Worst, pages)
		if pages > ShiftLimit {
			r.Over++
		}
	}
	slices.SortFunc(r.Shifts, func(a, b ShiftLoad) int { return a.Begins.Compare(b.Begins) })
	if covered > 0 {
		r.PerShift = sources.N(float64(n) / max(1, covered.Hours()/Shift.Hours()))
	}
}

func median(v []float64) sources.Num {
	if len(v) == 0 {
		return sources.Num{}
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return sources.N((v[n/2-1] + v[n/2]) / 2)
	}
	return sources.N(v[len(v)/2])
}

var how = []string{
	"firings: alert.firing entries of the last 28 days, by the entries' service time; a rule of Prometheus or Alertmanager fires once, however many of its alerts do",
	"led to an action: a run was started, a pin or a feature was moved (rehearsals aside), an incident was opened, or the acknowledgement says that something was done, from when it fired until it was well again, or for 30 minutes where that is longer; or an incident was open, and not resolved, when it fired. What was done while several fired counts for each",
	"flaps: it was well again within 5 minutes; wavers: it was well for less than 5 minutes while it fired",
	"taken up: the first acknowledgement of it, or the first of those actions",
	"pages per shift: firings by shifts of 12 hours from 00:00 and 12:00 UTC; a shift bears 2; severities info and none page nobody",
	"retire or retune: it fired 4 times or more in 28 days, and nothing came of it",
	"threshold: the least strict one, of value (the worst while it fired), ratio, p and z, that keeps every firing of the whole journal that led to an action; the one that spares most. Of a rule of Prometheus, of its value, where it is compared with a plain number",
}
