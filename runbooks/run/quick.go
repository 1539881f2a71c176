package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rollcall/sources/redact"
)

const quickOutput = 64 << 10

// quick runs a command that only reads and returns the beginning of its output,
// as it came. The error is one harmless line.
func (e *Engine) quick(ctx context.Context, argv, env []string, timeout time.Duration) (string, error) {
	if len(argv) == 0 {
		return "", errors.New("there is no command")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	path, err := find(argv[0], env)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Env, cmd.Dir = env, e.WorkDir
	out, errs := &bounded{}, &bounded{}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("it took longer than %s", timeout)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		said := lastLine(errs.String())
		if said == "" {
			said = lastLine(out.String())
		}
		if said == "" {
			return "", err
		}
		return "", fmt.Errorf("%w: %s", err, redact.SanitizeLine(e.Redact(said), 300))
	}
	return out.String(), nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r")
}

// find looks for a program in the PATH that the command will have.
func find(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, kv := range env {
		path, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			p := filepath.Join(dir, name)
			if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("there is no program %s in the PATH", redact.SanitizeLine(name, 64))
}

func lastLine(s string) string {
	s = strings.TrimRight(s, "\r\n \t")
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ bytes.Buffer }

// Write never fails: the rest is dropped.
func (b *bounded) Write(p []byte) (int, error) {
	if room := quickOutput - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
