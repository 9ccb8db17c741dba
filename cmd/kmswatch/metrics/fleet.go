package metrics

import (
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Fleet collects and serves what a correlator counts. Its methods are for any
// goroutine.
type Fleet struct {
	registry *prometheus.Registry
	records  *prometheus.CounterVec
	alerts   *prometheus.CounterVec
	lag      *prometheus.GaugeVec
	skipped  prometheus.Counter
	rejoined prometheus.Counter
}

// NewFleet makes one of its own registry.
func NewFleet(version string) *Fleet {
	f := &Fleet{
		registry: prometheus.NewRegistry(),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kmswatch_correlate_records_total", Help: "Records that were joined, by topic.",
		}, []string{"topic"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kmswatch_alerts_total", Help: "Alerts raised, by rule.",
		}, []string{"rule"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kmswatch_correlate_lag_records", Help: "Records of the partitions of this member that it has not joined yet.",
		}, []string{"topic", "partition"}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kmswatch_correlate_skipped_total", Help: "Records that could not be read.",
		}),
		rejoined: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kmswatch_correlate_errors_total", Help: "Errors after which the group was joined anew.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kmswatch_build_info", Help: "The version of the correlator; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	f.registry.MustRegister(f.records, f.alerts, f.lag, f.skipped, f.rejoined, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return f
}

// Own notes that a partition is this member's, or is no longer.
func (f *Fleet) Own(topic string, partition int, own bool) {
	if own {
		f.lag.WithLabelValues(topic, strconv.Itoa(partition))
	} else {
		f.lag.DeleteLabelValues(topic, strconv.Itoa(partition))
	}
}

// Lag notes how many records of a partition are still to be joined.
func (f *Fleet) Lag(topic string, partition int, records int64) {
	f.lag.WithLabelValues(topic, strconv.Itoa(partition)).Set(float64(records))
}

// Records counts records that were joined.
func (f *Fleet) Records(topic string, n int) { f.records.WithLabelValues(topic).Add(float64(n)) }

// Alert counts an alert.
func (f *Fleet) Alert(rule string) { f.alerts.WithLabelValues(rule).Inc() }

// Skipped counts a record that could not be read.
func (f *Fleet) Skipped() { f.skipped.Inc() }

// Rejoined counts an error after which the group was joined anew.
func (f *Fleet) Rejoined() { f.rejoined.Inc() }

// Handler serves /metrics.
func (f *Fleet) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{}))
	return mux
}
