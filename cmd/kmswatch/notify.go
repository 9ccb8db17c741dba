package main

import (
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// manager is the service manager that started the process, if it wants to know
// how it is (sd_notify(3)).
type manager struct {
	log   zerolog.Logger
	every time.Duration // in which it wants to hear of us; 0 iff it does not
	told  time.Time     // when it last did; of the goroutine that calls alive
}

func newManager(log zerolog.Logger) *manager {
	m := &manager{log: log}
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("the watchdog of the service manager is not understood")
		return m
	}
	m.every = every
	return m
}

// tell tells the state, in lines as sd_notify takes them.
func (m *manager) tell(lines ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		m.log.Warn().Err(err).Msg("the service manager was not told")
	}
}

func (m *manager) ready(status string) { m.tell(daemon.SdNotifyReady, "STATUS="+status) }
func (m *manager) status(text string)  { m.tell("STATUS=" + text) }
func (m *manager) stopping()           { m.tell(daemon.SdNotifyStopping) }

func (m *manager) reloading() {
	m.tell(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// alive pets the watchdog, if it is time to: at a third of what it waits.
func (m *manager) alive(now time.Time) {
	if m.every > 0 && now.Sub(m.told) >= m.every/3 {
		m.told = now
		m.tell(daemon.SdNotifyWatchdog)
	}
}
