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

const (
	causeBefore = 30 * time.Minute // how long before a signal went bad its cause may lie
	causeAfter  = 5 * time.Minute  // and how long after: a value looks back over a window
	sameTime    = 2 * time.Minute  // changes closer than this are told apart by what they can cause
	worstShown  = 2
)

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
		return line.withRest(snap)
	}
	first := worst[0]
	line.Verdict, line.Since = first.Verdict, first.Since
	line.Parts = append(line.Parts, describe(first, svc, snap, true))
	for _, r := range worst {
		line.Signals = append(line.Signals, r.Signal)
	}
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
		line.Parts = append(line.Parts, suspectText(text, proven))
		if !undone {
			line.Runbook = "rollback-" + string(cause.Component)
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
				line.Runbook = "rollback-" + string(c)
			}
		}
	case cause != nil:
		text, undone := changeText(*cause, snap)
		line.Change = cause
		line.Parts = append(line.Parts, text)
		if !undone {
			line.Runbook = "rollback-" + string(cause.Component)
		}
	case changesKnown && beganBefore(first):
		line.Parts = append(line.Parts, unseenStart(snap, first))
	case changesKnown && !first.Since.IsZero():
		line.Parts = append(line.Parts, "No change seen in the 30 minutes before.")
	}
	if undo != nil {
		line.Parts = append(line.Parts, undo.Brief()...)
	}
	for _, r := range worst[1:] {
		line.Parts = append(line.Parts, "Also "+lower(describe(r, svc, snap, false)))
	}
	return line.withRest(snap)
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
	if kind := mostly(r, snap); kind != "" {
		b.WriteString(", mostly " + kind + ",")
	}
	if since && !r.Since.IsZero() {
		if beganBefore(r) {
			b.WriteString(" since before " + clockTime(r.Since, snap.At))
		} else {
			b.WriteString(" since " + clockTime(r.Since, snap.At) + doubt(r.Judgement))
		}
	}
	switch {
	case known(r.Usual):
		b.WriteString(" (usual " + format(r.Usual.Value, r.Unit) + chance(r.Judgement) + ")")
	case r.Threshold != nil && r.Verdict == sources.Bad && on(r.Threshold.Bad):
		b.WriteString(" (limit " + format(r.Threshold.Bad, r.Unit) + ")")
	case r.Threshold != nil && on(r.Threshold.Watch):
		b.WriteString(" (limit " + format(r.Threshold.Watch, r.Unit) + ")")
	}
	b.WriteByte('.')
	return b.String()
}

// chance is how improbable a share is when all is as usual: where the test that says so decided or agrees.
func chance(j *sources.Judgement) string {
	if j == nil || j.P == nil || *j.P > stat.AlphaSeries {
		return ""
	}
	return ", p=" + probability(*j.P)
}

// withoutChance is the inverse of chance.
func withoutChance(text string) string {
	before, after, ok := strings.Cut(text, ", p=")
	if !ok {
		return text
	}
	_, rest, ok := strings.Cut(after, ")")
	if !ok {
		return text
	}
	return before + ")" + rest
}

