package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/capture"
	"kmswatch/cmd/kmswatch/confine"
	"kmswatch/cmd/kmswatch/metrics"
	"kmswatch/cmd/kmswatch/service"
	"kmswatch/decode"
)

// live is what a running sensor was told: flags, and what the section sensor of
// the configuration says where they say nothing.
type live struct {
	interfaces []string
	mode       oneOf
	source     oneOf
	config     string
	format     oneOf
	output     string
	metrics    string
	workers    int
	user       string
	keepRights bool

	rings    int            // of the kernel, an interface; 0 is the source's default
	ringSize int64          // bytes, likewise
	listen   netip.AddrPort // metrics, read
	kmsPorts []uint16       // of the inventory
}

// openFunc opens the source of an interface, which logs what becomes of it.
type openFunc func(name string, l *live, log zerolog.Logger) (capture.Source, error)

func newRun(t terminal, open openFunc) *cobra.Command {
	l := live{
		mode:   oneOf{value: config.ModeSpan, words: []string{config.ModeSpan, config.ModeHost}},
		source: oneOf{value: config.SourceRing, words: []string{config.SourceRing, config.SourceXDP}},
		format: formatFlag(),
	}
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch interfaces and print alerts as they come",
		Long: `Watch the traffic of interfaces and print the alerts that it raises, each within
a second of its frame. In the mode span an interface is a mirror port, and frames
for others are taken; in the mode host it is one of this host's own, and only the
traffic of this host is looked at: without an interface, all that are up.

The kernel lets go what is of no interest. With the source ring it gives the rest
a copy, and whatever else happens on the interface goes on. With the source xdp
it does so in the driver, two to three times as fast, and keeps all frames from
the host: it is for a port that only a mirror feeds.

Run it as root, or with the capabilities CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and
CAP_PERFMON. Once all is open it gives up what it does not need: root becomes the
user kmswatch, or nobody if there is none, no capability is left, and Landlock
and seccomp leave the configuration's folder to read and the outputs' to write.
An interface that goes down or away is waited for. Where the rights to open it anew
are gone, with the source xdp, it ends when the interface is back, so that a service
manager starts it anew.

SIGTERM and SIGINT stop it once all is told; a second one at once. SIGHUP reads
zones, inventory and rules anew, without the loss of a flow, and opens the outputs
anew; a configuration with a mistake is refused whole. Logs go to standard error.

Alerts also go to the files that the section outputs of the configuration names,
which are set aside by size and time, and to Kafka. A slow output holds up neither
the others nor the capture: what it has no room for is lost, which is an alert.`,
		Example: `  kmswatch run --interface eth1
  kmswatch run -i eth1 -i eth2 --config zones.yaml --format ndjson --output /var/log/kmswatch/alerts.ndjson --metrics 9618`,
		Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return watch(c, t, l, open) },
	}
	flags := c.Flags()
	flags.StringArrayVarP(&l.interfaces, "interface", "i", nil, "`name` of an interface; may be given several times")
	flags.VarP(&l.mode, "mode", "m", "span: a mirror port; or host: an interface of this host")
	flags.Var(&l.source, "source", "ring: any interface; or xdp: a port that only a mirror feeds, at line rate")
	flags.StringVarP(&l.config, "config", "c", "", "zones, inventory and rules, a YAML `file`")
	flags.VarP(&l.format, "format", "f", formatHelp)
	flags.StringVarP(&l.output, "output", "o", "-", "`file` to append the alerts to; - for standard output")
	flags.StringVar(&l.metrics, "metrics", "", "serve metrics for Prometheus at an `address` and port; a port alone is that of 127.0.0.1")
	flags.IntVarP(&l.workers, "workers", "w", 1, "decoding `goroutines`")
	flags.StringVar(&l.user, "user", "", "`user` that root becomes once all is open; root to stay (default kmswatch, else nobody)")
	flags.BoolVar(&l.keepRights, "keep-rights", false, "give up no rights, so that an interface that went away can be opened again")
	_ = c.RegisterFlagCompletionFunc("format", l.format.complete)
	_ = c.RegisterFlagCompletionFunc("mode", l.mode.complete)
	_ = c.RegisterFlagCompletionFunc("source", l.source.complete)
	_ = c.RegisterFlagCompletionFunc("interface", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return interfaceNames(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	return c
}

// complete takes from the configuration what no flag says, and checks all.
func (l *live) complete(c *cobra.Command, conf *config.Config) error {
	if conf.Live.Mode != "" && !c.Flags().Changed("mode") {
		l.mode.value = conf.Live.Mode
	}
	if conf.Live.Source != "" && !c.Flags().Changed("source") {
		l.source.value = conf.Live.Source
	}
	if l.mode.value == config.ModeHost && l.source.value == config.SourceXDP {
		return usageError{errors.New("--source xdp keeps frames from the host: it is for --mode span, on a port that only a mirror feeds")}
	}
	if len(l.interfaces) == 0 {
		l.interfaces = conf.Live.Interfaces
	}
	if len(l.interfaces) == 0 && l.mode.value == config.ModeHost {
		l.interfaces = interfacesUp()
	}
	if len(l.interfaces) == 0 {
		return usageError{fmt.Errorf("no interface named; try: kmswatch run --interface NAME, with one of: %s", strings.Join(interfaceNames(), ", "))}
	}
	for i, name := range l.interfaces {
		if name == "" || slices.Contains(l.interfaces[:i], name) {
			return usageError{fmt.Errorf("--interface %q: want the name of another interface each time", name)}
		}
	}
	if conf.Limits.Workers != 0 && !c.Flags().Changed("workers") {
		l.workers = conf.Limits.Workers
	}
	if l.workers < 1 {
		return usageError{fmt.Errorf("--workers %d: want at least 1", l.workers)}
	}
	l.listen = conf.Live.Metrics
	if l.metrics != "" {
		var err error
		if l.listen, err = config.ParseMetrics(l.metrics); err != nil {
			return usageError{fmt.Errorf("--metrics: %w; want 127.0.0.1:9618, or the port alone", err)}
		}
	}
	if l.user == "" {
		l.user = conf.Live.User
	}
	if l.user == "" {
		l.user = "nobody"
		if _, err := user.Lookup("kmswatch"); err == nil {
			l.user = "kmswatch"
		}
	}
	l.rings, l.ringSize, l.kmsPorts = conf.Live.Rings, conf.Live.RingSize, kmsPorts(conf)
	return nil
}

// watch opens all, gives up rights, and runs until the context is done.
func watch(c *cobra.Command, t terminal, l live, open openFunc) (err error) {
	conf, err := loadLive(l.config)
	if err != nil {
		return tellConfig(t, err)
	}
	if err := l.complete(c, conf); err != nil {
		return err
	}
	now := time.Now
	log := newLogger(t.err, now)
	m := metrics.New(buildVersion(), sensorInfos())
	began := now()
	m.Loaded(began)
	s := &sensor{
		log: log, live: &l, metrics: m, manager: newManager(log), now: now, conf: conf, started: began, loaded: began,
		load:      func() (*config.Config, error) { return loadLive(l.config) },
		hosts:     newInventory(conf),
		anomalies: make(map[metrics.Anomaly]uint64),
		failures:  new(failures),
	}
	s.outputs = &outputs{log: log, now: now, failures: s.failures}
	to, err := l.outputs(conf)
	if err != nil {
		return err
	}
	defer s.outputs.close()
	for _, o := range to {
		if err := s.outputs.open(o, t.out, o.Path == "" && t.colour()); err != nil {
			return err
		}
	}
	if s.broker, err = openBroker(c.Context(), conf, s.hosts, log, s.failures); err != nil {
		return err
	}
	defer s.broker.close()
	if l.listen.IsValid() {
		if !l.listen.Addr().IsLoopback() {
			log.Warn().Stringer("metrics", l.listen).Msg("metrics are served to other hosts, without authentication")
		}
		stop, err := serve(l.listen, m.Handler(now))
		if err != nil {
			return err
		}
		defer stop()
	}
	ac := alertsConfig(conf)
	ac.Inventory, ac.Out = s.hosts, s.take
	if s.eval, err = alerts.New(ac); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	windows, asService := service.From(c.Context())

	s.src, err = openInterfaces(l.interfaces, func(name string) (capture.Source, error) {
		return open(name, &l, log.With().Str("interface", name).Logger())
	}, l.mode.value == config.ModeSpan, func(name, cause string) {
		s.failures.add(alerts.InterfaceGone, name, 0, errors.New(cause))
	}, log)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON", err)
	}
	if err != nil {
		return err
	}
	defer s.src.Close()
	s.watchPorts(conf)
	if s.owners, err = openOwners(&l); err != nil {
		return err
	}
	defer s.owners.close()
	if err := s.giveUpRights(conf, to); err != nil {
		return err
	}
	s.broker.start()
	engine := engineConfig(conf)
	engine.Workers, engine.Steer = l.workers, s.src
	s.engine = decode.New(engine, s)
	log.Info().Str("version", buildVersion()).Strs("interfaces", l.interfaces).Str("mode", l.mode.value).
		Str("config", l.config).Int("rules", len(s.eval.Rules())).Int("workers", l.workers).Msg("watching")
	s.manager.ready("watching " + strings.Join(l.interfaces, ", "))
	if asService {
		windows.Ready()
	}
	err = s.run(c.Context(), requests(c.Context(), hangUp, windows.Reload))
	s.close()
	if err == nil {
		if broken := s.broken.Load(); broken != nil {
			err = *broken
		}
	}
	return err
}

