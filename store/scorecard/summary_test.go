package scorecard

import (
	"encoding/json"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

func entry(t *testing.T, seq int64, kind journal.Kind, run string, data any) journal.Entry {
	t.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Entry{Seq: seq, Kind: kind, Run: run, Data: raw, At: time.Unix(seq, 0)}
}

func TestASummaryHasTheFiguresAndTheRunsOfTheDrill(t *testing.T) {
	type m = map[string]any
	entries := []journal.Entry{
		entry(t, 1, journal.RunStarted, "RUN-1", m{"runbook": "rollback-prompt", "hash": "5f", "target": m{"rehearsal": true}}),
		entry(t, 2, journal.RunStarted, "RUN-2", m{"runbook": "rollback-index", "hash": "6a", "target": m{}}),
		entry(t, 3, journal.RunEnded, "RUN-1", m{"outcome": "succeeded"}),
		entry(t, 4, journal.RunEnded, "RUN-9", m{"outcome": "succeeded"}),
	}
	o := Outcome{Scenario: "prompt-regression", Seed: 7, Start: time.Unix(1, 0), Until: time.Unix(9, 0)}
	c := Card{Scenario: "prompt-regression", Seed: 7, Began: time.Unix(2, 0), Wrong: []Action{{}}, Actions: []Action{{}, {}}, Requests: 10, Noticed: Moment{Seconds: sources.N(30)}}
	s := Summarise(&o, &c, entries)
	if s.Scenario != "prompt-regression" || s.Seed != 7 || !s.Wrong || s.Vain != 1 || s.Actions != 2 || s.Requests != 10 || s.Noticed != sources.N(30) || s.Declared.OK {
		t.Errorf("%+v", s)
	}
	if len(s.Runs) != 2 || s.Runs[0] != (Practised{"RUN-1", "rollback-prompt", "5f", "succeeded", true}) || s.Runs[1].Outcome != "" {
		t.Errorf("runs %+v", s.Runs)
	}
}