// PartsIn are the parts for a row of so many columns: where the first two do not fit as
// they are, but do without how improbable it is, or where not even the first does, without that.
func (l Line) PartsIn(width int) []string {
	if len(l.Parts) == 0 {
		return nil
	}
	text, second := l.Parts[0], 0
	if len(l.Parts) > 1 {
		second = 1 + columns(l.Parts[1])
	}
	plain := withoutChance(text)
	if columns(text)+second <= width || columns(text) <= width && columns(plain)+second > width {
		return l.Parts
	}
	return append([]string{plain}, l.Parts[1:]...)
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

// unseenStart is what can be said about the cause of what began before the range:
// which change was the last one until then, without a claim that it is near.
func unseenStart(snap *Snapshot, r *sources.Reading) string {
	for _, c := range slices.Backward(snap.Changes) { // oldest first
		if !c.At.After(r.Since) {
			text, _ := changeText(c, snap)
			return "Last change before that: " + strings.TrimPrefix(lower(strings.TrimSuffix(text, ".")), "change: ") + "; a longer range shows when it began."
		}
	}
	return "A longer range shows when it began, and after which change."
}

// likeliest is the change closest before a signal went bad, or else closest
// after; of changes made together, the one that most often causes this.
func likeliest(changes []sources.Change, r *sources.Reading, sig *Signal) *sources.Change {
	if r.Since.IsZero() {
		return nil
	}
	relevance := func(c sources.Component) int {
		if i := slices.Index(sig.Causes, c); i >= 0 {
			return i
		}
		return len(sig.Causes)
	}
	distance := func(c sources.Change) (time.Duration, bool) {
		d := r.Since.Sub(c.At)
		switch {
		case d >= 0 && d <= causeBefore:
			return d, true
		case d < 0 && -d <= causeAfter:
			return causeBefore - d, true
		}
		return 0, false
	}
	var best *sources.Change
	var bestAt time.Duration
	for i := range changes {
		d, ok := distance(changes[i])
		if !ok {
			continue
		}
		closer := best == nil || d < bestAt-sameTime
		tied := best != nil && (d-bestAt).Abs() <= sameTime
		if closer || tied && relevance(changes[i].Component) < relevance(best.Component) ||
			tied && changes[i].Component == best.Component && d < bestAt {
			c := changes[i]
			best, bestAt = &c, d
		}
	}
	return best
}

// supported is the change whose result the bad requests have in common: the one
// at hand if it is among those that explain most, else another.
func supported(changes []sources.Change, x *Explanation, cause *sources.Change) (*sources.Change, *suspect.Suspect) {
	brings := func(s *suspect.Suspect, c *sources.Change) bool {
		if c.Silent {
			return s.Has(sources.Attribute{Name: "model_served", Value: c.To})
		}
		return c.To != "" && s.Has(sources.Attribute{Name: string(c.Component), Value: c.To})
	}
	for i := range x.Suspects {
		s := &x.Suspects[i]
		if s.Explained < x.Suspects[0].Explained/3 {
			break
		}
		if cause != nil && brings(s, cause) {
			return cause, s
		}
		for _, c := range slices.Backward(changes) {
			if !c.At.Before(x.From) && brings(s, &c) {
				return &c, s
			}
		}
	}
	return nil, nil
}

// suspectText makes a change the suspect that it was shown to be.
func suspectText(change string, s *suspect.Suspect) string {
	text := strings.TrimSuffix(change, ".")
	if rest, ok := strings.CutPrefix(text, "Change: "); ok {
		text = "Suspect: " + rest
	} else {
		text = "Suspect: " + lower(text)
	}
	if head, undone, ok := strings.Cut(text, ", undone at "); ok {
		return head + " " + versus(s) + ", undone at " + undone + "."
	}
	return text + " " + versus(s) + "."
}

// versus is how many of the bad and of the good requests carry a suspect.
func versus(s *suspect.Suspect) string {
	return "(" + percent(s.Coverage) + " vs " + percent(s.Share) + ")"
}

func changeText(c sources.Change, snap *Snapshot) (text string, undone bool) {
	at := clockTime(c.At, snap.At)
	switch {
	case c.Silent:
		text = fmt.Sprintf("Silent change: served model %s→%s at %s", c.From, c.To, at)
	case c.Stage == "canary" || c.Stage == "shadow":
		text = fmt.Sprintf("Change: %s %s→%s (%s) at %s", c.Component, c.From, c.To, c.Stage, at)
	default:
		text = fmt.Sprintf("Change: %s %s→%s at %s", c.Component, c.From, c.To, at)
	}
	for _, later := range snap.Changes {
		if later.At.After(c.At) && later.Component == c.Component && later.Silent == c.Silent && later.From == c.To && later.To == c.From {
			return text + ", undone at " + clockTime(later.At, snap.At) + ".", true
		}
	}
	return text + ".", false
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
		line.Parts = append(line.Parts, plural(n, "signal")+" learning.")
	}
	if n := count[sources.NoTraffic]; n > 0 && judged > 0 {
		line.Parts = append(line.Parts, plural(n, "signal")+" without traffic.")
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
		out = append(out, plural(unread, "signal")+" cannot be read")
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

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
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

// Text joins as many whole parts as fit into width columns, the most important
// first; when even the first does not fit, it is cut with an ellipsis. How improbable
// it is gives way to what explains it.
func (l Line) Text(width int) string {
	if len(l.Parts) == 0 || width <= 0 {
		return ""
	}
	text := l.PartsIn(width)[0]
	if columns(text) > width {
		return cutWords(text, width)
	}
	for _, p := range l.Parts[1:] {
		if columns(text)+1+columns(p) <= width {
			text += " " + p
		}
	}
	return text
}

// cutWords cuts before a word that does not fit; a first word too long by itself is cut inside.
func cutWords(s string, width int) string {
	used, end, space := 0, 0, -1
	for i, r := range s {
		w := runeColumns(r)
		if used+w > width-1 {
			break
		}
		if r == ' ' {
			space = i
		}
		used += w
		end = i + len(string(r))
	}
	if end < len(s) && s[end] == ' ' {
		space = end
	}
	if space > 0 {
		end = space
	}
	return strings.TrimRight(s[:end], " ,;:(") + "…"
}

func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is how many terminal columns a rune takes: versions and tenants may be written in wide scripts.
func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}
