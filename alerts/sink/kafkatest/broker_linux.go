package kafkatest

import (
	"os/exec"
	"syscall"
)

// dieWithTest ends a program when the thread that started it ends.
func dieWithTest(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
