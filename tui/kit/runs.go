package kit

import (
	"fmt"
	"time"

	"charm.land/lipgloss/v2"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/tui/theme"
)

// StepLook returns the shape, the word and the style of a step's state.
func StepLook(t *theme.Theme, s run.Status) (glyph, word string, style lipgloss.Style) {
	g := &t.Glyphs
	switch s {
	case run.Passed:
		return g.Passed, "passed", t.OK
	case run.Failed:
		return g.Failed, "failed", t.Bad
	case run.Inconclusive:
		return g.Unsure, "inconclusive", t.Watch
	case run.Running:
		return g.Doing, "running", t.Accent
	case run.Waiting:
		return g.Doing, "waits", t.Watch
	case run.Skipped:
		return g.Skipped, "skipped", t.Dim
	}
	return g.Todo, "to do", t.Dim
}

// InARow counts the passes at the end of a check's samples.
func InARow(s *run.Step) int {
	n := 0
	for i := len(s.Samples) - 1; i >= 0 && s.Samples[i].Verdict == run.Passed; i-- {
		n++
	}
	return n
}

// RunPlace says where a run stands: "quality 2/3" is a check with two of the
// three passes in a row that it needs, "apply 3/8" the third step.
func RunPlace(s *run.State) string {
	if s.Current < 0 || s.Current >= len(s.Steps) {
		return ""
	}
	st := &s.Steps[s.Current]
	if st.Kind == runbooks.CheckOf && st.Check != nil && st.Check.ConsecutivePass > 0 {
		return fmt.Sprintf("%s %d/%d", st.Name, min(InARow(st), st.Check.ConsecutivePass), st.Check.ConsecutivePass)
	}
	total := 0
	at := 0
	for i := range s.Steps {
		if (s.Steps[i].Phase == runbooks.Abort) != (st.Phase == runbooks.Abort) {
			continue
		}
		total++
		if i == s.Current {
			at = total
		}
	}
	return fmt.Sprintf("%s %d/%d", st.Name, at, total)
}

// RunWord says in a word or two what a run does or what it needs.
func RunWord(t *theme.Theme, s *run.State) (glyph, word string, style lipgloss.Style) {
	g := &t.Glyphs
	switch {
	case s.Outcome == run.Succeeded:
		return g.Passed, "succeeded", t.OK
	case s.Outcome == run.Aborted:
		return g.Failed, "aborted", t.Watch
	case s.Outcome == run.Escalated:
		return g.Bad, "escalated", t.Bad
	case s.Outcome == run.Stopped:
		return g.Skipped, "stopped", t.Watch
	case s.Interrupted():
		return g.Unsure, "interrupted", t.Watch
	case s.Ask != run.AskNothing:
		return g.Watch, "waits for you", t.Watch
	case s.Aborting:
		return g.Doing, "aborting", t.Watch
	}
	return g.Doing, "goes on", t.Accent
}

// Elapsed writes the length of an incident or a run as a clock: "00:12:31".
func Elapsed(d time.Duration) string {
	d = max(0, d).Truncate(time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", int(d/time.Hour), int(d/time.Minute)%60, int(d/time.Second)%60)
}
