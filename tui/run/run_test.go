package run

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

func newDriver(t *testing.T) *panetest.Driver {
	t.Helper()
	return panetest.New(t, New(), 120, 31)
}

func noticed(t *testing.T, d *panetest.Driver, words string) {
	t.Helper()
	d.Until("a notice says "+words, func() bool {
		for i, m := range d.Sent {
			if n, ok := m.(pane.NoticeMsg); ok && strings.Contains(n.Text, words) {
				d.Sent = d.Sent[i+1:]
				return true
			}
		}
		return false
	})
}

func answered(d *panetest.Driver, n int) []run.Answer {
	d.Until("the run got the answer", func() bool { return len(d.Desk.Answers()) >= n && !d.Pane.(*Pane).sending })
	return d.Desk.Answers()
}

func TestThePlanSaysEverythingBeforeAnythingRuns(t *testing.T) {
	d := newDriver(t)
	d.Desk.Planned = func(p *run.Plan) { p.Doubts = []string{"changed since its last rehearsal"} }
	plan(d)
	for _, words := range []string{
		"Schema failures 9.1%; prompt v13→v14 at 02:31", "BAD     v14", "from suspect prompt", "GOOD    v13", "rollcall pin last-good prompt --not v14",
		"changed since its last rehearsal", "changes something: asks first", "type TICKET: Which ticket",
	} {
		d.Shows(words)
	}
	if _, began := d.Desk.Last(journal.RunStarted); began {
		t.Fatal("a plan started a run")
	}
	d.Press("enter")
	d.Type("OPS-7")
	d.Press("enter")
	d.Shows("typed by you")
	d.Shows("target and before run first and change nothing; then it asks before apply, the first that changes")
}

func TestAVariableCanBeChangedBeforeTheStart(t *testing.T) {
	d := newDriver(t)
	plan(d)
	d.Press("down", "e")
	d.Press("backspace", "backspace")
	d.Type("12")
	d.Press("enter")
	d.Shows("GOOD    v12")
}

func TestAPlanThatCannotBeMadeSaysWhyAndIsTriedAgain(t *testing.T) {
	d := newDriver(t)
	d.Desk.Refuse(errors.New("the pin of prompt cannot be read: connection refused; start the admin API"))
	d.Do(d.Pane.Open(d.C, pane.PlanOf("rollback-prompt")))
	d.Shows("There is no plan: the pin of prompt cannot be read")
	d.Desk.Refuse(nil)
	d.Press("enter")
	d.Shows("frozen")
}

func TestAnOldPlanIsResolvedAgainBeforeItStarts(t *testing.T) {
	d := newDriver(t)
	d.Desk.Planned = func(p *run.Plan) { p.Vars = p.Vars[:2] }
	plan(d)
	d.C.Wall = d.C.Wall.Add(2 * stalePlan)
	d.Desk.Planned = func(p *run.Plan) { p.Vars = p.Vars[:2]; p.Vars[0].Value = "v15" }
	d.Press("enter")
	noticed(t, d, "resolved again")
	d.Shows("BAD   v15")
	d.Press("enter")
	d.Shows("apply moves prompt")
}

func TestAPlanIsMadeAnewForAnotherService(t *testing.T) {
	d := newDriver(t)
	plan(d)
	d.C.Service = tuitest.Quiet
	d.Do(d.Pane.Refresh(d.C))
	d.Shows("Acts on billing-assistant")
}

func TestAWriteNeedsEnterOnTheQuestionOfItsStep(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Press("x", "q") // abort, then not
	noticed(t, d, "Nothing was done")
	d.Press("enter")
	a := answered(d, 1)
	if a[0] != (run.Answer{Step: "apply", Verb: run.Go}) {
		t.Fatalf("the run got %+v", a[0])
	}
	d.Shows("prompt is v13 now")
}

