package logs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/tuitest"
)

// tailing opens a pane on a tail that the test feeds; the range query finds first.
func tailing(t testing.TB, w, h int, first ...sources.LogLine) (*panetest.Driver, *Pane, chan sources.LogBatch) {
	t.Helper()
	p := New().(*Pane)
	p.moment = 0
	d := panetest.New(t, p, w, h)
	feed := make(chan sources.LogBatch, 16)
	d.Back.OnLogs = func(context.Context, string, sources.LogQuery) (sources.LogList, error) {
		return sources.LogList{Lines: first, Facts: sources.Facts{Source: "loki", At: tuitest.Start, Shown: len(first), Total: len(first)}}, nil
	}
	d.Back.OnTail = func(context.Context, string, sources.LogQuery) (<-chan sources.LogBatch, error) { return feed, nil }
	d.Do(p.Open(d.C, nil))
	feed <- sources.LogBatch{State: stateLive}
	d.Shows("live")
	return d, p, feed
}

func numbered(from, n int) []sources.LogLine {
	out := make([]sources.LogLine, n)
	for i := range out {
		k := from + i
		level := "info"
		if k%100 == 0 {
			level = "error"
		}
		out[i] = sources.LogLine{
			Time: tuitest.Start.Add(time.Duration(k) * time.Millisecond), Level: level, RequestID: fmt.Sprintf("req-%d", k),
			Line: fmt.Sprintf(`{"level":%q,"msg":"line %d","request_id":"req-%d","route":"/chat"}`, level, k, k),
		}
	}
	return out
}

func TestTheTailIsFollowedWithinItsBounds(t *testing.T) {
	d, p, feed := tailing(t, 100, 20)
	for from := 0; from < 50000; from += 5000 {
		feed <- sources.LogBatch{Lines: numbered(from, 5000)}
	}
	d.Shows("line 49999")
	if n := len(p.buf.lines); n != maxLines {
		t.Errorf("%d lines are kept, not %d", n, maxLines)
	}
	if first := p.buf.lines[0].line.RequestID; first != "req-40000" || len(p.buf.errors) != maxLines/100 || p.buf.errors[0] != p.buf.first {
		t.Errorf("the buffer begins with %s and has %d errors, the first is number %d of %d", first, len(p.buf.errors), p.buf.errors[0], p.buf.first)
	}
	d.Shows("this screen keeps the newest 10,000")
	big := strings.Repeat("x", 1<<20)
	var lines []sources.LogLine
	for i := range 64 {
		lines = append(lines, sources.LogLine{Time: tuitest.Start.Add(time.Hour + time.Duration(i)), Line: big})
	}
	feed <- sources.LogBatch{Lines: lines}
	d.Until("the large lines are in", func() bool { return p.buf.lines[len(p.buf.lines)-1].line.Line == big })
	if p.buf.bytes > maxBytes || len(p.buf.lines) > 32 {
		t.Errorf("%d lines of %d bytes are kept", len(p.buf.lines), p.buf.bytes)
	}
}

func TestLostLinesAreCounted(t *testing.T) {
	d, _, feed := tailing(t, 120, 20)
	feed <- sources.LogBatch{Lines: numbered(0, 3), Dropped: 1200}
	feed <- sources.LogBatch{Dropped: 4}
	d.Shows("1,204 lines lost on the way here")
	feed <- sources.LogBatch{State: "reconnecting: loki closed the tail"}
	d.Shows("reconnecting: loki closed the tail")
}

func TestScrollingUpHoldsTheScreenAndFGoesOn(t *testing.T) {
	d, p, feed := tailing(t, 100, 20, numbered(0, 100)...)
	d.Press("up", "up")
	before := d.Screen()
	feed <- sources.LogBatch{Lines: numbered(100, 812)}
	d.Shows("held: 812 newer, press f")
	after := d.Screen()
	if a, b := body(before), body(after); a != b {
		t.Errorf("held lines moved\n--- before\n%s--- after\n%s", a, b)
	}
	d.Press("f")
	d.Shows("line 911")
	if !p.follow {
		t.Error("f does not follow")
	}
	if d.Back.Calls("Logs") != 1 {
		t.Error("nothing was missed, and yet it reads anew")
	}
}

