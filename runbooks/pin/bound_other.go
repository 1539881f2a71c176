//go:build !linux

package pin

import (
	"os/exec"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func startBound(cmd *exec.Cmd, _ <-chan struct{}) error { return cmd.Start() }
