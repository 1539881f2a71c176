package promapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/convertnhcb"
)

// The console's catalogue is in another module, which writes down the queries
// that it sends to a system with a given exposition (sources/signal, where a test
// holds the files to it). Here they run on the engine, over that exposition.
const expositions = "testdata/profiles"

type askedQuery struct {
	Profile, Signal, Kind, Part, Query string

	Shy bool // no series at all is an answer too
}

func (q askedQuery) String() string { return q.Profile + " " + q.Signal }

func TestEveryQueryOfEveryProfileAnswersOverWhatTheSystemsExpose(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(expositions, "*.prom"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d expositions, %v", len(files), err)
	}
	others := 0
	for _, file := range files {
		asked, err := filepath.Glob(strings.TrimSuffix(file, ".prom") + "+*.queries.json")
		if err != nil {
			t.Fatal(err)
		}
		others += len(asked)
		files = append(files, asked...)
	}
	if others < 15 {
		t.Errorf("only %d expositions are kept in another form", others)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".prom"), ".queries.json")
		t.Run(name, func(t *testing.T) {
			exposition, form, _ := strings.Cut(name, "+")
			text, err := os.ReadFile(filepath.Join(expositions, exposition+".prom"))
			if err != nil {
				t.Fatal(err)
			}
			now := time.Date(2026, 3, 4, 14, 30, 0, 0, time.UTC)
			srv, kinds := scraped(t, string(text), form, now)
			wanted := wants(t, string(text))
			asked := queriesOf(t, name)
			values := map[string]bool{}
			var quantile float64 // of the signal that is asked for
			for _, q := range asked {
				if q.Kind == "above" {
					q.Query = strings.ReplaceAll(q.Query, "$value", strconv.FormatFloat(quantile, 'g', -1, 64))
				}
				checkRates(t, q, kinds)
				got := srv.vector(t, q.Query, now)
				if len(got) == 0 && !q.Shy {
					t.Errorf("%s (%s) finds nothing:\n%s", q, q.Kind, q.Query)
				}
				for _, s := range got {
					if v := float64(s.Value); math.IsNaN(v) || math.IsInf(v, 0) {
						t.Errorf("%s (%s) gives %g:\n%s", q, q.Kind, v, q.Query)
					}
				}
				if q.Kind != "value" {
					continue
				}
				if len(got) > 0 {
					quantile = float64(got[0].Value)
				}
				values[q.String()] = true
				if !agree(got, q.Part, wanted[q.String()]) {
					t.Errorf("%s\ngives %v\nwant  %v", q.Query, named(got, q.Part), wanted[q.String()])
				}
			}
			for q := range wanted {
				if !values[q] {
					t.Errorf("%s is wanted, but nothing asks for it", q)
				}
			}
		})
	}
}

// The value of a quantile that lies above every finite bucket is the top bound:
// what the console compares with to show it as "at least".
func TestAQuantileAboveEveryBucketIsTheTopBound(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(expositions, "litellm.prom"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 14, 30, 0, 0, time.UTC)
	srv, _ := scraped(t, string(text), "", now)
	top := math.Inf(-1)
	var p99 float64
	for _, q := range queriesOf(t, "litellm") {
		switch {
		case q.Signal == "latency_p99" && q.Kind == "bounds":
			for _, s := range srv.vector(t, q.Query, now) {
				if le, err := strconv.ParseFloat(string(s.Metric["le"]), 64); err == nil && !math.IsInf(le, 0) {
					top = max(top, le)
				}
			}
		case q.Signal == "latency_p99" && q.Kind == "value":
			p99 = srv.scalar(t, q.Query, now)
		}
	}
	if p99 != top || top != 30 {
		t.Errorf("p99 %g, top bound %g", p99, top)
	}

	// A native histogram is not asked for its bounds, but for what lies above the value.
	srv, _ = scraped(t, string(text), "native", now)
	for signal, beyond := range map[string]bool{"latency_p50": false, "latency_p99": true} {
		q, v := map[string]float64{"latency_p50": 0.5, "latency_p99": 0.99}[signal], math.NaN()
		for _, a := range queriesOf(t, "litellm+native") {
			switch {
			case a.Signal == signal && a.Kind == "value":
				v = srv.scalar(t, a.Query, now)
			case a.Signal == signal && a.Kind == "above":
				above := srv.scalar(t, strings.ReplaceAll(a.Query, "$value", strconv.FormatFloat(v, 'g', -1, 64)), now)
				if more := above > 1-q+1e-6; more != beyond {
					t.Errorf("%s is %g with a share of %g above it", signal, v, above)
				}
			}
		}
	}
}

