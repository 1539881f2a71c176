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
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/stat"
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
	d.Send(tea.MouseClickMsg{X: 4, Y: headLines(d.C), Button: tea.MouseLeft})
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

// beside puts a canary into the snapshot whose candidate fails k of a hundred validations a minute.
func beside(c *pane.Context, k float64) {
	minutes := func(k, n float64) []stat.Count {
		out := make([]stat.Count, 30)
		for i := range out {
			out[i] = stat.Count{K: k, N: n}
		}
		return out
	}
	x := rollout.Decide(&rollout.Input{
		Kind: rollout.Canary, Newer: true, Provider: "prometheus", From: tuitest.Start.Add(-30 * time.Minute), To: tuitest.Start,
		Candidate: rollout.Side{Name: "canary", Versions: map[sources.Component]string{sources.Prompt: "v14"}, Share: sources.N(0.1)},
		Control:   rollout.Side{Name: "live", Versions: map[sources.Component]string{sources.Prompt: "v13"}, Share: sources.N(0.9)},
		Counted: []rollout.Counted{
			{ID: "errors", Name: "errors", Core: true, Tried: minutes(0, 100), Beside: minutes(4, 900)},
			{ID: "schema_failures", Name: "schema failures", Core: true, Tried: minutes(k, 100), Beside: minutes(11, 900)},
			{ID: "feedback", Name: "thumbs down", Tried: minutes(0.1, 1), Beside: minutes(1, 9)},
			{ID: "latency", Name: "slow answers (over 2.1 s)", Tried: minutes(10, 100), Beside: minutes(90, 900)},
		},
		NotSeen: []string{"cost"},
	})
	c.Snapshot.Rollout = rollout.New(tuitest.Start, []rollout.Comparison{x}, nil, sources.Facts{})
}

func TestARolloutIsSaidAboveTheListAndOpensInFull(t *testing.T) {
	d, _ := opened(t, prompt(), silent())
	beside(&d.C, 9)
	d.Shows("▲ Canary prompt v14: roll back, schema failures 9.0% (270/3,000) vs 1.2% (330/27,000)")
	d.Press("v")
	for _, s := range []string{"canary 3,000 requests, 10% of the traffic now", "worse", "not counted by version: cost", "too little"} {
		d.Shows(s)
	}
	d.Golden("changes-compared")
	d.Press("down", "down", "end", "home")
	if !d.Pane.(*Pane).Back(d.C) {
		t.Error("esc does not close the comparison")
	}
	d.Shows("silent")
	d.Press("v", "v")
	d.Shows("silent")
}

func TestComparisonsFitEveryScreen(t *testing.T) {
	for _, s := range panetest.Sizes {
		d := panetest.New(t, New(), s.W, s.H)
		beside(&d.C, 1)
		d.Do(d.Pane.Open(d.C, nil))
		d.Shows("Canary prompt v14: ")
		d.Shows("2 changes")
		d.Golden("changes-rollout-" + s.Name)
		d.Press("v")
		d.Golden("changes-compared-" + s.Name)
	}
}

func TestContradictionsAndAliasesStandAboveTheList(t *testing.T) {
	d, p := opened(t, prompt(), silent())
	d.C.Snapshot.Doubts = []string{"2 manifests at one time in stage live: prompt v14 and v13", "another\x1b[2J", "a third"}
	d.C.Snapshot.Aliases = []manifest.Alias{{Model: "gpt-4.1", Requests: 412, Of: 430}}
	d.Shows("Doubt: 2 manifests at one time in stage live")
	d.Shows("and 2 more; v shows all")
	d.Send(tea.MouseClickMsg{X: 4, Y: headLines(d.C) + 1, Button: tea.MouseLeft})
	if p.list.Cursor != 1 {
		t.Errorf("a click below the notices selects row %d", p.list.Cursor)
	}
	d.Press("v")
	for _, s := range []string{"nothing to compare", "a third", "Unpinned: gpt-4.1 is an alias"} {
		d.Shows(s)
	}
	if strings.Contains(d.Raw(), "\x1b[2J") {
		t.Error("a control byte reaches the terminal")
	}
}

func TestSwitchesOpenTheRequestsThatTheyCanBeToldBy(t *testing.T) {
	for _, tc := range []struct {
		change sources.Change
		want   sources.RequestFilter
	}{
		{sources.Change{At: tuitest.Start, Component: sources.Fallback, From: "big", To: "small"}, sources.RequestFilter{Where: []sources.Attribute{{Name: "fallback", Value: "big→small"}}}},
		{sources.Change{At: tuitest.Start, Component: sources.Feature, From: "rerank on", To: "rerank off"}, sources.RequestFilter{Since: tuitest.Start}},
		{
			sources.Change{At: tuitest.Start, Component: sources.Model, From: "fp_a", To: "fp_b", Silent: true, Evidence: "system fingerprint moved, served name still m"},
			sources.RequestFilter{Where: []sources.Attribute{{Name: "model_fingerprint", Value: "fp_b"}}},
		},
	} {
		d, _ := opened(t, tc.change)
		d.Press("enter")
		if got := d.Asked(); !reflect.DeepEqual(got, pane.OpenMsg{ID: pane.Requests, Arg: tc.want}) {
			t.Errorf("%s opens %+v", tc.change.Component, got)
		}
	}
}
