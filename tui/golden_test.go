package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

func plainText(s string) string {
	lines := strings.Split(ansi.Strip(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// golden compares a screen with the file of that name; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (UPDATE_GOLDEN=1 writes it)", err)
	}
	if string(want) == got+"\n" {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Fatalf("%s differs at row %d\nwant %q\ngot  %q\nUPDATE_GOLDEN=1 accepts what is drawn now", name, i+1, x, y)
		}
	}
}

func deadLoki(b *tuitest.Backend) {
	b.OnSnapshot = func(_ context.Context, service string, v sources.View, _ sources.Pane) (*signal.Snapshot, error) {
		s := tuitest.Snapshot(service, v, b.Time.Now())
		s.Health[1] = sources.Health{
			Source: "loki", State: sources.SourceDown, LastGood: b.Time.Now().Add(-3 * time.Minute),
			Reason: "connection refused at http://127.0.0.1:3100; is it running?",
		}
		return s, nil
	}
}

var scenes = []struct {
	name string
	do   func(b *bench)
}{
	{"overview", func(*bench) {}},
	{"overview-quiet", func(b *bench) { b.press(":"); b.typed("service billing"); b.press("enter") }},
	{"health", func(b *bench) { b.press("2") }},
	{"quality", func(b *bench) { b.press("3") }},
	{"signal", func(b *bench) { b.press("enter") }},
	{"signal-split", func(b *bench) { b.press("enter", "s") }},
	{"help", func(b *bench) { b.press("?") }},
	{"palette", func(b *bench) { b.press(":"); b.typed("la") }},
	{"dead-source", func(b *bench) { deadLoki(b.backend); b.press("ctrl+r") }},
	{"no-data", func(b *bench) {
		b.backend.OnSnapshot = func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) {
			return nil, errors.New("prometheus at http://127.0.0.1:9090: connection refused; start it or correct prometheus.url")
		}
		b.press(":")
		b.typed("service billing")
		b.press("enter")
	}},
	{"frozen", func(b *bench) { b.press("space") }},
	{"past", func(b *bench) { b.press(":"); b.typed("at 02:31"); b.press("enter") }},
	{"debug", func(b *bench) { b.press(":"); b.typed("debug"); b.press("enter") }},
}

// full gives the console the tabs of all panes.
func full(o *Options) {
	for _, id := range []pane.ID{pane.Requests, pane.Request, pane.Logs, pane.Changes} {
		o.Panes = append(o.Panes, &ticker{stub: stub{id}})
	}
}

// Every screen looks as agreed at three sizes, and with and without colour and Unicode.
func TestScreensLookAsAgreed(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
		for _, sc := range scenes {
			name := fmt.Sprintf("%s-%dx%d", sc.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				b := newBench(t, size[0], size[1], full, func(o *Options) { o.NoColor = true })
				sc.do(b)
				got := b.screen()
				checkShape(t, got, size[0], size[1])
				golden(t, name+".txt", plainText(got))
				dumpANSI(t, name, size, sc.do)
			})
		}
	}
	for _, sc := range scenes[:5] {
		t.Run(sc.name+"-ascii", func(t *testing.T) {
			b := newBench(t, 120, 36, full, func(o *Options) { o.NoColor, o.ASCII = true, true })
			sc.do(b)
			got := plainText(b.screen())
			for _, r := range got {
				if r > 0x7e && r != '\n' {
					t.Fatalf("%q is not ASCII in\n%s", r, got)
				}
			}
			golden(t, sc.name+"-ascii-120x36.txt", got)
		})
	}
	for _, name := range []string{"dark", "light"} {
		for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
			file := fmt.Sprintf("overview-%s-%dx%d.ansi", name, size[0], size[1])
			t.Run(file, func(t *testing.T) {
				b := newBench(t, size[0], size[1], full, func(o *Options) { o.Background = name })
				golden(t, file, strings.ReplaceAll(b.screen(), "\x1b", "␛"))
			})
		}
	}
	for _, size := range [][2]int{{20, 5}, {59, 24}, {80, 14}, {1, 1}, {3, 2}} {
		t.Run(fmt.Sprintf("tiny-%dx%d", size[0], size[1]), func(t *testing.T) {
			b := newBench(t, size[0], size[1])
			got := b.screen()
			checkShape(t, got, size[0], size[1])
			golden(t, fmt.Sprintf("tiny-%dx%d.txt", size[0], size[1]), plainText(got))
		})
	}
}

// dumpANSI writes coloured screens where ROLLCALL_SCREENS says, to be looked at.
func dumpANSI(t *testing.T, name string, size [2]int, do func(*bench)) {
	dir := os.Getenv("ROLLCALL_SCREENS")
	if dir == "" {
		return
	}
	b := newBench(t, size[0], size[1], full)
	do(b)
	if err := os.WriteFile(filepath.Join(dir, name+".ansi"), []byte(b.screen()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func checkShape(t *testing.T, s string, w, h int) {
	t.Helper()
	lines := strings.Split(s, "\n")
	if len(lines) > h {
		t.Fatalf("%d rows on a terminal of %d", len(lines), h)
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			t.Fatalf("row %d is %d columns wide on a terminal of %d: %q", i+1, n, w, ansi.Strip(l))
		}
	}
}
