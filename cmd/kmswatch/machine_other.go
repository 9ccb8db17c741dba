//go:build !linux && !windows

package main

// liveCapture says what this machine can do for run.
func liveCapture() []subject { return nil }
