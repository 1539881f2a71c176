package run

import (
	"encoding/json"
	"testing"
	"time"

	"rollcall/runbooks"
	"rollcall/store/journal"
)

// A question says what would happen with the values that it would happen with.
func TestAQuestionNamesWhatWouldBeSet(t *testing.T) {
	for script, want := range map[string]string{
		`rollcall setting set canary 0 --if-current "$SHARE"`:              `Move canary from 0.1 to 0: rollcall setting set canary 0 --if-current "0.1"`,
		`rollcall setting set "budget_$SCOPE" "$TO" --if-current "$LIMIT"`: `Move budget_day from 9800 to 12000: rollcall setting set "budget_day" "12000" --if-current "9800"`,
		`rollcall pin set prompt "$TO" --if-current "$LIMIT"`:              `Move prompt from 9800 to 12000: rollcall pin set prompt "12000" --if-current "9800"`,
	} {
		f := &fold{st: State{Vars: []Value{{Name: "SHARE", Value: "0.1"}, {Name: "SCOPE", Value: "day"}, {Name: "TO", Value: "12000"}, {Name: "LIMIT", Value: "9800"}}}}
		if got := f.does(&Step{Step: runbooks.Step{Script: script}}); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// Every check after a write waits for the same thing: that values no longer hold
// what was before it. Whoever waited for that once does not wait again.
func TestTheDelayOfAChecksFirstSampleCountsFromTheLastWrite(t *testing.T) {
	check := func(name string) runbooks.Step {
		return runbooks.Step{Name: name, Kind: runbooks.CheckOf, Check: &runbooks.Check{Signal: "schema_fail", InitialDelay: 5 * time.Minute}}
	}
	at := time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)
	f := &fold{}
	tell := func(after time.Duration, kind journal.Kind, data any) {
		t.Helper()
		b, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		f.apply(&journal.Entry{Kind: kind, At: at.Add(after), Run: "RUN-1", Data: b})
	}
	next := func(name string, want time.Duration) {
		t.Helper()
		if s := f.step(name); !s.NextAt.Equal(at.Add(want)) {
			t.Errorf("%s is measured first at %s, want %s", name, s.NextAt.Sub(at), want)
		}
	}
	tell(0, journal.RunStarted, Started{Runbook: "x", Steps: []runbooks.Step{
		check("ahead"),
		{Name: "apply", Kind: runbooks.Command, Effect: runbooks.Write},
		{Name: "look", Kind: runbooks.Command, Effect: runbooks.Read},
		check("first"), check("second"), check("late"),
	}})
	tell(0, journal.RunIntent, Intent{Step: "ahead", Attempt: 1})
	next("ahead", 5*time.Minute) // nothing was written: counted from itself
	tell(10*time.Minute, journal.RunIntent, Intent{Step: "apply", Attempt: 1})
	tell(11*time.Minute, journal.RunOutcome, StepEnded{Step: "apply", Attempt: 1, Status: Passed, Then: ThenNext})
	tell(12*time.Minute, journal.RunIntent, Intent{Step: "look", Attempt: 1})
	tell(12*time.Minute, journal.RunOutcome, StepEnded{Step: "look", Attempt: 1, Status: Passed, Then: ThenNext})
	tell(12*time.Minute, journal.RunIntent, Intent{Step: "first", Attempt: 1})
	next("first", 16*time.Minute)
	tell(18*time.Minute, journal.RunOutcome, StepEnded{Step: "first", Attempt: 1, Status: Passed, Then: ThenNext})
	tell(15*time.Minute, journal.RunIntent, Intent{Step: "second", Attempt: 1})
	next("second", 16*time.Minute)
	tell(40*time.Minute, journal.RunIntent, Intent{Step: "late", Attempt: 1})
	next("late", 40*time.Minute)

	f = &fold{}
	tell(0, journal.RunStarted, Started{Runbook: "x", Steps: []runbooks.Step{
		{Name: "sure", Kind: runbooks.Confirm, Phase: runbooks.Preconditions},
		{Name: "apply", Kind: runbooks.Command, Effect: runbooks.Write, Phase: runbooks.Steps},
		{Name: "flushed", Kind: runbooks.Confirm, Phase: runbooks.Steps},
		{Name: "seen", Kind: runbooks.Confirm, Phase: runbooks.Verify},
		check("after"),
	}})
	agree := func(after time.Duration, step string) {
		tell(after, RunAsked, Asked{Step: step, Ask: AskConfirm})
		tell(after+time.Minute, journal.RunAnswer, Answered{Step: step, Ask: AskConfirm, Verb: Go})
	}
	agree(0, "sure")
	tell(10*time.Minute, journal.RunIntent, Intent{Step: "apply", Attempt: 1})
	tell(11*time.Minute, journal.RunOutcome, StepEnded{Step: "apply", Attempt: 1, Status: Passed, Then: ThenNext})
	agree(20*time.Minute, "flushed")
	agree(22*time.Minute, "seen")
	tell(24*time.Minute, journal.RunIntent, Intent{Step: "after", Attempt: 1})
	next("after", 26*time.Minute) // what was flushed by hand at 21 is five minutes old; what was only looked at counts not
}
