// Command kmswatch watches Windows volume activation and the MS-RPC traffic
// around it, passively, and alerts when it crosses security zones as a careful
// network would not allow.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	t := terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(untilSignal(func(ctx context.Context) int { return run(ctx, os.Args[1:], t) }))
}

// together is how soon after the first a signal is still the same wish: a terminal
// and timeout(1) signal a process and its group too.
const together = 500 * time.Millisecond

// untilSignal runs f with a context that ends with the first signal to stop. A
// second ends the process.
func untilSignal(f func(context.Context) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		time.Sleep(together)
		stop()
	})
	return f(ctx)
}
