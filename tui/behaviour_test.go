package tui

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

func TestNothingIsReadOrDrawnBeforeTheTerminalHasToldItsSize(t *testing.T) {
	b := &bench{t: t, backend: tuitest.New()}
	b.m = New(t.Context(), Options{Backend: b.backend, Wall: b.backend.Time.Wall})
	b.m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
	b.m.Init()
	b.send(tea.KeyPressMsg{Text: "2", Code: '2'})
	if got := b.screen(); got != "" {
		t.Fatalf("drew %q", got)
	}
	if n := b.backend.Calls("Snapshot"); n != 0 {
		t.Fatalf("read %d snapshots", n)
	}
}

func TestEscComesBackExactly(t *testing.T) {
	b := newBench(t, 120, 36)
	b.press("down", "down") // on eval score
	before := b.screen()
	b.press("3", "right")
	quality := b.screen()
	b.press("enter", "s")
	if b.at() != pane.Signal {
		t.Fatalf("enter on a signal opened %s", b.at())
	}
	split := b.screen()
	b.press("2", "enter") // a signal opened over a signal
	b.shows("Health › requests")
	b.press("esc", "esc")
	if got := b.screen(); got != split {
		t.Fatalf("esc did not come back to the split signal:\n%s\nwant\n%s", plainText(got), plainText(split))
	}
	b.press("esc")
	if got := b.screen(); got != quality {
		t.Fatalf("esc did not come back to the quality pane:\n%s", plainText(got))
	}
	b.press("esc")
	if got := b.screen(); got != before {
		t.Fatalf("esc did not come back to the overview:\n%s\nwant\n%s", plainText(got), plainText(before))
	}
	b.press("esc")
	b.shows("q leaves")
	if b.quit {
		t.Fatal("esc on the first screen left the console")
	}
}

// hanging makes snapshots wait until they are released or cancelled.
type hanging struct {
	started chan sources.View
	release chan struct{}
}

