package sim_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

var start = time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)

// world is a simulated service without clock, servers or wire.
type world struct {
	*sim.Engine
	control *sim.Control
	sink    *recorder
}

func newWorld(t testing.TB, scenario string, seed uint64, share float64) *world {
	t.Helper()
	s, err := scenarios.Named(scenario)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{sink: &recorder{}}
	w.control = sim.NewControl(s, start, func() time.Time { return w.Now() })
	w.Engine = sim.NewEngine(sim.Config{Seed: seed, Scenario: s, Start: start, Control: w.control, Share: share, Warm: share}, time.Minute)
	return w
}

func (w *world) live(d time.Duration) {
	for range int(d / time.Second) {
		w.Step(w.sink)
	}
}

// counters are the exposed values by series.
func (w *world) counters() map[string]float64 {
	out := map[string]float64{}
	for _, c := range w.Gather(func(m *sim.Metric, v float64) { out[key(m)] = v }) {
		w.sink.Changed(c)
	}
	return out
}

func key(m *sim.Metric) string {
	var b strings.Builder
	b.WriteString(m.Name + "{")
	for i := 0; i < len(m.Labels); i += 2 {
		b.WriteString(m.Labels[i] + "=" + m.Labels[i+1] + ",")
	}
	return b.String() + "}"
}

// grown is how much the series whose key holds all the words grew.
func grown(before, after map[string]float64, words ...string) (sum float64) {
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(k, w) }) {
			sum += after[k] - before[k]
		}
	}
	return sum
}

// over runs for d and returns the share of one growth in another.
func (w *world) over(d time.Duration, part, whole []string) float64 {
	before := w.counters()
	w.live(d)
	after := w.counters()
	return grown(before, after, part...) / grown(before, after, whole...)
}

var (
	fails       = []string{"llmops_validation_total{", "result=fail"}
	validations = []string{"llmops_validation_total{"}
	requests    = []string{"llmops_requests_total{"}
)

// recorder remembers what a sink is told, as text.
type recorder struct {
	lines    []string
	requests []*sim.Request
	seconds  int
	changes  []sim.Change
}

func (r *recorder) note(parts ...string) { r.lines = append(r.lines, strings.Join(parts, " ")) }

func (r *recorder) Started(q *sim.Request) { r.note("started", q.ID(), q.Start.String()) }
func (r *recorder) Finished(q *sim.Request) {
	r.requests = append(r.requests, q)
	r.note("finished", q.ID(), q.End().String(), q.ErrorType(), q.SchemaErr, q.Tenant(), q.Route.String(), q.Cache.String())
}

func (r *recorder) Evaluated(q *sim.Request, e sim.Evaluation) {
	r.note("evaluated", q.ID(), e.At.String(), e.Evaluator)
}
func (r *recorder) Rated(q *sim.Request, at time.Time) { r.note("rated", q.ID(), at.String()) }
func (r *recorder) Complained(q *sim.Request, at time.Time) {
	r.note("complained", q.ID(), at.String())
}
func (r *recorder) Changed(c sim.Change) { r.changes = append(r.changes, c) }
func (r *recorder) Second(time.Time)     { r.seconds++ }

func between(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if math.IsNaN(got) || got < low || got > high {
		t.Errorf("%s is %.4f, want %.4f to %.4f", what, got, low, high)
	}
}
