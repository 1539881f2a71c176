package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Terminal is where the console is drawn; the zero value is the process's own terminal.
type Terminal struct {
	In      io.Reader
	Out     io.Writer
	Environ []string // of the person's terminal; os.Environ when nil
	// Width and Height are given where the output cannot be asked for its size.
	Width, Height int
}

type leaveMsg struct{}

// grace is how long leaving waits for an answer of the terminal that is still
// due, so that it does not end up in the shell's prompt.
const grace = 300 * time.Millisecond

func (m *Model) leave() tea.Cmd {
	if m.holdBack() {
		return nil
	}
	if m.paneCancel != nil {
		m.paneCancel()
	}
	if m.read.flying {
		m.read.cancel()
	}
	if m.guard.awaiting && !m.leaving && m.lastMsg.Sub(m.started) < 2*time.Second {
		m.leaving = true
		return m.after(grace, leaveMsg{})
	}
	return tea.Quit
}

// Run shows the console until the person leaves it or ctx ends. The terminal is
// restored however it ends.
func Run(ctx context.Context, o Options, term Terminal) error {
	if term.In == nil {
		term.In = os.Stdin
	}
	if term.Out == nil {
		term.Out = os.Stdout
	}
	if term.Environ == nil {
		term.Environ = os.Environ()
	}
	if o.Environ == nil {
		o.Environ = term.Environ
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // reads end with the console
	m := New(ctx, o)
	fps := 30
	if o.SlowLink {
		fps = 4
	}
	var program *tea.Program
	pulse := newPulse(fps)
	defer pulse.end()
	opts := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithFPS(fps), tea.WithFilter(pulse.filter(&program)), tea.WithInput(term.In), tea.WithOutput(m.link.wrap(term.Out)),
		tea.WithEnvironment(term.Environ),
	}
	if term.Width > 0 && term.Height > 0 {
		opts = append(opts, tea.WithWindowSize(term.Width, term.Height))
	}
	program = tea.NewProgram(m, opts...)
	_, err := program.Run()
	switch {
	case m.fatal != nil:
		return m.fatal
	case err == nil, errors.Is(err, tea.ErrInterrupted):
		return nil
	case errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil:
		return nil // asked to end from outside
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("the console failed and has restored the terminal; start it again, nothing stored is lost: %w", err)
	}
	return fmt.Errorf("the console cannot use this terminal: %w; try another TERM or the command line (rollcall status)", err)
}
