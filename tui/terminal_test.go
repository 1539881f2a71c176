package tui

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

// terminal is a virtual terminal on which a console runs.
type terminal struct {
	t   *testing.T
	mu  sync.Mutex
	emu *vt.Emulator
	n   int // bytes written to it

	changed chan struct{}
	in      *io.PipeWriter
	done    chan error
	cr      bool
}

func startTerminal(t *testing.T, w, h int, o Options) *terminal {
	t.Helper()
	r, in := io.Pipe()
	term := &terminal{t: t, emu: vt.NewEmulator(w, h), changed: make(chan struct{}, 1), in: in, done: make(chan error, 1)}
	// What the terminal answers is dropped: a console must do without.
	go func() {
		buf := make([]byte, 1024)
		for {
			if _, err := term.emu.Read(buf); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		term.done <- Run(ctx, o, Terminal{In: r, Out: term, Environ: []string{"TERM=xterm-256color"}, Width: w, Height: h})
	}()
	t.Cleanup(func() {
		cancel()
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if p, ok := term.emu.InputPipe().(io.Closer); ok {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return term
}

// Write takes output as a terminal in cooked mode does: a bare LF begins a new row.
func (c *terminal) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	var b bytes.Buffer
	for _, x := range p {
		if x == '\n' && !c.cr {
			b.WriteByte('\r')
		}
		c.cr = x == '\r'
		b.WriteByte(x)
	}
	if _, err := c.emu.Write(b.Bytes()); err != nil {
		return 0, err
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (c *terminal) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return plainText(c.emu.String())
}

func (c *terminal) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// await waits until the screen shows every word.
func (c *terminal) await(words ...string) {
	c.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		missing := ""
		s := c.text()
		for _, w := range words {
			if !strings.Contains(s, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-c.changed:
		case err := <-c.done:
			c.t.Fatalf("the console ended (%v) before it showed %q", err, missing)
		case <-deadline:
			c.t.Fatalf("never saw %q on\n%s", missing, s)
		}
	}
}

func (c *terminal) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, s); err != nil {
		c.t.Fatal(err)
	}
}

func (c *terminal) ended() error {
	c.t.Helper()
	select {
	case err := <-c.done:
		return err
	case <-time.After(20 * time.Second):
		c.t.Fatal("the console did not end")
		return nil
	}
}

func TestTheTerminalShowsWhatTheConsoleDraws(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
		b := tuitest.New()
		c := startTerminal(t, size[0], size[1], Options{Backend: b, Wall: b.Time.Wall, Background: "dark"})
		c.await("schema fail", "prompt v14", "look")
		model := newBench(t, size[0], size[1])
		want := strings.TrimRight(plainText(model.screen()), "\n")
		if got := strings.TrimRight(c.text(), "\n"); got != want {
			t.Fatalf("%v: the terminal shows\n%s\nwant\n%s", size, got, want)
		}
		c.send("3")
		c.await("Quality · last 1h")
		c.send("\r")
		c.await("Quality › schema fail", "watch over 2%")
		c.send("\x1b")
		c.await("Quality · last 1h")
		c.send("q")
		if err := c.ended(); err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		if c.emu.IsAltScreen() || c.emu.CursorHidden() {
			t.Error("leaving did not restore the terminal")
		}
		c.mu.Unlock()
	}
}

func TestARefreshThatChangesNothingWritesNothing(t *testing.T) {
	b := tuitest.New()
	again := make(chan struct{})
	b.OnSnapshot = func(ctx context.Context, service string, v sources.View, _ sources.Pane) (*signal.Snapshot, error) {
		select {
		case again <- struct{}{}:
		case <-ctx.Done():
		}
		return tuitest.Snapshot(service, v, b.Time.Now()), nil
	}
	c := startTerminal(t, 200, 60, Options{Backend: b, Wall: b.Time.Wall, Background: "dark", Refresh: time.Millisecond})
	<-again
	c.await("schema fail", "prompt v14", "look")
	for range 30 {
		<-again
	}
	before := c.bytes()
	for range 200 {
		<-again
	}
	if after := c.bytes(); after != before {
		t.Fatalf("200 refreshes without news wrote %d bytes", after-before)
	}
}

// Answers of the terminal, keys cut in half, wild bytes: nothing of it breaks the console.
func TestWildInputDoesNoHarm(t *testing.T) {
	b := tuitest.New()
	c := startTerminal(t, 80, 24, Options{Backend: b, Wall: b.Time.Wall})
	c.await("schema fail")
	c.send("\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[?2026;2$y\x1b[?1u\x1b]11;rgb:0000/0000/0000\x1b\\\x00\x80\xff\x1b[<0;999;999M\x1b[<64;1;1M")
	c.send(":")
	c.await("Commands")
	c.send("health\r")
	c.await("Health · last 1h")
	c.send("\x03")
	if err := c.ended(); err != nil {
		t.Fatal(err)
	}
}

type failing struct{ *tuitest.Backend }

func (failing) Debug() [][2]string { panic("boom") }

func TestAFailureInsideLeavesTheTerminalInOrder(t *testing.T) {
	b := tuitest.New()
	var calls atomic.Int64
	wall := func() time.Time {
		if calls.Add(1) > 400 {
			panic("the clock broke")
		}
		return b.Time.Now()
	}
	c := startTerminal(t, 80, 24, Options{Backend: failing{b}, Wall: wall, Background: "dark"})
	c.await("schema fail")
	c.send(":debug\r")
	c.await("stumbled over its data")
	go func() { // press until it breaks; it stops listening then
		for {
			if _, err := io.WriteString(c.in, "\x1b[A"); err != nil {
				return
			}
		}
	}()
	err := c.ended()
	if err == nil || !strings.Contains(err.Error(), "the clock broke") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("ended with %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.emu.IsAltScreen() || c.emu.CursorHidden() {
		t.Error("the terminal was not restored")
	}
}

var _ pane.Backend = failing{}