func (h *hanging) snapshot(b *tuitest.Backend) func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) {
	return func(ctx context.Context, service string, v sources.View, _ sources.Pane) (*signal.Snapshot, error) {
		h.started <- v
		select {
		case <-h.release:
			return tuitest.Snapshot(service, v, b.Time.Now()), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func TestKeysAreAnsweredWhileASnapshotHangs(t *testing.T) {
	b := newBench(t, 120, 36)
	h := &hanging{make(chan sources.View, 8), make(chan struct{})}
	b.backend.OnSnapshot = h.snapshot(b.backend)
	late := make(chan tea.Msg, 1)
	b.hold = func(cmd tea.Cmd) bool { // commands run on the side, as in the real program
		go func() { late <- cmd() }()
		return true
	}
	b.send(tickMsg{})
	<-h.started
	b.hold = nil
	b.press("2")
	b.shows("Health · last 1h", "LIVE 02:47Z")
	b.press("?")
	b.shows("Keys", "freeze")
	b.press("esc", "esc")
	b.backend.Time.Advance(time.Minute)
	close(h.release)
	b.send(<-late)
	b.shows("LIVE 02:48Z")
}

func TestOnlyOneSnapshotIsReadAtATime(t *testing.T) {
	b := newBench(t, 120, 36)
	var held []tea.Cmd
	b.hold = func(cmd tea.Cmd) bool { held = append(held, cmd); return true }
	b.send(tickMsg{})
	n := len(held)
	b.send(tickMsg{})
	b.send(tickMsg{})
	if len(held)-n != 0 && b.m.read.gen > 2 {
		t.Fatalf("%d reads were started while one was flying", b.m.read.gen)
	}
	if !b.m.read.flying {
		t.Fatal("no read is flying after a tick")
	}
	ctx := make(chan error, 1)
	b.backend.OnSnapshot = func(c context.Context, _ string, _ sources.View, _ sources.Pane) (*signal.Snapshot, error) {
		ctx <- c.Err()
		return nil, c.Err()
	}
	// A new range ends the read that is under way, and the next begins when it has reported.
	b.press("-")
	if !b.m.read.again {
		t.Fatal("the new range asks for no new read")
	}
	held = nil
	b.send(snapshotMsg{gen: b.m.read.gen - 1, err: context.Canceled})
	if len(held) != 1 || !b.m.read.flying {
		t.Fatalf("the read of the new range did not follow the ended one: %d commands", len(held))
	}
}

func TestAnOldAnswerNeverReplacesANewerView(t *testing.T) {
	b := newBench(t, 120, 36)
	want := b.m.read.snap
	b.send(snapshotMsg{gen: b.m.read.gen - 1, snap: &signal.Snapshot{Service: "other"}})
	if b.m.read.snap != want {
		t.Fatal("a snapshot of an older view was shown")
	}
}

func TestFreezeHoldsTheScreenAndReadsNothing(t *testing.T) {
	b := newBench(t, 120, 36)
	b.press("space")
	b.shows("FROZEN 02:47Z", "NOT LIVE", "press 0 for now")
	n := b.backend.Calls("Snapshot")
	before := b.screen()
	b.backend.Time.Advance(5 * time.Minute)
	b.send(tickMsg{})
	b.send(tickMsg{})
	if got := b.screen(); got != before {
		t.Fatalf("a frozen screen changed:\n%s", plainText(got))
	}
	if got := b.backend.Calls("Snapshot"); got != n {
		t.Fatalf("a frozen screen read %d snapshots", got-n)
	}
	b.press("0")
	b.shows("LIVE 02:52Z")
	b.hides("NOT LIVE")
}

func TestAConsoleCanBeginInThePast(t *testing.T) {
	at := tuitest.New().Clock().Now().Add(-2 * time.Hour)
	b := newBench(t, 120, 36, func(o *Options) { o.At = at })
	b.shows("NOT LIVE", "showing 00:47Z", "press 0 for now")
	if v := b.m.read.snap.View; !v.At.Equal(at) {
		t.Errorf("the signals were read for %+v, want %s", v, at)
	}
	b.press("0")
	b.shows("LIVE 02:47Z")
	b.hides("NOT LIVE")
}

func TestTimeKeys(t *testing.T) {
	b := newBench(t, 120, 36)
	for _, step := range []struct {
		keys  string
		shows string
	}{
		{"-", "last 3h"},
		{"+", "last 1h"},
		{"+", "last 30m"},
		{"[", "PAST 02:32Z"},
		{"]", "LIVE 02:47Z"},
		{"]", "This is now"},
		{"L", tuitest.Start.Local().Format("15:04") + " local"},
		{"L", "02:47Z"},
	} {
		b.press(step.keys)
		b.shows(step.shows)
	}
}

func TestPaletteTakesTimeAndRange(t *testing.T) {
	for _, c := range []struct{ typed, shows string }{
		{"at 02:31", "PAST 02:31Z"},
		{"at 03:31", "PAST Mar 9 03:31Z"}, // the last time it was that late
		{"at 2026-03-08 12:00", "Mar 8 12:00Z"},
		{"at -10m", "PAST 02:37Z"},
		{"at tomorrow", "is no time"},
		{"at 2027-01-01 00:00", "has not happened yet"},
		{"range 6h", "last 6h"},
		{"range 2d", "last 2d"},
		{"range soon", "is not a duration"},
		{"range 1000d", "between"},
		{"range", "It takes 6h"},
		{"service billing", "billing-assistant"},
		{"service nosuch", "no service is called"},
		{"signal schema", "Quality › schema fail"},
		{"schema", "Quality › schema fail"},
		{"health", "Health · last 1h"},
		{"hlth", "Health · last 1h"},
		{"debug", "bytes to the terminal"},
		{"help", "Keys"},
		{"nosuchthing", "No such command"},
	} {
		t.Run(c.typed, func(t *testing.T) {
			b := newBench(t, 140, 36)
			b.press(":")
			b.typed(c.typed)
			b.press("enter")
			b.shows(c.shows)
		})
	}
}

func TestServiceSwitchShowsNoFigureOfTheOldService(t *testing.T) {
	b := newBench(t, 120, 36)
	b.shows("Schema failures")
	b.hold = func(tea.Cmd) bool { return true } // the new service has not answered yet
	b.m.setService(tuitest.Quiet)
	b.m.layout()
	b.shows("billing-assistant", "READING")
	b.hides("Schema failures", "schema fail", "9.3%")
}

func TestADeadSourceIsNamedWithReasonAndAge(t *testing.T) {
	b := newBench(t, 120, 36)
	deadLoki(b.backend)
	b.press("ctrl+r")
	b.shows("loki is unreachable: connection refused", "last good 3m ago", "loki ? down 3m", "schema fail")
}

func TestWhenARefreshFailsOldFiguresStayAndSayTheirAge(t *testing.T) {
	b := newBench(t, 120, 36)
	b.backend.OnSnapshot = func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) {
		return nil, errors.New("prometheus: connection refused; is it running?")
	}
	b.backend.Time.Advance(3 * time.Minute)
	b.send(tickMsg{})
	b.shows("STALE 02:47Z", "Figures are 3m old", "connection refused", "schema fail")
}

func TestWhenARefreshHangsOldFiguresSayTheirAge(t *testing.T) {
	b := newBench(t, 120, 36)
	b.hold = func(tea.Cmd) bool { return true }
	b.send(tickMsg{})
	b.backend.Time.Advance(2 * time.Minute)
	b.send(tickMsg{})
	b.shows("STALE 02:47Z", "have not answered for 2m", "schema fail")
}

// ticker is a pane that counts its refreshes.
type ticker struct {
	stub
	n int
}

func (p *ticker) Open(pane.Context, any) tea.Cmd            { return nil }
func (p *ticker) Refresh(pane.Context) tea.Cmd              { p.n++; return nil }
func (p *ticker) Update(pane.Context, tea.Msg) tea.Cmd      { return nil }
func (p *ticker) CopyText(pane.Context) (text, what string) { return "", "" }

func TestAPaneIsRefreshedThoughTheSignalsFailOrHang(t *testing.T) {
	p := &ticker{stub: stub{pane.Logs}}
	b := newBench(t, 120, 36, func(o *Options) { o.Panes = []pane.Pane{p} })
	b.press("7")
	b.backend.OnSnapshot = func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) {
		return nil, errors.New("down")
	}
	b.send(tickMsg{})
	if p.n != 1 {
		t.Fatalf("refreshed %d times after a failed read, want 1", p.n)
	}
	b.hold = func(tea.Cmd) bool { return true }
	b.send(tickMsg{}) // begins a read that hangs
	b.send(tickMsg{})
	b.send(tickMsg{})
	if p.n != 3 {
		t.Fatalf("refreshed %d times while a read hangs, want 3", p.n)
	}
	b.press("y")
	b.shows("Nothing is selected to copy")
}

func TestTheTabsFitWithEveryPane(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {100, 30}, {200, 60}} {
		b := newBench(t, size[0], size[1], func(o *Options) {
			for _, id := range []pane.ID{pane.Requests, pane.Request, pane.Logs, pane.Changes, pane.Alerts} {
				o.Panes = append(o.Panes, &ticker{stub: stub{id}})
			}
		})
		checkShape(t, b.screen(), size[0], size[1])
		b.shows("1 ", "3 Qual", "6 Req", "7 Logs", "C", "A")
		if size[0] >= 80 {
			b.shows("C Ch", "A Al")
		}
		b.press("C")
		b.shows("Stub")
		b.press("A")
		if b.at() != pane.Alerts {
			t.Fatalf("A leads to %s", b.at())
		}
		b.press("esc")
		b.press("6", "7", "esc", "esc", "esc")
		if b.at() != pane.Overview {
			t.Fatalf("esc led to %s", b.at())
		}
	}
}

