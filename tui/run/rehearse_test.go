package run

import (
	"strings"
	"testing"

	"rollcall/runbooks/run"
	"rollcall/store/journal"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

func practised(t *testing.T, w, h int) *panetest.Driver {
	t.Helper()
	d := panetest.New(t, New(), w, h)
	d.Do(d.Pane.Open(d.C, pane.RehearsalOf("rollback-prompt")))
	d.Shows("REHEARSAL: acts on the rehearsal target")
	return d
}

func TestARehearsalIsMarkedFromItsPlanToItsEnd(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d := practised(t, s.W, s.H)
			if title := d.Pane.Title(d.C); !strings.HasPrefix(title, "REHEARSAL") {
				t.Errorf("the title is %q", title)
			}
			d.Golden("rehearsal-plan-" + s.Name)
			d.Press("enter")
			d.Type("none")
			d.Press("enter")
			d.Shows("start the rehearsal")
			d.Press("enter")
			d.Shows("REHEARSAL, nothing live is touched")
			d.Golden("rehearsal-run-" + s.Name)
			if title := d.Pane.Title(d.C); !strings.HasPrefix(title, "REHEARSAL  RUN-3") {
				t.Errorf("the title is %q", title)
			}
			if !d.Desk.Set("RUN-3", func(*run.State) {}).Target.Rehearsal {
				t.Error("what was started is no rehearsal")
			}
		})
	}
}

func TestARealPlanIsNotTakenForARehearsalOfTheSameRunbook(t *testing.T) {
	d := practised(t, 120, 31)
	d.Do(d.Pane.Open(d.C, pane.PlanOf("rollback-prompt")))
	d.Until("the plan is a real one", func() bool {
		return !strings.Contains(d.Screen(), "REHEARSAL") && strings.Contains(d.Screen(), "TICKET")
	})
	if title := d.Pane.Title(d.C); strings.Contains(title, "REHEARSAL") {
		t.Errorf("the title is %q", title)
	}
	d.Press("z")
	if strings.Contains(d.Screen(), "Put the rehearsal target") {
		t.Error("a real plan resets something")
	}
}

func TestTheTargetIsPutBackOnlyAfterAYes(t *testing.T) {
	d := practised(t, 120, 31)
	d.Press("z")
	d.Shows("This runs: llmcfg reset rehearsal")
	d.Press("n")
	if n, ok := d.Asked().(pane.NoticeMsg); !ok || n.Text != "Nothing was done." {
		t.Fatalf("%#v", n)
	}
	if _, ok := d.Desk.Last(journal.RehearsalReset); ok {
		t.Fatal("it was done without a yes")
	}
	d.Press("z", "y")
	d.Until("it was done", func() bool { _, ok := d.Desk.Last(journal.RehearsalReset); return ok })
	d.Until("the shell is told", func() bool { return len(d.Sent) > 0 })
}

func TestWithoutAResetItIsSaidHowToHaveOne(t *testing.T) {
	d := practised(t, 120, 31)
	d.Desk.Resets = ""
	d.Press("z")
	if n, ok := d.Asked().(pane.NoticeMsg); !ok || !n.Bad || !strings.Contains(n.Text, tuitest.Failing+".rehearsal.reset") {
		t.Fatalf("%#v", n)
	}
}
