package request

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

func opened(t testing.TB, w, h int) (*panetest.Driver, *Pane) {
	t.Helper()
	p := New().(*Pane)
	d := panetest.New(t, p, w, h)
	d.Do(p.Open(d.C, failing(d)))
	d.Until("the request is there", func() bool { return p.view != nil })
	return d, p
}

func answering(d *panetest.Driver, f func(id string) (*sources.RequestView, error)) {
	d.Back.OnRequest = func(_ context.Context, _, id string) (*sources.RequestView, error) { return f(id) }
}

func TestARequestThatIsNotKnownIsExcusedInWords(t *testing.T) {
	for _, tc := range []struct {
		name string
		view *sources.RequestView
		err  error
		says []string
	}{
		{"error", nil, errors.New(`no request has the ID "req-x"`), []string{"Request req-x was not found.", `no request has the ID "req-x"`}},
		{"nothing at all", nil, nil, []string{"was not found", "no source knows this ID"}},
		{
			"empty answer", &sources.RequestView{Answers: []sources.Answer{
				{Source: "traces", Note: "no span carries this ID"}, {Source: "loki", Note: "connection refused"},
			}}, nil,
			[]string{"was not found", "traces", "no span carries this ID", "connection refused"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := New().(*Pane)
			d := panetest.New(t, p, 100, 25)
			if !strings.Contains(d.Screen(), "No request is open") {
				t.Errorf("an empty pane says\n%s", d.Screen())
			}
			answering(d, func(string) (*sources.RequestView, error) { return tc.view, tc.err })
			cmd := p.Open(d.C, "req-x")
			if !strings.Contains(d.Screen(), "Reading request req-x") {
				t.Errorf("loading is not said:\n%s", d.Screen())
			}
			d.Do(cmd)
			for _, s := range append(tc.says, "What to try", "trace or response ID") {
				d.Shows(s)
			}
			if p.Refresh(d.C) == nil {
				t.Error("it is not looked for again")
			}
			p.Left()
			d.Press("tab", "enter", "down", "z", "l") // nothing to act on
		})
	}
}

func TestLogLinesWithoutATraceAreShown(t *testing.T) {
	p := New().(*Pane)
	d := panetest.New(t, p, 130, 31)
	answering(d, func(string) (*sources.RequestView, error) {
		return &sources.RequestView{
			Logs:    sources.LogList{Lines: []sources.LogLine{{Time: tuitest.Start, Line: "only a line"}}},
			Answers: []sources.Answer{{Source: "traces", Note: "no span carries this ID"}, {Source: "loki", Found: true}},
		}, nil
	})
	d.Do(p.Open(d.C, "req-x"))
	for _, s := range []string{"req-x", "only a line", "No spans of this request have arrived", "no span carries this ID"} {
		d.Shows(s)
	}
}

func TestALateAnswerIsDropped(t *testing.T) {
	d, p := opened(t, 120, 31)
	old := answer{gen: p.gen, view: &sources.RequestView{Request: sources.Request{ID: "stale"}}, trace: grow(nil, &sources.Request{})}
	d.Do(p.Open(d.C, "another"))
	d.Send(old)
	if strings.Contains(d.Screen(), "stale") {
		t.Error("the answer to the question before is on the screen")
	}
}

func TestLeavingEndsTheRead(t *testing.T) {
	p := New().(*Pane)
	d := panetest.New(t, p, 120, 31)
	ended := make(chan struct{})
	d.Back.OnRequest = func(ctx context.Context, _, _ string) (*sources.RequestView, error) {
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	d.Do(p.Open(d.C, "req-x"))
	p.Left()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the read goes on after the pane was left")
	}
}

func TestALateEvaluationAppearsAndASettledRequestIsLeftAlone(t *testing.T) {
	d, p := opened(t, 120, 34)
	d.Press("down", "down", "down")
	name := p.selectedSpan().Name
	view := *p.view
	view.Request.Scores = append(view.Request.Scores, sources.EvalScore{Evaluator: "toxicity", Value: sources.N(.9), Label: "fail"})
	view.Spans = append([]sources.Span{{SpanID: sources.SpanID{9}, Parent: sources.SpanID{1}, Name: "early", Start: view.Spans[0].Start - 10, End: view.Spans[0].Start}}, view.Spans...)
	answering(d, func(string) (*sources.RequestView, error) { return &view, nil })
	d.Do(p.Refresh(d.C))
	d.Shows("toxicity")
	if got := p.selectedSpan().Name; got != name {
		t.Errorf("the cursor went from %s to %s", name, got)
	}
	d.C.Now = d.C.Now.Add(settles + time.Minute)
	if p.Refresh(d.C) != nil {
		t.Error("a settled request is read again")
	}
}

