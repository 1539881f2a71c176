package signal

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"rollcall/sources"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/stat"
	"rollcall/sources/signal/suspect"
)

// worstShown is how many things that are wrong the line names.
const worstShown = 2

// lineOf puts a snapshot into one sentence. It says only what the snapshot shows.
func lineOf(snap *Snapshot, svc *service, changesKnown bool) Line {
	line := Line{Blind: blind(snap, changesKnown)}
	worst := worstReadings(snap, svc)
	undo := undone(snap.Rollout)
	if len(worst) == 0 && undo == nil {
		return quiet(snap, svc, line)
	}
	if len(worst) == 0 {
		// Over all traffic nothing shows, and yet those who got the new version are worse off.
		line.Verdict, line.Since = sources.Bad, undo.Candidate.Since
		line.Parts = undo.Brief()
		if id := rolledSignal(undo.Worst()); id != "" {
			line.Signals = []string{id}
		}
		if !line.Since.IsZero() {
			line.Parts = slices.Insert(line.Parts, 1, "It runs since "+clockTime(line.Since, snap.At)+".")
		}
		for i := range snap.Changes {
			if c := &snap.Changes[i]; c.To != "" && c.To == undo.Candidate.Versions[c.Component] && c.To != undo.Control.Versions[c.Component] {
				line.Change = c
			}
		}
		line.Runbook = (&found{undo: undo}).offered()
		return line.withRest(snap)
	}
	first := worst[0]
	line.Verdict, line.Since = first.Verdict, first.Since
	line.Parts, line.Asides = append(line.Parts, describe(first, svc, snap, true)), asides(first)
	for _, r := range worst {
		line.Signals = append(line.Signals, r.Signal)
	}
	f := found{first: first, bad: allBad(snap), kind: mostly(first, snap), undo: undo}
	cause := likeliest(snap.Changes, first, svc.signal(first.Signal))
	x := snap.Suspects
	if x != nil && (x.Signal != first.Signal || len(x.Suspects) == 0) {
		x = nil
	}
	var proven *suspect.Suspect
	if x != nil {
		if c, s := supported(snap.Changes, x, cause); c != nil {
			cause, proven = c, s
		}
		line.Suspect = &x.Suspects[0]
	}
	switch {
	case proven != nil:
		text, undone := changeText(*cause, snap)
		line.Change = cause
		line.Parts = append(line.Parts, suspectText(text, proven)...)
		if !undone {
			f.back = cause.Component
		}
		if top := line.Suspect; top != proven && !slices.Equal(top.Attributes, proven.Attributes) {
			line.Parts = append(line.Parts, "Most of all "+top.Name()+" "+versus(top)+".")
		}
		line.Suspect = proven
	case x != nil:
		// What changed nearby, if anything did, is not what the bad requests have in common.
		line.Parts = append(line.Parts, "Suspect: "+line.Suspect.Name()+" "+versus(line.Suspect)+".")
		if cause != nil {
			text, _ := changeText(*cause, snap)
			line.Change = cause
			line.Parts = append(line.Parts, text)
		} else if changesKnown && !first.Since.IsZero() && !beganBefore(first) {
			line.Parts = append(line.Parts, "No change seen in the 30 minutes before.")
		}
		// A version that the bad requests share is enough to go back from, seen to change or not.
		if len(line.Suspect.Attributes) == 1 && cause == nil {
			if c := sources.Component(line.Suspect.Attributes[0].Name); slices.Contains(sources.Components[:], c) {
				f.back = c
			}
		}
	case cause != nil:
		text, undone := changeText(*cause, snap)
		line.Change = cause
		line.Parts = append(line.Parts, text)
		if !undone {
			f.back = cause.Component
		}
	case changesKnown && beganBefore(first):
		line.Parts = append(line.Parts, unseenStart(snap, first))
	case changesKnown && !first.Since.IsZero():
		line.Parts = append(line.Parts, "No change seen in the 30 minutes before.")
	}
	f.cause, f.suspect = line.Change, line.Suspect
	line.Runbook = f.offered()
	if undo != nil {
		line.Parts = append(line.Parts, undo.Brief()...)
	}
	for _, r := range worst[1:] {
		line.Parts = append(line.Parts, "Also "+lower(describe(r, svc, snap, false)))
		if x := snap.Suspects; x != nil && x.Signal == r.Signal && len(x.Suspects) > 0 {
			line.Parts = append(line.Parts, "Its suspect: "+x.Suspects[0].Name()+" "+versus(&x.Suspects[0])+".")
		}
	}
	return line.withRest(snap)
}