func TestRequestsFilterFromThePalette(t *testing.T) {
	for _, c := range []struct {
		typed string
		want  sources.RequestFilter
		err   string
	}{
		{typed: "requests bad", want: sources.RequestFilter{Service: tuitest.Failing, Bad: true}},
		{
			typed: "requests prompt=v14 route=/chat error=timeout",
			want: sources.RequestFilter{
				Service: tuitest.Failing, Route: "/chat", ErrorType: "timeout",
				Versions: map[sources.Component]string{sources.Prompt: "v14"},
			},
		},
		{typed: "requests colour=red", err: "is no filter"},
		{typed: "requests good", err: "is no filter"},
		{typed: "requests route=", err: "needs a value"},
	} {
		p := &argued{ticker: ticker{stub: stub{pane.Requests}}}
		b := newBench(t, 120, 36, func(o *Options) { o.Panes = []pane.Pane{p} })
		b.press(":")
		b.typed(c.typed)
		b.press("enter")
		if c.err != "" {
			b.shows(c.err)
			continue
		}
		if got, ok := p.arg.(sources.RequestFilter); !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s opened with %+v, want %+v", c.typed, p.arg, c.want)
		}
	}
}

func TestAnIDTypedOrPastedOpensTheRequest(t *testing.T) {
	p := &argued{ticker: ticker{stub: stub{pane.Request}}}
	b := newBench(t, 120, 36, func(o *Options) { o.Panes = []pane.Pane{p} })
	b.press("g")
	b.typed("req-1")
	b.press("enter")
	if p.arg != "req-1" {
		t.Fatalf("g opened %v", p.arg)
	}
	b.send(tea.PasteMsg{Content: " 4bf92f3577b34da6a3ce929d0e0e4736\n"})
	b.press("enter")
	if p.arg != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Fatalf("pasting opened %v", p.arg)
	}
	b.press(":")
	b.typed("chatcmpl-00aa11bb")
	b.press("enter")
	if p.arg != "chatcmpl-00aa11bb" {
		t.Fatalf("typing an ID opened %v", p.arg)
	}
	// Three requests lie on the way back, each with its own argument.
	b.press("esc")
	if p.arg != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Fatalf("esc came back to %v", p.arg)
	}
	b.press("esc")
	if p.arg != "req-1" {
		t.Fatalf("esc came back to %v", p.arg)
	}
}

