package readiness

import (
	"errors"
	"strings"
	"testing"

	"rollcall/runbooks/readiness"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
)

func asked(t *testing.T, w, h int, e *readiness.Evidence) *panetest.Driver {
	t.Helper()
	d := panetest.New(t, New(), w, h)
	if e != nil {
		d.Desk.Evidence = e
	}
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("asked at")
	return d
}

// down is what is known when nothing answers.
func down() *readiness.Evidence {
	e := &readiness.Evidence{}
	const why = "connection refused at http://127.0.0.1:9090; is it running?"
	for _, u := range []*string{
		&e.Requests.Unknown, &e.Pins.Unknown, &e.Runbooks.Unknown, &e.Signals.Unknown, &e.Fatigue.Unknown, &e.Budgets.Unknown,
		&e.Logs.Unknown, &e.Incidents.Unknown, &e.Practice.Unknown,
	} {
		*u = why
	}
	return e
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		for name, scene := range map[string]struct {
			evidence *readiness.Evidence
			keys     []string
		}{
			"some":     {},
			"evidence": {keys: []string{"enter", "down", "down", "down", "down", "down", "down", "enter"}},
			"nothing":  {evidence: &readiness.Evidence{}},
			"down":     {evidence: down()},
		} {
			t.Run(name+"-"+s.Name, func(t *testing.T) {
				d := asked(t, s.W, s.H, scene.evidence)
				d.Press(scene.keys...)
				d.Golden("readiness-" + name + "-" + s.Name)
				if name == "evidence" {
					d.ASCII()
					d.Golden("readiness-" + name + "-ascii-" + s.Name)
				}
			})
		}
	}
}

func TestEnterOpensTheEvidenceAndEscClosesIt(t *testing.T) {
	d := asked(t, 120, 31, nil)
	if strings.Contains(d.Screen(), "prompt version") {
		t.Fatal("the evidence is open already")
	}
	d.Press("enter")
	d.Shows("prompt version: in 500 of 500 requests")
	d.Shows("next: set gen_ai.response.model")
	if !d.Pane.Back(d.C) || strings.Contains(d.Screen(), "prompt version") {
		t.Fatalf("esc does not close it:\n%s", d.Screen())
	}
	if d.Pane.Back(d.C) {
		t.Fatal("esc has something to close when nothing is open")
	}
}

func TestEveryQuestionLeadsToWhereItsEvidenceComesFrom(t *testing.T) {
	d := asked(t, 120, 31, nil)
	var got []pane.ID
	for range 9 {
		d.Press("o")
		msg, ok := d.Asked().(pane.OpenMsg)
		if !ok {
			t.Fatalf("o asked for %#v", msg)
		}
		got = append(got, msg.ID)
		d.Press("down")
	}
	if got[0] != pane.Requests || got[6] != pane.Logs || got[8] != pane.Runbooks {
		t.Fatalf("o leads to %v", got)
	}
}

func TestTheSelectedQuestionIsOnASmallScreenWhateverIsOpen(t *testing.T) {
	d := asked(t, 80, 19, nil)
	for range 9 {
		d.Press("enter", "down")
	}
	d.Shows("9 ")
	p := d.Pane.(*Pane)
	for i := range 9 {
		p.cursor = i
		if q := p.report.Answers[i].Question[:20]; !strings.Contains(d.Screen(), q) {
			t.Errorf("%q is not on the screen:\n%s", q, d.Screen())
		}
	}
}

func TestTroubleIsSaidAndTheOldAnswersStay(t *testing.T) {
	d := panetest.New(t, New(), 120, 31)
	d.Desk.Refuse(errors.New("no service called x; look at the configuration"))
	d.Do(d.Pane.Open(d.C, nil))
	d.Shows("could not be answered: no service called x")
	d.Desk.Refuse(nil)
	d.Press("r")
	d.Shows("asked at")
	d.Desk.Refuse(errors.New("no service called x"))
	d.Press("r")
	d.Shows("older answers: no service called x")
	d.Shows("Can a bad answer be reproduced")
}

func TestYoungAnswersAreNotAskedForAgain(t *testing.T) {
	d := asked(t, 120, 31, nil)
	if d.Pane.Refresh(d.C) != nil {
		t.Fatal("they are asked for with every refresh")
	}
	d.C.Wall = d.C.Wall.Add(2 * keep)
	if d.Pane.Refresh(d.C) == nil {
		t.Fatal("they are never asked for again")
	}
}
