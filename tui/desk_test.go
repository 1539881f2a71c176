package tui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks/run"
	"rollcall/store/journal"
	"rollcall/tui/incident"
	journalpane "rollcall/tui/journal"
	"rollcall/tui/pane"
	"rollcall/tui/readiness"
	runpane "rollcall/tui/run"
	"rollcall/tui/runbooks"
	"rollcall/tui/tuitest"
)

// deskBench is a console that can act.
func deskBench(t testing.TB, w, h int, change ...func(*Options)) (*bench, *tuitest.Desk) {
	t.Helper()
	var desk *tuitest.Desk
	b := newBench(t, w, h, append([]func(*Options){full, func(o *Options) {
		desk = tuitest.NewDesk(o.Backend.(*tuitest.Backend).Time)
		o.Desk = desk
		o.Panes = append(o.Panes, runbooks.New(), runpane.New(), incident.New(), journalpane.New(), readiness.New())
	}}, change...)...)
	return b, desk
}

func declare(b *bench) { b.press("I", "enter") }

// going starts a run that waits for somebody and lets the console hear of it.
func going(b *bench, desk *tuitest.Desk) {
	b.t.Helper()
	p, err := desk.Plan(b.t.Context(), tuitest.Failing, "rollback-prompt", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := desk.StartRun(b.t.Context(), p); err != nil {
		b.t.Fatal(err)
	}
	b.send(pane.ActedMsg{})
}

func TestAConsoleWithoutADeskOnlyReads(t *testing.T) {
	b := newBench(t, 120, 36, full, func(o *Options) {
		o.Panes = append(o.Panes, runbooks.New(), journalpane.New(), incident.New(), runpane.New(), readiness.New())
	})
	b.hides("8 Run", "9 J", "roll back prompt")
	b.press("8")
	b.press("R")
	b.shows("This console only reads")
	b.press("I")
	b.shows("This console only reads")
	b.press("E")
	if b.at() != pane.Overview {
		t.Fatalf("it went to %s", b.at())
	}
	b.press("?")
	b.hides("the runbook that the verdict line suggests")
}

func TestELeadsToTheChecklistAndThePaletteToARehearsal(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	b.press("E")
	b.shows("Can a bad answer be reproduced", "2 yes")
	b.press("enter")
	b.shows("prompt version: in 500 of 500 requests")
	b.press("o")
	if b.at() != pane.Requests {
		t.Fatalf("o went to %s", b.at())
	}
	b.press("esc")
	b.shows("prompt version: in 500 of 500 requests")
	b.press(":")
	b.typed("rehearse rollback-prompt")
	b.press("enter")
	b.shows("REHEARSAL, plan: Roll back the prompt")
	if n := len(desk.Kinds()); n == 0 {
		t.Fatal("what was typed is not recorded")
	}
	b.press("esc", "esc", "esc")
	b.press(":")
	b.typed("readiness")
	b.press("enter")
	if b.at() != pane.Readiness {
		t.Fatalf(":readiness went to %s", b.at())
	}
}

func TestRLeadsFromTheVerdictLineToThePlan(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	b.shows("R roll back prompt")
	b.press("R")
	b.shows("Plan: Roll back the prompt", "BAD     v14", "Schema failures 9.1%; prompt v13→v14 at 02:31")
	b.press("esc")
	going(b, desk)
	b.shows("R RUN-3", "RUN-3 apply 3/7", "waits for you")
}

func TestRWithoutASuggestionShowsAllRunbooks(t *testing.T) {
	b, _ := deskBench(t, 120, 36)
	b.press(":")
	b.typed("service billing")
	b.press("enter")
	b.hides("R roll back prompt")
	b.press("R")
	b.shows("suggests no runbook", "Roll back the model")
}

func TestIOpensTheFormThenTheIncidentWithItsClock(t *testing.T) {
	b, _ := deskBench(t, 120, 36)
	b.press("I")
	b.shows("Open an incident", "[SEV2]")
	b.press("esc")
	b.hides("INC-7")
	declare(b)
	b.shows("INC-7 SEV2 00:00:00", "Timeline")
	b.press("esc")
	b.backend.Time.Advance(12*time.Minute + 31*time.Second)
	b.shows("INC-7 SEV2 00:00:00") // nothing moves between refreshes
	b.send(tickMsg{})
	b.shows("INC-7 SEV2 00:12:31")
	b.press("I")
	if b.at() != pane.Incident {
		t.Fatalf("I went to %s", b.at())
	}
}

func TestTheMouseActsOnTheHeader(t *testing.T) {
	b, _ := deskBench(t, 120, 36)
	at := func(words string) {
		t.Helper()
		for y, l := range strings.Split(plainText(b.screen()), "\n") {
			if i := strings.Index(l, words); i >= 0 {
				b.send(tea.MouseClickMsg{Button: tea.MouseLeft, X: ansi.StringWidth(l[:i]), Y: y})
				return
			}
		}
		t.Fatalf("%q is not on the screen", words)
	}
	at("R roll back prompt")
	b.shows("Plan: Roll back the prompt")
	declare(b)
	b.press("1")
	at("INC-7 SEV2")
	if b.at() != pane.Incident {
		t.Fatalf("the click went to %s", b.at())
	}
}

func TestNothingMovesBetweenRefreshes(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	declare(b)
	going(b, desk)
	for _, k := range []string{"1", "8", "9", "I"} {
		b.press(k)
		before := b.screen()
		b.backend.Time.Advance(7 * time.Second)
		b.m.lastMsg = b.backend.Time.Wall()
		b.m.layout()
		if now := b.screen(); now != before {
			t.Fatalf("after %s the screen moved by itself:\n%s", k, plainText(now))
		}
	}
}

func TestLeavingAsksOnceMoreWhileThisConsoleDrivesARun(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	going(b, desk)
	desk.Set("RUN-3", func(s *run.State) { s.Steps[s.Current].Status, s.Ask = run.Running, run.AskNothing })
	b.send(pane.ActedMsg{})
	b.press("q")
	b.shows("RUN-3 goes on under its recorder; checks pause until someone resumes it. q again leaves.")
	if b.quit {
		t.Fatal("one q left")
	}
	b.press("2", "q")
	if b.quit {
		t.Fatal("the question of before counted for another q")
	}
	b.press("q")
	if !b.quit {
		t.Fatal("q again did not leave")
	}
}

func TestLeavingDoesNotAskForRunsThatOthersDrive(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	going(b, desk)
	desk.Set("RUN-3", func(s *run.State) { s.Driver = "pid 4312" })
	b.send(pane.ActedMsg{})
	b.press("q")
	if !b.quit {
		t.Fatal("q asked about a run of somebody else")
	}
}

func TestThePaletteActsOnTheOpenIncident(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	say := func(s string) { b.press(":"); b.typed(s); b.press("enter") }
	say("severity SEV1")
	b.shows("no incident is open; I opens one")
	b.press("esc")
	declare(b)
	say("severity sev1")
	b.shows("INC-7 is SEV1: People are harmed")
	say("severity SEV9")
	b.shows("there are SEV1, SEV2, SEV3, SEV4")
	b.press("esc")
	say("note paging bo")
	b.shows("Noted as entry", "of INC-7")
	say("review")
	b.shows("The review of INC-7 is in /home/ana")
	say("journal note")
	b.shows("paging bo", "filter: note")
	say("runbook rollback-model")
	b.shows("Plan: Roll back the model")
	say("close v14 was withdrawn")
	b.shows("INC-7 is closed.")
	b.press("esc")
	b.hides("INC-7 SEV1 00:")
	say("incident INC-6")
	b.shows("another tenant", "closed")
	desk.Refuse(errors.New("the disk is full; free some space"))
	say("note lost?")
	b.shows("the disk is full; free some space")
}

func TestWhatIsTypedIsRecorded(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	declare(b)
	b.press(":")
	b.typed("requests bad prompt=v14")
	b.press("enter")
	e, ok := desk.Last(journal.QueryTyped)
	if !ok || e.Text != ":requests bad prompt=v14" || e.Incident != "INC-7" {
		t.Fatalf("recorded %+v", e)
	}
	n := len(desk.Kinds())
	b.press(":")
	b.typed("requests nonsense=1")
	b.press("enter")
	b.shows("is no filter")
	if len(desk.Kinds()) != n {
		t.Fatal("a command that was refused was recorded as a query")
	}
}

func TestAJournalInTroubleIsSaidInTheHeader(t *testing.T) {
	b, desk := deskBench(t, 120, 36)
	b.hides("journal ?")
	desk.Trouble("the disk is full; free some space")
	b.send(tickMsg{})
	b.shows("journal ?")
	b.press("9")
	b.shows("Nothing is recorded now: the disk is full")
	desk.Trouble("")
	desk.Refuse(errors.New("the journal is locked"))
	b.send(tickMsg{})
	b.shows("journal ?")
}

func TestAnotherServiceHasItsOwnIncidents(t *testing.T) {
	b, _ := deskBench(t, 120, 36)
	declare(b)
	b.press(":")
	b.typed("service billing")
	b.press("enter")
	b.hides("INC-7 SEV2 00:")
	b.shows("No incident is open for billing-assistant.")
	b.press(":")
	b.typed("service support")
	b.press("enter")
	b.shows("INC-7 SEV2 00:00:00")
}

// deskScenes are the screens of a console that acts.
var deskScenes = []struct {
	name string
	do   func(b *bench, d *tuitest.Desk)
}{
	{"desk-overview", func(*bench, *tuitest.Desk) {}},
	{"desk-incident-and-run", func(b *bench, d *tuitest.Desk) {
		declare(b)
		going(b, d)
		d.Measure("RUN-3", 5)
		b.backend.Time.Advance(12*time.Minute + 31*time.Second)
		b.press("esc")
		b.send(tickMsg{})
	}},
	{"desk-form", func(b *bench, _ *tuitest.Desk) { b.press("I") }},
	{"desk-incident", func(b *bench, _ *tuitest.Desk) { declare(b) }},
	{"desk-plan", func(b *bench, _ *tuitest.Desk) { b.press("R") }},
	{"desk-runbooks", func(b *bench, d *tuitest.Desk) { going(b, d); b.press("8") }},
	{"desk-readiness", func(b *bench, _ *tuitest.Desk) { b.press("E") }},
	{"desk-journal", func(b *bench, d *tuitest.Desk) {
		declare(b)
		d.Trouble("the disk is full")
		b.press("9")
		b.send(tickMsg{})
	}},
	{"desk-help", func(b *bench, _ *tuitest.Desk) { b.press("?") }},
	{"desk-leave", func(b *bench, d *tuitest.Desk) { going(b, d); b.press("q") }},
}

func TestScreensOfADeskLookAsAgreed(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
		for _, sc := range deskScenes {
			name := fmt.Sprintf("%s-%dx%d", sc.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				b, d := deskBench(t, size[0], size[1], func(o *Options) { o.NoColor = true })
				sc.do(b, d)
				got := b.screen()
				checkShape(t, got, size[0], size[1])
				golden(t, name+".txt", plainText(got))
				b, d = deskBench(t, size[0], size[1])
				sc.do(b, d)
				if dir := os.Getenv("ROLLCALL_SCREENS"); dir != "" {
					if err := os.WriteFile(filepath.Join(dir, name+".ansi"), []byte(b.screen()), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				golden(t, name+".ansi", strings.ReplaceAll(b.screen(), "\x1b", "␛"))
				if plain := plainText(b.screen()); plain != plainText(got) {
					t.Errorf("colour changes the words:\n%s", plain)
				}
			})
		}
	}
	t.Run("ascii", func(t *testing.T) {
		b, d := deskBench(t, 120, 36, func(o *Options) { o.NoColor, o.ASCII = true, true })
		declare(b)
		going(b, d)
		for _, r := range ansi.Strip(b.screen()) {
			if r > 0x7e && r != '\n' {
				t.Fatalf("%q is not ASCII in\n%s", r, b.screen())
			}
		}
	})
}