// argued remembers what it was opened with.
type argued struct {
	ticker
	arg any
}

func (p *argued) Open(_ pane.Context, arg any) tea.Cmd { p.arg = arg; return nil }

func TestLettersTypedInAnInputAreNoKeys(t *testing.T) {
	b := newBench(t, 120, 36)
	b.press("3", "/")
	b.typed("q0?:eval")
	if b.quit || b.at() != pane.Quality || b.m.palette != nil || b.m.help != nil {
		t.Fatal("a letter typed into the filter did something else")
	}
	b.press("esc")
	b.press("/")
	b.typed("eval s")
	b.press("enter")
	b.shows("eval score", `matching "eval s"`)
	b.hides("retrieval hit")
	b.press("esc")
	b.shows("retrieval hit")
	b.press("esc")
	if b.at() != pane.Overview {
		t.Fatalf("esc after the filter was closed went to %s", b.at())
	}
	b.press(":")
	b.typed("q2 0?")
	if b.quit || b.m.palette.input.Value() != "q2 0?" {
		t.Fatal("a letter typed into the palette did something else")
	}
}

func TestPastedTextIsNeverKeys(t *testing.T) {
	b := newBench(t, 120, 36)
	b.send(tea.PasteMsg{Content: "q\n2\x1b[31m"})
	if b.quit || b.at() != pane.Overview {
		t.Fatal("pasted text pressed keys")
	}
	if got := b.m.palette.input.Value(); got != "request q 2" {
		t.Fatalf("the palette holds %q", got)
	}
}

// hostile is what an attacker might put into a label.
const hostile = "ev\x1b]0;owned\x07il\x1b[2J\x1b[5m\x9b1m\u202egnp\x00\r\nx\x7f"

