package runbooks

import (
	"errors"
	"strings"
	"testing"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

func opened(t *testing.T, w, h int) *panetest.Driver {
	t.Helper()
	d := panetest.New(t, New(), w, h)
	return d
}

// begin starts a run that waits, and one that nobody drives.
func begin(t *testing.T, d *panetest.Driver) {
	t.Helper()
	for _, id := range []string{"rollback-model", "rollback-prompt"} {
		p, err := d.Desk.Plan(t.Context(), tuitest.Failing, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Desk.StartRun(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	d.Desk.Set("RUN-3", func(s *run.State) { s.Driver = "" })
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		for _, name := range []string{"suggested", "going-on"} {
			t.Run(name+"-"+s.Name, func(t *testing.T) {
				d := opened(t, s.W, s.H)
				if name == "going-on" {
					begin(t, d)
				}
				d.Do(d.Pane.Open(d.C, nil))
				d.Shows("Roll back the model")
				d.Golden("runbooks-" + name + "-" + s.Name)
				d.ASCII()
				d.Golden("runbooks-" + name + "-ascii-" + s.Name)
			})
		}
	}
}

func TestWhatFitsWhatIsBadStandsFirstWithItsReason(t *testing.T) {
	d := opened(t, 120, 31)
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("Schema failures 9.1%; prompt v13→v14 at 02:31")
	d.Shows("never rehearsed")
	d.Press("enter")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Run, Arg: pane.PlanOf("rollback-prompt")}) {
		t.Fatalf("enter asked for %#v", got)
	}
}

func TestARunThatNeedsSomebodyStandsAtTheTop(t *testing.T) {
	d := opened(t, 120, 31)
	begin(t, d)
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("interrupted")
	screen := d.Screen()
	if a, b := strings.Index(screen, "RUN-3"), strings.Index(screen, "RUN-4"); a > b || b > strings.Index(screen, "Suggested") {
		t.Fatalf("the interrupted run is not first:\n%s", screen)
	}
	d.Press("enter")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Run, Arg: "RUN-3"}) {
		t.Fatalf("enter asked for %#v", got)
	}
}

func TestARunbookThatCannotBeReadSaysWhereAndWhy(t *testing.T) {
	d := opened(t, 120, 31)
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("cannot be read")
	d.Press("end")
	d.Shows(`team/stop-agents.md:31:5  unknown key "efect"; did you mean effect?`)
	d.Press("enter")
	if n, ok := d.Asked().(pane.NoticeMsg); !ok || !n.Bad {
		t.Fatalf("enter on it asked for %#v", n)
	}
}

func TestTheSelectionStaysWhereItIsWhenTheListChanges(t *testing.T) {
	d := opened(t, 120, 31)
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("Roll back the model")
	d.Press("down")
	begin(t, d)
	d.Do(d.Pane.Refresh(d.C))
	d.Shows("RUN-3")
	if text, _ := d.Pane.(*Pane).CopyText(d.C); text != "rollback-model" {
		t.Fatalf("%s is selected", text)
	}
}

func TestARunbookIsRehearsedFromTheListAndOneThatCannotBeReadIsNot(t *testing.T) {
	d := opened(t, 120, 31)
	begin(t, d)
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("RUN-3")
	d.Press("p") // of the run that is selected
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Run, Arg: pane.RehearsalOf("rollback-model")}) {
		t.Fatalf("p asked for %#v", got)
	}
	d.Press("end")
	if it := d.Pane.(*Pane).current(); it.book == nil || it.book.Runbook != nil {
		t.Fatalf("the last of the list is %+v", it)
	}
	d.Press("p")
	if n, ok := d.Asked().(pane.NoticeMsg); !ok || !n.Bad {
		t.Fatalf("p on it asked for %#v", n)
	}
}

func TestTroubleAndEmptinessAreSaid(t *testing.T) {
	d := opened(t, 80, 19)
	d.Desk.Refuse(errors.New("the folder of the runbooks cannot be read: permission denied; chmod it"))
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("permission denied")
	d.Desk.Refuse(nil)
	d.Desk.Books = []runbooks.Listing{}
	d.Do(d.Pane.Refresh(d.C))
	d.Shows("There are no runbooks.")
}
