// Package promtest says in tests what the console needs of a Prometheus. The same
// suite runs against the drill's metric server and against a real Prometheus: it
// writes what it asks for by remote write, and reads it through the console's own
// client.
package promtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/prom"
	"rollcall/sources/redact"
)

// Server is a metric server under test.
type Server struct {
	Config prom.Config // how the console reaches it; it also takes remote write there
	Clock  sources.Clock
	// Begin is the start of eight minutes that the server can still be told about.
	Begin time.Time
	// Ruled: the server evaluates Rules.
	Ruled bool
	// Scraped is a selector of the series of a target that the server scrapes, up
	// aside; empty when it scrapes none.
	Scraped string
	// Partial is a selector for which a part of the store cannot be reached; empty
	// when the server has but one part.
	Partial string
}

// Rules is a rule file that a server with Ruled evaluates. It needs two targets,
// so that the broken rule fails.
const Rules = `groups:
- name: contract
  interval: 1s
  rules:
  - record: contract:up:sum
    expr: sum(up)
  - record: contract:broken
    expr: up + on() up
  - alert: ContractFires
    expr: vector(7) > 1
    labels: {severity: page, team: "\e[31mred"}
    annotations: {summary: "seven is {{ $value }}", contact: "jane.doe@example.com"}
  - alert: ContractWaits
    expr: vector(1)
    for: 1h
`

const (
	step   = 15 * time.Second
	points = 33 // of eight minutes, both ends included
)

