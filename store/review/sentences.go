package review

import (
	"fmt"
	"strings"

	"rollcall/sources"
	"rollcall/store/journal"
)

const runAsked journal.Kind = "run.asked"

// Sentences say entries in words, the same in the review, in the console and on the
// command line. An entry leaves to others in which unit its value is: samples
// name only the step, the beginning of the run the signal, and alerts and
// snapshots that signal's unit.
type Sentences struct {
	signal map[string]string // by run and step
	unit   map[string]sources.Unit
}

// SentencesOf knows what these entries tell about each other.
func SentencesOf(entries []journal.Entry) *Sentences {
	u := &Sentences{map[string]string{}, map[string]sources.Unit{}}
	u.Learn(entries)
	return u
}

// Learn adds what further entries tell.
func (u *Sentences) Learn(entries []journal.Entry) {
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case journal.RunStarted:
			steps, _ := dataOf(e)["steps"].([]any)
			for _, s := range steps {
				if m, ok := s.(map[string]any); ok {
					u.signal[e.Run+"/"+data(m).str("name")] = data(m).in("check").str("signal")
				}
			}
		case journal.AlertFiring:
			d := dataOf(e)
			u.unit[d.str("signal")] = sources.Unit(d.str("unit"))
		case journal.SignalsSnapped:
			if snap, ok := SnapIn(e); ok {
				for _, s := range snap.Signals {
					u.unit[s.Signal] = s.Unit
				}
			}
		}
	}
}

func (u *Sentences) unitOf(run, step string) sources.Unit {
	if u == nil {
		return ""
	}
	return u.unit[u.signal[run+"/"+step]]
}

// Summary is an entry on one line: the sentence, the first line of its text, and the names of what belongs to it.
func (u *Sentences) Summary(e *journal.Entry) string {
	what, _ := u.describe(e)
	first, rest, _ := strings.Cut(strings.TrimSpace(e.Text), "\n")
	switch {
	case e.TextErased:
		first = "(its text was erased)"
	case strings.TrimSpace(rest) != "":
		first = fmt.Sprintf("%s (+%d lines)", first, strings.Count(strings.TrimSpace(rest), "\n")+1)
	}
	switch {
	case first == "":
	case e.Kind == journal.Noted:
		what = first
	default:
		what += ": " + first
	}
	for i := range e.Artifacts {
		a := &e.Artifacts[i]
		if a.Erased {
			what += " [" + a.Name + " erased]"
		} else {
			what += fmt.Sprintf(" [%s %d bytes]", a.Name, a.Bytes)
		}
	}
	return what
}
