package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

func opened(t *testing.T, w, h int) *panetest.Driver {
	t.Helper()
	d := panetest.New(t, New(), w, h)
	inc, err := d.Desk.OpenIncident(t.Context(), d.Desk.Prefill(tuitest.Failing, d.C.Snapshot))
	if err != nil {
		t.Fatal(err)
	}
	d.C.Incident = &inc
	d.Desk.Record(journal.Draft{Kind: journal.QueryTyped, Service: tuitest.Failing, Incident: inc.ID, Data: map[string]string{"where": "logs"}, Text: `{app="assistant"} |= "schema"`})
	if _, err := d.Desk.CaptureRequest(t.Context(), tuitest.Failing, inc.ID, "req-af6d30d42b55"); err != nil {
		t.Fatal(err)
	}
	return d
}

func show(d *panetest.Driver, arg any) {
	d.Do(d.Pane.Open(d.C, arg))
	d.Until("the journal has been read", func() bool { p := d.Pane.(*Pane); return !p.loading })
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		for _, name := range []string{"timeline", "entry", "filter", "trouble"} {
			t.Run(name+"-"+s.Name, func(t *testing.T) {
				d := opened(t, s.W, s.H)
				switch name {
				case "trouble":
					d.Desk.Trouble("the disk is full; free some space, reading goes on")
				case "filter":
					show(d, "INC-7 schema")
				}
				if name != "filter" {
					show(d, nil)
				}
				if name == "entry" {
					d.Press("enter")
					d.Shows("<user:1>")
				}
				d.Golden("journal-" + name + "-" + s.Name)
				d.ASCII()
				d.Golden("journal-" + name + "-ascii-" + s.Name)
			})
		}
	}
}

func TestTheTimelineFollowsTheNewestUntilSomebodyReads(t *testing.T) {
	d := opened(t, 120, 31)
	for i := range 40 {
		d.Desk.Add(journal.Entry{Kind: journal.Noted, Actor: "bo", Text: fmt.Sprintf("note number %d.", i)}, nil)
	}
	show(d, nil)
	d.Shows("note number 39.")
	d.Press("up", "up")
	d.Shows("held")
	d.Desk.Add(journal.Entry{Kind: journal.Noted, Actor: "bo", Text: "while reading"}, nil)
	before := d.Pane.(*Pane).current().Seq
	d.Do(d.Pane.Refresh(d.C))
	d.Until("it is read", func() bool { p := d.Pane.(*Pane); return !p.loading && len(p.rows) == 48 })
	if now := d.Pane.(*Pane).current().Seq; now != before {
		t.Fatalf("the cursor moved from entry %d to %d", before, now)
	}
	d.Press("f")
	d.Shows("while reading")
}

func TestTheFilterKnowsIncidentsKindsAndWords(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int
	}{
		{"INC-7", 4}, // the filter itself was typed within the incident
		{"inc-6", 2},
		{"change.seen", 1},
		{"incident", 3},
		{"alert schema_fail", 1},
		{"INC-7 nothing like it", 0},
		{"REQ-AF6D", 1},
	} {
		d := opened(t, 120, 31)
		show(d, tc.text)
		if n := len(d.Pane.(*Pane).rows); n != tc.want {
			t.Errorf("%q keeps %d entries, not %d:\n%s", tc.text, n, tc.want, d.Screen())
		}
	}
}

func TestAFilterIsTypedRecordedAndCleared(t *testing.T) {
	d := opened(t, 120, 31)
	show(d, nil)
	d.Press("/")
	d.Type("nobody wrote this")
	d.Press("enter")
	d.Shows("No entry matches nobody wrote this.")
	if e, ok := d.Desk.Last(journal.QueryTyped); !ok || e.Text != "nobody wrote this" || e.Incident != "INC-7" {
		t.Fatalf("recorded %+v", e)
	}
	d.Press("x")
	d.Shows("change.seen")
}

func TestANoteGoesIntoTheOpenIncidentAndIsNotLostWhenItFails(t *testing.T) {
	d := opened(t, 120, 31)
	show(d, nil)
	d.Press("n")
	d.Shows("note for INC-7>")
	d.Type("paging bo")
	d.Desk.Refuse(errors.New("the disk is full; free some space"))
	d.Press("enter")
	d.Until("the words come back", d.Pane.Capturing)
	d.Shows("paging bo")
	d.Desk.Refuse(nil)
	d.Press("enter")
	d.Until("the note is there", func() bool {
		e, ok := d.Desk.Last(journal.Noted)
		return ok && e.Text == "paging bo" && e.Incident == "INC-7"
	})
}

func TestThePastShowsEntriesUntilThen(t *testing.T) {
	d := opened(t, 120, 31)
	d.C.View = sources.View{At: tuitest.ChangeAt.Add(time.Minute), Range: time.Hour}
	show(d, nil)
	d.Shows("change.seen")
	if strings.Contains(d.Screen(), "alert.firing") {
		t.Fatalf("an entry from later is shown:\n%s", d.Screen())
	}
	d.Shows("until 02:32Z")
}

func TestAnEntryOpensInFullAndLeadsToWhatItIsAbout(t *testing.T) {
	d := opened(t, 120, 31)
	show(d, nil)
	d.Press("enter")
	d.Shows("request.json (application/json")
	d.Shows("<user:1>")
	d.Press("o")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Request, Arg: "req-af6d30d42b55"}) {
		t.Fatalf("o asked for %#v", got)
	}
	if !d.Pane.Back(d.C) || d.Pane.(*Pane).detail != nil {
		t.Fatal("esc did not leave the entry")
	}
}

func TestTroubleIsOneAmberLineAndReadingGoesOn(t *testing.T) {
	d := opened(t, 80, 19)
	d.Desk.Trouble("the disk is full; free some space")
	show(d, nil)
	d.Shows("Nothing is recorded now: the disk is full; free some space")
	d.Shows("change.seen")
	d.Desk.Refuse(errors.New("the journal is damaged at entry 3; restore the backup"))
	d.Do(d.Pane.Refresh(d.C))
	d.Shows("older answer: the journal is damaged")
}

func TestHostileTextStaysOnItsLine(t *testing.T) {
	d := opened(t, 80, 19)
	d.Desk.Add(journal.Entry{Kind: journal.Noted, Actor: "x\x1b[2J", Text: "a\x1b]0;owned\a\r\nb\u202e"}, nil)
	show(d, nil)
	d.Press("enter")
	d.Shows("owned")
	if raw := d.Raw(); strings.Contains(raw, "\x1b]0") || strings.Contains(raw, "\x1b[2J") {
		t.Fatal("a control sequence reached the screen")
	}
}