// body is a screen without its first and last line.
func body(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[1:len(lines)-1], "\n")
}

func TestWhatPassesWhileHeldIsCountedAndReadAnew(t *testing.T) {
	d, p, feed := tailing(t, 120, 20, numbered(0, 100)...)
	d.Press("home")
	feed <- sources.LogBatch{Lines: numbered(100, 9000)}
	d.Shows("held: 9,000 newer")
	feed <- sources.LogBatch{Lines: numbered(9100, 5000)}
	d.Shows("held: 9,900 newer, 4,100 more passed, press f")
	if n := len(p.buf.lines); n != maxLines || p.buf.first != 0 {
		t.Errorf("%d lines from %d are kept", n, p.buf.first)
	}
	d.Back.OnLogs = func(context.Context, string, sources.LogQuery) (sources.LogList, error) {
		return sources.LogList{Lines: numbered(14000, 100)}, nil
	}
	d.Press("f")
	d.Shows("line 14099")
	if p.missed != 0 || len(p.buf.lines) != 100 {
		t.Errorf("%d lines after reading anew, %d missed", len(p.buf.lines), p.missed)
	}
}

func TestTheSeamBetweenQueryAndTailHasNoRepeats(t *testing.T) {
	d, p, feed := tailing(t, 100, 20, numbered(0, 10)...)
	feed <- sources.LogBatch{Lines: numbered(5, 10)}
	d.Shows("line 14")
	if n := len(p.buf.lines); n != 15 {
		t.Errorf("%d lines, want 15", n)
	}
}

func TestOneMessageBringsWhatHasGathered(t *testing.T) {
	p := New().(*Pane)
	p.moment, p.ctx = 0, context.Background()
	ch := make(chan sources.LogBatch, 8)
	ch <- sources.LogBatch{Lines: numbered(0, 8000), Dropped: 1}
	ch <- sources.LogBatch{Lines: numbered(8000, 8000), Dropped: 2, State: stateLive}
	a := p.next(ch)().(arrived)
	if len(a.lines) != maxBatch || a.skipped != 6000 || a.dropped != 3 || a.state != stateLive || a.closed {
		t.Errorf("got %d lines, %d skipped, %d dropped, state %q, closed %v", len(a.lines), a.skipped, a.dropped, a.state, a.closed)
	}
	if a.lines[0].RequestID != "req-6000" {
		t.Errorf("the newest are not kept: first is %s", a.lines[0].RequestID)
	}
	close(ch)
	if a := p.next(ch)().(arrived); !a.closed {
		t.Error("the end of the tail is not reported")
	}
}

func TestLeavingEndsTheTail(t *testing.T) {
	p := New().(*Pane)
	d := panetest.New(t, p, 100, 20)
	ended := make(chan struct{})
	d.Back.OnTail = func(ctx context.Context, _ string, _ sources.LogQuery) (<-chan sources.LogBatch, error) {
		ch := make(chan sources.LogBatch, 1)
		ch <- sources.LogBatch{State: stateLive}
		go func() {
			<-ctx.Done()
			close(ch)
			close(ended)
		}()
		return ch, nil
	}
	d.Do(p.Open(d.C, nil))
	d.Shows("live")
	p.Left()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the tail goes on after the pane was left")
	}
	d.Send(d.Next()) // the reader of the tail reports; nothing comes of it
	if p.tailing {
		t.Error("the pane believes that it still follows")
	}
}

