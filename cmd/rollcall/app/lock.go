package app

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// tryLock takes a lock that the end of the process frees, however it comes, and
// tells whether it is ours. Nobody waits for it.
func tryLock(path string) (free func(), mine bool, err error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, false, f.Close()
	case err != nil:
		_ = f.Close()
		return nil, false, err
	}
	return func() { _ = f.Close() }, true, nil
}
