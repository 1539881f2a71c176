package readiness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

var now = time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

const day = 24 * time.Hour

// ready is a team that has done all of it.
func ready() *Evidence {
	e := &Evidence{
		Service: "assistant", Now: now, Evals: true,
		Requests: RequestsSeen{Over: day, N: 500, Traffic: true, Opened: 3, Texts: 3, Parts: []Share{{What: "request ID", N: 500, Of: 500}, {What: "manifest", N: 499, Of: 500}}},
		Fatigue:  Fatigue{Over: 28 * day, Firings: 6, Rules: 3, Acted: sources.N(.8), PerShift: sources.N(.2)},
		Meanings: Meanings{Severities: []Meaning{{"SEV1", "x", true}, {"SEV2", "x", true}}},
		Budgets: Budgets{
			Scopes: []string{"day", "period", "hour", "user_hour", "request"}, Features: true,
			Caches: []Signal{{"cache_exact", sources.CostPane, sources.OK}}, Fallback: []Signal{{"fallback_rate", sources.HealthPane, sources.NoTraffic}},
		},
		Logs:      LogsSeen{Over: 6 * time.Hour, N: 600, Structured: 600, Identified: 560, Field: "request_id"},
		Incidents: Incidents{Closed: []Closed{{ID: "INC-1", At: ago(9 * day), Cases: 2}}},
		Practice:  Practice{Drill: Drill{At: ago(12 * day), Scenario: "index-drift", Verified: true}},
	}
	e.Runbooks.Target = true
	for _, c := range []sources.Component{sources.Prompt, sources.Model, sources.Index} {
		e.Pins.Pins = append(e.Pins.Pins, Pin{Component: c, Version: "v1"})
		e.Runbooks.Books = append(e.Runbooks.Books, Book{ID: "rollback-" + string(c), Component: c, Every: 30 * day, Rehearsed: Done{ago(9 * day), "RUN-3", true}})
	}
	for _, a := range areas {
		for _, id := range a.ids {
			e.Signals.Signals = append(e.Signals.Signals, Signal{ID: id, Verdict: sources.OK})
		}
	}
	return e
}

func of(t *testing.T, e *Evidence, id string) Answer {
	t.Helper()
	r := Judge(e)
	for _, a := range r.Answers {
		if a.ID == id {
			return a
		}
	}
	t.Fatalf("no answer to %s", id)
	return Answer{}
}

func TestATeamThatHasDoneAllOfItIsToldSo(t *testing.T) {
	r := Judge(ready())
	if len(r.Answers) != 9 {
		t.Fatalf("%d answers", len(r.Answers))
	}
	for _, a := range r.Answers {
		if a.Answer != Yes || a.Why == "" || len(a.Evidence) == 0 {
			t.Errorf("%s: %s, %s", a.ID, a.Answer, a.Why)
		}
	}
}

func TestWhereNothingIsConfiguredTheAnswersAreNoOrCannotTellAndEachSaysWhatToDo(t *testing.T) {
	r := Judge(&Evidence{Service: "assistant", Now: now, Requests: RequestsSeen{Over: day}, Meanings: Meanings{Severities: []Meaning{{"SEV1", "x", false}}}})
	want := map[string]Word{
		Reproduce: CannotTell, RollBack: No, Dashboards: No, Alerts: CannotTell, Response: Partly, Cost: No, Logs: CannotTell, Cases: CannotTell, Rehearsed: No,
	}
	for _, a := range r.Answers {
		if a.Answer != want[a.ID] {
			t.Errorf("%s is answered %q (%s), want %q", a.ID, a.Answer, a.Why, want[a.ID])
		}
		if a.Next == "" || strings.Contains(a.Next, "\n") {
			t.Errorf("%s says nothing to do in one line: %q", a.ID, a.Next)
		}
	}
}