func TestSpansCloseAndOpen(t *testing.T) {
	d, p := opened(t, 120, 40)
	all := len(p.shown)
	for p.selectedSpan().Name != "chat gpt-4.1" {
		d.Press("down")
	}
	d.Press("left")
	if len(p.shown) != all-1 || strings.Contains(d.Screen(), "execute_tool") {
		t.Errorf("%d of %d spans are shown", len(p.shown), all)
	}
	d.Press("right")
	if len(p.shown) != all {
		t.Errorf("%d of %d spans are shown", len(p.shown), all)
	}
	d.Press("down", "left", "left", "left")
	if len(p.shown) != all-1 {
		t.Errorf("closing from below: %d of %d spans are shown", len(p.shown), all)
	}
}

func TestEnterGoesDeeperAndEscComesBack(t *testing.T) {
	d, p := opened(t, 120, 40)
	d.Press("down", "down", "enter")
	d.Shows("Attributes")
	d.Shows("llmops.stage")
	if text, what := p.CopyText(d.C); what != "span ID" || text != p.selectedSpan().SpanID.String() {
		t.Errorf("y copies %q as %q", text, what)
	}
	d.Press("down", "tab") // the keys belong to the span now
	if p.focus != secTrace {
		t.Error("tab moved below the span")
	}
	if !p.Back(d.C) || p.detail != nil || p.lists[secTrace].Cursor != 2 {
		t.Error("esc does not come back to the same span")
	}
	for p.focus != secAlike {
		d.Press("tab")
	}
	d.Press("down", "enter")
	want := p.view.Alike[1].ID
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Request, Arg: want}) {
		t.Errorf("enter asks for %v, want %s", got, want)
	}
	d.Press("shift+tab")
	if p.focus != secContent {
		t.Errorf("shift+tab goes to %s", sectionNames[p.focus])
	}
	d.Press("enter")
	if !p.zoom || strings.Contains(d.Screen(), "Verdicts") {
		t.Error("enter does not show the content alone")
	}
	d.Press("left")
	d.Shows("[tool]")
	if text, what := p.CopyText(d.C); what != "tool" || !strings.Contains(text, "shipped") {
		t.Errorf("y copies %q as %q", text, what)
	}
	if !p.Back(d.C) || p.zoom || p.Back(d.C) {
		t.Error("esc does not come back to all sections and then leave")
	}
	d.Press("l")
	o, ok := d.Asked().(pane.OpenMsg)
	if q, isQuery := o.Arg.(sources.LogQuery); !ok || o.ID != pane.Logs || !isQuery || q.Contains != p.view.Request.ID || !q.Since.Before(p.view.Request.Time) {
		t.Errorf("l asks for %+v", o)
	}
}

func TestComingBackFromAnotherRequest(t *testing.T) {
	d, p := opened(t, 120, 31)
	d.Press("down", "down", "tab", "tab")
	kept, id, before := p.Keep(), p.id, d.Screen()
	p.Left()
	d.Do(p.Open(d.C, p.view.Alike[0].ID))
	d.Until("the other is there", func() bool { return p.view != nil && p.view.Request.ID != id })
	d.Do(p.Restore(d.C, kept))
	if p.id != id || d.Screen() != before {
		t.Errorf("back at\n%s\nwanted\n%s", d.Screen(), before)
	}
}

func TestAnErrorKeepsWhatIsKnown(t *testing.T) {
	d, p := opened(t, 120, 31)
	answering(d, func(string) (*sources.RequestView, error) { return nil, errors.New("traces: disk full") })
	d.Do(p.Refresh(d.C))
	d.Shows("older answer: traces: disk full")
	d.Shows("Versions")
}

func TestTheMouseSelectsSectionsTabsAndRows(t *testing.T) {
	d, p := opened(t, 120, 31)
	for _, b := range p.layout(d.C) {
		if b.sec == secAlike {
			d.Send(tea.MouseClickMsg{X: b.x + 5, Y: b.y + 2, Button: tea.MouseLeft})
		}
	}
	if p.focus != secAlike || p.lists[secAlike].Cursor != 1 {
		t.Errorf("a click went to %s row %d", sectionNames[p.focus], p.lists[secAlike].Cursor)
	}
	d, p = opened(t, 80, 19)
	y := line(d.Screen(), "[Trace]")
	x := strings.Index(strings.Split(d.Screen(), "\n")[y], "Content")
	d.Send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	if p.focus != secContent {
		t.Errorf("a click on the tab went to %s", sectionNames[p.focus])
	}
	d.Send(tea.MouseWheelMsg{X: 3, Y: y + 3, Button: tea.MouseWheelDown})
	d.Screen()
}

