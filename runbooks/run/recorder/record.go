package recorder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"rollcall/sources/redact"
)

const (
	lull        = 20 * time.Millisecond // of a stream, before what is in hand is judged
	partialLull = time.Second           // before the beginning of a line is shown
	drain       = 2 * time.Second       // for output still on the way when nobody writes any more
)

// The command starts behind this: it waits for a word on descriptor 3, which
// comes once its identity is durable, and never begins when the recorder dies first.
const hold = `read -r go <&3 || exit 125
exec 3<&-
exec "$@"`

// Main is the recorder's whole life. The lock of the folder is descriptor 3.
func Main(dir string) int {
	syscall.CloseOnExec(3)
	err := record(dir)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "rollcall recorder:", err)
	res := Result{Error: redact.SanitizeLine(err.Error(), 500), Ended: time.Now().UTC()}
	if writeDurable(dir, resultFile, res) != nil {
		return 2
	}
	return 1
}

func record(dir string) error {
	var spec Spec
	if ok, err := readJSON(filepath.Join(dir, specFile), &spec); !ok || err != nil {
		return fmt.Errorf("the attempt in %s cannot be read: %w", dir, errors.Join(err, os.ErrInvalid))
	}
	var key []byte
	if _, err := os.Stat(spec.KeyFile); spec.KeyFile != "" && err == nil {
		if key, err = redact.LoadKey(spec.KeyFile); err != nil {
			return err
		}
	}
	redactor, err := redact.New(spec.Redact, key)
	if err != nil {
		return err
	}
	// Caught, not ignored: what is ignored stays so in the command.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	adopt()

	spool, err := os.OpenFile(filepath.Join(dir, spoolFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = spool.Close() }()
	c, err := begin(spec, dir)
	if err != nil {
		return err
	}
	return c.follow(spec, dir, newSink(spool, spec.MaxLines, spec.MaxBytes, redactor.Text), signals)
}

// command is a command that runs.
type command struct {
	cmd    *exec.Cmd
	out    *os.File
	err    *os.File
	began  time.Time
	exited chan struct{}
}

// begin starts the command held back, makes its identity durable, and lets it go.
func begin(spec Spec, dir string) (*command, error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	goR, goW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", hold, "sh"}, spec.Argv...)...) //nolint:noctx // it ends in order, by follow
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = spec.Dir, outW, errW, []*os.File{goR}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the command cannot be started: %w", err)
	}
	for _, f := range []*os.File{outW, errW, goR} {
		_ = f.Close()
	}
	c := &command{cmd: cmd, out: outR, err: errR, began: time.Now(), exited: make(chan struct{})}
	pid := cmd.Process.Pid
	p, _ := look(pid)
	self, _ := look(os.Getpid())
	id := Identity{PID: pid, Start: p.start, Recorder: os.Getpid(), RecorderStart: self.start, Boot: boot(), Token: spec.Token}
	if err := writeDurable(dir, processFile, id); err != nil {
		_ = goW.Close() // it ends without having begun
		_ = cmd.Wait()
		return nil, fmt.Errorf("the command was not run, since who runs it cannot be written down: %w", err)
	}
	_, err = io.WriteString(goW, "go\n")
	if err := errors.Join(err, goW.Close()); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

type chunk struct {
	from *splitter
	data []byte
}

// follow writes output down until the command and all it left behind are gone.
func (c *command) follow(spec Spec, dir string, s *sink, signals <-chan os.Signal) error {
	var res Result
	chunks := make(chan chunk, 16)
	var readers sync.WaitGroup
	streams := []*splitter{{stream: "out"}, {stream: "err"}}
	for i, f := range []*os.File{c.out, c.err} {
		readers.Go(func() { read(f, streams[i], chunks) })
	}
	silent := make(chan struct{})
	go func() {
		readers.Wait()
		close(silent)
	}()

	end := c.watch(spec, signals, &res)
	quiet, partial := time.NewTimer(lull), time.NewTimer(partialLull)
	var late <-chan time.Time
	for open := true; open; {
		select {
		case k := <-chunks:
			k.from.write(k.data, time.Now(), s.add)
			quiet.Reset(lull)
			partial.Reset(partialLull)
		case <-quiet.C:
			s.flush()
		case <-partial.C:
			for _, st := range streams {
				st.ahead(time.Now(), s.add)
			}
			s.flush()
		case <-end:
			end = nil
			late = time.After(drain)
		case <-late:
			// Somebody out of reach still holds the pipe.
			_ = c.out.Close()
			_ = c.err.Close()
			late = nil
		case <-silent:
			open = false
		}
	}
	for len(chunks) > 0 {
		k := <-chunks
		k.from.write(k.data, time.Now(), s.add)
	}
	for _, st := range streams {
		if len(st.buf) > 0 {
			st.end(time.Now(), s.add)
		}
	}
	s.close()
	if end != nil {
		<-end // it closed its output and went on
	}
	res.Took, res.Ended = time.Since(c.began).Seconds(), time.Now().UTC()
	res.Lines, res.Omitted = s.n, s.omitted
	if err := errors.Join(s.failed, s.out.Sync()); err != nil {
		res.Error = redact.SanitizeLine("its output could not be written down: "+err.Error(), 500)
	}
	return writeDurable(dir, resultFile, res)
}

func read(f *os.File, s *splitter, to chan<- chunk) {
	for {
		buf := make([]byte, 32<<10)
		n, err := f.Read(buf)
		if n > 0 {
			to <- chunk{s, buf[:n]}
		}
		if err != nil {
			return
		}
	}
}

// watch ends the command when its time is over or it is cancelled, then what it
// left behind. The channel is closed when all of it is gone; only then is res complete.
func (c *command) watch(spec Spec, signals <-chan os.Signal, res *Result) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var over <-chan time.Time
		if spec.Timeout > 0 {
			over = time.After(spec.Timeout)
		}
		pid := c.cmd.Process.Pid
		var kill <-chan time.Time
		for running := true; running; {
			select {
			case <-c.exited:
				running = false
			case <-over:
				res.TimedOut = true
				over, kill = nil, time.After(spec.Grace)
				_ = syscall.Kill(-pid, syscall.SIGTERM)
			case sig := <-signals:
				if sig != syscall.SIGTERM && sig != syscall.SIGINT || kill != nil {
					continue
				}
				res.Cancelled = true
				over, kill = nil, time.After(spec.Grace)
				_ = syscall.Kill(-pid, syscall.SIGTERM)
			case <-kill:
				_ = syscall.Kill(-pid, syscall.SIGKILL)
				kill = time.After(spec.Grace)
			}
		}
		state := c.cmd.ProcessState
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			res.Signal = ws.Signal().String()
		} else {
			code := state.ExitCode()
			res.Exit = &code
		}
		res.Left = c.sweep(spec.Grace)
	}()
	return done
}

// sweep ends what the command left behind, in its group or out of it, and counts it.
func (c *command) sweep(grace time.Duration) int {
	group := -c.cmd.Process.Pid
	seen := map[int]bool{}
	asked := false
	deadline := time.Now().Add(grace)
	for {
		alone := reap()
		left := children(0)
		inGroup := syscall.Kill(group, 0) == nil
		if alone && len(left) == 0 && !inGroup {
			return len(seen)
		}
		sig := syscall.SIGTERM
		if time.Now().After(deadline) {
			sig = syscall.SIGKILL
		}
		if !asked || sig == syscall.SIGKILL {
			asked = true
			_ = syscall.Kill(group, sig)
		}
		for _, pid := range left {
			if !seen[pid] || sig == syscall.SIGKILL {
				_ = syscall.Kill(pid, sig)
			}
			seen[pid] = true
		}
		if time.Now().After(deadline.Add(grace)) {
			return len(seen)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
