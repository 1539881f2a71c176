package pin

import (
	"os/exec"
	"runtime"
	"syscall"
)

// attributes give a command its own process group, so that all of it can be
// stopped, and end it when this process is killed without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startBound starts the command from a thread that lives as long as the command:
// Linux sends the death signal when the starting thread ends, not the process.
func startBound(cmd *exec.Cmd, done <-chan struct{}) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-done
		}
	}()
	return <-started
}
