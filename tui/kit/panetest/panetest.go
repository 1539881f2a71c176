// Package panetest drives one pane without a shell: it runs the pane's commands,
// hands their results back, presses keys, and compares screens with golden files.
package panetest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/tuitest"
)

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// Driver is a pane with what the shell would hold for it.
type Driver struct {
	T    testing.TB
	Pane pane.Pane
	C    pane.Context
	Back *tuitest.Backend
	Desk *tuitest.Desk
	Sent []tea.Msg // what the pane asked of the shell: OpenMsg, NoticeMsg, TimeMsg, ActedMsg
	msgs chan tea.Msg
}

// New returns a driver for a live view of one hour on the failing service, w×h, dark and in colour.
func New(t testing.TB, p pane.Pane, w, h int) *Driver {
	t.Helper()
	b := tuitest.New()
	ctx, cancel := context.WithCancel(context.Background())
	desk := tuitest.NewDesk(b.Time)
	d := &Driver{T: t, Pane: p, Back: b, Desk: desk, msgs: make(chan tea.Msg, 64)}
	now := b.Time.Now()
	view := sources.View{Range: time.Hour, Columns: w}
	d.C = pane.Context{
		Width: w, Height: h, Theme: theme.New(theme.Options{Dark: true}), Service: tuitest.Failing,
		View: view, Now: now, Wall: now, Backend: b, Desk: desk, Ctx: ctx, Snapshot: tuitest.Snapshot(tuitest.Failing, view, now),
	}
	t.Cleanup(func() {
		d.Pane.Left()
		cancel()
	})
	return d
}

// Do runs a command; its results come back through Until.
func (d *Driver) Do(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		switch msg := cmd().(type) {
		case nil:
		case tea.BatchMsg:
			for _, c := range msg {
				d.Do(c)
			}
		default:
			d.msgs <- msg
		}
	}()
}

// Until hands results to the pane until ok holds; it fails the test when nothing makes it so.
func (d *Driver) Until(what string, ok func() bool) {
	d.T.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !ok() {
		select {
		case msg := <-d.msgs:
			d.Send(msg)
		case <-deadline.C:
			d.T.Fatalf("waited in vain until %s; the screen is\n%s", what, d.Screen())
		}
	}
}

// Next returns the next result of a command without handing it to the pane.
func (d *Driver) Next() tea.Msg {
	d.T.Helper()
	select {
	case msg := <-d.msgs:
		return msg
	case <-time.After(patience):
		d.T.Fatal("no command reported anything")
		return nil
	}
}

// Send hands one message to the pane, or keeps it when it is for the shell.
func (d *Driver) Send(msg tea.Msg) {
	switch msg.(type) {
	case pane.OpenMsg, pane.NoticeMsg, pane.TimeMsg, pane.ActedMsg:
		d.Sent = append(d.Sent, msg)
		return
	}
	d.Do(d.Pane.Update(d.C, msg))
}

// Shows waits until the screen contains the words.
func (d *Driver) Shows(words string) {
	d.T.Helper()
	d.Until("the screen shows "+words, func() bool { return strings.Contains(d.Screen(), words) })
}

// Asked waits until the pane has asked something of the shell and returns it.
func (d *Driver) Asked() tea.Msg {
	d.T.Helper()
	d.Until("the pane asks the shell", func() bool { return len(d.Sent) > 0 })
	msg := d.Sent[0]
	d.Sent = d.Sent[1:]
	return msg
}

// Press presses keys by their names: "enter", "down", "b", "shift+tab".
func (d *Driver) Press(names ...string) {
	for _, n := range names {
		d.Send(Key(n))
	}
}

// Type types text letter by letter.
func (d *Driver) Type(text string) {
	for _, r := range text {
		d.Send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

// Key returns the press of a named key.
func Key(name string) tea.KeyPressMsg {
	named := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
		"right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "backspace": tea.KeyBackspace,
	}
	if rest, ok := strings.CutPrefix(name, "shift+"); ok {
		return tea.KeyPressMsg{Code: named[rest], Mod: tea.ModShift}
	}
	if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: []rune(rest)[0], Mod: tea.ModCtrl}
	}
	if code, ok := named[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	r := []rune(name)[0]
	return tea.KeyPressMsg{Code: r, Text: name}
}

// Raw is the screen with its colours.
func (d *Driver) Raw() string { return d.Pane.View(d.C) }

// Screen is the screen without colours; it also checks that it has exactly the size it should have.
func (d *Driver) Screen() string {
	d.T.Helper()
	raw := d.Raw()
	lines := strings.Split(raw, "\n")
	if len(lines) != d.C.Height {
		d.T.Fatalf("the screen has %d lines, not %d", len(lines), d.C.Height)
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n != d.C.Width {
			d.T.Fatalf("line %d is %d columns wide, not %d: %q", i, n, d.C.Width, l)
		}
	}
	return ansi.Strip(raw)
}

// Golden compares the screen with testdata/NAME.golden. With UPDATE_GOLDEN
// set it writes the file; with ROLLCALL_SCREENS set to a folder it also leaves the
// coloured screen there, to be looked at.
func (d *Driver) Golden(name string) {
	d.T.Helper()
	if dir := os.Getenv("ROLLCALL_SCREENS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".ansi"), []byte(d.Raw()), 0o600); err != nil {
			d.T.Fatal(err)
		}
	}
	got := trimRight(d.Screen())
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			d.T.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			d.T.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		d.T.Fatalf("%v; set UPDATE_GOLDEN=1 to write it", err)
	}
	if string(want) != got {
		d.T.Errorf("the screen differs from %s (UPDATE_GOLDEN=1 accepts it)\n--- want\n%s--- got\n%s", path, want, got)
	}
}

// ASCII turns the screen to ASCII without colour, and fails the test when anything else is drawn.
func (d *Driver) ASCII() {
	d.T.Helper()
	d.C.Theme = theme.New(theme.Options{ASCII: true, NoColor: true})
	for _, r := range d.Screen() {
		if r > '~' {
			d.T.Fatalf("%q is on an ASCII screen:\n%s", r, d.Screen())
		}
	}
}

// trimRight takes blanks off the ends of lines, so that editors leave golden files alone.
func trimRight(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// Size is a screen on which golden files are taken: what is left for a pane in a terminal of that size.
type Size struct {
	Name string
	W, H int
}

// Sizes are the three sizes of the golden screens, without the shell's rows.
var Sizes = []Size{{"80x24", 80, 19}, {"120x36", 120, 31}, {"200x60", 200, 55}}