func TestASourceThatIsDownNeverMakesANo(t *testing.T) {
	const why = "connection refused; is it running?"
	e := &Evidence{Service: "assistant", Now: now, Evals: true, Meanings: Meanings{Severities: []Meaning{{"SEV1", "x", true}}}}
	for _, u := range []*string{
		&e.Requests.Unknown, &e.Pins.Unknown, &e.Runbooks.Unknown, &e.Signals.Unknown, &e.Fatigue.Unknown, &e.Budgets.Unknown,
		&e.Logs.Unknown, &e.Incidents.Unknown, &e.Practice.Unknown,
	} {
		*u = why
	}
	for _, a := range Judge(e).Answers {
		if a.Answer != CannotTell {
			t.Errorf("%s is answered %q (%s)", a.ID, a.Answer, a.Why)
		}
		if !strings.Contains(a.Why, "connection refused") || a.Next != "is it running?" {
			t.Errorf("%s: why %q, next %q", a.ID, a.Why, a.Next)
		}
	}
	// Also one by one: a part that is unknown takes nothing away from what is known.
	for _, spoil := range []func(*Evidence){
		func(e *Evidence) { e.Requests = RequestsSeen{Unknown: why} }, func(e *Evidence) { e.Pins = Pins{Unknown: why} },
		func(e *Evidence) { e.Runbooks.Unknown = why }, func(e *Evidence) { e.Runbooks.History = why }, func(e *Evidence) { e.Signals = Signals{Unknown: why} },
		func(e *Evidence) { e.Fatigue.Unknown = why }, func(e *Evidence) { e.Logs = LogsSeen{Unknown: why} },
		func(e *Evidence) { e.Incidents = Incidents{Unknown: why} }, func(e *Evidence) { e.Practice = Practice{Unknown: why} },
		func(e *Evidence) { e.Pins.Pins[0].Problem, e.Pins.Pins[0].Away = "no route to host", true },
		func(e *Evidence) {
			for i := range e.Signals.Signals {
				e.Signals.Signals[i].Verdict = sources.Unreachable
			}
		},
		func(e *Evidence) {
			e.Budgets.Caches[0].Verdict, e.Budgets.Fallback = sources.Unreachable, nil
			e.Budgets.Unknown = why
		},
	} {
		e := ready()
		spoil(e)
		told := 0
		for _, a := range Judge(e).Answers {
			if a.Answer == No || a.Answer == Partly {
				t.Errorf("%s became %q (%s)", a.ID, a.Answer, a.Why)
			}
			if a.Answer == CannotTell {
				told++
			}
		}
		if told == 0 {
			t.Error("something is unknown, and everything is told")
		}
	}
}

func TestAFactThatIsNotKnownCountsOnlyWhereItCouldChangeTheAnswer(t *testing.T) {
	for _, c := range []struct {
		says []Word
		want Word
	}{
		{nil, CannotTell},
		{[]Word{""}, CannotTell},
		{[]Word{Yes, ""}, Yes},
		{[]Word{Yes, CannotTell}, CannotTell},
		{[]Word{No, CannotTell}, CannotTell},
		{[]Word{Yes, No, CannotTell}, Partly},
		{[]Word{Partly, CannotTell}, Partly},
		{[]Word{Yes, No}, Partly},
		{[]Word{No, No}, No},
	} {
		var facts []Fact
		for _, w := range c.says {
			facts = append(facts, Fact{Says: w})
		}
		if got := weigh(facts); got != c.want {
			t.Errorf("%v is %q, want %q", c.says, got, c.want)
		}
	}
}

func TestRequestsThatLeaveNoRecordAreANoOnlyWhenThereAreRequests(t *testing.T) {
	e := ready()
	e.Requests = RequestsSeen{Over: day}
	if a := of(t, e, Reproduce); a.Answer != CannotTell {
		t.Errorf("without any request: %q", a.Answer)
	}
	e.Requests.Traffic = true
	if a := of(t, e, Reproduce); a.Answer != No {
		t.Errorf("with traffic: %q", a.Answer)
	}
	e = ready()
	e.Requests.Parts[1].N = 300
	if a := of(t, e, Reproduce); a.Answer != Partly || !strings.Contains(a.Why, "manifest: in 300 of 500") {
		t.Errorf("%q, %s", a.Answer, a.Why)
	}
	e.Requests.Parts = []Share{{What: "request ID", N: 3, Of: 3}}
	if a := of(t, e, Reproduce); a.Answer != CannotTell || !strings.Contains(a.Why, "too few") {
		t.Errorf("three requests: %q, %s", a.Answer, a.Why)
	}
}

