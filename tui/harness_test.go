package tui

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

// bench drives a console without a terminal: commands run at once, in order,
// and nothing ever ticks by itself.
type bench struct {
	t       testing.TB
	m       *Model
	backend *tuitest.Backend
	quit    bool
	raw     []string // sequences that went around the screen
	hold    func(tea.Cmd) bool
}

func newBench(t testing.TB, w, h int, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, backend: tuitest.New()}
	o := Options{Backend: b.backend, Wall: b.backend.Time.Wall, Background: "dark"}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	b.m = New(ctx, o)
	b.m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
	b.run(b.m.Init())
	b.send(tea.WindowSizeMsg{Width: w, Height: h})
	return b
}

func (b *bench) send(msg tea.Msg) {
	_, cmd := b.m.Update(msg)
	b.run(cmd)
}

func (b *bench) run(cmd tea.Cmd) {
	if cmd == nil || b.hold != nil && b.hold(cmd) {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.QuitMsg:
		b.quit = true
	case tea.RawMsg:
		b.raw = append(b.raw, msg.Msg.(string))
	default:
		if v := reflect.ValueOf(msg); v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]() {
			for i := range v.Len() {
				b.run(v.Index(i).Interface().(tea.Cmd))
			}
			return
		}
		b.send(msg)
	}
}

// press sends keys by their names; a name of several letters that is no key is typed letter by letter.
func (b *bench) press(keys ...string) {
	for _, k := range keys {
		b.send(keyMsg(k))
	}
}

func (b *bench) typed(s string) {
	for _, r := range s {
		b.send(tea.KeyPressMsg{Text: string(r), Code: r})
	}
}

var named = map[string]tea.Key{
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab},
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
	"backspace": {Code: tea.KeyBackspace}, "pgdown": {Code: tea.KeyPgDown}, "pgup": {Code: tea.KeyPgUp},
	"space": {Code: tea.KeySpace, Text: " "}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+r": {Code: 'r', Mod: tea.ModCtrl},
	"ctrl+g": {Code: 'g', Mod: tea.ModCtrl}, "alt+]": {Code: ']', Mod: tea.ModAlt}, `alt+\`: {Code: '\\', Mod: tea.ModAlt},
}

func keyMsg(k string) tea.KeyPressMsg {
	if key, ok := named[k]; ok {
		return tea.KeyPressMsg(key)
	}
	r := []rune(k)
	return tea.KeyPressMsg{Text: k, Code: r[0]}
}

func (b *bench) screen() string { return b.m.View().Content }

// at tells which pane is on the screen.
func (b *bench) at() pane.ID { return b.m.top().id }

func (b *bench) shows(words ...string) {
	b.t.Helper()
	s := plainText(b.screen())
	for _, w := range words {
		if !strings.Contains(s, w) {
			b.t.Fatalf("the screen does not show %q:\n%s", w, s)
		}
	}
}

func (b *bench) hides(words ...string) {
	b.t.Helper()
	s := plainText(b.screen())
	for _, w := range words {
		if strings.Contains(s, w) {
			b.t.Fatalf("the screen shows %q:\n%s", w, s)
		}
	}
}