func TestAKeyPressedForWhatStoodThereBeforeAnswersNothing(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.C.Wall = d.C.Wall.Add(time.Hour)
	d.Desk.Set("RUN-3", func(s *run.State) { s.Steps[2].Attempt = 2 }) // the question is another one now
	d.Until("the new question is shown", func() bool { return strings.HasSuffix(d.Pane.(*Pane).question.of, " 2") })
	d.Press("enter")
	noticed(t, d, "only just appeared")
	for range 20 { // a key held down repeats for seconds
		d.C.Wall = d.C.Wall.Add(settle / 2)
		d.Press("enter")
	}
	if n := len(d.Desk.Answers()); n != 0 {
		t.Fatalf("a held key gave %d answers", n)
	}
	d.C.Wall = d.C.Wall.Add(2 * settle)
	d.Press("enter")
	answered(d, 1)
}

func TestAnAnswerIsSentOnlyOnce(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Press("enter", "enter", "enter")
	answered(d, 1)
	d.Shows("prompt is v13 now")
	if n := len(d.Desk.Answers()); n != 1 {
		t.Fatalf("three presses gave %d answers", n)
	}
}

func TestAbortAsksOnceMoreAndOnlyForTheStepItWasAskedAt(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Press("x")
	d.Shows("Abort RUN-3?")
	d.Desk.Measure("RUN-3", 2) // somebody else said go
	d.Shows("quality goes on")
	if d.Pane.Capturing() {
		t.Fatal("the question about apply still waits for its key")
	}
	d.Press("y")
	d.Press("x", "y")
	if a := answered(d, 1); a[0].Step != "quality" || a[0].Verb != run.Undo {
		t.Fatalf("the run got %+v", a)
	}
}

func TestSkippingNeedsAReason(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Press("s")
	d.Shows("Why is apply left out?")
	d.Press("enter")
	noticed(t, d, "A few words are needed")
	d.Type("moved by hand")
	d.Press("enter")
	if a := answered(d, 1); a[0] != (run.Answer{Step: "apply", Verb: run.Skip, Text: "moved by hand"}) {
		t.Fatalf("the run got %+v", a[0])
	}
}

func TestAReasonTypedForAStepThatTheRunHasLeftIsNotSent(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Press("s")
	d.Type("too late")
	d.Desk.Measure("RUN-3", 1)
	d.Shows("quality goes on")
	if d.Pane.Capturing() {
		t.Fatal("the reason is still being typed")
	}
	d.Press("enter")
	noticed(t, d, "Nothing is asked now")
	if n := len(d.Desk.Answers()); n != 0 {
		t.Fatalf("%d answers were given", n)
	}
}

func TestARefusedAnswerSaysWhy(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Desk.Refuse(errors.New("the journal cannot be written: disk full; free some space"))
	d.Press("enter")
	noticed(t, d, "disk full")
}

func TestLeavingGoesOnAndComingBackShowsWhereItIs(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Pane.Left()
	d.Desk.Measure("RUN-3", 4)
	d.Do(d.Pane.Open(d.C, "RUN-3"))
	d.Shows("quality 1/3")
	d.Desk.Measure("RUN-3", 5)
	d.Shows("quality 2/3")
}

func TestAnInterruptedRunIsResumedByOneKey(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Desk.Set("RUN-3", func(s *run.State) { s.Driver = "" })
	d.Shows("Nobody drives this run any more")
	d.Press("enter") // answers nothing: nobody would hear it
	d.C.Wall = d.C.Wall.Add(2 * settle)
	d.Press("r")
	d.Shows("waits for you")
	if n := len(d.Desk.Answers()); n != 0 {
		t.Fatalf("%d answers were given", n)
	}
}

func TestAnotherStepCanBeLookedAtAndAQuestionComesBackToTheScreen(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Desk.Measure("RUN-3", 3)
	d.Shows("quality goes on")
	d.Press("up", "up")
	d.Shows("prompt is v13 now")
	d.Desk.Set("RUN-3", escalated)
	d.Shows("measure again")
	d.Shows("quality · inconclusive")
}

func TestNothingThatActsWorksWithoutAJournal(t *testing.T) {
	d := newDriver(t)
	d.Desk.Trouble("disk full; free some space")
	plan(d)
	d.Press("enter")
	d.Type("x")
	d.Press("enter")
	d.Until("the variable is taken", func() bool { p := d.Pane.(*Pane); return len(p.plan.Missing()) == 0 && !p.loading })
	d.Press("enter")
	noticed(t, d, "nothing acts while nothing can be written down")
	d.Shows("disk full")
}

