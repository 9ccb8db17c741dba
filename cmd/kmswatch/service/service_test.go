package service

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told collects reports, without those that only tell of progress.
type told struct {
	all    []status
	states []state
}

func (t *told) report(s status) {
	t.all = append(t.all, s)
	if len(t.states) == 0 || t.states[len(t.states)-1] != s.state {
		t.states = append(t.states, s.state)
	}
}

// script runs a machine beside steps that control it, and gives how it ended and
// after how long.
func script(t *testing.T, main body, steps func(controls chan<- control)) (*told, exit, time.Duration) {
	t.Helper()
	var seen told
	controls := make(chan control)
	go steps(controls)
	begin := time.Now()
	m := machine{report: seen.report}
	e := m.run(main, controls)
	return &seen, e, time.Since(begin)
}

// untilStopped is a main that is ready after a while and ends when it is told to.
func untilStopped(open, end time.Duration, code int) body {
	return func(ctx context.Context, s Session) int {
		select {
		case <-time.After(open):
			s.Ready()
		case <-ctx.Done():
		}
		<-ctx.Done()
		time.Sleep(end)
		return code
	}
}

func TestStates(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name   string
		main   body
		steps  func(chan<- control)
		states []state
		ends   exit
		after  time.Duration
	}{
		{"is stopped", untilStopped(100*ms, 200*ms, 0),
			func(c chan<- control) { time.Sleep(time.Hour); c <- stop },
			[]state{startPending, running, stopPending}, exit{}, time.Hour + 200*ms},
		{"is stopped by the end of Windows, and is told so twice", untilStopped(100*ms, 200*ms, 0),
			func(c chan<- control) { time.Sleep(time.Minute); c <- shutdown; c <- stop },
			[]state{startPending, running, stopPending}, exit{}, time.Minute + 200*ms},
		{"is stopped while it starts", untilStopped(time.Hour, 0, 0),
			func(c chan<- control) { time.Sleep(time.Second / 2); c <- stop },
			[]state{startPending, stopPending}, exit{}, 500 * ms},
		{"ends with an error while it starts", func(context.Context, Session) int { time.Sleep(time.Second / 2); return 1 },
			func(chan<- control) {}, []state{startPending}, exit{code: 1}, 500 * ms},
		{"ends by itself", func(_ context.Context, s Session) int { s.Ready(); s.Ready(); time.Sleep(time.Minute); return 2 },
			func(chan<- control) {}, []state{startPending, running}, exit{code: 2}, time.Minute},
		{"fails as it is stopped", untilStopped(0, 0, 1),
			func(c chan<- control) { time.Sleep(time.Minute); c <- stop },
			[]state{startPending, running, stopPending}, exit{code: 1}, time.Minute},
		{"becomes ready after it is stopped", func(ctx context.Context, s Session) int {
			<-ctx.Done()
			s.Ready()
			time.Sleep(3 * time.Second)
			return 0
		},
			func(c chan<- control) { time.Sleep(time.Second / 2); c <- stop },
			[]state{startPending, stopPending}, exit{}, 3500 * ms},
		{"is never ready", untilStopped(time.Hour, 0, 0),
			func(chan<- control) {}, []state{startPending, stopPending}, exit{timedOut: true}, startLimit},
		{"is asked in vain to stop", func(_ context.Context, s Session) int { s.Ready(); time.Sleep(time.Hour); return 0 },
			func(c chan<- control) { time.Sleep(time.Minute); c <- stop },
			[]state{startPending, running, stopPending}, exit{code: 1, timedOut: true}, time.Minute + stopLimit},
		{"neither becomes ready nor stops", func(context.Context, Session) int { time.Sleep(time.Hour); return 0 },
			func(chan<- control) {}, []state{startPending, stopPending}, exit{code: 1, timedOut: true}, startLimit + stopLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen, ends, after := script(t, c.main, c.steps)
				if !slices.Equal(seen.states, c.states) {
					t.Errorf("went through the states %v, want %v", seen.states, c.states)
				}
				if ends != c.ends {
					t.Errorf("ended with %+v, want %+v", ends, c.ends)
				}
				if after != c.after {
					t.Errorf("ended after %v, want %v", after, c.after)
				}
				time.Sleep(2 * time.Hour) // for what was left behind
			})
		})
	}
}

func TestReportsWhatWindowsExpects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen, _, _ := script(t, untilStopped(2500*time.Millisecond, 1700*time.Millisecond, 0), func(c chan<- control) {
			time.Sleep(10 * time.Second)
			c <- interrogate
			time.Sleep(300 * time.Millisecond) // past the tick
			c <- stop
		})
		const all = acceptStop | acceptShutdown | acceptParamChange
		if d := cmp.Diff([]status{
			{state: startPending, checkPoint: 1, waitHint: waitHint},
			{state: startPending, checkPoint: 2, waitHint: waitHint},
			{state: startPending, checkPoint: 3, waitHint: waitHint},
			{state: running, accepts: all},
			{state: running, accepts: all}, // as asked
			{state: stopPending, checkPoint: 1, waitHint: waitHint},
			{state: stopPending, checkPoint: 2, waitHint: waitHint},
			{state: stopPending, checkPoint: 3, waitHint: waitHint},
		}, seen.all, cmp.AllowUnexported(status{})); d != "" {
			t.Error(d)
		}
		if progress >= waitHint {
			t.Errorf("progress is told every %v, Windows waits for %v", progress, waitHint)
		}
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reloads := 0
		main := func(ctx context.Context, s Session) int {
			time.Sleep(time.Second)
			s.Ready()
			for {
				select {
				case <-s.Reload:
					reloads++
					time.Sleep(time.Minute) // it takes its time
				case <-ctx.Done():
					return 0
				}
			}
		}
		_, ends, _ := script(t, main, func(c chan<- control) {
			c <- paramChange // before it is ready: nothing is to be read anew
			time.Sleep(5 * time.Second)
			c <- paramChange
			time.Sleep(5 * time.Second)
			c <- paramChange // these three are one
			c <- paramChange
			c <- paramChange
			time.Sleep(time.Hour)
			c <- paramChange
			time.Sleep(time.Hour)
			c <- stop
		})
		if reloads != 3 || ends != (exit{}) {
			t.Errorf("read anew %d times, ended with %+v", reloads, ends)
		}
	})
}

func TestContextsCarrySessions(t *testing.T) {
	if _, ok := From(t.Context()); ok {
		t.Error("a test has the session of a service")
	}
	called := false
	s, ok := From(With(t.Context(), Session{Ready: func() { called = true }}))
	if ok {
		s.Ready()
	}
	if !called {
		t.Error("the session is lost")
	}
}
