package requests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/tuitest"
)

func opened(t *testing.T, arg any) (*panetest.Driver, *Pane) {
	t.Helper()
	p := New().(*Pane)
	d := panetest.New(t, p, 120, 31)
	d.Do(p.Open(d.C, arg))
	d.Until("rows are there", func() bool { return p.answered })
	return d, p
}

// later moves the clock and refreshes as the shell does.
func later(d *panetest.Driver, by time.Duration) {
	d.Back.Time.Advance(by)
	d.C.Now = d.Back.Time.Now()
	d.Do(d.Pane.Refresh(d.C))
	d.Until("the refresh is done", func() bool { return !d.Pane.(*Pane).loading })
}

func line(screen string, with string) int {
	for i, l := range strings.Split(screen, "\n") {
		if strings.Contains(l, with) {
			return i
		}
	}
	return -1
}

func TestRowsStayUnderTheCursorWhileNewOnesArrive(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("down", "down", "down")
	id := p.selected
	before := line(d.Screen(), id)
	later(d, 3*time.Minute)
	if p.selected != id || line(d.Screen(), id) != before {
		t.Errorf("the row under the cursor moved from line %d to %d, selected %s", before, line(d.Screen(), id), p.selected)
	}
	d.Shows("12 newer, press home")
	d.Press("home")
	d.Until("the newest are shown", func() bool { return !p.loading })
	if p.newer != 0 || p.list.Cursor != 0 || !p.rows[0].Time.After(tuitest.Start.Add(2*time.Minute)) {
		t.Errorf("home shows %v with %d newer, cursor %d", p.rows[0].Time, p.newer, p.list.Cursor)
	}
}

func TestNewerRowsAreCountedOnReturnMinutesLater(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("down", "down", "down")
	id := p.selected
	later(d, 15*time.Second)
	d.Shows("1 newer, press home")

	away := func() any { // another pane comes on top, and four minutes pass
		kept := p.Keep()
		p.Left()
		d.Back.Time.Advance(4 * time.Minute)
		d.C.Now = d.Back.Time.Now()
		return kept
	}
	back := func(cmd tea.Cmd) {
		d.Do(cmd)
		d.Until("the rows are read", func() bool { return !p.loading })
	}
	away()
	back(p.Refresh(d.C)) // as esc does when the pane was not used meanwhile
	d.Shows("17 newer, press home")

	kept := away()
	back(p.Open(d.C, nil)) // as its number does
	if p.list.Top != 0 || p.selected == id || !strings.Contains(d.Screen(), p.rows[0].ID) {
		t.Errorf("the pane opened on row %d with %s selected, not on the newest", p.list.Top, p.selected)
	}
	if strings.Contains(d.Screen(), "newer") {
		t.Error("newer rows are announced where the newest are shown")
	}
	back(p.Restore(d.C, kept)) // as esc does when it was
	d.Shows("33 newer, press home")
	if p.selected != id {
		t.Errorf("the way back led to %s, not to %s", p.selected, id)
	}
}

func TestRowsAboveTheScreenAreNewerToo(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("end")
	d.Shows(fmt.Sprintf("%d newer, press home", p.list.Top))
	later(d, time.Minute)
	d.Shows(fmt.Sprintf("%d newer, press home", p.list.Top+4))
	d.Press("home")
	d.Until("the newest are shown", func() bool { return !p.loading })
	if strings.Contains(d.Screen(), "newer") {
		t.Errorf("newer than the newest:\n%s", d.Screen())
	}
}

func TestASelectedRowThatIsGoneGivesWayToTheNextOlder(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("down", "down")
	gone, next := p.rows[2].ID, p.rows[3].ID
	d.Back.OnRequests = func(_ context.Context, f sources.RequestFilter) (sources.RequestList, error) {
		l := tuitest.Requests(f, d.Back.Time.Now())
		for i := range l.Rows {
			if l.Rows[i].ID == gone {
				l.Rows = append(l.Rows[:i], l.Rows[i+1:]...)
				break
			}
		}
		return l, nil
	}
	later(d, time.Second)
	if p.selected != next {
		t.Errorf("selected is %s, want %s", p.selected, next)
	}
}