func TestEveryAnswerIsListedOnASmallScreenAndWhatIsCutSaysSo(t *testing.T) {
	d := panetest.New(t, New(), 80, 20)
	started(d)
	long := strings.Repeat("put the old version back and say so; ", 6)
	d.Desk.Set("RUN-3", func(s *run.State) {
		s.Steps[2].Why = "it changes something: a person says go"
		s.Ask, s.Question = run.AskGo, "Question: "+long
		s.Choices = nil
		for _, v := range []run.Verb{run.Go, run.Again, run.Accept, run.Skip, run.Undo, run.Stop} {
			s.Choices = append(s.Choices, run.Choice{Answer: run.Answer{Step: "apply", Verb: v}, Does: string(v) + ": " + long})
		}
	})
	d.Shows("Question:")
	screen := d.Screen()
	listed := 0
	for _, line := range strings.Split(screen, "\n") {
		for _, k := range []string{"enter", "r", "a", "s", "x", "S"} {
			if strings.HasPrefix(line, " "+k+" ") {
				listed++
				if !strings.HasSuffix(strings.TrimRight(line, " "), "…") && k != "enter" {
					t.Errorf("what %s would do is cut without a sign: %q", k, line)
				}
			}
		}
	}
	if listed != 6 {
		t.Errorf("%d of 6 answers are listed:\n%s", listed, screen)
	}
	if strings.Contains(screen, "a person says go") {
		t.Errorf("the question is there twice:\n%s", screen)
	}
}

func TestHostileOutputStaysOnItsLine(t *testing.T) {
	d := newDriver(t)
	started(d)
	d.Desk.Set("RUN-3", func(s *run.State) {
		st := &s.Steps[2]
		st.Status, s.Ask = run.Running, run.AskNothing
		st.Output = []run.Line{{N: 1, Stream: "out", Text: "\x1b[2Jcleared\r\n\x1b]52;c;eA==\aand copied " + strings.Repeat("wide ", 500)}}
	})
	d.Shows("cleared")
	if raw := d.Raw(); strings.Contains(raw, "\x1b[2J") || strings.Contains(raw, "\x1b]52") {
		t.Fatal("a control sequence of the output reached the screen")
	}
}

func TestLevelOf(t *testing.T) {
	usual := sources.N(.012)
	for _, tc := range []struct {
		cond string
		want float64
		ok   bool
	}{
		{"value <= usual * 1.3", .0156, true},
		{"value > usual*2", .024, true},
		{"value < usual", .012, true},
		{"value >= 0.8", .8, true},
		{"value <= usual + 0.01", .022, true},
		{"value <= usual * 1.3 && now.cost < 3", 0, false},
		{"value * 2 < 3", 0, false},
		{"value <", 0, false},
		{"", 0, false},
	} {
		got, ok := levelOf(tc.cond, usual)
		if ok != tc.ok || ok && (got < tc.want-1e-9 || got > tc.want+1e-9) {
			t.Errorf("%q turns at %v, %v", tc.cond, got, ok)
		}
	}
	if _, ok := levelOf("value <= usual * 2", sources.Num{}); ok {
		t.Error("a level was made of an unknown usual value")
	}
}

func TestWhatAVariableOffersIsChosenWithTheArrowsAndAnythingElseIsTyped(t *testing.T) {
	for name, tc := range map[string]struct {
		keys []string
		want string
	}{
		"the second":              {[]string{"down", "down"}, "exact_cache"},
		"the last and no farther": {slices.Repeat([]string{"down"}, 30), "tenant.wayne"},
		"back up":                 {[]string{"down", "down", "down", "up", "up", "up", "up"}, "agent_tools"},
		"something else":          {[]string{"x", "y"}, "xy"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t)
			plan(d)
			offer(d)
			d.Shows("choose TICKET")
			d.Press("enter")
			d.Shows("tenant.contoso")
			d.Press(tc.keys...)
			d.Press("enter")
			d.Until("the variable is taken", func() bool { p := d.Pane.(*Pane); return len(p.plan.Missing()) == 0 && !p.loading })
			if got := d.Pane.(*Pane).plan.Vars[2].Value; got != tc.want {
				t.Errorf("%s was taken", got)
			}
		})
	}
}
