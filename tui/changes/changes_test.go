package changes

import (
	"context"
	"errors"
	"reflect"
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

func silent() sources.Change {
	return sources.Change{
		At: tuitest.Start.Add(-5 * time.Minute), Component: sources.Model, From: "gpt-4.1-2026-02-14", To: "gpt-4.1-2026-03-01", Silent: true,
		Source: "requests", Evidence: "412 of 430 requests served by gpt-4.1-2026-03-01",
	}
}

func opened(t *testing.T, rows ...sources.Change) (*panetest.Driver, *Pane) {
	t.Helper()
	p := New().(*Pane)
	d := panetest.New(t, p, 120, 25)
	d.Back.OnChanges = func(context.Context, string, sources.View) ([]sources.Change, sources.Facts, error) {
		return rows, sources.Facts{Source: "prometheus", At: tuitest.Start, Shown: len(rows), Total: len(rows)}, nil
	}
	d.Do(p.Open(d.C, nil))
	d.Until("the changes are there", func() bool { return p.answered })
	return d, p
}

func prompt() sources.Change {
	return sources.Change{
		At: tuitest.ChangeAt, Component: sources.Prompt, From: "v13", To: "v14", Stage: "live", Manifest: "m-0143", Source: "prometheus",
	}
}

func TestTheNewestChangeStandsFirstAndASilentOneIsCalledSo(t *testing.T) {
	d, p := opened(t, prompt(), silent())
	if !p.rows[0].Silent {
		t.Error("the newest change is not first")
	}
	for _, s := range []string{"◐ silent", "Silent, the manifest did not move", "412 of 430 requests", "2 changes", "live prompt v14"} {
		d.Shows(s)
	}
	d.Golden("changes-silent")
}

func TestEnterOpensTheRequestsOfTheVersion(t *testing.T) {
	d, p := opened(t, prompt(), silent())
	d.Press("enter")
	want := pane.OpenMsg{ID: pane.Requests, Arg: sources.RequestFilter{Served: "gpt-4.1-2026-03-01"}}
	if got := d.Asked(); !reflect.DeepEqual(got, want) {
		t.Errorf("a silent change opens %+v", got)
	}
	d.Press("down", "enter")
	want = pane.OpenMsg{ID: pane.Requests, Arg: sources.RequestFilter{Versions: map[sources.Component]string{sources.Prompt: "v14"}}}
	if got := d.Asked(); !reflect.DeepEqual(got, want) {
		t.Errorf("a change opens %+v", got)
	}
	if text, what := p.CopyText(d.C); text != "prompt v13 to v14 at 2026-03-10T02:31:00Z" || what != "change" {
		t.Errorf("y copies %q", text)
	}
	d.Send(tea.MouseClickMsg{X: 4, Y: headLines, Button: tea.MouseLeft})
	if p.list.Cursor != 0 {
		t.Error("a click does not select")
	}
}

func TestTheTimeIsSetAroundAChangeButNotIntoTheFuture(t *testing.T) {
	old := prompt()
	old.At = tuitest.Start.Add(-3 * time.Hour)
	d, _ := opened(t, prompt(), old)
	d.Press("a")
	if got := d.Asked(); got != (pane.TimeMsg{At: tuitest.Start, Range: time.Hour}) {
		t.Errorf("a recent change asks for %v", got)
	}
	d.Press("down", "a")
	if got := d.Asked(); got != (pane.TimeMsg{At: old.At.Add(30 * time.Minute), Range: time.Hour}) {
		t.Errorf("an old change asks for %v", got)
	}
}

func TestTheSelectionStaysWithItsChange(t *testing.T) {
	d, p := opened(t, prompt())
	d.Back.OnChanges = func(context.Context, string, sources.View) ([]sources.Change, sources.Facts, error) {
		return []sources.Change{prompt(), silent()}, sources.Facts{}, nil
	}
	d.Do(p.Refresh(d.C))
	d.Until("the new one is there", func() bool { return len(p.rows) == 2 })
	if p.current().Component != sources.Prompt {
		t.Error("the cursor went to another change")
	}
	kept := p.Keep()
	p.Left()
	d.Do(p.Open(d.C, silent()))
	d.Until("it is read", func() bool { return !p.loading })
	if !p.current().Silent {
		t.Error("a change given to open is not selected")
	}
	d.Do(p.Restore(d.C, kept))
	d.Until("it is read", func() bool { return !p.loading })
	if p.current().Silent {
		t.Error("coming back selects another change")
	}
}

func TestALateAnswerIsDropped(t *testing.T) {
	d, p := opened(t, prompt())
	old := answer{gen: p.gen, rows: []sources.Change{silent()}}
	d.C.View.Range = 6 * time.Hour
	d.Do(p.Refresh(d.C))
	d.Send(old)
	if len(p.rows) != 1 || p.rows[0].Silent {
		t.Error("the answer for the old range is taken")
	}
}

func TestStatesAreSaidInWords(t *testing.T) {
	for _, tc := range []struct {
		name string
		rows []sources.Change
		err  error
		says []string
	}{
		{"nothing", nil, nil, []string{"Nothing changed in the last 1h.", "Press - for a longer range"}},
		{"down", nil, errors.New("prometheus: connection refused; is it running?"), []string{"could not be read: prometheus: connection refused", "next refresh"}},
		{"hostile", []sources.Change{{At: tuitest.Start, Component: "\x1b[2J", From: strings.Repeat("宽", 99), To: "\x07\n", Evidence: strings.Repeat("y", 1<<20)}}, nil, []string{"?[2J"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, w := range []int{120, 80, 20, 1} {
				p := New().(*Pane)
				d := panetest.New(t, p, w, 19)
				d.C.Theme = theme.New(theme.Options{})
				d.Back.OnChanges = func(context.Context, string, sources.View) ([]sources.Change, sources.Facts, error) {
					return tc.rows, sources.Facts{}, tc.err
				}
				cmd := p.Open(d.C, nil)
				d.Screen()
				d.Do(cmd)
				d.Until("it is answered", func() bool { return !p.loading })
				if s := d.Raw(); strings.Contains(s, "\x1b[2J") || strings.ContainsAny(s, "\x07\r\t") {
					t.Errorf("a control byte reaches the terminal: %q", s)
				}
				d.Screen()
				for _, s := range tc.says {
					if w == 120 {
						d.Shows(s)
					}
				}
			}
		})
	}
}
