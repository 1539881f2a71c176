package scorecard

import (
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Summary is the data of drill.ended: what a finished drill leaves in the journal
// of those who practised. Durations are seconds of the drill's time from when the
// trouble began, null where it did not happen.
type Summary struct {
	Drill    string    `json:"drill"` // the name of its folder, by which it is known
	Scenario string    `json:"scenario"`
	Seed     uint64    `json:"seed"`
	Start    time.Time `json:"start"` // drill time
	Until    time.Time `json:"until"` // drill time
	Ended    time.Time `json:"ended"` // wall time
	// Cut: nobody ended it in order; whoever came next found it over.
	Cut bool `json:"cut,omitempty"`

	Wrong     bool        `json:"anything_wrong"` // false in a drill in which nothing was
	Shown     sources.Num `json:"shown_s"`
	Noticed   sources.Num `json:"noticed_s"`
	Declared  sources.Num `json:"declared_s"`
	Mitigated sources.Num `json:"mitigated_s"`
	Verified  sources.Num `json:"verified_s"`
	Category  bool        `json:"category_right"`
	Actions   int         `json:"actions"`
	Vain      int         `json:"wrong_actions"`
	Requests  int         `json:"requests"`
	Bad       int         `json:"bad_requests"`
	Users     int         `json:"users_affected"`
	CostUSD   float64     `json:"cost_usd"`
	Runs      []Practised `json:"runs,omitempty"`

	Journal string        `json:"journal,omitempty"` // of the drill, relative to the state folder; absent when there is none
	Head    *journal.Head `json:"head,omitempty"`    // of that journal, as it stood then
	Trouble string        `json:"trouble,omitempty"` // why its journal could not be read
}

// Practised is a run of a runbook within the drill.
type Practised struct {
	Run       string `json:"run"`
	Runbook   string `json:"runbook"`
	Hash      string `json:"hash"` // of the runbook as it was run
	Outcome   string `json:"outcome,omitempty"`
	Rehearsal bool   `json:"rehearsal,omitempty"`
}

// maxPractised bounds the runs that a summary names; the drill's journal has all of them.
const maxPractised = 50

// Summarise makes the summary of a drill from its account, its card and the
// entries of its journal. Where the drill is, its end and its head are the caller's to add.
func Summarise(o *Outcome, c *Card, entries []journal.Entry) Summary {
	return Summary{
		Scenario: c.Scenario, Seed: c.Seed, Start: o.Start.UTC(), Until: c.Until.UTC(), Wrong: !c.Began.IsZero(),
		Shown: c.Shown.Seconds, Noticed: c.Noticed.Seconds, Declared: c.Declared.Seconds, Mitigated: c.Mitigated.Seconds, Verified: c.Verified.Seconds,
		Category: c.Category.Right, Actions: len(c.Actions), Vain: len(c.Wrong),
		Requests: c.Requests, Bad: c.Bad, Users: c.Users, CostUSD: c.CostUSD, Runs: practised(entries),
	}
}

func practised(entries []journal.Entry) []Practised {
	var out []Practised
	at := map[string]int{}
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case journal.RunStarted:
			if len(out) == maxPractised {
				continue
			}
			d := dataOf(e)
			at[e.Run] = len(out)
			out = append(out, Practised{
				Run: clean(e.Run), Runbook: clean(d.str("runbook")), Hash: clean(d.str("hash")), Rehearsal: d.in("target").yes("rehearsal"),
			})
		case journal.RunEnded:
			if k, ok := at[e.Run]; ok {
				out[k].Outcome = clean(dataOf(e).str("outcome"))
			}
		}
	}
	return out
}
