package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

// metrics are what Prometheus reads. Labels are routes, statuses and directions, never anything of a patient.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tributary_http_requests_total", Help: "Requests by method, route and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tributary_http_request_duration_seconds", Help: "How long requests took, by method and route.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60},
		}, []string{"method", "route"}),
	}
	m.registry.MustRegister(m.requests, m.duration, newNodeMetrics(s.deps.Control, s.deps.Version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(method, route).Observe(took.Seconds())
}

// serveMetrics answers in the text format of Prometheus.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.handler().ServeHTTP(w, r)
	return nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// nodeMetrics reads the state of the node when it is asked for: it is kept in the database and nowhere else.
type nodeMetrics struct {
	control *control.Control
	version string

	build, database                                                 *prometheus.Desc
	resources, deleted, changes, parked, held, conflicts, decisions *prometheus.Desc
	children, size, log                                             *prometheus.Desc
	reachable, lastPass, backlog, running                           *prometheus.Desc
}

func newNodeMetrics(c *control.Control, version string) *nodeMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tributary_"+name, help, labels, nil)
	}
	return &nodeMetrics{
		control: c, version: version,
		build:     desc("build_info", "Always 1; its label is the version of the program.", "version"),
		database:  desc("database_reachable", "1 where the database answered; where it is 0 the metrics of what is in it are missing."),
		resources: desc("resources", "Live copies by resource type; all documents without FHIR form are of the type rest.", "type"),
		deleted:   desc("resources_deleted", "Copies that are deleted."),
		changes:   desc("changes_head", "Position of the newest change in this node's log."),
		parked:    desc("parked", "Events that could not be applied or delivered and wait for a retry."),
		held:      desc("held", "Copies set aside until the parent has decided."),
		conflicts: desc("conflicts_open", "Conflicts that wait for a person."),
		decisions: desc("conflicts_total", "Conflicts that were ever recorded."),
		children:  desc("children", "Nodes that may read from and push to this one."),
		size:      desc("database_size_bytes", "Room that the database takes."),
		log:       desc("database_log_bytes", "Room that SQLite's write-ahead log takes; 0 for other databases."),
		reachable: desc("parent_reachable", "1 where the newest exchange with the parent went well."),
		lastPass:  desc("pass_last_success_timestamp_seconds", "When the newest pass that went well ended, 0 where none did.", "direction"),
		backlog:   desc("pass_backlog", "Changes that wait, by direction.", "direction"),
		running:   desc("pass_running", "1 while a pass of the direction runs.", "direction"),
	}
}

// Describe lists what Collect gives.
func (n *nodeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		n.build, n.database, n.resources, n.deleted, n.changes, n.parked, n.held, n.conflicts, n.decisions, n.children, n.size, n.log, n.reachable,
		n.lastPass, n.backlog, n.running,
	} {
		ch <- d
	}
}

// collectTimeout bounds how long a scrape waits for the database.
const collectTimeout = 10 * time.Second

// Collect reads the node's state. Where the database is away there is nothing to tell but that.
func (n *nodeMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(n.build, 1, n.version)
	if n.control == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	st, err := n.control.Status(ctx)
	sizes, serr := n.control.Sizes(ctx)
	gauge(n.database, one(err == nil && serr == nil))
	if err != nil || serr != nil {
		return
	}
	byType := map[string]float64{}
	for t, v := range st.Counts.Resources {
		if !fhir.IsType(t) {
			t = "rest" // their names are made by applications: as many as they like
		}
		byType[t] += float64(v)
	}
	for t, v := range byType {
		gauge(n.resources, v, t)
	}
	gauge(n.deleted, float64(st.Counts.Deleted))
	gauge(n.changes, float64(st.Counts.Changes))
	gauge(n.parked, float64(st.Counts.Parked))
	gauge(n.held, float64(st.Counts.Held))
	gauge(n.conflicts, float64(st.Counts.Open))
	ch <- prometheus.MustNewConstMetric(n.decisions, prometheus.CounterValue, float64(st.Counts.Conflicts))
	gauge(n.children, float64(len(st.Children)))
	gauge(n.size, float64(sizes.Database))
	gauge(n.log, float64(sizes.Log))
	if st.Parent == nil {
		return
	}
	gauge(n.reachable, one(st.Parent.Reachable))
	for name, d := range map[string]control.Direction{control.Pull: st.Parent.Pull, control.Push: st.Parent.Push} {
		gauge(n.lastPass, float64(d.LastSuccess)/1000, name)
		gauge(n.backlog, float64(d.Backlog), name)
		gauge(n.running, one(d.Running), name)
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