func TestALateAnswerToAnOldQuestionIsDropped(t *testing.T) {
	d, p := opened(t, nil)
	release := make(chan struct{})
	d.Back.OnRequests = func(_ context.Context, f sources.RequestFilter) (sources.RequestList, error) {
		if !f.Bad {
			<-release
			return sources.RequestList{Rows: []sources.Request{{ID: "stale"}}}, nil
		}
		return sources.RequestList{Rows: []sources.Request{{ID: "fresh"}}}, nil
	}
	late := p.newest(d.C) // hangs
	d.Do(late)
	d.Press("b")
	d.Shows("fresh")
	close(release)
	d.Send(d.Next())
	if s := d.Screen(); strings.Contains(s, "stale") || !strings.Contains(s, "fresh") {
		t.Errorf("the late answer is on the screen:\n%s", s)
	}
}

func TestLeavingEndsTheRead(t *testing.T) {
	d, p := opened(t, nil)
	ended := make(chan struct{})
	d.Back.OnRequests = func(ctx context.Context, _ sources.RequestFilter) (sources.RequestList, error) {
		<-ctx.Done()
		close(ended)
		return sources.RequestList{}, ctx.Err()
	}
	d.Do(p.Refresh(d.C))
	p.Left()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the read goes on after the pane was left")
	}
	if p.loading {
		t.Error("the pane believes that it still reads")
	}
}

func TestARefreshDoesNotPileUpOnAHangingSource(t *testing.T) {
	d, p := opened(t, nil)
	d.Back.OnRequests = func(ctx context.Context, _ sources.RequestFilter) (sources.RequestList, error) {
		<-ctx.Done()
		return sources.RequestList{}, ctx.Err()
	}
	if p.Refresh(d.C) == nil {
		t.Fatal("the first refresh reads nothing")
	}
	if p.Refresh(d.C) != nil {
		t.Error("a second read begins while the first hangs")
	}
}

func TestFilterKeys(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("b")
	d.Until("the bad ones are there", func() bool { return !p.loading })
	for i := range p.rows {
		if len(p.rows[i].Bad()) == 0 {
			t.Fatalf("row %s is not bad", p.rows[i].ID)
		}
	}
	d.Press("/")
	if !p.Capturing() {
		t.Fatal("an open filter line does not take the keys")
	}
	d.Type("promt:v14")
	d.Press("enter")
	d.Shows("did you mean prompt:v14?")
	if !p.Capturing() {
		t.Fatal("a wrong filter closed the line")
	}
	d.Press("ctrl+u")
	d.Type("prompt:v13 ro")
	d.Press("tab")
	d.Type("/chat")
	d.Press("enter")
	d.Until("it is applied", func() bool { return !p.loading })
	if p.Capturing() || p.text != "prompt:v13 route:/chat" {
		t.Errorf("the filter is %q", p.text)
	}
	for i := range p.rows {
		if r := &p.rows[i]; r.Prompt != "v13" || r.Route != "/chat" {
			t.Fatalf("row %s ran %s on %s", r.ID, r.Prompt, r.Route)
		}
	}
	d.Press("/")
	d.Type(" nonsense")
	if !p.Back(d.C) || p.Capturing() || p.text != "prompt:v13 route:/chat" {
		t.Errorf("esc left the filter %q, capturing %v", p.text, p.Capturing())
	}
	if p.Back(d.C) {
		t.Error("a second esc does not go back")
	}
	d.Press("x")
	d.Until("it is cleared", func() bool { return !p.loading })
	if p.text != "" || len(p.rows) != pageRows {
		t.Errorf("x left %q and %d rows", p.text, len(p.rows))
	}
}