func allBad(snap *Snapshot) (ids []string) {
	for i := range snap.Readings {
		if r := &snap.Readings[i]; r.Verdict == sources.Bad {
			ids = append(ids, r.Signal)
		}
	}
	return ids
}

// undone is the rollout that is to be rolled back; nil when there is none.
func undone(r *rollout.Report) *rollout.Comparison {
	if r == nil || len(r.Comparisons) == 0 || r.Comparisons[0].Verdict != rollout.RollBack {
		return nil
	}
	return &r.Comparisons[0]
}

// withRest adds what is worth knowing beside what is worst, and what cannot be told.
func (l Line) withRest(snap *Snapshot) Line {
	if snap.Spend != nil && snap.Spend.Line != "" {
		l.Parts = append(l.Parts, snap.Spend.Line)
	}
	if len(snap.Doubts) > 0 {
		l.Parts = append(l.Parts, sentence(snap.Doubts[0]))
	}
	return l.withBlind()
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string { return upper(strings.TrimSuffix(s, ".")) + "." }

// worstReadings picks at most two, of different families: the bad before those to
// watch, since the rules behind a verdict ask for the same evidence of every signal;
// at equal evidence what harms people before what gives them wrong answers before what
// keeps them waiting before what costs; then those farther off, in rough steps so that
// the line does not change its subject with every refresh; then what began first.
func worstReadings(snap *Snapshot, svc *service) []*sources.Reading {
	var all []*sources.Reading
	for i := range snap.Readings {
		if r := &snap.Readings[i]; worse(r.Verdict, sources.OK) && !asAlways(r) {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b *sources.Reading) int {
		if a.Verdict != b.Verdict {
			if a.Verdict.Worse(b.Verdict) {
				return -1
			}
			return 1
		}
		return cmp.Or(
			cmp.Compare(svc.signal(a.Signal).harm(), svc.signal(b.Signal).harm()),
			cmp.Compare(math.Floor(math.Log2(farOff(b))), math.Floor(math.Log2(farOff(a)))),
			a.Since.Compare(b.Since),
		)
	})
	var out []*sources.Reading
	var told []string
	for _, r := range all {
		family := cmp.Or(svc.signal(r.Signal).Family, r.Signal)
		if len(out) == worstShown || slices.Contains(told, family) {
			continue
		}
		out, told = append(out, r), append(told, family)
	}
	return out
}

// asAlways tells whether a reading to watch is over its level and yet what it always
// is: a feature that has been off for weeks is no news.
func asAlways(r *sources.Reading) bool {
	return r.Verdict == sources.Watch && r.Judgement != nil && r.Judgement.Rule == ruleFixed && known(r.Usual) && farOff(r) < 1.05
}

// farOff is how many times over its usual value or its level a reading is. A share
// that should be high counts by what is missing from it: 90% instead of 99% is ten times.
func farOff(r *sources.Reading) float64 {
	ratio := func(a, b float64) float64 {
		if a <= 0 || b <= 0 {
			return 10
		}
		return max(a/b, b/a)
	}
	value := r.Value
	var against float64
	switch {
	case known(r.Usual):
		against = r.Usual.Value
	case r.Threshold != nil && on(r.Threshold.Watch):
		against = r.Threshold.Watch
	default:
		return 1
	}
	if r.Direction == sources.LowerWorse && r.Unit == sources.Ratio {
		value, against = 1-value, 1-against
	}
	return ratio(value, against)
}

// known tells whether there is enough history to speak of a usual value.
func known(u *sources.Usual) bool { return u != nil && u.Days >= enoughDays }

// describe says what a signal is, since when, and what would be usual.
func describe(r *sources.Reading, svc *service, snap *Snapshot, since bool) string {
	var b strings.Builder
	b.WriteString(upper(svc.signal(r.Signal).Name))
	if r.Detail != "" && len(r.Parts) > 0 {
		b.WriteString(" (" + r.Detail + ")")
	}
	b.WriteByte(' ')
	if r.AtLeast {
		b.WriteString("≥ ")
	}
	b.WriteString(format(r.Value, r.Unit))
	since = since && !r.Since.IsZero()
	if kind := mostly(r, snap); kind != "" {
		b.WriteString(", mostly " + kind)
		if since {
			b.WriteByte(',')
		}
	}
	if since {
		if beganBefore(r) {
			b.WriteString(" since before " + clockTime(r.Since, snap.At))
		} else {
			b.WriteString(" since " + clockTime(r.Since, snap.At) + doubt(r.Judgement))
		}
	}
	if what := heldAgainst(r); what != "" {
		b.WriteString(" (" + what + chance(r) + ")")
	}
	b.WriteByte('.')
	return b.String()
}

// heldAgainst is what a value is worse than: "usual 1.2%".
func heldAgainst(r *sources.Reading) string {
	switch {
	case known(r.Usual):
		return "usual " + format(r.Usual.Value, r.Unit)
	case r.Threshold != nil && r.Verdict == sources.Bad && on(r.Threshold.Bad):
		return "limit " + format(r.Threshold.Bad, r.Unit)
	case r.Threshold != nil && on(r.Threshold.Watch):
		return "limit " + format(r.Threshold.Watch, r.Unit)
	}
	return ""
}

// asides are what describe says of a reading and can do without, the first to go first.
func asides(r *sources.Reading) []string {
	what, p := heldAgainst(r), chance(r)
	switch {
	case what == "":
		return nil
	case p == "":
		return []string{" (" + what + ")"}
	}
	return []string{p, " (" + what + ")"}
}

// chance is how improbable a share is when all is as usual: where the test that says so decided or agrees.
func chance(r *sources.Reading) string {
	if j := r.Judgement; known(r.Usual) && j != nil && j.P != nil && *j.P <= stat.AlphaSeries {
		return ", p=" + stat.Words(*j.P)
	}
	return ""
}

// mostly is the kind that most errors are of, where one stands out.
func mostly(r *sources.Reading, snap *Snapshot) string {
	if r.Signal != "error_ratio" {
		return ""
	}
	kinds, ok := snap.Reading("error_by_type")
	if !ok || !kinds.Known {
		return ""
	}
	sum, most, name := 0.0, 0.0, ""
	for _, p := range kinds.Parts {
		sum += max(p.Value, 0)
		if p.Value > most {
			most, name = p.Value, p.Name
		}
	}
	if most <= sum/2 || len(kinds.Parts) < 2 {
		return ""
	}
	return name
}

// doubt says how exactly the beginning is known, where that is worth a word.
func doubt(j *sources.Judgement) string {
	if j == nil || !strings.HasPrefix(j.Rule, ruleShare) {
		return ""
	}
	off := max(j.Since.Sub(j.SinceLow), j.SinceHigh.Sub(j.Since)).Round(time.Minute)
	if off < 2*time.Minute {
		return ""
	}
	return " ±" + short(off)
}

// beganBefore tells whether a reading was not well at the first moment that is
// shown: when that began is not known.
func beganBefore(r *sources.Reading) bool {
	return len(r.History) > 0 && r.Since.Equal(r.History[0].T)
}

// quiet is the line when nothing is worse than usual or than its limits, with what cannot be told.
func quiet(snap *Snapshot, svc *service, line Line) Line {
	count := map[sources.Verdict]int{}
	compared := 0
	for i := range snap.Readings {
		r := &snap.Readings[i]
		count[r.Verdict]++
		if r.Verdict == sources.OK && known(r.Usual) {
			compared++
		}
	}
	judged := count[sources.OK]
	switch {
	case judged > 0 && compared == 0:
		line.Verdict = sources.OK
		line.Parts = []string{"Nothing is over its limits.", "What is usual is not known yet."}
	case judged > 0:
		line.Verdict = sources.OK
		line.Parts = []string{"Nothing is significantly worse than usual."}
	case count[sources.Unreachable] > 0:
		line.Verdict = sources.Unreachable
		line.Parts = []string{"Nothing can be judged: the signals cannot be read."}
	case count[sources.Learning] > 0:
		line.Verdict = sources.Learning
		line.Parts = []string{"Nothing can be judged yet: too little history."}
	case count[sources.NoTraffic] > 0:
		line.Verdict = sources.NoTraffic
		line.Parts = []string{"No traffic in " + short(snap.Window) + "."}
	default:
		line.Verdict = sources.NotExposed
		line.Parts = []string{"Nothing to judge: this service exposes none of the signals. Check its scope."}
	}
	if n := count[sources.Unreachable]; n > 0 && judged > 0 {
		line.Verdict = sources.Unreachable
		line.Parts[0] = fmt.Sprintf("%s But %d of %d signals cannot be read.", line.Parts[0], n, len(snap.Readings))
	}
	for i := range snap.Readings {
		if r := &snap.Readings[i]; asAlways(r) {
			name := svc.signal(r.Signal).Name
			if r.Detail != "" && len(r.Parts) > 0 {
				name += " (" + r.Detail + ")"
			}
			line.Parts = append(line.Parts, "To watch, as always: "+name+".")
			break
		}
	}
	if n := count[sources.Learning]; n > 0 && judged > 0 {
		line.Parts = append(line.Parts, sources.Counted(n, "signal")+" learning.")
	}
	if n := count[sources.NoTraffic]; n > 0 && judged > 0 {
		line.Parts = append(line.Parts, sources.Counted(n, "signal")+" without traffic.")
	}
	if text := snap.Rollout.Sentence(); text != "" {
		line.Parts = append(line.Parts, text)
	}
	return line.withRest(snap)
}

// blind names what could not be seen.
func blind(snap *Snapshot, changesKnown bool) []string {
	var out []string
	unread, wrong := 0, false
	for i := range snap.Readings {
		switch v := snap.Readings[i].Verdict; {
		case v == sources.Unreachable:
			unread++
		case worse(v, sources.OK):
			wrong = true
		}
	}
	for _, h := range snap.Health {
		if h.State == sources.SourceDown {
			out = append(out, h.Source+" unreachable")
		}
	}
	if len(snap.Health) == 0 && slices.ContainsFunc(snap.Readings, func(r sources.Reading) bool { return r.Verdict == sources.Unreachable }) {
		out = append(out, "metrics unreachable")
	}
	if wrong && unread > 0 { // the quiet line says it itself
		out = append(out, sources.Counted(unread, "signal")+" cannot be read")
	}
	if !changesKnown {
		out = append(out, "changes unknown")
	}
	return out
}

func (l Line) withBlind() Line {
	if len(l.Blind) > 0 {
		l.Parts = append(l.Parts, upper(strings.Join(l.Blind, ", "))+".")
	}
	return l
}

func upper(s string) string { return mapFirst(s, unicode.ToUpper) }

func lower(s string) string { return mapFirst(s, unicode.ToLower) }

func mapFirst(s string, f func(rune) rune) string {
	for i, r := range s {
		if i == 0 {
			return string(f(r)) + s[len(string(r)):]
		}
	}
	return s
}
