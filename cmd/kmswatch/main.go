// Command kmswatch watches Windows volume activation and the MS-RPC traffic
// around it, passively, and alerts when it crosses security zones as a careful
// network would not allow.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	t := terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(untilSignal(func(ctx context.Context) int { return run(ctx, os.Args[1:], t) }))
}

// untilSignal runs f with a context that ends with the first signal to stop. A
// second ends the process.
func untilSignal(f func(context.Context) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return f(ctx)
}