// scraped loads an exposition as a Prometheus would have scraped it from two
// services: the one that the queries are scoped to, and one with other numbers
// that none of them may see. The form says how the server keeps it: with dots or
// without, as classic or native histograms. It returns the type of each metric family.
func scraped(t *testing.T, text, form string, now time.Time) (server, map[string]string) {
	t.Helper()
	db, err := Open(t.TempDir(), func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	first, second, ok := strings.Cut(text, "# scrape, four minutes later\n")
	if !ok {
		t.Fatal("the exposition has one scrape only")
	}
	kinds := map[string]string{}
	for i, part := range []string{first, second} {
		b := db.Batch()
		at := now.Add(time.Duration(i-1) * 4 * time.Minute)
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		for name, family := range families {
			kinds[kept(t, name, form)] = strings.ToLower(family.GetType().String())
			if family.GetType() == dto.MetricType_HISTOGRAM && strings.Contains(form, "native") {
				for _, m := range family.GetMetric() {
					native(t, db, kept(t, name, form), m, form, at)
				}
				continue
			}
			samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.TimeFromUnixNano(at.UnixNano())}, family)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range samples {
				pairs := []string{"job", "system", "instance", "10.0.0.7:9090"}
				for n, v := range s.Metric {
					if n != model.MetricNameLabel {
						pairs = append(pairs, kept(t, string(n), form), string(v))
					}
				}
				metric, v := kept(t, string(s.Metric[model.MetricNameLabel]), form), float64(s.Value)
				b.Add(db.Series(metric, append(slices.Clip(pairs), "namespace", "prod")...), at, v)
				b.Add(db.Series(metric, append(slices.Clip(pairs), "namespace", "other")...), at, 7*v+1)
			}
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return serve(t, db), kinds
}

// native stores a classic histogram as Prometheus converts it: one series whose bounds
// are those of the buckets. The values computed by hand therefore stay the same.
func native(t *testing.T, db *DB, name string, m *dto.Metric, form string, at time.Time) {
	t.Helper()
	for namespace, factor := range map[string]float64{"prod": 1, "other": 7} {
		tmp := convertnhcb.NewTempHistogram()
		for _, b := range m.GetHistogram().GetBucket() {
			if err := tmp.SetBucketCount(b.GetUpperBound(), factor*float64(b.GetCumulativeCount())); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(tmp.SetCount(factor*float64(m.GetHistogram().GetSampleCount())), tmp.SetSum(factor*m.GetHistogram().GetSampleSum())); err != nil {
			t.Fatal(err)
		}
		whole, float, err := tmp.Convert()
		if err != nil {
			t.Fatal(err)
		}
		ls := []string{model.MetricNameLabel, name, "job", "system", "instance", "10.0.0.7:9090", "namespace", namespace}
		for _, l := range m.GetLabel() {
			ls = append(ls, kept(t, l.GetName(), form), l.GetValue())
		}
		app, err := db.appender()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.AppendHistogram(0, labels.FromStrings(ls...), at.UnixMilli(), whole, float); err != nil {
			t.Fatal(err)
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// kept is the name under which a server keeps a metric or label in a form: with the
// dots of the conventions, and then with the suffixes of unit and type or without.
func kept(t *testing.T, name, form string) string {
	t.Helper()
	if !strings.Contains(form, "dots") {
		return name
	}
	text, err := os.ReadFile(filepath.Join(expositions, "attributes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var attributes map[string]string
	if err := json.Unmarshal(text, &attributes); err != nil {
		t.Fatal(err)
	}
	stem := ""
	for s := range attributes {
		if strings.HasPrefix(name, s) && len(s) > len(stem) {
			stem = s
		}
	}
	if stem == "" {
		return name
	}
	rest := strings.TrimPrefix(name, stem)
	if strings.Contains(form, "bare") {
		for _, suffix := range []string{"_seconds", "_total", "_USD", "_token"} {
			rest = strings.TrimPrefix(rest, suffix)
		}
	}
	return attributes[stem] + rest
}

func queriesOf(t *testing.T, name string) []askedQuery {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(expositions, name+".queries.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []askedQuery
	if err := json.Unmarshal(b, &out); err != nil || len(out) == 0 {
		t.Fatalf("%d queries, %v", len(out), err)
	}
	return out
}

var (
	wantLine = regexp.MustCompile(`(?m)^# want (\S+ \S+)(?: "([^"]*)")? = (\S+)`)
	rated    = regexp.MustCompile(`(?:rate|increase)\((?:([a-zA-Z_:][a-zA-Z0-9_:]*)\{|\{"([^"]+)",)`)
)

// wants are the values that an exposition says were computed by hand, by query and part.
func wants(t *testing.T, text string) map[string]map[string]float64 {
	t.Helper()
	out := map[string]map[string]float64{}
	for _, m := range wantLine.FindAllStringSubmatch(text, -1) {
		if out[m[1]] == nil {
			out[m[1]] = map[string]float64{}
		}
		over, under, divided := strings.Cut(m[3], "/")
		v, err := strconv.ParseFloat(over, 64)
		if divided {
			d, err2 := strconv.ParseFloat(under, 64)
			v, err = v/d, errors.Join(err, err2)
		}
		if err != nil {
			t.Fatalf("%s: %v", m[0], err)
		}
		out[m[1]][m[2]] = v
	}
	return out
}

// named are the values of a vector by the label that names its parts, else by all
// their label values in the order of the label names.
func named(v model.Vector, part string) map[string]float64 {
	out := map[string]float64{}
	for _, s := range v {
		var parts []string
		for _, n := range slices.Sorted(maps.Keys(s.Metric)) {
			parts = append(parts, string(s.Metric[n]))
		}
		name := strings.Join(parts, " ")
		if part != "" {
			name = string(cmp.Or(s.Metric[model.LabelName(part)], s.Metric[model.LabelName(strings.ReplaceAll(part, "_", "."))]))
		}
		if _, twice := out[name]; twice {
			name = fmt.Sprintf("%s again", name)
		}
		out[name] = float64(s.Value)
	}
	return out
}

func agree(v model.Vector, part string, want map[string]float64) bool {
	got := named(v, part)
	if len(got) != len(want) {
		return false
	}
	for name, w := range want {
		if g, ok := got[name]; !ok || math.Abs(g-w) > 1e-9*max(1, math.Abs(w)) {
			return false
		}
	}
	return true
}

// checkRates holds that only what counts up is asked for its rate.
func checkRates(t *testing.T, q askedQuery, kinds map[string]string) {
	t.Helper()
	for _, m := range rated.FindAllStringSubmatch(q.Query, -1) {
		name := m[1] + m[2]
		kind := kinds[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && kind == "" {
				kind = kinds[base]
			}
		}
		if kind == "gauge" {
			t.Errorf("%s asks for the rate of %s, a gauge", q, m[1])
		}
	}
}