func TestALateAnswerToAnOldQuestionIsDropped(t *testing.T) {
	d, p, _ := tailing(t, 100, 20, numbered(0, 3)...)
	old := listed{gen: p.gen, list: sources.LogList{Lines: numbered(900, 1)}}
	d.Press("/")
	d.Type("timeout")
	d.Press("enter")
	d.Send(old)
	d.Send(arrived{gen: old.gen, lines: numbered(901, 1)})
	if s := d.Screen(); strings.Contains(s, "line 900") || strings.Contains(s, "line 901") {
		t.Errorf("a late answer is on the screen\n%s", s)
	}
}

func TestTheFilterGoesToTheSource(t *testing.T) {
	d, p, _ := tailing(t, 120, 20, numbered(0, 3)...)
	var asked sources.LogQuery
	d.Back.OnLogs = func(_ context.Context, _ string, q sources.LogQuery) (sources.LogList, error) {
		asked = q
		return sources.LogList{}, nil
	}
	for _, tc := range []struct{ typed, query, contains string }{
		{"timeout", "", "timeout"},
		{`{job="a"} |= "x"`, `{job="a"} |= "x"`, ""},
	} {
		d.Press("/", "ctrl+u")
		d.Type(tc.typed)
		d.Press("enter")
		d.Until("it is asked", func() bool { return !p.loading })
		if asked.Query != tc.query || asked.Contains != tc.contains || !asked.Since.Equal(tuitest.Start.Add(-time.Hour)) || asked.Limit == 0 {
			t.Errorf("%q asks for %+v", tc.typed, asked)
		}
		d.Shows("matches " + tc.typed)
	}
	d.Press("/")
	d.Type(` |= "open`)
	d.Press("enter")
	d.Shows("quotation mark that is not closed")
	if !p.Capturing() || !p.Back(d.C) || p.Capturing() || p.text != `{job="a"} |= "x"` {
		t.Errorf("esc leaves the filter %q", p.text)
	}
}

func TestWhatWasSoughtIsMarkedInTheLines(t *testing.T) {
	d, p, _ := tailing(t, 120, 20, numbered(7, 3)...)
	d.Do(p.filter(d.C, "line 8"))
	d.Until("it is asked", func() bool { return !p.loading })
	for text, want := range map[string]string{
		"line 8":                     "line 8",
		`{job="a"} |= "chat" | json`: "chat",
		"{job=\"a\"} |= `req-9`":     "req-9",
	} {
		p.text = text
		if raw := d.Raw(); !strings.Contains(raw, d.C.Theme.Plain.Bold(true).Underline(true).Render(want)) &&
			!strings.Contains(raw, d.C.Theme.Dim.Bold(true).Underline(true).Render(want)) && !strings.Contains(raw, d.C.Theme.Selected.Bold(true).Underline(true).Render(want)) {
			t.Errorf("%s: %q is not marked", text, want)
		}
	}
	if got := marked(d.C.Theme.Plain, "aXbX", []string{"X"}); ansi.Strip(got) != "aXbX" || strings.Count(got, "X") != 2 {
		t.Errorf("marking changed the text to %q", got)
	}
	p.text = ""
	if got := marked(d.C.Theme.Plain, "plain", p.sought()); got != d.C.Theme.Plain.Render("plain") {
		t.Errorf("%q", got)
	}
}