func TestHostileTextNeverBecomesAControlSequence(t *testing.T) {
	for _, keys := range [][]string{{}, {"2"}, {"3"}, {"enter"}, {"enter", "s"}, {"?"}, {":"}, {"space"}} {
		b := newBench(t, 120, 36, func(o *Options) { o.Service = hostile })
		b.backend.OnSnapshot = func(_ context.Context, service string, v sources.View, _ sources.Pane) (*signal.Snapshot, error) {
			s := tuitest.Snapshot(tuitest.Failing, v, b.backend.Time.Now())
			for i := range s.Readings {
				r := &s.Readings[i]
				r.Label, r.Why, r.Detail, r.Provenance.Query = hostile, hostile, hostile, hostile
				r.Facts.Partial, r.Facts.Warnings = hostile, []string{hostile}
				for k := range r.Parts {
					r.Parts[k].Name = hostile
				}
			}
			for i := range s.Changes {
				s.Changes[i].To = hostile
			}
			s.Health[0].State, s.Health[0].Reason, s.Health[1].Source = sources.SourceDown, hostile, hostile
			s.Line.Parts = []string{hostile}
			return s, nil
		}
		b.backend.OnSplit = func(context.Context, string, string, string, sources.View) ([]sources.Part, sources.Facts, error) {
			return []sources.Part{{Name: hostile}}, sources.Facts{}, errors.New(hostile)
		}
		b.press("ctrl+r")
		b.press(keys...)
		s := b.screen()
		checkShape(t, s, 120, 36)
		for i := 0; i < len(s); i++ {
			if s[i] == 0x1b {
				n := sgr(s[i:])
				if n == 0 {
					t.Fatalf("after %v: a control sequence reached the screen: %q", keys, s[i:min(len(s), i+30)])
				}
				i += n - 1
			} else if s[i] < 0x20 && s[i] != '\n' || s[i] == 0x7f {
				t.Fatalf("after %v: control byte %#x reached the screen", keys, s[i])
			}
		}
		if strings.Contains(s, "\x1b[5m") {
			t.Fatalf("after %v: a colour of someone else's reached the screen", keys)
		}
		if strings.ContainsAny(s, "\u009b\u202e") {
			t.Fatalf("after %v: a C1 or bidirectional control reached the screen", keys)
		}
	}
}

