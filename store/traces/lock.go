package traces

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockFile names the file whose flock says who receives.
const lockFile = "receiver.lock"

// errTaken says that another process holds the lock.
var errTaken = errors.New("another process receives")

// lock takes the flock in the folder and writes the own PID into the file. The
// kernel lets go of it however the process ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for range 5 {
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		// Someone may only be asking who receives, which holds a shared lock for a moment.
		time.Sleep(2 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errTaken
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(pid), 0) // who holds the lock is a courtesy, not a condition
	}
	return f, nil
}

// holder returns the PID that the holder of the lock left in the file, 0 when it is not known.
func holder(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}