func TestOpenTakesAFilterOrItsWords(t *testing.T) {
	d, p := opened(t, sources.RequestFilter{Bad: true, Versions: map[sources.Component]string{sources.Prompt: "v13"}})
	if p.text != "bad prompt:v13" {
		t.Errorf("the filter is %q", p.text)
	}
	d.Do(p.Open(d.C, "route:/chat"))
	d.Until("it is read", func() bool { return !p.loading })
	if p.text != "route:/chat" {
		t.Errorf("the filter is %q", p.text)
	}
	p.Open(d.C, "colour:red")
	if !p.Capturing() || !strings.Contains(d.Screen(), "not a filter word") {
		t.Errorf("wrong words are not shown for repair:\n%s", d.Screen())
	}
}

func TestEnterOpensAndYCopiesTheSelectedRow(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("down", "enter")
	want := pane.OpenMsg{ID: pane.Request, Arg: p.rows[1].ID}
	if got := d.Asked(); got != want {
		t.Errorf("enter asks for %v, want %v", got, want)
	}
	if id, what := p.CopyText(d.C); id != p.rows[1].ID || what != "request ID" {
		t.Errorf("y copies %q as %q", id, what)
	}
	d.Send(tea.MouseClickMsg{X: 10, Y: headLines + 4, Button: tea.MouseLeft})
	if p.list.Cursor != 4 {
		t.Fatalf("a click selects row %d, not 4", p.list.Cursor)
	}
	d.Send(tea.MouseClickMsg{X: 10, Y: headLines + 4, Button: tea.MouseLeft})
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Request, Arg: p.rows[4].ID}) {
		t.Errorf("a click on the selected row asks for %v", got)
	}
}

func TestTheEndOfTheRowsBringsOlderOnes(t *testing.T) {
	d, p := opened(t, nil)
	d.Press("end")
	d.Until("older rows come", func() bool { return len(p.rows) > pageRows })
	if p.list.Cursor != pageRows-1 {
		t.Errorf("the cursor went to %d", p.list.Cursor)
	}
}

func TestFreezeHoldsTheScreenAndTheViewMovesIt(t *testing.T) {
	d, p := opened(t, nil)
	d.C.Frozen, d.C.View.At = true, d.C.Now
	if p.Refresh(d.C) != nil {
		t.Error("a frozen pane reads")
	}
	d.C.Frozen, d.C.View.At = false, tuitest.ChangeAt
	d.Do(p.Refresh(d.C))
	d.Until("the past is shown", func() bool { return !p.loading })
	for i := range p.rows {
		if p.rows[i].Time.After(tuitest.ChangeAt) {
			t.Fatalf("a row of %v is shown at %v", p.rows[i].Time, tuitest.ChangeAt)
		}
	}
}

func TestComingBackFindsEverythingAsItWas(t *testing.T) {
	d, p := opened(t, "bad")
	d.Press("down", "down")
	kept, id := p.Keep(), p.selected
	p.Left()
	d.Do(p.Open(d.C, "route:/search"))
	d.Until("another filter is read", func() bool { return !p.loading })
	d.Do(p.Restore(d.C, kept))
	d.Until("it is read again", func() bool { return !p.loading })
	if p.text != "bad" || p.selected != id || p.list.Cursor != 2 {
		t.Errorf("back at %q, %s in row %d", p.text, p.selected, p.list.Cursor)
	}
}

