package service

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// Serve is the service of this name, until it ends; main gets the event log for
// what it has to say. The process is to end then, whatever still runs in it. It
// fails where the service control manager did not start the process.
func Serve(name string, main func(context.Context, Session, *Log) int) error {
	to, err := eventlog.Open(name)
	if err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	defer to.Close()
	log := newLog(to)
	err = svc.Run(name, handler{func(ctx context.Context, s Session) int { return main(ctx, s, log) }})
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.New("not started by the service manager; try: kmswatch service start")
	}
	if err != nil {
		return fmt.Errorf("run as a service: %w", err)
	}
	return nil
}

// handler meets svc.Handler.
type handler struct{ main body }

func (h handler) Execute(_ []string, requests <-chan svc.ChangeRequest, statuses chan<- svc.Status) (specific bool, code uint32) {
	controls, over := make(chan control), make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case r := <-requests:
				select {
				case controls <- control(r.Cmd):
				case <-over:
					return
				}
			case <-over:
				return
			}
		}
	}()
	m := machine{report: func(s status) {
		statuses <- svc.Status{
			State:      svc.State(s.state),
			Accepts:    svc.Accepted(s.accepts),
			CheckPoint: s.checkPoint,
			WaitHint:   uint32(s.waitHint.Milliseconds()),
		}
	}}
	e := m.run(h.main, controls)
	switch {
	case e.timedOut:
		return false, uint32(windows.ERROR_SERVICE_REQUEST_TIMEOUT)
	case e.code < 0:
		return true, 1
	}
	return true, uint32(e.code)
}
