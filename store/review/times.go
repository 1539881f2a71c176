package review

import (
	"fmt"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// times finds the moments of the incident, and the durations between them.
func (b *builder) times() {
	inc := &b.inc
	b.moments = map[string]Moment{}
	add := func(name string, at time.Time, why, missing string) {
		m := Moment{Name: name, At: utc(at), Why: why}
		if at.IsZero() {
			m.Why = missing
		}
		b.moments[name] = m
		b.r.Times = append(b.r.Times, m)
	}
	set := func(what string) string { return "set it with rollcall incident set " + inc.ID + " " + what }
	detected, how := b.detected()
	acknowledged, ackHow := b.acknowledged()
	add("began", inc.Began, "", "nobody said when the trouble began; "+set("began TIME"))
	add("detected", detected, how, "no signal was seen turning bad")
	add("acknowledged", acknowledged, ackHow, "nobody acknowledged it")
	add("opened", inc.Opened, "", "the journal does not say")
	add("mitigated", inc.Mitigated, "", "not marked; "+set("mitigated"))
	add("resolved", inc.Resolved, "", "not marked; "+set("resolved"))
	add("closed", inc.Closed, "", "still open")
	b.duration("time to detect", "detected", "began")
	b.duration("time to acknowledge", "acknowledged", "detected")
	b.duration("time to declare", "opened", "detected")
	b.duration("time to mitigate", "mitigated", "began")
	b.duration("time to resolve", "resolved", "began")
	b.duration("time open", "closed", "opened")
}

// detected is when a verdict first said so: as the incident knows it, or else
// the first alert of its signals after it began.
func (b *builder) detected() (at time.Time, how string) {
	if !b.inc.Detected.IsZero() {
		return b.inc.Detected, ""
	}
	for i := range b.all {
		e := &b.all[i]
		if e.Kind != journal.AlertFiring || e.At.Before(b.inc.Began) || e.At.After(b.inc.Opened) {
			continue
		}
		d := dataOf(e)
		if len(b.inc.Signals) > 0 && !contains(b.inc.Signals, d.str("signal")) {
			continue
		}
		return e.At, fmt.Sprintf("the first alert of it, #%d", e.Seq)
	}
	return time.Time{}, ""
}

// acknowledged is when a person first took it up.
func (b *builder) acknowledged() (at time.Time, how string) {
	if !b.inc.Acknowledged.IsZero() {
		return b.inc.Acknowledged, ""
	}
	for i := range b.all {
		e := &b.all[i]
		if e.Kind == journal.AlertAcknowledged && (b.inc.Opened.IsZero() || e.At.Before(b.inc.Opened)) {
			return e.At, fmt.Sprintf("the alert was acknowledged, #%d", e.Seq)
		}
	}
	if b.inc.OpenedBy != "" {
		return b.inc.Opened, "a person opened it"
	}
	return time.Time{}, ""
}

func (b *builder) duration(name, to, from string) {
	end, start := b.moments[to], b.moments[from]
	d := Duration{Name: name}
	switch {
	case end.At.IsZero():
		d.Formula = fmt.Sprintf("not known: %s is not known (%s)", to, end.Why)
	case start.At.IsZero():
		d.Formula = fmt.Sprintf("not known: %s is not known (%s)", from, start.Why)
	default:
		span := end.At.Sub(start.At)
		d.Seconds = sources.N(span.Seconds())
		d.Formula = fmt.Sprintf("%s %s − %s %s = %s", to, clock(end.At, start.At), from, clock(start.At, end.At), length(span))
		if span < 0 {
			d.Formula += "; negative, so one of the two times is wrong"
		}
	}
	b.r.Durations = append(b.r.Durations, d)
}

// severities adds up the time in each severity, until the incident was resolved
// or closed, or until now.
func (b *builder) severities() {
	end, open := b.inc.Resolved, false
	if end.IsZero() {
		end = b.inc.Closed
	}
	if end.IsZero() {
		end, open = b.Now, true
	}
	var list []Stretch
	for i := range b.own {
		e := &b.own[i]
		if e.Kind != journal.IncidentOpened && e.Kind != journal.IncidentUpdated {
			continue
		}
		sev := journal.Severity(dataOf(e).str("severity"))
		if sev == "" || len(list) > 0 && list[len(list)-1].Severity == sev {
			continue
		}
		at := e.At
		if e.Kind == journal.IncidentOpened && !b.inc.Opened.IsZero() {
			at = b.inc.Opened
		}
		list = append(list, Stretch{Severity: sev, From: utc(at), Seq: e.Seq})
	}
	if len(list) == 0 && b.inc.Severity != "" {
		list = []Stretch{{Severity: b.inc.Severity, From: utc(b.inc.Opened), Seq: b.inc.FirstSeq}}
	}
	for i := range list {
		to := end
		if i+1 < len(list) {
			to = list[i+1].From
		} else {
			list[i].Open = open
		}
		if to.Before(list[i].From) {
			to = list[i].From
		}
		list[i].To, list[i].Seconds = utc(to), to.Sub(list[i].From).Seconds()
	}
	b.r.Severities = append([]Stretch{}, list...)
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// clock writes a time of day, with its day when the other time is of another.
func clock(t, other time.Time) string {
	t, other = t.UTC(), other.UTC()
	if t.Format(time.DateOnly) == other.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// stamp writes a time in full.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// length writes a duration to the second: "5m10s", "2h03m00s", "3d04h".
func length(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	s := int64(d.Round(time.Second) / time.Second)
	h, m, s := s/3600, s/60%60, s%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%s%dd%02dh", sign, h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%s%dh%02dm%02ds", sign, h, m, s)
	case m > 0:
		return fmt.Sprintf("%s%dm%02ds", sign, m, s)
	}
	return fmt.Sprintf("%s%ds", sign, s)
}

func seconds(s float64) string { return length(time.Duration(s * float64(time.Second))) }

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func verifyCommand(h journal.Head) string {
	if h.Hash == "" {
		return "rollcall journal verify"
	}
	return fmt.Sprintf("rollcall journal verify --head %d:%s", h.Seq, h.Hash)
}

func (b *builder) gap(format string, args ...any) {
	b.r.Gaps = append(b.r.Gaps, strings.TrimSpace(fmt.Sprintf(format, args...)))
}