func TestCheckFindsWhatIsNotClosed(t *testing.T) {
	for _, good := range []string{"", "plain ( text", `{a="b"}`, "{a=`}`} |= \"\\\"\" | json", `sum(rate({a="b"}[5m]))`} {
		if err := check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{`{a="b"`, `{a="b}`, `{a="b"} |= ` + "`x", `{a="b"}]`} {
		if check(bad) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestErrorsOnlyKeepsThePlace(t *testing.T) {
	d, p, _ := tailing(t, 100, 20, numbered(0, 1000)...)
	d.Press("up")
	p.list.Cursor = 450
	d.Press("e")
	if got := p.current().line.RequestID; got != "req-400" {
		t.Errorf("the nearest error before is selected: %s", got)
	}
	d.Shows("10 errors in 1,000 lines")
	d.Press("e")
	if got := p.current().line.RequestID; got != "req-400" {
		t.Errorf("back among all lines at %s", got)
	}
}

func TestErrorsAreAskedOfTheSourceWhenMoreLinesMatchThanAreInHand(t *testing.T) {
	all := numbered(0, 3000) // every hundredth is an error
	p := New().(*Pane)
	p.moment = 0
	d := panetest.New(t, p, 100, 20)
	var asked []bool
	d.Back.OnLogs = func(_ context.Context, _ string, q sources.LogQuery) (sources.LogList, error) {
		asked = append(asked, q.Errors)
		var in []sources.LogLine
		for _, l := range all {
			if !q.Errors || l.Level == "error" {
				in = append(in, l)
			}
		}
		total := len(in)
		in = in[max(0, total-q.Limit):]
		return sources.LogList{Lines: in, Facts: sources.Facts{Shown: len(in), Total: total}}, nil
	}
	tails := make(chan bool, 8)
	ch := make(chan sources.LogBatch, 1)
	d.Back.OnTail = func(_ context.Context, _ string, q sources.LogQuery) (<-chan sources.LogBatch, error) {
		tails <- q.Errors
		return ch, nil
	}
	d.Do(p.Open(d.C, nil))
	d.Shows("1,000 of 3,000 lines")
	d.Press("e")
	d.Shows("errors only")
	d.Shows("30 errors")
	if strings.Contains(d.Screen(), "in 1,000 lines") {
		t.Error("the errors are still counted among the lines in hand")
	}
	d.Press("e")
	d.Shows("1,000 of 3,000 lines")
	if len(asked) != 3 || asked[0] || !asked[1] || asked[2] {
		t.Errorf("asked for errors: %v", asked)
	}
	for len(tails) > 0 {
		if <-tails {
			t.Error("a tail was asked for errors only")
		}
	}
	d.Press("e")
	ch <- sources.LogBatch{State: "live", Lines: numbered(3050, 51)} // the last of them is an error
	d.Until("the error arrives", func() bool { return p.buf.rows() == 31 })
	if len(p.buf.lines) != 31 {
		t.Errorf("%d lines kept, want the errors only", len(p.buf.lines))
	}
}

func TestALineOpensInFullAndThenItsRequest(t *testing.T) {
	d, p, _ := tailing(t, 80, 19, numbered(0, 30)...)
	d.Press("up", "enter")
	for _, s := range []string{"Fields", "As received", "req-28"} {
		d.Shows(s)
	}
	if text, _ := p.CopyText(d.C); text != numbered(28, 1)[0].Line {
		t.Errorf("y copies %q", text)
	}
	d.Press("enter")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Request, Arg: "req-28"}) {
		t.Errorf("enter asks for %v", got)
	}
	if !p.Back(d.C) || p.Back(d.C) {
		t.Error("esc does not leave the line and then the pane")
	}
	d.Press("o")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Request, Arg: "req-28"}) {
		t.Errorf("o asks for %v", got)
	}
	p.buf.row(p.list.Cursor).line.RequestID = ""
	d.Press("o")
	if n, ok := d.Asked().(pane.NoticeMsg); !ok || !strings.Contains(n.Text, "no request ID") {
		t.Error("a line without an ID is not excused")
	}
}

func TestThePastIsNotFollowed(t *testing.T) {
	p := New().(*Pane)
	d := panetest.New(t, p, 120, 20)
	d.C.View.At = tuitest.ChangeAt
	d.Do(p.Open(d.C, nil))
	d.Shows("not live, f follows now")
	d.Until("it is read", func() bool { return p.answered })
	if last := p.buf.lines[len(p.buf.lines)-1].line.Time; last.After(tuitest.ChangeAt) {
		t.Errorf("a line of %v is shown", last)
	}
	if d.Back.Calls("Tail") != 0 {
		t.Error("the past is tailed")
	}
	d.Press("f")
	if got := d.Asked(); got != (pane.TimeMsg{Range: time.Hour}) {
		t.Errorf("f asks for %v", got)
	}
}