// Run runs the suite.
func Run(t *testing.T, s Server) {
	s.Begin = s.Begin.Truncate(time.Second)
	red, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c, err := prom.New(s.Config, prom.Options{
		Clock:    s.Clock,
		Sanitize: func(s string) string { return redact.SanitizeLine(s, 512) },
		Text:     func(s string) string { return redact.SanitizeLine(red.Text(s), 512) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	q := &suite{Server: s, c: c, job: fmt.Sprintf("contract-%x", time.Now().UnixNano())}
	s.write(t, q.fixture())

	t.Run("it answers and says its version", q.version)
	t.Run("an instant query has one point per series, of the time asked for", q.instant)
	t.Run("a range has one point per step and no more", q.rangeOf)
	t.Run("a gap that the source tells of is a gap", q.gap)
	t.Run("a series that falls silent is shown for five minutes and no longer", q.silence)
	t.Run("not a number and the infinities stay so", q.odd)
	t.Run("classic histograms give quantiles", q.classic)
	t.Run("native histograms give quantiles, and are left out where numbers are asked for", q.native)
	t.Run("names of any characters can be asked for and come back", q.utf8)
	t.Run("a hostile label is harmless", q.hostile)
	t.Run("metric names are found by selector", q.names)
	t.Run("what the engine warns of reaches the facts", q.warnings)
	t.Run("a wrong query is refused in one line that is not taken for a dead source", q.rejected)
	t.Run("no traffic is an absent series, not a zero", q.absent)
	t.Run("alerts and rules", q.rules)
	t.Run("what the server scrapes is there", q.scraped)
	t.Run("an answer without a part of the store says so", q.partial)
}

type suite struct {
	Server
	c   *prom.Client
	job string
}

func (q *suite) at(i int) time.Time { return q.Begin.Add(time.Duration(i) * step) }
func (q *suite) end() time.Time     { return q.at(points - 1) }

// in is a metric of this run, with more matchers.
func (q *suite) in(metric string, more ...string) string {
	return metric + `{` + strings.Join(append(more, `job="`+q.job+`"`), ",") + `}`
}

func (q *suite) fixture() []series {
	line := func(name string, from, to int, v func(i int) float64, more ...string) series {
		s := series{labels: [][2]string{{"__name__", name}, {"job", q.job}}}
		for i := 0; i+1 < len(more); i += 2 {
			s.labels = append(s.labels, [2]string{more[i], more[i+1]})
		}
		slices.SortFunc(s.labels, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
		for i := from; i < to; i++ {
			s.samples = append(s.samples, sample{q.at(i), v(i)})
		}
		return s
	}
	count := func(k float64) func(int) float64 { return func(i int) float64 { return k * float64(i) } }
	is := func(v float64) func(int) float64 { return func(int) float64 { return v } }

	gap := line("contract_gap", 0, 9, is(1))
	gap.samples = append(gap.samples, sample{q.at(9), stale})
	gap.samples = append(gap.samples, line("", 21, points, is(2)).samples...)

	histogram := line("contract_native_seconds", 0, 0, nil)
	for i := range points {
		n := uint64(i)
		histogram.histograms = append(histogram.histograms, native{q.at(i), float64(20 * i), []uint64{5 * n, 5 * n}})
	}
	return []series{
		line("contract_requests_total", 0, points, count(30), "route", "/chat"),
		line("contract_requests_total", 0, points, count(15), "route", "/search"),
		line("contract_depth", 0, points, is(4)),
		gap,
		line("contract_silent", 0, 5, is(3)),
		line("contract_odd", 0, points, is(math.NaN()), "kind", "nan"),
		line("contract_odd", 0, points, is(math.Inf(1)), "kind", "inf"),
		line("contract_seconds_bucket", 0, points, count(5), "le", "1.0"),
		line("contract_seconds_bucket", 0, points, count(10), "le", "2.0"),
		line("contract_seconds_bucket", 0, points, count(10), "le", "+Inf"),
		line("contract_seconds_sum", 0, points, count(12)),
		line("contract_seconds_count", 0, points, count(10)),
		histogram,
		line("contract.queue.depth", 0, points, is(6), "gen_ai.request.model", "grün/7b"),
		line("contract_hostile", 0, points, is(1), "route", "a\x1b]0;owned\x07\u202eb"),
	}
}

func (q *suite) one(t *testing.T, expr string, at time.Time) float64 {
	t.Helper()
	found, _, err := q.c.Query(t.Context(), expr, at)
	if err != nil || len(found) != 1 || len(found[0].Points) != 1 {
		t.Fatalf("%s: %v, %v", expr, found, err)
	}
	return found[0].Points[0].V
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*(1+math.Abs(b)) }

func (q *suite) version(t *testing.T) {
	if err := q.c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := q.c.Health(); h.State != sources.SourceUp || h.Note == "" || h.LastGood.IsZero() {
		t.Errorf("health %+v", h)
	}
}

func (q *suite) instant(t *testing.T) {
	found, facts, err := q.c.Query(t.Context(), q.in("contract_requests_total"), q.at(10).Add(5*time.Second))
	if err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, s := range found {
		want := map[string]float64{"/chat": 300, "/search": 150}[s.Labels["route"]]
		if len(s.Points) != 1 || s.Points[0].V != want || !s.Points[0].T.Equal(q.at(10).Add(5*time.Second)) {
			t.Errorf("%v is %v, want %v at the time asked for", s.Labels, s.Points, want)
		}
	}
	if facts.Source != "prometheus" || facts.Took <= 0 || facts.Fetched.IsZero() || facts.Partial != "" || len(facts.Warnings) > 0 {
		t.Errorf("facts %+v", facts)
	}
	if got := q.one(t, `sum(rate(`+q.in("contract_requests_total")+`[2m]))`, q.end()); !near(got, 3) {
		t.Errorf("the rate is %v per second, want 3", got)
	}
}

func (q *suite) rangeOf(t *testing.T) {
	found, facts, err := q.c.Range(t.Context(), q.in("contract_requests_total", `route="/chat"`), q.Begin, q.end(), step)
	if err != nil || len(found) != 1 || len(found[0].Points) != points {
		t.Fatalf("%v, %v", found, err)
	}
	for i, p := range found[0].Points {
		if !p.T.Equal(q.at(i)) || p.V != float64(30*i) {
			t.Fatalf("point %d is %v at %s", i, p.V, p.T)
		}
	}
	if !facts.At.Equal(q.end()) {
		t.Errorf("the newest datum is of %s, want %s", facts.At, q.end())
	}
}

func (q *suite) gap(t *testing.T) {
	found, _, err := q.c.Range(t.Context(), q.in("contract_gap"), q.Begin, q.end(), step)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	var at []int
	for _, p := range found[0].Points {
		at = append(at, int(p.T.Sub(q.Begin)/step))
	}
	var want []int
	for i := range points {
		if i < 9 || i >= 21 {
			want = append(want, i)
		}
	}
	if !slices.Equal(at, want) {
		t.Errorf("points at %v, want %v", at, want)
	}
}

func (q *suite) silence(t *testing.T) {
	last := q.at(4)
	for d, want := range map[time.Duration]int{4*time.Minute + 59*time.Second: 1, 5*time.Minute + time.Second: 0} {
		if found, _, err := q.c.Query(t.Context(), q.in("contract_silent"), last.Add(d)); err != nil || len(found) != want {
			t.Errorf("%s after its last sample: %v, %v; want %d series", d, found, err, want)
		}
	}
}

func (q *suite) odd(t *testing.T) {
	if v := q.one(t, q.in("contract_odd", `kind="nan"`), q.end()); !math.IsNaN(v) {
		t.Errorf("not a number came back as %v", v)
	}
	if v := q.one(t, q.in("contract_odd", `kind="inf"`), q.end()); !math.IsInf(v, 1) {
		t.Errorf("infinity came back as %v", v)
	}
	_, facts, err := q.c.Query(t.Context(), q.in("contract_odd", `kind="nan"`), q.end())
	if err != nil || !facts.At.IsZero() {
		t.Errorf("not a number counts as a datum of %s, %v", facts.At, err)
	}
}

func (q *suite) classic(t *testing.T) {
	for quantile, want := range map[string]float64{"0.5": 1, "0.75": 1.5} {
		expr := `histogram_quantile(` + quantile + `, sum by (le) (rate(` + q.in("contract_seconds_bucket") + `[2m])))`
		if got := q.one(t, expr, q.end()); !near(got, want) {
			t.Errorf("quantile %s is %v, want %v", quantile, got, want)
		}
	}
}

func (q *suite) native(t *testing.T) {
	rate := `rate(` + q.in("contract_native_seconds") + `[2m])`
	if got := q.one(t, `histogram_quantile(0.5, sum(`+rate+`))`, q.end()); !near(got, 2) {
		t.Errorf("the median is %v, want 2", got)
	}
	if got := q.one(t, `sum(histogram_count(`+rate+`))`, q.end()); !near(got, 10.0/15) {
		t.Errorf("%v observations per second, want %v", got, 10.0/15)
	}
	if got := q.one(t, `histogram_avg(`+q.in("contract_native_seconds")+`)`, q.end()); !near(got, 2) {
		t.Errorf("the mean is %v, want 2", got)
	}
	for _, ask := range []func() ([]sources.Series, sources.Facts, error){
		func() ([]sources.Series, sources.Facts, error) {
			return q.c.Query(t.Context(), q.in("contract_native_seconds"), q.end())
		},
		func() ([]sources.Series, sources.Facts, error) {
			return q.c.Range(t.Context(), q.in("contract_native_seconds"), q.Begin, q.end(), step)
		},
	} {
		found, facts, err := ask()
		if err != nil || len(found) != 0 || !strings.Contains(facts.Partial, "histogram_quantile") {
			t.Errorf("%v, facts %+v, %v; want that it is left out, and said so", found, facts, err)
		}
	}
}

func (q *suite) utf8(t *testing.T) {
	expr := `{"contract.queue.depth","gen_ai.request.model"=~"gr.n/7b",job="` + q.job + `"}`
	found, _, err := q.c.Query(t.Context(), expr, q.end())
	if err != nil || len(found) != 1 || found[0].Points[0].V != 6 {
		t.Fatalf("%v, %v", found, err)
	}
	if l := found[0].Labels; l["__name__"] != "contract.queue.depth" || l["gen_ai.request.model"] != "grün/7b" {
		t.Errorf("labels %q", l)
	}
	if got := q.one(t, `sum by ("gen_ai.request.model") (`+expr+`)`, q.end()); got != 6 {
		t.Errorf("summed by a label with dots: %v", got)
	}
}

func (q *suite) hostile(t *testing.T) {
	found, _, err := q.c.Query(t.Context(), q.in("contract_hostile"), q.end())
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if route := found[0].Labels["route"]; strings.ContainsAny(route, "\x1b\x07\u202e") || !strings.Contains(route, "owned") {
		t.Errorf("the label came as %q", route)
	}
}

func (q *suite) names(t *testing.T) {
	names, err := q.c.MetricNames(t.Context(), `{job="`+q.job+`"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"contract.queue.depth", "contract_depth", "contract_gap", "contract_hostile", "contract_native_seconds", "contract_odd",
		"contract_requests_total", "contract_seconds_bucket", "contract_seconds_count", "contract_seconds_sum", "contract_silent",
	}
	if !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if names, err = q.c.MetricNames(t.Context(), `{job="nobody"}`); err != nil || len(names) != 0 {
		t.Errorf("names of a job that does not exist: %q, %v", names, err)
	}
}

func (q *suite) warnings(t *testing.T) {
	for expr, want := range map[string]string{
		`quantile(1.5, ` + q.in("contract_depth") + `)`:           "between 0 and 1",
		`rate(` + q.in("contract_depth") + `[2m])`:                "might not be a counter",
		`histogram_quantile(0.9, ` + q.in("contract_depth") + `)`: "le",
	} {
		_, facts, err := q.c.Query(t.Context(), expr, q.end())
		if err != nil || !strings.Contains(strings.Join(facts.Warnings, "\n"), want) {
			t.Errorf("%s: warnings %q, %v; want %q in them", expr, facts.Warnings, err, want)
		}
	}
}

func (q *suite) rejected(t *testing.T) {
	for _, expr := range []string{`sum(rate(`, q.in("contract_requests_total") + ` + on() ` + q.in("contract_requests_total")} {
		_, _, err := q.c.Query(t.Context(), expr, q.end())
		var e *prom.Error
		if !errors.As(err, &e) || !e.Rejected || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", expr, err)
		}
	}
	if _, _, err := q.c.Range(t.Context(), `contract_depth`, q.Begin, q.Begin.Add(24*time.Hour), time.Second); err == nil || !strings.Contains(err.Error(), "use a step of") {
		t.Errorf("a range of too many points: %v", err)
	}
	if h := q.c.Health(); h.State != sources.SourceUp {
		t.Errorf("health after wrong queries: %+v", h)
	}
}

func (q *suite) absent(t *testing.T) {
	found, facts, err := q.c.Query(t.Context(), `rate(contract_requests_total{job="nobody"}[5m])`, q.end())
	if err != nil || len(found) != 0 || !facts.At.IsZero() {
		t.Errorf("%v, %+v, %v", found, facts, err)
	}
}

func (q *suite) rules(t *testing.T) {
	if !q.Ruled {
		alerts, _, err := q.c.Alerts(t.Context())
		if err != nil || len(alerts) != 0 {
			t.Errorf("alerts of a server without rules: %+v, %v", alerts, err)
		}
		rules, _, err := q.c.Rules(t.Context())
		if err != nil || len(rules) != 0 {
			t.Errorf("rules of a server without any: %+v, %v", rules, err)
		}
		return
	}
	Until(t, "the rules to be evaluated, one of them in vain", func() bool {
		rules, _, err := q.c.Rules(t.Context())
		if err != nil || len(rules) != 4 {
			t.Fatalf("%+v, %v", rules, err)
		}
		return !rules[1].Healthy && rules[2].State == sources.AlertFiring && rules[3].State == sources.AlertPending
	})
	rules, facts, err := q.c.Rules(t.Context())
	if err != nil || facts.At.IsZero() || facts.Shown != 4 {
		t.Fatalf("%+v, %v", facts, err)
	}
	sum, broken, fires, waits := rules[0], rules[1], rules[2], rules[3]
	if sum.Name != "contract:up:sum" || sum.Alerting || sum.Query != "sum(up)" || sum.Group != "contract" || !sum.Healthy || sum.Evaluated.IsZero() {
		t.Errorf("the rule that records: %+v", sum)
	}
	if broken.LastError == "" || strings.Contains(broken.LastError, "\n") {
		t.Errorf("the rule that fails: %+v", broken)
	}
	if !fires.Alerting || len(fires.Alerts) != 1 || fires.Labels["severity"] != "page" {
		t.Errorf("the rule that fires: %+v", fires)
	}
	if waits.For != time.Hour || len(waits.Alerts) != 1 || waits.Alerts[0].State != sources.AlertPending {
		t.Errorf("the rule that waits: %+v", waits)
	}
	alerts, _, err := q.c.Alerts(t.Context())
	if err != nil || len(alerts) != 2 {
		t.Fatalf("%+v, %v", alerts, err)
	}
	for _, a := range alerts {
		if a.Name != "ContractFires" {
			continue
		}
		if a.State != sources.AlertFiring || a.Annotations["summary"] != "seven is 7" || a.Value != "7e+00" || a.Since.IsZero() {
			t.Errorf("the alert: %+v", a)
		}
		if strings.Contains(a.Labels["team"], "\x1b") || strings.Contains(a.Annotations["contact"], "jane.doe") {
			t.Errorf("not made harmless: %+v", a)
		}
		return
	}
	t.Errorf("no ContractFires in %+v", alerts)
}

func (q *suite) scraped(t *testing.T) {
	if q.Scraped == "" {
		t.Skip("this server scrapes nothing")
	}
	Until(t, "two scrapes", func() bool {
		found, _, err := q.c.Query(t.Context(), `count_over_time(`+q.Scraped+`[5m]) >= 2`, q.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return len(found) > 0
	})
}

func (q *suite) partial(t *testing.T) {
	if q.Partial == "" {
		t.Skip("this server keeps everything in one place")
	}
	found, facts, err := q.c.Query(t.Context(), q.Partial, q.end())
	if err != nil {
		t.Fatalf("a part that is missing fails the whole query: %v", err)
	}
	if len(facts.Warnings) == 0 || strings.ContainsAny(strings.Join(facts.Warnings, ""), "\n\x1b") {
		t.Errorf("%v, facts %+v; want a warning", found, facts)
	}
}

// Until asks again and again, since a server works at its own pace.
func Until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