// requests joins the ways to ask for the configuration to be read anew. Those
// that come before one is taken are one.
func requests(ctx context.Context, hangUp <-chan os.Signal, windows <-chan struct{}) <-chan struct{} {
	all := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangUp:
			case <-windows:
			}
			select {
			case all <- struct{}{}:
			default:
			}
		}
	}()
	return all
}

// newLogger writes lines for a person to a terminal, else JSON.
func newLogger(to io.Writer, now func() time.Time) zerolog.Logger {
	if isTerminal(to) {
		to = zerolog.ConsoleWriter{Out: to, NoColor: os.Getenv("NO_COLOR") != "", TimeFormat: time.DateTime, TimeLocation: time.UTC}
	}
	return zerolog.New(to).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Time(zerolog.TimestampFieldName, now().UTC())
	}))
}

// serve serves metrics until the function that it gives is called.
func serve(at netip.AddrPort, h http.Handler) (stop func(), err error) {
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener) // it ends with http.ErrServerClosed
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
		<-done
	}, nil
}

// giveUpRights leaves the rights that a sensor needs once its sources are open.
func (s *sensor) giveUpRights(conf *config.Config, to []config.Output) error {
	log, l := s.log, s.live
	if l.keepRights {
		return nil
	}
	o := confine.Options{User: l.user, Maps: true, Read: []string{"/proc/self", "/proc/stat"}} // of the process, for its metrics
	if l.mode.value == config.ModeHost {
		o.Read = []string{"/proc"} // whose sockets they are
	}
	if l.config != "" {
		o.Read = append(o.Read, filepath.Dir(l.config))
		if to, err := filepath.EvalSymlinks(l.config); err == nil {
			o.Read = append(o.Read, filepath.Dir(to))
		}
	}
	var files []config.Output // and no devices
	for _, out := range to {
		if out.Path == "" {
			continue
		}
		if rotates(out) {
			o.Own = append(o.Own, filepath.Dir(out.Path))
		} else {
			o.Write = append(o.Write, filepath.Dir(out.Path))
		}
		if st, err := os.Lstat(out.Path); err == nil && st.Mode().IsRegular() {
			files = append(files, out)
			if err := confine.Give(out.Path, l.user); err != nil {
				return fmt.Errorf("output: %w", err)
			}
		}
	}
	if k := &conf.Kafka; len(k.Brokers) > 0 {
		o.Connect = s.broker.ports(k)
		o.Read = append(o.Read, "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/run/systemd/resolve")
		o.Own = append(o.Own, k.Spool)
		if err := confine.Give(k.Spool, l.user); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	r, err := confine.Process(o)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("give up rights: %w; --user root stays what it is, --keep-rights gives up none", err)
	case err != nil:
		return fmt.Errorf("give up rights: %w; --keep-rights gives up none", err)
	}
	log.Info().Str("user", r.User).Str("capabilities", r.Kept).Int("landlock", r.Landlock).Bool("seccomp", r.Seccomp).Msg("rights given up")
	for _, out := range files {
		switch err := confine.Writable(filepath.Dir(out.Path)); {
		case err == nil:
		case rotates(out):
			return fmt.Errorf("output %s: it cannot be set aside: %w for the user %s; give that user a folder for it, or stay with --user root", out.Path, err, r.User)
		default:
			log.Warn().Err(err).Msg("the output's folder is not writable for that user: once the file is moved away, SIGHUP opens no new one")
		}
	}
	if l.config != "" {
		if f, err := os.Open(l.config); err != nil {
			log.Warn().Err(err).Msg("the configuration cannot be read again: SIGHUP will be refused")
		} else {
			f.Close()
		}
	}
	return nil
}

// rotates tells whether an output's file is set aside.
func rotates(o config.Output) bool { return o.RotateSize > 0 || o.RotateEvery > 0 }

// interfacesUp names the interfaces of this machine that are up.
func interfacesUp() (names []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 {
			names = append(names, i.Name)
		}
	}
	return names
}

// interfaceNames names the interfaces of this machine.
func interfaceNames() (names []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}