func TestTimesOfItsOwn(t *testing.T) {
	p := New().(*Pane)
	d := panetest.New(t, p, 120, 20)
	since := tuitest.Start.Add(-10 * time.Minute)
	d.Do(p.Open(d.C, sources.LogQuery{Contains: "req", Since: since, Until: since.Add(time.Minute)}))
	d.Shows("02:37:00 to 02:38:00")
	d.Until("it is read", func() bool { return p.answered })
	if first := p.buf.lines[0].line.Time; first.Before(since) {
		t.Errorf("a line of %v is shown", first)
	}
	d.Press("x")
	d.Shows("live")
	if p.window() {
		t.Error("x keeps the times")
	}
}

func TestScrollingBeyondTheFirstLineReadsOlderOnes(t *testing.T) {
	all := numbered(0, 3000)
	p := New().(*Pane)
	p.moment = 0
	d := panetest.New(t, p, 100, 20)
	d.Back.OnLogs = func(_ context.Context, _ string, q sources.LogQuery) (sources.LogList, error) {
		in := all
		if !q.Until.IsZero() {
			for len(in) > 0 && !in[len(in)-1].Time.Before(q.Until) {
				in = in[:len(in)-1]
			}
		}
		total := len(in)
		in = in[max(0, total-q.Limit):]
		return sources.LogList{Lines: in, Facts: sources.Facts{Shown: len(in), Total: total}}, nil
	}
	d.Do(p.Open(d.C, nil))
	d.Shows("1,000 of 3,000 lines")
	d.Press("home", "up")
	d.Until("older lines come", func() bool { return len(p.buf.lines) > 1000 })
	if got := p.current().line.RequestID; got != "req-2000" {
		t.Errorf("the cursor jumped to %s", got)
	}
	if len(p.buf.lines) != 1999 || p.buf.errors[0] != p.buf.first+(1100-1001) {
		t.Errorf("%d lines, first error number %d of %d", len(p.buf.lines), p.buf.errors[0], p.buf.first)
	}
	d.Press("up")
	d.Shows("line 1999")
}

func TestStatesAreSaidInWords(t *testing.T) {
	for _, tc := range []struct {
		name string
		list sources.LogList
		err  error
		tail error
		says []string
	}{
		{"nothing", sources.LogList{Query: `{job="assistant"}`}, nil, nil, []string{"No log lines in the last 1h.", `Asked with {job="assistant"}`}},
		{"down", sources.LogList{}, errors.New("loki: connection refused at 127.0.0.1:3100; is it running?"), nil, []string{"could not be read: loki: connection refused", "next refresh"}},
		{
			"truncated",
			sources.LogList{Lines: numbered(0, 2), Facts: sources.Facts{Source: "loki", Shown: 2, Total: 81240, Partial: "one shard timed out"}},
			nil, nil,
			[]string{"2 of 81,240 lines", "partial: one shard timed out"},
		},
		{"no tail", sources.LogList{Lines: numbered(0, 2)}, nil, errors.New("loki: the tail was refused"), []string{"not following: loki: the tail was refused", "line 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := New().(*Pane)
			d := panetest.New(t, p, 140, 19)
			d.Back.OnLogs = func(context.Context, string, sources.LogQuery) (sources.LogList, error) { return tc.list, tc.err }
			if tc.tail != nil {
				d.Back.OnTail = func(context.Context, string, sources.LogQuery) (<-chan sources.LogBatch, error) { return nil, tc.tail }
			}
			cmd := p.Open(d.C, nil)
			if !strings.Contains(d.Screen(), "Reading log lines") {
				t.Errorf("loading is not said:\n%s", d.Screen())
			}
			d.Do(cmd)
			for _, s := range tc.says {
				d.Shows(s)
			}
		})
	}
}

