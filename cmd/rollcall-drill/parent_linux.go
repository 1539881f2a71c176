package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// whenParentDies calls gone when the process that started this one has died. A
// launcher that set a death signal itself is left to it. Linux sends the signal
// when the starting thread ends, which is not always the process: so the parent
// is looked at before the signal is believed.
func whenParentDies(ctx context.Context, gone func()) {
	parent := os.Getppid()
	var set int32
	if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&set)), 0, 0, 0); err != nil || set != 0 {
		return
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGHUP), 0, 0, 0); err != nil {
		return
	}
	for os.Getppid() == parent {
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
	}
	gone()
}
