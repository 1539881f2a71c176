package launch

import (
	"os/exec"
	"runtime"
	"syscall"
)

// attributes keep the terminal's signals from the child, which follows its
// launcher instead, and kill it when the launcher dies without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startBound starts the child from a thread that lives as long as the child:
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
