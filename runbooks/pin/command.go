package pin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	maxOutput = 256 << 10 // kept of what a command prints
	maxTail   = 4 << 10   // kept of the end of its errors
	grace     = 2 * time.Second
)

// command runs the programs that a configuration names: argv only, never a shell.
type command struct {
	dir     string // where they run: the configuration's folder
	timeout time.Duration
}

// failure is a command that did not end well.
type failure struct {
	name    string
	exit    int    // -1 when it did not exit by itself
	started bool   // it ran, and may have done something
	late    string // why it was stopped
	last    string // the last line of its errors
	err     error
}

func (f *failure) Error() string {
	var b strings.Builder
	switch {
	case !f.started:
		fmt.Fprintf(&b, "%s cannot be started: %s; check the command in the configuration", f.name, text(cause(f.err).Error()))
		return b.String()
	case f.late != "":
		fmt.Fprintf(&b, "%s %s", f.name, f.late)
	case f.exit >= 0:
		fmt.Fprintf(&b, "%s ended with %d", f.name, f.exit)
	default:
		fmt.Fprintf(&b, "%s: %s", f.name, text(f.err.Error()))
	}
	if f.last != "" {
		b.WriteString(": " + f.last)
	}
	return b.String()
}

// cause is the innermost reason of not starting: "executable file not found in $PATH".
func cause(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// fillWords replaces $NAME in the words of a command.
func fillWords(argv []string, vars ...string) []string {
	pairs := make([]string, 0, len(vars))
	for i := 0; i < len(vars); i += 2 {
		pairs = append(pairs, "$"+vars[i], vars[i+1])
	}
	r := strings.NewReplacer(pairs...)
	out := make([]string, len(argv))
	for i, w := range argv {
		out[i] = r.Replace(w)
	}
	return out
}

// output runs a command and returns what it printed, cut at maxOutput.
func (c command) output(ctx context.Context, argv []string) (string, error) {
	var out head
	if err := c.run(ctx, argv, &out, io.Discard); err != nil {
		return "", err
	}
	return string(out.b), nil
}

// run runs a command to its end. When ctx or its time is over, its whole process
// group is told to end and then killed. Its error is a *failure.
func (c command) run(ctx context.Context, argv []string, out, errs io.Writer) error {
	f := &failure{name: text(filepath.Base(argv[0])), exit: -1}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	last := &tail{}
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(errs, last)
	done := make(chan struct{})
	defer close(done)
	if f.err = startBound(cmd, done); f.err != nil {
		return f
	}
	f.started = true
	f.err = cmd.Wait()
	if limited.Err() != nil {
		// What ignored the polite signal, or was started by what obeyed it.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var exit *exec.ExitError
	switch {
	case f.err == nil || errors.Is(f.err, exec.ErrWaitDelay) && limited.Err() == nil:
		return nil // a child that it left behind may still hold its output
	case ctx.Err() != nil:
		f.late = "was stopped before it ended"
	case limited.Err() != nil:
		f.late = fmt.Sprintf("did not end within %s and was stopped", c.timeout)
	case errors.As(f.err, &exit):
		f.exit = exit.ExitCode()
	}
	f.last = last.line()
	return f
}

// head keeps the beginning of a stream.
type head struct{ b []byte }

// Write never fails: what is too much is dropped.
func (h *head) Write(p []byte) (int, error) {
	h.b = append(h.b, p[:min(len(p), maxOutput-len(h.b))]...)
	return len(p), nil
}

// tail keeps the end of a stream.
type tail struct{ b []byte }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxTail):]...)
	if over := len(t.b) - maxTail; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// line is the last line that says something, made harmless.
func (t *tail) line() string {
	s := strings.TrimSpace(string(t.b))
	return text(s[strings.LastIndexByte(s, '\n')+1:])
}