func TestStatesAreSaidInWords(t *testing.T) {
	some := []sources.Request{{ID: "req-1", Time: tuitest.Start, Outcome: "ok"}}
	for _, tc := range []struct {
		name, filter string
		list         sources.RequestList
		err          error
		says         []string
	}{
		{"nothing", "", sources.RequestList{}, nil, []string{"No requests in the last 1h.", "OTLP"}},
		{"nothing bad", "bad", sources.RequestList{}, nil, []string{"No bad requests in the last 1h.", "Press b to see all"}},
		{"no match", "tenant:x", sources.RequestList{}, nil, []string{"No request in the last 1h matches tenant:x.", "Press x"}},
		{"down", "", sources.RequestList{}, errors.New("traces: database is locked; close the other rollcall"), []string{"could not be read: traces: database is locked", "next refresh"}},
		{
			"truncated", "",
			sources.RequestList{Rows: some, Facts: sources.Facts{Source: "traces", Shown: 200, Total: 81240, At: tuitest.Start}},
			nil,
			[]string{"200 of 81,240 rows · traces · 02:47Z"},
		},
		{
			"more than counted", "",
			sources.RequestList{Rows: some, Facts: sources.Facts{Source: "traces", Shown: 200, Total: -1}},
			nil,
			[]string{"newest 200 rows, there are more"},
		},
		{
			"doubtful", "",
			sources.RequestList{Rows: some, Facts: sources.Facts{
				Shown: 1, Total: 1, Partial: "one partition is damaged", Stale: "disk full since 02:40Z", Sampled: true, Skew: 5 * time.Second,
			}},
			nil,
			[]string{"1 row", "partial: one partition is damaged", "stale: disk full since 02:40Z", "sampled", "clock is off by +5.000s"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := New().(*Pane)
			d := panetest.New(t, p, 140, 19)
			d.Back.OnRequests = func(context.Context, sources.RequestFilter) (sources.RequestList, error) { return tc.list, tc.err }
			cmd := p.Open(d.C, tc.filter)
			if !strings.Contains(d.Screen(), "Reading requests") {
				t.Errorf("loading is not said:\n%s", d.Screen())
			}
			d.Do(cmd)
			for _, s := range tc.says {
				d.Shows(s)
			}
		})
	}
}

func TestAnErrorKeepsTheRowsAndSaysThatTheyAreOld(t *testing.T) {
	d, p := opened(t, nil)
	d.Back.OnRequests = func(context.Context, sources.RequestFilter) (sources.RequestList, error) {
		return sources.RequestList{}, errors.New("traces: disk full")
	}
	later(d, time.Second)
	if s := d.Screen(); len(p.rows) == 0 || !strings.Contains(s, "older answer: traces: disk full") {
		t.Errorf("the screen is\n%s", s)
	}
}

func TestHostileRowsNeverBreakTheScreen(t *testing.T) {
	evil := []string{
		"\x1b[31mred\x1b[0m\x07", strings.Repeat("宽", 200), "e" + strings.Repeat("\u0301", 5000), "a\nb\tc\r", "\xff\xfe", "👩‍👩‍👧‍👦", "", strings.Repeat("x", 1<<20),
	}
	for _, o := range []theme.Options{{}, {ASCII: true, NoColor: true}} {
		for _, size := range [][2]int{{80, 19}, {60, 8}, {200, 55}, {20, 4}, {9, 2}, {1, 1}} {
			p := New().(*Pane)
			d := panetest.New(t, p, size[0], size[1])
			d.C.Theme = theme.New(o)
			d.Back.OnRequests = func(context.Context, sources.RequestFilter) (sources.RequestList, error) {
				var l sources.RequestList
				for i, s := range evil {
					l.Rows = append(l.Rows, sources.Request{
						ID: fmt.Sprint(i, s), Time: tuitest.Start, Outcome: "error", ErrorType: s, Route: s, Tenant: s, Prompt: s, Model: s, Region: s,
						Latency: sources.N(1e300), TokensIn: sources.N(-1e18), CostUSD: sources.N(1e12),
					})
				}
				return l, nil
			}
			d.Do(p.Open(d.C, nil))
			d.Until("rows are there", func() bool { return p.answered })
			for range evil {
				if s := d.Raw(); strings.Contains(s, "\x1b[31m") || strings.ContainsAny(s, "\x07\r\t") {
					t.Fatalf("a control byte reaches the terminal: %q", s)
				}
				d.Screen() // checks its size
				d.Press("down")
			}
		}
	}
}

func BenchmarkView(b *testing.B) {
	p := New().(*Pane)
	d := panetest.New(b, p, 200, 55)
	d.Do(p.Open(d.C, nil))
	d.Until("rows are there", func() bool { return p.answered })
	for b.Loop() {
		p.View(d.C)
	}
}
