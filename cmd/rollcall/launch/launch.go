// Package launch starts rollcall-drill, follows its progress, and makes sure that it ends.
//
// The child prints JSON lines on its standard output and lives as long as its
// standard input stays open, so that it dies with its launcher however that ends.
package launch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Binary is the name of the sibling program.
const Binary = "rollcall-drill"

// Options say what to start.
type Options struct {
	Binary    string // path of rollcall-drill
	State     string // folder of this drill; exists
	Scenario  string
	Seed      int64
	Speed     float64
	GRPC      string // address of the OTLP endpoint that is already listening
	HTTP      string
	ConfigOut string
	For       time.Duration // wall time; 0 runs until stopped
	// Progress is told how far the start is, 0..1.
	Progress func(done float64, what string)
	// Grace is how long a child may take to end by itself.
	Grace time.Duration
	// Env is the child's environment; nil is the launcher's.
	Env []string
}

// Ready is what the child says once everything runs.
type Ready struct {
	Config     string    `json:"config"`
	Prometheus string    `json:"prometheus"`
	Loki       string    `json:"loki"`
	Admin      string    `json:"admin"`
	State      string    `json:"state"`
	Service    string    `json:"service"`
	Scenario   string    `json:"scenario"`
	Seed       int64     `json:"seed"`
	Speed      float64   `json:"speed"`
	Start      time.Time `json:"start"`
	WallStart  time.Time `json:"wall_start"`
}

// Drill is a running child.
type Drill struct {
	Ready Ready

	grace time.Duration
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}
	err   error // valid after done
	tail  *tailBuffer
	stop  sync.Once
}

// Find returns the path of rollcall-drill: beside the running program, else in the PATH.
func Find() (string, error) {
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		p := filepath.Join(filepath.Dir(exe), Binary)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	if p, err := exec.LookPath(Binary); err == nil {
		return p, nil
	}
	return "", fmt.Errorf("%s is neither beside rollcall nor in the PATH; run \"make build\" and start bin/rollcall", Binary)
}

// Scenario is one line of the list.
type Scenario struct {
	Name        string `json:"scenario"`
	Description string `json:"description"`
}

// List asks the child which scenarios it knows.
func List(ctx context.Context, binary string) ([]Scenario, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list failed: %w", binary, err)
	}
	var list []Scenario
	for line := range strings.Lines(string(out)) {
		name, desc, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if name != "" {
			list = append(list, Scenario{Name: name, Description: desc})
		}
	}
	return list, nil
}

// message is one line of the child's output.
type message struct {
	Progress *float64 `json:"progress"`
	What     string   `json:"what"`
	Ready    bool     `json:"ready"`
	Error    string   `json:"error"`
}

// Start runs the child and returns when it is ready. Whatever goes wrong before
// that, no child is left behind.
func Start(ctx context.Context, o Options) (*Drill, error) {
	args := []string{
		"--state", o.State, "--scenario", o.Scenario, "--seed", strconv.FormatInt(o.Seed, 10),
		"--speed", strconv.FormatFloat(o.Speed, 'g', -1, 64),
		"--otlp-grpc", o.GRPC, "--otlp-http", o.HTTP, "--config-out", o.ConfigOut,
	}
	if o.For > 0 {
		args = append(args, "--for", o.For.String())
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), o.Binary, args...) // Stop ends it, in order
	cmd.Env = o.Env
	cmd.SysProcAttr = attributes()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d := &Drill{cmd: cmd, stdin: stdin, done: make(chan struct{}), tail: &tailBuffer{}, grace: o.Grace}
	if d.grace == 0 {
		d.grace = 3 * time.Second
	}
	cmd.Stderr = d.tail
	if err := startBound(cmd, d.done); err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w; run \"make build\" again", o.Binary, err)
	}
	lines := make(chan message)
	read := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(read)
		d.read(stdout, lines, quit)
	}()
	go func() {
		<-read // Wait closes the pipe: everything must have been read before
		d.err = cmd.Wait()
		close(d.done)
	}()
	defer close(quit)
	for {
		select {
		case m := <-lines:
			switch {
			case m.Error != "":
				d.Stop()
				return nil, fmt.Errorf("the drill could not start: %s", oneLine(m.Error))
			case m.Ready:
				return d, nil
			case m.Progress != nil && o.Progress != nil:
				o.Progress(min(1, max(0, *m.Progress)), oneLine(m.What))
			}
		case <-d.done:
			return nil, fmt.Errorf("the drill ended before it was ready: %s", d.reason())
		case <-ctx.Done():
			d.Stop()
			return nil, ctx.Err()
		}
	}
}

// read hands on the child's lines until its output ends; after quit it only
// drains, so that the child never blocks on a full pipe.
func (d *Drill) read(r io.Reader, lines chan<- message, quit <-chan struct{}) {
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		var m message
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) || json.Unmarshal(line, &m) != nil {
			continue
		}
		if m.Ready {
			if json.Unmarshal(line, &d.Ready) != nil {
				m = message{Error: "it answered in a form that this rollcall does not know; build both programs from the same source"}
			}
		}
		select {
		case lines <- m:
		case <-quit:
		}
	}
}

// Done is closed when the child has ended.
func (d *Drill) Done() <-chan struct{} { return d.done }

// Err says in one line why the child ended, after Done; nil when it ended well.
func (d *Drill) Err() error {
	if d.err == nil {
		return nil
	}
	return errors.New(d.reason())
}

// Pid is the child's process ID.
func (d *Drill) Pid() int { return d.cmd.Process.Pid }

// Stop ends the child: it closes its input, waits for the grace, then kills it.
func (d *Drill) Stop() {
	d.stop.Do(func() {
		_ = d.stdin.Close()
		t := time.NewTimer(d.grace)
		defer t.Stop()
		select {
		case <-d.done:
			return
		case <-t.C:
		}
		_ = d.cmd.Process.Kill()
		<-d.done
	})
}

func (d *Drill) reason() string {
	why := "it stopped by itself"
	if d.err != nil {
		why = d.err.Error()
	}
	if last := d.tail.last(); last != "" {
		why += ": " + last
	}
	return why
}

// tailBuffer keeps the end of what was written to it.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - 4096; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}

// last returns the line to show: the first of a panic, else the last one.
func (t *tailBuffer) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "panic:") || strings.HasPrefix(l, "fatal error:") {
			return oneLine(l)
		}
	}
	return oneLine(lines[len(lines)-1])
}

// oneLine makes a child's words fit for one line of a terminal.
func oneLine(s string) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}