func TestLateAnswersOfTheTerminalAreNotTyping(t *testing.T) {
	late := func(first tea.Msg, rest ...string) *bench {
		b := newBench(t, 120, 36, func(o *Options) { o.Background = "" })
		b.press(":")
		b.send(first)
		b.press(rest...)
		return b
	}
	for name, b := range map[string]*bench{
		"cut in the middle":   late(uv.UnknownEvent("\x1b]11;rgb:1e"), "1", "e", "/", "1", "e", "ctrl+g"),
		"cut after its start": late(tea.KeyPressMsg(named["alt+]"]), "1", "1", ";", "r", "g", "b", `alt+\`),
		"a mode report":       late(uv.UnknownEvent("\x1b[?2026"), ";", "2", "$", "y"),
	} {
		if got := b.m.palette.input.Value(); got != "" {
			t.Errorf("%s: %q was taken for typing", name, got)
		}
		b.press("x")
		if got := b.m.palette.input.Value(); got != "x" {
			t.Errorf("%s: typing after the answer gave %q", name, got)
		}
	}
}

func TestLeavingWaitsForADueAnswerOnlyShortly(t *testing.T) {
	b := newBench(t, 120, 36, func(o *Options) { o.Background = "" })
	b.press("q")
	if b.quit {
		t.Fatal("left while an answer of the terminal was due")
	}
	b.send(leaveMsg{})
	if !b.quit {
		t.Fatal("did not leave when the wait was over")
	}
	b = newBench(t, 120, 36)
	b.press("q")
	if !b.quit {
		t.Fatal("q did not leave")
	}
}

func TestMouse(t *testing.T) {
	b := newBench(t, 120, 36)
	lines := strings.Split(plainText(b.screen()), "\n")
	find := func(word string) (x, y int) {
		for i, l := range lines {
			if k := strings.Index(l, word); k >= 0 {
				return len([]rune(l[:k])), i
			}
		}
		t.Fatalf("%q is not on the screen", word)
		return 0, 0
	}
	click := func(word string) {
		x, y := find(word)
		b.send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	}
	click("refusals")
	if b.at() != pane.Overview {
		t.Fatal("one click opened something")
	}
	click("refusals")
	b.shows("Safety › refusals")
	click("4 Cost")
	b.shows("Cost · last 1h")
	b.send(tea.MouseWheelMsg{X: 10, Y: 20, Button: tea.MouseWheelDown})
	b.press("enter")
	b.shows("Cost › spend period")
	if b.m.View().MouseMode == tea.MouseModeNone {
		t.Fatal("the mouse is off")
	}
	b.press("m")
	if b.m.View().MouseMode != tea.MouseModeNone {
		t.Fatal("m did not turn the mouse off")
	}
}

func TestCopyGoesThroughTmuxAndScreen(t *testing.T) {
	for name, env := range map[string][]string{"plain": {"TERM=xterm"}, "tmux": {"TMUX=socket,1,0", "TERM=tmux-256color"}, "screen": {"TERM=screen"}} {
		b := newBench(t, 120, 36, func(o *Options) { o.Environ = env })
		b.press("enter", "y")
		b.shows("Copied the query")
		if len(b.raw) != 1 {
			t.Fatalf("%s: %d sequences were sent", name, len(b.raw))
		}
		got := b.raw[0]
		switch name {
		case "plain":
			data, ok := strings.CutPrefix(got, "\x1b]52;c;")
			text, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(data, "\a"))
			if !ok || err != nil || !strings.HasPrefix(string(text), "sum(rate(llmops_schema_fail") {
				t.Fatalf("plain: %q", got)
			}
		case "tmux":
			if !strings.HasPrefix(got, "\x1bPtmux;\x1b\x1b]52;c;") || !strings.HasSuffix(got, "\x1b\\") {
				t.Fatalf("tmux: %q", got)
			}
		case "screen":
			if !strings.HasPrefix(got, "\x1bP\x1b]52;c;") || !strings.HasSuffix(got, "\x1b\\") {
				t.Fatalf("screen: %q", got)
			}
		}
	}
}

func TestNothingChangesOnTheScreenBetweenRefreshes(t *testing.T) {
	b := newBench(t, 200, 60)
	before := b.screen()
	for range 20 {
		b.backend.Time.Advance(700 * time.Millisecond)
		b.send(tea.MouseMotionMsg{X: 5, Y: 5})
		if b.screen() != before {
			t.Fatal("the screen changed without a refresh")
		}
	}
}

// broken is a pane that fails.
type broken struct{ *stub }

func (broken) View(pane.Context) string { panic("boom") }

type stub struct{ id pane.ID }

func (s *stub) ID() pane.ID                          { return s.id }
func (s *stub) Title(pane.Context) string            { return "Stub" }
func (s *stub) Open(pane.Context, any) tea.Cmd       { return func() tea.Msg { panic("boom") } }
func (s *stub) Refresh(pane.Context) tea.Cmd         { return nil }
func (s *stub) Update(pane.Context, tea.Msg) tea.Cmd { panic("boom") }
func (s *stub) View(pane.Context) string             { return "" }
func (s *stub) Keys() []key.Binding                  { return nil }
func (s *stub) Back(pane.Context) bool               { return false }
func (s *stub) Capturing() bool                      { return false }
func (s *stub) Left()                                {}

func TestAPaneThatFailsDoesNotTakeTheConsoleWithIt(t *testing.T) {
	b := newBench(t, 120, 36, func(o *Options) { o.Panes = []pane.Pane{broken{&stub{pane.Logs}}} })
	b.press("7", "x")
	b.shows("logs pane cannot draw")
	b.press("esc")
	b.shows("schema fail")
}

func TestAPanesOwnResultsReachItOnly(t *testing.T) {
	var got []tea.Msg
	p := &listening{stub: stub{pane.Logs}, got: &got}
	b := newBench(t, 120, 36, func(o *Options) { o.Panes = []pane.Pane{p} })
	b.press("7", "1")
	if len(got) != 3 {
		t.Fatalf("the pane got %d results of its batch and sequence, want 3: %v", len(got), got)
	}
	if p.ctx.Err() == nil {
		t.Fatal("the context of a pane that was left has not ended")
	}
}

type listening struct {
	stub
	got *[]tea.Msg
	ctx context.Context
}

type note string

func (l *listening) Open(c pane.Context, _ any) tea.Cmd {
	l.ctx = c.Ctx
	say := func(s string) tea.Cmd { return func() tea.Msg { return note(s) } }
	return tea.Batch(say("a"), tea.Sequence(say("b"), say("c")))
}

func (l *listening) Update(_ pane.Context, msg tea.Msg) tea.Cmd {
	if n, ok := msg.(note); ok {
		*l.got = append(*l.got, n)
	}
	return nil
}
