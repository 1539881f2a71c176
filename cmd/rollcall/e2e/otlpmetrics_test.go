package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"rollcall/sources"
	"rollcall/sources/prom"
	"rollcall/sources/prom/promtest"
	"rollcall/sources/signal"
)

// A service that sends its metrics by OTLP is understood whatever its Prometheus makes of
// their names, and however its histograms are kept.
func TestPrometheusContractOfOTLPMetricsInEveryTranslation(t *testing.T) {
	bin := stack(t)
	for _, tc := range []struct {
		strategy    string
		exponential bool
		query       string // a piece of what is asked for the requests
	}{
		{"UnderscoreEscapingWithSuffixes", false, `rate(gen_ai_client_operation_duration_seconds_count{`},
		{"UnderscoreEscapingWithoutSuffixes", true, `histogram_count(rate(gen_ai_client_operation_duration{`},
		{"NoUTF8EscapingWithSuffixes", false, `rate({"gen_ai.client.operation.duration_seconds_count","gen_ai.operation.name"=~`},
		{"NoUTF8EscapingWithSuffixes", true, `histogram_count(rate({"gen_ai.client.operation.duration_seconds",`},
		{"NoTranslation", false, `rate({"gen_ai.client.operation.duration_count",`},
		{"NoTranslation", true, `histogram_count(rate({"gen_ai.client.operation.duration",`},
	} {
		name := tc.strategy + ", classic histograms"
		if tc.exponential {
			name = tc.strategy + ", native histograms"
		}
		t.Run(name, func(t *testing.T) {
			dir, addr := t.TempDir(), freeAddr(t)
			startServer(t, filepath.Join(bin, "prometheus"),
				"--config.file", writeFile(t, dir, "prometheus.yml", "otlp: {translation_strategy: "+tc.strategy+"}\n"),
				"--storage.tsdb.path", filepath.Join(dir, "prometheus"), "--web.listen-address", addr, "--web.enable-otlp-receiver", "--log.level", "warn")
			c, err := prom.New(prom.Config{URL: "http://" + addr}, prom.Options{Clock: wallClock(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			promtest.Until(t, "Prometheus to answer", func() bool { return c.Check(t.Context()) == nil })
			sendMetrics(t, "http://"+addr+"/api/v1/otlp/v1/metrics", time.Now().Truncate(15*time.Second), tc.exponential)

			e, err := signal.NewEvaluator(signal.Deps{
				Prom: c, Clock: wallClock(t), Prices: map[string]signal.Price{"gpt-4.1": {Input: 2e-6, Output: 8e-6}},
			}, map[string]signal.Service{"assistant": {Scope: `job="shop/assistant"`}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Close)
			snap, err := e.Snapshot(t.Context(), "assistant", sources.View{Range: 5 * time.Minute, Columns: 20}, sources.HealthPane)
			if err != nil {
				t.Fatal(err)
			}
			for id, want := range map[string]float64{
				"req_rate": 2, "error_ratio": 0.1, "error_by_type": 0.2, "latency_p50": 1.5, "ttft_p95": 0.3, "tokens_per_req": 600 + 150,
				"prompt_length_p99": 600, "spend_rate": 1.8*600*2e-6 + 1.8*150*8e-6, "access_control": 0,
			} {
				r, ok := snap.Reading(id)
				if !ok || !r.Known || r.Provenance.Profile != signal.OTelGenAI || r.Provenance.Query == "" {
					t.Errorf("%s: %s (%s) by %+v", id, r.Verdict, r.Why, r.Provenance)
					continue
				}
				// What a bucket holds is known no better than by its width.
				if width := map[bool]float64{true: 0.05, false: 0.5}[tc.exponential]; math.Abs(r.Value-want) > width*want+1e-9 {
					t.Errorf("%s is %g, want about %g: %s", id, r.Value, want, r.Provenance.Query)
				}
			}
			if r, _ := snap.Reading("req_rate"); !strings.Contains(r.Provenance.Query, tc.query) {
				t.Errorf("asked %s", r.Provenance.Query)
			}
			if r, _ := snap.Reading("error_by_type"); len(r.Parts) != 1 || r.Parts[0].Name != "RateLimitError" {
				t.Errorf("errors by type: %+v", r.Parts)
			}
			parts, _, err := e.Split(t.Context(), "assistant", "req_rate", "model", sources.View{Range: 5 * time.Minute, Columns: 20})
			if err != nil || len(parts) != 1 || parts[0].Name != "gpt-4.1-2025-04-14" {
				t.Errorf("by model: %+v, %v", parts, err)
			}
		})
	}
}

// sendMetrics sends ten minutes of a service that answers two requests a second, one
// in ten of them with an error, as an OpenTelemetry SDK counts them.
func sendMetrics(t *testing.T, to string, now time.Time, exponential bool) {
	t.Helper()
	const step = 15 * time.Second
	begin := now.Add(-10 * time.Minute)
	for at := begin; !at.After(now); at = at.Add(step) {
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		for k, v := range map[string]string{"service.name": "assistant", "service.namespace": "shop", "service.instance.id": "a-1"} {
			rm.Resource().Attributes().PutStr(k, v)
		}
		list := rm.ScopeMetrics().AppendEmpty().Metrics()
		seconds := at.Sub(begin).Seconds()
		add := func(name, unit string, perSecond, value float64, attrs ...string) {
			m := list.AppendEmpty()
			m.SetName(name)
			m.SetUnit(unit)
			n := uint64(math.Round(perSecond * seconds))
			var of pcommon.Map
			if exponential {
				h := m.SetEmptyExponentialHistogram()
				h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				p := h.DataPoints().AppendEmpty()
				p.SetScale(5)
				p.SetCount(n)
				p.SetSum(float64(n) * value)
				p.SetTimestamp(pcommon.NewTimestampFromTime(at))
				p.SetStartTimestamp(pcommon.NewTimestampFromTime(begin))
				p.Positive().SetOffset(int32(math.Ceil(math.Log2(value)*32)) - 1)
				p.Positive().BucketCounts().FromRaw([]uint64{n})
				of = p.Attributes()
			} else {
				h := m.SetEmptyHistogram()
				h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				p := h.DataPoints().AppendEmpty()
				p.SetCount(n)
				p.SetSum(float64(n) * value)
				p.SetTimestamp(pcommon.NewTimestampFromTime(at))
				p.SetStartTimestamp(pcommon.NewTimestampFromTime(begin))
				p.ExplicitBounds().FromRaw([]float64{value * 0.75, value * 1.25})
				p.BucketCounts().FromRaw([]uint64{0, n, 0})
				of = p.Attributes()
			}
			for i := 0; i < len(attrs); i += 2 {
				of.PutStr(attrs[i], attrs[i+1])
			}
		}
		call := []string{"gen_ai.operation.name", "chat", "gen_ai.provider.name", "openai", "gen_ai.request.model", "gpt-4.1", "gen_ai.response.model", "gpt-4.1-2025-04-14"}
		with := func(more ...string) []string { return append(append([]string{}, call...), more...) }
		add("gen_ai.client.operation.duration", "s", 1.8, 1.5, call...)
		add("gen_ai.client.operation.duration", "s", 0.2, 1.5, with("error.type", "RateLimitError")...)
		add("gen_ai.server.time_to_first_token", "s", 1.8, 0.3, call...)
		add("gen_ai.client.token.usage", "{token}", 1.8, 600, with("gen_ai.token.type", "input")...)
		add("gen_ai.client.token.usage", "{token}", 1.8, 150, with("gen_ai.token.type", "output")...)
		body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(to, "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatal(fmt.Errorf("%s: %s", resp.Status, said))
		}
	}
}
