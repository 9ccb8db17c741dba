package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/inventory"
	"kmswatch/capture"
	"kmswatch/cmd/kmswatch/metrics"
	"kmswatch/decode"
)

// Paces of a running sensor.
const (
	// handOver is how long frames wait at most for others before they are decoded
	// and what they gave is told.
	handOver = 100 * time.Millisecond
	// settle is how far the time that a silent wire has lies behind the clock, so
	// that no frame under way in the kernel is older than it.
	settle = time.Second
	// drain is how long a sensor that is stopped goes on to read what was captured
	// before.
	drain = 2 * time.Second
	// statusEvery and complainEvery are how often the service manager is told how
	// it goes, and how often the same trouble is logged.
	statusEvery   = 10 * time.Second
	complainEvery = time.Minute
)

// sensor is a capture that runs. Its loop reads and feeds; what is told of the
// frames is evaluated, written and counted where the engine tells it, which is
// another goroutine when there are several workers. The two meet in Between.
type sensor struct {
	log     zerolog.Logger
	live    *live
	src     *interfaces
	engine  *decode.Engine
	metrics *metrics.Metrics
	manager *manager
	now     func() time.Time
	load    func() (*config.Config, error)
	conf    *config.Config // in force, as the loop knows
	broken  atomic.Pointer[error]

	// Of the goroutine that is told.
	eval      *alerts.Evaluator
	hosts     *inventory.Inventory
	failures  *failures
	outputs   *outputs
	owners    *owners
	broker    *broker
	anomalies map[metrics.Anomaly]uint64
	raised    uint64
	snapshot  time.Time // of the last
	status    time.Time // likewise, to the manager
	started   time.Time
	loaded    time.Time // the configuration in force
	refused   bool      // the one that was read last

	// Of the loop.
	dropped uint64    // of the sources, as was told last
	loss    time.Time // when it was logged last
	logged  uint64    // dropped then
}

// reloaded is a configuration that was read anew.
type reloaded struct {
	conf *config.Config
	err  error
}

// Handle meets decode.Handler.
func (s *sensor) Handle(e decode.Event) {
	if e, ok := e.(*decode.Anomaly); ok {
		s.anomalies[metrics.Anomaly{Protocol: e.Protocol, Name: e.Name}]++
	}
	s.eval.Handle(e)
	s.broker.Handle(e)
}

// IP protocol numbers.
const (
	tcp = 6
	udp = 17
)

// watchPorts has the kernel let the ports pass that the decoder always looks at.
func (s *sensor) watchPorts(c *config.Config) {
	ofTCP, ofUDP := decode.Ports(kmsPorts(c))
	for _, p := range ofTCP {
		_ = s.src.WatchPort(tcp, p) // what is not done was said
	}
	for _, p := range ofUDP {
		_ = s.src.WatchPort(udp, p)
	}
}

// take is given every alert.
func (s *sensor) take(a *alerts.Alert) {
	if a.Stage != alerts.Ended {
		s.owners.name(a)
	}
	if a.Stage == alerts.Raised {
		s.raised++
		s.metrics.Alert(a.Rule.ID, a.Severity, s.now().Sub(time.Unix(0, a.Last)))
	}
	s.outputs.take(a)
	s.broker.take(a)
}

// run reads until ctx is done, and then what was captured before, or until the
// source ends. What comes on reload has the configuration read anew.
func (s *sensor) run(ctx context.Context, reload <-chan struct{}) error {
	loaded := make(chan reloaded)
	over, stop := context.WithCancel(ctx)
	defer stop()
	go s.reloader(over, reload, loaded)

	rest := s.rest // made once: a method value allocates
	frames := make([]capture.Frame, framesARead)
	var stopped, given, second time.Time
	fed := false
	for {
		n, err := s.src.Read(frames)
		for i := range frames[:n] {
			s.engine.Feed(&frames[i])
		}
		fed = fed || n > 0
		now := s.now()
		if n == 0 {
			s.engine.Advance(now.Add(-settle).UnixNano())
		}
		if n == 0 && fed || now.Sub(given) >= handOver {
			s.engine.Between(rest)
			given, fed = now, false
		}
		s.manager.alive(now)
		if now.Sub(second) >= time.Second {
			second = now
			s.tellLoss(now)
		}
		select {
		case r := <-loaded:
			s.reconfigure(r)
		default:
		}
		switch broken := s.broken.Load(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case broken != nil:
			return *broken
		}
		if ctx.Err() == nil {
			continue
		}
		if stopped.IsZero() {
			stopped = now
			s.manager.stopping()
		}
		if n == 0 || frames[n-1].Time > stopped.UnixNano() || now.Sub(stopped) >= drain {
			return nil
		}
	}
}

// close tells what waits, ends all alerts and writes them.
func (s *sensor) close() {
	s.tellLoss(s.now())
	s.engine.Between(s.rest)
	s.engine.Close()
	s.eval.Close()
	s.outputs.close()
	s.broker.settle(s.now())
	s.noteGone()
	st := s.engine.Stats()
	if s.broker != nil && s.broker.health != nil {
		now := s.now()
		s.broker.tellHealth(now, s.health("stopped", s.look(decode.Moment{Time: now.UnixNano(), Stats: st}, now)))
	}
	total := s.src.Stats()
	s.log.Info().Uint64("frames", st.Frames).Uint64("dropped", total.Dropped).Uint64("filtered", total.Filtered).
		Uint64("flows", st.Flows).Uint64("calls", st.Calls).Uint64("kms_exchanges", st.Exchanges).
		Uint64("srv_lookups", st.Lookups).Uint64("alerts", s.raised).Msg("stopped")
}

