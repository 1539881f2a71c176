package recorder

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is what the kernel says about one.
type process struct {
	pid, parent, group, session int
	start                       uint64 // clock ticks after boot
	zombie                      bool
}

func look(pid int) (process, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The name in parentheses may hold anything, parentheses and spaces included.
	i := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[i+1:]))
	if i < 0 || len(f) < 20 {
		return process{}, false
	}
	p := process{pid: pid, zombie: f[0] == "Z" || f[0] == "X"}
	p.parent, _ = strconv.Atoi(f[1])
	p.group, _ = strconv.Atoi(f[2])
	p.session, _ = strconv.Atoi(f[3])
	p.start, err = strconv.ParseUint(f[19], 10, 64)
	return p, err == nil
}

func every() []process {
	names, _ := filepath.Glob("/proc/[0-9]*")
	out := make([]process, 0, len(names))
	for _, n := range names {
		pid, err := strconv.Atoi(filepath.Base(n))
		if err != nil {
			continue
		}
		if p, ok := look(pid); ok && !p.zombie {
			out = append(out, p)
		}
	}
	return out
}

func boot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// adopt makes this process the parent of whatever its descendants leave behind.
func adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// children lists the living processes whose parent is this one, but for one.
func children(except int) []int {
	var out []int
	self := os.Getpid()
	for _, p := range every() {
		if p.parent == self && p.pid != except {
			out = append(out, p.pid)
		}
	}
	return out
}

// reap takes the dead children off the kernel's list, and tells whether none is left.
// Only the kernel knows that for certain: a process that is forked while the list of
// processes is read is not in it, and its parent may be gone before it is looked at.
func reap() (alone bool) {
	for {
		switch pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return errors.Is(err, syscall.ECHILD)
		case pid <= 0:
			return false
		}
	}
}

// living lists the processes of an attempt that are still there.
func living(id Identity) []int {
	if id.Boot != boot() {
		return nil
	}
	mark := []byte(EnvAttempt + "=" + id.Token + "\x00")
	var out []int
	self := os.Getpid()
	for _, p := range every() {
		if p.pid == self {
			continue
		}
		ours := p.pid == id.PID && p.start == id.Start || p.pid == id.Recorder && p.start == id.RecorderStart ||
			p.session == id.Recorder && p.group == id.PID && p.start >= id.Start
		if !ours && id.Token != "" {
			env, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/environ")
			ours = err == nil && bytes.Contains(append(env, 0), mark)
		}
		if ours {
			out = append(out, p.pid)
		}
	}
	return out
}

// same tells whether a process is still the one that was meant.
func same(pid int, start uint64, bootID string) bool {
	p, ok := look(pid)
	return ok && !p.zombie && p.start == start && bootID == boot()
}
