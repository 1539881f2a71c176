package incident

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rollcall/store/journal"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

// declared opens the form and then the incident.
func declared(d *panetest.Driver) {
	d.Do(d.Pane.Open(d.C, pane.Declare{}))
	d.Shows("open it")
	d.Press("enter")
	d.Shows("Timeline")
	d.Until("the timeline is there", func() bool { p := d.Pane.(*Pane); return p.answered && !p.loading })
	inc := *d.Pane.(*Pane).inc
	d.C.Incident = &inc
}

func noticed(d *panetest.Driver, words string) {
	d.T.Helper()
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

var scenes = []struct {
	name string
	do   func(d *panetest.Driver)
}{
	{"form", func(d *panetest.Driver) { d.Do(d.Pane.Open(d.C, pane.Declare{})); d.Shows("open it") }},
	{"form-severity", func(d *panetest.Driver) {
		d.Do(d.Pane.Open(d.C, pane.Declare{}))
		d.Press("tab", "tab")
		d.Shows("[SEV2]")
	}},
	{"open", func(d *panetest.Driver) {
		declared(d)
		d.Back.Time.Advance(12*time.Minute + 31*time.Second)
		d.C.Now = d.Back.Time.Now()
		d.Press("n")
		d.Type("paging bo: prompt v14 drops the JSON closing brace")
		d.Press("enter")
		d.Shows("paging bo")
		d.Until("the note stands in the timeline", func() bool { return len(d.Pane.(*Pane).entries) == 2 })
	}},
	{"severity", func(d *panetest.Driver) { declared(d); d.Press("v"); d.Shows("How bad is it?") }},
	{"closed", func(d *panetest.Driver) { d.Do(d.Pane.Open(d.C, "INC-6")); d.Shows("Timeline") }},
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		for _, sc := range scenes {
			t.Run(sc.name+"-"+s.Name, func(t *testing.T) {
				d := panetest.New(t, New(), s.W, s.H)
				sc.do(d)
				d.Golden("incident-" + sc.name + "-" + s.Name)
				d.ASCII()
				d.Golden("incident-" + sc.name + "-ascii-" + s.Name)
			})
		}
	}
}

func TestTheFormIsPrefilledAndOneKeyOpensIt(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	d.Do(d.Pane.Open(d.C, pane.Declare{}))
	for _, words := range []string{"Schema failures after prompt v14", "[quality]", "answers got worse", "[SEV2]", "Many answers are wrong", "2026-03-10 02:31", "Schema failures 9.1% since 02:33"} {
		d.Shows(words)
	}
	d.Press("enter", "enter")
	d.Shows("SEV2 · open")
	n := 0
	for _, k := range d.Desk.Kinds() {
		if k == journal.IncidentOpened {
			n++
		}
	}
	if n != 2 { // the one of the past and this one
		t.Fatalf("two presses opened %d incidents", n-1)
	}
	inc := d.Pane.(*Pane).inc
	if inc.Category != journal.Quality || inc.Severity != journal.SEV2 || !inc.Began.Equal(tuitest.ChangeAt) || len(inc.Signals) == 0 {
		t.Fatalf("opened %+v", inc)
	}
}

func TestTheFormIsEditable(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	d.Do(d.Pane.Open(d.C, pane.Declare{}))
	d.Type(" everywhere")
	d.Press("tab", "left", "tab", "left", "tab")
	for range len("2026-03-10 02:31") {
		d.Press("backspace")
	}
	d.Type("25:99")
	d.Press("enter")
	d.Shows(`"25:99" is no time; write it like 02:31`)
	for range 5 {
		d.Press("backspace")
	}
	d.Type("02:20")
	d.Press("enter")
	d.Shows("Timeline")
	inc := d.Pane.(*Pane).inc
	if inc.Title != "Schema failures after prompt v14 everywhere" || inc.Category != journal.Privacy || inc.Severity != journal.SEV1 || !inc.Began.Equal(tuitest.Start.Add(-27*time.Minute)) {
		t.Fatalf("opened %+v", inc)
	}
}

func TestEscLeavesTheFormWithoutOpeningAnything(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	d.Do(d.Pane.Open(d.C, pane.Declare{}))
	d.Shows("open it")
	if d.Pane.Back(d.C) {
		t.Fatal("esc stayed in the form")
	}
	if d.Pane.Capturing() {
		t.Fatal("the form still takes the keys")
	}
}

