//go:build !linux

package kafkatest

import "os/exec"

// dieWithTest has nothing to do: no broker is started here.
func dieWithTest(*exec.Cmd) {}
