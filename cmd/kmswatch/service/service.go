// Package service runs the sensor as a Windows service, in the hands of the
// service control manager, and installs, removes, starts and stops it there. A
// service has no terminal: what it would say goes to the event log.
//
// What a service does when it is told to, and what becomes of a text on its way
// to the event log, knows nothing of Windows and is tested on every system.
package service

import (
	"context"
	"time"
)

// Name is the name of the service and of its source in the event log.
const Name = "kmswatch"

// Session is what the main function of a service shares with the service control
// manager.
type Session struct {
	// Ready is called once all is open and the service is running. Until then
	// who starts it waits, for startLimit at most.
	Ready func()
	// Reload gets a value when the configuration is to be read anew. Requests
	// that come before one is taken are one.
	Reload <-chan struct{}
}

type key struct{}

// With gives a context that carries a session, to where only a context goes.
func With(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, key{}, s)
}

// From gives the session of a context, if it is that of a service.
func From(ctx context.Context) (Session, bool) {
	s, ok := ctx.Value(key{}).(Session)
	return s, ok
}

// body is what a service runs. It ends when the context does, and gives an exit
// code: 0 when all went well.
type body func(context.Context, Session) int

const (
	// startLimit is how long main may take until it is ready.
	startLimit = time.Minute
	// stopLimit is how long main may take to end once it is told to.
	stopLimit = 20 * time.Second
	// progress is how often a state that passes is reported, and waitHint how
	// soon the service control manager is to expect that at the latest.
	progress = time.Second
	waitHint = 5 * time.Second
)

// state, control and accepted have the numbers of Windows (winsvc.h).
type (
	state    uint32
	control  uint32
	accepted uint32
)

const (
	startPending state = 2
	stopPending  state = 3
	running      state = 4

	stop        control = 1
	interrogate control = 4
	shutdown    control = 5
	paramChange control = 6 // the configuration is to be read anew

	acceptStop        accepted = 1
	acceptShutdown    accepted = 4
	acceptParamChange accepted = 8
)

// status is what the service control manager is told.
type status struct {
	state      state
	accepts    accepted
	checkPoint uint32 // grows while a state that passes makes progress; else 0
	waitHint   time.Duration
}

// exit is how a service ended. timedOut is true when main did not become ready,
// or did not end, in time.
type exit struct {
	code     int
	timedOut bool
}

// machine takes a service through its states, in one goroutine.
type machine struct {
	report func(status)
	now    status
}

// run runs main until it ends, or has not ended in time. The caller reports that
// the service has stopped, and ends the process.
func (m *machine) run(main body, controls <-chan control) exit {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, reload, ended := make(chan struct{}, 1), make(chan struct{}, 1), make(chan int, 1)
	go func() {
		ended <- main(ctx, Session{
			Ready:  func() { signal(ready) },
			Reload: reload,
		})
	}()

	tick := time.NewTicker(progress)
	defer tick.Stop()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	late := false
	m.enter(startPending)
	for {
		select {
		case code := <-ended:
			return exit{code: code, timedOut: late}
		case <-ready:
			if m.now.state == startPending {
				limit.Stop()
				m.enter(running)
			}
		case c := <-controls:
			switch c {
			case stop, shutdown:
				if m.now.state != stopPending {
					cancel()
					limit.Reset(stopLimit)
					m.enter(stopPending)
				}
			case paramChange:
				if m.now.state == running {
					signal(reload)
				}
				m.report(m.now)
			case interrogate:
				m.report(m.now)
			}
		case <-tick.C:
			if m.now.state != running {
				m.now.checkPoint++
				m.report(m.now)
			}
		case <-limit.C:
			late = true
			if m.now.state == stopPending {
				return exit{code: 1, timedOut: true}
			}
			cancel()
			limit.Reset(stopLimit)
			m.enter(stopPending)
		}
	}
}

// enter begins a state and reports it.
func (m *machine) enter(s state) {
	m.now = status{state: s}
	if s == running {
		m.now.accepts = acceptStop | acceptShutdown | acceptParamChange
	} else {
		m.now.checkPoint, m.now.waitHint = 1, waitHint
	}
	m.report(m.now)
}

// signal puts a value into a channel with room for one, if it has none.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