func TestARehearsalCountsWhileItIsYoungAndOfTheRunbookAsItStands(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Book)
		want   Word
		why    string
	}{
		{"never", func(b *Book) { b.Rehearsed = Done{} }, No, "never rehearsed"},
		{"changed", func(b *Book) { b.Rehearsed.Same = false }, Partly, "has changed since it was rehearsed 9 days ago (RUN-3)"},
		{"old", func(b *Book) { b.Rehearsed.At = ago(31 * day) }, Partly, "every 30 days is wanted"},
		{"any age", func(b *Book) { b.Rehearsed.At, b.Every = ago(300*day), 0 }, Yes, "300 days ago"},
		{"run for real", func(b *Book) { b.Rehearsed, b.Run = Done{}, Done{ago(2 * day), "RUN-9", true} }, Yes, "run for real 2 days ago (RUN-9)"},
		{"old run of another version", func(b *Book) { b.Rehearsed, b.Run = Done{}, Done{ago(2 * day), "RUN-9", false} }, No, "never rehearsed"},
		{"in a drill", func(b *Book) { b.Rehearsed, b.Practised = Done{}, Done{ago(day), "x", true} }, Partly, "practised in a drill"},
		{"cannot be run", func(b *Book) { b.Problem = "no abort" }, No, "no runbook that can be run moves it"},
		{"in the future", func(b *Book) { b.Rehearsed.At = now.Add(day) }, CannotTell, "after now: how old that is cannot be told"},
		{"by a clock that is a moment ahead", func(b *Book) { b.Rehearsed.At = now.Add(time.Minute) }, Yes, "0 s ago"},
	} {
		e := ready()
		c.change(&e.Runbooks.Books[0])
		f := ofComponent(e, sources.Prompt)
		if f.Says != c.want || !strings.Contains(f.Detail, c.why) {
			t.Errorf("%s: %q, %q", c.name, f.Says, f.Detail)
		}
	}
	// Of two runbooks for a component the better one counts.
	e := ready()
	e.Runbooks.Books = append([]Book{{ID: "other", Component: sources.Prompt}}, e.Runbooks.Books...)
	if f := ofComponent(e, sources.Prompt); f.Says != Yes {
		t.Errorf("%q, %s", f.Says, f.Detail)
	}
	// Of two that are as good the one that is for going back is named.
	if f := rollBack(e)[0]; !strings.Contains(f.Detail, "rollback-prompt moves it") {
		t.Error(f.Detail)
	}
	e.Runbooks.Books[1].Rehearsed = Done{}
	if f := ofComponent(e, sources.Prompt); !strings.Contains(f.Next, "rehearse rollback-prompt") {
		t.Errorf("%s, %s", f.Detail, f.Next)
	}
}

func TestADrillIsForgottenAfterAQuarter(t *testing.T) {
	e := ready()
	e.Practice.Drill.At = ago(100 * day)
	if a := of(t, e, Rehearsed); a.Answer != Partly || !strings.Contains(a.Next, "rollcall drill") {
		t.Errorf("%q, %s", a.Answer, a.Next)
	}
	e.Practice.Drill = Drill{}
	if a := of(t, e, Rehearsed); a.Answer != Partly || !strings.Contains(a.Why, "last drill: never") {
		t.Errorf("%q, %s", a.Answer, a.Why)
	}
}

func TestSecretsInLogsAreCountedByKindAndAreANo(t *testing.T) {
	e := ready()
	e.Logs.Hits = map[string]int{"email": 9, "api-key": 1, "ip": 0}
	a := of(t, e, Logs)
	if a.Answer != Partly || !strings.Contains(a.Why, "10 in 600 lines that rollcall had to hide: email 9, api-key 1;") {
		t.Errorf("%q, %s", a.Answer, a.Why)
	}
	e.Logs.Structured, e.Logs.Identified = 0, 0
	if a := of(t, e, Logs); a.Answer != No {
		t.Errorf("%q", a.Answer)
	}
	e = ready()
	e.Logs.N, e.Logs.Structured, e.Logs.Identified = 4, 4, 4
	if a := of(t, e, Logs); a.Answer != CannotTell {
		t.Errorf("four lines: %q, %s", a.Answer, a.Why)
	}
}