func TestAnIncidentThatSomebodyElseOpenedMeanwhileIsShownInsteadOfASecondForm(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	if _, err := d.Desk.OpenIncident(t.Context(), journal.IncidentDraft{Service: tuitest.Failing, Title: "Opened by bo", Severity: journal.SEV1}); err != nil {
		t.Fatal(err)
	}
	d.Do(d.Pane.Open(d.C, pane.Declare{}))
	d.Shows("Timeline")
	noticed(d, "INC-7 is open already")
}

func TestMitigatedAndResolvedAskOnce(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	declared(d)
	d.Press("M", "n")
	noticed(d, "Nothing was done")
	if !d.Pane.(*Pane).inc.Mitigated.IsZero() {
		t.Fatal("a no marked it mitigated")
	}
	d.Press("M", "y")
	d.Shows("SEV2 · mitigated")
	d.Press("S")
	d.Shows("Is INC-7 resolved")
	d.Press("y")
	d.Shows("SEV2 · resolved")
}

func TestClosingNeedsAReasonUnlessThereIsACase(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	declared(d)
	d.Press("X")
	d.Shows("why is there no regression case?")
	d.Press("enter")
	noticed(d, "A reason is needed")
	d.Type("v14 was withdrawn; its own tests caught it")
	d.Press("enter")
	d.Shows("SEV2 · closed")
	d.Press("M")
	noticed(d, "INC-7 is closed")
}

func TestSeverityLeadAndCapture(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	declared(d)
	d.Press("v", "1")
	d.Shows("SEV1 · open")
	d.Press("v", "9")
	noticed(d, "The severity stays SEV1")
	d.Press("l")
	for range 3 {
		d.Press("backspace")
	}
	d.Type("bo")
	d.Press("enter")
	d.Shows("lead bo")
	d.Press("c")
	d.Type("req-1")
	d.Press("enter")
	d.Shows("requests  req-1")
	d.Press("a")
	d.Until("it is acknowledged", func() bool { return !d.Pane.(*Pane).inc.Acknowledged.IsZero() })
}

func TestTheReviewSaysWhereItIs(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	declared(d)
	d.Press("w")
	d.Shows("/home/ana/.local/state/rollcall/reviews/INC-7.md")
	if text, what := d.Pane.(*Pane).CopyText(d.C); !strings.HasSuffix(text, "INC-7.md") || what == "" {
		t.Fatalf("y copies %q", text)
	}
}

func TestARefusedChangeSaysWhyAndChangesNothing(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	declared(d)
	d.Desk.Refuse(errors.New("the journal is locked by pid 4312; end it or wait"))
	d.Press("v", "1")
	noticed(d, "locked by pid 4312")
	if s := d.Pane.(*Pane).inc.Severity; s != journal.SEV2 {
		t.Fatalf("the screen says %s", s)
	}
}

func TestAnUnknownIncidentSaysSo(t *testing.T) {
	d := panetest.New(t, New(), 80, 19)
	d.Do(d.Pane.Open(d.C, "INC-99"))
	d.Shows("no incident of support-assistant is")
}

func TestCasesAreExportedIntoTheFolderThatIsAskedForAndThenItClosesWithoutAReason(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	declared(d)
	d.Press("x")
	noticed(d, "No request was captured yet")
	d.Press("c")
	d.Type("req-1")
	d.Press("enter")
	d.Shows("requests  req-1")
	d.Press("x")
	d.Shows("Write 1 captured request of INC-7 as regression cases (promptfoo) into which folder?")
	d.Shows("> /home/ana/.local/state/rollcall/cases/INC-7")
	d.Golden("incident-cases-120x36")
	if d.Pane.Back(d.C); d.Desk.Kinds()[len(d.Desk.Kinds())-1] == journal.Exported {
		t.Fatal("esc exported them")
	}
	d.Press("x")
	d.Type("-again")
	d.Press("enter")
	noticed(d, "1 regression case in /home/ana/.local/state/rollcall/cases/INC-7-again, red on the bad answer.")
	d.Shows("cases     1  /home/ana/.local/state/rollcall/cases/INC-7-again")
	if text, what := d.Pane.(*Pane).CopyText(d.C); !strings.HasSuffix(text, "INC-7-again") || what != "the cases' path" {
		t.Fatalf("y copies %q (%s)", text, what)
	}
	d.Press("X")
	d.Shows("Close INC-7? It has 1 regression case.")
	d.Press("y")
	d.Shows("SEV2 · closed")
	d.Desk.Refuse(errors.New("/x is there already; name another folder"))
	d.Press("x", "enter")
	noticed(d, "/x is there already")
}
