// Package metrics shows what a running sensor counts, for Prometheus. It is
// given a Snapshot now and then, and what happens between them as it happens,
// and serves both; the sensor is never asked, so that no scrape holds it up.
package metrics

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kmswatch/alerts"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/spool"
	"kmswatch/bpf"
	"kmswatch/capture"
	"kmswatch/decode"
)

// Snapshot is the state of a sensor at a moment. It is not changed once given.
type Snapshot struct {
	At         time.Time
	Interfaces []Interface
	Engine     decode.Moment
	Alerts     alerts.Stats
	Hosts      int // observed
	Anomalies  map[Anomaly]uint64
	Outputs    []Output
	Spools     []Spool
}

// Output is one that alerts are written to.
type Output struct {
	Name string
	sink.Counts
	Rotations uint64 // files that were set aside
}

// Spool is what stands between records and a broker, and those that it lost: for
// lack of memory, to its bound, to damage, or since the broker refused them.
type Spool struct {
	Of string // what they are
	spool.Depth
	Memory, Dropped, Damaged, Refused uint64
}

// Interface is one that is watched.
type Interface struct {
	Name   string
	Stats  capture.Stats
	Kernel *bpf.Counters // of the filter in the kernel; nil iff there is none

	Trouble string // why it gives nothing; empty if it does
}

// Anomaly names a kind of anomaly.
type Anomaly struct {
	Protocol decode.Protocol
	Name     string
}

// Metrics collects and serves. Its methods are for any goroutine.
type Metrics struct {
	registry *prometheus.Registry
	last     atomic.Pointer[Snapshot]
	alerts   *prometheus.CounterVec
	lag      prometheus.Histogram
	reloads  *prometheus.CounterVec
	loaded   prometheus.Gauge
}

// lagBuckets are in seconds: an alert is to come within one.
var lagBuckets = []float64{.001, .005, .01, .05, .1, .2, .5, 1, 2, 5, 10, 60}

// New makes one of its own registry. The alerts of all rules are there from the
// beginning, as none.
func New(version string, rules []alerts.Info) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kmswatch_alerts_total", Help: "Alerts raised, by rule and severity.",
		}, []string{"rule", "severity"}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kmswatch_alert_lag_seconds", Help: "Time from the frame that an alert stands on to the alert.", Buckets: lagBuckets,
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kmswatch_config_reloads_total", Help: "Reloads of the configuration, by result.",
		}, []string{"result"}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kmswatch_config_loaded_timestamp_seconds", Help: "Time at which the configuration in force was read.",
		}),
	}
	for i := range rules {
		m.alerts.WithLabelValues(rules[i].ID, rules[i].Severity.String())
	}
	for _, result := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(result)
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kmswatch_build_info", Help: "The version of the sensor; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.alerts, m.lag, m.reloads, m.loaded, build, snapshots{m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Publish gives a Snapshot, which takes the place of the one before.
func (m *Metrics) Publish(s *Snapshot) { m.last.Store(s) }

// Alert counts an alert that was raised, and how long it took.
func (m *Metrics) Alert(rule string, severity alerts.Severity, lag time.Duration) {
	m.alerts.WithLabelValues(rule, severity.String()).Inc()
	m.lag.Observe(lag.Seconds())
}

// Loaded tells that a configuration is in force since then.
func (m *Metrics) Loaded(at time.Time) { m.loaded.Set(float64(at.UnixNano()) / 1e9) }

// Reloaded counts a reload and its result.
func (m *Metrics) Reloaded(ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// stale is the age from which a Snapshot says that the sensor hangs.
const stale = 10 * time.Second

// Handler serves /metrics, and /healthz: 200 while Snapshots come and every
// interface gives what there is, else 503.
func (m *Metrics) Handler(now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		s := m.last.Load()
		switch {
		case s == nil:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		case now().Sub(s.At) > stale:
			http.Error(w, fmt.Sprintf("nothing was heard of the sensor for %v", now().Sub(s.At).Round(time.Second)), http.StatusServiceUnavailable)
		default:
			for _, i := range s.Interfaces {
				if i.Trouble != "" {
					http.Error(w, fmt.Sprintf("nothing is seen of the interface %s: %s", i.Name, i.Trouble), http.StatusServiceUnavailable)
					return
				}
			}
			_, _ = io.WriteString(w, "ok\n")
		}
	})
	return mux
}

// snapshots collects what the last Snapshot holds.
type snapshots struct{ *Metrics }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kmswatch_"+name, help, labels, nil)
}