func TestATailThatEndedIsTakenUpByTheNextRefresh(t *testing.T) {
	d, p, feed := tailing(t, 100, 20, numbered(0, 3)...)
	close(feed)
	d.Shows("the tail ended")
	again := make(chan sources.LogBatch, 1)
	again <- sources.LogBatch{State: stateLive, Lines: numbered(3, 1)}
	d.Back.OnTail = func(context.Context, string, sources.LogQuery) (<-chan sources.LogBatch, error) { return again, nil }
	d.Do(p.Refresh(d.C))
	d.Shows("line 3")
	if p.Refresh(d.C) != nil {
		t.Error("a refresh reads while the tail runs")
	}
}

func TestComingBackFindsTheLineThatWasRead(t *testing.T) {
	d, p, _ := tailing(t, 100, 20, numbered(0, 5000)...)
	d.Press("pgup", "pgup", "up")
	id, before := p.current().line.RequestID, body(d.Screen())
	kept := p.Keep()
	p.Left()
	d.Do(p.Open(d.C, sources.LogQuery{Contains: "other"}))
	d.Until("something else is read", func() bool { return !p.loading })
	d.Do(p.Restore(d.C, kept))
	if got := p.current().line.RequestID; got != id || body(d.Screen()) != before {
		t.Errorf("back at %s, not %s", got, id)
	}
	d.Shows("held, f reads what came since")
	if n := len(p.buf.lines); n > 2*maxKept+1 {
		t.Errorf("%d lines lie on the way back", n)
	}
}

func TestHostileLinesNeverBreakTheScreen(t *testing.T) {
	evil := []string{
		"\x1b]0;title\x07\x1b[2J", strings.Repeat("宽", 4000), "e" + strings.Repeat("\u0301", 9000), "a\nb\tc\r", "\xff\xfe", strings.Repeat("y", 1<<20),
		`{"msg":"x","deep":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, `{"msg":`, `{}`, `{"msg":"\u001b[31m\n\u0000","k\u001b":1}`,
	}
	var lines []sources.LogLine
	for i, s := range evil {
		lines = append(lines, sources.LogLine{Time: tuitest.Start.Add(time.Duration(i)), Line: s, Level: "ERROR", Labels: map[string]string{s[:1]: s}})
	}
	for _, o := range []theme.Options{{}, {ASCII: true, NoColor: true}} {
		for _, size := range [][2]int{{80, 19}, {200, 55}, {20, 4}, {9, 2}, {1, 1}} {
			p := New().(*Pane)
			d := panetest.New(t, p, size[0], size[1])
			d.C.Theme = theme.New(o)
			d.Back.OnLogs = func(context.Context, string, sources.LogQuery) (sources.LogList, error) {
				return sources.LogList{Lines: lines}, nil
			}
			d.Do(p.Open(d.C, nil))
			d.Until("lines are there", func() bool { return p.answered })
			for range evil {
				d.Press("enter")
				if s := d.Raw(); strings.Contains(s, "\x1b]") || strings.Contains(s, "\x1b[2J") || strings.Contains(s, "\x1b[31m") || strings.ContainsAny(s, "\x00\x07\r\t") {
					t.Fatalf("a control byte reaches the terminal: %q", s)
				}
				d.Screen() // checks its size
				d.Press("pgdown")
				p.Back(d.C)
				d.Screen()
				d.Press("up")
			}
		}
	}
}

func BenchmarkViewOf10kLines(b *testing.B) {
	d, p, _ := tailing(b, 200, 55, numbered(0, maxLines)...)
	for b.Loop() {
		p.View(d.C)
	}
}

func BenchmarkTakeIn1000Lines(b *testing.B) {
	d, p, feed := tailing(b, 200, 55, numbered(0, maxLines)...)
	lines := numbered(maxLines, 1000)
	for b.Loop() {
		p.add(d.C, arrived{gen: p.gen, ch: feed, lines: lines})
		p.View(d.C)
	}
}