func TestAlertsAreJudgedAfterAWeekAndTheUselessAreNamed(t *testing.T) {
	e := ready()
	e.Fatigue.Over = 3 * day
	if a := of(t, e, Alerts); a.Answer != CannotTell {
		t.Errorf("after three days: %q", a.Answer)
	}
	e = ready()
	e.Fatigue.Useless = []string{"ttft_p95"}
	if a := of(t, e, Alerts); a.Answer != Partly || !strings.Contains(a.Why, "ttft_p95") || !strings.Contains(a.Next, "retire or retune ttft_p95") {
		t.Errorf("%q, %s", a.Answer, a.Why)
	}
	e = ready()
	e.Fatigue.PerShift = sources.N(7)
	if a := of(t, e, Alerts); a.Answer != Partly {
		t.Errorf("seven pages a shift: %q", a.Answer)
	}
}

func TestIncidentsAreJudgedByTheCasesTheyLeft(t *testing.T) {
	for _, c := range []struct {
		closed []Closed
		want   Word
	}{
		{nil, CannotTell},
		{[]Closed{{ID: "INC-1", Cases: 1}}, Yes},
		{[]Closed{{ID: "INC-1", Cases: 1}, {ID: "INC-2", Reason: "a provider's outage"}}, Partly},
		{[]Closed{{ID: "INC-2", Reason: "a provider's outage"}}, Partly}, // the suite is there
	} {
		e := ready()
		e.Incidents.Closed = c.closed
		if a := of(t, e, Cases); a.Answer != c.want {
			t.Errorf("%v: %q, %s", c.closed, a.Answer, a.Why)
		}
	}
	e := ready()
	e.Incidents.Closed, e.Evals = []Closed{{ID: "INC-2"}}, false
	if a := of(t, e, Cases); a.Answer != No {
		t.Errorf("%q", a.Answer)
	}
}

func TestAnIncidentThatStaysOpenIsNamedWithItsAge(t *testing.T) {
	e := ready()
	e.Incidents.Open = []Open{{"INC-2", "mitigated", ago(3 * time.Hour)}}
	if a := of(t, e, Response); a.Answer != Yes {
		t.Errorf("three hours: %q, %s", a.Answer, a.Why)
	}
	e.Incidents.Open[0].Since = ago(12 * day)
	if a := of(t, e, Response); a.Answer != Partly || !strings.Contains(a.Why, "INC-2, mitigated for 12 days") {
		t.Errorf("twelve days: %q, %s", a.Answer, a.Why)
	}
}

func TestBudgetsOfTheDayAndOfOneRequestAreWanted(t *testing.T) {
	for _, c := range []struct {
		scopes []string
		metric bool
		want   Word
	}{
		{nil, false, No},
		{nil, true, Yes},
		{[]string{"day"}, false, Partly},
		{[]string{"request"}, false, Partly},
		{[]string{"period", "user_hour", "request"}, false, Yes},
	} {
		e := ready()
		e.Budgets.Scopes, e.Budgets.Metric = c.scopes, c.metric
		if f := cost(e)[0]; f.Says != c.want {
			t.Errorf("%v %v: %q, %s", c.scopes, c.metric, f.Says, f.Detail)
		}
	}
}

func TestLongListsStayOneLine(t *testing.T) {
	e := ready()
	for i := range 5000 {
		e.Incidents.Open = append(e.Incidents.Open, Open{fmt.Sprintf("INC-%d", i), "open", ago(30 * day)})
		e.Fatigue.Useless = append(e.Fatigue.Useless, fmt.Sprintf("rule-%d", i))
		e.Runbooks.Books = append(e.Runbooks.Books, Book{ID: fmt.Sprintf("book-%d", i), Problem: "broken"})
	}
	for _, a := range Judge(e).Answers {
		for _, f := range a.Evidence {
			if len(f.Detail) > 300 {
				t.Errorf("%s: %d bytes", f.What, len(f.Detail))
			}
		}
	}
}
