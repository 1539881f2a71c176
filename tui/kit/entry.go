package kit

import (
	"strings"

	"rollcall/sources"
	"rollcall/store/journal"
)

// EntrySummary says what an entry records, in one line: its words, or else its facts.
func EntrySummary(e *journal.Entry) string {
	var parts []string
	if e.TextErased {
		parts = append(parts, "(its text was erased)")
	} else if e.Text != "" {
		first, rest, more := strings.Cut(strings.TrimSpace(e.Text), "\n")
		if more && strings.TrimSpace(rest) != "" {
			first += " …"
		}
		parts = append(parts, first)
	}
	if len(e.Data) > 0 && string(e.Data) != "null" {
		s := Summarize(&sources.LogLine{Line: string(e.Data)})
		if s.Message != "" {
			parts = append(parts, s.Message)
		}
		for _, f := range s.Fields {
			if v := strings.TrimSpace(f.Value); v != "" && v != "null" && len(v) <= 120 {
				parts = append(parts, f.Key+"="+v)
			}
		}
	}
	for i := range e.Artifacts {
		parts = append(parts, "["+e.Artifacts[i].Name+"]")
	}
	return strings.Join(parts, "  ")
}

// EntryVerdict is how much an entry deserves a look.
func EntryVerdict(e *journal.Entry) sources.Verdict {
	switch e.Kind {
	case journal.AlertFiring, journal.IncidentOpened:
		return sources.Bad
	case journal.ChangeSeen, journal.PinSet, journal.FeatureSet, journal.RunIntent, journal.Erased:
		return sources.Watch
	}
	return sources.OK
}