var (
	frames     = desc("frames_total", "Frames, by what became of them: received, filtered by the kernel, dropped for lack of room; truncated are received, and cut.", "interface", "verdict")
	judged     = desc("kernel_frames_total", "Frames, by what the filter in the kernel found them to be.", "interface", "verdict")
	judgedSize = desc("kernel_bytes_total", "Bytes of those frames.", "interface", "verdict")
	bytes      = desc("bytes_total", "Captured bytes of the frames received.", "interface")
	up         = desc("interface_up", "1 while frames can come from the interface, else 0.", "interface")
	interest   = desc("frames_of_interest_total", "Frames received that belong to a flow that is decoded.")
	flows      = desc("flows_total", "Flows that were decoded.")
	evictions  = desc("flows_evicted_total", "Flows that made room for others.")
	pdus       = desc("pdus_total", "DCE/RPC PDUs that events told of.")
	calls      = desc("calls_total", "DCE/RPC calls.")
	exchanges  = desc("kms_exchanges_total", "KMS requests with what came of them.")
	lookups    = desc("srv_lookups_total", "Lookups of SRV records.")
	anomalies  = desc("anomalies_total", "What was malformed or evasive.", "protocol", "name")
	waiting    = desc("reassembly_bytes", "Bytes that wait for reassembly.")
	queue      = desc("queue_batches", "Batches of frames that wait for the workers.")
	room       = desc("queue_batches_max", "Batches of frames that may wait for the workers.")
	standing   = desc("alerts_standing", "Alerts whose window has not ended.")
	repeats    = desc("alert_repeats_total", "Findings that were folded into an alert that stood.")
	excepted   = desc("alert_exceptions_total", "Findings that an exception let pass.")
	outOfRoom  = desc("alerts_evicted_total", "Alerts that made room for others before their window ended.")
	written    = desc("output_alerts_total", "Alerts, by what became of them at an output: written, or lost for lack of room or of a reader.", "output", "result")
	queued     = desc("output_waiting_alerts", "Alerts that wait for an output.", "output")
	queuedSize = desc("output_waiting_bytes", "Bytes of those alerts.", "output")
	rotations  = desc("output_rotations_total", "Files of an output that were set aside.", "output")
	spooled    = desc("spool_records", "Records that the broker does not have yet, by what they are.", "of")
	spoolBytes = desc("spool_bytes", "Bytes of a spool on disk.", "of")
	spoolAge   = desc("spool_oldest_seconds", "Age of the last record of the oldest file of a spool.", "of")
	spoolLost  = desc("spool_lost_total", "Records that the broker will not have: no memory was left, dropped at the spool's bound, damaged on disk, refused by the broker.", "of", "reason")
	spoolOK    = desc("spool_writable", "1 while a spool can be written; 0 while records go to the broker from memory alone.", "of")
	hosts      = desc("hosts", "Hosts whose roles were observed.")
	snapshotAt = desc("snapshot_timestamp_seconds", "Time of these numbers.")
)

// Describe meets prometheus.Collector.
func (s snapshots) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		frames, judged, judgedSize, bytes, up, interest, flows, evictions, pdus, calls, exchanges, lookups, anomalies, waiting, queue, room,
		standing, repeats, excepted, outOfRoom, written, queued, queuedSize, rotations, spooled, spoolBytes, spoolAge, spoolLost, spoolOK, hosts, snapshotAt,
	} {
		to <- d
	}
}

// Collect meets prometheus.Collector.
func (s snapshots) Collect(to chan<- prometheus.Metric) {
	l := s.last.Load()
	if l == nil {
		return
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, i := range l.Interfaces {
		name := strings.ToValidUTF8(i.Name, "?") // a kernel takes any bytes for a name
		count(frames, i.Stats.Received, name, "received")
		count(frames, i.Stats.Filtered, name, "filtered")
		count(frames, i.Stats.Dropped, name, "dropped")
		count(frames, i.Stats.Truncated, name, "truncated")
		count(bytes, i.Stats.Bytes, name)
		gauge(up, truth(i.Trouble == ""), name)
		if i.Kernel == nil {
			continue
		}
		for v, c := range i.Kernel {
			count(judged, c.Frames, name, bpf.Verdict(v).String())
			count(judgedSize, c.Bytes, name, bpf.Verdict(v).String())
		}
	}
	e := &l.Engine.Stats
	count(interest, e.Interest)
	count(flows, e.Flows)
	count(evictions, e.Evicted)
	count(pdus, e.PDUs)
	count(calls, e.Calls)
	count(exchanges, e.Exchanges)
	count(lookups, e.Lookups)
	for a, n := range l.Anomalies {
		count(anomalies, n, a.Protocol.String(), a.Name)
	}
	gauge(waiting, float64(e.Reassembly.Waiting))
	gauge(queue, float64(l.Engine.Waiting))
	gauge(room, float64(l.Engine.Room))
	gauge(standing, float64(l.Alerts.Standing))
	count(repeats, l.Alerts.Repeats)
	count(excepted, l.Alerts.Excepted)
	count(outOfRoom, l.Alerts.Evicted)
	for _, o := range l.Outputs {
		name := strings.ToValidUTF8(o.Name, "?") // a path is any bytes
		count(written, o.Written, name, "written")
		count(written, o.Lost, name, "lost")
		gauge(queued, float64(o.Waiting), name)
		gauge(queuedSize, float64(o.Bytes), name)
		count(rotations, o.Rotations, name)
	}
	for i := range l.Spools {
		d := &l.Spools[i]
		count(spoolLost, d.Memory, d.Of, "memory")
		count(spoolLost, d.Dropped, d.Of, "dropped")
		count(spoolLost, d.Damaged, d.Of, "damaged")
		count(spoolLost, d.Refused, d.Of, "refused")
		gauge(spoolOK, truth(!d.Unwritable), d.Of)
		gauge(spooled, float64(d.Records), d.Of)
		gauge(spoolBytes, float64(d.Bytes), d.Of)
		gauge(spoolAge, d.Oldest.Seconds(), d.Of)
	}
	gauge(hosts, float64(l.Hosts))
	gauge(snapshotAt, float64(l.At.UnixNano())/1e9)
}

// truth is how Prometheus writes it.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