func line(screen string, with string) int {
	for i, l := range strings.Split(screen, "\n") {
		if strings.Contains(l, with) {
			return i
		}
	}
	return -1
}

func TestVersionsAreSetBesideTheLastGood(t *testing.T) {
	d, _ := opened(t, 200, 55)
	for _, s := range []string{"last good m-0142", "◆ prompt", "v13", "same", "gen_ai.prompt.version", "prompt v13 → v14, 02:31:00, 16m before this request", "(from llmops.request.id)"} {
		d.Shows(s)
	}
	d.C.Theme = theme.New(theme.Options{ASCII: true, NoColor: true})
	for _, r := range d.Screen() {
		if r > 126 {
			t.Fatalf("%q is on an ASCII screen:\n%s", r, d.Screen())
		}
	}
}

func TestHostileRequestsNeverBreakTheScreen(t *testing.T) {
	evil := []string{
		"\x1b]0;title\x07\x1b[2J", strings.Repeat("宽", 4000), "e" + strings.Repeat("\u0301", 9000), "a\nb\tc\r", "\xff\xfe", strings.Repeat("y", 1<<20), "",
	}
	var v sources.RequestView
	for i, s := range evil {
		sp := span(i+1, i, float64(i), float64(i+1))
		sp.Name, sp.Message, sp.Error = s, s, true
		sp.Attrs = sources.Attrs{{Key: s, Value: s}}
		sp.Events = []sources.SpanEvent{{Name: s, Attrs: sp.Attrs}}
		sp.Resource = &sources.Resource{Service: s, Attrs: sp.Attrs}
		v.Spans = append(v.Spans, sp)
		v.Content = append(v.Content, sources.Content{Kind: s, Text: s, From: s})
		v.Logs.Lines = append(v.Logs.Lines, sources.LogLine{Time: tuitest.Start, Line: s, Level: "error"})
		v.Alike = append(v.Alike, sources.Request{ID: s, Route: s, Outcome: "error", ErrorType: s})
		v.Answers = append(v.Answers, sources.Answer{Source: s, Note: s, Found: i%2 == 0})
		v.Diff = append(v.Diff, sources.Change{Component: sources.Component(s), From: s, To: s, Evidence: s})
		v.Request.Scores = append(v.Request.Scores, sources.EvalScore{Evaluator: s, Label: s, Explanation: s, Value: sources.N(1e300)})
		v.Request.Documents = append(v.Request.Documents, sources.Document{ID: s})
		v.Request.ToolCalls = append(v.Request.ToolCalls, sources.ToolCall{Name: s, Error: s})
	}
	s := strings.Join(evil[:5], " ")
	v.Request.ID, v.Request.Route, v.Request.Prompt, v.Request.RetrievalQuery, v.Request.Time = s, s, s, s, tuitest.Start
	v.LastGood = &sources.Manifest{ID: s, Versions: map[sources.Component]string{sources.Prompt: s}}
	for _, o := range []theme.Options{{}, {ASCII: true, NoColor: true}} {
		for _, size := range [][2]int{{80, 19}, {120, 31}, {200, 55}, {80, 60}, {40, 8}, {12, 3}, {1, 1}} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				p := New().(*Pane)
				d := panetest.New(t, p, size[0], size[1])
				d.C.Theme = theme.New(o)
				answering(d, func(string) (*sources.RequestView, error) { return &v, nil })
				d.Do(p.Open(d.C, "req-x"))
				d.Until("it is there", func() bool { return p.view != nil })
				for range secCount {
					for _, k := range []string{"down", "enter", "pgdown", "right"} {
						d.Press(k)
						if s := d.Raw(); strings.Contains(s, "\x1b]") || strings.Contains(s, "\x1b[2J") || strings.ContainsAny(s, "\x07\r\t") {
							t.Fatalf("a control byte reaches the terminal: %q", s)
						}
						d.Screen() // checks its size
					}
					p.Back(d.C)
					d.Sent = nil
					d.Press("tab")
				}
			})
		}
	}
}

func BenchmarkView(b *testing.B) {
	p := New().(*Pane)
	d := panetest.New(b, p, 200, 55)
	view, err := tuitest.Request(d.C.Service, failing(d), d.C.Now)
	if err != nil {
		b.Fatal(err)
	}
	view.Spans = many(10000)
	answering(d, func(string) (*sources.RequestView, error) { return view, nil })
	d.Do(p.Open(d.C, "req-x"))
	d.Until("the request is there", func() bool { return p.view != nil })
	for b.Loop() {
		p.View(d.C)
	}
}
