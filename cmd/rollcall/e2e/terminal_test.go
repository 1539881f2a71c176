package e2e

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// terminal is a program on a pseudo-terminal with an emulator that reads what it draws.
type terminal struct {
	t    testing.TB
	cmd  *exec.Cmd
	tty  *os.File
	emu  *vt.Emulator
	done chan struct{} // closed when the program's output ended

	pressed int // keys that were timed

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever the screen changed
	writes  []write       // what the program wrote, oldest first
}

// write is one piece of output as it came off the line.
type write struct {
	at time.Time
	n  int
}

// openTerminal starts the program at the given size and stops it when the test ends.
func openTerminal(t testing.TB, cols, rows int, env []string, name string, args ...string) *terminal {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "LC_ALL=C.UTF-8"), env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)})
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{
		t: t, cmd: cmd, tty: tty, emu: vt.NewEmulator(cols, rows),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	answers := make(chan []byte, 1024)
	go func() { // what the emulator answers to the program's questions
		buf := make([]byte, 4096)
		for {
			n, err := s.emu.Read(buf)
			if n > 0 {
				answers <- append([]byte(nil), buf[:n]...)
			}
			if err != nil {
				close(answers)
				return
			}
		}
	}()
	go func() {
		for b := range answers {
			if _, err := tty.Write(b); err != nil {
				continue // the program is gone; keep draining
			}
		}
	}()
	go func() {
		defer close(s.done)
		buf := make([]byte, 32<<10)
		for {
			n, err := tty.Read(buf)
			at := time.Now()
			if n > 0 {
				s.mu.Lock()
				s.writes = append(s.writes, write{at, n})
				_, _ = s.emu.Write(buf[:n])
				close(s.changed)
				s.changed = make(chan struct{})
				s.mu.Unlock()
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-s.done
		_ = cmd.Wait()
		_ = tty.Close()
		if c, ok := s.emu.InputPipe().(io.Closer); ok {
			_ = c.Close()
		}
	})
	return s
}

// screen returns the visible text and a channel that closes when it changes.
func (s *terminal) screen() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emu.String(), s.changed
}

// waitFor waits until the screen satisfies ok and returns it.
func (s *terminal) waitFor(what string, within time.Duration, ok func(screen string) bool) string {
	s.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		text, changed := s.screen()
		if ok(text) {
			return text
		}
		select {
		case <-changed:
		case <-s.done:
			s.t.Fatalf("the program ended while waiting for %s; last screen:\n%s", what, text)
		case <-deadline.C:
			s.t.Fatalf("no %s within %s; last screen:\n%s", what, within, text)
		}
	}
}

func (s *terminal) waitText(within time.Duration, parts ...string) string {
	s.t.Helper()
	return s.waitFor(strings.Join(parts, " and "), within, func(screen string) bool {
		for _, p := range parts {
			if !strings.Contains(screen, p) {
				return false
			}
		}
		return true
	})
}

func (s *terminal) press(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, keys); err != nil {
		s.t.Fatalf("cannot press %q: %v", keys, err)
	}
}

// waitExit waits for the program's end and returns its exit code.
func (s *terminal) waitExit(within time.Duration) int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(within):
		text, _ := s.screen()
		s.t.Fatalf("the program still runs after %s; last screen:\n%s", within, text)
	}
	err := s.cmd.Wait()
	if err == nil {
		return 0
	}
	return s.cmd.ProcessState.ExitCode()
}