// rest does what is done between frames, where the engine tells.
func (s *sensor) rest(m decode.Moment) {
	s.eval.Advance(m.Time)
	for _, f := range s.failures.take() {
		f.Head().Time = m.Time
		s.eval.Handle(f)
	}
	now := s.now()
	s.outputs.settle(now)
	s.broker.settle(now)
	s.noteGone()
	if now.Sub(s.snapshot) < time.Second {
		return
	}
	s.snapshot = now
	snap := s.look(m, now)
	s.metrics.Publish(snap)
	if now.Sub(s.status) >= statusEvery {
		s.status = now
		s.manager.status(s.describe(snap))
	}
	if s.broker.healthDue(now) {
		s.broker.tellHealth(now, s.health("watching", snap))
	}
}

// look gives the state of the sensor.
func (s *sensor) look(m decode.Moment, now time.Time) *metrics.Snapshot {
	hosts, _ := s.hosts.Hosts()
	return &metrics.Snapshot{
		At: now, Interfaces: s.src.counts(), Engine: m, Alerts: s.eval.Stats(), Hosts: hosts, Anomalies: maps.Clone(s.anomalies),
		Outputs: s.outputs.counts(), Spools: s.broker.counts(),
	}
}

// health tells how the sensor is, by its state at a moment.
func (s *sensor) health(state string, snap *metrics.Snapshot) *health {
	h := &health{
		Sensor: s.broker.sensor, Version: buildVersion(), Started: s.started.UTC(), State: state, Mode: s.live.mode.value,
		Config: configHealth{File: s.live.config, Loaded: s.loaded.UTC(), Failed: s.refused},
	}
	h.fill(snap)
	return h
}

// noteGone ends the sensor when nobody is left to read its alerts.
func (s *sensor) noteGone() {
	if s.broker != nil {
		return
	}
	if err := s.outputs.gone(); err != nil {
		broken := fmt.Errorf("write alerts: %w", err)
		s.broken.CompareAndSwap(nil, &broken)
	}
}

// describe says how it goes, in a line.
func (s *sensor) describe(snap *metrics.Snapshot) string {
	var all capture.Stats
	names := make([]string, len(snap.Interfaces))
	for i, of := range snap.Interfaces {
		all, names[i] = all.Plus(of.Stats), of.Name
	}
	return fmt.Sprintf("watching %s: %d frames, %d dropped, %d alerts", strings.Join(names, ", "), all.Received, all.Dropped, s.raised)
}

// tellLoss tells the engine, and from time to time the log, what was dropped.
func (s *sensor) tellLoss(now time.Time) {
	dropped := s.src.Stats().Dropped
	if dropped > s.dropped {
		s.engine.Lost(dropped - s.dropped)
		s.dropped = dropped
	}
	if s.dropped > s.logged && now.Sub(s.loss) >= complainEvery {
		s.log.Warn().Uint64("frames", s.dropped-s.logged).Uint64("in_all", s.dropped).Msg("frames were dropped for lack of room")
		s.loss, s.logged = now, s.dropped
	}
}

// reloader reads the configuration when it is asked for, beside the loop, so
// that no frame waits for it.
func (s *sensor) reloader(ctx context.Context, reload <-chan struct{}, loaded chan<- reloaded) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
		}
		s.manager.reloading()
		var r reloaded
		r.conf, r.err = s.load()
		select {
		case <-ctx.Done():
			return
		case loaded <- r:
		}
	}
}

// reconfigure has a configuration take the place of that in force, between two
// frames. One that is wrong is refused whole.
func (s *sensor) reconfigure(r reloaded) {
	if r.err != nil {
		for _, mistake := range mistakes(r.err) {
			s.log.Error().Str("mistake", mistake.Error()).Msg("the configuration has a mistake")
		}
	} else {
		if !reflect.DeepEqual(r.conf.Live, s.conf.Live) || !reflect.DeepEqual(r.conf.Kafka, s.conf.Kafka) || !slices.Equal(r.conf.Outputs, s.conf.Outputs) || r.conf.Limits != s.conf.Limits {
			s.log.Warn().Msg("sensor, kafka, outputs and limits of the configuration are those of the start: they need a restart")
		}
		s.conf = r.conf
		s.watchPorts(r.conf)
		s.engine.SetKMSPorts(kmsPorts(r.conf))
	}
	s.engine.Between(func(m decode.Moment) {
		if r.err == nil {
			ac := alertsConfig(r.conf)
			ac.Inventory = s.hosts
			if r.err = s.eval.Reconfigure(ac); r.err == nil {
				s.hosts.Reconfigure(r.conf.Inventory)
				s.broker.setZones(r.conf.Zones)
			}
		}
		s.metrics.Reloaded(r.err == nil)
		s.refused = r.err != nil
		status := "the configuration has mistakes and was refused; that before is in force"
		if r.err == nil {
			s.loaded = s.now()
			s.metrics.Loaded(s.loaded)
			status = "the configuration was read anew"
			s.log.Info().Str("config", s.live.config).Int("rules", len(s.eval.Rules())).Msg(status)
		} else {
			s.log.Error().Err(r.err).Msg(status)
		}
		s.outputs.reopen()
		s.manager.ready(status)
	})
}

// mistakes gives the errors of a configuration one by one.
func mistakes(err error) []error {
	var all config.Errors
	if errors.As(err, &all) {
		return all.Unwrap()
	}
	return []error{err}
}
